// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a hash page table from the fd of KVM_PPC_GET_HTAB_FD.
 *
 * A pass goes over the table once, from the first entry to the last, and tells
 * the entries that were pending when it began, some that have become so since,
 * and those that hardware has set R or C of.  0 is returned by a read that goes
 * through a whole pass and finds nothing.
 */
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kvm_change_map.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/kvm_ppc.h>
#include <asm/kvm_book3s.h>

#include "book3s_hv_htab.h"

/* A record with one valid entry, the least there must be room for. */
#define HTAB_MIN_READ	(HTAB_HEADER_SIZE + HTAB_ENTRY_SIZE)

/* Entries that a header can count of a kind. */
#define HTAB_MAX_RUN	0xffffu
static_assert(HTAB_BUF_SIZE / HTAB_ENTRY_SIZE <= HTAB_MAX_RUN);

/* Words of the maps to look at before others get a chance of the locks. */
#define HTAB_MAX_WORDS	64

/* What was found when an entry was read: none of these if it is invalid. */
#define HTAB_VALID		BIT(0)
/* Hardware had set R or C, which nobody was told of. */
#define HTAB_RC_IS_NEW		BIT(1)
/* Hardware may yet set R or C, and nobody will mark the entry for it. */
#define HTAB_RC_CAN_CHANGE	BIT(2)

/* As many entries as a map has in a word, from @first on, a bit each. */
struct htab_word {
	unsigned long first;
	unsigned long pending;
	unsigned long watch;
	/* The others are invalid. */
	unsigned long used;
};

/* How far htab_look() got. */
enum htab_progress {
	HTAB_MORE,
	HTAB_NO_ROOM,
	HTAB_END,
};

/*
 * The bits of R and C that the guest's view lacks.  Without the lock, a hint.  The
 * table's byte order is not the host's: only what is needed is converted.
 */
static u64 new_rc(const __be64 *hptep, const struct revmap_entry *rev)
{
	u64 lacks = ~READ_ONCE(rev->guest_rpte) & (HPTE_R_R | HPTE_R_C);

	if (!lacks || !(READ_ONCE(hptep[0]) & cpu_to_be64(HPTE_V_VALID)))
		return 0;

	return be64_to_cpu(READ_ONCE(hptep[1])) & lacks;
}

/*
 * Whether an entry that is not pending has to be looked at under its lock: that R
 * or C is set, that somebody is changing it, or that there is none to watch.
 */
static bool is_worth_a_look(struct kvm *kvm, unsigned long i)
{
	__be64 v, *hptep = kvmppc_htab_hpte(kvm, i);
	u64 rc = new_rc(hptep, &kvm->arch.hpt.rev[i]);

	/*
	 * Who has taken R or C before they were looked at holds the lock, or has
	 * marked the entry: pairs with the barriers in kvm_change_map_mark() and
	 * kvmppc_clear_ref_hpte().
	 */
	smp_rmb();
	v = READ_ONCE(hptep[0]);

	return rc || (v & cpu_to_be64(HPTE_V_HVLOCK)) ||
	       !(v & cpu_to_be64(HPTE_V_VALID | HPTE_V_ABSENT));
}

/*
 * Whether there is no entry, and nobody is making one.  Who makes one takes the
 * lock, then marks it: if that mark has been swept, the lock, or what came after,
 * is seen here, otherwise a later sweep finds the mark.  Pairs with the release in
 * kvm_change_map_mark().
 */
static bool is_empty(const __be64 *hptep)
{
	__be64 bits = cpu_to_be64(HPTE_V_VALID | HPTE_V_ABSENT | HPTE_V_HVLOCK);

	return !(READ_ONCE(hptep[0]) & bits);
}

/* The first doubleword in the format of ISA 2.07. */
static __be64 stream_v(const __be64 *hptep)
{
	if (!cpu_has_feature(CPU_FTR_ARCH_300))
		return hptep[0];

	return cpu_to_be64(hpte_new_to_old_v(be64_to_cpu(hptep[0]),
					     be64_to_cpu(hptep[1])));
}

/* Whether @r, the guest's view of a valid entry, lacks what hardware may yet set. */
static bool rc_can_change(u64 r)
{
	return !(r & HPTE_R_R) || (!(r & HPTE_R_C) && hpte_is_writable(r));
}

/*
 * Returns what was found, and in @hpte what the stream has of a valid entry.
 * Inline, for a first pass reads each entry of the table.
 */
static __always_inline unsigned long
read_entry(__be64 *hptep, struct revmap_entry *rev, __be64 *hpte)
{
	unsigned long found = HTAB_VALID;
	u64 rc, r;
	__be64 v;

	if (is_empty(hptep))
		return 0;

	kvmppc_htab_lock_hpte(hptep);
	rc = new_rc(hptep, rev);
	if (rc) {
		rev->guest_rpte |= rc;
		found |= HTAB_RC_IS_NEW;
	}
	r = rev->guest_rpte & ~HPTE_GR_RESERVED;
	v = stream_v(hptep);
	kvmppc_htab_unlock_hpte(hptep);

	if (!(v & cpu_to_be64(HPTE_V_VALID | HPTE_V_ABSENT)))
		return 0;

	if (rc_can_change(r))
		found |= HTAB_RC_CAN_CHANGE;
	hpte[0] = (v & ~cpu_to_be64(HPTE_V_HVLOCK | HPTE_V_ABSENT)) |
		  cpu_to_be64(HPTE_V_VALID);
	hpte[1] = cpu_to_be64(r);

	return found;
}

/* What one reader has found out about R and C no other one will see. */
static void tell_others(struct htab_reader *reader, unsigned long i)
{
	struct kvm *kvm = reader->kvm;
	struct htab_reader *other;

	list_for_each_entry(other, &kvm->arch.htab.readers, node) {
		if (other != reader && other->pending &&
		    other->generation == kvm->arch.htab.generation)
			kvm_change_map_set(other->pending, i);
	}
}

static struct kvm_get_htab_header *header_at(struct htab_reader *reader, size_t at)
{
	return (struct kvm_get_htab_header *)(reader->buf + at);
}

static size_t record_size(const struct kvm_get_htab_header *header)
{
	return HTAB_HEADER_SIZE + header->n_valid * HTAB_ENTRY_SIZE;
}

/*
 * Whether entry @i can be counted by the last header.  HTAB_BUF_SIZE has no room
 * for more valid ones than can be counted.
 */
static bool record_goes_on(struct htab_reader *reader, unsigned long i, bool valid)
{
	const struct kvm_get_htab_header *header = header_at(reader, reader->last);
	unsigned long next;

	if (!reader->len)
		return false;

	next = (unsigned long)header->index + header->n_valid + header->n_invalid;
	if (i != next)
		return false;

	if (valid)
		return !header->n_invalid;
	return header->n_invalid < HTAB_MAX_RUN;
}

static void begin_record(struct htab_reader *reader, unsigned long i)
{
	reader->last = reader->len;
	*header_at(reader, reader->last) = (struct kvm_get_htab_header) {
		.index = i,
	};
	reader->len += HTAB_HEADER_SIZE;
}

/* Returns false, and does nothing, if that would make more than @room bytes. */
static bool append_valid(struct htab_reader *reader, unsigned long i,
			 const __be64 *hpte, size_t room)
{
	bool goes_on = record_goes_on(reader, i, true);
	size_t size = HTAB_ENTRY_SIZE + (goes_on ? 0 : HTAB_HEADER_SIZE);

	if (reader->len + size > room)
		return false;

	if (!goes_on)
		begin_record(reader, i);
	header_at(reader, reader->last)->n_valid++;
	memcpy(reader->buf + reader->len, hpte, HTAB_ENTRY_SIZE);
	reader->len += HTAB_ENTRY_SIZE;
	return true;
}

/* Returns for how many of the @nr entries from @i on there was room. */
static unsigned int append_invalid(struct htab_reader *reader, unsigned long i,
				   unsigned int nr, size_t room)
{
	struct kvm_get_htab_header *header;
	unsigned int n, done = 0;

	while (done < nr) {
		if (!record_goes_on(reader, i + done, false)) {
			if (reader->len + HTAB_HEADER_SIZE > room)
				break;
			begin_record(reader, i + done);
		}
		header = header_at(reader, reader->last);
		n = min(nr - done, HTAB_MAX_RUN - header->n_invalid);
		header->n_invalid += n;
		done += n;
	}
	return done;
}

static bool append(struct htab_reader *reader, unsigned long i, unsigned long found,
		   const __be64 *hpte, size_t room)
{
	return found & HTAB_VALID ? append_valid(reader, i, hpte, room) :
				    append_invalid(reader, i, 1, room);
}

/*
 * With BOLTED_ONLY an entry that is not bolted is no more than what makes one
 * that was told go away.
 */
static bool is_of_interest(struct htab_reader *reader, unsigned long i,
			   unsigned long *found, const __be64 *hpte)
{
	if (!(reader->flags & KVM_GET_HTAB_BOLTED_ONLY) || !(*found & HTAB_VALID) ||
	    (hpte[0] & cpu_to_be64(HPTE_V_BOLTED)))
		return true;

	*found &= ~HTAB_VALID;
	return kvm_change_map_test(reader->told, i);
}

static struct htab_word load_word(struct htab_reader *reader, unsigned long first)
{
	struct kvm *kvm = reader->kvm;

	return (struct htab_word) {
		.first = first,
		.pending = kvm_change_map_bits(reader->pending, first),
		.watch = kvm_change_map_bits(kvm->arch.htab.watch, first),
		.used = kvmppc_htab_used(kvm, first),
	};
}

static void store_word(struct htab_reader *reader, const struct htab_word *word)
{
	kvm_change_map_set_bits(reader->pending, word->first, word->pending);
	kvm_change_map_set_bits(reader->kvm->arch.htab.watch, word->first,
				word->watch);
}

/*
 * The @nr entries from @bit on were read, and those in @watch have to be watched.
 * Who changes one after it was read marks it again, for the next sweep.
 */
static void note_read(struct htab_word *word, unsigned int bit, unsigned int nr,
		      unsigned long watch)
{
	unsigned long mask = GENMASK(bit + nr - 1, bit);

	word->pending &= ~mask;
	word->watch = (word->watch & ~mask) | watch;
}

/*
 * Tells the entry of @bit if it is pending or hardware has set R or C.  Returns
 * false if there is no room for it; it is pending then.
 */
static bool look_at(struct htab_reader *reader, struct htab_word *word,
		    unsigned int bit, size_t room)
{
	struct kvm *kvm = reader->kvm;
	unsigned long i = word->first + bit;
	bool pending = word->pending & BIT(bit);
	unsigned long found;
	__be64 hpte[2];

	if (!pending && !is_worth_a_look(kvm, i))
		return true;

	found = read_entry(kvmppc_htab_hpte(kvm, i), &kvm->arch.hpt.rev[i], hpte);
	note_read(word, bit, 1, found & HTAB_RC_CAN_CHANGE ? BIT(bit) : 0);
	if (found & HTAB_RC_IS_NEW)
		tell_others(reader, i);
	else if (!pending)
		return true;

	if (!is_of_interest(reader, i, &found, hpte) ||
	    append(reader, i, found, hpte, room))
		return true;

	word->pending |= BIT(bit);
	return false;
}

/* How many bits of @bits are set from @bit on, in a row. */
static unsigned int run_length(unsigned long bits, unsigned int bit)
{
	bits >>= bit;

	return bits == ~0ul ? BITS_PER_LONG : ffz(bits);
}

/*
 * Goes on with the last record, if it ends right before @bit: the quick way for
 * valid entries in a row that are pending.  Returns how many it told.
 */
static unsigned int tell_more(struct htab_reader *reader, struct htab_word *word,
			      unsigned int bit, size_t room)
{
	unsigned long i = word->first + bit;
	struct kvm *kvm = reader->kvm;
	__be64 *hptep = kvmppc_htab_hpte(kvm, i);
	struct revmap_entry *rev = &kvm->arch.hpt.rev[i];
	__be64 *to = (__be64 *)(reader->buf + reader->len);
	unsigned long n, nr, found, watch = 0;

	if ((reader->flags & KVM_GET_HTAB_BOLTED_ONLY) ||
	    !record_goes_on(reader, i, true))
		return 0;

	nr = min_t(size_t, run_length(word->pending & word->used, bit),
		   (room - reader->len) / HTAB_ENTRY_SIZE);
	for (n = 0; n < nr; n++) {
		found = read_entry(hptep + 2 * n, rev + n, to + 2 * n);
		if (!(found & HTAB_VALID))
			break;
		if (found & HTAB_RC_CAN_CHANGE)
			watch |= BIT(bit + n);
		if (found & HTAB_RC_IS_NEW)
			tell_others(reader, i + n);
	}
	if (!n)
		return 0;

	note_read(word, bit, n, watch);
	header_at(reader, reader->last)->n_valid += n;
	reader->len += n * HTAB_ENTRY_SIZE;
	return n;
}

/*
 * How many entries from @bit on, @nr at most, are none: either never used, or seen
 * to be empty.
 */
static unsigned int count_empty(struct kvm *kvm, const struct htab_word *word,
				unsigned int bit, unsigned int nr)
{
	const __be64 *hptep = kvmppc_htab_hpte(kvm, word->first);
	unsigned int end = bit + nr, i = bit;

	while (i < end) {
		if (!(word->used & BIT(i)))
			i += run_length(~word->used, i);
		else if (is_empty(hptep + 2 * i))
			i++;
		else
			break;
	}
	return min(i, end) - bit;
}

/*
 * Tells the entries from @bit on that are pending and empty, as far as there is
 * room.  Returns how many.
 */
static unsigned int tell_empty(struct htab_reader *reader, struct htab_word *word,
			       unsigned int bit, size_t room)
{
	unsigned int nr = run_length(word->pending, bit);

	nr = count_empty(reader->kvm, word, bit, nr);
	nr = append_invalid(reader, word->first + bit, nr, room);
	if (nr)
		note_read(word, bit, nr, 0);
	return nr;
}

/* Looks at the entry of @bit, or at several.  Returns how many fitted. */
static unsigned int look_from(struct htab_reader *reader, struct htab_word *word,
			      unsigned int bit, size_t room)
{
	unsigned int nr = 0;

	if (word->pending & BIT(bit))
		nr = tell_empty(reader, word, bit, room) ?:
		     tell_more(reader, word, bit, room);

	return nr ?: look_at(reader, word, bit, room);
}

/* From reader->index on, which is in it.  Returns false if there is no room. */
static bool look_at_word(struct htab_reader *reader, size_t room)
{
	unsigned int bit = reader->index % BITS_PER_LONG, n = 1;
	struct htab_word word = load_word(reader, reader->index - bit);
	unsigned long todo;

	while (n && bit < BITS_PER_LONG) {
		todo = (word.pending | word.watch) & (~0ul << bit);
		if (!todo)
			break;
		bit = __ffs(todo);
		n = look_from(reader, &word, bit, room);
		bit += n;
	}
	store_word(reader, &word);
	reader->index = word.first + (n ? BITS_PER_LONG : bit);
	return n;
}

/* Gathers records, up to @room bytes, to the end of the table at most. */
static enum htab_progress htab_look(struct htab_reader *reader, size_t room)
{
	struct kvm_change_map *pending = reader->pending;
	struct kvm_change_map *watch = reader->kvm->arch.htab.watch;
	unsigned int words;

	lockdep_assert_held(&reader->kvm->arch.mmu_setup_lock);

	for (words = 0; words < HTAB_MAX_WORDS; words++) {
		reader->index = kvm_change_map_next_of(pending, watch,
						       reader->index);
		if (reader->index == pending->nr) {
			reader->index = 0;
			reader->pass++;
			return HTAB_END;
		}
		if (!look_at_word(reader, room))
			return HTAB_NO_ROOM;
	}
	return HTAB_MORE;
}

static void sweep(struct htab_reader *reader)
{
	struct kvmppc_htab *htab = &reader->kvm->arch.htab;

	/*
	 * Who takes R or C marks the entry, then unlocks it: if it was seen
	 * unlocked, find the mark.  Pairs with the release in unlock_hpte(), in
	 * kvm_unmap_rmapp() with that in unlock_rmap() before, and in
	 * kvm_test_clear_dirty_npages() with eieio().
	 */
	smp_rmb();
	kvm_change_map_sweep(htab->changes, &htab->sinks);
}

/*
 * Whether a pass that found nothing may have missed something: what hardware had
 * set until somebody else took it, and marked the entry, during the pass.
 */
static bool pass_has_missed(struct htab_reader *reader)
{
	sweep(reader);
	return kvm_change_map_next(reader->pending, 0) < reader->pending->nr;
}

/*
 * Goes on with a pass, or begins one, of which @passes counts those of this call.
 * After one without a find, another is enough: what was set before the call, and
 * taken before the first came to it, is marked by now.
 */
static enum htab_progress go_on(struct htab_reader *reader, size_t room,
				unsigned int *passes)
{
	enum htab_progress progress;

	if (!reader->pending)
		return HTAB_END;

	if (!reader->index) {
		sweep(reader);
		++*passes;
	}

	progress = htab_look(reader, room);
	if (progress == HTAB_END && !reader->len &&
	    (!*passes || (*passes == 1 && pass_has_missed(reader))))
		return HTAB_MORE;
	return progress;
}

/*
 * Gathers records of @room bytes at most.  Returns their length, 0 if there is
 * nothing to tell, or an error if there is none.
 */
static ssize_t gather(struct htab_reader *reader, size_t room)
{
	enum htab_progress progress = HTAB_MORE;
	unsigned int passes = 0;
	int r;

	reader->len = 0;
	while (progress == HTAB_MORE) {
		r = fatal_signal_pending(current) ? -EINTR :
		    kvmppc_htab_lock_table(reader);
		if (r)
			return reader->len ?: r;

		progress = go_on(reader, room, &passes);
		mutex_unlock(&reader->kvm->arch.mmu_setup_lock);
		cond_resched();
	}
	return reader->len;
}

/* Makes what was gathered pending again, unless it is about another table. */
static void put_back(struct htab_reader *reader)
{
	struct kvm *kvm = reader->kvm;
	struct kvm_get_htab_header *header;
	size_t at;

	mutex_lock(&kvm->arch.mmu_setup_lock);
	if (reader->generation == kvm->arch.htab.generation) {
		/* The end was reached, and another pass begun. */
		if (!reader->index)
			reader->pass--;
		reader->index = header_at(reader, 0)->index;
		for (at = 0; at < reader->len; at += record_size(header)) {
			header = header_at(reader, at);
			kvm_change_map_set_range(reader->pending, header->index,
						 header->n_valid +
						 header->n_invalid);
		}
	}
	mutex_unlock(&kvm->arch.mmu_setup_lock);
}

static void clear_range(struct kvm_change_map *map, unsigned long first,
			unsigned long nr)
{
	unsigned long i;

	for (i = kvm_change_map_next(map, first); i < first + nr;
	     i = kvm_change_map_next(map, i + 1))
		kvm_change_map_clear(map, i);
}

/* Keeps in mind what the user knows now to be valid. */
static void note_told(struct htab_reader *reader)
{
	struct kvm_get_htab_header *header;
	size_t at;

	for (at = 0; at < reader->len; at += record_size(header)) {
		header = header_at(reader, at);
		kvm_change_map_set_range(reader->told, header->index,
					 header->n_valid);
		clear_range(reader->told,
			    (unsigned long)header->index + header->n_valid,
			    header->n_invalid);
	}
}

/* All that was gathered gets to the user, or nothing of it was told. */
static ssize_t deliver(struct htab_reader *reader, char __user *buf)
{
	if (copy_to_user(buf, reader->buf, reader->len)) {
		put_back(reader);
		return -EFAULT;
	}

	if (reader->told)
		note_told(reader);
	return reader->len;
}

static ssize_t read_records(struct htab_reader *reader, char __user *buf,
			    size_t count)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = gather(reader, min_t(size_t, count - done, HTAB_BUF_SIZE));
		if (n > 0)
			n = deliver(reader, buf + done);
		if (n <= 0)
			break;
		done += n;
	} while (reader->index && count - done >= HTAB_MIN_READ);

	return done ?: n;
}

static ssize_t htab_read(struct file *file, char __user *buf, size_t count,
			 loff_t *ppos)
{
	struct htab_reader *reader = file->private_data;
	ssize_t n;
	int r;

	r = kvmppc_htab_check(reader->kvm);
	if (r)
		return r;
	if (!count)
		return 0;
	if (count < HTAB_MIN_READ)
		return -EINVAL;

	if (mutex_lock_killable(&reader->lock))
		return -EINTR;
	n = read_records(reader, buf, count);
	mutex_unlock(&reader->lock);

	return n;
}

/* Entries that a read would tell, or look at for another table. */
static unsigned long count_pending(struct htab_reader *reader)
{
	struct kvmppc_htab *htab = &reader->kvm->arch.htab;

	if (reader->generation != htab->generation)
		return kvmppc_htab_entries(reader->kvm);
	if (!reader->pending)
		return 0;

	kvm_change_map_sweep(htab->changes, &htab->sinks);
	return kvm_change_map_count(reader->pending);
}

/* Those that each pass has to look at whether they changed or not. */
static unsigned long count_watched(struct kvm *kvm)
{
	struct kvm_change_map *watch = kvm->arch.htab.watch;

	return watch ? kvm_change_map_count(watch) : 0;
}

static unsigned long map_bytes(const struct kvm_change_map *map)
{
	return map ? kvm_change_map_bytes(map->nr) : 0;
}

/* Bytes of the maps of this reader, and of those of the VM. */
static unsigned long count_memory(struct htab_reader *reader)
{
	struct kvmppc_htab *htab = &reader->kvm->arch.htab;

	return map_bytes(reader->pending) + map_bytes(reader->told) +
	       map_bytes(htab->changes) + map_bytes(htab->watch);
}

static void htab_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct htab_reader *reader = file->private_data;
	struct kvm *kvm = reader->kvm;

	mutex_lock(&kvm->arch.mmu_setup_lock);
	seq_printf(m, "htab-pass:\t%lu\n", reader->pass);
	seq_printf(m, "htab-index:\t%lu\n", reader->index);
	seq_printf(m, "htab-pending:\t%lu\n", count_pending(reader));
	seq_printf(m, "htab-watched:\t%lu\n", count_watched(kvm));
	seq_printf(m, "htab-memory:\t%lu\n", count_memory(reader));
	mutex_unlock(&kvm->arch.mmu_setup_lock);
}

static int htab_release(struct inode *inode, struct file *file)
{
	struct htab_reader *reader = file->private_data;
	struct kvm *kvm = reader->kvm;

	kvmppc_htab_destroy_reader(reader);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations htab_read_fops = {
	.owner		= THIS_MODULE,
	.read		= htab_read,
	.show_fdinfo	= htab_show_fdinfo,
	.release	= htab_release,
};

struct file *kvmppc_htab_open_reader(struct kvm *kvm,
				     const struct kvm_get_htab_fd *args)
{
	struct htab_reader *reader = kvmppc_htab_create_reader(kvm, args);
	struct file *file;

	if (IS_ERR(reader))
		return ERR_CAST(reader);

	file = kvmppc_htab_file(kvm, &htab_read_fops, reader, O_RDONLY);
	if (IS_ERR(file))
		kvmppc_htab_destroy_reader(reader);
	return file;
}
