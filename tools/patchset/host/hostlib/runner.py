# SPDX-License-Identifier: GPL-2.0-only
"""Runs what was selected: local tests, builds, machines."""

import concurrent.futures
import os
import threading
import time

from hostlib import (accel, boot, build, defects, disk, local, project,
                     records, report, root, stanza, stock)


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


def build_for(entries, hosts, accel_asked=None):
    """Builds what some entries need to run."""
    build.packages()
    machines = [entry for entry in entries if entry.host != stanza.HERE]
    for arch, packages in sorted({(hosts[entry.host].arch,
                                   hosts[entry.host].disk)
                                  for entry in machines}):
        disk.need(arch, packages)
    for arch, config in sorted({(hosts[entry.host].arch,
                                 hosts[entry.host].root)
                                for entry in machines
                                if hosts[entry.host].root}):
        root.need(arch, config)
    kernels = {(hosts[entry.host].arch, hosts[entry.host].flavour)
               for entry in machines if not hosts[entry.host].root}
    kernels |= {(hosts[entry.host].arch, stanza.GUEST)
                for entry in machines if entry.test.guest}
    kernels |= {(stanza.NEEDS_ARCH, flavour)
                for entry in entries for flavour in entry.test.needs}
    for arch, flavour in sorted(kernels, key=_order):
        report.say(f"building the {flavour} kernel for {arch}")
        build.kernel(arch, flavour)
    if any(not entry.test.program.endswith(".c") for entry in machines):
        build.tree()
    for arch in sorted({hosts[entry.host].arch for entry in machines}):
        programs = {program for entry in machines
                    if hosts[entry.host].arch == arch
                    for program in (entry.test.program, entry.test.guest)
                    if program}
        report.say(f"building {len(programs)} test programs for {arch}")
        if arch == "x86_64" and not accel_asked and not accel.missing():
            programs.add(accel.TRIAL.program)
        build.programs(arch, programs)
    for source in sorted({entry.test.tool for entry in machines
                          if entry.test.tool}):
        build.install_tool(source)


def _order(kernel):
    arch, flavour = kernel
    return arch != "x86_64", stanza.FLAVOURS.index(flavour)


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
            self._note(entry, *local.run(entry.test))

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

    def _machines(self, entries):
        cores = Cores(self._options.jobs)
        with concurrent.futures.ThreadPoolExecutor(self._options.jobs) as pool:
            waiting = [pool.submit(self._boot, part, cores)
                       for part in entries]
            try:
                for future in concurrent.futures.as_completed(waiting):
                    future.result()
            except BaseException:
                self._interrupted.set()
                for future in waiting:
                    future.cancel()
                raise

    def _without_passed(self):
        """Under FULL=1, what has passed for this very tree is not run, unless
        results are to be compared."""
        if not self._options.full or self._options.htab:
            return self._entries
        left = []
        for entry in self._entries:
            if entry in self._passed:
                self._report.already(entry.name)
            else:
                left.append(entry)
        return left

    def run(self):
        if not self._options.no_build:
            build_for(self._entries, self._hosts, os.environ.get("ACCEL"))
        self._passed = records.Passed(self._hosts)
        entries = self._without_passed()
        start = time.monotonic()
        try:
            self._local(entry for entry in entries
                        if entry.host == stanza.HERE)
            machines = stanza.boots(entries, self._hosts)
            if machines:
                self._choose_accel()
                report.say(f"{len(machines)} boots, logs are below "
                           f"{project.shown(project.under('logs'))}")
                self._machines(machines)
        finally:
            if self._options.tests == stanza.TESTS:
                records.save_times(self._times)
        if self._options.htab:
            report.comparison(self._comparison, self._argued)
        report.say(f"took {(time.monotonic() - start) / 60:.1f} minutes")
        return self._report.finish()

