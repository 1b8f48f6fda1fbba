/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A change map: one bit for each of a large number of entries, with a summary
 * above the bits, so that to find the few that are set costs little.
 *
 * Three kinds of use:
 *
 * - A source is marked, without a lock, by whoever changes entries, in any
 *   context, the real mode of POWER8 included: a mark is inline, and touches
 *   nothing but the linear map.
 * - A sink belongs to whoever wants to know what changed.  It is used under a
 *   mutex of the owner's.  kvm_change_map_sweep() moves what a source has
 *   gathered to all sinks of a list, under the same mutex.
 * - A register is added to in any context, too, and looked at without a sweep:
 *   who has swept a mark finds what was added before it.  It has no summary, so
 *   only kvm_change_map_bits() and kvm_change_map_test() are for it.
 *
 * For nothing to get lost, an entry has to be changed and marked, in any order,
 * while a lock of its own is held, and be read, under that lock, after the sweep
 * that finds the mark, and after its bit in the sink was cleared.  The lock may be
 * left out by who can tell, from the entry itself, that nobody holds it: whoever
 * has swept a mark sees the lock that was taken before.
 */
#ifndef __KVM_CHANGE_MAP_H
#define __KVM_CHANGE_MAP_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/types.h>

#include <asm/barrier.h>
#include <asm/page.h>

/* Bits in a chunk, which is a page; the last one of a level may be smaller. */
#define KVM_CHANGE_MAP_CHUNK_SHIFT	(PAGE_SHIFT + 3)
#define KVM_CHANGE_MAP_CHUNK_MASK	((1ul << KVM_CHANGE_MAP_CHUNK_SHIFT) - 1)

struct kvm_change_map {
	/* Entries; a bit of @detail is one, a bit of @summary a word of @detail. */
	unsigned long nr;
	unsigned long **detail;
	unsigned long **summary;
	/* Of a sink, in the list of those that are swept to. */
	struct list_head node;
};

/*
 * Allocates a map of @nr entries, from 1 to LONG_MAX, with none of them set.
 * May sleep.  Returns NULL if there is no memory, or for another @nr.
 */
struct kvm_change_map *kvm_change_map_alloc(unsigned long nr);

/* Frees @map, which may be NULL.  Nobody may be marking it.  May sleep. */
void kvm_change_map_free(struct kvm_change_map *map);

/* The bytes of memory that a map of @nr entries takes. */
unsigned long kvm_change_map_bytes(unsigned long nr);

/*
 * Moves what was marked in @source to each sink in @sinks.  All have the same
 * number of entries.  May sleep; the caller holds the mutex of the sinks.
 */
void kvm_change_map_sweep(struct kvm_change_map *source, struct list_head *sinks);

/* For sinks only, and sources that nobody marks; under their owner's mutex. */
void kvm_change_map_set(struct kvm_change_map *map, unsigned long i);
void kvm_change_map_clear(struct kvm_change_map *map, unsigned long i);
bool kvm_change_map_test(const struct kvm_change_map *map, unsigned long i);

/* Sets the @nr entries from @first on.  May sleep. */
void kvm_change_map_set_range(struct kvm_change_map *map, unsigned long first,
			      unsigned long nr);

/* All at once, the entries of the word that @i is in: BITS_PER_LONG, aligned. */
unsigned long kvm_change_map_bits(const struct kvm_change_map *map,
				  unsigned long i);
void kvm_change_map_set_bits(struct kvm_change_map *map, unsigned long i,
			     unsigned long bits);

/*
 * Returns the first entry at or after @i that is set in one of two maps of the same
 * number of entries, or that number.
 */
unsigned long kvm_change_map_next_of(const struct kvm_change_map *a,
				     const struct kvm_change_map *b,
				     unsigned long i);

/* The same for one map. */
static inline unsigned long kvm_change_map_next(const struct kvm_change_map *map,
						unsigned long i)
{
	return kvm_change_map_next_of(map, map, i);
}

/* Returns how many entries are set.  May sleep. */
unsigned long kvm_change_map_count(const struct kvm_change_map *map);

/* The word that holds bit @i. */
static inline unsigned long *kvm_change_map_word(unsigned long *const *chunks,
						 unsigned long i)
{
	return &chunks[i >> KVM_CHANGE_MAP_CHUNK_SHIFT]
		      [BIT_WORD(i & KVM_CHANGE_MAP_CHUNK_MASK)];
}

/*
 * Marks entry @i, below the nr of @source.  In any context, while the entry is
 * locked.  Whoever finds the mark by a sweep sees what was done before it; and
 * it orders what was done before what comes after.
 */
static inline void kvm_change_map_mark(struct kvm_change_map *source,
				       unsigned long i)
{
	unsigned long word = BIT_WORD(i);
	unsigned long *detail = kvm_change_map_word(source->detail, i);
	unsigned long *summary = kvm_change_map_word(source->summary, word);

	/* Pairs with the xchg() of the detail in kvm_change_map_sweep(). */
	atomic_long_fetch_or_release(BIT_MASK(i), (atomic_long_t *)detail);
	/*
	 * Pairs with the xchg() of the summary in kvm_change_map_sweep(): either
	 * that sweep finds the bit in the detail, or the test here finds that the
	 * summary is clear again.
	 */
	smp_mb__after_atomic();
	if (!test_bit(word % BITS_PER_LONG, summary))
		set_bit(word % BITS_PER_LONG, summary);
}

/* Adds entry @i, below the nr of @reg.  In any context. */
static inline void kvm_change_map_add(struct kvm_change_map *reg, unsigned long i)
{
	unsigned long *detail = kvm_change_map_word(reg->detail, i);

	if (!test_bit(i % BITS_PER_LONG, detail))
		set_bit(i % BITS_PER_LONG, detail);
}

#endif /* __KVM_CHANGE_MAP_H */
