# SPDX-License-Identifier: GPL-2.0-only
"""Guests of QEMU's in a machine: what restore/ measures of them."""

import concurrent.futures
import threading
from dataclasses import dataclass

from hostlib import boot, build, demos, disk, measure, stanza
from lib import deps, kernel
from lib.ui import Failure, Progress, say

HOST = "x86-npt-qemu"
PROGRAM, GUEST, TOOL = "restore/main.c", "toucher.c", "tools/kvm/prefault"
TIMEOUT = 400


@dataclass(frozen=True)
class Run:
    """One QEMU, and the first touch of its guest's memory."""
    faults: int
    # Of the machine's time: one for each instruction, and what was waited for.
    ns: int
    # Of the guest's pass by itself, for one that was restored.
    guest_ns: int | None

    @classmethod
    def of(cls, values, name):
        guest = values.get(f"{name}.guest_ns")
        return cls(int(values[f"{name}.faults"]), int(values[f"{name}.ns"]),
                   guest and int(guest))


@dataclass(frozen=True)
class Guests:
    """The runs with one kernel, {name: Run}, of guests of one size."""
    memory_mib: int
    touched_mib: int
    runs: dict

    @classmethod
    def of(cls, values, names):
        return cls(int(values["memory_mib"]), int(values["touched_mib"]),
                   {name: Run.of(values, name) for name in names})

    @property
    def pages(self):
        return self.touched_mib << 8


class Machines:
    """Machines in which QEMU runs guests."""

    def __init__(self, base, out):
        self.base, self.out = base, out
        self._host = stanza.load_hosts(stanza.HOSTS)[HOST]
        self._interrupted = threading.Event()

    def prepare(self, *flavours):
        deps.need(self.base.top, "source", "kernel", "host", "bench")
        demos.build_kernels(self.base, *flavours, stanza.GUEST)
        disk.need(demos.ARCH, self._host.disk)
        self.out.mkdir(parents=True, exist_ok=True)
        say("building the programs")
        build.programs(demos.ARCH, {PROGRAM, GUEST})
        build.install_tool(TOOL)

    def _measurement(self, flavour, names):
        files = {**boot.guest_files(demos.ARCH, GUEST), **build.tool(TOOL)}
        image = self.out / f"{flavour}.initramfs"
        measure.build_initramfs(image, demos.ARCH, "tap",
                                build.binary(demos.ARCH, PROGRAM), *names,
                                files=files)
        built = kernel.build_for(self.base, demos.ARCH, flavour).out
        return measure.Measurement(
            what=demos.TITLES[flavour], directory=self.out / flavour,
            host=self._host, kernel=built / build.image(demos.ARCH),
            initramfs=image, memory=self._host.memory, timeout=TIMEOUT)

    def _boot(self, flavour, measurement):
        title = demos.TITLES[flavour]
        say(f"booting {title} under QEMU, with QEMU and guests in it")
        progress = Progress(title)
        values = measure.values(measurement, self._interrupted)
        progress.done()
        if (values["supported"] == "1") != (flavour != "stock"):
            raise Failure(f"{title} does not have what it should; the logs "
                          f"are in {measurement.directory}/")
        return values

    def run(self, **names):
        """Measures on each kernel, {flavour: names of runs}, at the same time.

        Returns {flavour: Guests}.
        """
        wanted = {flavour: self._measurement(flavour, names[flavour])
                  for flavour in names}
        with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
            waiting = {flavour: pool.submit(self._boot, flavour, one)
                       for flavour, one in wanted.items()}
            try:
                for done in concurrent.futures.as_completed(waiting.values()):
                    done.result()
            except BaseException:
                self._interrupted.set()
                raise
        return {flavour: Guests.of(done.result(), names[flavour])
                for flavour, done in waiting.items()}


def milliseconds(nanoseconds):
    return f"{nanoseconds / 1e6:,.1f}"
