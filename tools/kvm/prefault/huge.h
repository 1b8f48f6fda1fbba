/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that the host has in huge pages. */
#ifndef HUGE_H
#define HUGE_H

#include "fill.h"

/* What an entry of a middle table maps on x86, and a huge page of the host's. */
#define HUGE_SIZE	(UINT64_C(2) << 20)

/*
 * How much of @piece may be gone over page by page, at most @size bytes, so that
 * a huge page that may begin thereafter is not missed.
 */
uint64_t huge_limit(const struct fill *fill, const struct piece *piece,
		    uint64_t size);

/*
 * Pre-faults the huge pages at the beginning of @piece.  Returns the size of
 * what needs nothing more, a multiple of HUGE_SIZE.
 */
uint64_t huge_run(struct fill *fill, const struct piece *piece);

#endif /* HUGE_H */
