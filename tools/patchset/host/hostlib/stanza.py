# SPDX-License-Identifier: GPL-2.0-only
"""The tables hosts.ini and tests.ini, and what of them a run selects."""

import dataclasses
import os
import shlex

from hostlib import defects, ini, project
from hostlib.ini import TableError
from lib import deb, kernel

HOSTS = os.path.join(project.HOST, "hosts.ini")
TESTS = os.path.join(project.HOST, "tests.ini")
CONFIGS = os.path.join(os.path.dirname(project.HOST), "configs")

# And what kernels they boot.
EMULATORS = {"qemu": "x86_64", "bochs": "x86_64", "powernv": "powerpc"}
FLAVOURS = tuple(kernel.FLAVOURS)
KINDS = ("tap", "exit", "command", "unittest")
LOCAL_KINDS = ("command", "unittest")
CLASSES = ("deterministic", "crash", "race", "argued")

# What a local test runs on: those that the builds leave, one, all.
CORES = SPARE, ONE, ALL = ("spare", "one", "all")

# The "host" of a command: the machine that runs the suite.
HERE = "here"
# The flavour of kernels of guests.
GUEST = "guest"
# Of the kernels that a local test needs.
NEEDS_ARCH = "x86_64"

HOST_KEYS = {"like", "emulator", "flavour", "cpu", "cpus", "memory",
             "disk", "root", "modules", "cmdline", "boot", "slow",
             "boots"}
TEST_KEYS = {"kind", "program", "args", "guest", "tool", "default", "full",
             "class", "timeout", "memory", "cmdline", "skip", "stock", "needs",
             "cores", "why"}


@dataclasses.dataclass(frozen=True)
class Host:
    name: str
    emulator: str
    flavour: str
    cpu: str
    cpus: int
    memory: int
    cmdline: str
    boot: float
    slow: float
    boots: int
    # Debian packages of its architecture.
    disk: tuple = ()
    # What configuration the kernel's packages have in its root, if it has one.
    root: str = ""
    # In the order in which they are loaded.
    modules: tuple = ()

    @property
    def arch(self):
        return EMULATORS[self.emulator]

    @property
    def stock(self):
        return kernel.FLAVOURS[self.flavour].stock

    @property
    def machine(self):
        """What the kernel runs on, and how it is configured."""
        return (self.emulator, self.cpu, self.cpus, self.disk, self.cmdline,
                kernel.FLAVOURS[self.flavour].fragment)

    @property
    def leak_scan(self):
        """Whether the kernel has kmemleak."""
        return kernel.FLAVOURS[self.flavour].fragment in ("debug", "modules")


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    kind: str
    program: str
    args: tuple
    klass: str
    timeout: int
    memory: int
    cmdline: str
    skips: tuple
    shows: tuple
    needs: tuple
    why: str
    guest: str = ""
    tool: str = ""
    cores: str = ONE

    def allowed_skip(self, host):
        """A regular expression of the skips allowed on a host, or None."""
        return dict(self.skips).get(host)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the table: a test on a host."""
    test: Test
    host: str
    seconds: float
    full: bool

    @property
    def name(self):
        return f"{self.host} {self.test.name}"


def _check_keys(path, section, known):
    for key in section:
        if key not in known:
            raise TableError(f"{path}: [{section.name}]: unknown key {key}")


def _one_of(path, name, value, allowed):
    if value not in allowed:
        raise TableError(f"{path}: [{name}]: {value!r} is none of "
                         f"{', '.join(allowed)}")
    return value


def _number(path, name, convert, value):
    try:
        return convert(value)
    except ValueError:
        raise TableError(f"{path}: [{name}]: {value!r} is not a number") \
            from None


def _settings(path, parser, name):
    """The settings of a host, those of the host it is like included."""
    section = parser[name]
    _check_keys(path, section, HOST_KEYS)
    like = section.get("like")
    if like is None:
        return dict(section)
    if like not in parser or "like" in parser[like]:
        raise TableError(f"{path}: [{name}]: cannot be like {like}")
    return {**parser[like], **section}


def _flavour(path, name, arch, flavour):
    """One that the architecture has."""
    _one_of(path, name, flavour, FLAVOURS)
    fragment = kernel.joined(arch, kernel.FLAVOURS[flavour].fragment)
    if not os.path.exists(os.path.join(CONFIGS, f"{fragment}.config")):
        raise TableError(f"{path}: [{name}]: no flavour {flavour} of {arch}: "
                         f"there is no {fragment}.config")
    return flavour


def _root(path, name, values):
    """Only QEMU for x86 boots from one, and it is all that the host has."""
    if values["root"]:
        _one_of(path, name, values["root"], deb.CONFIGS)
        _one_of(path, name, values["emulator"], ("qemu",))
        if values["disk"]:
            raise TableError(f"{path}: [{name}]: a disk beside a root")


def _modules(path, name, values):
    """Those of a host whose kernel has KVM as modules."""
    modules = tuple(values["modules"].split())
    if bool(modules) != kernel.FLAVOURS[values["flavour"]].modular:
        raise TableError(f"{path}: [{name}]: flavour {values['flavour']} "
                         f"{'without' if not modules else 'has no'} modules")
    return modules


def load_hosts(path):
    parser = ini.read(path)
    hosts = {}
    for name in parser.sections():
        values = _settings(path, parser, name)
        values.pop("like", None)
        missing = HOST_KEYS - {"like"} - set(values)
        if missing:
            raise TableError(f"{path}: [{name}]: no {min(missing)}")
        _one_of(path, name, values["emulator"], EMULATORS)
        _flavour(path, name, EMULATORS[values["emulator"]],
                 values["flavour"])
        for key in ("cpus", "memory", "boots"):
            values[key] = _number(path, name, int, values[key])
        for key in ("boot", "slow"):
            values[key] = _number(path, name, float, values[key])
        values["disk"] = tuple(values["disk"].split())
        _root(path, name, values)
        values["modules"] = _modules(path, name, values)
        hosts[name] = Host(name=name, **values)
    return hosts


def _needs(path, section):
    return tuple(_flavour(path, section.name, NEEDS_ARCH, flavour)
                 for flavour in section.get("needs", "").split())


def _skips(path, section, hosts):
    """((host, regular expression), ...)"""
    skips = []
    for line in section.get("skip", "").splitlines():
        host, _, expression = line.partition(" ")
        if host not in hosts:
            raise TableError(f"{path}: [{section.name}]: skip on unknown host "
                             f"{host}")
        if not expression.strip():
            raise TableError(f"{path}: [{section.name}]: skip on {host} of "
                             "what?")
        skips.append((host, expression.strip()))
    return tuple(skips)


def _shows(path, section, hosts, klass):
    """The defects that the test shows on stock."""
    known, shows = defects.load(), []
    for line in filter(None, section.get("stock", "").splitlines()):
        try:
            shown = defects.parse(line, known)
        except TableError as error:
            raise TableError(f"{path}: [{section.name}]: stock: {error}") \
                from None
        if bool(shown.cases) == (klass == "argued"):
            raise TableError(f"{path}: [{section.name}]: stock: {line!r}: "
                             "argued tests have no cases, all others some")
        for host in shown.hosts:
            if host not in hosts or not hosts[host].stock:
                raise TableError(f"{path}: [{section.name}]: stock: {host} "
                                 "is no host with the stock kernel")
        shows.append(shown)
    return tuple(shows)


def _cores(path, section, kind):
    """A machine's are its host's."""
    return _one_of(path, section.name, section.get("cores", ONE),
                   CORES if kind in LOCAL_KINDS else (ONE,))


def _test(path, section, hosts):
    _check_keys(path, section, TEST_KEYS)
    name = section.name
    kind = _one_of(path, name, section.get("kind", "tap"), KINDS)
    klass = _one_of(path, name, section.get("class", "deterministic"), CLASSES)
    return Test(name=name, kind=kind, klass=klass,
                program=section.get("program", name),
                args=tuple(shlex.split(section.get("args", ""))),
                guest=section.get("guest", ""),
                tool=section.get("tool", ""),
                cores=_cores(path, section, kind),
                timeout=_number(path, name, int, section.get("timeout", "60")),
                memory=_number(path, name, int, section.get("memory", "0")),
                cmdline=section.get("cmdline", ""),
                skips=_skips(path, section, hosts),
                shows=_shows(path, section, hosts, klass),
                needs=_needs(path, section), why=section.get("why", ""))


def _places(path, section, key, hosts):
    """Yields (host, measured seconds) for each HOST:SECONDS of a key."""
    for word in section.get(key, "").split():
        host, _, seconds = word.partition(":")
        if host not in hosts and host != HERE:
            raise TableError(f"{path}: [{section.name}]: unknown host {host}")
        yield host, _number(path, section.name, float, seconds or "0")


def _entries(path, section, test, hosts):
    """The rows of one test."""
    name = test.name
    rows = [Entry(test, host, seconds, key == "full")
            for key in ("default", "full")
            for host, seconds in _places(path, section, key, hosts)]
    if bool(rows) == (test.klass == "argued"):
        raise TableError(f"{path}: [{name}]: argued tests run nowhere, "
                         "all others somewhere")
    if test.klass == "argued" and not test.why:
        raise TableError(f"{path}: [{name}]: argued, but no why")
    for row in rows:
        if (row.host == HERE) != (test.kind in LOCAL_KINDS):
            raise TableError(f"{path}: [{name}]: {test.kind} test cannot "
                             f"run on {row.host}")
        if test.guest:
            _flavour(path, name, hosts[row.host].arch, GUEST)
        if test.tool and not (hosts[row.host].disk
                              and hosts[row.host].arch == NEEDS_ARCH):
            raise TableError(f"{path}: [{name}]: {test.tool} needs a host of "
                             f"{NEEDS_ARCH} with libraries on a disk, not "
                             f"{row.host}")
    if len({row.host for row in rows}) != len(rows):
        raise TableError(f"{path}: [{name}]: a host is named twice")
    return rows


def load_tests(path, hosts):
    """Returns (the rows, the tests that are only argued)."""
    parser = ini.read(path)
    entries, argued = [], []
    for name in parser.sections():
        test = _test(path, parser[name], hosts)
        rows = _entries(path, parser[name], test, hosts)
        entries += rows
        if not rows:
            argued.append(test)
    return entries, argued


def select(entries, test=None, host=None, full=False):
    """A test or host that is asked for by name is run although it is FULL."""
    chosen = [entry for entry in entries
              if (not test or entry.test.name == test)
              and (not host or entry.host == host)]
    if full or (test and host):
        return chosen
    default = [entry for entry in chosen if not entry.full]
    return default if default or not (test or host) else chosen


def compared(entries, hosts):
    """Of the tests that show defects, the rows on stock, and the rows on ours
    on the same machines."""
    rows = [entry for entry in entries
            if entry.test.shows and entry.host in hosts]
    stock = {(entry.test.name, hosts[entry.host].machine) for entry in rows
             if hosts[entry.host].stock}
    return [entry for entry in rows
            if (entry.test.name, hosts[entry.host].machine) in stock]


def _alone(test, host):
    """On stock, it may be the end of the machine."""
    return host.stock and test.klass in ("crash", "race")


def _same_boot(entry, hosts):
    """Entries with an equal key may share a boot."""
    alone = entry.test.name if _alone(entry.test, hosts[entry.host]) else ""
    return entry.host, entry.test.memory, entry.test.cmdline, alone


def _weight(part):
    """About how long a list of entries takes; not measured counts too."""
    return sum(entry.seconds or 1 for entry in part)


def _spread(group, count):
    """Cuts a group into at most `count` parts of about the same length."""
    parts = [[] for _ in range(min(count, len(group)))]
    for entry in sorted(group, key=lambda entry: -_weight([entry])):
        min(parts, key=_weight).append(entry)
    return [sorted(part, key=group.index) for part in parts]


def boots(entries, hosts):
    """Groups the entries that need a machine by boot, the longest first."""
    groups = {}
    for entry in entries:
        if entry.host != HERE:
            groups.setdefault(_same_boot(entry, hosts), []).append(entry)
    result = [part for group in groups.values()
              for part in _spread(group, hosts[group[0].host].boots)]
    return sorted(result, key=lambda part: -_weight(part))
