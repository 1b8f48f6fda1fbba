// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdlib.h>

#include "say.h"
#include "table.h"

void create_table(struct table *table, unsigned int order)
{
	if (order < 18 || order > 46)
		bail_out("a table of order %u", order);
	table->order = order;
	table->slots = 1UL << (order - 4);
	table->entries = calloc(table->slots, sizeof(*table->entries));
	if (!table->entries)
		bail_out("no memory for a table of order %u", order);
}

void free_table(struct table *table)
{
	free(table->entries);
}

unsigned long count_valid(const struct table *table)
{
	unsigned long valid = 0;

	for (unsigned long i = 0; i < table->slots; i++)
		valid += table->entries[i].v & HPTE_V_VALID;
	return valid;
}

struct difference compare(const struct table *one, const struct table *two)
{
	struct difference d = { 0 };

	if (one->order != two->order)
		bail_out("tables of orders %u and %u", one->order, two->order);
	for (unsigned long i = 0; i < one->slots; i++) {
		const struct hpte *a = &one->entries[i], *b = &two->entries[i];
		bool in_a = a->v & HPTE_V_VALID, in_b = b->v & HPTE_V_VALID;

		d.missing += in_a && !in_b;
		d.extra += in_b && !in_a;
		d.other += in_a && in_b && (a->v != b->v || a->r != b->r);
	}
	return d;
}
