# SPDX-License-Identifier: GPL-2.0-only
"""KVM in the distribution's own configuration: what gcc says, and what becomes of the options."""
import dataclasses
import functools

from .. import distribution, kernel
from . import objects

# Our options where nobody has chosen.
OURS = {"x86_64": {"CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY": "y", "CONFIG_KVM_CHANGE_MAP": "n",
                   "CONFIG_KVM_CHANGE_MAP_KUNIT_TEST": "n"},
        "powerpc": {"CONFIG_KVM_BOOK3S_HV_HTAB_STREAM": "y", "CONFIG_KVM_CHANGE_MAP": "y",
                    "CONFIG_KVM_CHANGE_MAP_KUNIT_TEST": "n", "CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY": "n"}}


def changed_options(arch, config, final):
    """KVM's options are the distribution's; ours, which it does not know yet, are as a packager expects."""
    known = {name: value for name, value in kernel.settings(config).items() if "KVM" in name}
    final = kernel.settings(final)
    expected = {**known, **OURS[arch]}
    new = sorted(name for name in final if "KVM" in name and name not in expected)
    return [f"{name} is {final.get(name, 'n')}, not {value}" for name, value in expected.items()
            if final.get(name, "n") != value] + [f"{name} is new" for name in new]


def check(base, arch):
    config = distribution.config(base, arch)
    build = objects.build_for(base, arch, "debian", words=objects.TOOLS["gcc"], config=config)
    result = objects.compare(base, build)
    return dataclasses.replace(result, findings=result.findings + changed_options(arch, config, build.out / ".config"))


CHECKS = {f"{arch}-debian": functools.partial(check, arch=arch) for arch in kernel.ARCHES}
