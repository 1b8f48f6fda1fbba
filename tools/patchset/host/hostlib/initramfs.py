# SPDX-License-Identifier: GPL-2.0-only
"""A static initramfs, written as a newc cpio archive.

Written here rather than by cpio(1), because a device node needs no root here.
"""

import os
import stat

DIRECTORIES = ("dev", "proc", "sys", "tmp")
CONSOLE = (5, 1)


def _pad(length):
    return b"\0" * (-length % 4)


def _entry(number, name, mode, data=b"", device=(0, 0)):
    name = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0,
              device[0], device[1], len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + _pad(len(head)) + data + _pad(len(data))


def _parents(path):
    parts = path.split("/")[:-1]
    return ["/".join(parts[:n + 1]) for n in range(len(parts))]


def archive(files):
    """An archive of `files`: a dict from path to bytes."""
    directories = set(DIRECTORIES)
    for path in files:
        directories.update(_parents(path))
    entries = [(path, stat.S_IFDIR | 0o755, b"", (0, 0))
               for path in sorted(directories)]
    entries.append(("dev/console", stat.S_IFCHR | 0o600, b"", CONSOLE))
    entries += [(path, stat.S_IFREG | 0o755, data, (0, 0))
                for path, data in sorted(files.items())]
    entries.append(("TRAILER!!!", 0, b"", (0, 0)))
    return b"".join(_entry(number, *entry)
                    for number, entry in enumerate(entries, 1))


def build(output, files):
    """Writes the archive `output` of `files`."""
    partial = f"{output}.part"
    with open(partial, "wb") as out:
        out.write(archive(files))
    os.replace(partial, output)


def read(path):
    with open(path, "rb") as source:
        return source.read()
