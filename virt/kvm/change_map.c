// SPDX-License-Identifier: GPL-2.0-only
/*
 * Change maps: see linux/kvm_change_map.h.
 *
 * Both levels of a map are made of pages of the linear map with a directory
 * each, so that a map needs no large contiguous memory but for the directories,
 * which take a pointer for each page, and can be marked where vmalloc'ed memory
 * cannot be reached.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/kvm_change_map.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>

#define CHUNK_BITS	BIT(KVM_CHANGE_MAP_CHUNK_SHIFT)

static unsigned long nr_chunks(unsigned long nr_bits)
{
	return DIV_ROUND_UP(nr_bits, CHUNK_BITS);
}

static void free_chunks(unsigned long **chunks, unsigned long nr_bits)
{
	unsigned long i;

	if (!chunks)
		return;

	for (i = 0; i < nr_chunks(nr_bits); i++) {
		free_page((unsigned long)chunks[i]);
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
		chunks[i] = (unsigned long *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
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

unsigned long kvm_change_map_bytes(unsigned long nr)
{
	unsigned long chunks = nr_chunks(nr) + nr_chunks(BITS_TO_LONGS(nr));

	return sizeof(struct kvm_change_map) +
	       chunks * (PAGE_SIZE + sizeof(unsigned long *));
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
	unsigned long *detail = kvm_change_map_word(map->detail, i);
	unsigned long word = BIT_WORD(i);

	*detail &= ~BIT_MASK(i);
	if (!*detail)
		*kvm_change_map_word(map->summary, word) &= ~BIT_MASK(word);
}
EXPORT_SYMBOL_GPL(kvm_change_map_clear);

bool kvm_change_map_test(const struct kvm_change_map *map, unsigned long i)
{
	return *kvm_change_map_word(map->detail, i) & BIT_MASK(i);
}
EXPORT_SYMBOL_GPL(kvm_change_map_test);

void kvm_change_map_set_from(struct kvm_change_map *map, unsigned long first)
{
	unsigned long i, bits;

	for (i = first; i < map->nr; i = (i | (BITS_PER_LONG - 1)) + 1) {
		bits = BITMAP_FIRST_WORD_MASK(i);
		if (map->nr - i < BITS_PER_LONG - i % BITS_PER_LONG)
			bits &= BITMAP_LAST_WORD_MASK(map->nr);
		add_bits(map, BIT_WORD(i), bits);
		if (!(BIT_WORD(i) & KVM_CHANGE_MAP_CHUNK_MASK))
			cond_resched();
	}
}
EXPORT_SYMBOL_GPL(kvm_change_map_set_from);

/* The first bit at or after @i that is set in @chunks, or @nr. */
static unsigned long next_bit(unsigned long *const *chunks, unsigned long nr,
			      unsigned long i)
{
	unsigned long start, bit, size;

	while (i < nr) {
		start = i & ~KVM_CHANGE_MAP_CHUNK_MASK;
		size = min(nr - start, CHUNK_BITS);
		bit = find_next_bit(kvm_change_map_word(chunks, start), size,
				    i - start);
		if (bit < size)
			return start + bit;
		i = start + CHUNK_BITS;
	}
	return nr;
}

unsigned long kvm_change_map_next(const struct kvm_change_map *map,
				  unsigned long i)
{
	unsigned long bits, word = BIT_WORD(i), nr = BITS_TO_LONGS(map->nr);

	if (i >= map->nr)
		return map->nr;

	bits = *kvm_change_map_word(map->detail, i) & BITMAP_FIRST_WORD_MASK(i);
	/* A sweep may leave a source's summary with more than there is below. */
	while (!bits) {
		word = next_bit(map->summary, nr, word + 1);
		if (word == nr)
			return map->nr;
		bits = *kvm_change_map_word(map->detail, word * BITS_PER_LONG);
	}
	return word * BITS_PER_LONG + __ffs(bits);
}
EXPORT_SYMBOL_GPL(kvm_change_map_next);

unsigned long kvm_change_map_count(const struct kvm_change_map *map)
{
	unsigned long word, nr = BITS_TO_LONGS(map->nr), count = 0;

	for (word = next_bit(map->summary, nr, 0); word < nr;
	     word = next_bit(map->summary, nr, word + 1)) {
		count += hweight_long(*kvm_change_map_word(map->detail,
							   word * BITS_PER_LONG));
		cond_resched();
	}
	return count;
}
EXPORT_SYMBOL_GPL(kvm_change_map_count);
