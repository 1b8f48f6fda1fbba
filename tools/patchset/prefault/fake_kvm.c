// SPDX-License-Identifier: GPL-2.0-only
/*
 * A KVM for unit tests, to be preloaded: descriptors are memfds, and ioctls are
 * written to the file that FAKE_LOG names, a line for each.
 *
 * FAKE_CAP=0		no KVM_CAP_PRE_FAULT_MEMORY
 * FAKE_ERROR=N		KVM_PRE_FAULT_MEMORY fails with this errno
 * FAKE_ERROR_AT=GPA	only at this address
 * FAKE_ERROR_COUNT=N	so many times only
 * FAKE_NS_PER_PAGE=N	how long KVM_PRE_FAULT_MEMORY takes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "pre-fault.h"

#define PAGE	4096

#define LIKE_PRINTF(what, a, b)	__attribute__((what(printf, a, b)))

static int (*real_ioctl)(int fd, unsigned long request, ...);
static int log_fd = -1;
static int errors_left;

LIKE_PRINTF(format, 1, 2)
static void note(const char *format, ...)
{
	char line[256];
	va_list rest;
	int n;

	if (log_fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%d ", (int)syscall(SYS_gettid));
	va_start(rest, format);
	n += vsnprintf(line + n, sizeof(line) - n, format, rest);
	va_end(rest);
	line[n++] = '\n';
	if (write(log_fd, line, n) != n)
		abort();
}

static unsigned long long number(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static int descriptor(void)
{
	int fd = memfd_create("fake-kvm", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 3 * PAGE))
		abort();
	return fd;
}

static bool fails(const struct kvm_pre_fault_memory *range)
{
	unsigned long long at = number("FAKE_ERROR_AT", range->gpa);

	return number("FAKE_ERROR", 0) && range->gpa <= at &&
	       at < range->gpa + range->size &&
	       __atomic_fetch_sub(&errors_left, 1, __ATOMIC_RELAXED) > 0;
}

static void take_time(unsigned long long pages)
{
	unsigned long long ns = pages * number("FAKE_NS_PER_PAGE", 0);
	struct timespec pause = { ns / 1000000000, ns % 1000000000 };

	/* As the kernel's, which a signal ends early, and these are blocked. */
	if (ns)
		nanosleep(&pause, NULL);
}

static int pre_fault(int fd, struct kvm_pre_fault_memory *range)
{
	unsigned long long at = number("FAKE_ERROR_AT", range->gpa);

	if (fails(range)) {
		if (at == range->gpa) {
			note("pre-fault-error %d 0x%llx", fd,
			     (unsigned long long)range->gpa);
			errno = number("FAKE_ERROR", 0);
			return -1;
		}
		/* Up to there it works, the next call tells. */
		__atomic_fetch_add(&errors_left, 1, __ATOMIC_RELAXED);
		note("pre-fault %d 0x%llx 0x%llx", fd,
		     (unsigned long long)range->gpa, at - range->gpa);
		range->size -= at - range->gpa;
		range->gpa = at;
		return 0;
	}
	note("pre-fault %d 0x%llx 0x%llx", fd, (unsigned long long)range->gpa,
	     (unsigned long long)range->size);
	take_time(range->size / PAGE);
	range->gpa += range->size;
	range->size = 0;
	return 0;
}

/* Whether a signal is pending that KVM_RUN would let through. */
static bool kicked(const struct kvm_run *run)
{
	sigset_t pending;

	sigpending(&pending);
	return run->immediate_exit || sigismember(&pending, SIGUSR2) == 1;
}

static int run_vcpu(int fd)
{
	struct kvm_run *run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd, 0);
	bool exits = kicked(run);

	note("run %d%s", fd, exits ? " EINTR" : "");
	munmap(run, PAGE);
	if (!exits)
		return 0;
	errno = EINTR;
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list rest;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);

	switch (request) {
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		return descriptor();
	case KVM_CHECK_EXTENSION:
		return (long)argument == KVM_CAP_PRE_FAULT_MEMORY &&
		       number("FAKE_CAP", 1);
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_SIGNAL_MASK:
		return 0;
	case KVM_PRE_FAULT_MEMORY:
		return pre_fault(fd, argument);
	case KVM_RUN:
		return run_vcpu(fd);
	case KVM_GET_STATS_FD:
		errno = ENOTTY;
		return -1;
	}
	return real_ioctl(fd, request, argument);
}

__attribute__((constructor))
static void init(void)
{
	const char *path = getenv("FAKE_LOG");

	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	errors_left = number("FAKE_ERROR_COUNT", 1000000);
	if (path)
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			      0644);
}
