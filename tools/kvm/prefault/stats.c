// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "own.h"
#include "stats.h"

#define NAME_LENGTH	64

static bool read_at(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size;
}

#ifdef KVM_GET_STATS_FD

static bool find(struct kvm_stat *stat, const char *wanted)
{
	union {
		struct kvm_stats_desc desc;
		char room[sizeof(struct kvm_stats_desc) + NAME_LENGTH];
	} one;
	struct kvm_stats_header header;
	size_t size;
	uint32_t i;

	if (!read_at(stat->fd, &header, sizeof(header), 0) ||
	    header.name_size > NAME_LENGTH)
		return false;

	size = sizeof(one.desc) + header.name_size;
	for (i = 0; i < header.num_desc; i++) {
		if (!read_at(stat->fd, &one, size,
			     header.desc_offset + i * size))
			return false;
		if (!strncmp(one.desc.name, wanted, header.name_size)) {
			stat->offset = header.data_offset + one.desc.offset;
			return true;
		}
	}
	return false;
}

struct kvm_stat kvm_stat_open(int kvm_fd, const char *name)
{
	struct kvm_stat stat = { .fd = ioctl(kvm_fd, KVM_GET_STATS_FD, 0) };

	if (stat.fd < 0)
		return stat;
	/* KVM cannot do it at once.  A child cannot use it, its memory is another. */
	fcntl(stat.fd, F_SETFD, FD_CLOEXEC);
	if (!find(&stat, name))
		kvm_stat_close(&stat);
	return stat;
}

#else

struct kvm_stat kvm_stat_open(int kvm_fd, const char *name)
{
	return (struct kvm_stat){ .fd = -1 };
}

#endif /* KVM_GET_STATS_FD */

bool kvm_stat_get(const struct kvm_stat *stat, uint64_t *value)
{
	return stat->fd >= 0 &&
	       read_at(stat->fd, value, sizeof(*value), stat->offset);
}

void kvm_stat_close(struct kvm_stat *stat)
{
	if (stat->fd >= 0)
		close_own(stat->fd);
	stat->fd = -1;
}
