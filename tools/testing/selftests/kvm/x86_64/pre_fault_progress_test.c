// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY: what a call gets done, how it tells, and that what has
 * been processed is mapped: the guest takes no stage-2 fault there.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "pre_fault_vm.h"

#define SLOT_SIZE	(16 * PAGE_SIZE)
#define LONG_SIZE	(16ull << 20)

/* One call, which has to stop at @stop. */
static void assert_stops_at(struct kvm_vcpu *vcpu, uint64_t gpa, uint64_t end,
			    uint64_t stop)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = end - gpa };
	uint64_t pages = vcpu_stat(vcpu, "pre_fault_pages");

	vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range);
	ASSERT_EQ(range.gpa, stop);
	ASSERT_EQ(range.size, end - stop);
	ASSERT_EQ(range.flags, 0);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages") - pages,
		  (stop - gpa) / PAGE_SIZE);
}

/*
 * With tdp_mmu=0 a fault, and so a call, also maps neighbours that the host has
 * at hand, up to the next multiple of this many pages.
 */
#define NEIGHBOURS	8

/* A small range is not extended to more than that. */
static void test_single_page(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	uint64_t gpa = PF_GPA + 3 * PAGE_SIZE, faults;

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, gpa, gpa + PAGE_SIZE, gpa + PAGE_SIZE);
	pf_assert_mapped(vcpu, gpa, PAGE_SIZE, mem + 3 * PAGE_SIZE);

	faults = vcpu_faults(vcpu);
	pf_guest_touch(vcpu, PF_GPA + NEIGHBOURS * PAGE_SIZE, PAGE_SIZE, false);
	ASSERT_EQ(vcpu_faults(vcpu) - faults, 1);

	kvm_vm_free(vm);
}

static void test_end_of_slot(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	uint64_t end = PF_GPA + SLOT_SIZE;

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, PF_GPA, end + SLOT_SIZE, end);
	pf_assert_error(vcpu, end, SLOT_SIZE, ENOENT);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	/* All the rest of the address space behind it changes nothing. */
	assert_stops_at(vcpu, end - PAGE_SIZE, -PAGE_SIZE, end);

	kvm_vm_free(vm);
}

/* A boundary between slots is none for the caller. */
static void test_adjacent_slots(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	uint64_t middle = PF_GPA + SLOT_SIZE, end = middle + SLOT_SIZE;
	void *low = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	void *high = pf_add_slot(vm, PF_SLOT + 1, middle, SLOT_SIZE);

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, PF_GPA + PAGE_SIZE, end, end);
	assert_stops_at(vcpu, PF_GPA, PF_GPA + PAGE_SIZE, PF_GPA + PAGE_SIZE);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, low);
	pf_assert_mapped(vcpu, middle, SLOT_SIZE, high);

	kvm_vm_free(vm);
}

static void test_hole(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	uint64_t hole = PF_GPA + SLOT_SIZE, next = hole + PAGE_SIZE;
	void *low = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	void *high = pf_add_slot(vm, PF_SLOT + 1, next, SLOT_SIZE);

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, PF_GPA, next + SLOT_SIZE, hole);
	pf_assert_error(vcpu, hole, PAGE_SIZE + SLOT_SIZE, ENOENT);
	assert_stops_at(vcpu, next, next + SLOT_SIZE, next + SLOT_SIZE);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, low);
	pf_assert_mapped(vcpu, next, SLOT_SIZE, high);

	kvm_vm_free(vm);
}

/*
 * A slot on huge pages; false, and the case is skipped, if there are none.
 * MADV_COLLAPSE works also where the host's settings keep the other ways shut.
 */
static bool add_huge_slot(struct kvm_vm *vm, uint64_t size, void **mem)
{
	*mem = pf_anon(size / PAGE_SIZE);
	pf_fill(*mem, size);
	if (madvise(*mem, size, MADV_HUGEPAGE) ||
	    madvise(*mem, size, MADV_COLLAPSE)) {
		pf_skip("no transparent huge pages");
		return false;
	}

	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, size, *mem);
	return true;
}

/*
 * Both huge pages are mapped as a whole, but only the range is progress.  The
 * ends are odd so that no part of a huge page can be mistaken for another.
 */
static void test_parts_of_huge_pages(void)
{
	uint64_t start = PF_GPA + 3 * PAGE_SIZE;
	uint64_t end = PF_GPA + PG_SIZE_2M + 5 * PAGE_SIZE;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem;

	pf_warm_up(vcpu);
	if (add_huge_slot(vm, 2 * PG_SIZE_2M, &mem)) {
		ASSERT_EQ(vm_get_stat(vm, "pages_2m"), 0);
		pf_warm_up(vcpu);
		assert_stops_at(vcpu, start, end, end);
		ASSERT_EQ(vm_get_stat(vm, "pages_2m"), 2);
		pf_assert_mapped(vcpu, PF_GPA, 2 * PG_SIZE_2M, mem);
	}

	kvm_vm_free(vm);
}

/* A slot that begins and ends within a huge page has small pages there. */
static void test_slot_of_odd_size(void)
{
	uint64_t gpa = PF_GPA + PG_SIZE_2M - 2 * PAGE_SIZE;
	uint64_t size = PG_SIZE_2M + 7 * PAGE_SIZE;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, gpa, size);

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, gpa, gpa + 2 * size, gpa + size);
	pf_assert_mapped(vcpu, gpa, size, mem);

	kvm_vm_free(vm);
}

static void test_long_range(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, LONG_SIZE);

	pf_warm_up(vcpu);
	assert_stops_at(vcpu, PF_GPA, PF_GPA + LONG_SIZE, PF_GPA + LONG_SIZE);
	pf_assert_mapped(vcpu, PF_GPA, LONG_SIZE, mem);

	kvm_vm_free(vm);
}

/* Over what a call has mapped: progress, and nothing else. */
static void test_again(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	struct pf_counts before, after;

	pf_warm_up(vcpu);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	before = pf_counts(vcpu);
	assert_stops_at(vcpu, PF_GPA, PF_GPA + SLOT_SIZE, PF_GPA + SLOT_SIZE);
	after = pf_counts(vcpu);

	after.pre_faulted -= 16;
	pf_assert_same_counts(&before, &after);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* Over what the guest has written to: it stays writable, nothing is rebuilt. */
static void test_after_guest(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	struct pf_counts before, after;

	pf_guest_touch(vcpu, PF_GPA, SLOT_SIZE, true);
	pf_warm_up(vcpu);
	before = pf_counts(vcpu);
	assert_stops_at(vcpu, PF_GPA, PF_GPA + SLOT_SIZE, PF_GPA + SLOT_SIZE);
	after = pf_counts(vcpu);

	after.pre_faulted -= 16;
	pf_assert_same_counts(&before, &after);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* Half of it mapped, page by page: the other half is filled in. */
static void test_every_other_page(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	uint64_t gpa;

	pf_warm_up(vcpu);
	for (gpa = PF_GPA; gpa < PF_GPA + SLOT_SIZE; gpa += 2 * PAGE_SIZE)
		assert_stops_at(vcpu, gpa, gpa + PAGE_SIZE, gpa + PAGE_SIZE);

	assert_stops_at(vcpu, PF_GPA, PF_GPA + SLOT_SIZE, PF_GPA + SLOT_SIZE);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* The idle bits of 64 page frames, which include the one of @mem. */
static int open_idle_bits(void *mem, uint64_t *pfn)
{
	*pfn = pf_pagemap_entry(getpid(), mem) & PF_PAGEMAP_PFN;
	return open("/sys/kernel/mm/page_idle/bitmap", O_RDWR);
}

static void set_idle(int fd, uint64_t pfn)
{
	uint64_t bits = 1ull << (pfn % 64);

	ASSERT_EQ(pwrite(fd, &bits, 8, pfn / 64 * 8), 8);
}

static bool is_idle(int fd, uint64_t pfn)
{
	uint64_t bits;

	ASSERT_EQ(pread(fd, &bits, 8, pfn / 64 * 8), 8);
	return bits & (1ull << (pfn % 64));
}

/* Whether stage 2 has Accessed bits. */
static bool has_ad_bits(void)
{
	return !is_intel_cpu() || get_kvm_intel_param_bool("eptad");
}

static bool uses_tdp_mmu(void)
{
	int fd = open("/sys/module/kvm/parameters/tdp_mmu", O_RDONLY);
	char value = 0;

	ASSERT_EQ(read(fd, &value, 1), 1);
	close(fd);
	return value == 'Y';
}

/*
 * The page has been marked idle, which clears all Accessed bits.  A call over
 * it must not hide an access, and not look like one either; unless there are no
 * such bits, as access is then what it gives back, or with tdp_mmu=0, where it
 * looks up the host's page to find that it is mapped.
 */
static void check_accessed(struct kvm_vcpu *vcpu, int fd, uint64_t pfn)
{
	assert_stops_at(vcpu, PF_GPA, PF_GPA + PAGE_SIZE, PF_GPA + PAGE_SIZE);
	if (has_ad_bits() && uses_tdp_mmu())
		ASSERT_EQ(is_idle(fd, pfn), true);

	pf_guest_touch(vcpu, PF_GPA, PAGE_SIZE, false);
	assert_stops_at(vcpu, PF_GPA, PF_GPA + PAGE_SIZE, PF_GPA + PAGE_SIZE);
	ASSERT_EQ(is_idle(fd, pfn), false);
}

static void test_accessed(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	uint64_t pfn;
	int fd = open_idle_bits(mem, &pfn);

	pf_warm_up(vcpu);
	if (fd >= 0 && pfn) {
		pf_guest_touch(vcpu, PF_GPA, PAGE_SIZE, true);
		set_idle(fd, pfn);
		check_accessed(vcpu, fd, pfn);
		close(fd);
	} else {
		pf_skip("no page_idle (CONFIG_IDLE_PAGE_TRACKING, root)");
	}

	kvm_vm_free(vm);
}

static int nr_alarms;

static void count_alarm(int sig)
{
	WRITE_ONCE(nr_alarms, nr_alarms + 1);
}

/* Until stopped by set_timer(0). */
static void set_timer(long usec)
{
	struct itimerval it = {
		.it_interval.tv_usec = usec, .it_value.tv_usec = usec,
	};

	ASSERT_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
}

/* Returns how many calls made progress without reaching the end. */
static int pre_fault_with_signals(struct kvm_vcpu *vcpu)
{
	uint64_t gpa = PF_GPA, end = PF_GPA + LONG_SIZE, left;
	int r, parts = 0;

	do {
		r = pre_fault_once(vcpu, gpa, end - gpa, &left);
		TEST_ASSERT(!r || r == -EINTR, "the call failed with %d", r);
		gpa = end - left;
		parts += !r && left;
	} while (left);

	return parts;
}

/*
 * It depends on the machine whether a signal falls into a call, hence more than
 * one try, on memory that has to be allocated and cleared in the call: to map
 * what is there takes less time than passes between two signals.  With a slow
 * machine the timer must not eat up all of the time.
 */
static void test_timer_signals(void)
{
	struct sigaction sa = { .sa_handler = count_alarm };
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem = pf_mmap(LONG_SIZE / PAGE_SIZE, MAP_SHARED | MAP_ANONYMOUS, -1);
	int try, parts = 0;

	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, LONG_SIZE, mem);
	sigaction(SIGALRM, &sa, NULL);
	for (try = 0; try < 100 && !parts; try++) {
		ASSERT_EQ(madvise(mem, LONG_SIZE, MADV_REMOVE), 0);
		set_timer(1000);
		parts = pre_fault_with_signals(vcpu);
		set_timer(0);
	}
	TEST_ASSERT(parts, "no call was interrupted, %d signals",
		    READ_ONCE(nr_alarms));
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"),
		  try * LONG_SIZE / PAGE_SIZE);

	pf_warm_up(vcpu);
	pf_assert_mapped(vcpu, PF_GPA, LONG_SIZE, mem);

	kvm_vm_free(vm);
}

static const struct pre_fault_case cases[] = {
	{ "single_page", test_single_page },
	{ "end_of_slot", test_end_of_slot },
	{ "adjacent_slots", test_adjacent_slots },
	{ "hole", test_hole },
	{ "parts_of_huge_pages", test_parts_of_huge_pages },
	{ "slot_of_odd_size", test_slot_of_odd_size },
	{ "long_range", test_long_range },
	{ "again", test_again },
	{ "after_guest", test_after_guest },
	{ "every_other_page", test_every_other_page },
	{ "accessed", test_accessed },
	{ "timer_signals", test_timer_signals },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
