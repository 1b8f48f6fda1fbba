# SPDX-License-Identifier: GPL-2.0-only
"""Checks of files of the repository."""
import re

from .. import proc
from .result import Result

SPDX = re.compile(rb"SPDX-License-Identifier: GPL-2\.0")
# Formats without comments, and what is not ours to tag.
UNTAGGED = re.compile(r"(^\.ci/run|^COPYING|^MAINTAINERS|README(\.md)?|\.(ini|toml|config|patch|md)|packages|cover-letter"
                      r"|behind"
                      r"|/\.gitignore|^\.gitignore|tools/patchset/deb/(control|copyright))$")
HEAD = 400


def tracked(base):
    listed = proc.run("git", "-C", base.top, "ls-files", "-z")
    return [path for path in listed.split("\0") if path and (base.top / path).is_file()]


def first_line(path):
    with open(path, "rb") as file:
        return file.readline(HEAD)


def spdx(base):
    paths = [path for path in tracked(base) if not UNTAGGED.search(path)]
    findings = []
    for path in paths:
        with open(base.top / path, "rb") as file:
            if not SPDX.search(file.read(HEAD)):
                findings.append(f"{path}: no SPDX-License-Identifier")
    return Result(len(paths), "files", findings)


def scripts(base, interpreter):
    return [path for path in tracked(base) if re.match(rb"#!.*\b" + interpreter, first_line(base.top / path))]


def shellcheck(base):
    paths = scripts(base, rb"(ba|da)?sh\b")
    if not paths:
        return Result(0, "scripts", [])
    done = proc.attempt("shellcheck", "--format=gcc", *paths, cwd=base.top)
    findings = done.stdout.splitlines()
    if done.returncode and not findings:
        findings.append(f"shellcheck: {proc.last_line(done.stderr)}")
    return Result(len(paths), "scripts", findings)


def python(base):
    """pyflakes finds nothing."""
    paths = sorted({*scripts(base, rb"python3?\b"), *(path for path in tracked(base) if path.endswith(".py"))})
    said = proc.attempt("pyflakes3", *paths, cwd=base.top)
    return Result(len(paths), "files", (said.stdout + said.stderr).splitlines())
