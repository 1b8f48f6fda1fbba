/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose pages are missing until the test says so: a read() or write()
 * that gets there waits, and the test can do something meanwhile.
 */
#ifndef SELFTEST_KVM_HTAB_BLOCKED_H
#define SELFTEST_KVM_HTAB_BLOCKED_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

struct blocked {
	int uffd;
	size_t size;
	char *mem;
};

static inline int blocked_register(struct blocked *blocked)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.start = (uintptr_t)blocked->mem,
		.range.len = blocked->size,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(blocked->uffd, UFFDIO_API, &api) ||
	    ioctl(blocked->uffd, UFFDIO_REGISTER, &range))
		return -errno;
	return 0;
}

/* Returns 0, or -errno. */
static inline int blocked_init(struct blocked *blocked, unsigned int pages)
{
	blocked->size = pages * getpagesize();
	blocked->mem = mmap(NULL, blocked->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	blocked->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (blocked->mem == MAP_FAILED || blocked->uffd < 0)
		return -errno;
	return blocked_register(blocked);
}

static inline void blocked_destroy(struct blocked *blocked)
{
	close(blocked->uffd);
	munmap(blocked->mem, blocked->size);
}

/* Waits until somebody waits for a page. Returns its address, NULL if none. */
static inline char *blocked_wait(struct blocked *blocked)
{
	struct pollfd poll_fd = { .fd = blocked->uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&poll_fd, 1, 20000) != 1 ||
	    read(blocked->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		return NULL;
	return (char *)(uintptr_t)(msg.arg.pagefault.address &
				   -(uint64_t)getpagesize());
}

/* Lets go on who waits for the page, which has the bytes of @from. */
static inline int blocked_give(struct blocked *blocked, char *page,
			       const void *from)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)from,
		.len = getpagesize(),
	};

	return ioctl(blocked->uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

/* Whether the thread ends by itself within some seconds. */
static inline bool ends_within(pthread_t thread, unsigned int seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	return !pthread_timedjoin_np(thread, NULL, &until);
}

#endif /* SELFTEST_KVM_HTAB_BLOCKED_H */
