/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM keeps for the readers of its hash page table: see
 * Documentation/virt/kvm/ppc-htab-fd.rst.
 */
#ifndef __ASM_KVM_HTAB_H
#define __ASM_KVM_HTAB_H

#include <linux/list.h>
#include <linux/types.h>

struct kvm;
struct kvm_change_map;
struct kvm_hpt_info;

/*
 * All under kvm->arch.mmu_setup_lock but for @changes, which whoever changes an
 * HPTE loads and marks: under the HPTE's lock, and in an SRCU read-side critical
 * section of kvm->srcu, unless it holds mmu_setup_lock.  Real mode is in that of
 * kvmppc_run_core().
 */
struct kvmppc_htab {
	/* Entries changed since the last sweep; NULL if there is no reader. */
	struct kvm_change_map *changes;
	/*
	 * Entries that may get their R or C set by hardware so that the guest's
	 * view changes, and others.  Together with @changes.
	 */
	struct kvm_change_map *watch;
	/* What @changes is swept to: @watch, and the map of each reader. */
	struct list_head sinks;
	struct list_head readers;
	unsigned int nr_readers;
	/* Which table this is: another number after each reset or replacement. */
	u64 generation;
};

#ifdef CONFIG_KVM_BOOK3S_HV_HTAB_STREAM
void kvmppc_htab_init(struct kvm *kvm);

/*
 * To be called when the table was or will be emptied, replaced or removed, before
 * kvm->arch.mmu_setup_lock is dropped: each reader starts anew.  May sleep.
 */
void kvmppc_htab_replaced(struct kvm *kvm);

/*
 * The register of an HPT's groups that have had an entry since it was empty, see
 * note_hpte_use().  All may sleep; nobody else uses the HPT.
 */
int kvmppc_htab_alloc_used(struct kvm_hpt_info *hpt);	/* 0 or -ENOMEM */
void kvmppc_htab_free_used(struct kvm_hpt_info *hpt);
void kvmppc_htab_clear_used(struct kvm_hpt_info *hpt);
#else
static inline void kvmppc_htab_init(struct kvm *kvm) { }
static inline void kvmppc_htab_replaced(struct kvm *kvm) { }
static inline int kvmppc_htab_alloc_used(struct kvm_hpt_info *hpt)
{
	return 0;
}

static inline void kvmppc_htab_free_used(struct kvm_hpt_info *hpt) { }
static inline void kvmppc_htab_clear_used(struct kvm_hpt_info *hpt) { }
#endif

#endif /* __ASM_KVM_HTAB_H */
