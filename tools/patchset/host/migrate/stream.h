/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STREAM_H
#define STREAM_H

#include "table.h"

/* The table that a migration stream comes to, and how it came. */
struct stream {
	struct table table;
	unsigned long told;		/* valid entries */
	unsigned long told_invalid;
	unsigned long bytes;		/* of the table's parts */
	unsigned long last_bytes;	/* of these, after the guest had stopped */
	unsigned long lock_bits;	/* entries with the hypervisor's own bit */
};

/* Reads a stream that QEMU has saved; bails out if it is not understood. */
void read_stream(const char *path, struct stream *stream);

#endif
