# SPDX-License-Identifier: GPL-2.0-only
"""Tests that need no machine: what of them is printed, and what is kept."""

import os
import sys
import tempfile
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import local, project, records, stanza, verdict  # noqa: E402

LOOK = "patchset: 6.1.9-1: look at the stock code: virt/a.c: f: is not as it was"


class Local(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        patched = mock.patch.dict(os.environ, {"HOST_BUILD": scratch.name})
        patched.start()
        self.addCleanup(patched.stop)

    def ran(self, script):
        test = mock.Mock(kind="command", program="sh", args=("-c", script),
                         timeout=10)
        test.name = "t"
        return local.run(test)[:2]

    def test_what_is_to_be_looked_at_is_seen(self):
        self.assertEqual(self.ran("echo patchset: all is well"),
                         (verdict.PASS, ""))
        self.assertEqual(self.ran(f"echo '{LOOK}'"),
                         (verdict.PASS, LOOK.removeprefix("patchset: ")))
        self.assertTrue(self.ran(f"echo '{LOOK}'; echo '{LOOK}'")[1]
                        .endswith(", and 1 more"))
        self.assertEqual(self.ran(f"echo '{LOOK}'; exit 3"),
                         (verdict.FAIL, "exit status 3"))

    @mock.patch.object(project, "digest_tree", lambda: "tree")
    def test_a_pass_of_other_versions_does_not_count(self):
        entry = stanza.Entry(mock.Mock(guest=""), stanza.HERE, 1, False)
        with mock.patch.object(records.apt, "offered") as offered:
            offered.return_value = ["6.1.8-1"]
            records.Passed({}).add(entry)
            self.assertIn(entry, records.Passed({}))
            offered.return_value = ["6.1.9-1", "6.1.8-1"]
            self.assertNotIn(entry, records.Passed({}))
            records.Passed({}).add(entry)
            with open(project.under("version"), "w", encoding="utf-8") as file:
                file.write("6.1.9-1\n")
            self.assertNotIn(entry, records.Passed({}))


if __name__ == "__main__":
    unittest.main()
