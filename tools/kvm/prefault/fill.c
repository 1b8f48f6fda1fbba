// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "clock.h"
#include "fill.h"
#include "host.h"
#include "huge.h"

/* A kick waits for one step: what is aimed at, and what it may be. */
#define STEP_FAST_NS		(NS_PER_MS / 2)
#define STEP_SLOW_NS		(2 * NS_PER_MS)
#define PACE_MIN		(64ULL << 10)
#define PACE_MAX		HOST_LOOK_MAX
/*
 * What the host has is soon gone over, so that the pace says nothing about what
 * it does not have.  madvise() does not look for signals.
 */
#define POPULATE_MAX		(1024ULL << 10)

#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD	4
#endif

static void advance(struct piece *piece, uint64_t size)
{
	piece->gpa += size;
	piece->hva += size;
	piece->size -= size;
}

static void leave_out(struct piece *piece, uint64_t size, uint64_t *account)
{
	advance(piece, size);
	*account += size;
}

/* How much to leave out, from where the ioctl has stopped with @error. */
static uint64_t bad_size(int error, uint64_t size)
{
	if (error == -EFAULT || error == -EHWPOISON)
		return host_page_size();
	return size;	/* the slot has gone, or is about to */
}

/* Pre-faults the first @size bytes of @piece.  Returns as fill_piece(). */
static int pre_fault_run(struct fill *fill, struct piece *piece, uint64_t size)
{
	const struct pre_fault_control control = {
		.chunk = fill->pace,
		.stop = kick_pending_now_and_then,
		.data = fill->kick,
	};
	struct kvm_pre_fault_memory range;
	uint64_t end = piece->gpa + size, done;
	int r;

	while (piece->gpa < end) {
		range = (struct kvm_pre_fault_memory){
			.gpa = piece->gpa,
			.size = end - piece->gpa,
		};
		r = pre_fault_memory(fill->vcpu_fd, &range, &control);
		done = range.gpa - piece->gpa;
		fill->account.done += done;
		advance(piece, done);
		if (r && !pre_fault_may_skip(r))
			return r;
		if (r)
			leave_out(piece, bad_size(r, end - piece->gpa),
				  &fill->account.failed);
	}
	return 0;
}

/* Pre-faults what the host has of the first @size bytes. */
static int pre_fault_present(struct fill *fill, struct piece *piece,
			     uint64_t size)
{
	uint64_t run, offset = 0;
	struct host_look look;
	bool present;
	int r;

	if (host_look(&look, &fill->host, piece->hva, size)) {
		/* The VMM has unmapped it, at least in parts. */
		leave_out(piece, size, &fill->account.failed);
		return 0;
	}
	for (; offset < size; offset += run) {
		run = host_run(&look, offset, size, &present);
		if (!present) {
			leave_out(piece, run, &fill->account.absent);
			continue;
		}
		r = pre_fault_run(fill, piece, run);
		if (r)
			return r;
	}
	return 0;
}

/* Memory that stays private to the guest would be there twice. */
static bool may_populate(const struct fill *fill, const struct piece *piece)
{
	return fill->absent == ABSENT_POPULATE &&
	       !(piece->slot.flags & KVM_MEM_GUEST_MEMFD);
}

/* What cannot be, as a device's memory, says nothing about the next step. */
static bool populate(const struct fill *fill, const struct piece *piece,
		     uint64_t size)
{
	return may_populate(fill, piece) &&
	       !host_populate(piece->hva, size,
			      piece->slot.flags & KVM_MEM_READONLY);
}

static int step(struct fill *fill, struct piece *piece, uint64_t size)
{
	if (fill->absent == ABSENT_READ || populate(fill, piece, size))
		return pre_fault_run(fill, piece, size);
	return pre_fault_present(fill, piece, size);
}

/* A step of its own, as it says nothing about the pace of the others. */
static bool step_huge(struct fill *fill, struct piece *piece)
{
	uint64_t run = huge_run(fill, piece);

	fill->account.done += run;
	advance(piece, run);
	return run;
}

static uint64_t step_size(const struct fill *fill, const struct piece *piece)
{
	uint64_t size = fill->pace;

	if (may_populate(fill, piece) && size > POPULATE_MAX)
		size = POPULATE_MAX;
	if (size > piece->size)
		size = piece->size;
	return huge_limit(fill, piece, size);
}

/*
 * Without its slot, other things may be at the address.  The VMM still has to
 * return from the ioctl that deletes it to unmap its memory: only a step that
 * starts before that can meet them.
 */
static bool has_slot(const struct fill *fill, const struct piece *piece)
{
	bool found;

	vms_lock();
	found = vms_has_slot(fill->vm, &piece->slot);
	vms_unlock();
	return found;
}

/* By how long @size bytes have taken. */
static void adapt_pace(struct fill *fill, uint64_t size, uint64_t ns)
{
	if (ns > STEP_SLOW_NS && fill->pace > PACE_MIN)
		fill->pace /= 2;
	else if (ns < STEP_FAST_NS && fill->pace < PACE_MAX &&
		 size == fill->pace)
		fill->pace *= 2;
}

int fill_piece(struct fill *fill, struct piece *piece)
{
	uint64_t size, start;
	int r;

	while (piece->size && has_slot(fill, piece)) {
		if (kick_pending(fill->kick))
			return -EINTR;
		if (step_huge(fill, piece))
			continue;

		size = step_size(fill, piece);
		start = now_ns();
		r = step(fill, piece, size);
		if (r)
			return r;
		adapt_pace(fill, size, now_ns() - start);
	}
	return 0;
}
