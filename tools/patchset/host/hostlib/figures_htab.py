# SPDX-License-Identifier: GPL-2.0-only
"""What the bench makes of the values that htab_perf_test has printed.

A value's key is JOB.SIZE.WHAT.BUFFER.ROUND.FIGURE.  SIZE is the order of a table,
BUFFER is bytes; for hypercalls they are the number of pairs, and of readers.  Of
all rounds of all boots the least counts of which nothing was left out, or if there
is none, the least: what else disturbs a round only adds to it.
"""

from hostlib.results import Goal, heading, row

KERNELS = ("stock", "ours")

# An order is the logarithm of the bytes, of which an entry takes sixteen.
ENTRY_SHIFT = 4
# What QEMU reads with, and something larger.
BUFFER, LARGE_BUFFER = 2048, 65536
# Of a guest with 1 TiB of memory.
PAPER_ORDER = 33

# (job, order, pass): at most this part of what stock takes.
PARTS = {("sparse", 27, "later0"): 100, ("sparse", 27, "later1000"): 20,
         ("sparse", 27, "first"): 10, ("full", 24, "first"): 2}
# Readers: at most so many times what stock takes.
TIMES = {0: 1.02, 1: 1.1}

TABLES = {"sparse": "nearly empty", "full": "full"}
READERS = {0: "no reader open", 1: "one reader open"}
COLUMN = 17
# By how much a figure may differ from boot to boot: the host's own hash table is
# not filled alike each time.
TOLERANCE = 0.1


def count(values, spans):
    """The values, with what was counted in each span in place of its number."""
    counted = {}
    for key, value in values.items():
        if key.endswith(".span"):
            name = key.removesuffix("span")
            counted[f"{name}instructions"], counted[f"{name}left_out"] = \
                spans[int(value)].split()
        else:
            counted[key] = value
    return counted


def entries(order):
    return 1 << (order - ENTRY_SHIFT)


def amount(order):
    """The entries of a table, in words."""
    number, unit = entries(order), ""
    for unit in ("", " K", " M"):
        if number < 1024:
            break
        number //= 1024
    return f"{number}{unit}"


class Run:
    """The instructions that one kernel took on one host."""

    def __init__(self, *boots):
        rounds = {}
        for values in boots:
            for key, value in values.items():
                name, _, figure = key.rpartition(".")
                if figure == "instructions":
                    interrupted = values[f"{name}.left_out"] != "0"
                    rounds.setdefault(self._key(name), []).append(
                        (interrupted, int(value)))
        self._least = {key: min(some)[1] for key, some in rounds.items()}

    @staticmethod
    def _key(name):
        job, size, what, buffer, _ = name.split(".")
        return job, int(size), what, int(buffer)

    def figure(self, job, size, what, buffer=BUFFER):
        """None where this was not measured."""
        return self._least.get((job, size, what, buffer))

    def orders(self, job, what):
        return sorted(size for one, size, other, buffer in self._least
                      if (one, other, buffer) == (job, what, BUFFER))

    def changes(self, order):
        """The numbers of changes that passes over a table were measured with."""
        return sorted(int(what.removeprefix("later"))
                      for _, size, what, buffer in self._least
                      if size == order and buffer == BUFFER
                      and what.startswith("later") and what != "later0")

    def pair(self, readers):
        """Of an H_ENTER and an H_REMOVE, less what it takes to run the guest."""
        (pairs,) = {size for job, size, _, _ in self._least if job == "calls"}
        calls, entry = (self.figure("calls", pairs, what, readers)
                        for what in ("calls", "entry"))
        return (calls - entry) / pairs

    def on_paper(self, job, what):
        """A line through the two largest tables, up to one for 1 TiB."""
        one, other = self.orders(job, what)[-2:]
        low, high = (self.figure(job, order, what) for order in (one, other))
        each = (high - low) / (entries(other) - entries(one))
        return high + each * (entries(PAPER_ORDER) - entries(other))

    def apart(self, other):
        """[(by which part the figures of two boots differ, of what)], from least
        to most.  To open a reader, stock waits, for as long as it takes."""
        pairs = ((sorted((value, other.figure(*key))), key)
                 for key, value in self._least.items() if key[2] != "open")
        return sorted((high / low - 1, key) for (low, high), key in pairs)


def pass_of(job, what):
    """In words, what is measured over a table; the tables that passes after changes go over are all alike."""
    if what == "open":
        return "open of a reader"
    if what == "first":
        return f"first pass, {TABLES[job]}"
    return f"later pass, {int(what.removeprefix('later')):,} changes"


def _part_goal(stock, ours, where, part):
    theirs, mine = (run.figure(*where) for run in (stock, ours))
    job, order, what = where
    ratio = (f"1/{theirs / mine:,.1f}" if mine <= theirs
             else f"{mine / theirs:,.1f} times that")
    return Goal(f"{pass_of(job, what)}, {amount(order)} entries: stock "
                f"{theirs:,}, ours {mine:,}, {ratio} (goal 1/{part})",
                mine, theirs / part)


def _pair_goal(stock, ours, readers, times):
    theirs, mine = (run.pair(readers) for run in (stock, ours))
    return Goal(f"H_ENTER and H_REMOVE, {READERS[readers]}: stock {theirs:,.1f}, "
                f"ours {mine:,.1f}, {100 * (mine / theirs - 1):+.2f} % "
                f"(goal {100 * (times - 1):+.0f} %)", mine, theirs * times)


def goals(runs):
    """Those of one host, from its runs by kernel."""
    columns = [runs[name] for name in KERNELS]
    return [*(_part_goal(*columns, where, part) for where, part in PARTS.items()),
            *(_pair_goal(*columns, *each) for each in TIMES.items())]


def _line(name, figures, digits=0):
    theirs, mine = figures
    ratio = theirs / mine
    shown = f"{ratio:,.1f}" if ratio >= 10 else f"{ratio:.3g}"
    return row(name, figures, digits, COLUMN) + f"{shown:>{COLUMN - 5}}"


def _over_sizes(runs, job, what):
    lines = ["", f"{pass_of(job, what)}, over a table of"]
    lines += [_line(f"{amount(order)} entries",
                    [run.figure(job, order, what) for run in runs])
              for order in runs[0].orders(job, what)]
    if what == "later0":
        lines.append(_line(f"{amount(PAPER_ORDER)}, on paper (1 TiB)",
                           [run.on_paper(job, what) for run in runs]))
    return lines


def _over_changes(runs, order):
    lines = ["", f"later pass over {amount(order)} entries, after"]
    lines += [_line(f"{number:,} changes",
                    [run.figure("sparse", order, f"later{number}")
                     for run in runs])
              for number in runs[0].changes(order)]
    return lines


def _with_large_buffer(runs):
    lines = ["", f"with {LARGE_BUFFER:,} bytes for each read, in place of "
             f"{BUFFER:,}"]
    lines += [_line(pass_of(job, what),
                    [run.figure(job, order, what, LARGE_BUFFER) for run in runs])
              for job, order, what in PARTS]
    return lines


def _of_calls(runs):
    return ["", "H_ENTER and H_REMOVE by the guest, a pair of them",
            *(_line(words, [run.pair(readers) for run in runs], 1)
              for readers, words in READERS.items())]


def table(runs, titles):
    """Of one host; `titles` are those of the kernels."""
    columns = [runs[name] for name in KERNELS]
    lines = [heading([titles[name] for name in KERNELS], COLUMN)
             + f"{'stock/ours':>{COLUMN - 5}}"]
    for job, what in (("sparse", "open"), ("sparse", "first"),
                      ("full", "first"), ("sparse", "later0")):
        lines += _over_sizes(columns, job, what)
    for order in columns[0].orders("sparse", "later1"):
        lines += _over_changes(columns, order)
    return "\n".join(lines + _with_large_buffer(columns) + _of_calls(columns))
