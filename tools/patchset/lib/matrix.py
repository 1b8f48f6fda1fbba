# SPDX-License-Identifier: GPL-2.0-only
"""The series on every version of the base that apt offers."""
import shutil

from . import apt, behind, compose, digest, entry, kernel, source, sync
from .ui import Failure, say

EVERY_COLUMN = ("applies", *kernel.ARCHES)
# Besides: whether the stock code behind the series is what it was.
BEHIND = "behind"


def matrix(base, apply_only):
    with base.lock("matrix"):
        run(base, EVERY_COLUMN[:1] if apply_only else EVERY_COLUMN)


def run(base, columns):
    """Print a table of versions; a version whose checks have all passed is not tried again."""
    versions = apt.offered(base.package)
    if not versions:
        raise Failure(f"apt offers no {base.package}")
    entries = entry.load(base)
    compose.check_overlay(base.top, entries)
    passed = digest.Passed(base.out / "matrix/passed")
    failures = []
    print(f"{base.package:20} {' '.join(f'{column:>10}' for column in columns)}")
    for version in versions:
        results = try_version(base, version, entries, columns, passed)
        print(f"{version:20} {' '.join(f'{result:>10}' for result in results)}", flush=True)
        if "FAILED" in results:
            failures.append(version)
    if failures:
        raise Failure(f"matrix: {len(failures)} of {len(versions)} versions fail, the first is {failures[0]}")


def keys(base, version, entries, columns):
    """What each column's result depends on."""
    overlays = [path for one in entries for path in one.overlays]
    files = [entry.file_of(base, one) for one in entries]
    return {column: digest.of_tree(base.top, overlays, version, column, *files,
                                   *(kernel.fragments(base, column) if column in kernel.ARCHES else ()),
                                   *(map(" ".join, behind.recorded(base).items()) if column == BEHIND else ()))
            for column in (*columns, BEHIND)}


def try_version(base, version, entries, columns, passed):
    """A word for each column."""
    home = base.out / "matrix"
    key = keys(base, version, entries, columns)
    todo = [column for column in (*columns, BEHIND) if key[column] not in passed]
    results = {column: "passed" for column in columns}
    if todo:
        results.update({column: "FAILED" for column in todo})
        for column in attempt(base, home, version, entries, todo):
            passed.add(key[column], f"{version} {column}")
            results[column] = "ok"
        shutil.rmtree(home / "src", ignore_errors=True)
    return [results[column] for column in columns]


def attempt(base, home, version, entries, todo):
    """Extract a version, compose on it, compile; yields the columns that succeed."""
    try:
        changes = patch(base, home, version, entries, whole=not {*todo}.isdisjoint(kernel.ARCHES))
    except Failure as failure:
        say(f"{version}: {failure}")
        return
    for change in changes:
        say(f"{version}: look at the stock code: {change}")
    for column in todo:
        if not changes if column == BEHIND else column == "applies" or compiles(base, home, version, column):
            yield column


def patch(base, home, version, entries, whole):
    """The patched source of a version in matrix/src; only the files that are edited unless it is to be compiled.

    Returns what has changed behind the series.
    """
    source.need_space(home, source.TREE_SIZE if whole else source.PACKAGE_SIZE)
    package = apt.download(base.package, version, home / "download")
    members = () if whole else sorted(compose.edited(entries))
    source.replace(home / "src", lambda new: source.unpack(base, package, new, members))
    touched = compose.compose(base.top, home / "src", entries, home / "compose")
    found = behind.of(home / "src", home / "compose", compose.edited(entries))
    sync.sync(home / "src", home / "compose", home / "src", touched, home / "src.touched")
    return behind.changes(base, found)


def compiles(base, home, version, arch):
    log = base.out / "log" / f"matrix-{version}-{arch}.log"
    build = kernel.Build(arch, home / "src", home / arch, log, kernel.fragments(base, arch))
    try:
        kernel.objects(base.top, build, f"{version} {arch}")
    except Failure as failure:
        say(failure)
        return False
    return True
