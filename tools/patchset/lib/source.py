# SPDX-License-Identifier: GPL-2.0-only
"""The base's source: its package, and the pristine tree."""
import shutil
import subprocess

from . import apt, proc
from .ui import Failure, say, warn

TREE_SIZE = 2 << 30
PACKAGE_SIZE = 256 << 20


def need_space(directory, size):
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < size:
        raise Failure(f"no space: {directory} has {free >> 20} MiB free, {size >> 20} MiB are needed")


def recorded(base):
    """(version, sha256) of the package in use, or None."""
    path = base.out / "version"
    return tuple(path.read_text().split()) if path.is_file() else None


def in_use(base):
    """The package file in use if it is there and whole, else None."""
    if not recorded(base):
        return None
    version, digest = recorded(base)
    path = base.out / "download" / apt.deb_name(base.package, version)
    if not path.is_file():
        return None
    apt.verify(path, path.stat().st_size, digest)
    return path


def newest(base):
    """The newest version that apt offers; None if it offers nothing."""
    return next(iter(apt.offered_now(base.package)), None)


def fetch(base):
    """Get the newest package, or stay with the present one where that is impossible."""
    present = in_use(base)
    version = newest(base)
    if present and version in (None, recorded(base)[0]):
        say(f"{base.package} {recorded(base)[0]} is there already, checksum right")
        return present
    if not version:
        raise Failure(f"apt offers no {base.package}: no network, or not Debian 12")
    try:
        return adopt(base, version)
    except Failure as failure:
        if not present:
            raise
        warn(f"{failure}; staying with {recorded(base)[0]}")
        return present


def adopt(base, version):
    """Download a version and make it the one in use."""
    need_space(base.out / "download", PACKAGE_SIZE)
    path = apt.download(base.package, version, base.out / "download")
    (base.out / "version").write_text(f"{version}\n{apt.sha256(path)}\n")
    say(f"fetched {base.package} {version}")
    return path


def unpack(base, package, target, members=()):
    """Extract the kernel from its package, all of it or some members.

    Files get the present as their time: a newer base's file must look newer
    to kbuild than what was built from an older one.
    """
    target.mkdir(parents=True, exist_ok=True)
    top = base.archive.rsplit("/", 1)[-1].removesuffix(".tar.xz")
    names = " ".join(f"'{top}/{member}'" for member in members)
    pipe = (f"dpkg-deb --fsys-tarfile '{package}' | tar -xO './{base.archive}' | "
            f"tar -xJm --strip-components=1 -C '{target}' {names}")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure(f"cannot extract {package}: {proc.last_line(done.stderr)}")


def pristine(base):
    """The pristine tree in build/BASE/stock, extracted anew only for another package.

    It is really pristine/src, see the class Base for the reason.
    """
    if not recorded(base):
        fetch(base)
    home = base.out / "pristine"
    stamp = home / "version"
    wanted = "\n".join(recorded(base))
    if stamp.is_file() and stamp.read_text() == wanted:
        return base.stock
    package = in_use(base) or fetch(base)
    need_space(home, 2 * TREE_SIZE)
    say(f"extracting {package.name}")
    stamp.unlink(missing_ok=True)
    replace(home / "src", lambda new: unpack(base, package, new))
    if not base.stock.is_symlink():
        base.stock.symlink_to("pristine/src")
    stamp.write_text("\n".join(recorded(base)))
    return base.stock


def replace(tree, make):
    """Put a new tree in the place of an old one, only when it is whole."""
    new = tree.with_name(tree.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    make(new)
    shutil.rmtree(tree, ignore_errors=True)
    new.rename(tree)
