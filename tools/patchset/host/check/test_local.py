# SPDX-License-Identifier: GPL-2.0-only
"""Tests that need no machine: what of them is printed."""

import os
import sys
import tempfile
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import local, verdict  # noqa: E402

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


if __name__ == "__main__":
    unittest.main()
