# SPDX-License-Identifier: GPL-2.0-only
"""Disks and guests: how they are made, with the package archive left out."""

import os
import sys
import tempfile
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import (boot, build, disk, initramfs, powernv, qemu,  # noqa: E402
                     stanza)
from lib import apt, deps, ui  # noqa: E402

MIRROR = "http://mirror.example/debian/"
TARGETS = f"""\
Other bookworm main http://other.example/
Debian bookworm-updates main {MIRROR}
Debian bookworm main {MIRROR}
"""


class Made(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.commands = []
        for patched in (
                mock.patch.dict(os.environ, HOST_BUILD=directory.name),
                mock.patch.object(disk.proc, "run", self.run_command),
                mock.patch.object(apt, "release", lambda: "bookworm"),
                mock.patch.object(deps, "need")):
            patched.start()
            self.addCleanup(patched.stop)
        self.fails = None

    def run_command(self, *command, **_):
        self.commands.append(command)
        if command[0] == self.fails:
            raise ui.Failure(f"{command[0]} failed")
        if command[0] == "apt-get":
            return TARGETS
        if command[0] == "mke2fs":
            with open(command[-2], "wb"):
                pass
        return ""

    def command(self, name):
        found = [command for command in self.commands if command[0] == name]
        self.assertEqual(len(found), 1, self.commands)
        return found[0]

    def make(self, user=0):
        with mock.patch.object(os, "geteuid", lambda: user):
            disk.need("powerpc", ("dash", "qemu-system-ppc"))
        return disk.image("powerpc", ("dash", "qemu-system-ppc"))


class DiskTest(Made):
    def test_packages_of_the_architecture(self):
        self.make()
        words = self.command("mmdebstrap")
        self.assertIn("--architectures=ppc64el", words)
        self.assertIn("--include=dash,qemu-system-ppc", words)
        self.assertEqual((words[-3], words[-1]), ("bookworm", MIRROR))

    def test_any_user_can(self):
        self.make(user=1000)
        self.assertIn("--mode=chrootless", self.command("mmdebstrap"))

    def test_root_can(self):
        self.make(user=0)
        self.assertIn("--mode=root", self.command("mmdebstrap"))

    def test_the_image_alone_is_left(self):
        path = self.make()
        self.assertEqual(os.listdir(os.path.dirname(path)),
                         [os.path.basename(path)])

    def test_made_once(self):
        self.make()
        self.commands.clear()
        self.make()
        self.assertEqual(self.commands, [])

    def test_none_is_wanted(self):
        disk.need("powerpc", ())
        self.assertEqual(self.commands, [])

    def test_nothing_is_left_of_a_failure(self):
        for self.fails in ("mmdebstrap", "tar", "mke2fs"):
            with self.assertRaisesRegex(build.BuildError, self.fails):
                self.make()
        self.assertEqual(os.listdir(os.path.dirname(disk.image("x", ()))), [])

    def test_a_name_for_each_list(self):
        lists = [("powerpc", ("a", "b")), ("powerpc", ("a",)),
                 ("x86_64", ("a", "b"))]
        self.assertEqual(len({disk.image(*which) for which in lists}), 3)

    def test_no_such_release(self):
        with self.assertRaisesRegex(ui.Failure, "no trixie of Debian"):
            apt.mirror("trixie")


class MachineTest(unittest.TestCase):
    def images(self, path):
        return boot.Images("d", "k", "i", 1, path)

    def test_only_where_there_is_one(self):
        self.assertEqual(qemu.disk(self.images(None)), [])

    def test_read_only(self):
        drive = qemu.disk(self.images("/x"))[1]
        self.assertIn("readonly=on", drive.split(","))
        self.assertIn("file=/x", drive.split(","))

    def test_root_and_tests(self):
        images = boot.Images("d", "k", "i", 1, root="/r", tests="/t")
        first, second = [word.split(",") for word in qemu.root(images)
                         if "format" in word]
        self.assertLess({"file=/r", "snapshot=on"}, {*first})
        self.assertLess({"file=/t", "readonly=on"}, {*second})

    def test_time_does_not_jump_over_a_wait_for_it(self):
        hosts = stanza.load_hosts(stanza.HOSTS)
        for name, sleep in (("x86-npt", "off"), ("x86-npt-qemu", "on"),
                            ("x86-npt-deb", "on")):
            for words in (qemu.prepare(hosts[name], self.images(None), "",
                                       "tcg")[0],
                          qemu.icount(hosts[name], 0)):
                self.assertRegex(words[words.index("-icount") + 1],
                                 f"^shift=[02],sleep={sleep}$")

    def test_not_beside_the_channel(self):
        host = mock.Mock(cpu="powernv9", cpus=1)
        words, _, _ = powernv.prepare(host, self.images("/x"), "", None)
        self.assertIn("virtio-blk-pci,drive=disk,bus=pcie.1", words)
        self.assertIn("virtio-serial-pci,bus=pcie.0", words)


class ProgramTest(unittest.TestCase):
    def test_named_as_its_file(self):
        self.assertEqual(build.name("check/fake.c"), "fake")

    def test_named_as_its_directory(self):
        self.assertEqual(build.name("migrate/main.c"), "migrate")

    def test_guest(self):
        with mock.patch.object(build, "contents", lambda *_: b"GUEST"), \
                mock.patch.object(initramfs, "read", lambda _: b"KERNEL"):
            files = boot.guest_files("powerpc", "churn.c")
        self.assertEqual(files["g/kernel"], b"KERNEL")
        self.assertIn(b"GUEST", files["g/churn"])


if __name__ == "__main__":
    unittest.main()
