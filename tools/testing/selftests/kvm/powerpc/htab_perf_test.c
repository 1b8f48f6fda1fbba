// SPDX-License-Identifier: GPL-2.0-only
/*
 * What passes over a hash page table cost by KVM_PPC_GET_HTAB_FD, and what the
 * guest's hypercalls do while somebody reads.  Prints KEY=VALUE comments and judges
 * no figure: they mean something beside those of another kernel only.  What a pass
 * tells is checked.
 *
 * A pass ends with the read() that returns 0, as it does for who migrates a guest:
 * the one that finds nothing belongs to it.
 *
 * Time is printed in nanoseconds, with the number of the span: what is measured is
 * between two instructions that do nothing, by which an emulator can count exactly.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <time.h>

#include "kselftest.h"
#include "htab_guest.h"

#define MAX_ORDER	34
#define MAX_JOBS	32

/* Valid entries of a table that is nearly empty. */
#define FEW		4096

/* What QEMU reads with, and something larger. */
static const size_t buffers[] = { 2048, 65536 };
#define LARGE_BUFFER	65536

/* To one round of passes, as hypercalls take less time. */
#define CALL_ROUNDS	10

/* Entries that one record enters. */
#define RUN		256
#define MAX_PAIRS	((unsigned int)HTAB_MAX_COMMANDS / 2)

struct job {
	void (*run)(const struct job *job);
	const char *name;
	/* The order of a table, or a number of pairs of hypercalls. */
	unsigned int size;
	unsigned int rounds;
	/* Up to so many, before a pass. */
	uint64_t changes;
};

static struct job jobs[MAX_JOBS];
static unsigned int nr_jobs;

static unsigned int nr_spans;
static bool failed;

/* Where the stream goes while it is measured; it is looked at afterwards. */
static char *area;
static size_t area_size;

/* The entries that a pass has told. */
struct told {
	uint64_t valid;
	uint64_t invalid;
};

/* A table, and who writes it. */
struct table {
	struct htab_guest guest;
	uint64_t entries;
	int writer;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Compilers do not use these forms, so an emulator can recognize them. */
static void mark_begin(void)
{
	asm volatile("xori 26, 26, 0" : : : "memory");
}

static void mark_end(void)
{
	asm volatile("xori 27, 27, 0" : : : "memory");
}

static uint64_t begin_span(void)
{
	uint64_t begin = now_ns();

	mark_begin();
	return begin;
}

/* @what and @round name what the span was about. */
static void end_span(const struct job *job, const char *what, unsigned int round,
		     uint64_t begin)
{
	uint64_t ns;

	mark_end();
	ns = now_ns() - begin;
	printf("# %s.%u.%s.%u.ns=%lu\n", job->name, job->size, what,
	       round, ns);
	printf("# %s.%u.%s.%u.span=%u\n", job->name, job->size, what, round,
	       nr_spans++);
}

static void expect(const char *what, uint64_t found, uint64_t wanted)
{
	if (found == wanted)
		return;
	ksft_print_msg("%s: %lu, not %lu\n", what, found, wanted);
	failed = true;
}

/* ---- Tables ---- */

/* All map a few pages of memory, and have R and C set. */
static struct htab_entry entry_at(uint64_t index)
{
	uint64_t pages = (HTAB_MEMORY - HTAB_PAGES) >> HTAB_PAGE_SHIFT;

	return htab_entry_at(index, HTAB_PAGES +
			     (index % pages << HTAB_PAGE_SHIFT), 0);
}

/* Enters @nr entries, @run in a row, every @step. */
static void enter(struct table *table, uint64_t nr, unsigned int run,
		  uint64_t step)
{
	struct htab_entry entries[RUN];
	uint64_t index;
	unsigned int i;
	ssize_t n;

	for (index = 0; nr; nr -= run, index += step) {
		for (i = 0; i < run; i++)
			entries[i] = entry_at(index + i);
		n = htab_write(table->writer, index, entries, run, 0);
		if (n != (ssize_t)htab_record_size(run))
			ksft_exit_fail_msg("a write: %zd\n", n);
	}
}

/* Spread over the whole table. */
static void change(struct table *table, uint64_t nr)
{
	enter(table, nr, 1, table->entries / nr);
}

static void create_table(struct table *table, uint32_t order)
{
	int ret = htab_guest_create(&table->guest, order, 0);

	if (!ret)
		table->writer = htab_open(&table->guest.vm, KVM_GET_HTAB_WRITE, 0);
	if (ret || table->writer < 0)
		ksft_exit_fail_msg("no table of order %u: %s\n", order,
				   strerror(-(ret ? : table->writer)));
	table->entries = HTAB_ENTRIES(order);
}

static void destroy_table(struct table *table)
{
	close(table->writer);
	htab_guest_destroy(&table->guest);
}

static int open_reader(struct htab_vm *vm)
{
	int fd = htab_open(vm, 0, 0);

	if (fd < 0)
		ksft_exit_fail_msg("no reader: %s\n", strerror(-fd));
	return fd;
}

/* ---- Passes ---- */

/* Room for a stream of @valid entries, each in a record, and of invalid ones. */
static void map_area(uint64_t valid, uint64_t entries)
{
	size_t records = 2 * valid + entries / HTAB_MAX_RUN + 1;

	area_size = records * HTAB_HEADER + valid * HTAB_ENTRY + LARGE_BUFFER;
	area = mmap(NULL, area_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	/* Its pages are there when it is read to. */
	memset(area, 0, area_size);
}

static void unmap_area(void)
{
	munmap(area, area_size);
}

/* Returns the size of the stream. */
static size_t read_pass(int fd, size_t buffer)
{
	size_t size = 0;
	ssize_t n;

	do {
		if (size + buffer > area_size)
			ksft_exit_fail_msg("the stream is too long\n");
		n = read(fd, area + size, buffer);
		if (n < 0)
			ksft_exit_fail_msg("a read: %s\n", strerror(errno));
		size += n;
	} while (n);

	return size;
}

static struct told count_told(size_t size)
{
	struct kvm_get_htab_header header;
	struct told told = {};
	size_t at;

	for (at = 0; at < size; at += htab_record_size(header.n_valid)) {
		memcpy(&header, area + at, sizeof(header));
		told.valid += header.n_valid;
		told.invalid += header.n_invalid;
	}
	return told;
}

/* One that has to tell @valid and @invalid entries. */
static void measure_pass(const struct job *job, const char *what, int fd,
			 size_t buffer, unsigned int round, struct told wanted)
{
	uint64_t begin;
	struct told told;
	char key[64];
	size_t size;

	snprintf(key, sizeof(key), "%s.%zu", what, buffer);
	begin = begin_span();
	size = read_pass(fd, buffer);
	end_span(job, key, round, begin);

	told = count_told(size);
	expect("valid entries", told.valid, wanted.valid);
	expect("invalid entries", told.invalid, wanted.invalid);
}

static int measure_open(const struct job *job, struct htab_vm *vm,
			size_t buffer, unsigned int round)
{
	uint64_t begin;
	char key[64];
	int fd;

	snprintf(key, sizeof(key), "open.%zu", buffer);
	begin = begin_span();
	fd = open_reader(vm);
	end_span(job, key, round, begin);
	return fd;
}

static void measure_first(const struct job *job, struct table *table,
			  uint64_t valid)
{
	struct told wanted = { valid, table->entries - valid };
	unsigned int round, i;
	int fd;

	for (round = 0; round < job->rounds; round++) {
		for (i = 0; i < ARRAY_SIZE(buffers); i++) {
			fd = measure_open(job, &table->guest.vm, buffers[i],
					  round);
			measure_pass(job, "first", fd, buffers[i], round, wanted);
			close(fd);
		}
	}
}

/* With @nr entries changed before each of them. */
static void measure_later(const struct job *job, struct table *table, int fd,
			  uint64_t nr)
{
	struct told wanted = { .valid = nr };
	unsigned int round, i;
	char what[32];

	snprintf(what, sizeof(what), "later%lu", nr);
	for (round = 0; round < job->rounds; round++) {
		for (i = 0; i < ARRAY_SIZE(buffers); i++) {
			if (nr)
				change(table, nr);
			measure_pass(job, what, fd, buffers[i], round, wanted);
		}
	}
}

static int open_drained_reader(struct htab_vm *vm)
{
	int fd = open_reader(vm);

	read_pass(fd, LARGE_BUFFER);
	return fd;
}

static void run_sparse(const struct job *job)
{
	struct table table;
	uint64_t nr;
	int fd;

	create_table(&table, job->size);
	map_area(FEW + job->changes, table.entries);
	change(&table, FEW);
	measure_first(job, &table, FEW);
	fd = open_drained_reader(&table.guest.vm);
	measure_later(job, &table, fd, 0);
	for (nr = 1; nr <= job->changes && nr <= table.entries / 2; nr *= 10)
		measure_later(job, &table, fd, nr);
	close(fd);
	unmap_area();
	destroy_table(&table);
}

static void run_full(const struct job *job)
{
	struct table table;

	create_table(&table, job->size);
	map_area(table.entries, table.entries);
	enter(&table, table.entries, RUN, RUN);
	measure_first(job, &table, table.entries);
	unmap_area();
	destroy_table(&table);
}

/* ---- Hypercalls ---- */

static void run_guest(struct htab_vcpu *vcpu)
{
	int ret = htab_run(vcpu);

	if (ret)
		ksft_exit_fail_msg("the guest has stopped: %s\n", strerror(-ret));
}

/* What it takes to run a guest that makes no hypercall but the last. */
static void measure_entry(const struct job *job, struct htab_vcpu *vcpu,
			  const char *what, unsigned int round)
{
	uint64_t begin;

	htab_no_commands(vcpu);
	htab_command(vcpu, HTAB_LOAD, HTAB_PAGES, 0, 0, 0);
	begin = begin_span();
	run_guest(vcpu);
	end_span(job, what, round, begin);
}

static void put_pairs(struct htab_vcpu *vcpu, unsigned int pairs)
{
	uint64_t groups = HTAB_ENTRIES(HTAB_MIN_ORDER) / HTAB_GROUP;
	uint64_t index;
	unsigned int i;

	htab_no_commands(vcpu);
	for (i = 0; i < pairs; i++) {
		index = i * (groups / pairs) * HTAB_GROUP;
		htab_command(vcpu, H_ENTER, H_EXACT, index, entry_at(index).v,
			     entry_at(index).r);
		htab_command(vcpu, H_REMOVE, 0, index, 0, 0);
	}
}

static void measure_calls(const struct job *job, struct htab_vcpu *vcpu,
			  const char *what, unsigned int round)
{
	uint64_t begin;
	unsigned int i;

	put_pairs(vcpu, job->size);
	begin = begin_span();
	run_guest(vcpu);
	end_span(job, what, round, begin);
	for (i = 0; i < vcpu->area->count; i++)
		expect("a hypercall", vcpu->area->commands[i].out[0], H_SUCCESS);
}

static void run_calls(const struct job *job)
{
	struct htab_guest guest;
	struct htab_vcpu *vcpu = &guest.vcpu[0];
	unsigned int round;
	int fd;

	if (htab_guest_create(&guest, HTAB_MIN_ORDER, 1))
		ksft_exit_fail_msg("no guest\n");
	map_area(HTAB_ENTRIES(HTAB_MIN_ORDER), HTAB_ENTRIES(HTAB_MIN_ORDER));

	for (round = 0; round < job->rounds * CALL_ROUNDS; round++) {
		measure_entry(job, vcpu, "entry.0", round);
		measure_calls(job, vcpu, "calls.0", round);
		/* A pass that finds nothing has no mark left. */
		fd = open_drained_reader(&guest.vm);
		measure_entry(job, vcpu, "entry.1", round);
		measure_calls(job, vcpu, "calls.1", round);
		close(fd);
	}

	unmap_area();
	htab_guest_destroy(&guest);
}

/* ---- Options ---- */

static void help(void)
{
	ksft_exit_fail_msg("-s order: passes over a nearly empty table\n"
			   "-f order: the first pass over a full table\n"
			   "-c pairs: H_ENTER and H_REMOVE, %u at most\n"
			   "and before those that they are for:\n"
			   "-n changes: before a pass, at most\n"
			   "-r rounds\n", MAX_PAIRS);
}

static unsigned long parse_number(const char *arg, unsigned long min,
				  unsigned long max)
{
	unsigned long number = strtoul(arg, NULL, 0);

	if (number < min || number > max)
		help();
	return number;
}

static uint32_t parse_order(const char *arg)
{
	return parse_number(arg, HTAB_MIN_ORDER, MAX_ORDER);
}

/* @like has what was set for the jobs that follow. */
static void add_job(const struct job *like, void (*run)(const struct job *job),
		    const char *name, unsigned int size)
{
	struct job *job = &jobs[nr_jobs];

	if (nr_jobs++ == MAX_JOBS)
		help();
	*job = *like;
	job->run = run;
	job->name = name;
	job->size = size;
}

static void add_option(struct job *next, int opt, const char *arg)
{
	if (opt == 's')
		add_job(next, run_sparse, "sparse", parse_order(arg));
	else if (opt == 'f')
		add_job(next, run_full, "full", parse_order(arg));
	else if (opt == 'c')
		add_job(next, run_calls, "calls", parse_number(arg, 1, MAX_PAIRS));
	else if (opt == 'n')
		next->changes = parse_number(arg, 0, HTAB_ENTRIES(MAX_ORDER));
	else if (opt == 'r')
		next->rounds = parse_number(arg, 1, 1000);
	else
		help();
}

static void add_jobs(int argc, char **argv)
{
	struct job next = { .rounds = 2, .changes = 1000 };
	int opt;

	while ((opt = getopt(argc, argv, "c:f:n:r:s:")) != -1)
		add_option(&next, opt, optarg);
	if (nr_jobs)
		return;

	add_job(&next, run_sparse, "sparse", HTAB_MIN_ORDER);
	add_job(&next, run_full, "full", HTAB_MIN_ORDER);
	add_job(&next, run_calls, "calls", 20);
}

static void run_job(const struct job *job)
{
	failed = false;
	job->run(job);
	ksft_test_result(!failed, "%s %u\n", job->name, job->size);
}

int main(int argc, char **argv)
{
	unsigned int i;

	add_jobs(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(nr_jobs);
	for (i = 0; i < nr_jobs; i++)
		run_job(&jobs[i]);
	ksft_finished();
}
