# SPDX-License-Identifier: GPL-2.0-only
"""The checks, on files that have what they look for."""
import unittest
from collections import Counter
from unittest import mock

import fake
from lib import checks, kernel, proc, ui
from lib.checks import docs, files, objects, packaged, patches, result

NO_REASON = fake.ENTRY.replace("Body, with a reason.", "Frob.")


def found(*findings):
    return lambda base: result.Result(3, "things", list(findings))


class Table(fake.TestCase):
    def run_checks(self, **known):
        with mock.patch.object(checks, "CHECKS", known), mock.patch.object(checks.tree, "tree"), \
                mock.patch.object(checks.series, "export"):
            checks.run(self.base, [])

    def test_nothing_found(self):
        self.run_checks(one=found(), two=found())

    def test_what_was_found_is_kept(self):
        with self.assertRaisesRegex(ui.Failure, "1 failed: two$"):
            self.run_checks(one=found(), two=found("a fault"))
        self.assertEqual((self.base.out / "check/two.log").read_text(), "a fault\n")

    def test_what_looks_at_nothing_fails(self):
        with self.assertRaisesRegex(ui.Failure, "1 failed: one$"):
            self.run_checks(one=lambda base: result.Result(0, "things", []))

    def test_what_cannot_be_made_fails(self):
        def broken(base):
            raise ui.Failure("no such tool")
        with self.assertRaisesRegex(ui.Failure, "1 failed: one$"):
            self.run_checks(one=broken)


class Patches(fake.TestCase):
    def test_findings_of_checkpatch(self):
        self.assertTrue(patches.is_finding("0001-a.patch:7: WARNING:LONG_LINE: line over 100"))
        self.assertTrue(patches.is_finding("0001-a.patch:7: CHECK:SPACING: spaces"))
        self.assertFalse(patches.is_finding("0001-a.patch:7: WARNING:FILE_PATH_CHANGES: added"))
        self.assertFalse(patches.is_finding("total: 0 errors"))

    def test_a_message_without_a_reason(self):
        self.entry(NO_REASON)
        self.assertEqual(patches.messages(self.base).findings, ["0001-one.patch: the message gives no reason"])

    def test_a_subject_that_is_none(self):
        self.entry(fake.ENTRY.replace("virt: Add\n twenty", "fixed it."))
        self.assertIn("0001-one.patch: subject: fixed it.", patches.messages(self.base).findings)

    def test_dep3(self):
        self.entry(fake.ENTRY + fake.HOOK)
        self.succeeds("series")
        self.assertEqual(patches.dep3(self.base).findings, [])
        with mock.patch.object(patches, "DEP3_FIELDS", ("Description", "Bug")):
            self.assertEqual(len(patches.dep3(self.base).findings), 1)


class Files(fake.TestCase):
    def add(self, path, text):
        fake.write(self.top / path, text)
        proc.run("git", "-C", self.top, "add", path)

    def test_spdx(self):
        self.add("virt/tagged.c", "// SPDX-License-Identifier: GPL-2.0-only\n")
        self.add("virt/bare.c", "int x;\n")
        findings = files.spdx(self.base).findings
        self.assertIn("virt/bare.c: no SPDX-License-Identifier", findings)
        self.assertNotIn("virt/tagged.c: no SPDX-License-Identifier", findings)

    def test_scripts_by_their_first_line(self):
        self.add("a", "#!/bin/sh\n")
        self.add("b", "#!/usr/bin/env python3\n")
        self.assertEqual(files.scripts(self.base, rb"(ba|da)?sh\b"), ["a"])
        self.assertEqual(files.scripts(self.base, rb"python3?\b"), ["b"])

    def said_by(self, check, path, text):
        """What a check makes of what its tool says, which need not be installed."""
        self.add(path, text)
        with mock.patch.object(files.proc, "attempt") as attempt, \
                mock.patch.object(files, "tracked", return_value=[path]):
            attempt.return_value = mock.Mock(returncode=1, stdout=f"{path}:1: a fault\n", stderr="")
            findings = check(self.base).findings
        self.assertEqual(attempt.call_args.args[-1], path)
        return findings

    def test_shellcheck(self):
        self.assertEqual(self.said_by(files.shellcheck, "a", "#!/bin/sh\n"), ["a:1: a fault"])

    def test_python(self):
        self.assertEqual(self.said_by(files.python, "a.py", "import os\n"), ["a.py:1: a fault"])


class Objects(fake.TestCase):
    GCC = ["virt/kvm/a.c:3:1: warning: unused variable 'x' [-Wunused]", "  3 | int x;",
           "../virt/kvm/a.c:9:1: warning: unused variable 'x' [-Wunused]", "virt/kvm/a.c:4: note: here"]

    def test_tools_that_know_no_lines(self):
        said = ("arch/x86/kvm/kvm.o: warning: objtool: f+0x1f: unreachable instruction", "a.S:12: Warning: no size",
                "ld: warning: x.o: missing .note.GNU-stack section")
        self.assertEqual(sum(objects.count(said).values()), 3)

    def test_line_numbers_do_not_count(self):
        self.assertEqual(objects.count(self.GCC),
                         Counter({("virt/kvm/a.c", "warning: unused variable 'x' [-Wunused]"): 2}))

    def compared(self, before, after, status=0):
        counts = [(objects.count(before), 0), (objects.count(after), status)]
        with mock.patch.object(objects.source, "pristine") as pristine, \
                mock.patch.object(objects, "warnings", side_effect=counts):
            pristine.return_value = self.base.out
            return objects.compare(self.base, objects.build_for(self.base, "x86_64", "gcc")).findings

    def test_what_the_base_has_is_not_ours(self):
        self.assertEqual(self.compared(self.GCC, self.GCC), [])

    def test_one_more_is(self):
        self.assertEqual(self.compared(self.GCC[:1], self.GCC), ["virt/kvm/a.c: warning: unused variable 'x' [-Wunused]"])

    def test_a_build_that_ends_is_no_pass(self):
        self.assertEqual(len(self.compared([], [], status=2)), 1)

    def test_compilers_see_macros(self):
        build = objects.build_for(self.base, "x86_64", "clang")
        with mock.patch.object(objects.kernel, "configure"), mock.patch.object(objects.proc, "attempt") as attempt:
            attempt.return_value = mock.Mock(stdout="", stderr="", returncode=0)
            objects.warnings(self.base, build)
        environment = attempt.call_args.kwargs["env"]
        self.assertEqual(kernel.PREPROCESS_ONCE.keys() & environment.keys(), set())
        self.assertEqual(environment["CCACHE_NAMESPACE"], "warnings")

    def test_each_compiler_on_each_architecture(self):
        self.assertEqual(len(objects.CHECKS), len(kernel.ARCHES) * len(objects.TOOLS) - 1 + 2)

    def test_what_is_not_compiled(self):
        self.entry("From: A <a@a.example>\nSubject: virt: Add\n\nBody.\n---\nOverlay: virt/kvm/a.c\n"
                   "Overlay: arch/x86/kvm/b.c\nOverlay: virt/kvm/a.h\n\n")
        fake.write(self.base.out / "check-powerpc-gcc/virt/kvm/a.o", "")
        self.assertEqual(objects.compiled(self.base), result.Result(2, "files", ["arch/x86/kvm/b.c: no object"]))
        fake.write(self.base.out / "check-x86_64-gcc/arch/x86/kvm/b.o", "")
        self.assertEqual(objects.compiled(self.base).findings, [])

    def test_each_tree_has_the_options_that_it_knows(self):
        fake.write(self.base.configs / "x86_64.config", "CONFIG_KVM=y\n")
        fake.write(self.base.configs / "y.config", "CONFIG_KUNIT=y\n")
        fake.write(self.base.configs / "test.config", "CONFIG_OUR_TEST=y\n")
        fake.write(self.base.src / "Kconfig", "config KVM\nconfig KUNIT\nconfig OUR_TEST\n")
        fake.write(self.base.out / "pristine/src/Kconfig", "config KVM\nconfig KUNIT\n")
        with mock.patch.object(objects.source, "pristine", return_value=self.base.out / "pristine/src"), \
                mock.patch.object(objects, "warnings", return_value=(Counter(), 0)) as warnings:
            objects.check(self.base, "x86_64", "gcc")
        names = [[path.name for path in call.args[1].fragments] for call in warnings.call_args_list]
        self.assertEqual(names, [["x86_64.config", "y.config"], ["x86_64.config", "y.config", "test.config"]])

    def test_a_compiler_goes_without_what_it_cannot_do(self):
        for name in ("x86_64", "y", "test", "x86_64-clang"):
            fake.write(self.base.configs / f"{name}.config", "")
        names = []
        with mock.patch.object(objects, "compare", lambda base, build, fragments:
                               names.append([path.name for path in fragments(self.base.src)])):
            objects.check(self.base, "x86_64", "gcc")
            objects.check(self.base, "x86_64", "clang")
        self.assertEqual([one[-1:] == ["x86_64-clang.config"] for one in names], [False, True])


class Packaged(fake.TestCase):
    def changed(self, arch, config, final):
        for name, text in (("config", config), ("final", final)):
            fake.write(self.top / name, text)
        return packaged.changed_options(arch, self.top / "config", self.top / "final")

    def test_options_are_the_distributions_and_ours(self):
        config = "CONFIG_KVM=m\n# CONFIG_KVM_XEN is not set\n# CONFIG_OTHER is not set\n"
        final = "CONFIG_KVM=m\nCONFIG_KVM_GENERIC_PRE_FAULT_MEMORY=y\nCONFIG_OTHER=y\n"
        self.assertEqual(self.changed("x86_64", config, final), [])
        self.assertEqual(self.changed("x86_64", config, final.replace("KVM=m", "KVM=y")), ["CONFIG_KVM is y, not m"])
        self.assertEqual(self.changed("x86_64", config, "CONFIG_KVM=m\n"),
                         ["CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY is n, not y"])

    def test_an_option_that_nobody_knows(self):
        final = "CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY=y\nCONFIG_KVM_FRESH=y\n"
        self.assertEqual(self.changed("x86_64", "", final), ["CONFIG_KVM_FRESH is new"])

    def test_options_of_powerpc(self):
        final = "CONFIG_KVM_BOOK3S_HV_HTAB_STREAM=y\nCONFIG_KVM_CHANGE_MAP=y\nCONFIG_KVM_CHANGE_MAP_KUNIT_TEST=y\n"
        self.assertEqual(self.changed("powerpc", "", final), ["CONFIG_KVM_CHANGE_MAP_KUNIT_TEST is y, not n"])

    def test_findings_of_both(self):
        for name, text in (("config", "CONFIG_KVM=m\n"), ("build/fake/check-x86_64-debian/.config", "CONFIG_KVM=m\n")):
            fake.write(self.top / name, text)
        with mock.patch.object(packaged.distribution, "config", return_value=self.top / "config"), \
                mock.patch.object(objects, "compare", return_value=result.Result(3, "objects", ["a warning"])) as compare:
            findings = packaged.check(self.base, "x86_64").findings
        self.assertEqual(findings, ["a warning", "CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY is n, not y"])
        self.assertEqual(compare.call_args.args[1].config, self.top / "config")


class Docs(fake.TestCase):
    def test_a_page_that_sphinx_has_not_made(self):
        page = "Documentation/virt/kvm/ours.rst"
        self.entry(f"From: A <a@a.example>\nSubject: Documentation: Add\n\nBody.\n---\nOverlay: {page}\n\n")

        def make(*words):
            if self.made:
                fake.write(self.base.out / "check-docs/virt/kvm/ours.html", "")
            return mock.Mock(returncode=0, stdout="SKIP    Sphinx htmldocs target.\n", stderr="")
        for self.made in (False, True):
            with mock.patch.object(docs.proc, "attempt", make):
                findings = docs.htmldocs(self.base).findings
            self.assertEqual(findings, [] if self.made else [f"{page}: no page was made of it"])

    def test_kernel_doc_that_does_not_run(self):
        self.entry(fake.ENTRY + fake.HOOK)
        with mock.patch.object(docs.proc, "attempt") as attempt:
            attempt.return_value = mock.Mock(returncode=1, stderr="Argument unknown!\n")
            self.assertEqual(docs.kernel_doc(self.base).findings, ["kernel-doc: Argument unknown!"])


if __name__ == "__main__":
    unittest.main()
