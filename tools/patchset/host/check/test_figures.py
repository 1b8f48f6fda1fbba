# SPDX-License-Identifier: GPL-2.0-only
"""The bench's arithmetic: values, goals, what differs, instructions by function."""

import os
import sys
import tempfile
import unittest

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import figures, measure, profile, results  # noqa: E402

# Of mainline, per page.
CALL = {"populated_anon": 2000, "populated_shmem": 2000, "absent_anon": 4000,
        "absent_shmem": 12000, "holes": 3000, "mapped": 1500, "thp": 2400,
        "hugetlb": 2400}
# Of ours, just within each goal.
GOOD = {"populated_anon": 133, "populated_shmem": 133, "absent_anon": 2200,
        "absent_shmem": 10200, "holes": 1500, "mapped": 10, "thp": 1200,
        "hugetlb": 1200}
PAGES = 1024


def values(call, faults=0, tables=8, used=10, **changed):
    """Values as the program prints them."""
    said = {}
    for case, per_page in {**call, **changed}.items():
        said[f"{case}.pages"] = str(PAGES)
        for phase in figures.PHASES:
            said |= {f"{case}.{phase}.ns": str(per_page * PAGES),
                     f"{case}.{phase}.faults": str(faults),
                     f"{case}.{phase}.tables_kb": str(tables),
                     f"{case}.{phase}.used_kb": "10"}
        said[f"{case}.call.used_kb"] = str(used)
    return said


def missed(ours, one_page=None):
    """The goals that these values of ours miss, in words."""
    runs = {"stock": None, "mainline": figures.Run(values(CALL)),
            "one_page": figures.Run(one_page or values(CALL)),
            "ours": figures.Run(ours)}
    return [str(goal) for goal in figures.goals(runs) if not goal.reached]


class ValuesTest(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(measure.parse(["TAP version 13", "# a.b=1", "# c=x=y",
                                        "# no value", "ok 1 d=2"]),
                         {"a.b": "1", "c": "x=y"})

    def test_per_page(self):
        said = {"mapped.pages": "4", "mapped.call.ns": "200"}
        self.assertEqual(figures.Run(said).per_page("mapped", "call"), 50)
        self.assertEqual(figures.Run(said, 20).per_page("mapped", "call"), 2.5)

    def test_not_measured(self):
        run = figures.Run({"mapped.pages": "4"})
        self.assertIsNone(run.per_page("mapped", "call"))

    def test_csv(self):
        with tempfile.NamedTemporaryFile() as file:
            results.write_csv(file.name, {("h", "k", "0"): {"a.b": "1"}})
            self.assertEqual(file.read(), b"host,kernel,run,key,value\n"
                                          b"h,k,0,a.b,1\n")


class DifferenceTest(unittest.TestCase):
    def test_none(self):
        self.assertIsNone(results.difference({"a": "1"}, {"a": "1"}))

    def test_value(self):
        self.assertEqual(results.difference({"a": "1", "b": "2"},
                                            {"a": "1", "b": "3"}),
                         "b is 2 once, 3 then")

    def test_missing(self):
        self.assertIn("None", results.difference({"a": "1"}, {}))
        self.assertIn("None", results.difference({}, {"a": "1"}))


class GoalsTest(unittest.TestCase):
    def assertMisses(self, words, *arguments, **changed):
        found = missed(values(GOOD, *arguments, **changed))
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_all_reached(self):
        self.assertEqual(missed(values(GOOD)), [])

    def test_each_part(self):
        for case, part in figures.PARTS.items():
            with self.subTest(case):
                self.assertMisses(f"(goal 1/{part}): missed",
                                  **{case: GOOD[case] * 2})

    def test_absent_is_measured_by_the_same_kind(self):
        self.assertMisses("(goal 2,200.0): missed by 10.0 %", absent_anon=2420)
        self.assertMisses("(goal 10,200.0): missed by 10.0 %",
                          absent_shmem=11220)

    def test_faults(self):
        self.assertMisses("missed by 4", faults=1)

    def test_tables(self):
        self.assertMisses("12 KiB (needed 8): missed by 50.0 %", tables=12)

    def test_memory(self):
        self.assertMisses("12 KiB (goal", used=12)

    def test_worst_case_of_the_batch(self):
        found = missed(values(GOOD), values(GOOD, holes=1000))
        self.assertEqual(found, ["batch on against off, at worst (every other "
                                 "populated): 1.500 (goal 1.05): missed by "
                                 "42.9 %"])


class ParallelTest(unittest.TestCase):
    def rounds(self, *pairs):
        return figures.Rounds(*(
            {"parallel.0.one_ns": str(one), "parallel.0.two_ns": str(two)}
            for one, two in pairs))

    def test_gain(self):
        rounds = self.rounds((30, 10), (20, 10), (9, 10))
        self.assertEqual(rounds.gain, 0.9)
        self.assertEqual(rounds.median_gain, 2)

    def test_goal(self):
        self.assertTrue(figures.parallel_goal(self.rounds((18, 10))).reached)
        self.assertIn("missed by 13.3 %", str(figures.parallel_goal(
            self.rounds((15, 10)))))


class ProfileTest(unittest.TestCase):
    SPAN = profile.Span("b", "c", 0x80)
    FUNCTIONS = [(0x100, "a"), (0x200, "b"), (0x300, "c")]

    def test_by_function(self):
        found = profile.by_function("100 1\n1ff 2\n204 50\n", self.FUNCTIONS)
        self.assertEqual(list(found.items()), [("b", 50), ("a", 3)])

    def test_options(self):
        self.assertEqual(
            profile.options("p.so", self.SPAN, self.FUNCTIONS, "n"),
            ("-plugin", "p.so,from=200,to=300,text=80,out=n"))

    def test_function_is_missing(self):
        with self.assertRaises(measure.MeasureError):
            profile.options("p.so", self.SPAN, self.FUNCTIONS[:2], "n")

    def test_table(self):
        lines = profile.table(self.SPAN, {"b": 30, "a": 10}, 20, "pages")
        self.assertIn("40 instructions from b() to c(), 20 of pages", lines)
        self.assertIn("      1.50    75.0%  b", lines)


if __name__ == "__main__":
    unittest.main()
