// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD when memory runs out: each allocation of an open, and of a
 * read that finds another table, is made to fail in turn. The call has to fail
 * cleanly, and the next one to work; nobody is told less for it.
 *
 * Needs FAULT_INJECTION with FAILSLAB and FAIL_PAGE_ALLOC, and root.
 */
#include "htab_harness.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

/* What a map takes at least: itself, and for each level a directory and a page. */
#define MAP_ALLOCS	5
/* What a reader takes besides: itself, its buffer, and its file. */
#define READER_ALLOCS	3

/* A table of which the bits of a map take two pages of 64 KiB. */
#define LARGE_ORDER	24

/* Entries that the table has at first: bolted, and not. */
#define BOLTED		10
#define NOT_BOLTED	20

FIXTURE(nomem)
{
	struct htab_vm vm;
	int writer;
	/* Kept open, or else opening it could be what fails. */
	int fail_nth;
	struct htab_shadow told;
	/* Present, as its pages must not be what could not be had. */
	char buf[HTAB_TEST_BUFFER];
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t ret = write(fd, text, strlen(text));

	close(fd);
	return ret == (ssize_t)strlen(text) ? 0 : -EIO;
}

/* Also allocations that may sleep, of single pages, and without a word. */
static int set_up_fault_injection(void)
{
	return write_file(DEBUGFS "failslab/ignore-gfp-wait", "N") ?:
	       write_file(DEBUGFS "failslab/verbose", "0") ?:
	       write_file(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N") ?:
	       write_file(DEBUGFS "fail_page_alloc/min-order", "0") ?:
	       write_file(DEBUGFS "fail_page_alloc/verbose", "0");
}

FIXTURE_SETUP(nomem)
{
	memset(self, 0, sizeof(*self));
	self->fail_nth = open(FAIL_NTH, O_RDWR);
	ASSERT_GE(self->fail_nth, 0);
	ASSERT_EQ(set_up_fault_injection(), 0);
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);
	ASSERT_EQ(htab_set(self->writer, BOLTED,
			   htab_entry_make(1, HTAB_V_BOLTED)), 0);
	ASSERT_EQ(htab_set(self->writer, NOT_BOLTED, htab_entry_make(2, 0)), 0);
	ASSERT_EQ(htab_shadow_init(&self->told, 2 * HTAB_TEST_ENTRIES), 0);
	self->told.entries = HTAB_TEST_ENTRIES;
}

FIXTURE_TEARDOWN(nomem)
{
	htab_shadow_destroy(&self->told);
	close(self->writer);
	htab_vm_destroy(&self->vm);
	close(self->fail_nth);
}

/* The allocations of this thread count from now on; 0 for no more. */
static void fail_nth(struct __test_metadata *_metadata,
		     struct _test_data_nomem *self, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	ASSERT_EQ(pwrite(self->fail_nth, text, len, 0), len);
}

/* Whether the one that was to fail did, as it does not count any more. */
static bool has_failed(struct __test_metadata *_metadata,
		       struct _test_data_nomem *self)
{
	char text[16] = "";
	bool failed;

	ASSERT_GT(pread(self->fail_nth, text, sizeof(text) - 1, 0), 0);
	failed = !atoi(text);
	fail_nth(_metadata, self, 0);
	return failed;
}

/*
 * What came of a call. What does without an allocation that fails is not ours:
 * the allocator, which tries another way, and what looks for leaks.
 */
static void expect_outcome(struct __test_metadata *_metadata, long ret, bool failed,
			   unsigned int *errors)
{
	if (ret < 0) {
		EXPECT_TRUE(failed);
		EXPECT_EQ(ret, -ENOMEM);
		++*errors;
	}
}

/* -- The ioctl */

/* Returns whether there was an @nth allocation. */
static bool open_with_failure(struct __test_metadata *_metadata,
			      struct _test_data_nomem *self, uint64_t flags,
			      unsigned int nth, unsigned int *errors)
{
	bool failed;
	int fd;

	fail_nth(_metadata, self, nth);
	fd = htab_open(&self->vm, flags, 0);
	failed = has_failed(_metadata, self);
	expect_outcome(_metadata, fd, failed, errors);
	if (fd >= 0)
		close(fd);
	return failed;
}

/* A reader that is opened now is told all that it should be. */
static void expect_open_works(struct __test_metadata *_metadata,
			      struct _test_data_nomem *self, uint64_t flags)
{
	bool bolted = flags & KVM_GET_HTAB_BOLTED_ONLY;
	int fd = htab_open(&self->vm, flags, 0);

	ASSERT_GE(fd, 0);
	memset(self->told.slots, 0, HTAB_TEST_ENTRIES * sizeof(*self->told.slots));
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES),
		  HTAB_TEST_ENTRIES - bolted);
	EXPECT_TRUE(self->told.slots[BOLTED].valid);
	EXPECT_EQ(self->told.slots[NOT_BOLTED].valid, !bolted);
	close(fd);
}

/* Each allocation of an open fails, of which at least @least have to be there. */
static void fail_open(struct __test_metadata *_metadata,
		      struct _test_data_nomem *self, uint64_t flags,
		      unsigned int least)
{
	unsigned int errors = 0, nth = 1;

	while (open_with_failure(_metadata, self, flags, nth, &errors)) {
		expect_open_works(_metadata, self, flags);
		nth++;
	}
	TH_LOG("%u allocations, %u of them indispensable", nth - 1, errors);
	EXPECT_GE(errors, least);
}

/* It has the maps that all share, and its own. */
TEST_F_TIMEOUT(nomem, the_first_reader, 120)
{
	fail_open(_metadata, self, 0, READER_ALLOCS + 3 * MAP_ALLOCS);
}

TEST_F_TIMEOUT(nomem, the_first_reader_of_bolted_entries, 120)
{
	fail_open(_metadata, self, KVM_GET_HTAB_BOLTED_ONLY,
		  READER_ALLOCS + 4 * MAP_ALLOCS);
}

/* One that is there all the time is told each change, and nothing else. */
static void fail_open_beside_a_reader(struct __test_metadata *_metadata,
				      struct _test_data_nomem *self,
				      uint64_t flags, unsigned int least)
{
	unsigned int errors = 0, nth = 1;
	int fd = htab_open(&self->vm, 0, 0);
	bool failed;

	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	do {
		ASSERT_EQ(htab_set(self->writer, 100 + nth,
				   htab_entry_make(nth, 0)), 0);
		failed = open_with_failure(_metadata, self, flags, nth, &errors);
		ASSERT_EQ(htab_clear(self->writer, 99 + nth, 1), 0);
		htab_shadow_forget_told(&self->told);
		ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
		EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
		EXPECT_EQ(self->told.slots[100 + nth].told, 1);
		EXPECT_LE(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES), 2);
		nth++;
	} while (failed);
	EXPECT_GE(errors, least);
	close(fd);
}

TEST_F_TIMEOUT(nomem, a_second_reader, 120)
{
	fail_open_beside_a_reader(_metadata, self, 0, READER_ALLOCS + MAP_ALLOCS);
}

TEST_F_TIMEOUT(nomem, a_second_reader_of_bolted_entries, 120)
{
	fail_open_beside_a_reader(_metadata, self, KVM_GET_HTAB_BOLTED_ONLY,
				  READER_ALLOCS + 2 * MAP_ALLOCS);
}

/* Some of the pages of a map were there. */
TEST_F_TIMEOUT(nomem, a_large_table, 120)
{
	unsigned int errors = 0, nth = 1;

	ASSERT_EQ(htab_allocate(&self->vm, LARGE_ORDER), 0);
	while (open_with_failure(_metadata, self, 0, nth, &errors))
		nth++;
	EXPECT_GE(errors, READER_ALLOCS + 3 * (MAP_ALLOCS + 1));

	/* As many as there can be, if none counts that failed. */
	for (nth = 0; nth < 16; nth++)
		ASSERT_GE(htab_open(&self->vm, 0, 0), 0);
}

TEST_F_TIMEOUT(nomem, a_writer, 120)
{
	unsigned int errors = 0, nth = 1;

	while (open_with_failure(_metadata, self, KVM_GET_HTAB_WRITE, nth, &errors))
		nth++;
	EXPECT_GE(errors, 2);
}

/* -- A read that finds another table */

/* Returns whether there was an @nth allocation. */
static bool read_with_failure(struct __test_metadata *_metadata,
			      struct _test_data_nomem *self, int fd,
			      unsigned int nth, unsigned int *errors)
{
	ssize_t ret;
	bool failed;

	fail_nth(_metadata, self, nth);
	ret = read(fd, self->buf, sizeof(self->buf));
	if (ret < 0)
		ret = -errno;
	failed = has_failed(_metadata, self);
	expect_outcome(_metadata, ret, failed, errors);
	if (ret > 0)
		ASSERT_EQ(htab_shadow_apply(&self->told, self->buf, ret), 0);
	return failed;
}

/* A table of another size, that is one or the other, with other entries. */
static void replace_table(struct __test_metadata *_metadata,
			  struct _test_data_nomem *self, unsigned int nth)
{
	unsigned int larger = nth % 2;

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER + larger), 0);
	self->told.entries = HTAB_TEST_ENTRIES << larger;
	htab_shadow_forget_told(&self->told);
	ASSERT_EQ(htab_set(self->writer, BOLTED + nth,
			   htab_entry_make(nth, HTAB_V_BOLTED)), 0);
}

/* All of this table, by the read that was to fail if it did without. */
static void expect_told(struct __test_metadata *_metadata,
			struct _test_data_nomem *self, int fd, unsigned int nth)
{
	ASSERT_GE(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, self->told.entries),
		  self->told.entries);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	EXPECT_FALSE(self->told.slots[BOLTED + nth - 1].valid);
}

static void fail_read(struct __test_metadata *_metadata,
		      struct _test_data_nomem *self, uint64_t flags,
		      unsigned int least)
{
	unsigned int errors = 0, nth = 0;
	int fd = htab_open(&self->vm, flags, 0);
	bool failed;

	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	do {
		nth++;
		replace_table(_metadata, self, nth);
		failed = read_with_failure(_metadata, self, fd, nth, &errors);
		expect_told(_metadata, self, fd, nth);
	} while (failed);
	TH_LOG("%u allocations, %u of them indispensable", nth - 1, errors);
	EXPECT_GE(errors, least);
	close(fd);
}

TEST_F_TIMEOUT(nomem, a_read_of_another_table, 120)
{
	fail_read(_metadata, self, 0, 3 * MAP_ALLOCS);
}

/* What was told as bolted, of the table that is gone, has to be taken back. */
TEST_F_TIMEOUT(nomem, a_read_of_the_bolted_entries_of_another_table, 120)
{
	fail_read(_metadata, self, KVM_GET_HTAB_BOLTED_ONLY, 4 * MAP_ALLOCS);
}

/* Which another reader has attached to: the maps of the VM are there. */
TEST_F_TIMEOUT(nomem, a_read_beside_a_reader_of_another_table, 120)
{
	unsigned int errors = 0, nth = 0;
	int fd = htab_open(&self->vm, 0, 0);
	int other = htab_open(&self->vm, 0, 0);
	struct htab_shadow seen;
	bool failed;

	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	ASSERT_EQ(htab_shadow_init(&seen, 2 * HTAB_TEST_ENTRIES), 0);
	do {
		nth++;
		replace_table(_metadata, self, nth);
		seen.entries = self->told.entries;
		ASSERT_GT(htab_drain(other, &seen, HTAB_TEST_BUFFER), 0);
		ASSERT_EQ(htab_set(self->writer, 100, htab_entry_make(nth, 0)), 0);
		failed = read_with_failure(_metadata, self, fd, nth, &errors);
		expect_told(_metadata, self, fd, nth);
		ASSERT_GT(htab_drain(other, &seen, HTAB_TEST_BUFFER), 0);
		EXPECT_EQ(htab_shadow_stale(&self->vm, &seen), 0);
	} while (failed);
	EXPECT_GE(errors, MAP_ALLOCS);
	close(fd);
	close(other);
	htab_shadow_destroy(&seen);
}

HTAB_HARNESS_MAIN
