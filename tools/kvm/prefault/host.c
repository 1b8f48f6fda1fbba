// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

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

int host_look(struct host_look *look, uint64_t address, uint64_t size)
{
	return mincore((void *)(uintptr_t)address, size, look->present) ?
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
