// SPDX-License-Identifier: GPL-2.0-only
/*
 * Change maps: see linux/kvm_change_map.h.
 *
 * Both levels of a map are made of chunks of the linear map with a directory
 * each, so that a map needs no large contiguous memory but for the directories,
 * which take a pointer for each page, and can be marked where vmalloc'ed memory
 * cannot be reached.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/kvm_change_map.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>

#define CHUNK_BITS	BIT(KVM_CHANGE_MAP_CHUNK_SHIFT)

static unsigned long nr_chunks(unsigned long nr_bits)
{
	return DIV_ROUND_UP(nr_bits, CHUNK_BITS);
}

/* Bytes of chunk @i: a page, or what remains for the last one. */
static size_t chunk_size(unsigned long nr_bits, unsigned long i)
{
	unsigned long bits = min(nr_bits - i * CHUNK_BITS, CHUNK_BITS);

	return BITS_TO_LONGS(bits) * sizeof(long);
}

static void free_chunks(unsigned long **chunks, unsigned long nr_bits)
{
	unsigned long i;

	if (!chunks)
		return;

	for (i = 0; i < nr_chunks(nr_bits); i++) {
		kfree(chunks[i]);
		cond_resched();
	}
	kfree(chunks);
}

static unsigned long **alloc_chunks(unsigned long nr_bits)
{
	unsigned long i, nr = nr_chunks(nr_bits);
	unsigned long **chunks;

	chunks = kcalloc(nr, sizeof(*chunks), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!chunks)
		return NULL;

	for (i = 0; i < nr; i++) {
		chunks[i] = kzalloc(chunk_size(nr_bits, i), GFP_KERNEL_ACCOUNT);
		if (!chunks[i]) {
			free_chunks(chunks, nr_bits);
			return NULL;
		}
		cond_resched();
	}
	return chunks;
}

void kvm_change_map_free(struct kvm_change_map *map)
{
	if (!map)
		return;

	free_chunks(map->detail, map->nr);
	free_chunks(map->summary, BITS_TO_LONGS(map->nr));
	kfree(map);
}
EXPORT_SYMBOL_GPL(kvm_change_map_free);

struct kvm_change_map *kvm_change_map_alloc(unsigned long nr)
{
	struct kvm_change_map *map;

	/* More would wrap around where it is rounded up. */
	if (!nr || nr > LONG_MAX)
		return NULL;

	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return NULL;

	INIT_LIST_HEAD(&map->node);
	map->nr = nr;
	map->detail = alloc_chunks(nr);
	map->summary = alloc_chunks(BITS_TO_LONGS(nr));
	if (!map->detail || !map->summary) {
		kvm_change_map_free(map);
		return NULL;
	}
	return map;
}
EXPORT_SYMBOL_GPL(kvm_change_map_alloc);

static unsigned long level_bytes(unsigned long nr_bits)
{
	return BITS_TO_LONGS(nr_bits) * sizeof(long) +
	       nr_chunks(nr_bits) * sizeof(unsigned long *);
}

unsigned long kvm_change_map_bytes(unsigned long nr)
{
	return sizeof(struct kvm_change_map) + level_bytes(nr) +
	       level_bytes(BITS_TO_LONGS(nr));
}
EXPORT_SYMBOL_GPL(kvm_change_map_bytes);

/* Adds @bits to word @word of the detail. */
static void add_bits(struct kvm_change_map *map, unsigned long word,
		     unsigned long bits)
{
	*kvm_change_map_word(map->detail, word * BITS_PER_LONG) |= bits;
	*kvm_change_map_word(map->summary, word) |= BIT_MASK(word);
}

static void sweep_word(struct kvm_change_map *source, unsigned long word,
		       struct list_head *sinks)
{
	unsigned long *detail = kvm_change_map_word(source->detail,
						    word * BITS_PER_LONG);
	struct kvm_change_map *sink;
	unsigned long bits;

	bits = xchg(detail, 0);
	if (!bits)
		return;

	list_for_each_entry(sink, sinks, node)
		add_bits(sink, word, bits);
}

static void sweep_summary_word(struct kvm_change_map *source, unsigned long first,
			       struct list_head *sinks)
{
	unsigned long *summary = kvm_change_map_word(source->summary, first);
	unsigned long words, bit;

	if (!READ_ONCE(*summary))
		return;

	/* A full barrier, which pairs with that in kvm_change_map_mark(). */
	words = xchg(summary, 0);
	for_each_set_bit(bit, &words, BITS_PER_LONG)
		sweep_word(source, first + bit, sinks);
}

void kvm_change_map_sweep(struct kvm_change_map *source, struct list_head *sinks)
{
	unsigned long i, nr = BITS_TO_LONGS(source->nr);

	for (i = 0; i < nr; i += BITS_PER_LONG) {
		sweep_summary_word(source, i, sinks);
		cond_resched();
	}
}
EXPORT_SYMBOL_GPL(kvm_change_map_sweep);

void kvm_change_map_set(struct kvm_change_map *map, unsigned long i)
{
	add_bits(map, BIT_WORD(i), BIT_MASK(i));
}
EXPORT_SYMBOL_GPL(kvm_change_map_set);

void kvm_change_map_clear(struct kvm_change_map *map, unsigned long i)
{
	kvm_change_map_set_bits(map, i, kvm_change_map_bits(map, i) & ~BIT_MASK(i));
}
EXPORT_SYMBOL_GPL(kvm_change_map_clear);

unsigned long kvm_change_map_bits(const struct kvm_change_map *map,
				  unsigned long i)
{
	/* Others may be adding to a register. */
	return READ_ONCE(*kvm_change_map_word(map->detail, i));
}
EXPORT_SYMBOL_GPL(kvm_change_map_bits);

void kvm_change_map_set_bits(struct kvm_change_map *map, unsigned long i,
			     unsigned long bits)
{
	unsigned long word = BIT_WORD(i);
	unsigned long *summary = kvm_change_map_word(map->summary, word);

	*kvm_change_map_word(map->detail, i) = bits;
	if (bits)
		*summary |= BIT_MASK(word);
	else
		*summary &= ~BIT_MASK(word);
}
EXPORT_SYMBOL_GPL(kvm_change_map_set_bits);

bool kvm_change_map_test(const struct kvm_change_map *map, unsigned long i)
{
	return *kvm_change_map_word(map->detail, i) & BIT_MASK(i);
}
EXPORT_SYMBOL_GPL(kvm_change_map_test);

void kvm_change_map_set_range(struct kvm_change_map *map, unsigned long first,
			      unsigned long nr)
{
	unsigned long i, end = first + nr, bits;

	for (i = first; i < end; i = (i | (BITS_PER_LONG - 1)) + 1) {
		bits = BITMAP_FIRST_WORD_MASK(i);
		if (end - i < BITS_PER_LONG - i % BITS_PER_LONG)
			bits &= BITMAP_LAST_WORD_MASK(end);
		add_bits(map, BIT_WORD(i), bits);
		if (!(BIT_WORD(i) & KVM_CHANGE_MAP_CHUNK_MASK))
			cond_resched();
	}
}
EXPORT_SYMBOL_GPL(kvm_change_map_set_range);

/*
 * Returns the first word of the detail, at or after @word, that the summary of @a
 * or that of @b has a bit for, or their number of words.
 */
static unsigned long next_word(const struct kvm_change_map *a,
			       const struct kvm_change_map *b, unsigned long word)
{
	unsigned long bits, nr = BITS_TO_LONGS(a->nr);

	for (; word < nr; word = (word | (BITS_PER_LONG - 1)) + 1) {
		bits = *kvm_change_map_word(a->summary, word) |
		       *kvm_change_map_word(b->summary, word);
		bits &= BITMAP_FIRST_WORD_MASK(word);
		if (bits)
			return round_down(word, BITS_PER_LONG) + __ffs(bits);
	}
	return nr;
}

static unsigned long bits_of(const struct kvm_change_map *a,
			     const struct kvm_change_map *b, unsigned long i)
{
	return kvm_change_map_bits(a, i) | kvm_change_map_bits(b, i);
}

unsigned long kvm_change_map_next_of(const struct kvm_change_map *a,
				     const struct kvm_change_map *b,
				     unsigned long i)
{
	unsigned long bits, word = BIT_WORD(i), nr = BITS_TO_LONGS(a->nr);

	if (i >= a->nr)
		return a->nr;

	bits = bits_of(a, b, i) & BITMAP_FIRST_WORD_MASK(i);
	/* A sweep may leave a source's summary with more than there is below. */
	while (!bits) {
		word = next_word(a, b, word + 1);
		if (word == nr)
			return a->nr;
		bits = bits_of(a, b, word * BITS_PER_LONG);
	}
	return word * BITS_PER_LONG + __ffs(bits);
}
EXPORT_SYMBOL_GPL(kvm_change_map_next_of);

unsigned long kvm_change_map_count(const struct kvm_change_map *map)
{
	unsigned long word, nr = BITS_TO_LONGS(map->nr), count = 0;

	for (word = next_word(map, map, 0); word < nr;
	     word = next_word(map, map, word + 1)) {
		count += hweight_long(*kvm_change_map_word(map->detail,
							   word * BITS_PER_LONG));
		cond_resched();
	}
	return count;
}
EXPORT_SYMBOL_GPL(kvm_change_map_count);
