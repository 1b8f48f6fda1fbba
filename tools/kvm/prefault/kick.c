// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "host.h"
#include "kick.h"
#include "own.h"

#define LOOK_INTERVAL_NS	(NS_PER_MS / 2)

/* In bytes.  The C library's type is larger. */
#define KERNEL_SIGSET		((NSIG - 1) / 8)

union signal_mask {
	struct kvm_signal_mask mask;
	char room[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET];
};

/* @set: NULL for none, KVM_RUN then uses the thread's. */
static bool set_run_mask(int vcpu_fd, const sigset_t *set)
{
	union signal_mask given = { .mask.len = KERNEL_SIGSET };

	if (set)
		memcpy(given.mask.sigset, set, KERNEL_SIGSET);
	return !ioctl_own(vcpu_fd, KVM_SET_SIGNAL_MASK, set ? &given : NULL);
}

bool kick_start(struct kick *kick, int vcpu_fd, const sigset_t *mask)
{
	kick->vcpu_fd = vcpu_fd;
	kick->looked_at = 0;
	kick->has_mask = mask;
	kick->run_mask = mask ? *mask : kick->guard.mask;

	/* The structure starts with what is needed of it. */
	kick->run = mmap(NULL, host_page_size(), PROT_READ, MAP_SHARED, vcpu_fd,
			 0);
	if (kick->run == MAP_FAILED)
		return false;
	if (mask || set_run_mask(vcpu_fd, &kick->run_mask))
		return true;

	munmap(kick->run, host_page_size());
	return false;
}

static bool is_kick(const struct kick *kick, int signal)
{
	if (sigismember(&kick->guard.mask, signal) == 1)
		return !sigismember(&kick->run_mask, signal);
	/* Held back by KVM_RUN or not, its handler runs before that. */
	return !guard_is_ignored(signal);
}

static bool signal_pending(const struct kick *kick)
{
	sigset_t pending;
	int signal;

	if (sigpending(&pending))
		return false;

	for (signal = 1; signal < NSIG; signal++) {
		if (sigismember(&pending, signal) == 1 && is_kick(kick, signal))
			return true;
	}
	return false;
}

bool kick_pending(struct kick *kick)
{
	kick->looked_at = now_ns();
	return __atomic_load_n(&kick->run->immediate_exit, __ATOMIC_RELAXED) ||
	       signal_pending(kick);
}

bool kick_pending_now_and_then(void *data)
{
	struct kick *kick = data;

	return now_ns() - kick->looked_at >= LOOK_INTERVAL_NS &&
	       kick_pending(kick);
}

void kick_leave_to_run(struct kick *kick)
{
	munmap(kick->run, host_page_size());
	guard_leave_to_run(&kick->guard, &kick->run_mask);
}

/*
 * The guard comes last: a handler may never return.  A mask that another thread
 * sets just now is lost; KVM has it only between two calls of KVM_RUN.
 */
void kick_end(struct kick *kick)
{
	int error = errno;

	if (!kick->has_mask)
		set_run_mask(kick->vcpu_fd, NULL);
	errno = error;
	guard_leave_after_run(&kick->guard);
}
