# SPDX-License-Identifier: GPL-2.0-only
"""A host in Bochs, which has VMX with EPT, unlike QEMU's TCG.

It boots from a CD.  Debian's build has the debugger, which is told to
continue by a file of its commands, and whose display wants a terminal.
"""

import os
import shutil
import subprocess

ISOLINUX = ("/usr/lib/ISOLINUX/isolinux.bin",
            "/usr/lib/syslinux/modules/bios/ldlinux.c32")
CMDLINE = "console=ttyS0,115200 panic=-1 loglevel=6"
# Instructions that make a second.
IPS = 50_000_000

MENU = """\
default host
prompt 0
label host
 kernel bzImage
 append initrd=initrd {cmdline}
"""

# Each EPT violation is an "error" to Bochs.
CONFIG = """\
display_library: term
megs: {memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={cpu}, count={cpus}, ips={ips}, ignore_bad_msrs=1
ata0-master: type=cdrom, path={directory}/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=console.log
com2: enabled=1, mode=file, dev=tap.log
clock: sync=none, time0=1704067200
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


def _write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def _make_iso(images, cmdline):
    """File names on the CD have at most 8 letters and 3 after the dot."""
    root = os.path.join(images.directory, "iso")
    shutil.rmtree(root, ignore_errors=True)
    os.mkdir(root)
    for path in ISOLINUX:
        shutil.copy(path, root)
    shutil.copy(images.kernel, os.path.join(root, "bzImage"))
    shutil.copy(images.initramfs, os.path.join(root, "initrd"))
    _write(root, "isolinux.cfg", MENU.format(cmdline=f"{CMDLINE} {cmdline}"))
    subprocess.run(["genisoimage", "-quiet", "-o",
                    os.path.join(images.directory, "boot.iso"),
                    "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot",
                    "-boot-load-size", "4", "-boot-info-table", root],
                   check=True)
    shutil.rmtree(root)


def prepare(host, images, cmdline, _accel):
    """Returns (command, environment, whether it wants a terminal)."""
    _make_iso(images, cmdline)
    config = _write(images.directory, "bochsrc", CONFIG.format(
        memory=images.memory, cpu=host.cpu, cpus=host.cpus, ips=IPS,
        directory=images.directory))
    debugger = _write(images.directory, "debugger", "c\n")
    return (["bochs", "-q", "-f", config, "-rc", debugger],
            {"TERM": "xterm"}, True)
