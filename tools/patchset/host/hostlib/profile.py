"""Instructions by kernel function, counted by a plugin of QEMU's."""

import bisect
import subprocess
from pathlib import Path

from hostlib import build, measure, project

SOURCE = "insn_profile.c"
# From the ioctl's own code to the end of the system call.
FROM, TO = "kvm_vcpu_pre_fault_memory", "syscall_exit_to_user_mode"
SHOWN = 25


def build_plugin(directory):
    plugin = Path(directory) / "insn_profile.so"
    command = [build.CC, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra",
               "-Werror", "-o", plugin, Path(project.HOST) / SOURCE]
    if subprocess.run(command, check=False).returncode:
        raise build.BuildError(f"{SOURCE} does not build")
    return plugin


def symbols(system_map):
    """The functions of a kernel, as a sorted list of (address, name)."""
    rows = (line.split() for line in Path(system_map).read_text().splitlines())
    return sorted((int(address, 16), name) for address, kind, name in rows
                  if kind in "tTW")


def options(plugin, functions, counts):
    """What QEMU has to be told."""
    at = {name: address for address, name in functions}
    if not {FROM, TO} <= at.keys():
        raise measure.MeasureError(f"the kernel has no {FROM} or no {TO}")
    return ("-plugin", f"{plugin},from={at[FROM]:x},to={at[TO]:x},out={counts}")


def by_function(counts, functions):
    """{function: instructions} from the plugin's lines, the most first."""
    starts, found = [address for address, _ in functions], {}
    for line in counts.splitlines():
        address, count = line.split()
        name = functions[bisect.bisect(starts, int(address, 16)) - 1][1]
        found[name] = found.get(name, 0) + int(count)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def table(found, pages):
    """The functions that take the most, per page."""
    total = sum(found.values())
    lines = [f"{total:,} instructions from {FROM}() to {TO}(), {pages:,} pages",
             "", f"{'per page':>10}{'share':>9}  function"]
    lines += [f"{count / pages:10.2f}{100 * count / total:8.1f}%  {name}"
              for name, count in list(found.items())[:SHOWN]]
    rest = total - sum(list(found.values())[:SHOWN])
    lines.append(f"{rest / pages:10.2f}{100 * rest / total:8.1f}%  all others")
    return "\n".join(lines)
