# SPDX-License-Identifier: GPL-2.0-only
"""Composing the series: the files that it touches, entry by entry."""
import shutil

from . import hooks, maintainers, proc
from .ui import Failure

OVERLAY_ROOTS = ("arch", "virt", "include", "Documentation", "tools/testing/selftests", "tools/kvm")
MERGED = "MAINTAINERS"


def overlay_files(top):
    """Files of the repository that belong in the kernel: tracked, or new and not ignored."""
    listed = proc.run("git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                      "--", *OVERLAY_ROOTS, MERGED)
    return {path for path in listed.split("\0") if path and (top / path).is_file()}


def check_overlay(top, entries):
    """Every overlay file is named by exactly one entry, every name has its file."""
    files = overlay_files(top)
    owner = {}
    for entry in entries:
        for path in entry.overlays:
            if path in owner:
                raise Failure(f"{path} is listed by {owner[path]} and again by {entry.name}")
            if path not in files:
                raise Failure(f"{entry.name}: overlay file {path} is missing")
            owner[path] = entry.name
    unlisted = sorted(files - owner.keys())
    if unlisted:
        more = f" (and {len(unlisted) - 1} more)" if unlisted[1:] else ""
        raise Failure(f"overlay file {unlisted[0]} is in no series entry{more}")


def edited(entries):
    """Files of the base that the series edits."""
    paths = {hook.path for entry in entries for hook in entry.hooks}
    merged = {path for entry in entries for path in entry.overlays if path == MERGED}
    return paths | merged


def touched(entries):
    return edited(entries) | {path for entry in entries for path in entry.overlays}


def start(stock, entries, scratch):
    """Empty `scratch` and fill it with the base's version of every file that is edited."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for path in sorted(edited(entries)):
        if (stock / path).is_file():
            copy(stock / path, scratch / path)


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def apply(top, stock, entry, scratch):
    """Put one entry on top of what `scratch` holds."""
    for path in entry.overlays:
        if path == MERGED:
            merge(top, entry, scratch)
        elif (stock / path).exists():
            raise Failure(f"{entry.name}: the base has {path} already: it needs a hook, not an overlay file")
        else:
            copy(top / path, scratch / path)
    for hook in entry.hooks:
        if not (stock / hook.path).is_file():
            raise Failure(f"{entry.name}: {hook.path}: the base has no such file")
        hooks.apply(scratch, entry.name, hook)


def merge(top, entry, scratch):
    target = scratch / MERGED
    kernel, ours = (path.read_text(errors="surrogateescape") for path in (target, top / MERGED))
    target.write_text(maintainers.merge(kernel, ours, entry.name), errors="surrogateescape")


def compose(top, stock, entries, scratch, after=lambda entry: None):
    """Compose all of `entries` in `scratch`, calling `after` for each."""
    check_overlay(top, entries)
    start(stock, entries, scratch)
    for entry in entries:
        apply(top, stock, entry, scratch)
        after(entry)
    return touched(entries)
