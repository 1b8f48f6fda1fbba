# SPDX-License-Identifier: GPL-2.0-only
"""A made-up repository, kernel and package archive for the tests."""
import contextlib
import functools
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import apt, cli, project  # noqa: E402

# Two functions with the same lines in the middle, a label, and room for offsets.
C_FILE = """\
#include <nothing.h>

int first(int x)
{
	x += 1;
	x += 2;
	x += 3;
	return x;
}

int second(int x)
{
	if (x)
		goto out;
	x *= 2;
out:
	x += 1;
	x += 2;
	x += 3;
	return x;
}
"""

KERNEL = {"virt/b.c": C_FILE, "arch/x86/kvm/Makefile": "obj-y += x.o\n",
          "MAINTAINERS": "List of maintainers\n\nALPHA\nM:\tA <a@a.example>\nS:\tMaintained\n\n"
                         "LIMA\nM:\tL <l@l.example>\n\nTHE REST\nM:\tR <r@r.example>\n"}

HOOK = """\
--- a/virt/b.c
+++ b/virt/b.c
@@ -6,3 +6,4 @@ int first(int x)
 	x += 2;
+	x += 20;
 	x += 3;
 	return x;
"""

ENTRY = """\
From: An Author <author@a.example>
Subject: virt: Add
 twenty

Body, with a reason.

Fixes: 123456789abc ("something")
---
Overlay: virt/new.c
Overlay: MAINTAINERS

"""

APT_CACHE = """#!/bin/sh
case $1 in
madison) while read -r v; do echo " $2 | $v | http://archive.example bookworm/main amd64 Packages"; done \
	< "$FAKE/$2.versions" ;;
show) cat "$FAKE/$2.show" 2>/dev/null ;;
esac
"""

APT_GET = """#!/bin/sh
echo "$*" >> "$FAKE/apt-get.log"
case "$*" in *--download-only*) [ ! -e "linux_${*##*=}.dsc" ] || exit 0 ;; esac
[ ! -e "$FAKE/offline" ] || { echo "E: no route to host" >&2; exit 100; }
case "$*" in
*update) ;;
*--download-only*) for last; do :; done; cp "$FAKE/source/${last#*=}/"* . ;;
*download*) for last; do :; done; cp "$FAKE/${last%=*}_${last#*=}_"*.deb . ;;
esac
"""

DPKG_QUERY = """#!/bin/sh
shift 3
for p; do case " $FAKE_MISSING " in *" $p "*) ;; *) echo "$p installed" ;; esac; done
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def package(directory, name, version, root, architecture="all"):
    """Put what is below `root` in the archive as a .deb, the newest of its name."""
    write(root / "DEBIAN/control", f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
                                   "Maintainer: N <n@n.example>\nDescription: none\n")
    deb = directory / f"{name}_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", root, deb], check=True, stdout=subprocess.DEVNULL)
    data = deb.read_bytes()
    write(directory / f"{name}={version}.show", f"Package: {name}\nSource: linux\nVersion: {version}\n"
          f"Architecture: {architecture}\n"
          f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n")
    versions = directory / f"{name}.versions"
    versions.write_text(f"{version}\n" + (versions.read_text() if versions.exists() else ""))


def source_package(directory, version, files):
    """A package like Debian's kernel source."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name, text in files.items():
            write(root / "linux-source-9.9" / name, text)
        archive = root / "deb/usr/src/linux-source-9.9.tar.xz"
        archive.parent.mkdir(parents=True)
        subprocess.run(["tar", "-C", root, "-cJf", archive, "linux-source-9.9"], check=True)
        package(directory, "linux-source-9.9", version, root / "deb")


@functools.cache
def first_archive():
    """What all tests begin with: to pack its package takes longer than most of them."""
    kept = tempfile.TemporaryDirectory()
    archive = Path(kept.name)
    for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET), ("dpkg-query", DPKG_QUERY),
                       ("sudo", '#!/bin/sh\nexec "$@"\n')):
        write(archive / "bin" / name, text)
        (archive / "bin" / name).chmod(0o755)
    source_package(archive, "9.9.1-1", KERNEL)
    return kept


class TestCase(unittest.TestCase):
    """Each test has a repository of its own, with one entry, and an archive with one version."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name) / "top"
        self.archive = Path(scratch.name) / "archive"
        self.make_archive()
        self.make_repository()
        self.base = project.load(self.top, "fake")
        lists = mock.patch.object(apt, "LISTS", self.archive)
        lists.start()
        self.addCleanup(lists.stop)

    def make_archive(self):
        shutil.copytree(first_archive().name, self.archive)
        environment = {"PATH": f"{self.archive}/bin:{os.environ['PATH']}", "FAKE": str(self.archive),
                       "FAKE_MISSING": "", "GIT_CONFIG_GLOBAL": os.devnull}
        patched = mock.patch.dict(os.environ, environment)
        patched.start()
        self.addCleanup(patched.stop)

    def offer(self, version, files):
        """Put a version in the archive, as the newest."""
        source_package(self.archive, version, files)

    def make_repository(self):
        tool = self.top / "tools/patchset"
        write(tool / "bases/fake.toml", 'package = "linux-source-9.9"\narchive = "usr/src/linux-source-9.9.tar.xz"\n')
        write(tool / "packages", "[source]\ngit\n[kernel]\ngcc\nmake # the tool\n[debian]\ndpkg-dev\n")
        write(tool / "series/fake/cover-letter", "A title\n\nA text.\n")
        self.entry(ENTRY + HOOK)
        write(self.top / "virt/new.c", "int fresh;\n")
        write(self.top / "MAINTAINERS", "BETA\nM:\tB <b@b.example>\nF:\tvirt/new.c\n")
        subprocess.run(["git", "-C", self.top, "init", "-q", "--template="], check=True)
        with open(self.top / ".git/config", "a") as config:
            config.write("[user]\nname = Ex Porter\nemail = ex@p.example\n")
        for words in (["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run(["git", "-C", self.top, *words], check=True)

    def entry(self, text, name="0001-one.patch"):
        path = self.top / "tools/patchset/series/fake" / name
        write(path, text)
        return path

    def patchset(self, *words):
        """Run a verb; exit status, standard output and standard error."""
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            status = cli.main([words[0], "--base", "fake", *words[1:]], self.top)
        return status, out.getvalue(), error.getvalue()

    def succeeds(self, *words):
        status, out, error = self.patchset(*words)
        self.assertEqual((status, error), (0, ""))
        return out

    def fails(self, *words, says):
        """The verb ends with one line on stderr which has all of `says`."""
        status, _, error = self.patchset(*words)
        self.assertEqual(status, 1)
        self.assertRegex(error, r"\Apatchset: [^\n]+\n\Z")
        for text in says:
            self.assertIn(text, error)

    def src(self, name):
        return self.base.src / name
