# SPDX-License-Identifier: GPL-2.0-only
"""Installable packages: linux-image, linux-headers and linux-libc-dev.

The kernel's own builddeb makes them of a build, with a control file, a copyright
and a changelog of ours, which say what is in them.
"""
import re
import shutil
import string
from dataclasses import dataclass
from email.utils import formatdate

from . import apt, compose, digest, distribution, entry, kernel, lintian, proc, series, source
from .ui import Failure, say

CONFIGS = ("debian", "small")
SUFFIX = "kvm1"
SUFFIXES = re.compile(r"[a-z0-9.]+")


@dataclass(frozen=True)
class Packages:
    """What is packaged: the architecture, the configuration, what names and versions end with."""

    arch: str
    config: str
    suffix: str

    @property
    def architecture(self):
        return kernel.ARCHES[self.arch].debian

    @property
    def local(self):
        """What the kernel's release has behind its version."""
        small = "" if self.config == "debian" else self.config
        return f"-{kernel.joined(self.suffix, small, self.architecture)}"

    def home(self, base):
        return base.out / "deb" / f"{self.arch}-{self.config}"

    def place(self, base):
        """Where the packages are."""
        return self.home(base) / self.suffix


def chosen(arch, config, suffix):
    if not SUFFIXES.fullmatch(suffix):
        raise Failure(f"suffix {suffix!r}: only lower-case letters, digits and dots")
    return Packages(arch, config, suffix)


def configuration(base, packages):
    """Small is what the test hosts have, with modules, and what a root of Debian's needs."""
    if packages.config == "debian":
        return {"config": distribution.config(base, packages.arch)}
    return {"fragments": (*kernel.fragments(base, packages.arch),
                          base.configs / f"{packages.arch}-{packages.config}.config")}


def build_of(base, packages):
    """It is beside the hosts' kernels, as ccache takes for one what it has of the other only if their way to the
    source is the same."""
    name = f"deb-{packages.home(base).name}"
    log = base.out / "log" / f"{name}.log"
    return kernel.Build(packages.arch, base.src, base.out / name, log, words=(f"LOCALVERSION={packages.local}",),
                        **configuration(base, packages))


def sources(base):
    """A digest of what the series makes of the source."""
    return digest.of_tree(base.src, compose.touched(entry.load(base)), *source.recorded(base))


def compile_all(base, build, packages):
    """Compile a tree that stays as it is for as long as that takes; its digest."""
    before = sources(base)
    kernel.configure(base.top, build)
    kernel.compile(base.top, build, [kernel.ARCHES[build.arch].image, "modules"],
                   f"{packages.config} kernel for {packages.architecture}")
    if sources(base) != before:
        raise Failure(f"{base.src.relative_to(base.top)} has changed while it was compiled: try again")
    return before


def fill(template, values):
    return string.Template(template.read_text()).substitute(values)


def changelog(values, entries, date):
    """Debian's version, and the subjects of the series."""
    changes = "".join(f"    - {one.subject}\n" for one in entries)
    return (f"{values['source']} ({values['revision']}) {values['distribution']}; urgency=medium\n\n"
            f"  * {values['package']} {values['version']}, with this series:\n{changes}\n"
            f" -- {values['maintainer']}  {formatdate(date)}\n")


def values_of(base, packages, release, who):
    version, _ = source.recorded(base)
    return {"source": "linux-kvm", "revision": f"{version}+{packages.suffix}", "version": version,
            "distribution": apt.release(), "package": base.package, "architecture": packages.architecture,
            "release": release, "kernel": release.removesuffix(packages.local),
            "maintainer": f"{who.name} <{who.mail}>"}


def write_debian(base, values, directory, date):
    """The files from which builddeb takes what it says of the packages."""
    directory.mkdir(exist_ok=True)
    (directory / "arch").write_text(f"{values['architecture']}\n")
    (directory / "control").write_text(fill(base.deb / "control", values))
    (directory / "copyright").write_bytes((base.deb / "copyright").read_bytes())
    (directory / "changelog").write_text(changelog(values, entry.load(base), date))


def describe(base, packages, build, who, date):
    release = proc.run(*build.make("-s", "kernelrelease"), env=build.environment(base.top)).split()[-1]
    write_debian(base, values_of(base, packages, release, who), build.out / "debian", date)


def contents(base, build, made_of):
    """A digest of what is packed, and of what lintian may say of it; headers are packed from the source."""
    told = [build.out / "debian" / name for name in ("arch", "control", "copyright", "changelog")]
    modules = sorted(path for path in build.out.rglob("*.ko") if "debian" not in path.relative_to(build.out).parts)
    return digest.of(made_of, *told, build.out / ".config", build.out / "vmlinux", *modules, base.deb / "lintian")


def image(build):
    """What make is told of the image: one that is an ELF file is packed without symbols, as Debian does."""
    arch = kernel.ARCHES[build.arch]
    if arch.image != "vmlinux":
        return ()
    proc.run(f"{arch.cross}strip", "-o", build.out / "vmlinux.stripped", build.out / "vmlinux")
    return ("KBUILD_IMAGE=vmlinux.stripped",)


def made(packages, build):
    """What builddeb has made, beside the build's directory."""
    return sorted(build.out.parent.glob(f"*_{packages.architecture}.deb"))


def run_builddeb(base, packages, build, date):
    """It leaves the packages beside the build's directory, also when it fails."""
    for path in made(packages, build):
        path.unlink()
    environment = {**build.environment(base.top), **kernel.PREPROCESS_ONCE, "DEB_RULES_REQUIRES_ROOT": "no",
                   "DEB_HOST_ARCH": packages.architecture, "SOURCE_DATE_EPOCH": str(date)}
    done = proc.attempt(*build.make(*image(build), "intdeb-pkg"), env=environment)
    with open(build.log, "a") as log:
        log.write(done.stdout + done.stderr)
    if done.returncode:
        raise Failure(f"builddeb: {proc.last_line(done.stderr)}; the whole log is {build.log}")


def is_useful(path, packages):
    """The programs in linux-headers are of the architecture on which the kernel was built."""
    native = proc.run("dpkg", "--print-architecture").strip() == packages.architecture
    return native or not path.name.startswith("linux-headers-")


def pack(base, packages, build, date):
    place = packages.place(base)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with base.lock("deb"):
        run_builddeb(base, packages, build, date)
        for path in made(packages, build):
            if is_useful(path, packages):
                path.rename(place / path.name)
            else:
                path.unlink()


def look(base, made):
    """Fail if lintian finds what is not explained."""
    reasons = base.deb / "lintian"
    known = lintian.accepted(reasons)
    found = lintian.tags(made)
    new = [tag for tag in found if not tag.is_in(known)]
    say(f"lintian: {len(found) - len(new)} tags, explained in {reasons.relative_to(base.top)}")
    if new:
        raise Failure(f"lintian: {len(new)} tags more, the first is {new[0]}")


def packed(base, packages, build, made_of, date):
    """The packages; what has been packed, and looked at, is not packed again."""
    place = packages.place(base)
    passed = digest.Passed(packages.home(base) / f"{packages.suffix}.packed")
    key = contents(base, build, made_of)
    if key not in passed or not any(place.glob("*.deb")):
        passed.clear()
        pack(base, packages, build, date)
        ready = sorted(place.glob("*.deb"))
        if not ready:
            raise Failure(f"builddeb has made no package; the whole log is {build.log}")
        look(base, ready)
        passed.add(key, packages.local)
    return sorted(place.glob("*.deb"))


def deb(base, packages):
    """Build and pack, but nothing that an earlier run has built or packed already."""
    who, date = series.identity(base), series.date(base)
    with base.lock(f"deb-{packages.home(base).name}"):
        build = build_of(base, packages)
        made_of = compile_all(base, build, packages)
        describe(base, packages, build, who, date)
        for path in packed(base, packages, build, made_of, date):
            print(f"{path.stat().st_size / (1 << 20):8.1f} MiB  {path.relative_to(base.top)}")
