// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing a hash page table to the fd of KVM_PPC_GET_HTAB_FD.
 *
 * A record takes effect as a whole or not at all.  So all of it is copied from
 * the user and checked before the table is touched, and if an entry can still
 * not be entered, those before it are undone.  vCPUs are kept out while a record
 * is entered, but not while user memory is accessed.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/hvcall.h>
#include <asm/kvm_ppc.h>
#include <asm/kvm_book3s.h>

#include "book3s_hv_htab.h"

/* Entries to change before others get a chance of the CPU. */
#define HTAB_MAX_CHANGES	256

struct htab_writer {
	struct kvm *kvm;
	/* One record at a time.  For the lock order see book3s_hv_htab.h. */
	struct mutex lock;
};

/* An entry, as in the stream; not valid if there is none. */
struct htab_raw_entry {
	__be64 v;
	__be64 r;
};

static u64 entry_v(const struct htab_raw_entry *entry)
{
	return be64_to_cpu(entry->v);
}

static u64 entry_r(const struct htab_raw_entry *entry)
{
	return be64_to_cpu(entry->r);
}

static int entry_page_shift(const struct htab_raw_entry *entry)
{
	return kvmppc_hpte_base_page_shift(entry_v(entry), entry_r(entry));
}

static bool entries_are_sane(const struct htab_raw_entry *entries, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!(entry_v(&entries[i]) & HPTE_V_VALID) ||
		    entry_page_shift(&entries[i]) <= 0)
			return false;
	}
	return true;
}

/* Makes entry @i invalid; returns what it was. */
static struct htab_raw_entry remove_entry(struct kvm *kvm, unsigned long i)
{
	struct htab_raw_entry entry = {};
	unsigned long old[2];
	long r;

	preempt_disable();
	r = kvmppc_do_h_remove(kvm, 0, i, 0, old);
	preempt_enable();

	if (r == H_SUCCESS) {
		entry.v = cpu_to_be64(old[0]);
		entry.r = cpu_to_be64(old[1]);
	}
	return entry;
}

static int enter_entry(struct kvm *kvm, unsigned long i,
		       const struct htab_raw_entry *entry)
{
	unsigned long index;
	long r;

	if (!(entry_v(entry) & HPTE_V_VALID))
		return 0;

	preempt_disable();
	r = kvmppc_do_h_enter(kvm, H_EXACT, i, entry_v(entry), entry_r(entry),
			      kvm->mm->pgd, false, &index);
	preempt_enable();

	return r == H_SUCCESS ? 0 : -EIO;
}

/*
 * Puts back an entry that was removed, unmapped, for the guest's next access to
 * map it.  What it maps may be such by now that it could not be entered.
 */
static void restore_entry(struct kvm *kvm, unsigned long i,
			  const struct htab_raw_entry *entry)
{
	__be64 *hptep = kvmppc_htab_hpte(kvm, i);
	struct revmap_entry *rev = &kvm->arch.hpt.rev[i];
	u64 v = entry_v(entry), r = entry_r(entry);

	if (!(v & HPTE_V_VALID))
		return;

	v = (v & ~(HPTE_V_VALID | HPTE_V_HVLOCK)) | HPTE_V_ABSENT;
	kvmppc_htab_lock_hpte(hptep);
	rev->guest_rpte = r;
	note_hpte_modification(kvm, rev, i);
	r &= kvmppc_actual_pgsz(v, r) - 1;
	r &= ~(HPTE_R_KEY_HI | HPTE_R_KEY_LO);
	if (cpu_has_feature(CPU_FTR_ARCH_300)) {
		r = hpte_old_to_new_r(v, r);
		v = hpte_old_to_new_v(v);
	}
	hptep[1] = cpu_to_be64(r);
	unlock_hpte(hptep, v);
	preempt_enable();
}

/* Exchanges entry @i of the table and @entry; or does nothing, and fails. */
static int swap_entry(struct kvm *kvm, unsigned long i,
		      struct htab_raw_entry *entry)
{
	struct htab_raw_entry old = remove_entry(kvm, i);
	int r = enter_entry(kvm, i, entry);

	if (r)
		restore_entry(kvm, i, &old);
	else
		*entry = old;

	if (!(i % HTAB_MAX_CHANGES))
		cond_resched();
	return r;
}

/* Leaves in @entries what was in the table. */
static int swap_entries(struct kvm *kvm, unsigned long first,
			struct htab_raw_entry *entries, unsigned int nr)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < nr && !r; i++)
		r = swap_entry(kvm, first + i, &entries[i]);
	if (!r)
		return 0;

	for (i--; i--; ) {
		remove_entry(kvm, first + i);
		restore_entry(kvm, first + i, &entries[i]);
		if (!((first + i) % HTAB_MAX_CHANGES))
			cond_resched();
	}
	return r;
}

static void remove_entries(struct kvm *kvm, unsigned long first, unsigned int nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		remove_entry(kvm, i);
		if (!(i % HTAB_MAX_CHANGES))
			cond_resched();
	}
}

/* The first run of a vCPU need not make the mappings of real mode itself. */
static void set_up_vrma(struct kvm *kvm, int page_shift)
{
	unsigned long senc = slb_pgsize_encoding(1ul << page_shift);

	kvm->arch.vrma_slb_v = senc | SLB_VSID_B_1T |
			       (VRMA_VSID << SLB_VSID_SHIFT_1T);
	if (cpu_has_feature(CPU_FTR_ARCH_300))
		kvmppc_setup_partition_table(kvm);
	else
		kvmppc_update_lpcr(kvm, senc << (LPCR_VRMASD_SH - 4), LPCR_VRMASD);
}

/* The page shift of the first entry for real mode, or 0. */
static int vrma_page_shift(const struct htab_raw_entry *entries, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (is_vrma_hpte(entry_v(&entries[i])))
			return entry_page_shift(&entries[i]);
	}
	return 0;
}

static int enter_record(struct kvm *kvm, const struct kvm_get_htab_header *header,
			struct htab_raw_entry *entries)
{
	unsigned long nr = kvmppc_htab_entries(kvm);
	unsigned long first = header->index;
	int srcu_idx, r;

	if (first >= nr || header->n_valid + header->n_invalid > nr - first)
		return -EINVAL;

	srcu_idx = srcu_read_lock(&kvm->srcu);
	r = swap_entries(kvm, first, entries, header->n_valid);
	if (!r)
		remove_entries(kvm, first + header->n_valid, header->n_invalid);
	srcu_read_unlock(&kvm->srcu, srcu_idx);

	return r;
}

/* Takes mmu_setup_lock and keeps vCPUs from running; or fails, without it. */
static int lock_out_vcpus(struct kvm *kvm, int *was_ready)
{
	if (mutex_lock_killable(&kvm->arch.mmu_setup_lock))
		return -EINTR;

	*was_ready = kvm->arch.mmu_ready;
	if (!*was_ready)
		return 0;

	kvm->arch.mmu_ready = 0;
	/* Pairs with that in kvmppc_vcpu_run_hv(). */
	smp_mb();
	if (!atomic_read(&kvm->arch.vcpus_running))
		return 0;

	kvm->arch.mmu_ready = 1;
	mutex_unlock(&kvm->arch.mmu_setup_lock);
	return -EBUSY;
}

static void let_vcpus_in(struct kvm *kvm, int ready)
{
	/* The entries come before the leave to use them. */
	smp_store_release(&kvm->arch.mmu_ready, ready);
	mutex_unlock(&kvm->arch.mmu_setup_lock);
}

static int apply_record(struct kvm *kvm, const struct kvm_get_htab_header *header,
			struct htab_raw_entry *entries)
{
	int vrma_shift = vrma_page_shift(entries, header->n_valid);
	int ready, r;

	r = lock_out_vcpus(kvm, &ready);
	if (r)
		return r;

	r = enter_record(kvm, header, entries);
	if (!r && !ready && vrma_shift) {
		set_up_vrma(kvm, vrma_shift);
		ready = 1;
	}
	let_vcpus_in(kvm, ready);

	return r;
}

/* Returns the length of the record at @buf, which has taken effect, or an error. */
static ssize_t write_record(struct kvm *kvm, const char __user *buf, size_t room)
{
	struct kvm_get_htab_header header;
	struct htab_raw_entry *entries;
	size_t size;
	int r;

	if (room < HTAB_HEADER_SIZE)
		return -EINVAL;
	if (copy_from_user(&header, buf, HTAB_HEADER_SIZE))
		return -EFAULT;

	size = header.n_valid * HTAB_ENTRY_SIZE;
	if (room - HTAB_HEADER_SIZE < size)
		return -EINVAL;

	entries = vmemdup_user(buf + HTAB_HEADER_SIZE, size);
	if (IS_ERR(entries))
		return PTR_ERR(entries);

	r = -EINVAL;
	if (entries_are_sane(entries, header.n_valid))
		r = apply_record(kvm, &header, entries);
	kvfree(entries);

	return r ?: HTAB_HEADER_SIZE + size;
}

static ssize_t write_records(struct kvm *kvm, const char __user *buf, size_t count)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = write_record(kvm, buf + done, count - done);
		if (n < 0)
			break;
		done += n;
		cond_resched();
	} while (done < count && !fatal_signal_pending(current));

	return done ?: n;
}

static ssize_t htab_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	struct htab_writer *writer = file->private_data;
	ssize_t n;
	int r;

	r = kvmppc_htab_check(writer->kvm);
	if (r)
		return r;
	if (!count)
		return 0;

	if (mutex_lock_killable(&writer->lock))
		return -EINTR;
	n = write_records(writer->kvm, buf, count);
	mutex_unlock(&writer->lock);

	return n;
}

static void destroy_writer(struct htab_writer *writer)
{
	mutex_destroy(&writer->lock);
	kfree(writer);
}

static int htab_write_release(struct inode *inode, struct file *file)
{
	struct htab_writer *writer = file->private_data;
	struct kvm *kvm = writer->kvm;

	destroy_writer(writer);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations htab_write_fops = {
	.owner		= THIS_MODULE,
	.write		= htab_write,
	.release	= htab_write_release,
};

struct file *kvmppc_htab_open_writer(struct kvm *kvm)
{
	struct htab_writer *writer;
	struct file *file;

	writer = kzalloc(sizeof(*writer), GFP_KERNEL_ACCOUNT);
	if (!writer)
		return ERR_PTR(-ENOMEM);

	mutex_init(&writer->lock);
	writer->kvm = kvm;
	file = kvmppc_htab_file(kvm, &htab_write_fops, writer, O_WRONLY);
	if (IS_ERR(file))
		destroy_writer(writer);
	return file;
}
