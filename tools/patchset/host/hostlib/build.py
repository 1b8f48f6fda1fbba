"""Builds what a machine needs: kernels, selftests, init."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from hostlib import initramfs, project
from lib import deps, ui

CC = "gcc"
# dirty_log_test.c of Debian's 6.1 uses a macro that its library does not have.
EXTRA_CFLAGS = "-DTEST_ASSERT_EQ=ASSERT_EQ"

# What a selftest is made of, as its Makefile knows no headers.
SELFTEST_SOURCES = ("include/uapi", "arch/x86/include/uapi", "tools/include",
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
        deps.need(Path(project.TOP), "source", "kernel", "host")
    except ui.Failure as failure:
        raise BuildError(str(failure)) from None


def kernel_image(flavour):
    suffix = "" if flavour == "normal" else f"-{flavour}"
    return project.under(f"x86_64{suffix}", "arch", "x86", "boot",
                         "bzImage")


def kernel(flavour):
    status = subprocess.run([project.PATCHSET, "kernel", "--arch", "x86_64",
                             "--base", project.base(),
                             "--flavour", flavour], check=False).returncode
    if status or not os.path.exists(kernel_image(flavour)):
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


def _start_afresh_if_changed():
    stamp = project.under("selftests", "sources.sha256")
    digest = _digest_sources()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as old:
            if old.read() == digest:
                return
    shutil.rmtree(project.under("selftests"), ignore_errors=True)
    os.makedirs(project.under("selftests", "kvm"))
    _logged(["make", "-C", project.under("src"),
             f"O={project.under('selftests', 'headers-build')}",
             f"INSTALL_HDR_PATH={project.under('selftests', 'headers')}",
             "headers_install"],
            project.under("logs", "build-headers.log"), "headers_install")
    with open(stamp, "w", encoding="utf-8") as new:
        new.write(digest)


def _is_own(program):
    """A .c file below tools/patchset/host, rather than a KVM selftest."""
    return program.endswith(".c")


def binary(program):
    if _is_own(program):
        name = os.path.basename(program)[:-len(".c")]
        return project.under("selftests", "host", name)
    return project.under("selftests", "kvm", program)


def contents(program):
    try:
        return initramfs.read(binary(program))
    except FileNotFoundError:
        raise BuildError(f"{program} has not been built: leave out "
                         "--no-build") from None


def _own_program(program):
    os.makedirs(os.path.dirname(binary(program)), exist_ok=True)
    _logged([CC, "-static", "-s", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
             binary(program), os.path.join(project.HOST, program)],
            project.under("logs", "build-host-programs.log"), program)


def _kvm_selftests(programs):
    _start_afresh_if_changed()
    compiler = f"{CC} -static -s"
    if shutil.which("ccache"):
        compiler = f"ccache {compiler}"
    _logged(["make", "-C", project.under("src", "tools", "testing", "selftests",
                                   "kvm"),
             f"-j{os.cpu_count()}", f"CC={compiler}",
             f"OUTPUT={project.under('selftests', 'kvm')}",
             f"EXTRA_CFLAGS={EXTRA_CFLAGS}",
             "KHDR_INCLUDES=-isystem "
             f"{project.under('selftests', 'headers', 'include')}",
             *[binary(program) for program in programs]],
            project.under("logs", "build-selftests.log"),
            "a KVM selftest")


def programs(wanted):
    """Builds init and the programs, static, each by its stanza's name."""
    kvm = sorted(program for program in wanted if not _is_own(program))
    if kvm:
        _kvm_selftests(kvm)
    for program in ["init.c", *filter(_is_own, sorted(wanted))]:
        _own_program(program)
