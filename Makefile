# SPDX-License-Identifier: GPL-2.0-only
# The front door. Every verb is one line; the programs behind it have a --help.

BASE ?= debian-6.1
FLAVOUR ?= normal

# What this make was told (silent, V=1) is not for the kernel's.
RUN := env -u MAKEFLAGS -u MFLAGS
PATCHSET := $(RUN) tools/patchset/patchset

export T HOST V FULL LIST HTAB

.PHONY: help
help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: deps
deps: ## install the Debian packages that are missing
	@$(PATCHSET) deps

.PHONY: demo
demo: ## the main job from nothing: fetch, compose, build, boot, show [D=boot|vmm|ppc]
	@$(RUN) tools/patchset/host/demo --base $(BASE) $(D)

.PHONY: test
test: ## the test suite from nothing [T=name] [HOST=name] [V=1] [FULL=1] [LIST=1] [HTAB=stock]
	@$(RUN) tools/patchset/host/run --base $(BASE)

.PHONY: bench
bench: ## measure beside mainline's ioctl and the stock kernel, with plots [ARCH=powerpc]
	@$(RUN) tools/patchset/host/bench --arch "$(or $(ARCH),x86_64)"

.PHONY: fetch
fetch: ## get the newest source package of the base
	@$(PATCHSET) fetch --base $(BASE)

.PHONY: tree
tree: ## compose the patched source in build/BASE/src
	@$(PATCHSET) tree --base $(BASE)

.PHONY: series
series: ## the mailable series, its mbox and a quilt form in build/BASE/series/
	@$(PATCHSET) series --base $(BASE)

.PHONY: refresh
refresh: ## regenerate the hooks after a base update, messages kept
	@$(PATCHSET) refresh --base $(BASE)

.PHONY: matrix
matrix: ## apply and compile the series on every version of the base that apt offers
	@$(PATCHSET) matrix --base $(BASE)

.PHONY: check
check: ## all that tools find in the series: checkpatch, sparse, W=1, coccicheck, ... [C=name]
	@$(PATCHSET) check --base $(BASE) $(C)

.PHONY: deb
deb: ## installable kernel packages [CONFIG=small] [ARCH=powerpc] [SUFFIX=kvm1]
	@$(PATCHSET) deb --base $(BASE) $(ARCH:%=--arch %) $(CONFIG:%=--config %) $(SUFFIX:%=--suffix %)

.PHONY: kernel
kernel: ## a test-host kernel: ARCH=x86_64|powerpc [FLAVOUR=debug|4k|modules|stock|guest|...]
	@$(PATCHSET) kernel --base $(BASE) --arch "$(ARCH)" --flavour $(FLAVOUR)
