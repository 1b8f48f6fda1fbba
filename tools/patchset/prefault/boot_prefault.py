# SPDX-License-Identifier: GPL-2.0-only
"""kvm-prefault in a machine with the patched kernel, on a real guest.

The VMM is tools/kvm/pre-fault-demo --plain, which does not know of the ioctl: a
guest of one vCPU that writes to each page of its memory once.  Where it is vmm,
that of the unit tests, the guest has no code: it leaves KVM_RUN at once.
"""
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
sys.path[:0] = [str(HERE.parent / "host"), str(HERE.parent)]

from hostlib import build, initramfs, measure, project, stanza  # noqa: E402

from test_prefault import WARNINGS  # noqa: E402

ARCH = "x86_64"
MIB = 64
PAGES = MIB << 20 >> 12
VMM = ("/bin/pre-fault-demo", "--plain", f"--memory={MIB}")
INTERPRETER = re.compile(rb"\0(/lib[\w.+/-]*/ld[\w.+-]*\.so[\w.]*)\0")


def libraries(program):
    """What a dynamic program of this machine needs, by path."""
    linker = INTERPRETER.search(program.read_bytes()).group(1).decode()
    listed = subprocess.run([linker, "--list", program], check=True, text=True, capture_output=True).stdout
    paths = set(re.findall(r"=> (/\S+)", listed)) | {linker}
    return {path.lstrip("/"): initramfs.read(path) for path in paths}


def build_tools(directory):
    """The files of the machine, but for the list of what it runs."""
    for tool in ("prefault", "pre-fault-demo"):
        subprocess.run(["make", "--silent", "-C", TOP / "tools/kvm" / tool, f"OUTPUT={directory}/"], check=True)
        for made in directory.glob("*.[od]"):
            made.unlink()
    subprocess.run([build.CC, *WARNINGS, HERE / "vmm.c", "-o", directory / "vmm"], check=True)
    build.programs(ARCH, ())
    files = {"init": build.contents(ARCH, "init.c")}
    for name in ("kvm-prefault", "libkvm-prefault.so", "pre-fault-demo", "vmm"):
        files[f"bin/{name}"] = initramfs.read(directory / name)
    return files | libraries(directory / "kvm-prefault") | libraries(directory / "pre-fault-demo")


class BootTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as directory:
            cls.files = build_tools(Path(directory))
        cls.out = Path(project.under("prefault"))
        cls.out.mkdir(parents=True, exist_ok=True)

    def boot(self, name, *command):
        """Returns (the VMM's values, all that was printed)."""
        line = " ".join([measure.PROGRAM, "exit", str(measure.TIMEOUT), *command])
        image = self.out / f"{name}.initramfs"
        initramfs.build(image, {**self.files, "tests": f"{line}\n".encode()})
        values = measure.values(measure.Measurement(
            what=name, directory=self.out / name, host=stanza.load_hosts(stanza.HOSTS)["x86-npt"],
            kernel=Path(build.kernel_image(ARCH, "normal")), initramfs=image, memory=512), threading.Event())
        return values, (self.out / name / "tap.log").read_text()

    def test_the_guest_takes_no_fault(self):
        plain, _ = self.boot("plain", *VMM)
        self.assertEqual(int(plain["plain.faults"]), PAGES)

        values, said = self.boot("wrapped", "/bin/kvm-prefault", "--report", "--", *VMM)
        self.assertEqual(int(values["plain.faults"]), 0)
        self.assertIn(f"pre-faulted {MIB} of {MIB} MiB", said)
        self.assertIn(f"stage-2 entries made: {PAGES},", said)
        self.assertIn(f"pages mapped now: {PAGES} of 4 KiB, 0 of 2 MiB, 0 of 1 GiB", said)
        self.assertIn("at exit: stage-2 faults taken by the guest: 0", said)
        # The ioctl is in the run now, and that is still several times shorter.
        self.assertLess(int(values["plain.run_ns"]), int(plain["plain.run_ns"]) / 4)

    def test_memory_that_the_host_does_not_have(self):
        values, said = self.boot("skip", "/bin/kvm-prefault", "--", *VMM, "--not-populated")
        # The first page holds the guest's code.
        self.assertEqual(int(values["plain.faults"]), PAGES - 1)
        self.assertIn("pre-faulted 0 of 64 MiB", said)

        values, said = self.boot("populate", "/bin/kvm-prefault", "--populate", "--", *VMM, "--not-populated")
        self.assertEqual(int(values["plain.faults"]), 0)

    def test_the_zero_page(self):
        """Whether a read of new memory gives it is up to the host's kernel."""
        _, said = self.boot("zero", "/bin/kvm-prefault", "--", "/bin/vmm", "vm", "slot=0,0,4,zero",
                            "slot=1,0x1000000,2,shared", "slot=2,0x2000000,8,huge-zero", "vcpu", "run=0")
        # No other slot or two of them are of this size.
        self.assertIn("pre-faulted 2 of 14 MiB", said)
        self.assertIn("left out: 12 MiB", said)


if __name__ == "__main__":
    unittest.main()
