// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log of a guest with a hash page table: a page that has been written is
 * in it, whatever becomes of the entry that tells so.
 *
 * POWER8 handles hypercalls in real mode, where the addresses of bitmaps are not
 * translated (defect dirty).
 */
#include "kselftest_harness.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define PAGE		5
#define OTHER_PAGE	6

/* Pages of the guest that are not in one page of the host's. */
#define GPA		(HTAB_PAGES + 0x30000)
#define OTHER_GPA	(HTAB_PAGES + 0x50000)

FIXTURE(log)
{
	struct htab_guest guest;
	struct htab_vcpu *vcpu;
	uint64_t index;			/* of the entry for PAGE */
	uint64_t other;			/* of that for OTHER_PAGE */
	unsigned char *bits;		/* a slot's log */
};

/* Of a bitmap, which has a bit for each of the host's pages. */
static uint64_t bits_per_page(void)
{
	return 8ul * getpagesize();
}

/* A slot with the log on, that has twice as many pages as one page has bits. */
static int add_large_slot(struct htab_guest *guest, uint64_t gpa)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = gpa,
		.memory_size = 2 * bits_per_page() * getpagesize(),
	};
	void *memory = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	region.userspace_addr = (unsigned long)memory;
	return ioctl(guest->vm.vm_fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* What is in the log is not there any more the next time. */
static void get_log(struct __test_metadata *_metadata, struct _test_data_log *self,
		    uint32_t slot)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = self->bits };

	memset(self->bits, 0, 2 * getpagesize());
	ASSERT_EQ(ioctl(self->guest.vm.vm_fd, KVM_GET_DIRTY_LOG, &log), 0);
}

static bool has(struct _test_data_log *self, uint64_t offset)
{
	uint64_t page = offset / getpagesize();

	return self->bits[page / 8] >> page % 8 & 1;
}

FIXTURE_SETUP(log)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(htab_guest_create(&self->guest, ORDER, 1), 0);
	ASSERT_EQ(htab_enable_hcall(&self->guest, H_PAGE_INIT), 0);
	ASSERT_EQ(htab_set_slot(&self->guest, 0, KVM_MEM_LOG_DIRTY_PAGES, 0,
				HTAB_MEMORY), 0);
	self->bits = malloc(2 * getpagesize());
	ASSERT_NE(self->bits, NULL);
	self->vcpu = &self->guest.vcpu[0];
	self->index = htab_group(ORDER, PAGE);
	self->other = htab_group(ORDER, OTHER_PAGE);
	ASSERT_EQ(htab_enter(self->vcpu, self->index, htab_page(PAGE, GPA)), H_SUCCESS);
	ASSERT_EQ(htab_enter(self->vcpu, self->other, htab_page(OTHER_PAGE, OTHER_GPA)),
		  H_SUCCESS);
	/* What was written up to now. */
	get_log(_metadata, self, 0);
}

FIXTURE_TEARDOWN(log)
{
	free(self->bits);
	htab_guest_destroy(&self->guest);
}

/* Of the two pages the first is in the log, once. */
static void expect_in_log(struct __test_metadata *_metadata,
			  struct _test_data_log *self)
{
	get_log(_metadata, self, 0);
	EXPECT_TRUE(has(self, GPA));
	EXPECT_FALSE(has(self, OTHER_GPA));
	get_log(_metadata, self, 0);
	EXPECT_FALSE(has(self, GPA));
}

static void store(struct __test_metadata *_metadata, struct _test_data_log *self)
{
	ASSERT_EQ(htab_store(self->vcpu, PAGE, 42), 0);
}

TEST_F(log, load)
{
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	get_log(_metadata, self, 0);
	EXPECT_FALSE(has(self, GPA));
}

TEST_F(log, store)
{
	store(_metadata, self);
	expect_in_log(_metadata, self);
}

TEST_F(log, store_twice)
{
	store(_metadata, self);
	expect_in_log(_metadata, self);
	store(_metadata, self);
	expect_in_log(_metadata, self);
}

TEST_F(log, remove)
{
	store(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	expect_in_log(_metadata, self);
}

TEST_F(log, bulk_remove)
{
	struct htab_command *command;

	store(_metadata, self);
	htab_no_commands(self->vcpu);
	command = htab_command(self->vcpu, H_BULK_REMOVE, H_BULK_REQUEST | self->other, 0,
			       H_BULK_REQUEST | self->index, 0);
	command->in[5] = H_BULK_END;
	ASSERT_EQ(htab_run(self->vcpu), 0);
	ASSERT_EQ(command->out[0], H_SUCCESS);
	expect_in_log(_metadata, self);
}

TEST_F(log, clear_mod)
{
	store(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_CLEAR_MOD, 0, self->index, 0, 0), H_SUCCESS);
	expect_in_log(_metadata, self);
}

TEST_F(log, protect)
{
	store(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_PROTECT, HTAB_R_PP_RORO, self->index, 0, 0),
		  H_SUCCESS);
	expect_in_log(_metadata, self);
}

/* The page goes away, and the entry is absent until it comes back. */
TEST_F(log, unmap)
{
	store(_metadata, self);
	ASSERT_EQ(madvise(self->guest.memory + GPA, getpagesize(), MADV_DONTNEED), 0);
	expect_in_log(_metadata, self);
}

TEST_F(log, clear_page)
{
	ASSERT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_ZERO_PAGE, GPA, 0, 0), H_SUCCESS);
	expect_in_log(_metadata, self);
}

TEST_F(log, copy_page)
{
	ASSERT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_COPY_PAGE, GPA, OTHER_GPA, 0),
		  H_SUCCESS);
	expect_in_log(_metadata, self);
}

/* The pages of a large bitmap are not in a row in the host's memory. */
TEST_F(log, second_page_of_the_bitmap)
{
	uint64_t slot = 1ul << 40, offset = bits_per_page() * getpagesize();

	ASSERT_EQ(add_large_slot(&self->guest, slot), 0);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	ASSERT_EQ(htab_enter(self->vcpu, self->index, htab_page(PAGE, slot + offset)),
		  H_SUCCESS);
	get_log(_metadata, self, 1);
	store(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	get_log(_metadata, self, 1);
	EXPECT_TRUE(has(self, offset));
	EXPECT_FALSE(has(self, 0));
	EXPECT_FALSE(has(self, offset + getpagesize()));
}

TEST_HARNESS_MAIN
