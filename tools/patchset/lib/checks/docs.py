# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the documentation."""
import re
import shutil

from .. import entry, proc
from .result import Result

PAGES = "Documentation/virt/kvm"
BOOK = "virt/kvm"


def overlays(base, pattern):
    return sorted(path for one in entry.load(base) for path in one.overlays if re.search(pattern, path))


def edited_docs(base):
    return {hook.path for one in entry.load(base) for hook in one.hooks if hook.path.startswith(PAGES)}


def kernel_doc(base):
    """Comments for kernel-doc are complete."""
    paths = overlays(base, r"\.[ch]$")
    said = proc.attempt("perl", "scripts/kernel-doc", "-none", *paths, cwd=base.src)
    findings = [line for line in said.stderr.splitlines() if re.search("warning:|error:", line)]
    if said.returncode and not findings:
        findings.append(f"kernel-doc: {proc.last_line(said.stderr)}")
    return Result(len(paths), "files", findings)


def htmldocs(base):
    """Sphinx warns of none of our pages."""
    ours = {*overlays(base, rf"^{PAGES}/.*\.rst$"), *edited_docs(base)}
    out = base.out / "check-docs"
    # Sphinx is silent of pages that it has read before.
    shutil.rmtree(out, ignore_errors=True)
    done = proc.attempt("make", "-C", base.src, f"O={out}", f"SPHINXDIRS={BOOK}", "htmldocs")
    said = (done.stdout + done.stderr).splitlines()
    findings = [line for line in said if re.search("WARNING|ERROR|SEVERE", line) and any(path in line for path in ours)]
    # make passes without Sphinx.
    findings += [f"{path}: no page was made of it" for path in sorted(ours)
                 if path.endswith(".rst") and not list(out.glob(f"**/{path.rsplit('/', 1)[-1].removesuffix('.rst')}.html"))]
    if done.returncode:
        findings.append(f"htmldocs: {proc.last_line(done.stderr or done.stdout)}")
    return Result(len(ours), "pages", findings)
