// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: several readers. Each has its own view of what has
 * changed (defect 11), and there are at most 16 of them.
 */
#include "htab_harness.h"

#define MAX_READERS	16

static void change(struct __test_metadata *_metadata, int writer,
		   unsigned int round)
{
	uint64_t index = round * 37 % (HTAB_TEST_ENTRIES - 64);

	ASSERT_EQ(htab_set(writer, index, htab_entry_make(round, 0)), 0);
	ASSERT_EQ(htab_clear(writer, index + 40, 3), 0);
}

TEST_F(htab, two_readers)
{
	struct htab_shadow other;
	unsigned int round;
	int a, b;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	ASSERT_EQ(htab_shadow_init(&other, HTAB_TEST_ENTRIES), 0);
	a = htab_open(&self->vm, 0, 0);
	b = htab_open(&self->vm, 0, 0);
	ASSERT_GE(a, 0);
	ASSERT_GE(b, 0);
	for (round = 0; round < 50; round++) {
		change(_metadata, self->writer, round);
		ASSERT_GT(htab_drain(a, &self->told, HTAB_TEST_BUFFER), 0);
		if (round % 5)
			continue;
		ASSERT_GT(htab_drain(b, &other, 64), 0);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &other), 0);
	}
	close(a);
	close(b);
	htab_shadow_destroy(&other);
}

/* QEMU's debugger opens a reader of its own while a migration is under way. */
TEST_F(htab, a_debugger_beside_a_migration)
{
	char buf[HTAB_HEADER + 8 * HTAB_ENTRY];
	struct htab_shadow seen;
	uint64_t index;
	int fd, debugger;

	ASSERT_EQ(htab_shadow_init(&seen, HTAB_TEST_ENTRIES), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 16, 0), 0);
	for (index = 0; index < HTAB_TEST_ENTRIES; index += 128) {
		debugger = htab_open(&self->vm, 0, index);
		ASSERT_GE(debugger, 0);
		ASSERT_GT(htab_read(debugger, &seen, buf, sizeof(buf)), 0);
		close(debugger);
	}
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(fd);
	htab_shadow_destroy(&seen);
}

/* What changed before a reader was opened has not changed for it. */
TEST_F(htab, a_reader_that_comes_later)
{
	uint64_t start = HTAB_TEST_ENTRIES / 2;
	int first, second;

	first = htab_open(&self->vm, 0, 0);
	ASSERT_GE(first, 0);
	ASSERT_EQ(htab_fill(self->writer, 0, start, 64, 0), 0);
	second = htab_open(&self->vm, 0, start);
	ASSERT_GE(second, 0);
	ASSERT_GT(htab_drain(second, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, start), 0);
	close(first);
	close(second);
}

/* Nor does one that goes take anything with it. */
TEST_F(htab, a_reader_that_goes)
{
	struct htab_shadow other;
	int stays, goes;

	ASSERT_EQ(htab_shadow_init(&other, HTAB_TEST_ENTRIES), 0);
	stays = htab_open(&self->vm, 0, 0);
	goes = htab_open(&self->vm, 0, 0);
	ASSERT_GE(stays, 0);
	ASSERT_GE(goes, 0);
	ASSERT_GT(htab_drain(stays, &self->told, HTAB_TEST_BUFFER), 0);
	change(_metadata, self->writer, 1);
	ASSERT_GT(htab_drain(goes, &other, HTAB_TEST_BUFFER), 0);
	close(goes);
	change(_metadata, self->writer, 2);
	ASSERT_GT(htab_drain(stays, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(stays);
	htab_shadow_destroy(&other);
}

TEST_F(htab, sixteen_readers)
{
	struct htab_shadow told[MAX_READERS];
	int fds[MAX_READERS], i;
	unsigned int round;

	for (i = 0; i < MAX_READERS; i++) {
		ASSERT_EQ(htab_shadow_init(&told[i], HTAB_TEST_ENTRIES), 0);
		fds[i] = htab_open(&self->vm, 0, 0);
		ASSERT_GE(fds[i], 0);
	}
	for (round = 0; round < 32; round++) {
		change(_metadata, self->writer, round);
		i = round * 5 % MAX_READERS;
		ASSERT_GT(htab_drain(fds[i], &told[i], 64 + round), 0);
	}
	/* Each has read twice, and has to be told of what came since. */
	change(_metadata, self->writer, round);
	for (i = 0; i < MAX_READERS; i++) {
		EXPECT_GT(htab_drain(fds[i], &told[i], HTAB_TEST_BUFFER), 0);
		close(fds[i]);
		EXPECT_EQ(htab_shadow_stale(&self->vm, &told[i]), 0);
		htab_shadow_destroy(&told[i]);
	}
}

TEST_F(htab, a_seventeenth_reader)
{
	int fds[MAX_READERS], i, round, writer;

	/* Again, as each that is closed has to be given back. */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MAX_READERS; i++) {
			fds[i] = htab_open(&self->vm, 0, 0);
			ASSERT_GE(fds[i], 0);
		}
		EXPECT_EQ(htab_open(&self->vm, 0, 0), -EBUSY);
		EXPECT_EQ(htab_open(&self->vm, KVM_GET_HTAB_BOLTED_ONLY, 0),
			  -EBUSY);
		writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
		EXPECT_GE(writer, 0);
		close(writer);

		close(fds[round]);
		fds[round] = htab_open(&self->vm, 0, 0);
		EXPECT_GE(fds[round], 0);
		for (i = 0; i < MAX_READERS; i++)
			close(fds[i]);
	}
}

/* An open that fails must not count. */
TEST_F(htab, failed_opens_do_not_count)
{
	int i, fd;

	for (i = 0; i < 2 * MAX_READERS; i++) {
		EXPECT_EQ(htab_open(&self->vm, 0, HTAB_TEST_ENTRIES), -EINVAL);
		EXPECT_EQ(htab_open(&self->vm, 4, 0), -EINVAL);
	}
	fd = htab_open(&self->vm, 0, 0);
	EXPECT_GE(fd, 0);
	close(fd);
}

HTAB_HARNESS_MAIN
