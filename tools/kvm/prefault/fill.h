/* SPDX-License-Identifier: GPL-2.0-only */
/* Pre-faults a piece. */
#ifndef FILL_H
#define FILL_H

#include "host.h"
#include "kick.h"
#include "options.h"
#include "stats.h"
#include "vms.h"

/* What a thread needs for it; nothing here is shared. */
struct fill {
	int vcpu_fd;
	const struct vm *vm;
	uint64_t pace;		/* bytes in one go */
	enum absent absent;
	struct host host;
	struct kvm_stat entries;	/* that KVM has made for the vCPU */
	bool huge_last;		/* the last block tried was in a huge page */
	unsigned int huge_misses;	/* in a row */
	uint64_t huge_from;	/* the gpa from which to try again */
	struct kick *kick;
	struct account account;	/* what was done and left out */
};

/*
 * Goes over @piece, which becomes what has not been gone over; leaves it at that
 * when its slot has gone.  Without the lock.  Returns 0, -EINTR after a kick,
 * or what says that it cannot be done at all.
 */
int fill_piece(struct fill *fill, struct piece *piece);

#endif /* FILL_H */
