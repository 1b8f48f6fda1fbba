# SPDX-License-Identifier: GPL-2.0-only
"""What the user sees: failures of one line, remarks, progress."""
import sys
import time


class Failure(Exception):
    """Ends the run: one line on stderr, exit status 1."""


def say(text):
    print(f"patchset: {text}", flush=True)


def warn(text):
    print(f"patchset: {text}", file=sys.stderr, flush=True)


class Progress:
    """One line that counts: rewritten on a terminal, else repeated now and then."""

    INTERVAL = 15

    def __init__(self, what):
        self.what = what
        self.tty = sys.stdout.isatty()
        self.count = 0
        self.start = self.shown = time.monotonic()

    def step(self, detail=""):
        self.count += 1
        now = time.monotonic()
        if self.tty:
            print(f"\r\033[Kpatchset: {self.what}: {self.count} {detail}"[:100], end="", flush=True)
        elif now - self.shown >= self.INTERVAL:
            self.shown = now
            say(f"{self.what}: {self.count} steps, {now - self.start:.0f} s")

    def done(self):
        if self.tty:
            print("\r\033[K", end="")
        say(f"{self.what}: done in {time.monotonic() - self.start:.0f} s")
