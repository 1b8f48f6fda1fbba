// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD against all that replaces a table, or takes memory from the
 * guest, at the same time. Whatever happens, in the end a reader that was there all
 * the time knows what a new reader is told, and the guest goes on.
 *
 * A case is over after a number of rounds. SIGALRM ends the program if one hangs;
 * nothing else depends on time.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <unistd.h>

#include "kselftest.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define ENTRIES		HTAB_ENTRIES(ORDER)
#define MAX_ORDER	(ORDER + 2)
#define READERS		2
#define BUFFER		65536

static struct {
	unsigned long rounds;
	unsigned int seconds;	/* that a case may take */
} options = { 30, 120 };

static struct htab_guest guest;
static struct htab_vcpu *vcpu;
static uint32_t order;		/* of the present table */
static bool failed;

static void fail(const char *what, long ret)
{
	if (!failed)
		ksft_print_msg("%s: %ld\n", what, ret);
	failed = true;
}

static uint64_t random_state;

static uint64_t below(uint64_t end)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % end;
}

/* -- Threads that do something until they are told to stop */

struct racer {
	void (*once)(struct racer *racer);
	pthread_t thread;
	bool stop;
	unsigned long rounds;

	/* Of a reader. */
	int fd;
	size_t size;
	struct htab_shadow shadow;
	char buf[BUFFER];
};

static unsigned long rounds_of(struct racer *racer)
{
	return __atomic_load_n(&racer->rounds, __ATOMIC_RELAXED);
}

static void *race(void *arg)
{
	struct racer *racer = arg;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		racer->once(racer);
		__atomic_add_fetch(&racer->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start(struct racer *racer, void (*once)(struct racer *racer))
{
	racer->once = once;
	racer->stop = false;
	racer->rounds = 0;
	if (pthread_create(&racer->thread, NULL, race, racer))
		ksft_exit_fail_msg("no thread\n");
}

/* Both get some time. */
static void wait_round(struct racer *racer)
{
	unsigned long now = rounds_of(racer);

	while (rounds_of(racer) == now)
		sched_yield();
}

static void stop(struct racer *racer)
{
	__atomic_store_n(&racer->stop, true, __ATOMIC_RELAXED);
	pthread_join(racer->thread, NULL);
}

/* -- Readers */

static struct racer readers[READERS];

static void read_once(struct racer *reader)
{
	ssize_t ret;

	ret = htab_read(reader->fd, &reader->shadow, reader->buf, reader->size);
	if (ret < 0)
		fail(reader->shadow.error ?: "read", ret);
	if (ret <= 0)
		sched_yield();
}

static void open_readers(void)
{
	static const size_t sizes[READERS] = { 2048, 24 + 16 * 7 };
	int i;

	for (i = 0; i < READERS; i++) {
		readers[i].size = sizes[i];
		readers[i].fd = htab_open(&guest.vm, 0, 0);
		if (readers[i].fd < 0 ||
		    htab_shadow_init(&readers[i].shadow,
				     HTAB_ENTRIES(MAX_ORDER)))
			ksft_exit_fail_msg("no reader\n");
	}
}

static void start_readers(void)
{
	int i;

	open_readers();
	for (i = 0; i < READERS; i++)
		start(&readers[i], read_once);
}

/* What they know has to be what a new one is told. */
static void check_reader(struct racer *reader)
{
	long ret;

	reader->shadow.entries = HTAB_ENTRIES(MAX_ORDER);
	ret = htab_drain(reader->fd, &reader->shadow, BUFFER);
	if (ret < 0)
		fail(reader->shadow.error ?: "drain", ret);
	reader->shadow.entries = HTAB_ENTRIES(order);
	ret = htab_shadow_stale(&guest.vm, &reader->shadow);
	if (ret)
		fail("not what the table is, in entries", ret);
}

static void check_readers(void)
{
	int i;

	for (i = 0; i < READERS; i++)
		check_reader(&readers[i]);
}

static void close_readers(void)
{
	int i;

	for (i = 0; i < READERS; i++) {
		close(readers[i].fd);
		htab_shadow_destroy(&readers[i].shadow);
	}
}

static void stop_readers(void)
{
	int i;

	for (i = 0; i < READERS; i++)
		stop(&readers[i]);
	check_readers();
	close_readers();
}

/* -- The guest */

/* Makes and removes entries all over the table, all of which it has. */
static void churn(void)
{
	struct htab_entry entry = htab_page(1, HTAB_PAGES);
	uint64_t i, index;

	htab_no_commands(vcpu);
	for (i = 0; i < 100; i++) {
		index = below(ENTRIES / HTAB_GROUP) * HTAB_GROUP;
		entry.v ^= i % 2 ? 0 : HTAB_V_BOLTED;
		htab_command(vcpu, H_ENTER, H_EXACT, index + i % 7, entry.v,
			     entry.r);
		htab_command(vcpu, H_PROTECT, i % 4, index + i % 3, 0, 0);
		index = below(ENTRIES / HTAB_GROUP) * HTAB_GROUP;
		if (i % 2)
			htab_command(vcpu, H_REMOVE, 0, index + i % 7, 0, 0);
	}
	if (htab_start(vcpu))
		ksft_exit_fail_msg("no thread\n");
	htab_wait_rounds(vcpu, 1);
}

static void stop_churn(void)
{
	int ret = htab_stop(vcpu);

	if (ret)
		fail("the guest", ret);
}

/* Has some entries, without running. */
static void fill(void)
{
	struct htab_entry entry = htab_page(1, HTAB_PAGES);
	uint64_t i;

	htab_no_commands(vcpu);
	for (i = 0; i < 100; i++)
		htab_command(vcpu, H_ENTER, H_EXACT, 8 * below(ENTRIES / 8),
			     entry.v, entry.r);
	if (htab_run(vcpu))
		fail("the guest", -EIO);
}

static void allocate(uint32_t new_order)
{
	int ret = htab_allocate(&guest.vm, new_order);

	if (ret)
		fail("allocate", ret);
	order = new_order;
}

/* -- The cases. The table has entries, and nothing else goes on yet. */

static void readers_of_a_churn(void)
{
	unsigned long i;

	start_readers();
	churn();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		htab_wait_rounds(vcpu, 1);
	}
	stop_churn();
	stop_readers();
}

static void readers_come_and_go(void)
{
	char buf[2048];
	unsigned long i;
	int fd;

	start_readers();
	churn();
	for (i = 0; i < options.rounds; i++) {
		fd = htab_open(&guest.vm, i % 2, below(ENTRIES));
		if (fd < 0)
			fail("open", fd);
		if (read(fd, buf, sizeof(buf)) < 0)
			fail("read", -errno);
		wait_round(&readers[i % READERS]);
		close(fd);
	}
	stop_churn();
	stop_readers();
}

static void reset(void)
{
	unsigned long i;

	start_readers();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		fill();
		wait_round(&readers[i % READERS]);
		allocate(ORDER);
	}
	fill();
	stop_readers();
}

static void other_sizes(void)
{
	unsigned long i;

	start_readers();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		allocate(ORDER + below(MAX_ORDER - ORDER + 1));
		wait_round(&readers[i % READERS]);
		fill();
	}
	stop_readers();
}

/* None of the sizes can be had: the old table is gone all the same. */
static void no_table(void)
{
	unsigned long i;

	start_readers();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		if (htab_allocate(&guest.vm, 46) != -ENOMEM)
			fail("allocated too much", 0);
		wait_round(&readers[i % READERS]);
		allocate(ORDER);
		fill();
	}
	stop_readers();
}

/* A size that says nothing, where there is nothing that it could be the size of. */
static void no_size(void)
{
	unsigned long i;

	start_readers();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		htab_allocate(&guest.vm, 46);
		wait_round(&readers[i % READERS]);
		if (htab_allocate(&guest.vm, 0) != -EINVAL)
			fail("allocated nothing", 0);
		allocate(ORDER);
		fill();
	}
	stop_readers();
}

static void resize(uint32_t new_order)
{
	struct kvm_ppc_resize_hpt rhpt = { .shift = new_order };
	int ret;

	do {
		ret = ioctl(guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &rhpt);
		sched_yield();
	} while (ret > 0);
	if (!ret)
		ret = ioctl(guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_COMMIT, &rhpt);
	if (!ret)
		order = new_order;
	else if (errno != ENOSPC)
		fail("resize", -errno);
}

static void resized(void)
{
	unsigned long i;

	start_readers();
	churn();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		htab_wait_rounds(vcpu, 1);
		resize(ORDER + i % (MAX_ORDER - ORDER + 1));
	}
	stop_churn();
	stop_readers();
}

static int set_radix(bool radix)
{
	struct kvm_ppc_mmuv3_cfg config = {
		.flags = radix ? KVM_PPC_MMUV3_RADIX : 0,
		.process_table = radix ? 1ull << 63 : 0,
	};

	return ioctl(guest.vm.vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &config) ?
		-errno : 0;
}

/* Of a guest that may have no table, or another one, when its turn comes. */
static void resize_once(struct racer *racer)
{
	struct kvm_ppc_resize_hpt rhpt = { .shift = ORDER };

	ioctl(guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &rhpt);
	ioctl(guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_COMMIT, &rhpt);
}

static struct racer resizer;

static void radix_and_back(void)
{
	unsigned long i;

	start_readers();
	start(&resizer, resize_once);
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		if (set_radix(true) || set_radix(false))
			fail("configure", -errno);
		wait_round(&readers[i % READERS]);
		allocate(ORDER);
		fill();
	}
	stop(&resizer);
	stop_readers();
}

/* The fd outlives everything else that keeps the VM. */
static void vm_goes(void)
{
	unsigned long i;

	for (i = 0; i < options.rounds / 10 + 1; i++) {
		start_readers();
		wait_round(&readers[0]);
		htab_guest_destroy(&guest);
		wait_round(&readers[1]);
		stop(&readers[0]);
		stop(&readers[1]);
		close_readers();
		if (htab_guest_create(&guest, ORDER, 1))
			ksft_exit_fail_msg("no guest\n");
		fill();
	}
}

/* -- Reads that do not go on for as long as the guest makes changes */

#define SLOW_ORDER	MAX_ORDER
/* Which is filled over very many passes. */
#define LARGE_BUFFER	(64ul << 20)

/* The rest is for the VRMA, whose entries are at the end. */
#define WATCHED		(HTAB_ENTRIES(SLOW_ORDER) / 8 * 7)

/* Entries that each pass looks at, R and C being clear: that takes a while. */
static void fill_with_watched(void)
{
	static struct htab_entry entries[WATCHED];
	int fd = htab_open(&guest.vm, KVM_GET_HTAB_WRITE, 0);
	ssize_t ret;
	uint64_t i;

	for (i = 0; i < WATCHED; i++)
		entries[i] = htab_page(1, HTAB_NO_MEMORY);
	ret = htab_write(fd, 0, entries, WATCHED, 0);
	if (ret != (ssize_t)htab_record_size(WATCHED))
		fail("write", ret);
	close(fd);
}

/*
 * Some of them change. The pause is no more than a chance for the reader, who has
 * less priority and needs several of them for a pass.
 */
static void change_some(struct racer *racer)
{
	int ret = htab_run(vcpu);

	if (ret)
		fail("the guest", ret);
	usleep(200);
}

static struct racer changer;

/* In each pass entries change. They stay valid, and are not bolted. */
static void churn_in_slow_table(void)
{
	struct sched_param param = { .sched_priority = 1 };
	uint64_t i;

	allocate(SLOW_ORDER);
	fill_with_watched();
	htab_no_commands(vcpu);
	for (i = 0; i < 8; i++)
		htab_command(vcpu, H_PROTECT, i % 4, below(WATCHED), 0, 0);
	start(&changer, change_some);
	if (pthread_setschedparam(changer.thread, SCHED_FIFO, &param))
		fail("priority", 0);
	wait_round(&changer);
}

static char bolted_buf[BUFFER];

/* Finds nothing, and knows that after two passes. */
static void read_no_changes(int fd)
{
	long long pass = htab_fdinfo(fd, "htab-pass");
	ssize_t ret = read(fd, bolted_buf, sizeof(bolted_buf));

	if (ret)
		fail("read", ret);
	pass = htab_fdinfo(fd, "htab-pass") - pass;
	if (pass > 2)
		fail("passes", pass);
}

/* None of the changes is for this reader. */
static void bolted_entries(void)
{
	struct htab_shadow shadow;
	unsigned long i;
	ssize_t ret;
	int fd;

	churn_in_slow_table();
	fd = htab_open(&guest.vm, KVM_GET_HTAB_BOLTED_ONLY, 0);
	if (fd < 0 || htab_shadow_init(&shadow, HTAB_ENTRIES(SLOW_ORDER)))
		ksft_exit_fail_msg("no reader\n");
	ret = htab_drain(fd, &shadow, sizeof(bolted_buf));
	if (ret <= 0)
		fail(shadow.error ?: "first pass", ret);
	for (i = 0; i < options.rounds; i++)
		read_no_changes(fd);
	stop(&changer);
	close(fd);
	htab_shadow_destroy(&shadow);
}

/* It ends with the pass: no entry is told twice in it. */
static void large_read(void)
{
	char *buf = mmap(NULL, LARGE_BUFFER, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long i;
	ssize_t ret;

	churn_in_slow_table();
	open_readers();
	for (i = 0; i < options.rounds; i++) {
		ret = htab_read(readers[0].fd, &readers[0].shadow, buf,
				LARGE_BUFFER);
		if (ret < 0)
			fail(readers[0].shadow.error ?: "read", ret);
	}
	stop(&changer);
	check_readers();
	close_readers();
	munmap(buf, LARGE_BUFFER);
}

/* -- Writes while the slot goes to which the entries lead */

#define SLOT_GPA	(4 * HTAB_MEMORY)
#define SLOT_SIZE	0x100000ul
#define RECORD		500

static struct racer writer;

static void set_slot(uint64_t gpa, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)guest.memory + HTAB_PAGES,
	};

	if (ioctl(guest.vm.vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		fail("slot", -errno);
}

/* Each write finds its buffer missing, which gives the others time. */
static void write_once(struct racer *racer)
{
	static char *record;
	struct htab_entry entries[RECORD];
	size_t size;
	int i;

	if (!record)
		record = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < RECORD; i++)
		entries[i] = htab_page(i, SLOT_GPA + i * 0x800 / 0x1000 * 0x1000);
	size = htab_put_record(record, 1024, entries, RECORD, 0);
	madvise(record, BUFFER, MADV_DONTNEED);
	if (write(racer->fd, record, size) != (ssize_t)size)
		fail("write", -errno);
	if (htab_clear(racer->fd, 1024, RECORD))
		fail("clear", -errno);
}

static void slots_go(void)
{
	unsigned long i;

	writer.fd = htab_open(&guest.vm, KVM_GET_HTAB_WRITE, 0);
	set_slot(SLOT_GPA, SLOT_SIZE);
	open_readers();
	start(&writer, write_once);
	for (i = 0; i < options.rounds; i++) {
		wait_round(&writer);
		set_slot(SLOT_GPA, 0);
		wait_round(&writer);
		set_slot(SLOT_GPA, SLOT_SIZE);
		/* Moved. */
		set_slot(SLOT_GPA + SLOT_SIZE, SLOT_SIZE);
		set_slot(SLOT_GPA, SLOT_SIZE);
	}
	stop(&writer);
	close(writer.fd);
	check_readers();
	close_readers();
	set_slot(SLOT_GPA, 0);
}

static void memory_goes(void)
{
	unsigned long i;
	char *memory = guest.memory + HTAB_PAGES;

	start_readers();
	churn();
	for (i = 0; i < options.rounds; i++) {
		wait_round(&readers[i % READERS]);
		madvise(memory, 0x10000, MADV_DONTNEED);
		htab_wait_rounds(vcpu, 1);
		mprotect(memory, 0x10000, i % 2 ? PROT_READ | PROT_WRITE :
						 PROT_READ);
	}
	mprotect(memory, 0x10000, PROT_READ | PROT_WRITE);
	stop_churn();
	stop_readers();
}

struct race_case {
	const char *name;
	void (*run)(void);
	bool radix;
	bool wanted;
};

static struct race_case cases[] = {
	{ "churn", readers_of_a_churn, false, false },
	{ "come_and_go", readers_come_and_go, false, false },
	{ "memory", memory_goes, false, false },
	{ "bolted", bolted_entries, false, false },
	{ "large_read", large_read, false, false },
	{ "reset", reset, false, false },
	{ "resize", resized, false, false },
	{ "radix", radix_and_back, true, false },
	{ "slots", slots_go, false, false },
	{ "vm", vm_goes, false, false },
	{ "sizes", other_sizes, false, false },
	{ "no_table", no_table, false, false },
	{ "no_size", no_size, false, false },
};

static bool has_radix(void)
{
	return ioctl(guest.vm.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_MMU_RADIX);
}

static void run_case(const struct race_case *race)
{
	failed = false;
	order = ORDER;
	random_state = 88172645463325252ull;
	memset(&guest, 0, sizeof(guest));
	if (htab_guest_create(&guest, ORDER, 1))
		ksft_exit_fail_msg("no guest\n");
	vcpu = &guest.vcpu[0];
	fill();
	if (race->radix && !has_radix()) {
		ksft_test_result_skip("%s: no radix\n", race->name);
	} else {
		race->run();
		fill();
		ksft_test_result(!failed, "%s\n", race->name);
	}
	htab_guest_destroy(&guest);
}

/* Returns how many cases have this name, or any if there is none. */
static unsigned int want(const char *name)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (name && strcmp(name, cases[i].name))
			continue;
		cases[i].wanted = true;
		n++;
	}
	return n;
}

/* Returns how many cases to run. */
static unsigned int parse(int argc, char **argv)
{
	unsigned int n = 0;
	int opt;

	while ((opt = getopt(argc, argv, "c:n:t:")) != -1) {
		if (opt == 'n')
			options.rounds = strtoul(optarg, NULL, 0);
		else if (opt == 't')
			options.seconds = strtoul(optarg, NULL, 0);
		else if (opt != 'c' || !want(optarg))
			ksft_exit_fail_msg("-c case ... -n rounds -t seconds\n");
		else
			n++;
	}
	return n ? n : want(NULL);
}

int main(int argc, char **argv)
{
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(parse(argc, argv));
	htab_be_nice();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].wanted)
			continue;
		alarm(options.seconds);
		run_case(&cases[i]);
	}
	ksft_finished();
}
