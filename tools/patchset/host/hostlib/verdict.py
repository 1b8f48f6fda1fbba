# SPDX-License-Identifier: GPL-2.0-only
"""From what a machine said to a verdict on each test.

A test has passed if, on the verdict channel, it printed a plan and exactly
the results that the plan promises, all "ok" and none skipped unless that is
allowed; if it ended with status 0; if the console shows no splat while it
ran; and if the machine as a whole came to its end: the end marker of this
very run, written after the scan for leaks, and after all modules that the host
loads have been unloaded.  The exit code of an emulator proves nothing and is
not looked at.
"""

import itertools
import re

from hostlib import defects

# What a kernel in order never prints at the levels that reach the console.
SPLAT = re.compile("|".join((
    r"WARNING:",
    r"\bBUG\b",
    r"\bOops\b",
    r"Call Trace",
    r"Kernel panic",
    r"general protection",
    r"\bINFO: (task|rcu|trying|lockdep)",
    r"soft lockup|hard LOCKUP",
    r"\brcu\b.*\b(stall|stalls|starved)\b",
    r"\bDEADLOCK\b|possible (circular|recursive|irq lock inversion)",
    r"inconsistent lock state|suspicious RCU usage",
    r"\b(KASAN|KCSAN|KFENCE|UBSAN)\b:",
    r"kmemleak: (\d+ new|Cannot|Automatic)",
    r"unchecked MSR access",
    r"refcount_t:|list_(add|del) corruption",
    r"segfault at|traps:",
)))

MARK_START = re.compile(r"host: start (\S+)")
MARK_END = re.compile(r"host: end (\S+)")
PLAN = re.compile(r"1\.\.(\d+)(\s*#.*)?")
RESULT = re.compile(r"(not )?ok\b\s*(\d+)?(?:\s+-)?\s*([^#]*)")
# A test that may fail proves as little as one that does not run.
SKIP = re.compile(r"#\s*(skip|todo|xfail)\b", re.IGNORECASE)

PASS, FAIL, SKIPPED = "ok", "FAIL", "skip"


class Section:
    """What one test said on the channel."""

    def __init__(self, name):
        self.name = name
        self.lines = []
        self.end = None

    def words(self):
        return dict(word.partition("=")[::2] for word in self.end.split())


class Channel:
    """The verdict channel of one machine, cut at init's markers."""

    def __init__(self, text):
        self.sections = {}
        # Of modules: "load NAME ok", "unload NAME ERROR"
        self.steps = []
        self.loaded = None
        self.leaks = None
        self.done = None
        self.errors = []
        self.after_done = False
        self._current = None
        for line in text.splitlines():
            self._line(line.rstrip("\r"))

    def _line(self, line):
        if self.done is not None:
            self.after_done = True
        if line.startswith("@@ "):
            word, _, rest = line[3:].partition(" ")
            getattr(self, f"_on_{word}", self._on_unknown)(rest)
        elif self._current:
            self._current.lines.append(line)

    def where(self):
        return f"during {self._current.name}" if self._current else "early"

    def _on_start(self, name):
        if name in self.sections:
            self.errors.append(f"{name} started twice")
        self._current = self.sections[name] = Section(name)

    def _on_end(self, rest):
        name, _, end = rest.partition(" ")
        if self._current and self._current.name == name:
            self._current.end = end
        else:
            self.errors.append(f"end of {name} out of place")
        self._current = None

    def _on_load(self, rest):
        self.steps.append(f"load {rest}")

    def _on_unload(self, rest):
        self.steps.append(f"unload {rest}")

    def _on_loaded(self, names):
        self.loaded = names

    def _on_kmemleak(self, count):
        self.leaks = int(count)

    def _on_done(self, run):
        self.done = run

    def _on_unknown(self, rest):
        self.errors.append(f"unknown marker with {rest!r}")


class Tap:
    """What one test said, as TAP; `problem` is the first thing wrong.

    That the cases `failing` fail is no problem.  Those that map to True have to.
    """

    def __init__(self, lines, allow_skip, failing=None):
        self._allow_skip = allow_skip
        self._failing = failing or {}
        self._plan = None
        self._numbers = []
        self.cases = {}
        self.skipped = False
        self.problem = None
        for line in lines:
            self._line(line)
        self._check_plan()
        self._check_failing()

    def _fault(self, problem):
        self.problem = self.problem or problem

    def _line(self, line):
        plan, result = PLAN.fullmatch(line.rstrip()), RESULT.match(line)
        if plan:
            self._on_plan(line, int(plan.group(1)))
        elif result:
            self._on_result(line, *result.groups())
        elif line.startswith("Bail out!"):
            self._fault(line)

    def _on_plan(self, line, plan):
        if self._plan is not None:
            self._fault("second plan")
        self._plan = plan
        if plan == 0:
            self._on_skip(line)

    def _on_result(self, line, bad, number, name):
        self._numbers.append(int(number or len(self._numbers) + 1))
        name = name.strip()
        if bad:
            self.cases[name] = FAIL
            if not self._failing_as(name):
                self._fault(line)
        elif SKIP.search(line):
            self.cases[name] = SKIPPED
            self._on_skip(line)
        else:
            self.cases[name] = PASS
            if True in self._failing_as(name):
                self._fault(f"should fail: {line}")

    def _failing_as(self, name):
        """Whether the case has to fail, if it may, as a set."""
        return {certain for case, certain in self._failing.items()
                if defects.of_case([name], case)}

    @property
    def failed(self):
        """Whether there was a failure, and all of them had to be."""
        return not self.problem and FAIL in self.cases.values()

    def _on_skip(self, line):
        if self._allow_skip and re.search(self._allow_skip, line):
            self.skipped = True
        else:
            self._fault(f"unexpected skip: {line}")

    def _check_plan(self):
        if self._plan is None:
            self._fault("no plan")
        elif self._numbers != list(range(1, self._plan + 1)):
            self._fault(f"{len(self._numbers)} of {self._plan} results")

    def _check_failing(self):
        for case in self._failing:
            if not defects.of_case(self.cases, case):
                self._fault(f"no case {case}, which should fail")


def cases(text):
    """{test: {name of a case: PASS|FAIL|SKIPPED}} of a verdict channel."""
    return {name: Tap(section.lines, None).cases
            for name, section in Channel(text).sections.items()}


def splats(console):
    """Yields (test that ran or None, line) for each line that is a splat."""
    running = None
    for line in console.splitlines():
        mark = MARK_START.search(line)
        if mark:
            running = mark.group(1)
        elif MARK_END.search(line):
            running = None
        elif SPLAT.search(line):
            yield running, line.strip()


def _first_splats(console):
    first = {}
    for running, line in splats(console):
        first.setdefault(running, line)
    return first


def complaint(name, tap, console, ended):
    """How the kernel went wrong while a test ran, if nothing had before."""
    running, line = next(splats(console), (None, None))
    if running == name:
        return line
    if ended and not line and Channel(tap).where() == f"during {name}":
        return ended
    return None


def _module_problem(channel, modules):
    """What was wrong with the modules, which come and go twice, or None."""
    once = ([f"load {name} ok" for name in modules]
            + [f"unload {name} ok" for name in reversed(modules)])
    for told, due in itertools.zip_longest(channel.steps, 2 * once,
                                           fillvalue="nothing"):
        if told != due:
            return f"modules: {told}, instead of {due}"
    if modules and channel.loaded is None:
        return "no list of loaded modules"
    if channel.loaded:
        return f"still loaded: {channel.loaded}"
    return None


def machine_problem(channel, run, leak_scan, ended, modules):
    """What is wrong with the machine as a whole, or None.

    `leak_scan` says that the kernel is expected to be able to scan; `ended`
    is why the runner stopped the machine, None if it ended by itself.
    """
    if ended:
        return f"{ended} {channel.where()}"
    if channel.done is None:
        return f"no end marker: the machine stopped {channel.where()}"
    if channel.done != run:
        return f"end marker of another run: {channel.done}"
    if channel.after_done:
        return "output after the end marker"
    if channel.errors:
        return channel.errors[0]
    if problem := _module_problem(channel, modules):
        return problem
    if leak_scan and channel.leaks is None:
        return "no leak scan"
    if channel.leaks:
        return "kmemleak reports leaks"
    return None


def _status_problem(words, tap):
    if "signal" in words:
        return f"killed by signal {words['signal']}"
    status = words.get("exit")
    if status == "0":
        return "exit status 0 in spite of failures" if tap.failed else None
    return None if tap.failed or tap.skipped else f"exit status {status}"


def _section_problem(section, allow_skip, failing):
    """Returns (problem or None, whether anything was skipped)."""
    if section.end is None:
        return "the machine stopped while it ran", False
    if section.end.startswith("timeout"):
        return "timeout, killed", False
    tap = Tap(section.lines, allow_skip, failing)
    return (tap.problem or _status_problem(section.words(), tap),
            tap.skipped)


def _without_test_taint(taint):
    """KUnit says by bit 18 that it has run, which is no complaint."""
    return str(int(taint) & ~(1 << 18)) if taint.isdigit() else taint


def _taint_problem(section, before):
    now = section.words().get("taint") if section and section.end else None
    if now is None or _without_test_taint(now) == _without_test_taint(before):
        return None, before
    return f"kernel tainted: {now}", now


def _judge_one(section, expected, tainted, splat, whole):
    """Returns (PASS|FAIL|SKIPPED, reason) of one test."""
    if not section:
        problem, skipped = "did not run", False
    else:
        problem, skipped = _section_problem(section, *expected)
    if whole and (not section or section.end is None):
        problem = f"{problem}: {whole}"
    for reason in (splat, problem, tainted, whole):
        if reason:
            return FAIL, reason
    return (SKIPPED, "allowed skip") if skipped else (PASS, "")


def judge(tests, tap, console, run, leak_scan=False, ended=None, taint="0",
          failing=None, modules=()):
    """Returns {name: (PASS|FAIL|SKIPPED, reason)}.

    `tests` maps the name of each expected test to a regular expression of
    the skips it is allowed, or None, and `failing` to what Tap is told.
    `taint` is that of the kernel before the first test, `modules` what the
    host loads.
    """
    channel = Channel(tap)
    extra = set(channel.sections) - set(tests)
    if extra:
        channel.errors.append(f"unknown test ran: {min(extra)}")
    splat = _first_splats(console)
    whole = (machine_problem(channel, run, leak_scan, ended, modules)
             or splat.get(None))
    verdicts = {}
    for name, allow_skip in tests.items():
        section = channel.sections.get(name)
        tainted, taint = _taint_problem(section, taint)
        expected = allow_skip, (failing or {}).get(name)
        verdicts[name] = _judge_one(section, expected, tainted,
                                    splat.get(name), whole)
    return verdicts
