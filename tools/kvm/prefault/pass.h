/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pass over the guest's memory, made by the threads of its vCPUs, each of
 * them inside of its own calls of KVM_RUN, before it runs.
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>

#include "kick.h"
#include "options.h"
#include "policy.h"
#include "vms.h"

void pass_init(const struct options *options, const struct policy *policy);

/*
 * This thread's turn, before KVM_RUN on @vcpu_fd: ends when there is nothing
 * more to take, or with a kick.  Returns whether @kick is in use, with signals
 * held back, which is then to be followed by KVM_RUN and kick_end().
 */
bool pass_turn(int vcpu_fd, struct kick *kick);

/* A VM has been created.  Says why if nothing can be done for it. */
void pass_new_vm(int vm_fd);

/* A vCPU has been created.  @vm_fd: its VM, or something else. */
void pass_new_vcpu(int vm_fd, int vcpu_fd);

/* A slot has been deleted or moved.  With the lock held. */
void pass_slot_changed(struct vm *vm);

/* After fork, in the child. */
void pass_forget_all(void);

/* A descriptor is about to be closed.  With the lock held. */
void pass_closing(int fd);

/* The report at exit, of the last VM. */
void pass_report_at_exit(void);

#endif /* PASS_H */
