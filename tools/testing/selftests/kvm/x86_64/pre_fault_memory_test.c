// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY over each kind of host memory: what the guest touches
 * afterwards takes no stage-2 fault, says what it should, and copy-on-write
 * works as without.  Faults are counted by the vCPU's statistics.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "pre_fault_guest.h"

#define SEED_HOST	0x1111000000000000ul
#define SEED_GUEST	0x2222000000000000ul
#define SEED_OTHER	0x3333000000000000ul

/* Pages in a case of 4K pages, and huge pages in one of 2M pages. */
static uint64_t nr_pages = 512;
static uint64_t nr_huge = 2;

static void assert_no_fault_to_read(struct pf_vm *pf, uint64_t seed)
{
	pf_guest_reads_mapped(pf, 0, pf->pages, seed);
}

static void assert_no_fault_to_write(struct pf_vm *pf, uint64_t seed)
{
	pf_guest_writes_mapped(pf, 0, pf->pages, seed);
}

/*
 * The guest's first write to a page that the host shares copies it.  That
 * takes one fault, and one more where the copy invalidates what was mapped.
 */
static void assert_write_copies(struct pf_vm *pf, uint64_t seed)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]);

	pf_guest_writes(pf, 0, pf->pages, seed);
	faults = vcpu_faults(pf->vcpu[0]) - faults;
	TEST_ASSERT(faults >= pf->pages && faults <= 2 * pf->pages,
		    "%lu faults to copy %lu pages", faults, pf->pages);
	assert_no_fault_to_write(pf, seed);
	pf_host_reads(pf->mem, pf->pages, seed);
}

/* Pre-faults all; each mapping is made once, and by the size @huge or 4K. */
static void pre_fault_all(struct pf_vm *pf, uint64_t huge)
{
	uint64_t fixed = vcpu_stat(pf->vcpu[0], "pf_fixed");
	uint64_t small = vm_get_stat(pf->vm, "pages_4k");
	uint64_t large = vm_get_stat(pf->vm, "pages_2m");
	uint64_t mappings = huge ?: pf->pages;

	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_2m") - large, huge);
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_4k") - small,
		  huge ? 0 : pf->pages);

	/* The shadow MMU prefetches neighbours, which it does not count. */
	fixed = vcpu_stat(pf->vcpu[0], "pf_fixed") - fixed;
	TEST_ASSERT(fixed && fixed <= mappings,
		    "%lu faults fixed for %lu mappings", fixed, mappings);
}

static void check_writable(void *mem, uint64_t pages, uint64_t huge)
{
	struct pf_vm pf = pf_create(mem, pages, 0, 1);

	pf_host_writes(mem, pages, SEED_HOST);
	pre_fault_all(&pf, huge);
	assert_no_fault_to_read(&pf, SEED_HOST);
	assert_no_fault_to_write(&pf, SEED_GUEST);
	pf_host_reads(mem, pages, SEED_GUEST);
	pf_destroy(&pf);
}

static void test_anonymous(void)
{
	check_writable(pf_anon(nr_pages), nr_pages, 0);
}

static void test_shared_file(void)
{
	int fd = pf_file(nr_pages, SEED_OTHER);

	check_writable(pf_mmap(nr_pages, MAP_SHARED, fd), nr_pages, 0);
	close(fd);
}

static void test_hugetlb(void)
{
	uint64_t pages = nr_huge * PF_HUGE_PAGES;
	void *mem = pf_hugetlb(pages);

	if (mem == MAP_FAILED)
		return pf_skip("no hugetlb pages of 2M");

	check_writable(mem, pages, nr_huge);
}

static void test_transparent_huge(void)
{
	uint64_t pages = nr_huge * PF_HUGE_PAGES;
	void *mem = pf_thp(pages);

	if (!mem)
		return pf_skip("no transparent huge pages");

	check_writable(mem, pages, nr_huge);
}

/* Nothing of the host's is populated, so nothing but the zero page is. */
static void test_untouched(void)
{
	void *mem = pf_anon(nr_pages), *other = pf_anon(1);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);
	uint64_t i, zero;

	ASSERT_EQ(*pf_word(other, 0), 0ul);
	zero = pf_host_pfn(getpid(), other);

	pre_fault_all(&pf, 0);
	for (i = 0; i < nr_pages; i++)
		ASSERT_EQ(pf_host_pfn(getpid(), mem + i * PF_PAGE), zero);

	/* Zero is what a seed of minus the page number stands for. */
	for (i = 0; i < nr_pages; i += nr_pages / 8)
		pf_guest_reads(&pf, i, 1, -i);
	assert_write_copies(&pf, SEED_GUEST);

	ASSERT_EQ(*pf_word(other, 0), 0ul);
	munmap(other, PF_PAGE);
	pf_destroy(&pf);
}

static void test_untouched_reads_do_not_fault(void)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 1);
	uint64_t faults;

	pre_fault_all(&pf, 0);
	faults = vcpu_faults(pf.vcpu[0]);

	/* As the pages are zero, only page 0 does not differ from the seed. */
	ASSERT_EQ(pf_run(&pf, 0, PF_READ, 0, nr_pages, 0), nr_pages - 1);
	ASSERT_EQ(vcpu_faults(pf.vcpu[0]) - faults, 0ul);
	pf_destroy(&pf);
}

static void assert_file_mapped(void *mem, bool mapped)
{
	uint64_t i;

	for (i = 0; i < nr_pages; i++)
		ASSERT_EQ(!!(pf_pagemap_entry(getpid(), mem + i * PF_PAGE) &
			     PF_PAGEMAP_FILE), mapped);
}

static void test_private_file(void)
{
	int fd = pf_file(nr_pages, SEED_OTHER);
	void *mem = pf_mmap(nr_pages, MAP_PRIVATE, fd);
	void *file = pf_mmap(nr_pages, MAP_SHARED, fd);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);

	pre_fault_all(&pf, 0);
	assert_file_mapped(mem, true);
	assert_no_fault_to_read(&pf, SEED_OTHER);
	assert_write_copies(&pf, SEED_GUEST);
	assert_file_mapped(mem, false);
	pf_host_reads(file, nr_pages, SEED_OTHER);

	munmap(file, nr_pages * PF_PAGE);
	close(fd);
	pf_destroy(&pf);
}

static void test_read_only_slot(void)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf = pf_create(mem, nr_pages, KVM_MEM_READONLY, 1);

	pf_host_writes(mem, nr_pages, SEED_HOST);
	pre_fault_all(&pf, 0);
	assert_no_fault_to_read(&pf, SEED_HOST);
	pf_guest_write_exits(&pf, 0, SEED_GUEST);
	pf_guest_write_exits(&pf, nr_pages - 1, SEED_GUEST);
	assert_no_fault_to_read(&pf, SEED_HOST);
	pf_host_reads(mem, nr_pages, SEED_HOST);
	pf_destroy(&pf);
}

static void assert_shared(struct pf_sharer *sharer, void *mem, bool shared)
{
	uint64_t i;

	for (i = 0; i < nr_pages; i++)
		ASSERT_EQ(pf_host_pfn(sharer->pid, mem + i * PF_PAGE) ==
			  pf_host_pfn(getpid(), mem + i * PF_PAGE), shared);
}

/* The guest could write to all of it before the host began to share it. */
static void test_fork(void)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);
	struct pf_sharer sharer;

	pf_guest_writes(&pf, 0, nr_pages, SEED_OTHER);
	sharer = pf_share_by_fork(mem, nr_pages, SEED_OTHER);
	pf_settle(&pf); /* slot 0 has become shared, too */

	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	assert_shared(&sharer, mem, true);
	assert_no_fault_to_read(&pf, SEED_OTHER);
	assert_write_copies(&pf, SEED_GUEST);
	assert_shared(&sharer, mem, false);

	pf_end_sharer(&sharer);
	pf_destroy(&pf);
}

/* The guest has made the mappings, so its CPU has set all bits in them. */
static void test_again(void)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);
	uint64_t fixed;

	pf_guest_writes(&pf, 0, nr_pages, SEED_HOST);
	fixed = vcpu_stat(pf.vcpu[0], "pf_fixed");
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	ASSERT_EQ(vcpu_stat(pf.vcpu[0], "pf_fixed") - fixed, 0ul);
	assert_no_fault_to_write(&pf, SEED_GUEST);
	pf_host_reads(mem, nr_pages, SEED_GUEST);
	pf_destroy(&pf);
}

/* Half of the pages are mapped already. */
static void test_holes(void)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);
	uint64_t i;

	pf_host_writes(mem, nr_pages, SEED_HOST);
	for (i = 0; i < nr_pages; i += 2)
		pf_guest_reads(&pf, i, 1, SEED_HOST);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	assert_no_fault_to_write(&pf, SEED_GUEST);
	pf_host_reads(mem, nr_pages, SEED_GUEST);
	pf_destroy(&pf);
}

/* One call over the given pages, which is to do them all. */
static void pre_fault_pages(struct pf_vm *pf, uint64_t first, uint64_t nr)
{
	uint64_t left;

	ASSERT_EQ(pre_fault_once(pf->vcpu[0], pf_gpa(first), nr * PF_PAGE,
				 &left), 0);
	ASSERT_EQ(left, 0ul);
}

/* A single page brings its whole huge page in, and no more. */
static void test_part_of_huge(void)
{
	uint64_t pages = nr_huge * PF_HUGE_PAGES, fixed, large;
	void *mem = pf_thp(pages);
	struct pf_vm pf;

	if (!mem)
		return pf_skip("no transparent huge pages");

	pf = pf_create(mem, pages, 0, 1);
	large = vm_get_stat(pf.vm, "pages_2m");
	pf_host_writes(mem, pages, SEED_HOST);

	pre_fault_pages(&pf, 5, 1);
	ASSERT_EQ(vm_get_stat(pf.vm, "pages_2m") - large, 1ul);

	/* Over the leaf that is there, from its middle or by its pages. */
	fixed = vcpu_stat(pf.vcpu[0], "pf_fixed");
	pre_fault_pages(&pf, 7, 1);
	pre_fault_pages(&pf, 9, PF_HUGE_PAGES - 9);
	ASSERT_EQ(vcpu_stat(pf.vcpu[0], "pf_fixed") - fixed, 0ul);

	/* From the middle of the first into the middle of the last. */
	pre_fault_pages(&pf, PF_HUGE_PAGES / 2, pages - PF_HUGE_PAGES);
	ASSERT_EQ(vm_get_stat(pf.vm, "pages_2m") - large, nr_huge);
	assert_no_fault_to_write(&pf, SEED_GUEST);
	pf_host_reads(mem, pages, SEED_GUEST);
	pf_destroy(&pf);
}

static void host_writes_code(void *mem, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		*(uint8_t *)(mem + i * PF_PAGE + PF_CODE) = 0xc3; /* ret */
}

/*
 * With the NX workaround an instruction fetch splits a huge mapping, and the
 * host's huge page is to be mapped around the 4K table that it leaves.
 */
static void check_nx_huge(void *mem, uint64_t pages)
{
	struct pf_vm pf = pf_create(mem, pages, 0, 1);
	uint64_t large = vm_get_stat(pf.vm, "pages_2m"), faults;

	pf_host_writes(mem, pages, SEED_HOST);
	host_writes_code(mem, pages);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	ASSERT_EQ(vm_get_stat(pf.vm, "pages_2m") - large, nr_huge);
	assert_no_fault_to_read(&pf, SEED_HOST);

	pf_run(&pf, 0, PF_EXEC, 3, 1, 0);
	ASSERT_EQ(vm_get_stat(pf.vm, "pages_2m") - large, nr_huge - 1);

	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	ASSERT_EQ(vm_get_stat(pf.vm, "pages_2m") - large, nr_huge - 1);
	assert_no_fault_to_write(&pf, SEED_GUEST);
	faults = vcpu_faults(pf.vcpu[0]);
	pf_run(&pf, 0, PF_EXEC, 0, PF_HUGE_PAGES, 0);
	ASSERT_EQ(vcpu_faults(pf.vcpu[0]) - faults, 0ul);
	pf_host_reads(mem, pages, SEED_GUEST);
	pf_destroy(&pf);
}

static void test_nx_huge_pages(void)
{
	uint64_t pages = nr_huge * PF_HUGE_PAGES;
	void *mem = pf_thp(pages);
	int old;

	if (!mem)
		return pf_skip("no transparent huge pages");

	old = pf_set_kvm_param("nx_huge_pages", 1);
	if (old < 0) {
		munmap(mem, pages * PF_PAGE);
		return pf_skip("kvm.nx_huge_pages cannot be set");
	}

	check_nx_huge(mem, pages);
	pf_set_kvm_param("nx_huge_pages", old);
}

/*
 * The entries themselves are shown by a tracepoint of the MMU.
 */
#define TRACEFS		"/sys/kernel/tracing/"
#define TRACE_INSTANCE	TRACEFS "instances/pre_fault/"
#define TRACE_SET_SPTE	TRACE_INSTANCE "events/kvmmmu/kvm_mmu_set_spte/enable"

static bool start_tracing(void)
{
	if (access(TRACEFS "instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "instances", F_OK))
		return false;

	TEST_ASSERT(!mkdir(TRACE_INSTANCE, 0700) || errno == EEXIST,
		    "mkdir of " TRACE_INSTANCE);
	pf_write_file(TRACE_INSTANCE "trace", "");
	pf_write_file(TRACE_SET_SPTE, "1");
	return true;
}

static void stop_tracing(void)
{
	pf_write_file(TRACE_SET_SPTE, "0");
	rmdir(TRACE_INSTANCE);
}

/* Read, write and execute of EPT, or present and writable of NPT. */
static uint64_t spte_access, spte_accessed;

static bool know_spte_bits(void)
{
	if (is_intel_cpu()) {
		spte_access = GENMASK_ULL(2, 0);
		spte_accessed = get_kvm_intel_param_bool("eptad") ? BIT_ULL(8) : 0;
	} else {
		spte_access = GENMASK_ULL(1, 0);
		spte_accessed = BIT_ULL(5);
	}

	return spte_accessed;
}

struct spte_counts {
	uint64_t all, accessible, accessed;
};

static void count_spte(struct spte_counts *counts, const char *line)
{
	const char *text = strstr(line, "kvm_mmu_set_spte: gfn ");
	uint64_t gfn, spte;

	if (!text || sscanf(text, "kvm_mmu_set_spte: gfn %lx spte %lx",
			    &gfn, &spte) != 2)
		return;
	if (gfn < PF_GPA / PF_PAGE)
		return;

	counts->all++;
	counts->accessible += (spte & spte_access) == spte_access;
	counts->accessed += !!(spte & spte_accessed);
}

/* The entries set for the test memory since the trace was cleared. */
static struct spte_counts traced_sptes(void)
{
	FILE *trace = fopen(TRACE_INSTANCE "trace", "r");
	struct spte_counts counts = {};
	char line[512];

	TEST_ASSERT(trace, "fopen of the trace");
	while (fgets(line, sizeof(line), trace))
		count_spte(&counts, line);
	fclose(trace);

	return counts;
}

static void check_accessed_bits(struct pf_vm *pf)
{
	struct spte_counts counts;

	/* A fault of the guest shows that the bit is looked for well. */
	pf_guest_reads(pf, 0, 1, SEED_HOST);
	ASSERT_EQ(traced_sptes().accessed, 1ul);

	pf_write_file(TRACE_INSTANCE "trace", "");
	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	counts = traced_sptes();
	TEST_ASSERT(counts.all, "no entry was set");
	ASSERT_EQ(counts.accessible, counts.all);
	ASSERT_EQ(counts.accessed, 0ul);
}

static void test_not_accessed(void)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf;

	if (!know_spte_bits())
		return pf_skip("no Accessed bits");
	if (!start_tracing())
		return pf_skip("no tracefs");

	pf = pf_create(mem, nr_pages, 0, 1);
	pf_host_writes(mem, nr_pages, SEED_HOST);
	check_accessed_bits(&pf);
	stop_tracing();
	pf_destroy(&pf);
}

static const struct pre_fault_case cases[] = {
	{ "anonymous", test_anonymous },
	{ "shared_file", test_shared_file },
	{ "hugetlb", test_hugetlb },
	{ "transparent_huge", test_transparent_huge },
	{ "untouched", test_untouched },
	{ "untouched_reads_do_not_fault", test_untouched_reads_do_not_fault },
	{ "private_file", test_private_file },
	{ "read_only_slot", test_read_only_slot },
	{ "fork", test_fork },
	{ "again", test_again },
	{ "holes", test_holes },
	{ "part_of_huge", test_part_of_huge },
	{ "nx_huge_pages", test_nx_huge_pages },
	{ "not_accessed", test_not_accessed },
};

static const struct pf_option options[] = {
	{ 'p', "pages", &nr_pages },
	{ 'u', "huge pages", &nr_huge },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, options, ARRAY_SIZE(options));
	if (nr_pages < 8 || nr_huge < 2)
		pf_usage(argv[0], options, ARRAY_SIZE(options));

	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
