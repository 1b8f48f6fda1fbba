# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages that the verbs need."""
import os
import re
import subprocess

from . import apt, proc
from .ui import Failure, say


def groups(path):
    """The packages of each group in the list."""
    found, group = {}, None
    for line in path.read_text().splitlines():
        word = line.split("#")[0].strip()
        if word.startswith("["):
            group = found.setdefault(word.strip("[]"), [])
        elif word:
            group.append(word)
    return found


def missing(packages):
    shown = proc.attempt("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages).stdout
    return sorted(set(packages) - set(re.findall(r"^(\S+) installed$", shown, re.M)))


def need(top, *wanted):
    """Install what is missing of some groups, or of all when none is named."""
    known = groups(top / "tools/patchset/packages")
    packages = missing([package for group in wanted or known for package in known[group]])
    if packages:
        install(packages)
    elif not wanted:
        say("no package is missing")


def install(packages):
    say(f"installing {' '.join(packages)}")
    if not apt.update():
        say("apt-get update failed (no network?): trying with the lists as they are")
    done = subprocess.run(apt.as_root("apt-get", "install", "--yes", "--no-install-recommends", *packages),
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failure(f"cannot install {' '.join(packages)}: {proc.last_line(done.stdout)}")
