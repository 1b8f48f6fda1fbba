# SPDX-License-Identifier: GPL-2.0-only
"""How the table in a migration stream of QEMU's is read and compared."""

import os
import struct
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(HERE, "streams.c"),
           *(os.path.join(os.path.dirname(HERE), name)
             for name in ("migrate/stream.c", "migrate/table.c",
                          "migrate/trace.c", "client/say.c"))]

START, PART, END, FULL = 1, 2, 3, 4
RAM, HTAB = 2, 3
PAGE = 4096
ORDER = 18


def section(kind, number, data, name=b""):
    head = struct.pack(">BI", kind, number)
    if kind == START:
        head += bytes([len(name)]) + name + struct.pack(">II", 0, 4)
    return head + data + struct.pack(">BI", 0x7e, number)


def entry(key, valid=True, lock=False):
    return struct.pack(">QQ", key << 12 | lock << 6 | valid, key << 20)


def chunk(index, *entries, invalid=0):
    return struct.pack(">IHH", index, len(entries), invalid) + b"".join(entries)


def htab(*chunks):
    return struct.pack(">I", 0) + b"".join(chunks) + bytes(8)


BEGIN = struct.pack(">IIBI", 0x5145564d, 3, 7, 7) + b"pseries"
BLOCKS = (struct.pack(">Q", 8 * PAGE | 4) + b"\3ram" + struct.pack(">Q", 6 * PAGE)
          + b"\4vram" + struct.pack(">Q", 2 * PAGE) + struct.pack(">Q", 0x10))
PAGES = (struct.pack(">Q", 0 | 8) + b"\3ram" + b"x" * PAGE
         + struct.pack(">QB", PAGE | 0x22, 0) + struct.pack(">Q", 0x10))
STARTS = (BEGIN + section(START, RAM, BLOCKS, b"ram")
          + section(START, HTAB, struct.pack(">I", ORDER), b"spapr/htab"))


def stream(*passes, last=()):
    middle = b"".join(section(PART, RAM, PAGES) + section(PART, HTAB, htab(*chunks))
                      for chunks in passes)
    return (STARTS + middle + section(END, RAM, PAGES)
            + section(END, HTAB, htab(*last)) + section(FULL, 9, b"device"))


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        cls.program = os.path.join(cls.directory, "streams")
        subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror",
                        "-fsanitize=address,undefined",
                        "-I", os.path.join(os.path.dirname(HERE), "client"),
                        "-I", os.path.join(os.path.dirname(HERE), "migrate"),
                        "-o", cls.program,
                        *SOURCES], check=True)

    def write(self, *streams):
        paths = []
        for number, data in enumerate(streams):
            paths.append(os.path.join(self.directory, str(number)))
            with open(paths[-1], "wb") as out:
                out.write(data)
        return paths

    def start(self, *paths):
        return subprocess.run([self.program, *paths], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})

    def run_on(self, *streams):
        return self.start(*self.write(*streams))

    def compared(self, one, two):
        done = self.run_on(one, two)
        self.assertEqual(done.returncode, 0, done.stdout)
        return {key: int(value) for key, value in
                (word.split("=") for word in done.stdout.split())}

    def differences(self, one, two):
        found = self.compared(one, two)
        return found["missing"], found["extra"], found["other"]

    def refused(self, data, message):
        done = self.run_on(data, data)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, message)


class ComparedTest(Streams):
    def test_passes_come_to_the_same(self):
        live = stream([chunk(0, entry(1), entry(2), invalid=3)],
                      [chunk(1, entry(4))], last=[chunk(0, entry(5))])
        self.assertEqual(self.differences(live, stream([chunk(0, entry(5), entry(4))])),
                         (0, 0, 0))

    def test_missing(self):
        self.assertEqual(self.differences(stream([chunk(7, entry(1), entry(2))]),
                                          stream([chunk(7, entry(1))])), (1, 0, 0))

    def test_invalidated(self):
        self.assertEqual(self.differences(
            stream([chunk(7, entry(1), entry(2))]),
            stream([chunk(7, entry(1), entry(2))], last=[chunk(7, invalid=2)])), (2, 0, 0))

    def test_extra(self):
        self.assertEqual(self.differences(stream([]), stream([chunk(9, entry(3))])),
                         (0, 1, 0))

    def test_other(self):
        self.assertEqual(self.differences(stream([chunk(9, entry(2))]),
                                          stream([chunk(9, entry(3))])), (0, 0, 1))

    def test_the_last_entry(self):
        last = (1 << ORDER - 4) - 1
        self.assertEqual(self.differences(stream([]), stream([chunk(last, entry(3))])),
                         (0, 1, 0))

    def test_a_lock_bit_is_counted_not_compared(self):
        found = self.compared(stream([chunk(1, entry(1))]),
                              stream([chunk(1, entry(1, lock=True))]))
        self.assertEqual((found["locks"], found["other"]), (1, 0))

    def test_counts(self):
        found = self.compared(stream([]), stream([chunk(0, entry(1), invalid=5)],
                                                 last=[chunk(3, entry(2))]))
        self.assertEqual((found["told"], found["invalid"]), (2, 5))
        self.assertEqual(found["bytes"], 2 * (4 + 8 + 16 + 8))
        self.assertEqual(found["parts"], 2)

    def test_ends_of_the_table(self):
        found = self.compared(stream([]), stream([chunk(9, entry(1)), chunk(10, entry(1))],
                                                 [chunk(11, entry(2)), chunk(0, entry(2))],
                                                 last=[chunk(0, entry(3)), chunk(0, entry(4))]))
        self.assertEqual(found["ends"], 1 + 2)


def event(us, what, name="spapr/htab"):
    return f"42@1700000000.{us:06}:savevm_section_{what} {name}, section_id {HTAB}\n"


def events(us):
    """Of a part, behind one of memory."""
    return (event(us - 9, "start", "ram") + event(us - 2, "end", "ram")
            + event(us, "start") + event(us + 7, "end"))


class TraceTest(Streams):
    """The times of a stream's parts."""
    STREAM = stream([chunk(5, entry(1), invalid=2)], last=[chunk(0, entry(2))])
    STOPPED = "42@1700000000.000600:migration_completion_vm_stop ret 0\n"

    def traced(self, text):
        path = os.path.join(self.directory, "trace")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        one, two = self.write(self.STREAM, self.STREAM)
        return self.start(one, two, path)

    def test_times(self):
        done = self.traced(events(500) + self.STOPPED + events(900))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("# part 0: at 0 us, took 7 us, 36 bytes, 1 valid, 2 invalid, "
                      "end passed 0 times, live\n"
                      "# part 1: at 400 us, took 7 us, 36 bytes, 1 valid, 0 invalid, "
                      "end passed 1 times, stopped\n", done.stdout)

    def test_another_number_of_parts(self):
        done = self.traced(events(500))
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 of 2 parts", done.stdout)

    def test_without_times(self):
        done = self.traced("savevm_section_start spapr/htab, section_id 3\n")
        self.assertEqual(done.returncode, 1)


class RefusedTest(Streams):
    def test_no_stream(self):
        self.refused(b"x" * 100, "instead of 0x5145564d at 0")

    def test_cut_anywhere(self):
        whole = stream([chunk(0, entry(1))])
        end = len(whole) - len(section(FULL, 9, b"device"))
        for length in (5, 30, 100, len(STARTS), len(STARTS) + 2000, end - 1):
            self.refused(whole[:length], "ends in a section")

    def test_beyond_the_table(self):
        self.refused(stream([chunk((1 << ORDER - 4) - 1, entry(1), entry(1))]),
                     "beyond the table")
        self.refused(stream([chunk(0xffffffff, invalid=2)]), "beyond the table")

    def test_without_a_table(self):
        self.refused(BEGIN + section(START, RAM, BLOCKS, b"ram")
                     + section(FULL, 9, b"device"), "type 4")

    def test_an_unknown_section(self):
        self.refused(BEGIN + section(START, 1, b"", b"block"), "a section block")

    def test_entries_without_a_table(self):
        self.refused(BEGIN + section(START, HTAB, htab(chunk(0, entry(1))),
                                     b"spapr/htab"), "beyond the table")


if __name__ == "__main__":
    unittest.main()
