// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: what a reader is told, pass by pass, where it starts,
 * and what buffers it can use.
 */
#include "htab_harness.h"

TEST_F(htab, the_first_pass_tells_each_entry_once)
{
	struct htab_shadow written;
	uint64_t i;
	int fd;

	ASSERT_EQ(htab_shadow_init(&written, HTAB_TEST_ENTRIES), 0);
	for (i = 0; i < HTAB_TEST_ENTRIES; i += 64)
		htab_shadow_set(&written, i, htab_entry_make(i, 0));
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);

	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	for (i = 0; i < HTAB_TEST_ENTRIES; i++)
		ASSERT_EQ(self->told.slots[i].told, 1);
	EXPECT_EQ(htab_shadow_differ(&written, &self->told), 0);
	htab_shadow_destroy(&written);
	close(fd);
}

TEST_F(htab, a_later_pass_tells_what_has_changed)
{
	static const uint64_t changed[] = { 0, 77, HTAB_TEST_ENTRIES - 1 };
	uint64_t i;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);

	htab_shadow_forget_told(&self->told);
	ASSERT_EQ(htab_clear(self->writer, changed[0], 1), 0);
	for (i = 1; i < ARRAY_SIZE(changed); i++)
		ASSERT_EQ(htab_set(self->writer, changed[i],
				   htab_entry_make(i, HTAB_V_BOLTED)), 0);

	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	for (i = 0; i < ARRAY_SIZE(changed); i++)
		EXPECT_EQ(self->told.slots[changed[i]].told, 1);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES),
		  ARRAY_SIZE(changed));
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(fd);
}

/* What has no guest would change it: a page of any size, told as it was written. */
TEST_F(htab, all_the_fields_are_told)
{
	static const struct htab_entry entries[] = {
		{ HTAB_V_VALID, 0 },
		{ HTAB_V_VALID | HTAB_V_SECONDARY | HTAB_V_BOLTED | 0x8, 0x1ff },
		{ HTAB_V_VALID | HTAB_V_LARGE | HTAB_V_1TB_SEG,
		  HTAB_NO_MEMORY | HTAB_R_64K | 0xe00 },
		{ HTAB_V_VALID | HTAB_V_LARGE | 0x000fffffffffff80ull,
		  HTAB_NO_MEMORY | HTAB_R_16M | 0xb0000000000001ffull },
	};
	uint64_t i;

	ASSERT_EQ(htab_write(self->writer, 8, entries, ARRAY_SIZE(entries), 0),
		  htab_record_size(ARRAY_SIZE(entries)));
	ASSERT_EQ(htab_dump(&self->vm, &self->told), 0);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		EXPECT_EQ(self->told.slots[8 + i].entry.v, entries[i].v);
		EXPECT_EQ(self->told.slots[8 + i].entry.r, entries[i].r);
	}
}

TEST_F(htab, changes_behind_the_first_pass)
{
	char buf[HTAB_TEST_BUFFER];
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 8, 0), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_read(fd, &self->told, buf, sizeof(buf)), 0);

	ASSERT_EQ(self->told.slots[8].told, 1);
	ASSERT_EQ(htab_clear(self->writer, 8, 1), 0);
	ASSERT_EQ(htab_set(self->writer, 9, htab_entry_make(9, 0)), 0);

	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(fd);
}

/*
 * Defect 9: 0 was returned at the end of the table, although what lay before
 * the position had changed. The reader comes to stand behind the first of the
 * entries that change.
 */
static void stand_mid_table(struct __test_metadata *_metadata, int fd,
			    int writer, struct htab_shadow *told, uint64_t index)
{
	char buf[HTAB_HEADER + HTAB_ENTRY + 8];

	ASSERT_GT(htab_drain(fd, told, HTAB_TEST_BUFFER), 0);
	ASSERT_EQ(htab_set(writer, index, htab_entry_make(index, 0)), 0);
	ASSERT_EQ(htab_set(writer, index + 2, htab_entry_make(index, 0)), 0);
	ASSERT_EQ(htab_read(fd, told, buf, sizeof(buf)), htab_record_size(1));
	ASSERT_EQ(told->slots[index].told, 2);
	ASSERT_EQ(told->slots[index + 2].told, 1);
	ASSERT_EQ(htab_read(fd, told, buf, sizeof(buf)), htab_record_size(1));
	ASSERT_EQ(told->slots[index + 2].told, 2);
}

TEST_F(htab, zero_means_a_full_circle)
{
	static const uint64_t before[] = { 0, 1, 1000, 4998, 4999, 5001, 5002 };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(before); i++) {
		fd = htab_open(&self->vm, 0, 0);
		ASSERT_GE(fd, 0);
		htab_shadow_forget_told(&self->told);
		stand_mid_table(_metadata, fd, self->writer, &self->told, 5000);

		ASSERT_EQ(htab_set(self->writer, before[i],
				   htab_entry_make(i, HTAB_V_BOLTED)), 0);
		EXPECT_EQ(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 1);
		EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
		close(fd);
	}
}

TEST_F(htab, start_index_past_the_table)
{
	static const uint64_t past[] = {
		HTAB_TEST_ENTRIES, HTAB_TEST_ENTRIES + 1, 1ull << 32,
		1ull << 60, 1ull << 63, -1ull,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(past); i++)
		EXPECT_EQ(htab_open(&self->vm, 0, past[i]), -EINVAL);
	close(htab_open(&self->vm, 0, HTAB_TEST_ENTRIES - 1));
}

TEST_F(htab, start_index_is_no_matter_to_a_writer)
{
	int fd = htab_open(&self->vm, KVM_GET_HTAB_WRITE, -1ull);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(htab_set(fd, 3, htab_entry_make(3, 0)), 0);
	close(fd);
}

TEST_F(htab, entries_before_start_index)
{
	uint64_t start = HTAB_TEST_ENTRIES / 2 + 3;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fd = htab_open(&self->vm, 0, start);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, start), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, start, HTAB_TEST_ENTRIES),
		  HTAB_TEST_ENTRIES - start);

	/* They are told of when they change. */
	ASSERT_EQ(htab_clear(self->writer, 64, 1), 0);
	ASSERT_EQ(htab_set(self->writer, start - 1, htab_entry_make(1, 0)), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, start), 2);
	EXPECT_EQ(self->told.slots[64].told, 1);
	EXPECT_EQ(self->told.slots[start - 1].told, 1);
	close(fd);
}

/* Those that change before the first read have changed since open, too. */
TEST_F(htab, entries_before_start_index_that_change_after_open)
{
	uint64_t start = HTAB_TEST_ENTRIES / 2;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fd = htab_open(&self->vm, 0, start);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(htab_clear(self->writer, 64, 1), 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, start), 1);
	EXPECT_EQ(self->told.slots[64].told, 1);
	close(fd);
}

/* As a debugger reads: n entries from an index, with a buffer for just these. */
TEST_F(htab, one_read_from_start_index_is_contiguous)
{
	char buf[HTAB_HEADER + 16 * HTAB_ENTRY];
	uint64_t start = 4096, n;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, start, start + 3, 1, 0), 0);
	ASSERT_EQ(htab_fill(self->writer, start + 4, start + 16, 2, 0), 0);
	for (n = 1; n <= 16; n++) {
		fd = htab_open(&self->vm, 0, start);
		ASSERT_GE(fd, 0);
		htab_shadow_forget_told(&self->told);
		EXPECT_GT(htab_read(fd, &self->told, buf, htab_record_size(n)), 0);
		EXPECT_EQ(htab_shadow_told(&self->told, start, start + n), n);
		close(fd);
	}
}

TEST_F(htab, a_read_of_nothing)
{
	int fd = htab_open(&self->vm, 0, 0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(read(fd, self, 0), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES),
		  HTAB_TEST_ENTRIES);
	EXPECT_EQ(read(fd, self, 0), 0);
	close(fd);
}

TEST_F(htab, buffers_too_small_for_an_entry)
{
	char buf[HTAB_HEADER + HTAB_ENTRY];
	size_t size;
	int fd;

	ASSERT_EQ(htab_set(self->writer, 0, htab_entry_make(0, 0)), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	for (size = 1; size < sizeof(buf); size++)
		EXPECT_EQ(htab_read(fd, &self->told, buf, size), -EINVAL);
	EXPECT_EQ(htab_read(fd, &self->told, buf, sizeof(buf)), sizeof(buf));
	EXPECT_EQ(self->told.slots[0].told, 1);
	close(fd);
}

TEST_F(htab, the_last_exact_fit_is_used)
{
	char buf[HTAB_HEADER + 32 * HTAB_ENTRY];
	unsigned int n;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, 64, 1, 0), 0);
	for (n = 1; n <= 32; n++) {
		fd = htab_open(&self->vm, 0, 0);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(htab_read(fd, &self->told, buf, htab_record_size(n)),
			  htab_record_size(n));
		close(fd);
	}
}

/* What is told of the last entries of the table, with a buffer of this size. */
static void read_with(struct __test_metadata *_metadata, struct htab_vm *vm,
		      struct htab_shadow *told, uint64_t start, size_t size)
{
	int fd = htab_open(vm, 0, start);

	ASSERT_GE(fd, 0);
	/* Whatever is not told of will be seen. */
	memset(&told->slots[start], 0xff,
	       (told->entries - start) * sizeof(*told->slots));
	ASSERT_GT(htab_drain(fd, told, size), 0) {
		TH_LOG("with a buffer of %zu", size);
	}
	close(fd);
}

TEST_F_TIMEOUT(htab, buffers_of_all_sizes, 120)
{
	uint64_t start = HTAB_TEST_ENTRIES - 1024;
	struct htab_shadow now;
	size_t size;
	int stays;

	/* Opens and closes cost less if somebody reads anyway. */
	stays = htab_open(&self->vm, 0, 0);
	ASSERT_GE(stays, 0);
	/* Records of one, of several, and of as many entries as fit. */
	ASSERT_EQ(htab_fill(self->writer, start, start + 32, 2, 0), 0);
	ASSERT_EQ(htab_fill(self->writer, start + 40, start + 48, 1, 0), 0);
	ASSERT_EQ(htab_fill(self->writer, start + 100, start + 400, 1, 0), 0);
	ASSERT_EQ(htab_set(self->writer, HTAB_TEST_ENTRIES - 1,
			   htab_entry_make(1, 0)), 0);
	ASSERT_EQ(htab_shadow_init(&now, HTAB_TEST_ENTRIES), 0);
	ASSERT_EQ(htab_dump(&self->vm, &now), 0);

	for (size = HTAB_HEADER + HTAB_ENTRY; size <= 4096; size++) {
		read_with(_metadata, &self->vm, &self->told, start, size);
		ASSERT_EQ(htab_shadow_differ(&self->told, &now), 0) {
			TH_LOG("with a buffer of %zu", size);
		}
	}
	htab_shadow_destroy(&now);
	close(stays);
}

/* Defect 14, and what a writer says of these bits. */
TEST_F(htab, bits_of_the_hypervisor_stay_inside)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(htab_set(self->writer, i,
				   htab_entry_make(i, HTAB_V_OWN)), 0);
	ASSERT_EQ(htab_dump(&self->vm, &self->told), 0);
	EXPECT_EQ(htab_shadow_valid(&self->told), 64);
	EXPECT_EQ(self->told.n_own_bits, 0);
}

TEST_F(htab, the_ends_of_the_table)
{
	struct htab_entry entry = htab_entry_make(5, 0);
	uint64_t last = HTAB_TEST_ENTRIES - 1;
	int fd;

	fd = htab_open(&self->vm, 0, last);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 1);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES), 1);

	ASSERT_EQ(htab_set(self->writer, 0, entry), 0);
	ASSERT_EQ(htab_set(self->writer, last, entry), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_TRUE(self->told.slots[0].valid);
	EXPECT_TRUE(self->told.slots[last].valid);
	EXPECT_EQ(self->told.slots[last].told, 2);
	close(fd);
}

/* Runs that a header cannot count, both of valid and of invalid entries. */
TEST(runs_longer_than_a_header_counts)
{
	uint64_t valid = HTAB_MAX_RUN + 5000, entries = HTAB_ENTRIES(22), i;
	size_t size = 4 << 20;
	struct htab_shadow told;
	struct htab_vm vm;
	int writer;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	ASSERT_EQ(htab_allocate(&vm, 22), 0);
	ASSERT_EQ(htab_shadow_init(&told, entries), 0);
	writer = htab_open(&vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(writer, 0);
	ASSERT_EQ(htab_fill(writer, 10, 10 + valid, 1, 0), 0);

	for (; size >= HTAB_TEST_BUFFER; size /= 64) {
		int fd = htab_open(&vm, 0, 0);

		ASSERT_GE(fd, 0);
		htab_shadow_forget_told(&told);
		ASSERT_GT(htab_drain(fd, &told, size), 0);
		close(fd);
		EXPECT_EQ(htab_shadow_valid(&told), valid);
		for (i = 0; i < entries; i++) {
			ASSERT_EQ(told.slots[i].told, 1);
			ASSERT_EQ(told.slots[i].valid,
				  i >= 10 && i < 10 + valid);
		}
	}
	htab_shadow_destroy(&told);
	close(writer);
	htab_vm_destroy(&vm);
}

HTAB_HARNESS_MAIN
