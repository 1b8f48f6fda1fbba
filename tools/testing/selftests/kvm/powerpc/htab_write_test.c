// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD with KVM_GET_HTAB_WRITE: what is consumed and returned,
 * and that a bad record changes nothing.
 */
#include <sys/mman.h>

#include "htab_harness.h"

#define ROOM		65536

FIXTURE(write)
{
	struct htab_vm vm;
	int fd;
	/* The end of memory, records are put before it. */
	char *end;
	char *buf;
	struct htab_shadow before;
};

/* A table with some entries, whose content is known. */
FIXTURE_SETUP(write)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	self->fd = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(htab_fill(self->fd, 0, HTAB_TEST_ENTRIES, 3, 0), 0);

	self->buf = mmap(NULL, ROOM * 2, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->buf, MAP_FAILED);
	self->end = self->buf + ROOM;
	ASSERT_EQ(munmap(self->end, ROOM), 0);

	ASSERT_EQ(htab_shadow_init(&self->before, HTAB_TEST_ENTRIES), 0);
	ASSERT_EQ(htab_dump(&self->vm, &self->before), 0);
}

FIXTURE_TEARDOWN(write)
{
	htab_shadow_destroy(&self->before);
	munmap(self->buf, ROOM);
	close(self->fd);
	htab_vm_destroy(&self->vm);
}

/* Returns what write() does, or -errno. */
static ssize_t write_bytes(int fd, const void *from, size_t size)
{
	ssize_t ret = write(fd, from, size);

	return ret < 0 ? -errno : ret;
}

static void expect_unchanged(struct __test_metadata *_metadata,
			     struct _test_data_write *self)
{
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->before), 0);
}

/* A record of entries that the table does not have. Returns its size. */
static size_t put_new(void *to, uint32_t index, uint16_t n_valid,
		      uint16_t n_invalid)
{
	size_t size = htab_put_record(to, index, NULL, 0, n_invalid);
	struct kvm_get_htab_header *header = to;
	unsigned int i;

	header->n_valid = n_valid;
	for (i = 0; i < n_valid; i++, size += HTAB_ENTRY)
		htab_put_entry((char *)to + size,
			       htab_entry_make(index + i, HTAB_V_BOLTED));
	return size;
}

/* What that does to the table. */
static void shadow_new(struct htab_shadow *shadow, uint32_t index,
		       uint16_t n_valid, uint16_t n_invalid)
{
	for (; n_valid; n_valid--, index++)
		htab_shadow_set(shadow, index,
				htab_entry_make(index, HTAB_V_BOLTED));
	for (; n_invalid; n_invalid--, index++)
		htab_shadow_clear(shadow, index);
}

TEST_F(write, creates_then_invalidates)
{
	size_t size = put_new(self->buf, 300, 5, 7);

	EXPECT_EQ(write_bytes(self->fd, self->buf, size), size);
	shadow_new(&self->before, 300, 5, 7);
	expect_unchanged(_metadata, self);
}

TEST_F(write, several_records)
{
	size_t size = put_new(self->buf, 900, 3, 0);

	size += put_new(self->buf + size, 0, 0, 4);
	size += put_new(self->buf + size, HTAB_TEST_ENTRIES - 2, 1, 1);
	EXPECT_EQ(write_bytes(self->fd, self->buf, size), size);
	shadow_new(&self->before, 900, 3, 0);
	shadow_new(&self->before, 0, 0, 4);
	shadow_new(&self->before, HTAB_TEST_ENTRIES - 2, 1, 1);
	expect_unchanged(_metadata, self);
}

TEST_F(write, a_record_of_nothing)
{
	size_t size = put_new(self->buf, 5, 0, 0);

	EXPECT_EQ(write_bytes(self->fd, self->buf, size), size);
	expect_unchanged(_metadata, self);
}

TEST_F(write, nothing)
{
	EXPECT_EQ(write_bytes(self->fd, self->buf, 0), 0);
	expect_unchanged(_metadata, self);
}

TEST_F(write, less_than_a_header)
{
	size_t size;

	put_new(self->buf, 5, 0, 1);
	for (size = 1; size < HTAB_HEADER; size++)
		EXPECT_EQ(write_bytes(self->fd, self->buf, size), -EINVAL);
	expect_unchanged(_metadata, self);
}

/* Memory behind @count has all of the record, but that is no matter. */
TEST_F(write, less_than_a_record)
{
	size_t all = put_new(self->buf, 5, 3, 1), size;

	for (size = HTAB_HEADER; size < all; size++) {
		EXPECT_EQ(write_bytes(self->fd, self->buf, size), -EINVAL);
		expect_unchanged(_metadata, self);
	}
}

/* Stock reads 8 bytes beyond @count. Here there is nothing to be read. */
TEST_F(write, less_than_a_record_at_the_end_of_memory)
{
	char record[128];
	size_t all = put_new(record, 5, 3, 1), size;

	for (size = 1; size < all; size++) {
		memcpy(self->end - size, record, size);
		EXPECT_EQ(write_bytes(self->fd, self->end - size, size), -EINVAL);
		expect_unchanged(_metadata, self);
	}
}

TEST_F(write, records_up_to_the_end_of_memory)
{
	size_t size = put_new(self->buf, 5, 3, 0);

	size += put_new(self->buf + size, 10, 2, 1);
	memmove(self->end - size, self->buf, size);
	EXPECT_EQ(write_bytes(self->fd, self->end - size, size), size);
	shadow_new(&self->before, 5, 3, 0);
	shadow_new(&self->before, 10, 2, 1);
	expect_unchanged(_metadata, self);
}

static void write_cut_off(struct __test_metadata *_metadata,
			  struct _test_data_write *self, bool end_of_memory)
{
	char records[128], *at;
	size_t whole = put_new(records, 9, 2, 0), size;
	size_t all = whole + put_new(records + whole, 50, 3, 1);

	shadow_new(&self->before, 9, 2, 0);
	for (size = whole; size < all; size++) {
		at = end_of_memory ? self->end - size : self->buf;
		memcpy(at, records, end_of_memory ? size : all);
		EXPECT_EQ(write_bytes(self->fd, at, size), whole);
		expect_unchanged(_metadata, self);
	}
}

TEST_F(write, an_incomplete_record_behind)
{
	write_cut_off(_metadata, self, false);
}

TEST_F(write, an_incomplete_record_behind_at_the_end_of_memory)
{
	write_cut_off(_metadata, self, true);
}

TEST_F(write, longest_record_of_valid_entries)
{
	struct htab_shadow shadow;
	uint64_t last;
	size_t size;
	char *buf;

	ASSERT_EQ(htab_allocate(&self->vm, 22), 0);
	ASSERT_EQ(htab_shadow_init(&shadow, HTAB_ENTRIES(22)), 0);
	buf = malloc(htab_record_size(HTAB_MAX_RUN));
	ASSERT_NE(buf, NULL);
	last = HTAB_ENTRIES(22) - 2 * HTAB_MAX_RUN;
	size = put_new(buf, last, HTAB_MAX_RUN, HTAB_MAX_RUN);
	EXPECT_EQ(write_bytes(self->fd, buf, size), size);
	shadow_new(&shadow, last, HTAB_MAX_RUN, HTAB_MAX_RUN);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &shadow), 0);

	/* One too many. */
	size = put_new(buf, last + 1, HTAB_MAX_RUN, HTAB_MAX_RUN);
	EXPECT_EQ(write_bytes(self->fd, buf, size), -EINVAL);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &shadow), 0);

	size = put_new(buf, last, 0, HTAB_MAX_RUN);
	EXPECT_EQ(write_bytes(self->fd, buf, size), size);
	shadow_new(&shadow, last, 0, HTAB_MAX_RUN);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &shadow), 0);
	htab_shadow_destroy(&shadow);
	free(buf);
}

/* ---- Bad records ---- */

/* Memory for a page of 64 KiB, too little for one of 16 MiB. */
#define MEMORY		0x10000000ull
#define MEMORY_SIZE	65536ull

static int set_memory(struct htab_vm *vm, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = MEMORY,
		.memory_size = MEMORY_SIZE,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

struct bad_record {
	const char *name;
	uint32_t index;
	unsigned int n_valid;
	unsigned int n_invalid;
	/* Which of the entries is bad, and how. */
	unsigned int which;
	struct htab_entry entry;
	int error;
};

#define LAST	(HTAB_TEST_ENTRIES - 1)
#define GOOD	{ HTAB_V_VALID, HTAB_NO_MEMORY }
#define INVALID	{ 0x80, HTAB_NO_MEMORY }
#define NO_SIZE	{ HTAB_V_VALID | HTAB_V_LARGE, HTAB_NO_MEMORY | HTAB_R_NO_SIZE }
#define BAD_SEG	{ HTAB_V_VALID | HTAB_V_BAD_SEG, HTAB_NO_MEMORY }
#define TOO_BIG	{ HTAB_V_VALID | HTAB_V_LARGE, MEMORY | HTAB_R_16M | HTAB_R_M }

static const struct bad_record bad_records[] = {
	{ "past the table", LAST + 1, 1, 0, 0, GOOD, EINVAL },
	{ "invalid ones past the table", LAST + 1, 0, 1, 0, GOOD, EINVAL },
	{ "over the end", LAST, 2, 0, 0, GOOD, EINVAL },
	{ "invalid ones over the end", LAST, 0, 2, 0, GOOD, EINVAL },
	{ "both over the end", LAST - 1, 2, 1, 0, GOOD, EINVAL },
	{ "far away", 0x80000000, 1, 0, 0, GOOD, EINVAL },
	{ "an end that wraps", 0xffffffff, 2, 0, 0, GOOD, EINVAL },
	{ "one that wraps to the middle", 0xfffffff0, 16, 90, 0, GOOD, EINVAL },
	{ "not valid", 6, 1, 0, 0, INVALID, EINVAL },
	{ "not valid, first of many", 6, 100, 9, 0, INVALID, EINVAL },
	{ "not valid, amid many", 6, 100, 9, 50, INVALID, EINVAL },
	{ "not valid, last of many", 6, 100, 9, 99, INVALID, EINVAL },
	{ "no page size", 6, 1, 0, 0, NO_SIZE, EINVAL },
	{ "no page size, amid many", 6, 100, 9, 50, NO_SIZE, EINVAL },
	{ "no segment size", 6, 1, 0, 0, BAD_SEG, EIO },
	{ "no segment size, amid many", 6, 100, 9, 50, BAD_SEG, EIO },
	{ "too big for memory", 6, 1, 0, 0, TOO_BIG, EIO },
	{ "too big for memory, amid many", 6, 100, 9, 50, TOO_BIG, EIO },
};

static size_t put_bad(void *to, const struct bad_record *bad)
{
	size_t size = put_new(to, bad->index, bad->n_valid, bad->n_invalid);

	if (bad->n_valid)
		htab_put_entry((char *)to + htab_record_size(bad->which),
			       bad->entry);
	return size;
}

TEST_F(write, a_bad_record_changes_nothing)
{
	const struct bad_record *bad;
	unsigned int i;
	size_t size;

	ASSERT_EQ(set_memory(&self->vm, self->buf), 0);
	for (i = 0; i < ARRAY_SIZE(bad_records); i++) {
		bad = &bad_records[i];
		size = put_bad(self->buf, bad);
		EXPECT_EQ(write_bytes(self->fd, self->buf, size), -bad->error) {
			TH_LOG("%s", bad->name);
		}
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->before), 0) {
			TH_LOG("%s", bad->name);
		}
	}
}

TEST_F(write, a_bad_record_behind_good_ones)
{
	const struct bad_record *bad;
	unsigned int i;
	size_t good, size;

	ASSERT_EQ(set_memory(&self->vm, self->buf), 0);
	for (i = 0; i < ARRAY_SIZE(bad_records); i++) {
		bad = &bad_records[i];
		good = put_new(self->buf, 400 + i, 2, 1);
		good += put_new(self->buf + good, 600 + i, 0, 2);
		size = good + put_bad(self->buf + good, bad);
		/* What follows is not looked at. */
		size += put_new(self->buf + size, 800, 2, 2);

		EXPECT_EQ(write_bytes(self->fd, self->buf, size), good) {
			TH_LOG("%s", bad->name);
		}
		shadow_new(&self->before, 400 + i, 2, 1);
		shadow_new(&self->before, 600 + i, 0, 2);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->before), 0) {
			TH_LOG("%s", bad->name);
		}
	}
}

/* The entry that was there has not been removed for one that cannot be there. */
TEST_F(write, what_cannot_be_entered_leaves_the_old_entry)
{
	struct htab_entry bad = BAD_SEG;

	ASSERT_TRUE(self->before.slots[6].valid);
	EXPECT_EQ(htab_set(self->fd, 6, bad), -EIO);
	expect_unchanged(_metadata, self);
}

/* ---- Memory that ends within a record ---- */

TEST_F(write, memory_that_ends_in_a_record)
{
	size_t all = put_new(self->buf, 6, 20, 3), size;
	char records[512];

	memcpy(records, self->buf, all);
	for (size = 0; size < all; size += 4) {
		memcpy(self->end - size, records, size);
		EXPECT_EQ(write_bytes(self->fd, self->end - size, all), -EFAULT);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->before), 0) {
			TH_LOG("after %zu bytes", size);
		}
	}
}

TEST_F(write, memory_that_ends_in_a_later_record)
{
	size_t good = put_new(self->buf, 300, 2, 2), all, size;
	char records[512];

	all = good + put_new(self->buf + good, 6, 20, 3);
	memcpy(records, self->buf, all);
	shadow_new(&self->before, 300, 2, 2);
	for (size = good; size < all; size += 4) {
		memcpy(self->end - size, records, size);
		EXPECT_EQ(write_bytes(self->fd, self->end - size, all), good);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->before), 0) {
			TH_LOG("after %zu bytes", size);
		}
	}
}

TEST_F(write, no_memory_at_all)
{
	/* None; not the caller's; beyond all. */
	static const uint64_t bad[] = { 0, 1ull << 63, -4096ull };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(write_bytes(self->fd, (void *)bad[i], 24), -EFAULT);
	expect_unchanged(_metadata, self);
}

/* ---- What the kernel says of it ---- */

static unsigned int count_messages(int kmsg)
{
	unsigned int n = 0;
	char line[1024];
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[len > 0 ? len : 0] = '\0';
		n += len < 0 || strstr(line, "kvm") || strstr(line, "KVM") ||
		     strstr(line, "htab");
		errno = 0;
	}
	return n;
}

TEST_F(write, bad_records_do_not_fill_the_log)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	unsigned int i;
	size_t size;

	ASSERT_GE(kmsg, 0);
	ASSERT_EQ(set_memory(&self->vm, self->buf), 0);
	ASSERT_EQ(lseek(kmsg, 0, SEEK_END), 0);
	for (i = 0; i < 2000; i++) {
		size = put_bad(self->buf,
			       &bad_records[i % ARRAY_SIZE(bad_records)]);
		ASSERT_LT(write_bytes(self->fd, self->buf, size), 0);
	}
	EXPECT_EQ(count_messages(kmsg), 0);
	close(kmsg);
}

HTAB_HARNESS_MAIN
