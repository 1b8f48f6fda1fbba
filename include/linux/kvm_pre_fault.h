/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM_PRE_FAULT_MEMORY: the contract between the generic vcpu ioctl and an
 * architecture that can populate stage-2 page tables ahead of the guest.
 *
 * An architecture selects KVM_GENERIC_PRE_FAULT_MEMORY, implements
 * kvm_arch_vcpu_pre_fault_memory() and reports KVM_CAP_PRE_FAULT_MEMORY.
 */
#ifndef __KVM_PRE_FAULT_H
#define __KVM_PRE_FAULT_H

struct kvm_pre_fault_memory;
struct kvm_vcpu;

/**
 * kvm_vcpu_pre_fault_memory - the vcpu ioctl KVM_PRE_FAULT_MEMORY
 * @vcpu: the vCPU, with its mutex held
 * @argp: the range, in bytes of guest physical address; what remains of it is
 *	  written back if at least one page was processed, else nothing is
 *
 * Context: Process context, may sleep, takes kvm->srcu for each step.
 * Return: 0 if at least one page was processed, else the negative errno that
 *	   Documentation/virt/kvm/api.rst lists.
 */
int kvm_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
			      struct kvm_pre_fault_memory __user *argp);

/**
 * kvm_arch_vcpu_pre_fault_memory - populate the start of a range
 * @vcpu: the vCPU, loaded, with its mutex held
 * @range: gpa and size in bytes, aligned to PAGE_SIZE, size not zero, no flags
 *
 * Makes one bounded step from @range->gpa on; the caller looks for signals and
 * reschedules between two steps.  kvm->srcu is not held from one step to the
 * next: nothing that depends on memslots, roots included, may be kept.
 *
 * A page that is already mapped is processed without being touched.
 *
 * Context: Process context, kvm->srcu held for read, may sleep.
 * Return: the bytes processed, a positive multiple of PAGE_SIZE and at most
 *	   @range->size; 0 if something else was changing the same tables and
 *	   the step is to be made again; else a negative errno.
 */
long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
				    const struct kvm_pre_fault_memory *range);

#endif /* __KVM_PRE_FAULT_H */
