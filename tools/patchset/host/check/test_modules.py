# SPDX-License-Identifier: GPL-2.0-only
"""Hosts that load modules: where these are."""

import os
import sys
import tempfile
import unittest
from unittest import mock

HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HOST, os.path.dirname(HOST)]

from hostlib import boot, build, project, qemu, stanza  # noqa: E402

ORDER = "arch/x86/kvm/kvm.ko\narch/x86/kvm/kvm-amd.ko\n"


class ModulesTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        environment = mock.patch.dict(os.environ, HOST_BUILD=directory.name)
        environment.start()
        self.addCleanup(environment.stop)
        self.write("modules.order", ORDER)

    def write(self, name, text):
        path = project.under("x86_64-modules", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def test_by_the_whole_name(self):
        for name in ("kvm", "kvm-amd"):
            self.assertEqual(build.module("x86_64", "modules", name),
                             project.under("x86_64-modules",
                                           f"arch/x86/kvm/{name}.ko"))

    def test_there_is_none(self):
        for flavour, name in (("modules", "amd"), ("stock-modules", "kvm")):
            with self.assertRaisesRegex(build.BuildError, f"module {name}$"):
                build.module("x86_64", flavour, name)

    def test_they_are_those_of_the_emulated_processor(self):
        hosts = stanza.load_hosts(stanza.HOSTS)
        for name, accel in (("x86-npt", "kvm"), ("x86-npt-modules", "tcg")):
            command, _, _ = qemu.prepare(hosts[name], mock.Mock(disk=None), "",
                                         "kvm")
            self.assertIn(accel, command)

    def test_in_the_host(self):
        for name in ORDER.split():
            self.write(name, f"[{name}]")
        files = boot.modules(mock.Mock(arch="x86_64", flavour="modules",
                                       modules=("kvm", "kvm-amd")))
        self.assertEqual(files, {
            "modules": b"kvm\nkvm-amd\n",
            "m/kvm.ko": b"[arch/x86/kvm/kvm.ko]",
            "m/kvm-amd.ko": b"[arch/x86/kvm/kvm-amd.ko]"})


if __name__ == "__main__":
    unittest.main()
