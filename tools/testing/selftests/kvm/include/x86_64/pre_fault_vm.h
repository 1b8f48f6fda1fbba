/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM for the tests of KVM_PRE_FAULT_MEMORY: slots on host memory that the
 * test owns, a guest that touches a range when told to, and what KVM has mapped
 * in the meantime.
 */
#ifndef SELFTEST_KVM_PRE_FAULT_VM_H
#define SELFTEST_KVM_PRE_FAULT_VM_H

#include "pre_fault.h"
#include "pre_fault_mem.h"
#include "processor.h"

/* Where the guest's identity map of test memory begins, and its length. */
#define PF_GPA		PG_SIZE_1G
#define PF_SPAN		(128ull << 20)

/* A page for pf_warm_up(), under the same guest page tables. */
#define PF_WARM_GPA	(PF_GPA + PF_SPAN)
#define PF_WARM_SLOT	9

/* The first slot for the tests. */
#define PF_SLOT		10

struct pf_touch {
	uint64_t start;
	uint64_t end;
	uint64_t write;
};

static struct pf_touch pf_touch;

/* Reads or writes the first word of each page, and reports what it read. */
static inline void pf_guest_code(void)
{
	uint64_t gpa, sum;

	for (;;) {
		sum = 0;
		for (gpa = READ_ONCE(pf_touch.start);
		     gpa < READ_ONCE(pf_touch.end); gpa += PAGE_SIZE) {
			if (READ_ONCE(pf_touch.write))
				WRITE_ONCE(*(uint64_t *)gpa, gpa);
			else
				sum += READ_ONCE(*(uint64_t *)gpa);
		}
		GUEST_SYNC(sum);
	}
}

/* Gives each page a first word of its own, see pf_sum(). */
static inline void pf_fill(void *mem, uint64_t size)
{
	uint64_t i;

	for (i = 0; i < size; i += PAGE_SIZE)
		*(uint64_t *)(mem + i) = i + 1;
}

/* What the guest has to read from @size bytes at @mem. */
static inline uint64_t pf_sum(void *mem, uint64_t size)
{
	uint64_t i, sum = 0;

	for (i = 0; i < size; i += PAGE_SIZE)
		sum += *(uint64_t *)(mem + i);

	return sum;
}

/* A slot on new memory, all of it populated and writable on the host's side. */
static inline void *pf_add_slot(struct kvm_vm *vm, uint32_t slot, uint64_t gpa,
				uint64_t size)
{
	void *mem = pf_anon(size / PAGE_SIZE);

	pf_fill(mem, size);
	vm_set_user_memory_region(vm, slot, 0, gpa, size, mem);
	return mem;
}

static inline void pf_delete_slot(struct kvm_vm *vm, uint32_t slot)
{
	vm_set_user_memory_region(vm, slot, 0, 0, 0, NULL);
}

/* Makes all of the library's memory for the guest present and writable. */
static inline void pf_populate_base(struct kvm_vm *vm)
{
	struct userspace_mem_region *region = memslot2region(vm, 0);
	uint8_t *mem = region->host_mem;
	uint64_t i;

	for (i = 0; i < region->region.memory_size; i += PAGE_SIZE)
		WRITE_ONCE(mem[i], READ_ONCE(mem[i]));
}

/* Everything but the vCPU. */
static inline void pf_vm_setup(struct kvm_vm *vm)
{
	virt_map_level(vm, PF_GPA, PF_GPA, PF_SPAN + PG_SIZE_2M, PG_LEVEL_2M);
	pf_populate_base(vm);
	pf_add_slot(vm, PF_WARM_SLOT, PF_WARM_GPA, PAGE_SIZE);
}

static inline struct kvm_vm *pf_vm_create(struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, pf_guest_code);

	pf_vm_setup(vm);
	return vm;
}

/*
 * Lets the guest read (or write) a range.
 *
 * Return: what pf_sum() is to be compared to.
 */
static inline uint64_t pf_guest_touch(struct kvm_vcpu *vcpu, uint64_t gpa,
				      uint64_t size, bool write)
{
	struct ucall uc;
	uint64_t cmd;

	pf_touch = (struct pf_touch) {
		.start = gpa, .end = gpa + size, .write = write
	};
	sync_global_to_guest(vcpu->vm, pf_touch);

	vcpu_run(vcpu);
	cmd = get_ucall(vcpu, &uc);
	if (cmd == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT(cmd == UCALL_SYNC, "the guest stopped for %s",
		    exit_reason_str(vcpu->run->exit_reason));

	return uc.args[1];
}

/* Takes the faults that have nothing to do with the range under test. */
static inline void pf_warm_up(struct kvm_vcpu *vcpu)
{
	pf_guest_touch(vcpu, PF_WARM_GPA, PAGE_SIZE, false);
	pf_guest_touch(vcpu, PF_WARM_GPA, PAGE_SIZE, true);
}

/* The guest sees @mem at @gpa; for reading and writing it takes no fault. */
static inline void pf_assert_mapped(struct kvm_vcpu *vcpu, uint64_t gpa,
				    uint64_t size, void *mem)
{
	uint64_t faults = vcpu_faults(vcpu);

	ASSERT_EQ(pf_guest_touch(vcpu, gpa, size, false), pf_sum(mem, size));
	ASSERT_EQ(vcpu_faults(vcpu) - faults, 0);

	pf_guest_touch(vcpu, gpa, size, true);
	ASSERT_EQ(vcpu_faults(vcpu) - faults, 0);
	ASSERT_EQ(*(uint64_t *)mem, gpa);
}

/* What a call may change. */
struct pf_counts {
	uint64_t pages_4k;
	uint64_t pages_2m;
	uint64_t pages_1g;
	uint64_t fixed;
	uint64_t mmio;
	uint64_t pre_faulted;
};

static inline struct pf_counts pf_counts(struct kvm_vcpu *vcpu)
{
	return (struct pf_counts) {
		.pages_4k = vm_get_stat(vcpu->vm, "pages_4k"),
		.pages_2m = vm_get_stat(vcpu->vm, "pages_2m"),
		.pages_1g = vm_get_stat(vcpu->vm, "pages_1g"),
		.fixed = vcpu_stat(vcpu, "pf_fixed"),
		.mmio = vcpu_stat(vcpu, "pf_mmio_spte_created"),
		.pre_faulted = vcpu_stat(vcpu, "pre_fault_pages"),
	};
}

static inline void pf_assert_same_counts(const struct pf_counts *a,
					 const struct pf_counts *b)
{
	ASSERT_EQ(a->pages_4k, b->pages_4k);
	ASSERT_EQ(a->pages_2m, b->pages_2m);
	ASSERT_EQ(a->pages_1g, b->pages_1g);
	ASSERT_EQ(a->fixed, b->fixed);
	ASSERT_EQ(a->mmio, b->mmio);
	ASSERT_EQ(a->pre_faulted, b->pre_faulted);
}

/* A call that fails, changes nothing in its argument and maps nothing. */
static inline void pf_assert_fails(struct kvm_vcpu *vcpu,
				   const struct kvm_pre_fault_memory *range,
				   int err)
{
	struct kvm_pre_fault_memory arg = *range;
	struct pf_counts before = pf_counts(vcpu), after;
	int r = __vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &arg);

	TEST_ASSERT(r == -1 && errno == err,
		    "gpa 0x%llx size 0x%llx: %d, errno %d instead of %d",
		    range->gpa, range->size, r, errno, err);
	TEST_ASSERT(!memcmp(&arg, range, sizeof(arg)),
		    "a call that failed changed its argument");
	after = pf_counts(vcpu);
	pf_assert_same_counts(&before, &after);
}

static inline void pf_assert_error(struct kvm_vcpu *vcpu, uint64_t gpa,
				   uint64_t size, int err)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };

	pf_assert_fails(vcpu, &range, err);
}

#endif /* SELFTEST_KVM_PRE_FAULT_VM_H */
