# SPDX-License-Identifier: GPL-2.0-only
"""Instructions by kernel function, counted by a plugin of QEMU's."""

import bisect
import dataclasses
from pathlib import Path

from hostlib import measure

SOURCE = "insn_profile.c"
SHOWN = 25


@dataclasses.dataclass(frozen=True)
class Span:
    """The functions at whose first instructions it begins and ends, and where
    the kernel's text is linked to."""
    first: str
    last: str
    text: int


# Each from what is measured to the end of the system call.
PRE_FAULT = Span("kvm_vcpu_pre_fault_memory", "syscall_exit_to_user_mode",
                 0xffffffff81000000)
HTAB_READ = Span("htab_read", "syscall_exit_prepare", 0xc000000000000000)


def symbols(system_map):
    """The functions of a kernel, as a sorted list of (address, name)."""
    rows = (line.split() for line in Path(system_map).read_text().splitlines())
    return sorted((int(address, 16), name) for address, kind, name in rows
                  if kind in "tTW")


def options(plugin, span, functions, counts):
    """What QEMU has to be told."""
    at = {name: address for address, name in functions}
    if not {span.first, span.last} <= at.keys():
        raise measure.MeasureError(f"the kernel has no {span.first} or no "
                                   f"{span.last}")
    return ("-plugin", f"{plugin},from={at[span.first]:x},to={at[span.last]:x},"
            f"text={span.text:x},out={counts}")


def by_function(counts, functions):
    """{function: instructions} from the plugin's lines, the most first."""
    starts, found = [address for address, _ in functions], {}
    for line in counts.splitlines():
        address, count = line.split()
        name = functions[bisect.bisect(starts, int(address, 16)) - 1][1]
        found[name] = found.get(name, 0) + int(count)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def table(span, found, number, what):
    """The functions that take the most, for each of a number of things."""
    total = sum(found.values())
    lines = [f"{total:,} instructions from {span.first}() to {span.last}(), "
             f"{number:,} of {what}",
             "", f"{'for each':>10}{'share':>9}  function"]
    lines += [f"{count / number:10.2f}{100 * count / total:8.1f}%  {name}"
              for name, count in list(found.items())[:SHOWN]]
    rest = total - sum(list(found.values())[:SHOWN])
    lines.append(f"{rest / number:10.2f}{100 * rest / total:8.1f}%  all others")
    return "\n".join(lines)
