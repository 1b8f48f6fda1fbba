/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>

#define HPTE_V_VALID	0x01

/* An entry of the hashed page table, as its guest has it. */
struct hpte {
	uint64_t v, r;
};

struct table {
	unsigned int order;
	unsigned long slots;
	struct hpte *entries;
};

/* How two tables differ. */
struct difference {
	unsigned long missing;		/* valid in the first only */
	unsigned long extra;		/* valid in the second only */
	unsigned long other;		/* valid in both, not equal */
};

/* An empty one; bails out if no table can have that order. */
void create_table(struct table *table, unsigned int order);

void free_table(struct table *table);

unsigned long count_valid(const struct table *table);

/* Bails out if they are not of the same size. */
struct difference compare(const struct table *one, const struct table *two);

#endif
