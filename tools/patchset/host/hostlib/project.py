# SPDX-License-Identifier: GPL-2.0-only
"""Where things are, and what the repository contains."""

import hashlib
import os
import subprocess

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HOST)))
PATCHSET = os.path.join(TOP, "tools", "patchset", "patchset")
_state = {"base": "debian-6.1"}


class UnknownBase(Exception):
    """There is no such base."""


def set_base(name):
    bases = os.path.join(TOP, "tools", "patchset", "bases")
    known = sorted(os.path.splitext(file)[0] for file in os.listdir(bases))
    if name not in known:
        raise UnknownBase(f"no base {name}: there is {', '.join(known)}")
    _state["base"] = name


def base():
    return _state["base"]


def under(*names):
    """A path in the directory of everything that is built for the base."""
    build = os.environ.get("HOST_BUILD") or os.path.join(TOP, "build", base())
    return os.path.join(build, *names)


def shown(path):
    """A path as a person at the top of the tree would name it."""
    relative = os.path.relpath(path, TOP)
    return path if relative.startswith("..") else relative


def digest_file(path):
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def digest_tree():
    """Of the names and the contents of all files of the repository."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard",
                            "-z"], cwd=TOP, check=True,
                           stdout=subprocess.PIPE).stdout.split(b"\0")
    whole = hashlib.sha256()
    for name in sorted(set(names)):
        path = os.path.join(os.fsencode(TOP), name)
        if os.path.isfile(path):
            whole.update(name + b"\0" + digest_file(path).encode())
    return whole.hexdigest()
