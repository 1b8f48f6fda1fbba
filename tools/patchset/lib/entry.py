# SPDX-License-Identifier: GPL-2.0-only
"""Series entries: mails that name overlay files and carry hooks."""
import email
import re
from dataclasses import dataclass
from pathlib import Path

from .ui import Failure

DIFF_START = re.compile(r"^(diff |--- a/)", re.M)
OVERLAY = re.compile(r"^Overlay:[ \t]*(\S+)[ \t]*$", re.M)
HUNK = re.compile(r"^(@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*))\n((?:(?: .*)?\n)*)", re.M)


@dataclass(frozen=True)
class Hunk:
    """One hunk: its first changed line before and after, by how much it grows, the function it names."""

    header: str
    change: tuple
    growth: int
    function: str


@dataclass(frozen=True)
class Hook:
    """The edits of one kernel file, as a patch and hunk by hunk."""

    path: str
    diff: str
    hunks: tuple


@dataclass(frozen=True)
class Entry:
    name: str
    head: str
    author: str
    subject: str
    body: str
    overlays: tuple
    hooks: tuple


def parse(path):
    text = read(path)
    message, separator, rest = text.partition("\n---\n")
    if not separator:
        raise Failure(f"{path.name}: no line '---' after the message")
    found = DIFF_START.search(rest)
    notes, diff = (rest[:found.start()], rest[found.start():]) if found else (rest, "")
    mail = email.message_from_string(message)
    for field in ("From", "Subject"):
        if not mail[field]:
            raise Failure(f"{path.name}: no {field}:")
    return Entry(name=path.name, head=text[:len(text) - len(diff)], author=mail["From"],
                 subject=" ".join(mail["Subject"].split()), body=mail.get_payload().strip(),
                 overlays=tuple(OVERLAY.findall(notes)), hooks=tuple(parse_hooks(path.name, diff)))


def read(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise Failure(f"{path.name}: not UTF-8") from None


def parse_hooks(name, diff):
    """Split a diff at its file headers; each has to edit a file that exists."""
    starts = [found.start() for found in re.finditer(r"^--- \S+.*\n\+\+\+ ", diff, re.M)]
    for start, end in zip(starts, starts[1:] + [len(diff)]):
        part = diff[start:end]
        old, new = (line.split("\t")[0].split(" ", 1)[1] for line in part.splitlines()[:2])
        if not old.startswith("a/") or old[2:] != new[2:]:
            raise Failure(f"{name}: {old} to {new}: hooks edit files of the base, new files are overlay files")
        yield Hook(old[2:], part, tuple(parse_hunks(part)))


def parse_hunks(diff):
    for header, start, old, new_start, new, function, context in HUNK.findall(diff):
        lead = context.count("\n")
        yield Hunk(header, (int(start) + lead, int(new_start) + lead), int(new or 1) - int(old or 1), function.strip())


def load(base):
    """The entries of a base's series, in order."""
    entries = [parse(path) for path in sorted(base.series.glob("[0-9]*.patch"))]
    if not entries:
        raise Failure(f"no series entry in {base.series}")
    return entries


def file_of(base, entry):
    return Path(base.series) / entry.name
