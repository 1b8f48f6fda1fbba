# SPDX-License-Identifier: GPL-2.0-only
"""The defects of the stock kernel: their names, and which tests show them."""

import dataclasses
import os
import re

from hostlib import ini, project
from hostlib.ini import TableError

DEFECTS = os.path.join(project.HOST, "defects.ini")
LINE = re.compile(r"(?P<defect>[^\s:?]+)(?P<chance>\??):(?P<cases>.*?)"
                  r"(?:\son\s(?P<hosts>.+))?")


@dataclasses.dataclass(frozen=True)
class Shown:
    """A defect, the cases that show it, be it by chance, and the only hosts
    where they do."""
    defect: str
    cases: tuple
    hosts: tuple = ()
    chance: bool = False

    def on(self, host):
        return not self.hosts or host in self.hosts


def load(path=DEFECTS):
    """{name: text}, in the order of the file."""
    parser, known = ini.read(path), {}
    for section in parser.sections():
        for name, text in parser[section].items():
            if name in known:
                raise TableError(f"{path}: two defects {name}")
            known[name] = text
    return known


def parse(line, known):
    """A Shown of a line "DEFECT[?]: CASE ... [on HOST ...]"."""
    found = LINE.fullmatch(line.strip())
    if not found:
        raise TableError(f"{line!r} is not DEFECT[?]: CASE ... "
                         "[on HOST ...]")
    if found["defect"] not in known:
        raise TableError(f"unknown defect {found['defect']}")
    return Shown(found["defect"], tuple(found["cases"].split()),
                 tuple((found["hosts"] or "").split()), bool(found["chance"]))


def of_case(names, case):
    """Those of the names in TAP that are the case.

    The harness puts fixture and variant before it, with dots.
    """
    return [name for name in names
            if case in (name, name.rpartition(".")[2])]
