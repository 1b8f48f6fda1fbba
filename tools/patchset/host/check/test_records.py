# SPDX-License-Identifier: GPL-2.0-only
"""What passed counts as long as nothing has changed that it depends on."""

import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import project, records, stanza  # noqa: E402

MODULES = ("virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko",
           "arch/x86/kvm/kvm-amd.ko")
TEST = {"program": "t", "guest": "", "tool": ""}


class Records(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.tree = "tree"
        self.offered = ["6.1.8-1"]
        for patched in (
                mock.patch.dict(os.environ, {"HOST_BUILD": scratch.name}),
                mock.patch.object(project, "digest_tree",
                                  lambda: self.tree),
                mock.patch.object(records.apt, "offered",
                                  lambda _: self.offered)):
            patched.start()
            self.addCleanup(patched.stop)

    def write(self, name, text):
        path = project.under(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def assertCounts(self, entry, hosts, change, counts):
        """A pass, if something changes after it."""
        records.Passed(hosts).add(entry)
        self.assertIn(entry, records.Passed(hosts))
        change()
        self.assertEqual(entry in records.Passed(hosts), counts)

    def test_without_a_machine(self):
        entry = stanza.Entry(mock.Mock(**TEST), stanza.HERE, 1, False)
        for change in (lambda: self.offered.insert(0, "6.1.9-1"),
                       lambda: self.write("version", "6.1.9-1\n"),
                       lambda: setattr(self, "tree", "another")):
            self.assertCounts(entry, {}, change, False)

    def test_in_a_machine(self):
        host = stanza.load_hosts(stanza.HOSTS)["x86-npt-modules"]
        test = mock.Mock(**{**TEST, "guest": "guest.c"})
        entry = stanza.Entry(test, host.name, 1, False)
        self.write("x86_64-modules/modules.order", "\n".join(MODULES))
        used = ("x86_64-guest/arch/x86/boot/bzImage",
                "x86_64-modules/arch/x86/boot/bzImage",
                *(f"x86_64-modules/{name}" for name in MODULES),
                "selftests/x86_64/kvm/t", "selftests/x86_64/host/init",
                "selftests/x86_64/host/guest")
        for name in used:
            self.write(name, "one")
        for name in used:
            with self.subTest(name):
                self.assertCounts(entry, {host.name: host},
                                  lambda name=name: self.write(name, "another"),
                                  False)
        self.assertCounts(entry, {host.name: host},
                          lambda: setattr(self, "tree", "another"), True)

    def test_code(self):
        """What runs this machine counts, not what runs others, or reports."""
        hosts = stanza.load_hosts(stanza.HOSTS)
        for name in ("x86_64/arch/x86/boot/bzImage", "powerpc/vmlinux",
                     *(f"selftests/{arch}/{program}"
                       for arch in ("x86_64", "powerpc")
                       for program in ("kvm/t", "host/init"))):
            self.write(name, "one")
        code = project.under("code")
        shutil.copytree(os.path.join(project.HOST, "hostlib"),
                        os.path.join(code, "hostlib"))
        for host, name, counts in (
                ("x86-npt", "qemu", False), ("x86-npt", "verdict", False),
                ("x86-npt", "bochs", True), ("x86-npt", "report", True),
                ("x86-ept", "bochs", False), ("x86-ept", "qemu", True),
                ("ppc-p9", "powernv", False), ("ppc-p9", "qemu", False)):
            entry = stanza.Entry(mock.Mock(**TEST), host, 1, False)
            with (self.subTest(host=host, name=name),
                  mock.patch.object(project, "HOST", code)):
                self.assertCounts(entry, hosts, lambda name=name: self.write(
                    f"code/hostlib/{name}.py", f"{host} {name}"), counts)

    def test_tree_that_changes_meanwhile(self):
        entry = stanza.Entry(mock.Mock(**TEST), stanza.HERE, 1, False)
        passed = records.Passed({})
        self.tree = "another"
        passed.add(entry)
        self.assertNotIn(entry, records.Passed({}))
        self.tree = "tree"
        self.assertNotIn(entry, records.Passed({}))

    def test_disk_and_tool(self):
        host = stanza.load_hosts(stanza.HOSTS)["x86-npt-qemu"]
        test = mock.Mock(**{**TEST, "tool": "tools/some"})
        image = mock.patch.object(records.disk, "of",
                                  lambda _: project.under("image"))
        image.start()
        self.addCleanup(image.stop)
        for name in ("x86_64/arch/x86/boot/bzImage", "selftests/x86_64/kvm/t",
                     "selftests/x86_64/host/init",
                     "selftests/x86_64/tools/some/tree/opt/bin/some", "image"):
            self.write(name, "one")
        for name in ("selftests/x86_64/tools/some/tree/opt/bin/some", "image"):
            self.assertCounts(stanza.Entry(test, host.name, 1, False),
                              {host.name: host},
                              lambda name=name: self.write(name, "another"),
                              False)


if __name__ == "__main__":
    unittest.main()
