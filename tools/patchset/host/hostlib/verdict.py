"""From what a machine said to a verdict on each test.

A test has passed if, on the verdict channel, it printed a plan and exactly
the results that the plan promises, all "ok" and none skipped unless that is
allowed; if it ended with status 0; if the console shows no splat while it
ran; and if the machine as a whole came to its end: the end marker of this
very run, written after the scan for leaks.  The exit code of an emulator
proves nothing and is not looked at.
"""

import re

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
PLAN = re.compile(r"1\.\.(\d+)(?:\s*#\s*(SKIP.*))?")
RESULT = re.compile(r"(not )?ok\b\s*(\d+)?\s*(.*)")
SKIP = re.compile(r"#\s*skip\b[:\s]*(.*)", re.IGNORECASE)
TODO = re.compile(r"#\s*(todo|xfail)\b", re.IGNORECASE)
ENDED = re.compile(r"exit=(\d+)|signal=(\d+)|timeout")

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

    def _on_kmemleak(self, count):
        self.leaks = int(count)

    def _on_done(self, run):
        self.done = run

    def _on_unknown(self, rest):
        self.errors.append(f"unknown marker with {rest!r}")


def tap_problem(lines, allow_skip):
    """Returns (problem or None, whether anything was skipped)."""
    plan, numbers, skipped = None, [], False
    for line in lines:
        found = PLAN.fullmatch(line.strip()) if line[:1] == "1" else None
        if found and plan is not None:
            return "second plan", skipped
        if found:
            plan = int(found.group(1))
            if plan == 0:
                numbers_skip = found.group(2) or "no reason"
                return _skip(f"1..0 {numbers_skip}", allow_skip)
            continue
        if line.startswith("Bail out!"):
            return line, skipped
        found = RESULT.match(line)
        if not found:
            continue
        if found.group(1):
            return line, skipped
        numbers.append(int(found.group(2) or len(numbers) + 1))
        skip = SKIP.search(line)
        if skip or TODO.search(line):
            problem, _ = _skip(line, allow_skip)
            if problem:
                return problem, skipped
            skipped = True
    if plan is None:
        return "no plan", skipped
    if numbers != list(range(1, plan + 1)):
        return f"{len(numbers)} of {plan} results", skipped
    return None, skipped


def _skip(line, allow_skip):
    if allow_skip and re.search(allow_skip, line):
        return None, True
    return f"unexpected skip: {line}", False


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


def machine_problem(channel, run, leak_scan, ended):
    """What is wrong with the machine as a whole, or None.

    `leak_scan` says that the kernel is expected to be able to scan; `ended`
    is why the runner stopped the machine, None if it ended by itself.
    """
    if ended:
        return ended
    if channel.done is None:
        return "no end marker: the machine stopped early"
    if channel.done != run:
        return f"end marker of another run: {channel.done}"
    if channel.after_done:
        return "output after the end marker"
    if channel.errors:
        return channel.errors[0]
    if leak_scan and channel.leaks is None:
        return "no leak scan"
    if channel.leaks:
        return "kmemleak reports leaks"
    return None


def _section_problem(section, allow_skip):
    """Returns (problem or None, whether anything was skipped)."""
    if section.end is None:
        return "the machine stopped while it ran", False
    if section.end.startswith("timeout"):
        return "timeout, killed", False
    problem, skipped = tap_problem(section.lines, allow_skip)
    words = section.words()
    if problem:
        return problem, skipped
    if "signal" in words:
        return f"killed by signal {words['signal']}", skipped
    if words.get("exit") != "0" and not skipped:
        return f"exit status {words.get('exit')}", skipped
    return None, skipped


def _taint_problem(section, before):
    now = section.words().get("taint") if section and section.end else None
    if now is None or now == before:
        return None, before
    return f"kernel tainted: {now}", now


def judge(tests, tap, console, run, leak_scan=False, ended=None):
    """Returns {name: (PASS|FAIL|SKIPPED, reason)}.

    `tests` maps the name of each expected test to a regular expression of
    the skips it is allowed, or None.
    """
    channel = Channel(tap)
    splat = _first_splats(console)
    whole = machine_problem(channel, run, leak_scan, ended)
    if None in splat and not whole:
        whole = splat[None]
    verdicts, taint = {}, "0"
    for name, allow_skip in tests.items():
        section = channel.sections.get(name)
        tainted, taint = _taint_problem(section, taint)
        if not section:
            problem, skipped = "did not run", False
        else:
            problem, skipped = _section_problem(section, allow_skip)
        reasons = [splat.get(name), problem, tainted, whole]
        reason = next((reason for reason in reasons if reason), None)
        if whole and (not section or section.end is None):
            reason = splat.get(name) or f"{problem}: {whole}"
        verdicts[name] = _verdict(reason, skipped)
    extra = set(channel.sections) - set(tests)
    if extra:
        verdicts = {name: (FAIL, f"unknown test ran: {min(extra)}")
                    for name in tests}
    return verdicts


def _verdict(reason, skipped):
    if reason:
        return FAIL, reason
    return (SKIPPED, "allowed skip") if skipped else (PASS, "")


def duration(tap, name):
    """Seconds that a test ran, by the clock of the machine, or None."""
    section = Channel(tap).sections.get(name)
    if not section or not section.end:
        return None
    return int(section.words().get("ms", 0)) / 1000
