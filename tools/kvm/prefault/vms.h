/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMM's ioctls have told of its VMs.
 *
 * One mutex guards it all.  It is taken inside of a struct guard only, and
 * never held during a call that can take long, ioctl() in particular.
 */
#ifndef VMS_H
#define VMS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "pre-fault.h"
#include "stats.h"

/* What a descriptor stands for. */
enum kind {
	KIND_OTHER,		/* something that is no VM of ours, for sure */
	KIND_VM,
	KIND_VCPU,
};

struct object {
	enum kind kind;
	unsigned int refs;	/* descriptors, users, and vCPUs of a VM */
	int fd;			/* the first one */
	struct object *gone;	/* the next one that is to be freed */
};

struct slot {
	uint32_t id;		/* address space << 16 | number */
	uint32_t flags;
	uint64_t gpa;
	uint64_t size;
	uint64_t hva;
};

/* A part of a slot that is to be pre-faulted. */
struct part {
	struct pre_fault_work work;
	struct slot slot;
};

struct piece {
	uint64_t gpa;
	uint64_t size;
	uint64_t hva;
	struct slot slot;	/* that it is in */
};

enum state {
	STATE_NEW,		/* no vCPU has run */
	STATE_SETTLING,		/* until memslots stay as they are */
	STATE_ACTIVE,		/* threads are at it */
	STATE_DONE,
	STATE_OFF,		/* not any more for this VM */
};

/* Bytes, but for the entries. */
struct account {
	uint64_t total;		/* selected */
	uint64_t done;		/* pre-faulted */
	uint64_t absent;	/* left out: not in host memory */
	uint64_t failed;	/* left out: an error */
	uint64_t entries;	/* that KVM made; 0 if it does not tell */
	uint64_t kicks;		/* that ended a turn of a vCPU */
};

struct vm {
	struct object object;
	enum state state;
	bool armed;		/* counted in vms_armed */
	struct slot *slots;
	unsigned int nr_slots;
	struct part *parts;
	unsigned int nr_parts;
	unsigned int next_part;
	struct piece *rests;	/* of pieces that were given back */
	unsigned int nr_rests;
	struct vcpu *vcpus;
	unsigned int workers;	/* threads that are at it */
	unsigned int most_workers;
	struct account account;
	int error;		/* that ended it, negative */
	unsigned int unable;	/* turns since something could be done */
	unsigned int passes;
	unsigned int again;	/* passes that may still be made */
	unsigned int changes;	/* slots deleted or moved since the last pass */
	uint64_t changed_at;	/* ns */
	uint64_t started_at;
	uint64_t ended_at;
	uint64_t faults;	/* of vCPUs that have been closed */
	bool has_faults;
	struct vm *next;
};

struct vcpu {
	struct object object;
	struct vm *vm;
	struct vcpu *next;
	bool has_mask;
	sigset_t mask;		/* of KVM_SET_SIGNAL_MASK */
	uint64_t pace;		/* bytes that take about a millisecond */
	uint64_t unable_until;	/* ns */
	struct kvm_stat faults;	/* for the report, if one is asked for */
};

void vms_lock(void);
void vms_unlock(void);

/* After fork, in the child: the VMs are the parent's. */
void vms_forget_all(void);

/* The number of VMs for which a vCPU that is about to run may have work. */
extern int vms_armed;
void vms_arm(struct vm *vm, bool armed);

/* Whether @fd is anything; without the lock, so for a first look. */
bool vms_known(int fd);

/* All below with the lock held. */

/* What @fd stands for, perhaps as a duplicate; NULL if it is none of @kind. */
struct object *vms_find(int fd, enum kind kind);

/* The VMM has got a new descriptor.  They return NULL without memory. */
struct vm *vms_add_vm(int fd);
struct vcpu *vms_add_vcpu(int fd, struct vm *vm);

/* Frees what has gone.  Not in a signal handler of the VMM's. */
void vms_free_gone(void);

/* The VMM has closed, or is about to close, a descriptor. */
void vms_close(int fd);

void vms_get(struct object *object);
void vms_put(struct object *object);

/* The first of all VMs. */
struct vm *vms_first(void);

/* Whether a slot has been deleted or moved. */
bool vms_set_slot(struct vm *vm,
		  const struct kvm_userspace_memory_region *region);

/* Whether @slot is still what it was. */
bool vms_has_slot(const struct vm *vm, const struct slot *slot);

#endif /* VMS_H */
