# SPDX-License-Identifier: GPL-2.0-only
"""What the test `migrate` says of a live migration, and how it is shown.

A part is what QEMU sends of the table at a time: in 5 ms while the guest runs,
the rest when it has stopped.
"""

import dataclasses
import re
import statistics

from hostlib.results import NAME, heading

COLUMN = 16
# Of the parts after the first pass, so many are shown at either end.
SHOWN = 4
RULE = "-" * 62

_PART = re.compile(
    r"# part \d+: at (?P<at>\d+) us, took (?P<took>\d+) us, "
    r"(?P<sent>\d+) bytes, (?P<valid>\d+) valid, "
    r"(?P<invalid>\d+) invalid, "
    r"end passed (?P<ends>\d+) times, (?P<state>live|stopped)$")
_FIGURES = tuple(map(re.compile, (
    r"# stopped for (?P<downtime>\d+) ms of (?P<total>\d+) ms, "
    r"(?P<passes>\d+) passes over memory, "
    r"(?P<rounds>\d+) rounds of the guest$",
    r"# sent: (?P<all_bytes>\d+) bytes, (?P<table_bytes>\d+) of the table, "
    r"(?P<last_bytes>\d+) of them at the end$",
    r"# sent: (?P<valid>\d+) entries, (?P<invalid>\d+) invalid, "
    r"(?P<lock_bits>\d+) lock bits$",
    r"# the source's table: (?P<entries>\d+) of (?P<slots>\d+) entries valid$",
    r"# sent: (?P<sent_missing>\d+) missing, (?P<sent_extra>\d+) extra, "
    r"(?P<sent_other>\d+) other$",
    r"# loaded: (?P<loaded_missing>\d+) missing, (?P<loaded_extra>\d+) extra, "
    r"(?P<loaded_other>\d+) other$")))


class NotUnderstood(Exception):
    """It has not said all that it should have."""


@dataclasses.dataclass(frozen=True)
class Part:
    at: int         # us, from the first part on
    took: int       # us
    sent: int       # bytes
    valid: int
    invalid: int
    ends: int       # how often it came past the table's end
    state: str

    @property
    def stopped(self):
        return self.state == "stopped"


@dataclasses.dataclass(frozen=True)
class Migration:
    """One, with the figures by their names in _FIGURES."""
    figures: dict
    parts: tuple

    def __getattr__(self, name):
        try:
            return self.figures[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def first_pass(self):
        """Up to the part that comes past the table's end."""
        for number, part in enumerate(self.parts, 1):
            if part.ends:
                return self.parts[:number]
        return self.parts

    @property
    def live(self):
        """The later ones, while the guest runs."""
        return tuple(part for part in self.parts[len(self.first_pass):]
                     if not part.stopped)

    @property
    def last(self):
        return self.parts[-1]


def _part(line):
    fields = _PART.match(line).groupdict()
    state = fields.pop("state")
    return Part(state=state,
                **{key: int(value) for key, value in fields.items()})


def _figures(lines):
    found = (figure.match(line) for line in lines for figure in _FIGURES)
    return {key: int(value) for one in found if one
            for key, value in one.groupdict().items()}


def parse(lines):
    """The one migration that some lines of TAP are about."""
    parts = tuple(_part(line) for line in lines if _PART.match(line))
    figures = _figures(lines)
    wanted = {name for figure in _FIGURES for name in figure.groupindex}
    if not parts or figures.keys() != wanted:
        missing = ", ".join(sorted(wanted - figures.keys())) or "the parts"
        raise NotUnderstood(f"a migration did not tell {missing}")
    return Migration(figures, parts)


def _ms(parts):
    return f"{sum(part.took for part in parts) / 1000:,.1f}"


def _sum(parts, name):
    return f"{sum(getattr(part, name) for part in parts):,}"


def _median_ms(parts):
    if not parts:
        return "-"
    return f"{statistics.median(part.took for part in parts) / 1000:,.2f}"


def _differences(migration, table):
    return " ".join(str(migration.figures[f"{table}_{what}"])
                    for what in ("missing", "extra", "other"))


def _parts_rows(title, parts_of):
    return ((title, lambda m: ""),
            ("  parts", lambda m: f"{len(parts_of(m)):,}"),
            ("  bytes", lambda m: _sum(parts_of(m), "sent")),
            ("  entries told valid", lambda m: _sum(parts_of(m), "valid")),
            ("  entries told invalid", lambda m: _sum(parts_of(m), "invalid")),
            ("  ms", lambda m: _ms(parts_of(m))))


ROWS = (
    ("entries of the table", lambda m: f"{m.slots:,}"),
    ("  valid when the guest stopped", lambda m: f"{m.entries:,}"),
    ("bytes of the table sent", lambda m: f"{m.table_bytes:,}"),
    *_parts_rows("first pass", lambda m: m.first_pass),
    *_parts_rows("later, while the guest runs", lambda m: m.live),
    ("  ms of a part, median", lambda m: _median_ms(m.live)),
    *_parts_rows("after the guest has stopped", lambda m: m.parts[-1:]),
    ("entries sent with a lock bit", lambda m: f"{m.lock_bits:,}"),
    ("missing, extra, other entries", lambda m: ""),
    ("  as sent", lambda m: _differences(m, "sent")),
    ("  as loaded", lambda m: _differences(m, "loaded")),
    ("downtime, ms", lambda m: f"{m.downtime:,}"),
    ("whole migration, ms", lambda m: f"{m.total:,}"),
    ("rounds of the guest meanwhile", lambda m: f"{m.rounds:,}"),
)


def _row(name, cells):
    return (f"{name:{NAME}}"
            + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip()


def table(columns):
    """`columns`: {title: Migration}"""
    return "\n".join((heading(columns, COLUMN), RULE,
                      *(_row(name, map(cell, columns.values()))
                        for name, cell in ROWS), RULE))


def _line(name, parts):
    cells = (f"{parts[0].at / 1000:,.0f}", _ms(parts), _sum(parts, "sent"),
             _sum(parts, "valid"), _sum(parts, "invalid"))
    return f"  {name:24}" + "".join(f"{cell:>10}" for cell in cells)


def _lines(first, parts):
    return [_line(f"part {number}", (part,))
            for number, part in enumerate(parts, first)]


def _later_lines(first, parts):
    """Those in the middle are put together."""
    middle = parts[SHOWN:-SHOWN]
    if len(middle) < 2:
        return _lines(first, parts)
    start = first + SHOWN
    return [*_lines(first, parts[:SHOWN]),
            _line(f"parts {start} to {start + len(middle) - 1}", middle),
            *_lines(start + len(middle), parts[-SHOWN:])]


def log(migration):
    """Pass by pass: the first one, the parts after it, the last."""
    first = migration.first_pass
    head = " " * 26 + "".join(f"{title:>10}" for title in (
        "at, ms", "took, ms", "bytes", "valid", "invalid"))
    lines = [head, _line(f"first pass, {len(first)} parts", first)]
    if migration.live:
        lines += _later_lines(len(first) + 1, migration.live)
    if len(first) < len(migration.parts):
        lines.append(_line("the guest has stopped", migration.parts[-1:]))
    return "\n".join(lines)


def csv_rows(name, migration):
    for part in migration.parts:
        yield (name, *dataclasses.astuple(part))
