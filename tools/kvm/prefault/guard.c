// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>

#include "guard.h"

void guard_enter(struct guard *guard)
{
	static const int errors[] = {
		SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, 0
	};
	const int *error;
	sigset_t held;

	guard->error = errno;
	sigfillset(&held);
	for (error = errors; *error; error++)
		sigdelset(&held, *error);
	pthread_sigmask(SIG_BLOCK, &held, &guard->mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &guard->cancel);
}

void guard_leave(const struct guard *guard)
{
	pthread_setcancelstate(guard->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
	errno = guard->error;
}
