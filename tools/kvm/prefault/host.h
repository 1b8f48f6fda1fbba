/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's side of guest memory. */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

#include "mapping.h"
#include "pre-fault.h"

/* The most that host_look() looks at. */
#define HOST_LOOK_MAX		PRE_FAULT_CHUNK

/* What memory there is, one byte a page: bit 0 is set if it is there. */
struct host_look {
	unsigned char present[HOST_LOOK_MAX / 4096];
};

/* For host_look(), of one thread. */
struct host {
	int pagemap;
	struct mapping mapping;
};

/* Without /proc, memory that has only been read so far counts as there. */
void host_open(struct host *host);
void host_close(struct host *host);

uint64_t host_page_size(void);

/*
 * Populates memory, for writing unless @readonly.  Returns 0 or a negative
 * errno; -EINVAL: the kernel (before 5.14) or this memory cannot.
 */
int host_populate(uint64_t address, uint64_t size, bool readonly);

/*
 * Looks at @size bytes from @address.  The zero page, and what has to be copied
 * before it can be written, is not there: a stage-2 entry for it would be in the
 * way of the guest's write.  Returns 0 or a negative errno.
 */
int host_look(struct host_look *look, struct host *host, uint64_t address,
	      uint64_t size);

/*
 * Whether there are all of a few pages from @address; false without /proc.  Costs
 * as much as to look at all up to the next multiple of 2 MiB.
 */
bool host_has(struct host *host, uint64_t address, unsigned int pages);

/*
 * The length of the run of pages from @offset up to @size that are like the
 * first one; @present: whether they are there.
 */
uint64_t host_run(const struct host_look *look, uint64_t offset, uint64_t size,
		  bool *present);

#endif /* HOST_H */
