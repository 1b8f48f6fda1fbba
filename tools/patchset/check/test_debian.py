# SPDX-License-Identifier: GPL-2.0-only
"""The series in a source package of Debian's kind; its tools are made up, but for dpkg-source."""
import os
import shutil
import subprocess
import unittest
from unittest import mock

import fake
from lib import apt, debian
from lib.ui import Failure

SAID = """\
Used patches
==============
debian/patches/theirs.patch
debian/patches/ours.patch

Unused patches
==============
debian/patches/forgotten.patch

Patches without required headers
================================

Patches without Origin or Forwarded header
==========================================
debian/patches/theirs.patch

Patches to be forwarded
=======================
debian/patches/ours.patch
"""

CHECK_PATCHES = """#!/bin/sh
echo "Used patches"; echo "===="
sed s,^,debian/patches/, debian/patches/series
for t in "Unused patches" "Patches without required headers" "Patches without Origin or Forwarded header"; do
	echo "$t"; echo "===="
done
"""

TEST_PATCHES = """#!/bin/sh -e
shift 2
for p; do patch -s -p1 -F0 < "$p"; done
dpkg-buildpackage -b
"""

RULES = """#!/usr/bin/make -f
source:
control-real:
debian/control-real:
	exit 1
"""

RULES_GEN = """\
setup_%:
	mkdir -p debian/build/build_$*
	echo 'arch/%/kvm/: ; grep -q 20 ../../../virt/b.c' > debian/build/build_$*/Makefile
"""

CHANGELOG = """\
linux (9.9.1-1) bookworm; urgency=low

  * None.

 -- N <n@n.example>  Thu, 01 Jan 1970 00:00:00 +0000
"""

CONTROL = """\
Source: linux
Maintainer: N <n@n.example>

Package: linux-source-9.9
Architecture: all
Description: none
"""

DCH = """#!/bin/sh
sed -i '1s/)/+prefault1)/' debian/changelog
"""


class Lists(unittest.TestCase):
    def check(self, *names, said=SAID):
        debian.check_form(said, names)

    def test_no_complaint(self):
        self.check("ours.patch")

    def test_not_used(self):
        with self.assertRaisesRegex(Failure, "not used: debian/patches/other.patch"):
            self.check("ours.patch", "other.patch")

    def test_complaint(self):
        with self.assertRaisesRegex(Failure, "without Origin or Forwarded header: debian/patches/theirs.patch"):
            self.check("ours.patch", "theirs.patch")

    def test_no_such_list(self):
        with self.assertRaisesRegex(Failure, "no list 'Unused patches'"):
            self.check("ours.patch", said=SAID.replace("Unused", "Idle"))


class Archive(fake.TestCase):
    def setUp(self):
        super().setUp()
        self.offer_source("9.9.1-1", fake.KERNEL)

    def offer_source(self, version, files):
        """Put the source of a version in the archive."""
        upstream = version.split("-")[0]
        home = self.archive / "source" / version
        tree = home / f"linux-{upstream}"
        for name, text in files.items():
            fake.write(tree / name, text)
        subprocess.run(["tar", "-C", home, "-cJf", home / f"linux_{upstream}.orig.tar.xz", tree.name], check=True)
        for name, text in (("source/format", "3.0 (quilt)\n"), ("patches/series", ""), ("control", CONTROL),
                           ("changelog", CHANGELOG.replace("9.9.1-1", version)), ("rules.gen", RULES_GEN)):
            fake.write(tree / "debian" / name, text)
        for name, text in (("rules", RULES), ("bin/check-patches.sh", CHECK_PATCHES),
                           ("bin/test-patches", TEST_PATCHES)):
            fake.write(tree / "debian" / name, text)
            (tree / "debian" / name).chmod(0o755)
        subprocess.run(["dpkg-source", "--build", tree.name], cwd=home, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(tree)


class Debian(Archive):
    def setUp(self):
        super().setUp()
        fake.write(self.archive / "bin/dch", DCH)
        (self.archive / "bin/dch").chmod(0o755)
        small = mock.patch.object(debian, "SPACE", 0)
        small.start()
        self.addCleanup(small.stop)

    def test_takes_the_series(self):
        said = self.succeeds("debian")
        for step in ("quilt push", "check-patches", "dpkg-source build", "rules source", "KVM amd64",
                     "KVM ppc64el", "test-patches"):
            self.assertIn(f"{step}: done", said)
        self.assertIn("Debian's linux 9.9.1-1 takes the series", said)

    def test_nothing_is_left(self):
        self.succeeds("debian")
        self.assertFalse((self.base.out / "debian").exists())
        self.assertFalse((self.base.out / "matrix/src").exists())

    def test_without_network_the_second_time(self):
        self.succeeds("debian")
        (self.archive / "offline").touch()
        self.succeeds("debian")

    def test_fuzz(self):
        near = {**fake.KERNEL, "virt/b.c": fake.C_FILE.replace("\tx += 1;", "\tx += 0;", 1)}
        self.offer_source("9.9.1-1", near)
        self.fails("debian", says=["quilt push", "the whole log is"])

    def test_another_kernel_than_the_package_has(self):
        self.offer_source("9.9.1-1", {**fake.KERNEL, "virt/b.c": fake.C_FILE + "int third;\n"})
        self.fails("debian", says=["virt/b.c is not as the series makes it"])

    def test_kvm_that_does_not_compile(self):
        self.entry(fake.ENTRY + fake.HOOK.replace("20", "30"))
        self.fails("debian", says=["KVM amd64", "the whole log is"])

    def test_the_newest_that_the_archive_has(self):
        self.offer("9.9.2-1", fake.KERNEL)
        self.succeeds("fetch")
        status, out, error = self.patchset("debian")
        self.assertEqual(status, 0)
        self.assertIn("Debian's linux 9.9.1-1 takes", out)
        self.assertRegex(error, r"\Apatchset: cannot download the source of linux 9\.9\.2-1: [^\n]+\n\Z")

    def test_no_source_at_all(self):
        shutil.rmtree(self.archive / "source")
        status, _, error = self.patchset("debian")
        self.assertEqual(status, 1)
        self.assertIn("no source of linux-source-9.9", error)


class Sources(Archive):
    def test_from_where_the_package_comes(self):
        apt.sources_of("linux-source-9.9", "9.9.1-1", self.top / "apt")
        self.assertEqual((self.top / "apt/sources.list").read_text(), "deb-src http://archive.example bookworm main\n")

    def test_not_offered(self):
        with self.assertRaisesRegex(Failure, "offers no linux-source-9.9 1-1"):
            apt.sources_of("linux-source-9.9", "1-1", self.top / "apt")

    def test_lists_are_updated_if_they_do_not_know_it(self):
        source = os.listdir(self.archive / "source/9.9.1-1")
        apt.download_source("linux-source-9.9", "9.9.1-1", self.top)
        self.assertLessEqual({*source}, {*os.listdir(self.top)})


if __name__ == "__main__":
    unittest.main()
