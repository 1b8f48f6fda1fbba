/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MEMORY_H
#define MEMORY_H

#include <sys/types.h>

/* A copy of the memory of a guest, of VM_MEMORY MiB. */
struct memory {
	char *bytes;
};

/* From a QEMU whose VM does not run. */
void read_memory(pid_t pid, struct memory *memory);

void free_memory(struct memory *memory);

/* How many pages of 4 KiB are not the same; says which the first of them are. */
unsigned long differing_pages(const struct memory *one, const struct memory *two);

#endif
