# SPDX-License-Identifier: GPL-2.0-only
"""What the demo makes of the lines that `migrate` prints."""

import os
import sys
import unittest

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import migrations  # noqa: E402

FIGURES = """\
# 13 s: migration 1
# stopped for 301 ms of 3413 ms, 36 passes over memory, 7 rounds of the guest
# sent: 91173730 bytes, 1403944 of the table, 1164 of them at the end
# sent: 76459 entries, 60927 invalid, 5 lock bits
# sent at the end: 48 entries, 0 invalid
# the source's table: 73413 of 131072 entries valid
# sent: 1 missing, 2 extra, 3 other
# loaded: 4 missing, 5 extra, 6 other""".splitlines()


def part(number, at, took, ends, state="live"):
    return (f"# part {number}: at {at} us, took {took} us, {100 * (number + 1)} bytes, "
            f"{number} valid, 1 invalid, end passed {ends} times, {state}")


def parts(later):
    """Two of the first pass, some live ones, the last."""
    return [part(0, 0, 5000, 0), part(1, 10000, 3000, 1),
            *(part(2 + n, 20000 + n, 1000 * (n + 1), 1) for n in range(later)),
            part(2 + later, 90000, 2500, 2, "stopped")]


def migration(later=3):
    return migrations.parse(FIGURES + parts(later))


class ParseTest(unittest.TestCase):
    def test_figures(self):
        one = migration()
        self.assertEqual((one.downtime, one.total, one.table_bytes, one.lock_bits),
                         (301, 3413, 1403944, 5))
        self.assertEqual((one.sent_missing, one.loaded_other), (1, 6))

    def test_parts(self):
        one = migration()
        self.assertEqual([len(some) for some in (one.parts, one.first_pass, one.live)],
                         [6, 2, 3])
        self.assertTrue(one.last.stopped)
        self.assertEqual(one.live[0], migrations.Part(20000, 1000, 300, 2, 1, 1, "live"))

    def test_a_first_pass_that_ends_when_the_guest_has_stopped(self):
        one = migrations.parse(FIGURES + [part(0, 0, 9, 0), part(1, 10, 9, 1, "stopped")])
        self.assertEqual((len(one.first_pass), one.live), (2, ()))

    def test_no_parts(self):
        with self.assertRaisesRegex(migrations.NotUnderstood, "the parts"):
            migrations.parse(FIGURES)

    def test_a_figure_is_missing(self):
        with self.assertRaisesRegex(migrations.NotUnderstood, "slots"):
            migrations.parse([line for line in FIGURES if "source" not in line] + parts(1))


class ShownTest(unittest.TestCase):
    def rows(self, columns):
        return {line[:30].strip(): line[30:].split()
                for line in migrations.table(columns).splitlines()}

    def test_table(self):
        rows = self.rows({"stock": migration(), "patched": migration(1)})
        self.assertEqual(rows["downtime, ms"], ["301", "301"])
        self.assertEqual(rows["as sent"], "1 2 3 1 2 3".split())
        self.assertEqual(rows["ms of a part, median"], ["2.00", "1.00"])
        self.assertEqual(rows["entries of the table"], ["131,072", "131,072"])

    def test_no_later_parts(self):
        self.assertEqual(self.rows({"stock": migration(0)})["ms of a part, median"], ["-"])

    def test_log(self):
        lines = migrations.log(migration(3)).splitlines()
        self.assertEqual([line[:26].strip() for line in lines],
                         ["", "first pass, 2 parts", "part 3", "part 4", "part 5",
                          "the guest has stopped"])
        self.assertEqual(lines[1][26:].split(), ["0", "8.0", "300", "1", "2"])

    def test_a_long_log_is_abridged(self):
        lines = migrations.log(migration(30)).splitlines()
        self.assertEqual(len(lines), 3 + 2 * migrations.SHOWN + 1)
        self.assertRegex(lines[2 + migrations.SHOWN], "parts 7 to 28 ")
        self.assertRegex(lines[3 + migrations.SHOWN], "part 29 ")

    def test_nothing_behind_a_first_pass(self):
        one = migrations.parse(FIGURES + [part(0, 0, 9, 0), part(1, 10, 9, 1, "stopped")])
        self.assertEqual(len(migrations.log(one).splitlines()), 2)


if __name__ == "__main__":
    unittest.main()
