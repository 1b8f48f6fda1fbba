# SPDX-License-Identifier: GPL-2.0-only
"""A host in QEMU."""

CMDLINE = "console=ttyS0 panic=-1 loglevel=6"

# A host with one CPU counts four nanoseconds for each instruction.
SHIFT = 2


def icount(host, shift):
    """Time is counted in instructions, each of 2 to the SHIFT nanoseconds.

    So it does not matter how busy this side is.  Nor can a timer interrupt get lost
    for good: without this, a timer fires in another thread of QEMU 7.2, which races
    with VMRUN and #VMEXIT for the word of pending interrupts.

    Time jumps over what would be idle, unless there is a disk: it would jump while
    one read is under way, which takes as long as it takes on this side, and let all
    that the host waits for run into its limit.
    """
    waits = host.disk or host.root
    return ["-icount", f"shift={shift},sleep={'on' if waits else 'off'}"]


def _accelerator(host, accel):
    """One CPU is emulated in a reproducible way, several in parallel.

    A host that loads modules does so for the CPU model.
    """
    if accel != "tcg" and not host.modules:
        return ["-accel", accel, "-cpu", "host"]
    if host.cpus > 1:
        return ["-accel", "tcg,thread=multi", "-cpu", host.cpu]
    return ["-accel", "tcg", "-cpu", host.cpu,
            *icount(host, SHIFT), "-rtc", "clock=vm"]


def _drive(name, path, access, *where):
    return ["-drive", f"if=none,id={name},format=raw,{access},file={path}",
            "-device", ",".join(["virtio-blk-pci", f"drive={name}", *where])]


def disk(images, *where):
    """The disk of a host that has one; runs share it, so none may write."""
    if not images.disk:
        return []
    return _drive("disk", images.disk, "readonly=on", *where)


def root(images):
    """The root of a host that has one, and the tests; what is written to the root is
    forgotten."""
    if not images.root:
        return []
    return [*_drive("root", images.root, "snapshot=on"),
            *_drive("tests", images.tests, "readonly=on")]


def prepare(host, images, cmdline, accel):
    """Returns (command, environment, whether it wants a terminal)."""
    return (["qemu-system-x86_64", "-nodefaults", "-display", "none",
             "-no-reboot", *_accelerator(host, accel),
             "-smp", str(host.cpus), "-m", str(images.memory),
             "-kernel", images.kernel, "-initrd", images.initramfs,
             "-append", f"{CMDLINE} {cmdline}",
             "-serial", "file:console.log", "-serial", "file:tap.log",
             *disk(images), *root(images)],
            {}, False)
