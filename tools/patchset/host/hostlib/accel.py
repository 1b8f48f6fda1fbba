# SPDX-License-Identifier: GPL-2.0-only
"""Whether the hosts in QEMU can use KVM for speed, or are emulated.

A /dev/kvm that opens is not enough: the CPU flags, the module's parameter
and a trial must agree.  The trial boots a host under KVM and runs a guest
inside it, which is what the tests will do.
"""

import dataclasses
import os
import re
import threading

from hostlib import boot, stanza, verdict

TRIAL_SECONDS = 30
TRIAL = stanza.Test(name="trial", kind="exit", program="x86_64/sync_regs_test",
                    args=(), klass="deterministic", timeout=20, memory=0,
                    cmdline="", skips=(), shows=(), needs=(), why="")


def _read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as source:
            return source.read()
    except OSError:
        return ""


def missing():
    """What nested KVM lacks on this machine, or None."""
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", _read("/proc/cpuinfo"),
                     re.MULTILINE):
        return "no vmx or svm in the CPU flags"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm does not open"
    nested = [_read(f"/sys/module/{module}/parameters/nested").strip()
              for module in ("kvm_intel", "kvm_amd")]
    if not {"1", "Y"} & set(nested):
        return "KVM's parameter nested is off"
    return None


def trial(host):
    """Whether a guest runs in a host that runs under KVM."""
    host = dataclasses.replace(host, boot=TRIAL_SECONDS, slow=1)
    entry = stanza.Entry(TRIAL, host.name, 0, False)
    results, _ = boot.run(host, [entry], "kvm", threading.Event())
    return results[0].verdict == verdict.PASS


def choose(host):
    """Returns (accelerator, why)."""
    asked = os.environ.get("ACCEL")
    if asked:
        return asked, "as ACCEL says"
    lack = missing()
    if lack:
        return "tcg", lack
    if not trial(host):
        return "tcg", "nested KVM failed its trial"
    return "kvm", "nested KVM passed its trial"
