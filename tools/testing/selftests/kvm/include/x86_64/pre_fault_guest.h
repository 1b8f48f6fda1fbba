/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of KVM_PRE_FAULT_MEMORY that run a guest: a VM with one slot of
 * test memory, and a guest that touches it on command, one word in each page.
 */
#ifndef SELFTEST_KVM_PRE_FAULT_GUEST_H
#define SELFTEST_KVM_PRE_FAULT_GUEST_H

#include <fcntl.h>
#include <unistd.h>

#include "pre_fault.h"
#include "pre_fault_mem.h"
#include "processor.h"

/* The test memory: where it is, and the slot that it is in. */
#define PF_SLOT		1
#define PF_GPA		0x40000000ul
#define PF_GVA		0x10000000000ul

/* Pages of slot 0 beyond what the library reckons with: guest page tables. */
#define PF_EXTRA_PAGES	512

#define PF_MAX_VCPUS	2

enum pf_op {
	PF_READ,	/* counts the words that are not @seed + page number */
	PF_WRITE,	/* writes them */
	PF_EXEC,	/* calls the code in each page */
};

struct pf_command {
	uint64_t op;
	uint64_t first;
	uint64_t nr;
	uint64_t seed;
	uint64_t mismatches;
};

/* In the guest's memory; each vCPU has one of its own. */
static struct pf_command pf_commands[PF_MAX_VCPUS];

struct pf_vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu[PF_MAX_VCPUS];
	void *mem;
	uint64_t pages;
	uint32_t flags;
};

static inline uint64_t pf_gpa(uint64_t page)
{
	return PF_GPA + page * PF_PAGE;
}

/*
 * The guest.  Its code, stack, page tables and commands are in slot 0.
 */

static inline void pf_guest_page(struct pf_command *cmd, uint64_t page)
{
	void *gva = (void *)PF_GVA;

	switch (cmd->op) {
	case PF_READ:
		if (READ_ONCE(*pf_word(gva, page)) != cmd->seed + page)
			cmd->mismatches++;
		break;
	case PF_WRITE:
		WRITE_ONCE(*pf_word(gva, page), cmd->seed + page);
		break;
	case PF_EXEC:
		((void (*)(void))(gva + page * PF_PAGE + PF_CODE))();
		break;
	}
}

static inline void pf_guest_code(struct pf_command *cmd)
{
	uint64_t i;

	for (;;) {
		cmd->mismatches = 0;
		for (i = 0; i < cmd->nr; i++)
			pf_guest_page(cmd, cmd->first + i);
		GUEST_SYNC(0);
	}
}

/*
 * The host.
 */

static inline struct pf_command *pf_command(struct pf_vm *pf, unsigned int i)
{
	return addr_gva2hva(pf->vm, (vm_vaddr_t)&pf_commands[i]);
}

/* Hands the command to vCPU @i; the next KVM_RUN carries it out. */
static inline void pf_prepare(struct pf_vm *pf, unsigned int i, enum pf_op op,
			      uint64_t first, uint64_t nr, uint64_t seed)
{
	*pf_command(pf, i) = (struct pf_command) {
		.op = op, .first = first, .nr = nr, .seed = seed,
	};
}

/* Returns the mismatches that a read has found. */
static inline uint64_t pf_run(struct pf_vm *pf, unsigned int i, enum pf_op op,
			      uint64_t first, uint64_t nr, uint64_t seed)
{
	struct kvm_vcpu *vcpu = pf->vcpu[i];
	struct ucall uc;

	pf_prepare(pf, i, op, first, nr, seed);
	vcpu_run(vcpu);
	TEST_ASSERT(get_ucall(vcpu, &uc) == UCALL_SYNC,
		    "vCPU %u left the guest by exit %u (%s)", i,
		    vcpu->run->exit_reason,
		    exit_reason_str(vcpu->run->exit_reason));
	return pf_command(pf, i)->mismatches;
}

/* The guest finds @seed + page number in each page. */
static inline void pf_guest_reads(struct pf_vm *pf, uint64_t first, uint64_t nr,
				  uint64_t seed)
{
	ASSERT_EQ(pf_run(pf, 0, PF_READ, first, nr, seed), 0ul);
}

static inline void pf_guest_writes(struct pf_vm *pf, uint64_t first,
				   uint64_t nr, uint64_t seed)
{
	pf_run(pf, 0, PF_WRITE, first, nr, seed);
}

/* As above, where all that is read or written is mapped for that. */
static inline void pf_guest_reads_mapped(struct pf_vm *pf, uint64_t first,
					 uint64_t nr, uint64_t seed)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]);

	pf_guest_reads(pf, first, nr, seed);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
}

static inline void pf_guest_writes_mapped(struct pf_vm *pf, uint64_t first,
					  uint64_t nr, uint64_t seed)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]);

	pf_guest_writes(pf, first, nr, seed);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
}

/* The guest's write to page @page is left to userspace. */
static inline void pf_guest_write_exits(struct pf_vm *pf, uint64_t page,
					uint64_t seed)
{
	struct kvm_run *run = pf->vcpu[0]->run;
	struct ucall uc;

	pf_prepare(pf, 0, PF_WRITE, page, 1, seed);
	vcpu_run(pf->vcpu[0]);
	ASSERT_EQ(run->exit_reason, KVM_EXIT_MMIO);
	ASSERT_EQ(run->mmio.phys_addr, pf_gpa(page) + PF_WORD);
	ASSERT_EQ(run->mmio.is_write, 1);
	ASSERT_EQ(run->mmio.len, 8);
	ASSERT_EQ(*(uint64_t *)run->mmio.data, seed + page);

	vcpu_run(pf->vcpu[0]);
	ASSERT_EQ(get_ucall(pf->vcpu[0], &uc), (uint64_t)UCALL_SYNC);
}

/* Makes, moves or (pages == 0) deletes the slot of the test memory. */
static inline int pf_set_slot(struct pf_vm *pf, uint64_t gpa, uint64_t pages)
{
	return __vm_set_user_memory_region(pf->vm, PF_SLOT, pf->flags, gpa,
					   pages * PF_PAGE, pf->mem);
}

/*
 * Maps slot 0, so that faults are counted only for the test memory.  The guest
 * writes to its stack and the CPU to its page tables: no zero page may be left.
 */
static inline void pf_settle(struct pf_vm *pf)
{
	struct userspace_mem_region *region = memslot2region(pf->vm, 0);
	uint64_t size = region->region.memory_size;

	TEST_ASSERT(!madvise(region->host_mem, size, MADV_POPULATE_WRITE),
		    "MADV_POPULATE_WRITE");
	ASSERT_EQ(pre_fault(pf->vcpu[0], 0, size), 0);
}

/* The VM of __vm_create(), with an ioctl before there are vCPUs. */
static inline struct kvm_vm *pf_create_bare(unsigned int nr_vcpus,
					    uint32_t ring_bytes)
{
	struct kvm_vm *vm;

	vm = __vm_create(VM_MODE_DEFAULT, nr_vcpus, PF_EXTRA_PAGES);
	if (ring_bytes)
		vm_enable_dirty_ring(vm, ring_bytes);

	return vm;
}

static inline void pf_add_vcpus(struct pf_vm *pf, unsigned int nr_vcpus)
{
	unsigned int i;

	for (i = 0; i < nr_vcpus; i++) {
		pf->vcpu[i] = vm_vcpu_add(pf->vm, i, pf_guest_code);
		vcpu_args_set(pf->vcpu[i], 1, &pf_commands[i]);
	}
}

/**
 * pf_create_with_ring - a VM with test memory
 * @mem: the test memory
 * @pages: its size
 * @flags: of the slot
 * @nr_vcpus: of the VM
 * @ring_bytes: the size of a vCPU's dirty ring, 0 for none
 */
static inline struct pf_vm pf_create_with_ring(void *mem, uint64_t pages,
					       uint32_t flags,
					       unsigned int nr_vcpus,
					       uint32_t ring_bytes)
{
	struct pf_vm pf = { .mem = mem, .pages = pages, .flags = flags };

	pf.vm = pf_create_bare(nr_vcpus, ring_bytes);
	pf_add_vcpus(&pf, nr_vcpus);
	virt_map(pf.vm, PF_GVA, PF_GPA, pages);
	ASSERT_EQ(pf_set_slot(&pf, PF_GPA, pages), 0);
	pf_settle(&pf);
	return pf;
}

static inline struct pf_vm pf_create(void *mem, uint64_t pages, uint32_t flags,
				     unsigned int nr_vcpus)
{
	return pf_create_with_ring(mem, pages, flags, nr_vcpus, 0);
}

/* Ends the VM and gives the test memory back. */
static inline void pf_destroy(struct pf_vm *pf)
{
	kvm_vm_free(pf->vm);
	pf_munmap(pf->mem, pf->pages);
}

static inline int pf_pre_fault(struct pf_vm *pf, unsigned int i)
{
	return pre_fault(pf->vcpu[i], PF_GPA, pf->pages * PF_PAGE);
}

/* Sets a boolean parameter of kvm.ko.  Returns its old value, or -1. */
static inline int pf_set_kvm_param(const char *name, int value)
{
	char path[128], old = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/kvm/parameters/%s", name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -1;

	TEST_ASSERT(read(fd, &old, 1) == 1, "read of %s", path);
	TEST_ASSERT(write(fd, value ? "Y" : "N", 1) == 1, "write of %s", path);
	close(fd);
	return old == 'Y';
}

#endif /* SELFTEST_KVM_PRE_FAULT_GUEST_H */
