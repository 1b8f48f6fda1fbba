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
 * FAKE_HUGE=GPA		memory below is mapped by 2 MiB, an entry each, else by
 *			pages
 * FAKE_HUGE_SIZE=N	by N bytes
 * FAKE_MAPPED=GPA	memory below needs no entries
 * FAKE_STATS=N		KVM_GET_STATS_FD works so many times; a vCPU has taken 7
 *			faults, and tells the entries that it has made
 * FAKE_STATS_READS=N	they can be read so many times
 * FAKE_STATS_WAIT=1	which takes until no SIGUSR1 is pending
 * FAKE_KICK_STATS=N	in its Nth call, SIGUSR1 for this thread
 * FAKE_KICK_PROCESS=N	in the Nth KVM_PRE_FAULT_MEMORY, one for the process
 * FAKE_NO_POPULATE=N	no MADV_POPULATE_* in slot N
 * FAKE_NO_PAGEMAP=1	/proc/self/pagemap cannot be opened
 *
 * KVM_S390_STORE_STATUS	any free() from now on is written
 *
 * MADV_POPULATE_* is written, too: "populate SLOT GPA SIZE", or "stray" if it is
 * not in a slot.
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
#define SLOTS	16
#define FAULTS	7
#define FDS	1024
#define PAGES	(8192 * 256)	/* of 8 GiB */
#define VALUES	512	/* where they are in the statistics */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define LIKE_PRINTF(what, a, b)	__attribute__((what(printf, a, b)))

static int (*real_ioctl)(int fd, unsigned long request, ...);
static int log_fd = -1;
static int errors_left;
static struct kvm_userspace_memory_region slots[SLOTS];
static unsigned int stats_opened, stats_read, pre_faulted;
static __u64 entries[FDS];	/* by descriptor of a vCPU */
static bool mapped[PAGES];

static void (*real_free)(void *memory);
static bool frees;

/* What a descriptor of a vCPU holds. */
struct vcpu {
	struct kvm_run run;
	char room[PAGE - sizeof(struct kvm_run) % PAGE];
	sigset_t mask;
	bool has_mask;
};

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

void free(void *memory)
{
	if (frees && memory)
		note("freed 0");
	/* Some constructor may be earlier than the one below. */
	if (real_free)
		real_free(memory);
}

static struct vcpu *map_vcpu(int fd)
{
	struct vcpu *vcpu = mmap(NULL, sizeof(*vcpu), PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);

	if (vcpu == MAP_FAILED)
		abort();
	return vcpu;
}

static void set_slot(const struct kvm_userspace_memory_region *region)
{
	if (!region->memory_size)
		memset(mapped, false, sizeof(mapped));
	if (region->slot < SLOTS)
		slots[region->slot] = *region;
}

static const struct kvm_userspace_memory_region *slot_of(unsigned long long hva)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (hva - slots[i].userspace_addr < slots[i].memory_size)
			return &slots[i];
	}
	return NULL;
}

int madvise(void *address, size_t size, int advice)
{
	unsigned long long hva = (unsigned long)address;
	const struct kvm_userspace_memory_region *slot = slot_of(hva);

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
		note("%s %d 0x%llx 0x%zx", slot ? "populate" : "stray",
		     slot ? (int)slot->slot : -1,
		     slot ? slot->guest_phys_addr + hva - slot->userspace_addr : 0,
		     size);
		if (slot && slot->slot == number("FAKE_NO_POPULATE", SLOTS)) {
			errno = EINVAL;
			return -1;
		}
	}
	return syscall(SYS_madvise, address, size, advice);
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

/* Returns whether that takes an entry. */
static bool map_page(unsigned long long page)
{
	unsigned long long i, nr = number("FAKE_HUGE_SIZE", 2 << 20) / PAGE;

	if (page >= PAGES)
		return true;
	if (page * PAGE < number("FAKE_MAPPED", 0) ||
	    __atomic_exchange_n(&mapped[page], true, __ATOMIC_RELAXED))
		return false;
	for (i = 0; page * PAGE < number("FAKE_HUGE", 0) && i < nr; i++)
		mapped[(page & ~(nr - 1)) + i] = true;
	return true;
}

static void map(int fd, struct kvm_pre_fault_memory *range,
		unsigned long long size)
{
	unsigned long long page = range->gpa / PAGE, end = page + size / PAGE;

	note("pre-fault %d 0x%llx 0x%llx", fd, (unsigned long long)range->gpa,
	     size);
	for (; page < end; page++)
		entries[fd] += map_page(page);
	range->gpa += size;
	range->size -= size;
}

static int pre_fault(int fd, struct kvm_pre_fault_memory *range)
{
	unsigned long long at = number("FAKE_ERROR_AT", range->gpa);
	unsigned long long size = range->size;

	if (fails(range)) {
		if (at == range->gpa) {
			note("pre-fault-error %d 0x%llx", fd,
			     (unsigned long long)range->gpa);
			errno = number("FAKE_ERROR", 0);
			return -1;
		}
		/* Up to there it works, the next call tells. */
		__atomic_fetch_add(&errors_left, 1, __ATOMIC_RELAXED);
		map(fd, range, at - range->gpa);
		return 0;
	}
	map(fd, range, size);
	if (__atomic_add_fetch(&pre_faulted, 1, __ATOMIC_RELAXED) ==
	    number("FAKE_KICK_PROCESS", 0))
		kill(getpid(), SIGUSR1);
	take_time(size / PAGE);
	return 0;
}

static void set_mask(int fd, const struct kvm_signal_mask *mask)
{
	struct vcpu *vcpu = map_vcpu(fd);

	vcpu->has_mask = mask;
	sigemptyset(&vcpu->mask);
	if (mask)
		memcpy(&vcpu->mask, mask->sigset, mask->len);
	note("mask %d %s", fd, mask ? "set" : "none");
	munmap(vcpu, sizeof(*vcpu));
}

/* Whether a signal is pending that KVM_RUN lets through, ignored or not. */
static bool signal_pending(const struct vcpu *vcpu)
{
	sigset_t pending, mask = vcpu->mask;
	int signal;

	sigpending(&pending);
	if (!vcpu->has_mask)
		pthread_sigmask(SIG_BLOCK, NULL, &mask);
	for (signal = 1; signal < NSIG; signal++) {
		if (sigismember(&pending, signal) == 1 &&
		    !sigismember(&mask, signal))
			return true;
	}
	return false;
}

/* As the kernel's, immediate_exit leaves exit_reason as it is. */
static bool kicked(struct vcpu *vcpu)
{
	if (vcpu->run.immediate_exit)
		return true;
	if (!signal_pending(vcpu))
		return false;
	vcpu->run.exit_reason = KVM_EXIT_INTR;
	return true;
}

static int run_vcpu(int fd)
{
	struct vcpu *vcpu = map_vcpu(fd);
	bool exits = kicked(vcpu);

	note("run %d%s", fd, exits ? " EINTR" : "");
	munmap(vcpu, sizeof(*vcpu));
	if (!exits)
		return 0;
	errno = EINTR;
	return -1;
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	int mode;

	va_start(rest, flags);
	mode = va_arg(rest, int);
	va_end(rest);
	if (number("FAKE_NO_PAGEMAP", 0) && !strcmp(path, "/proc/self/pagemap")) {
		errno = EACCES;
		return -1;
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void put(int fd, const void *data, size_t size, off_t offset)
{
	if (pwrite(fd, data, size, offset) != (ssize_t)size)
		abort();
}

/* Two statistics, the names of which take 16 bytes, of descriptor @of. */
static void put_stats(int fd, int of)
{
	static const char * const names[] = { "pf_taken", "pf_fixed" };
	const struct kvm_stats_header header = {
		.id_offset = of, .name_size = 16, .num_desc = 2,
		.desc_offset = 64, .data_offset = VALUES,
	};
	struct kvm_stats_desc desc = { .size = 1 };
	char name[16];
	int i;

	put(fd, &header, sizeof(header), 0);
	for (i = 0; i < 2; i++) {
		off_t offset = 64 + i * (sizeof(desc) + sizeof(name));

		desc.offset = 8 * i;
		put(fd, &desc, sizeof(desc), offset);
		snprintf(name, sizeof(name), "%s", names[i]);
		put(fd, name, sizeof(name), offset + sizeof(desc));
	}
}

static bool is_pending(int signal)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, signal) == 1;
}

static int get_stats(int of)
{
	unsigned int nr = __atomic_add_fetch(&stats_opened, 1, __ATOMIC_RELAXED);
	int fd;

	note("stats %d", of);
	if (nr == number("FAKE_KICK_STATS", 0))
		raise(SIGUSR1);
	if (nr > number("FAKE_STATS", 0)) {
		errno = ENOTTY;
		return -1;
	}
	fd = memfd_create("fake-stats", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	put_stats(fd, of);
	return fd;
}

static bool is_stats(int fd)
{
	char path[32], name[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 &&
	       !strncmp(name, "/memfd:fake-stats", 17);
}

/* Of the statistics, which are as they are when they are read. */
static bool put_values(int fd)
{
	struct kvm_stats_header header;
	__u64 values[] = { FAULTS, 0 };

	while (number("FAKE_STATS_WAIT", 0) && is_pending(SIGUSR1))
		usleep(1000);
	if (__atomic_add_fetch(&stats_read, 1, __ATOMIC_RELAXED) >
	    number("FAKE_STATS_READS", 1000000))
		return false;
	if (syscall(SYS_pread64, fd, &header, sizeof(header), 0) < 0)
		abort();
	values[1] = entries[header.id_offset];
	put(fd, values, sizeof(values), VALUES);
	return true;
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	if (offset >= VALUES && is_stats(fd) && !put_values(fd)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, size, offset);
}

static int create(void)
{
	int fd = descriptor();

	if (fd >= FDS)
		abort();
	entries[fd] = 0;
	return fd;
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
		return create();
	case KVM_CHECK_EXTENSION:
		return (long)argument == KVM_CAP_PRE_FAULT_MEMORY &&
		       number("FAKE_CAP", 1);
	case KVM_SET_USER_MEMORY_REGION:
		set_slot(argument);
		return 0;
	case KVM_SET_SIGNAL_MASK:
		set_mask(fd, argument);
		return 0;
	case KVM_PRE_FAULT_MEMORY:
		return pre_fault(fd, argument);
	case KVM_RUN:
		return run_vcpu(fd);
	case KVM_S390_STORE_STATUS:
		frees = true;
		return 0;
	case KVM_GET_STATS_FD:
		return get_stats(fd);
	}
	return real_ioctl(fd, request, argument);
}

__attribute__((constructor))
static void init(void)
{
	const char *path = getenv("FAKE_LOG");

	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	real_free = dlsym(RTLD_NEXT, "free");
	errors_left = number("FAKE_ERROR_COUNT", 1000000);
	if (path)
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			      0644);
}
