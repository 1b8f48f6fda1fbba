# SPDX-License-Identifier: GPL-2.0-only
"""Packages: what is said of them, and what lintian says."""
import contextlib
import io
import shutil
import subprocess
from pathlib import Path
from unittest import mock

import fake
from lib import deb, kernel, lintian, proc, series, ui

REAL = Path(__file__).resolve().parents[1] / "deb"
SMALL = deb.chosen("x86_64", "small", "acme3")
LINTIAN = """\
E: linux-libc-dev: no-manual-page
W: linux-image-9.9: very-long-line usr/x 1 2
N: 3 hints
I: linux-image-9.9: not-asked-for
"""


class Names(fake.TestCase):
    def test_the_configuration_tells_releases_apart(self):
        self.assertEqual(SMALL.local, "-acme3-small-amd64")
        self.assertEqual(deb.chosen("powerpc", "debian", "acme3").local, "-acme3-ppc64el")

    def test_a_place_for_each(self):
        self.assertEqual(SMALL.place(self.base), self.base.out / "deb/x86_64-small/acme3")

    def test_no_such_configuration(self):
        with self.assertRaises(SystemExit), mock.patch("sys.stderr"):
            self.patchset("deb", "--config", "huge")

    def test_a_suffix_that_is_no_version(self):
        for suffix in ("a_b", "", "a b", "A/b"):
            self.fails("deb", "--suffix", suffix, says=["suffix", repr(suffix)])


class Files(fake.TestCase):
    def setUp(self):
        super().setUp()
        self.succeeds("fetch")
        shutil.copytree(REAL, self.base.deb)
        self.values = deb.values_of(self.base, SMALL, "9.9.1-acme3-small-amd64", series.identity(self.base))
        self.directory = self.base.out / "debian"
        deb.write_debian(self.base, self.values, self.directory, series.date(self.base))

    def test_the_revision_is_newer_than_debians(self):
        self.assertEqual(self.values["revision"], "9.9.1-1+acme3")
        for relation, other in (("gt", "9.9.1-1"), ("lt", "9.9.1-2")):
            subprocess.run(["dpkg", "--compare-versions", self.values["revision"], relation, other], check=True)

    def test_changelog(self):
        said = proc.run("dpkg-parsechangelog", "-l", self.directory / "changelog")
        for line in ("Version: 9.9.1-1+acme3", "Maintainer: Ex Porter <ex@p.example>", "- virt: Add twenty"):
            self.assertIn(line, said)

    def test_control(self):
        text = (self.directory / "control").read_text()
        for name in ("linux-image", "linux-headers"):
            self.assertIn(f"Package: {name}-9.9.1-acme3-small-amd64\nArchitecture: amd64\n", text)
        self.assertIn("Linux 9.9.1 with", text)
        self.assertNotIn("$", text)


class Again(fake.TestCase):
    """What is built is packed once."""

    def setUp(self):
        super().setUp()
        shutil.copytree(REAL, self.base.deb)
        for name in ("x86_64", "x86_64-small"):
            fake.write(self.base.configs / f"{name}.config", "")
        self.succeeds("tree")
        self.build = deb.build_of(self.base, SMALL).out
        for name in ("vmlinux", ".config", "virt/kvm.ko", "debian/linux-image/kvm.ko"):
            fake.write(self.build / name, name)
        self.packed, self.made = 0, ["linux-image_9_amd64.deb"]

    def describe(self, *_):
        for name in ("arch", "control", "copyright", "changelog"):
            fake.write(self.build / "debian" / name, name)

    def run_builddeb(self, *_):
        self.packed += 1
        for name in self.made:
            fake.write(self.build.parent / name, "a package")

    def run_deb(self, packages=SMALL, look=lambda *_: None, compile=lambda *_: None):
        build = kernel.Build("x86_64", self.base.src, self.build, self.base.out / "log")
        with mock.patch.multiple(deb, build_of=lambda *_: build, describe=self.describe, look=look,
                                 run_builddeb=self.run_builddeb), \
                mock.patch.multiple(kernel, configure=mock.DEFAULT, compile=compile), \
                contextlib.redirect_stdout(io.StringIO()) as said:
            deb.deb(self.base, packages)
        return said.getvalue()

    def test_the_way_to_the_source_is_that_of_a_kernel(self):
        self.assertEqual(self.build.parent, self.base.src.parent)

    def test_leaves_what_is_of_another_architecture(self):
        other = self.build.parent / "linux-image_9_ppc64el.deb"
        fake.write(other, "half a package")
        self.run_deb()
        self.assertEqual(deb.made(SMALL, kernel.Build("x86_64", self.base.src, self.build, self.top)), [])
        self.assertTrue(other.exists())

    def test_once(self):
        self.assertEqual(self.run_deb(), self.run_deb())
        self.assertEqual(self.packed, 1)

    def test_another_module(self):
        self.run_deb()
        fake.write(self.build / "virt/kvm.ko", "new")
        self.run_deb()
        self.assertEqual(self.packed, 2)

    def test_another_header(self):
        self.run_deb()
        fake.write(self.top / "virt/new.c", "int fresher;\n")
        self.succeeds("tree")
        self.run_deb()
        self.assertEqual(self.packed, 2)

    def test_packages_that_are_gone(self):
        self.run_deb()
        shutil.rmtree(SMALL.place(self.base))
        self.assertIn("linux-image_9_amd64.deb", self.run_deb())

    def test_packages_of_another_suffix_stay(self):
        self.run_deb()
        self.run_deb(deb.chosen("x86_64", "small", "other"))
        self.run_deb()
        self.assertEqual(self.packed, 2)
        self.assertTrue((SMALL.place(self.base) / "linux-image_9_amd64.deb").exists())

    def test_nothing_made(self):
        self.made = []
        with self.assertRaisesRegex(ui.Failure, "has made no package"):
            self.run_deb()

    def test_what_lintian_refused(self):
        def refuse(*_):
            raise ui.Failure("lintian")
        with self.assertRaises(ui.Failure):
            self.run_deb(look=refuse)
        self.run_deb()
        self.assertEqual(self.packed, 2)

    def test_a_tree_that_changes_meanwhile(self):
        with self.assertRaisesRegex(ui.Failure, "src has changed while"):
            self.run_deb(compile=lambda *_: fake.write(self.base.src / "virt/new.c", "int other;\n"))
        self.assertEqual(self.packed, 0)

    def test_headers_of_another_architecture(self):
        for native, useful in (("amd64\n", True), ("ppc64el\n", False)):
            with mock.patch.object(proc, "run", lambda *_: native):
                self.assertEqual(deb.is_useful(Path("linux-headers-9_1_amd64.deb"), SMALL), useful)
                self.assertTrue(deb.is_useful(Path("linux-image-9_1_amd64.deb"), SMALL))


class Image(fake.TestCase):
    def words(self, arch):
        build = kernel.Build(arch, self.base.src, self.base.out, self.base.out / "log")
        with mock.patch.object(proc, "run") as run:
            return deb.image(build), run

    def test_compressed(self):
        words, run = self.words("x86_64")
        self.assertEqual((words, run.called), ((), False))

    def test_elf(self):
        words, run = self.words("powerpc")
        self.assertEqual(words, ("KBUILD_IMAGE=vmlinux.stripped",))
        self.assertEqual(run.call_args[0][0], "powerpc64le-linux-gnu-strip")


class Lintian(fake.TestCase):
    def accept(self, text):
        fake.write(self.base.deb / "lintian", text)
        with mock.patch.object(proc, "run", lambda *_, **__: LINTIAN), contextlib.redirect_stdout(io.StringIO()):
            deb.look(self.base, [])

    def test_errors_and_warnings(self):
        self.assertEqual([str(tag) for tag in lintian.parse(LINTIAN)],
                         ["linux-libc-dev: no-manual-page", "linux-image-9.9: very-long-line usr/x 1 2"])

    def test_all_explained(self):
        self.accept("# all\nlinux-libc-dev: no-manual-page  # reasons\nlinux-image: very-long-line # more\n")

    def test_one_not_explained(self):
        with self.assertRaisesRegex(ui.Failure, "1 tags more, the first is linux-image-9.9: very-long-line"):
            self.accept("linux-libc-dev: no-manual-page  # reasons\n")

    def test_explained_for_another_package(self):
        with self.assertRaisesRegex(ui.Failure, "1 tags more, the first is linux-image-9.9: very-long-line"):
            self.accept("linux-libc-dev: no-manual-page # reasons\nlinux-headers: very-long-line # reasons\n")

    def test_not_explained_at_all(self):
        for line in ("linux-image: very-long-line", "very-long-line # reasons"):
            with self.assertRaisesRegex(ui.Failure, f"not PACKAGE: TAG # REASON: {line}"):
                self.accept(f"{line}\n")

    def test_the_real_ones_have_reasons(self):
        self.assertTrue(lintian.accepted(REAL / "lintian"))
