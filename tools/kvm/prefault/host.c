// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "message.h"
#include "own.h"

/* Entries of pagemap, see Documentation/admin-guide/mm/pagemap.rst. */
#define ENTRY_EXCLUSIVE		(UINT64_C(1) << 56)	/* mapped just once */
#define ENTRY_FILE		(UINT64_C(1) << 61)	/* of a file, or shared memory */
#define ENTRY_PRESENT		(UINT64_C(1) << 63)
#define ENTRIES			512

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

uint64_t host_page_size(void)
{
	static uint64_t size;

	/* Whoever gets here finds the same. */
	if (!__atomic_load_n(&size, __ATOMIC_RELAXED))
		__atomic_store_n(&size, sysconf(_SC_PAGESIZE),
				 __ATOMIC_RELAXED);
	return size;
}

int host_populate(uint64_t address, uint64_t size, bool readonly)
{
	int advice = readonly ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;

	return madvise((void *)(uintptr_t)address, size, advice) ? -errno : 0;
}

void host_open(struct host *host)
{
	static bool told;

	*host = (struct host){
		.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC),
	};
	if (host->pagemap < 0 &&
	    !__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
		tell("/proc/self/pagemap: %s; memory that has only been read counts as populated",
		     strerror(errno));
}

void host_close(struct host *host)
{
	if (host->pagemap >= 0)
		close_own(host->pagemap);
}

/*
 * A small zero page has neither bit, a huge one is said to be of a file, as is
 * memory that other processes share.
 */
static bool is_there(struct host *host, uint64_t entry, uint64_t address)
{
	if (!(entry & ENTRY_PRESENT))
		return false;
	if (entry & ENTRY_EXCLUSIVE)
		return true;
	return (entry & ENTRY_FILE) &&
	       !mapping_is_anonymous(&host->mapping, address);
}

/* Returns false if pagemap cannot be read. */
static bool look_at(struct host *host, unsigned char *present,
		    uint64_t address, uint64_t pages)
{
	uint64_t page = host_page_size(), entries[ENTRIES], i;
	ssize_t size = pages * sizeof(*entries);

	if (pread(host->pagemap, entries, size,
		  address / page * sizeof(*entries)) != size)
		return false;
	for (i = 0; i < pages; i++)
		present[i] = is_there(host, entries[i], address + i * page);
	return true;
}

static bool look(struct host *host, unsigned char *present, uint64_t address,
		 uint64_t size)
{
	uint64_t page = host_page_size();
	uint64_t done, part, pages = size / page;

	for (done = 0; done < pages; done += part) {
		part = pages - done < ENTRIES ? pages - done : ENTRIES;
		if (!look_at(host, present + done, address + done * page, part))
			return false;
	}
	return true;
}

bool host_has(struct host *host, uint64_t address, unsigned int pages)
{
	unsigned char present[ENTRIES];

	return host->pagemap >= 0 && look_at(host, present, address, pages) &&
	       !memchr(present, false, pages);
}

int host_look(struct host_look *result, struct host *host, uint64_t address,
	      uint64_t size)
{
	if (host->pagemap >= 0 && look(host, result->present, address, size))
		return 0;
	return mincore((void *)(uintptr_t)address, size, result->present) ?
	       -errno : 0;
}

uint64_t host_run(const struct host_look *look, uint64_t offset, uint64_t size,
		  bool *present)
{
	const unsigned char *page = look->present + offset / host_page_size();
	uint64_t length = 0;

	*present = *page & 1;
	while (offset + length < size && (*page++ & 1) == *present)
		length += host_page_size();
	return length;
}
