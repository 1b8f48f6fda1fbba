# SPDX-License-Identifier: GPL-2.0-only
"""The demo of KVM_PRE_FAULT_MEMORY: QEMU restores a guest."""

from hostlib import demos
from hostlib.qemu_guests import Machines, milliseconds

PLAIN, WRAPPED = "restore", "restore_wrapped"
HEADS = (("stock", "kernel"), ("patched", "kernel"),
         ("patched,", "kvm-prefault"))
RULE = "-" * 72


def _row(name, cells):
    return f"{name:33}{''.join(f'{cell:>13}' for cell in cells)}".rstrip()


def _rows(runs, pages):
    times = [(run.guest_ns, run.ns - run.guest_ns, run.ns) for run in runs]
    guest, rest, together = zip(*times)
    yield _row("stage-2 faults taken", (f"{run.faults:,}" for run in runs))
    yield ""
    yield "emulated time, ms"
    yield _row("  the guest's pass", map(milliseconds, guest))
    yield _row("  all else, pre-fault above all", map(milliseconds, rest))
    yield _row("  together", map(milliseconds, together))
    yield _row("the pass, ns per page",
               (f"{one / pages:,.1f}" for one in guest))


def conclusion(plain, wrapped):
    """What it comes to; it may well have become more expensive."""
    change = 100 * (wrapped.ns - plain.ns) / plain.ns
    return (f"kvm-prefault spares the guest {plain.faults - wrapped.faults:,} "
            f"of {plain.faults:,} faults. All together takes\n"
            f"{abs(change):.0f} % {'less' if change < 0 else 'more'} time.")


def table(release, stock, patched):
    plain, wrapped = patched.runs[PLAIN], patched.runs[WRAPPED]
    runs = (stock.runs[PLAIN], plain, wrapped)
    return "\n".join((
        f"KVM_PRE_FAULT_MEMORY on Linux {release}, with Debian's QEMU", "",
        f"A Linux guest of {stock.memory_mib} MiB goes on from a snapshot. It "
        "checks, and writes to,",
        f"each of {stock.pages:,} pages of 4 KiB ({stock.touched_mib} MiB). "
        "QEMU knows nothing of pre-fault.", "",
        *(_row("", (head[line] for head in HEADS)) for line in (0, 1)),
        RULE, *_rows(runs, stock.pages), RULE, "",
        conclusion(plain, wrapped), "",
        "The machine is emulated, and its clock counts 1 ns for each "
        "instruction: the",
        "figures do not depend on this computer, but know nothing of caches "
        "and TLBs."))


def _draw(path, runs):
    from hostlib import plots  # needs a package that comes with a demo
    plots.bars(path, "a restored guest goes over its memory",
               [" ".join(head) for head in HEADS],
               {"stage-2 faults": [run.faults for run in runs],
                "emulated time, us": [run.ns / 1000 for run in runs]})


def demo(base):
    machines = Machines(base, base.out / "demo")
    with base.lock("demo"):
        machines.prepare("stock", "normal")
        found = machines.run(stock=(PLAIN,), normal=(PLAIN, WRAPPED))
    stock, patched = found["stock"], found["normal"]
    _draw(machines.out / "restore.svg",
          (stock.runs[PLAIN], *patched.runs.values()))
    release = demos.release(base, demos.ARCH)
    demos.show(base, machines.out, table(release, stock, patched),
               "the table, a plot")
