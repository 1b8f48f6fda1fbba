# SPDX-License-Identifier: GPL-2.0-only
"""What is built after each entry, with the compiler left out."""
import threading
import unittest
from unittest import mock

import fake
from lib import kernel, ui

FRAGMENTS = {"x86_64-m": "CONFIG_MODULES=y\n", "powerpc-m": "CONFIG_MODULES=y\n", "y": "CONFIG_MODULES=n\n",
             "test": "CONFIG_TEST=y\n", "stream": "CONFIG_STREAM=y\n"}
ALL = {"x86_64-y", "x86_64-y-test", "x86_64-m", "x86_64-m-test", "powerpc-y-stream-test", "powerpc-y",
       "powerpc-m-stream", "powerpc-m-test"}


class Prefixes(fake.TestCase):
    """The second entry is for x86; the third adds the options."""

    def setUp(self):
        super().setUp()
        for name, text in FRAGMENTS.items():
            fake.write(self.top / f"tools/patchset/configs/{name}.config", text)
        for arch in kernel.ARCHES:
            fake.write(self.base.configs / f"{arch}.config", "")
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/Kconfig": "config MODULES\n"})
        self.entry(self.hooks("arch/x86/kvm/Makefile", "obj-y += x.o", "obj-y += y.o"), "0002-two.patch")
        self.entry(self.hooks("virt/Kconfig", "config MODULES", "config TEST", "  config STREAM"),
                   "0003-three.patch")
        self.built = []
        self.broken = None
        patched = mock.patch.object(kernel, "linked", self.linked)
        patched.start()
        self.addCleanup(patched.stop)

    def hooks(self, path, line, *added):
        text = "".join(f"+{one}\n" for one in added)
        return (fake.ENTRY.replace("Overlay: virt/new.c\nOverlay: MAINTAINERS\n", "")
                + f"--- a/{path}\n+++ b/{path}\n@@ -1 +1,{1 + len(added)} @@\n {line}\n{text}")

    def linked(self, top, build, what):
        self.built.append(what)
        if what == self.broken:
            raise ui.Failure("does not link")

    def built_for(self, number):
        return {what.split()[1] for what in self.built if what.startswith(number)}

    def test_each_configuration_once_its_options_are_there(self):
        out = self.succeeds("prefixes")
        self.assertEqual(self.built_for("0001"), {"x86_64-y", "x86_64-m", "powerpc-y-stream-test", "powerpc-m-stream"})
        self.assertEqual(self.built_for("0003"), ALL)
        self.assertRegex(out, r"0001-one\.patch( +builds +same){4}\n")
        self.assertRegex(out, r"0003-three\.patch( +builds){8}\n")

    def test_not_what_is_as_in_the_prefix_before(self):
        self.assertRegex(self.succeeds("prefixes"), r"0002-two\.patch( +builds +same){2}( +passed +same){2}\n")

    def test_modules_have_an_output_of_their_own(self):
        with mock.patch.object(kernel, "linked") as linked:
            self.succeeds("prefixes")
        self.assertEqual({call.args[1].out.name for call in linked.call_args_list},
                         {"x86_64-y", "x86_64-m", "powerpc-y", "powerpc-m"})

    def test_two_outputs_at_a_time(self):
        busy, shared, both = [], [], threading.Barrier(2)

        def linked(top, build, what):
            if build.out.name in busy:
                shared.append(what)
            busy.append(build.out.name)
            both.wait(10)
            busy.remove(build.out.name)

        with mock.patch.object(kernel, "linked", linked):
            self.succeeds("prefixes")
        self.assertEqual(shared, [])

    def test_an_option_that_never_comes(self):
        fake.write(self.top / "tools/patchset/configs/stream.config", "CONFIG_STREAM=y\nCONFIG_NOWHERE=y\n")
        self.fails("prefixes", says=["stream.config: no Kconfig has CONFIG_NOWHERE"])

    def test_not_documents(self):
        fake.write(self.top / "Documentation/new.rst", "")
        self.entry(fake.ENTRY.replace("virt/new.c\nOverlay: MAINTAINERS", "Documentation/new.rst"), "0000-doc.patch")
        self.assertRegex(self.succeeds("prefixes"), r"0000-doc\.patch( +as stock){8}\n")
        self.assertEqual(self.built_for("0000"), set())

    def test_goes_on_where_it_failed(self):
        self.broken = "0003 powerpc-m-stream"
        status, out, error = self.patchset("prefixes")
        self.assertEqual((status, error), (1, "patchset: 0003-three.patch does not build\n"))
        self.assertRegex(out, r"0003-three\.patch( +builds){6} +FAILED +builds\n")
        self.broken, self.built = None, []
        self.succeeds("prefixes")
        self.assertEqual(self.built, ["0003 powerpc-m-stream"])

    def test_leaves_the_pristine_tree_alone(self):
        self.succeeds("prefixes")
        self.assertEqual((self.base.stock / "virt/b.c").read_text(), fake.C_FILE)
        self.succeeds("prove")


if __name__ == "__main__":
    unittest.main()
