// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest that touches its memory when it is told to.
 *
 * mib= of the kernel's command line is how much of it.  Once it has written to
 * each page it says "touch: filled" on the console, and waits for a line there.
 * Then it makes a pass, in which it checks each page and writes to it, and says
 * "touch: pass N, X ns"; before that "touch: CORRUPT", and where first, if it
 * has found something else than it wrote.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static size_t page_size, pages;
static volatile uint64_t *memory;

/* The kernel panics then, which ends the guest. */
static void die(const char *what)
{
	printf("touch: %s failed\n", what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* What a page holds after a pass; never zero, which QEMU would not save. */
static uint64_t content(size_t page, uint64_t pass)
{
	return (pass + 1) << 40 | page;
}

static volatile uint64_t *word_of(size_t page)
{
	return &memory[page * page_size / sizeof(uint64_t)];
}

static void put_corrupt(size_t page, uint64_t found, uint64_t want)
{
	printf("touch: CORRUPT: page %zu: 0x%llx instead of 0x%llx\n", page,
	       (unsigned long long)found, (unsigned long long)want);
}

/* Checks a page and writes to it.  Returns whether it was as it should be. */
static bool touch(size_t page, uint64_t pass, bool tell)
{
	uint64_t found = *word_of(page), want = content(page, pass - 1);

	*word_of(page) = content(page, pass);
	if (found != want && tell)
		put_corrupt(page, found, want);
	return found == want;
}

static void fill(void)
{
	for (size_t page = 0; page < pages; page++)
		*word_of(page) = content(page, 0);
	printf("touch: filled\n");
}

static void make_pass(uint64_t pass)
{
	uint64_t start = now();
	bool good = true;

	for (size_t page = 0; page < pages; page++)
		good &= touch(page, pass, good);
	printf("touch: pass %llu, %llu ns\n", (unsigned long long)pass,
	       (unsigned long long)(now() - start));
}

static void set_up(void)
{
	const char *mib = getenv("mib");

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mib)
		die("mib=");
	page_size = sysconf(_SC_PAGESIZE);
	pages = strtoul(mib, NULL, 0) * (1 << 20) / page_size;
	memory = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
}

int main(void)
{
	char line[64];

	set_up();
	fill();
	for (uint64_t pass = 1; fgets(line, sizeof(line), stdin); pass++)
		make_pass(pass);
	die("the console");
}
