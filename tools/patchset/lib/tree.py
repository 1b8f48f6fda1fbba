# SPDX-License-Identifier: GPL-2.0-only
"""The patched source tree in build/BASE/src."""
from . import compose, entry, proc, source, sync
from .ui import say


def tree(base):
    """Compose the series and bring it into build/BASE/src."""
    with base.lock("tree"):
        stock = source.pristine(base).resolve()
        entries = entry.load(base)
        scratch = base.out / "compose"
        touched = compose.compose(base.top, stock, entries, scratch)
        copy_stock(base, stock)
        changed = sync.sync(stock, scratch, base.src, touched, base.out / "src.touched")
    say(f"{base.src.relative_to(base.top)}: {len(entries)} entries, {len(touched)} files touched, "
        f"{changed} changed now")


def copy_stock(base, stock):
    """Start from a whole copy of the pristine tree when there is none of this package yet.

    What was made of a file as a composition had it must look older than the file as it is now.
    """
    stamp = base.out / "src.version"
    wanted = (base.out / "pristine/version").read_text()
    if base.src.is_dir() and stamp.is_file() and stamp.read_text() == wanted:
        return
    source.need_space(base.out, source.TREE_SIZE)
    record = base.out / "src.touched"
    touched = record.read_text().splitlines() if record.is_file() else []
    stamp.unlink(missing_ok=True)
    source.replace(base.src, lambda new: proc.run("cp", "-a", "--reflink=auto", stock, new))
    for path in touched:
        if (base.src / path).exists():
            (base.src / path).touch()
    record.unlink(missing_ok=True)
    stamp.write_text(wanted)
