// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: calls that go over a large table let others run, end
 * early for a fatal signal, and for no other.
 *
 * That is seen from the time, of which a busy host may take some away. So each
 * is tried several times: a kernel that does not yield never gets it right.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "htab_harness.h"

#define LARGE_ORDER	25
#define TRIES		5

/*
 * Two ticks: who has to wait gets its turn at one, or at the next. And one more: a
 * read that takes no longer tells nothing.
 */
#define THREE_TICKS_NS	12000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Room for what a table has that use_all() has filled. */
static char all[HTAB_ENTRIES(LARGE_ORDER) / HTAB_GROUP *
		(sizeof(struct kvm_get_htab_header) + 16)];

/* One read() goes over all of a table: returns how long it takes. */
static uint64_t read_all(int fd)
{
	uint64_t begin = now_ns();

	return read(fd, all, sizeof(all)) > 0 ? now_ns() - begin : 0;
}

/* The same for a write() that makes each entry invalid. */
static uint64_t clear_all(int writer)
{
	char buf[4096];
	uint64_t index, run, begin;
	size_t size = 0;

	for (index = 0; index < HTAB_ENTRIES(LARGE_ORDER); index += run) {
		run = HTAB_ENTRIES(LARGE_ORDER) - index;
		if (run > HTAB_MAX_RUN)
			run = HTAB_MAX_RUN;
		size += htab_put_record(buf + size, index, NULL, 0, run);
	}
	begin = now_ns();
	return write(writer, buf, size) == (ssize_t)size ? now_ns() - begin : 0;
}

/* So that no part of the table can be left out, and no read() waits for memory. */
static int use_all(int writer)
{
	memset(all, 0, sizeof(all));
	return htab_fill(writer, 0, HTAB_ENTRIES(LARGE_ORDER), HTAB_GROUP, 0);
}

FIXTURE(large)
{
	struct htab_vm vm;
	int writer;
};

FIXTURE_SETUP(large)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, LARGE_ORDER), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);
	ASSERT_EQ(use_all(self->writer), 0);
}

FIXTURE_TEARDOWN(large)
{
	close(self->writer);
	htab_vm_destroy(&self->vm);
}

/* Somebody else who wants to run: the longest time that he could not. */
struct other {
	pthread_t thread;
	atomic_bool runs;
	atomic_bool ends;
	uint64_t longest;
};

static void *run_along(void *arg)
{
	struct other *other = arg;
	uint64_t last = now_ns(), now;

	while (!other->ends) {
		other->runs = true;
		now = now_ns();
		if (now - last > other->longest)
			other->longest = now - last;
		last = now;
	}
	return NULL;
}

static int other_start(struct other *other)
{
	memset(other, 0, sizeof(*other));
	if (pthread_create(&other->thread, NULL, run_along, other))
		return -1;
	while (!other->runs)
		sched_yield();
	return 0;
}

static void other_end(struct other *other)
{
	other->ends = true;
	pthread_join(other->thread, NULL);
}

/*
 * Whether another could run before @limit ns were over. It catches up before the
 * caller sees the end: a call that does not yield keeps it for half of the time.
 */
static bool yields(struct __test_metadata *_metadata, uint64_t took,
		   uint64_t longest, uint64_t limit)
{
	TH_LOG("took %llu us, without another for %llu us",
	       (unsigned long long)took / 1000,
	       (unsigned long long)longest / 1000);
	return took && longest < limit;
}

static bool a_read_yields(struct __test_metadata *_metadata,
			  struct _test_data_large *self)
{
	int fd = htab_open(&self->vm, 0, 0);
	uint64_t took, limit;
	struct other other;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(other_start(&other), 0);
	took = read_all(fd);
	other_end(&other);
	close(fd);
	limit = took / 4 > THREE_TICKS_NS ? took / 4 : THREE_TICKS_NS;
	return yields(_metadata, took, other.longest, limit);
}

TEST_F_TIMEOUT(large, a_read_yields, 120)
{
	bool good = false;
	int i;

	for (i = 0; i < TRIES && !good; i++)
		good = a_read_yields(_metadata, self);
	EXPECT_TRUE(good);
}

/* It does not fill a buffer. */
TEST_F_TIMEOUT(large, a_read_of_empty_entries_yields, 120)
{
	bool good = false;
	int i;

	ASSERT_GT(clear_all(self->writer), 0);
	for (i = 0; i < 2 * TRIES && !good; i++)
		good = a_read_yields(_metadata, self);
	EXPECT_TRUE(good);
}

static void expect_a_write_yields(struct __test_metadata *_metadata,
				  struct _test_data_large *self,
				  uint64_t (*timed_write)(int writer))
{
	struct other other;
	bool good = false;
	uint64_t took;
	int i;

	for (i = 0; i < TRIES && !good; i++) {
		ASSERT_EQ(other_start(&other), 0);
		took = timed_write(self->writer);
		other_end(&other);
		good = yields(_metadata, took, other.longest, took / 4);
	}
	EXPECT_TRUE(good);
}

TEST_F_TIMEOUT(large, a_write_yields, 120)
{
	expect_a_write_yields(_metadata, self, clear_all);
}

/*
 * One record, whose last entry has no segment size: all others are undone. They map
 * memory, so that to undo takes most of the time: each is flushed from the TLB.
 */
static uint64_t write_in_vain(int writer)
{
	static struct htab_entry entries[HTAB_MAX_RUN];
	uint64_t begin;
	int i;

	for (i = 0; i < HTAB_MAX_RUN; i++)
		entries[i] = htab_entry_at(i, 0, 0);
	entries[i - 1].v |= HTAB_V_BAD_SEG;
	begin = now_ns();
	return htab_write(writer, 0, entries, HTAB_MAX_RUN, 0) == -EIO ? now_ns() - begin : 0;
}

TEST_F_TIMEOUT(large, a_write_that_is_undone_yields, 120)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = getpagesize(),
	};
	void *page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(page, MAP_FAILED);
	/* Where there is no page, there is nothing to flush. */
	memset(page, 1, getpagesize());
	region.userspace_addr = (unsigned long)page;
	ASSERT_EQ(ioctl(self->vm.vm_fd, KVM_SET_USER_MEMORY_REGION, &region), 0);
	expect_a_write_yields(_metadata, self, write_in_vain);
}

/* ---- Signals ---- */

/* What a child with a VM of its own tells of it. */
struct child {
	int ready[2];
	/* Keeps the VM, so that the child need not free it when it dies. */
	pid_t keeper;
	uint64_t full;
	/* Set right before its second read. */
	atomic_ullong begin;
};

static pid_t keep_the_vm(struct child *child)
{
	pid_t pid = fork();

	if (pid)
		return pid;

	close(child->ready[1]);
	for (;;)
		pause();
}

static void read_in_a_child(struct child *child)
{
	struct htab_vm vm;
	int fds[2];

	if (htab_vm_create(&vm) || htab_allocate(&vm, LARGE_ORDER))
		_exit(1);
	child->keeper = keep_the_vm(child);
	if (child->keeper < 0 || use_all(htab_open(&vm, KVM_GET_HTAB_WRITE, 0)))
		_exit(1);
	fds[0] = htab_open(&vm, 0, 0);
	fds[1] = htab_open(&vm, 0, 0);
	child->full = read_all(fds[0]);
	if (fds[1] < 0 || write(child->ready[1], "", 1) != 1)
		_exit(1);
	child->begin = now_ns();
	read_all(fds[1]);
	pause();
}

/* Whether a read() that is killed ends long before it is through. */
static bool dies_early(struct __test_metadata *_metadata, struct child *child)
{
	uint64_t took;
	pid_t pid;
	char c;

	memset(child, 0, sizeof(*child));
	ASSERT_EQ(pipe(child->ready), 0);
	pid = fork();
	if (!pid)
		read_in_a_child(child);
	ASSERT_GT(pid, 0);
	close(child->ready[1]);
	/* While the child finds out how long it takes, it is left alone. */
	ASSERT_EQ(read(child->ready[0], &c, 1), 1);
	while (!child->begin)
		sched_yield();

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	took = now_ns() - child->begin;
	kill(child->keeper, SIGKILL);
	close(child->ready[0]);
	TH_LOG("one takes %llu us, dead after %llu us",
	       (unsigned long long)child->full / 1000,
	       (unsigned long long)took / 1000);
	return took < child->full / 4;
}

TEST_F_TIMEOUT(htab, a_fatal_signal_ends_a_read, 120)
{
	struct child *child = mmap(NULL, sizeof(*child), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool good = false;
	int i;

	ASSERT_NE(child, MAP_FAILED);
	for (i = 0; i < TRIES && !good; i++)
		good = dies_early(_metadata, child);
	EXPECT_TRUE(good);
}

static atomic_uint ticks;

static void tick(int signal)
{
	ticks++;
}

/* A user takes EINTR for the end, so there must not be any. */
TEST_F_TIMEOUT(large, other_signals_do_not_end_a_call, 120)
{
	struct itimerval each_ms = { { 0, 1000 }, { 0, 1000 } };
	struct sigaction action = { .sa_handler = tick };
	int i, fd;

	ASSERT_EQ(sigaction(SIGALRM, &action, NULL), 0);
	ASSERT_EQ(setitimer(ITIMER_REAL, &each_ms, NULL), 0);
	for (i = 0; i < 3; i++) {
		fd = htab_open(&self->vm, 0, 0);
		ASSERT_GE(fd, 0);
		EXPECT_GT(read_all(fd), 0);
		close(fd);
		EXPECT_GT(clear_all(self->writer), 0);
	}
	EXPECT_GT(ticks, 0);
}

HTAB_HARNESS_MAIN
