/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_X86_MMU_TDP_FILL_H
#define __KVM_X86_MMU_TDP_FILL_H

#include <linux/kvm_host.h>

#ifdef CONFIG_X86_64
/**
 * kvm_tdp_mmu_fill - map a run of guest pages from the host's page table
 * @vcpu: the vCPU, loaded, with a valid root of the TDP MMU that maps @slot
 * @slot: the memslot of @gfn, not INVALID
 * @gfn: the first page to map
 * @npages: how many pages of @slot at most
 *
 * Maps what the host has mapped, of the size that a read fault would choose,
 * from @gfn on to the end of a page table at the latest.  Host memory that is
 * not populated at @gfn is populated as a read does it.  What is already mapped
 * for the guest is left as it is.
 *
 * Context: Process context of the VM's mm, kvm->srcu held for read, may sleep.
 * Return: the pages from @gfn on that are mapped now, at most @npages; 0 if
 *	   @gfn needs KVM's fault path; -ENOMEM.
 */
long kvm_tdp_mmu_fill(struct kvm_vcpu *vcpu, const struct kvm_memory_slot *slot,
		      gfn_t gfn, u64 npages);

/**
 * kvm_tdp_mmu_mapped - how many guest pages are mapped for reading
 * @vcpu: the vCPU, with a valid root of the TDP MMU
 * @gfn: the first page to look at
 * @npages: how many pages to look at
 *
 * Context: Any, takes no lock: the answer may be stale when it is given.
 * Return: the pages from @gfn on to the first that is not mapped, to the end of
 *	   a page table, or to @npages.
 */
u64 kvm_tdp_mmu_mapped(struct kvm_vcpu *vcpu, gfn_t gfn, u64 npages);
#else
static inline long kvm_tdp_mmu_fill(struct kvm_vcpu *vcpu,
				    const struct kvm_memory_slot *slot,
				    gfn_t gfn, u64 npages)
{
	return 0;
}

static inline u64 kvm_tdp_mmu_mapped(struct kvm_vcpu *vcpu, gfn_t gfn,
				     u64 npages)
{
	return 0;
}
#endif

#endif /* __KVM_X86_MMU_TDP_FILL_H */
