// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: a read or a write waits for a page of its buffer, and
 * meanwhile something else is done with the table, or with the same fd.
 */
#include "htab_harness.h"
#include "htab_blocked.h"

/* For what has to end, on a host that is slow. */
#define PATIENCE	20

FIXTURE(blocked)
{
	struct htab_vm vm;
	int reader, writer;
	struct blocked blocked;
	char *page;
	struct htab_shadow told;
};

FIXTURE_SETUP(blocked)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);
	ASSERT_EQ(htab_fill(self->writer, 0, 256, 1, 0), 0);
	self->reader = htab_open(&self->vm, 0, 0);
	ASSERT_GE(self->reader, 0);
	ASSERT_EQ(blocked_init(&self->blocked, 1), 0);
	self->page = calloc(1, getpagesize());
	ASSERT_NE(self->page, NULL);
	ASSERT_EQ(htab_shadow_init(&self->told, HTAB_ENTRIES(20)), 0);
}

FIXTURE_TEARDOWN(blocked)
{
	htab_shadow_destroy(&self->told);
	free(self->page);
	blocked_destroy(&self->blocked);
	close(self->reader);
	close(self->writer);
	htab_vm_destroy(&self->vm);
}

/* A thread that makes one call. */
struct call {
	struct htab_vm *vm;
	int fd;
	char *buf;
	size_t size;
	uint32_t order;
	ssize_t ret;
};

static void *call_read(void *arg)
{
	struct call *call = arg;

	call->ret = read(call->fd, call->buf, call->size);
	return NULL;
}

static void *call_write(void *arg)
{
	struct call *call = arg;

	call->ret = write(call->fd, call->buf, call->size);
	return NULL;
}

static void *call_allocate(void *arg)
{
	struct call *call = arg;

	call->ret = htab_allocate(call->vm, call->order);
	return NULL;
}

/*
 * The table is replaced, or emptied, while a call waits for its buffer. That must
 * not wait, too, or the VM would wait for the memory of who reads or writes.
 */
static void replace_under_a_call(struct __test_metadata *_metadata,
				 struct _test_data_blocked *self,
				 void *(*make)(void *), struct call *call,
				 uint32_t order)
{
	struct call allocating = { .vm = &self->vm, .order = order, .ret = -1 };
	pthread_t caller, allocator;
	bool ended;
	char *page;

	ASSERT_EQ(pthread_create(&caller, NULL, make, call), 0);
	page = blocked_wait(&self->blocked);
	ASSERT_NE(page, NULL);
	ASSERT_EQ(pthread_create(&allocator, NULL, call_allocate, &allocating),
		  0);
	ended = ends_within(allocator, PATIENCE);
	EXPECT_TRUE(ended);

	ASSERT_EQ(blocked_give(&self->blocked, page, self->page), 0);
	ASSERT_TRUE(ends_within(caller, PATIENCE));
	if (!ended)
		pthread_join(allocator, NULL);
	EXPECT_EQ(allocating.ret, 0);
}

/* Defect 1: memory of the old table was read. The stock kernel oopses. */
static void replace_under_a_read(struct __test_metadata *_metadata,
				 struct _test_data_blocked *self, uint32_t order)
{
	struct call reading = {
		.fd = self->reader,
		.buf = self->blocked.mem,
		.size = HTAB_TEST_BUFFER,
		.ret = -1,
	};

	replace_under_a_call(_metadata, self, call_read, &reading, order);
	EXPECT_GE(reading.ret, 0);

	/* Whatever that read told, it is not what remains. */
	self->told.entries = HTAB_ENTRIES(20);
	if (reading.ret > 0)
		EXPECT_EQ(htab_shadow_apply(&self->told, reading.buf,
					    reading.ret), 0);
	self->told.entries = HTAB_ENTRIES(order);
	EXPECT_GT(htab_drain(self->reader, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_valid(&self->told), 0);
}

TEST_F(blocked, a_read_while_the_table_grows)
{
	replace_under_a_read(_metadata, self, 20);
}

TEST_F(blocked, a_read_while_the_table_shrinks)
{
	ASSERT_EQ(htab_allocate(&self->vm, 20), 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_ENTRIES(20), 64, 0), 0);
	replace_under_a_read(_metadata, self, HTAB_TEST_ORDER);
}

TEST_F(blocked, a_read_while_the_table_is_emptied)
{
	replace_under_a_read(_metadata, self, HTAB_TEST_ORDER);
}

TEST_F(blocked, a_write_while_the_table_is_emptied)
{
	struct call writing = {
		.fd = self->writer,
		.buf = self->blocked.mem,
		.size = htab_record_size(1),
		.ret = -1,
	};
	struct htab_entry entry = htab_entry_make(1, 0);

	htab_put_record(self->page, 7, &entry, 1, 0);
	replace_under_a_call(_metadata, self, call_write, &writing,
			     HTAB_TEST_ORDER);
	EXPECT_EQ(writing.ret, htab_record_size(1));
}

/* For entries of a slot that goes: their first, and the slot's place and pages. */
#define SLOT_INDEX	512
#define SLOT_GPA	0x10000000ull
#define SLOT_PAGES	4

static int set_slot(struct htab_vm *vm, char *mem, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = SLOT_GPA,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* Deletes the slot in a thread, for it might have to wait. */
static void *call_delete(void *arg)
{
	struct call *call = arg;

	call->ret = set_slot(call->vm, call->buf, 0);
	return NULL;
}

static void delete_slot(struct __test_metadata *_metadata, struct htab_vm *vm,
			char *mem)
{
	struct call deleting = { .vm = vm, .buf = mem, .ret = -1 };
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, call_delete, &deleting), 0);
	ASSERT_TRUE(ends_within(thread, PATIENCE));
	EXPECT_EQ(deleting.ret, 0);
}

/* Returns pages with a record that has its header in the first of them. */
static char *make_record(struct htab_entry *entries)
{
	size_t size = getpagesize();
	char *pages = calloc(2, size);
	unsigned int i;

	for (i = 0; i < SLOT_PAGES; i++)
		entries[i] = htab_entry_at(i, SLOT_GPA + i * size, 0);
	if (pages)
		htab_put_record(pages + size - HTAB_HEADER, SLOT_INDEX, entries,
				SLOT_PAGES, 0);
	return pages;
}

/* The writer waits for the next page: the slot goes, and comes again. */
static void replace_slot(struct __test_metadata *_metadata,
			 struct _test_data_blocked *self, char *mem, char *wanted,
			 const char *content)
{
	char *page = blocked_wait(&self->blocked);

	ASSERT_EQ(page, wanted);
	delete_slot(_metadata, &self->vm, mem);
	ASSERT_EQ(set_slot(&self->vm, mem, SLOT_PAGES * getpagesize()), 0);
	ASSERT_EQ(blocked_give(&self->blocked, page, content), 0);
}

/* It goes while the header is waited for, and again while the entries are. */
TEST_F(blocked, a_write_while_a_slot_is_deleted)
{
	size_t size = getpagesize();
	struct htab_entry entries[SLOT_PAGES];
	char *record = make_record(entries);
	char *mem = aligned_alloc(size, SLOT_PAGES * size);
	struct call writing = {
		.fd = self->writer,
		.size = htab_record_size(SLOT_PAGES),
		.ret = -1,
	};
	pthread_t writer;
	unsigned int i;

	ASSERT_TRUE(record && mem);
	ASSERT_EQ(set_slot(&self->vm, mem, SLOT_PAGES * size), 0);
	blocked_destroy(&self->blocked);
	ASSERT_EQ(blocked_init(&self->blocked, 2), 0);
	writing.buf = self->blocked.mem + size - HTAB_HEADER;

	ASSERT_EQ(pthread_create(&writer, NULL, call_write, &writing), 0);
	for (i = 0; i < 2; i++)
		replace_slot(_metadata, self, mem, self->blocked.mem + i * size,
			     record + i * size);
	ASSERT_TRUE(ends_within(writer, PATIENCE));
	EXPECT_EQ(writing.ret, writing.size);

	self->told.entries = HTAB_TEST_ENTRIES;
	EXPECT_GT(htab_drain(self->reader, &self->told, HTAB_TEST_BUFFER), 0);
	for (i = 0; i < SLOT_PAGES; i++) {
		EXPECT_EQ(self->told.slots[SLOT_INDEX + i].entry.v, entries[i].v);
		EXPECT_EQ(self->told.slots[SLOT_INDEX + i].entry.r, entries[i].r);
	}
	ASSERT_EQ(set_slot(&self->vm, mem, 0), 0);
	free(mem);
	free(record);
}

/* Neither does another reader. */
TEST_F(blocked, a_read_while_another_reader_reads)
{
	struct call reading = {
		.fd = self->reader,
		.buf = self->blocked.mem,
		.size = HTAB_TEST_BUFFER,
	};
	pthread_t reader;
	char *page;
	int fd;

	ASSERT_EQ(pthread_create(&reader, NULL, call_read, &reading), 0);
	page = blocked_wait(&self->blocked);
	ASSERT_NE(page, NULL);
	fd = htab_open(&self->vm, 0, 0);
	ASSERT_GE(fd, 0);
	self->told.entries = HTAB_TEST_ENTRIES;
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_set(self->writer, 3, htab_entry_make(9, 0)), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	close(fd);
	ASSERT_EQ(blocked_give(&self->blocked, page, self->page), 0);
	ASSERT_TRUE(ends_within(reader, PATIENCE));
}

/*
 * Two threads that read from one fd do so one after the other. If they do, the
 * second one waits for the first, so it is let go on after a while.
 */
TEST_F(blocked, a_read_while_the_same_reader_reads)
{
	char *buf = calloc(1, HTAB_TEST_BUFFER);
	struct call first = {
		.fd = self->reader,
		.buf = self->blocked.mem,
		.size = HTAB_TEST_BUFFER,
	};
	struct call second = {
		.fd = self->reader,
		.buf = buf,
		.size = HTAB_TEST_BUFFER,
	};
	pthread_t threads[2];
	bool ended;
	char *page;

	ASSERT_EQ(pthread_create(&threads[0], NULL, call_read, &first), 0);
	page = blocked_wait(&self->blocked);
	ASSERT_NE(page, NULL);
	ASSERT_EQ(pthread_create(&threads[1], NULL, call_read, &second), 0);
	ended = ends_within(threads[1], 1);
	ASSERT_EQ(blocked_give(&self->blocked, page, self->page), 0);
	ASSERT_TRUE(ends_within(threads[0], PATIENCE));
	if (!ended)
		ASSERT_TRUE(ends_within(threads[1], PATIENCE));

	ASSERT_GT(first.ret, 0);
	ASSERT_GT(second.ret, 0);
	self->told.entries = HTAB_TEST_ENTRIES;
	ASSERT_EQ(htab_shadow_apply(&self->told, first.buf, first.ret), 0);
	ASSERT_EQ(htab_shadow_apply(&self->told, second.buf, second.ret), 0);
	EXPECT_EQ(htab_shadow_told(&self->told, 0, 200), 200);
	EXPECT_EQ(self->told.slots[0].told, 1);
	free(buf);
}

HTAB_HARNESS_MAIN
