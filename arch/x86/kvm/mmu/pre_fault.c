// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY on x86: populates TDP (EPT or NPT) page tables through
 * KVM's own fault path, one mapping of whatever size that path decides on at a
 * time.
 *
 * The fault is a prefetch: a read that the guest has not made.  So a present
 * leaf is left as it is, a new one is not marked Accessed, nothing is logged as
 * dirty, and no signal is queued for poison.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_pre_fault.h>

#include "cpuid.h"
#include "mmu.h"
#include "mmu_internal.h"
#include "spte.h"
#include "tdp_mmu.h"
#include "x86.h"

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
 * A walk beyond the root's width would wrap to the entry of a lower gpa.  Of
 * the level-3 root of PAE paging (NPT on a 32-bit host) only 4 entries exist.
 */
static bool root_covers_gpa(struct kvm_mmu *mmu, gpa_t gpa)
{
	int level = mmu->root_role.level;
	int bits = level == PT32E_ROOT_LEVEL ?
		   32 : PAGE_SHIFT + level * SPTE_LEVEL_BITS;

	return !(gpa >> bits);
}

/*
 * Looked up before the fault path sees the gpa: without a slot that path would
 * create page tables and an MMIO SPTE, and with one that is being deleted or
 * moved it would retry until the update, which waits for kvm->srcu, is through.
 * And before the root is loaded, which fails in a VM without any memslot.
 */
static int pre_fault_check_gpa(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_memory_slot *slot;

	if (!kvm_vcpu_is_legal_gpa(vcpu, gpa) ||
	    !root_covers_gpa(vcpu->arch.mmu, gpa))
		return -ENOENT;

	slot = kvm_vcpu_gfn_to_memslot(vcpu, gpa_to_gfn(gpa));
	if (!slot || slot->id >= KVM_USER_MEM_SLOTS)
		return -ENOENT;

	if (slot->flags & KVM_MEMSLOT_INVALID)
		return -EAGAIN;

	return 0;
}

/*
 * The level of the leaf that already maps @gpa for reading, PG_LEVEL_NONE if
 * there is none.  Spares what is mapped the host lookup and mmu_lock.  Only the
 * TDP MMU, whose tables RCU protects, can be asked without mmu_lock here.
 */
static int mapped_level(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	int level = PG_LEVEL_NONE;
	u64 *sptep, spte = 0;

	if (!is_tdp_mmu(vcpu->arch.mmu))
		return PG_LEVEL_NONE;

	kvm_tdp_mmu_walk_lockless_begin();
	sptep = kvm_tdp_mmu_fast_pf_get_last_sptep(vcpu, gpa, &spte);
	if (is_shadow_present_pte(spte) && !is_access_track_spte(spte) &&
	    is_last_spte(spte, sptep_to_sp(sptep)->role.level))
		level = sptep_to_sp(sptep)->role.level;
	kvm_tdp_mmu_walk_lockless_end();

	return level;
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

/* The bytes from the start of @range to the end of its mapping or its own. */
static long range_within_level(const struct kvm_pre_fault_memory *range,
			       int level)
{
	u64 page_size = KVM_HPAGE_SIZE(level);

	return min(page_size - (range->gpa & (page_size - 1)), range->size);
}

long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
				    const struct kvm_pre_fault_memory *range)
{
	int level, r;

	lockdep_assert_held(&vcpu->mutex);
	lockdep_assert(srcu_read_lock_held(&vcpu->kvm->srcu));

	if (!pre_fault_is_possible(vcpu))
		return -EOPNOTSUPP;

	r = pre_fault_check_gpa(vcpu, range->gpa);
	if (r)
		return r;

	r = pre_fault_reload_root(vcpu);
	if (r)
		return r;

	level = mapped_level(vcpu, range->gpa);
	if (level == PG_LEVEL_NONE)
		level = pre_fault_one(vcpu, range->gpa);
	if (level < 0)
		return level;

	return level == PG_LEVEL_NONE ? 0 : range_within_level(range, level);
}
