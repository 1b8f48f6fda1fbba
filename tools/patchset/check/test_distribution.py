# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's own configurations."""
import lzma
import tempfile
import unittest
from pathlib import Path

import fake
from lib import distribution, project, ui

FILE = "usr/src/config.{}.xz"


class Config(fake.TestCase):
    def setUp(self):
        super().setUp()
        with open(self.top / "tools/patchset/bases/fake.toml", "a") as file:
            file.write(f'[configuration]\npackage = "linux-config-9.9"\npowerpc = "{FILE.format("ppc64el")}"\n')
        self.base = project.load(self.top, "fake")
        self.succeeds("fetch")

    def offer_config(self, version):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / FILE.format("ppc64el")
            path.parent.mkdir(parents=True)
            path.write_bytes(lzma.compress(f"CONFIG_OF={version}\n".encode()))
            fake.package(self.archive, "linux-config-9.9", version, Path(scratch), "ppc64el")

    def config(self):
        return distribution.config(self.base, "powerpc").read_text()

    def asked(self):
        return (self.archive / "apt-get.log").read_text()

    def test_of_the_version_in_use(self):
        self.offer_config("9.9.1-1")
        self.offer_config("9.9.2-1")
        self.assertEqual(self.config(), "CONFIG_OF=9.9.1-1\n")
        self.assertNotIn("update", self.asked())

    def test_of_the_newest_where_that_is_not_offered(self):
        self.offer_config("9.9.0-1")
        self.assertEqual(self.config(), "CONFIG_OF=9.9.0-1\n")
        self.assertIn("update", self.asked())

    def test_of_its_architecture(self):
        self.offer_config("9.9.1-1")
        self.config()
        self.assertRegex(self.asked(), r"APT::Architecture=ppc64el .*download linux-config-9\.9=9\.9\.1-1\n")

    def test_of_what_is_there_without_network(self):
        self.offer_config("9.9.0-1")
        self.config()
        (self.archive / "offline").touch()
        self.assertEqual(self.config(), "CONFIG_OF=9.9.0-1\n")

    def test_nothing_offered(self):
        (self.archive / "linux-config-9.9.versions").write_text("")
        with self.assertRaisesRegex(ui.Failure, "apt offers no linux-config-9.9 for ppc64el"):
            self.config()

    def test_a_base_without(self):
        with self.assertRaisesRegex(ui.Failure, "fake names no configuration for x86_64"):
            distribution.config(self.base, "x86_64")


if __name__ == "__main__":
    unittest.main()
