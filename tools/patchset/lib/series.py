# SPDX-License-Identifier: GPL-2.0-only
"""Exporting the series: mails, an mbox, and quilt's form.

All of it comes from a scratch git repository that holds the touched files
only, one commit for each entry on top of the base's versions.
"""
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import compose, entry, proc, source
from .ui import Failure, say

# The kernel's own .gitattributes: without them a label could head a hunk.
ATTRIBUTES = "*.c diff=cpp\n*.h diff=cpp\n"
IDENTITY = re.compile(r"(.*) <(.*)> \d+ [-+]\d+$")


@dataclass(frozen=True)
class Person:
    name: str
    mail: str


@dataclass(frozen=True)
class Repo:
    """A scratch repository that ignores the user's git configuration."""

    path: Path
    name: str
    mail: str
    date: int

    def git(self, *words, second=0, what=None, **kwargs):
        when = f"@{self.date + second} +0000"
        fixed = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "TZ": "UTC",
                 "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when,
                 "GIT_COMMITTER_NAME": self.name, "GIT_COMMITTER_EMAIL": self.mail,
                 "GIT_AUTHOR_NAME": self.name, "GIT_AUTHOR_EMAIL": self.mail}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return proc.run("git", "-C", self.path, *words, env={**environment, **fixed}, what=what, **kwargs)

    def begin(self, message):
        """Make what the directory holds the first commit."""
        self.git("init", "--quiet", "--initial-branch=series")
        (self.path / ".git/info/attributes").write_text(ATTRIBUTES)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("tag", "base")

    def commit(self, one, number):
        """Commit an entry as its author, with the exporter's sign-off where it is not yet."""
        self.git("add", "--all", "--force")
        if not self.git("status", "--porcelain"):
            raise Failure(f"{one.name}: changes nothing")
        self.git("-c", "trailer.ifexists=addIfDifferent", "commit", "--quiet", f"--author={one.author}",
                 f"--trailer=Signed-off-by: {self.name} <{self.mail}>", "-F", "-",
                 stdin=None, input=f"{one.subject}\n\n{one.body}\n", second=number, what=one.name)


def identity(base):
    """Who exports, as git knows him."""
    ident = proc.attempt("git", "-C", base.top, "var", "GIT_COMMITTER_IDENT")
    found = IDENTITY.match(ident.stdout)
    if ident.returncode or not found:
        raise Failure("git does not know who you are: set user.name and user.email")
    return Person(found[1], found[2])


def date(base):
    """When the series was last changed, in seconds."""
    parts = (base.series, *compose.OVERLAY_ROOTS, compose.MERGED)
    return int(proc.attempt("git", "-C", base.top, "log", "-1", "--format=%ct", "--", *parts).stdout or 0)


def scratch_repo(base, path):
    """A repository to come at `path`, with the exporter's identity and the date of the series."""
    who = identity(base)
    return Repo(path, who.name, who.mail, date(base))


def commits(base, entries, after=lambda repo, one: None):
    """A repository in build/BASE/export with the composed series as commits."""
    stock = source.pristine(base).resolve()
    repo = scratch_repo(base, base.out / "export")
    compose.start(stock, entries, repo.path)
    repo.begin("base")
    for number, one in enumerate(entries, 1):
        compose.apply(base.top, stock, one, repo.path)
        repo.commit(one, number)
        after(repo, one)
    return repo


def export(base):
    """Write build/BASE/series anew."""
    with base.lock("series"):
        entries = entry.load(base)
        compose.check_overlay(base.top, entries)
        repo = commits(base, entries)
        target = base.out / "series"
        shutil.rmtree(target, ignore_errors=True)
        names = mails(base, repo, target)
        quilt(repo, entries, names, target / "quilt")
    say(f"{target.relative_to(base.top)}: {len(names)} patches, series.mbox (git am), quilt/ (quilt push -a)")
    return target


def mails(base, repo, target):
    """Numbered mails with a cover letter, and the mbox of the patches; the names of the patches."""
    repo.git("config", "branch.series.description", cover(base))
    repo.git("format-patch", "--quiet", "--zero-commit", "--no-signature", "--full-index", "--cover-letter",
             "--cover-from-description=subject", "-o", target, "base")
    patches = sorted(target.glob("[0-9]*.patch"))[1:]
    (target / "series.mbox").write_bytes(b"".join(path.read_bytes() for path in patches))
    return [path.name for path in patches]


def cover(base):
    """The series' own words, and the package that it was made for."""
    version, digest = source.recorded(base)
    return (f"{(base.series / 'cover-letter').read_text()}\n"
            f"Base: {base.package} {version}\nsha256 of the package: {digest}\n")


def quilt(repo, entries, names, target):
    """The same patches with DEP-3 headers and a series file."""
    target.mkdir()
    (target / "series").write_text("".join(f"{name}\n" for name in names))
    revisions = repo.git("rev-list", "--reverse", "base..HEAD").split()
    for one, name, revision in zip(entries, names, revisions):
        diff = repo.git("show", "--format=", "--full-index", revision)
        body = repo.git("show", "--no-patch", "--format=%b", revision)
        date = repo.git("show", "--no-patch", "--format=%cs", revision).strip()
        (target / name).write_text(f"{dep3(one, body, date)}---\n\n{diff}", errors="surrogateescape")


def dep3(one, body, date):
    described = "".join(f" {line}\n" if line.strip() else " .\n" for line in body.strip().splitlines())
    return f"Description: {one.subject}\n{described}Author: {one.author}\nForwarded: no\nLast-Update: {date}\n"
