// SPDX-License-Identifier: GPL-2.0-only
/*
 * H_PAGE_INIT, by which a guest with a hash page table clears and copies pages of
 * its memory.
 *
 * The host uses the guest's memslots for it: a kernel with PROVE_RCU complains if
 * it does so outside of an SRCU read-side critical section.
 */
#include "kselftest_harness.h"
#include "htab_guest.h"

#define PAGE_SIZE	4096
#define TO		(HTAB_PAGES + 0x30000)
#define FROM		(HTAB_PAGES + 0x51000)

FIXTURE(page)
{
	struct htab_guest guest;
	struct htab_vcpu *vcpu;
	unsigned char *to, *from;
};

FIXTURE_SETUP(page)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(htab_guest_create(&self->guest, HTAB_MIN_ORDER, 1), 0);
	ASSERT_EQ(htab_enable_hcall(&self->guest, H_PAGE_INIT), 0);
	self->vcpu = &self->guest.vcpu[0];
	self->to = (unsigned char *)self->guest.memory + TO;
	self->from = (unsigned char *)self->guest.memory + FROM;
	memset(self->to - 1, 0x11, PAGE_SIZE + 2);
	memset(self->from, 0x22, PAGE_SIZE);
}

FIXTURE_TEARDOWN(page)
{
	htab_guest_destroy(&self->guest);
}

/* The page, and nothing beside it, has changed: each byte is now @value. */
static void expect_page(struct __test_metadata *_metadata,
			struct _test_data_page *self, unsigned char value)
{
	int i;

	for (i = 0; i < PAGE_SIZE && self->to[i] == value; i++)
		;
	EXPECT_EQ(i, PAGE_SIZE);
	EXPECT_EQ(self->to[-1], 0x11);
	EXPECT_EQ(self->to[PAGE_SIZE], 0x11);
}

TEST_F(page, clear)
{
	ASSERT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_ZERO_PAGE, TO, 0, 0), H_SUCCESS);
	expect_page(_metadata, self, 0);
}

TEST_F(page, copy)
{
	ASSERT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_COPY_PAGE, TO, FROM, 0), H_SUCCESS);
	expect_page(_metadata, self, 0x22);
}

TEST_F(page, bad_pages)
{
	EXPECT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_ZERO_PAGE, TO + 8, 0, 0), H_PARAMETER);
	EXPECT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_COPY_PAGE, TO, FROM + 8, 0), H_PARAMETER);
	EXPECT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_ZERO_PAGE, HTAB_NO_MEMORY, 0, 0),
		  H_PARAMETER);
	EXPECT_EQ(htab_do(self->vcpu, H_PAGE_INIT, H_COPY_PAGE, TO, HTAB_NO_MEMORY, 0),
		  H_PARAMETER);
	expect_page(_metadata, self, 0x11);
}

TEST_HARNESS_MAIN
