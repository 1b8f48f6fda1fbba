# SPDX-License-Identifier: GPL-2.0-only
"""What the benches share: goals, differences, rows of a table, CSV."""

import csv
import dataclasses

NAME, COLUMN = 30, 12


def difference(one, other):
    """The first value in which two runs differ, in words, or None."""
    for key in sorted({*one, *other}):
        if one.get(key) != other.get(key):
            return f"{key} is {one.get(key)} once, {other.get(key)} then"
    return None


@dataclasses.dataclass(frozen=True)
class Goal:
    """Something measured, and what it has to be at most."""
    text: str
    figure: float
    limit: float

    @property
    def reached(self):
        return self.figure <= self.limit

    def __str__(self):
        if self.reached:
            return f"{self.text}: reached"
        if not self.limit:
            return f"{self.text}: missed by {self.figure:,.0f}"
        over = 100 * (self.figure / self.limit - 1)
        return f"{self.text}: missed by {over:.1f} %"


def _cell(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def row(name, cells, digits=1, column=COLUMN):
    shown = [_cell(cell, digits) for cell in cells]
    return (f"  {name:{NAME - 2}}"
            + "".join(f"{cell:>{column}}" for cell in shown))


def heading(titles, column=COLUMN):
    return " " * NAME + "".join(f"{title:>{column}}" for title in titles)


def write_csv(path, results):
    """`results`: {(host, kernel, run): values}."""
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("host", "kernel", "run", "key", "value"))
        for where, values in sorted(results.items()):
            writer.writerows((*where, *item) for item in values.items())
