# SPDX-License-Identifier: GPL-2.0-only
"""Disks with programs of Debian's, for hosts whose tests are about these.

An ext4 image of what the packages and those that they depend on contain.  No
maintainer script is run, so it can be made for any architecture, by any user.
It is made once for a list of packages: delete it to have newer versions.
"""

import os
import tempfile
from pathlib import Path

from hostlib import build, project
from lib import apt, deps, digest, kernel, proc, ui

LEFT_OUT = ("man", "doc", "locale", "info")
SIZE = "1G"


def image(arch, packages):
    key = digest.of(apt.release(), *LEFT_OUT, SIZE, *packages)
    return project.under("disks", f"{arch}-{key}.ext4")


def of(host):
    return image(host.arch, host.disk) if host.disk else None


def _extract(arch, packages, root):
    """Gets the packages, and what they depend on, into a directory."""
    release, tar = apt.release(), f"{root}.tar"
    mode = "root" if os.geteuid() == 0 else "chrootless"
    proc.run("mmdebstrap", f"--mode={mode}", "--variant=extract",
             f"--architectures={kernel.ARCHES[arch].debian}",
             f"--include={','.join(packages)}",
             *(f"--dpkgopt=path-exclude=/usr/share/{name}/*"
               for name in LEFT_OUT),
             release, tar, apt.mirror(release),
             what=f"cannot get {' '.join(packages)} for {arch}")
    os.mkdir(root)
    proc.run("tar", "-x", "--exclude=./dev/*", "-f", tar, "-C", root)


def build_image(arch, packages):
    """Makes the image, whole or not at all."""
    path = image(arch, packages)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as work:
        root, new = os.path.join(work, "root"), os.path.join(work, "image")
        _extract(arch, packages, root)
        # Never written, so without a journal; sparse.
        proc.run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal",
                 "-m", "0", "-d", root, new, SIZE,
                 what=f"the disk of {arch} cannot be made")
        os.replace(new, path)


def need(arch, packages):
    """Makes the disk of hosts with these packages, if there is none."""
    if not packages or os.path.exists(image(arch, packages)):
        return
    ui.say(f"making the disk with {' '.join(packages)} for {arch}")
    try:
        deps.need(Path(project.TOP), "disk")
        build_image(arch, packages)
    except ui.Failure as failure:
        raise build.BuildError(str(failure)) from None
