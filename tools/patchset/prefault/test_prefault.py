# SPDX-License-Identifier: GPL-2.0-only
"""kvm-prefault and its library, on a VMM and a KVM that are not real."""
import collections
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "kvm/prefault"
MIB = 1 << 20
PAGE = 4096
WARNINGS = ["-O2", "-Wall", "-Wextra", "-Werror"]

Call = collections.namedtuple("Call", "thread what fd rest")


def build(directory):
    compiler = os.environ.get("CC", "gcc")
    make = ["make", "--silent", "-C", TOOL, f"OUTPUT={directory}/", f"CC={compiler}",
            "CFLAGS=-O1 -g -Werror", "V=0"]
    fake = [compiler, *WARNINGS, f"-I{TOOL}", "-shared", "-fPIC", "-o", directory / "fake.so",
            HERE / "fake_kvm.c"]
    vmm = [compiler, *WARNINGS, HERE / "vmm.c", "-o", directory / "vmm"]
    for command in (make, fake, vmm, [*vmm[:-1], directory / "static", "-static"]):
        subprocess.run(command, check=True, env={**os.environ, "MAKEFLAGS": ""})


class Result:
    """What a run of the VMM said and did."""

    def __init__(self, done, log):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.calls, self.masks, self.stats = [], [], []
        for line in log.read_text().splitlines() if log.exists() else []:
            thread, what, fd, *rest = line.split()
            if what == "mask":
                self.masks.append(rest[0])
            elif what == "stats":
                self.stats.append(fd)
            else:
                self.calls.append(Call(thread, what, fd, rest))

    @property
    def faulted(self):
        """[(gpa, size)] in order of address."""
        return sorted((int(call.rest[0], 16), int(call.rest[1], 16))
                      for call in self.calls if call.what == "pre-fault")

    @property
    def merged(self):
        """The same as ranges from, to; fails if something was done twice."""
        ranges = []
        for gpa, size in self.faulted:
            if ranges and ranges[-1][1] > gpa:
                raise AssertionError(f"0x{gpa:x} is done twice")
            if ranges and ranges[-1][1] == gpa:
                ranges[-1][1] = gpa + size
            else:
                ranges.append([gpa, gpa + size])
        return [tuple(each) for each in ranges]

    def number(self, what):
        return sum(call.what == what for call in self.calls)


def setUpModule():
    kept = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(kept.cleanup)
    Case.dir = Path(kept.name)
    build(Case.dir)


class Case(unittest.TestCase):
    dir = None

    def call(self, command, **fake):
        log = self.dir / "log"
        log.unlink(missing_ok=True)
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("KVM_PREFAULT")}
        environment |= {"LD_PRELOAD": str(self.dir / "fake.so"), "FAKE_LOG": str(log)}
        environment |= {key if key.isupper() and key.startswith("KVM") else f"FAKE_{key}": str(value)
                        for key, value in fake.items()}
        done = subprocess.run(list(map(str, command)), env=environment, text=True, timeout=60,
                              capture_output=True, stdin=subprocess.DEVNULL)
        return Result(done, log)

    def run_vmm(self, *actions, options=(), vmm="vmm", same=True, **fake):
        """Under the wrapper, and without: the VMM has to see the same."""
        command = [self.dir / vmm, *actions]
        result = self.call([self.dir / "kvm-prefault", *options, "--", *command], **fake)
        if same:
            plain = self.call(command, **fake)
            self.assertEqual((plain.status, plain.out), (result.status, result.out))
        return result

    def assert_lines(self, result, *patterns):
        lines = result.err.splitlines()
        self.assertEqual(len(patterns), len(lines), result.err)
        for pattern, line in zip(patterns, lines):
            self.assertRegex(line, f"^kvm-prefault: .*{pattern}")


class MemoryTest(Case):
    def test_everything_once_before_the_guest_runs(self):
        result = self.run_vmm("vm", "slot=0,0,1", "slot=1,0x100000,40", "slot=2,0x100000000,3",
                              "vcpu", "run=0", "run=0")
        self.assertEqual(result.merged, [(0, 41 * MIB), (4096 * MIB, 4099 * MIB)])
        names = [call.what for call in result.calls]
        self.assertEqual(names[-2:], ["run", "run"])
        self.assertEqual(names.count("run"), 2)
        self.assertEqual({call.fd for call in result.calls}, {result.calls[-1].fd})
        self.assert_lines(result, "pass 1: pre-faulted 44 of 44 MiB .*, vCPUs 1, kicks 0")

    def test_no_piece_crosses_what_threads_take(self):
        result = self.run_vmm("vm", "slot=0,0x300000,60", "vcpu", "run=0")
        self.assertEqual(result.merged, [(3 * MIB, 63 * MIB)])
        for gpa, size in result.faulted:
            self.assertEqual(gpa // (16 * MIB), (gpa + size - 1) // (16 * MIB))
            self.assertFalse(gpa % PAGE or size % PAGE)

    def test_each_thread_on_its_own_vcpu(self):
        result = self.run_vmm("vm", "slot=0,0,128", "vcpu", "vcpu", "vcpu", "threads", same=False,
                              NS_PER_PAGE=5000)
        self.assertEqual(result.merged, [(0, 128 * MIB)])
        pairs = {(call.thread, call.fd) for call in result.calls}
        self.assertEqual(len(pairs), 3)
        at_work = {call.thread for call in result.calls if call.what == "pre-fault"}
        self.assertGreater(len(at_work), 1)
        for thread in at_work:
            self.assertEqual([call.what for call in result.calls if call.thread == thread][-1], "run")

    def test_fewer_threads(self):
        result = self.run_vmm("vm", "slot=0,0,64", "vcpu", "vcpu", "vcpu", "threads", same=False,
                              options=["--threads=1"], NS_PER_PAGE=2000)
        self.assertEqual(result.merged, [(0, 64 * MIB)])
        self.assertIn("vCPUs 1,", result.err)

    def test_what_the_host_does_not_have(self):
        actions = ("vm", "slot=0,0,2,half", "slot=1,0x1000000,4,none", "vcpu", "run=0")
        result = self.run_vmm(*actions)
        self.assertEqual(result.merged, [(page, page + PAGE) for page in range(0, 2 * MIB, 2 * PAGE)])
        self.assert_lines(result, "pre-faulted 1 of 6 MiB", "left out: 5 MiB .* not populated")
        for option in ("--populate", "--absent=populate", "--absent=read"):
            self.assertEqual(self.run_vmm(*actions, options=[option]).merged,
                             [(0, 2 * MIB), (16 * MIB, 20 * MIB)])

    def test_populated_where_it_is_absent_only(self):
        actions = ("vm", "slot=0,0,40,none", "vcpu", "run=0")
        self.assertEqual(self.run_vmm(*actions, options=["--absent=read"]).number("populate"), 0)
        result = self.run_vmm(*actions, options=["--populate"])
        self.assertEqual(result.merged, [(0, 40 * MIB)])
        populated = [call for call in result.calls if call.what == "populate"]
        self.assertEqual(sum(int(call.rest[1], 16) for call in populated), 40 * MIB)

    def test_a_kick_waits_for_a_mebibyte_at_most(self):
        # What is there takes no time at all, whatever the pace has become by then.
        result = self.run_vmm("vm", "slot=0,0,64", "slot=1,0x4000000,32,none", "vcpu", "run=0",
                              options=["--populate"])
        sizes = [int(call.rest[1], 16) for call in result.calls if call.what == "populate"]
        self.assertLessEqual(max(sizes), MIB)

    def test_what_cannot_be_populated(self):
        """A BAR is not the last slot that can be."""
        result = self.run_vmm("vm", "slot=0,0,1,half", "slot=1,0x1000000,8,none", "vcpu", "run=0",
                              options=["--populate"], NO_POPULATE=0)
        self.assertEqual(result.merged, [(page, page + PAGE) for page in range(0, MIB, 2 * PAGE)] +
                         [(16 * MIB, 24 * MIB)])

    def test_no_pagemap(self):
        result = self.run_vmm("vm", "slot=0,0,4,zero", "vcpu", "run=0", "vm", "slot=0,0,4", "vcpu", "run=1", NO_PAGEMAP=1)
        self.assert_lines(result, "pagemap: Permission denied; memory that has only been read counts",
                          "pass 1: pre-faulted 4 of 4", "pass 1: pre-faulted 4 of 4")

    def test_ranges_and_slots(self):
        actions = ("vm", "slot=0,0,8", "slot=1,0x1000000,32", "vcpu", "run=0")
        for option, expected in ((["--range=1M-0x200000", "--range", "20M+4k"],
                                  [(MIB, 2 * MIB), (20 * MIB, 20 * MIB + PAGE)]),
                                 (["--range=7M+10M"], [(7 * MIB, 8 * MIB), (16 * MIB, 17 * MIB)]),
                                 (["--range=1G+1G"], []),
                                 (["--slots-over=8M"], [(16 * MIB, 48 * MIB)])):
            self.assertEqual(self.run_vmm(*actions, options=option).merged, expected)

    def test_no_smm_memory(self):
        result = self.run_vmm("vm", "slot=65536,0,8", "slot=0,0,4", "vcpu", "run=0")
        self.assertEqual(result.merged, [(0, 4 * MIB)])

    def test_slots_gone_before(self):
        result = self.run_vmm("vm", "slot=0,0,8", "slot=1,0x1000000,8", "delete=0", "vcpu", "run=0")
        self.assertEqual(result.merged, [(16 * MIB, 24 * MIB)])

    def test_slots_gone_meanwhile(self):
        """What may be at their address belongs to somebody else."""
        actions = ("vm", "slot=0,0,16,none", "slot=1,0x1000000,1", "vcpu")
        for name, more in (("in a piece", ("delete-under=0,0",)),
                           ("between turns", ("kick=0,plain", "delete=0", "run=0"))):
            with self.subTest(name):
                # 16 MiB take 160 ms, and it goes after 100.
                result = self.run_vmm(*actions, *more, options=["--populate"], NS_PER_PAGE=40000, same=False)
                # One step may just have been about to start.
                self.assertLessEqual(result.number("stray"), 1)
                self.assertLess(sum(size for gpa, size in result.faulted if gpa < 16 * MIB), 16 * MIB)
                self.assertEqual(result.merged[-1], (16 * MIB, 17 * MIB))


class HugeTest(Case):
    """Memory in huge pages, as far as KVM's statistics tell."""
    HUGE = 2 * MIB
    LAST = 9 * PAGE
    SOME = ("vm", "slot=0,0,16", "vcpu", "run=0")

    def run_huge(self, *actions, options=(), **fake):
        return self.run_vmm(*actions, options=options, **{"STATS": 1000, **fake})

    def calls(self, start, end):
        """That for the huge pages from @start to @end."""
        return [(gpa - self.LAST, self.LAST) for gpa in range(start + self.HUGE, end + 1, self.HUGE)]

    def tried(self, result):
        return [gpa for gpa, size in result.faulted if not (gpa + size) % self.HUGE and size == self.LAST]

    def pages(self, result):
        """What has been done, even if twice."""
        return {page for gpa, size in result.faulted for page in range(gpa, gpa + size, PAGE)}

    def assert_all(self, result, start, end):
        self.assertEqual(self.pages(result), set(range(start, end, PAGE)))

    def test_one_call_for_each(self):
        result = self.run_huge("vm", "slot=0,0,40", "vcpu", "run=0", HUGE=40 * MIB)
        self.assertEqual(result.faulted, self.calls(0, 40 * MIB))
        self.assert_lines(result, "pre-faulted 40 of 40 MiB", "stage-2 entries made: 20,")

    def test_by_several_vcpus(self):
        result = self.run_vmm("vm", "slot=0,0,64", "vcpu", "vcpu", "threads", same=False,
                              HUGE=64 * MIB, STATS=1000, NS_PER_PAGE=200000)
        self.assertEqual(result.faulted, self.calls(0, 64 * MIB))
        self.assertIn("entries made: 32,", result.err)

    def test_after_a_kick(self):
        result = self.run_vmm("vm", "slot=0,0,64", "vcpu", "kick=0,exit", "run=0", same=False,
                              HUGE=64 * MIB, STATS=1000, NS_PER_PAGE=1000000)
        self.assertEqual(result.faulted, self.calls(0, 64 * MIB))
        self.assertIn("kicks 1", result.err)

    def test_what_is_not_in_whole_blocks(self):
        for actions, options in ((("vm", "slot=0,0x380000,6", "vcpu", "run=0"), ()),
                                 (self.SOME, ["--range=3584k+6M"])):
            result = self.run_huge(*actions, options=options, HUGE=64 * MIB)
            self.assertEqual(result.merged, [(3584 << 10, 4 * MIB), (6 * MIB - self.LAST, 6 * MIB),
                                             (8 * MIB - self.LAST, 9728 << 10)])

    def test_by_one_gib(self):
        result = self.run_huge("vm", "slot=0,0,64", "vcpu", "run=0", HUGE=64 * MIB, HUGE_SIZE=1024 * MIB)
        self.assertEqual(result.faulted, self.calls(0, 64 * MIB))
        self.assertIn("entries made: 1,", result.err)

    def test_absent_pages_behind_a_huge_one(self):
        result = self.run_huge("vm", "slot=0,0,16,tail", "vcpu", "run=0", HUGE=self.HUGE)
        tail = self.HUGE - (64 << 10)
        self.assertEqual(self.pages(result), set(range(self.HUGE - self.LAST, self.HUGE, PAGE)) |
                         {page for page in range(self.HUGE, 16 * MIB, PAGE) if page % self.HUGE >= tail})
        self.assert_lines(result, "pre-faulted 2 of 16 MiB", "left out: 13 MiB .* not populated", "entries made: 113")

    def test_absent_ends(self):
        result = self.run_huge("vm", "slot=0,0,8,half", "vcpu", "run=0", HUGE=8 * MIB)
        self.assertEqual(result.merged, [(page, page + PAGE) for page in range(0, 8 * MIB, 2 * PAGE)])

    def test_seldom_where_there_are_none(self):
        result = self.run_huge("vm", "slot=0,0,64", "vcpu", "run=0")
        self.assert_all(result, 0, 64 * MIB)
        self.assertEqual([(gpa + self.LAST) // self.HUGE - 1 for gpa in self.tried(result)],
                         [0, 1, 3, 6, 10, 15, 21, 28])
        self.assert_lines(result, "pre-faulted 64 of 64 MiB", "stage-2 entries made: 16384,")
        # Once there is one, that starts anew.
        result = self.run_huge("vm", "slot=0,0x40000000,4", "slot=1,0,2", "slot=2,0x80000000,16", "vcpu", "run=0",
                               HUGE=self.HUGE)
        self.assertEqual([gpa // self.HUGE for gpa in self.tried(result)],
                         [0, 512, 513, 1024, 1025, 1027, 1030])

    def test_huge_pages_behind_others(self):
        # The first slot is not the lowest.
        result = self.run_huge("vm", "slot=0,0x40000000,16", "slot=1,0,16", "vcpu", "run=0", HUGE=16 * MIB)
        self.assertEqual(result.faulted[:8], self.calls(0, 16 * MIB))
        result = self.run_huge("vm", "slot=0,0,8,none", "slot=1,0x800000,8", "vcpu", "run=0", HUGE=16 * MIB)
        self.assertEqual(result.faulted, self.calls(8 * MIB, 16 * MIB))

    def test_one_fault_may_map_a_few_pages(self):
        """As without KVM's TDP MMU, which looks ahead."""
        result = self.run_huge(*self.SOME, HUGE=16 * MIB, HUGE_SIZE=8 * PAGE)
        self.assert_all(result, 0, 16 * MIB)

    def test_mapped_before(self):
        """By the guest, which tells nothing about the pages around."""
        self.assert_all(self.run_huge(*self.SOME, MAPPED=16 * MIB), 0, 16 * MIB)

    def test_page_by_page_without_knowing(self):
        for options, fake in (((), {"STATS": 0}), ((), {"NO_PAGEMAP": 1}),
                              (["--absent=read"], {}), (["--populate"], {})):
            with self.subTest(f"{options} {fake}"):
                result = self.run_huge(*self.SOME, options=options, HUGE=16 * MIB, **fake)
                self.assertEqual(result.merged, [(0, 16 * MIB)])
                self.assertEqual(self.tried(result), [])
        result = self.run_huge("vm", "slot=0,0,16,askew", "vcpu", "run=0", HUGE=16 * MIB)
        self.assertEqual((result.merged, self.tried(result)), ([(0, 16 * MIB)], []))

    def test_statistics_that_cannot_be_read(self):
        # The first read is that for the report, then there are two for each block.
        for reads in range(4):
            self.assert_all(self.run_huge(*self.SOME, STATS_READS=reads), 0, 16 * MIB)

    def test_errors_are_for_the_way_page_by_page(self):
        start = self.HUGE - self.LAST
        for error in 4, 11, 14, 95, 133:
            with self.subTest(error):
                result = self.run_huge(*self.SOME, ERROR=error, ERROR_AT=start, ERROR_COUNT=1)
                self.assert_all(result, 0, 16 * MIB)
                self.assertIn("pre-faulted 16 of 16 MiB", result.err)
        # One entry, but not for all that was asked for.
        for error in 14, 133:
            result = self.run_huge(*self.SOME, ERROR=error, ERROR_AT=start + PAGE)
            self.assertEqual(self.pages(result), set(range(0, 16 * MIB, PAGE)) - {start + PAGE})
            self.assertIn("left out: 4 KiB for errors", result.err)
        result = self.run_huge(*self.SOME, "run=0", ERROR=22)
        self.assert_lines(result, "stopped after 0 of 16 MiB: .*Invalid argument.*; the VMM runs as without")


class ErrorTest(Case):
    ACTIONS = ("vm", "slot=0,0,32", "vcpu", "run=0", "run=0")

    def test_no_capability(self):
        result = self.run_vmm(*self.ACTIONS, CAP=0)
        self.assertEqual(result.number("pre-fault"), 0)
        self.assert_lines(result, "no KVM_CAP_PRE_FAULT_MEMORY")

    def test_not_possible(self):
        for error, text in ((22, "Invalid argument"), (25, "Inappropriate ioctl"),
                            (5, "Input/output"), (12, "Cannot allocate")):
            result = self.run_vmm(*self.ACTIONS, ERROR=error)
            self.assertEqual((result.number("pre-fault-error"), result.number("pre-fault")), (1, 0))
            self.assert_lines(result, f"stopped after 0 of 32 MiB: .*{text}.*; the VMM runs as without")

    def test_not_possible_now(self):
        """Which is for a vCPU in a nested guest or in SMM."""
        result = self.run_vmm("vm", "slot=0,0,32", "vcpu", "vcpu", "run=0", "run=0", "run=1", ERROR=95, ERROR_COUNT=1)
        self.assertEqual(result.merged, [(0, 32 * MIB)])
        self.assertEqual([call.what for call in result.calls][:3], ["pre-fault-error", "run", "run"])
        self.assert_lines(result, "pass 1: pre-faulted 32 of 32 MiB")

    def test_not_possible_with_this_vm(self):
        result = self.run_vmm(*self.ACTIONS[:-1], *10 * ("sleep=110", "run=0"), ERROR=95,
                              options=["--progress=none"])
        self.assertEqual((result.number("pre-fault-error"), result.number("pre-fault")), (10, 0))
        self.assert_lines(result, "stopped after 0 of 32 MiB: .*not supported.*; the VMM runs as without")

    def test_page_left_out(self):
        for error in (14, 133):
            result = self.run_vmm(*self.ACTIONS, ERROR=error, ERROR_AT=0x345000)
            self.assertEqual(result.merged, [(0, 0x345000), (0x346000, 32 * MIB)])
            self.assert_lines(result, "pass 1", "left out: 4 KiB for errors")

    def test_slot_in_the_way(self):
        result = self.run_vmm(*self.ACTIONS, ERROR=11, ERROR_AT=MIB, ERROR_COUNT=5)
        self.assertEqual(result.number("pre-fault-error"), 5)
        self.assertEqual(result.merged, [(0, 32 * MIB)])

    def test_slot_in_the_way_for_good(self):
        result = self.run_vmm(*self.ACTIONS, ERROR=11, ERROR_AT=MIB)
        self.assertEqual(result.number("pre-fault-error"), 101)
        self.assertEqual(result.merged[0], (0, MIB))
        self.assertEqual(result.merged[-1][1], 32 * MIB)

    def test_interrupted(self):
        result = self.run_vmm(*self.ACTIONS, ERROR=4, ERROR_COUNT=3)
        self.assertEqual(result.merged, [(0, 32 * MIB)])


class KickTest(Case):
    # 1 MiB takes 10 ms, and the kick comes after 100.
    SLOW = {"NS_PER_PAGE": 40000}
    START = ("vm", "slot=0,0,32", "vcpu")

    def kick(self, how, expected):
        result = self.run_vmm(*self.START, f"kick=0,{how}", "run=0", same=False, **self.SLOW)
        self.assertEqual(result.out.splitlines()[0], f"run 0: {expected}")
        self.assertEqual(result.merged, [(0, 32 * MIB)])
        return result

    def assert_soon(self, result):
        """Not by time, since this machine may be busy."""
        names = [call.what for call in result.calls]
        kicked, ran = names.index("kick"), names.index("run")
        # One may just have been about to start.
        self.assertLessEqual(ran - kicked - 1, 1)
        last = [call for call in result.calls[:ran] if call.what == "pre-fault"][-1]
        self.assertLess(int(last.rest[1], 16), MIB)

    def test_a_kick_comes_through(self):
        # The VMM looks at exit_reason, and a stale one would be emulated twice.
        for how, expected in (("exit", "-1 EINTR, immediate_exit 1, exit intr"),
                              ("mask", "-1 EINTR, immediate_exit 0, exit intr"),
                              # Its handler alone has to end KVM_RUN.
                              ("plain", "-1 EINTR, immediate_exit 0, exit intr")):
            with self.subTest(how):
                result = self.kick(how, expected)
                self.assert_soon(result)
                self.assertIn("kicks 1", result.err)

    def test_an_ignored_signal_is_no_kick(self):
        result = self.kick("ignored", "0 ENOTUNIQ, immediate_exit 0, exit io")
        self.assertIn("kicks 0", result.err)
        self.assertEqual([call.what for call in result.calls][-2:], ["run", "run"])

    def test_nothing_is_lost_when_two_are_kicked(self):
        result = self.run_vmm("vm", "slot=0,0,48", "vcpu", "vcpu", "kick-all", "kick=0,plain", "run=0", same=False,
                              NS_PER_PAGE=80000)
        self.assertEqual(result.merged, [(0, 48 * MIB)])
        self.assertIn("kicks 3", result.err)

    def test_a_kick_when_the_work_is_done(self):
        for how, given in (("plain", 0), ("exit", 1)):
            result = self.run_vmm(*self.START, f"handle={how}", "run=0", "run=0", KICK_STATS=2, same=False)
            lines = result.out.splitlines()
            self.assertEqual(lines[0], f"run 0: -1 EINTR, immediate_exit {given}, exit intr")
            self.assertIn("kicks 0", result.err)

    def test_no_eintr_for_what_another_thread_takes(self):
        # The turn ends for it, and that takes longer than for the other thread to take it.
        result = self.run_vmm(*self.START, "spare", "run=0", "run=0", same=False, KICK_PROCESS=20,
                              options=["--absent=read"], STATS=1000, STATS_WAIT=1, **self.SLOW)
        self.assertEqual(result.out, 2 * "run 0: 0 ENOTUNIQ, immediate_exit 0, exit io\n")
        self.assertIn("kicks 1", result.err)

    def test_the_mask_is_the_vmms_again(self):
        result = self.kick("plain", "-1 EINTR, immediate_exit 0, exit intr")
        self.assertEqual(result.masks, 2 * ["set", "none"])
        result = self.kick("mask", "-1 EINTR, immediate_exit 0, exit intr")
        self.assertEqual(result.masks, ["set"])

    def test_another_vcpu_goes_on(self):
        result = self.run_vmm("vm", "slot=0,0,32", "vcpu", "vcpu", "kick=0,exit", "run=1", same=False,
                              **self.SLOW)
        self.assertEqual(result.merged, [(0, 32 * MIB)])
        self.assertEqual(result.calls[-1].what, "run")
        self.assertIn("vCPUs 1, kicks 1", result.err)


class ProcessTest(Case):
    ACTIONS = ("vm", "slot=0,0,4", "vcpu", "run=0")
    ALL = [(0, 4 * MIB)]

    def test_off_switch(self):
        result = self.run_vmm(*self.ACTIONS, KVM_PREFAULT=0)
        self.assertEqual(result.merged, [])
        self.assert_lines(result, "off, as KVM_PREFAULT is 0")

    def preloaded(self, **environment):
        preload = f"{self.dir}/libkvm-prefault.so:{self.dir}/fake.so"
        return self.call(["env", f"LD_PRELOAD={preload}", *(f"{k}={v}" for k, v in environment.items()),
                          self.dir / "vmm", *self.ACTIONS])

    def test_without_the_launcher(self):
        self.assertEqual(self.preloaded().merged, self.ALL)
        self.assertEqual(self.preloaded(KVM_PREFAULT_OPTIONS="range=1M+1M").merged, [(MIB, 2 * MIB)])
        self.assertEqual(self.preloaded(KVM_PREFAULT=0).merged, [])
        wrong = self.preloaded(KVM_PREFAULT_OPTIONS="no-such=1")
        self.assertEqual(wrong.merged, [])
        self.assertIn("kvm-prefault: bad KVM_PREFAULT_OPTIONS", wrong.err)

    def test_static(self):
        result = self.run_vmm("sleep=1", vmm="static")
        self.assert_lines(result, "static is statically linked: nothing can be preloaded, the VMM runs as without")

    @unittest.skipUnless(os.getuid() == 0, "nobody but root can give a file away")
    def test_setuid(self):
        path = self.dir / "setuid"
        shutil.copy(self.dir / "vmm", path)
        os.chown(path, 12345, -1)
        path.chmod(0o4755)
        result = self.call([self.dir / "kvm-prefault", path])
        self.assert_lines(result, "setuid is setuid or setgid")
        self.assertEqual(result.status, 0)

    def test_not_this_architecture(self):
        path = self.dir / "foreign"
        path.write_bytes(b"\x7fELF\x01" + bytes(200))
        path.chmod(0o755)
        result = self.call([self.dir / "kvm-prefault", path])
        self.assertIn("is for another architecture", result.err)

    def test_script(self):
        path = self.dir / "script"
        path.write_text(f'#!/bin/sh\n{self.dir}/vmm "$@"\nexec {self.dir}/vmm exec\n')
        path.chmod(0o755)
        result = self.run_vmm(*self.ACTIONS, vmm="script", same=False)
        self.assertEqual(result.merged, self.ALL)

    def test_children(self):
        fake = f"preload={self.dir}/fake.so"
        result = self.run_vmm("exec", *self.ACTIONS, "exec", same=False)
        lines = [line for line in result.out.splitlines() if line.startswith("preload")]
        self.assertEqual(lines, [f"preload={self.dir}/libkvm-prefault.so:{self.dir}/fake.so", fake])

    def test_fork(self):
        result = self.run_vmm(*self.ACTIONS[:-1], "fork=exit", "run=0", options=["--report"])
        self.assertEqual(result.merged, self.ALL)
        self.assertEqual(result.err.count("at exit"), 1)
        # Before there is a VM, the child may become the VMM.
        self.assertEqual(self.run_vmm("fork=go", *self.ACTIONS).merged, self.ALL)
        # After that, the VM is the parent's.  Without the option the memory would be left out anyway.
        result = self.run_vmm(*self.ACTIONS[:-1], "fork=go", "run=0", options=["--absent=read"])
        self.assertEqual(result.merged, [])

    def test_report_of_a_vm_that_has_gone(self):
        result = self.run_vmm(*self.ACTIONS, "close=0", "closevm", "fork=exit", options=["--report"])
        self.assertEqual(result.err.count("at exit: 1 pass, 4 MiB pre-faulted in the last one"), 1)

    def test_descriptors(self):
        self.assertEqual(self.run_vmm(*self.ACTIONS[:-1], "dup=0", "run=0").merged, self.ALL)
        self.assertEqual(self.run_vmm(*self.ACTIONS[:-1], "closevm", "run=0").merged, self.ALL)
        result = self.run_vmm("vm", "slot=0,0,8", "vcpu", "close=0", "closevm", *self.ACTIONS[:-1], "run=1")
        self.assertEqual(result.merged, self.ALL)

    def test_close_in_a_signal_handler(self):
        # It may have interrupted malloc().
        self.assertEqual(self.run_vmm(*self.ACTIONS, "close=0", "close-in-handler").number("freed"), 0)

    def test_many_vms(self):
        again = ("vm", "slot=0,0,1", "vcpu")
        actions = [word for i in range(20) for word in (*again, f"run={i}", f"close={i}", "closevm")]
        result = self.run_vmm(*actions)
        self.assertEqual(result.err.count("pass 1: pre-faulted 1 of 1 MiB"), 20)

    def test_confined(self):
        actions = (*self.ACTIONS[:2], "confine", *self.ACTIONS[2:])
        result = self.run_vmm(*actions)
        self.assertEqual(result.merged, [])
        self.assert_lines(result, "about to use seccomp")
        self.assertEqual(self.run_vmm(*actions, options=["--confined"]).merged, self.ALL)

    def test_confined_later(self):
        result = self.run_vmm(*self.ACTIONS, "confine", "run=0")
        self.assert_lines(result, "pass 1", "about to use seccomp")

    def test_confined_helper(self):
        result = self.run_vmm("fork=confine", *self.ACTIONS[:-1], "fork=confine", "run=0")
        self.assertEqual(result.merged, self.ALL)
        self.assert_lines(result, "pass 1")
        result = self.run_vmm("confine", "sleep=1")
        self.assert_lines(result)

    def test_stderr_is_not_the_users_any_more(self):
        disk = self.dir / "disk"
        result = self.run_vmm(f"stderr={disk}", *self.ACTIONS)
        self.assertEqual(result.merged, self.ALL)
        self.assertEqual(disk.read_text(), "")
        disk.unlink()

    def test_no_stderr(self):
        output = self.dir / "only"
        self.run_vmm(*self.ACTIONS[:-1], "no-stderr", "run=0", "open=2", options=["-o", output])
        self.assertIn("pass 1: pre-faulted 4 of 4 MiB", output.read_text())

    def test_output(self):
        output = self.dir / "output"
        result = self.run_vmm(*self.ACTIONS, options=["-o", output])
        self.assertEqual(result.err, "")
        self.assertIn("pass 1: pre-faulted 4 of 4 MiB", output.read_text())
        self.assertEqual(self.run_vmm(*self.ACTIONS, options=["-q"]).err, "")

    def test_progress(self):
        # Its first character is a carriage return.
        self.assertRegex(self.run_vmm(*self.ACTIONS, options=["--progress=bar"]).err,
                         r"^\nkvm-prefault: \[#{40}\] 4 of 4 MiB\n")
        lines = self.run_vmm("vm", "slot=0,0,64", "vcpu", "run=0", NS_PER_PAGE=90000, same=False).err
        self.assertRegex(lines, r"^kvm-prefault: \d+ of 64 MiB\n")


class ReportTest(Case):
    ACTIONS = ("vm", "slot=0,0,4", "vcpu", "vcpu", "run=0")

    def test_numbers(self):
        result = self.run_vmm(*self.ACTIONS, options=["--report"], STATS=1000)
        self.assertIn("stage-2 entries made: 1024,", result.err)
        # The vCPU that had nothing left to do has taken 7, too.
        self.assertIn("at exit: stage-2 faults taken by the guest: 14", result.err)
        result = self.run_vmm(*self.ACTIONS, "close=0", "close=1", "closevm", options=["--report"], STATS=1000)
        self.assertIn("at exit: stage-2 faults taken by the guest: 14", result.err)

    def test_no_number_is_better_than_a_wrong_one(self):
        for fake in {"STATS": 0}, {"STATS": 1, "STATS_READS": 0}, {"STATS": 1, "STATS_READS": 1}:
            result = self.run_vmm("vm", "slot=0,0,4", "vcpu", "run=0", "run=0", "slot=1,0x1000000,4", **fake)
            self.assert_lines(result, "pass 1: pre-faulted 4 of 4 MiB")

    def test_entries_before_this_pass(self):
        # One read works, the other one of the second pass does not.
        result = self.run_vmm(*self.ACTIONS, "delete=0", "slot=0,0,4", "sleep=20", "run=0", STATS=1000,
                              STATS_READS=3, options=["--again", "--settle=10", "--absent=read"])
        self.assertEqual(result.err.count("stage-2 entries made"), 1)
        self.assertIn("pass 2", result.err)

    def test_a_vm_that_is_closed_is_not_asked(self):
        asked = self.run_vmm(*self.ACTIONS, STATS=1000).stats
        self.assertEqual(len(asked), 2)
        asked = self.run_vmm(*self.ACTIONS[:-1], "closevm", "run=0", STATS=1000).stats
        self.assertEqual(len(asked), 1)


class WhenTest(Case):
    ACTIONS = ("vm", "slot=0,0,4", "slot=1,0x1000000,1", "vcpu", "run=0")
    CHANGE = ("delete=1", "slot=1,0x2000000,1")
    ALL = [(0, 4 * MIB), (16 * MIB, 17 * MIB)]

    def setUp(self):
        shutil.copy(self.dir / "vmm", self.dir / "qemu-system-x86_64")

    def qemu(self, *arguments, actions=ACTIONS, options=()):
        return self.run_vmm(*arguments, "--", *actions, vmm="qemu-system-x86_64", options=options)

    def test_pays(self):
        for arguments in (["-incoming", "defer"], ["--loadvm", "x"], ["-machine", "microvm,accel=kvm"],
                          ["-M", "accel=kvm,type=microvm"]):
            with self.subTest(arguments):
                self.assertEqual(self.qemu(*arguments).merged, self.ALL)

    def test_does_not_pay(self):
        for arguments in ([], ["-machine", "q35"], ["-machine", "microvm", "-M", "pc"], ["-M", "microvmx"],
                          ["-M", "q35,xtype=microvm"]):
            with self.subTest(arguments):
                result = self.qemu(*arguments)
                self.assertEqual(result.merged, [])
                self.assert_lines(result, "not pre-faulting: the firmware")
        self.assertEqual(self.qemu(options=["--when=start"]).merged, self.ALL)
        result = self.run_vmm(*self.ACTIONS, options=["--when=never"])
        self.assertEqual(result.merged, [])
        self.assert_lines(result, "not pre-faulting: as told by --when")

    def test_settled(self):
        # Counted from the first run, the third one is late enough.
        actions = (*self.ACTIONS, "sleep=500", *self.CHANGE, "run=0", "sleep=500", "run=0", "sleep=500", "run=0")
        for option in ("--again", "--when=settled"):
            result = self.qemu(actions=actions, options=[option, "--settle=800"])
            self.assertEqual(result.merged, [(0, 4 * MIB), (32 * MIB, 33 * MIB)])
            names = [call.what for call in result.calls]
            self.assertEqual(names[:4], ["run", "run", "run", "pre-fault"])

    def test_again(self):
        change = (*self.CHANGE, "run=0", "sleep=120", "run=0")
        actions = (*self.ACTIONS, *change, "delete=1", "run=0", "sleep=120", "run=0")
        once = self.run_vmm(*actions, options=["--settle=100"])
        self.assertEqual(once.merged, self.ALL)
        for option, passes in (("--again", 2), ("--again=2", 3)):
            result = self.run_vmm(*actions, options=[option, "--settle=100", "--report"])
            self.assertEqual(result.err.count(": pass "), passes)
            self.assertIn(f"at exit: {passes} passes", result.err)
        self.assertNotIn("deleted or moved", result.err)

    def test_thrown_away(self):
        result = self.run_vmm(*self.ACTIONS, *self.CHANGE, "run=0", options=["--report"])
        self.assertIn("memslots deleted or moved since the pass started: 1", result.err)


class LauncherTest(Case):
    def status(self, *arguments):
        return self.call([self.dir / "kvm-prefault", *arguments]).status

    def test_status(self):
        self.assertEqual(self.status("/no/such/vmm"), 127)
        self.assertEqual(self.status("no-such-vmm"), 127)
        self.assertEqual(self.status("/dev/null"), 126)
        self.assertEqual(self.status("sh", "-c", "exit 7"), 7)
        self.assertEqual(self.status("--help"), 0)

    def test_usage(self):
        for wrong in ([], ["--no-such"], ["--when=soon", "true"], ["--range=5", "true"], ["--range=2-1", "true"],
                      ["--range=0+0", "true"], ["--range=-1+2", "true"], ["--threads=x", "true"],
                      ["--range=0xffffffffffffffff+2", "true"], ["--slots-over=1,quiet=1", "true"],
                      ["--slots-over=999999999T", "true"], ["--output=" + 300 * "x", "true"]):
            with self.subTest(wrong):
                self.assertEqual(self.status(*wrong), 2)


if __name__ == "__main__":
    unittest.main()
