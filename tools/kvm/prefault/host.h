/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's side of guest memory. */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

#include "pre-fault.h"

/* The most that host_look() looks at. */
#define HOST_LOOK_MAX		PRE_FAULT_CHUNK

/* What memory there is, one byte a page, bit 0 set if it is there. */
struct host_look {
	unsigned char present[HOST_LOOK_MAX / 4096];
};

uint64_t host_page_size(void);

/*
 * Populates memory, for writing unless @readonly.  Returns 0 or a negative
 * errno; -EINVAL: the kernel (before 5.14) or this memory cannot.
 */
int host_populate(uint64_t address, uint64_t size, bool readonly);

/* Looks at @size bytes from @address.  Returns 0 or a negative errno. */
int host_look(struct host_look *look, uint64_t address, uint64_t size);

/*
 * The length of the run of pages from @offset up to @size that are like the
 * first one; @present: whether they are there.
 */
uint64_t host_run(const struct host_look *look, uint64_t offset, uint64_t size,
		  bool *present);

#endif /* HOST_H */
