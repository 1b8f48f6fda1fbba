# SPDX-License-Identifier: GPL-2.0-only
"""Work side by side: the first failure is told, and ends the rest."""

import os
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parents[1]),
                str(Path(__file__).resolve().parents[2])]

from hostlib import parallel  # noqa: E402

FOREVER = ("sleep", "infinity")


class Parallel(unittest.TestCase):
    def setUp(self):
        self.started = threading.Event()
        self.ended_with = None
        self.giving_up = threading.Event()
        self.told = None

    def _wait_for_child(self):
        with subprocess.Popen(FOREVER) as child:
            self.started.set()
            self.ended_with = child.wait()
        self.told = self.giving_up.is_set()
        raise RuntimeError("the child has failed")

    def test_nothing_to_do(self):
        parallel.run([])

    def test_all_at_the_same_time(self):
        meet = threading.Barrier(2, timeout=60)
        parallel.run([meet.wait, meet.wait])

    def test_a_failure_ends_the_others_and_is_what_is_told(self):
        def fail():
            self.started.wait()
            raise LookupError("the first")

        with self.assertRaisesRegex(LookupError, "the first"):
            parallel.run([self._wait_for_child, fail], self.giving_up)
        self.assertEqual(self.ended_with, -signal.SIGTERM)
        self.assertTrue(self.told)

    def test_an_interrupt_ends_all(self):
        def interrupt():
            self.started.wait()
            os.kill(os.getpid(), signal.SIGINT)

        # A script that starts us in the background has it ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        with self.assertRaises(KeyboardInterrupt):
            parallel.run([self._wait_for_child, interrupt])
        self.assertEqual(self.ended_with, -signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
