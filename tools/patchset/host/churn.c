// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest that is migrated while it runs.
 *
 * Changes its mappings all the time and checks its memory: runs of pages of a file
 * are mapped, read, written, protected and unmapped, and children write to memory
 * that they share copy-on-write.  A translation that is out of date shows as another
 * page's content, or as an access that should fault and does not.
 *
 * A step changes each entry of a run once, and the run's turn comes again a while
 * later: who loses that one change tells the entry wrong.
 *
 * Says "churn: round N" on the console after each round; "churn: CORRUPT" and
 * what is wrong when it finds something.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is written is sent anew: the file is small, but mapped at many places. */
#define PAGES		256	/* of the file */
#define SLOTS		4096	/* where they are mapped */
#define RUN		128	/* slots that are changed by one call */
#define RUNS		(SLOTS / RUN)
#define STEPS		8	/* in a round */
#define PRIVATE		64	/* pages of memory shared copy-on-write */
#define CHILDREN	2
#define WORDS		(page_size / sizeof(uint64_t))

static size_t page_size;
static unsigned long round_now;
static int file;
static char *window;		/* SLOTS pages of address space */
static int mapped[SLOTS];	/* the file's page in each slot */
static enum { ABSENT, READ, WRITTEN, PROTECTED, READ_ONLY } state[RUNS];
static uint64_t written[PAGES];	/* what each page of the file holds */
static uint64_t *private_pages;
static uint64_t seed = 1;
static sigjmp_buf fault;

static void corrupt(const char *what, int where, uint64_t found, uint64_t want)
{
	printf("churn: CORRUPT: round %lu: %s %d: 0x%llx instead of 0x%llx\n",
	       round_now, what, where, (unsigned long long)found,
	       (unsigned long long)want);
}

static void die(const char *what)
{
	perror(what);
	for (;;)
		pause();
}

static unsigned int any(unsigned int below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % below;
}

static volatile uint64_t *slot(int n)
{
	return (uint64_t *)(window + n * page_size);
}

/* Maps a run of slots to pages in a row. */
static void map(int first)
{
	int page = any(PAGES - RUN + 1);

	if (mmap((void *)slot(first), RUN * page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, file, page * page_size) == MAP_FAILED)
		die("mmap");
	for (int n = 0; n < RUN; n++)
		mapped[first + n] = page + n;
}

static void protect(int first, int prot)
{
	if (mprotect((void *)slot(first), RUN * page_size, prot))
		die("mprotect");
}

/* The first and the last word of a page say which it is, and its last change. */
static void write_slot(int n)
{
	int page = mapped[n];

	written[page] = (round_now << 32) | (any(1 << 16) << 16) | page;
	slot(n)[0] = written[page];
	slot(n)[WORDS - 1] = written[page];
}

static void check_slot(int n)
{
	uint64_t want = written[mapped[n]];

	if (slot(n)[0] != want)
		corrupt("slot", n, slot(n)[0], want);
	if (slot(n)[WORDS - 1] != want)
		corrupt("end of slot", n, slot(n)[WORDS - 1], want);
}

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(fault, 1);
}

static bool faults(int n, bool write)
{
	if (sigsetjmp(fault, 1))
		return true;
	if (write)
		slot(n)[0] = slot(n)[0];
	else
		(void)slot(n)[0];
	return false;
}

static void check_run(int first)
{
	for (int n = first; n < first + RUN; n++)
		check_slot(n);
}

static void write_run(int first)
{
	for (int n = first; n < first + RUN; n++)
		write_slot(n);
}

static void expect_fault(int first, bool write)
{
	int n = first + any(RUN);

	if (!faults(n, write))
		corrupt(write ? "write to protected slot" :
				"read of unmapped slot", n, 0, 0);
}

static void map_and_read(int first)
{
	expect_fault(first, false);
	map(first);
	check_run(first);
}

static void unmap(int first)
{
	if (munmap((void *)slot(first), RUN * page_size))
		die("munmap");
}

static void read_protected(int first)
{
	expect_fault(first, true);
	check_run(first);
}

static void step(int run)
{
	int first = run * RUN;

	switch (state[run]) {
	case ABSENT:
		map_and_read(first);
		state[run] = READ;
		break;
	case READ:
		write_run(first);
		state[run] = WRITTEN;
		break;
	case WRITTEN:
		if (any(2)) {
			unmap(first);
			state[run] = ABSENT;
		} else {
			protect(first, PROT_READ);
			state[run] = PROTECTED;
		}
		break;
	case PROTECTED:
		read_protected(first);
		state[run] = READ_ONLY;
		break;
	case READ_ONLY:
		protect(first, PROT_READ | PROT_WRITE);
		state[run] = READ;
		break;
	}
}

static uint64_t *private_page(int n)
{
	return private_pages + n * WORDS;
}

static void write_private(uint64_t owner)
{
	for (int n = 0; n < PRIVATE; n++)
		*private_page(n) = owner << 32 | n;
}

static void check_private(const char *whose, uint64_t owner)
{
	for (int n = 0; n < PRIVATE; n++)
		if (*private_page(n) != (owner << 32 | n))
			corrupt(whose, n, *private_page(n), owner << 32 | n);
}

static void child(int number)
{
	int run = any(RUNS);

	check_private("page of parent", round_now);
	write_private(round_now + number + 1);
	if (state[run] != ABSENT)
		check_run(run * RUN);
	check_private("page of child", round_now + number + 1);
	fflush(stdout);
	_exit(0);
}

static void fork_children(void)
{
	write_private(round_now);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			child(i);
		if (i % 2)
			write_private(round_now);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		if (wait(&status) < 0)
			die("wait");
		if (status)
			corrupt("status of child", i, status, 0);
	}
	check_private("page of parent", round_now);
}

static void set_up(void)
{
	struct sigaction act = { .sa_handler = on_fault };

	setvbuf(stdout, NULL, _IOLBF, 0);
	page_size = sysconf(_SC_PAGESIZE);
	sigaction(SIGSEGV, &act, NULL);
	file = memfd_create("churn", 0);
	if (file < 0 || ftruncate(file, PAGES * page_size))
		die("memfd");
	window = mmap(NULL, SLOTS * page_size, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	private_pages = mmap(NULL, PRIVATE * page_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED || private_pages == MAP_FAILED)
		die("mmap");
}

int main(void)
{
	set_up();
	for (round_now = 1;; round_now++) {
		for (int i = 0; i < STEPS; i++)
			step(any(RUNS));
		fork_children();
		printf("churn: round %lu\n", round_now);
	}
}
