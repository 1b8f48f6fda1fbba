# SPDX-License-Identifier: GPL-2.0-only
"""The tables: what is accepted, what a run selects, what shares a boot."""

import os
import sys
import tempfile
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import stanza  # noqa: E402

HOSTS = """\
[one]
emulator = qemu
flavour = normal
cpu = max
cpus = 1
memory = 512
disk =
root =
modules =
cmdline =
boot = 60
slow = 1
boots = 2

[two]
like = one
flavour = stock
cmdline = a=b
"""

TESTS = """\
[units]
kind = unittest
program = check
default = here

[a]
default = one:10
full = two:10

[b]
default = one:30

[c]
class = crash
default = one:5

[d]
full = two:1
"""

SHOWS = """\
[a]
default = one two
stock = 9: x y
    10: z on two

[b]
default = one

[c]
class = argued
stock = 15:
why = because
"""


class Tables(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def hosts(self, text=HOSTS):
        return stanza.load_hosts(self.file("hosts.ini", text))

    def rows(self, text=TESTS):
        return stanza.load_tests(self.file("tests.ini", text), self.hosts())

    def assertRefused(self, text, message):
        with self.assertRaisesRegex(stanza.TableError, message):
            self.rows(text)


class HostTest(Tables):
    def test_like(self):
        two = self.hosts()["two"]
        self.assertEqual((two.emulator, two.flavour, two.cmdline),
                         ("qemu", "stock", "a=b"))

    def test_unknown_key(self):
        with self.assertRaisesRegex(stanza.TableError, "unknown key x"):
            self.hosts(HOSTS + "x = 1\n")

    def test_unknown_flavour(self):
        with self.assertRaisesRegex(stanza.TableError, "none of"):
            self.hosts(HOSTS.replace("stock", "shiny"))

    def test_flavour_of_another_architecture(self):
        with self.assertRaisesRegex(stanza.TableError, "x86_64-4k.config"):
            self.hosts(HOSTS.replace("stock", "4k"))
        self.assertRefused("[a]\ndefault = one\nneeds = 4k\n",
                           "x86_64-4k.config")

    def test_cores(self):
        entries, _ = self.rows("[a]\nkind = command\ndefault = here\n"
                                "cores = all\n[b]\ndefault = one\n")
        self.assertEqual([entry.test.cores for entry in entries],
                         [stanza.ALL, stanza.ONE])
        self.assertRefused("[a]\ndefault = one\ncores = all\n", "none of one")

    def test_stock_and_leak_scan(self):
        for flavour, expected in (("stock-debug", (True, True)),
                                  ("kcsan", (False, False))):
            two = self.hosts(HOSTS.replace("stock", flavour))["two"]
            self.assertEqual((two.stock, two.leak_scan), expected)

    def test_modules(self):
        two = self.hosts(HOSTS.replace("= stock", "= modules\nmodules = b a"))
        self.assertEqual([(host.modules, host.leak_scan)
                          for host in two.values()],
                         [((), False), (("b", "a"), True)])

    def test_modules_of_another_flavour(self):
        for text, message in ((HOSTS + "modules = a\n", "stock has no modules"),
                              (HOSTS.replace("stock", "modules"),
                               "modules without modules")):
            with self.assertRaisesRegex(stanza.TableError, message):
                self.hosts(text)

    def test_missing_key(self):
        with self.assertRaisesRegex(stanza.TableError, "no memory"):
            self.hosts(HOSTS.replace("memory = 512\n", ""))

    def test_bad_number(self):
        with self.assertRaisesRegex(stanza.TableError, "not a number"):
            self.hosts(HOSTS.replace("512", "much"))

    def test_disk(self):
        hosts = self.hosts(HOSTS + "disk = dash qemu-system-x86\n")
        self.assertEqual([host.disk for host in hosts.values()],
                         [(), ("dash", "qemu-system-x86")])

    def test_another_disk_is_another_machine(self):
        one = self.hosts(HOSTS.replace("disk =", "disk = dash"))["one"]
        self.assertNotEqual(one.machine, self.hosts()["one"].machine)

    def test_root(self):
        hosts = self.hosts(HOSTS + "root = small\n")
        self.assertEqual([host.root for host in hosts.values()],
                         ["", "small"])

    def test_root_of_what_is_not_packaged(self):
        with self.assertRaisesRegex(stanza.TableError, "'huge' is none of"):
            self.hosts(HOSTS + "root = huge\n")

    def test_root_beside_a_disk(self):
        with self.assertRaisesRegex(stanza.TableError, "a disk beside a root"):
            self.hosts(HOSTS + "root = small\ndisk = dash\n")

    def test_root_of_another_emulator(self):
        with self.assertRaisesRegex(stanza.TableError, "'powernv' is none of"):
            self.hosts(HOSTS + "root = small\nemulator = powernv\n")

    def test_the_real_table(self):
        stanza.load_hosts(stanza.HOSTS)


class TestTest(Tables):
    def test_unknown_host(self):
        self.assertRefused("[a]\ndefault = three\n", "unknown host three")

    def test_unknown_key(self):
        self.assertRefused("[a]\ndefualt = one\n", "unknown key defualt")

    def test_guest_of_an_architecture_without(self):
        with mock.patch.object(stanza, "CONFIGS", self.directory):
            self.file("x86_64.config", "")
            self.file("x86_64-stock.config", "")
            self.assertRefused("[a]\ndefault = one\nguest = churn.c\n",
                               "x86_64-guest.config")

    def test_tool_without_its_libraries(self):
        self.assertRefused("[a]\ndefault = one\ntool = tools/kvm/t\n",
                           "libraries on a disk, not one")

    def test_runs_nowhere(self):
        self.assertRefused("[a]\nkind = tap\n", "somewhere")

    def test_host_named_twice(self):
        self.assertRefused("[a]\ndefault = one\nfull = one\n", "twice")

    def test_command_in_a_machine(self):
        self.assertRefused("[a]\nkind = command\ndefault = one\n", "cannot")

    def test_argued_says_why(self):
        self.assertRefused("[a]\nclass = argued\n", "no why")
        rows, argued = self.rows("[a]\nclass = argued\nwhy = because\n")
        self.assertEqual((rows, argued[0].why), ([], "because"))

    def test_skip_is_allowed_on_its_host_only(self):
        rows, _ = self.rows("[a]\ndefault = one two\n"
                            "skip = two no luck\n")
        self.assertEqual([row.test.allowed_skip(row.host) for row in rows],
                         [None, "no luck"])

    def test_skips_of_two_hosts(self):
        rows, _ = self.rows("[a]\ndefault = one\n"
                            "skip = one no luck\n  two no will\n")
        self.assertEqual(rows[0].test.skips,
                         (("one", "no luck"), ("two", "no will")))

    def test_skip_on_unknown_host(self):
        self.assertRefused("[a]\ndefault = one\nskip = no luck\n",
                           "skip on unknown host no")

    def test_skip_of_nothing(self):
        self.assertRefused("[a]\ndefault = one\nskip = one\n", "of what")

    def test_shows(self):
        rows, argued = self.rows(SHOWS)
        self.assertEqual([(shown.defect, shown.cases, shown.on("two"),
                           shown.on("three")) for shown in rows[0].test.shows],
                         [("9", ("x", "y"), True, True),
                          ("10", ("z",), True, False)])
        self.assertEqual((rows[2].test.shows, argued[0].shows[0].cases),
                         ((), ()))

    def test_shows_nonsense(self):
        for line, message in (("9 x", "is not DEFECT"),
                              ("nine: x", "unknown defect nine"),
                              ("9:", "no cases"),
                              ("9: x on one", "one is no host with the stock"),
                              ("9: x on six", "six is no host with the stock")):
            with self.subTest(line):
                self.assertRefused(f"[a]\ndefault = one\nstock = {line}\n",
                                   message)

    def test_no_such_file(self):
        with self.assertRaises(stanza.TableError):
            stanza.load_tests("/nonexistent", {})

    def test_the_real_table(self):
        stanza.load_tests(stanza.TESTS, stanza.load_hosts(stanza.HOSTS))


class SelectTest(Tables):
    def names(self, **wanted):
        return [entry.name for entry in
                stanza.select(self.rows()[0], **wanted)]

    def test_default(self):
        self.assertEqual(self.names(), ["here units", "one a", "one b",
                                        "one c"])

    def test_full(self):
        self.assertEqual(len(self.names(full=True)), 6)

    def test_one_test(self):
        self.assertEqual(self.names(test="a"), ["one a"])

    def test_one_test_that_is_full(self):
        self.assertEqual(self.names(test="d"), ["two d"])

    def test_one_host_that_is_full(self):
        self.assertEqual(self.names(host="two"), ["two a", "two d"])

    def test_test_and_host(self):
        self.assertEqual(self.names(test="a", host="two"), ["two a"])


class ComparedTest(Tables):
    def names(self, hosts):
        rows, _ = stanza.load_tests(self.file("tests.ini", SHOWS), hosts)
        return [entry.name for entry in stanza.compared(rows, hosts)]

    def test_same_machine(self):
        self.assertEqual(self.names(self.hosts(HOSTS.replace("a=b", ""))),
                         ["one a", "two a"])

    def test_another_machine(self):
        self.assertEqual(self.names(self.hosts()), ["two a"])

    def test_no_stock_host(self):
        hosts = self.hosts(HOSTS)
        rows, _ = stanza.load_tests(self.file("tests.ini", SHOWS), hosts)
        self.assertEqual(stanza.compared(
            [row for row in rows if row.host == "one"], hosts), [])


class BootTest(Tables):
    def boots(self):
        return [[entry.name for entry in part] for part in
                stanza.boots(self.rows()[0], self.hosts())]

    def test_the_longest_first(self):
        self.assertEqual(self.boots(), [["one b"], ["one a", "one c"],
                                        ["two a"], ["two d"]])

    def test_alone_on_stock(self):
        for klass in ("race", "crash"):
            rows, _ = self.rows(
                f"[a]\nclass = {klass}\ndefault = one:9\nfull = two:9\n"
                "[b]\ndefault = one:1\nfull = two:1\n"
                "[c]\ndefault = one:1\n")
            self.assertEqual([[entry.name for entry in part] for part in
                              stanza.boots(rows, self.hosts())],
                             [["one a"], ["two a"], ["one b", "one c"],
                              ["two b"]])


if __name__ == "__main__":
    unittest.main()
