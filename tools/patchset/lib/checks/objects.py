# SPDX-License-Identifier: GPL-2.0-only
"""What compilers and sparse say of KVM, beside what they say of the base."""
import dataclasses
import functools
import re
from collections import Counter

from .. import configurations, entry, kernel, proc, source
from .result import Result

# werror is CONFIG_KVM_WERROR, which powerpc does not have, and which comes behind the words of the others.  What
# the rest of the base is warned of must not end those.
GO_ON = ("KCFLAGS=-Wno-error",)
TOOLS = {"werror": (), "gcc": ("W=1", *GO_ON), "clang": ("W=1", "LLVM=1", "CC=ccache clang", *GO_ON),
         "sparse": ("C=2", *GO_ON)}
# clang's assembler does not know all that the base's powerpc has; nor does lld link it.
POWERPC_CLANG = ("LLVM_IAS=0", "LD=powerpc64le-linux-gnu-ld")
# Of compilers and sparse; of the assembler; of objtool and the linker, which know no lines.
WARNING = re.compile(r"^([^\s:]+)(?::\d+)*: ((?:fatal )?(?:[Ww]arning|[Ee]rror): .*)")
TESTED = "usr/include/**/*.hdrtest"
# Of the configurations of the prefixes: all that we have, and what a packager gets who switches the stream off.
ALL = {"x86_64": "y test", "powerpc": "y stream test"}
NO_STREAM = "y"  # and no more
# What a cache has of kernels was compiled in another way, see kernel.PREPROCESS_ONCE.
APART = {"CCACHE_NAMESPACE": "warnings"}
# What is not the same in two trees.
UNSTABLE = re.compile(r"\b(__UNIQUE_ID\w*|0x[0-9a-f]+|\d+)\b")


def words(arch, tool):
    more = POWERPC_CLANG if (arch, tool) == ("powerpc", "clang") else ()
    return (*TOOLS[tool], *more)


def kvm_objects(out):
    return [*out.glob("arch/*/kvm/**/*.o"), *out.glob("virt/kvm/**/*.o")]


def forget(out):
    """A compiler is silent of what is up to date; ccache is not."""
    for path in kvm_objects(out):
        path.unlink()


def count(lines):
    """How often each file has each warning, whatever the line."""
    found = filter(None, map(WARNING.match, lines))
    return Counter((re.sub(r"^(\.\./)+", "", one[1]), UNSTABLE.sub("#", one[2])) for one in found)


def warnings(base, build):
    """What count() makes of all that is said, and make's status."""
    kernel.configure(base.top, build)
    forget(build.out)
    done = proc.attempt(*build.make("-k", f"arch/{kernel.ARCHES[build.arch].tree}/kvm/"),
                        env={**build.environment(base.top), **APART})
    said = (done.stdout + done.stderr).replace(f"{build.source}/", "")
    build.log.parent.mkdir(parents=True, exist_ok=True)
    build.log.write_text(said)
    return count(said.splitlines()), done.returncode


def compare(base, build, fragments=lambda tree: ()):
    """What is said of the patched tree, and not of the base; fragments set what a tree knows."""
    stock, name = source.pristine(base).resolve(), build.out.name
    before, _ = warnings(base, dataclasses.replace(build, source=stock, out=stock.parent / name,
                                                   log=build.log.with_name(f"{name}-pristine.log"),
                                                   fragments=fragments(stock)))
    after, status = warnings(base, dataclasses.replace(build, fragments=fragments(build.source)))
    findings = [f"{path}: {text}" for (path, text), count in (after - before).items() for _ in range(count)]
    if status:
        findings.append(f"make failed, see {build.log}")
    return Result(len(kvm_objects(build.out)), "objects", findings)


def build_for(base, arch, what, **more):
    name = f"check-{arch}-{what}"
    return kernel.Build(arch, base.src, base.out / name, base.out / "log" / f"{name}.log", **more)


@functools.cache
def options(tree):
    return configurations.options(tree)


def without(base, arch, tool):
    """A fragment that turns off what a tool is not able to do, if there is one."""
    path = base.configs / f"{arch}-{tool}.config"
    return (path,) if path.is_file() else ()


def check(base, arch, tool, what=None, configuration=None):
    chosen = configurations.Configuration(arch, configuration or ALL[arch])
    return compare(base, build_for(base, arch, what or tool, words=words(arch, tool)),
                   lambda tree: (*chosen.fragments(base, options(tree)), *without(base, arch, tool)))


def compiled(base):
    """Each of our files of the kernel is in what gcc has compiled: no other check is of what is not."""
    outputs = [build_for(base, arch, "gcc").out for arch in kernel.ARCHES]
    paths = sorted(path for one in entry.load(base) for path in one.overlays
                   if path.startswith(("arch/", "virt/")) and path.endswith(".c"))
    return Result(len(paths), "files", [f"{path}: no object" for path in paths
                                        if not any((out / path).with_suffix(".o").is_file() for out in outputs)])


CHECKS = {**{f"{arch}-{tool}": functools.partial(check, arch=arch, tool=tool)
             for arch in kernel.ARCHES for tool in TOOLS if (arch, tool) != ("powerpc", "werror")},
          "powerpc-no-stream": functools.partial(check, arch="powerpc", tool="gcc", what="no-stream",
                                                 configuration=NO_STREAM),
          # Of the output of the former.
          "compiled": compiled}


def uapi_headers(base):
    """Those that userspace gets compile by themselves."""
    found, total = [], 0
    for arch in kernel.ARCHES:
        out = base.out / f"check-{arch}-uapi"
        build = kernel.Build(arch, base.src, out, base.out / "log" / f"{out.name}.log", kernel.fragments(base, arch))
        kernel.configure(base.top, build)
        for path in out.glob(TESTED):
            path.unlink()
        proc.run(base.src / "scripts/config", "--file", out / ".config", "--enable", "HEADERS_INSTALL",
                 "--enable", "UAPI_HEADER_TEST")
        done = proc.attempt(*build.make("usr/"), env=build.environment(base.top))
        build.log.parent.mkdir(parents=True, exist_ok=True)
        build.log.write_text(done.stdout + done.stderr)
        count = sum(1 for _ in out.glob(TESTED))
        total += count
        if not count:
            found.append(f"{arch}: no header was tested")
        if done.returncode:
            found.append(f"{arch}: {proc.last_line(done.stderr)}; see {build.log}")
    return Result(total, "headers", found)
