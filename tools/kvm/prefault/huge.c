// SPDX-License-Identifier: GPL-2.0-only
/*
 * To look at each page of the host's takes far longer than to pre-fault a huge
 * one, and the kernel does not tell an ordinary process where it has huge pages.
 * But KVM shows: if the last few pages of a block get one entry together, that
 * maps the whole block, and there is nothing more to do for it.
 *
 * One such call for each block, rather than to trust that the next block is like
 * the last: what the host does not have must not be touched.  If all but one of
 * those pages have been mapped before, by the guest for instance, a block of small
 * pages looks the same.  Then the rest of it is left to the guest.
 */
#include "host.h"
#include "huge.h"

/* Without its TDP MMU, KVM may map the 8 pages around for what counts as one. */
#define LAST_PAGES	9

/* Where there are none, blocks are tried more and more seldom. */
#define MISSES_MAX	16
#define WAIT_MAX	(MISSES_MAX * HUGE_SIZE)

/* Else KVM cannot map them by one entry, or it cannot be seen. */
static bool may_have(const struct fill *fill, const struct piece *piece)
{
	return fill->absent == ABSENT_SKIP &&
	       !((piece->gpa ^ piece->hva) % HUGE_SIZE) &&
	       fill->entries.fd >= 0 && fill->host.pagemap >= 0;
}

/* How far it is to the next try.  The next piece may well be at a lower address. */
static uint64_t wait_from(const struct fill *fill, uint64_t gpa)
{
	uint64_t wait = fill->huge_from - gpa;

	return wait <= WAIT_MAX ? wait : 0;
}

uint64_t huge_limit(const struct fill *fill, const struct piece *piece,
		    uint64_t size)
{
	uint64_t limit = HUGE_SIZE - piece->gpa % HUGE_SIZE;
	uint64_t wait = wait_from(fill, piece->gpa);

	if (wait > limit)
		limit = wait;
	return may_have(fill, piece) && limit < size ? limit : size;
}

static void missed(struct fill *fill, uint64_t gpa)
{
	if (fill->huge_misses < MISSES_MAX)
		fill->huge_misses++;
	fill->huge_from = gpa + fill->huge_misses * HUGE_SIZE;
}

/*
 * How many entries KVM makes for all of the range; -1: an error, of which the
 * way page by page will tell, or it does not say how many.
 */
static int entries_for(struct fill *fill, uint64_t gpa, uint64_t size)
{
	struct kvm_pre_fault_memory range = {
		.gpa = gpa,
		.size = size,
	};
	uint64_t before, after;

	if (!kvm_stat_get(&fill->entries, &before) ||
	    pre_fault_chunk(fill->vcpu_fd, &range, size) || range.size ||
	    !kvm_stat_get(&fill->entries, &after))
		return -1;
	return after - before;
}

/* Whether the block at @offset is mapped by one entry now. */
static bool map_block(struct fill *fill, const struct piece *piece,
		      uint64_t offset)
{
	uint64_t size = LAST_PAGES * host_page_size();
	uint64_t last = offset + HUGE_SIZE - size;
	int made;

	/* The kernel would go on to the end of the block, whatever is asked for. */
	if (!host_has(&fill->host, piece->hva + last, LAST_PAGES))
		return false;

	made = entries_for(fill, piece->gpa + last, size);
	/* None: the entry of the last one may be for 1 GiB. */
	fill->huge_last = made == 1 || (!made && fill->huge_last);
	if (fill->huge_last)
		fill->huge_misses = 0;
	else
		missed(fill, piece->gpa + offset);
	return fill->huge_last;
}

uint64_t huge_run(struct fill *fill, const struct piece *piece)
{
	uint64_t run = 0;

	if (!may_have(fill, piece) || piece->gpa % HUGE_SIZE ||
	    wait_from(fill, piece->gpa))
		return 0;
	while (piece->size - run >= HUGE_SIZE && map_block(fill, piece, run))
		run += HUGE_SIZE;
	return run;
}
