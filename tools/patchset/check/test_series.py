# SPDX-License-Identifier: GPL-2.0-only
"""Exporting, proving and refreshing."""
import re
import subprocess
import unittest
from email.utils import parsedate_to_datetime

import fake

SECOND = """\
From: Ex Porter <ex@p.example>
Subject: virt: Multiply once more

For no reason.

Signed-off-by: Ex Porter <ex@p.example>
---
--- a/virt/b.c
+++ b/virt/b.c
@@ -15,4 +15,5 @@ int second(int x)
 		goto out;
 	x *= 2;
+	x *= 3;
 out:
 	x += 1;
"""


class TestCase(fake.TestCase):
    def setUp(self):
        super().setUp()
        self.second = self.entry(SECOND, "0002-two.patch")
        fake.write(self.top / "virt/script", "#!/bin/sh\n")
        (self.top / "virt/script").chmod(0o755)
        self.first = self.entry(fake.ENTRY + "Overlay: virt/script\n" + fake.HOOK)

    def exported(self, pattern):
        return [path.read_text() for path in sorted((self.base.out / "series").glob(pattern))]


class Series(TestCase):
    def test_numbered_mails(self):
        self.succeeds("series")
        cover, first, second = self.exported("0*.patch")
        self.assertIn("Subject: [PATCH 1/2] virt: Add twenty\n", first)
        self.assertIn("\nFrom: An Author <author@a.example>\n", first)
        self.assertRegex(first, r"\nFixes: 123456789abc .*\nSigned-off-by: Ex Porter <ex@p.example>\n---\n")
        self.assertEqual(second.count("Signed-off-by:"), 1)
        self.assertRegex(first, r"\nindex [0-9a-f]{40}\.\.[0-9a-f]{40} 100644\n")

    def test_cover_letter(self):
        self.succeeds("series")
        cover = self.exported("0000*")[0]
        for text in ("Subject: [PATCH 0/2] A title\n", "A text.", "linux-source-9.9 9.9.1-1", "virt/new.c ",
                     "An Author (1):", (self.base.out / "version").read_text().split()[1]):
            self.assertIn(text, cover)

    def test_same_again(self):
        self.succeeds("series")
        before = self.exported("*.patch"), self.exported("*.mbox"), self.exported("quilt/*")
        self.succeeds("series")
        self.assertEqual((self.exported("*.patch"), self.exported("*.mbox"), self.exported("quilt/*")), before)

    def test_dates_follow_the_repository(self):
        when = subprocess.run(["git", "-C", self.top, "log", "-1", "--format=%ct"], capture_output=True, check=True)
        self.succeeds("series")
        dates = [parsedate_to_datetime(re.search("^Date: (.*)", mail, re.M)[1]).timestamp()
                 for mail in self.exported("0*.patch")]
        self.assertEqual(dates, [int(when.stdout) + second for second in range(3)])

    def test_dep3(self):
        self.succeeds("series")
        patch = self.exported("quilt/0001*")[0]
        self.assertTrue(patch.startswith("Description: virt: Add twenty\n Body, with a reason.\n .\n Fixes: "))
        self.assertRegex(patch, r"\nAuthor: An Author <author@a\.example>\nForwarded: no\n"
                                r"Last-Update: \d{4}-\d\d-\d\d\n---")

    def test_no_identity(self):
        for key in ("user.name", "user.email"):
            subprocess.run(["git", "-C", self.top, "config", "--unset", key], check=True)
        subprocess.run(["git", "-C", self.top, "config", "user.useConfigOnly", "true"], check=True)
        self.fails("series", says=["user.name and user.email"])

    def test_entry_without_effect(self):
        self.entry(SECOND.split("--- a/")[0], "0003-three.patch")
        self.fails("series", says=["0003-three.patch: changes nothing"])


class Prove(TestCase):
    def test_holds(self):
        self.assertIn("all others as in stock", self.succeeds("prove"))

    def test_stray_file(self):
        self.succeeds("tree")
        self.src("virt/stray.c").write_text("int stray;\n")
        self.fails("prove", says=["virt/stray.c differs from stock"])

    def test_changed_file(self):
        self.succeeds("tree")
        self.src("arch/x86/kvm/Makefile").write_text("obj-y += y.o\n")
        self.fails("prove", says=["arch/x86/kvm/Makefile differs from stock"])

    def test_file_gone(self):
        self.succeeds("tree")
        self.src("arch/x86/kvm/Makefile").unlink()
        self.fails("prove", says=["arch/x86/kvm/Makefile differs from stock"])


class Refresh(TestCase):
    def entries(self):
        return [path.read_bytes() for path in sorted(self.base.series.glob("*.patch"))]

    def test_nothing_to_do(self):
        before = self.entries()
        self.assertIn("0 of 2 entries refreshed", self.succeeds("refresh"))
        self.assertEqual(self.entries(), before)

    def test_moved_base(self):
        self.offer("9.9.2-1", {**fake.KERNEL, "virt/b.c": "\n\n\n\n" + fake.C_FILE})
        before = self.first.read_text(), self.second.read_text()
        self.succeeds("refresh")
        after = self.first.read_text(), self.second.read_text()
        for old, new, line in zip(before, after, (8, 18)):
            self.assertEqual(old.split("\n--- a/")[0], new.split("\n--- a/")[0])
            self.assertIn(f"@@ -{line},", new)
        self.assertIn("0 of 2 entries refreshed", self.succeeds("refresh"))
        self.succeeds("prove")

    def test_label_gives_way(self):
        below = "@@ -18,5 +18,6 @@ out:\n \tx += 1;\n \tx += 2;\n \tx += 3;\n+\tx += 4;\n \treturn x;\n }\n"
        self.entry(SECOND.split("@@")[0] + below, "0002-two.patch")
        self.succeeds("refresh")
        self.assertTrue(re.search(r"@@ int second\(int x\)$", self.second.read_text(), re.M))
        self.succeeds("tree")


if __name__ == "__main__":
    unittest.main()
