# SPDX-License-Identifier: GPL-2.0-only
"""Regenerating the hooks against the present base."""
import re
from dataclasses import replace

from . import behind, compose, entry, hooks, series, source
from .ui import say

START = re.compile(r"^(--- a/.*\n\+\+\+ b/.*\n(?:[-+ @\\].*\n)+)", re.M)


def refresh(base):
    """Rewrite the hooks that do not apply exactly where they say; messages stay."""
    diffs = {}
    with base.lock("series"):
        entries = entry.load(base)
        series.commits(base, [without_labels(one) for one in entries],
                       lambda repo, one: diffs.update({one.name: hooks_of(repo, one)}))
        look_behind(base, compose.edited(entries))
    changed = [one for one in entries if stale(one, diffs[one.name])]
    for one in changed:
        entry.file_of(base, one).write_text(one.head + diffs[one.name])
        say(f"refreshed {one.name}")
    say(f"{len(changed)} of {len(entries)} entries refreshed")


def look_behind(base, edited):
    """Record the stock code behind the series, and say what of it is not as it was."""
    found = behind.of(source.pristine(base).resolve(), base.out / "export", edited)
    for change in behind.changes(base, found):
        say(f"recorded anew: {change}")
    behind.record(base, source.recorded(base)[0], found)


def without_labels(one):
    """The entry with no function named where it names a label, which is to be replaced."""
    def clean(hook):
        return replace(hook, hunks=tuple(replace(hunk, function="") if hooks.is_label(hook.path, hunk.function)
                                         else hunk for hunk in hook.hunks))

    return replace(one, hooks=tuple(clean(hook) for hook in one.hooks))


def hooks_of(repo, one):
    """The hooks of the entry that was committed last, as git sees them now."""
    shown = (repo.git("show", "--format=", "HEAD", "--", hook.path) for hook in one.hooks)
    return "".join("".join(START.findall(diff)) for diff in shown)


def stale(one, diff):
    """Whether a hunk of the entry is elsewhere than it says, or is headed by a label."""
    def places(parsed):
        return [(hook.path, *hunk.change) for hook in parsed for hunk in hook.hunks]

    labelled = any(hooks.is_label(hook.path, hunk.function) for hook in one.hooks for hunk in hook.hunks)
    return labelled or places(one.hooks) != places(entry.parse_hooks(one.name, diff))
