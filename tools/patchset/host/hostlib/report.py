# SPDX-License-Identifier: GPL-2.0-only
"""Everything that a run prints."""

import sys
import threading

from hostlib import excerpt, project, records, stanza, verdict

# Of how many logs a part is shown.
EXCERPTS = 10

_lock = threading.Lock()


def say(text):
    with _lock:
        print(text, flush=True)


def console(text):
    with _lock:
        sys.stdout.write(text)
        sys.stdout.flush()


def _excerpt(lines):
    for line in lines:
        say(f"  {line}")


class Report:
    """Counts, and prints a line for each result."""

    def __init__(self, total):
        self._total = total
        self._number = 0
        # {log, or directory of a machine's: [(name, line)]}
        self._failures = {}
        self.counts = {verdict.PASS: 0, verdict.FAIL: 0, verdict.SKIPPED: 0}

    def add(self, name, outcome, reason, seconds, log, count=None):
        """`count` is given if the row stands for several tests."""
        with _lock:
            for key, number in (count or {outcome: 1}).items():
                self.counts[key] += number
            self._number += 1
            line = f"[{self._number}/{self._total}] {name} ... {outcome}"
        line += f" ({seconds:.1f} s)"
        if reason:
            line += f": {reason}"
        if outcome == verdict.FAIL:
            line += f", see {project.shown(log)}"
            self._failures.setdefault(log, []).append((name, line))
        say(line)

    def already(self, name):
        self.counts[verdict.PASS] += 1
        with _lock:
            self._number += 1
        say(f"[{self._number}/{self._total}] {name} ... ok (passed before)")

    def failures(self):
        """Prints them, with what the logs say."""
        if self._failures:
            say("\nFailures:")
        for number, (log, failures) in enumerate(self._failures.items()):
            shown = number < EXCERPTS
            for name, line in failures:
                say(line)
                if shown:
                    _excerpt(excerpt.of_test(log, name.split()[-1]))
            if shown:
                _excerpt(excerpt.of_machine(log))

    def finish(self):
        """Prints the last lines and returns the exit status."""
        self.failures()
        line = (f"{self.counts[verdict.PASS]} passed, "
                f"{self.counts[verdict.FAIL]} failed")
        if self.counts[verdict.SKIPPED]:
            line += f", {self.counts[verdict.SKIPPED]} skipped"
        say(line)
        passed = self.counts[verdict.PASS] and not self.counts[verdict.FAIL]
        return 0 if passed else 1


def _row(entry, hosts, measured):
    flavour = hosts[entry.host].flavour if entry.host in hosts else "-"
    seconds = measured.get(entry.name, entry.seconds)
    return (entry.test.name, entry.host, flavour, f"{seconds / 60:.1f}",
            "FULL" if entry.full else "default", entry.test.klass)


def _boot_rows(entries, hosts, measured):
    for name in sorted({entry.host for entry in entries} & set(hosts)):
        seconds = measured.get(f"{name} {records.BOOT}", 0)
        yield (records.BOOT, name, hosts[name].flavour,
               f"{seconds / 60:.1f}", "", "")


def _aligned(rows):
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width)
                      for cell, width in zip(row, widths)).rstrip())


def _argued(tests):
    for test in tests:
        say(f"{test.name}: argued: {test.why}")


def comparison(results, argued):
    """Prints which defects the stock kernel shows, and ours."""
    argued = [test for test in argued if test.shows]
    say("")
    _aligned(list(results.rows(argued)))
    _argued(argued)


def table(entries, hosts, argued):
    """Prints the table; minutes are those measured here, where there are."""
    measured = records.times()
    rows = [("test", "host", "kernel", "minutes", "when", "class")]
    rows += [_row(entry, hosts, measured) for entry in entries]
    rows += _boot_rows(entries, hosts, measured)
    _aligned(rows)
    _argued(argued)
    default = [entry for entry in entries if not entry.full]
    for what, part in (("default", default), ("FULL=1", entries)):
        seconds = sum(measured.get(entry.name, entry.seconds)
                      for entry in part)
        places = {entry.host for entry in part} - {stanza.HERE}
        seconds += sum(measured.get(f"{host} {records.BOOT}", 0)
                       for host in places)
        say(f"{what}: {len(part)} rows, {seconds / 60:.1f} minutes of "
            "one core, without builds")
