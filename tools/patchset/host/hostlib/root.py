# SPDX-License-Identifier: GPL-2.0-only
"""Roots of Debian's, in which the packages of `make deb` are installed.

mmdebstrap makes a minimal system with systemd, apt installs the packages in it as
on any machine, and their scripts make the initramfs.  A host with such a root boots
that kernel with that initramfs; a unit of systemd's runs the tests.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hostlib import build, project
from lib import apt, deps, digest, kernel, proc, ui

SYSTEM = ("systemd-sysv", "udev", "initramfs-tools", "kmod", "cpio", "zstd")
UNIT = os.path.join(project.HOST, "root", "patchset-tests.service")
DEBUG_SYMBOLS = "-dbg_"


def _home(arch, config):
    return Path(project.under("roots", f"{arch}-{config}"))


def image(host):
    return str(_home(host.arch, host.root) / "root.ext2")


def _boot(arch, config, name):
    found = sorted((_home(arch, config) / "boot").glob(f"{name}-*"))
    if len(found) != 1:
        raise build.BuildError(f"{len(found)} files {name}-* in the root, not one")
    return str(found[0])


def initramfs(host):
    return _boot(host.arch, host.root, "initrd.img")


def kernel_of(host):
    """The image that a host boots: that in its root, if it has one."""
    if not host.root:
        return build.kernel_image(host.arch, host.flavour)
    return _boot(host.arch, host.root, "vmlinuz")


def _packages(arch, config):
    """Builds the packages; those to be installed."""
    if subprocess.run([project.PATCHSET, "deb", "--base", project.base(),
                       "--arch", arch, "--config", config],
                      check=False).returncode:
        raise build.BuildError("no packages: see the messages above")
    made = Path(project.under("deb", f"{arch}-{config}")).glob("*.deb")
    return sorted(path for path in made if DEBUG_SYMBOLS not in path.name)


def _install(arch, packages, home):
    """A root with the packages, and what is in its /boot."""
    release, new = apt.release(), home / "new.ext2"
    mode = "root" if os.geteuid() == 0 else "unshare"
    hooks = (f"copy-in {' '.join(map(str, packages))} /tmp",
             'chroot "$1" sh -c "apt-get install --yes '
             '--no-install-recommends /tmp/*.deb && rm /tmp/*.deb"',
             f"copy-in {UNIT} /etc/systemd/system",
             f'chroot "$1" systemctl enable {os.path.basename(UNIT)}',
             f"copy-out /boot {home}")
    proc.run("mmdebstrap", f"--mode={mode}", "--variant=minbase",
             f"--architectures={kernel.ARCHES[arch].debian}",
             f"--include={','.join(SYSTEM)}",
             *(f"--customize-hook={hook}" for hook in hooks),
             release, new, apt.mirror(release),
             what=f"cannot install {packages[0].name} and others")
    new.rename(home / "root.ext2")


def need(arch, config):
    """Makes the root anew if a package or the unit is not what it was."""
    packages = _packages(arch, config)
    home = _home(arch, config)
    stamp, key = home / "stamp", digest.of(*SYSTEM, Path(UNIT), *packages)
    if stamp.is_file() and stamp.read_text() == key:
        return
    ui.say(f"installing the {config} packages in a root for {arch}")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        deps.need(Path(project.TOP), "disk")
        _install(arch, packages, home)
    except ui.Failure as failure:
        raise build.BuildError(str(failure)) from None
    stamp.write_text(key)
