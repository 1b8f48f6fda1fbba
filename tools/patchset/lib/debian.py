# SPDX-License-Identifier: GPL-2.0-only
"""The series in Debian's own source package of the kernel, tested by Debian's tools and rules.

All is done that does not need the whole kernel to be compiled.
"""
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from . import apt, compose, entry, kernel, matrix, proc, prove, series, source
from .ui import Failure, say, warn

# Below debian/patches.
PLACE = "features/all/kvm-pre-fault"
SUFFIX = "+kvm"
# Those that Debian's test-patches builds its packages with.
PROFILES = "nodoc noudeb pkg.linux.nosource pkg.linux.mintools pkg.linux.nokerneldbg pkg.linux.nokerneldbginfo"
SPACE = 3 * source.TREE_SIZE
USED = "Used patches"
COMPLAINTS = ("Unused patches", "Patches without required headers", "Patches without Origin or Forwarded header")


@dataclass(frozen=True)
class Flavour:
    """One of Debian's kernels: its architecture, its name, where its KVM is."""

    arch: str
    name: str
    tree: str


FLAVOURS = (Flavour("amd64", "amd64", "x86"), Flavour("ppc64el", "powerpc64le", "powerpc"))


@dataclass(frozen=True)
class Package:
    """The unpacked source package, in a directory that dpkg-source can fill."""

    base: object
    home: Path

    @property
    def tree(self):
        return self.home / "src"

    def environment(self, **more):
        fixed = {"HOME": str(self.home), "DEBFULLNAME": "patchset", "DEBEMAIL": "patchset@localhost",
                 "DEB_BUILD_PROFILES": PROFILES, "DEBIAN_KERNEL_USE_CCACHE": "y",
                 "DEBIAN_KERNEL_JOBS": str(os.cpu_count())}
        return {**kernel.Build.environment(self.base.top), **fixed, **more}

    def step(self, name, *command, **more):
        """Run a command of Debian's in the tree, with a log of its own; what it printed."""
        log = self.base.out / "log" / f"debian-{name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        done = proc.attempt(*command, cwd=self.tree, env=self.environment(**more))
        log.write_text(done.stdout + done.stderr, errors="surrogateescape")
        if done.returncode:
            raise Failure(f"{name}: {kernel.first_error(log)}; the whole log is {log}")
        say(f"{name}: done in {time.monotonic() - start:.0f} s")
        return done.stdout


def debian(base):
    """Debian's source package takes the series, as patches of its own and by its test of patches."""
    with base.lock("debian"), base.lock("matrix"):
        patches = base.out / "debian-patches"
        shutil.rmtree(patches, ignore_errors=True)
        shutil.copytree(series.export(base) / "quilt", patches)
        version, description = source_package(base)
        entries = entry.load(base)
        matrix.patch(base, base.out / "matrix", version, entries, whole=False)
        for way in (as_own_patches, by_test_patches):
            package = unpack(base, description)
            way(package, patches, lambda: compare(package, base.out / "matrix/compose", compose.touched(entries)))
            shutil.rmtree(package.home)
    say(f"Debian's linux {version} takes the series: its tools have no complaint, and the files are "
        f"those of {base.package} {version} with the series")


def source_package(base):
    """(version, .dsc) of the version in use, or of the newest before it whose source the archive has."""
    offered = apt.offered(base.package)
    used = source.recorded(base)[0]
    download = base.out / "download"
    source.need_space(download, source.PACKAGE_SIZE)
    for version in offered[offered.index(used) if used in offered else 0:]:
        try:
            return version, apt.download_source(base.package, version, download)
        except Failure as failure:
            warn(failure)
    raise Failure(f"the archive has no source of {base.package}, of no version")


def unpack(base, description):
    """The source package with its own patches, in build/BASE/debian."""
    package = Package(base, base.out / "debian")
    shutil.rmtree(package.home, ignore_errors=True)
    source.need_space(package.home, SPACE)
    for tarball in description.parent.glob(f"{description.name.rsplit('-', 1)[0]}.orig.tar.*"):
        (package.home / tarball.name).symlink_to(tarball)
    proc.run("dpkg-source", "--extract", description, package.tree, cwd=package.home, what="dpkg-source --extract")
    return package


def as_own_patches(package, patches, check):
    """In debian/patches, where dpkg-source and debian/rules allow no fuzz.

    Then KVM is compiled, as Debian configures it.
    """
    names = drop_in(package.tree / "debian/patches", patches)
    package.step("dch", "dch", "--local", SUFFIX, "--distribution", "UNRELEASED", "Pre-fault guest memory")
    package.step("quilt push", "quilt", "--quiltrc=-", "push", "-a", "-q", "--fuzz=0", QUILT_PATCHES="debian/patches",
                 QUILT_PC=".pc")
    check()
    check_form(package.step("check-patches", "debian/bin/check-patches.sh"), names)
    package.step("dpkg-source build", "dpkg-source", "--build", ".")
    # Fails when it has succeeded.  If it has not, the next one does it again, and fails.
    proc.attempt("debian/rules", "debian/control-real", cwd=package.tree, env=package.environment())
    package.step("rules source", "debian/rules", "source")
    for flavour in FLAVOURS:
        build(package, flavour)


def drop_in(place, patches):
    """Copy the quilt form below debian/patches and add it to the series; the names in there."""
    shutil.copytree(patches, place / PLACE, ignore=shutil.ignore_patterns("series"))
    names = [f"{PLACE}/{name}" for name in (patches / "series").read_text().split()]
    with open(place / "series", "a") as file:
        file.write("".join(f"{name}\n" for name in names))
    return names


def build(package, flavour):
    """Configure one of Debian's kernels and compile its KVM."""
    name = f"{flavour.arch}_none_{flavour.name}"
    make = ("dpkg-architecture", f"-a{flavour.arch}", "-f", "-c", "make")
    more = {} if flavour == FLAVOURS[0] else {"DEB_BUILD_PROFILES": f"cross {PROFILES}"}
    package.step(f"setup {flavour.arch}", *make, "-f", "debian/rules.gen", f"setup_{name}", **more)
    package.step(f"KVM {flavour.arch}", *make, "-C", f"debian/build/build_{name}", f"-j{os.cpu_count()}",
                 f"arch/{flavour.tree}/kvm/", **more)


def by_test_patches(package, patches, check):
    """By Debian's test of patches, all of it but the last command, which compiles the kernel."""
    without = package.home / "bin"
    without.mkdir()
    (without / "dpkg-buildpackage").symlink_to("/bin/true")
    names = (patches / "series").read_text().split()
    package.step("test-patches", "debian/bin/test-patches", "-f", FLAVOURS[0].name,
                 *(patches / name for name in names), PATH=f"{without}:{os.environ['PATH']}")
    check()


def lists(said):
    """The lists that check-patches.sh prints, by their titles."""
    found, title = {}, None
    lines = said.splitlines()
    for line, below in zip(lines, [*lines[1:], ""]):
        if below and not below.strip("="):
            title = found.setdefault(line, [])
        elif title is not None and line.startswith("debian/"):
            title.append(line)
    return found


def check_form(said, names):
    """check-patches.sh finds our patches used, and has no complaint about one."""
    found = lists(said)
    ours = {f"debian/patches/{name}" for name in names}
    for title in (USED, *COMPLAINTS):
        if title not in found:
            raise Failure(f"check-patches.sh has no list '{title}'")
    if not ours <= {*found[USED]}:
        raise Failure(f"check-patches.sh: not used: {min(ours - {*found[USED]})}")
    for title in COMPLAINTS:
        for path in found[title]:
            if path in ours:
                raise Failure(f"check-patches.sh: {title}: {path}")


def compare(package, wanted, touched):
    """The files that the series touches are in the package as they are in `wanted`."""
    for path in sorted(touched):
        if not prove.same(package.tree / path, wanted / path):
            raise Failure(f"{package.tree / path} is not as the series makes it")
