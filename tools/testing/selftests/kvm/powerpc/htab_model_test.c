// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD against a model. The vCPUs of a guest execute lists of random
 * hypercalls, loads and stores, while several readers keep a shadow of its table
 * from what the stream tells, each with buffers of another sort, and others come
 * and go. A model of the guest's commands says what the table has to be in the end:
 * all shadows have to be the same.
 *
 * Each vCPU has pages of its own, so that it does not matter which was faster. But
 * their entries share groups, and their pages those of the host.
 */
#include <getopt.h>

#include "kselftest.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define ENTRIES		HTAB_ENTRIES(ORDER)

/* Of each vCPU, one for each group, so that no two can have the same entry. */
#define PAGES		(ENTRIES / HTAB_GROUP)
#define DATA_SIZE	(HTAB_MEMORY - HTAB_PAGES)
#define BUFFER		65536
#define R_KEYS		0x600ull

static struct {
	unsigned long seed;
	unsigned long checks;
	unsigned long commands;		/* of a vCPU in a burst, at most */
	unsigned long vcpus;
} options = { 1, 14, 400, 2 };

/* How often the guest runs between two checks. */
#define BURSTS		5

static struct htab_guest guest;

/* A vCPU, with the page that each of its commands is about. */
struct actor {
	struct htab_vcpu *vcpu;
	uint64_t first_page;
	uint64_t pages[HTAB_MAX_COMMANDS];
};

static struct actor actors[HTAB_MAX_VCPUS];

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

/* Those of the vCPUs that are found in one group have different slots of it. */
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

static uint64_t any_page(const struct actor *actor, uint64_t of)
{
	return actor->first_page + below(&random_state, of);
}

static void add_bulk_remove(struct actor *actor)
{
	struct htab_command *command;
	int i;

	command = htab_command(actor->vcpu, H_BULK_REMOVE, 0, 0, 0, 0);
	for (i = 0; i < 4; i++)
		command->in[1 + 2 * i] = H_BULK_REQUEST |
			page_index(any_page(actor, PAGES));
}

static void add_access(struct htab_vcpu *vcpu, uint64_t what, uint64_t page)
{
	if (has_memory(page))
		htab_command(vcpu, what, htab_address(page), 42, HTAB_MSR_DR, 0);
}

static void add_protect(struct htab_vcpu *vcpu, uint64_t index)
{
	uint64_t bits = next_random(&random_state) & (HTAB_R_N | R_KEYS | 1);

	htab_command(vcpu, H_PROTECT, bits | HTAB_R_PP_RWRW, index, 0, 0);
}

static void add_enter(struct htab_vcpu *vcpu, uint64_t page)
{
	struct htab_entry entry = random_entry(page);

	htab_command(vcpu, H_ENTER, H_EXACT, page_index(page), entry.v, entry.r);
}

/* Entries are made as often as they are removed. */
static void add_command(struct actor *actor)
{
	/* Half of them near each other. */
	uint64_t page = any_page(actor, below(&random_state, 2) ? 64 : PAGES);
	uint64_t index = page_index(page);
	struct htab_vcpu *vcpu = actor->vcpu;

	actor->pages[vcpu->area->count] = page;
	switch (below(&random_state, 12)) {
	case 0 ... 3:
		return add_enter(vcpu, page);
	case 4:
		htab_command(vcpu, H_REMOVE, 0, index, 0, 0);
		return;
	case 5:
		return add_bulk_remove(actor);
	case 6:
		return add_protect(vcpu, index);
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
		return add_access(vcpu, HTAB_LOAD, page);
	case 11:
		return add_access(vcpu, HTAB_STORE, page);
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

static void model_burst(const struct actor *actor)
{
	const struct htab_area *area = actor->vcpu->area;
	uint64_t round, i;
	long expected;

	for (round = 1; round <= area->rounds; round++) {
		for (i = 0; i < area->count; i++) {
			expected = model_command(&area->commands[i],
						 actor->pages[i]);
			if (round == area->rounds)
				expect_result(&area->commands[i], expected);
		}
	}
}

/* How many commands the guest was given to execute. */
static unsigned long n_commands;

static void make_burst(struct actor *actor)
{
	uint64_t count = 1 + below(&random_state, options.commands);

	htab_no_commands(actor->vcpu);
	do {
		add_command(actor);
	} while (actor->vcpu->area->count < count);
	actor->vcpu->area->rounds = 1 + below(&random_state, 4);
	actor->vcpu->area->done = 0;
	n_commands += actor->vcpu->area->count * actor->vcpu->area->rounds;
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

/* No vCPU is through before the last one begins. */
static pthread_barrier_t all_are_there;

static void *burst_thread(void *arg)
{
	pthread_barrier_wait(&all_are_there);
	return htab_thread(arg);
}

static int end_burst(struct actor *actor)
{
	while (htab_rounds(actor->vcpu) != HTAB_ENDED) {
		disturb();
		sched_yield();
	}
	pthread_join(actor->vcpu->thread, NULL);
	model_burst(actor);
	return actor->vcpu->result;
}

/* One of each vCPU, at the same time. */
static int run_burst(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < options.vcpus; i++)
		make_burst(&actors[i]);
	for (i = 0; !ret && i < options.vcpus; i++)
		ret = -pthread_create(&actors[i].vcpu->thread, NULL,
				      burst_thread, actors[i].vcpu);
	for (i = 0; !ret && i < options.vcpus; i++)
		ret = end_burst(&actors[i]);
	return ret;
}

static int run_bursts(void)
{
	int i, ret = 0;

	for (i = 0; !ret && i < BURSTS; i++)
		ret = run_burst();
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

/* -- Readers that come and go */

struct visitor {
	pthread_t thread;
	uint64_t random;
	unsigned long visits;
	int error;
	struct htab_shadow shadow;
	char buf[BUFFER];
};

static struct visitor visitors[2];

/* A part from anywhere on, as long as it is; every other one goes on to the end. */
static ssize_t read_a_part(struct visitor *visitor, int fd)
{
	uint64_t reads = below(&visitor->random, 16);
	size_t size = 24 + below(&visitor->random, BUFFER - 24);
	ssize_t ret = 1;

	if (reads % 2)
		reads = UINT64_MAX;
	while (ret > 0 && reads-- &&
	       !__atomic_load_n(&readers_end, __ATOMIC_RELAXED))
		ret = htab_read(fd, &visitor->shadow, visitor->buf, size);
	return ret;
}

static ssize_t visit(struct visitor *visitor)
{
	uint64_t flags = below(&visitor->random, 2) * KVM_GET_HTAB_BOLTED_ONLY;
	uint64_t start = below(&visitor->random, 2) *
			 below(&visitor->random, ENTRIES);
	int fd = htab_open(&guest.vm, flags, start);
	ssize_t ret;

	if (fd < 0)
		return fd;
	ret = read_a_part(visitor, fd);
	close(fd);
	visitor->visits++;
	return ret;
}

static void *visitor_thread(void *arg)
{
	struct visitor *visitor = arg;
	ssize_t ret = 0;

	while (ret >= 0 && !__atomic_load_n(&readers_end, __ATOMIC_RELAXED)) {
		ret = visit(visitor);
		sched_yield();
	}
	visitor->error = ret < 0 ? ret : 0;
	return NULL;
}

static int start_visitor(struct visitor *visitor, unsigned int number)
{
	visitor->random = options.seed * 2000 + number + 1;
	if (htab_shadow_init(&visitor->shadow, ENTRIES))
		return -ENOMEM;
	return -pthread_create(&visitor->thread, NULL, visitor_thread, visitor);
}

/* Whether all that they were told was well formed. */
static bool end_visitor(struct visitor *visitor)
{
	pthread_join(visitor->thread, NULL);
	if (visitor->error)
		ksft_print_msg("visit %lu: %s\n", visitor->visits,
			       visitor->shadow.error ?:
			       strerror(-visitor->error));
	return !visitor->error;
}

/* -- Comparing */

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
	unsigned int i;
	int ret;

	ret = htab_guest_create(&guest, ORDER, options.vcpus);
	if (!ret)
		ret = htab_set_slot(&guest, 0, KVM_MEM_LOG_DIRTY_PAGES, 0,
				    HTAB_MEMORY);
	if (!ret)
		ret = htab_shadow_init(&model, ENTRIES);
	pthread_barrier_init(&all_are_there, NULL, options.vcpus);
	for (i = 0; !ret && i < options.vcpus; i++) {
		actors[i].vcpu = &guest.vcpu[i];
		actors[i].first_page = i * PAGES;
		if (htab_do(actors[i].vcpu, H_READ, 0, 0, 0, 0))
			ret = -EIO;
	}
	/* The entries of the VRMA do not change. */
	return ret ? ret : htab_dump(&guest.vm, &model);
}

static int start_readers(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(readers); i++)
		ret = start_reader(&readers[i], i);
	for (i = 0; !ret && i < ARRAY_SIZE(visitors); i++)
		ret = start_visitor(&visitors[i], i);
	return ret;
}

/* A result for each reader that was there all the time, and one for the others. */
static void end_readers(void)
{
	unsigned long visits = 0;
	bool good = true;
	unsigned int i;

	__atomic_store_n(&readers_end, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		pthread_join(readers[i].thread, NULL);
		ksft_test_result(!readers[i].error && !readers[i].differs,
				 "%s\n", readers[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(visitors); i++) {
		good &= end_visitor(&visitors[i]);
		visits += visitors[i].visits;
	}
	ksft_test_result(good, "%lu visits of readers that come and go\n",
			 visits);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:c:v:")) != -1) {
		if (opt == 's')
			options.seed = strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			options.checks = strtoul(optarg, NULL, 0);
		else if (opt == 'c')
			options.commands = strtoul(optarg, NULL, 0);
		else if (opt == 'v')
			options.vcpus = strtoul(optarg, NULL, 0);
		else
			ksft_exit_fail_msg("-s seed -n checks -c commands -v vcpus\n");
	}
	if (!options.vcpus || options.vcpus > HTAB_MAX_VCPUS)
		ksft_exit_fail_msg("-v has to be from 1 to %u\n",
				   HTAB_MAX_VCPUS);
	if (options.commands >= HTAB_MAX_COMMANDS)
		options.commands = HTAB_MAX_COMMANDS - 1;
}

int main(int argc, char **argv)
{
	struct htab_shadow expected;
	unsigned long check;
	bool table_ok = true;
	unsigned int i;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	random_state = options.seed * 2654435761u + 1;
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(readers) + 3);
	ksft_print_msg("seed %lu, %lu checks, %lu vCPUs\n", options.seed,
		       options.checks, options.vcpus);

	htab_be_nice();
	ret = create();
	if (!ret)
		ret = htab_shadow_init(&expected, ENTRIES);
	if (!ret)
		ret = start_readers();
	for (check = 0; !ret && check < options.checks; check++) {
		ret = run_bursts();
		for (i = 0; i < ARRAY_SIZE(readers); i++)
			check_reader(&readers[i], &expected);
		table_ok = table_ok && check_table();
	}
	if (ret)
		ksft_exit_fail_msg("check %lu: %s\n", check, strerror(-ret));

	end_readers();
	ksft_test_result(table_ok, "a reader that comes later\n");
	ksft_test_result(!wrong_results, "%lu commands\n", n_commands);
	htab_guest_destroy(&guest);
	ksft_finished();
}
