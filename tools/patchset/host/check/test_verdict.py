# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on canned logs."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from hostlib import verdict  # noqa: E402

RUN = "run-1"
GOOD = ["TAP version 13", "1..2", "# a comment", "ok 1 one", "ok 2 two"]
END = "exit=0 taint=0 ms=5"


def section(name, lines, end=END):
    return [f"@@ start {name}", *lines, f"@@ end {name} {end}"]


def log(*parts):
    return "".join(line + "\n" for part in parts for line in part)


def done(run=RUN):
    return [f"@@ done {run}"]


class Verdict(unittest.TestCase):
    def judge(self, tap, console="", tests=None, **machine):
        return verdict.judge(tests or {"a": None}, tap, console, RUN,
                             **machine)

    def assertPasses(self, tap, **rest):
        self.assertEqual(self.judge(tap, **rest)["a"], (verdict.PASS, ""))

    def assertFails(self, reason, tap, name="a", **rest):
        outcome, said = self.judge(tap, **rest)[name]
        self.assertEqual(outcome, verdict.FAIL)
        self.assertIn(reason, said)


class TapTest(Verdict):
    def lines(self, lines, end=END):
        return log(section("a", lines, end), done())

    def test_good(self):
        self.assertPasses(self.lines(GOOD))

    def test_plan_may_come_last(self):
        self.assertPasses(self.lines(GOOD[3:] + ["1..2"]))

    def test_carriage_returns(self):
        self.assertPasses(self.lines(GOOD).replace("\n", "\r\n"))

    def test_indented_results_belong_to_a_subtest(self):
        self.assertPasses(self.lines(["1..1", "    not ok 1 in", "ok 1 out"]))

    def test_no_plan(self):
        self.assertFails("no plan", self.lines(GOOD[3:]))

    def test_nothing(self):
        self.assertFails("no plan", self.lines([]))

    def test_second_plan(self):
        self.assertFails("second plan", self.lines(GOOD + ["1..2"]))

    def test_truncated(self):
        self.assertFails("1 of 2 results", self.lines(GOOD[:-1]))

    def test_too_many(self):
        self.assertFails("3 of 2 results", self.lines(GOOD + ["ok 3 three"]))

    def test_wrong_number(self):
        self.assertFails("2 of 2 results", self.lines(
            ["1..2", "ok 1 one", "ok 1 one"]))

    def test_not_ok(self):
        self.assertFails("not ok 2", self.lines(GOOD[:-1] + ["not ok 2 two"]))

    def test_bail_out(self):
        self.assertFails("Bail out!", self.lines(GOOD + ["Bail out! no"]))

    def test_skip(self):
        self.assertFails("unexpected skip", self.lines(
            GOOD[:-1] + ["ok 2 # SKIP no THP"]))

    def test_xfail_is_a_skip(self):
        self.assertFails("unexpected skip", self.lines(
            GOOD[:-1] + ["ok 2 # XFAIL some day"]))

    def test_allowed_skip(self):
        tap = self.lines(GOOD[:-1] + ["ok 2 # SKIP no THP"])
        self.assertEqual(self.judge(tap, tests={"a": "no THP"})["a"][0],
                         verdict.SKIPPED)
        self.assertFails("unexpected skip", tap, tests={"a": "no KSM"})

    def test_skip_of_all(self):
        self.assertFails("unexpected skip", self.lines(["1..0 # SKIP no"]))

    def test_allowed_skip_of_all(self):
        tap = self.lines(["1..0 # SKIP no NPT"], "exit=4 taint=0 ms=5")
        self.assertEqual(self.judge(tap, tests={"a": "no NPT"})["a"][0],
                         verdict.SKIPPED)

    def test_exit_status(self):
        self.assertFails("exit status 1", self.lines(GOOD,
                                                     "exit=1 taint=0 ms=5"))

    def test_signal(self):
        self.assertFails("signal 11", self.lines(GOOD,
                                                 "signal=11 taint=0 ms=5"))

    def test_timeout(self):
        self.assertFails("timeout", self.lines(GOOD, "timeout taint=0 ms=5"))

    def test_taint(self):
        self.assertFails("tainted: 512", self.lines(
            GOOD, "exit=0 taint=512 ms=5"))

    def test_taint_that_was_there(self):
        self.assertPasses(self.lines(GOOD, "exit=0 taint=512 ms=5"),
                          taint="512")

    def test_taint_of_kunit(self):
        self.assertPasses(self.lines(GOOD, "exit=0 taint=262144 ms=5"))
        self.assertFails("tainted: 262656", self.lines(
            GOOD, "exit=0 taint=262656 ms=5"))


class FailingTest(Verdict):
    """Cases that have to fail."""
    BAD = ["1..3", "ok 1 global.one", "not ok 2 htab.two", "not ok 3 a.b.two"]
    END = "exit=1 taint=0 ms=5"

    def lines(self, lines, end=END):
        return log(section("a", lines, end), done())

    def test_all_fail(self):
        self.assertPasses(self.lines(self.BAD), failing={"a": {"two": True}})
        self.assertPasses(self.lines(self.BAD),
                          failing={"a": {"htab.two": True, "a.b.two": True}})

    def test_one_that_fails_is_not_listed(self):
        self.assertFails("not ok 3", self.lines(self.BAD),
                         failing={"a": {"htab.two": True}})
        self.assertFails("not ok 2", self.lines(self.BAD),
                         failing={"b": {"two": True}})

    def test_one_passes(self):
        for bad in self.BAD[2:]:
            tap = self.lines(self.BAD).replace(bad, bad.removeprefix("not "))
            self.assertFails(f"should fail: {bad.removeprefix('not ')}", tap,
                             failing={"a": {"two": True}})

    def test_by_chance(self):
        failing = {"a": {"htab.two": True, "a.b.two": False}}
        self.assertPasses(self.lines(self.BAD), failing=failing)
        self.assertPasses(self.lines(self.BAD).replace(
            "not ok 3", "ok 3"), failing=failing)
        self.assertFails("no case a.b.two", self.lines(
            ["1..1", "not ok 1 htab.two"]), failing=failing)

    def test_one_did_not_run(self):
        self.assertFails("no case three", self.lines(self.BAD),
                         failing={"a": {"two": True, "three": True}})
        self.assertFails("no case two", self.lines(
            ["1..1", "ok 1 # SKIP two"], "exit=4 taint=0 ms=5"),
            failing={"a": {"two": True}}, tests={"a": "two"})

    def test_the_name_is_whole(self):
        self.assertFails("no case wo", self.lines(self.BAD),
                         failing={"a": {"two": True, "wo": True}})

    def test_after_a_dash(self):
        self.assertPasses(self.lines(["1..1", "not ok 1 - two # why"]),
                          failing={"a": {"two": True}})

    def test_exit_status(self):
        self.assertFails("exit status 0", self.lines(self.BAD, END),
                         failing={"a": {"two": True}})

    def test_the_rest_counts(self):
        self.assertFails("2 of 3 results", self.lines(self.BAD[:-1]),
                         failing={"a": {"two": True}})
        self.assertFails("BUG", self.lines(self.BAD),
                         failing={"a": {"two": True}},
                         console="host: start a\nBUG: x\nhost: end a\n")

    def test_cases(self):
        self.assertEqual(
            verdict.cases(self.lines(self.BAD + ["ok 4 four # SKIP no"])),
            {"a": {"global.one": verdict.PASS, "htab.two": verdict.FAIL,
                   "a.b.two": verdict.FAIL, "four": verdict.SKIPPED}})


class ComplaintTest(unittest.TestCase):
    STARTED = log(["@@ start a"])
    OOPS = "Oops: Kernel access of bad area"

    def complaint(self, tap, console, ended=None):
        return verdict.complaint("a", tap, console, ended)

    def test_none(self):
        self.assertIsNone(self.complaint(log(section("a", GOOD), done()), ""))

    def test_oops(self):
        self.assertEqual(self.complaint(self.STARTED, log(
            ["host: start a", self.OOPS, "BUG: x"])), self.OOPS)

    def test_oops_before_the_test(self):
        self.assertIsNone(self.complaint(self.STARTED, log(
            ["BUG: x", "host: start a", self.OOPS])))

    def test_hang(self):
        self.assertEqual(self.complaint(self.STARTED, "", "timeout"),
                         "timeout")

    def test_hang_before_the_test(self):
        self.assertIsNone(self.complaint("", "", "timeout"))

    def test_hang_after_another_oops(self):
        self.assertIsNone(self.complaint(self.STARTED, log([self.OOPS]),
                                         "timeout"))


class MachineTest(Verdict):
    def test_no_end_marker(self):
        self.assertFails("no end marker", log(section("a", GOOD)))

    def test_old_end_marker(self):
        self.assertFails("another run", log(section("a", GOOD), done("old")))

    def test_end_marker_without_newline_is_complete(self):
        self.assertPasses(log(section("a", GOOD), done()).rstrip("\n"))

    def test_cut_end_marker(self):
        tap = log(section("a", GOOD), done())
        self.assertFails("another run", tap[:-3])

    def test_output_after_the_end(self):
        self.assertFails("after the end", log(section("a", GOOD), done(),
                                              ["@@ kmemleak 1"]))

    def test_empty_channel(self):
        self.assertFails("did not run", "")

    def test_stopped_during_the_test(self):
        self.assertFails("stopped while it ran",
                         log(section("a", GOOD)[:-1]))

    def test_machine_timeout(self):
        self.assertFails("machine timeout", log(section("a", GOOD)[:-1]),
                         ended="machine timeout after 9 s, killed")

    def test_panic_after_all_results(self):
        self.assertFails("kernel panic", log(section("a", GOOD), done()),
                         ended="kernel panic")

    def test_leak(self):
        self.assertFails("leaks", log(section("a", GOOD), ["@@ kmemleak 7"],
                                      done()), leak_scan=True)

    def test_no_leak(self):
        self.assertPasses(log(section("a", GOOD), ["@@ kmemleak 0"], done()),
                          leak_scan=True)

    def test_leak_scan_missing(self):
        self.assertFails("no leak scan", log(section("a", GOOD), done()),
                         leak_scan=True)

    def test_leak_scan_without_a_file(self):
        self.assertFails("leaks", log(section("a", GOOD), ["@@ kmemleak -1"],
                                      done()), leak_scan=True)

    def test_test_that_did_not_run(self):
        self.assertFails("did not run", log(section("a", GOOD), done()), "b",
                         tests={"a": None, "b": None})

    def test_unknown_test(self):
        self.assertFails("unknown test", log(section("a", GOOD),
                                             section("x", GOOD), done()))

    def test_test_that_ran_twice(self):
        self.assertFails("twice", log(section("a", GOOD), section("a", GOOD),
                                      done()))

    def test_damaged_marker(self):
        self.assertFails("unknown marker", log(section("a", GOOD),
                                               ["@@ dnoe"], done()))


def steps(*names):
    """What init says of modules that come and go once."""
    return ([f"@@ load {name} ok" for name in names]
            + [f"@@ unload {name} ok" for name in reversed(names)])


class ModulesTest(Verdict):
    NAMES = ("kvm", "kvm-amd")
    LOAD, UNLOAD = steps(*NAMES)[:2], steps(*NAMES)[2:]
    LOADED = ["@@ loaded"]

    def lines(self, again=steps(*NAMES), loaded=LOADED):
        return log(self.LOAD, section("a", GOOD), self.UNLOAD, again, loaded,
                   ["@@ kmemleak 0"], done())

    def assertFails(self, reason, tap, **rest):
        super().assertFails(reason, tap, **{"modules": self.NAMES, **rest})

    def test_all(self):
        self.assertPasses(self.lines(), modules=self.NAMES, leak_scan=True)

    def test_host_without(self):
        self.assertFails("load kvm ok, instead of nothing", self.lines(),
                         modules=())

    def test_none_on_a_host_with(self):
        self.assertFails("nothing, instead of load kvm ok",
                         log(section("a", GOOD), done()))

    def test_does_not_load(self):
        tap = log(["@@ load kvm ok", "@@ load kvm-amd No such device"],
                  steps("kvm"), self.LOADED, done())
        self.assertFails("did not run: modules: load kvm-amd No such device",
                         tap)

    def test_busy(self):
        self.assertFails("modules: unload kvm Device or resource busy",
                         self.lines().replace(
                             "unload kvm ok",
                             "unload kvm Device or resource busy"))

    def test_a_marker_is_missing(self):
        for step in self.LOAD + self.UNLOAD:
            self.assertFails(f"instead of {step.removeprefix('@@ ')}",
                             self.lines().replace(f"{step}\n", "", 1))

    def test_not_a_second_time(self):
        self.assertFails("nothing, instead of load kvm ok",
                         self.lines(again=[]))

    def test_another_order(self):
        self.assertFails("load kvm ok, instead of load kvm-amd ok",
                         self.lines(), modules=("kvm-amd", "kvm"))

    def test_still_loaded(self):
        self.assertFails("still loaded: kvm_amd kvm",
                         self.lines(loaded=["@@ loaded kvm_amd kvm"]))

    def test_no_list(self):
        self.assertFails("no list of loaded modules", self.lines(loaded=[]))

    def test_leak(self):
        self.assertFails("leaks", self.lines().replace("leak 0", "leak 9"))


SPLATS = """\
WARNING: CPU: 0 PID: 1 at arch/x86/kvm/mmu/mmu.c:1 f+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
BUG: kernel NULL pointer dereference, address: 0000000000000000
BUG: KASAN: use-after-free in f+0x1/0x2
BUG: sleeping function called from invalid context at mm/a.c:1
BUG: unable to handle page fault for address: ffff888000000000
Oops: 0000 [#1] SMP
Call Trace:
general protection fault, probably for non-canonical address: 0000 [#1]
Kernel panic - not syncing: Attempted to kill init!
INFO: task kvm:1 blocked for more than 120 seconds.
rcu: INFO: rcu_sched self-detected stall on CPU
watchdog: BUG: soft lockup - CPU#0 stuck for 26s!
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
unchecked MSR access error: RDMSR from 0x1 at rIP: 0x1
UBSAN: shift-out-of-bounds in a.c:1:1
refcount_t: underflow; use-after-free.
"""

CALM = """\
Linux version 6.1.192 (gcc (Debian 12.2.0-14) 12.2.0) #1 SMP
[Firmware Bug]: TSC_DEADLINE disabled due to Errata
Unknown kernel command line parameters "run=1", will be passed to user space.
kvm: no hardware support for 'kvm_intel'
rcu: Hierarchical RCU implementation.
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc.
kmemleak: Kernel memory leak detector initialized
KASAN init done
reboot: Power down
"""


class ConsoleTest(Verdict):
    TAP = log(section("a", GOOD), section("b", GOOD), done())
    TESTS = {"a": None, "b": None}

    def console(self, line, during=None):
        marks = ("host: start a", "host: end a", "host: start b",
                 "host: end b")
        return "".join(f"{mark}\n{line}\n" if mark == during else f"{mark}\n"
                       for mark in marks)

    def test_each_splat(self):
        for line in SPLATS.splitlines():
            with self.subTest(line=line):
                self.assertFails(line, self.TAP, tests=self.TESTS,
                                 console=self.console(line, "host: start a"))

    def test_calm_lines(self):
        self.assertPasses(self.TAP, tests=self.TESTS, console=CALM)

    def test_attributed_to_the_test_that_ran(self):
        verdicts = self.judge(self.TAP, tests=self.TESTS, console=self.console(
            "WARNING: x", "host: start b"))
        self.assertEqual(verdicts["a"][0], verdict.PASS)
        self.assertEqual(verdicts["b"][0], verdict.FAIL)

    def test_between_tests_fails_all(self):
        verdicts = self.judge(self.TAP, tests=self.TESTS, console=self.console(
            "WARNING: x", "host: end a"))
        self.assertEqual({outcome for outcome, _ in verdicts.values()},
                         {verdict.FAIL})

    def test_taint_is_told_once(self):
        tap = log(section("a", GOOD, "exit=0 taint=512 ms=5"),
                  section("b", GOOD, "exit=0 taint=512 ms=5"), done())
        verdicts = self.judge(tap, tests=self.TESTS)
        self.assertEqual(verdicts["a"][0], verdict.FAIL)
        self.assertEqual(verdicts["b"][0], verdict.PASS)


if __name__ == "__main__":
    unittest.main()
