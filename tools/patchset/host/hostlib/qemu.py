"""A host in QEMU."""

CMDLINE = "console=ttyS0 panic=-1 loglevel=6"


def prepare(host, images, cmdline, accel):
    """Returns (command, environment, whether it wants a terminal)."""
    if accel == "tcg" and host.cpus > 1:
        accel = "tcg,thread=multi"
    cpu = "host" if accel.startswith("kvm") else host.cpu
    return (["qemu-system-x86_64", "-nodefaults", "-display", "none",
             "-no-reboot", "-accel", accel, "-cpu", cpu,
             "-smp", str(host.cpus), "-m", str(images.memory),
             "-kernel", images.kernel, "-initrd", images.initramfs,
             "-append", f"{CMDLINE} {cmdline}",
             "-serial", "file:console.log", "-serial", "file:tap.log"],
            {}, False)
