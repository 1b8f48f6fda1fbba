# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the demos with QEMU."""

import os
import sys
import unittest

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import demo_boot, demo_restore, qemu_guests  # noqa: E402

VALUES = {"supported": "1", "memory_mib": "256", "touched_mib": "192",
          "restore.faults": "50000", "restore.ns": "200000000",
          "restore.guest_ns": "160000000", "pc.faults": "7",
          "pc.ns": "30000000"}
RESTORED = qemu_guests.Run(50000, 200000000, 160000000)
SPARED = qemu_guests.Run(5, 20000000, 4915200)


def guests(**runs):
    return qemu_guests.Guests(256, 192, runs)


class GuestsTest(unittest.TestCase):
    def test_values(self):
        found = qemu_guests.Guests.of(VALUES, ("restore", "pc"))
        self.assertEqual(found, guests(
            restore=RESTORED, pc=qemu_guests.Run(7, 30000000, None)))
        self.assertEqual(found.pages, 49152)


class RestoreTest(unittest.TestCase):
    def rows(self):
        text = demo_restore.table(
            "6.1", guests(restore=RESTORED),
            guests(restore=RESTORED, restore_wrapped=SPARED))
        return {line[:33].strip(): line[33:].split()
                for line in text.splitlines()}

    def test_rows(self):
        rows = self.rows()
        self.assertEqual(rows["stage-2 faults taken"],
                         ["50,000", "50,000", "5"])
        self.assertEqual(rows["the guest's pass"], ["160.0", "160.0", "4.9"])
        self.assertEqual(rows["all else, pre-fault above all"],
                         ["40.0", "40.0", "15.1"])
        self.assertEqual(rows["together"], ["200.0", "200.0", "20.0"])
        self.assertEqual(rows["the pass, ns per page"],
                         ["3,255.2", "3,255.2", "100.0"])

    def test_what_was_gained(self):
        text = demo_restore.conclusion(RESTORED, SPARED)
        self.assertIn("spares the guest 49,995 of 50,000 faults", text)
        self.assertIn("90 % less time", text)

    def test_what_was_lost(self):
        text = demo_restore.conclusion(
            RESTORED, qemu_guests.Run(50000, 220000000, 1))
        self.assertIn("spares the guest 0 of 50,000 faults", text)
        self.assertIn("10 % more time", text)


class BootTest(unittest.TestCase):
    def test_each_run_beside_the_first_of_its_group(self):
        runs = {name: qemu_guests.Run(number, number * 1000000, None)
                for number, name in enumerate(demo_boot.MEASURED, 1)}
        text = demo_boot.table("6.1", guests(**runs))
        rows = [line.split() for line in text.splitlines()]
        self.assertIn(["as", "it", "is", "1", "1.0"], rows)
        self.assertIn(["kvm-prefault", "2", "2.0", "+100", "%"], rows)
        self.assertIn(["kvm-prefault", "-p", "6", "6.0", "+20", "%"], rows)

    def test_what_is_measured_is_what_the_program_knows(self):
        with open(os.path.join(HOST, "restore", "main.c"),
                  encoding="utf-8") as source:
            text = source.read()
        for name in (*demo_boot.MEASURED, demo_restore.PLAIN,
                     demo_restore.WRAPPED):
            self.assertIn(f'.name = "{name}",', text)


if __name__ == "__main__":
    unittest.main()
