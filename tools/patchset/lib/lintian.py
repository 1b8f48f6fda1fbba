# SPDX-License-Identifier: GPL-2.0-only
"""What lintian finds in packages, and what of that is explained."""
import re
from dataclasses import dataclass

from . import proc
from .ui import Failure

ACCEPTED = re.compile(r"(\S+): (\S+)")
LINE = re.compile(r"^[EW]: (\S+): (\S+)(?: (.*))?$")


@dataclass(frozen=True)
class Tag:
    """A tag that a package has, and where in it."""

    package: str
    name: str
    place: str

    def is_in(self, known):
        return any(self.name == tag and self.package.startswith(prefix) for prefix, tag in known)

    def __str__(self):
        return f"{self.package}: {self.name} {self.place}".rstrip()


def parse(text):
    """Errors and warnings."""
    found = filter(None, map(LINE.match, text.splitlines()))
    return [Tag(one[1], one[2], one[3] or "") for one in found]


def tags(packages):
    return parse(proc.run("lintian", "--allow-root", "--no-cfg", "--fail-on", "none",
                          "--tag-display-limit", "0", *packages))


def accepted(path):
    """(how the package's name begins, tag) for each line of a file."""
    known = []
    for line in path.read_text().splitlines():
        what, _, why = line.partition("#")
        found = ACCEPTED.fullmatch(what.strip())
        if what.strip() and not (found and why.strip()):
            raise Failure(f"{path.name}: not PACKAGE: TAG # REASON: {line}")
        if found:
            known.append(found.groups())
    return known
