// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ABI of KVM_PPC_GET_HTAB_FD that has been in use since Linux 3.8: numbers,
 * layouts, flags, what the fd allows, and how an empty table is told.
 */
#include <stddef.h>

#include "kselftest_harness.h"
#include "htab_vm.h"

#define HEADER	sizeof(struct kvm_get_htab_header)

FIXTURE(htab)
{
	struct htab_vm vm;
};

FIXTURE_SETUP(htab)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
}

FIXTURE_TEARDOWN(htab)
{
	htab_vm_destroy(&self->vm);
}

TEST(numbers)
{
	EXPECT_EQ(KVM_CAP_PPC_HTAB_FD, 84);
	EXPECT_EQ(KVM_PPC_GET_HTAB_FD, 0x8020aeaaul);
	EXPECT_EQ(KVM_GET_HTAB_BOLTED_ONLY, 1);
	EXPECT_EQ(KVM_GET_HTAB_WRITE, 2);
}

TEST(layouts)
{
	EXPECT_EQ(sizeof(struct kvm_get_htab_fd), 32);
	EXPECT_EQ(offsetof(struct kvm_get_htab_fd, flags), 0);
	EXPECT_EQ(offsetof(struct kvm_get_htab_fd, start_index), 8);
	EXPECT_EQ(offsetof(struct kvm_get_htab_fd, reserved), 16);

	EXPECT_EQ(HEADER, 8);
	EXPECT_EQ(offsetof(struct kvm_get_htab_header, index), 0);
	EXPECT_EQ(offsetof(struct kvm_get_htab_header, n_valid), 4);
	EXPECT_EQ(offsetof(struct kvm_get_htab_header, n_invalid), 6);
}

TEST_F(htab, capability)
{
	EXPECT_EQ(ioctl(self->vm.vm_fd, KVM_CHECK_EXTENSION,
			KVM_CAP_PPC_HTAB_FD), 1);
}

TEST_F(htab, unknown_flags)
{
	unsigned int bit;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	for (bit = 2; bit < 64; bit++)
		EXPECT_EQ(htab_open(&self->vm, 1ull << bit, 0), -EINVAL);
}

TEST_F(htab, reserved_is_ignored)
{
	struct kvm_get_htab_fd request = { .reserved = { -1, -1 } };
	int fd;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	fd = ioctl(self->vm.vm_fd, KVM_PPC_GET_HTAB_FD, &request);
	EXPECT_GE(fd, 0);
	close(fd);
}

TEST_F(htab, a_reader_cannot_be_written)
{
	char buf[HEADER] = "";
	int fd;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(write(fd, buf, sizeof(buf)), -1);
	EXPECT_EQ(errno, EBADF);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

TEST_F(htab, a_writer_cannot_be_read)
{
	char buf[64];
	int fd;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	fd = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(read(fd, buf, sizeof(buf)), -1);
	EXPECT_EQ(errno, EBADF);
	close(fd);
}

/* A run of invalid entries is told by headers that count as many as they can. */
static void expect_empty(struct __test_metadata *_metadata, int fd,
			 uint64_t index, uint64_t entries)
{
	struct kvm_get_htab_header headers[64];
	ssize_t size;
	int i;

	while (index < entries) {
		size = read(fd, headers, sizeof(headers));
		ASSERT_GT(size, 0);
		ASSERT_EQ(size % HEADER, 0);
		for (i = 0; i < size / HEADER; i++) {
			EXPECT_EQ(headers[i].index, index);
			EXPECT_EQ(headers[i].n_valid, 0);
			ASSERT_GT(headers[i].n_invalid, 0);
			index += headers[i].n_invalid;
		}
	}
	EXPECT_EQ(index, entries);
}

TEST_F(htab, an_empty_table)
{
	struct kvm_get_htab_header headers[64];
	int fd;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	expect_empty(_metadata, fd, 0, HTAB_ENTRIES(HTAB_MIN_ORDER));
	EXPECT_EQ(read(fd, headers, sizeof(headers)), 0);
	close(fd);
}

/* More entries than one header can count. */
TEST_F(htab, a_large_empty_table)
{
	uint32_t order = 24;
	int fd;

	ASSERT_GT(HTAB_ENTRIES(order), HTAB_MAX_RUN);
	ASSERT_EQ(htab_allocate(&self->vm, order), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	expect_empty(_metadata, fd, 0, HTAB_ENTRIES(order));
	close(fd);
}

TEST_F(htab, start_index)
{
	uint64_t start = HTAB_ENTRIES(HTAB_MIN_ORDER) - 5;
	int fd;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_MIN_ORDER), 0);
	fd = htab_open(&self->vm, 0, start);
	ASSERT_GE(fd, 0);
	expect_empty(_metadata, fd, start, HTAB_ENTRIES(HTAB_MIN_ORDER));
	close(fd);
}

TEST_HARNESS_MAIN
