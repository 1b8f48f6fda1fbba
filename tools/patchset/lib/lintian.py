# SPDX-License-Identifier: GPL-2.0-only
"""What lintian finds in packages, and what of that is explained."""
import re
from dataclasses import dataclass

from . import proc
from .ui import Failure

LINE = re.compile(r"^[EW]: (\S+): (\S+)(?: (.*))?$")


@dataclass(frozen=True)
class Tag:
    """A tag that a package has, and where in it."""

    package: str
    name: str
    place: str

    def __str__(self):
        return f"{self.package}: {self.name} {self.place}".rstrip()


def parse(text):
    """Errors and warnings."""
    found = filter(None, map(LINE.match, text.splitlines()))
    return [Tag(one[1], one[2], one[3] or "") for one in found]


def tags(packages):
    return parse(proc.run("lintian", "--allow-root", "--no-cfg", "--fail-on", "none", "--tag-display-limit", "0", *packages))


def accepted(path):
    """{tag: why it stays} of a file with a line for each."""
    lines = (line.partition("#") for line in path.read_text().splitlines())
    known = {tag.strip(): why.strip() for tag, _, why in lines if tag.strip()}
    for tag, why in known.items():
        if not why:
            raise Failure(f"{path.name}: no reason for {tag}")
    return known
