// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: what kind of file the fd is, who may use it, and what
 * fdinfo says.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "htab_harness.h"

TEST_F(htab, is_a_stream)
{
	int fds[2] = { htab_open(&self->vm, 0, 0), self->writer };
	char buf[64];
	int i;

	ASSERT_GE(fds[0], 0);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(lseek(fds[i], 0, SEEK_CUR), -1);
		EXPECT_EQ(errno, ESPIPE);
		EXPECT_EQ(lseek(fds[i], 0, SEEK_SET), -1);
		EXPECT_EQ(errno, ESPIPE);
		EXPECT_EQ(lseek(fds[i], 0, SEEK_END), -1);
		EXPECT_EQ(errno, ESPIPE);
	}
	EXPECT_EQ(pread(fds[0], buf, sizeof(buf), 0), -1);
	EXPECT_EQ(errno, ESPIPE);
	EXPECT_EQ(pwrite(self->writer, buf, HTAB_HEADER, 0), -1);
	EXPECT_EQ(errno, ESPIPE);
	close(fds[0]);
}

/* ---- Other processes ---- */

/* Returns the errno of a read or a write in a child, 0 if it went well. */
static int in_a_child(int fd, bool writes)
{
	char buf[HTAB_TEST_BUFFER];
	int status;
	pid_t pid = fork();

	if (!pid) {
		size_t size = htab_put_record(buf, 0, NULL, 0, 1);
		ssize_t ret = writes ? write(fd, buf, size) :
				       read(fd, buf, sizeof(buf));

		_exit(ret < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Defect 7. What the child could not read is not lost. */
TEST_F(htab, is_for_the_process_of_the_vm)
{
	int fd;

	ASSERT_EQ(htab_set(self->writer, 0, htab_entry_make(0, 0)), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(in_a_child(fd, false), EIO);
	EXPECT_EQ(in_a_child(self->writer, true), EIO);

	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, HTAB_TEST_ENTRIES),
		  HTAB_TEST_ENTRIES);
	EXPECT_TRUE(self->told.slots[0].valid);
	close(fd);
}

/* The fds keep the VM. */
TEST_F(htab, lasts_longer_than_the_fd_of_the_vm)
{
	int fd = htab_open(&self->vm, 0, 0);

	ASSERT_GE(fd, 0);
	htab_vm_destroy(&self->vm);
	EXPECT_EQ(htab_set(self->writer, 77, htab_entry_make(7, 0)), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_TRUE(self->told.slots[77].valid);
	close(fd);

	/* For the teardown. */
	self->vm.vm_fd = -1;
	self->vm.kvm_fd = -1;
}

/* ---- Several threads, one fd ---- */

struct shared_reader {
	int fd;
	pthread_mutex_t lock;
	struct htab_shadow *told;
	long error;
};

static void *read_until_zero(void *arg)
{
	struct shared_reader *reader = arg;
	char buf[256];
	ssize_t ret;

	while ((ret = read(reader->fd, buf, sizeof(buf))) > 0) {
		pthread_mutex_lock(&reader->lock);
		reader->error |= htab_shadow_apply(reader->told, buf, ret);
		pthread_mutex_unlock(&reader->lock);
	}
	if (ret < 0)
		reader->error = -errno;
	return NULL;
}

TEST_F(htab, threads_that_share_a_reader)
{
	struct shared_reader reader = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.told = &self->told,
	};
	pthread_t threads[4];
	uint64_t i;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 4, 0), 0);
	reader.fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(reader.fd, 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, read_until_zero,
					 &reader), 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);

	EXPECT_EQ(reader.error, 0);
	for (i = 0; i < HTAB_TEST_ENTRIES; i++)
		ASSERT_EQ(self->told.slots[i].told, 1);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(reader.fd);
}

/* ---- fdinfo ---- */

TEST_F(htab, fdinfo_of_the_first_pass)
{
	char buf[HTAB_HEADER + 4 * HTAB_ENTRY];
	long long pass, pending;
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, 64, 1, 0), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	pass = htab_fdinfo(fd, "htab-pass");
	pending = htab_fdinfo(fd, "htab-pending");
	EXPECT_GE(pass, 0);
	EXPECT_EQ(htab_fdinfo(fd, "htab-index"), 0);
	EXPECT_GT(pending, 0);

	ASSERT_EQ(htab_read(fd, &self->told, buf, sizeof(buf)), sizeof(buf));
	EXPECT_EQ(htab_fdinfo(fd, "htab-pass"), pass);
	EXPECT_EQ(htab_fdinfo(fd, "htab-index"), 4);
	EXPECT_EQ(htab_fdinfo(fd, "htab-pending"), pending - 4);

	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_GT(htab_fdinfo(fd, "htab-pass"), pass);
	EXPECT_EQ(htab_fdinfo(fd, "htab-pending"), 0);
	close(fd);
}

TEST_F(htab, fdinfo_of_a_later_pass)
{
	char buf[HTAB_HEADER + HTAB_ENTRY];
	int fd = htab_open(&self->vm, 0, 0);

	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 1024, 0), 0);
	EXPECT_EQ(htab_fdinfo(fd, "htab-pending"), HTAB_TEST_ENTRIES / 1024);
	ASSERT_GT(htab_read(fd, &self->told, buf, sizeof(buf)), 0);
	EXPECT_EQ(htab_fdinfo(fd, "htab-pending"), HTAB_TEST_ENTRIES / 1024 - 1);
	EXPECT_GT(htab_fdinfo(fd, "htab-index"), 0);
	close(fd);
}

/* Parts of a thousand of the table: what one reader takes, and each further one. */
TEST_F(htab, memory_of_readers)
{
	uint64_t size = 1ull << 24;
	long long first, more;
	int fds[2];

	ASSERT_EQ(htab_allocate(&self->vm, 24), 0);
	fds[0] = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fds[0], 0);
	first = htab_fdinfo(fds[0], "htab-memory");
	EXPECT_GT(first, 0);
	EXPECT_LE(first * 1000, size * 25);

	/* Which has as much more for what it told as any has for what is pending. */
	fds[1] = htab_open(&self->vm, KVM_GET_HTAB_BOLTED_ONLY, 0);
	ASSERT_GE(fds[1], 0);
	more = htab_fdinfo(fds[1], "htab-memory") - first;
	EXPECT_GT(more, 0);
	EXPECT_LE(more * 1000, size * 8);
	EXPECT_EQ(htab_fdinfo(fds[0], "htab-memory"), first);
	close(fds[1]);
	close(fds[0]);
}

TEST_F(htab, fdinfo_where_start_index_is)
{
	int fd = htab_open(&self->vm, 0, 1234);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(htab_fdinfo(fd, "htab-index"), 1234);
	close(fd);
}

HTAB_HARNESS_MAIN
