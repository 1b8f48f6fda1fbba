/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the VMM's thread from noticing what is done in it. */
#ifndef GUARD_H
#define GUARD_H

#include <signal.h>
#include <stdbool.h>

struct guard {
	sigset_t mask;		/* the thread's, as the VMM has set it */
	int cancel;
	int error;
};

/*
 * Between the two, no handler of the VMM's runs, so that none can meet a lock
 * that its own thread holds; the thread is not cancelled; errno is kept.
 * Signals that stand for an error of this very code are not held back.
 */
void guard_enter(struct guard *guard);
void guard_leave(const struct guard *guard);

/*
 * Inside: leaves but for signals, before KVM_RUN with the mask @run_mask.  What
 * that lets through stays held back, so that KVM_RUN sees it, however late it
 * comes; all others are let through now, and those that the VMM ignores, which
 * KVM_RUN would return for.
 */
void guard_leave_to_run(const struct guard *guard, const sigset_t *run_mask);

/* After it: lets the rest through.  Keeps errno. */
void guard_leave_after_run(const struct guard *guard);

/* Whether the VMM's thread has @signal dropped, when it does not block it. */
bool guard_is_ignored(int signal);

#endif /* GUARD_H */
