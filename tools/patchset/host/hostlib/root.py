# SPDX-License-Identifier: GPL-2.0-only
"""Roots of Debian's, in which the packages of `make deb` are installed.

mmdebstrap makes a minimal system with systemd, apt installs the packages in it as
on any machine, and their scripts make the initramfs.  A host with such a root boots
that kernel with that initramfs; a unit of systemd's runs the tests.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hostlib import build, project
from lib import apt, deb, digest, kernel, proc, ui

SYSTEM = ("systemd-sysv", "udev", "initramfs-tools", "kmod", "cpio", "zstd")
UNIT = os.path.join(project.HOST, "root", "patchset-tests.service")
DEBUG_SYMBOLS = "-dbg_"


def _packages(arch, config):
    """Those to be installed."""
    made = Path(project.under("deb", f"{arch}-{config}", deb.SUFFIX))
    return sorted(path for path in made.glob("*.deb")
                  if DEBUG_SYMBOLS not in path.name)


def _home(arch, config):
    """A root's directory is called by all that it is made of."""
    key = digest.of(apt.release(), Path(UNIT), Path(__file__),
                    *_packages(arch, config))
    return Path(project.under("roots", f"{arch}-{config}-{key}"))


def _one(host, pattern):
    found = sorted(_home(host.arch, host.root).glob(pattern))
    if len(found) != 1:
        raise build.BuildError(f"{host.name}: {len(found)} files {pattern} in "
                               "its root, not one: leave out --no-build")
    return str(found[0])


def image(host):
    return _one(host, "root.ext2")


def initramfs(host):
    return _one(host, "boot/initrd.img-*")


def kernel_of(host):
    """The image that a host boots: that in its root, if it has one."""
    if not host.root:
        return build.kernel_image(host.arch, host.flavour)
    return _one(host, "boot/vmlinuz-*")


def _install(arch, packages, home):
    """A root with the packages, and what is in its /boot."""
    release = apt.release()
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
             release, home / "root.ext2", apt.mirror(release),
             what=f"cannot install {packages[0].name} and others")


def _make(arch, config, home):
    """Whole or not at all; the one that it takes the place of is dropped."""
    roots = home.parent
    roots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=roots) as work:
        new = Path(work, "root")
        new.mkdir()
        _install(arch, _packages(arch, config), new)
        for old in roots.glob(f"{arch}-{config}-*"):
            shutil.rmtree(old)
        new.rename(home)


def need(arch, config):
    """Makes the packages, and a root of them if there is none."""
    if subprocess.run([project.PATCHSET, "deb", "--base", project.base(),
                       "--arch", arch, "--config", config],
                      check=False).returncode:
        raise build.BuildError("no packages: see the messages above")
    home = _home(arch, config)
    if home.exists():
        return
    ui.say(f"installing the {config} packages in a root for {arch}")
    try:
        _make(arch, config, home)
    except ui.Failure as failure:
        raise build.BuildError(str(failure)) from None
