# SPDX-License-Identifier: GPL-2.0-only
"""What the tools for users install, and that their manuals are right."""
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

KVM = Path(__file__).resolve().parents[2] / "kvm"
TOOLS = {"kvm-prefault": KVM / "prefault", "pre-fault-demo": KVM / "pre-fault-demo"}
FILES = ["bin/kvm-prefault", "bin/pre-fault-demo", "include/kvm-prefault/pre-fault.h",
         "lib/kvm-prefault/libkvm-prefault.so", "share/man/man1/kvm-prefault.1", "share/man/man1/pre-fault-demo.1"]


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.local = Path(scratch.name) / "root/usr/local"
        for name, directory in TOOLS.items():
            made = Path(scratch.name) / name
            made.mkdir()
            subprocess.run(["make", "--silent", "-C", directory, f"OUTPUT={made}/",
                            f"DESTDIR={scratch.name}/root", "install"],
                           check=True, env={**os.environ, "MAKEFLAGS": ""}, stdout=subprocess.DEVNULL)

    def manual(self, name):
        return self.local / "share/man/man1" / f"{name}.1"

    def test_files(self):
        found = sorted(str(path.relative_to(self.local)) for path in self.local.rglob("*") if path.is_file())
        self.assertEqual(found, FILES)

    def test_help_and_manual_have_the_same_options(self):
        for name in TOOLS:
            with self.subTest(name):
                shown = subprocess.run([self.local / "bin" / name, "--help"], check=True, text=True,
                                       capture_output=True)
                described = re.findall(r"^\.It .*Fl Fl ([a-z-]+)", self.manual(name).read_text(), re.M)
                self.assertEqual({*re.findall(r"--([a-z-]+)", shown.stdout)}, {*described})

    def test_manuals_are_well_formed(self):
        # They name each other.
        places = {**os.environ, "MANPATH": f":{self.local}/share/man"}
        for name in TOOLS:
            with self.subTest(name):
                lint = subprocess.run(["mandoc", "-Tlint", "-Wstyle", self.manual(name)],
                                      capture_output=True, text=True, env=places)
                self.assertEqual((lint.returncode, lint.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
