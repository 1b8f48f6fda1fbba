# SPDX-License-Identifier: GPL-2.0-only
"""What the benches of both halves do: build, boot, and keep the values."""

import concurrent.futures
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hostlib import build, measure, project as here, stanza
from lib import kernel, proc, project
from lib.ui import say

TOP = Path(here.TOP)


@dataclass(frozen=True)
class Kernel:
    title: str
    base: project.Base
    arch: str
    flavour: str
    cmdline: str = ""

    @property
    def out(self):
        return kernel.build_for(self.base, self.arch, self.flavour).out

    @property
    def image(self):
        return self.out / build.image(self.arch)

    @property
    def release(self):
        return (self.out / "include/config/kernel.release").read_text().strip()

    @property
    def config(self):
        return kernel.settings(self.out / ".config")

    def __str__(self):
        package = (self.base.out / "version").read_text().split()[0]
        return (f"Linux {self.release}, {self.base.package} {package}, "
                f"{self.flavour}, {self.config['CONFIG_CC_VERSION_TEXT']} "
                f"{self.cmdline}".rstrip())


def _build_kernels(known):
    for base, arch, flavour in dict.fromkeys(
            (one.base.name, one.arch, one.flavour) for one in known):
        status = subprocess.run([here.PATCHSET, "kernel", "--base", base,
                                 "--arch", arch, "--flavour", flavour],
                                check=False).returncode
        if status:
            raise SystemExit(status)


class Bench:
    """Machines, and what they measured: {(host, kernel, run): values}."""
    ARCH = PROGRAM = None
    PACKAGES = ()

    def __init__(self, out, kernels):
        self.out = out
        self.kernels = kernels
        self.hosts = stanza.load_hosts(stanza.HOSTS)
        self.results = {}
        self._interrupted = threading.Event()

    def build(self):
        _build_kernels(self.kernels.values())
        say("building the program")
        build.programs(self.ARCH, {self.PROGRAM})

    def initramfs(self, name, *arguments):
        path = self.out / f"{name}.cpio"
        measure.build_initramfs(path, self.ARCH, "tap",
                                build.binary(self.ARCH, self.PROGRAM),
                                *arguments)
        return path

    def boot(self, where, initramfs, **more):
        """One machine; `where` is (host, kernel, run), `more` what a
        measure.Measurement has besides."""
        host, name, _ = where
        start, one = time.monotonic(), self.kernels[name]
        settings = {"memory": self.hosts[host].memory, "cmdline": one.cmdline,
                    **more}
        values = measure.values(measure.Measurement(
            what=" ".join(where), directory=self.out / "-".join(where),
            host=self.hosts[host], kernel=one.image, initramfs=initramfs,
            **settings), self._interrupted)
        say(f"{' '.join(where)}: {time.monotonic() - start:.0f} s")
        self.results[where] = values
        return values

    def in_parallel(self, function, calls):
        """As many at a time as there are CPUs."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            done = [pool.submit(function, *arguments) for arguments in calls]
            try:
                for one in concurrent.futures.as_completed(done):
                    one.result()
            except BaseException:
                self._interrupted.set()
                pool.shutdown(cancel_futures=True)
                raise

    def titles(self):
        return {name: one.title for name, one in self.kernels.items()}

    def versions(self):
        """What was measured with what, and the command of each machine."""
        lines = [proc.run("git", "-C", str(TOP), "describe", "--always",
                          "--dirty").strip()]
        lines += [f"{name}: {one}" for name, one in self.kernels.items()]
        lines += proc.run("dpkg-query", "-W", *self.PACKAGES).splitlines()
        for where in sorted(self.results):
            script = self.out / "-".join(where) / "command"
            lines += ["", " ".join(where), *script.read_text().splitlines()[2:]]
        return "\n".join(lines)
