# SPDX-License-Identifier: GPL-2.0-only
"""Tests that need no machine: what of them is printed."""

import os
import sys
import tempfile
import time
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import local, project, verdict  # noqa: E402

LOOK = "patchset: 6.1.9-1: look at the stock code: virt/a.c: f: is not as it was"


def ended(state):
    """Whether a process has, or nobody but init is left to see it."""
    try:
        with open(state, encoding="ascii") as source:
            return source.read().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Local(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        patched = mock.patch.dict(os.environ, {"HOST_BUILD": scratch.name})
        patched.start()
        self.addCleanup(patched.stop)

    def ran(self, script, timeout=10):
        test = mock.Mock(kind="command", program="sh", args=("-c", script),
                         timeout=timeout)
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

    def test_nothing_of_it_is_left(self):
        """Whether it is too late, or ends by itself."""
        for end in ("sleep 60", "exit 0"):
            with self.subTest(end):
                child = project.under("child")
                started = time.monotonic()
                self.ran(f"sleep 60 & echo $! > {child}; {end}", timeout=1)
                self.assertLess(time.monotonic() - started, 30)
                with open(child, encoding="ascii") as written:
                    state = f"/proc/{written.read().strip()}/stat"
                # What has been killed may take a while.
                while not ended(state):
                    self.assertLess(time.monotonic() - started, 30, state)
                    time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
