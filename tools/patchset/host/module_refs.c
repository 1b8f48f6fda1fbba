// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries to unload KVM's module while it is in use.
 *
 *	module_refs [CASE]...
 *
 * Without a CASE, all of them.  Each has one fd of KVM, that keeps the VM by
 * itself; the module has to stay for as long as it is open, and to go then.  It
 * is loaded again after each case, as init has done it.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "module.h"

#ifdef __powerpc__
#define MODULE	"kvm-hv"
#else
#define MODULE	"kvm-amd"
#endif

static void fail(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

/* All that follow leave open no fd but the one that they return. */

static int open_vm(void)
{
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");

	close(kvm);
	return vm;
}

static int from_vm(int vm, unsigned long request, void *argument,
		   const char *what)
{
	int fd = must(ioctl(vm, request, argument), what);

	close(vm);
	return fd;
}

static int open_vcpu(void)
{
	return from_vm(open_vm(), KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
}

static int open_vm_stats(void)
{
	return from_vm(open_vm(), KVM_GET_STATS_FD, NULL, "KVM_GET_STATS_FD");
}

static int open_vcpu_stats(void)
{
	return from_vm(open_vcpu(), KVM_GET_STATS_FD, NULL,
		       "KVM_GET_STATS_FD");
}

/* Returns whether the module stays while the fd is open, and then goes. */
static bool stays_while_open(int (*open_fd)(void))
{
	int fd = open_fd();
	int in_use = module_unload(MODULE), after;

	close(fd);
	after = in_use ? module_unload(MODULE) : 0;
	printf("# unload: %s, after close(): %s\n", strerror(-in_use),
	       strerror(-after));
	return in_use == -EWOULDBLOCK && !after;
}

#ifdef __powerpc__
/* So large that it takes the kernel long to free what it has about the slot. */
#define SLOT_BYTES	(4ul << 40)

static void add_slot(int vm)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = SLOT_BYTES,
	};
	void *memory = mmap(NULL, SLOT_BYTES, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	slot.userspace_addr = (uintptr_t)memory;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "a slot");
}

static int open_table(int vm, uint64_t flags)
{
	struct kvm_get_htab_fd how = { .flags = flags };

	return from_vm(vm, KVM_PPC_GET_HTAB_FD, &how, "KVM_PPC_GET_HTAB_FD");
}

static int open_reader(void)
{
	return open_table(open_vm(), 0);
}

static int open_writer(void)
{
	return open_table(open_vm(), KVM_GET_HTAB_WRITE);
}

static int open_vm_of_slot(void)
{
	int vm = open_vm();

	add_slot(vm);
	return vm;
}

/* While it is closed, the kernel allocates a table for it. */
static int open_vm_that_resizes(void)
{
	struct kvm_ppc_resize_hpt how = { .shift = 26 };
	int vm = open_vm();

	must(ioctl(vm, KVM_PPC_RESIZE_HPT_PREPARE, &how),
	     "KVM_PPC_RESIZE_HPT_PREPARE");
	/* Cancelled, it is known to none but who allocates it. */
	how.shift = 0;
	must(ioctl(vm, KVM_PPC_RESIZE_HPT_PREPARE, &how),
	     "KVM_PPC_RESIZE_HPT_PREPARE");
	how.shift = 25;
	must(ioctl(vm, KVM_PPC_RESIZE_HPT_PREPARE, &how),
	     "KVM_PPC_RESIZE_HPT_PREPARE");
	return vm;
}

static int open_reader_of_slot(void)
{
	return open_table(open_vm_of_slot(), 0);
}

/* The fd was the last that kept the VM. */
static void close_one(int (*open_fd)(void), int ready)
{
	int fd = open_fd();

	must(write(ready, "", 1), "write");
	close(fd);
	exit(0);
}

/*
 * Returns whether a close() comes to its end that takes long, although the
 * module goes as soon as it may.
 */
static bool stays_while_closing(int (*open_fd)(void))
{
	const struct sched_param first = { .sched_priority = 1 };
	int ready[2], status, in_use;
	pid_t child;
	char byte;

	/* The child runs when this sleeps. */
	must(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first),
	     "sched_setscheduler");
	must(pipe(ready), "pipe");
	child = must(fork(), "fork");
	if (!child)
		close_one(open_fd, ready[1]);

	close(ready[1]);
	must(read(ready[0], &byte, 1), "read");
	while ((in_use = module_unload(MODULE)) == -EWOULDBLOCK)
		usleep(100);
	must(waitpid(child, &status, 0), "waitpid");
	printf("# unload: %s, status of who closes: %#x\n", strerror(-in_use),
	       status);
	return !in_use && !status;
}
#endif

static const struct {
	const char *name;
	bool (*stays)(int (*open_fd)(void));
	int (*open_fd)(void);
} cases[] = {
	{ "vm", stays_while_open, open_vm },
	{ "vcpu", stays_while_open, open_vcpu },
	{ "vm_stats", stays_while_open, open_vm_stats },
	{ "vcpu_stats", stays_while_open, open_vcpu_stats },
#ifdef __powerpc__
	{ "reader", stays_while_open, open_reader },
	{ "writer", stays_while_open, open_writer },
	{ "reader_that_is_closed", stays_while_closing, open_reader_of_slot },
	{ "vm_that_is_closed", stays_while_closing, open_vm_of_slot },
	{ "vm_that_resizes", stays_while_closing, open_vm_that_resizes },
#endif
};
#define NR_CASES ((int)(sizeof(cases) / sizeof(*cases)))

static bool is_wanted(const char *name, char **wanted)
{
	bool all = !*wanted;

	for (; *wanted; wanted++)
		if (!strcmp(name, *wanted))
			return true;
	return all;
}

/* Returns whether it passed, with the module there as before. */
static bool run(int number)
{
	bool passed = cases[number].stays(cases[number].open_fd);
	int error = module_load(MODULE);

	if (error && error != -EEXIST) {
		printf("# load: %s\n", strerror(-error));
		return false;
	}
	return passed;
}

int main(int argc, char **argv)
{
	int count = 0, failed = 0;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	for (int i = 0; i < NR_CASES; i++) {
		bool passed;

		if (!is_wanted(cases[i].name, argv + 1))
			continue;
		passed = run(i);
		failed += !passed;
		printf("%sok %d %s\n", passed ? "" : "not ", ++count,
		       cases[i].name);
	}
	printf("1..%d\n", count);
	return failed ? 1 : 0;
}
