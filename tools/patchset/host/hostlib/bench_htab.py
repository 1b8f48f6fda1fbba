# SPDX-License-Identifier: GPL-2.0-only
"""The bench of KVM_PPC_GET_HTAB_FD: passes over hash page tables, and hypercalls.

Boots the stock kernel and ours with the same program on ppc-p8 and ppc-p9-hash,
twice.  A plugin of QEMU's, insn_spans.c, counts the instructions.
"""

from hostlib import build, figures_htab, profile
from hostlib.benches import TOP, Bench, Kernel
from lib import project

RUNS = 2
HOSTS = ("ppc-p8", "ppc-p9-hash")
PLUGIN = "insn_spans.c"

# For the largest table: 1 GiB of contiguous memory, as much beside it, and maps.
MEMORY = 4096
CMDLINE = "kvm_cma_resv_ratio=30"

# At equal distances, for the curves. Of large tables a round is long enough.
ORDERS = range(20, 32, 2)
LARGE = 26
# For these a pass is measured after changes, too.
CHANGED, CHANGES = (24, 27), 100000
FULL = (20, 24)
PAIRS = 20


def _each(option, sizes):
    return [word for size in sizes for word in (option, str(size))]


_PLAIN = [order for order in ORDERS if order not in CHANGED]
ARGUMENTS = ["-n", "0",
             "-r", "1", *_each("-s", [one for one in _PLAIN if one >= LARGE]),
             "-r", "3", *_each("-s", [one for one in _PLAIN if one < LARGE]),
             *_each("-f", FULL), *_each("-c", [PAIRS]),
             "-n", str(CHANGES), *_each("-s", CHANGED)]

# How many first passes there are, which are most of what is counted.
PROFILED = {"nearly empty": (3, ("-n", "0", "-r", "1", "-s", "27")),
            "full": (2, ("-r", "1", "-f", "24"))}
PROFILED_HOST = "ppc-p9-hash"

ABOUT = f"""\
Instructions of all that the machine executes, less the timer's interrupts,
counted by a plugin of QEMU's.  A pass ends with the read() that returns 0.
Reads have {figures_htab.BUFFER:,} bytes; nearly empty is a table of 4,096 valid entries."""


class HtabBench(Bench):
    ARCH = "powerpc"
    PROGRAM = "powerpc/htab_perf_test"
    PACKAGES = ("qemu-system-ppc", "python3-pygal")

    def __init__(self, out):
        base = project.load(TOP, "debian-6.1")
        super().__init__(out, {
            "stock": Kernel("stock 6.1", base, self.ARCH, "stock", CMDLINE),
            "ours": Kernel("ours", base, self.ARCH, "normal", CMDLINE)})

    def _measure(self, where, initramfs, plugin):
        spans = self.out / f"{'-'.join(where)}.spans"
        values = self.boot(where, initramfs, memory=MEMORY,
                           extra=("-plugin", f"{plugin},out={spans}"))
        self.results[where] = figures_htab.count(values,
                                                 spans.read_text().splitlines())

    def run(self):
        plugin = build.plugin(self.out, PLUGIN)
        image = self.initramfs("passes", *ARGUMENTS)
        self.in_parallel(self._measure,
                         [((host, name, str(run)), image, plugin)
                          for run in range(RUNS) for host in HOSTS
                          for name in self.kernels])

    def _boots(self, host, name):
        return [self.results[host, name, str(run)] for run in range(RUNS)]

    def _runs(self, host):
        return {name: figures_htab.Run(*self._boots(host, name))
                for name in self.kernels}

    def _apart(self):
        """How far the figures of two boots are apart, for each machine."""
        for host in HOSTS:
            for name in self.kernels:
                one, other = map(figures_htab.Run, self._boots(host, name))
                yield f"{host} {name}", one.apart(other)

    def differences(self):
        for machine, parts in self._apart():
            part, key = parts[-1]
            if part > figures_htab.TOLERANCE:
                yield f"{machine}: {key} differs by {100 * part:.2f} %"

    def _host_report(self, host):
        runs = self._runs(host)
        return [host, "", figures_htab.table(runs, self.titles()), "",
                *(f"  {goal}" for goal in figures_htab.goals(runs)), "", ""]

    def report(self):
        lines = [f"KVM_PPC_GET_HTAB_FD: Linux {self.kernels['ours'].release} "
                 "with the series beside stock", "", ABOUT, ""]
        for host in HOSTS:
            lines += self._host_report(host)
        lines.append("By how much the figures of two boots differ:")
        lines += [f"  {machine:18} {100 * parts[len(parts) // 2][0]:.4f} % in the "
                  f"median, {100 * parts[-1][0]:.2f} % at most"
                  for machine, parts in self._apart()]
        return "\n".join(lines)

    def draw(self):
        from hostlib import plots_htab  # needs a package that comes with a bench
        for host in HOSTS:
            plots_htab.host(self.out, host, self._runs(host), self.titles(),
                            ORDERS)

    def _profile(self, what, passes, arguments):
        symbols = profile.symbols(self.kernels["ours"].out / "System.map")
        plugin = build.plugin(self.out, profile.SOURCE)
        counts = self.out / "profile.counts"
        self.boot((PROFILED_HOST, "ours", "profile"),
                  self.initramfs("profile", *arguments), memory=MEMORY,
                  extra=profile.options(plugin, profile.HTAB_READ, symbols,
                                        counts))
        entries = figures_htab.entries(int(arguments[-1]))
        return profile.table(profile.HTAB_READ,
                             profile.by_function(counts.read_text(), symbols),
                             passes * entries,
                             f"the entries that {passes} first passes told of "
                             f"a {what} table")

    def profile(self):
        """Where the instructions of first passes go."""
        return "\n\n".join(self._profile(what, *how)
                           for what, how in PROFILED.items())
