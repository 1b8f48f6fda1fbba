# SPDX-License-Identifier: GPL-2.0-only
"""Runs an emulator until it ends, panics or has had its time."""

import fcntl
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time

POLL = 0.1
# How often it is told which test runs, in seconds.
TELL = 20
# How long a machine that has panicked may go on telling about it.
PANIC_GRACE = 3


class Log:
    """A log that a machine writes, read as it grows."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        self.text = ""
        self._source = None

    def grown(self):
        """Returns the whole lines that are new."""
        if not self._source:
            if not os.path.exists(self.path):
                return ""
            # Closed with the process; a machine has two of them.
            self._source = open(self.path, encoding="utf-8",
                                errors="replace", newline="")
        new = self._source.read()
        self.text += new
        return new

    def close(self):
        self.grown()
        if self._source:
            self._source.close()


class Watch:
    """What a machine says while it runs."""

    def __init__(self, directory, limits, show=None, tell=lambda text: None):
        """`limits`: for each test the seconds after which the machine must
        have gone on; under None, for the time outside of tests."""
        self.directory = directory
        self.console = Log(directory, "console.log")
        self.tap = Log(directory, "tap.log")
        self.times = {}
        self._show = show
        self._tell = tell
        self._told = time.monotonic()
        self._limits = limits
        self._running = None
        self._since = time.monotonic()
        self._seen = 0

    def look(self):
        new = self.console.grown()
        if new and self._show:
            self._show(new)
        self.tap.grown()
        lines = self.tap.text.split("\n")[:-1]
        for line in lines[self._seen:]:
            self._mark(line.split())
        self._seen = len(lines)
        if time.monotonic() > self._told + TELL:
            self._told = time.monotonic()
            self._tell(f"{self._count_ended()} tests ended, "
                       f"{self._running or 'none'} runs")

    def _count_ended(self):
        return sum(seconds >= 0 for seconds in self.times.values())

    def _mark(self, words):
        """Times a test by the clock of this side, which is the true one."""
        now = time.monotonic()
        if words[:2] == ["@@", "start"] and words[2] in self._limits:
            self.times[words[2]] = -now
            self._running, self._since = words[2], now
        elif words[:2] == ["@@", "end"] and words[2] in self.times:
            self.times[words[2]] += now
            self._running, self._since = None, now

    def overdue(self):
        """How long nothing happened, if that is too long, else None."""
        silent = time.monotonic() - self._since
        return silent if silent > self._limits[self._running] else None

    def panicked(self):
        return "Kernel panic - " in self.console.text

    def seconds(self, name):
        return max(0.0, self.times.get(name, 0.0))

    def close(self):
        self.look()
        self.console.close()
        self.tap.close()


def _write_script(directory, command, environment):
    words = [f"{key}={value}" for key, value in environment.items()]
    words += [shlex.quote(word) for word in command]
    path = os.path.join(directory, "command")
    with open(path, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\n# Starts this machine again, by hand.\n"
                     f"cd {shlex.quote(directory)} || exit\n"
                     f"{' '.join(words)}\n")
    os.chmod(path, 0o755)


def _terminal():
    """A pseudo terminal of a size that suits an emulated VGA console."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ,
                struct.pack("HHHH", 50, 132, 0, 0))
    return master, slave


def _drain(master, path):
    with open(path, "wb") as log:
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            log.write(data)
    os.close(master)


def _start(directory, command, environment, terminal):
    environment = {**os.environ, **environment}
    output = os.path.join(directory, "emulator.log")
    if not terminal:
        with open(output, "wb") as log:
            return subprocess.Popen(command, cwd=directory, env=environment,
                                    stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, start_new_session=True)
    master, slave = _terminal()
    process = subprocess.Popen(command, cwd=directory, env=environment,
                               stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True)
    os.close(slave)
    threading.Thread(target=_drain, args=(master, output),
                     daemon=True).start()
    return process


def _stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process, watch, interrupted):
    """Returns why the machine was stopped, or None if it ended by itself."""
    panic = None
    while process.poll() is None:
        watch.look()
        now = time.monotonic()
        overdue = watch.overdue()
        if overdue:
            return f"machine timeout after {overdue:.0f} s, killed"
        if interrupted.is_set():
            return "interrupted"
        if watch.panicked():
            panic = panic or now
            if now > panic + PANIC_GRACE:
                break
        time.sleep(POLL)
    watch.look()
    return "kernel panic" if watch.panicked() else None


def run(directory, command, watch, interrupted, environment=None,
        terminal=False):
    """Returns why the machine did not end by itself, or None."""
    environment = environment or {}
    _write_script(directory, command, environment)
    process = _start(directory, command, environment, terminal)
    try:
        return _wait(process, watch, interrupted)
    finally:
        _stop(process)
        watch.close()
