# SPDX-License-Identifier: GPL-2.0-only
"""Every prefix of the series builds."""
import filecmp

from . import compose, digest, entry, kernel, proc, source, sync
from .ui import Failure, say

NOT_COMPILED = ("Documentation/", "tools/", compose.MERGED)


def prefixes(base):
    """Build KVM's objects after each entry; what has passed before is not built again."""
    with base.lock("prefixes"):
        run(base)


def run(base):
    home = base.out / "prefixes"
    stock = source.pristine(base).resolve()
    link_stock(stock, home)
    entries = entry.load(base)
    passed = digest.Passed(home / "passed")
    failures = []

    def after(one):
        changed = changed_files(stock, home / "compose")
        sync.sync(stock, home / "compose", home / "src", changed, home / "src.touched")
        results = [build(base, home, arch, changed, passed, one) for arch in kernel.ARCHES]
        print(f"{one.name[:60]:60} {' '.join(f'{result:>12}' for result in results)}", flush=True)
        failures.extend(one.name for result in results if result == "FAILED")

    print(f"{'':60} {' '.join(f'{arch:>12}' for arch in kernel.ARCHES)}")
    compose.compose(base.top, stock, entries, home / "compose", after)
    if failures:
        raise Failure(f"{failures[0]} does not build")


def link_stock(stock, home):
    """A tree of hard links to the pristine one; syncing replaces, it never writes into a link."""
    stamp = home / "version"
    wanted = (stock.parent / "version").read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    home.mkdir(parents=True, exist_ok=True)
    (home / "src.touched").unlink(missing_ok=True)
    source.replace(home / "src", lambda new: proc.run("cp", "-al", stock, new))
    stamp.write_text(wanted)


def changed_files(stock, scratch):
    """Files of a composition that are not as in stock."""
    files = (path for path in scratch.rglob("*") if path.is_file())
    names = (str(path.relative_to(scratch)) for path in files)
    return {name for name in names
            if not ((stock / name).is_file() and filecmp.cmp(stock / name, scratch / name, shallow=False))}


def compiled(paths, arch):
    """Those of `paths` that the kernel of an architecture is made of."""
    own = f"arch/{kernel.ARCHES[arch].tree}/"
    return {path for path in paths if not path.startswith(NOT_COMPILED)
            and (path.startswith(own) or not path.startswith("arch/"))}


def build(base, home, arch, changed, passed, one):
    """Build one prefix for one architecture; a word for the table."""
    relevant = compiled(changed, arch)
    if not relevant:
        return "as stock"
    fragments = kernel.fragments(base, arch)
    key = digest.of_tree(home / "compose", relevant, arch, (home / "version").read_text(), *fragments)
    if key in passed:
        return "passed"
    log = base.out / "log" / f"prefix-{one.name[:4]}-{arch}.log"
    made = kernel.Build(arch, home / "src", home / arch, log, fragments)
    try:
        kernel.objects(base.top, made, f"{one.name[:4]} {arch}")
    except Failure as failure:
        say(failure)
        return "FAILED"
    passed.add(key, one.name)
    return "builds"
