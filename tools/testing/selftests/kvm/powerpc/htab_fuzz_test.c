// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input to KVM_PPC_GET_HTAB_FD: streams that are random or were right once,
 * and calls with random arguments, with a guest that runs at times. Whatever is
 * given, only documented errors come back, the guest goes on, and the table can be
 * read from its start to its end.
 */
#include <getopt.h>

#include "kselftest.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define ENTRIES		HTAB_ENTRIES(ORDER)
/* Of the tables that are made at times. */
#define MAX_ORDER	22
#define BUFFER		16384
/* Inputs between two checks of the whole. */
#define BATCH		1000

static struct {
	unsigned long seed;
	unsigned long inputs;		/* of several calls each */
} options = { 1, 6000 };

static struct htab_guest guest;
static struct htab_vcpu *vcpu;

/* A page that is not accessible comes after it. */
static char *buffer;

/* -- Random numbers */

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t below(uint64_t end)
{
	return (next_random() >> 11) % end;
}

static bool one_in(uint64_t n)
{
	return !below(n);
}

/* Small numbers, large ones, and those at the limits. */
static uint64_t random_number(void)
{
	static const uint64_t limits[] = {
		0, 1, 7, 8, HTAB_MAX_RUN - 1, HTAB_MAX_RUN, HTAB_MAX_RUN + 1,
		ENTRIES - 1, ENTRIES, ENTRIES + 1, INT_MAX, UINT_MAX,
		UINT_MAX + 1ull, LONG_MAX, ULONG_MAX,
	};

	switch (below(4)) {
	case 0:
		return limits[below(ARRAY_SIZE(limits))];
	case 1:
		return below(64);
	case 2:
		return below(ENTRIES);
	}
	return next_random();
}

/* -- What is reported */

static unsigned long n_unexpected;
static unsigned long n_calls;

/* @ret is a return value or -errno: only these errors may occur. */
static void expect(const char *what, long ret, const int *errors, int n)
{
	int i;

	n_calls++;
	if (ret >= 0)
		return;
	for (i = 0; i < n; i++)
		if (ret == -errors[i])
			return;
	if (n_unexpected++ < 10)
		ksft_print_msg("%s: %s\n", what, strerror(-ret));
}

#define EXPECT_ERRORS(what, ret, ...) do {				\
	static const int errors[] = { __VA_ARGS__ };			\
	expect(what, ret, errors, ARRAY_SIZE(errors));			\
} while (0)

static void fail(const char *what)
{
	if (n_unexpected++ < 10)
		ksft_print_msg("%s\n", what);
}

static long with_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* -- Streams */

/* An entry that is right, but for a few bits at times. */
static struct htab_entry random_entry(void)
{
	struct htab_entry entry = htab_page(below(4096), 0);

	if (one_in(8))
		return (struct htab_entry){ next_random(), next_random() };
	entry.r |= one_in(4) ? HTAB_NO_MEMORY : below(HTAB_MEMORY >> 12) << 12;
	if (one_in(4))
		entry.v ^= 1ull << below(64);
	if (one_in(4))
		entry.r ^= 1ull << below(64);
	return entry;
}

static size_t add_record(size_t at)
{
	struct kvm_get_htab_header header = {
		.index = below(ENTRIES),
		.n_valid = below(4),
		.n_invalid = below(16),
	};
	unsigned int i;

	for (i = 0; i < header.n_valid; i++)
		htab_put_entry(buffer + at + htab_record_size(i), random_entry());
	if (one_in(8))
		header.index = random_number();
	if (one_in(16))
		header.n_valid = random_number();
	if (one_in(8))
		header.n_invalid = random_number();
	memcpy(buffer + at, &header, sizeof(header));
	return at + htab_record_size(i);
}

/* Returns its size. */
static size_t make_stream(void)
{
	size_t size = 0, n = below(6);

	while (n--)
		size = add_record(size);
	for (n = one_in(4) ? below(8) : 0; n && size; n--)
		buffer[below(size)] ^= 1 << below(8);
	if (one_in(4))
		size = below(size + 9);
	return size;
}

/* Where the stream is written from: a part of it may not be there. */
static char *place_stream(size_t size)
{
	char *from;

	if (!one_in(8))
		return buffer;
	if (one_in(4))
		return one_in(2) ? NULL : (char *)next_random();
	from = buffer + BUFFER - below(size + 1);
	memmove(from, buffer, buffer + BUFFER - from);
	return from;
}

static void fuzz_write(void)
{
	int fd = htab_open(&guest.vm, KVM_GET_HTAB_WRITE, random_number());
	ssize_t ret;
	size_t size;
	int n;

	if (fd < 0) {
		EXPECT_ERRORS("open to write", fd, EBUSY);
		return;
	}
	for (n = 1 + below(8); n; n--) {
		size = make_stream();
		ret = with_errno(write(fd, place_stream(size), size));
		EXPECT_ERRORS("write", ret, EINVAL, EIO, EFAULT, EBUSY);
		if (ret > (ssize_t)size)
			fail("more was written than there was");
		if (!ret && size)
			fail("nothing was written");
	}
	close(fd);
}

/* -- Reading */

static size_t random_size(void)
{
	return one_in(8) ? random_number() : below(BUFFER);
}

static void fuzz_read_once(int fd)
{
	size_t size = random_size();
	char *to = one_in(8) ? buffer + BUFFER - below(64) : buffer;
	ssize_t ret = with_errno(read(fd, to, size));

	EXPECT_ERRORS("read", ret, EINVAL, EFAULT);
	if (ret > 0 && (size_t)ret > size)
		fail("more was read than there was room");
	if (ret == -EINVAL && size >= 24 && size <= BUFFER)
		fail("a large buffer is invalid");
}

static void fuzz_read(void)
{
	uint64_t start = one_in(2) ? 0 : random_number();
	uint64_t flags = one_in(2) ? KVM_GET_HTAB_BOLTED_ONLY : 0;
	int n, fd = htab_open(&guest.vm, flags, start);

	EXPECT_ERRORS("open to read", fd, EINVAL, EBUSY);
	if (fd < 0)
		return;
	for (n = 1 + below(16); n; n--)
		fuzz_read_once(fd);
	close(fd);
}

/* -- Calls that do not read or write */

static void fuzz_open(void)
{
	struct kvm_get_htab_fd request = {
		.flags = random_number(),
		.start_index = random_number(),
		.reserved = { next_random(), next_random() },
	};
	int fd = with_errno(ioctl(guest.vm.vm_fd, KVM_PPC_GET_HTAB_FD, &request));

	EXPECT_ERRORS("open", fd, EINVAL, EBUSY);
	if (fd < 0)
		return;
	if (request.flags > 3)
		fail("opened with unknown flags");
	close(fd);
}

/* What an fd does that is no stream has to fail. */
static void fuzz_fd(void)
{
	int fd = htab_open(&guest.vm, below(2) ? KVM_GET_HTAB_WRITE : 0, 0);
	void *memory;
	long ret;

	if (fd < 0)
		return;
	ret = with_errno(ioctl(fd, next_random(), buffer));
	EXPECT_ERRORS("ioctl of the stream", ret, ENOTTY, EFAULT, EINVAL, EBADF);
	ret = with_errno(lseek(fd, random_number(), below(3)));
	EXPECT_ERRORS("seek", ret, ESPIPE, EINVAL, EOVERFLOW);
	ret = with_errno(pread(fd, buffer, below(64), random_number()));
	EXPECT_ERRORS("pread", ret, ESPIPE, EBADF, EINVAL);
	ret = with_errno(ftruncate(fd, random_number()));
	EXPECT_ERRORS("truncate", ret, EINVAL, EBADF);
	memory = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE, fd, 0);
	if (memory != MAP_FAILED)
		fail("mapped");
	close(fd);
}

static void fuzz_allocate(void)
{
	uint32_t order = one_in(4) ? next_random() : below(MAX_ORDER + 1);
	long ret = htab_allocate(&guest.vm, order);

	EXPECT_ERRORS("allocate", ret, EINVAL, EBUSY, ENOMEM);
}

/* No commit here: KVM warns if there is none that could be resized. */
static void fuzz_resize(void)
{
	struct kvm_ppc_resize_hpt rhpt = {
		.flags = one_in(8) ? next_random() : 0,
		.shift = one_in(4) ? next_random() : below(MAX_ORDER + 1),
	};
	long ret = with_errno(ioctl(guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE,
				    &rhpt));

	EXPECT_ERRORS("prepare", ret, EINVAL, ENOMEM);
}

static void fuzz_mmu(void)
{
	struct kvm_ppc_mmuv3_cfg config = {
		.flags = below(8),
		.process_table = one_in(2) ? 0 : next_random(),
	};
	long ret = with_errno(ioctl(guest.vm.vm_fd, KVM_PPC_CONFIGURE_V3_MMU,
				    &config));

	EXPECT_ERRORS("configure", ret, EINVAL, EBUSY, ENODEV);
}

/* -- The cases */

struct fuzz_case {
	const char *name;
	void (*input)(void);
	bool running;
};

/* The table may be another one, or of another kind. */
static void fuzz_tables(void)
{
	switch (below(8)) {
	case 0:
		return fuzz_allocate();
	case 1:
		return fuzz_resize();
	case 2:
		return fuzz_mmu();
	case 3 ... 5:
		return fuzz_write();
	}
	fuzz_read();
}

static void fuzz_calls(void)
{
	switch (below(8)) {
	case 0:
		return fuzz_fd();
	case 1 ... 4:
		return fuzz_open();
	}
	fuzz_read();
}

static const struct fuzz_case cases[] = {
	{ "streams", fuzz_write, false },
	{ "calls", fuzz_calls, false },
	{ "tables", fuzz_tables, false },
	{ "streams, with a guest that runs", fuzz_write, true },
	{ "calls, with a guest that runs", fuzz_calls, true },
	{ "tables, with a guest that runs", fuzz_tables, true },
};

/* -- Whether all is well afterwards */

/* Two first passes tell the same. */
static bool table_is_read(void)
{
	struct htab_shadow shadow;
	long ret;

	if (htab_shadow_init(&shadow, HTAB_ENTRIES(MAX_ORDER)))
		return false;
	ret = htab_dump(&guest.vm, &shadow);
	if (ret)
		ksft_print_msg("not read: %s\n",
			       shadow.error ?: strerror(-ret));
	else
		ret = htab_shadow_stale(&guest.vm, &shadow);
	htab_shadow_destroy(&shadow);
	return !ret;
}

static bool guest_works(void)
{
	uint64_t index = htab_group(ORDER, 1);
	struct htab_entry entry = htab_page(1, HTAB_PAGES);
	long ret;

	htab_do(vcpu, H_REMOVE, 0, index, 0, 0);
	ret = htab_enter(vcpu, index, entry);
	if (!ret)
		ret = htab_store(vcpu, 1, 42);
	if (ret)
		ksft_print_msg("the guest does not work: %ld\n", ret);
	return !ret;
}

/*
 * A new table, as what was written may have taken the guest's own memory from it.
 * Before that, whatever is left has to be readable.
 */
static bool all_is_well(void)
{
	return table_is_read() && !htab_allocate(&guest.vm, ORDER) &&
	       guest_works() && table_is_read();
}

/*
 * The guest changes entries that the streams are about, too. It runs when this
 * returns: before, a write might take its memory from it.
 */
static int start_guest(void)
{
	struct htab_entry entry = htab_page(2, HTAB_PAGES);
	uint64_t i;
	int ret;

	htab_no_commands(vcpu);
	for (i = 0; i < 200; i++) {
		htab_command(vcpu, H_ENTER, H_EXACT, i * 8, entry.v, entry.r);
		htab_command(vcpu, H_REMOVE, 0, below(200) * 8, 0, 0);
	}
	ret = htab_start(vcpu);
	if (!ret)
		htab_wait_rounds(vcpu, 1);
	return ret;
}

static bool run_batch(const struct fuzz_case *fuzz, unsigned long inputs)
{
	if (fuzz->running && start_guest())
		return false;
	while (inputs--)
		fuzz->input();
	if (fuzz->running && htab_stop(vcpu)) {
		ksft_print_msg("the guest has stopped\n");
		return false;
	}
	return true;
}

static void run_case(const struct fuzz_case *fuzz)
{
	unsigned long left = options.inputs / ARRAY_SIZE(cases);
	unsigned long batch;
	bool well = true;

	n_unexpected = 0;
	while (well && left) {
		batch = left < BATCH ? left : BATCH;
		well = run_batch(fuzz, batch) && all_is_well();
		left -= batch;
	}
	ksft_test_result(well && !n_unexpected, "%s\n", fuzz->name);
}

static int create(void)
{
	buffer = mmap(NULL, BUFFER + 0x10000, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		return -errno;
	mprotect(buffer + BUFFER, 0x10000, PROT_NONE);
	vcpu = &guest.vcpu[0];
	return htab_guest_create(&guest, ORDER, 1);
}

int main(int argc, char **argv)
{
	unsigned int i;
	int opt, ret;

	while ((opt = getopt(argc, argv, "s:n:")) != -1) {
		if (opt == 's')
			options.seed = strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			options.inputs = strtoul(optarg, NULL, 0);
		else
			ksft_exit_fail_msg("-s seed -n inputs\n");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	random_state = options.seed * 2654435761u + 1;
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(cases));
	ksft_print_msg("seed %lu, %lu inputs\n", options.seed, options.inputs);

	ret = create();
	if (ret)
		ksft_exit_fail_msg("no guest: %s\n", strerror(-ret));
	if (!guest_works())
		ksft_exit_fail_msg("the guest does not work\n");
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(&cases[i]);
	ksft_print_msg("%lu calls\n", n_calls);
	htab_guest_destroy(&guest);
	ksft_finished();
}
