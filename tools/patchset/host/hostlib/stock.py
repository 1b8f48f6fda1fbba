# SPDX-License-Identifier: GPL-2.0-only
"""What results on the stock kernel mean, and how ours compares.

There a test shows the defects that its stanza lists.  A deterministic test has
to fail in the cases listed, and in no other, but for those that fail by chance;
one of class crash has to make the kernel complain; what one of class race gives
is only told.
"""

from hostlib import defects, verdict

CRASH = "crash"


def failing(host, test):
    """{case that fails on a host: whether it has to}"""
    if not host.stock or test.klass != "deterministic":
        return {}
    return {case: not shown.chance
            for shown in test.shows if shown.on(host.name)
            for case in shown.cases}


def meaning(host, test, outcome, reason, complaint):
    """Returns (verdict, reason) of what was judged, complaint or not."""
    if not host.stock:
        return outcome, reason
    if test.klass == "race":
        return verdict.PASS, f"on stock: {reason}" if reason else ""
    shown = [shown.defect for shown in test.shows if shown.on(host.name)]
    if not shown:
        return outcome, reason
    if test.klass == "crash":
        return _of_crash(outcome, reason, complaint)
    if outcome == verdict.PASS:
        reason = f"shows {', '.join(dict.fromkeys(shown))}"
    return outcome, reason


def _of_crash(outcome, reason, complaint):
    if complaint:
        return verdict.PASS, f"as stock should: {complaint}"
    said = f" ({reason})" if outcome == verdict.FAIL else ""
    return verdict.FAIL, f"the stock kernel did not complain{said}"


def _word(result, case):
    """What one result says about a case: "ok", "fails", ..."""
    if result.complaint:
        return CRASH
    names = defects.of_case(result.cases, case)
    outcomes = {result.cases[name] for name in names}
    for outcome, word in ((verdict.FAIL, "fails"), (verdict.PASS, "ok")):
        if outcome in outcomes:
            return word
    return "not run"


class Comparison:
    """The results of the tests that show defects, on stock and on ours."""

    def __init__(self, known, hosts):
        self._known = known
        self._hosts = hosts
        self._results = []

    def add(self, result):
        self._results.append(result)

    def _stock_hosts(self):
        used = {result.entry.host for result in self._results}
        return [name for name, host in self._hosts.items()
                if host.stock and name in used]

    def _on(self, host, test, case, shown):
        words = [_word(result, case) for result in self._results
                 if result.entry.host == host and result.entry.test == test]
        return words[0] if words and shown.on(host) else ""

    def _ours(self, test, case):
        """One word, the worst of all hosts."""
        words = {_word(result, case): result.entry.host
                 for result in self._results
                 if result.entry.test == test
                 and not self._hosts[result.entry.host].stock}
        for word in ("fails", CRASH):
            if word in words:
                return f"{word} on {words[word]}"
        return "ok" if "ok" in words else "".join(words)

    def _rows_of(self, name, tests):
        text = self._known[name]
        for test in tests:
            for shown in test.shows:
                if shown.defect != name:
                    continue
                for case in shown.cases or ("argued",):
                    yield (name, text, f"{test.name}: {case}", test.klass,
                           *(self._on(host, test, case, shown)
                             for host in self._stock_hosts()),
                           self._ours(test, case))

    def rows(self, argued=()):
        """The table's rows, the first of them its head.

        A defect that no test shows has a row, too.
        """
        tests = [*dict.fromkeys(result.entry.test for result in
                                self._results), *argued]
        yield ("defect", "what", "test: case", "class", *self._stock_hosts(),
               "ours")
        for name, text in self._known.items():
            rows = list(self._rows_of(name, tests))
            yield from rows or [(name, text, "(no test)", "",
                                 *("" for _ in self._stock_hosts()), "")]
