# SPDX-License-Identifier: GPL-2.0-only
"""Applying hooks: fuzz 0, and every hunk has to land in the function it names."""
import re

from . import proc
from .ui import Failure

TITLE = re.compile(r"[A-Za-z_$]")
LABEL = re.compile(r"\s*[A-Za-z_]\w*:\s*($|/[/*])")
LANDED = re.compile(r"^Hunk #(\d+) succeeded at (\d+)", re.M)
FAILED = re.compile(r"^Hunk #(\d+) FAILED", re.M)


def apply(tree, name, hook):
    """Apply one hook of the entry `name` below `tree`, where its file stands."""
    path = tree / hook.path
    before = path.read_text(errors="replace").split("\n")
    done = proc.attempt("patch", "-p1", "--force", "--fuzz=0", "--no-backup-if-mismatch", "--verbose",
                        "--reject-file=-", "-d", tree, stdin=None, input=hook.diff)
    failed = FAILED.search(done.stdout)
    if failed:
        hunk = hook.hunks[int(failed[1]) - 1]
        raise Failure(f"{name}: {hook.path}: hunk {failed[1]} is rejected: {hunk.header}")
    if done.returncode:
        raise Failure(f"{name}: {hook.path}: {proc.last_line(done.stderr or done.stdout)}")
    check_landing(name, hook, before, [int(line) for _, line in LANDED.findall(done.stdout)])


def check_landing(name, hook, before, landed):
    """Compare what `diff -p` prints for the places where hunks landed with what they name."""
    if len(landed) != len(hook.hunks):
        raise Failure(f"{name}: {hook.path}: {len(hook.hunks)} hunks, but patch applied {len(landed)}")
    shift = 0
    for number, (hunk, line) in enumerate(zip(hook.hunks, landed), 1):
        function = function_at(before, line - shift, hook.path)
        shift += hunk.growth
        if is_label(hook.path, hunk.function):
            raise Failure(f"{name}: {hook.path}: hunk {number} names the label '{hunk.function}', "
                          "not a function: make refresh")
        if hunk.function and not function.startswith(hunk.function):
            raise Failure(f"{name}: {hook.path}: hunk {number} landed in '{function}' (line {line}), "
                          f"not in '{hunk.function}'")


def function_at(lines, start, path):
    """The heading of a hunk whose first line is `start`, counted from 1.

    As diff -p finds it, save that a label in C is not a function: git's way
    with the kernel's own .gitattributes.
    """
    for line in reversed(lines[:max(start - 1, 0)]):
        if TITLE.match(line) and not is_label(path, line):
            return line.rstrip()
    return ""


def is_label(path, line):
    return path.endswith((".c", ".h")) and bool(LABEL.match(line))
