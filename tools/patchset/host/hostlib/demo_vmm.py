# SPDX-License-Identifier: GPL-2.0-only
"""KVM_PRE_FAULT_MEMORY by itself: the example VMM with and without it, on two kernels."""
import subprocess
import threading

from hostlib import demos, measure, stanza
from hostlib.demos import ARCH, TITLES
from lib import deps, kernel
from lib.ui import Failure, Progress, say

def build_vmm(base, out):
    """The example VMM, from the patched tree."""
    log = out / "vmm.log"
    with open(log, "w") as output:
        status = subprocess.run(["make", "-C", str(base.src / "tools/kvm/pre-fault-demo"),
                                 f"OUTPUT={out}/", "LDFLAGS=-static"], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=output).returncode
    if status:
        raise Failure(f"building the example VMM failed; the log is {log}")
    return out / "pre-fault-demo"


def run_vmm(base, out, flavour, memory):
    """What the VMM measured on one kernel, as a dict of strings."""
    say(f"booting {TITLES[flavour]} under QEMU, with a guest in it")
    progress = Progress(TITLES[flavour])
    values = measure.values(measure.Measurement(
        what=TITLES[flavour], directory=out / flavour,
        host=stanza.load_hosts(stanza.HOSTS)["x86-npt"],
        kernel=kernel.build_for(base, ARCH, flavour).out / "arch/x86/boot/bzImage",
        initramfs=out / "initramfs", memory=memory + 512), threading.Event())
    progress.done()
    return values


class Column:
    """One run of the VMM's guest."""

    def __init__(self, values, run, answer):
        self.answer = answer
        self.supported = values["supported"]
        self.pages = int(values["pages"])
        self.faults, self.exits, self.pre_fault, self.run = (
            int(values[f"{run}.{name}"]) for name in ("faults", "exits", "pre_fault_ns", "run_ns"))
        if run == "without":
            self.pre_fault = None

    @property
    def together(self):
        return (self.pre_fault or 0) + self.run

    def per_page(self, instructions):
        return "-" if instructions is None else f"{instructions / self.pages:,.1f}"


def milliseconds(nanoseconds):
    return "-" if nanoseconds is None else f"{nanoseconds / 1e6:,.1f}"


ROWS = (
    ("KVM_CAP_PRE_FAULT_MEMORY", lambda c: c.supported),
    ("ioctl KVM_PRE_FAULT_MEMORY", lambda c: c.answer),
    ("", lambda c: ""),
    ("stage-2 faults taken", lambda c: f"{c.faults:,}"),
    ("VM exits", lambda c: f"{c.exits:,}"),
    ("", lambda c: ""),
    ("instructions per page", lambda c: ""),
    ("  of the ioctl", lambda c: c.per_page(c.pre_fault)),
    ("  while the guest runs", lambda c: c.per_page(c.run)),
    ("  together", lambda c: c.per_page(c.together)),
    ("", lambda c: ""),
    ("emulated time, ms", lambda c: ""),
    ("  of the ioctl", lambda c: milliseconds(c.pre_fault)),
    ("  while the guest runs", lambda c: milliseconds(c.run)),
    ("  together", lambda c: milliseconds(c.together)),
)
RULE = "-" * 72


def row(name, *cells):
    return f"{name:30}{''.join(f'{cell:>14}' for cell in cells)}".rstrip()


def conclusion(without, with_):
    """What it comes to, in a sentence; it may well have become more expensive."""
    change = 100 * (with_.together - without.together) / without.together
    return (f"Pre-fault spares the guest {without.faults - with_.faults:,} of {without.faults:,} faults.\n"
            f"The ioctl and the run together take {abs(change):.0f} % "
            f"{'fewer' if change < 0 else 'more'} instructions than the run alone.")


def table(stock, patched, memory, release):
    columns = (Column(stock, "without", stock["answer"]), Column(patched, "without", "not called"),
               Column(patched, "with", patched["answer"]))
    return "\n".join((
        f"KVM_PRE_FAULT_MEMORY on Linux {release}", "",
        f"A KVM guest of {memory} MiB writes to each of its {columns[0].pages:,} pages of 4 KiB.",
        "The host's memory was populated before. Every run is in a fresh VM.", "",
        row("", "stock", "patched", "patched"),
        row("", "kernel", "no pre-fault", "pre-fault"),
        RULE,
        *(row(name, *map(cell, columns)) for name, cell in ROWS),
        RULE, "",
        conclusion(*columns[1:]), "",
        "The machine is emulated, and its clock counts 1 ns for each instruction:",
        "the figures are exact and repeatable, but know nothing of caches and TLBs."))


def check_answers(stock, patched, out):
    """The table compares what it says it compares."""
    if stock["supported"] != "0":
        raise Failure(f"the stock kernel has the capability; the logs are in {out}/stock/")
    if patched["supported"] != "1" or patched["answer"] != "success":
        raise Failure(f"the patched kernel cannot pre-fault: {patched['answer']}; "
                      f"the logs are in {out}/normal/")


def demo(base, memory=256):
    deps.need(base.top, "source", "kernel", "host")
    demos.build_kernels(base, *TITLES)
    out = base.out / "demo-vmm"
    out.mkdir(exist_ok=True)
    with base.lock("demo"):
        say("building the example VMM")
        measure.build_initramfs(out / "initramfs", ARCH, "exit", build_vmm(base, out),
                                "--machine-readable", f"--memory={memory}")
        stock, patched = (run_vmm(base, out, flavour, memory) for flavour in TITLES)
        check_answers(stock, patched, out)
        text = table(stock, patched, memory, demos.release(base, ARCH))
    demos.show(base, out, text, "the table")
