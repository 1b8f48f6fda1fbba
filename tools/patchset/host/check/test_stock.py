# SPDX-License-Identifier: GPL-2.0-only
"""What results on the stock kernel mean, and the table of defects."""

import dataclasses
import os
import sys
import tempfile
import unittest

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import boot, defects, stanza, stock, verdict  # noqa: E402

KNOWN = {"1": "one", "2": "two", "3": "three"}
OURS = stanza.Host("ours", "powernv", "normal", "p", 1, 1, "", 1, 1, 1)
STOCK = dataclasses.replace(OURS, name="theirs", flavour="stock")
STOCK_8 = dataclasses.replace(STOCK, name="theirs8", cpu="p8")
HOSTS = {host.name: host for host in (OURS, STOCK, STOCK_8)}
OOPS = "Oops: a"


def a_test(*lines, klass="deterministic", name="t"):
    shows = tuple(defects.parse(line, KNOWN) for line in lines)
    return stanza.Test(name, "tap", name, (), klass, 60, 0, "", (), shows, (),
                       "")


class DefectsTest(unittest.TestCase):
    def load(self, text):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            return defects.load(file.name)

    def test_order(self):
        self.assertEqual(list(self.load("[b]\n2 = x\n1 = y\n[a]\nq = z\n")),
                         ["2", "1", "q"])

    def test_named_twice(self):
        with self.assertRaisesRegex(stanza.TableError, "two defects 2"):
            self.load("[b]\n2 = x\n[a]\n2 = z\n")

    def test_the_real_list(self):
        self.assertIn("9", defects.load())

    def test_of_case(self):
        self.assertEqual(defects.of_case(["c", "f.c", "f.v.c", "f.cc", "c.f"],
                                         "c"), ["c", "f.c", "f.v.c"])


class FailingTest(unittest.TestCase):
    def test_on_stock(self):
        test = a_test("1: a b", "2: c on theirs8", "3?: d")
        self.assertEqual(stock.failing(STOCK, test),
                         {"a": True, "b": True, "d": False})
        self.assertEqual(stock.failing(STOCK_8, test),
                         {"a": True, "b": True, "c": True, "d": False})

    def test_not_on_ours(self):
        self.assertEqual(stock.failing(OURS, a_test("1: a")), {})

    def test_not_of_other_classes(self):
        for klass in ("race", "crash"):
            self.assertEqual(stock.failing(STOCK, a_test("1: a", klass=klass)),
                             {})


class MeaningTest(unittest.TestCase):
    def meaning(self, outcome, complaint=None, host=STOCK, **test):
        return stock.meaning(host, a_test("1: a", "2: b", "1: c", **test),
                             outcome, "why" if outcome == verdict.FAIL else "",
                             complaint)

    def test_deterministic(self):
        self.assertEqual(self.meaning(verdict.PASS),
                         (verdict.PASS, "shows 1, 2"))
        self.assertEqual(self.meaning(verdict.FAIL, OOPS),
                         (verdict.FAIL, "why"))

    def test_race(self):
        self.assertEqual(self.meaning(verdict.FAIL, OOPS, klass="race"),
                         (verdict.PASS, "on stock: why"))
        self.assertEqual(self.meaning(verdict.PASS, klass="race"),
                         (verdict.PASS, ""))

    def test_crash(self):
        self.assertEqual(self.meaning(verdict.FAIL, OOPS, klass="crash"),
                         (verdict.PASS, f"as stock should: {OOPS}"))

    def test_no_crash(self):
        for outcome in (verdict.FAIL, verdict.PASS):
            found, reason = self.meaning(outcome, klass="crash")
            self.assertEqual(found, verdict.FAIL)
            self.assertIn("did not complain", reason)

    def test_crash_without_a_defect(self):
        test = a_test("1: a on theirs8", klass="crash")
        self.assertEqual(stock.meaning(STOCK, test, verdict.FAIL, "why", OOPS),
                         (verdict.FAIL, "why"))

    def test_ours(self):
        for klass in ("deterministic", "race", "crash"):
            self.assertEqual(self.meaning(verdict.FAIL, OOPS, OURS,
                                          klass=klass),
                             (verdict.FAIL, "why"))


class ComparisonTest(unittest.TestCase):
    def setUp(self):
        self.comparison = stock.Comparison(KNOWN, HOSTS)

    def add(self, test, host, complaint=None, **cases):
        self.comparison.add(boot.Result(
            stanza.Entry(test, host.name, 1, False), verdict.PASS, "", 1, "",
            cases, complaint))

    def rows(self, *argued):
        head, *rows = self.comparison.rows(argued)
        self.assertEqual(head[:4], ("defect", "what", "test: case", "class"))
        return head[4:], {row[2]: row[4:] for row in rows}

    def test_cases(self):
        test = a_test("1: a", "2: a on theirs8", "2: b")
        self.add(test, STOCK, a=verdict.FAIL, b=verdict.PASS)
        self.add(test, STOCK_8, a=verdict.FAIL, b=verdict.SKIPPED)
        self.add(test, OURS, a=verdict.PASS, b=verdict.FAIL)
        head, *rows = self.comparison.rows()
        self.assertEqual(head[4:], ("theirs", "theirs8", "ours"))
        self.assertEqual([(row[0], *row[4:]) for row in rows],
                         [("1", "fails", "fails", "ok"),
                          ("2", "", "fails", "ok"),
                          ("2", "ok", "not run", "fails on ours"),
                          ("3", "", "", "")])

    def test_crash(self):
        test = a_test("1: a", klass="crash")
        self.add(test, STOCK, OOPS)
        self.add(test, OURS, a=verdict.PASS)
        self.assertEqual(self.rows(), (("theirs", "ours"), {
            "t: a": ("crash", "ok"), "(no test)": ("", "")}))

    def test_ours_did_not_run(self):
        self.add(a_test("1: a"), STOCK, a=verdict.FAIL)
        self.assertEqual(self.rows()[1]["t: a"], ("fails", ""))
        self.add(a_test("1: a"), OURS, a=verdict.SKIPPED)
        self.assertEqual(self.rows()[1]["t: a"], ("fails", "not run"))

    def test_one_of_ours_did_not_run(self):
        test = a_test("1: a")
        self.add(test, STOCK, a=verdict.FAIL)
        for outcome in (verdict.SKIPPED, verdict.PASS):
            self.add(test, OURS, a=outcome)
        self.assertEqual(self.rows()[1]["t: a"], ("fails", "ok"))

    def test_argued(self):
        self.add(a_test("1: a"), STOCK, a=verdict.FAIL)
        self.assertEqual(self.rows(a_test("2:", klass="argued", name="u"))[1],
                         {"t: a": ("fails", ""), "u: argued": ("", ""),
                          "(no test)": ("", "")})


if __name__ == "__main__":
    unittest.main()
