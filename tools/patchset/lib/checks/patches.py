# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the mails of the series, and of the quilt form."""
import re

from .. import compose, entry, proc
from .result import Result

# What checkpatch says that is no fault here.
ACCEPTED = {
    "WARNING:FILE_PATH_CHANGES": "MAINTAINERS has a patch of its own, the last; see the check maintainers",
    "WARNING:UNKNOWN_COMMIT_ID": "the kernel's history is not here: the ids were looked up elsewhere",
    "CHECK:CAMELCASE: Avoid CamelCase: <PRIu64>": "the macro of inttypes.h",
    "WARNING:TYPO_SPELLING: 'Nd' may be misspelled": "a macro of mdoc",
}
# Where Debian has it, and checkpatch does not look.
DICTIONARY = "/usr/lib/python3/dist-packages/codespell_lib/data/dictionary.txt"
COVER = "0000-"
SUBJECT = re.compile(r"^[A-Za-z0-9/_, -]+(: [A-Za-z0-9/_, -]+)*: \S.*[^.]$")
SUBJECT_MAX = 75
# A message's reason takes more than its subject said.
REASON_WORDS = 10
TRAILER = re.compile(r"^[A-Z][\w-]+: ")
DEP3_FIELDS = ("Description", "Author", "Forwarded", "Last-Update")


def is_finding(line):
    return re.search(r": (ERROR|WARNING|CHECK):", line) and not any(text in line for text in ACCEPTED)


def checkpatch(base):
    mails = [path for path in sorted((base.out / "series").glob("0*.patch")) if not path.name.startswith(COVER)]
    # It leaves a file where it runs, which must not be in the tree.
    done = proc.attempt("perl", base.src / "scripts/checkpatch.pl", f"--root={base.src}", "--strict", "--codespell",
                        "--codespellfile", DICTIONARY, "--terse", "--show-types", "--no-summary", *mails, cwd=base.out / "check")
    # It says there what it cannot do.
    broken = done.stderr.splitlines()
    return Result(len(mails), "patches", [*broken, *filter(is_finding, done.stdout.splitlines())])


def reason(body):
    """The words of a message without its trailers."""
    return [word for line in body.splitlines() if not TRAILER.match(line) for word in line.split()]


def messages(base):
    entries = entry.load(base)
    findings = []
    for one in entries:
        if not SUBJECT.match(one.subject) or len(one.subject) > SUBJECT_MAX:
            findings.append(f"{one.name}: subject: {one.subject}")
        if len(reason(one.body)) < REASON_WORDS:
            findings.append(f"{one.name}: the message gives no reason")
    return Result(len(entries), "patches", findings)


def dep3(base):
    """The quilt form has the fields that DEP-3 asks for, and all its patches are in its series."""
    patches = base.out / "series/quilt"
    listed = (patches / "series").read_text().split()
    findings = [f"{name}: no {field}" for name in listed for field in DEP3_FIELDS
                if not re.search(rf"^{field}: \S", (patches / name).read_text(errors="replace").partition("\n---")[0], re.M)]
    findings += [f"{path.name}: not in the file series" for path in patches.glob("*.patch") if path.name not in listed]
    return Result(len(listed), "patches", findings)


def sections(text):
    return set(re.findall(r"^[A-Z][A-Z0-9 ()/.,-]+$", text, re.M))


def maintainers(base):
    """get_maintainer.pl finds a stanza of ours for each new file."""
    ours = sections((base.top / compose.MERGED).read_text())
    paths = sorted(path for one in entry.load(base) for path in one.overlays if path != compose.MERGED)
    findings = []
    for path in paths:
        said = proc.run("perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", "--sections", "-f", path,
                        cwd=base.src, what=f"get_maintainer.pl {path}")
        if not ours & sections(said):
            findings.append(f"{path}: in no stanza of ours")
    return Result(len(paths), "files", findings)
