/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the VMM's thread from noticing what is done in it. */
#ifndef GUARD_H
#define GUARD_H

#include <signal.h>

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

#endif /* GUARD_H */
