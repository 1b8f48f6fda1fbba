# SPDX-License-Identifier: GPL-2.0-only
"""The arithmetic of the bench of KVM_PPC_GET_HTAB_FD."""

import os
import sys
import unittest

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import figures_htab  # noqa: E402

STOCK = {"sparse.27.later0": 1000000, "sparse.26.later0": 500000,
         "sparse.27.later1": 1000100, "sparse.27.later1000": 2000000,
         "sparse.27.first": 6000000, "full.24.first": 400000,
         "calls.0": 101000, "calls.1": 111000, "entry": 1000}
# Of ours, just within each goal.
GOOD = {**STOCK, "sparse.27.later0": 10000, "sparse.26.later0": 5000,
        "sparse.27.later1": 10100, "sparse.27.later1000": 100000,
        "sparse.27.first": 600000, "full.24.first": 200000,
        "calls.0": 103000, "calls.1": 122000}
PAIRS = 20


def of_round(name, figure, left_out="0"):
    return {f"{name}.instructions": figure, f"{name}.left_out": left_out}


def values(figures, **changed):
    """As the program prints them, and the plugin counts them."""
    said = {}
    for key, figure in {**figures, **changed}.items():
        if key in ("calls.0", "calls.1", "entry"):
            what, _, readers = key.partition(".")
            for reader in readers or "01":
                said |= of_round(f"calls.{PAIRS}.{what}.{reader}.0", figure)
            continue
        for buffer in (figures_htab.BUFFER, figures_htab.LARGE_BUFFER):
            said |= of_round(f"{key}.{buffer}.0", figure)
    return said


def run(figures, **changed):
    return figures_htab.Run(values(figures, **changed))


def goals(ours):
    return figures_htab.goals({"stock": run(STOCK), "ours": ours})


class ValuesTest(unittest.TestCase):
    def test_count(self):
        self.assertEqual(
            figures_htab.count({"a.0.ns": "5", "a.0.span": "1"},
                               ["7 0", "8 2"]),
            {"a.0.ns": "5", "a.0.instructions": "8", "a.0.left_out": "2"})

    def rounds(self, *rounds):
        said = {"sparse.18.first.2048.0.ns": "1"}
        for index, one in enumerate(rounds):
            said |= of_round(f"sparse.18.first.2048.{index}", *one)
        return figures_htab.Run(said).figure("sparse", 18, "first")

    def test_least_of_the_rounds(self):
        self.assertEqual(self.rounds(("30",), ("9",), ("10",)), 9)

    def test_interrupted_rounds(self):
        self.assertEqual(self.rounds(("30",), ("9", "1"), ("10",)), 10)
        self.assertEqual(self.rounds(("30", "2"), ("9", "1")), 9)

    def test_least_of_the_boots(self):
        both = figures_htab.Run(values(STOCK), values(GOOD))
        self.assertEqual(both.figure("full", 24, "first"), 200000)
        self.assertEqual(both.figure("calls", PAIRS, "calls", 0), 101000)

    def test_not_measured(self):
        self.assertIsNone(run(STOCK).figure("sparse", 27, "later10"))

    def test_what_was_measured(self):
        self.assertEqual(run(STOCK).orders("sparse", "later0"), [26, 27])
        self.assertEqual(run(STOCK).changes(27), [1, 1000])

    def test_pair(self):
        self.assertEqual(run(STOCK).pair(0), 5000)
        self.assertEqual(run(STOCK).pair(1), 5500)

    def test_on_paper(self):
        self.assertEqual(run(STOCK).on_paper("sparse", "later0"), 64000000)

    def test_pass_of(self):
        self.assertEqual(figures_htab.pass_of("full", "first"),
                         "first pass, full")
        self.assertEqual(figures_htab.pass_of("sparse", "later1000"),
                         "later pass, 1,000 changes")

    def test_amount(self):
        self.assertEqual([figures_htab.amount(order)
                          for order in (10, 18, 24, 27, 33)],
                         ["64", "16 K", "1 M", "8 M", "512 M"])


class ApartTest(unittest.TestCase):
    def test_same(self):
        self.assertEqual({part for part, _ in run(STOCK).apart(run(STOCK))},
                         {0})

    def test_open_does_not_count(self):
        changed = {"sparse.27.open": 2}
        found = run(STOCK, **{"sparse.27.open": 1}).apart(run(STOCK, **changed))
        self.assertEqual(found[-1][0], 0)

    def test_most(self):
        changed = {"calls.0": 102010, "sparse.27.first": 6300000}
        part, key = run(STOCK).apart(run(STOCK, **changed))[-1]
        self.assertAlmostEqual(part, 0.05)
        self.assertEqual(key[:3], ("sparse", 27, "first"))


class GoalsTest(unittest.TestCase):
    def assertMisses(self, words, **changed):
        found = [str(goal) for goal in goals(run(GOOD, **changed))
                 if not goal.reached]
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_all_reached(self):
        found = [str(goal) for goal in goals(run(GOOD))]
        self.assertEqual(len(found), 6)
        for words in found:
            self.assertTrue(words.endswith(": reached"), words)

    def test_each_part(self):
        for where, part in figures_htab.PARTS.items():
            key = ".".join(map(str, where))
            with self.subTest(key):
                self.assertMisses(f"(goal 1/{part}): missed by 100.0 %",
                                  **{key: GOOD[key] * 2})

    def test_more_than_stock(self):
        self.assertMisses("ours 900,000, 2.2 times that (goal 1/2): missed",
                          **{"full.24.first": 900000})

    def test_calls(self):
        self.assertMisses("no reader open: stock 5,000.0, ours 5,250.0, +5.00 % "
                          "(goal +2 %): missed by 2.9 %", **{"calls.0": 106000})
        self.assertMisses("one reader open", **{"calls.1": 123000})


class TableTest(unittest.TestCase):
    def test_rows(self):
        lines = figures_htab.table({"stock": run(STOCK), "ours": run(GOOD)},
                                   {"stock": "6.1", "ours": "ours"}).split("\n")
        found = {" ".join(line.split()) for line in lines}
        for words in ("8 M entries 1,000,000 10,000 100.0",
                      "512 M, on paper (1 TiB) 64,000,000 640,000 100.0",
                      "no reader open 5,000.0 5,100.0 0.98"):
            self.assertIn(words, found)


if __name__ == "__main__":
    unittest.main()
