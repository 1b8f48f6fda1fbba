# SPDX-License-Identifier: GPL-2.0-only
"""Configuration checks and the matrix, with the compiler left out."""
import os
import unittest
from unittest import mock

import fake
from lib import kernel, ui


class Arguments(fake.TestCase):
    def test_unknown_arch(self):
        self.fails("kernel", "--arch", "vax", says=["unknown ARCH 'vax'", "x86_64, powerpc"])

    def test_unknown_flavour(self):
        self.fails("kernel", "--arch", "x86_64", "--flavour", "sour", says=["unknown FLAVOUR 'sour'", "debug"])

    def test_flavour_without_fragment(self):
        for name in ("powerpc", "stream"):
            fake.write(self.base.configs / f"{name}.config", "")
        self.fails("kernel", "--arch", "powerpc", "--flavour", "debug", says=["powerpc-debug.config"])

    def test_unknown_base(self):
        self.fails("fetch", "--base", "debian-0", says=["unknown base 'debian-0'", "known: fake"])


class Words(fake.TestCase):
    def make(self, flavour):
        for name in ("x86_64", "x86_64-kcsan"):
            fake.write(self.base.configs / f"{name}.config", "")
        return kernel.build_for(self.base, "x86_64", flavour).make("bzImage")

    def test_kcsan_watches_named_files_only(self):
        words = self.make("kcsan")
        self.assertIn("KCSAN_SANITIZE=n", words)
        self.assertIn("KCSAN_SANITIZE_change_map.o=y", words)

    def test_no_words_for_others(self):
        self.assertFalse([word for word in self.make("normal") if "KCSAN" in word])


class Configure(fake.TestCase):
    def configure(self, final, **how):
        """The commands by which a configuration comes about that is `final` in the end."""
        build = kernel.Build("x86_64", self.top / "source", self.top / "out", self.top / "log", **how)
        fake.write(self.top / "out/.config.new", final)
        with mock.patch.object(kernel.proc, "run") as run:
            kernel.configure(self.top, build)
        self.environments = [call.kwargs["env"] for call in run.call_args_list]
        return [[str(word) for word in call.args] for call in run.call_args_list]

    def test_what_no_fragment_names_is_off(self):
        paths = self.top / "one.config", self.top / "two.config"
        for path, text in zip(paths, ("CONFIG_A=y\n", "CONFIG_A=m\n")):
            fake.write(path, text)
        alone, _ = self.configure("CONFIG_A=m\n", fragments=paths)
        wanted = self.top / "out/.config.wanted"
        self.assertEqual(alone[-2:], [f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig"])
        self.assertEqual(wanted.read_text(), "CONFIG_A=y\n\nCONFIG_A=m\n")

    def test_it_has_taken_effect_before_ccache_preprocesses_only_once(self):
        with mock.patch.dict(kernel.os.environ, {}, clear=True):
            *_, last = self.configure("", fragments=())
        self.assertEqual(last[-1], "syncconfig")
        self.assertNotIn("CCACHE_NOCPP2", self.environments[-1])

    def test_a_whole_configuration_is_taken_as_it_is(self):
        start, finish, _ = self.configure("CONFIG_A=y\n", config=self.top / "whole")
        self.assertEqual((start[:2], finish[-1]), (["cp", str(self.top / "whole")], "olddefconfig"))


class Targets(fake.TestCase):
    def built(self, flavour, *words):
        for name in ("x86_64", "x86_64-modules"):
            fake.write(self.base.configs / f"{name}.config", "")
        with mock.patch.object(kernel, "configure") as self.configured, \
                mock.patch.object(kernel, "compile") as make:
            kernel.kernel(self.base, "x86_64", flavour, *words)
        return make.call_args.args[2]

    def test_image(self):
        self.assertEqual(self.built("normal", None), ["bzImage"])

    def test_modules(self):
        self.assertEqual(self.built("modules", None), ["bzImage", "modules"])

    def test_begins_with_what_is_like_it(self):
        fake.write(self.base.out / "pristine/src/Makefile", "")
        self.base.stock.symlink_to("pristine/src")
        fake.write(self.base.configs / "x86_64-debug.config", "")
        for flavour, like in (("normal", "deb-x86_64-small"), ("stock-modules", "x86_64-modules"), ("debug", "")):
            with mock.patch.object(kernel.reuse, "begin") as begin:
                begin.side_effect = lambda *_: self.assertFalse(self.configured.called)
                self.built(flavour, None)
            self.assertEqual(begin.call_args.args[2], like)

    def test_as_told(self):
        self.assertEqual(self.built("modules", "a/ b"), ["a/", "b"])


class Fragments(fake.TestCase):
    def check(self, fragment, final):
        paths = []
        for name, text in (("one.config", fragment), (".config", final)):
            fake.write(self.top / name, text)
            paths.append(self.top / name)
        kernel.check_fragments(paths[:1], paths[1])

    def test_effective(self):
        self.check("CONFIG_A=y\nCONFIG_B=n\n# CONFIG_C is not set\nCONFIG_D=\"x\"\n",
                   "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=\"x\"\n")

    def test_without_effect(self):
        with self.assertRaisesRegex(ui.Failure, "one.config: without effect: CONFIG_A=y CONFIG_N=4 CONFIG_C=n$"):
            self.check("CONFIG_A=y\nCONFIG_N=4\n# CONFIG_C is not set\n", "CONFIG_N=8\nCONFIG_C=y\n")


class Flavours(fake.TestCase):
    def setUp(self):
        super().setUp()
        for name in ("powerpc", "powerpc-debug", "stream"):
            fake.write(self.base.configs / f"{name}.config", "")
        fake.write(self.base.out / "pristine/src/Makefile", "")
        self.base.stock.symlink_to("pristine/src")

    def build(self, flavour):
        build = kernel.build_for(self.base, "powerpc", flavour)
        return (str(build.source.relative_to(self.base.out)), str(build.out.relative_to(self.base.out)),
                [path.name for path in build.fragments])

    def test_patched(self):
        self.assertEqual(self.build("normal"), ("src", "powerpc", ["powerpc.config", "stream.config"]))
        self.assertEqual(self.build("debug"), ("src", "powerpc-debug",
                                               ["powerpc.config", "stream.config", "powerpc-debug.config"]))

    def test_what_a_base_calls_otherwise(self):
        fake.write(self.base.configs / f"powerpc-{self.base.name}.config", "")
        self.assertEqual(self.build("normal")[2], ["powerpc.config", "powerpc-fake.config", "stream.config"])
        self.assertEqual(self.build("stock")[2], ["powerpc.config", "powerpc-fake.config"])

    def test_stock(self):
        self.assertEqual(self.build("stock"), ("pristine/src", "pristine/powerpc", ["powerpc.config"]))
        self.assertEqual(self.build("stock-debug"), ("pristine/src", "pristine/powerpc-debug",
                                                     ["powerpc.config", "powerpc-debug.config"]))
        self.assertEqual((self.base.out / "powerpc-stock-debug").resolve(), self.base.out / "pristine/powerpc-debug")

    def test_alone(self):
        fake.write(self.base.configs / "powerpc-guest.config", "")
        self.assertEqual(self.build("guest"), ("pristine/src", "pristine/powerpc-guest", ["powerpc-guest.config"]))
        self.assertTrue(kernel.build_for(self.base, "powerpc", "guest").alone)


class Build(fake.TestCase):
    def compile(self, makefile, **how):
        fake.write(self.top / "source/Makefile", makefile)
        build = kernel.Build("x86_64", self.top / "source", self.top / "out", self.top / "log", (), **how)
        kernel.compile(self.top, build, ["all"], "a build")

    def test_ccache_looks_for_what_others_have_compiled(self):
        for alone, said in ((False, "depend= once=1"), (True, "depend=1 once=")):
            with mock.patch("builtins.print"), mock.patch.dict(kernel.os.environ):
                for name in ("CCACHE_DEPEND", "CCACHE_NOCPP2"):
                    kernel.os.environ.pop(name, None)
                self.compile("all:\n\t@echo depend=$$CCACHE_DEPEND once=$$CCACHE_NOCPP2\n", alone=alone)
            self.assertIn(said + "\n", (self.top / "log").read_text())

    def test_counts_steps(self):
        with mock.patch("builtins.print") as shown:
            self.compile("all:\n\t@echo '  CC      a.o'\n")
        self.assertIn("done in", shown.call_args[0][0])

    def test_names_the_first_error_and_the_log(self):
        with self.assertRaisesRegex(ui.Failure, r"a build: a\.c:1: error: bad; the whole log is .*/log$"):
            self.compile("all:\n\t@echo 'a.c:1: error: bad' >&2; exit 1\n")

    def test_a_step_is_no_error_whatever_its_file_is_called(self):
        with self.assertRaisesRegex(ui.Failure, "a build: ERROR: modpost: undefined!; the whole log"):
            self.compile("all:\n\t@echo '  CC      error.o'; echo 'ERROR: modpost: undefined!'; exit 1\n")


class Linked(fake.TestCase):
    def targets(self, config):
        build = kernel.Build("x86_64", self.top / "source", self.top / "out", self.top / "log")
        fake.write(self.top / "out/.config", config)
        with mock.patch.object(kernel, "configure"), mock.patch.object(kernel, "compile") as make:
            kernel.linked(self.top, build, "a build")
        return make.call_args.args[2]

    def test_modules_where_there_are_any(self):
        self.assertEqual(self.targets("CONFIG_MODULES=y\n"), ["vmlinux", "modules"])
        self.assertEqual(self.targets("# CONFIG_MODULES is not set\n"), ["vmlinux"])


class Matrix(fake.TestCase):
    def setUp(self):
        super().setUp()
        for name in (*kernel.ARCHES, "stream"):
            fake.write(self.base.configs / f"{name}.config", "")
        self.entry(fake.ENTRY.replace("Overlay: virt/new.c\nOverlay: MAINTAINERS\n", "")
                   + "--- a/arch/x86/kvm/Makefile\n+++ b/arch/x86/kvm/Makefile\n"
                     "@@ -1 +1,2 @@\n obj-y += x.o\n+obj-y += y.o\n", "0002-two.patch")
        self.built = []
        patched = mock.patch.object(kernel, "objects", self.objects)
        patched.start()
        self.addCleanup(patched.stop)

    def objects(self, top, build, what):
        self.built.append(what)
        if "y.o" in (build.source / "arch/x86/kvm/Makefile").read_text() and self.broken == build.arch:
            raise ui.Failure("does not compile")

    broken = None

    def test_matrix(self):
        self.offer("9.9.2-1", fake.KERNEL)
        self.succeeds("matrix")
        self.assertEqual(len(self.built), 4)
        self.succeeds("matrix")
        self.assertEqual(len(self.built), 4)

    def test_matrix_says_what_has_changed_behind_the_series(self):
        self.succeeds("refresh")
        self.assertNotIn("look at", self.succeeds("matrix", "--apply-only"))
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": fake.C_FILE.replace("x += 1;", "x += 7;", 1)})
        for _ in range(2):
            self.assertIn("9.9.2-1: look at the stock code: virt/b.c: int first(int x): is not as it was",
                          self.succeeds("matrix", "--apply-only"))
        self.assertNotIn("9.9.1-1: look at", self.succeeds("matrix", "--apply-only"))

    def test_refresh_says_what_it_records_anew(self):
        self.succeeds("refresh")
        self.assertNotIn("recorded anew", self.succeeds("refresh"))
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": fake.C_FILE.replace("x += 1;", "x += 7;", 1)})
        self.succeeds("fetch")
        self.assertIn("recorded anew: virt/b.c: int first(int x): is not as it was", self.succeeds("refresh"))
        self.assertIn("9.9.1-1: older: virt/b.c", self.succeeds("matrix", "--apply-only"))

    def test_matrix_says_that_nothing_is_recorded(self):
        self.assertIn("is not recorded", self.succeeds("matrix", "--apply-only"))
        self.succeeds("refresh")
        self.assertNotIn("is not recorded", self.succeeds("matrix", "--apply-only"))

    def test_matrix_asks_the_archive_once_a_day(self):
        self.succeeds("fetch")
        (self.archive / "apt-get.log").unlink()
        self.succeeds("matrix", "--apply-only")
        self.assertFalse((self.archive / "apt-get.log").exists())
        os.utime(self.archive, (0, 0))
        self.succeeds("matrix", "--apply-only")
        self.assertIn("update", (self.archive / "apt-get.log").read_text())

    def forget_passed(self):
        fake.write(self.top / "virt/new.c", "int fresher;\n")

    def test_matrix_keeps_what_is_edited_and_no_package(self):
        self.offer("9.9.2-1", fake.KERNEL)
        self.succeeds("matrix", "--apply-only")
        self.assertEqual(list((self.base.out / "matrix").glob("**/*.deb")), [])
        self.forget_passed()
        (self.archive / "offline").touch()
        self.assertRegex(self.succeeds("matrix", "--apply-only"), r"9\.9\.2-1 +ok\n9\.9\.1-1 +ok\n")

    def test_matrix_takes_the_package_in_use(self):
        self.succeeds("fetch")
        (self.archive / "offline").touch()
        self.assertRegex(self.succeeds("matrix"), r"9\.9\.1-1 +ok +ok +ok\n")
        self.assertEqual(len(list((self.base.out / "download").glob("*.deb"))), 1)

    def test_matrix_forgets_what_is_not_offered(self):
        self.offer("9.9.2-1", fake.KERNEL)
        self.succeeds("matrix", "--apply-only")
        (self.archive / "linux-source-9.9.versions").write_text("9.9.2-1\n")
        self.succeeds("matrix", "--apply-only")
        self.assertEqual([path.name for path in (self.base.out / "matrix/edited").iterdir()], ["9.9.2-1"])

    def test_matrix_names_what_fails(self):
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": "int other;\n"})
        status, out, error = self.patchset("matrix", "--apply-only")
        self.assertEqual((status, error.count("\n")), (1, 1))
        self.assertIn("1 of 2 versions fail, the first is 9.9.2-1", error)
        self.assertRegex(out, r"9\.9\.2-1: 0001-one.patch: virt/b.c: hunk 1 is rejected.*\n"
                              r"9\.9\.2-1 +FAILED\n9\.9\.1-1 +ok\n")
        self.assertEqual(self.built, [])

    def test_matrix_does_not_compile(self):
        self.broken = "powerpc"
        status, out, _ = self.patchset("matrix")
        self.assertEqual(status, 1)
        self.assertRegex(out, r"9\.9\.1-1 +ok +ok +FAILED\n")


class Deps(fake.TestCase):
    def log(self):
        path = self.archive / "apt-get.log"
        return path.read_text() if path.exists() else ""

    def test_nothing_missing(self):
        self.assertIn("no package is missing", self.succeeds("deps"))
        self.assertEqual(self.log(), "")

    def test_installs_only_what_is_missing(self):
        with mock.patch.dict("os.environ", FAKE_MISSING="make"):
            self.succeeds("deps")
        self.assertRegex(self.log(), r"update\n.*install --yes --no-install-recommends make\n\Z")

    def test_a_verb_asks_for_its_own(self):
        with mock.patch.dict("os.environ", FAKE_MISSING="make"):
            self.succeeds("tree")
        self.assertNotIn("install", self.log())

    def test_cannot_install(self):
        (self.archive / "offline").touch()
        with mock.patch.dict("os.environ", FAKE_MISSING="make"):
            status, _, error = self.patchset("deps")
        self.assertEqual((status, error), (1, "patchset: cannot install make: E: no route to host\n"))


if __name__ == "__main__":
    unittest.main()
