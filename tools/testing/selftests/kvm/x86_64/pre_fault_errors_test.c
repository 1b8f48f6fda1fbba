// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY: when it fails, with which error, and that a call that
 * fails leaves its argument and the page tables as they were.
 *
 * EOPNOTSUPP for SMM and guest mode is in pre_fault_state_test, EAGAIN in the
 * tests that race.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pre_fault_vm.h"

#define SLOT_SIZE	(16 * PAGE_SIZE)
#define APIC_GPA	0xfee00000ull
#define TSS_GPA		0xfffbd000ull
#define IDENTITY_GPA	0xfffbc000ull

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, void **mem)
{
	struct kvm_vm *vm = pf_vm_create(vcpu);

	*mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	return vm;
}

/* EINVAL */

static void assert_invalid(uint64_t gpa, uint64_t size, uint64_t flags)
{
	struct kvm_pre_fault_memory range = {
		.gpa = gpa, .size = size, .flags = flags, .padding = { 1, 2 },
	};
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	pf_assert_fails(vcpu, &range, EINVAL);
	kvm_vm_free(vm);
}

static void test_flags(void)
{
	assert_invalid(PF_GPA, PAGE_SIZE, 1);
	assert_invalid(PF_GPA, PAGE_SIZE, 1ull << 63);
}

static void test_unaligned_gpa(void)
{
	assert_invalid(PF_GPA + 1, PAGE_SIZE, 0);
	assert_invalid(PF_GPA + 512, PAGE_SIZE, 0);
	assert_invalid(PF_GPA + PAGE_SIZE - 1, PAGE_SIZE, 0);
}

static void test_unaligned_size(void)
{
	assert_invalid(PF_GPA, 1, 0);
	assert_invalid(PF_GPA, PAGE_SIZE - 1, 0);
	assert_invalid(PF_GPA, PAGE_SIZE + 1, 0);
}

static void test_size_zero(void)
{
	assert_invalid(PF_GPA, 0, 0);
	assert_invalid(0, 0, 0);
}

static void test_wrap(void)
{
	assert_invalid(-PAGE_SIZE, 2 * PAGE_SIZE, 0);
	assert_invalid(PF_GPA, -PAGE_SIZE, 0);
	assert_invalid(PF_GPA, 0 - PF_GPA + PAGE_SIZE, 0);
}

/* The end of the range is a u64 too. */
static void test_end_is_2_to_64(void)
{
	assert_invalid(-PAGE_SIZE, PAGE_SIZE, 0);
	assert_invalid(PF_GPA, 0 - PF_GPA, 0);
}

/* ENOENT */

static void test_no_slot(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	pf_assert_error(vcpu, PF_GPA + SLOT_SIZE, PAGE_SIZE, ENOENT);
	pf_assert_error(vcpu, PF_GPA - PAGE_SIZE, 2 * PAGE_SIZE, ENOENT);
	pf_assert_error(vcpu, PF_GPA + PG_SIZE_1G, PG_SIZE_1G, ENOENT);

	kvm_vm_free(vm);
}

/* A vCPU that has neither been set up nor run. */
static void test_no_slot_raw_vcpu(void)
{
	struct kvm_vm *vm = vm_create_barebones();
	struct kvm_vcpu *vcpu = __vm_vcpu_add(vm, 0);

	/* Without any slot not even a root can be had. */
	pf_assert_error(vcpu, 0, PAGE_SIZE, ENOENT);

	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	pf_assert_error(vcpu, 0, PAGE_SIZE, ENOENT);
	pf_assert_error(vcpu, PF_GPA + SLOT_SIZE, PAGE_SIZE, ENOENT);

	kvm_vm_free(vm);
}

/* The failure must leave nothing behind that hides what is put there. */
static void test_slot_after_no_slot(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	void *mem;

	pf_warm_up(vcpu);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, ENOENT);

	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

static void test_slot_deleted(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	pf_delete_slot(vm, PF_SLOT);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, ENOENT);

	kvm_vm_free(vm);
}

/* Slots that KVM makes for itself, where it makes any. */
static void test_private_slots(void)
{
	uint64_t identity = IDENTITY_GPA;
	struct kvm_vm *vm = vm_create_barebones();
	struct kvm_vcpu *vcpu;

	vm_create_irqchip(vm);
	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ASSERT_EQ(__vm_ioctl(vm, KVM_SET_TSS_ADDR, (void *)TSS_GPA), 0);
	vcpu = __vm_vcpu_add(vm, 0);

	pf_assert_error(vcpu, APIC_GPA, PAGE_SIZE, ENOENT);
	pf_assert_error(vcpu, IDENTITY_GPA, PAGE_SIZE, ENOENT);
	pf_assert_error(vcpu, TSS_GPA, 3 * PAGE_SIZE, ENOENT);

	kvm_vm_free(vm);
}

/* A slot may lie where its vCPUs cannot address it. */
static void test_guest_maxphyaddr(void)
{
	const uint64_t limit = 1ull << 34;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);

	vcpu_set_cpuid_maxphyaddr(vcpu, 34);
	pf_add_slot(vm, PF_SLOT, limit - SLOT_SIZE, 2 * SLOT_SIZE);

	pf_assert_error(vcpu, limit, SLOT_SIZE, ENOENT);
	pf_assert_error(vcpu, limit + PF_GPA, PAGE_SIZE, ENOENT);
	ASSERT_EQ(pre_fault(vcpu, limit - PAGE_SIZE, 2 * PAGE_SIZE), -ENOENT);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 1);

	kvm_vm_free(vm);
}

/* Before there is CPUID, a vCPU has 36 bits. */
static void test_default_maxphyaddr(void)
{
	const uint64_t limit = 1ull << 36;
	struct kvm_vm *vm = vm_create_barebones();
	struct kvm_vcpu *vcpu = __vm_vcpu_add(vm, 0);

	if (vm->pa_bits > 36)
		pf_add_slot(vm, PF_SLOT, limit - SLOT_SIZE, 2 * SLOT_SIZE);
	else
		pf_add_slot(vm, PF_SLOT, limit - SLOT_SIZE, SLOT_SIZE);

	pf_assert_error(vcpu, limit, SLOT_SIZE, ENOENT);
	ASSERT_EQ(pre_fault(vcpu, limit - SLOT_SIZE, SLOT_SIZE), 0);

	kvm_vm_free(vm);
}

/* Cut off to any width of a root or of an address, these are PF_GPA. */
static void test_aliases(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	unsigned int bit;

	vcpu_set_cpuid_maxphyaddr(vcpu, 52);
	for (bit = vm->pa_bits; bit < 64; bit++)
		pf_assert_error(vcpu, (1ull << bit) | PF_GPA, SLOT_SIZE, ENOENT);

	ASSERT_EQ(vm_get_stat(vm, "pages_4k"), 0);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);

	kvm_vm_free(vm);
}

/* EFAULT: the argument */

/* pf_assert_fails() for an argument that cannot be looked at afterwards. */
static void assert_bad_address(struct kvm_vcpu *vcpu, void *addr)
{
	struct pf_counts before = pf_counts(vcpu), after;

	ASSERT_EQ(ioctl(vcpu->fd, KVM_PRE_FAULT_MEMORY, addr), -1);
	ASSERT_EQ(errno, EFAULT);
	after = pf_counts(vcpu);
	pf_assert_same_counts(&before, &after);
}

static void test_bad_argument(void)
{
	struct kvm_vcpu *vcpu;
	void *mem, *page = pf_anon(2);
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	munmap(page + PAGE_SIZE, PAGE_SIZE);

	assert_bad_address(vcpu, NULL);
	assert_bad_address(vcpu, page + PAGE_SIZE);
	assert_bad_address(vcpu, page + PAGE_SIZE - 8);
	assert_bad_address(vcpu, (void *)0xffff888000000000ul);
	assert_bad_address(vcpu, (void *)-8ul);

	kvm_vm_free(vm);
}

/* What has been mapped stays so, but the caller cannot be told. */
static void test_read_only_argument(void)
{
	struct kvm_pre_fault_memory *range = pf_anon(1);
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	range->gpa = PF_GPA;
	range->size = SLOT_SIZE;
	mprotect(range, PAGE_SIZE, PROT_READ);

	ASSERT_EQ(__vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, range), -1);
	ASSERT_EQ(errno, EFAULT);
	ASSERT_EQ(range->gpa, PF_GPA);
	ASSERT_EQ(range->size, SLOT_SIZE);

	kvm_vm_free(vm);
}

/* EFAULT: host memory */

static void test_prot_none(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	pf_warm_up(vcpu);
	mprotect(mem, SLOT_SIZE, PROT_NONE);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EFAULT);

	mprotect(mem, SLOT_SIZE, PROT_READ | PROT_WRITE);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
}

/* Also what KVM had mapped is gone with the host's mapping. */
static void test_unmapped(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	munmap(mem, SLOT_SIZE);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EFAULT);

	kvm_vm_free(vm);
}

/* Pages before the bad one are progress, the next call has the error. */
static void test_unmapped_in_the_middle(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	uint64_t left;

	munmap(mem + 5 * PAGE_SIZE, PAGE_SIZE);
	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, &left), 0);
	ASSERT_EQ(left, SLOT_SIZE - 5 * PAGE_SIZE);
	pf_assert_error(vcpu, PF_GPA + 5 * PAGE_SIZE, left, EFAULT);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA + 6 * PAGE_SIZE, 10 * PAGE_SIZE), 0);

	kvm_vm_free(vm);
}

/* EHWPOISON */

static int nr_signals;

static void count_signal(int sig)
{
	WRITE_ONCE(nr_signals, nr_signals + 1);
}

static void catch_signal(int sig)
{
	struct sigaction sa = { .sa_handler = count_signal };

	nr_signals = 0;
	ASSERT_EQ(sigaction(sig, &sa, NULL), 0);
}

static void block_signal(int sig, bool block)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static bool signal_is_pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

/* False, and the case is skipped, where poison cannot be had. */
static bool poison(void *page)
{
	if (!madvise(page, PAGE_SIZE, MADV_HWPOISON))
		return true;

	TEST_ASSERT(errno == EINVAL || errno == EPERM,
		    "MADV_HWPOISON failed, errno %d", errno);
	pf_skip("no MADV_HWPOISON (CONFIG_MEMORY_FAILURE, root)");
	return false;
}

static void test_poison(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	catch_signal(SIGBUS);
	if (poison(mem)) {
		pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EHWPOISON);
		pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EHWPOISON);
		ASSERT_EQ(READ_ONCE(nr_signals), 0);
		ASSERT_EQ(pre_fault(vcpu, PF_GPA + PAGE_SIZE,
				    SLOT_SIZE - PAGE_SIZE), 0);
	}

	signal(SIGBUS, SIG_DFL);
	kvm_vm_free(vm);
}

/* Nobody takes the signal, so a call that waited for that would not end. */
static void test_poison_sigbus_blocked(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	uint64_t left;

	block_signal(SIGBUS, true);
	if (poison(mem + 3 * PAGE_SIZE)) {
		ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, &left), 0);
		ASSERT_EQ(left, SLOT_SIZE - 3 * PAGE_SIZE);
		pf_assert_error(vcpu, PF_GPA + 3 * PAGE_SIZE, left, EHWPOISON);
		ASSERT_EQ(signal_is_pending(SIGBUS), false);
	}

	block_signal(SIGBUS, false);
	kvm_vm_free(vm);
}

/* EINTR */

/* A thread that makes one call, and what came out of it. */
struct caller {
	pthread_t thread;
	struct kvm_vcpu *vcpu;
	struct kvm_pre_fault_memory range;
	pid_t tid;
	int r;
	int err;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	__atomic_store_n(&c->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	c->r = __vcpu_ioctl(c->vcpu, KVM_PRE_FAULT_MEMORY, &c->range);
	c->err = errno;
	return NULL;
}

static void start_call(struct caller *c, struct kvm_vcpu *vcpu, uint64_t gpa,
		       uint64_t size)
{
	*c = (struct caller) {
		.vcpu = vcpu, .range = { .gpa = gpa, .size = size }
	};
	TEST_ASSERT(!pthread_create(&c->thread, NULL, call, c), "no thread");
}

/* The state letter of a thread, and the system call that it is in. */
static char thread_state(pid_t tid, int *nr)
{
	char path[64], text[256] = "", state = 0;
	FILE *f;

	*nr = -1;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "r");
	if (f) {
		if (fgets(text, sizeof(text), f))
			sscanf(text, "%d", nr);
		fclose(f);
	}

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	TEST_ASSERT(f, "cannot open %s", path);
	if (fgets(text, sizeof(text), f))
		sscanf(strrchr(text, ')'), ") %c", &state);
	fclose(f);

	return state;
}

/* Until the thread sleeps in its call, where no signal wakes it. */
static void wait_until_blocked(struct caller *c)
{
	int nr;

	while (!__atomic_load_n(&c->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	while (thread_state(c->tid, &nr) != 'D' || nr != SYS_ioctl)
		sched_yield();
}

static void uffd_fill(int fd, void *addr, uint64_t size)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uint64_t)addr, .len = size },
	};

	ASSERT_EQ(ioctl(fd, UFFDIO_ZEROPAGE, &zero), 0);
}

/* A VM with a slot whose host pages are missing, NULL if there is no uffd. */
static struct kvm_vm *create_uffd_vm(struct kvm_vcpu **vcpu, void **mem, int *fd)
{
	struct kvm_vm *vm;

	*mem = pf_anon(SLOT_SIZE / PAGE_SIZE);
	*fd = pf_watch(*mem, SLOT_SIZE / PAGE_SIZE);
	if (*fd < 0) {
		pf_skip("no userfaultfd");
		return NULL;
	}

	vm = pf_vm_create(vcpu);
	vm_set_user_memory_region(vm, PF_SLOT, 0, PF_GPA, SLOT_SIZE, *mem);
	return vm;
}

static void finish_uffd_vm(struct kvm_vm *vm, int fd)
{
	close(fd);
	kvm_vm_free(vm);
}

/*
 * A call holds the vCPU while it waits for its page.  A second call waits for
 * the vCPU, with a signal pending when it gets it: nothing is done.
 */
static void test_signal_before_start(void)
{
	struct caller first, second;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	void *mem;
	int fd;

	vm = create_uffd_vm(&vcpu, &mem, &fd);
	if (!vm)
		return;

	catch_signal(SIGUSR1);
	start_call(&first, vcpu, PF_GPA, PAGE_SIZE);
	ASSERT_EQ(pf_wait_until_missed(fd), mem);
	start_call(&second, vcpu, PF_GPA + PAGE_SIZE, PAGE_SIZE);
	wait_until_blocked(&second);
	pthread_kill(second.thread, SIGUSR1);
	uffd_fill(fd, mem, SLOT_SIZE);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);

	ASSERT_EQ(first.r, 0);
	ASSERT_EQ(first.range.size, 0);
	ASSERT_EQ(second.r, -1);
	ASSERT_EQ(second.err, EINTR);
	ASSERT_EQ(second.range.gpa, PF_GPA + PAGE_SIZE);
	ASSERT_EQ(second.range.size, PAGE_SIZE);
	ASSERT_EQ(READ_ONCE(nr_signals), 1);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 1);

	finish_uffd_vm(vm, fd);
}

/* The signal comes while the third page is awaited, so three are done. */
static void test_signal_in_the_middle(void)
{
	struct kvm_vcpu *vcpu;
	struct caller caller;
	struct kvm_vm *vm;
	void *mem;
	int fd;

	vm = create_uffd_vm(&vcpu, &mem, &fd);
	if (!vm)
		return;

	catch_signal(SIGUSR1);
	uffd_fill(fd, mem, 2 * PAGE_SIZE);
	start_call(&caller, vcpu, PF_GPA, SLOT_SIZE);
	ASSERT_EQ(pf_wait_until_missed(fd), mem + 2 * PAGE_SIZE);
	wait_until_blocked(&caller);
	pthread_kill(caller.thread, SIGUSR1);
	uffd_fill(fd, mem + 2 * PAGE_SIZE, SLOT_SIZE - 2 * PAGE_SIZE);
	pthread_join(caller.thread, NULL);

	ASSERT_EQ(caller.r, 0);
	ASSERT_EQ(caller.range.gpa, PF_GPA + 3 * PAGE_SIZE);
	ASSERT_EQ(caller.range.size, SLOT_SIZE - 3 * PAGE_SIZE);
	ASSERT_EQ(READ_ONCE(nr_signals), 1);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 3);

	finish_uffd_vm(vm, fd);
}

static void test_blocked_signal(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	uint64_t left;

	catch_signal(SIGUSR1);
	block_signal(SIGUSR1, true);
	pthread_kill(pthread_self(), SIGUSR1);
	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, &left), 0);
	ASSERT_EQ(left, 0);
	ASSERT_EQ(READ_ONCE(nr_signals), 0);

	block_signal(SIGUSR1, false);
	ASSERT_EQ(READ_ONCE(nr_signals), 1);
	kvm_vm_free(vm);
}

/* The mask that lets the signal in is for KVM_RUN, not for this call. */
static void test_signal_mask_of_vcpu(void)
{
	struct {
		struct kvm_signal_mask mask;
		uint64_t set;
	} none = { .mask.len = 8 };
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	uint64_t left;

	catch_signal(SIGUSR1);
	block_signal(SIGUSR1, true);
	vcpu_ioctl(vcpu, KVM_SET_SIGNAL_MASK, &none.mask);
	pthread_kill(pthread_self(), SIGUSR1);

	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, &left), 0);
	ASSERT_EQ(left, 0);
	ASSERT_EQ(__vcpu_run(vcpu), -1);
	ASSERT_EQ(errno, EINTR);

	block_signal(SIGUSR1, false);
	kvm_vm_free(vm);
}

/* EIO */

/* As with every ioctl of a vCPU, the caller has to be the VM's process. */
static void test_other_process(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, NULL) != -EIO);

	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(status, 0);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 0);

	kvm_vm_free(vm);
}

/* EOPNOTSUPP */

static void test_shadow_paging(void)
{
	struct kvm_vcpu *vcpu;
	void *mem;
	struct kvm_vm *vm = create_vm(&vcpu, &mem);

	ASSERT_EQ(vm_check_cap(vm, KVM_CAP_PRE_FAULT_MEMORY), 0);

	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EOPNOTSUPP);
	pf_warm_up(vcpu);
	pf_assert_error(vcpu, PF_GPA, SLOT_SIZE, EOPNOTSUPP);
	ASSERT_EQ(pf_guest_touch(vcpu, PF_GPA, SLOT_SIZE, false),
		  pf_sum(mem, SLOT_SIZE));

	pf_assert_error(vcpu, PF_GPA, 0, EINVAL);

	kvm_vm_free(vm);
}

static const struct pre_fault_case cases[] = {
	{ "flags", test_flags },
	{ "unaligned_gpa", test_unaligned_gpa },
	{ "unaligned_size", test_unaligned_size },
	{ "size_zero", test_size_zero },
	{ "wrap", test_wrap },
	{ "end_is_2_to_64", test_end_is_2_to_64 },
	{ "no_slot", test_no_slot },
	{ "no_slot_raw_vcpu", test_no_slot_raw_vcpu },
	{ "slot_after_no_slot", test_slot_after_no_slot },
	{ "slot_deleted", test_slot_deleted },
	{ "private_slots", test_private_slots },
	{ "guest_maxphyaddr", test_guest_maxphyaddr },
	{ "default_maxphyaddr", test_default_maxphyaddr },
	{ "aliases", test_aliases },
	{ "bad_argument", test_bad_argument },
	{ "read_only_argument", test_read_only_argument },
	{ "prot_none", test_prot_none },
	{ "unmapped", test_unmapped },
	{ "unmapped_in_the_middle", test_unmapped_in_the_middle },
	{ "poison", test_poison },
	{ "poison_sigbus_blocked", test_poison_sigbus_blocked },
	{ "signal_before_start", test_signal_before_start },
	{ "signal_in_the_middle", test_signal_in_the_middle },
	{ "blocked_signal", test_blocked_signal },
	{ "signal_mask_of_vcpu", test_signal_mask_of_vcpu },
	{ "other_process", test_other_process },
};

static const struct pre_fault_case shadow_cases[] = {
	{ "shadow_paging", test_shadow_paging },
};

/* A kernel that has the ioctl has its statistic, even with shadow paging. */
static bool kernel_has_ioctl(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	uint64_t value;
	bool has = vcpu_has_stat(vcpu, "pre_fault_pages", &value);

	kvm_vm_free(vm);
	return has;
}

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	if (kvm_is_tdp_enabled())
		return pf_run_cases(cases, ARRAY_SIZE(cases));

	return __pf_run_cases(shadow_cases, ARRAY_SIZE(shadow_cases),
			      kernel_has_ioctl());
}
