# SPDX-License-Identifier: GPL-2.0-only
"""What the bench makes of the values that pre_fault_perf_test has printed.

A value's key is CASE.PHASE.FIGURE.  Phases are the ioctl ("call"), the guest's
first touch after it ("after"), and that in a VM where it was not made
("without").  Time is counted in instructions, see Run.
"""

import math
import statistics

from hostlib.results import Goal, heading, row

KERNELS = ("stock", "mainline", "one_page", "ours")
CASES = {
    "populated_anon": "populated, anonymous",
    "populated_shmem": "populated, shmem",
    "absent_anon": "not populated, anonymous",
    "absent_shmem": "not populated, shmem",
    "holes": "every other populated",
    "mapped": "all mapped already",
    "thp": "2M, transparent huge",
    "hugetlb": "2M, hugetlb",
}
HUGE = ("thp", "hugetlb")
PHASES = {
    "call": "of the ioctl",
    "after": "of the guest's first touch, after the ioctl",
    "without": "of the guest's first touch, without the ioctl",
}

# At most this part of what mainline takes.
PARTS = {"populated_anon": 15, "populated_shmem": 15, "mapped": 150,
         "thp": 2, "hugetlb": 2, "holes": 2}
# Each has the case of populated memory of the same kind beside it.
ABSENT = {"absent_anon": "populated_anon", "absent_shmem": "populated_shmem"}
ABSENT_SAVES = 0.9
POPULATED = ("populated_anon", "populated_shmem", *HUGE)
# The first case finds KVM's slab caches empty, the second does not.
STEADY = "populated_shmem"
SLOWER = 1.05
PARALLEL = 1.7
TABLE_PAGES = 512
PAGE_KB = 4


class Run:
    """The values of one kernel on one host, where the clock counts
    instructions: each takes `step_ns` nanoseconds."""

    def __init__(self, values, step_ns=1):
        self._values = values
        self._step_ns = step_ns

    def figure(self, case, phase, name):
        """An integer, or None where this was not measured."""
        value = self._values.get(f"{case}.{phase}.{name}")
        return None if value is None else int(value)

    def pages(self, case):
        return int(self._values[f"{case}.pages"])

    def per_page(self, case, phase):
        ns = self.figure(case, phase, "ns")
        return None if ns is None else ns / self._step_ns / self.pages(case)


def _part_goal(case, part, mainline, ours):
    theirs, mine = (run.per_page(case, "call") for run in (mainline, ours))
    return Goal(f"{CASES[case]}: 6.12 {theirs:,.1f}, ours {mine:,.1f}, "
                f"1/{theirs / mine:,.1f} (goal 1/{part})", mine, theirs / part)


def _absent_goal(case, mainline, ours):
    theirs, mine = (run.per_page(case, "call") for run in (mainline, ours))
    limit = theirs - ABSENT_SAVES * mainline.per_page(ABSENT[case], "call")
    return Goal(f"{CASES[case]}: 6.12 {theirs:,.1f}, ours {mine:,.1f} "
                f"(goal {limit:,.1f})", mine, limit)


def _faults_goal(ours):
    faults = sum(ours.figure(case, "after", "faults") for case in POPULATED)
    return Goal(f"faults after pre-faulting populated memory: {faults:,} "
                "(goal 0)", faults, 0)


def _batch_goal(one_page, ours):
    """The case in which the batch gains least, or loses."""
    ratios = {case: (ours.per_page(case, "call")
                     / one_page.per_page(case, "call")) for case in CASES}
    worst = max(ratios, key=ratios.get)
    return Goal(f"batch on against off, at worst ({CASES[worst]}): "
                f"{ratios[worst]:.3f} (goal {SLOWER})", ratios[worst], SLOWER)


def _tables_goal(ours):
    """The tables above the lowest ones are there already."""
    needed = PAGE_KB * math.ceil(ours.pages(STEADY) / TABLE_PAGES)
    tables = ours.figure(STEADY, "call", "tables_kb")
    return Goal(f"page tables: {tables:,} KiB (needed {needed:,})",
                tables, needed)


def _memory_goal(ours):
    """Less than the tables may be gone, as the vCPU has some in stock."""
    mine, faults = (ours.figure(STEADY, phase, "used_kb")
                    for phase in ("call", "without"))
    return Goal(f"memory that the kernel has used up: {mine:,} KiB (goal: what "
                f"the guest's faults use up, {faults:,})", mine, faults)


def goals(runs):
    """The goals of one host, from its runs by kernel."""
    mainline, one_page, ours = (runs[name] for name in KERNELS[1:])
    return [*(_part_goal(case, part, mainline, ours)
              for case, part in PARTS.items()),
            *(_absent_goal(case, mainline, ours) for case in ABSENT),
            _faults_goal(ours), _batch_goal(one_page, ours),
            _tables_goal(ours), _memory_goal(ours)]


class Rounds:
    """Times of one vCPU and of two for the same work, in nanoseconds."""

    def __init__(self, *values):
        self.one, self.two = (
            [int(value) for run in values for key, value in run.items()
             if key.startswith("parallel.") and key.endswith(f".{which}_ns")]
            for which in ("one", "two"))

    @property
    def gain(self):
        """Of the least times: what disturbs from outside only adds."""
        return min(self.one) / min(self.two)

    @property
    def median_gain(self):
        return statistics.median(one / two
                                 for one, two in zip(self.one, self.two))


def parallel_goal(rounds):
    return Goal(f"two vCPUs against one: {rounds.gain:.2f} times as fast "
                f"(goal {PARALLEL})", 1 / rounds.gain, 1 / PARALLEL)


def table(runs, titles):
    """Of one host; `titles` are those of the kernels."""
    columns = [runs[name] for name in KERNELS]
    lines = [heading(titles[name] for name in KERNELS)]
    for phase, words in PHASES.items():
        lines += ["", f"instructions per page {words}"]
        lines += [row(title, [run.per_page(case, phase) for run in columns])
                  for case, title in CASES.items()
                  if runs["ours"].figure(case, phase, "ns") is not None]
    lines += ["", "faults of the guest's first touch, after the ioctl"]
    lines += [row(title, [run.figure(case, "after", "faults")
                           for run in columns], 0)
              for case, title in CASES.items() if case != "mapped"]
    return "\n".join(lines)


def parallel_table(rounds, titles):
    """`rounds` by kernel; milliseconds, the least and the median."""
    lines = [heading(titles[name] for name in rounds)]
    for which, words in (("one", "one vCPU"), ("two", "two vCPUs")):
        times = [getattr(one, which) for one in rounds.values()]
        for how, pick in (("least", min), ("median", statistics.median)):
            lines.append(row(f"{words}, {how}, ms",
                              [pick(ns) / 1e6 for ns in times], 2))
    lines.append(row("one / two, of the least",
                      [one.gain for one in rounds.values()], 2))
    lines.append(row("one / two, median of rounds",
                      [one.median_gain for one in rounds.values()], 2))
    return "\n".join(lines)
