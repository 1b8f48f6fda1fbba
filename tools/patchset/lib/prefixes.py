# SPDX-License-Identifier: GPL-2.0-only
"""Every prefix of the series builds, in every configuration.

The kernel is linked, with its modules: objects alone would not tell of a function that only a later entry brings, of
a symbol that is not exported, or of built-in code that uses what is in a module, as on POWER real mode must not.
"""
import concurrent.futures
import filecmp
from dataclasses import dataclass
from pathlib import Path

from . import compose, configurations, digest, entry, kernel, proc, source, sync
from .configurations import CONFIGURATIONS
from .ui import Failure, say

NOT_COMPILED = ("Documentation/", "tools/", compose.MERGED)
NAME_WIDTH = 40
WIDTH = 9
# Outputs that are built at a time: while one configures or links, the other compiles.
AT_A_TIME = 2


@dataclass(frozen=True)
class Work:
    """What all prefixes have in common."""

    base: object
    home: Path
    stock: Path
    stock_options: set
    passed: digest.Passed

    def options(self):
        return self.stock_options | configurations.options(self.home / "compose")


def prefixes(base):
    """Build the kernel after each entry; what has passed before is not built again."""
    with base.lock("prefixes"):
        run(base)


def run(base):
    home = base.out / "prefixes"
    stock = source.pristine(base).resolve()
    link_stock(stock, home)
    entries = entry.load(base)
    work = Work(base, home, stock, configurations.options(stock), digest.Passed(home / "passed"))
    rows = {}

    def after(one):
        rows[one.name] = row(work, one)

    try:
        compose.compose(base.top, stock, entries, home / "compose", after)
    finally:
        show(rows)
    failed = [name for name, results in rows.items() if "FAILED" in results]
    if failed:
        raise Failure(f"{failed[0]} does not build")
    configurations.check(base, work.options())


def show(rows):
    """Print the table; by itself, as builds say much."""
    print(line("", [one.arch for one in CONFIGURATIONS]))
    print(line("", [one.words for one in CONFIGURATIONS]))
    for name, results in rows.items():
        print(line(name, results))


def line(name, cells):
    columns = (f"{cell:>{max(WIDTH, len(one.words))}}" for cell, one in zip(cells, CONFIGURATIONS))
    return f"{name[:NAME_WIDTH]:{NAME_WIDTH}} {' '.join(columns)}"


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


def row(work, one):
    """Build a prefix in all configurations; a word for each."""
    changed = changed_files(work.stock, work.home / "compose")
    sync.sync(work.stock, work.home / "compose", work.home / "src", changed, work.home / "src.touched")
    known, seen, results, builds = work.options(), set(), {}, {}
    for configuration in CONFIGURATIONS:
        fragments = configuration.fragments(work.base, known)
        relevant = compiled(changed, configuration.arch)
        if not relevant:
            results[configuration] = "as stock"
        elif fragments in seen:
            results[configuration] = "same"
        else:
            builds.setdefault(configuration.output, []).append((configuration, fragments, relevant))
        seen.add(fragments)
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in pool.map(lambda one_output: build_all(work, one, one_output), builds.values()):
            results.update(done)
    return [results[configuration] for configuration in CONFIGURATIONS]


def build_all(work, one, builds):
    """Build a prefix in the configurations that share an output; a word for each."""
    return {configuration: build(work, one, configuration, fragments, relevant)
            for configuration, fragments, relevant in builds}


def build(work, one, configuration, fragments, relevant):
    """Build a prefix in one configuration; a word for the table."""
    arch, name = configuration.arch, configuration.name
    key = digest.of_tree(work.home / "compose", relevant, arch, "linked", (work.home / "version").read_text(),
                         *fragments)
    if key in work.passed:
        return "passed"
    log = work.base.out / "log" / f"prefix-{one.name[:4]}-{name}.log"
    made = kernel.Build(arch, work.home / "src", work.home / configuration.output, log, fragments)
    try:
        kernel.linked(work.base.top, made, f"{one.name[:4]} {name}")
    except Failure as failure:
        say(failure)
        return "FAILED"
    work.passed.add(key, f"{one.name} {name}")
    return "builds"
