# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's own configuration of the kernel."""
import os

from . import apt, kernel, proc, source
from .ui import Failure, say, warn


def config(base, arch):
    """The configuration for an architecture, in build/BASE/config/."""
    if arch not in base.configuration:
        raise Failure(f"{base.name} names no configuration for {arch}")
    target = base.out / "config" / arch
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    proc.run("bash", "-o", "pipefail", "-c",
             f"dpkg-deb --fsys-tarfile '{package(base, arch)}' | "
             f"tar -xO './{base.configuration[arch]}' | xz -d > '{partial}'",
             what=f"cannot extract {base.configuration[arch]}")
    return partial.replace(target)


def package(base, arch):
    """The verified package file, of the version in use if apt offers it, else of the newest."""
    architecture = kernel.ARCHES[arch].debian
    archive = apt.Foreign(architecture, base.out / "lists" / architecture)
    name, (wanted, _) = base.configuration["package"], source.recorded(base)
    offered = versions(archive, name, wanted)
    if not offered:
        raise Failure(f"apt offers no {name} for {architecture}")
    version = wanted if wanted in offered else offered[0]
    if version != wanted:
        say(f"apt offers no {name} {wanted} for {architecture}: this is {version}")
    return apt.download(name, version, base.out / "download", *archive.words)


def versions(archive, name, wanted):
    """What apt offers; it looks again only if what is wanted is not among that."""
    offered = apt.offered(name, *archive.words)
    if wanted in offered:
        return offered
    if not archive.update():
        warn(f"apt-get update failed for {archive.architecture}: using what is known already")
    return apt.offered(name, *archive.words)
