# SPDX-License-Identifier: GPL-2.0-only
"""A failure is told with what its logs say of it."""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import excerpt  # noqa: E402

TAP = """\
@@ start first
# of the first
@@ end first exit=0 taint=0 ms=5
@@ start second
TAP version 13
1..2
ok 1 good
# one.c:7: 4 == 5
not ok 2 bad
@@ end second exit=1 taint=0 ms=5
"""
BOOT = "".join(f"line {n}\n" for n in range(100))


class Excerpts(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def test_end_of_a_file(self):
        path = self.write("t.log", "".join(f"{n}\n" for n in range(100)))
        self.assertEqual(excerpt.of_test(path, "t"),
                         [str(n) for n in range(70, 100)])
        self.assertEqual(excerpt.of_machine(path), [])

    def test_what_a_test_told(self):
        self.write("tap.log", TAP)
        self.assertEqual(excerpt.of_test(self.directory, "second"),
                         ["# one.c:7: 4 == 5", "not ok 2 bad"])
        self.assertEqual(excerpt.of_test(self.directory, "third"), [])

    def test_end_of_the_console(self):
        self.write("console.log", BOOT)
        self.assertEqual(excerpt.of_machine(self.directory),
                         BOOT.splitlines()[-30:])

    def test_console_since_the_complaint(self):
        self.write("console.log", f"{BOOT}WARNING: \033[1m\xff\n{BOOT}")
        self.assertEqual(excerpt.of_machine(self.directory),
                         ["WARNING: ?[1m?", *BOOT.splitlines()[:29]])

    def test_no_logs(self):
        self.assertEqual(excerpt.of_machine(self.directory), [])


if __name__ == "__main__":
    unittest.main()
