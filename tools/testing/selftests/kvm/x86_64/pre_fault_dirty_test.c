// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY in slots with dirty logging, by bitmap and by ring: it
 * logs nothing, and whatever the guest writes afterwards is logged, exactly.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "pre_fault_guest.h"

#define SEED_HOST	0x1111000000000000ul
#define SEED_GUEST	0x2222000000000000ul
#define SEED_AGAIN	0x3333000000000000ul

/* Pages in a case of 4K pages, and rounds in one with threads. */
static uint64_t nr_pages = 512;
static uint64_t nr_rounds = 20;

/* How the bitmap is used. */
#define LOG_PLAIN	0	/* reading it clears it */
#define LOG_MANUAL	KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE
#define LOG_INIT_SET	(LOG_MANUAL | KVM_DIRTY_LOG_INITIALLY_SET)

static unsigned int log_mode;

/* Room for the log of the largest slot here, a bit for each page. */
static unsigned long dirty[4096 / BITS_PER_LONG];

static unsigned int nr_dirty(struct pf_vm *pf)
{
	unsigned int i, nr = 0;

	for (i = 0; i < pf->pages / BITS_PER_LONG; i++)
		nr += __builtin_popcountl(dirty[i]);

	return nr;
}

static bool is_dirty(uint64_t page)
{
	return dirty[page / BITS_PER_LONG] & BIT(page % BITS_PER_LONG);
}

static void set_dirty(uint64_t page)
{
	dirty[page / BITS_PER_LONG] |= BIT(page % BITS_PER_LONG);
}

static void set_log_mode(struct pf_vm *pf, unsigned int mode)
{
	log_mode = mode;
	if (mode)
		vm_enable_cap(pf->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, mode);
}

static void set_logging(struct pf_vm *pf, bool on)
{
	pf->flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	ASSERT_EQ(pf_set_slot(pf, PF_GPA, pf->pages), 0);
}

/* Reads the log into @dirty and clears what it holds. */
static void take_log(struct pf_vm *pf)
{
	kvm_vm_get_dirty_log(pf->vm, PF_SLOT, dirty);
	if (log_mode)
		kvm_vm_clear_dirty_log(pf->vm, PF_SLOT, dirty, 0, pf->pages);
}

/* With INITIALLY_SET all is dirty at first, which says nothing. */
static void start_logging(struct pf_vm *pf)
{
	set_logging(pf, true);
	take_log(pf);
	ASSERT_EQ(nr_dirty(pf),
		  log_mode == LOG_INIT_SET ? pf->pages : 0);
}

static void assert_log_empty(struct pf_vm *pf)
{
	take_log(pf);
	ASSERT_EQ(nr_dirty(pf), 0u);
}

static void assert_log_is(struct pf_vm *pf, const uint64_t *pages,
			  unsigned int nr)
{
	unsigned int i;

	take_log(pf);
	ASSERT_EQ(nr_dirty(pf), nr);
	for (i = 0; i < nr; i++)
		TEST_ASSERT(is_dirty(pages[i]),
			    "page %lu was written and not logged", pages[i]);
}

static void pre_fault_and_log_nothing(struct pf_vm *pf)
{
	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	assert_log_empty(pf);
}

static void read_and_log_nothing(struct pf_vm *pf, uint64_t seed)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]);

	pf_guest_reads(pf, 0, pf->pages, seed);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
	assert_log_empty(pf);
}

/* Each page takes a fault if writes are logged by write protection. */
static void write_some(struct pf_vm *pf, const uint64_t *pages,
		       unsigned int nr, uint64_t seed)
{
	uint64_t faults = vcpu_faults(pf->vcpu[0]);
	unsigned int i;

	for (i = 0; i < nr; i++)
		pf_guest_writes(pf, pages[i], 1, seed);
	faults = vcpu_faults(pf->vcpu[0]) - faults;
	TEST_ASSERT(faults <= nr, "%lu faults to write to %u pages", faults, nr);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(READ_ONCE(*pf_word(pf->mem, pages[i])),
			  seed + pages[i]);
}

/* The writes are logged, and so are the next ones to the same pages. */
static void write_and_log_exactly(struct pf_vm *pf)
{
	const uint64_t pages[] = { 0, 7, pf->pages - 1 };
	const unsigned int nr = ARRAY_SIZE(pages);

	write_some(pf, pages, nr, SEED_GUEST);
	assert_log_is(pf, pages, nr);
	write_some(pf, pages, nr, SEED_AGAIN);
	assert_log_is(pf, pages, nr);
	write_some(pf, pages, nr, SEED_HOST);
	assert_log_is(pf, pages, nr);
}

/* Once writable, all stays writable. */
static void write_all_unlogged(struct pf_vm *pf)
{
	uint64_t faults;

	set_logging(pf, false);
	pf_guest_writes(pf, 0, pf->pages, SEED_AGAIN);
	faults = vcpu_faults(pf->vcpu[0]);
	pf_guest_writes(pf, 0, pf->pages, SEED_GUEST);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST);
}

static struct pf_vm create_logged(unsigned int mode)
{
	void *mem = pf_anon(nr_pages);
	struct pf_vm pf = pf_create(mem, nr_pages, 0, 1);

	pf_host_writes(mem, nr_pages, SEED_HOST);
	set_log_mode(&pf, mode);
	return pf;
}

/* Nothing is mapped when logging starts. */
static void check_new(unsigned int mode)
{
	struct pf_vm pf = create_logged(mode);

	start_logging(&pf);
	pre_fault_and_log_nothing(&pf);
	read_and_log_nothing(&pf, SEED_HOST);
	write_and_log_exactly(&pf);
	write_all_unlogged(&pf);
	pf_destroy(&pf);
}

static void test_new_plain(void)
{
	check_new(LOG_PLAIN);
}

static void test_new_manual(void)
{
	check_new(LOG_MANUAL);
}

static void test_new_init_set(void)
{
	check_new(LOG_INIT_SET);
}

/* All is mapped writable when logging starts. */
static void check_mapped(unsigned int mode)
{
	struct pf_vm pf = create_logged(mode);

	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	start_logging(&pf);
	pre_fault_and_log_nothing(&pf);
	read_and_log_nothing(&pf, SEED_HOST);
	write_and_log_exactly(&pf);
	write_all_unlogged(&pf);
	pf_destroy(&pf);
}

static void test_mapped_plain(void)
{
	check_mapped(LOG_PLAIN);
}

static void test_mapped_manual(void)
{
	check_mapped(LOG_MANUAL);
}

static void test_mapped_init_set(void)
{
	check_mapped(LOG_INIT_SET);
}

/* Over what the guest has written to, before and after the log is taken. */
static void check_written(unsigned int mode)
{
	const uint64_t pages[] = { 1, 2, 8 };
	struct pf_vm pf = create_logged(mode);

	start_logging(&pf);
	write_some(&pf, pages, ARRAY_SIZE(pages), SEED_HOST);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	assert_log_is(&pf, pages, ARRAY_SIZE(pages));
	pre_fault_and_log_nothing(&pf);
	write_some(&pf, pages, ARRAY_SIZE(pages), SEED_GUEST);
	assert_log_is(&pf, pages, ARRAY_SIZE(pages));
	pf_destroy(&pf);
}

static void test_written_plain(void)
{
	check_written(LOG_PLAIN);
}

static void test_written_manual(void)
{
	check_written(LOG_MANUAL);
}

/* All is dirty until the log is cleared for the first time. */
static void test_init_set_uncleared(void)
{
	struct pf_vm pf = create_logged(LOG_INIT_SET);

	set_logging(&pf, true);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	take_log(&pf);
	ASSERT_EQ(nr_dirty(&pf), nr_pages);
	read_and_log_nothing(&pf, SEED_HOST);
	write_and_log_exactly(&pf);
	pf_destroy(&pf);
}

/*
 * Huge pages are logged by 4K: an entry that is there is left to the first
 * write, which replaces it.
 */
#define HUGE_PAGES	(2 * PF_HUGE_PAGES)

static void assert_huge(struct pf_vm *pf, uint64_t before, uint64_t nr)
{
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_2m") - before, nr);
}

static void write_to_huge(struct pf_vm *pf, uint64_t before)
{
	const uint64_t page = PF_HUGE_PAGES + 3;

	pf_guest_writes(pf, page, 1, SEED_HOST);
	assert_log_is(pf, &page, 1);
	assert_huge(pf, before, 1);

	/* Around the 4K entry by which the write has replaced it. */
	pre_fault_and_log_nothing(pf);
	assert_huge(pf, before, 1);
	read_and_log_nothing(pf, SEED_HOST);
}

static void check_huge_mem(void *mem, unsigned int mode)
{
	struct pf_vm pf = pf_create(mem, HUGE_PAGES, 0, 1);
	uint64_t before = vm_get_stat(pf.vm, "pages_2m");

	pf_host_writes(mem, HUGE_PAGES, SEED_HOST);
	set_log_mode(&pf, mode);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	assert_huge(&pf, before, 2);

	set_logging(&pf, true);
	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	assert_huge(&pf, before, 2);
	take_log(&pf);
	pre_fault_and_log_nothing(&pf);
	assert_huge(&pf, before, 2);
	read_and_log_nothing(&pf, SEED_HOST);
	write_to_huge(&pf, before);
	pf_destroy(&pf);
}

/* KVM splits huge mappings when logging starts unless it is told not to. */
static void check_huge(unsigned int mode)
{
	void *mem = pf_hugetlb(HUGE_PAGES);
	int eager;

	if (mem == MAP_FAILED)
		return pf_skip("no hugetlb pages of 2M");

	eager = pf_set_kvm_param("eager_page_split", 0);
	TEST_ASSERT(eager >= 0, "kvm.eager_page_split cannot be set");
	check_huge_mem(mem, mode);
	pf_set_kvm_param("eager_page_split", eager);
}

static void test_huge_plain(void)
{
	check_huge(LOG_PLAIN);
}

static void test_huge_init_set(void)
{
	check_huge(LOG_INIT_SET);
}

/*
 * The ring.  Intel's page modification logging keeps 512 entries in reserve,
 * beside the 64 of all.
 */
#define RING_WRITES	64

static unsigned int ring_entries(void)
{
	return is_intel_cpu() ? 1024 : 256;
}

static uint64_t ring_pages(void)
{
	return 2 * ring_entries();
}

static uint64_t ring_weight(struct kvm_vcpu *vcpu)
{
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(vcpu);
	uint64_t weight = 0;
	unsigned int i;

	for (i = 0; i < vcpu->dirty_gfns_count; i++)
		weight += READ_ONCE(ring[i].flags) == KVM_DIRTY_GFN_F_DIRTY;

	return weight;
}

/* Moves the entries of the ring to @dirty and makes KVM reset them. */
static void take_ring(struct pf_vm *pf)
{
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(pf->vcpu[0]);
	uint32_t i, nr = 0;

	memset(dirty, 0, sizeof(dirty));
	for (i = 0; i < pf->vcpu[0]->dirty_gfns_count; i++) {
		if (READ_ONCE(ring[i].flags) != KVM_DIRTY_GFN_F_DIRTY)
			continue;
		ASSERT_EQ(ring[i].slot, PF_SLOT);
		TEST_ASSERT(ring[i].offset < pf->pages, "offset %llu",
			    ring[i].offset);
		set_dirty(ring[i].offset);
		WRITE_ONCE(ring[i].flags, KVM_DIRTY_GFN_F_RESET);
		nr++;
	}

	ASSERT_EQ(kvm_vm_reset_dirty_ring(pf->vm), nr);
}

static void write_and_push_exactly(struct pf_vm *pf, uint64_t first)
{
	uint64_t i;

	pf_guest_writes(pf, first, RING_WRITES, SEED_GUEST);
	ASSERT_EQ(ring_weight(pf->vcpu[0]), RING_WRITES);
	take_ring(pf);
	ASSERT_EQ(nr_dirty(pf), RING_WRITES);
	for (i = 0; i < RING_WRITES; i++)
		TEST_ASSERT(is_dirty(first + i),
			    "page %lu was written and not pushed", first + i);
}

static void check_ring(struct pf_vm *pf)
{
	uint64_t faults;

	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	ASSERT_EQ(ring_weight(pf->vcpu[0]), 0ul);

	faults = vcpu_faults(pf->vcpu[0]);
	pf_guest_reads(pf, 0, pf->pages, SEED_HOST);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
	ASSERT_EQ(ring_weight(pf->vcpu[0]), 0ul);

	write_and_push_exactly(pf, 0);
	write_and_push_exactly(pf, pf->pages - RING_WRITES);

	/* Over what has been written to and reset. */
	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	ASSERT_EQ(ring_weight(pf->vcpu[0]), 0ul);
	write_and_push_exactly(pf, 0);
}

static void test_ring(void)
{
	uint32_t bytes = ring_entries() * sizeof(struct kvm_dirty_gfn);
	uint64_t pages = ring_pages();
	void *mem = pf_anon(pages);
	struct pf_vm pf;

	if (!kvm_has_cap(KVM_CAP_DIRTY_LOG_RING)) {
		munmap(mem, pages * PF_PAGE);
		return pf_skip("no dirty ring");
	}

	pf = pf_create_with_ring(mem, pages, KVM_MEM_LOG_DIRTY_PAGES, 1, bytes);
	pf_host_writes(mem, pages, SEED_HOST);
	check_ring(&pf);
	pf_destroy(&pf);
}

/*
 * Logging is switched on and off while another thread pre-faults, and forces
 * itself to do so again and again by taking the host's mappings away.
 */
static atomic_uint passes;
static atomic_bool stop;

static void *pre_fault_thread(void *arg)
{
	struct pf_vm *pf = arg;

	while (!stop) {
		TEST_ASSERT(!madvise(pf->mem, pf->pages * PF_PAGE,
				     MADV_DONTNEED), "MADV_DONTNEED");
		ASSERT_EQ(pf_pre_fault(pf, 1), 0);
		passes++;
	}

	return NULL;
}

static void wait_for_passes(unsigned int nr)
{
	unsigned int start = passes;

	while (passes - start < nr)
		sched_yield();
}

/* Every page in one round, or a few that are others in each. */
static void write_and_log_all(struct pf_vm *pf, unsigned int round)
{
	uint64_t first = round % 4 ? round * 7 % pf->pages : 0, i;
	uint64_t nr = min(round % 4 ? 5 : pf->pages, pf->pages - first);

	pf_guest_writes(pf, first, nr, SEED_AGAIN);
	take_log(pf);
	ASSERT_EQ(nr_dirty(pf), nr);
	for (i = 0; i < nr; i++)
		TEST_ASSERT(is_dirty(first + i),
			    "page %lu was written and not logged", first + i);
	pf_guest_writes(pf, first, nr, SEED_HOST);
	take_log(pf);
	ASSERT_EQ(nr_dirty(pf), nr);
}

static void toggle_logging(struct pf_vm *pf)
{
	unsigned int i;

	for (i = 0; i < nr_rounds; i++) {
		set_logging(pf, true);
		wait_for_passes(1);
		assert_log_empty(pf);
		write_and_log_all(pf, i);
		set_logging(pf, false);
		/* An odd number of yields, so as not to fall into step. */
		sched_yield();
	}
}

static void test_toggle(void)
{
	int fd = pf_file(nr_pages, SEED_HOST);
	struct pf_vm pf = pf_create(pf_mmap(nr_pages, MAP_SHARED, fd), nr_pages,
				    0, 2);
	pthread_t thread;

	set_log_mode(&pf, LOG_PLAIN);
	stop = false;
	pthread_create(&thread, NULL, pre_fault_thread, &pf);
	toggle_logging(&pf);
	stop = true;
	pthread_join(thread, NULL);

	start_logging(&pf);
	pre_fault_and_log_nothing(&pf);
	read_and_log_nothing(&pf, SEED_HOST);
	write_and_log_exactly(&pf);
	close(fd);
	pf_destroy(&pf);
}

static const struct pre_fault_case cases[] = {
	{ "new_plain", test_new_plain },
	{ "new_manual", test_new_manual },
	{ "new_init_set", test_new_init_set },
	{ "mapped_plain", test_mapped_plain },
	{ "mapped_manual", test_mapped_manual },
	{ "mapped_init_set", test_mapped_init_set },
	{ "written_plain", test_written_plain },
	{ "written_manual", test_written_manual },
	{ "init_set_uncleared", test_init_set_uncleared },
	{ "huge_plain", test_huge_plain },
	{ "huge_init_set", test_huge_init_set },
	{ "ring", test_ring },
	{ "toggle", test_toggle },
};

static const struct pf_option options[] = {
	{ 'p', "pages", &nr_pages },
	{ 'n', "rounds", &nr_rounds },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, options, ARRAY_SIZE(options));

	/* The log is cleared by multiples of 64 pages. */
	if (nr_pages < 64 || nr_pages > 4096 || nr_pages % 64)
		pf_usage(argv[0], options, ARRAY_SIZE(options));

	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
