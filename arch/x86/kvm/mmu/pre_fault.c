// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY on x86: populates TDP (EPT or NPT) page tables.  A step
 * passes over what is mapped, or fills up to a page table at once, or sends
 * pages through KVM's own fault path, one mapping of whatever size that path
 * decides on at a time: what the fill does not know, and all of it where the
 * TDP MMU is not in use.
 *
 * The fault is a prefetch: a read that the guest has not made.  So a present
 * leaf is left as it is, a new one is not marked Accessed, nothing is logged as
 * dirty, and no signal is queued for poison.  The fill does the same.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_pre_fault.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>

#include "cpuid.h"
#include "mmu.h"
#include "mmu_internal.h"
#include "spte.h"
#include "tdp_fill.h"
#include "tdp_mmu.h"
#include "x86.h"

static bool __read_mostly batch = true;
module_param_named(pre_fault_batch, batch, bool, 0644);

/* Faults in a row, so that little is lost where the fill can do nothing. */
#define FAULTS_PER_STEP 8

/*
 * In guest mode and in SMM the vCPU's current root maps L2's or SMM's view of
 * memory, which is not the one that the caller means.
 */
static bool pre_fault_is_possible(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mmu->page_fault == kvm_tdp_page_fault &&
	       !is_guest_mode(vcpu) && !is_smm(vcpu);
}

/*
 * A memslot update makes the root obsolete and leaves a request for the next
 * guest entry.  There may be none for long, so the request is served here:
 * every fault on an obsolete root would be stale.
 */
static int pre_fault_reload_root(struct kvm_vcpu *vcpu)
{
	if (kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu))
		kvm_mmu_free_obsolete_roots(vcpu);

	return kvm_mmu_reload(vcpu);
}

/*
 * The end of what the guest can address and the root can map: a walk beyond the
 * root's width would wrap to the entry of a lower gpa.  Of the level-3 root of
 * PAE paging (NPT on a 32-bit host) only 4 entries exist.
 */
static gfn_t addressable_end(struct kvm_vcpu *vcpu)
{
	int level = vcpu->arch.mmu->root_role.level;
	int bits = level == PT32E_ROOT_LEVEL ?
		   32 : PAGE_SHIFT + level * SPTE_LEVEL_BITS;

	return gpa_to_gfn(1ULL << min(bits, cpuid_maxphyaddr(vcpu)));
}

/*
 * Looked up before the fault path sees the gfn: without a slot that path would
 * create page tables and an MMIO SPTE, and with one that is being deleted or
 * moved it would retry until the update, which waits for kvm->srcu, is through.
 * And before the root is loaded, which fails in a VM without any memslot.
 */
static int pre_fault_find_slot(struct kvm_vcpu *vcpu, gfn_t gfn,
			       struct kvm_memory_slot **slotp)
{
	struct kvm_memory_slot *slot;

	if (gfn >= addressable_end(vcpu))
		return -ENOENT;

	slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn);
	if (!slot || slot->id >= KVM_USER_MEM_SLOTS)
		return -ENOENT;

	if (slot->flags & KVM_MEMSLOT_INVALID)
		return -EAGAIN;

	*slotp = slot;
	return 0;
}

/*
 * Maps @gpa.  Returns the level of the mapping, PG_LEVEL_NONE if the step is to
 * be made again, or a negative errno.
 */
static int pre_fault_one(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	u8 level = PG_LEVEL_4K;
	int r;

	r = kvm_mmu_do_page_fault(vcpu, gpa, 0, true, NULL, &level);
	if (r < 0)
		return r;

	switch (r) {
	case RET_PF_FIXED:
	case RET_PF_SPURIOUS:
		return level;
	case RET_PF_RETRY:
		return PG_LEVEL_NONE;
	default:
		WARN_ONCE(1, "kvm: unexpected result %d of a prefetch\n", r);
		return -EIO;
	}
}

/* Returns the pages mapped, 0 if the step is to be made again, or an errno. */
static long pre_fault_one_by_one(struct kvm_vcpu *vcpu, gfn_t gfn, u64 npages)
{
	u64 done = 0, size;
	int i, level;

	for (i = 0; i < FAULTS_PER_STEP && done < npages; i++) {
		if (i && (signal_pending(current) || need_resched()))
			break;

		level = pre_fault_one(vcpu, gfn_to_gpa(gfn + done));
		if (level < 0 && !done)
			return level;
		if (level <= PG_LEVEL_NONE)
			break;

		size = KVM_PAGES_PER_HPAGE(level);
		done += size - ((gfn + done) & (size - 1));
	}
	return min(done, npages);
}

/* As above, and prefers the cheapest way. */
static long pre_fault_pages(struct kvm_vcpu *vcpu,
			    const struct kvm_memory_slot *slot, gfn_t gfn,
			    u64 npages)
{
	long n = 0;

	if (is_tdp_mmu(vcpu->arch.mmu)) {
		n = kvm_tdp_mmu_mapped(vcpu, gfn, npages);
		if (!n && READ_ONCE(batch))
			n = kvm_tdp_mmu_fill(vcpu, slot, gfn, npages);
	}

	return n ?: pre_fault_one_by_one(vcpu, gfn, npages);
}

long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
				    const struct kvm_pre_fault_memory *range)
{
	gfn_t gfn = gpa_to_gfn(range->gpa), end;
	struct kvm_memory_slot *slot;
	long n;
	int r;

	lockdep_assert_held(&vcpu->mutex);
	lockdep_assert(srcu_read_lock_held(&vcpu->kvm->srcu));

	if (!pre_fault_is_possible(vcpu))
		return -EOPNOTSUPP;

	r = pre_fault_find_slot(vcpu, gfn, &slot);
	if (r)
		return r;

	r = pre_fault_reload_root(vcpu);
	if (r)
		return r;

	end = min3(gpa_to_gfn(range->gpa + range->size), addressable_end(vcpu),
		   slot->base_gfn + slot->npages);
	n = pre_fault_pages(vcpu, slot, gfn, end - gfn);

	return n < 0 ? n : n << PAGE_SHIFT;
}
