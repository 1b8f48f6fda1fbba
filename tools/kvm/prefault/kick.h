/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kicks: what makes KVM_RUN return early.
 *
 * A VMM gets a vCPU out of KVM_RUN by a signal whose handler sets
 * kvm_run->immediate_exit, or by one that only KVM_RUN lets through
 * (KVM_SET_SIGNAL_MASK), or by one with a handler, if it can live with the race.
 * All of them have to work while the thread pre-faults, with all signals held
 * back by struct guard.
 */
#ifndef KICK_H
#define KICK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "guard.h"

struct kick {
	struct kvm_run *run;
	const sigset_t *run_mask;	/* signals that KVM_RUN holds back */
	const sigset_t *thread_mask;	/* that the thread holds back elsewhere */
	bool handled;			/* a handler is going to run */
	bool forced;
	uint64_t looked_at;		/* ns */
};

/*
 * Maps the vCPU's kvm_run, for no longer than needed: the mapping keeps the VM
 * alive.  Both masks are kept by reference.  Returns false if it cannot.
 */
bool kick_start(struct kick *kick, int vcpu_fd, const sigset_t *run_mask,
		const sigset_t *thread_mask);

/* Whether KVM_RUN would return at once.  To be called inside the guard. */
bool kick_pending(struct kick *kick);

/* The same for a loop, looks every now and then.  @data: a struct kick. */
bool kick_pending_now_and_then(void *data);

/*
 * Outside of the guard, before KVM_RUN: where a handler has run meanwhile that
 * would have run in KVM_RUN, makes that return EINTR as it would have done.
 */
void kick_force(struct kick *kick);

/* After KVM_RUN.  Keeps errno. */
void kick_end(struct kick *kick);

#endif /* KICK_H */
