/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "qmp.h"

/* MiB of the guest's memory; its kernel and its initramfs are in what is left. */
#define MEMORY_MIB	256
#define TOUCHED_MIB	192

/* How QEMU is started. */
struct setup {
	const char *machine;
	const char *const *wrapper;	/* what stands before QEMU, or NULL */
	bool incoming;			/* to go on with what was saved */
	bool prealloc;			/* QEMU populates the guest's memory */
};

/* A QEMU with its guest, toucher.c. */
struct vm {
	pid_t pid;
	struct qmp qmp;
	FILE *console;		/* what the guest says */
	int keyboard;		/* what it is told */
	bool corrupt;		/* it has found its memory changed */
};

/* Starts QEMU, stopped before the guest's first instruction. */
void vm_start(struct vm *vm, const struct setup *setup);

void vm_continue(struct vm *vm);

/*
 * Waits for a line of the guest's; returns what stands behind its first
 * words.
 */
const char *vm_wait(struct vm *vm, const char *words);

/* Lets the guest go over its memory; returns how many ns that took there. */
unsigned long long vm_pass(struct vm *vm);

/* Saves it all, for vm_start(); the guest is stopped then. */
void vm_save(struct vm *vm);

/* Returns QEMU's exit status, as of waitpid(). */
int vm_quit(struct vm *vm);

#endif
