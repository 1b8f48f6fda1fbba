# SPDX-License-Identifier: GPL-2.0-only
"""Has spin go through all states of the model of change maps, as it is and broken."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

MODEL = Path(__file__).with_name("change_map.pml")
# MiB that the checker may take, and a search in breadth: short ways to an error, no limit of depth.
CHECKER = ("-O2", "-w", "-DSAFETY", "-DBFS", "-DMEMLIM=3000")
# 2^26 places of its hash table, 512 MiB of these, as there are millions of states.
TABLE = "-w26"


def breakages():
    """What the comment at the top of the model lists."""
    return re.findall(r"^ \*\t([A-Z_]+)\t", MODEL.read_text(), re.M)


def check(*defines):
    """What the checker of the model says in the end."""
    with tempfile.TemporaryDirectory() as directory:
        for command in (["spin", *(f"-D{name}" for name in defines), "-a", MODEL],
                        ["gcc", *CHECKER, "-o", "pan", "pan.c"], ["./pan", TABLE]):
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
            if done.returncode:
                raise AssertionError(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


class Model(unittest.TestCase):
    def holds(self, *defines):
        said = check(*defines)
        self.assertIn("errors: 0\n", said)
        self.assertNotRegex(said, "(?i)truncated|out of memory|depth too small|search not completed")
        self.assertEqual(set(re.findall(r'state \d+, "(.*)"', said)), {"-end-"}, "unreached")

    def test_holds_with_a_register(self):
        self.holds()

    def test_holds_with_looks_without_a_lock(self):
        self.holds("PEEK")

    def test_a_look_needs_the_release(self):
        self.assertIn("assertion violated", check("PEEK", "RELAXED_MARK"))


def finds(breakage):
    def test(self):
        said = check(breakage)
        self.assertIn("assertion violated", said)
        self.assertIn("errors: 1\n", said)
    return test


for name in breakages():
    setattr(Model, f"test_finds_{name.lower()}", finds(name))


if __name__ == "__main__":
    unittest.main()
