# SPDX-License-Identifier: GPL-2.0-only
"""The command line."""
import argparse
import sys

from . import checks, deb, debian, deps, kernel, matrix, prefixes, project, prove, refresh, series, source, tree
from .ui import Failure


def do_deps(base, args):
    deps.need(base.top)


def do_fetch(base, args):
    deps.need(base.top, "source")
    with base.lock("tree"):
        source.fetch(base)


def do_tree(base, args):
    deps.need(base.top, "source")
    tree.tree(base)


def do_kernel(base, args):
    kernel.check_arch(args.arch, args.flavour)
    deps.need(base.top, "source", "kernel")
    if kernel.FLAVOURS[args.flavour].stock:
        with base.lock("tree"):
            source.pristine(base)
    else:
        tree.tree(base)
    kernel.kernel(base, args.arch, args.flavour, args.target)


def do_series(base, args):
    deps.need(base.top, "source")
    series.export(base)


def do_prove(base, args):
    deps.need(base.top, "source")
    prove.prove(base)


def do_refresh(base, args):
    deps.need(base.top, "source")
    refresh.refresh(base)


def do_prefixes(base, args):
    deps.need(base.top, "source", "kernel")
    prefixes.prefixes(base)


def do_matrix(base, args):
    deps.need(base.top, "source", "kernel")
    matrix.matrix(base, args.apply_only)


def do_deb(base, args):
    packages = deb.chosen(args.arch, args.config, args.suffix)
    deps.need(base.top, "source", "kernel", "deb")
    tree.tree(base)
    deb.deb(base, packages)


def do_debian(base, args):
    deps.need(base.top, "source", "kernel", "debian")
    debian.debian(base)


def do_check(base, args):
    deps.need(base.top, "source", "kernel", "check")
    checks.run(base, args.names)


def parser():
    main = argparse.ArgumentParser(prog="patchset", description="Compose, build, export and prove the patch series.")
    verbs = main.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(action, text):
        name = action.__name__.removeprefix("do_")
        added = verbs.add_parser(name, help=text, description=text)
        added.add_argument("--base", default="debian-6.1", help="default: %(default)s")
        added.set_defaults(action=action)
        return added

    verb(do_deps, "install the Debian packages that are missing")
    verb(do_fetch, "get the newest source package of the base that apt offers")
    verb(do_tree, "compose the patched tree in build/BASE/src")
    one = verb(do_kernel, "build a test-host kernel in build/BASE/ARCH[-FLAVOUR]")
    one.add_argument("--arch", required=True, help=" or ".join(kernel.ARCHES))
    one.add_argument("--flavour", default="normal", help=", ".join(kernel.FLAVOURS) + "; default: %(default)s")
    one.add_argument("--target", help="what to make instead of the kernel image and its modules, "
                     "e.g. arch/x86/kvm/")
    verb(do_series, "write mails, series.mbox and a quilt form to build/BASE/series")
    verb(do_prove, "show that git am and quilt give exactly the tree of build/BASE/src")
    verb(do_prefixes, "build the kernel after each entry of the series, in all configurations")
    verb(do_refresh, "regenerate the hooks against the present base, messages kept")
    one = verb(do_matrix, "apply and compile the series on every version of the base that apt offers")
    one.add_argument("--apply-only", action="store_true", help="do not compile")
    one = verb(do_deb, "make installable packages of the patched kernel in build/BASE/deb")
    one.add_argument("--arch", default="x86_64", choices=kernel.ARCHES, help="default: %(default)s")
    one.add_argument("--config", default="debian", choices=deb.CONFIGS,
                     help="debian: as Debian configures it, hours; small: for test hosts, without network, minutes; "
                     "default: %(default)s")
    one.add_argument("--suffix", default=deb.SUFFIX, help="what the version ends with; default: %(default)s")
    verb(do_debian, "drop the series into Debian's own source package, and have its tools and rules test it")
    one = verb(do_check, "what tools find in the series, as a table")
    one.add_argument("names", nargs="*", metavar="CHECK", choices=[[], *checks.CHECKS],
                     help=f"only these: {', '.join(checks.CHECKS)}")
    return main


def main(argv, top):
    try:
        args = parser().parse_args(argv)
        args.action(project.load(top, args.base), args)
    except (Failure, OSError) as error:
        print(f"patchset: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("patchset: interrupted", file=sys.stderr)
        return 130
    return 0
