# SPDX-License-Identifier: GPL-2.0-only
"""Tests that need no machine: unit tests and commands."""

import contextlib
import os
import re
import signal
import subprocess
import time

from hostlib import project, stanza, verdict

# Seconds in which a test that is ended may end its machines.
GRACE = 10

RAN = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
# What a command wants to be seen although it has passed.
LOOK = re.compile(r"^patchset: (.*: look at .*)$", re.MULTILINE)
BAD = re.compile(r"\b(failures|errors|skipped|unexpected successes)=(\d+)")


def _command(test):
    if test.kind == "unittest":
        return ["python3", "-B", "-m", "unittest", "discover", "-v", "-s",
                test.program, *test.args]
    return [test.program, *test.args]


def _end(child):
    """Also ends what it has started and not waited for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError,
                                 subprocess.TimeoutExpired):
            os.killpg(child.pid, number)
            child.wait(GRACE)


def _wait(child, seconds):
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(child)


def _run(test, log):
    """Returns the exit status, None after a timeout."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with open(log, "wb") as out:
        try:
            with subprocess.Popen(_command(test), cwd=project.TOP, stdout=out,
                                  stderr=out, stdin=subprocess.DEVNULL,
                                  env=environment,
                                  start_new_session=True) as child:
                return _wait(child, test.timeout)
        except OSError as error:
            out.write(f"{error}\n".encode())
            return 127


def _count(text):
    """{verdict: number} of a unittest run; a skipped test has failed."""
    ran = RAN.search(text)
    total = int(ran.group(1)) if ran else 0
    bad = sum(int(number) for _, number in BAD.findall(text))
    return {verdict.PASS: max(0, total - bad), verdict.FAIL: bad}


def _remark(text):
    """The first thing to look at, and how many there are."""
    found = LOOK.findall(text)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return found[0] + more if found else ""


def run(test):
    """Returns (verdict, reason, seconds, log, counts or None)."""
    log = project.under("logs", stanza.HERE, f"{test.name}.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    start = time.monotonic()
    status = _run(test, log)
    seconds = time.monotonic() - start
    with open(log, encoding="utf-8", errors="replace") as source:
        text = source.read()
    reason = None
    if status is None:
        reason = f"timeout after {test.timeout} s"
    elif status:
        reason = f"exit status {status}"
    if test.kind != "unittest":
        return (verdict.FAIL if reason else verdict.PASS,
                reason or _remark(text), seconds, log, None)
    counts = _count(text)
    if reason and not counts[verdict.FAIL]:
        counts[verdict.FAIL] = 1
    if not sum(counts.values()):
        reason, counts[verdict.FAIL] = "no tests", 1
    elif counts[verdict.FAIL]:
        reason = reason or f"{counts[verdict.FAIL]} skipped"
    return (verdict.FAIL if reason else verdict.PASS,
            reason or f"{counts[verdict.PASS]} tests", seconds, log, counts)
