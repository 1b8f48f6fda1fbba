# SPDX-License-Identifier: GPL-2.0-only
"""Runs what was selected: local tests, builds, machines."""

import concurrent.futures
import functools
import itertools
import os
import threading
import time

from hostlib import (accel, boot, build, defects, disk, local, parallel,
                     project, records, report, root, stanza, stock)


class Cores:
    """The cores of this machine, which booted hosts share."""

    def __init__(self, count):
        self._free = self._count = count
        self._changed = threading.Condition()

    def take(self, number):
        number = min(number, self._count)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= number)
            self._free -= number
        return number

    def give(self, number):
        with self._changed:
            self._free += number
            self._changed.notify_all()


def _flavours(entries, hosts):
    """{architecture: the flavours of its kernels that some entries need}"""
    needed = {hosts[entry.host].arch: set() for entry in entries
              if entry.host != stanza.HERE}
    for entry in entries:
        if entry.test.needs:
            needed.setdefault(stanza.NEEDS_ARCH, set()).update(entry.test.needs)
        if entry.host == stanza.HERE:
            continue
        host = hosts[entry.host]
        if not host.root:
            needed[host.arch].add(host.flavour)
        if entry.test.guest:
            needed[host.arch].add(stanza.GUEST)
    return {arch: sorted(flavours, key=stanza.FLAVOURS.index)
            for arch, flavours in needed.items()}


def _build_programs(arch, entries, accel_asked):
    programs = {program for entry in entries
                for program in (entry.test.program, entry.test.guest)
                if program}
    report.say(f"building {len(programs)} test programs for {arch}")
    if arch == "x86_64" and not accel_asked and not accel.missing():
        programs.add(accel.TRIAL.program)
    build.programs(arch, programs)
    for source in sorted({entry.test.tool for entry in entries
                          if entry.test.tool}):
        build.install_tool(source)


def _build_arch(arch, flavours, entries, hosts, accel_asked):
    """Builds for one architecture; the entries are those in its machines."""
    used = {hosts[entry.host] for entry in entries}
    for packages in sorted({host.disk for host in used}):
        disk.need(arch, packages)
    for config in sorted({host.root for host in used if host.root}):
        root.need(arch, config)
    for flavour in flavours:
        report.say(f"building the {flavour} kernel for {arch}")
        build.kernel(arch, flavour)
    if entries:
        _build_programs(arch, entries, accel_asked)


def build_for(entries, hosts, accel_asked=None, beside=(), giving_up=None):
    """Builds what some entries need to run, the architectures side by side: what
    one core does alone, as linking and packing, goes on beside the other's, and
    beside what else there is to call, which is told if a build fails."""
    machines = {}
    for entry in entries:
        if entry.host != stanza.HERE:
            machines.setdefault(hosts[entry.host].arch, []).append(entry)
    flavours = _flavours(entries, hosts)
    if flavours:
        build.tree()
    parallel.run([functools.partial(_build_arch, arch, flavours[arch],
                                    machines.get(arch, []), hosts, accel_asked)
                  for arch in sorted(flavours)] + list(beside), giving_up)


def _may_run_beside(entry):
    return entry.test.cores == stanza.SPARE


class Run:
    """One run of the suite."""

    def __init__(self, hosts, entries, argued, options):
        self._hosts = hosts
        self._entries = entries
        self._argued = argued
        self._options = options
        self._report = report.Report(len(entries))
        self._times = {}
        self._interrupted = threading.Event()
        self._accel = "tcg"
        self._passed = None
        self._comparison = stock.Comparison(defects.load(), hosts)

    def _note(self, entry, outcome, reason, seconds, log, counts=None):
        self._times[entry.name] = seconds
        self._report.add(entry.name, outcome, reason, seconds, log, counts)
        if outcome == "ok":
            self._passed.add(entry)

    def _local(self, entries):
        for entry in entries:
            if self._interrupted.is_set():
                return
            result = local.run(entry.test)
            if not self._interrupted.is_set():
                self._note(entry, *result)

    def _boot(self, entries, cores):
        host = self._hosts[entries[0].host]
        taken = cores.take(host.cpus)
        try:
            if self._interrupted.is_set():
                return
            show = report.console if self._options.verbose else None
            results, seconds = boot.run(host, entries, self._accel,
                                        self._interrupted, show)
        finally:
            cores.give(taken)
        for result in results:
            self._note(result.entry, result.verdict, result.reason,
                       result.seconds, result.log)
            self._comparison.add(result)
        overhead = seconds - sum(result.seconds for result in results)
        self._times[f"{host.name} {records.BOOT}"] = overhead

    def _choose_accel(self):
        host = next((self._hosts[entry.host] for entry in self._entries
                     if entry.host != stanza.HERE
                     and self._hosts[entry.host].emulator == "qemu"), None)
        if host:
            self._accel, why = accel.choose(host)
            report.say(f"QEMU hosts use -accel {self._accel}: {why}")

    def _machines(self, entries, beside):
        """Runs machines, and tests that need none on one of the cores."""
        cores = Cores(self._options.jobs)
        taken = cores.take(1)
        with concurrent.futures.ThreadPoolExecutor(self._options.jobs) as pool:
            waiting = [pool.submit(self._boot, part, cores)
                       for part in entries]
            try:
                try:
                    self._local(beside)
                finally:
                    cores.give(taken)
                for future in concurrent.futures.as_completed(waiting):
                    future.result()
            except BaseException:
                self._interrupted.set()
                for future in waiting:
                    future.cancel()
                raise

    def _without_passed(self, entries):
        """Under FULL=1, what has passed for this very tree is not run, unless
        results are to be compared."""
        if not self._options.full or self._options.htab:
            return entries
        left = []
        for entry in entries:
            if entry in self._passed:
                self._report.already(entry.name)
            else:
                left.append(entry)
        return left

    def _build(self):
        """Returns the entries that are still to run."""
        beside = list(filter(_may_run_beside, self._entries))
        build_for(self._entries, self._hosts, os.environ.get("ACCEL"),
                  [lambda: self._local(self._without_passed(beside))],
                  self._interrupted)
        return list(itertools.filterfalse(_may_run_beside, self._entries))

    def _run(self):
        if not self._options.no_build:
            build.packages()
        self._passed = records.Passed(self._hosts)
        entries = self._entries if self._options.no_build else self._build()
        entries = self._without_passed(entries)
        start = time.monotonic()
        try:
            here = [entry for entry in entries if entry.host == stanza.HERE]
            self._local(entry for entry in here
                        if entry.test.cores == stanza.ALL)
            machines = stanza.boots(entries, self._hosts)
            if machines:
                self._choose_accel()
                report.say(f"{len(machines)} boots, logs are below "
                           f"{project.shown(project.under('logs'))}")
            self._machines(machines, [entry for entry in here
                                      if entry.test.cores != stanza.ALL])
        finally:
            if self._options.tests == stanza.TESTS:
                records.save_times(self._times)
        if self._options.htab:
            report.comparison(self._comparison, self._argued)
        report.say(f"took {(time.monotonic() - start) / 60:.1f} minutes")

    def run(self):
        """Returns the exit status."""
        try:
            self._run()
        except BaseException:
            self._report.failures()
            raise
        return self._report.finish()

