# SPDX-License-Identifier: GPL-2.0-only
"""What of the logs may show why tests failed, for who has only the output."""

import os
import re

from hostlib import verdict

LINES = 30
# Of a machine's console anything can come.
UNPRINTABLE = re.compile(r"[^\t -~]")
DULL = re.compile(r"ok |TAP version |1\.\.\d+$")


def _lines(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8",
                  errors="replace") as source:
            return [UNPRINTABLE.sub("?", line)
                    for line in source.read().splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def of_test(log, test):
    """The last lines of a log, or what the test told that did not pass."""
    if not os.path.isdir(log):
        return _lines(log)[-LINES:]
    tap = verdict.Channel("\n".join(_lines(log, "tap.log")))
    section = tap.sections.get(test)
    return [line for line in section.lines
            if not DULL.match(line)][-LINES:] if section else []


def of_machine(log):
    """The console since the kernel complained, or its end."""
    lines = _lines(log, "console.log")
    _, splat = next(verdict.splats("\n".join(lines)), (None, None))
    start = next((number for number, line in enumerate(lines)
                  if line.strip() == splat), len(lines) - LINES)
    return lines[max(start, 0):][:LINES]
