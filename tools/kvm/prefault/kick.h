/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kicks: what makes KVM_RUN return early.
 *
 * A VMM gets a vCPU out of KVM_RUN by a signal whose handler sets
 * kvm_run->immediate_exit, or by one that only KVM_RUN lets through
 * (KVM_SET_SIGNAL_MASK), or by one with a handler, if it can live with the race.
 * All of them have to work while the thread pre-faults, with all signals held
 * back by struct guard.
 *
 * Signals therefore stay held back until KVM_RUN, which gets the VMM's mask by
 * KVM_SET_SIGNAL_MASK: it returns EINTR for whatever is pending, sets exit_reason
 * as the VMM knows it, and the handlers run after it.  None is lost, and none is
 * made up for a signal that another thread has taken.
 */
#ifndef KICK_H
#define KICK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "guard.h"

struct kick {
	struct guard guard;
	int vcpu_fd;
	struct kvm_run *run;
	sigset_t run_mask;		/* signals that KVM_RUN holds back */
	bool has_mask;			/* that is the VMM's own */
	uint64_t looked_at;		/* ns */
};

/*
 * Inside of @kick->guard; @mask: of the VMM's KVM_SET_SIGNAL_MASK, or NULL.  Maps
 * the vCPU's kvm_run, which keeps the VM alive until kick_leave_to_run().
 * Returns false if kicks would be missed.
 */
bool kick_start(struct kick *kick, int vcpu_fd, const sigset_t *mask);

/* Whether KVM_RUN would return at once.  To be called inside the guard. */
bool kick_pending(struct kick *kick);

/* The same for a loop, looks every now and then.  @data: a struct kick. */
bool kick_pending_now_and_then(void *data);

/* Before KVM_RUN, and leaves the guard but for signals. */
void kick_leave_to_run(struct kick *kick);

/* After KVM_RUN.  Keeps errno. */
void kick_end(struct kick *kick);

#endif /* KICK_H */
