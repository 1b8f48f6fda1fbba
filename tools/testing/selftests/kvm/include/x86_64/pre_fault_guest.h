/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of KVM_PRE_FAULT_MEMORY that run a guest: a VM with one slot of
 * test memory, and a guest that touches it on command, one word in each page.
 */
#ifndef SELFTEST_KVM_PRE_FAULT_GUEST_H
#define SELFTEST_KVM_PRE_FAULT_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pre_fault.h"
#include "processor.h"

#define PF_PAGE		4096ul
#define PF_HUGE		(2ul << 20)
#define PF_HUGE_PAGES	(PF_HUGE / PF_PAGE)

/* The test memory: where it is, and the slot that it is in. */
#define PF_SLOT		1
#define PF_GPA		0x40000000ul
#define PF_GVA		0x10000000000ul

/* Pages of slot 0 beyond what the library reckons with: guest page tables. */
#define PF_EXTRA_PAGES	512

/*
 * Where in a page the word is that the guest reads and writes, and its code.
 * The word comes first: Bochs logs the address of a write, not of its page.
 */
#define PF_WORD		0
#define PF_CODE		8

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

static inline uint64_t *pf_word(void *mem, uint64_t page)
{
	return mem + page * PF_PAGE + PF_WORD;
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

static inline void pf_host_writes(void *mem, uint64_t nr, uint64_t seed)
{
	uint64_t i;

	for (i = 0; i < nr; i++)
		WRITE_ONCE(*pf_word(mem, i), seed + i);
}

static inline void pf_host_reads(void *mem, uint64_t nr, uint64_t seed)
{
	uint64_t i, word;

	for (i = 0; i < nr; i++) {
		word = READ_ONCE(*pf_word(mem, i));
		TEST_ASSERT(word == seed + i,
			    "page %lu of the host holds 0x%lx, not 0x%lx",
			    i, word, seed + i);
	}
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
 * pf_create_with_ring - a VM with @mem as its test memory
 * @flags: of the slot
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
	TEST_ASSERT(!munmap(pf->mem, pf->pages * PF_PAGE), "munmap");
}

static inline int pf_pre_fault(struct pf_vm *pf, unsigned int i)
{
	return pre_fault(pf->vcpu[i], PF_GPA, pf->pages * PF_PAGE);
}

/* Memory that starts at a 2M boundary, as what is mapped by 2M must. */
static inline void *pf_mmap(uint64_t pages, int flags, int fd)
{
	size_t size = pages * PF_PAGE, head;
	void *mem;

	mem = mmap(NULL, size + PF_HUGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap of %zu bytes", size + PF_HUGE);
	head = -(uintptr_t)mem & (PF_HUGE - 1);
	if (head)
		munmap(mem, head);
	munmap(mem + head + size, PF_HUGE - head);

	return mmap(mem + head, size, PROT_READ | PROT_WRITE,
		    flags | MAP_FIXED, fd, 0);
}

/* Private anonymous memory, never huge. */
static inline void *pf_anon(uint64_t pages)
{
	void *mem = pf_mmap(pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	TEST_ASSERT(mem != MAP_FAILED, "mmap of anonymous memory");
	if (thp_configured())
		TEST_ASSERT(!madvise(mem, pages * PF_PAGE, MADV_NOHUGEPAGE),
			    "MADV_NOHUGEPAGE");
	return mem;
}

/* A file in memory whose pages hold @seed + page number. */
static inline int pf_file(uint64_t pages, uint64_t seed)
{
	int fd = memfd_create("pre_fault", 0);
	uint64_t i, word;

	TEST_ASSERT(fd >= 0 && !ftruncate(fd, pages * PF_PAGE), "memfd");
	for (i = 0; i < pages; i++) {
		word = seed + i;
		TEST_ASSERT(pwrite(fd, &word, sizeof(word),
				   i * PF_PAGE + PF_WORD) == sizeof(word),
			    "pwrite");
	}

	return fd;
}

/* Adds to the host's pool of huge pages, which is not made smaller again. */
static inline void pf_add_hugetlb(uint64_t nr)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned long now;

	if (!file)
		return;

	if (fscanf(file, "%lu", &now) == 1) {
		rewind(file);
		fprintf(file, "%lu\n", now + nr);
	}
	fclose(file);
}

static inline void *pf_try_hugetlb(uint64_t pages)
{
	return pf_mmap(pages, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB, -1);
}

/* Huge pages of hugetlbfs, MAP_FAILED if the host has too few. */
static inline void *pf_hugetlb(uint64_t pages)
{
	void *mem = pf_try_hugetlb(pages);

	if (mem != MAP_FAILED)
		return mem;

	pf_add_hugetlb(pages / PF_HUGE_PAGES);
	return pf_try_hugetlb(pages);
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

/*
 * A case that lacks something of the host says so by this and returns.
 */
static const char *pf_skipped;

static inline void pf_skip(const char *why)
{
	pf_skipped = why;
}

/* SIGALRM ends the test program if a case takes longer; 0 is for ever. */
static unsigned int pf_case_seconds;

static inline void pf_run_case(const struct pre_fault_case *c)
{
	pf_skipped = NULL;
	printf("# %s\n", c->name);
	alarm(pf_case_seconds);
	c->run();
	alarm(0);
	if (pf_skipped)
		ksft_test_result_skip("%s: %s\n", c->name, pf_skipped);
	else
		ksft_test_result_pass("%s\n", c->name);
}

static inline bool pf_wanted(const struct pre_fault_case *c, const char *only)
{
	return !only || !strcmp(c->name, only);
}

/**
 * pf_run_cases - runs the cases in order, or the one that is called @only
 *
 * A failed assertion ends the test program.
 */
static inline void pf_run_cases(const struct pre_fault_case *cases,
				unsigned int nr, const char *only)
{
	unsigned int i, wanted = 0;

	setbuf(stdout, NULL);
	ksft_print_header();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY));
	for (i = 0; i < nr; i++)
		wanted += pf_wanted(&cases[i], only);
	ksft_set_plan(wanted);
	for (i = 0; i < nr; i++) {
		if (pf_wanted(&cases[i], only))
			pf_run_case(&cases[i]);
	}

	ksft_finished();
}

#endif /* SELFTEST_KVM_PRE_FAULT_GUEST_H */
