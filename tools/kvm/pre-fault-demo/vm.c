// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual machine: nothing here knows of pre-faulting.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "guest.h"
#include "vm.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#define CR0_PE			1
#define CR0_ET			16
#define EFLAGS_RESERVED		2
#define SEGMENT_DATA		3
#define SEGMENT_CODE		11
#define TSS_ADDRESS		0xfffbd000
#define CPUID_ENTRIES		256

static int checked_ioctl(int fd, unsigned long request, const char *name,
			 void *argument)
{
	int r = ioctl(fd, request, argument);

	if (r < 0)
		err(1, "%s", name);
	return r;
}

#define IOCTL(fd, request, argument)					\
	checked_ioctl(fd, request, #request, (void *)(argument))

/*
 * Anonymous memory.  Without @huge it is made of 4K pages, so that there is one
 * stage-2 mapping for every page that the guest touches.
 */
static void create_memory(struct vm *vm, const struct vm_options *options)
{
	int advice = options->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
	size_t skip;

	vm->memory_size = options->memory;
	vm->mapping_size = options->memory + VM_MEMORY_UNIT;
	vm->mapping = mmap(NULL, vm->mapping_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->mapping == MAP_FAILED)
		err(1, "%zu MiB of memory", options->memory >> 20);

	skip = -(uintptr_t)vm->mapping % VM_MEMORY_UNIT;
	vm->memory = (char *)vm->mapping + skip;

	/* A kernel without huge pages does not know the advice. */
	if (madvise(vm->memory, vm->memory_size, advice) && options->huge)
		err(1, "MADV_HUGEPAGE");

	if (options->populate &&
	    madvise(vm->memory, vm->memory_size, MADV_POPULATE_WRITE))
		err(1, "MADV_POPULATE_WRITE");
}

static void add_memory_slot(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = vm->memory_size,
		.userspace_addr = (uintptr_t)vm->memory,
	};

	IOCTL(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Tells the vCPU its physical address width, among other things. */
static void set_cpuid(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) +
			  CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		err(1, "cpuid");

	cpuid->nent = CPUID_ENTRIES;
	IOCTL(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	IOCTL(vm->vcpu_fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void create_vcpu(struct vm *vm)
{
	vm->vcpu_fd = IOCTL(vm->vm_fd, KVM_CREATE_VCPU, 0);
	vm->run_size = IOCTL(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED)
		err(1, "struct kvm_run");

	set_cpuid(vm);
}

void vm_create(struct vm *vm, const struct vm_options *options)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		err(1, "/dev/kvm");

	vm->vm_fd = IOCTL(vm->kvm_fd, KVM_CREATE_VM, 0);
	IOCTL(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	create_memory(vm, options);
	add_memory_slot(vm);
	create_vcpu(vm);
}

void vm_destroy(struct vm *vm)
{
	munmap(vm->run, vm->run_size);
	close(vm->vcpu_fd);
	close(vm->vm_fd);
	close(vm->kvm_fd);
	munmap(vm->mapping, vm->mapping_size);
}

static struct kvm_segment flat_segment(int type)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
}

static void set_protected_mode(struct vm *vm)
{
	struct kvm_sregs sregs;

	IOCTL(vm->vcpu_fd, KVM_GET_SREGS, &sregs);
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cs = flat_segment(SEGMENT_CODE);
	sregs.ds = flat_segment(SEGMENT_DATA);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	IOCTL(vm->vcpu_fd, KVM_SET_SREGS, &sregs);
}

void vm_load(struct vm *vm, const char *entry, uint32_t ebx, uint32_t ecx)
{
	struct kvm_regs regs = {
		.rip = entry - guest_start,
		.rbx = ebx,
		.rcx = ecx,
		.rflags = EFLAGS_RESERVED,
	};

	memcpy(vm->memory, guest_start, guest_end - guest_start);
	set_protected_mode(vm);
	IOCTL(vm->vcpu_fd, KVM_SET_REGS, &regs);
}

static bool is_done(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO &&
	       run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.port == GUEST_DONE_PORT;
}

void vm_run(struct vm *vm)
{
	do {
		if (!ioctl(vm->vcpu_fd, KVM_RUN, 0))
			break;
	} while (errno == EINTR || errno == EAGAIN);

	if (!is_done(vm->run))
		errx(1, "the guest stopped with exit reason %u",
		     vm->run->exit_reason);
}

static void read_at(int fd, void *buffer, size_t size, off_t offset)
{
	if (pread(fd, buffer, size, offset) != (ssize_t)size)
		err(1, "statistics");
}

static bool find_stat(int fd, const struct kvm_stats_header *header,
		      const char *name, uint64_t *value)
{
	size_t size = sizeof(struct kvm_stats_desc) + header->name_size;
	struct kvm_stats_desc *desc = malloc(size);
	bool found = false;
	uint32_t i;

	if (!desc)
		err(1, "statistics");

	for (i = 0; i < header->num_desc && !found; i++) {
		read_at(fd, desc, size, header->desc_offset + i * size);
		found = !strncmp(desc->name, name, header->name_size);
	}
	if (found)
		read_at(fd, value, sizeof(*value),
			header->data_offset + desc->offset);

	free(desc);
	return found;
}

uint64_t vm_stat(struct vm *vm, const char *name)
{
	int fd = IOCTL(vm->vcpu_fd, KVM_GET_STATS_FD, 0);
	struct kvm_stats_header header;
	uint64_t value;

	read_at(fd, &header, sizeof(header), 0);
	if (!find_stat(fd, &header, name, &value))
		errx(1, "KVM has no statistic %s", name);

	close(fd);
	return value;
}
