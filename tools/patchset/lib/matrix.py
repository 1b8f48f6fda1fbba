# SPDX-License-Identifier: GPL-2.0-only
"""The series on every version of the base that apt offers.

Packages are large: one that is not in use is deleted once it is unpacked. To see whether the series applies takes no
more than the files that it edits: these are kept for each version that apt offers.
"""
import contextlib
import shutil

from . import apt, behind, compose, digest, entry, kernel, source, sync
from .ui import Failure, say

EVERY_COLUMN = ("applies", *kernel.ARCHES)
# Besides: whether the stock code behind the series is what it was.
BEHIND = "behind"
LOOK = "look at the stock code"


def matrix(base, apply_only):
    with base.lock("matrix"):
        run(base, EVERY_COLUMN[:1] if apply_only else EVERY_COLUMN)


def run(base, columns):
    """Print a table of versions; a version whose checks have all passed is not tried again."""
    versions = apt.offered_now(base.package)
    if not versions:
        raise Failure(f"apt offers no {base.package}")
    entries = entry.load(base)
    compose.check_overlay(base.top, entries)
    if not behind.recorded(base):
        say("the stock code behind the series is not recorded, so no change is seen: make refresh")
    forget_others(base, versions)
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
                                   *(behind.read(base) if column == BEHIND else ()))
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
        say(f"{version}: {'older' if behind.is_older(base, version) else LOOK}: {change}")
    for column in todo:
        if not changes if column == BEHIND else column == "applies" or compiles(base, home, version, column):
            yield column


def patch(base, home, version, entries, whole):
    """Compose on a version; in matrix/src if the whole of it is to be compiled.

    Returns what has changed behind the series.
    """
    edited = compose.edited(entries)
    if whole:
        source.need_space(home, source.TREE_SIZE)
    stock = unpacked(base, home / "src", version) if whole else kept(base, version, edited)
    touched = compose.compose(base.top, stock, entries, home / "compose")
    found = behind.of(stock, home / "compose", edited)
    if whole:
        sync.sync(stock, home / "compose", stock, touched, home / "src.touched")
    return behind.changes(base, found)


def unpacked(base, tree, version, members=()):
    with package(base, version) as path:
        source.replace(tree, lambda new: source.unpack(base, path, new, members))
    return tree


@contextlib.contextmanager
def package(base, version):
    """The package file of a version."""
    in_use = source.in_use(base)
    if in_use and version == source.recorded(base)[0]:
        yield in_use
        return
    directory = base.out / "matrix/download"
    source.need_space(directory, source.PACKAGE_SIZE)
    path = apt.download(base.package, version, directory)
    try:
        yield path
    finally:
        path.unlink()


def kept_in(base):
    return base.out / "matrix/edited"


def kept(base, version, edited):
    """The files of a version that the series edits."""
    tree = kept_in(base) / version
    if not all((tree / path).is_file() for path in edited):
        unpacked(base, tree, version, sorted(edited))
    return tree


def forget_others(base, versions):
    """Drop what is kept of versions that apt does not offer any more."""
    for tree in kept_in(base).glob("*"):
        if tree.name not in versions:
            shutil.rmtree(tree)


def compiles(base, home, version, arch):
    log = base.out / "log" / f"matrix-{version}-{arch}.log"
    build = kernel.Build(arch, home / "src", home / arch, log, kernel.fragments(base, arch))
    try:
        kernel.objects(base.top, build, f"{version} {arch}")
    except Failure as failure:
        say(failure)
        return False
    return True
