// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY, the part that all architectures share: arguments, the
 * loop over the range, signals and progress.
 *
 * Lock order: vcpu->mutex, then kvm->srcu (one step at a time), then what the
 * architecture's fault path takes (mmap_lock, kvm->mmu_lock).
 */
#include <linux/kvm_host.h>
#include <linux/kvm_pre_fault.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <trace/events/kvm.h>

static bool pre_fault_range_is_valid(const struct kvm_pre_fault_memory *range)
{
	return !range->flags && range->size &&
	       PAGE_ALIGNED(range->gpa) && PAGE_ALIGNED(range->size) &&
	       range->gpa + range->size > range->gpa;
}

/*
 * SRCU is dropped after every step, so that a memslot update waits for one step
 * and not for the whole range.
 */
static long pre_fault_step(struct kvm_vcpu *vcpu,
			   const struct kvm_pre_fault_memory *range)
{
	long r;

	kvm_vcpu_srcu_read_lock(vcpu);
	r = kvm_arch_vcpu_pre_fault_memory(vcpu, range);
	kvm_vcpu_srcu_read_unlock(vcpu);

	if (WARN_ON_ONCE(r > 0 && (r > range->size || !PAGE_ALIGNED(r))))
		return -EIO;

	return r;
}

/*
 * Advances @range over what was processed.  Returns 0 at its end, else why the
 * loop stopped before.
 */
static long pre_fault_range(struct kvm_vcpu *vcpu,
			    struct kvm_pre_fault_memory *range)
{
	long r;

	do {
		if (signal_pending(current))
			return -EINTR;

		if (READ_ONCE(vcpu->kvm->vm_dead))
			return -EIO;

		r = pre_fault_step(vcpu, range);
		if (r < 0)
			return r;

		range->gpa += r;
		range->size -= r;
		cond_resched();
	} while (range->size);

	return 0;
}

int kvm_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
			      struct kvm_pre_fault_memory __user *argp)
{
	struct kvm_pre_fault_memory range;
	u64 gpa, size, processed;
	long r;

	lockdep_assert_held(&vcpu->mutex);

	if (copy_from_user(&range, argp, sizeof(range)))
		return -EFAULT;

	if (!pre_fault_range_is_valid(&range))
		return -EINVAL;

	gpa = range.gpa;
	size = range.size;

	vcpu_load(vcpu);
	r = pre_fault_range(vcpu, &range);
	vcpu_put(vcpu);

	processed = size - range.size;
	vcpu->stat.generic.pre_fault_pages += processed >> PAGE_SHIFT;
	trace_kvm_pre_fault_memory(gpa, size, processed, r);

	if (!processed)
		return r;

	/* What stopped a call that made progress, the next call will tell. */
	if (copy_to_user(argp, &range,
			 offsetofend(struct kvm_pre_fault_memory, size)))
		return -EFAULT;

	return 0;
}
