/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * KVM_PRE_FAULT_MEMORY for a VMM: the part to copy.
 *
 *	static struct pre_fault_work work;
 *
 *	if (pre_fault_supported(vm_fd))			once
 *		pre_fault_start(&work, gpa, size);
 *
 *	pre_fault_share(vcpu_fd, &work, NULL);		in each vCPU's thread
 *
 * or, for one vCPU alone, pre_fault_memory().
 *
 * It populates stage-2 (EPT, NPT) page tables ahead of the guest, so that the
 * guest does not exit when it touches the memory for the first time.
 *
 * When: in a vCPU's thread, before its first KVM_RUN or between two; after
 * KVM_SET_CPUID2, and once the memory slots are final: deleting or moving any
 * slot may drop what was populated in all of them.  Several vCPUs may populate
 * parts of the memory at the same time: whoever comes takes the next piece.
 *
 * What: the call acts like a read by the guest.  Private memory that nobody has
 * written yet gets the zero page, which the guest's first write has to replace:
 * that takes longer than if nothing had been populated.  So if the guest is
 * going to write, populate the host memory for writing before, by
 * MADV_POPULATE_WRITE or MAP_POPULATE, or by reading a snapshot into it.
 *
 * If not: a guest runs just as well without, it only faults.  So every error
 * is a reason to go on, not to give up; there is nothing to undo either.
 */
#ifndef PRE_FAULT_H
#define PRE_FAULT_H

#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/kvm.h>

/* For a <linux/kvm.h> that is older than the kernel that the VMM runs on. */
#ifndef KVM_PRE_FAULT_MEMORY
struct kvm_pre_fault_memory {
	/* in/out */
	__u64 gpa;
	__u64 size;
	/* in */
	__u64 flags;
	__u64 padding[5];
};

#define KVM_PRE_FAULT_MEMORY	_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif

/*
 * The kernel looks for signals by itself, but a signal that comes just before
 * the ioctl is handled before it, too.  Nor does KVM_SET_SIGNAL_MASK apply: a
 * signal that the thread blocks is not seen.  Either waits for one chunk only.
 */
#define PRE_FAULT_CHUNK		(16ULL << 20)

/*
 * What a thread takes at a time of what several do together.  Pieces start at
 * multiples of it, so that no two threads fill the same page table.
 */
#define PRE_FAULT_PIECE		(16ULL << 20)

/* A slot is being deleted or moved.  That takes microseconds to milliseconds. */
#define PRE_FAULT_BUSY_MAX	100
#define PRE_FAULT_BUSY_NS	1000000

/**
 * struct pre_fault_control - how to go over a range
 * @chunk: bytes for one call of the ioctl, a multiple of the page size;
 *	   0: PRE_FAULT_CHUNK
 * @stop: NULL, or asked before each call whether to leave it at that
 * @data: for @stop
 */
struct pre_fault_control {
	__u64 chunk;
	bool (*stop)(void *data);
	void *data;
};

/* A range that several threads do together, from pre_fault_start(). */
struct pre_fault_work {
	__u64 next;
	__u64 end;
};

/* @fd is that of /dev/kvm or, better, of the VM: not every VM need be able. */
static inline bool pre_fault_supported(int fd)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY) > 0;
}

/*
 * Whether the error is one of the memory at range->gpa: leave that out, the
 * guest will see to it, and go on behind.  After all others do without.
 */
static inline bool pre_fault_may_skip(int error)
{
	return error == -ENOENT || error == -EAGAIN || error == -EFAULT ||
	       error == -EHWPOISON;
}

/*
 * One call for at most @max bytes.  Returns 0 if @range got shorter, else
 * -errno.
 */
static inline int pre_fault_chunk(int vcpu_fd,
				  struct kvm_pre_fault_memory *range, __u64 max)
{
	struct kvm_pre_fault_memory chunk = *range;

	if (chunk.size > max)
		chunk.size = max;

	if (ioctl(vcpu_fd, KVM_PRE_FAULT_MEMORY, &chunk))
		return -errno;

	/* Less than asked for is fine.  The next call tells why, if it lasts. */
	range->size -= chunk.gpa - range->gpa;
	range->gpa = chunk.gpa;
	return 0;
}

/**
 * pre_fault_memory - populate stage-2 mappings
 * @vcpu_fd: the vCPU, which must not be in KVM_RUN
 * @range: gpa and size, multiples of the page size, all else 0; left behind is
 *	   what could not be done
 * @control: NULL, or how to do it
 *
 * Return: 0 if all of @range is populated, else a negative errno.
 *   -EINTR	@control said stop
 *   -EAGAIN	a slot has been in the way for PRE_FAULT_BUSY_MAX rounds
 *   -ENOENT	range->gpa is in no slot, or beyond what the guest can address
 *   -EFAULT	the host has no memory at range->gpa
 *   -EHWPOISON	range->gpa is poisoned; the guest will notice when it touches it
 *   -EOPNOTSUPP	shadow paging, or the vCPU is in a nested guest or in SMM
 *   -EINVAL, -ENOTTY	the kernel does not have the ioctl (or @range is bad)
 */
static inline int pre_fault_memory(int vcpu_fd,
				   struct kvm_pre_fault_memory *range,
				   const struct pre_fault_control *control)
{
	const struct timespec pause = { .tv_nsec = PRE_FAULT_BUSY_NS };
	__u64 chunk = PRE_FAULT_CHUNK;
	unsigned int busy = 0;
	int r;

	if (control && control->chunk)
		chunk = control->chunk;

	while (range->size) {
		if (control && control->stop && control->stop(control->data))
			return -EINTR;

		r = pre_fault_chunk(vcpu_fd, range, chunk);
		if (!r)
			busy = 0;
		else if (r == -EAGAIN && busy++ < PRE_FAULT_BUSY_MAX)
			nanosleep(&pause, NULL);
		else if (r != -EINTR)	/* its handler has run by now */
			return r;
	}

	return 0;
}

/* To be called once, before any thread takes a piece of it. */
static inline void pre_fault_start(struct pre_fault_work *work, __u64 gpa,
				   __u64 size)
{
	work->end = gpa + size;
	__atomic_store_n(&work->next, gpa, __ATOMIC_RELEASE);
}

/**
 * pre_fault_take - take the next piece of what several threads do together
 * @work: shared by the threads; all 0: there is nothing to do
 * @range: set to the piece, which nobody else gets
 *
 * Return: false if everything has been taken.
 */
static inline bool pre_fault_take(struct pre_fault_work *work,
				  struct kvm_pre_fault_memory *range)
{
	__u64 to, from = __atomic_load_n(&work->next, __ATOMIC_ACQUIRE);

	do {
		if (from >= work->end)
			return false;
		to = (from | (PRE_FAULT_PIECE - 1)) + 1;
		if (!to || to > work->end)
			to = work->end;
	} while (!__atomic_compare_exchange_n(&work->next, &from, to, false,
					      __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));

	*range = (struct kvm_pre_fault_memory){
		.gpa = from,
		.size = to - from,
	};
	return true;
}

/**
 * pre_fault_share - do this vCPU's share of what several do together
 * @vcpu_fd: the vCPU of the calling thread
 * @work: shared by the threads
 * @control: NULL, or how to do it
 *
 * Memory that cannot be populated is left out, to the end of its piece.
 *
 * Return: 0 when everything has been taken, other threads may still be at
 * theirs; else as pre_fault_memory(), with a piece left half done.
 */
static inline int pre_fault_share(int vcpu_fd, struct pre_fault_work *work,
				  const struct pre_fault_control *control)
{
	struct kvm_pre_fault_memory range;
	int r;

	while (pre_fault_take(work, &range)) {
		r = pre_fault_memory(vcpu_fd, &range, control);
		if (r && !pre_fault_may_skip(r))
			return r;
	}

	return 0;
}

#endif /* PRE_FAULT_H */
