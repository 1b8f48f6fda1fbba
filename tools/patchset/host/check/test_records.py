# SPDX-License-Identifier: GPL-2.0-only
"""What passed counts as long as nothing has changed that it depends on."""

import os
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
        self.trees = {".": "tree", records.CODE: "code"}
        self.offered = ["6.1.8-1"]
        for patched in (
                mock.patch.dict(os.environ, {"HOST_BUILD": scratch.name}),
                mock.patch.object(project, "digest_tree",
                                  lambda below=".": self.trees[below]),
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
                       lambda: self.trees.update({".": "another"})):
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
                          lambda: self.trees.update({records.CODE: "other"}),
                          False)
        self.assertCounts(entry, {host.name: host},
                          lambda: self.trees.update({".": "other"}), True)

    def test_with_a_tool(self):
        host = stanza.load_hosts(stanza.HOSTS)["x86-npt-qemu"]
        test = mock.Mock(**{**TEST, "tool": "tools/some"})
        for name in ("x86_64/arch/x86/boot/bzImage", "selftests/x86_64/kvm/t",
                     "selftests/x86_64/host/init",
                     "selftests/x86_64/tools/some/tree/opt/bin/some"):
            self.write(name, "one")
        self.assertCounts(stanza.Entry(test, host.name, 1, False),
                          {host.name: host}, lambda: self.write(
                              "selftests/x86_64/tools/some/tree/opt/bin/some",
                              "another"), False)


if __name__ == "__main__":
    unittest.main()
