/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtual machine with one vCPU and memory from guest physical address 0. */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm_options {
	size_t memory;		/* bytes, a multiple of VM_MEMORY_UNIT */
	bool huge;		/* ask for transparent huge pages, else for none */
	bool populate;		/* host memory is there before the guest runs */
};

struct vm {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	struct kvm_run *run;
	size_t run_size;
	void *mapping;		/* what mmap() returned, and its size */
	size_t mapping_size;
	char *memory;		/* the guest's, within the mapping */
	size_t memory_size;
};

#define VM_MEMORY_UNIT		((size_t)2 << 20)
/* Below the hole for devices, within reach of a 32-bit guest. */
#define VM_MEMORY_MAX		((size_t)3 << 30)

/* All of these end the program if something fails. */
void vm_create(struct vm *vm, const struct vm_options *options);
void vm_destroy(struct vm *vm);

/* Loads the guest's code, to be entered at @entry with @ebx and @ecx. */
void vm_load(struct vm *vm, const char *entry, uint32_t ebx, uint32_t ecx);

/* Runs the guest until it says that it is done. */
void vm_run(struct vm *vm);

/* The value of one of the vCPU's binary statistics. */
uint64_t vm_stat(struct vm *vm, const char *name);

#endif /* VM_H */
