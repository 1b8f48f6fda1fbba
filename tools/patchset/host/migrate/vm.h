/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <sys/types.h>

#include "qmp.h"

#define VM_MEMORY	256	/* MiB */

/* A QEMU with its guest. */
struct vm {
	int number;
	pid_t pid;
	struct qmp qmp;
	char console[64];	/* a file */
	char trace[64];		/* another, see trace.h */
};

/* What QEMU says about a migration. */
struct migration {
	long long downtime, total;	/* ms */
	long long bytes;
	long long passes;
};

/* Starts one, to boot the guest or, with a file, to go on with what it holds. */
void vm_start(struct vm *vm, int number, const char *incoming);

/* Waits until a QEMU that was started with a file has read it. */
void vm_wait_incoming(struct vm *vm);

/*
 * Migrates live to a file; the VM is stopped then, but not before some passes over
 * the memory.
 */
struct migration vm_migrate(struct vm *vm, const char *path, int passes);

/* On how many lines of the console a text stands. */
int vm_count(const struct vm *vm, const char *text);

void vm_quit(struct vm *vm);

#endif
