# SPDX-License-Identifier: GPL-2.0-only
"""Outputs of kernels that begin as a copy of another one, so that make compiles what differs between them.

make knows what to compile anew by times, commands and the options used.  Of another source tree it would compile
all, as commands and dependencies name it, and all that objtool looks at if that is at another place: so they are
told, but for what was made of a file that differs in the other tree.  It may be older there than what was made of
it, which make would keep.

Files that differ never have the same time in both trees: what compose brings into one gets the present as its time.
What make does without a recorded command is not looked at (tables that host programs write, sources of objtool).
"""
import functools
import os
from pathlib import Path

from . import proc

# Of the other kernel, and not to be taken for one of the new one.
PRODUCTS = ("debian", "vmlinux", "System.map", "Module.symvers", "modules.*", "arch/*/boot/bzImage", "**/*.ko")


def begin(base, build, name):
    """Let a build that has no output yet begin with `name`, an output of the patched tree, if that is there."""
    like = base.out / name
    if not name or (build.out.is_dir() and any(build.out.iterdir())) or not (like / "vmlinux").is_file():
        return
    partial = build.out.with_name(f"{build.out.name}.part")
    with base.lock(name):
        proc.run("rm", "-rf", partial)
        proc.run("cp", "-a", "--reflink=auto", f"{like}/.", partial)
    proc.run("rm", "-rf", *(path for pattern in PRODUCTS for path in partial.glob(pattern)))
    move(partial, like.resolve(), build.out.resolve(), base.src.resolve(), build.source.resolve())
    partial.replace(build.out)


def move(out, place, new_place, tree, new_tree):
    """Let commands name another place and another tree.

    Dependencies are named from the root or, by ccache, from the output.
    """
    @functools.cache
    def differs(word):
        path = Path(os.path.normpath(place / word.strip('";()')))
        return path.is_relative_to(tree) and modified(path) != modified(new_tree / path.relative_to(tree))

    for command in out.rglob(".*.cmd"):
        text = command.read_text()
        if any(map(differs, text.split())):
            command.with_name(command.name[1:-len(".cmd")]).unlink(missing_ok=True)
            command.unlink()
        else:
            command.write_text(text.replace(str(place), str(new_place)).replace(str(tree), str(new_tree)))


def modified(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
