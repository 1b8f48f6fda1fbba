/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STREAM_H
#define STREAM_H

#include "table.h"

/* What a section of the stream tells of the table. */
struct part {
	unsigned long valid, invalid;	/* entries */
	unsigned long bytes;
	unsigned int ends;		/* how often it came past the table's end */
};

/* The table that a migration stream comes to, and how it came. */
struct stream {
	struct table table;
	unsigned long lock_bits;	/* entries with the hypervisor's own bit */
	struct part *parts;		/* the last is told when the guest has stopped */
	unsigned int count;		/* of them, at least one */
};

/* Reads a stream that QEMU has saved; bails out if it is not understood. */
void read_stream(const char *path, struct stream *stream);

struct part sum_of_parts(const struct stream *stream);

void free_stream(struct stream *stream);

#endif
