# SPDX-License-Identifier: GPL-2.0-only
"""Getting the base's package."""
import os
import unittest
from collections import namedtuple
from unittest import mock

import fake
from lib import source

DEB = "download/linux-source-9.9_9.9.1-1_all.deb"


class Fetch(fake.TestCase):
    def offline(self):
        (self.archive / "offline").touch()

    def test_records_version_and_checksum(self):
        self.succeeds("fetch")
        version, digest = (self.base.out / "version").read_text().split()
        self.assertEqual(version, "9.9.1-1")
        self.assertIn(digest, (self.archive / "linux-source-9.9=9.9.1-1.show").read_text())

    def test_needs_no_network_when_it_is_there(self):
        self.succeeds("fetch")
        self.offline()
        self.assertIn("there already", self.succeeds("fetch"))

    def test_takes_a_newer_version(self):
        self.succeeds("tree")
        self.offer("9.9.2-1", {**fake.KERNEL, "extra": "x\n"})
        self.succeeds("fetch")
        self.succeeds("tree")
        self.assertTrue(self.src("extra").is_file())

    def test_stays_when_a_newer_version_cannot_be_had(self):
        self.succeeds("fetch")
        self.offer("9.9.2-1", fake.KERNEL)
        self.offline()
        status, _, error = self.patchset("fetch")
        self.assertEqual(status, 0)
        self.assertRegex(error, r"\Apatchset: .*staying with 9\.9\.1-1\n\Z")

    def test_no_network_and_no_package(self):
        self.offline()
        self.fails("fetch", says=["cannot download linux-source-9.9 9.9.1-1", "no route to host"])

    def test_nothing_offered(self):
        (self.archive / "linux-source-9.9.versions").write_text("")
        self.fails("fetch", says=["apt offers no linux-source-9.9"])

    def test_old_lists_are_updated(self):
        os.utime(self.archive, (0, 0))
        self.succeeds("fetch")
        self.assertIn("update", (self.archive / "apt-get.log").read_text())

    def test_fresh_lists_are_not_updated(self):
        self.succeeds("fetch")
        self.assertNotIn("update", (self.archive / "apt-get.log").read_text())

    def test_damaged_download(self):
        deb = self.archive / "linux-source-9.9_9.9.1-1_all.deb"
        data = deb.read_bytes()
        deb.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        self.fails("fetch", says=[DEB, "is damaged", "sha256"])

    def test_truncated_download(self):
        deb = self.archive / "linux-source-9.9_9.9.1-1_all.deb"
        deb.write_bytes(deb.read_bytes()[:-1])
        self.fails("fetch", says=[DEB, "is damaged", "bytes"])

    def test_damaged_afterwards(self):
        self.succeeds("fetch")
        with open(self.base.out / DEB, "ab") as deb:
            deb.write(b"x")
        self.fails("tree", says=[DEB, "is damaged"])

    def test_no_space(self):
        usage = namedtuple("usage", "total used free")(0, 0, 1 << 20)
        self.succeeds("fetch")
        with mock.patch.object(source.shutil, "disk_usage", return_value=usage):
            self.fails("tree", says=["no space", "1 MiB free", "4096 MiB are needed"])


if __name__ == "__main__":
    unittest.main()
