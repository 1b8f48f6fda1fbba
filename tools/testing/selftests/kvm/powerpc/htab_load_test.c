// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: a table is saved from one VM and loaded into another, as
 * a migration does. Saved from there it is the same.
 */
#include "htab_harness.h"

#define SEED		20120411ul

/* As simple as can be: the same table each time. */
static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static int fill_at_random(int writer, uint64_t seed, unsigned int n)
{
	uint64_t v_bits, index, value;
	int ret = 0;

	while (n-- && !ret) {
		index = next_random(&seed) % HTAB_TEST_ENTRIES;
		value = next_random(&seed);
		v_bits = value & (HTAB_V_BOLTED | HTAB_V_SECONDARY);
		ret = htab_set(writer, index, htab_entry_make(value, v_bits));
	}
	return ret;
}

struct stream {
	char *buf;
	size_t size;
	size_t room;
};

/* All that a reader is told until 0, in reads of @size. */
static int save(int fd, struct stream *stream, size_t size)
{
	ssize_t ret;

	for (;;) {
		if (stream->room - stream->size < size)
			return -ENOSPC;
		ret = read(fd, stream->buf + stream->size, size);
		if (ret <= 0)
			return ret < 0 ? -errno : 0;
		stream->size += ret;
	}
}

static size_t record_at(const struct stream *stream, size_t at)
{
	struct kvm_get_htab_header header;

	memcpy(&header, stream->buf + at, sizeof(header));
	return htab_record_size(header.n_valid);
}

/* A write() for each record. */
static int load_by_records(int fd, const struct stream *stream)
{
	size_t at, size;

	for (at = 0; at < stream->size; at += size) {
		size = record_at(stream, at);
		if (write(fd, stream->buf + at, size) != (ssize_t)size)
			return -EIO;
	}
	return 0;
}

/* Writes of @chunk bytes, each of which begins where the last one got to. */
static int load_by_chunks(int fd, const struct stream *stream, size_t chunk)
{
	size_t at, rest;
	ssize_t ret;

	for (at = 0; at < stream->size; at += ret) {
		rest = stream->size - at;
		ret = write(fd, stream->buf + at, rest < chunk ? rest : chunk);
		if (ret <= 0)
			return -EIO;
	}
	return 0;
}

FIXTURE(load)
{
	struct htab_vm from, to;
	int from_writer, to_writer;
	struct stream saved;
	struct htab_shadow table;
};

FIXTURE_SETUP(load)
{
	ASSERT_EQ(htab_vm_create(&self->from), 0);
	ASSERT_EQ(htab_vm_create(&self->to), 0);
	ASSERT_EQ(htab_allocate(&self->from, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_allocate(&self->to, HTAB_TEST_ORDER), 0);
	self->from_writer = htab_open(&self->from, KVM_GET_HTAB_WRITE, 0);
	self->to_writer = htab_open(&self->to, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->from_writer, 0);
	ASSERT_GE(self->to_writer, 0);
	/* What the new VM has must make no difference. */
	ASSERT_EQ(fill_at_random(self->from_writer, SEED, 6000), 0);
	ASSERT_EQ(fill_at_random(self->to_writer, SEED + 1, 6000), 0);

	self->saved.room = 4 << 20;
	self->saved.buf = malloc(self->saved.room);
	ASSERT_NE(self->saved.buf, NULL);
	ASSERT_EQ(htab_shadow_init(&self->table, HTAB_TEST_ENTRIES), 0);
}

FIXTURE_TEARDOWN(load)
{
	htab_shadow_destroy(&self->table);
	free(self->saved.buf);
	close(self->to_writer);
	close(self->from_writer);
	htab_vm_destroy(&self->to);
	htab_vm_destroy(&self->from);
}

static void save_all(struct __test_metadata *_metadata,
		     struct _test_data_load *self)
{
	int fd = htab_open(&self->from, 0, 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(save(fd, &self->saved, HTAB_TEST_BUFFER), 0);
	close(fd);
	ASSERT_EQ(htab_dump(&self->from, &self->table), 0);
}

TEST_F(load, record_by_record)
{
	save_all(_metadata, self);
	EXPECT_EQ(load_by_records(self->to_writer, &self->saved), 0);
	EXPECT_EQ(htab_shadow_stale(&self->to, &self->table), 0);
}

TEST_F(load, all_at_once)
{
	save_all(_metadata, self);
	EXPECT_EQ(load_by_chunks(self->to_writer, &self->saved, -1ul), 0);
	EXPECT_EQ(htab_shadow_stale(&self->to, &self->table), 0);
}

/* Chunks that end within records: what was not consumed is written again. */
TEST_F(load, in_chunks)
{
	save_all(_metadata, self);
	EXPECT_EQ(load_by_chunks(self->to_writer, &self->saved, 5001), 0);
	EXPECT_EQ(htab_shadow_stale(&self->to, &self->table), 0);
}

/* The same bytes, where both are read alike. */
TEST_F(load, and_save_again)
{
	struct stream again = { .room = self->saved.room };
	int fd;

	again.buf = malloc(again.room);
	ASSERT_NE(again.buf, NULL);
	save_all(_metadata, self);
	ASSERT_EQ(load_by_records(self->to_writer, &self->saved), 0);
	fd = htab_open(&self->to, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(save(fd, &again, HTAB_TEST_BUFFER), 0);
	close(fd);

	ASSERT_EQ(again.size, self->saved.size);
	EXPECT_EQ(memcmp(again.buf, self->saved.buf, again.size), 0);
	free(again.buf);
}

/* A live migration: several passes, between which the table changes. */
TEST_F(load, several_passes)
{
	unsigned int pass;
	int fd = htab_open(&self->from, 0, 0);

	ASSERT_GE(fd, 0);
	for (pass = 0; pass < 10; pass++) {
		ASSERT_EQ(save(fd, &self->saved, HTAB_TEST_BUFFER), 0);
		ASSERT_EQ(fill_at_random(self->from_writer, SEED + 2 + pass,
					 200), 0);
		ASSERT_EQ(htab_clear(self->from_writer, 500 * pass, 100), 0);
	}
	ASSERT_EQ(save(fd, &self->saved, HTAB_TEST_BUFFER), 0);
	close(fd);

	ASSERT_EQ(htab_dump(&self->from, &self->table), 0);
	EXPECT_EQ(load_by_records(self->to_writer, &self->saved), 0);
	EXPECT_EQ(htab_shadow_stale(&self->to, &self->table), 0);
}

HTAB_HARNESS_MAIN
