# SPDX-License-Identifier: GPL-2.0-only
"""Where things are: the repository, a base, and what is built for it."""
import contextlib
import fcntl
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from .ui import Failure, say


@dataclass(frozen=True)
class Base:
    """A distribution's kernel source package, and the places that belong to it.

    Every source tree is called src and has its build outputs beside it, so that
    ccache sees the same relative paths whichever tree is compiled.
    """

    top: Path
    name: str
    package: str
    archive: str
    configuration: dict = field(default_factory=dict)

    @property
    def out(self):
        return self.top / "build" / self.name

    @property
    def series(self):
        return self.top / "tools/patchset/series" / self.name

    @property
    def stock(self):
        return self.out / "stock"

    @property
    def src(self):
        return self.out / "src"

    @property
    def configs(self):
        return self.top / "tools/patchset/configs"

    @property
    def deb(self):
        return self.top / "tools/patchset/deb"

    @contextlib.contextmanager
    def lock(self, name):
        """Keep other runs away from what `name` stands for."""
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / f".lock-{name}", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another run that uses {self.name} {name}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def load(top, name):
    bases = top / "tools/patchset/bases"
    path = bases / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in bases.glob("*.toml")))
        raise Failure(f"unknown base '{name}' (known: {known})")
    return Base(top, name, **tomllib.loads(path.read_text()))
