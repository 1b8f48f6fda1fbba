// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>

#include "guard.h"

static void let_errors_through(sigset_t *held)
{
	static const int errors[] = {
		SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, 0
	};
	const int *error;

	for (error = errors; *error; error++)
		sigdelset(held, *error);
}

void guard_enter(struct guard *guard)
{
	sigset_t held;

	guard->error = errno;
	sigfillset(&held);
	let_errors_through(&held);
	pthread_sigmask(SIG_BLOCK, &held, &guard->mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &guard->cancel);
}

void guard_leave(const struct guard *guard)
{
	pthread_setcancelstate(guard->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
	errno = guard->error;
}

bool guard_is_ignored(int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) || action.sa_handler == SIG_IGN)
		return true;

	return action.sa_handler == SIG_DFL &&
	       (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG ||
		signal == SIGWINCH);
}

void guard_leave_to_run(const struct guard *guard, const sigset_t *run_mask)
{
	sigset_t held;
	int signal;

	sigfillset(&held);
	for (signal = 1; signal < NSIG; signal++) {
		if (sigismember(run_mask, signal) == 1 ||
		    guard_is_ignored(signal))
			sigdelset(&held, signal);
	}
	let_errors_through(&held);
	for (signal = 1; signal < NSIG; signal++) {
		if (sigismember(&guard->mask, signal) == 1)
			sigaddset(&held, signal);
	}

	pthread_setcancelstate(guard->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &held, NULL);
	errno = guard->error;
}

void guard_leave_after_run(const struct guard *guard)
{
	int error = errno;

	pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
	errno = error;
}
