// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY when memory runs out: each allocation of a call is made
 * to fail in turn, from that of the root on, or from the middle of the call on.
 * The call has to fail cleanly, to stop early or to do without, and the next one
 * to do the rest.
 *
 * Needs FAULT_INJECTION with FAILSLAB and FAIL_PAGE_ALLOC, and root.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <fcntl.h>
#include <stdlib.h>

#include "pre_fault_vm.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUGFS		"/sys/kernel/debug/"
#define SIZE		(16 * PAGE_SIZE)

/*
 * Of a call that runs out of memory, the part before a new page table: one page
 * less than KVM faults in before it looks at what it has done, for the page that
 * takes the table, and with it what memory there was, to be the last of those.
 */
#define BEFORE_TABLE	(7 * PAGE_SIZE)

/* More page tables than a vCPU keeps memory for. */
#define MAX_TABLES	48

/* What came of the calls that an allocation failed in. */
struct outcomes {
	unsigned int calls;
	unsigned int errors;
	unsigned int stopped_early;
};

/*
 * Kept open, or else opening it could be what fails: the count goes on after
 * the call.
 */
static int fail_nth_fd;

static void set_fail_nth(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	TEST_ASSERT(pwrite(fail_nth_fd, text, len, 0) == len,
		    "write to fail-nth failed, errno %d", errno);
}

static bool has_failed(void)
{
	char text[16] = "";

	TEST_ASSERT(pread(fail_nth_fd, text, sizeof(text) - 1, 0) > 0,
		    "read of fail-nth failed, errno %d", errno);
	return !atoi(text);
}

/* Also allocations that may sleep, of single pages, and without a word. */
static void setup_fault_injection(void)
{
	pf_write_file(DEBUGFS "failslab/ignore-gfp-wait", "N");
	pf_write_file(DEBUGFS "failslab/verbose", "0");
	pf_write_file(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N");
	pf_write_file(DEBUGFS "fail_page_alloc/min-order", "0");
	pf_write_file(DEBUGFS "fail_page_alloc/verbose", "0");
}

/*
 * A call with its @nth allocation failing.  Host memory that cannot be allocated
 * is memory that cannot be faulted in.
 *
 * Return: whether there was an @nth allocation.
 */
static bool call_with_failure(struct kvm_vcpu *vcpu, uint64_t gpa,
			      unsigned int nth, struct outcomes *seen)
{
	uint64_t left = SIZE;
	bool failed;
	int r;

	set_fail_nth(nth);
	r = pre_fault_once(vcpu, gpa, SIZE, &left);
	failed = has_failed();
	set_fail_nth(0);

	TEST_ASSERT(!r || (failed && (r == -ENOMEM || r == -EFAULT)),
		    "allocation %u failed: %d", nth, r);
	TEST_ASSERT(!r || left == SIZE, "progress and an error");
	TEST_ASSERT(r || failed || !left, "stopped early without a failure");
	seen->calls += failed;
	seen->errors += !!r;
	seen->stopped_early += !r && left;
	return failed;
}

static void assert_rest_is_done(struct kvm_vcpu *vcpu, uint64_t gpa, void *mem)
{
	pf_fill(mem, SIZE);
	ASSERT_EQ(pre_fault(vcpu, gpa, SIZE), 0);
	pf_warm_up(vcpu);
	pf_assert_mapped(vcpu, gpa, SIZE, mem);
}

static bool fail_in_first_call(unsigned int nth, struct outcomes *seen)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_anon(SIZE / PAGE_SIZE);
	bool failed;

	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, SIZE, mem);
	failed = call_with_failure(vcpu, PF_GPA, nth, seen);
	assert_rest_is_done(vcpu, PF_GPA, mem);
	kvm_vm_free(vm);
	return failed;
}

static void test_each_allocation(void)
{
	struct outcomes seen = {};
	unsigned int nth = 1;

	setup_fault_injection();
	while (fail_in_first_call(nth, &seen))
		nth++;

	ksft_print_msg("%u allocations, %u of them indispensable\n", seen.calls,
		       seen.errors);
	TEST_ASSERT(seen.errors, "no failure was seen");
}

/* A VM with a slot in which each 2M takes a page table. */
static struct kvm_vm *create_vm_with_tables(struct kvm_vcpu **vcpu, void **mem)
{
	uint64_t size = MAX_TABLES * PF_HUGE;
	struct kvm_vm *vm = pf_vm_create(vcpu);

	*mem = pf_anon(size / PAGE_SIZE);
	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, size, *mem);
	return vm;
}

static void map_first_page_of_table(struct kvm_vcpu *vcpu, void *mem,
				    unsigned int table)
{
	pf_fill(mem + table * PF_HUGE, PAGE_SIZE);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA + table * PF_HUGE, PAGE_SIZE), 0);
}

/* The first table before which the vCPU has to allocate memory again. */
static unsigned int find_refill(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm_with_tables(&vcpu, &mem);
	struct outcomes seen = {};
	unsigned int table;

	map_first_page_of_table(vcpu, mem, 0);
	for (table = 1; table < MAX_TABLES && !seen.calls; table++) {
		pf_fill(mem + table * PF_HUGE, SIZE);
		call_with_failure(vcpu, PF_GPA + table * PF_HUGE, 1, &seen);
	}
	TEST_ASSERT(seen.calls, "%u tables took no memory", MAX_TABLES);
	kvm_vm_free(vm);
	return table - 1;
}

/*
 * A call that comes to table @refill, which is where it begins to allocate if
 * host memory is @populated.
 */
static bool fail_in_refill(unsigned int refill, bool populated, unsigned int nth,
			   struct outcomes *seen)
{
	uint64_t offset = refill * PF_HUGE - BEFORE_TABLE;
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm_with_tables(&vcpu, &mem);
	unsigned int table;
	bool failed;

	for (table = 0; table < refill - 1; table++)
		map_first_page_of_table(vcpu, mem, table);
	if (populated)
		pf_fill(mem + offset, SIZE);

	failed = call_with_failure(vcpu, PF_GPA + offset, nth, seen);
	assert_rest_is_done(vcpu, PF_GPA + offset, mem + offset);
	kvm_vm_free(vm);
	return failed;
}

static void fail_late(bool populated)
{
	struct outcomes seen = {};
	unsigned int refill, nth = 1;

	setup_fault_injection();
	refill = find_refill();
	while (fail_in_refill(refill, populated, nth, &seen))
		nth++;

	ksft_print_msg("%u allocations, %u calls stopped early, %u failed\n",
		       seen.calls, seen.stopped_early, seen.errors);
	TEST_ASSERT(seen.stopped_early, "no call had done a part");
}

static void test_after_progress(void)
{
	fail_late(true);
}

static void test_after_progress_absent(void)
{
	fail_late(false);
}

static const struct pre_fault_case cases[] = {
	{ "each_allocation", test_each_allocation },
	{ "after_progress", test_after_progress },
	{ "after_progress_absent", test_after_progress_absent },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	fail_nth_fd = open(FAIL_NTH, O_RDWR);
	__TEST_REQUIRE(fail_nth_fd >= 0, "no fault injection");
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
