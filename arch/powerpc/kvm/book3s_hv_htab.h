/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fd of KVM_PPC_GET_HTAB_FD: what its reader, its writer and their common
 * part share.
 *
 * The stream is a sequence of records: a struct kvm_get_htab_header, n_valid
 * entries of two big-endian doublewords in the format of ISA 2.07, whatever the
 * machine's is, and nothing for each of the n_invalid entries after them.
 */
#ifndef __BOOK3S_HV_HTAB_H
#define __BOOK3S_HV_HTAB_H

#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sizes.h>

#include <asm/kvm_ppc.h>
#include <asm/kvm_book3s.h>

/* Bytes of an entry, in the table and in the stream. */
#define HTAB_ENTRY_SIZE		16ul
#define HTAB_HEADER_SIZE	sizeof(struct kvm_get_htab_header)

/* Bytes that a reader gathers before they are copied out. */
#define HTAB_BUF_SIZE		SZ_16K

/*
 * Lock order: lock of the fd, then kvm->arch.mmu_setup_lock, kvm->srcu, and the
 * lock of an HPTE, which is taken with preemption disabled.  User memory is
 * accessed under the first only.
 */
struct htab_reader {
	struct kvm *kvm;

	/* One read() at a time. */
	struct mutex lock;

	/* In kvm->arch.htab.readers. */
	struct list_head node;

	/* As the ioctl was told. */
	u64 flags;
	u64 start_index;

	/*
	 * Under mmu_setup_lock: which table the rest is about, the entries that
	 * are still to be told, and the next to look at, in which pass.  The map
	 * is NULL as long as there is no table.
	 */
	u64 generation;
	struct kvm_change_map *pending;
	unsigned long index;
	unsigned long pass;

	/*
	 * With BOLTED_ONLY, the entries that were told as valid, be it of a former
	 * table.  Exchanged under both locks, its bits are under @lock.
	 */
	struct kvm_change_map *told;

	/* Under @lock: records on their way, and where the last of them begins. */
	u8 *buf;
	size_t len;
	size_t last;
};

static inline __be64 *kvmppc_htab_hpte(struct kvm *kvm, unsigned long i)
{
	return (__be64 *)(kvm->arch.hpt.virt + i * HTAB_ENTRY_SIZE);
}

/* Disables preemption, too. */
static inline void kvmppc_htab_lock_hpte(__be64 *hptep)
{
	preempt_disable();
	while (!try_lock_hpte(hptep, HPTE_V_HVLOCK))
		cpu_relax();
}

static inline void kvmppc_htab_unlock_hpte(__be64 *hptep)
{
	__be64 v = *hptep & ~cpu_to_be64(HPTE_V_HVLOCK);

	/* Pairs with the acquire in try_lock_hpte(). */
	smp_store_release(hptep, v);
	preempt_enable();
}

/* The entries of the table, 0 if there is none.  Under mmu_setup_lock. */
unsigned long kvmppc_htab_entries(struct kvm *kvm);

/*
 * Which of the BITS_PER_LONG entries from @first on, a multiple of that, may have
 * been used.  Under mmu_setup_lock, with @kvm->arch.htab.changes there: who has
 * used another one since has marked it, and the next sweep will find it.
 */
unsigned long kvmppc_htab_used(struct kvm *kvm, unsigned long first);

/* Whether the file may be used: 0, or -EIO. */
int kvmppc_htab_check(struct kvm *kvm);

/*
 * Takes kvm->arch.mmu_setup_lock, and makes @reader one of the table that there is
 * now, with all entries pending if it was not.  Returns 0 with the lock held; or
 * without, -EINTR if the thread is being killed, -ENOMEM, -EINVAL or -EFBIG as
 * kvmppc_htab_create_reader().
 */
int kvmppc_htab_lock_table(struct htab_reader *reader);

/*
 * Of an fd that reads: -EBUSY, -ENOMEM, and with a table that there is, -EINVAL if
 * start_index is past its end, -EFBIG if the stream has no room for its indices.
 */
struct htab_reader *kvmppc_htab_create_reader(struct kvm *kvm,
					      const struct kvm_get_htab_fd *args);
void kvmppc_htab_destroy_reader(struct htab_reader *reader);

/* A file that holds the VM, and can be neither sought nor read at a position. */
struct file *kvmppc_htab_file(struct kvm *kvm, const struct file_operations *fops,
			      void *data, int flags);

struct file *kvmppc_htab_open_reader(struct kvm *kvm,
				     const struct kvm_get_htab_fd *args);
struct file *kvmppc_htab_open_writer(struct kvm *kvm);

#endif /* __BOOK3S_HV_HTAB_H */
