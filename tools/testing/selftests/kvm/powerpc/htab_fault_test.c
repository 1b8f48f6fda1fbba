// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: reads into buffers that are not there, or not all of
 * them. Nothing is lost: whatever such a read does not return, the next tells
 * (defect 10).
 */
#include <sys/mman.h>

#include "htab_harness.h"

/* More than the records have that a test looks for the boundaries of. */
#define REACH		120

/* Memory that ends, in one of the ways in which it can. */
static char *memory_that_ends(size_t *size, bool unmapped)
{
	char *mem;

	*size = getpagesize();
	mem = mmap(NULL, *size * 2, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	if (unmapped ? munmap(mem + *size, *size) :
		       mprotect(mem + *size, *size, PROT_NONE))
		return NULL;
	return mem + *size;
}

/* A read of which only @valid bytes can be stored, into memory before @end. */
static void read_into_the_end(struct __test_metadata *_metadata, int fd,
			      struct htab_shadow *told, char *end, size_t valid)
{
	ssize_t ret = htab_read(fd, told, end - valid, valid + HTAB_TEST_BUFFER);

	EXPECT_TRUE(ret == -EFAULT || (ret >= 0 && ret <= (ssize_t)valid));
}

/* Eight changes: runs of valid and of invalid entries. */
static void change(struct __test_metadata *_metadata, int writer,
		   uint64_t index, unsigned int round)
{
	struct htab_entry entries[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = htab_entry_make(round * 8 + i, 0);
	ASSERT_EQ(htab_write(writer, index, entries, 4, 1),
		  htab_record_size(4));
	ASSERT_EQ(htab_write(writer, index + 40, entries, 2, 1),
		  htab_record_size(2));
}

static void fault_in_later_passes(struct __test_metadata *_metadata,
				  struct _test_data_htab *self, bool unmapped)
{
	size_t size, valid;
	char *end = memory_that_ends(&size, unmapped);
	int fd;

	ASSERT_NE(end, NULL);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);

	for (valid = 0; valid <= REACH; valid++) {
		change(_metadata, self->writer, 100 + valid % 32, valid);
		read_into_the_end(_metadata, fd, &self->told, end, valid);
		ASSERT_GE(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->told), 0) {
			TH_LOG("with %zu bytes of the buffer valid", valid);
		}
	}
	close(fd);
}

TEST_F_TIMEOUT(htab, a_buffer_unmapped_in_part, 120)
{
	fault_in_later_passes(_metadata, self, true);
}

TEST_F_TIMEOUT(htab, a_buffer_protected_in_part, 120)
{
	fault_in_later_passes(_metadata, self, false);
}

/* Several bad reads in a row, the position somewhere in the table. */
TEST_F(htab, bad_reads_in_a_row)
{
	size_t size;
	char *end = memory_that_ends(&size, true);
	char buf[64];
	unsigned int round;
	int fd;

	ASSERT_NE(end, NULL);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	for (round = 0; round < 100; round++) {
		change(_metadata, self->writer, 100 + round * 7 % 1000, round);
		change(_metadata, self->writer, 9000 - round, round);
		ASSERT_GT(htab_read(fd, &self->told, buf, sizeof(buf)), 0);
		read_into_the_end(_metadata, fd, &self->told, end, round % 64);
		change(_metadata, self->writer, 4000 + round, round);
		read_into_the_end(_metadata, fd, &self->told, end, 0);
		read_into_the_end(_metadata, fd, &self->told, end, 30);
		if (round % 3)
			continue;
		ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	}
	close(fd);
}

TEST_F_TIMEOUT(htab, in_the_first_pass, 120)
{
	size_t size, valid;
	char *end = memory_that_ends(&size, true);
	int fd;

	ASSERT_NE(end, NULL);
	change(_metadata, self->writer, 0, 1);
	change(_metadata, self->writer, 8000, 2);
	for (valid = 0; valid <= REACH; valid++) {
		fd = htab_open(&self->vm, 0, 0);
		ASSERT_GE(fd, 0);
		htab_shadow_forget_told(&self->told);
		read_into_the_end(_metadata, fd, &self->told, end, valid);
		ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
		close(fd);
		ASSERT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES),
			  HTAB_TEST_ENTRIES);
		ASSERT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	}
}

TEST_F(htab, no_buffer_at_all)
{
	/* None; not the caller's; beyond all. */
	static const uint64_t bad[] = {
		0, 0xc000000000000000ull, -4096ull, 1ull << 63,
	};
	unsigned int i;
	int fd;

	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		change(_metadata, self->writer, 100, i);
		EXPECT_EQ(read(fd, (void *)bad[i], HTAB_TEST_BUFFER), -1);
		EXPECT_EQ(errno, EFAULT);
		EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
		EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	}
	close(fd);
}

HTAB_HARNESS_MAIN
