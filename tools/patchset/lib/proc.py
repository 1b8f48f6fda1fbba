# SPDX-License-Identifier: GPL-2.0-only
"""Running other programs."""
import subprocess

from .ui import Failure


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def attempt(*command, **kwargs):
    """The finished process, whatever its status; output is captured as text."""
    try:
        return subprocess.run([str(word) for word in command], text=True, errors="surrogateescape",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **kwargs})
    except FileNotFoundError as error:
        raise Failure(f"{error.filename}: not found; run 'make deps'") from None


def run(*command, what=None, **kwargs):
    """Standard output of a command that has to succeed."""
    done = attempt(*command, **kwargs)
    if done.returncode:
        raise Failure(f"{what or command[0]}: {last_line(done.stderr or done.stdout)}")
    return done.stdout
