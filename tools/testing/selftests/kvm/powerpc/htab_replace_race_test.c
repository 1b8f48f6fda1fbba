// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD: readers and a writer race with a thread that replaces
 * the table again and again. The stock kernel reads freed memory (defect 1).
 *
 * Even where the kernel is not preemptible they meet: the buffers are missing
 * huge pages, and to clear one gives way to others.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "htab_harness.h"

#define NR_READERS	2
/* What ends a race: to clear a huge page may take long. */
#define NR_READS	4000
#define SECONDS		8
#define SMALL_ORDER	HTAB_TEST_ORDER
#define LARGE_ORDER	(HTAB_TEST_ORDER + 2)
/* At least that of a huge page. */
#define HUGE		(16ul << 20)

struct reader {
	pthread_t thread;
	int fd;
	char *buf;
	const char *error;
};

struct race {
	struct htab_vm *vm;
	atomic_bool ends;
	/* What the table is replaced by, in turn; 0 is that of a radix guest. */
	uint32_t orders[4];
	unsigned int nr_orders;
	unsigned long replaced;
	int error;
};

static char *huge_buffer(void)
{
	uintptr_t mem = (uintptr_t)mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *buf = (char *)((mem + HUGE - 1) & -HUGE);

	if ((void *)mem == MAP_FAILED || madvise(buf, HUGE, MADV_HUGEPAGE))
		return NULL;
	return buf;
}

/* Of which table a record is cannot be told: it has to be well formed for one. */
static void *read_often(void *arg)
{
	struct reader *reader = arg;
	time_t end = time(NULL) + SECONDS;
	struct htab_shadow shadow;
	int i;

	htab_shadow_init(&shadow, HTAB_ENTRIES(LARGE_ORDER));
	shadow.any_order = true;
	for (i = 0; i < NR_READS && time(NULL) < end && !reader->error; i++) {
		madvise(reader->buf, HUGE, MADV_DONTNEED);
		if (htab_read(reader->fd, &shadow, reader->buf, 65536) < 0)
			reader->error = shadow.error ?: strerror(errno);
	}
	htab_shadow_destroy(&shadow);
	return NULL;
}

static int use_radix(struct htab_vm *vm)
{
	struct kvm_ppc_mmuv3_cfg cfg = {
		.flags = KVM_PPC_MMUV3_RADIX | KVM_PPC_MMUV3_GTSE,
		.process_table = 0x8000000000000000ull,
	};

	return ioctl(vm->vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &cfg) ? -errno : 0;
}

static void *replace(void *arg)
{
	struct race *race = arg;
	uint32_t order;

	while (!race->ends && !race->error) {
		order = race->orders[race->replaced++ % race->nr_orders];
		race->error = order ? htab_allocate(race->vm, order) :
				      use_radix(race->vm);
	}
	return NULL;
}

/* Fails now and then, as there may be no such entry, or no table. */
static void *write_often(void *arg)
{
	struct race *race = arg;
	uint64_t index = 0;
	int fd = htab_open(race->vm, KVM_GET_HTAB_WRITE, 0);

	while (!race->ends) {
		htab_set(fd, index, htab_entry_make(index, 0));
		index = (index + 61) % HTAB_ENTRIES(LARGE_ORDER);
	}
	close(fd);
	return NULL;
}

static void run_race(struct __test_metadata *_metadata, struct race *race)
{
	struct reader readers[NR_READERS] = {};
	pthread_t replacer, writer;
	int i;

	for (i = 0; i < NR_READERS; i++) {
		readers[i].fd = htab_open(race->vm, 0, 0);
		readers[i].buf = huge_buffer();
		ASSERT_GE(readers[i].fd, 0);
		ASSERT_NE(readers[i].buf, NULL);
	}
	ASSERT_EQ(pthread_create(&replacer, NULL, replace, race), 0);
	ASSERT_EQ(pthread_create(&writer, NULL, write_often, race), 0);
	for (i = 0; i < NR_READERS; i++)
		ASSERT_EQ(pthread_create(&readers[i].thread, NULL, read_often,
					 &readers[i]), 0);
	for (i = 0; i < NR_READERS; i++)
		pthread_join(readers[i].thread, NULL);
	race->ends = true;
	pthread_join(writer, NULL);
	pthread_join(replacer, NULL);

	EXPECT_EQ(race->error, 0);
	EXPECT_GT(race->replaced, 1);
	for (i = 0; i < NR_READERS; i++) {
		EXPECT_EQ(readers[i].error, NULL) {
			TH_LOG("%s", readers[i].error);
		}
		close(readers[i].fd);
	}
}

/* And a reader that has been there all the time is told what there is at last. */
static void race_and_compare(struct __test_metadata *_metadata,
			     struct _test_data_htab *self, struct race *race)
{
	int fd = htab_open(&self->vm, 0, 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 16, 0), 0);
	run_race(_metadata, race);

	ASSERT_EQ(htab_allocate(&self->vm, SMALL_ORDER), 0);
	ASSERT_EQ(htab_fill(self->writer, 0, HTAB_TEST_ENTRIES, 99, 0), 0);
	EXPECT_GT(htab_drain(fd, &self->told, HTAB_TEST_BUFFER), 0);
	EXPECT_EQ(htab_shadow_stale(&self->vm, &self->told), 0);
	close(fd);
}

TEST_F_TIMEOUT(htab, table_of_another_size, 120)
{
	struct race race = {
		.vm = &self->vm,
		.orders = { LARGE_ORDER, SMALL_ORDER },
		.nr_orders = 2,
	};

	race_and_compare(_metadata, self, &race);
}

TEST_F_TIMEOUT(htab, table_emptied, 120)
{
	struct race race = {
		.vm = &self->vm,
		.orders = { SMALL_ORDER },
		.nr_orders = 1,
	};

	race_and_compare(_metadata, self, &race);
}

TEST_F_TIMEOUT(htab, table_or_radix, 120)
{
	struct race race = {
		.vm = &self->vm,
		.orders = { 0, SMALL_ORDER, 0, LARGE_ORDER },
		.nr_orders = 4,
	};

	if (use_radix(&self->vm))
		SKIP(return, "no radix guests on this host");
	ASSERT_EQ(htab_allocate(&self->vm, SMALL_ORDER), 0);
	race_and_compare(_metadata, self, &race);
}

HTAB_HARNESS_MAIN
