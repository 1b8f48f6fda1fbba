# SPDX-License-Identifier: GPL-2.0-only
"""The configurations in which each prefix of the series is built.

KVM is built in (y), and in modules (m).  Each option of the series that one can set is on and off, with either and
with each value of the other option; no fewer configurations do that.  What one cannot set follows: x86 selects
pre-fault, and change maps for their test alone; POWER selects change maps, and no pre-fault.  "m" is Debian's way.

There is KUnit in all of them: without it there is no test, and to add it is to compile all of the kernel anew.
"""
import re
from dataclasses import dataclass

from . import kernel
from .ui import Failure

DEFINED = re.compile(r"^\s*(?:menu)?config\s+(\w+)\s*$", re.M)


@dataclass(frozen=True)
class Configuration:
    """An architecture, and words: each is a fragment, of the architecture's or for all."""

    arch: str
    words: str

    @property
    def name(self):
        return kernel.joined(self.arch, *self.words.split())

    @property
    def output(self):
        """Little differs among those with KVM built in, or those with modules: they share what they build."""
        return kernel.joined(self.arch, self.words.split()[0])

    def additions(self, base):
        for word in self.words.split():
            own, common = (base.configs / f"{name}.config" for name in (f"{self.arch}-{word}", word))
            yield own if own.is_file() else common

    def fragments(self, base, known):
        """All fragments, less those that set what comes with a later entry: they make no difference yet."""
        return (*kernel.common(base, self.arch),
                *(path for path in self.additions(base) if kernel.settings(path).keys() <= known))


CONFIGURATIONS = tuple(Configuration(arch, words) for arch, all_words in (
    ("x86_64", ("y", "y test", "m", "m test")),
    ("powerpc", ("y stream test", "y", "m stream", "m test"))) for words in all_words)


def options(tree):
    """What the Kconfig files below a tree define."""
    return {f"CONFIG_{name}" for path in tree.rglob("Kconfig*") if path.is_file()
            for name in DEFINED.findall(path.read_text(errors="replace"))}


def check(base, known):
    """There is all that the fragments set."""
    for path in sorted({path for one in CONFIGURATIONS for path in one.additions(base)}):
        missing = kernel.settings(path).keys() - known
        if missing:
            raise Failure(f"{path.name}: no Kconfig has {' '.join(sorted(missing))}")
