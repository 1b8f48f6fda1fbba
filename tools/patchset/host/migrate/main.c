// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migrates a hash-mode guest that runs on KVM live, by QEMU as it comes, many
 * times in a row, and compares its memory, and its hashed page table entry by entry.
 *
 *	migrate COUNT [log]
 *
 * Runs in a host of POWER with QEMU on its disk; the guest is in /g.  The guest
 * (churn.c) changes its mappings all the time.  Each round migrates it to a file
 * while it runs, which stops it; a second QEMU reads the file, and the guest goes
 * on there.  The table that the stream comes to, and the table and the memory that
 * the second QEMU's VM has before it runs, ought to be those of the source when it
 * stopped.  The VMs' tables are read from the host's debugfs: what is tested tells
 * nothing about itself.
 *
 * With "log", says when QEMU sent which part of the table.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "debugfs.h"
#include "memory.h"
#include "say.h"
#include "stream.h"
#include "trace.h"
#include "vm.h"

#define STREAM		"/tmp/stream"

/*
 * So many passes over memory are about as many parts of the table: to tell it for the
 * first time takes ten to thirty.
 */
#define PASSES		40

/* How far the guest goes between two migrations, and how long that may take. */
#define ROUNDS		5
#define BOOT_SECONDS	900
#define WAIT_SECONDS	600

/* The promises, each one case for all migrations. */
enum {
	GOES_ON,
	NOT_CORRUPT,
	SENT_IS_THE_SOURCES,
	LOADED_IS_THE_SOURCES,
	MEMORY_IS_THE_SOURCES,
	CASES,
};

static const char *const names[CASES] = {
	[GOES_ON] = "the_guest_goes_on",
	[NOT_CORRUPT] = "the_guest_finds_no_corruption",
	[SENT_IS_THE_SOURCES] = "the_table_sent_is_the_sources",
	[LOADED_IS_THE_SOURCES] = "the_table_loaded_is_the_sources",
	[MEMORY_IS_THE_SOURCES] = "the_memory_loaded_is_the_sources",
};

static bool failed[CASES];

static bool with_log;

static int seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void copy_console(const struct vm *vm)
{
	FILE *console = fopen(vm->console, "re");
	char line[512];

	while (console && fgets(line, sizeof(line), console))
		printf("# console %d: %.*s\n", vm->number,
		       (int)strcspn(line, "\r\n"), line);
	if (console)
		fclose(console);
}

static bool is_corrupt(const struct vm *vm)
{
	return vm_count(vm, "churn: CORRUPT") || vm_count(vm, "kernel BUG") ||
	       vm_count(vm, "WARNING:") || vm_count(vm, "Oops:") ||
	       vm_count(vm, "Kernel panic");
}

static int rounds_of(const struct vm *vm)
{
	return vm_count(vm, "churn: round");
}

static bool gets_on(const struct vm *vm)
{
	return rounds_of(vm) >= ROUNDS;
}

/* Whether the guest gets on; what it found is judged apart. */
static bool runs(const struct vm *vm, int limit)
{
	int end = seconds() + limit;

	while (!gets_on(vm) && !is_corrupt(vm) && seconds() < end)
		usleep(200000);
	if (is_corrupt(vm))
		failed[NOT_CORRUPT] = true;
	if (is_corrupt(vm) || !gets_on(vm))
		copy_console(vm);
	return gets_on(vm);
}

static void report(const char *what, struct difference d, int promise)
{
	printf("# %s: %lu missing, %lu extra, %lu other\n", what, d.missing,
	       d.extra, d.other);
	if (d.missing || d.extra || d.other)
		failed[promise] = true;
}

static void report_memory(unsigned long pages)
{
	printf("# memory: %lu pages differ\n", pages);
	if (pages)
		failed[MEMORY_IS_THE_SOURCES] = true;
}

static void put_figures(const struct migration *live, const struct stream *sent,
			const struct table *source, int rounds)
{
	const struct part sum = sum_of_parts(sent);
	const struct part *last = &sent->parts[sent->count - 1];

	printf("# stopped for %lld ms of %lld ms, %lld passes over memory, ",
	       live->downtime, live->total, live->passes);
	printf("%d rounds of the guest\n", rounds);
	printf("# sent: %lld bytes, %lu of the table, %lu of them at the end\n",
	       live->bytes, sum.bytes, last->bytes);
	printf("# sent: %lu entries, %lu invalid, %lu lock bits\n", sum.valid,
	       sum.invalid, sent->lock_bits);
	printf("# sent at the end: %lu entries, %lu invalid\n", last->valid,
	       last->invalid);
	printf("# the source's table: %lu of %lu entries valid\n",
	       count_valid(source), source->slots);
}

/* Returns the VM in which the guest goes on. */
static struct vm migrate(struct vm *source, int round)
{
	int before = rounds_of(source);
	struct migration live = vm_migrate(source, STREAM, PASSES);
	struct memory source_memory, target_memory;
	struct table at_source, at_target;
	struct stream sent;
	struct vm target;

	read_stream(STREAM, &sent);
	read_debugfs(source->pid, sent.table.order, &at_source);
	read_memory(source->pid, &source_memory);
	vm_quit(source);
	vm_start(&target, round, STREAM);
	vm_wait_incoming(&target);
	read_debugfs(target.pid, sent.table.order, &at_target);
	read_memory(target.pid, &target_memory);
	qmp(&target.qmp, "cont", "");

	put_figures(&live, &sent, &at_source, rounds_of(source) - before);
	if (with_log)
		put_trace(source->trace, &sent);
	report("sent", compare(&at_source, &sent.table), SENT_IS_THE_SOURCES);
	report("loaded", compare(&at_source, &at_target), LOADED_IS_THE_SOURCES);
	report_memory(differing_pages(&source_memory, &target_memory));
	free_memory(&source_memory);
	free_memory(&target_memory);
	free_stream(&sent);
	free_table(&at_source);
	free_table(&at_target);
	return target;
}

static int put_results(void)
{
	int status = 0;

	for (int i = 0; i < CASES; i++) {
		printf("%sok %d %s\n", failed[i] ? "not " : "", i + 1, names[i]);
		status |= failed[i];
	}
	return status;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	struct vm vm;

	with_log = argc > 2 && !strcmp(argv[2], "log");
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%d\n", CASES);
	vm_start(&vm, 0, NULL);
	printf("# %d s: QEMU has started\n", seconds());
	if (!runs(&vm, BOOT_SECONDS))
		bail_out("the guest does not boot");
	for (int round = 1; round <= count && !failed[GOES_ON]; round++) {
		printf("# %d s: migration %d\n", seconds(), round);
		vm = migrate(&vm, round);
		failed[GOES_ON] = !runs(&vm, WAIT_SECONDS);
	}
	printf("# %d s: the end\n", seconds());
	vm_quit(&vm);
	return put_results();
}
