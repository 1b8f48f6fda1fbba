# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a host: from its entries to a verdict on each."""

import contextlib
import dataclasses
import fcntl
import itertools
import os
import secrets
import time

from hostlib import (bochs, build, disk, initramfs, machine, powernv, project,
                     qemu, report, root, stanza, stock, verdict)

EMULATORS = {"qemu": qemu, "bochs": bochs, "powernv": powernv}


@dataclasses.dataclass(frozen=True)
class Images:
    """What a machine boots."""
    directory: str
    kernel: str
    initramfs: str
    memory: int
    disk: str | None = None
    # What the kernel goes on from, and the archive that is not its initramfs.
    root: str | None = None
    tests: str | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    entry: object
    verdict: str
    reason: str
    seconds: float
    log: str
    # {name in TAP: verdict}, and what the kernel complained of.
    cases: dict
    complaint: str | None


def new_run():
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)


def _test_line(test, slow):
    path = f"/t/{build.name(test.program)}"
    return " ".join([test.name, test.kind, str(round(test.timeout * slow)),
                     path, *test.args])


def guest_files(arch, program):
    """What a test needs to boot a guest in which a program is init."""
    guest = initramfs.archive({"init": build.contents(arch, program)})
    kernel = initramfs.read(build.kernel_image(arch, stanza.GUEST))
    return {"g/kernel": kernel, f"g/{build.name(program)}": guest}


def modules(host):
    """What init needs to load the modules of a host."""
    if not host.modules:
        return {}
    files = {f"m/{name}.ko": initramfs.read(
        build.module(host.arch, host.flavour, name)) for name in host.modules}
    names = "".join(f"{name}\n" for name in host.modules)
    return {"modules": names.encode(), **files}


def _make_images(host, entries, directory):
    tests = [entry.test for entry in entries]
    files = {"init": build.contents(host.arch, "init.c"),
             "tests": "".join(_test_line(test, host.slow) + "\n"
                              for test in tests).encode(),
             **modules(host)}
    for test in tests:
        files[f"t/{build.name(test.program)}"] = build.contents(host.arch,
                                                                test.program)
        if test.guest:
            files.update(guest_files(host.arch, test.guest))
        if test.tool:
            files.update(build.tool(test.tool))
    archive = os.path.join(directory, "initramfs.cpio")
    initramfs.build(archive, files)
    memory = tests[0].memory or host.memory
    if host.root:
        return Images(directory, root.kernel_of(host), root.initramfs(host),
                      memory, root=root.image(host), tests=archive)
    return Images(directory, root.kernel_of(host), archive, memory,
                  disk.of(host))


def _limits(host, entries):
    limits = {entry.test.name: host.boot + entry.test.timeout * host.slow
              for entry in entries}
    return {None: host.boot, **limits}


@contextlib.contextmanager
def _slot(name):
    """A directory for images that no other run uses at the same time."""
    for number in itertools.count():
        directory = project.under("images", f"{name}-{number}")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "lock"), "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield directory
            return


def _result(host, entry, judged, watch, ended):
    name = entry.test.name
    cases = verdict.cases(watch.tap.text).get(name, {})
    complaint = verdict.complaint(name, watch.tap.text, watch.console.text,
                                  ended)
    outcome, reason = stock.meaning(host, entry.test, *judged, complaint)
    return Result(entry, outcome, reason, watch.seconds(name),
                  watch.directory, cases, complaint)


def _run_machine(host, entries, directory, ident, accel, interrupted, watch):
    """Returns why the machine did not end by itself, or None."""
    cmdline = " ".join(filter(None, [host.cmdline, entries[0].test.cmdline,
                                     f"run={ident}"]))
    with _slot(host.name) as slot:
        images = _make_images(host, entries, slot)
        command, environment, terminal = EMULATORS[host.emulator].prepare(
            host, images, cmdline, accel)
        return machine.run(directory, command, watch, interrupted,
                           environment, terminal)


def run(host, entries, accel, interrupted, show=None):
    """Returns (a Result for each entry, seconds of the whole boot)."""
    start = time.monotonic()
    ident = new_run()
    directory = project.under("logs", host.name, ident)
    os.makedirs(directory)
    watch = machine.Watch(directory, _limits(host, entries), show,
                          lambda text: report.say(f"  {host.name}: {text}"))
    ended = _run_machine(host, entries, directory, ident, accel, interrupted,
                         watch)
    verdicts = verdict.judge(
        {entry.test.name: entry.test.allowed_skip(host.name)
         for entry in entries},
        watch.tap.text, watch.console.text, ident,
        leak_scan=host.leak_scan, ended=ended, modules=host.modules,
        failing={entry.test.name: stock.failing(host, entry.test)
                 for entry in entries})
    results = [_result(host, entry, verdicts[entry.test.name], watch, ended)
               for entry in entries]
    return results, time.monotonic() - start
