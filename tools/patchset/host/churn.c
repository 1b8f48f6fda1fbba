// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest that is migrated while it runs.
 *
 * Changes its mappings all the time and checks its memory: pages of a file are
 * mapped at other addresses in each round, unmapped, protected and written, and
 * children write to memory that they share copy-on-write.  A translation that is
 * out of date shows as another page's content, or as an access that should fault
 * and does not.
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

#define PAGES		256	/* of the file */
#define SLOTS		256	/* where they are mapped */
#define PRIVATE		64	/* pages of memory shared copy-on-write */
#define CHILDREN	2
#define WORDS		(page_size / sizeof(uint64_t))

static size_t page_size;
static unsigned long round_now;
static int file;
static char *window;		/* SLOTS pages of address space */
static int mapped[SLOTS];	/* the file's page in each slot */
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

static void map(int n, int page)
{
	if (mmap(window + n * page_size, page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, file, page * page_size) == MAP_FAILED)
		die("mmap");
	mapped[n] = page;
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

static void remap(void)
{
	for (int n = 0; n < SLOTS; n++)
		if (any(2))
			map(n, any(PAGES));
}

static void write_and_check(void)
{
	for (int n = 0; n < SLOTS; n++)
		if (any(2))
			write_slot(n);
	for (int n = 0; n < SLOTS; n++)
		check_slot(n);
}

static void unmap_one(void)
{
	int n = any(SLOTS);

	if (munmap(window + n * page_size, page_size))
		die("munmap");
	if (!faults(n, false))
		corrupt("read of unmapped slot", n, 0, 0);
	map(n, any(PAGES));
	check_slot(n);
}

static void protect_one(void)
{
	int n = any(SLOTS);

	check_slot(n);
	if (mprotect(window + n * page_size, page_size, PROT_READ))
		die("mprotect");
	if (!faults(n, true))
		corrupt("write to read-only slot", n, 0, 0);
	check_slot(n);
	if (mprotect(window + n * page_size, page_size, PROT_READ | PROT_WRITE))
		die("mprotect");
	write_slot(n);
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
	check_private("page of parent", round_now);
	write_private(round_now + number + 1);
	for (int n = 0; n < SLOTS; n++)
		check_slot(n);
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
	for (int n = 0; n < SLOTS; n++)
		map(n, n % PAGES);
}

int main(void)
{
	set_up();
	for (round_now = 1;; round_now++) {
		remap();
		write_and_check();
		for (int i = 0; i < 8; i++) {
			unmap_one();
			protect_one();
		}
		fork_children();
		printf("churn: round %lu\n", round_now);
	}
}
