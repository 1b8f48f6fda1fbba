# SPDX-License-Identifier: GPL-2.0-only
"""Bringing a composition into a source tree, leaving alone what does not change."""
import filecmp
import os
import shutil


def update(source, target):
    """Copy a file if content or mode differs; by rename, as the target may be a hard link."""
    if target.is_file() and filecmp.cmp(source, target, shallow=False) \
            and source.stat().st_mode == target.stat().st_mode:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.copy(source, new)
    new.replace(target)
    return True


def remove(target, tree):
    """Remove a file and the directories that it leaves empty."""
    target.unlink(missing_ok=True)
    for directory in target.parents:
        if directory == tree or not directory.is_dir() or any(directory.iterdir()):
            return
        directory.rmdir()


def sync(stock, scratch, tree, touched, record):
    """Make `tree` the stock tree with the touched files as in `scratch`.

    `record` keeps the names of an earlier composition: what was touched then
    and is not now goes back to stock. It is written first, so that a run that
    is cut short is made good by the next one.
    """
    known = set(record.read_text().split("\n")) - {""} if record.is_file() else set()
    record.write_text("".join(f"{path}\n" for path in sorted(known | touched)))
    changed = sum(settle(path, stock, scratch, tree) for path in sorted(known | touched))
    record.write_text("".join(f"{path}\n" for path in sorted(touched)))
    return changed


def settle(path, stock, scratch, tree):
    """Bring one file to its state; whether it had to be changed."""
    for origin in (scratch, stock):
        if (origin / path).is_file():
            return update(origin / path, tree / path)
    was_there = os.path.lexists(tree / path)
    remove(tree / path, tree)
    return was_there
