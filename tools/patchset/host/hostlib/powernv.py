# SPDX-License-Identifier: GPL-2.0-only
"""A host in QEMU's powernv, where KVM runs in hypervisor mode as on the metal.

Never with parallel threads, whatever the number of CPUs: multi-threaded TCG has
races of its own in the hash MMU.  The machine has one serial port, so the verdict
channel is a virtio port.
"""

from hostlib import qemu

CMDLINE = "console=hvc0 panic=-1 loglevel=6"


def _disk(images):
    """Each bridge of the machine has room for one device."""
    return qemu.disk(images, "bus=pcie.1")


def prepare(host, images, cmdline, _accel):
    """Returns (command, environment, whether it wants a terminal)."""
    return (["qemu-system-ppc64", "-M", host.cpu, "-vga", "none", "-nic", "none",
             "-display", "none", "-monitor", "none", "-no-reboot",
             "-accel", "tcg,thread=single",
             "-smp", str(host.cpus), "-m", str(images.memory),
             "-kernel", images.kernel, "-initrd", images.initramfs,
             "-append", f"{CMDLINE} {cmdline}",
             "-serial", "file:console.log",
             "-chardev", "file,id=tap,path=tap.log",
             "-device", "virtio-serial-pci,bus=pcie.0",
             "-device", "virtserialport,chardev=tap", *_disk(images)],
            {}, False)
