# SPDX-License-Identifier: GPL-2.0-only
"""What an output begins with that is like another one, without a compiler."""
import os
import shutil
import unittest

import fake
from lib import kernel, reuse

# By ccache, dependencies are named from the output.
COMMAND = "cmd_a.o := gcc -I{tree}/include -o a.o {tree}/a.c\n\ndeps_a.o := \\\n  {header} \\\n"


class Begin(fake.TestCase):
    def setUp(self):
        super().setUp()
        self.stock = self.base.out / "pristine/src"
        for name in ("a.c", "same.h", "touched.h"):
            fake.write(self.stock / name, name)
        shutil.copytree(self.stock, self.base.src)
        fake.write(self.base.src / "new.h", "")
        os.utime(self.base.src / "touched.h", (1, 1))
        self.like = self.base.out / "x86_64"
        for name in (".config", "vmlinux"):
            fake.write(self.like / name, name)

    def made(self, name, header):
        fake.write(self.like / name, "object")
        fake.write(self.like / f".{name}.cmd", COMMAND.format(tree=self.base.src, header=header))

    def begin(self, source, name="x86_64"):
        out = source.parent / "x86_64-new"
        reuse.begin(self.base, kernel.Build("x86_64", source, out, self.top / "log"), name)
        return out

    def test_commands_name_the_new_place_and_the_other_tree(self):
        self.made("a.o", "../src/same.h")
        fake.write(self.like / ".tool.cmd", f"cmd_tool := gcc -o {self.like}/tool\n")
        out = self.begin(self.stock)
        self.assertEqual((out / "a.o").read_text(), "object")
        self.assertEqual((out / ".a.o.cmd").read_text(), COMMAND.format(tree=self.stock, header="../src/same.h"))
        self.assertIn(f"-o {out}/tool", (out / ".tool.cmd").read_text())

    def test_what_is_of_a_file_that_differs_is_left_out(self):
        headers = {"absolute.o": self.base.src / "touched.h", "relative.o": "../src/touched.h",
                   "gone.o": "../src/new.h", "kept.o": "../src/same.h"}
        for name, header in headers.items():
            self.made(name, header)
        out = self.begin(self.stock)
        self.assertEqual([path.name for path in out.glob("*.o")], ["kept.o"])
        self.assertEqual([path.name for path in out.glob(".*.cmd")], [".kept.o.cmd"])

    def test_what_is_of_a_source_that_differs_is_left_out(self):
        os.utime(self.base.src / "a.c", (1, 1))
        self.made("a.o", "../src/same.h")
        self.assertEqual(list(self.begin(self.stock).glob("*.o")), [])

    def test_nothing_looks_like_the_new_kernel(self):
        products = ("arch/x86/boot/bzImage", "Module.symvers", "modules.order", "drivers/x.ko", "debian/control")
        for name in products:
            fake.write(self.like / name, "")
        out = self.begin(self.base.src)
        self.assertEqual([name for name in (*products, "vmlinux") if (out / name).exists()], [])
        self.assertTrue((out / ".config").is_file())

    def test_an_empty_directory_and_what_an_interrupted_copy_left(self):
        for name in ("x86_64-new", "x86_64-new.part"):
            (self.stock.parent / name).mkdir()
        fake.write(self.stock.parent / "x86_64-new.part/old.o", "")
        self.assertFalse((self.begin(self.stock) / "old.o").exists())

    def test_an_output_that_is_a_link(self):
        self.made("a.o", "../src/same.h")
        self.like.rename(self.top / "elsewhere")
        self.like.symlink_to(self.top / "elsewhere")
        self.assertTrue((self.begin(self.base.src) / "a.o").is_file())
        self.assertTrue((self.top / "elsewhere/vmlinux").is_file())

    def test_all_is_kept_for_the_same_tree(self):
        self.made("a.o", "../src/touched.h")
        self.assertTrue((self.begin(self.base.src) / "a.o").is_file())

    def test_times_are_kept(self):
        self.made("a.o", "../src/same.h")
        os.utime(self.like / "a.o", (5, 5))
        self.assertEqual((self.begin(self.stock) / "a.o").stat().st_mtime, 5)

    def test_an_output_that_there_is_goes_on(self):
        fake.write(self.base.out / "x86_64-new/.config.wanted", "own")
        self.assertEqual([path.name for path in self.begin(self.base.src).iterdir()], [".config.wanted"])

    def test_nothing_to_begin_with(self):
        self.assertFalse(self.begin(self.base.src, name="").exists())
        (self.like / "vmlinux").unlink()
        self.assertFalse(self.begin(self.base.src).exists())


if __name__ == "__main__":
    unittest.main()
