/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of KVM_PPC_GET_HTAB_FD share: a VM with a hash page table, and
 * fds that stream it.
 */
#ifndef SELFTEST_KVM_HTAB_VM_H
#define SELFTEST_KVM_HTAB_VM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

/* The smallest table there is: 256 KiB, of 16 bytes for each entry. */
#define HTAB_MIN_ORDER		18
#define HTAB_ENTRIES(order)	(1ul << ((order) - 4))

/* The entries that have a hash in common. */
#define HTAB_GROUP		8

/* The most entries that a header can count. */
#define HTAB_MAX_RUN		0xffffu

struct htab_vm {
	int kvm_fd;
	int vm_fd;
};

/* Returns 0, or -errno. */
static inline int htab_vm_create(struct htab_vm *vm)
{
	vm->vm_fd = -1;
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return -errno;

	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	return vm->vm_fd < 0 ? -errno : 0;
}

static inline void htab_vm_destroy(struct htab_vm *vm)
{
	close(vm->vm_fd);
	close(vm->kvm_fd);
}

/* Gives the VM a new table, or empties the one of the same size. */
static inline int htab_allocate(struct htab_vm *vm, uint32_t order)
{
	return ioctl(vm->vm_fd, KVM_PPC_ALLOCATE_HTAB, &order) ? -errno : 0;
}

/* Returns an fd, or -errno. */
static inline int htab_open(struct htab_vm *vm, uint64_t flags, uint64_t start)
{
	struct kvm_get_htab_fd request = { .flags = flags, .start_index = start };
	int fd = ioctl(vm->vm_fd, KVM_PPC_GET_HTAB_FD, &request);

	return fd < 0 ? -errno : fd;
}

/* Returns the value of a field of fdinfo, or -1 if it is not there as it should be. */
static inline long long htab_fdinfo(int fd, const char *field)
{
	char path[64], line[128], format[64];
	long long value = -1;
	unsigned long long seen;
	FILE *file;
	int end;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(format, sizeof(format), "%s:\t%%llu%%n", field);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &seen, &end) == 1 && line[end] == '\n')
			value = seen;
	fclose(file);
	return value;
}

#endif /* SELFTEST_KVM_HTAB_VM_H */
