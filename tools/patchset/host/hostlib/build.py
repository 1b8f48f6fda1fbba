# SPDX-License-Identifier: GPL-2.0-only
"""Builds what a machine needs: kernels, selftests, init."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from hostlib import initramfs, project
from lib import deps, kernel as kbuild, ui

CC = "gcc"
# The file by which a program of several goes; its directory is the program's.
MAIN = "main.c"
# What all such programs are linked with, see README.
CLIENT = os.path.join(project.HOST, "client")
# What tools for users are built for.
TOOL_ARCH = "x86_64"
# dirty_log_test.c of Debian's 6.1 uses a macro that its library does not have.
EXTRA_CFLAGS = "-DTEST_ASSERT_EQ=ASSERT_EQ"

# What a selftest is made of, as its Makefile knows no headers.
SELFTEST_SOURCES = ("include/uapi", "arch/x86/include/uapi",
                    "arch/powerpc/include/uapi", "tools/include",
                    "tools/arch/x86/include", "tools/testing/selftests/kvm",
                    "tools/testing/selftests/rseq",
                    "tools/testing/selftests/lib.mk",
                    "tools/testing/selftests/kselftest.h",
                    "tools/testing/selftests/kselftest_harness.h")


class BuildError(Exception):
    """Something could not be built."""


def packages():
    """Installs what is missing of the Debian packages that a run needs."""
    try:
        deps.need(Path(project.TOP), "source", "kernel", "host", "model",
                  "disk", "bench")
    except ui.Failure as failure:
        raise BuildError(str(failure)) from None


def image(arch):
    """Where a kernel's output has what is booted."""
    name = kbuild.ARCHES[arch].image
    below = () if name == "vmlinux" else ("arch", kbuild.ARCHES[arch].tree,
                                          "boot")
    return os.path.join(*below, name)


def kernel_image(arch, flavour):
    return project.under(kbuild.output_name(arch, flavour), image(arch))


def module(arch, flavour, name):
    """Where a kernel's output has a module, by the list of all."""
    out = Path(project.under(kbuild.output_name(arch, flavour)))
    order = out / "modules.order"
    for path in order.read_text().split() if order.exists() else ():
        if os.path.basename(path) == f"{name}.ko":
            return str(out / path)
    raise BuildError(f"the {flavour} kernel for {arch} has no module {name}")


def kernel(arch, flavour):
    status = subprocess.run([project.PATCHSET, "kernel", "--arch", arch,
                             "--base", project.base(),
                             "--flavour", flavour], check=False).returncode
    if status or not os.path.exists(kernel_image(arch, flavour)):
        raise BuildError(f"no {flavour} kernel: see the messages above")


def tree():
    if subprocess.run([project.PATCHSET, "tree", "--base", project.base()],
                      check=False).returncode:
        raise BuildError("no patched tree: see the messages above")


def _logged(command, log, what):
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as out:
        done = subprocess.run(command, stdout=out, stderr=out, check=False)
    if done.returncode:
        raise BuildError(f"{what} does not build, see {project.shown(log)}")


def _files(path):
    if os.path.isfile(path):
        yield path
    for directory, directories, files in os.walk(path):
        directories.sort()
        yield from (os.path.join(directory, name) for name in sorted(files))


def _digest_sources():
    whole = hashlib.sha256()
    for source in SELFTEST_SOURCES:
        for path in _files(project.under("src", source)):
            whole.update(path.encode() + b"\0")
            whole.update(project.digest_file(path).encode())
    return whole.hexdigest()


def _install_headers(arch):
    _logged(["make", "-C", project.under("src"), f"ARCH={arch}",
             f"O={project.under('selftests', arch, 'headers-build')}",
             "INSTALL_HDR_PATH="
             f"{project.under('selftests', arch, 'headers')}",
             "headers_install"],
            project.under("logs", f"build-headers-{arch}.log"),
            "headers_install")


def _start_afresh_if_changed(arch):
    stamp = project.under("selftests", arch, "sources.sha256")
    digest = _digest_sources()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as old:
            if old.read() == digest:
                return
    shutil.rmtree(project.under("selftests", arch), ignore_errors=True)
    os.makedirs(project.under("selftests", arch, "kvm"))
    _install_headers(arch)
    with open(stamp, "w", encoding="utf-8") as new:
        new.write(digest)


def _is_own(program):
    """A .c file below tools/patchset/host, rather than a KVM selftest."""
    return program.endswith(".c")


def name(program):
    """That of its directory, if the program has one."""
    if os.path.basename(program) == MAIN:
        program = os.path.dirname(program)
    return os.path.basename(program).removesuffix(".c")


def _own_sources(program):
    path = Path(project.HOST, program)
    if path.name != MAIN:
        return [path]
    return [source for directory in (path.parent, Path(CLIENT))
            for source in sorted(directory.glob("*.c"))]


def binary(arch, program):
    if _is_own(program):
        return project.under("selftests", arch, "host", name(program))
    return project.under("selftests", arch, "kvm", program)


def contents(arch, program):
    try:
        return initramfs.read(binary(arch, program))
    except FileNotFoundError:
        raise BuildError(f"{program} has not been built: leave out "
                         "--no-build") from None


def _compiler(arch):
    return f"{kbuild.ARCHES[arch].cross}{CC}"


def _own_program(arch, program):
    out = binary(arch, program)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    _logged([_compiler(arch), "-static", "-s", "-O2", "-Wall", "-Wextra",
             "-Werror", "-I", CLIENT, "-o", out, *_own_sources(program)],
            project.under("logs", f"build-host-programs-{arch}.log"), program)


def _kvm_selftests(arch, programs):
    _start_afresh_if_changed(arch)
    compiler = f"{_compiler(arch)} -static -s"
    if shutil.which("ccache"):
        compiler = f"ccache {compiler}"
    headers = project.under("selftests", arch, "headers", "include")
    _logged(["make", "-C", project.under("src", "tools", "testing",
                                         "selftests", "kvm"),
             f"-j{os.cpu_count()}", f"ARCH={arch}", f"CC={compiler}",
             f"OUTPUT={project.under('selftests', arch, 'kvm')}",
             f"EXTRA_CFLAGS={EXTRA_CFLAGS}",
             f"KHDR_INCLUDES=-isystem {headers}",
             *[binary(arch, program) for program in programs]],
            project.under("logs", f"build-selftests-{arch}.log"),
            "a KVM selftest")


def programs(arch, wanted):
    """Builds init and the programs, static, each by its stanza's name."""
    kvm = sorted(program for program in wanted if not _is_own(program))
    if kvm:
        _kvm_selftests(arch, kvm)
    for program in ["init.c", *filter(_is_own, sorted(wanted))]:
        _own_program(arch, program)


def _tool(source):
    return project.under("selftests", TOOL_ARCH, "tools",
                         os.path.basename(source))


def install_tool(source):
    """Builds a tool for users, and installs it as for /opt of a host.

    It is built for this machine, and needs libraries in the host.
    """
    root = _tool(source)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(os.path.join(root, "build"))
    _logged(["make", "-C", os.path.join(project.TOP, source), "install",
             f"OUTPUT={root}/build/", f"DESTDIR={root}/tree", "prefix=/opt"],
            project.under("logs", f"build-{os.path.basename(source)}.log"),
            source)


def tool(source):
    """What install_tool() has installed, as {path in a host: contents}."""
    tree = os.path.join(_tool(source), "tree")
    return {os.path.relpath(path, tree): initramfs.read(path)
            for path in _files(tree)}


def plugin(directory, source):
    """Builds a plugin of QEMU's, from a .c file of our own."""
    out = Path(directory) / f"{name(source)}.so"
    command = [CC, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror",
               "-o", out, os.path.join(project.HOST, source)]
    if subprocess.run(command, check=False).returncode:
        raise BuildError(f"{source} does not build")
    return out
