// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills a page table of the TDP MMU from the host's page table in one go.
 *
 * No reference to a host page is held.  The host's entries are read, without
 * its locks, between the same mmu_lock and unlock as the SPTEs are written, and
 * while no invalidation of the range is in progress.  The primary MMU cannot
 * take a page away, or write access to it, before an invalidation has begun,
 * and that takes mmu_lock for write: so what was read stays true until mmu_lock
 * is dropped, and an invalidation that comes later finds the SPTEs.  This is
 * the second way in the comment at host_pfn_mapping_level().
 *
 * The host's page tables themselves do not go away: the VMA is held by
 * mmap_lock, which also keeps a huge page from being collapsed, and interrupts
 * are off, so that a table that was unlinked all the same is not yet freed.
 *
 * What an entry does not tell is a matter of the VMA: see vma_is_ordinary() and
 * memory_is_secret().
 *
 * Lock order: vcpu->mutex, kvm->srcu, mmap_lock (read), mmu_lock (read), RCU,
 * then tdp_mmu_pages_lock, or interrupts off.
 */
#include <linux/hugetlb.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include <asm/kvm_page_track.h>

#include "mmu.h"
#include "mmu_internal.h"
#include "mmutrace.h"
#include "spte.h"
#include "tdp_fill.h"
#include "tdp_iter.h"
#include "tdp_mmu.h"

#include <trace/events/kvm.h>

/* What in a host entry decides whether and how its page can be mapped. */
#define HOST_ATTRS	(_PAGE_PRESENT | _PAGE_USER | _PAGE_RW | \
			 _PAGE_SPECIAL | _PAGE_DEVMAP | _PAGE_PKEY_MASK)
#define HOST_READABLE	(_PAGE_PRESENT | _PAGE_USER)
#define HOST_WRITABLE	(HOST_READABLE | _PAGE_RW)
#define HOST_ZERO_PAGE	(HOST_READABLE | _PAGE_SPECIAL)

/* SPTEs at a time that are made one by one, for the sake of mmu_lock's waiters. */
#define MAX_FILL_EACH	64

/* Host pages populated at a time, between two looks for signals. */
#define MAX_POPULATE	32

struct fill {
	struct kvm_vcpu *vcpu;
	const struct kvm_memory_slot *slot;
	gfn_t gfn;		/* the first page to map, and... */
	gfn_t end;		/* ...the end; huge pages may lie across both */
	unsigned long hva;	/* of @gfn */
	bool may_populate;	/* a read would not wait for userfaultfd */
};

/* What the host has at an hva. */
struct host_leaf {
	u64 entry;
	int level;
};

/* @nr SPTEs from @gfn on, which @hva backs, in one table. */
struct spte_run {
	gfn_t gfn;
	unsigned long hva;
	struct kvm_mmu_page *sp;
	u64 *sptep;
	int level;
	int nr;
};

/*
 * Whether @spte maps a page so that a read takes no fault.  An access-tracked
 * SPTE does not.
 */
static bool spte_is_readable(u64 spte, int level)
{
	return is_shadow_present_leaf(spte, level) && !is_access_track_spte(spte);
}

/* The entries of @level, up to the table's end, that @npages from @gfn need. */
static int entries_for(gfn_t gfn, u64 npages, int level)
{
	u64 size = KVM_PAGES_PER_HPAGE(level);
	u64 left = SPTE_ENT_PER_PAGE - SPTE_INDEX(gfn_to_gpa(gfn), level);

	return min(DIV_ROUND_UP((gfn & (size - 1)) + npages, size), left);
}

/* The pages from @gfn on in @nr entries of @level, of @npages at most. */
static u64 pages_in(gfn_t gfn, u64 npages, int level, int nr)
{
	u64 size = KVM_PAGES_PER_HPAGE(level);

	return nr ? min(nr * size - (gfn & (size - 1)), npages) : 0;
}

/* How many of @nr SPTEs are readable, up to the first that is not. */
static int count_readable(const u64 *sptep, int nr, int level)
{
	/* All that spte_is_readable() looks at. */
	u64 bits = SPTE_MMU_PRESENT_MASK | SPTE_TDP_AD_MASK | PT_PAGE_SIZE_MASK |
		   shadow_acc_track_mask;
	u64 first = READ_ONCE(*sptep), spte;
	int i;

	if (!spte_is_readable(first, level))
		return 0;

	for (i = 1; i < nr; i++) {
		spte = READ_ONCE(sptep[i]);
		if (((spte ^ first) & bits) && !spte_is_readable(spte, level))
			break;
	}
	return i;
}

u64 kvm_tdp_mmu_mapped(struct kvm_vcpu *vcpu, gfn_t gfn, u64 npages)
{
	u64 *sptep, spte = 0;
	int nr, level;

	kvm_tdp_mmu_walk_lockless_begin();
	sptep = kvm_tdp_mmu_fast_pf_get_last_sptep(vcpu, gfn_to_gpa(gfn), &spte);
	level = sptep_to_sp(sptep)->role.level;
	nr = count_readable(sptep, entries_for(gfn, npages, level), level);
	kvm_tdp_mmu_walk_lockless_end();

	return pages_in(gfn, npages, level, nr);
}

/* Returns the host's entry for @hva, and its level; NULL if there is no table. */
static u64 *find_host_entry(struct mm_struct *mm, unsigned long hva, int *level)
{
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pgd_t pgd;
	p4d_t p4d;

	lockdep_assert_irqs_disabled();

	/* Each is read once: it may become a huge page or a table meanwhile. */
	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		return NULL;

	p4d = READ_ONCE(*p4d_offset_lockless(NULL, pgd, hva));
	if (!p4d_present(p4d))
		return NULL;

	pudp = pud_offset_lockless(NULL, p4d, hva);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		return NULL;

	*level = PG_LEVEL_1G;
	if (pud_large(pud))
		return (u64 *)pudp;

	pmdp = pmd_offset_lockless(NULL, pud, hva);
	pmd = READ_ONCE(*pmdp);
	if (!pmd_present(pmd))
		return NULL;

	*level = PG_LEVEL_2M;
	if (pmd_large(pmd))
		return (u64 *)pmdp;

	*level = PG_LEVEL_4K;
	return (u64 *)pte_offset_kernel(&pmd, hva);
}

static bool host_entry_is_usable(u64 entry, int level)
{
	switch (entry & HOST_ATTRS) {
	case HOST_READABLE:
	case HOST_WRITABLE:
		return level == PG_LEVEL_4K || (entry & _PAGE_PSE);
	case HOST_ZERO_PAGE:
		return level == PG_LEVEL_4K &&
		       is_zero_pfn((entry & PTE_PFN_MASK) >> PAGE_SHIFT);
	default:
		return false;
	}
}

/* Returns false if KVM's fault path has to look. */
static bool read_host_leaf(struct mm_struct *mm, unsigned long hva,
			   struct host_leaf *leaf)
{
	unsigned long flags;
	u64 *entryp;

	local_irq_save(flags);
	entryp = find_host_entry(mm, hva, &leaf->level);
	leaf->entry = entryp ? READ_ONCE(*entryp) : 0;
	local_irq_restore(flags);

	return host_entry_is_usable(leaf->entry, leaf->level);
}

/* The page at @hva, which lies in @leaf. */
static kvm_pfn_t host_pfn(const struct host_leaf *leaf, unsigned long hva)
{
	unsigned long mask = KVM_HPAGE_MASK(leaf->level);

	return ((leaf->entry & PTE_PFN_MASK & mask) | (hva & ~mask)) >> PAGE_SHIFT;
}

/* The level that a read fault would map @gfn at. */
static int mapping_level(const struct fill *f, gfn_t gfn)
{
	if (kvm_slot_dirty_track_enabled(f->slot))
		return PG_LEVEL_4K;

	return kvm_mmu_max_mapping_level(f->vcpu->kvm, f->slot, gfn,
					 KVM_MAX_HUGEPAGE_LEVEL);
}

/* The SPTEs to fill: as far as one table of the guest's and of the host's go. */
static void init_run(const struct fill *f, const struct host_leaf *first,
		     struct spte_run *run)
{
	int level = first->level == PG_LEVEL_4K ?
		    PG_LEVEL_4K : mapping_level(f, f->gfn);

	run->level = level;
	run->gfn = f->gfn & -KVM_PAGES_PER_HPAGE(level);
	run->hva = f->hva & KVM_HPAGE_MASK(level);
	run->nr = entries_for(f->gfn, f->end - f->gfn, level);
	if (level == PG_LEVEL_4K)
		run->nr = min_t(int, run->nr, PTRS_PER_PTE - pte_index(run->hva));
}

/*
 * The host's entries are read after this and before mmu_lock is dropped, so an
 * invalidation that starts later will find the SPTEs.
 */
static bool run_is_being_invalidated(struct kvm *kvm, const struct spte_run *run)
{
	return mmu_invalidate_in_progress_range(kvm, run->hva,
			run->hva + run->nr * KVM_HPAGE_SIZE(run->level));
}

static bool slots_are_write_tracked(struct kvm *kvm, int as_id, gfn_t gfn,
				    gfn_t end)
{
	struct kvm_memslots *slots = __kvm_memslots(kvm, as_id);
	struct kvm_memslot_iter iter;

	kvm_for_each_memslot_in_gfn_range(&iter, slots, gfn, end) {
		const struct kvm_memory_slot *slot = iter.slot;
		gfn_t first = max(gfn, slot->base_gfn);
		gfn_t last = min(end, slot->base_gfn + slot->npages);
		const unsigned short *track =
			slot->arch.gfn_track[KVM_PAGE_TRACK_WRITE];

		if (memchr_inv(track + (first - slot->base_gfn), 0,
			       (last - first) * sizeof(*track)))
			return true;
	}
	return false;
}

/*
 * Whether make_spte() could write-protect one page of the run and not another,
 * as the page is write-tracked or holds a guest page table that is shadowed.
 * Both become so under mmu_lock held for write.
 */
static bool run_may_be_shadowed(struct kvm *kvm, const struct spte_run *run)
{
	gfn_t end = run->gfn + run->nr;
	int as_id;

	if (kvm->arch.indirect_shadow_pages)
		return true;

	if (!kvm_page_track_write_tracking_enabled(kvm))
		return false;

	for (as_id = 0; as_id < KVM_ADDRESS_SPACE_NUM; as_id++) {
		if (slots_are_write_tracked(kvm, as_id, run->gfn, end))
			return true;
	}
	return false;
}

static u64 new_spte(const struct fill *f, const struct spte_run *run, gfn_t gfn,
		    kvm_pfn_t pfn, bool writable)
{
	u64 spte;

	if (f->slot->flags & KVM_MEM_READONLY)
		writable = false;

	make_spte(f->vcpu, run->sp, f->slot, ACC_ALL, gfn, pfn,
		  0, true, true, writable, &spte);
	return spte;
}

/* All but the pfn; of @pfn it matters only that it is RAM. */
static u64 spte_template(const struct fill *f, const struct spte_run *run,
			 kvm_pfn_t pfn, bool writable)
{
	return new_spte(f, run, run->gfn, pfn, writable) & ~(pfn << PAGE_SHIFT);
}

/*
 * Fills 4K entries from the host's 4K entries where all SPTEs are alike.
 * Returns how many entries are mapped now, from the first on, and in @filled how
 * many of them were not before.  A new table is nobody else's.
 */
static __always_inline int fill_alike(const struct spte_run *run,
				      const u64 *entryp, u64 readable,
				      u64 writable, bool is_new, int *filled)
{
	u64 pfn_mask = PTE_PFN_MASK;
	u64 *sptep = run->sptep;
	u64 entry, old, spte;
	long i, nr = run->nr;

	for (i = 0; i < nr; i++) {
		old = is_new ? 0 : READ_ONCE(sptep[i]);
		if (old) {
			if (!spte_is_readable(old, PG_LEVEL_4K))
				break;
			continue;
		}

		entry = READ_ONCE(entryp[i]);
		spte = entry & pfn_mask;
		if (likely((entry & HOST_ATTRS) == HOST_WRITABLE))
			spte |= writable;
		else if (host_entry_is_usable(entry, PG_LEVEL_4K))
			spte |= readable;
		else
			break;

		if (is_new)
			sptep[i] = spte;
		else if (try_cmpxchg64(&sptep[i], &old, spte))
			++*filled;
		else
			break;
	}

	if (is_new)
		*filled = i;
	return i;
}

/* Out of line, so that each loop has the registers to itself. */
static noinline int fill_new_table(const struct spte_run *run, const u64 *entryp,
				   u64 readable, u64 writable, int *filled)
{
	return fill_alike(run, entryp, readable, writable, true, filled);
}

static noinline int fill_table(const struct spte_run *run, const u64 *entryp,
			       u64 readable, u64 writable, int *filled)
{
	return fill_alike(run, entryp, readable, writable, false, filled);
}

static int fill_by_template(const struct fill *f, const struct host_leaf *first,
			    const struct spte_run *run, bool is_new, int *filled)
{
	kvm_pfn_t pfn = host_pfn(first, run->hva);
	u64 readable = spte_template(f, run, pfn, false);
	u64 writable = spte_template(f, run, pfn, true);
	int level, n = 0;
	unsigned long flags;
	u64 *entryp;

	local_irq_save(flags);
	entryp = find_host_entry(f->vcpu->kvm->mm, run->hva, &level);
	if (entryp && level == PG_LEVEL_4K)
		n = is_new ?
		    fill_new_table(run, entryp, readable, writable, filled) :
		    fill_table(run, entryp, readable, writable, filled);
	local_irq_restore(flags);

	return n;
}

/*
 * As above, for entries of any level, each as it has to be.  A huge page counts
 * as much as a whole table for the caller's latency.
 */
static int fill_each(const struct fill *f, const struct spte_run *run, int *filled)
{
	u64 step = KVM_PAGES_PER_HPAGE(run->level);
	int i, nr = min(run->nr, MAX_FILL_EACH);
	struct host_leaf leaf;

	for (i = 0; i < nr; i++) {
		unsigned long hva = run->hva + (i * step << PAGE_SHIFT);
		gfn_t gfn = run->gfn + i * step;
		u64 spte, old = READ_ONCE(run->sptep[i]);

		if (i && run->level > PG_LEVEL_4K &&
		    (need_resched() || signal_pending(current) ||
		     mapping_level(f, gfn) != run->level))
			break;

		if (old) {
			if (!spte_is_readable(old, run->level))
				break;
			continue;
		}

		if (!read_host_leaf(f->vcpu->kvm->mm, hva, &leaf) ||
		    leaf.level < run->level)
			break;

		spte = new_spte(f, run, gfn, host_pfn(&leaf, hva),
				leaf.entry & _PAGE_RW);
		if (!try_cmpxchg64(&run->sptep[i], &old, spte))
			break;

		++*filled;
	}
	return i;
}

static bool run_is_alike(struct kvm *kvm, const struct host_leaf *first,
			 const struct spte_run *run)
{
	return run->level == PG_LEVEL_4K && first->level == PG_LEVEL_4K &&
	       !run_may_be_shadowed(kvm, run);
}

/* Returns how many entries of the run are mapped now, from the first on. */
static int fill_run(const struct fill *f, const struct host_leaf *first,
		    struct spte_run *run)
{
	struct kvm_vcpu *vcpu = f->vcpu;
	struct tdp_iter iter;
	int n, filled = 0;
	bool is_new;

	run->sp = kvm_tdp_mmu_get_table(vcpu, &iter, run->gfn, run->level, &is_new);
	if (!run->sp)
		return 0;

	run->sptep = &run->sp->spt[SPTE_INDEX(gfn_to_gpa(run->gfn), run->level)];

	if (run_is_alike(vcpu->kvm, first, run))
		n = fill_by_template(f, first, run, is_new, &filled);
	else
		n = fill_each(f, run, &filled);

	if (is_new && !kvm_tdp_mmu_link_table(vcpu, &iter, run->sp))
		return 0;

	kvm_update_page_stats(vcpu->kvm, run->level, filled);
	vcpu->stat.pf_fixed += filled;
	return n;
}

static u64 fill_locked(struct fill *f)
{
	struct kvm_vcpu *vcpu = f->vcpu;
	struct host_leaf first;
	struct spte_run run;

	mmap_assert_locked(vcpu->kvm->mm);
	lockdep_assert_held_read(&vcpu->kvm->mmu_lock);

	if (to_shadow_page(vcpu->arch.mmu->root.hpa)->role.invalid)
		return 0;

	/* Before anything is allocated for it. */
	if (!read_host_leaf(vcpu->kvm->mm, f->hva, &first))
		return 0;

	init_run(f, &first, &run);
	if (run_is_being_invalidated(vcpu->kvm, &run))
		return 0;

	return pages_in(f->gfn, f->end - f->gfn, run.level,
			fill_run(f, &first, &run));
}

/*
 * Whether the entries tell all that GUP asks of the VMA, secrecy excepted.  Where
 * memory is not refcounted, or is not RAM, an entry for a huge page need not say
 * that it is special.
 */
static bool vma_is_ordinary(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_READ) &&
	       !(vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP));
}

/*
 * Memory is secret by its file, so one page tells of the whole VMA.  What cannot
 * be told counts as secret.
 */
static bool memory_may_be_secret(struct vm_area_struct *vma, unsigned long hva)
{
	struct page *page;

	if (vma_is_anonymous(vma) || is_vm_hugetlb_page(vma))
		return false;

	if (!get_user_page_fast_only(hva, 0, &page))
		return true;

	put_page(page);
	return false;
}

static u64 fill_vma(struct fill *f, struct vm_area_struct *vma)
{
	struct kvm *kvm = f->vcpu->kvm;
	u64 n;

	f->end = min(f->end, f->gfn + ((vma->vm_end - f->hva) >> PAGE_SHIFT));
	f->may_populate = !userfaultfd_armed(vma);

	if (memory_may_be_secret(vma, f->hva))
		return 0;

	read_lock(&kvm->mmu_lock);
	rcu_read_lock();
	n = fill_locked(f);
	rcu_read_unlock();
	read_unlock(&kvm->mmu_lock);

	return n;
}

static u64 fill(struct fill *f)
{
	struct mm_struct *mm = f->vcpu->kvm->mm;
	struct vm_area_struct *vma;
	u64 n = 0;

	if (mmap_read_lock_killable(mm))
		return 0;

	vma = vma_lookup(mm, f->hva);
	if (vma && vma_is_ordinary(vma))
		n = fill_vma(f, vma);
	mmap_read_unlock(mm);

	return n;
}

/* A hint, as nothing keeps it true. */
static bool host_is_absent(const struct fill *f)
{
	struct host_leaf leaf;

	read_host_leaf(f->vcpu->kvm->mm, f->hva, &leaf);
	return !(leaf.entry & _PAGE_PRESENT);
}

/*
 * Populates host memory as a read does it, as far as the VMA and one table of
 * the host's go, unless there is something else to do.  What cannot be populated
 * is left for the fault path to report.
 */
static void populate(const struct fill *f)
{
	unsigned long left = min_t(u64, PTRS_PER_PTE - pte_index(f->hva),
				   f->end - f->gfn);
	unsigned long hva = f->hva;
	long n;

	do {
		n = get_user_pages_unlocked(hva, min_t(u64, left, MAX_POPULATE),
					    NULL, 0);
		if (n <= 0)
			break;

		hva += n << PAGE_SHIFT;
		left -= n;
	} while (left && !signal_pending(current) && !need_resched());
}

/*
 * Each page is the fault path's while a tracepoint is on that it has for each
 * page, where memory types depend on the guest's MTRRs, and if this thread may
 * not access its own ordinary memory, those without a protection key.
 */
static bool fill_is_possible(struct kvm *kvm)
{
	return !(shadow_memtype_mask && kvm_arch_has_noncoherent_dma(kvm)) &&
	       __pkru_allows_pkey(0, true) &&
	       !trace_kvm_mmu_spte_requested_enabled() &&
	       !trace_kvm_mmu_set_spte_enabled() &&
	       !trace_kvm_tdp_mmu_spte_changed_enabled();
}

long kvm_tdp_mmu_fill(struct kvm_vcpu *vcpu, const struct kvm_memory_slot *slot,
		      gfn_t gfn, u64 npages)
{
	struct fill f = {
		.vcpu = vcpu,
		.slot = slot,
		.gfn = gfn,
		.end = gfn + npages,
		.hva = __gfn_to_hva_memslot(slot, gfn),
	};
	u64 n;
	int r;

	lockdep_assert(srcu_read_lock_held(&vcpu->kvm->srcu));

	if (!fill_is_possible(vcpu->kvm))
		return 0;

	r = mmu_topup_memory_caches(vcpu, false);
	if (r)
		return r;

	n = fill(&f);
	if (!n && f.may_populate && host_is_absent(&f)) {
		populate(&f);
		n = fill(&f);
	}

	/* Another thread may have been faster to link the same table. */
	return n ?: kvm_tdp_mmu_mapped(vcpu, gfn, npages);
}
