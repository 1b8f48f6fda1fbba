// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "clock.h"
#include "host.h"
#include "kick.h"

#define LOOK_INTERVAL_NS	(NS_PER_MS / 2)

bool kick_start(struct kick *kick, int vcpu_fd, const sigset_t *run_mask,
		const sigset_t *thread_mask)
{
	/* The structure starts with what is needed of it. */
	void *run = mmap(NULL, host_page_size(), PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu_fd, 0);

	*kick = (struct kick){
		.run = run,
		.run_mask = run_mask,
		.thread_mask = thread_mask,
	};
	return run != MAP_FAILED;
}

/* Whether a signal does nothing when it is let through; *@handled: it runs one. */
static bool is_ignored(int signal, bool *handled)
{
	struct sigaction action;

	*handled = false;
	if (sigaction(signal, NULL, &action) || action.sa_handler == SIG_IGN)
		return true;

	*handled = action.sa_handler != SIG_DFL;
	return !*handled && (signal == SIGCHLD || signal == SIGCONT ||
			     signal == SIGURG || signal == SIGWINCH);
}

static bool is_kick(struct kick *kick, int signal)
{
	bool handled;

	if (sigismember(kick->thread_mask, signal) == 1)
		return !sigismember(kick->run_mask, signal);

	if (is_ignored(signal, &handled))
		return false;
	kick->handled |= handled && !sigismember(kick->run_mask, signal);
	return true;
}

static bool signal_pending(struct kick *kick)
{
	bool found = false;
	sigset_t pending;
	int signal;

	if (sigpending(&pending))
		return false;

	for (signal = 1; signal < NSIG; signal++) {
		if (sigismember(&pending, signal) == 1)
			found |= is_kick(kick, signal);
	}
	return found;
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

void kick_force(struct kick *kick)
{
	__u8 none = 0;

	/* A handler that has set it by itself, the VMM will unset it. */
	kick->forced = kick->handled &&
		       __atomic_compare_exchange_n(&kick->run->immediate_exit,
						   &none, 1, false,
						   __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);
}

/*
 * A thread that sets immediate_exit while it is forced is not let down by its
 * being unset here: it has stored its reason before, and this thread looks at
 * that after EINTR.
 */
void kick_end(struct kick *kick)
{
	int error = errno;

	if (kick->forced)
		__atomic_store_n(&kick->run->immediate_exit, 0,
				 __ATOMIC_SEQ_CST);
	munmap(kick->run, host_page_size());
	errno = error;
}
