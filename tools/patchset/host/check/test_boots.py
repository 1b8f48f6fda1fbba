# SPDX-License-Identifier: GPL-2.0-only
"""Real boots in which things go wrong: each must make the run fail."""

import os
import re
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(os.path.dirname(HERE), "run")

# Of a stanza of fake.ini: how its line goes on after the name.
EXPECTED = {
    "good": r"ok \(",
    "no_plan": r"FAIL .*: no plan,",
    "truncated": r"FAIL .*: 1 of 2 results,",
    "not_ok": r"FAIL .*: not ok 2 two,",
    "skip": r"FAIL .*: unexpected skip: ok 2 # SKIP no reason,",
    "allowed_skip": r"skip \(.*: allowed skip",
    "bad_status": r"FAIL .*: exit status 1,",
    "warning": r"FAIL .*: .*WARNING: CPU: 0 PID: 1 at fake.c:1,",
    "call_trace": r"FAIL .*: .*Call Trace",
    "forged_end": r"FAIL .*: 0 of 1 results,",
    "hung_test": r"FAIL .*: timeout, killed,",
    "panic": r"FAIL .*: .*(Oops|BUG|panic)",
    "hung_machine": r"FAIL .*: .*machine timeout after \d+ s, killed during hung_machine,",
    "stock_shows": r"ok \(.*: shows 9",
    "stock_passes": r"FAIL .*: should fail: ok 2 two,",
    "stock_crashes": r"ok \(.*: as stock should: .*(Oops|BUG|panic)",
    "stock_hangs": r"ok \(.*: as stock should: machine timeout",
    "stock_survives": r"FAIL .*: the stock kernel did not complain,",
    "stock_loses_race": r"ok \(.*: on stock: .*(Oops|BUG|panic)",
}


def run_fakes(*arguments):
    """The suite on fake.ini, out of reach of what make test was given."""
    hidden = ("T", "HOST", "HTAB", "V", "LIST", "FULL")
    environment = {key: value for key, value in os.environ.items()
                   if key not in hidden}
    return subprocess.run([RUN, "--tests", os.path.join(HERE, "fake.ini"),
                           "--boot", "15", *arguments], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)


class FakeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.done = run_fakes()

    def line(self, name):
        found = re.search(rf"^\[\d+/\d+\] \S+ {name} \.\.\. (.*)$",
                          self.done.stdout, re.MULTILINE)
        self.assertIsNotNone(found, self.done.stdout)
        return found.group(1)

    def test_exit_status(self):
        self.assertEqual(self.done.returncode, 1, self.done.stdout)

    def test_last_line(self):
        passed = sum(line.startswith("ok") for line in EXPECTED.values())
        self.assertEqual(self.done.stdout.splitlines()[-1],
                         f"{passed} passed, {len(EXPECTED) - passed - 1} "
                         "failed, 1 skipped")

    def test_failures_name_an_existing_log(self):
        for line in self.done.stdout.splitlines():
            if " ... FAIL" in line:
                self.assertRegex(line, r", see \S+$")

    def test_failures_show_their_logs(self):
        self.assertRegex(self.done.stdout,
                         r"\n.* not_ok \.\.\. FAIL .*\n  not ok 2 two\n")
        self.assertRegex(self.done.stdout, r"\n  Call Trace:\n")

    def test_log_reproduces_the_machine(self):
        top = os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.dirname(HERE))))
        log = self.line("panic").rsplit(" ", 1)[1]
        command = os.path.join(top, log, "command")
        self.assertTrue(os.access(command, os.X_OK), command)


def _proof(name, expected):
    def test(self):
        self.assertRegex(self.line(name), "^" + expected)
    return test


for _name, _expected in EXPECTED.items():
    setattr(FakeTests, f"test_{_name}", _proof(_name, _expected))


if __name__ == "__main__":
    unittest.main()
