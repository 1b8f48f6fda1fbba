// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: the table is emptied, replaced by one of another size,
 * goes and comes. A reader is told everything again (defect 12).
 */
#include <sched.h>

#include "htab_harness.h"

#define SMALL_ORDER	HTAB_TEST_ORDER
#define LARGE_ORDER	(HTAB_TEST_ORDER + 2)

/* In the process table's place: the guest uses radix trees. */
#define GUEST_RADIX	0x8000000000000000ull

/* Returns 0, or -errno. */
static int use_radix(struct htab_vm *vm, bool radix)
{
	struct kvm_ppc_mmuv3_cfg cfg = {
		.flags = radix ? KVM_PPC_MMUV3_RADIX | KVM_PPC_MMUV3_GTSE : 0,
		.process_table = radix ? GUEST_RADIX : 0,
	};

	return ioctl(vm->vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &cfg) ? -errno : 0;
}

/* The whole table is told once, and as it is. */
static void expect_all_anew(struct __test_metadata *_metadata,
			    struct htab_vm *vm, int fd, uint32_t order,
			    size_t size)
{
	uint64_t entries = HTAB_ENTRIES(order), i, n;
	struct htab_shadow told;

	ASSERT_EQ(htab_shadow_init(&told, entries), 0);
	EXPECT_GT(htab_drain(fd, &told, size), 0) {
		TH_LOG("%s", told.error ?: "no error in the stream");
	}
	EXPECT_EQ(htab_shadow_told(&told, 0, entries), entries);
	for (i = 0, n = 0; i < entries; i++)
		n += told.slots[i].told > 1;
	EXPECT_EQ(n, 0);
	EXPECT_EQ(htab_shadow_stale(vm, &told), 0);
	htab_shadow_destroy(&told);
}

/* A reader that has been told everything. */
static int told_reader(struct __test_metadata *_metadata, struct htab_vm *vm,
		       uint32_t order)
{
	int fd = htab_open(vm, 0, 0);
	struct htab_shadow told;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(htab_shadow_init(&told, HTAB_ENTRIES(order)), 0);
	ASSERT_GT(htab_drain(fd, &told, HTAB_TEST_BUFFER), 0);
	ASSERT_EQ(htab_drain(fd, &told, HTAB_TEST_BUFFER), 0);
	htab_shadow_destroy(&told);
	return fd;
}

/* One that stands at an entry with a high index, in its first or a later pass. */
static int standing_reader(struct __test_metadata *_metadata,
			   struct htab_vm *vm, int writer, uint32_t order,
			   bool later)
{
	uint64_t index = HTAB_ENTRIES(order) - 100;
	char buf[HTAB_HEADER + HTAB_ENTRY + 8];
	int fd;

	if (!later) {
		fd = htab_open(vm, 0, index);
		ASSERT_GE(fd, 0);
	} else {
		fd = told_reader(_metadata, vm, order);
		ASSERT_EQ(htab_set(writer, index, htab_entry_make(1, 0)), 0);
		ASSERT_EQ(htab_set(writer, index + 9, htab_entry_make(2, 0)), 0);
	}
	ASSERT_GT(read(fd, buf, sizeof(buf)), 0);
	return fd;
}

TEST_F(htab, emptied)
{
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	ASSERT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_valid(&self->told), 0);
	close(fd);
}

TEST_F(htab, emptied_and_told_anew)
{
	int a, b;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	a = told_reader(_metadata, &self->vm, HTAB_TEST_ORDER);
	b = told_reader(_metadata, &self->vm, HTAB_TEST_ORDER);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 5, HTAB_TEST_ENTRIES, 128, 0), 0);
	expect_all_anew(_metadata, &self->vm, a, HTAB_TEST_ORDER, 2048);
	expect_all_anew(_metadata, &self->vm, b, HTAB_TEST_ORDER, 100);
	close(a);
	close(b);
}

static void empty_under_a_standing_reader(struct __test_metadata *_metadata,
					  struct _test_data_htab *self, bool later)
{
	int fd = standing_reader(_metadata, &self->vm, self->writer,
				 HTAB_TEST_ORDER, later);

	/* What the reader has behind it is what it must not miss. */
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 3, HTAB_TEST_ENTRIES, 64, 0), 0);
	memset(self->told.slots, 0xff,
	       HTAB_TEST_ENTRIES * sizeof(*self->told.slots));
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(fd);
}

TEST_F(htab, emptied_in_the_first_pass)
{
	empty_under_a_standing_reader(_metadata, self, false);
}

TEST_F(htab, emptied_in_a_later_pass)
{
	empty_under_a_standing_reader(_metadata, self, true);
}

static void replace(struct __test_metadata *_metadata, uint32_t from,
		    uint32_t to)
{
	struct htab_vm vm;
	int fds[3], writer;
	unsigned int i;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	ASSERT_EQ(htab_allocate(&vm, from), 0);
	writer = htab_open(&vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(writer, 0);
	ASSERT_EQ(htab_fill(writer, 0, HTAB_ENTRIES(from), 64, 0), 0);
	fds[0] = told_reader(_metadata, &vm, from);
	fds[1] = standing_reader(_metadata, &vm, writer, from, true);
	fds[2] = htab_open(&vm, 0, 0);

	ASSERT_EQ(htab_allocate(&vm, to), 0);
	ASSERT_EQ(htab_fill(writer, 7, HTAB_ENTRIES(to), 64, 0), 0);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		expect_all_anew(_metadata, &vm, fds[i], to, HTAB_TEST_BUFFER);
		close(fds[i]);
	}
	close(writer);
	htab_vm_destroy(&vm);
}

TEST(replaced_by_a_larger_one)
{
	replace(_metadata, SMALL_ORDER, LARGE_ORDER);
}

TEST(replaced_by_a_smaller_one)
{
	replace(_metadata, LARGE_ORDER, SMALL_ORDER);
}

TEST_F(htab, replaced_and_back)
{
	int fd;

	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fd = told_reader(_metadata, &self->vm, HTAB_TEST_ORDER);
	ASSERT_EQ(htab_allocate(&self->vm, LARGE_ORDER), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 9, HTAB_TEST_ENTRIES, 640, 0), 0);
	expect_all_anew(_metadata, &self->vm, fd, HTAB_TEST_ORDER, 512);
	close(fd);
}

TEST_F(htab, a_writer_writes_to_the_new_table)
{
	uint64_t index = HTAB_ENTRIES(LARGE_ORDER) - 1;
	struct htab_entry entry = htab_entry_make(1, 0);

	EXPECT_EQ(htab_set(self->writer, index, entry), -EINVAL);
	ASSERT_EQ(htab_allocate(&self->vm, LARGE_ORDER), 0);
	EXPECT_EQ(htab_set(self->writer, index, entry), 0);
	ASSERT_EQ(htab_allocate(&self->vm, SMALL_ORDER), 0);
	EXPECT_EQ(htab_set(self->writer, index, entry), -EINVAL);
}

/* A new VM has no table; on a radix host it is a radix guest. */
TEST(no_table_yet)
{
	struct htab_entry entry = htab_entry_make(1, 0);
	char buf[HTAB_TEST_BUFFER];
	struct htab_vm vm;
	int fd, writer;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	fd = htab_open(&vm, 0, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(read(fd, buf, sizeof(buf)), 0);
	EXPECT_EQ(read(fd, buf, sizeof(buf)), 0);
	writer = htab_open(&vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(writer, 0);
	EXPECT_EQ(htab_set(writer, 0, entry), -EINVAL);
	EXPECT_EQ(htab_clear(writer, 0, 1), -EINVAL);

	ASSERT_EQ(htab_allocate(&vm, SMALL_ORDER), 0);
	ASSERT_EQ(htab_fill(writer, 0, HTAB_ENTRIES(SMALL_ORDER), 64, 0), 0);
	expect_all_anew(_metadata, &vm, fd, SMALL_ORDER, HTAB_TEST_BUFFER);
	close(writer);
	close(fd);
	htab_vm_destroy(&vm);
}

/* Without a table, start_index is checked when there is one. */
TEST(start_index_before_there_is_a_table)
{
	uint64_t entries = HTAB_ENTRIES(SMALL_ORDER);
	char buf[HTAB_TEST_BUFFER];
	struct htab_shadow told;
	struct htab_vm vm;
	int past, within;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	past = htab_open(&vm, 0, entries);
	ASSERT_GE(past, 0);
	within = htab_open(&vm, 0, entries - 5);
	ASSERT_GE(within, 0);
	EXPECT_EQ(read(past, buf, sizeof(buf)), 0);

	ASSERT_EQ(htab_allocate(&vm, SMALL_ORDER), 0);
	EXPECT_EQ(read(past, buf, sizeof(buf)), -1);
	EXPECT_EQ(errno, EINVAL);

	ASSERT_EQ(htab_shadow_init(&told, entries), 0);
	EXPECT_GT(htab_drain(within, &told, sizeof(buf)), 0);
	EXPECT_EQ(htab_shadow_told(&told, entries - 5, entries), 5);
	htab_shadow_destroy(&told);
	close(within);
	close(past);
	htab_vm_destroy(&vm);
}

TEST_F(htab, to_radix_and_back)
{
	struct htab_entry entry = htab_entry_make(1, 0);
	char buf[HTAB_TEST_BUFFER];
	int fds[2], i;

	if (use_radix(&self->vm, false) || use_radix(&self->vm, true))
		SKIP(return, "no radix guests on this host");
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 64, 0), 0);
	fds[0] = told_reader(_metadata, &self->vm, HTAB_TEST_ORDER);
	fds[1] = standing_reader(_metadata, &self->vm, self->writer,
				 HTAB_TEST_ORDER, true);

	ASSERT_EQ(use_radix(&self->vm, true), 0);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(read(fds[i], buf, sizeof(buf)), 0);
	EXPECT_EQ(htab_set(self->writer, 0, entry), -EINVAL);

	/* A guest with hashed pages that has no table yet. */
	ASSERT_EQ(use_radix(&self->vm, false), 0);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(read(fds[i], buf, sizeof(buf)), 0);
	EXPECT_EQ(htab_set(self->writer, 0, entry), -EINVAL);

	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 1, HTAB_TEST_ENTRIES, 64, 0), 0);
	for (i = 0; i < 2; i++) {
		expect_all_anew(_metadata, &self->vm, fds[i], HTAB_TEST_ORDER,
				HTAB_TEST_BUFFER);
		close(fds[i]);
	}
}

/*
 * Returns 0, or -errno. The VM has to be one that could run, which writing an
 * entry of the real mode area makes it.
 */
static int resize(struct htab_vm *vm, int writer, uint32_t order)
{
	struct htab_entry vrma = htab_entry_at(0, HTAB_NO_MEMORY,
					       HTAB_V_VRMA | HTAB_V_BOLTED);
	struct kvm_ppc_resize_hpt request = { .shift = order };
	int ret = htab_set(writer, 1, vrma);

	while (!ret) {
		ret = ioctl(vm->vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &request);
		if (!ret)
			break;
		/* What is returned is how many ms it will yet take. */
		ret = ret > 0 ? sched_yield() : -errno;
	}
	if (!ret && ioctl(vm->vm_fd, KVM_PPC_RESIZE_HPT_COMMIT, &request))
		ret = -errno;
	return ret;
}

static void resize_under_readers(struct __test_metadata *_metadata,
				 uint32_t from, uint32_t to)
{
	struct htab_vm vm;
	int fds[3], writer;
	unsigned int i;

	ASSERT_EQ(htab_vm_create(&vm), 0);
	ASSERT_EQ(htab_allocate(&vm, from), 0);
	writer = htab_open(&vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(writer, 0);
	/* Only the bolted ones are kept, in places of their own. */
	ASSERT_EQ(htab_fill(writer, 10, 4096, 512, HTAB_V_BOLTED), 0);
	ASSERT_EQ(htab_fill(writer, 11, 4096, 64, 0), 0);
	fds[0] = told_reader(_metadata, &vm, from);
	fds[1] = standing_reader(_metadata, &vm, writer, from, true);
	fds[2] = htab_open(&vm, 0, 0);

	ASSERT_EQ(resize(&vm, writer, to), 0);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		expect_all_anew(_metadata, &vm, fds[i], to, HTAB_TEST_BUFFER);
		close(fds[i]);
	}
	close(writer);
	htab_vm_destroy(&vm);
}

TEST(resized_to_a_larger_one)
{
	resize_under_readers(_metadata, SMALL_ORDER, LARGE_ORDER);
}

TEST(resized_to_a_smaller_one)
{
	resize_under_readers(_metadata, LARGE_ORDER, SMALL_ORDER);
}

TEST(resized_to_the_same_size)
{
	resize_under_readers(_metadata, SMALL_ORDER, SMALL_ORDER);
}

HTAB_HARNESS_MAIN
