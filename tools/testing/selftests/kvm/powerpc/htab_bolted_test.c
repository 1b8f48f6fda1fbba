// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD with KVM_GET_HTAB_BOLTED_ONLY. An entry that is live but
 * not bolted is left out, not told as invalid (defect 13), but for one that was
 * told as bolted before.
 */
#include "htab_harness.h"

#define BOLTED		10
#define NOT_BOLTED	20

FIXTURE(bolted)
{
	struct htab_vm vm;
	struct htab_shadow told;
	int writer;
	int fd;
};

/* A reader of the bolted entries that has gone through its first pass. */
FIXTURE_SETUP(bolted)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_shadow_init(&self->told, HTAB_TEST_ENTRIES), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);
	ASSERT_EQ(htab_set(self->writer, BOLTED,
			   htab_entry_make(1, HTAB_V_BOLTED)), 0);
	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED, htab_entry_make(2, 0)), 0);

	self->fd = htab_open(&self->vm, KVM_GET_HTAB_BOLTED_ONLY, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
}

FIXTURE_TEARDOWN(bolted)
{
	close(self->fd);
	close(self->writer);
	htab_shadow_destroy(&self->told);
	htab_vm_destroy(&self->vm);
}

TEST_F(bolted, the_first_pass)
{
	EXPECT_TRUE(self->told.slots[BOLTED].valid);
	EXPECT_EQ(self->told.slots[BOLTED].told, 1);
	EXPECT_EQ(self->told.slots[NOT_BOLTED].told, 0);
	EXPECT_EQ(htab_shadow_valid(&self->told), 1);
}

TEST_F(bolted, an_entry_not_bolted_changes)
{
	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED, htab_entry_make(3, 0)), 0);
	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED + 1, htab_entry_make(3, 0)),
		  0);
	htab_shadow_forget_told(&self->told);
	EXPECT_EQ(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(self->told.slots[NOT_BOLTED].told, 0);
	EXPECT_EQ(self->told.slots[NOT_BOLTED + 1].told, 0);
}

/* 0 is for a whole pass, not for the rest of the table (defect 9). */
TEST_F(bolted, nothing_to_tell_up_to_the_end)
{
	struct htab_entry entry = htab_entry_make(5, HTAB_V_BOLTED);
	uint64_t last = HTAB_TEST_ENTRIES - 1;
	int fd;

	ASSERT_EQ(htab_set(self->writer, last, htab_entry_make(6, 0)), 0);
	fd = htab_open(&self->vm, KVM_GET_HTAB_BOLTED_ONLY, last);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(htab_set(self->writer, BOLTED, entry), 0);
	EXPECT_EQ(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 1);
	EXPECT_EQ(self->told.slots[BOLTED].told, 2);
	EXPECT_EQ(self->told.slots[BOLTED].entry.v, entry.v);
	close(fd);
}

TEST_F(bolted, an_entry_becomes_bolted)
{
	struct htab_entry entry = htab_entry_make(4, HTAB_V_BOLTED);

	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED, entry), 0);
	EXPECT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_TRUE(self->told.slots[NOT_BOLTED].valid);
	EXPECT_EQ(self->told.slots[NOT_BOLTED].entry.v, entry.v);
	EXPECT_EQ(self->told.slots[NOT_BOLTED].told, 1);
}

/* It is live, but for this reader there is no such entry any more. */
TEST_F(bolted, an_entry_is_bolted_no_more)
{
	ASSERT_EQ(htab_set(self->writer, BOLTED, htab_entry_make(5, 0)), 0);
	EXPECT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_FALSE(self->told.slots[BOLTED].valid);
	EXPECT_EQ(self->told.slots[BOLTED].told, 2);
}

TEST_F(bolted, a_bolted_entry_is_removed)
{
	ASSERT_EQ(htab_clear(self->writer, BOLTED, 1), 0);
	EXPECT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_FALSE(self->told.slots[BOLTED].valid);
}

/* A run of live entries, with bolted ones and holes within. */
TEST_F(bolted, runs)
{
	uint64_t base = 4096, i;
	int fd;

	for (i = 0; i < 256; i++) {
		uint64_t v_bits = i % 5 ? 0 : HTAB_V_BOLTED;

		ASSERT_EQ(htab_set(self->writer, base + i,
				   htab_entry_make(i, v_bits)), 0);
		if (!(i % 16))
			ASSERT_EQ(htab_clear(self->writer, base + i, 1), 0);
	}
	fd = htab_open(&self->vm, KVM_GET_HTAB_BOLTED_ONLY, 0);
	ASSERT_GE(fd, 0);
	htab_shadow_forget_told(&self->told);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_HEADER + HTAB_ENTRY + 8), 0);
	ASSERT_GT(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	for (i = 0; i < 256; i++) {
		const struct htab_slot *slot = &self->told.slots[base + i];

		EXPECT_EQ(slot->valid, i % 16 && !(i % 5));
		if (i % 16 && i % 5)
			EXPECT_EQ(slot->told, 0);
	}
	close(fd);
}

/* A mark that one kind of reader does not want must be left to the others. */
TEST_F(bolted, beside_a_reader_of_all)
{
	struct htab_shadow all;
	int fd;

	ASSERT_EQ(htab_shadow_init(&all, HTAB_TEST_ENTRIES), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &all, HTAB_TEST_BUFFER), 0);
	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED, htab_entry_make(6, 0)), 0);
	ASSERT_EQ(htab_set(self->writer, BOLTED, htab_entry_make(6, 0)), 0);
	ASSERT_GE(htab_drain(self->fd, &self->told, HTAB_TEST_BUFFER), 0);
	ASSERT_GE(htab_drain(fd, &all, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &all), 0);
	close(fd);
	htab_shadow_destroy(&all);
}

HTAB_HARNESS_MAIN
