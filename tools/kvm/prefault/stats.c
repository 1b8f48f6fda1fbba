// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "own.h"
#include "stats.h"

#define NAME_LENGTH	64

#ifdef KVM_GET_STATS_FD

static bool read_at(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size;
}

static bool find(int fd, const struct kvm_stats_header *header,
		 const char *wanted, uint64_t *value)
{
	union {
		struct kvm_stats_desc desc;
		char room[sizeof(struct kvm_stats_desc) + NAME_LENGTH];
	} one;
	size_t size = sizeof(one.desc) + header->name_size;
	uint32_t i;

	if (header->name_size > NAME_LENGTH)
		return false;

	for (i = 0; i < header->num_desc; i++) {
		if (!read_at(fd, &one, size, header->desc_offset + i * size))
			return false;
		if (!strncmp(one.desc.name, wanted, header->name_size))
			return read_at(fd, value, sizeof(*value),
				       header->data_offset + one.desc.offset);
	}
	return false;
}

bool stats_read_from(int stats_fd, const char *const *names, uint64_t *values,
		     unsigned int count)
{
	struct kvm_stats_header header;
	unsigned int i;

	if (!read_at(stats_fd, &header, sizeof(header), 0))
		return false;

	for (i = 0; i < count; i++) {
		if (!find(stats_fd, &header, names[i], &values[i]))
			return false;
	}
	return true;
}

int stats_open(int kvm_fd)
{
	int fd = ioctl(kvm_fd, KVM_GET_STATS_FD, 0);

	/* KVM cannot do it at once.  A child cannot use it, its memory is another. */
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

#else

bool stats_read_from(int stats_fd, const char *const *names, uint64_t *values,
		     unsigned int count)
{
	return false;
}

int stats_open(int kvm_fd)
{
	return -1;
}

#endif /* KVM_GET_STATS_FD */

bool stats_read(int kvm_fd, const char *const *names, uint64_t *values,
		unsigned int count)
{
	int fd = stats_open(kvm_fd);
	bool found;

	if (fd < 0)
		return false;

	found = stats_read_from(fd, names, values, count);
	close_own(fd);
	return found;
}
