# SPDX-License-Identifier: GPL-2.0-only
"""Composing: the overlay's rules, hooks, the place where they land."""
import shutil
import unittest

import fake

PLAIN = fake.ENTRY.replace("Overlay: MAINTAINERS\n", "")
NAME = "0001-one.patch"


def moved(text, lines=7):
    """A hook that says it is some lines further down."""
    return text.replace("@@ -6,3 +6,4 @@", f"@@ -{6 + lines},3 +{6 + lines},4 @@")


class Overlay(fake.TestCase):
    def test_composes(self):
        self.succeeds("tree")
        self.assertEqual(self.src("virt/new.c").read_text(), "int fresh;\n")
        self.assertEqual(self.src("virt/b.c").read_text().count("x += 20;"), 1)
        self.assertEqual((self.base.stock / "virt/b.c").read_text(), fake.C_FILE)

    def test_missing_file(self):
        (self.top / "virt/new.c").unlink()
        self.fails("tree", says=[NAME, "virt/new.c is missing"])

    def test_unlisted_file(self):
        fake.write(self.top / "arch/x86/kvm/stray.c", "")
        self.fails("tree", says=["arch/x86/kvm/stray.c is in no series entry"])

    def test_ignored_file(self):
        fake.write(self.top / ".gitignore", "*.o\n")
        fake.write(self.top / "virt/new.o", "")
        self.succeeds("tree")

    def test_listed_twice(self):
        self.entry(fake.ENTRY.replace("Overlay: MAINTAINERS\n", ""), "0002-two.patch")
        self.fails("tree", says=["virt/new.c is listed by 0001-one.patch and again by 0002-two.patch"])

    def test_in_the_base_already(self):
        fake.write(self.top / "arch/x86/kvm/Makefile", "")
        self.entry(fake.ENTRY + "Overlay: arch/x86/kvm/Makefile\n" + fake.HOOK)
        self.fails("tree", says=[NAME, "the base has arch/x86/kvm/Makefile already"])


class Entries(fake.TestCase):
    def test_no_separator(self):
        self.entry(fake.ENTRY.replace("---\n", ""))
        self.fails("tree", says=[NAME, "'---'"])

    def test_no_author(self):
        self.entry(fake.ENTRY.split("\n", 1)[1] + fake.HOOK)
        self.fails("tree", says=[NAME, "no From:"])

    def test_new_file_by_hook(self):
        self.entry(fake.ENTRY + fake.HOOK + "--- /dev/null\n+++ b/virt/z.c\n@@ -0,0 +1 @@\n+int z;\n")
        self.fails("tree", says=[NAME, "new files are overlay files"])

    def test_no_such_file(self):
        self.entry(fake.ENTRY + fake.HOOK.replace("virt/b.c", "virt/absent.c"))
        self.fails("tree", says=[NAME, "virt/absent.c", "no such file"])

    def test_no_entries(self):
        (self.base.series / NAME).unlink()
        self.fails("tree", says=["no series entry in "])


class Hooks(fake.TestCase):
    def test_offset_in_the_function(self):
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": "\n\n\n\n" + fake.C_FILE})
        self.succeeds("tree")
        self.assertEqual(self.src("virt/b.c").read_text().splitlines()[10], "\tx += 20;")

    def test_form_feed_is_no_line(self):
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": fake.C_FILE.replace("nothing", "\f\f\f\fnothing")})
        hunk = "@@ -13,2 +13,3 @@ int second(int x)\n \tif (x)\n+\t/* here */\n \t\tgoto out;\n"
        self.entry(fake.ENTRY + "--- a/virt/b.c\n+++ b/virt/b.c\n" + hunk)
        self.succeeds("tree")

    def test_reject(self):
        second = "@@ -18,2 +19,3 @@ int second(int x)\n \tx += 2;\n+\tx += 1;\n \tx += 99;\n"
        self.entry(fake.ENTRY + fake.HOOK + second)
        self.fails("tree", says=[NAME, "virt/b.c", "hunk 2 is rejected", "-18,2"])

    def test_no_fuzz(self):
        self.entry(fake.ENTRY + fake.HOOK.replace("\treturn x;", "\treturn y;"))
        self.fails("tree", says=["hunk 1 is rejected"])

    def test_malformed(self):
        self.entry(fake.ENTRY + fake.HOOK.replace("-6,3 +6,4", "-6,9 +6,10"))
        self.fails("tree", says=[NAME, "virt/b.c", "unexpected end of file in patch"])

    def test_wrong_function(self):
        self.entry(fake.ENTRY + moved(fake.HOOK, 12))
        self.fails("tree", says=[NAME, "virt/b.c", "hunk 1 landed in 'int second(int x)'", "not in 'int first(int x)'"])

    def test_second_hunk_in_the_wrong_function(self):
        first = "@@ -5,2 +5,4 @@ int first(int x)\n \tx += 1;\n+\tx += 7;\n+\tx += 8;\n \tx += 2;\n"
        wrong = "@@ -18,2 +20,3 @@ int first(int x)\n \tx += 2;\n+\tx += 9;\n \tx += 3;\n"
        self.entry(fake.ENTRY + "--- a/virt/b.c\n+++ b/virt/b.c\n" + first + wrong)
        self.fails("tree", says=["hunk 2 landed in 'int second(int x)'"])

    def test_first_line_of_a_function_belongs_to_the_one_before(self):
        before = "@@ -5,2 +5,4 @@ int first(int x)\n \tx += 1;\n+\tx += 7;\n+\tx += 8;\n \tx += 2;\n"
        hunk = "@@ -11,2 +13,3 @@ int first(int x)\n int second(int x)\n+/* here */\n {\n"
        self.entry(fake.ENTRY + "--- a/virt/b.c\n+++ b/virt/b.c\n" + before + hunk)
        self.succeeds("tree")

    def test_unnamed_hunk_is_not_checked(self):
        self.entry(fake.ENTRY + moved(fake.HOOK, 12).replace(" int first(int x)\n", "\n"))
        self.succeeds("tree")

    def test_label_is_no_function(self):
        hunk = moved(fake.HOOK, 12).replace("@@ int first(int x)", "@@ out:")
        self.entry(fake.ENTRY + hunk)
        self.fails("tree", says=["hunk 1 names the label 'out:'", "make refresh"])

    def test_label_is_skipped(self):
        self.entry(fake.ENTRY + moved(fake.HOOK, 12).replace("int first", "int second"))
        self.succeeds("tree")


class Maintainers(fake.TestCase):
    def titles(self):
        lines = self.src("MAINTAINERS").read_text().splitlines()
        return [line for line in lines if line.isupper() and line[1:2] != ":"]

    def test_merged_in_order(self):
        self.succeeds("tree")
        self.assertEqual(self.titles(), ["ALPHA", "BETA", "LIMA", "THE REST"])
        self.assertIn("\n\nBETA\nM:\tB <b@b.example>\nF:\tvirt/new.c\n\nLIMA", self.src("MAINTAINERS").read_text())

    def test_several_stanzas_and_the_end(self):
        fake.write(self.top / "MAINTAINERS", "ZULU\nM:\tZ <z@z.example>\n\nAAA\nM:\tA <a@a.example>\n")
        self.succeeds("tree")
        self.assertEqual(self.titles(), ["AAA", "ALPHA", "LIMA", "ZULU", "THE REST"])

    def test_stanza_of_the_base(self):
        fake.write(self.top / "MAINTAINERS", "LIMA\nM:\tZ <z@z.example>\n")
        self.fails("tree", says=[NAME, "'LIMA' already"])

    def test_no_stanza(self):
        fake.write(self.top / "MAINTAINERS", "nothing\n")
        self.fails("tree", says=["MAINTAINERS has no stanza"])


class Sync(fake.TestCase):
    def mtimes(self):
        return {path: path.stat().st_mtime_ns for path in self.base.src.rglob("*") if path.is_file()}

    def test_nothing_changed(self):
        self.succeeds("tree")
        before = self.mtimes()
        self.assertIn("0 changed now", self.succeeds("tree"))
        self.assertEqual(self.mtimes(), before)

    def test_only_what_changed(self):
        self.succeeds("tree")
        before = self.mtimes()
        fake.write(self.top / "virt/new.c", "int fresher;\n")
        self.succeeds("tree")
        after = self.mtimes()
        self.assertEqual([path.name for path in after if before.get(path) != after[path]], ["new.c"])

    def test_mode_alone(self):
        self.succeeds("tree")
        (self.top / "virt/new.c").chmod(0o755)
        self.succeeds("tree")
        self.assertTrue(self.src("virt/new.c").stat().st_mode & 0o100)

    def test_back_to_pristine(self):
        fake.write(self.top / "virt/deep/down.c", "int down;\n")
        self.entry(fake.ENTRY + "Overlay: virt/deep/down.c\n" + fake.HOOK)
        self.succeeds("tree")
        (self.top / "virt/deep/down.c").unlink()
        self.entry(fake.ENTRY)
        self.succeeds("tree")
        self.assertFalse(self.src("virt/deep").exists())
        self.assertEqual(self.src("virt/b.c").read_text(), fake.C_FILE)
        self.assertTrue(self.src("arch/x86/kvm").is_dir())

    def test_what_was_touched_looks_new_in_a_new_tree(self):
        self.succeeds("tree")
        shutil.rmtree(self.base.src)
        self.entry(fake.ENTRY)
        self.succeeds("tree")
        self.assertEqual(self.src("virt/b.c").read_text(), fake.C_FILE)
        stock = (self.base.stock / "virt/b.c").stat()
        self.assertGreater(self.src("virt/b.c").stat().st_mtime_ns, stock.st_mtime_ns)

    def test_edit_in_src_is_put_right(self):
        self.succeeds("tree")
        self.src("virt/new.c").write_text("changed\n")
        self.succeeds("tree")
        self.assertEqual(self.src("virt/new.c").read_text(), "int fresh;\n")


if __name__ == "__main__":
    unittest.main()
