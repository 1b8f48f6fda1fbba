/* SPDX-License-Identifier: GPL-2.0-only */
/* What the VMM has mapped. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>
#include <stdint.h>

/* The mapping that was asked for last; all 0 at first. */
struct mapping {
	uint64_t from;
	uint64_t to;
	bool anonymous;
};

/*
 * Whether private memory without a file is mapped at @address.  Reads
 * /proc/self/maps unless @last has the answer.
 */
bool mapping_is_anonymous(struct mapping *last, uint64_t address);

#endif /* MAPPING_H */
