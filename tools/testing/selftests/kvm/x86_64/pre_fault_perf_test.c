// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM_PRE_FAULT_MEMORY costs for each kind of host memory, what the guest
 * has to pay afterwards, and what it pays without.  Prints KEY=VALUE comments
 * and judges nothing: the figures mean something beside those of another kernel
 * only.  Where there is no such ioctl, only the guest is measured.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <linux/mman.h>

#include "pre_fault_vm.h"

/* Behind all that pf_vm_setup() maps, under the same guest page tables. */
#define PERF_GPA	(PF_WARM_GPA + PG_SIZE_2M)
#define MAX_SIZE	(768ul << 20)

#define MAX_VCPUS	2

/* Which of the host's pages are there before. */
enum populate {
	NONE,
	ALL,
	EVERY_OTHER,
};

struct perf_case {
	const char *name;
	uint64_t page_size;	/* of the host's mappings */
	int flags;		/* of mmap() */
	enum populate populate;
	bool again;		/* all is mapped for the guest already */
};

/* Host memory behind the guest's. */
struct memory {
	void *reserved;
	void *start;
	int hugetlb_before;
};

/* What is counted: first where it stands, then how far it came. */
struct counts {
	uint64_t ns;
	uint64_t faults;
	long tables_kb;
	long slab_kb;
	long free_kb;
};

/* For the guest: where to write, one word in each step. */
struct range {
	uint64_t start;
	uint64_t end;
	uint64_t step;
};

static struct range range;
static bool can_pre_fault;

/* Of the guest's memory, in the cases of 4K and of 2M pages. */
static uint64_t small_size = 256ul << 20;
static uint64_t huge_size = 256ul << 20;

/* In the case that runs. */
static uint64_t mem_size;

static void guest_code(void)
{
	uint64_t gpa, end, step;

	for (;;) {
		end = READ_ONCE(range.end);
		step = READ_ONCE(range.step);
		for (gpa = READ_ONCE(range.start); gpa < end; gpa += step)
			WRITE_ONCE(*(uint64_t *)gpa, gpa);
		GUEST_SYNC(0);
	}
}

static void tell_guest(struct kvm_vcpu *vcpu, uint64_t gpa, uint64_t size,
		       uint64_t step)
{
	range = (struct range) { .start = gpa, .end = gpa + size, .step = step };
	sync_global_to_guest(vcpu->vm, range);
}

static void assert_guest_is_done(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	TEST_ASSERT(get_ucall(vcpu, &uc) == UCALL_SYNC, "the guest stopped for %s",
		    exit_reason_str(vcpu->run->exit_reason));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return timespec_to_ns(now);
}

/* The first number in a file. */
static int read_int(const char *path)
{
	FILE *file = fopen(path, "r");
	int value;

	TEST_ASSERT(file && fscanf(file, "%d", &value) == 1, "read of %s", path);
	fclose(file);
	return value;
}

static void write_int(const char *path, int value)
{
	FILE *file = fopen(path, "w");

	TEST_ASSERT(file && fprintf(file, "%d\n", value) > 0 && !fclose(file),
		    "write of %s", path);
}

static long meminfo_kb(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t len = strlen(name);
	char line[128];
	long kb = 0;

	TEST_ASSERT(file, "fopen of /proc/meminfo");
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			kb = atol(line + len + 1);
	}
	fclose(file);
	return kb;
}

/* Free pages that each CPU keeps to itself. */
static long pageset_kb(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	long pages = 0, count;
	char line[256];

	TEST_ASSERT(file, "fopen of /proc/zoneinfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	}
	fclose(file);
	return pages * (PAGE_SIZE >> 10);
}

static void count_memory(struct counts *counts)
{
	/* Each CPU also keeps some of the counts to itself for a while. */
	write_int("/proc/sys/vm/stat_refresh", 1);
	counts->tables_kb = meminfo_kb("SecPageTables");
	counts->slab_kb = meminfo_kb("SUnreclaim");
	counts->free_kb = meminfo_kb("MemFree") + pageset_kb();
}

/* The clock last before and first after, as counting takes time. */
static struct counts start_counting(struct kvm_vcpu *vcpu)
{
	struct counts counts;

	count_memory(&counts);
	counts.faults = vcpu_faults(vcpu);
	counts.ns = now_ns();
	return counts;
}

static void stop_counting(struct kvm_vcpu *vcpu, struct counts *counts)
{
	uint64_t ns = now_ns();
	struct counts now;

	count_memory(&now);
	counts->ns = ns - counts->ns;
	counts->faults = vcpu_faults(vcpu) - counts->faults;
	counts->tables_kb = now.tables_kb - counts->tables_kb;
	counts->slab_kb = now.slab_kb - counts->slab_kb;
	counts->free_kb -= now.free_kb;
}

static void put_counts(const struct perf_case *c, const char *what,
		       const struct counts *counts)
{
	printf("# %s.%s.ns=%lu\n", c->name, what, counts->ns);
	printf("# %s.%s.faults=%lu\n", c->name, what, counts->faults);
	printf("# %s.%s.tables_kb=%ld\n", c->name, what, counts->tables_kb);
	printf("# %s.%s.slab_kb=%ld\n", c->name, what, counts->slab_kb);
	printf("# %s.%s.used_kb=%ld\n", c->name, what, counts->free_kb);
}

#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"

static void reserve_hugetlb(struct memory *mem)
{
	mem->hugetlb_before = read_int(NR_HUGEPAGES);
	write_int(NR_HUGEPAGES, mem->hugetlb_before + mem_size / PG_SIZE_2M);
}

static void advise_size(const struct perf_case *c, void *start)
{
	int advice = c->page_size == PAGE_SIZE ? MADV_NOHUGEPAGE : MADV_HUGEPAGE;

	if (!(c->flags & MAP_HUGETLB) && thp_configured())
		TEST_ASSERT(!madvise(start, mem_size, advice), "madvise");
}

/* Starts at a 2M boundary, as what is mapped by 2M must. */
static void map_memory(const struct perf_case *c, struct memory *mem)
{
	int fd = c->flags & MAP_SHARED ? kvm_memfd_alloc(mem_size, false) : -1;

	if (c->flags & MAP_HUGETLB)
		reserve_hugetlb(mem);

	mem->reserved = mmap(NULL, mem_size + PG_SIZE_2M, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(mem->reserved != MAP_FAILED, "mmap of an address range");
	mem->start = mmap(align_ptr_up(mem->reserved, PG_SIZE_2M), mem_size,
			  PROT_READ | PROT_WRITE, c->flags | MAP_FIXED, fd, 0);
	TEST_ASSERT(mem->start != MAP_FAILED, "mmap of the guest's memory");

	if (fd >= 0)
		close(fd);
	advise_size(c, mem->start);
}

static void unmap_memory(const struct perf_case *c, struct memory *mem)
{
	munmap(mem->reserved, mem_size + PG_SIZE_2M);
	if (c->flags & MAP_HUGETLB)
		write_int(NR_HUGEPAGES, mem->hugetlb_before);
}

static void populate(const struct perf_case *c, void *start)
{
	uint64_t i;

	if (c->populate == ALL)
		TEST_ASSERT(!madvise(start, mem_size, MADV_POPULATE_WRITE),
			    "MADV_POPULATE_WRITE");
	if (c->populate != EVERY_OTHER)
		return;

	for (i = 0; i < mem_size; i += 2 * PAGE_SIZE)
		WRITE_ONCE(*(uint64_t *)(start + i), i);
}

static struct kvm_vm *create_vm(uint32_t nr_vcpus, struct kvm_vcpu **vcpus,
				void *start)
{
	struct kvm_vm *vm = vm_create_with_vcpus(nr_vcpus, guest_code, vcpus);

	pf_vm_setup(vm);
	virt_map_level(vm, PERF_GPA, PERF_GPA, mem_size, PG_LEVEL_2M);
	vm_set_user_memory_region(vm, PF_SLOT, 0, PERF_GPA, mem_size, start);
	return vm;
}

/* A VM whose guest has run, so that only what is measured is not mapped yet. */
static struct kvm_vcpu *create_warm_vm(const struct perf_case *c,
				       struct memory *mem)
{
	struct kvm_vcpu *vcpu;

	map_memory(c, mem);
	populate(c, mem->start);
	create_vm(1, &vcpu, mem->start);
	tell_guest(vcpu, PF_WARM_GPA, PAGE_SIZE, PAGE_SIZE);
	vcpu_run(vcpu);
	assert_guest_is_done(vcpu);
	return vcpu;
}

static void destroy_vm(const struct perf_case *c, struct kvm_vcpu *vcpu,
		       struct memory *mem)
{
	kvm_vm_free(vcpu->vm);
	unmap_memory(c, mem);
}

static void measure_call(const struct perf_case *c, struct kvm_vcpu *vcpu)
{
	struct counts counts = start_counting(vcpu);
	int r = pre_fault(vcpu, PERF_GPA, mem_size);

	stop_counting(vcpu, &counts);
	ASSERT_EQ(r, 0);
	put_counts(c, "call", &counts);
}

static void measure_guest(const struct perf_case *c, struct kvm_vcpu *vcpu,
			  const char *what)
{
	struct counts counts;

	tell_guest(vcpu, PERF_GPA, mem_size, c->page_size);
	counts = start_counting(vcpu);
	vcpu_run(vcpu);
	stop_counting(vcpu, &counts);
	assert_guest_is_done(vcpu);
	put_counts(c, what, &counts);
}

static void measure_with(const struct perf_case *c)
{
	struct memory mem;
	struct kvm_vcpu *vcpu = create_warm_vm(c, &mem);

	if (c->again)
		ASSERT_EQ(pre_fault(vcpu, PERF_GPA, mem_size), 0);
	measure_call(c, vcpu);
	if (!c->again)
		measure_guest(c, vcpu, "after");
	destroy_vm(c, vcpu, &mem);
}

static void measure_without(const struct perf_case *c)
{
	struct memory mem;
	struct kvm_vcpu *vcpu = create_warm_vm(c, &mem);

	measure_guest(c, vcpu, "without");
	destroy_vm(c, vcpu, &mem);
}

static void run_case(const struct perf_case *c)
{
	mem_size = c->page_size == PAGE_SIZE ? small_size : huge_size;
	printf("# %s.pages=%lu\n", c->name, mem_size / c->page_size);
	if (can_pre_fault)
		measure_with(c);
	if (!c->again)
		measure_without(c);
	ksft_test_result_pass("%s\n", c->name);
}

#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define SHMEM	MAP_SHARED
#define HUGETLB	(ANON | MAP_HUGETLB | MAP_HUGE_2MB)

static const struct perf_case cases[] = {
	{ "populated_anon",	PAGE_SIZE,	ANON,		ALL },
	{ "populated_shmem",	PAGE_SIZE,	SHMEM,		ALL },
	{ "absent_anon",	PAGE_SIZE,	ANON,		NONE },
	{ "absent_shmem",	PAGE_SIZE,	SHMEM,		NONE },
	{ "holes",		PAGE_SIZE,	ANON,		EVERY_OTHER },
	{ "mapped",		PAGE_SIZE,	ANON,		ALL,	true },
	{ "thp",		PG_SIZE_2M,	ANON,		ALL },
	{ "hugetlb",		PG_SIZE_2M,	HUGETLB,	ALL },
};

/* A vCPU's thread, which pre-faults its part of the memory. */
struct worker {
	pthread_t thread;
	struct kvm_vcpu *vcpu;
	unsigned int nr_workers;
	uint64_t gpa;
	uint64_t size;
	uint64_t start_ns;
	uint64_t end_ns;
};

static unsigned int nr_ready;

static void *work(void *arg)
{
	struct worker *w = arg;

	__atomic_add_fetch(&nr_ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&nr_ready, __ATOMIC_SEQ_CST) < w->nr_workers)
		sched_yield();

	w->start_ns = now_ns();
	ASSERT_EQ(pre_fault(w->vcpu, w->gpa, w->size), 0);
	w->end_ns = now_ns();
	return NULL;
}

static void start_worker(struct worker *w, struct kvm_vcpu *vcpu,
			 unsigned int i, unsigned int nr)
{
	*w = (struct worker) {
		.vcpu = vcpu,
		.nr_workers = nr,
		.gpa = PERF_GPA + i * (mem_size / nr),
		.size = mem_size / nr,
	};
	TEST_ASSERT(!pthread_create(&w->thread, NULL, work, w), "pthread_create");
}

/* From the first worker's start to the last one's end. */
static uint64_t workers_ns(unsigned int nr, struct kvm_vcpu **vcpus)
{
	struct worker workers[MAX_VCPUS];
	uint64_t start = UINT64_MAX, end = 0;
	unsigned int i;

	nr_ready = 0;
	for (i = 0; i < nr; i++)
		start_worker(&workers[i], vcpus[i], i, nr);
	for (i = 0; i < nr; i++) {
		pthread_join(workers[i].thread, NULL);
		start = min(start, workers[i].start_ns);
		end = max(end, workers[i].end_ns);
	}

	return end - start;
}

/* All the memory by @nr vCPUs of a fresh VM. */
static uint64_t shared_call_ns(unsigned int nr, void *start)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	struct kvm_vm *vm = create_vm(nr, vcpus, start);
	uint64_t ns = workers_ns(nr, vcpus);

	kvm_vm_free(vm);
	return ns;
}

/* One vCPU and two in turn, so that what disturbs this host disturbs both. */
static void run_parallel(unsigned int rounds)
{
	const struct perf_case *c = &cases[0];
	struct memory mem;
	unsigned int i;

	mem_size = small_size;
	map_memory(c, &mem);
	populate(c, mem.start);
	for (i = 0; i < rounds; i++) {
		printf("# parallel.%u.one_ns=%lu\n", i,
		       shared_call_ns(1, mem.start));
		printf("# parallel.%u.two_ns=%lu\n", i,
		       shared_call_ns(2, mem.start));
	}
	unmap_memory(c, &mem);
	ksft_test_result_pass("parallel\n");
}

static bool is_wanted(const struct perf_case *c, const char *only)
{
	return !only || !strcmp(c->name, only);
}

static void run_cases(const char *only)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (is_wanted(&cases[i], only))
			run_case(&cases[i]);
	}
}

static unsigned int nr_wanted(const char *only)
{
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		nr += is_wanted(&cases[i], only);
	return nr;
}

static void help(const char *name)
{
	printf("usage: %s [-c case] [-b size] [-u size] [-j rounds]\n"
	       "  -c  only this case\n"
	       "  -b  the guest's memory in the cases of 4K pages, default: 256M\n"
	       "  -u  the same in those of 2M pages\n"
	       "  -j  only two vCPUs against one, so many times\n"
	       "Sizes are multiples of 2M, 768M at most.\n", name);
	exit(KSFT_FAIL);
}

static bool size_is_valid(uint64_t size)
{
	return size && size % PG_SIZE_2M == 0 && size <= MAX_SIZE;
}

int main(int argc, char *argv[])
{
	unsigned int rounds = 0;
	const char *only = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "b:c:j:u:")) != -1) {
		if (opt == 'b')
			small_size = parse_size(optarg);
		else if (opt == 'c')
			only = optarg;
		else if (opt == 'j')
			rounds = strtoul(optarg, NULL, 0);
		else if (opt == 'u')
			huge_size = parse_size(optarg);
		else
			help(argv[0]);
	}
	if (!size_is_valid(small_size) || !size_is_valid(huge_size))
		help(argv[0]);

	/* Nothing that is printed may get lost with an assertion. */
	setbuf(stdout, NULL);
	ksft_print_header();
	ksft_set_plan(rounds ? 1 : nr_wanted(only));
	can_pre_fault = kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY);
	printf("# supported=%d\n", can_pre_fault);

	if (rounds)
		run_parallel(rounds);
	else
		run_cases(only);

	ksft_finished();
}
