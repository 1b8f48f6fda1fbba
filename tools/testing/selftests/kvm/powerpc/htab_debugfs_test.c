// SPDX-License-Identifier: GPL-2.0-only
/*
 * The view of the hash page table in debugfs: what it says, and that it can be
 * read while the table is replaced (defect 1).
 */
/* First, as it says which C library this is for. */
#include "htab_harness.h"
#include "htab_blocked.h"

#include <glob.h>

#define NR_VALID	64

/* The only VM that there is has it. Returns an fd, or -errno. */
static int open_view(void)
{
	int fd = -ENOENT;
	glob_t found;

	if (glob("/sys/kernel/debug/kvm/*-*/htab", 0, NULL, &found))
		return fd;
	if (found.gl_pathc == 1) {
		fd = open(found.gl_pathv[0], O_RDONLY);
		if (fd < 0)
			fd = -errno;
	}
	globfree(&found);
	return fd;
}

/* Returns how many lines there are, and checks that they are of this index. */
static unsigned int expect_lines(struct __test_metadata *_metadata, int fd)
{
	unsigned long index, v, hr, gr;
	unsigned int lines = 0;
	FILE *view = fdopen(fd, "r");

	ASSERT_NE(view, NULL);
	while (fscanf(view, "%lx %lx %lx %lx", &index, &v, &hr, &gr) == 4) {
		EXPECT_EQ(index, 16 * lines);
		EXPECT_EQ(v & HTAB_V_LOCK, 0);
		EXPECT_EQ(gr, htab_entry_make(index, 0).r);
		lines++;
	}
	EXPECT_TRUE(feof(view));
	fclose(view);
	return lines;
}

TEST_F(htab, lists_the_entries)
{
	int fd = open_view();

	ASSERT_GE(fd, 0);
	ASSERT_EQ(htab_fill(self->writer, 0, 16 * NR_VALID, 16, 0), 0);
	EXPECT_EQ(expect_lines(_metadata, fd), NR_VALID);
}

TEST(no_table_yet)
{
	struct htab_vm vm;
	char c;
	int fd;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	fd = open_view();
	ASSERT_GE(fd, 0);
	EXPECT_EQ(read(fd, &c, 1), 0);
	close(fd);
	htab_vm_destroy(&vm);
}

struct viewer {
	int fd;
	char *buf;
	size_t size;
	ssize_t ret;
};

static void *view(void *arg)
{
	struct viewer *viewer = arg;

	viewer->ret = read(viewer->fd, viewer->buf, viewer->size);
	return NULL;
}

static unsigned int lines_in(const char *text, ssize_t size)
{
	unsigned int lines = 0;

	while (size-- > 0)
		lines += *text++ == '\n';
	return lines;
}

/*
 * The line on its way is of the old table; the new one is empty. It is not made
 * where the old one was, as the table of another VM divides what is free.
 */
static void replace_under_the_view(struct __test_metadata *_metadata,
				   struct _test_data_htab *self, uint32_t from_order,
				   uint32_t to_order)
{
	struct viewer viewer = { .fd = open_view(), .ret = -1 };
	struct htab_vm other;
	struct blocked blocked;
	pthread_t thread;
	char *page, *from;

	ASSERT_GE(viewer.fd, 0);
	ASSERT_EQ(htab_vm_create(&other), 0);
	ASSERT_EQ(htab_allocate(&other, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_allocate(&self->vm, from_order), 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 16, 0), 0);
	ASSERT_EQ(blocked_init(&blocked, 1), 0);
	from = calloc(1, blocked.size);
	viewer.buf = blocked.mem;
	viewer.size = blocked.size;
	ASSERT_EQ(pthread_create(&thread, NULL, view, &viewer), 0);
	page = blocked_wait(&blocked);
	ASSERT_NE(page, NULL);
	ASSERT_EQ(htab_allocate(&self->vm, to_order), 0);
	ASSERT_EQ(blocked_give(&blocked, page, from), 0);
	ASSERT_TRUE(ends_within(thread, 20));
	EXPECT_EQ(lines_in(viewer.buf, viewer.ret), 1);
	free(from);
	blocked_destroy(&blocked);
	htab_vm_destroy(&other);
	close(viewer.fd);
}

TEST_F(htab, while_the_table_grows)
{
	replace_under_the_view(_metadata, self, HTAB_TEST_ORDER,
			       HTAB_TEST_ORDER + 1);
}

TEST_F(htab, while_the_table_shrinks)
{
	replace_under_the_view(_metadata, self, HTAB_TEST_ORDER + 1,
			       HTAB_TEST_ORDER);
}

HTAB_HARNESS_MAIN
