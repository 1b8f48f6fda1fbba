// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY: the binary interface, that is the numbers, the layout,
 * where the capability is reported, 32-bit callers, and what can be observed of
 * a call, the statistic and the tracepoint.
 */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "pre_fault_vm.h"

#define SLOT_SIZE	(16 * PAGE_SIZE)

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/pre_fault_abi_test"
#define EVENT		INSTANCE "/events/kvm/kvm_pre_fault_memory"

static void test_numbers(void)
{
	ASSERT_EQ(KVM_CAP_PRE_FAULT_MEMORY, 236);
	/* _IOWR(0xae, 0xd5, 64 bytes) */
	ASSERT_EQ(KVM_PRE_FAULT_MEMORY, 0xc040aed5);
}

static void test_layout(void)
{
	struct kvm_pre_fault_memory range;

	ASSERT_EQ(sizeof(range), 64);
	ASSERT_EQ(offsetof(struct kvm_pre_fault_memory, gpa), 0);
	ASSERT_EQ(offsetof(struct kvm_pre_fault_memory, size), 8);
	ASSERT_EQ(offsetof(struct kvm_pre_fault_memory, flags), 16);
	ASSERT_EQ(offsetof(struct kvm_pre_fault_memory, padding), 24);
	ASSERT_EQ(sizeof(range.gpa), 8);
	ASSERT_EQ(sizeof(range.size), 8);
	ASSERT_EQ(sizeof(range.flags), 8);
	ASSERT_EQ(sizeof(range.padding), 40);
}

static void test_capability(void)
{
	struct kvm_vm *vm = vm_create_barebones();

	ASSERT_EQ(kvm_check_cap(KVM_CAP_PRE_FAULT_MEMORY), 1);
	ASSERT_EQ(vm_check_cap(vm, KVM_CAP_PRE_FAULT_MEMORY), 1);

	kvm_vm_free(vm);
}

static void test_padding_is_ignored(void)
{
	struct kvm_pre_fault_memory range = {
		.gpa = PF_GPA,
		.size = SLOT_SIZE,
		.padding = { ~0ull, 1, 2, 3, ~0ull },
	};
	struct kvm_pre_fault_memory expected = range;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);

	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range);

	expected.gpa += SLOT_SIZE;
	expected.size = 0;
	ASSERT_EQ(memcmp(&range, &expected, sizeof(range)), 0);

	kvm_vm_free(vm);
}

/* The call goes to the vCPU, not to the VM or to /dev/kvm. */
static void test_other_files(void)
{
	struct kvm_pre_fault_memory range = { .gpa = PF_GPA, .size = SLOT_SIZE };
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);

	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	ASSERT_EQ(__vm_ioctl(vm, KVM_PRE_FAULT_MEMORY, &range), -1);
	ASSERT_EQ(__kvm_ioctl(vm->kvm_fd, KVM_PRE_FAULT_MEMORY, &range), -1);
	ASSERT_EQ(range.size, SLOT_SIZE);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 0);

	kvm_vm_free(vm);
}

static sigjmp_buf no_int80;

static void handle_sigsegv(int sig)
{
	siglongjmp(no_int80, 1);
}

/* ioctl() as a 32-bit process makes it, errors as negative numbers. */
static int compat_ioctl(int fd, unsigned int cmd, void *arg)
{
	int r;

	asm volatile("int $0x80"
		     : "=a" (r)
		     : "a" (54), "b" (fd), "c" (cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static bool has_compat_syscalls(void)
{
	struct sigaction new = { .sa_handler = handle_sigsegv }, old;
	bool has = false;

	sigaction(SIGSEGV, &new, &old);
	if (!sigsetjmp(no_int80, 1))
		has = compat_ioctl(-1, 0, NULL) == -EBADF;
	sigaction(SIGSEGV, &old, NULL);

	return has;
}

static void run_compat(struct kvm_vcpu *vcpu, struct kvm_pre_fault_memory *range)
{
	*range = (struct kvm_pre_fault_memory) {
		.gpa = PF_GPA, .size = 2 * SLOT_SIZE
	};
	ASSERT_EQ(compat_ioctl(vcpu->fd, KVM_PRE_FAULT_MEMORY, range), 0);
	ASSERT_EQ(range->gpa, PF_GPA + SLOT_SIZE);
	ASSERT_EQ(range->size, SLOT_SIZE);

	ASSERT_EQ(compat_ioctl(vcpu->fd, KVM_PRE_FAULT_MEMORY, range), -ENOENT);
	ASSERT_EQ(range->gpa, PF_GPA + SLOT_SIZE);

	range->flags = 1ull << 32;
	ASSERT_EQ(compat_ioctl(vcpu->fd, KVM_PRE_FAULT_MEMORY, range), -EINVAL);
}

static void test_compat(void)
{
	struct kvm_pre_fault_memory *range;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	void *mem;

	if (!has_compat_syscalls()) {
		pf_skip("no 32-bit system calls");
		return;
	}

	range = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	TEST_ASSERT(range != MAP_FAILED, "mmap() failed, errno %d", errno);

	vm = pf_vm_create(&vcpu);
	mem = pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	pf_warm_up(vcpu);
	run_compat(vcpu, range);
	pf_assert_mapped(vcpu, PF_GPA, SLOT_SIZE, mem);

	kvm_vm_free(vm);
	munmap(range, PAGE_SIZE);
}

/* The statistic counts pages that were processed, mapped before or not. */
static void test_statistic(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);

	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 0);

	ASSERT_EQ(pre_fault(vcpu, PF_GPA, 3 * PAGE_SIZE), 0);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 3);
	ASSERT_EQ(pre_fault(vcpu, PF_GPA, SLOT_SIZE), 0);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 3 + 16);

	ASSERT_EQ(pre_fault(vcpu, PF_GPA + SLOT_SIZE, PAGE_SIZE), -ENOENT);
	ASSERT_EQ(vcpu_stat(vcpu, "pre_fault_pages"), 3 + 16);

	kvm_vm_free(vm);
}

/* Finds the next line of the trace that comes from our event. */
static bool read_event(FILE *trace, uint64_t *gpa, uint64_t *size,
		       uint64_t *processed, int *result)
{
	const char *name = "kvm_pre_fault_memory: ";
	char line[512], *text;

	while (fgets(line, sizeof(line), trace)) {
		text = strstr(line, name);
		if (text)
			return sscanf(text + strlen(name),
				      "gpa %lx size %lx processed %lx result %d",
				      gpa, size, processed, result) == 4;
	}

	return false;
}

static void assert_event(FILE *trace, uint64_t gpa, uint64_t size,
			 uint64_t processed, int result)
{
	uint64_t got_gpa, got_size, got_processed;
	int got_result;

	TEST_ASSERT(read_event(trace, &got_gpa, &got_size, &got_processed,
			       &got_result), "no event, or not as expected");
	ASSERT_EQ(got_gpa, gpa);
	ASSERT_EQ(got_size, size);
	ASSERT_EQ(got_processed, processed);
	ASSERT_EQ(got_result, result);
}

static void trace_calls(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = pf_vm_create(&vcpu);
	FILE *trace;

	pf_add_slot(vm, PF_SLOT, PF_GPA, SLOT_SIZE);

	pf_write_file(EVENT "/enable", "1");
	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, SLOT_SIZE, NULL), 0);
	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA, 2 * SLOT_SIZE, NULL), 0);
	ASSERT_EQ(pre_fault_once(vcpu, PF_GPA + SLOT_SIZE, PAGE_SIZE, NULL),
		  -ENOENT);
	pf_write_file(EVENT "/enable", "0");

	trace = fopen(INSTANCE "/trace", "r");
	TEST_ASSERT(trace, "cannot open the trace, errno %d", errno);
	assert_event(trace, PF_GPA, SLOT_SIZE, SLOT_SIZE, 0);
	assert_event(trace, PF_GPA, 2 * SLOT_SIZE, SLOT_SIZE, -ENOENT);
	assert_event(trace, PF_GPA + SLOT_SIZE, PAGE_SIZE, 0, -ENOENT);
	fclose(trace);

	kvm_vm_free(vm);
}

/* An instance of our own leaves alone whoever else is tracing. */
static void test_tracepoint(void)
{
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/instances", F_OK)) {
		pf_skip("no tracefs");
		return;
	}

	TEST_ASSERT(!mkdir(INSTANCE, 0700) || errno == EEXIST,
		    "cannot create " INSTANCE ", errno %d", errno);
	pf_write_file(INSTANCE "/trace", "");
	trace_calls();
	rmdir(INSTANCE);
}

static const struct pre_fault_case cases[] = {
	{ "numbers", test_numbers },
	{ "layout", test_layout },
	{ "capability", test_capability },
	{ "padding_is_ignored", test_padding_is_ignored },
	{ "other_files", test_other_files },
	{ "compat", test_compat },
	{ "statistic", test_statistic },
	{ "tracepoint", test_tracepoint },
};

int main(int argc, char *argv[])
{
	pf_parse(argc, argv, NULL, 0);
	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
