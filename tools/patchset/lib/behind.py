# SPDX-License-Identifier: GPL-2.0-only
"""The stock code behind the series: the functions that hooks edit, and what is built without it only.

A stable update may fix that code without any hook being rejected. What it was when the series was last
looked at, and in which version, is recorded in series/BASE/behind, by `refresh`; `matrix` compares.
"""
import re

from . import digest, hooks, proc

RECORD = "behind"
VERSION = "# "
EDITED = re.compile(r"^@@ -(\d+)(?:,(\d+))? ", re.M)
UNLESS = re.compile(r"^#ifndef (CONFIG_\w+)\n(.*?)^#endif /\* !\1 \*/$", re.M | re.S)


def blocks(path, lines):
    """Definitions at the top level of a C file: (heading, first line, last line), counted from 1."""
    heading = first = None
    for number, line in enumerate(lines, 1):
        if hooks.TITLE.match(line) and not hooks.is_label(path, line):
            heading, first = line.rstrip(), number
        elif line.startswith("}") and heading:
            yield heading, first, number
            heading = None


def edited_lines(stock, composed):
    """Where the series edits a file: (first line, last line) in the stock file."""
    diff = proc.attempt("git", "diff", "--no-index", "--no-color", "-U0", stock, composed).stdout
    for start, count in EDITED.findall(diff):
        # Nothing is removed: both neighbours are what is edited.
        first, length = int(start), int(count or 1)
        yield (first, first + length - 1) if length else (first, first + 1)


def kept_out(stock, composed):
    """The text that is left in place for those who switch an option of the series off."""
    return "".join(text for option, text in UNLESS.findall(composed)
                   if f"#ifndef {option}\n" not in stock).splitlines()


def of_file(path, stock, composed):
    """{heading: text} of what is behind the series in a file."""
    old, new = (file.read_text(errors="replace") for file in (stock, composed))
    lines, places, kept = old.splitlines(), list(edited_lines(stock, composed)), kept_out(old, new)
    return {heading: "\n".join(lines[first - 1:last]) for heading, first, last in blocks(path, lines)
            if heading in kept or any(first <= start and end <= last for start, end in places)}


def of(stock, composed, paths):
    """{what: digest} for the files that the series edits in two trees."""
    return {f"{path}: {heading}": digest.of(text) for path in paths if path.endswith((".c", ".h", ".S"))
            for heading, text in of_file(path, stock / path, composed / path).items()}


def record(base, version, found):
    lines = [f"{VERSION}{version}\n", *(f"{value} {name}\n" for name, value in sorted(found.items()))]
    (base.series / RECORD).write_text("".join(lines))


def read(base):
    path = base.series / RECORD
    return path.read_text().splitlines() if path.is_file() else []


def recorded(base):
    return {name: value for value, _, name in (line.partition(" ") for line in read(base)
                                               if not line.startswith(VERSION))}


def recorded_version(base):
    """The version that was looked at; empty without a record."""
    return next((line.removeprefix(VERSION) for line in read(base) if line.startswith(VERSION)), "")


def is_older(base, version):
    """Whether a version is from before the one that was looked at: what is there was fixed, or broken, since."""
    return proc.attempt("dpkg", "--compare-versions", version, "lt", recorded_version(base)).returncode == 0


def changes(base, found):
    """A line for each piece of code that is not as it was recorded; none without a record."""
    known = recorded(base)
    return [f"{name}: {'is not as it was' if name in found else 'is gone'}"
            for name, value in sorted(known.items()) if found.get(name) != value]
