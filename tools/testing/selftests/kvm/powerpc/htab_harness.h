/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of KVM_PPC_GET_HTAB_FD add to the harness: a VM with a table
 * and a writer, and cases that can be run alone: PROGRAM NAME ...
 */
#ifndef SELFTEST_KVM_HTAB_HARNESS_H
#define SELFTEST_KVM_HTAB_HARNESS_H

#include "kselftest_harness.h"
#include "htab_stream.h"

#define HTAB_TEST_ORDER		HTAB_MIN_ORDER
#define HTAB_TEST_ENTRIES	HTAB_ENTRIES(HTAB_TEST_ORDER)
/* What QEMU reads with. */
#define HTAB_TEST_BUFFER	2048

FIXTURE(htab)
{
	struct htab_vm vm;
	int writer;
	/* For what a reader is told. */
	struct htab_shadow told;
};

FIXTURE_SETUP(htab)
{
	ASSERT_EQ(htab_vm_create(&self->vm), 0);
	ASSERT_EQ(htab_allocate(&self->vm, HTAB_TEST_ORDER), 0);
	self->writer = htab_open(&self->vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(self->writer, 0);
	ASSERT_EQ(htab_shadow_init(&self->told, HTAB_TEST_ENTRIES), 0);
}

FIXTURE_TEARDOWN(htab)
{
	htab_shadow_destroy(&self->told);
	close(self->writer);
	htab_vm_destroy(&self->vm);
}

/* Every @step-th entry of [from, to) becomes one that is made from its index. */
static inline int htab_fill(int writer, uint64_t from, uint64_t to,
			    uint64_t step, uint64_t v_bits)
{
	int ret = 0;

	for (; from < to && !ret; from += step)
		ret = htab_set(writer, from, htab_entry_make(from, v_bits));
	return ret;
}

static inline bool htab_selected(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

/* Takes what the arguments do not name off the list. Returns how many remain. */
static inline int htab_select(struct __fixture_metadata *fixture, int argc,
			      char **argv)
{
	struct __test_metadata **link = &fixture->tests;
	int remain = 0;

	while (*link) {
		if (htab_selected((*link)->name, argc, argv)) {
			link = &(*link)->next;
			remain++;
		} else {
			*link = (*link)->next;
		}
	}
	return remain;
}

static inline int htab_harness_main(int argc, char **argv)
{
	struct __fixture_metadata *fixture;
	int remain = 0;

	/* Tests fork, and a line in the buffer would come twice. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (fixture = __fixture_list; fixture; fixture = fixture->next)
		remain += htab_select(fixture, argc, argv);
	if (!remain)
		ksft_exit_fail_msg("no such test\n");
	return test_harness_run(argc, argv);
}

/* In place of TEST_HARNESS_MAIN, whose main() takes no arguments. */
#define HTAB_HARNESS_MAIN \
	static void __attribute__((constructor)) \
	__constructor_order_last(void) \
	{ \
		if (!__constructor_order) \
			__constructor_order = _CONSTRUCTOR_ORDER_BACKWARD; \
	} \
	int main(int argc, char **argv) \
	{ \
		exit(htab_harness_main(argc, argv)); \
	}

#endif /* SELFTEST_KVM_HTAB_HARNESS_H */
