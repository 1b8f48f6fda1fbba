/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * KVM_PRE_FAULT_MEMORY for a VMM: the part to copy.
 *
 *	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };
 *
 *	if (pre_fault_supported(vm_fd))
 *		pre_fault_memory(vcpu_fd, &range, &stop);
 *
 * It populates stage-2 (EPT, NPT) page tables ahead of the guest, so that the
 * guest does not exit when it touches the memory for the first time.
 *
 * When: in a vCPU's thread, before its first KVM_RUN or between two; after
 * KVM_SET_CPUID2, and once the memory slots are final: deleting or moving any
 * slot may drop what was populated in all of them.  Several vCPUs may populate
 * parts of the memory at the same time.
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

/* A slot is being deleted or moved.  That takes microseconds to milliseconds. */
#define PRE_FAULT_BUSY_MAX	100
#define PRE_FAULT_BUSY_NS	1000000

/* @fd is that of /dev/kvm or, better, of the VM: not every VM need be able. */
static inline bool pre_fault_supported(int fd)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY) > 0;
}

/* One call.  Returns 0 if @range got shorter, else -errno. */
static inline int pre_fault_chunk(int vcpu_fd,
				  struct kvm_pre_fault_memory *range)
{
	struct kvm_pre_fault_memory chunk = *range;

	if (chunk.size > PRE_FAULT_CHUNK)
		chunk.size = PRE_FAULT_CHUNK;

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
 * @stop: NULL, or what another thread or a signal handler sets to end the call
 *	  early
 *
 * Return: 0 if all of @range is populated, else a negative errno.
 *   -EINTR	@stop was set
 *   -EAGAIN	a slot has been in the way for PRE_FAULT_BUSY_MAX rounds
 *   -ENOENT	range->gpa is in no slot, or beyond what the guest can address
 *   -EOPNOTSUPP	shadow paging, or the vCPU is in a nested guest or in SMM
 *   -EHWPOISON	range->gpa is poisoned; the guest will notice when it touches it
 *   -EINVAL, -ENOTTY	the kernel does not have the ioctl (or @range is bad)
 */
static inline int pre_fault_memory(int vcpu_fd,
				   struct kvm_pre_fault_memory *range,
				   const int *stop)
{
	const struct timespec pause = { .tv_nsec = PRE_FAULT_BUSY_NS };
	unsigned int busy = 0;
	int r;

	while (range->size) {
		if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
			return -EINTR;

		r = pre_fault_chunk(vcpu_fd, range);
		if (!r)
			busy = 0;
		else if (r == -EAGAIN && busy++ < PRE_FAULT_BUSY_MAX)
			nanosleep(&pause, NULL);
		else if (r != -EINTR)	/* its handler has run by now */
			return r;
	}

	return 0;
}

#endif /* PRE_FAULT_H */
