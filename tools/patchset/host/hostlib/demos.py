# SPDX-License-Identifier: GPL-2.0-only
"""What the demos share."""

import subprocess

from hostlib import project
from lib import kernel
from lib.ui import say

# Of those that come in one.
ARCH = "x86_64"
TITLES = {"stock": "the stock kernel", "normal": "the patched kernel"}


def build_kernels(base, *flavours):
    for flavour in flavours:
        status = subprocess.run([project.PATCHSET, "kernel", "--base",
                                 base.name, "--arch", ARCH, "--flavour",
                                 flavour], check=False).returncode
        if status:
            raise SystemExit(status)


def release(base, arch):
    """Of the patched kernel."""
    path = kernel.build_for(base, arch, "normal").out
    return (path / "include/config/kernel.release").read_text().strip()


def show(base, out, text, what):
    (out / "table.txt").write_text(text + "\n")
    print(f"\n{text}\n")
    say(f"{what} and all logs are in {out.relative_to(base.top)}/")
