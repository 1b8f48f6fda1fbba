# SPDX-License-Identifier: GPL-2.0-only
"""What stock code is found behind the series."""
import unittest

import fake
from lib import behind

KEPT = """\
static int old(void)
{
	return 1;
}

static int older(void)
{
	return 2;
}

#ifndef CONFIG_OTHER
static int other(void)
{
	return 3;
}
#endif /* !CONFIG_OTHER */
"""


class Behind(fake.TestCase):
    def found(self, stock, composed, name="virt/b.c"):
        for tree, text in (("stock", stock), ("composed", composed)):
            fake.write(self.top / tree / name, text)
        return sorted(behind.of(self.top / "stock", self.top / "composed", {name}))

    def test_the_function_that_is_edited(self):
        self.assertEqual(self.found(fake.C_FILE, fake.C_FILE.replace("\tx *= 2;", "\tx *= 3;")),
                         ["virt/b.c: int second(int x)"])

    def test_the_function_that_is_added_to(self):
        self.assertEqual(self.found(fake.C_FILE, fake.C_FILE.replace("\tx += 3;", "\tx += 3;\n\tx++;", 1)),
                         ["virt/b.c: int first(int x)"])

    def test_nothing_behind_what_is_added_in_between(self):
        self.assertEqual(self.found(fake.C_FILE, fake.C_FILE.replace("int second", "int x;\n\nint second")), [])

    def test_what_is_left_to_those_who_switch_it_off(self):
        composed = "#ifndef CONFIG_OURS\n" + KEPT.replace("\n#ifndef", "#endif /* !CONFIG_OURS */\n\n#ifndef")
        self.assertEqual(self.found(KEPT, composed),
                         ["virt/b.c: static int old(void)", "virt/b.c: static int older(void)"])

    def test_no_code(self):
        self.assertEqual(self.found("a\n", "b\n", "virt/Makefile"), [])

    def test_changes(self):
        one = {"a.c: f": "1", "a.c: g": "2"}
        self.assertEqual(behind.changes(self.base, one), [])
        behind.record(self.base, "6.1.5-1", one)
        self.assertEqual(behind.recorded_version(self.base), "6.1.5-1")
        self.assertEqual(behind.changes(self.base, one), [])
        self.assertEqual(behind.changes(self.base, {"a.c: f": "1", "a.c: h": "2"}), ["a.c: g: is gone"])
        self.assertEqual(behind.changes(self.base, {"a.c: f": "3", "a.c: g": "2"}), ["a.c: f: is not as it was"])

    def test_what_is_older(self):
        self.assertFalse(behind.is_older(self.base, "6.1.5-1"))
        behind.record(self.base, "6.1.20-1", {})
        self.assertTrue(behind.is_older(self.base, "6.1.5-1"))
        self.assertFalse(behind.is_older(self.base, "6.1.20-1"))
        self.assertFalse(behind.is_older(self.base, "6.1.100-1"))


if __name__ == "__main__":
    unittest.main()
