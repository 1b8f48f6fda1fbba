// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD against a model. A guest executes lists of random hypercalls,
 * loads and stores, while several readers keep a shadow of its table from what the
 * stream tells, each with buffers of another sort. A model of the guest's commands
 * says what the table has to be in the end: all shadows have to be the same.
 */
#include <getopt.h>

#include "kselftest.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define ENTRIES		HTAB_ENTRIES(ORDER)

/* One for each group, so that no two can have the same entry. */
#define PAGES		(ENTRIES / HTAB_GROUP)
#define DATA_SIZE	(HTAB_MEMORY - HTAB_PAGES)
#define BUFFER		65536
#define R_KEYS		0x600ull

static struct {
	unsigned long seed;
	unsigned long checks;
	unsigned long commands;		/* in a burst, at most */
} options = { 1, 20, 400 };

/* How often the guest runs between two checks. */
#define BURSTS		5

static struct htab_guest guest;
static struct htab_vcpu *vcpu;

/* -- Random numbers: xorshift, a state for each thread */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t below(uint64_t *state, uint64_t end)
{
	return (next_random(state) >> 11) % end;
}

static uint64_t random_state;

/* -- The model: what the table is when the commands are executed */

static struct htab_shadow model;

/* The page that each of the commands is about. */
static uint64_t command_page[HTAB_MAX_COMMANDS];

static uint64_t page_index(uint64_t page)
{
	return htab_group(ORDER, page) + page % HTAB_VRMA_SLOT;
}

/* A quarter of the pages only ever leads to where there is no memory. */
static bool has_memory(uint64_t page)
{
	return page % 4 != 3;
}

static struct htab_entry random_entry(uint64_t page)
{
	uint64_t bits = next_random(&random_state);
	uint64_t gpa = HTAB_NO_MEMORY;
	struct htab_entry entry;

	if (has_memory(page))
		gpa = HTAB_PAGES + below(&random_state, DATA_SIZE >> 12 << 12);
	entry = htab_page(page, gpa & ~0xfffull);
	entry.v |= bits & HTAB_V_BOLTED;
	entry.r |= bits & (HTAB_R_R | HTAB_R_C | HTAB_R_N | R_KEYS | 1);
	return entry;
}

static long model_enter(const uint64_t *in)
{
	struct htab_slot *slot = &model.slots[in[2]];

	if (slot->valid)
		return H_PTEG_FULL;
	htab_shadow_set(&model, in[2], (struct htab_entry){ in[3], in[4] });
	return H_SUCCESS;
}

static long model_remove(uint64_t index)
{
	if (!model.slots[index].valid)
		return H_NOT_FOUND;
	htab_shadow_clear(&model, index);
	return H_SUCCESS;
}

static long model_bulk_remove(const uint64_t *in)
{
	int i;

	for (i = 0; i < 4; i++)
		model_remove(in[1 + 2 * i] & ~H_BULK_REQUEST);
	return H_SUCCESS;
}

static long model_protect(const uint64_t *in)
{
	struct htab_slot *slot = &model.slots[in[2]];
	uint64_t bits = HTAB_R_PP | HTAB_R_N | HTAB_R_KEY_LO;

	if (!slot->valid)
		return H_NOT_FOUND;
	slot->entry.r = (slot->entry.r & ~bits) | (in[1] & bits);
	return H_SUCCESS;
}

static long model_clear(uint64_t index, uint64_t bit)
{
	struct htab_slot *slot = &model.slots[index];

	if (!slot->valid)
		return H_NOT_FOUND;
	slot->entry.r &= ~bit;
	return H_SUCCESS;
}

/* Returns 1 for a fault. */
static long model_access(uint64_t page, bool write)
{
	struct htab_slot *slot = &model.slots[page_index(page)];

	if (!slot->valid)
		return 1;
	if (write && (slot->entry.r & HTAB_R_PP) == HTAB_R_PP_RORO)
		return 1;
	slot->entry.r |= HTAB_R_R | (write ? HTAB_R_C : 0);
	return 0;
}

/* Returns what the guest has in r3 afterwards. */
static long model_command(const struct htab_command *command, uint64_t page)
{
	const uint64_t *in = command->in;

	switch (in[0]) {
	case H_ENTER:
		return model_enter(in);
	case H_REMOVE:
		return model_remove(in[2]);
	case H_BULK_REMOVE:
		return model_bulk_remove(in);
	case H_PROTECT:
		return model_protect(in);
	case H_CLEAR_REF:
		return model_clear(in[2], HTAB_R_R);
	case H_CLEAR_MOD:
		return model_clear(in[2], HTAB_R_C);
	case HTAB_LOAD:
		return model_access(page, false);
	case HTAB_STORE:
		return model_access(page, true);
	}
	return H_SUCCESS;
}

/* -- The guest's commands */

static void add_bulk_remove(void)
{
	struct htab_command *command;
	int i;

	command = htab_command(vcpu, H_BULK_REMOVE, 0, 0, 0, 0);
	for (i = 0; i < 4; i++)
		command->in[1 + 2 * i] = H_BULK_REQUEST |
			page_index(below(&random_state, PAGES));
}

static void add_access(uint64_t what, uint64_t page)
{
	if (has_memory(page))
		htab_command(vcpu, what, htab_address(page), 42, HTAB_MSR_DR, 0);
}

static void add_protect(uint64_t index)
{
	uint64_t bits = next_random(&random_state) & (HTAB_R_N | R_KEYS | 1);

	htab_command(vcpu, H_PROTECT, bits | HTAB_R_PP_RWRW, index, 0, 0);
}

static void add_enter(uint64_t page)
{
	struct htab_entry entry = random_entry(page);

	htab_command(vcpu, H_ENTER, H_EXACT, page_index(page), entry.v, entry.r);
}

/* Entries are made as often as they are removed. */
static void add_command(void)
{
	/* Half of them near each other. */
	uint64_t page = below(&random_state, below(&random_state, 2) ? 64 : PAGES);
	uint64_t index = page_index(page);

	command_page[vcpu->area->count] = page;
	switch (below(&random_state, 12)) {
	case 0 ... 3:
		return add_enter(page);
	case 4:
		htab_command(vcpu, H_REMOVE, 0, index, 0, 0);
		return;
	case 5:
		return add_bulk_remove();
	case 6:
		return add_protect(index);
	case 7:
		htab_command(vcpu, H_CLEAR_REF, 0, index, 0, 0);
		return;
	case 8:
		htab_command(vcpu, H_CLEAR_MOD, 0, index, 0, 0);
		return;
	case 9:
		htab_command(vcpu, H_READ, 0, index, 0, 0);
		return;
	case 10:
		return add_access(HTAB_LOAD, page);
	case 11:
		return add_access(HTAB_STORE, page);
	}
}

/* How many commands did something that the model did not expect. */
static unsigned long wrong_results;

static void expect_result(const struct htab_command *command, long expected)
{
	if ((long)command->out[0] == expected)
		return;
	if (!wrong_results++)
		ksft_print_msg("%lx(%lx, %lx) returned %ld, not %ld\n",
			       command->in[0], command->in[1], command->in[2],
			       command->out[0], expected);
}

static void model_burst(void)
{
	const struct htab_area *area = vcpu->area;
	uint64_t round, i;
	long expected;

	for (round = 1; round <= area->rounds; round++) {
		for (i = 0; i < area->count; i++) {
			expected = model_command(&area->commands[i],
						 command_page[i]);
			if (round == area->rounds)
				expect_result(&area->commands[i], expected);
		}
	}
}

static void make_burst(void)
{
	uint64_t count = 1 + below(&random_state, options.commands);

	htab_no_commands(vcpu);
	do {
		add_command();
	} while (vcpu->area->count < count);
	vcpu->area->rounds = 1 + below(&random_state, 4);
	vcpu->area->done = 0;
}

/* What the host does beside that changes nothing that the guest can see. */
static void disturb(void)
{
	unsigned long map[HTAB_MEMORY / 4096 / 64];
	struct kvm_dirty_log log = { .dirty_bitmap = map };
	uint64_t offset = below(&random_state, DATA_SIZE) & ~0xffffull;

	if (below(&random_state, 2))
		madvise(guest.memory + HTAB_PAGES + offset, 0x10000,
			MADV_DONTNEED);
	else
		ioctl(guest.vm.vm_fd, KVM_GET_DIRTY_LOG, &log);
}

static int run_burst(void)
{
	int ret = -pthread_create(&vcpu->thread, NULL, htab_thread, vcpu);

	if (ret)
		return ret;
	while (htab_rounds(vcpu) != HTAB_ENDED) {
		disturb();
		sched_yield();
	}
	pthread_join(vcpu->thread, NULL);
	return vcpu->result;
}

/* How many commands were executed. */
static unsigned long n_commands;

static int run_bursts(void)
{
	int i, ret = 0;

	for (i = 0; !ret && i < BURSTS; i++) {
		make_burst();
		ret = run_burst();
		model_burst();
		n_commands += vcpu->area->count * vcpu->area->rounds;
	}
	return ret;
}

/* -- The readers */

struct reader {
	const char *name;
	uint64_t flags;
	/* Reads once, into a buffer of its sort. Returns as read(). */
	ssize_t (*read)(struct reader *reader, char **buf);

	char *buf;	/* a page that is not accessible comes after BUFFER */
	uint64_t random;
	int fd;
	struct htab_shadow shadow;
	pthread_t thread;
	pthread_mutex_t lock;
	int error;
	bool differs;
};

static ssize_t read_as_qemu(struct reader *reader, char **buf)
{
	*buf = reader->buf;
	return read(reader->fd, *buf, 2048);
}

/* The smallest that works, and a little more. */
static ssize_t read_little(struct reader *reader, char **buf)
{
	*buf = reader->buf + below(&reader->random, 8);
	return read(reader->fd, *buf, 24 + below(&reader->random, 32));
}

static ssize_t read_any(struct reader *reader, char **buf)
{
	*buf = reader->buf + below(&reader->random, 64);
	return read(reader->fd, *buf, 24 + below(&reader->random, BUFFER - 128));
}

/* Often a part of the buffer is not there. */
static ssize_t read_faulting(struct reader *reader, char **buf)
{
	size_t there = below(&reader->random, 4096);
	ssize_t ret;

	*buf = reader->buf + BUFFER - there;
	ret = read(reader->fd, *buf, 24 + below(&reader->random, 8192));
	if (ret < 0 && errno == EFAULT)
		return read_as_qemu(reader, buf);
	return ret;
}

static struct reader readers[] = {
	{ .name = "as_qemu", .read = read_as_qemu },
	{ .name = "few_bytes", .read = read_little },
	{ .name = "any_bytes", .read = read_any },
	{ .name = "bad_buffers", .read = read_faulting },
	{ .name = "bolted_only", .read = read_any,
	  .flags = KVM_GET_HTAB_BOLTED_ONLY },
};

static bool readers_end;

/* Returns 0, the size, or a negative number. */
static ssize_t read_once(struct reader *reader)
{
	char *buf;
	ssize_t ret;

	ret = reader->read(reader, &buf);
	if (ret < 0)
		return -errno;
	if (htab_shadow_apply(&reader->shadow, buf, ret)) {
		ksft_print_msg("%s: %s\n", reader->name, reader->shadow.error);
		return -EBADMSG;
	}
	return ret;
}

static void *reader_thread(void *arg)
{
	struct reader *reader = arg;
	ssize_t ret = 0;

	while (ret >= 0 && !__atomic_load_n(&readers_end, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&reader->lock);
		ret = read_once(reader);
		pthread_mutex_unlock(&reader->lock);
		if (ret <= 0)
			sched_yield();
	}
	if (ret < 0)
		reader->error = ret;
	return NULL;
}

static int start_reader(struct reader *reader, unsigned int number)
{
	void *end;

	reader->random = options.seed * 1000 + number + 1;
	reader->buf = mmap(NULL, BUFFER + 0x10000, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reader->buf == MAP_FAILED)
		return -errno;
	end = reader->buf + BUFFER;
	mprotect(end, 0x10000, PROT_NONE);
	reader->fd = htab_open(&guest.vm, reader->flags, 0);
	if (reader->fd < 0)
		return reader->fd;
	if (htab_shadow_init(&reader->shadow, ENTRIES))
		return -ENOMEM;
	pthread_mutex_init(&reader->lock, NULL);
	return -pthread_create(&reader->thread, NULL, reader_thread, reader);
}

/* What the model means for this reader. */
static void expected_by(const struct reader *reader, struct htab_shadow *expected)
{
	uint64_t i;

	memcpy(expected->slots, model.slots, ENTRIES * sizeof(*model.slots));
	if (!(reader->flags & KVM_GET_HTAB_BOLTED_ONLY))
		return;
	for (i = 0; i < ENTRIES; i++)
		if (!(model.slots[i].entry.v & HTAB_V_BOLTED))
			htab_shadow_clear(expected, i);
}

/* Lets it read to the end, in its own way, and compares. */
static void check_reader(struct reader *reader, struct htab_shadow *expected)
{
	ssize_t ret;

	pthread_mutex_lock(&reader->lock);
	do {
		ret = reader->error ?: read_once(reader);
	} while (ret > 0);
	if (ret < 0)
		reader->error = ret;
	expected_by(reader, expected);
	if (!reader->differs && !reader->error &&
	    htab_shadow_differ(&reader->shadow, expected)) {
		ksft_print_msg("%s: one is what was told\n", reader->name);
		reader->differs = true;
	}
	pthread_mutex_unlock(&reader->lock);
}

/* Returns whether a new reader is told what the model says. */
static bool check_table(void)
{
	return !htab_shadow_stale(&guest.vm, &model);
}

static int create(void)
{
	int ret;

	ret = htab_guest_create(&guest, ORDER, 1);
	if (!ret)
		ret = htab_set_slot(&guest, 0, KVM_MEM_LOG_DIRTY_PAGES, 0,
				    HTAB_MEMORY);
	if (!ret)
		ret = htab_shadow_init(&model, ENTRIES);
	vcpu = &guest.vcpu[0];
	if (!ret && htab_do(vcpu, H_READ, 0, 0, 0, 0))
		ret = -EIO;
	/* The entries of the VRMA do not change. */
	return ret ? ret : htab_dump(&guest.vm, &model);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:c:")) != -1) {
		if (opt == 's')
			options.seed = strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			options.checks = strtoul(optarg, NULL, 0);
		else if (opt == 'c')
			options.commands = strtoul(optarg, NULL, 0);
		else
			ksft_exit_fail_msg("-s seed -n checks -c commands\n");
	}
	if (options.commands >= HTAB_MAX_COMMANDS)
		options.commands = HTAB_MAX_COMMANDS - 1;
}

int main(int argc, char **argv)
{
	unsigned int i, n_readers = ARRAY_SIZE(readers);
	struct htab_shadow expected;
	unsigned long check;
	bool table_ok = true;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	random_state = options.seed * 2654435761u + 1;
	ksft_print_header();
	ksft_set_plan(n_readers + 2);
	ksft_print_msg("seed %lu, %lu checks\n", options.seed, options.checks);

	htab_be_nice();
	ret = create();
	if (!ret)
		ret = htab_shadow_init(&expected, ENTRIES);
	for (i = 0; !ret && i < n_readers; i++)
		ret = start_reader(&readers[i], i);
	for (check = 0; !ret && check < options.checks; check++) {
		ret = run_bursts();
		for (i = 0; i < n_readers; i++)
			check_reader(&readers[i], &expected);
		table_ok = table_ok && check_table();
	}
	if (ret)
		ksft_exit_fail_msg("check %lu: %s\n", check, strerror(-ret));
	__atomic_store_n(&readers_end, true, __ATOMIC_RELAXED);

	for (i = 0; i < n_readers; i++) {
		pthread_join(readers[i].thread, NULL);
		ksft_test_result(!readers[i].error && !readers[i].differs,
				 "%s\n", readers[i].name);
	}
	ksft_test_result(table_ok, "a reader that comes later\n");
	ksft_test_result(!wrong_results, "%lu commands\n", n_commands);
	htab_guest_destroy(&guest);
	ksft_finished();
}
