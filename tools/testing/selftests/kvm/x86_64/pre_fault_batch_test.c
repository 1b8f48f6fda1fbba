// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY where it fills a page table at a time: the edges of what
 * can be done in one go.  Each case runs with kvm.pre_fault_batch on and off,
 * and has to see the same: mappings, progress, errors and contents.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "pre_fault_guest.h"

#define SEED_HOST	0x1111000000000000ul
#define SEED_GUEST	0x2222000000000000ul
#define SEED_OTHER	0x3333000000000000ul

/* Pages that one page table maps, and those of most cases: three tables. */
#define TABLE		PF_HUGE_PAGES
#define PAGES		(3 * TABLE)

/* In the middle of the table in the middle. */
#define MIDDLE		(TABLE + 211)

/*
 * What a case sees is noted with the batch, and compared without.
 */
struct seen {
	const char *what;
	uint64_t value;
};

static struct seen seen[256];
static unsigned int nr_seen;
static bool batch;

static void see(const char *what, uint64_t value)
{
	struct seen *s = &seen[nr_seen++];

	TEST_ASSERT(nr_seen <= ARRAY_SIZE(seen), "a case sees too much");
	if (batch)
		*s = (struct seen) { .what = what, .value = value };
	else
		TEST_ASSERT(s->what == what && s->value == value,
			    "%s is %ld with the batch, %s is %ld without",
			    s->what, s->value, what, value);
}

static void in_both_modes(void (*run)(void))
{
	int old = pf_set_kvm_param("pre_fault_batch", 1);
	unsigned int nr;

	if (old < 0)
		return pf_skip("no kvm.pre_fault_batch");

	batch = true;
	nr_seen = 0;
	run();
	nr = nr_seen;

	pf_set_kvm_param("pre_fault_batch", 0);
	batch = false;
	nr_seen = 0;
	run();
	ASSERT_EQ(nr_seen, nr);

	pf_set_kvm_param("pre_fault_batch", old);
}

/* What pre-faulting a range has come to. */
struct filled {
	int result;
	uint64_t pages;		/* that are done */
	uint64_t small, large;	/* mappings that were made */
};

static struct filled fill(struct pf_vm *pf, uint64_t first, uint64_t nr)
{
	uint64_t fixed = vcpu_stat(pf->vcpu[0], "pf_fixed");
	uint64_t small = vm_get_stat(pf->vm, "pages_4k");
	uint64_t large = vm_get_stat(pf->vm, "pages_2m");
	uint64_t left = nr * PF_PAGE;
	struct filled f;

	do {
		f.result = pre_fault_once(pf->vcpu[0], pf_gpa(first + nr) - left,
					  left, &left);
	} while (!f.result && left);

	f.pages = nr - left / PF_PAGE;
	f.small = vm_get_stat(pf->vm, "pages_4k") - small;
	f.large = vm_get_stat(pf->vm, "pages_2m") - large;
	ASSERT_EQ(vcpu_stat(pf->vcpu[0], "pf_fixed") - fixed, f.small + f.large);

	see("result", f.result);
	see("pages done", f.pages);
	see("4K mappings", f.small);
	see("2M mappings", f.large);
	return f;
}

/* All is done, and that makes exactly so many mappings. */
static void fill_all(struct pf_vm *pf, uint64_t first, uint64_t nr,
		     uint64_t small, uint64_t large)
{
	struct filled f = fill(pf, first, nr);

	ASSERT_EQ(f.result, 0);
	ASSERT_EQ(f.pages, nr);
	ASSERT_EQ(f.small, small);
	ASSERT_EQ(f.large, large);
}

/* Each page up to the @good-th is mapped, by 4K, and none after it. */
static void fill_until(struct pf_vm *pf, uint64_t first, uint64_t nr,
		       uint64_t good, int err)
{
	struct filled f = fill(pf, first, nr);

	ASSERT_EQ(f.result, -err);
	ASSERT_EQ(f.pages, good);
	ASSERT_EQ(f.small, good);
	ASSERT_EQ(f.large, 0ul);
}

/* The guest reads and writes what is mapped, and the host finds the same. */
static void check_contents(struct pf_vm *pf)
{
	pf_guest_reads_mapped(pf, 0, pf->pages, SEED_HOST);
	pf_guest_writes_mapped(pf, 0, pf->pages, SEED_GUEST);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST);
}

static struct pf_vm create(void *mem, uint64_t pages)
{
	pf_host_writes(mem, pages, SEED_HOST);
	return pf_create(mem, pages, 0, 1);
}

static void set_protection(struct pf_vm *pf, uint64_t page, int prot)
{
	TEST_ASSERT(!mprotect(pf->mem + page * PF_PAGE, PF_PAGE, prot),
		    "mprotect");
}

/* Ranges that begin and end anywhere in a table. */
static void test_parts(void)
{
	static const struct {
		uint64_t first, nr;
	} parts[] = {
		{ 5, 1 }, { 100, 157 }, { TABLE - 1, 1 }, { 0, 1 },
		{ TABLE, 1 }, { TABLE + 30, TABLE - 40 },
		{ 2 * TABLE - 2, 4 }, { PAGES - 1, 1 },
	};
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		fill_all(&pf, parts[i].first, parts[i].nr, parts[i].nr, 0);
		sum += parts[i].nr;
	}
	fill_all(&pf, 7, PAGES - 11, PAGES - 11 - (sum - 3), 0);
	fill_all(&pf, 0, PAGES, 8, 0);
	check_contents(&pf);
	pf_destroy(&pf);
}

static void test_every_other_mapped(void)
{
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);
	uint64_t i;

	for (i = 0; i < PAGES; i += 2)
		ASSERT_EQ(pre_fault(pf.vcpu[0], pf_gpa(i), PF_PAGE), 0);
	fill_all(&pf, 0, PAGES, PAGES / 2, 0);
	check_contents(&pf);
	pf_destroy(&pf);
}

/*
 * Slots of the test's own in place of the one of all pages.
 */
static struct pf_vm create_bare(uint64_t pages)
{
	struct pf_vm pf = pf_create(pf_anon(pages), pages, 0, 1);

	ASSERT_EQ(pf_set_slot(&pf, PF_GPA, 0), 0);
	return pf;
}

static void add_slot(struct pf_vm *pf, unsigned int i, uint32_t flags,
		     uint64_t first, uint64_t nr, void *mem)
{
	ASSERT_EQ(__vm_set_user_memory_region(pf->vm, PF_SLOT + i, flags,
					      pf_gpa(first), nr * PF_PAGE, mem),
		  0);
	pf_settle(pf);
}

/* Slots that meet in a table, on memory that goes on behind both of them. */
#define SLOT_A_PAGES	300
#define SLOT_B_PAGES	(TABLE + 100)
#define SLOT_B_OFFSET	7
#define SLOTS_END	(SLOT_A_PAGES + SLOT_B_PAGES)

static void check_two_slots(struct pf_vm *pf, void *a, void *b)
{
	const uint64_t seed_b = SEED_OTHER - SLOT_A_PAGES + SLOT_B_OFFSET;

	fill_until(pf, 200, SLOTS_END, SLOTS_END - 200, ENOENT);
	fill_until(pf, SLOTS_END, 10, 0, ENOENT);
	fill_all(pf, 0, SLOTS_END, 200, 0);

	pf_guest_reads_mapped(pf, 0, SLOT_A_PAGES, SEED_HOST);
	pf_guest_reads_mapped(pf, SLOT_A_PAGES, SLOT_B_PAGES, seed_b);
	pf_guest_writes_mapped(pf, 0, SLOTS_END, SEED_GUEST);

	pf_host_reads(a, SLOT_A_PAGES, SEED_GUEST);
	pf_host_reads(a + SLOT_A_PAGES * PF_PAGE, PAGES - SLOT_A_PAGES,
		      SEED_HOST + SLOT_A_PAGES);
	pf_host_reads(b, SLOT_B_OFFSET, SEED_OTHER);
	pf_host_reads(b + SLOT_B_OFFSET * PF_PAGE, SLOT_B_PAGES,
		      SEED_GUEST + SLOT_A_PAGES);
}

static void test_two_slots(void)
{
	struct pf_vm pf = create_bare(PAGES);
	void *a = pf_anon(PAGES), *b = pf_anon(PAGES);

	pf_host_writes(a, PAGES, SEED_HOST);
	pf_host_writes(b, PAGES, SEED_OTHER);
	add_slot(&pf, 1, 0, 0, SLOT_A_PAGES, a);
	add_slot(&pf, 2, 0, SLOT_A_PAGES, SLOT_B_PAGES,
		 b + SLOT_B_OFFSET * PF_PAGE);
	check_two_slots(&pf, a, b);
	pf_destroy(&pf);
	pf_munmap(a, PAGES);
	pf_munmap(b, PAGES);
}

/* One memory, the first part of it for reading only. */
static void test_read_only_slot(void)
{
	struct pf_vm pf = create_bare(PAGES);
	void *b = pf.mem + SLOT_A_PAGES * PF_PAGE;

	pf_host_writes(pf.mem, PAGES, SEED_HOST);
	add_slot(&pf, 1, KVM_MEM_READONLY, 0, SLOT_A_PAGES, pf.mem);
	add_slot(&pf, 2, 0, SLOT_A_PAGES, SLOT_B_PAGES, b);

	fill_all(&pf, 0, SLOTS_END, SLOTS_END, 0);
	pf_guest_reads_mapped(&pf, 0, SLOTS_END, SEED_HOST);
	pf_guest_write_exits(&pf, 0, SEED_GUEST);
	pf_guest_write_exits(&pf, SLOT_A_PAGES - 1, SEED_GUEST);
	pf_guest_writes_mapped(&pf, SLOT_A_PAGES, SLOT_B_PAGES, SEED_GUEST);
	pf_host_reads(pf.mem, SLOT_A_PAGES, SEED_HOST);
	pf_host_reads(b, SLOT_B_PAGES, SEED_GUEST + SLOT_A_PAGES);
	pf_destroy(&pf);
}

/* The host's tables do not end where the guest's do: nothing can be huge. */
#define SHIFTED_BY	100
#define SHIFTED_PAGES	(PAGES - SHIFTED_BY - 30)

static void check_shifted(void *mem)
{
	struct pf_vm pf = create_bare(PAGES);
	void *slot = mem + SHIFTED_BY * PF_PAGE;

	pf_host_writes(slot, SHIFTED_PAGES, SEED_HOST);
	add_slot(&pf, 1, 0, 0, SHIFTED_PAGES, slot);
	fill_all(&pf, 3, SHIFTED_PAGES - 9, SHIFTED_PAGES - 9, 0);
	fill_all(&pf, 0, SHIFTED_PAGES, 9, 0);
	pf_guest_reads_mapped(&pf, 0, SHIFTED_PAGES, SEED_HOST);
	pf_guest_writes_mapped(&pf, 0, SHIFTED_PAGES, SEED_GUEST);
	pf_host_reads(slot, SHIFTED_PAGES, SEED_GUEST);
	pf_destroy(&pf);
	pf_munmap(mem, PAGES);
}

static void test_shifted_small(void)
{
	check_shifted(pf_anon(PAGES));
}

static void test_shifted_transparent_huge(void)
{
	void *mem = pf_thp(PAGES);

	if (!mem)
		return pf_skip("no transparent huge pages");

	check_shifted(mem);
}

static void test_shifted_hugetlb(void)
{
	void *mem = pf_hugetlb(PAGES);

	if (mem == MAP_FAILED)
		return pf_skip("no hugetlb pages of 2M");

	check_shifted(mem);
}

/*
 * Anonymous pages that are populated, that have been read, so that the zero
 * page is there, or that have not been touched.
 */
enum state {
	WRITTEN,
	ZERO,
	ABSENT,
};

typedef enum state (*pattern_t)(uint64_t page);

static uint64_t apply_pattern(void *mem, pattern_t pattern)
{
	uint64_t i, written = 0;

	for (i = 0; i < PAGES; i++) {
		switch (pattern(i)) {
		case WRITTEN:
			WRITE_ONCE(*pf_word(mem, i), SEED_HOST + i);
			written++;
			break;
		case ZERO:
			ASSERT_EQ(READ_ONCE(*pf_word(mem, i)), 0ul);
			break;
		case ABSENT:
			break;
		}
	}

	return written;
}

/* Zero is what a seed of minus the page number stands for. */
static uint64_t pattern_seed(pattern_t pattern, uint64_t page)
{
	return pattern(page) == WRITTEN ? SEED_HOST : -page;
}

static void check_zero(void *zero)
{
	void *fresh = pf_anon(1);

	ASSERT_EQ(READ_ONCE(*pf_word(zero, 0)), 0ul);
	ASSERT_EQ(READ_ONCE(*pf_word(fresh, 0)), 0ul);
	pf_munmap(fresh, 1);
}

static void read_pattern(struct pf_vm *pf, pattern_t pattern, void *zero)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]), i;

	for (i = 0; i < PAGES; i++) {
		pf_guest_reads(pf, i, 1, pattern_seed(pattern, i));
		if (pattern(i) != WRITTEN)
			ASSERT_EQ(pf_host_pfn(getpid(), pf->mem + i * PF_PAGE),
				  pf_host_pfn(getpid(), zero));
	}
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
}

static void check_pattern(pattern_t pattern)
{
	void *mem = pf_anon(PAGES), *zero = pf_anon(1);
	struct pf_vm pf = pf_create(mem, PAGES, 0, 1);
	uint64_t copies = PAGES - apply_pattern(mem, pattern), faults;

	check_zero(zero);
	fill_all(&pf, 0, PAGES, PAGES, 0);
	read_pattern(&pf, pattern, zero);

	/* One fault each, or one more if the copy invalidates the mapping. */
	faults = vcpu_faults(pf.vcpu[0]);
	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	faults = vcpu_faults(pf.vcpu[0]) - faults;
	TEST_ASSERT(faults >= copies && faults <= 2 * copies,
		    "%lu faults to copy %lu pages", faults, copies);
	pf_host_reads(mem, PAGES, SEED_GUEST);

	check_zero(zero);
	pf_munmap(zero, 1);
	pf_destroy(&pf);
}

static enum state every_other_absent(uint64_t page)
{
	return page % 2 ? ABSENT : WRITTEN;
}

static void test_every_other_absent(void)
{
	check_pattern(every_other_absent);
}

static enum state one_absent(uint64_t page)
{
	return page == MIDDLE ? ABSENT : WRITTEN;
}

static void test_one_absent(void)
{
	check_pattern(one_absent);
}

static enum state zero_pages(uint64_t page)
{
	return page % 3 ? WRITTEN : ZERO;
}

static void test_zero_pages(void)
{
	check_pattern(zero_pages);
}

/* Runs of each, none of which ends with a table. */
static enum state runs(uint64_t page)
{
	return page / 100 % 3;
}

static void test_runs(void)
{
	check_pattern(runs);
}

/* A file, half of which is holes; and half of the rest the host has mapped. */
static void test_file_with_holes(void)
{
	int fd = pf_file(PAGES, SEED_HOST);
	void *mem = pf_mmap(PAGES, MAP_SHARED, fd);
	struct pf_vm pf = pf_create(mem, PAGES, 0, 1);
	uint64_t faults, i;

	for (i = 0; i < PAGES; i += 2)
		TEST_ASSERT(!fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, i * PF_PAGE,
				       PF_PAGE), "fallocate");
	for (i = 1; i < PAGES; i += 4)
		ASSERT_EQ(READ_ONCE(*pf_word(mem, i)), SEED_HOST + i);

	fill_all(&pf, 0, PAGES, PAGES, 0);
	faults = vcpu_faults(pf.vcpu[0]);
	for (i = 0; i < PAGES; i++)
		pf_guest_reads(&pf, i, 1, i % 2 ? SEED_HOST : -i);
	ASSERT_EQ(vcpu_faults(pf.vcpu[0]) - faults, 0ul);
	pf_guest_writes_mapped(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(mem, PAGES, SEED_GUEST);
	close(fd);
	pf_destroy(&pf);
}

/*
 * Read-only and writable pages of the host, mixed.
 */

/* The guest's write fails, until the host allows it. */
static void check_read_only_page(struct pf_vm *pf, uint64_t page)
{
	struct kvm_vcpu *vcpu = pf->vcpu[0];
	struct ucall uc;

	pf_prepare(pf, 0, PF_WRITE, page, 1, SEED_GUEST);
	TEST_ASSERT(__vcpu_run(vcpu) == -1 && errno == EFAULT,
		    "the guest could write to page %lu", page);
	ASSERT_EQ(READ_ONCE(*pf_word(pf->mem, page)), SEED_HOST + page);

	set_protection(pf, page, PROT_READ | PROT_WRITE);
	vcpu_run(vcpu);
	ASSERT_EQ(get_ucall(vcpu, &uc), (uint64_t)UCALL_SYNC);
}

static void test_every_third_read_only(void)
{
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);
	uint64_t i;

	for (i = 0; i < PAGES; i += 3)
		set_protection(&pf, i, PROT_READ);

	fill_all(&pf, 0, PAGES, PAGES, 0);
	pf_guest_reads_mapped(&pf, 0, PAGES, SEED_HOST);
	for (i = 0; i < PAGES; i += 3) {
		check_read_only_page(&pf, i);
		pf_guest_writes_mapped(&pf, i + 1, 2, SEED_GUEST);
	}
	pf_host_reads(pf.mem, PAGES, SEED_GUEST);
	pf_destroy(&pf);
}

/* What the host has written since it forked is its own, the rest is not. */
static void test_fork(void)
{
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);
	struct pf_sharer sharer = pf_share_by_fork(pf.mem, PAGES, SEED_HOST);
	uint64_t i;

	for (i = 0; i < PAGES; i += 2)
		WRITE_ONCE(*pf_word(pf.mem, i), SEED_OTHER + i);
	pf_settle(&pf); /* slot 0 has become shared, too */

	fill_all(&pf, 0, PAGES, PAGES, 0);
	for (i = 0; i < PAGES; i++)
		pf_guest_reads_mapped(&pf, i, 1, i % 2 ? SEED_HOST : SEED_OTHER);
	for (i = 0; i < PAGES; i += 2)
		pf_guest_writes_mapped(&pf, i, 1, SEED_GUEST);
	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(pf.mem, PAGES, SEED_GUEST);

	pf_end_sharer(&sharer);
	pf_destroy(&pf);
}

/* Huge pages that the host shares, as they are and by 4K. */
static void check_fork_huge(uint64_t first, uint64_t nr, uint64_t small,
			    uint64_t large)
{
	struct pf_vm pf = create_bare(PAGES);
	void *mem = pf_thp(PAGES), *slot = mem + first * PF_PAGE;
	struct pf_sharer sharer;

	if (!mem) {
		pf_destroy(&pf);
		return pf_skip("no transparent huge pages");
	}

	pf_host_writes(mem, PAGES, SEED_HOST - first);
	sharer = pf_share_by_fork(mem, PAGES, SEED_HOST - first);
	add_slot(&pf, 1, 0, 0, nr, slot);

	fill_all(&pf, 0, nr, small, large);
	pf_guest_reads_mapped(&pf, 0, nr, SEED_HOST);
	pf_guest_writes(&pf, 0, nr, SEED_GUEST);
	pf_host_reads(slot, nr, SEED_GUEST);

	pf_end_sharer(&sharer);
	pf_destroy(&pf);
	pf_munmap(mem, PAGES);
}

static void test_fork_huge(void)
{
	check_fork_huge(0, PAGES, 0, 3);
	check_fork_huge(SHIFTED_BY, SHIFTED_PAGES, SHIFTED_PAGES, 0);
}

/* Of three pages one has been written, one read, and one not touched. */
static void test_private_file(void)
{
	int fd = pf_file(PAGES, SEED_HOST);
	void *mem = pf_mmap(PAGES, MAP_PRIVATE, fd);
	void *file = pf_mmap(PAGES, MAP_SHARED, fd);
	struct pf_vm pf = pf_create(mem, PAGES, 0, 1);
	uint64_t i;

	for (i = 0; i < PAGES; i += 3) {
		WRITE_ONCE(*pf_word(mem, i), SEED_OTHER + i);
		ASSERT_EQ(READ_ONCE(*pf_word(mem, i + 1)), SEED_HOST + i + 1);
	}

	fill_all(&pf, 0, PAGES, PAGES, 0);
	for (i = 0; i < PAGES; i++)
		pf_guest_reads_mapped(&pf, i, 1, i % 3 ? SEED_HOST : SEED_OTHER);
	for (i = 0; i < PAGES; i += 3)
		pf_guest_writes_mapped(&pf, i, 1, SEED_GUEST);
	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(mem, PAGES, SEED_GUEST);
	pf_host_reads(file, PAGES, SEED_HOST);

	pf_munmap(file, PAGES);
	close(fd);
	pf_destroy(&pf);
}

/* KSM merges every other page with one that is not the guest's. */
#define KSM_PAGES	128

static void merge(struct pf_vm *pf, void *other)
{
	uint64_t i;

	WRITE_ONCE(*pf_word(other, 0), SEED_OTHER);
	for (i = 0; i < KSM_PAGES; i += 2)
		WRITE_ONCE(*pf_word(pf->mem, i), SEED_OTHER);
	TEST_ASSERT(!madvise(pf->mem, KSM_PAGES * PF_PAGE, MADV_MERGEABLE) &&
		    !madvise(other, PF_PAGE, MADV_MERGEABLE), "MADV_MERGEABLE");

	for (i = 0; i < KSM_PAGES; i += 2) {
		while (pf_host_pfn(getpid(), pf->mem + i * PF_PAGE) !=
		       pf_host_pfn(getpid(), other))
			sched_yield();
	}
}

static void test_ksm(void)
{
	void *other = pf_anon(1);
	struct pf_vm pf;
	uint64_t i;

	if (!pf_ksm_start())
		return pf_skip("no KSM");

	pf = create(pf_anon(KSM_PAGES), KSM_PAGES);
	merge(&pf, other);
	fill_all(&pf, 0, KSM_PAGES, KSM_PAGES, 0);
	for (i = 0; i < KSM_PAGES; i++)
		pf_guest_reads_mapped(&pf, i, 1, i % 2 ? SEED_HOST :
				      SEED_OTHER - i);
	pf_guest_writes(&pf, 0, KSM_PAGES / 2, SEED_GUEST);
	for (i = KSM_PAGES / 2; i < KSM_PAGES; i += 2)
		ASSERT_EQ(READ_ONCE(*pf_word(pf.mem, i)), SEED_OTHER);
	ASSERT_EQ(READ_ONCE(*pf_word(other, 0)), SEED_OTHER);
	pf_host_reads(pf.mem, KSM_PAGES / 2, SEED_GUEST);

	pf_ksm_stop();
	pf_munmap(other, 1);
	pf_destroy(&pf);
}

/*
 * Memory that cannot be mapped, in the middle of memory that can.
 */
static void test_prot_none(void)
{
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);

	set_protection(&pf, MIDDLE, PROT_NONE);
	fill_until(&pf, 0, PAGES, MIDDLE, EFAULT);
	fill_until(&pf, MIDDLE, 2, 0, EFAULT);

	set_protection(&pf, MIDDLE, PROT_READ | PROT_WRITE);
	fill_all(&pf, 0, PAGES, PAGES - MIDDLE, 0);
	check_contents(&pf);
	pf_destroy(&pf);
}

static void test_protection_key(void)
{
	int pkey = pkey_alloc(0, 0);
	struct pf_vm pf;

	if (pkey < 0)
		return pf_skip("no protection keys");

	pf = create(pf_anon(PAGES), PAGES);
	TEST_ASSERT(!pkey_mprotect(pf.mem + MIDDLE * PF_PAGE, PF_PAGE,
				   PROT_READ | PROT_WRITE, pkey),
		    "pkey_mprotect");
	pkey_set(pkey, PKEY_DISABLE_ACCESS);
	fill_until(&pf, 0, PAGES, MIDDLE, EFAULT);
	pkey_set(pkey, 0);
	fill_all(&pf, 0, PAGES, PAGES - MIDDLE, 0);
	check_contents(&pf);
	pf_destroy(&pf);
	pkey_free(pkey);
}

/* Puts a file's pages into the test memory from @first on. */
static void map_file(struct pf_vm *pf, uint64_t first, uint64_t nr, int fd,
		     off_t offset)
{
	void *mem = pf->mem + first * PF_PAGE;

	TEST_ASSERT(mmap(mem, nr * PF_PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, offset) == mem, "mmap");
}

static void test_secret_memory(void)
{
	int fd = syscall(__NR_memfd_secret, 0);
	struct pf_vm pf;

	if (fd < 0)
		return pf_skip("no secret memory");

	TEST_ASSERT(!ftruncate(fd, 2 * PF_PAGE), "ftruncate");
	pf = create(pf_anon(PAGES), PAGES);
	map_file(&pf, MIDDLE, 2, fd, 0);
	pf_host_writes(pf.mem, PAGES, SEED_HOST);

	fill_until(&pf, 0, PAGES, MIDDLE, EFAULT);
	fill_until(&pf, MIDDLE, 1, 0, EFAULT);
	fill_until(&pf, MIDDLE + 1, 10, 0, EFAULT);
	fill_all(&pf, MIDDLE + 2, PAGES - MIDDLE - 2, PAGES - MIDDLE - 2, 0);
	pf_host_reads(pf.mem, PAGES, SEED_HOST);
	close(fd);
	pf_destroy(&pf);
}

static int open_dev_mem(void)
{
	return open("/dev/mem", O_RDWR);
}

static off_t physical(void *mem)
{
	return pf_host_pfn(getpid(), mem) * PF_PAGE;
}

/*
 * The pages of a huge page that is free in hugetlbfs's pool: RAM that nobody
 * has a reference to.
 */
static void test_not_refcounted(void)
{
	void *huge = pf_hugetlb(TABLE);
	int fd = open_dev_mem();
	struct pf_vm pf;
	off_t where;

	if (huge == MAP_FAILED || fd < 0)
		return pf_skip("no hugetlb pages of 2M, or no /dev/mem");

	pf_host_writes(huge, TABLE, SEED_OTHER);
	where = physical(huge);
	pf_munmap(huge, TABLE);

	pf = create(pf_anon(PAGES), PAGES);
	map_file(&pf, TABLE, TABLE, fd, where);
	ASSERT_EQ(READ_ONCE(*pf_word(pf.mem, MIDDLE)), SEED_OTHER + MIDDLE - TABLE);
	fill_until(&pf, 0, PAGES, TABLE, EFAULT);
	fill_until(&pf, TABLE, TABLE, 0, EFAULT);
	fill_until(&pf, MIDDLE, 1, 0, EFAULT);
	fill_all(&pf, 2 * TABLE, TABLE, TABLE, 0);
	close(fd);
	pf_destroy(&pf);
}

/* An ordinary page by way of a mapping that takes no reference to it. */
static void test_pfn_mapping(void)
{
	void *page = pf_anon(1);
	int fd = open_dev_mem();
	struct pf_vm pf;

	if (fd < 0)
		return pf_skip("no /dev/mem");

	pf = create(pf_anon(PAGES), PAGES);
	WRITE_ONCE(*pf_word(page, 0), SEED_HOST + MIDDLE);
	map_file(&pf, MIDDLE, 1, fd, physical(page));
	fill_all(&pf, 0, PAGES, PAGES, 0);
	check_contents(&pf);
	ASSERT_EQ(READ_ONCE(*pf_word(page, 0)), SEED_GUEST + MIDDLE);
	close(fd);
	pf_destroy(&pf);
	pf_munmap(page, 1);
}

/*
 * Logging is switched on when half is mapped.
 */
static void set_logging(struct pf_vm *pf, bool on)
{
	pf->flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	ASSERT_EQ(pf_set_slot(pf, PF_GPA, pf->pages), 0);
}

/* The pages that were written since the log was last taken. */
static uint64_t take_log(struct pf_vm *pf)
{
	static unsigned long dirty[PAGES / BITS_PER_LONG];
	uint64_t i, nr = 0;

	memset(dirty, 0, sizeof(dirty));
	kvm_vm_get_dirty_log(pf->vm, PF_SLOT, dirty);
	for (i = 0; i < ARRAY_SIZE(dirty); i++)
		nr += __builtin_popcountl(dirty[i]);

	return nr;
}

static void check_log(void *mem, uint64_t small, uint64_t large)
{
	struct pf_vm pf = create(mem, PAGES);

	fill_all(&pf, 0, TABLE, small, large);
	set_logging(&pf, true);
	fill_all(&pf, 0, PAGES, 2 * TABLE, 0);
	ASSERT_EQ(take_log(&pf), 0ul);
	pf_guest_reads_mapped(&pf, 0, PAGES, SEED_HOST);
	ASSERT_EQ(take_log(&pf), 0ul);

	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	ASSERT_EQ(take_log(&pf), PAGES);
	fill_all(&pf, 0, PAGES, 0, 0);
	ASSERT_EQ(take_log(&pf), 0ul);
	pf_guest_writes(&pf, 5, PAGES - 9, SEED_OTHER);
	ASSERT_EQ(take_log(&pf), PAGES - 9);
	pf_destroy(&pf);
}

static void test_log_small(void)
{
	check_log(pf_anon(PAGES), TABLE, 0);
}

static void test_log_hugetlb(void)
{
	void *mem = pf_hugetlb(PAGES);

	if (mem == MAP_FAILED)
		return pf_skip("no hugetlb pages of 2M");

	check_log(mem, 0, 1);
}

/*
 * The host's huge pages change underneath.
 */
static void drop(struct pf_vm *pf, uint64_t first, uint64_t nr)
{
	TEST_ASSERT(!madvise(pf->mem + first * PF_PAGE, nr * PF_PAGE,
			     MADV_DONTNEED), "MADV_DONTNEED");
}

static void test_split_by_drop(void)
{
	void *mem = pf_thp(PAGES);
	struct pf_vm pf;

	if (!mem)
		return pf_skip("no transparent huge pages");

	pf = create(mem, PAGES);
	fill_all(&pf, 0, PAGES, 0, 3);
	drop(&pf, MIDDLE, 1);
	fill_all(&pf, 0, PAGES, TABLE, 0);
	pf_guest_reads_mapped(&pf, 0, MIDDLE, SEED_HOST);
	pf_guest_reads_mapped(&pf, MIDDLE, 1, -MIDDLE);
	pf_guest_reads_mapped(&pf, MIDDLE + 1, PAGES - MIDDLE - 1, SEED_HOST);
	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(mem, PAGES, SEED_GUEST);
	pf_destroy(&pf);
}

static void test_split_by_protection(void)
{
	void *mem = pf_thp(PAGES);
	struct pf_vm pf;

	if (!mem)
		return pf_skip("no transparent huge pages");

	pf = create(mem, PAGES);
	fill_all(&pf, 0, PAGES, 0, 3);
	set_protection(&pf, MIDDLE, PROT_READ);
	fill_all(&pf, 0, PAGES, TABLE, 0);
	pf_guest_reads_mapped(&pf, 0, PAGES, SEED_HOST);
	check_read_only_page(&pf, MIDDLE);
	pf_guest_writes_mapped(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(mem, PAGES, SEED_GUEST);
	pf_destroy(&pf);
}

/* The kernel may find that it has to be asked again. */
static int collapse(void *mem, uint64_t pages)
{
	int r;

	do {
		r = madvise(mem, pages * PF_PAGE, MADV_COLLAPSE);
	} while (r && errno == EAGAIN);

	return r;
}

static void test_collapse(void)
{
	struct pf_vm pf = create(pf_anon(PAGES), PAGES);

	fill_all(&pf, 0, PAGES, PAGES, 0);
	TEST_ASSERT(!madvise(pf.mem, PAGES * PF_PAGE, MADV_HUGEPAGE),
		    "MADV_HUGEPAGE");
	if (collapse(pf.mem, PAGES)) {
		pf_destroy(&pf);
		return pf_skip("no MADV_COLLAPSE");
	}

	fill_all(&pf, 7, PAGES - 11, 0, 3);
	pf_guest_reads_mapped(&pf, 0, PAGES, SEED_HOST);
	drop(&pf, MIDDLE, 1);
	fill_all(&pf, 0, PAGES, TABLE, 0);
	WRITE_ONCE(*pf_word(pf.mem, MIDDLE), SEED_HOST + MIDDLE);
	TEST_ASSERT(!collapse(pf.mem + PF_HUGE, TABLE), "MADV_COLLAPSE");
	fill_all(&pf, 0, PAGES, 0, 1);
	check_contents(&pf);
	pf_destroy(&pf);
}

static void test_hugetlb_dropped(void)
{
	void *mem = pf_hugetlb(PAGES);
	struct pf_vm pf;

	if (mem == MAP_FAILED)
		return pf_skip("no hugetlb pages of 2M");

	pf = create(mem, PAGES);
	fill_all(&pf, MIDDLE, 1, 0, 1);
	fill_all(&pf, 0, PAGES, 0, 2);
	drop(&pf, TABLE, TABLE);
	fill_all(&pf, 0, PAGES, 0, 1);
	pf_guest_reads_mapped(&pf, MIDDLE, 1, -MIDDLE);
	/* A page that was only read is not writable yet. */
	pf_guest_writes(&pf, 0, PAGES, SEED_GUEST);
	pf_host_reads(mem, PAGES, SEED_GUEST);
	pf_destroy(&pf);
}

/*
 * Pages that userfaultfd has to provide are asked for one by one, and a signal
 * is seen after each.
 */
struct caller {
	pthread_t thread;
	struct pf_vm *pf;
	uint64_t left;
};

static void *call_once(void *arg)
{
	struct caller *caller = arg;
	uint64_t left = caller->left;

	ASSERT_EQ(pre_fault_once(caller->pf->vcpu[0],
				 pf_gpa(caller->pf->pages) - left, left,
				 &caller->left), 0);
	return NULL;
}

static void start_call(struct caller *caller)
{
	TEST_ASSERT(!pthread_create(&caller->thread, NULL, call_once, caller),
		    "pthread_create");
}

static void provide_next(struct pf_vm *pf, int uffd, uint64_t page)
{
	void *mem = pf->mem + page * PF_PAGE;

	ASSERT_EQ(pf_wait_until_missed(uffd), mem);
	pf_provide_page(uffd, mem, SEED_HOST + page);
}

static void ignore_signal(int sig)
{
}

static void check_missing(struct pf_vm *pf, int uffd)
{
	struct caller caller = { .pf = pf, .left = PAGES * PF_PAGE };
	uint64_t before = vm_get_stat(pf->vm, "pages_4k"), i;

	start_call(&caller);
	provide_next(pf, uffd, MIDDLE);
	ASSERT_EQ(pf_wait_until_missed(uffd), pf->mem + (MIDDLE + 1) * PF_PAGE);
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_4k") - before, MIDDLE + 1);
	pthread_kill(caller.thread, SIGUSR1);
	pf_provide_page(uffd, pf->mem + (MIDDLE + 1) * PF_PAGE,
			SEED_HOST + MIDDLE + 1);
	pthread_join(caller.thread, NULL);
	ASSERT_EQ(caller.left, (PAGES - MIDDLE - 2) * PF_PAGE);

	start_call(&caller);
	for (i = MIDDLE + 2; i < PAGES; i++)
		provide_next(pf, uffd, i);
	pthread_join(caller.thread, NULL);
	ASSERT_EQ(caller.left, 0ul);
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_4k") - before, PAGES);
}

static void test_missing(void)
{
	void *mem = pf_anon(PAGES);
	struct pf_vm pf = pf_create(mem, PAGES, 0, 1);
	int uffd;

	pf_host_writes(mem, MIDDLE, SEED_HOST);
	uffd = pf_watch(mem, PAGES);
	if (uffd < 0) {
		pf_destroy(&pf);
		return pf_skip("no userfaultfd");
	}

	signal(SIGUSR1, ignore_signal);
	check_missing(&pf, uffd);
	check_contents(&pf);
	close(uffd);
	pf_destroy(&pf);
}

static const struct pre_fault_case cases[] = {
	{ "parts", test_parts },
	{ "every_other_mapped", test_every_other_mapped },
	{ "two_slots", test_two_slots },
	{ "read_only_slot", test_read_only_slot },
	{ "shifted_small", test_shifted_small },
	{ "shifted_transparent_huge", test_shifted_transparent_huge },
	{ "shifted_hugetlb", test_shifted_hugetlb },
	{ "every_other_absent", test_every_other_absent },
	{ "one_absent", test_one_absent },
	{ "zero_pages", test_zero_pages },
	{ "runs", test_runs },
	{ "file_with_holes", test_file_with_holes },
	{ "every_third_read_only", test_every_third_read_only },
	{ "fork", test_fork },
	{ "fork_huge", test_fork_huge },
	{ "private_file", test_private_file },
	{ "ksm", test_ksm },
	{ "prot_none", test_prot_none },
	{ "protection_key", test_protection_key },
	{ "secret_memory", test_secret_memory },
	{ "not_refcounted", test_not_refcounted },
	{ "pfn_mapping", test_pfn_mapping },
	{ "log_small", test_log_small },
	{ "log_hugetlb", test_log_hugetlb },
	{ "split_by_drop", test_split_by_drop },
	{ "split_by_protection", test_split_by_protection },
	{ "collapse", test_collapse },
	{ "hugetlb_dropped", test_hugetlb_dropped },
	{ "missing", test_missing },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	pf_run_by = in_both_modes;
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
