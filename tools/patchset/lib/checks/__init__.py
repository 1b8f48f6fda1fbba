# SPDX-License-Identifier: GPL-2.0-only
"""What tools find in the series: a table of checks.

A check is a function of a base, whose tree and mails are up to date, that returns what it looked at and
what it found; an empty list of findings is a pass.  What a tool is wrong about is accepted by name, with
the reason, beside its check.
"""
from .. import series, tree
from ..ui import Failure, say
from . import cocci, docs, files, objects, packaged, patches
from .result import Result

CHECKS = {
    "checkpatch": patches.checkpatch,
    "messages": patches.messages,
    "dep3": patches.dep3,
    "maintainers": patches.maintainers,
    "spdx": files.spdx,
    "shellcheck": files.shellcheck,
    "python": files.python,
    "kernel-doc": docs.kernel_doc,
    "htmldocs": docs.htmldocs,
    **objects.CHECKS,
    **packaged.CHECKS,
    "uapi": objects.uapi_headers,
    "coccicheck": cocci.coccicheck,
}
RULE = "-" * 72


def row(name, result, log):
    verdict = "ok" if not result.findings else f"FAILED, see {log}"
    return f"{name:24}{result.looked:>6} {result.unit:14}{len(result.findings):>8}  {verdict}"


def attempt(base, check):
    """A check that cannot be made, or looks at nothing, is not passed."""
    try:
        result = check(base)
    except Failure as failure:
        return Result(0, "", [str(failure)])
    if not result.looked and not result.findings:
        return Result(0, result.unit, ["nothing was looked at"])
    return result


def run(base, names):
    """Print a line for each check; fail if one of them has found anything."""
    with base.lock("check"):
        run_alone(base, names)


def run_alone(base, names):
    """Another run would compile what this one has made make forget."""
    tree.tree(base)
    series.export(base)
    logs = base.out / "check"
    logs.mkdir(parents=True, exist_ok=True)
    print(f"{'check':24}{'looked at':21}{'findings':>8}\n{RULE}", flush=True)
    failed = []
    for name in names or CHECKS:
        result = attempt(base, CHECKS[name])
        log = logs / f"{name}.log"
        log.write_text("".join(f"{finding}\n" for finding in result.findings))
        print(row(name, result, log.relative_to(base.top)), flush=True)
        failed += [name] if result.findings else []
    print(RULE)
    if failed:
        raise Failure(f"check: {len(failed)} failed: {', '.join(failed)}")
    say("nothing was found")
