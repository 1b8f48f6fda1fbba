// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: entries of memory that the guest has. What the host does
 * with that memory is not the guest's, so it does not show.
 */
#include <sys/mman.h>

#include "htab_harness.h"

#define PAGES		16
#define GPA		0x10000000ull

FIXTURE(memory)
{
	struct htab_vm vm;
	int writer;
	size_t page;
	char *mem;
	struct htab_shadow told;
	int fd;
};

static int set_memory(struct htab_vm *vm, char *mem, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GPA,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static struct htab_entry entry_of_page(size_t page, unsigned int i)
{
	struct htab_entry entry = htab_entry_at(i, GPA + i * page, 0);

	/* The entry says that neither was used yet. */
	entry.r &= ~(HTAB_R_R | HTAB_R_C);
	return entry;
}

/* An entry for each page; every other page is there. */
FIXTURE_SETUP(memory)
{
	unsigned int i;

	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_shadow_init(&self->told, HTAB_TEST_ENTRIES), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);

	self->page = getpagesize();
	self->mem = mmap(NULL, PAGES * self->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->mem, MAP_FAILED);
	ASSERT_EQ(set_memory(&self->vm, self->mem, PAGES * self->page), 0);
	for (i = 0; i < PAGES; i++) {
		if (i % 2)
			self->mem[i * self->page] = 1;
		ASSERT_EQ(htab_set(self->writer, i,
				   entry_of_page(self->page, i)), 0);
	}
	self->fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
}

FIXTURE_TEARDOWN(memory)
{
	close(self->fd);
	close(self->writer);
	htab_shadow_destroy(&self->told);
	htab_vm_destroy(&self->vm);
	munmap(self->mem, PAGES * self->page);
}

static void expect_entries(struct __test_metadata *_metadata,
			   struct _test_data_memory *self)
{
	struct htab_entry entry;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		entry = entry_of_page(self->page, i);
		EXPECT_TRUE(self->told.slots[i].valid);
		EXPECT_EQ(self->told.slots[i].entry.v, entry.v);
		EXPECT_EQ(self->told.slots[i].entry.r, entry.r);
	}
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
}

TEST_F(memory, there_or_not)
{
	expect_entries(_metadata, self);
	EXPECT_EQ(htab_shadow_valid(&self->told), PAGES);
	/* Defect 14; and an entry without its page is absent to the host. */
	EXPECT_EQ(self->told.n_own_bits, 0);
}

TEST_F(memory, that_goes)
{
	ASSERT_EQ(madvise(self->mem, PAGES * self->page, MADV_DONTNEED), 0);
	ASSERT_GE(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	expect_entries(_metadata, self);
}

TEST_F(memory, taken_from_the_guest)
{
	ASSERT_EQ(set_memory(&self->vm, self->mem, 0), 0);
	ASSERT_GE(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	expect_entries(_metadata, self);
}

TEST_F(memory, of_entries_that_go)
{
	ASSERT_EQ(htab_clear(self->writer, 0, PAGES), 0);
	ASSERT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_valid(&self->told), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
}

HTAB_HARNESS_MAIN
