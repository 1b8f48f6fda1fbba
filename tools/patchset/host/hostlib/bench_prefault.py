# SPDX-License-Identifier: GPL-2.0-only
"""The bench of KVM_PRE_FAULT_MEMORY, side by side with mainline's and with none.

Builds the kernels (stock, Debian's 6.12 with mainline's ioctl, and ours, which
runs with its batch on and off), boots each with the same program on x86-npt and
x86-ept, twice, and lets two vCPUs compete with one on x86-npt-smp.
"""

import os

from hostlib import bochs, build, figures, profile, results
from hostlib.benches import TOP, Bench, Kernel
from lib import project

RUNS = 2
# Bochs is many times as slow. Of 2M pages there are enough to outweigh a timer tick.
SIZES = {"x86-npt": "128M", "x86-ept": "16M"}
HUGE_SIZE = "128M"
STEP_NS = {"x86-npt": 1, "x86-ept": 10**9 / bochs.IPS}
# Not instructions here, but real time, which is disturbed: many rounds.
SMP, SMP_SIZE, SMP_BOOTS, SMP_ROUNDS = "x86-npt-smp", "768M", 2, 20
SMP_KERNELS = ("mainline", "ours")
# 6.12 warns that Bochs's CPU has eight cores by one leaf of CPUID, one by another.
TAINT = {("x86-ept", "mainline"): "512"}
PROFILED = "x86-npt"


def _kernels():
    ours, mainline = (project.load(TOP, name)
                      for name in ("debian-6.1", "debian-6.12"))
    arch = PreFaultBench.ARCH
    return {"stock": Kernel("stock 6.1", ours, arch, "stock"),
            "mainline": Kernel("6.12", mainline, arch, "stock"),
            "one_page": Kernel("batch off", ours, arch, "normal",
                               "kvm.pre_fault_batch=0"),
            "ours": Kernel("ours", ours, arch, "normal")}


class PreFaultBench(Bench):
    ARCH = "x86_64"
    PROGRAM = "x86_64/pre_fault_perf_test"
    PACKAGES = ("qemu-system-x86", "bochs", "python3-pygal")

    def __init__(self, out):
        super().__init__(out, _kernels())
        self._load = None
        self._rounds = None

    def measure(self, where, initramfs, extra=()):
        host, name, _ = where
        return self.boot(where, initramfs, extra=extra,
                         taint=TAINT.get((host, name), "0"))

    def run(self):
        self._count()
        self._race()

    def _count(self):
        """All machines that count instructions."""
        images = {host: self.initramfs(host, "-b", size, "-u", HUGE_SIZE)
                  for host, size in SIZES.items()}
        self.in_parallel(self.measure,
                         [((host, name, str(run)), images[host])
                          for host in SIZES for name in self.kernels
                          for run in range(RUNS)])

    def differences(self):
        """Of the runs that should be alike, in words."""
        for host in SIZES:
            for name in self.kernels:
                first, *others = (self.results[host, name, str(run)]
                                  for run in range(RUNS))
                for other in others:
                    found = results.difference(first, other)
                    if found:
                        yield f"{host} {name}: {found}"

    def _race(self):
        """The kernels take turns, so that what disturbs this computer disturbs
        all."""
        image = self.initramfs(SMP, "-b", SMP_SIZE, "-j", str(SMP_ROUNDS))
        self._load = os.getloadavg()[0]
        for boot in range(SMP_BOOTS):
            for name in SMP_KERNELS:
                self.measure((SMP, name, str(boot)), image)
        self._rounds = {
            name: figures.Rounds(*(self.results[SMP, name, str(boot)]
                                   for boot in range(SMP_BOOTS)))
            for name in SMP_KERNELS}

    def _runs(self, host):
        return {name: figures.Run(self.results[host, name, "0"], STEP_NS[host])
                for name in self.kernels}

    def _host_report(self, host):
        runs = self._runs(host)
        return [f"{host}, {SIZES[host]} of guest memory in 4K pages, "
                f"{HUGE_SIZE} in 2M pages", "",
                figures.table(runs, self.titles()), "",
                *(f"  {goal}" for goal in figures.goals(runs)), "", ""]

    def report(self):
        lines = [f"KVM_PRE_FAULT_MEMORY: Linux {self.kernels['ours'].release} "
                 f"with the series beside {self.kernels['mainline'].release} "
                 "and stock", ""]
        for host in SIZES:
            lines += self._host_report(host)
        lines += [f"{SMP}, {SMP_SIZE} of populated guest memory, real time; "
                  f"load of this computer {self._load:.1f}, "
                  f"{os.cpu_count()} CPUs", "",
                  figures.parallel_table(self._rounds, self.titles()), "",
                  f"  {figures.parallel_goal(self._rounds['ours'])}"]
        return "\n".join(lines)

    def draw(self):
        from hostlib import plots  # needs a package that comes with a bench
        for host in SIZES:
            plots.host(self.out, host, self._runs(host), self.titles())
        plots.parallel(self.out / "parallel.svg", self._rounds, self.titles())

    def profile(self):
        """Where the instructions of a call on populated 4K pages go."""
        symbols = profile.symbols(self.kernels["ours"].out / "System.map")
        plugin = build.plugin(self.out, profile.SOURCE)
        counts = self.out / "profile.counts"
        image = self.initramfs("profile", "-b", SIZES[PROFILED],
                               "-c", "populated_anon")
        values = self.measure((PROFILED, "ours", "profile"), image,
                              profile.options(plugin, profile.PRE_FAULT,
                                              symbols, counts))
        return profile.table(profile.PRE_FAULT,
                             profile.by_function(counts.read_text(), symbols),
                             figures.Run(values).pages("populated_anon"),
                             "pages")
