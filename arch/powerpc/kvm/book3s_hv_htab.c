// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: the ioctl, and what a VM keeps for the readers of its
 * hash page table.
 *
 * The handlers of hypercalls mark the entries that they change in one map for
 * the VM, whatever the number of readers.  A reader that begins a pass sweeps
 * that map into the maps of all readers, and then tells what is in its own.
 *
 * Nobody can tell that a table was replaced from the marks.  So each replacement
 * has a generation of its own, and a reader of another generation begins anew,
 * with every entry of the table pending.  The same is done for a new reader.
 *
 * Most entries of a large table may never have been used.  Each table has a
 * register of the groups of entries that have been, readers or not, so that the
 * rest needs no look.
 */
#include <linux/anon_inodes.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/kvm_change_map.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include <asm/kvm_ppc.h>
#include <asm/kvm_book3s.h>

#include "book3s_hv_htab.h"

/* Each takes memory of the kernel's. */
#define HTAB_MAX_READERS	16

/* The bits of a group's entries, the first of a word. */
#define GROUP_MASK		GENMASK(HPTES_PER_GROUP - 1, 0)

/* The index in the stream has 32 bits. */
#define HTAB_MAX_ENTRIES	BIT(32)

void kvmppc_htab_init(struct kvm *kvm)
{
	INIT_LIST_HEAD(&kvm->arch.htab.sinks);
	INIT_LIST_HEAD(&kvm->arch.htab.readers);
	/* 0 is that of a reader that has seen no table. */
	kvm->arch.htab.generation = 1;
}

unsigned long kvmppc_htab_entries(struct kvm *kvm)
{
	lockdep_assert_held(&kvm->arch.mmu_setup_lock);

	if (kvm_is_radix(kvm) || !kvm->arch.hpt.virt)
		return 0;

	return kvmppc_hpt_npte(&kvm->arch.hpt);
}

int kvmppc_htab_alloc_used(struct kvm_hpt_info *hpt)
{
	hpt->used = kvm_change_map_alloc(kvmppc_hpt_npte(hpt) / HPTES_PER_GROUP);

	return hpt->used ? 0 : -ENOMEM;
}

void kvmppc_htab_free_used(struct kvm_hpt_info *hpt)
{
	kvm_change_map_free(hpt->used);
	hpt->used = NULL;
}

void kvmppc_htab_clear_used(struct kvm_hpt_info *hpt)
{
	unsigned long i;

	for (i = 0; i < hpt->used->nr; i += BITS_PER_LONG) {
		kvm_change_map_set_bits(hpt->used, i, 0);
		cond_resched();
	}
}

unsigned long kvmppc_htab_used(struct kvm *kvm, unsigned long first)
{
	unsigned long group = first / HPTES_PER_GROUP, used = 0, groups, n;

	lockdep_assert_held(&kvm->arch.mmu_setup_lock);

	groups = kvm_change_map_bits(kvm->arch.hpt.used, group);
	groups >>= group % BITS_PER_LONG;
	groups &= GENMASK(BITS_PER_LONG / HPTES_PER_GROUP - 1, 0);
	for (n = 0; groups; n += HPTES_PER_GROUP, groups >>= 1) {
		if (groups & 1)
			used |= GROUP_MASK << n;
	}

	return used;
}

int kvmppc_htab_check(struct kvm *kvm)
{
	return kvm->mm != current->mm || kvm->vm_dead ? -EIO : 0;
}

/* What track() makes. */
struct htab_tracking {
	struct kvm_change_map *changes;
	struct kvm_change_map *watch;
};

/* Takes the maps of the VM away from whoever would use them from now on. */
static struct htab_tracking detach_tracking(struct kvm *kvm)
{
	struct kvmppc_htab *htab = &kvm->arch.htab;
	struct htab_tracking old = {
		.changes = htab->changes,
		.watch = htab->watch,
	};

	lockdep_assert_held(&kvm->arch.mmu_setup_lock);

	WRITE_ONCE(htab->changes, NULL);
	htab->watch = NULL;
	if (old.watch)
		list_del_init(&old.watch->node);

	return old;
}

/* The handlers may be marking still. */
static void free_tracking(struct kvm *kvm, struct htab_tracking *old)
{
	if (!old->changes)
		return;

	synchronize_srcu_expedited(&kvm->srcu);
	kvm_change_map_free(old->changes);
	kvm_change_map_free(old->watch);
}

void kvmppc_htab_replaced(struct kvm *kvm)
{
	struct htab_tracking old = detach_tracking(kvm);
	struct htab_reader *reader;

	list_for_each_entry(reader, &kvm->arch.htab.readers, node) {
		if (reader->pending)
			list_del_init(&reader->pending->node);
	}
	kvm->arch.htab.generation++;
	free_tracking(kvm, &old);
}

/* Nobody has looked at any entry yet: hardware may set R or C of all in use. */
static void watch_used(struct kvm *kvm, struct kvm_change_map *watch)
{
	unsigned long i;

	for (i = 0; i < watch->nr; i += BITS_PER_LONG) {
		kvm_change_map_set_bits(watch, i, kvmppc_htab_used(kvm, i));
		cond_resched();
	}
}

/*
 * Has the handlers mark what they change, if they do not yet.  Those that have not
 * noticed have ended when this returns.
 */
static int track(struct kvm *kvm, unsigned long nr)
{
	struct kvmppc_htab *htab = &kvm->arch.htab;
	struct htab_tracking new;

	if (htab->changes)
		return 0;

	new.changes = kvm_change_map_alloc(nr);
	new.watch = kvm_change_map_alloc(nr);
	if (!new.changes || !new.watch) {
		kvm_change_map_free(new.changes);
		kvm_change_map_free(new.watch);
		return -ENOMEM;
	}

	/* Pairs with the READ_ONCE() in note_hpte_modification(). */
	smp_store_release(&htab->changes, new.changes);
	synchronize_srcu_expedited(&kvm->srcu);

	watch_used(kvm, new.watch);
	list_add(&new.watch->node, &htab->sinks);
	htab->watch = new.watch;

	return 0;
}

static void free_pending(struct htab_reader *reader)
{
	if (reader->pending)
		list_del_init(&reader->pending->node);
	kvm_change_map_free(reader->pending);
	reader->pending = NULL;
}

static int alloc_pending(struct htab_reader *reader, unsigned long nr)
{
	reader->pending = kvm_change_map_alloc(nr);
	return reader->pending ? 0 : -ENOMEM;
}

static void copy_bits(struct kvm_change_map *to, const struct kvm_change_map *from)
{
	unsigned long i, nr = min(to->nr, from->nr);

	for (i = kvm_change_map_next(from, 0); i < nr;
	     i = kvm_change_map_next(from, i + 1)) {
		kvm_change_map_set(to, i);
		cond_resched();
	}
}

/* What was told of a former table stands until it is told otherwise. */
static int alloc_told(struct htab_reader *reader, unsigned long nr)
{
	struct kvm_change_map *told;

	if (!(reader->flags & KVM_GET_HTAB_BOLTED_ONLY))
		return 0;

	if (reader->told && reader->told->nr == nr)
		return 0;

	told = kvm_change_map_alloc(nr);
	if (!told)
		return -ENOMEM;

	if (reader->told)
		copy_bits(told, reader->told);
	kvm_change_map_free(reader->told);
	reader->told = told;
	return 0;
}

/* start_index is about the first table that the reader gets to see. */
static int check_table(struct htab_reader *reader, unsigned long nr)
{
	if (nr > HTAB_MAX_ENTRIES)
		return -EFBIG;

	return reader->start_index >= nr ? -EINVAL : 0;
}

static int attach_to_table(struct htab_reader *reader, unsigned long nr)
{
	struct kvm *kvm = reader->kvm;
	int r;

	r = check_table(reader, nr) ?: alloc_told(reader, nr) ?:
	    alloc_pending(reader, nr) ?: track(kvm, nr);
	if (r) {
		free_pending(reader);
		return r;
	}

	/* What has changed until now is for the others. */
	kvm_change_map_sweep(kvm->arch.htab.changes, &kvm->arch.htab.sinks);
	list_add(&reader->pending->node, &kvm->arch.htab.sinks);
	reader->index = reader->start_index;
	reader->start_index = 0;
	reader->pass = 1;
	return 0;
}

/* Begins anew with the table that there is, with no entry of it pending. */
static int attach(struct htab_reader *reader)
{
	struct kvm *kvm = reader->kvm;
	unsigned long nr = kvmppc_htab_entries(kvm);
	int r;

	lockdep_assert_held(&reader->lock);

	free_pending(reader);
	reader->len = 0;
	reader->index = 0;
	reader->pass = 0;

	r = nr ? attach_to_table(reader, nr) : 0;
	if (!r)
		reader->generation = kvm->arch.htab.generation;
	return r;
}

static int attach_again(struct htab_reader *reader)
{
	int r = attach(reader);

	if (!r && reader->pending)
		kvm_change_map_set_range(reader->pending, 0, reader->pending->nr);
	return r;
}

int kvmppc_htab_lock_table(struct htab_reader *reader)
{
	struct kvm *kvm = reader->kvm;
	int r = 0;

	if (mutex_lock_killable(&kvm->arch.mmu_setup_lock))
		return -EINTR;

	if (reader->generation != kvm->arch.htab.generation)
		r = attach_again(reader);
	if (r)
		mutex_unlock(&kvm->arch.mmu_setup_lock);
	return r;
}

static int add_reader(struct htab_reader *reader)
{
	struct kvmppc_htab *htab = &reader->kvm->arch.htab;
	int r = -EBUSY;

	mutex_lock(&reader->kvm->arch.mmu_setup_lock);
	if (htab->nr_readers < HTAB_MAX_READERS) {
		htab->nr_readers++;
		list_add(&reader->node, &htab->readers);
		r = 0;
	}
	mutex_unlock(&reader->kvm->arch.mmu_setup_lock);

	return r;
}

static void remove_reader(struct htab_reader *reader)
{
	struct kvm *kvm = reader->kvm;
	struct htab_tracking old = {};

	mutex_lock(&kvm->arch.mmu_setup_lock);
	free_pending(reader);
	kvm_change_map_free(reader->told);
	list_del(&reader->node);
	if (!--kvm->arch.htab.nr_readers)
		old = detach_tracking(kvm);
	mutex_unlock(&kvm->arch.mmu_setup_lock);

	free_tracking(kvm, &old);
}

static int attach_first(struct htab_reader *reader)
{
	unsigned long start = reader->start_index;
	struct kvm *kvm = reader->kvm;
	int r;

	mutex_lock(&reader->lock);
	mutex_lock(&kvm->arch.mmu_setup_lock);
	r = attach(reader);
	if (!r && reader->pending)
		kvm_change_map_set_range(reader->pending, start,
					 reader->pending->nr - start);
	mutex_unlock(&kvm->arch.mmu_setup_lock);
	mutex_unlock(&reader->lock);

	/*
	 * Who has marked an entry before start_index, for the other readers, may not
	 * have changed it yet.
	 */
	if (!r && start)
		synchronize_srcu_expedited(&kvm->srcu);
	return r;
}

static void free_reader(struct htab_reader *reader)
{
	mutex_destroy(&reader->lock);
	kfree(reader->buf);
	kfree(reader);
}

static struct htab_reader *alloc_reader(struct kvm *kvm,
					const struct kvm_get_htab_fd *args)
{
	struct htab_reader *reader;

	reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		return NULL;

	mutex_init(&reader->lock);
	reader->kvm = kvm;
	reader->flags = args->flags;
	reader->start_index = args->start_index;
	reader->buf = kmalloc(HTAB_BUF_SIZE, GFP_KERNEL_ACCOUNT);
	if (reader->buf)
		return reader;

	free_reader(reader);
	return NULL;
}

struct htab_reader *kvmppc_htab_create_reader(struct kvm *kvm,
					      const struct kvm_get_htab_fd *args)
{
	struct htab_reader *reader = alloc_reader(kvm, args);
	int r;

	if (!reader)
		return ERR_PTR(-ENOMEM);

	r = add_reader(reader);
	if (r)
		goto err_free;

	r = attach_first(reader);
	if (r)
		goto err_remove;

	return reader;

err_remove:
	remove_reader(reader);
err_free:
	free_reader(reader);
	return ERR_PTR(r);
}

void kvmppc_htab_destroy_reader(struct htab_reader *reader)
{
	remove_reader(reader);
	free_reader(reader);
}

struct file *kvmppc_htab_file(struct kvm *kvm, const struct file_operations *fops,
			      void *data, int flags)
{
	struct file *file = anon_inode_getfile("kvm-htab", fops, data, flags);

	if (!IS_ERR(file)) {
		stream_open(file_inode(file), file);
		kvm_get_kvm(kvm);
	}
	return file;
}

int kvm_vm_ioctl_get_htab_fd(struct kvm *kvm, struct kvm_get_htab_fd *ghf)
{
	struct file *file;
	int fd;

	if (ghf->flags & ~(KVM_GET_HTAB_BOLTED_ONLY | KVM_GET_HTAB_WRITE))
		return -EINVAL;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	if (ghf->flags & KVM_GET_HTAB_WRITE)
		file = kvmppc_htab_open_writer(kvm);
	else
		file = kvmppc_htab_open_reader(kvm, ghf);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}

	fd_install(fd, file);
	return fd;
}
