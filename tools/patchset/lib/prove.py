# SPDX-License-Identifier: GPL-2.0-only
"""The proof that what is exported is what is built."""
import filecmp
import os
import stat

from . import compose, entry, proc, series, source, tree
from .ui import Failure, say


def prove(base):
    """git am and quilt give the tree of build/BASE/src, and nothing else in it differs from stock."""
    tree.tree(base)
    exported = series.export(base)
    with base.lock("tree"):
        stock = source.pristine(base).resolve()
        entries = entry.load(base)
        touched = compose.touched(entries)
        mailed = by_git_am(base, stock, entries, exported / "series.mbox")
        compare(mailed, base.src, touched, "git am")
        quilted = by_quilt(base, stock, entries, exported / "quilt")
        compare(quilted, base.src, touched, "quilt push")
        check_rest(stock, base.src, touched)
    say(f"git am and quilt push give build/{base.name}/src: {len(touched)} files, all others as in stock")


def by_git_am(base, stock, entries, mbox):
    repo = series.scratch_repo(base, base.out / "proof/git")
    compose.start(stock, entries, repo.path)
    repo.begin("base")
    repo.git("am", "--quiet", mbox, what="git am")
    return repo.path


def by_quilt(base, stock, entries, patches):
    path = base.out / "proof/quilt"
    compose.start(stock, entries, path)
    environment = {**os.environ, "QUILT_PATCHES": str(patches)}
    proc.run("quilt", "--quiltrc=-", "push", "-a", "--fuzz=0", cwd=path, env=environment, what="quilt push")
    return path


def compare(made, src, touched, way):
    """The touched files, and no others, are in `made`, with the content and mode that they have in `src`."""
    files = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()
             and path.relative_to(made).parts[0] not in (".git", ".pc")}
    wrong = sorted(files ^ touched) or sorted(path for path in touched if not same(made / path, src / path))
    if wrong:
        raise Failure(f"{way}: {wrong[0]} is not as in {src}")


def same(one, other):
    modes = {bool(path.stat().st_mode & stat.S_IXUSR) for path in (one, other)}
    return len(modes) == 1 and filecmp.cmp(one, other, shallow=False)


def check_rest(stock, src, touched):
    """No file but the touched ones differs. Time and size tell where to look closer."""
    listed = proc.run("rsync", "-aOn", "--delete", "--modify-window=-1", "--out-format=%n", f"{stock}/", f"{src}/")
    names = {line.removeprefix("deleting ") for line in listed.splitlines()}
    for name in sorted(names - touched):
        whole = all((tree / name).is_file() for tree in (stock, src))
        if not name.endswith("/") and not (whole and same(stock / name, src / name)):
            raise Failure(f"{src / name} differs from stock, and the series does not touch it")
