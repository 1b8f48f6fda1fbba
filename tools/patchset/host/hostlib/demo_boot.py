# SPDX-License-Identifier: GPL-2.0-only
"""What pre-fault gives to guests of QEMU's: where it pays, and where not."""

from hostlib import demos
from hostlib.qemu_guests import Machines, milliseconds

# {run: what it is}, by headings.
RUNS = {
    "a restored guest, its memory in pages of 4 KiB": {
        "restore": "as it is",
        "restore_wrapped": "kvm-prefault"},
    "a restored guest, its memory in huge pages": {
        "restore_huge": "as it is",
        "restore_huge_wrapped": "kvm-prefault"},
    "microvm boots": {
        "microvm": "as it is",
        "microvm_wrapped": "kvm-prefault -p",
        "microvm_prealloc": "QEMU's prealloc=on",
        "microvm_prealloc_wrapped": "prealloc=on, kvm-prefault"},
    "pc boots, by SeaBIOS": {
        "pc": "as it is",
        "pc_wrapped": "kvm-prefault, which does nothing",
        "pc_start": "kvm-prefault --when=start -p",
        "pc_again": "kvm-prefault --again --settle=20 -p"},
}
MEASURED = tuple(name for group in RUNS.values() for name in group)
RULE = "-" * 72


def _row(name, *cells):
    return f"{name:40}{''.join(f'{cell:>11}' for cell in cells)}".rstrip()


def _change(run, beside):
    change = round(100 * (run.ns - beside.ns) / beside.ns)
    return "" if run is beside else f"{change:+d} %"


def _rows(runs):
    for heading, group in RUNS.items():
        yield heading
        beside = runs[next(iter(group))]
        for name, words in group.items():
            run = runs[name]
            yield _row(f"  {words}", f"{run.faults:,}", milliseconds(run.ns),
                       _change(run, beside))


def table(release, guests):
    return "\n".join((
        f"KVM_PRE_FAULT_MEMORY on Linux {release}, with Debian's QEMU", "",
        f"From when a Linux guest of {guests.memory_mib} MiB is started, or "
        "goes on from a snapshot,",
        f"until it has touched {guests.touched_mib} MiB of its memory. -p is "
        "--populate.", "",
        _row("", "stage-2", "emulated"),
        _row("", "faults", "time, ms"),
        RULE, *_rows(guests.runs), RULE))


def _draw(path, runs):
    from hostlib import plots  # needs a package that comes with a demo
    plots.bars(path, "until a guest has touched its memory",
               [name.replace("_", " ") for name in MEASURED],
               {"stage-2 faults": [runs[name].faults for name in MEASURED],
                "emulated time, us":
                [runs[name].ns / 1000 for name in MEASURED]})


def demo(base):
    machines = Machines(base, base.out / "demo-boot")
    with base.lock("demo"):
        machines.prepare("normal")
        guests = machines.run(normal=MEASURED)["normal"]
    _draw(machines.out / "boot.svg", guests.runs)
    release = demos.release(base, demos.ARCH)
    demos.show(base, machines.out, table(release, guests),
               "the table, a plot")
