/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TRACE_H
#define TRACE_H

struct stream;

/* Options of QEMU's by which it traces what is read here. */
#define TRACE_OPTIONS	"-msg", "timestamp=on", \
			"-trace", "savevm_section_start", \
			"-trace", "savevm_section_end", \
			"-trace", "migration_completion_vm_stop"

/*
 * Prints a line for each part of the table that a stream tells, with the time at
 * which QEMU's trace says that it was written, and how long that took.
 */
void put_trace(const char *path, const struct stream *stream);

#endif
