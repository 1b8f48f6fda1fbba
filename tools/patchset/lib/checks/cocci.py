# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's semantic patches on our files."""
import re

from .. import entry, proc
from .result import Result

OPTIONS = re.compile(r"^// Options: (.*)$", re.M)
REPORT = re.compile(r"^(\S+?):\d+:\S* (.*)")
# What is no fault: semantic patch, where, why.
ACCEPTED = (
    ("minmax", "tools/", "min() and max() are the kernel's own"),
    ("orplus", "", "addresses and sizes are added"),
)


def is_for_report(script):
    """Two are in OCaml, which would want its compiler."""
    text = script.read_text(errors="replace")
    return "virtual report" in text and "ocaml" not in text


def options(script):
    found = OPTIONS.search(script.read_text(errors="replace"))
    return found[1].split() if found else []


def is_accepted(name, path):
    return any(name == accepted and path.startswith(below) for accepted, below, _ in ACCEPTED)


def findings_of(name, lines):
    """What a semantic patch reports; the diffs that some print say it once more."""
    for line in lines:
        found = REPORT.match(line)
        if found and not is_accepted(name, found[1]):
            yield f"{name}: {line}"


def coccicheck(base):
    paths = sorted(path for one in entry.load(base) for path in one.overlays if path.endswith((".c", ".h")))
    scripts = [path for path in sorted((base.src / "scripts/coccinelle").glob("**/*.cocci")) if is_for_report(path)]
    findings = [] if scripts else ["there is no semantic patch"]
    for script in scripts:
        done = proc.attempt("spatch", "-D", "report", "--very-quiet", *options(script), "--cocci-file", script,
                            "-I", "include", *paths, cwd=base.src)
        findings += findings_of(script.stem, done.stdout.splitlines())
        if done.returncode:
            findings.append(f"{script.stem}: {proc.last_line(done.stderr)}")
    return Result(len(paths), "files", findings)
