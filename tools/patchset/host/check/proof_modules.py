# SPDX-License-Identifier: GPL-2.0-only
"""A real boot in which a module is in use to the end, which must make the run fail."""

import unittest

from test_boots import run_fakes

IN_USE = ("FAIL .*: modules: unload kvm Resource temporarily unavailable, "
          "instead of")


class BusyModuleTest(unittest.TestCase):
    def test_busy_module(self):
        done = run_fakes("--test", "busy_module")
        self.assertRegex(done.stdout, IN_USE)
        self.assertEqual(done.returncode, 1, done.stdout)


if __name__ == "__main__":
    unittest.main()
