# SPDX-License-Identifier: GPL-2.0-only
"""Merging our stanzas into the kernel's MAINTAINERS, in its order."""
import bisect
import re

from .ui import Failure

STANZA = re.compile(r"^\S[^\n]*\n(?:[A-Z]:\t[^\n]*\n)+", re.M)


def merge(kernel, fragment, name):
    """The text of `kernel` with every stanza of `fragment` at its place."""
    stanzas = STANZA.findall(fragment)
    if not stanzas:
        raise Failure(f"{name}: MAINTAINERS has no stanza")
    for stanza in stanzas:
        kernel = insert(kernel, stanza, name)
    return kernel


def insert(kernel, stanza, name):
    """One stanza more. The kernel's list is nearly sorted, which bisection stands."""
    found = list(STANZA.finditer(kernel))
    titles = [title(match[0]) for match in found]
    if title(stanza) in titles:
        raise Failure(f"{name}: MAINTAINERS of the base has '{stanza.splitlines()[0]}' already")
    place = bisect.bisect(titles, title(stanza))
    at = found[place].start() if place < len(found) else len(kernel)
    return kernel[:at] + stanza + "\n" + kernel[at:]


def title(stanza):
    """The heading as scripts/parse-maintainers.pl sorts it: THE REST comes last."""
    return stanza.splitlines()[0].upper().replace("THE REST", "ZZZZZZ")
