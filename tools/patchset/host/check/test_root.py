# SPDX-License-Identifier: GPL-2.0-only
"""Roots: what is installed, when they are made anew, with the packages left out."""

import os
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import build, root  # noqa: E402
from lib import apt, deb, ui  # noqa: E402

DEB = types.SimpleNamespace(name="x86-npt-deb", arch="x86_64", root="small",
                            flavour="normal")


class Made(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.roots = Path(directory.name, "roots")
        self.made = Path(directory.name, "deb/x86_64-small", deb.SUFFIX)
        self.made.mkdir(parents=True)
        for name in ("linux-image-1_1_amd64.deb", "linux-image-1-dbg_1_amd64.deb"):
            (self.made / name).write_text("1")
        self.commands, self.fails, self.kernels = [], False, ["vmlinuz-1"]
        self.release = "bookworm"
        for patched in (
                mock.patch.dict(os.environ, HOST_BUILD=directory.name),
                mock.patch.object(root.proc, "run", self.run_command),
                mock.patch.object(root.subprocess, "run", self.run_verb),
                mock.patch.object(apt, "release", lambda: self.release),
                mock.patch.object(apt, "mirror", lambda _: "http://m.example")):
            patched.start()
            self.addCleanup(patched.stop)
        self.status = 0

    def run_verb(self, *_, **__):
        return types.SimpleNamespace(returncode=self.status)

    def run_command(self, *command, **_):
        self.commands.append([str(word) for word in command])
        if self.fails:
            raise ui.Failure("mmdebstrap failed")
        image = Path(command[-2])
        image.write_text("an image")
        for name in (*self.kernels, "initrd.img-1"):
            (image.parent / "boot").mkdir(exist_ok=True)
            (image.parent / "boot" / name).write_text("")

    def make(self):
        root.need("x86_64", "small")
        return os.listdir(self.roots)

    def test_installed_by_apt(self):
        self.make()
        hooks = " ".join(self.commands[0])
        self.assertIn("linux-image-1_1_amd64.deb", hooks)
        self.assertIn("apt-get install", hooks)

    def test_without_debugging_symbols(self):
        self.make()
        self.assertNotIn("-dbg_", " ".join(self.commands[0]))

    def test_what_a_host_boots(self):
        self.make()
        self.assertTrue(root.kernel_of(DEB).endswith("boot/vmlinuz-1"))
        self.assertTrue(root.initramfs(DEB).endswith("boot/initrd.img-1"))
        self.assertTrue(os.path.exists(root.image(DEB)))

    def test_not_one_kernel(self):
        self.kernels = ["vmlinuz-1", "vmlinuz-2"]
        self.make()
        with self.assertRaisesRegex(build.BuildError, "2 files boot/vmlinuz"):
            root.kernel_of(DEB)

    def test_none_was_made(self):
        with self.assertRaisesRegex(build.BuildError, "leave out --no-build"):
            root.image(DEB)

    def test_made_once(self):
        self.assertEqual(self.make(), self.make())
        self.assertEqual(len(self.commands), 1)

    def test_made_anew_for_another_package(self):
        before = self.make()
        (self.made / "linux-image-1_1_amd64.deb").write_text("2")
        after = self.make()
        self.assertEqual((len(self.commands), len(after)), (2, 1))
        self.assertNotEqual(before, after)

    def test_made_anew_for_another_release(self):
        self.make()
        self.release = "trixie"
        self.make()
        self.assertEqual(len(self.commands), 2)

    def test_nothing_is_left_of_a_failure(self):
        self.fails = True
        with self.assertRaisesRegex(build.BuildError, "mmdebstrap"):
            self.make()
        self.assertEqual(os.listdir(self.roots), [])

    def test_no_packages(self):
        self.status = 1
        with self.assertRaisesRegex(build.BuildError, "no packages"):
            self.make()


class WithoutTest(unittest.TestCase):
    def test_the_kernel_of_its_flavour(self):
        host = types.SimpleNamespace(arch="x86_64", root="", flavour="normal")
        self.assertEqual(root.kernel_of(host),
                         build.kernel_image("x86_64", "normal"))


if __name__ == "__main__":
    unittest.main()
