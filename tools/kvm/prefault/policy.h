/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When it pays.
 *
 * In Linux 6.1 the deletion or the move of any memslot drops all stage-2
 * entries of the VM.  The firmware of QEMU's pc and q35 does that many times
 * while it sets up PAM and SMRAM.
 */
#ifndef POLICY_H
#define POLICY_H

#include "options.h"

struct policy {
	enum when when;		/* not WHEN_AUTO */
	const char *why;	/* for the user */
};

/* @argv: the VMM's arguments, ended by NULL. */
struct policy policy_decide(const struct options *options, char **argv);

#endif /* POLICY_H */
