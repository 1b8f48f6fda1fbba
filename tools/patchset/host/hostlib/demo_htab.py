# SPDX-License-Identifier: GPL-2.0-only
"""The demo of KVM_PPC_GET_HTAB_FD: a live migration, on two kernels."""

import csv
import dataclasses
import shutil
import threading

from hostlib import boot, build, demos, migrations, runner, stanza, verdict
from lib import deps
from lib.ui import Failure, say

ARCH = "powerpc"
TEST = "migrate"
HOSTS = {"stock": "ppc-p9-hash-qemu-stock", "patched": "ppc-p9-hash-qemu"}
ABOUT = """\
Debian's QEMU migrates a hash guest of 256 MiB live, to a file, while the
guest changes its mappings all the time; another QEMU goes on from there. It
sends the hash page table in parts, in 5 ms each, and the rest when the guest
has stopped. The tables of the two VMs are compared entry by entry."""
NOTE = """\
The machine is emulated, and has one CPU, which QEMU and the guest share: times
are those of this computer, differ from run to run, and only tell which is the
longer. That of a part is what QEMU takes to read and to send it, and what the
guest takes in between."""


def _entry(name, hosts):
    entries, _ = stanza.load_tests(stanza.TESTS, hosts)
    test = next(entry.test for entry in entries if entry.test.name == TEST)
    return stanza.Entry(dataclasses.replace(test, args=("1", "log")), name,
                        seconds=0, full=False)


def _migrate(what, host, entry, out):
    """Boots a host; returns the migration there."""
    say(f"booting a host with the {what} kernel, which migrates a guest")
    (result,), _ = boot.run(host, [entry], "tcg", threading.Event())
    shutil.copytree(result.log, out / what)
    if result.verdict != verdict.PASS:
        raise Failure(f"on the {what} kernel: {result.reason}; "
                      f"the logs are in {out / what}/")
    tap = (out / what / "tap.log").read_text()
    try:
        return migrations.parse(verdict.Channel(tap).sections[TEST].lines)
    except migrations.NotUnderstood as error:
        raise Failure(f"on the {what} kernel {error}; "
                      f"the logs are in {out / what}/") from None


def _text(columns, release):
    return "\n\n".join((
        f"KVM_PPC_GET_HTAB_FD on Linux {release}", ABOUT,
        migrations.table(columns),
        *(f"{what}, part by part\n{migrations.log(one)}"
          for what, one in columns.items()), NOTE))


def _write_csv(path, columns):
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("kernel", *(field.name for field in
                                     dataclasses.fields(migrations.Part))))
        for what, one in columns.items():
            writer.writerows(migrations.csv_rows(what, one))


def _measure(hosts, out):
    """Migrates on each kernel: {what: Migration}"""
    entries = {what: _entry(name, hosts) for what, name in HOSTS.items()}
    build.packages()
    runner.build_for(list(entries.values()), hosts)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return {what: _migrate(what, hosts[entry.host], entry, out)
            for what, entry in entries.items()}


def demo(base):
    deps.need(base.top, "bench")
    from hostlib import plots_migrations  # needs a package of these
    out = base.out / "demo-ppc"
    with base.lock("demo"):
        columns = _measure(stanza.load_hosts(stanza.HOSTS), out)
    _write_csv(out / "parts.csv", columns)
    plots_migrations.draw(out, columns)
    demos.show(base, out, _text(columns, demos.release(base, ARCH)),
               "the table, its figures, plots")
