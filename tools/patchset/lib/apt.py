# SPDX-License-Identifier: GPL-2.0-only
"""What the package archive offers, and getting it."""
import hashlib
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from . import proc
from .ui import Failure, warn

LISTS = Path("/var/lib/apt/lists")
A_DAY = 24 * 3600
QUICK_TO_FAIL = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20",
                 "-o", "APT::Update::Error-Mode=any")
# What apt writes to need not be open to its own user.
SANDBOX = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()


@dataclass(frozen=True)
class Foreign:
    """An architecture's packages, whatever that of the machine is: their lists are kept in a directory of ours."""

    architecture: str
    lists: Path

    @property
    def words(self):
        settings = {"APT::Architecture": self.architecture, "APT::Architectures": self.architecture,
                    "Dir::State::lists": self.lists, "Dir::State::status": os.devnull, "Dir::Cache::pkgcache": "",
                    "Dir::Cache::srcpkgcache": "", "Acquire::Languages": "none"}
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def update(self):
        """Whether the lists could be brought up to date."""
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)
        return proc.attempt("apt-get", "update", *QUICK_TO_FAIL, *SANDBOX, *self.words).returncode == 0


def as_root(*command):
    return command if os.geteuid() == 0 else ("sudo", *command)


def lists_are_old():
    return not LISTS.is_dir() or time.time() - LISTS.stat().st_mtime > A_DAY


def update():
    """Whether the package lists could be brought up to date."""
    return proc.attempt(*as_root("apt-get", *QUICK_TO_FAIL, "update")).returncode == 0


def release():
    """The code name of the release of Debian that this is; empty elsewhere."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def sites(package, *words):
    """(version, archive, release/component) of all that apt offers of a package, the newest first."""
    rows = (line.split("|") for line in proc.run("apt-cache", "madison", package, *words).splitlines())
    return [(row[1].strip(), *row[2].split()[:2]) for row in rows if row[2].strip().endswith("Packages")]


def offered(package, *words):
    """Versions of a package, the newest first."""
    return list(dict.fromkeys(version for version, _, _ in sites(package, *words)))


def offered_now(package):
    """The same, by lists that are brought up to date if they are old, or know nothing of the package."""
    if not offered(package) or lists_are_old():
        if not update():
            warn("apt-get update failed (no network?): using what is known already")
    return offered(package)


def mirror(release):
    """Where apt gets a release of Debian from."""
    shown = proc.run("apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)",
                     "Created-By: Packages")
    for line in shown.splitlines():
        origin, name, component, uri = line.split(" ", 3)
        if (origin, name, component) == ("Debian", release, "main"):
            return uri
    raise Failure(f"apt gets no {release} of Debian from anywhere")


def record(package, version, *words):
    """Fields that `apt-cache show` gives for one version; none if it is not offered."""
    shown = proc.attempt("apt-cache", "show", f"{package}={version}", *words).stdout
    stanza = shown.split("\n\n")[0]
    return dict(line.split(": ", 1) for line in stanza.splitlines() if line[:1].isalpha() and ": " in line)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path, size, digest):
    """The file is the one that the archive describes, or the run ends."""
    if path.stat().st_size != size:
        raise Failure(f"{path} is damaged: {path.stat().st_size} bytes instead of {size}; delete it and try again")
    if sha256(path) != digest:
        raise Failure(f"{path} is damaged: its sha256 is not {digest}; delete it and try again")


def deb_name(package, version, architecture="all"):
    return f"{package}_{version.replace(':', '%3a')}_{architecture}.deb"


def download(package, version, directory, *words):
    """A verified package file in `directory`; a file that is already there is only verified."""
    fields = record(package, version, *words)
    if "SHA256" not in fields:
        raise Failure(f"apt knows no checksum of {package} {version}")
    path = directory / deb_name(package, version, fields["Architecture"])
    if not path.exists():
        fetch(package, version, path, *words)
    verify(path, int(fields["Size"]), fields["SHA256"])
    return path


def fetch(package, version, path, *words):
    """Download beside `path` first: what bears the name is whole."""
    partial = path.parent / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    proc.run("apt-get", *QUICK_TO_FAIL, *SANDBOX, *words, "download", f"{package}={version}", cwd=partial,
             what=f"cannot download {package} {version} (no network?)")
    (partial / path.name).replace(path)


def sources_of(package, version, home):
    """Options for an apt with lists of its own, below `home`: of the sources where apt gets a package from."""
    entries = [f"deb-src {archive} {' '.join(place.rsplit('/', 1))}\n"
               for known, archive, place in sites(package) if known == version]
    if not entries:
        raise Failure(f"apt offers no {package} {version}")
    (home / "lists/partial").mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text("".join(entries))
    places = {"Dir::Etc::SourceList": home / "sources.list", "Dir::Etc::SourceParts": "-",
              "Dir::State::Lists": home / "lists", "Dir::Cache": home}
    return [word for name, place in places.items() for word in ("-o", f"{name}={place}")]


def download_source(package, version, directory):
    """The .dsc of the source of a package; apt verifies it, and what of it is there already, by its lists."""
    name = record(package, version).get("Source", package)
    apt = ("apt-get", *QUICK_TO_FAIL, *SANDBOX, *sources_of(package, version, directory / "apt"))
    download = (*apt, "source", "--only-source", "--download-only", f"{name}={version}")
    if proc.attempt(*download, cwd=directory).returncode:
        what = f"cannot download the source of {name} {version}"
        proc.run(*apt, "update", what=f"{what} (no network?)")
        proc.run(*download, cwd=directory, what=what)
    return directory / f"{name}_{version.split(':')[-1]}.dsc"
