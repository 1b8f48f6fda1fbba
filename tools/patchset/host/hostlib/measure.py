# SPDX-License-Identifier: GPL-2.0-only
"""Boots a machine with one program, for the values that the program prints.

It prints them as KEY=VALUE; comments of TAP may be values, too.
"""

import dataclasses
import shutil
from pathlib import Path

from hostlib import (boot, build, disk, initramfs, machine, qemu, stanza,
                     verdict)

PROGRAM = "program"
TIMEOUT = 1200

# One instruction takes one nanosecond, and nothing depends on the time of day.
SHIFT = 0
REPEATABLE = ["-rtc", "clock=vm,base=2024-01-01T00:00:00", "-seed", "1"]
CPU = "max,-rdrand,-rdseed"
CMDLINE = ("nokaslr norandmaps random.trust_cpu=off "
           "random.trust_bootloader=off")


class MeasureError(Exception):
    """A machine or its program failed."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What to boot, and the directory for all that the machine says."""
    what: str
    directory: Path
    host: stanza.Host
    kernel: Path
    initramfs: Path
    memory: int
    cmdline: str = ""
    extra: tuple = ()
    timeout: int = TIMEOUT
    # Of the kernel once it has booted.  One that may be tainted may have said
    # why, until then.
    taint: str = "0"

    @property
    def ident(self):
        return self.directory.name


def build_initramfs(path, arch, kind, program, *arguments, files=None):
    """The program, what it needs, and the test hosts' init, which runs it."""
    build.programs(arch, ())
    name = f"t/{Path(program).name}"
    line = " ".join([PROGRAM, kind, str(TIMEOUT), f"/{name}", *arguments])
    initramfs.build(path, {"init": build.contents(arch, "init.c"),
                           name: initramfs.read(program), **(files or {}),
                           "tests": f"{line}\n".encode()})


def _counts_instructions(host):
    return host.emulator == "qemu" and host.cpus == 1


def _prepare(what):
    """Returns (command, environment, whether it wants a terminal)."""
    host, more = what.host, list(what.extra)
    if _counts_instructions(host):
        host = dataclasses.replace(host, cpu=CPU)
        more += [*qemu.icount(host, SHIFT), *REPEATABLE]
    images = boot.Images(str(what.directory), str(what.kernel),
                         str(what.initramfs), what.memory,
                         disk.of(host))
    cmdline = " ".join(filter(None, [CMDLINE, host.cmdline, what.cmdline,
                                     f"run={what.ident}"]))
    command, environment, terminal = boot.EMULATORS[host.emulator].prepare(
        host, images, cmdline, "tcg")
    return command + more, environment, terminal


def _run(what, interrupted):
    """Returns what the machine said, and why it was stopped, if it was."""
    shutil.rmtree(what.directory, ignore_errors=True)
    what.directory.mkdir(parents=True)
    command, environment, terminal = _prepare(what)
    watch = machine.Watch(str(what.directory), {None: what.timeout,
                                                PROGRAM: what.timeout})
    ended = machine.run(str(what.directory), command, watch, interrupted,
                        environment, terminal)
    if not (what.directory / "console.log").is_file():
        raise MeasureError(f"{what.what}: the emulator failed; the log is "
                           f"{what.directory}/emulator.log")
    return watch, ended


def parse(lines):
    """The values in a program's lines, as a dict of strings."""
    return dict(line.removeprefix("# ").split("=", 1) for line in lines
                if line.startswith("# ") and "=" in line)


def _console(what, text):
    """What counts of it for the verdict."""
    start = verdict.MARK_START.search(text)
    return text[start.start():] if start and what.taint != "0" else text


def values(what, interrupted):
    """Boots; returns what the program measured."""
    watch, ended = _run(what, interrupted)
    outcome, reason = verdict.judge({PROGRAM: None}, watch.tap.text,
                                    _console(what, watch.console.text),
                                    what.ident, ended=ended,
                                    taint=what.taint)[PROGRAM]
    if outcome != verdict.PASS:
        raise MeasureError(f"{what.what}: {reason}; the logs are in "
                           f"{what.directory}/")
    return parse(verdict.Channel(watch.tap.text).sections[PROGRAM].lines)
