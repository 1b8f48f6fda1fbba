# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: configuration and build."""
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import proc, reuse
from .ui import Failure, Progress


@dataclass(frozen=True)
class Arch:
    """What kbuild calls things: the image, the directory below arch/, the compiler's prefix; Debian's name."""

    image: str
    tree: str
    cross: str
    debian: str


ARCHES = {"x86_64": Arch("bzImage", "x86", "", "amd64"),
          "powerpc": Arch("vmlinux", "powerpc", "powerpc64le-linux-gnu-", "ppc64el")}


@dataclass(frozen=True)
class Flavour:
    """Whether it is of the pristine tree, the fragment added to the architecture's or used alone, what make is
    told, the output that differs the least from its own."""

    stock: bool = False
    fragment: str = ""
    alone: bool = False
    words: tuple = ()
    like: str = ""

    @property
    def modular(self):
        """Whether KVM is modules."""
        return self.fragment == "modules"


# KCSAN looks at no more than what is raced in these kernels, so that each of its reports is about that;
# spin locks, which are out of line, tell it that they are barriers.
KCSAN = ("KCSAN_SANITIZE=n", "KCSAN_SANITIZE_change_map.o=y", "KCSAN_SANITIZE_change_map_test.o=y",
         "KCSAN_INSTRUMENT_BARRIERS_spinlock.o=y")
FLAVOURS = {"normal": Flavour(like="deb-{arch}-small"),
            "debug": Flavour(fragment="debug"), "4k": Flavour(fragment="4k"),
            "modules": Flavour(fragment="modules", like="{arch}"), "kcsan": Flavour(fragment="kcsan", words=KCSAN),
            "stock": Flavour(stock=True, like="{arch}"),
            "stock-debug": Flavour(stock=True, fragment="debug", like="{arch}-debug"),
            "stock-modules": Flavour(stock=True, fragment="modules", like="{arch}-modules"),
            "guest": Flavour(stock=True, fragment="guest", alone=True)}
# What the series adds that is on unless it is turned off.
SERIES = {"powerpc": ("stream",)}
# What ccache has preprocessed to look for is compiled, and not preprocessed once more.  Not for those who look for
# warnings, or ask the compiler for some as Kconfig does: of what macros make, compilers have others, or none.
PREPROCESS_ONCE = {"CCACHE_NOCPP2": "1"}
# Where nothing is to be found, nothing is preprocessed to look for it.
NOT_PREPROCESSED = {"CCACHE_DEPEND": "1"}
STEP = re.compile(r"^  [A-Z][A-Z0-9_]*\s")
ERROR = re.compile(r"\berror:|\*\*\*|undefined reference", re.I)


@dataclass(frozen=True)
class Build:
    """One source tree built for one architecture into its own directory.

    The configuration is what the fragments set, and all else off that can be, or is `config` as it is.  If `alone`,
    nothing else is compiled with a configuration like it.
    """

    arch: str
    source: Path
    out: Path
    log: Path
    fragments: tuple = ()
    words: tuple = ()
    config: Path = None
    alone: bool = False

    def make(self, *words):
        cross = ARCHES[self.arch].cross
        return ["make", "-C", str(self.source), f"O={self.out}", f"ARCH={self.arch}", f"-j{os.cpu_count()}",
                f"CROSS_COMPILE={cross}", f"CC=ccache {cross}gcc", *self.words, *words]

    @staticmethod
    def environment(top):
        fixed = {"CCACHE_DIR": os.environ.get("CCACHE_DIR", str(top / "build/ccache")),
                 "CCACHE_BASEDIR": str(top / "build"), "CCACHE_NOHASHDIR": "1",
                 "KBUILD_BUILD_TIMESTAMP": "1970-01-01 00:00:00 +0000", "KBUILD_BUILD_VERSION": "1",
                 "KBUILD_BUILD_USER": "patchset", "KBUILD_BUILD_HOST": "patchset", "LC_ALL": "C"}
        return {**os.environ, **fixed}


def check_arch(arch, flavour="normal"):
    if arch not in ARCHES:
        raise Failure(f"unknown ARCH '{arch}' (known: {', '.join(ARCHES)})")
    if flavour not in FLAVOURS:
        raise Failure(f"unknown FLAVOUR '{flavour}' (known: {', '.join(FLAVOURS)})")


def joined(*words):
    """A name of all words that are not empty."""
    return "-".join(filter(None, words))


def output_name(arch, flavour):
    return arch if flavour == "normal" else f"{arch}-{flavour}"


def common(base, arch):
    """What all configurations for an architecture have; some of it is called otherwise in another base."""
    other = base.configs / f"{arch}-{base.name}.config"
    return (base.configs / f"{arch}.config", *((other,) if other.is_file() else ()))


def fragments(base, arch, flavour="normal"):
    chosen = FLAVOURS[flavour]
    start = () if chosen.alone else common(base, arch)
    series = () if chosen.stock else SERIES.get(arch, ())
    own = (joined(arch, chosen.fragment),) if chosen.fragment else ()
    paths = (*start, *(base.configs / f"{name}.config" for name in (*series, *own)))
    for path in paths:
        if not path.is_file():
            raise Failure(f"no config fragment {path.relative_to(base.top)}: no FLAVOUR={flavour} for {arch}")
    return paths


def build_for(base, arch, flavour):
    """The build of a flavour; stock is built beside the pristine tree, and linked from build/BASE."""
    out = base.out / output_name(arch, flavour)
    source = base.src
    if FLAVOURS[flavour].stock:
        source, real = base.stock.resolve(), base.out / "pristine" / joined(arch, FLAVOURS[flavour].fragment)
        real.mkdir(parents=True, exist_ok=True)
        if not out.is_symlink():
            out.symlink_to(real.relative_to(base.out))
        out = real
    log = base.out / "log" / f"kernel-{arch}-{flavour}.log"
    chosen = FLAVOURS[flavour]
    return Build(arch, source, out, log, fragments(base, arch, flavour), chosen.words, alone=chosen.alone)


def configuring(build, new):
    """The commands that write a configuration to where KCONFIG_CONFIG is, which is `new`."""
    if build.config:
        return [["cp", build.config, new], build.make("olddefconfig")]
    wanted = build.out / ".config.wanted"
    wanted.write_text("\n".join(path.read_text() for path in build.fragments))
    return [build.make(f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig")]


def configure(top, build):
    """Write the configuration, and what is generated of it; one that does not change keeps its time."""
    build.out.mkdir(parents=True, exist_ok=True)
    new, environment = build.out / ".config.new", build.environment(top)
    for command in configuring(build, new):
        proc.run(*command, cwd=build.out, env={**environment, "KCONFIG_CONFIG": str(new)},
                 what=f"configuring {build.out.name}")
    check_fragments(build.fragments, new)
    keep = build.out / ".config"
    if keep.is_file() and keep.read_text() == new.read_text():
        new.unlink()
    else:
        new.replace(keep)
    proc.run(*build.make("syncconfig"), env=environment, what=f"configuring {build.out.name}")


def settings(*paths):
    """Options and values of configuration files; a later one wins."""
    values = {}
    for path in paths:
        for line in path.read_text().splitlines():
            found = re.match(r"(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set", line)
            if found:
                values[found[1] or found[3]] = found[2] or "n"
    return values


def check_fragments(paths, config):
    """Every line of the fragments has taken effect."""
    final = settings(config)
    ignored = [f"{option}={value}" for option, value in settings(*paths).items()
               if final.get(option, "n") != value]
    if ignored:
        raise Failure(f"{paths[-1].name}: without effect: {' '.join(ignored)}")


def compile(top, build, targets, what):
    """Run make, count its steps, keep its output in the log."""
    build.log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(what)
    cache = NOT_PREPROCESSED if build.alone else PREPROCESS_ONCE
    with open(build.log, "w") as log, subprocess.Popen(
            build.make(*targets), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**build.environment(top), **cache}) as make:
        for line in make.stdout:
            log.write(line)
            if STEP.match(line):
                progress.step(line.strip())
    if make.returncode:
        raise Failure(f"{what}: {first_error(build.log)}; the whole log is {build.log}")
    progress.done()


def objects(top, build, what):
    """Configure, and compile KVM alone: the architecture's part brings virt/kvm with it."""
    configure(top, build)
    compile(top, build, [f"arch/{ARCHES[build.arch].tree}/kvm/"], what)


def linked(top, build, what):
    """Configure, and build the kernel, with its modules if it has any."""
    configure(top, build)
    modular = settings(build.out / ".config").get("CONFIG_MODULES") == "y"
    compile(top, build, ["vmlinux", *(["modules"] if modular else [])], what)


def first_error(log):
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in lines if ERROR.search(line) and not STEP.match(line)), "make failed")


def targets(arch, flavour):
    """What a host boots and loads."""
    return [ARCHES[arch].image, *(["modules"] if FLAVOURS[flavour].modular else [])]


def kernel(base, arch, flavour, target):
    """Build a kernel of one flavour from a tree that is up to date."""
    build = build_for(base, arch, flavour)
    with base.lock(output_name(arch, flavour)):
        reuse.begin(base, build, FLAVOURS[flavour].like.format(arch=arch))
        configure(base.top, build)
        compile(base.top, build, target.split() if target else targets(arch, flavour), f"kernel {arch} {flavour}")
