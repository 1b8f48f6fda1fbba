# SPDX-License-Identifier: GPL-2.0-only
"""What has passed, so that FULL=1 can go on, and how long it took."""

import hashlib
import itertools
import json
import os
import pathlib

from hostlib import build, disk, project, root, stanza
from lib import apt
from lib import project as bases

BOOT = "(boot)"


# What runs machines and judges them, and the emulators' own part of it.
CODE = ("boot", "defects", "disk", "initramfs", "machine", "stanza", "stock",
        "verdict")
EMULATOR_CODE = {"qemu": ("qemu",), "bochs": ("bochs",),
                 "powernv": ("powernv", "qemu")}


def _digest_code(name):
    return project.digest_file(os.path.join(project.HOST, "hostlib",
                                            f"{name}.py"))


class Passed:
    """Passes are known by all that they depend on, and by the tables' rows.  In
    a machine that is its kernel and modules, or all of its root, its disk, the
    programs, and the code that runs and judges it; elsewhere the whole tree, and
    the base's versions."""

    def __init__(self, hosts):
        self._hosts = hosts
        self._tree = project.digest_tree()
        self._digests = {}
        # Now, as it is loaded now, even if it changes meanwhile.
        names = itertools.chain(CODE, *EMULATOR_CODE.values())
        self._code = {name: _digest_code(name) for name in names}

    def _digest(self, path):
        if path not in self._digests:
            self._digests[path] = project.digest_file(path)
        return self._digests[path]

    def _versions(self):
        """The one in use, and those that the archive offers."""
        package = bases.load(pathlib.Path(project.TOP), project.base()).package
        version = project.under("version")
        return [*([self._digest(version)] if os.path.exists(version) else []),
                *apt.offered(package)]

    def _kernel(self, arch, flavour, modules=()):
        paths = [build.kernel_image(arch, flavour),
                 *(build.module(arch, flavour, name) for name in modules)]
        return [self._digest(path) for path in paths]

    def _system(self, host):
        if host.root:
            return [self._digest(root.image(host))]
        image = [self._digest(disk.of(host))] if host.disk else []
        return image + self._kernel(host.arch, host.flavour, host.modules)

    def _programs(self, arch, test):
        programs = filter(None, ("init.c", test.program, test.guest))
        tool = build.tool(test.tool) if test.tool else {}
        return [*(self._digest(build.binary(arch, program))
                  for program in programs),
                *(f"{path} {hashlib.sha256(contents).hexdigest()}"
                  for path, contents in sorted(tool.items()))]

    def _machine(self, host, test):
        guest = self._kernel(host.arch, stanza.GUEST) if test.guest else []
        code = (self._code[name]
                for name in (*CODE, *EMULATOR_CODE[host.emulator]))
        return [*code, repr(host), *self._system(host), *guest,
                *self._programs(host.arch, test)]

    def _path(self, entry):
        host = self._hosts.get(entry.host)
        key = [repr(entry.test), *(self._machine(host, entry.test) if host
                                   else [self._tree, *self._versions()])]
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()
        return project.under("passed", name)

    def __contains__(self, entry):
        return os.path.exists(self._path(entry))

    def add(self, entry):
        if entry.host not in self._hosts and project.digest_tree() != self._tree:
            return
        path = self._path(entry)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as record:
            record.write(entry.name + "\n")


def times():
    """{row's name: seconds} as last measured here."""
    try:
        with open(project.under("times.json"), encoding="utf-8") as source:
            return json.load(source)
    except (OSError, ValueError):
        return {}


def save_times(new):
    merged = {**times(), **{name: round(seconds, 1)
                            for name, seconds in new.items()}}
    os.makedirs(project.under(), exist_ok=True)
    partial = project.under("times.json.part")
    with open(partial, "w", encoding="utf-8") as out:
        json.dump(merged, out, indent=1, sort_keys=True)
    os.replace(partial, project.under("times.json"))
