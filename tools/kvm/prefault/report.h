/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "vms.h"

/* What is told of a pass, copied so that it can be told without the lock. */
struct report {
	struct account account;
	int vm_fd;		/* for who tells it; -1: none */
	int error;
	unsigned int pass;
	unsigned int workers;
	unsigned int changes;
	uint64_t ns;
	bool again;		/* there will be another one */
	bool has_faults;
	uint64_t faults;	/* that the guest has taken */
};

/* A vCPU is about to be closed: its part of the report at exit. */
void report_closing(struct vcpu *vcpu);

/* With the lock held, both. */
void report_fill(struct report *report, const struct vm *vm);

/* Without it. */
void report_pass(const struct report *report);
void report_exit(const struct report *report);

#endif /* REPORT_H */
