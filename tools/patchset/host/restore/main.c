// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a Linux guest by QEMU as it comes, with and without kvm-prefault, and
 * tells what its first touch of its memory costs.
 *
 *	restore RUN...
 *
 * Runs in a host of x86 with QEMU on its disk; the guest is in /g, kvm-prefault
 * in /opt.  Each run is a QEMU of its own, see the table.  The restored guests
 * go on with what a guest has saved that had written to all its memory; the
 * others boot and write to their memory for the first time.  Figures are printed
 * as RUN.KEY=VALUE.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "say.h"
#include "vm.h"

#define WRAPPER		"/opt/bin/kvm-prefault"
#define SAID		"/tmp/said"

#define PAGES		(TOUCHED_MIB << 8)

#define WRAP(...) ((const char *const []){ WRAPPER, "--report", \
	"--progress=none", "--output=" SAID, ##__VA_ARGS__, NULL })

/* Of the faults that the guest takes for the memory that it touches. */
enum spared { NONE, MOST, ALL };

/* What kvm-prefault says. */
#define PASS		"pass 1: pre-faulted "
#define NOT_ABLE	"this KVM has no KVM_CAP_PRE_FAULT_MEMORY"

static const struct run {
	const char *name;
	enum spared spared;
	const char *says;	/* NULL: it is not there */
	bool huge_pages;
	struct setup setup;
} runs[] = {
	{ .name = "restore",
	  .setup = { .machine = "pc", .incoming = true } },
	{ .name = "restore_wrapped", .spared = ALL, .says = PASS,
	  .setup = { .machine = "pc", .incoming = true, .wrapper = WRAP() } },
	{ .name = "restore_huge",
	  .huge_pages = true,
	  .setup = { .machine = "pc", .incoming = true } },
	{ .name = "restore_huge_wrapped", .spared = ALL, .says = PASS,
	  .huge_pages = true,
	  .setup = { .machine = "pc", .incoming = true, .wrapper = WRAP() } },
	{ .name = "microvm",
	  .setup = { .machine = "microvm" } },
	{ .name = "microvm_wrapped", .spared = ALL, .says = PASS,
	  .setup = { .machine = "microvm", .wrapper = WRAP("--populate") } },
	{ .name = "microvm_prealloc",
	  .setup = { .machine = "microvm", .prealloc = true } },
	{ .name = "microvm_prealloc_wrapped", .spared = ALL, .says = PASS,
	  .setup = { .machine = "microvm", .prealloc = true,
		     .wrapper = WRAP() } },
	{ .name = "pc",
	  .setup = { .machine = "pc" } },
	{ .name = "pc_wrapped", .says = "not pre-faulting: ",
	  .setup = { .machine = "pc", .wrapper = WRAP() } },
	{ .name = "pc_start", .says = PASS,
	  .setup = { .machine = "pc",
		     .wrapper = WRAP("--populate", "--when=start") } },
	/* Emulated, a guest boots within a second of its time. */
	{ .name = "pc_again", .spared = MOST, .says = PASS,
	  .setup = { .machine = "pc",
		     .wrapper = WRAP("--populate", "--again", "--settle=20") } },
};

#define COUNT	(sizeof(runs) / sizeof(*runs))

/* Prints what kvm-prefault has said; returns whether that has WORDS in it. */
static bool put_said(const struct run *run, const char *words)
{
	FILE *file = fopen(SAID, "re");
	bool found = false;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		printf("# %s: %s", run->name, line);
		found |= !!strstr(line, words);
	}
	if (file)
		fclose(file);
	unlink(SAID);
	return found;
}

static bool says_so(const struct run *run, bool able)
{
	return !run->says || put_said(run, able ? run->says : NOT_ABLE);
}

/* What else there is, the guest's devices, takes less than 32 faults. */
static bool spares(const struct run *run, bool able, unsigned long long faults)
{
	enum spared spared = able ? run->spared : NONE;

	if (spared == ALL)
		return faults < 32;
	if (spared == MOST)
		return faults < PAGES / 2;
	return run->huge_pages ? faults < PAGES / 100 : faults >= PAGES;
}

/* The guest whose state the restored ones go on with. */
static void save_guest(void)
{
	static const struct setup setup = { .machine = "pc" };
	struct vm vm;

	vm_start(&vm, &setup);
	vm_continue(&vm);
	vm_wait(&vm, "touch: filled");
	vm_save(&vm);
	vm_quit(&vm);
}

/* What counts: a guest's first touch of its memory. */
static void wait_for_touch(struct vm *vm, const struct run *run)
{
	unsigned long long ns;

	if (!run->setup.incoming) {
		vm_wait(vm, "touch: filled");
		return;
	}
	ns = vm_pass(vm);
	printf("# %s.guest_ns=%llu\n", run->name, ns);
}

/* Once more, so that it finds what it wrote; then the end. */
static bool ends_well(struct vm *vm, const struct run *run)
{
	int status;

	vm_pass(vm);
	status = vm_quit(vm);
	if (status)
		printf("# %s: QEMU has ended with 0x%x\n", run->name, status);
	return !status && !vm->corrupt;
}

static bool passes(const struct run *run, bool able)
{
	unsigned long long start, ns, faults;
	bool well, says;
	struct vm vm;

	set_huge_pages(run->huge_pages);
	vm_start(&vm, &run->setup);
	start = nanoseconds();
	vm_continue(&vm);
	wait_for_touch(&vm, run);
	ns = nanoseconds() - start;
	faults = stage2_faults(vm.pid);
	printf("# %s.faults=%llu\n# %s.ns=%llu\n", run->name, faults,
	       run->name, ns);
	well = ends_well(&vm, run);
	says = says_so(run, able);
	return well && says && spares(run, able, faults);
}

static const struct run *find(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (!strcmp(runs[i].name, name))
			return &runs[i];
	bail_out("no run %s", name);
}

int main(int argc, char **argv)
{
	bool able = can_pre_fault(), saved = false;
	int status = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	printf("TAP version 13\n1..%d\n", argc - 1);
	printf("# supported=%d\n# memory_mib=%d\n# touched_mib=%d\n", able,
	       MEMORY_MIB, TOUCHED_MIB);
	for (int i = 1; i < argc; i++) {
		const struct run *run = find(argv[i]);
		bool passed;

		if (run->setup.incoming && !saved)
			save_guest();
		saved |= run->setup.incoming;
		passed = passes(run, able);
		printf("%sok %d %s\n", passed ? "" : "not ", i, run->name);
		status |= !passed;
	}
	return status;
}
