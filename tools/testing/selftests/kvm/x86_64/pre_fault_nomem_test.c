// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY when memory runs out: each allocation of a call is made
 * to fail in turn, from that of the root on.  The call has to fail cleanly or to
 * do without, and the next one to do the rest.
 *
 * Needs FAULT_INJECTION with FAILSLAB and FAIL_PAGE_ALLOC, and root.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <fcntl.h>
#include <stdlib.h>

#include "pre_fault_vm.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUGFS		"/sys/kernel/debug/"
#define SIZE		(8 * PAGE_SIZE)

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
 * The first call for a new vCPU, with its @nth allocation failing.  Host memory
 * that cannot be allocated is memory that cannot be faulted in.
 *
 * Return: whether there was an @nth allocation.
 */
static bool call_with_failure(struct kvm_vcpu *vcpu, unsigned int nth,
			      unsigned int *nr_errors)
{
	uint64_t left = SIZE;
	bool failed;
	int r;

	set_fail_nth(nth);
	r = pre_fault_once(vcpu, PF_GPA, SIZE, &left);
	failed = has_failed();
	set_fail_nth(0);

	TEST_ASSERT(!r || (failed && (r == -ENOMEM || r == -EFAULT)),
		    "allocation %u failed: %d", nth, r);
	TEST_ASSERT(!r || left == SIZE, "progress and an error");
	*nr_errors += !!r;
	return failed;
}

static bool fail_allocation(unsigned int nth, unsigned int *nr_errors)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_anon(SIZE / PAGE_SIZE);
	bool failed;

	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, SIZE, mem);
	failed = call_with_failure(vcpu, nth, nr_errors);

	pf_fill(mem, SIZE);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SIZE), 0);
	pf_warm_up(vcpu);
	pf_assert_mapped(vcpu, PF_GPA, SIZE, mem);
	kvm_vm_free(vm);
	return failed;
}

static void test_each_allocation(void)
{
	unsigned int nth = 1, nr_errors = 0;

	setup_fault_injection();
	while (fail_allocation(nth, &nr_errors))
		nth++;

	ksft_print_msg("%u allocations, %u of them indispensable\n", nth - 1,
		       nr_errors);
	TEST_ASSERT(nr_errors, "no failure was seen");
}

static const struct pre_fault_case cases[] = {
	{ "each_allocation", test_each_allocation },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	fail_nth_fd = open(FAIL_NTH, O_RDWR);
	__TEST_REQUIRE(fail_nth_fd >= 0, "no fault injection");
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
