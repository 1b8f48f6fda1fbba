// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY in one thread against all that changes memslots or host
 * mappings in another.  It may only fail with what is documented, never hang,
 * and never leave the guest with a page that the host has replaced.
 *
 * SIGALRM ends the program if a case hangs; nothing else depends on time.
 */
#define _GNU_SOURCE /* for program_invocation_short_name */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "pre_fault_guest.h"

#define SEED(round)	(0x1111000000000000ul + ((uint64_t)(round) << 32))
#define SEED_GUEST	0x2222000000000000ul

static uint64_t nr_pages = 64;
static uint64_t nr_rounds = 16;

/*
 * A thread that pre-faults the test memory by vCPU 1 until it is told to stop.
 */
struct racer {
	pthread_t thread;
	struct pf_vm *pf;
	bool slot_changes;
	bool mem_goes;
	atomic_uint calls;
	atomic_bool stop;
};

static bool is_expected(struct racer *racer, int r)
{
	switch (r) {
	case 0:
		return true;
	case -EAGAIN:
	case -ENOENT:
		return racer->slot_changes;
	case -EFAULT:
		return racer->mem_goes;
	default:
		return false;
	}
}

static void *race(void *arg)
{
	struct racer *racer = arg;
	int r;

	while (!racer->stop) {
		r = pf_pre_fault(racer->pf, 1);
		TEST_ASSERT(is_expected(racer, r), "pre-fault returned %d", r);
		racer->calls++;
	}

	return NULL;
}

static void start_racer(struct racer *racer, struct pf_vm *pf)
{
	racer->pf = pf;
	TEST_ASSERT(!pthread_create(&racer->thread, NULL, race, racer),
		    "pthread_create");
	while (!racer->calls)
		sched_yield();
}

static void stop_racer(struct racer *racer)
{
	racer->stop = true;
	pthread_join(racer->thread, NULL);
}

/* Every other round lets a call come to its end. */
static void let_racer_run(struct racer *racer, unsigned int round)
{
	unsigned int calls = racer->calls;

	while (round % 2 && racer->calls == calls)
		sched_yield();
}

/* When all is quiet, the promise holds, and all of memory is as it should. */
static void check_quiet(struct pf_vm *pf, uint64_t seed)
{
	uint64_t faults;

	pf_settle(pf);
	ASSERT_EQ(pf_pre_fault(pf, 0), 0);
	faults = vcpu_faults(pf->vcpu[0]);
	pf_guest_reads(pf, 0, pf->pages, seed);
	ASSERT_EQ(vcpu_faults(pf->vcpu[0]) - faults, 0ul);
	pf_guest_writes(pf, 0, pf->pages, SEED_GUEST);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST);
}

/* The slot comes back with other memory. */
static void delete_slot(struct pf_vm *pf, struct racer *racer, void *mem[2])
{
	unsigned int i;

	for (i = 0; i < nr_rounds; i++) {
		ASSERT_EQ(pf_set_slot(pf, PF_GPA, 0), 0);
		pf->mem = mem[i % 2];
		ASSERT_EQ(pf_set_slot(pf, PF_GPA, pf->pages), 0);
		let_racer_run(racer, i / 2);
	}
}

static void test_delete_slot(void)
{
	void *mem[2] = { pf_anon(nr_pages), pf_anon(nr_pages) };
	struct pf_vm pf = pf_create(mem[0], nr_pages, 0, 2);
	struct racer racer = { .slot_changes = true };
	unsigned int last = (nr_rounds - 1) % 2;

	pf_host_writes(mem[0], nr_pages, SEED(0));
	pf_host_writes(mem[1], nr_pages, SEED(1));
	start_racer(&racer, &pf);
	delete_slot(&pf, &racer, mem);
	stop_racer(&racer);

	check_quiet(&pf, SEED(last));
	pf_host_reads(mem[!last], nr_pages, SEED(!last));
	munmap(mem[!last], nr_pages * PF_PAGE);
	pf_destroy(&pf);
}

static void move_slot(struct pf_vm *pf, struct racer *racer)
{
	const uint64_t other = pf_gpa(2 * pf->pages);
	unsigned int i;

	for (i = 0; i < nr_rounds; i++) {
		ASSERT_EQ(pf_set_slot(pf, other, pf->pages), 0);
		ASSERT_EQ(pf_set_slot(pf, PF_GPA, pf->pages), 0);
		let_racer_run(racer, i);
	}
}

static void test_move_slot(void)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	struct racer racer = { .slot_changes = true };

	pf_host_writes(pf.mem, nr_pages, SEED(0));
	start_racer(&racer, &pf);
	move_slot(&pf, &racer);
	stop_racer(&racer);

	check_quiet(&pf, SEED(0));
	pf_destroy(&pf);
}

/*
 * Host mappings change, and in each round the guest, by vCPU 0, must see what
 * the host has written and the host what the guest has.
 */
static void check_round(struct pf_vm *pf, unsigned int round)
{
	pf_host_writes(pf->mem, pf->pages, SEED(round));
	pf_guest_reads(pf, 0, pf->pages, SEED(round));
	pf_guest_writes(pf, 0, pf->pages, SEED_GUEST + round);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST + round);
}

typedef void (*change_t)(struct pf_vm *pf, unsigned int round);

static void race_against(change_t change)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	struct racer racer = {};
	unsigned int i;

	pf_host_writes(pf.mem, nr_pages, SEED(0));
	start_racer(&racer, &pf);
	for (i = 0; i < nr_rounds; i++) {
		change(&pf, i);
		check_round(&pf, i);
		let_racer_run(&racer, i);
	}
	stop_racer(&racer);

	pf_host_writes(pf.mem, nr_pages, SEED(i));
	check_quiet(&pf, SEED(i));
	pf_destroy(&pf);
}

static void drop_pages(struct pf_vm *pf, unsigned int round)
{
	TEST_ASSERT(!madvise(pf->mem, pf->pages * PF_PAGE, MADV_DONTNEED),
		    "MADV_DONTNEED");
}

static void test_dontneed(void)
{
	race_against(drop_pages);
}

static void protect_pages(struct pf_vm *pf, unsigned int round)
{
	size_t size = pf->pages * PF_PAGE;

	pf_host_writes(pf->mem, pf->pages, SEED(round));
	TEST_ASSERT(!mprotect(pf->mem, size, PROT_READ), "mprotect");
	pf_guest_reads(pf, 0, pf->pages, SEED(round));
	TEST_ASSERT(!mprotect(pf->mem, size, PROT_READ | PROT_WRITE),
		    "mprotect");
}

static void test_mprotect(void)
{
	race_against(protect_pages);
}

/* The child's copy is the child's: what the guest writes must not be in it. */
static void fork_child(struct pf_vm *pf, unsigned int round)
{
	struct pf_sharer sharer;

	pf_host_writes(pf->mem, pf->pages, SEED(round));
	sharer = pf_share_by_fork(pf->mem, pf->pages, SEED(round));
	pf_guest_reads(pf, 0, pf->pages, SEED(round));
	pf_guest_writes(pf, 0, pf->pages, SEED_GUEST);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST);
	pf_end_sharer(&sharer);
}

static void test_fork(void)
{
	race_against(fork_child);
}

/* Equal pages; three rounds of four do not wait until they are merged. */
static void merge_pages(struct pf_vm *pf, unsigned int round)
{
	uint64_t i;

	TEST_ASSERT(!madvise(pf->mem, pf->pages * PF_PAGE, MADV_MERGEABLE),
		    "MADV_MERGEABLE");
	for (i = 0; i < pf->pages; i++)
		WRITE_ONCE(*pf_word(pf->mem, i), SEED(round));

	while (round % 4 == 0 && pf_ksm_pages_sharing() < pf->pages / 2)
		sched_yield();

	/* Not the seed's page number, but the same word in all of them. */
	for (i = 0; i < pf->pages; i++)
		pf_guest_reads(pf, i, 1, SEED(round) - i);
	pf_guest_writes(pf, 0, pf->pages, SEED_GUEST);
	pf_host_reads(pf->mem, pf->pages, SEED_GUEST);
}

static void test_ksm(void)
{
	if (!pf_ksm_start())
		return pf_skip("no KSM");

	race_against(merge_pages);
	pf_ksm_stop();
}

/*
 * Two vCPUs at a time: vCPU 1 pre-faults, and vCPU 0 as well, or its guest
 * touches the pages.
 */
enum parallel {
	BOTH_ALL,
	BOTH_HALF,
	WITH_GUEST,
};

struct worker {
	pthread_t thread;
	struct pf_vm *pf;
	unsigned int vcpu;
	bool guest;
	uint64_t first, nr;
	pthread_barrier_t *barrier;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct pf_vm *pf = worker->pf;

	pthread_barrier_wait(worker->barrier);
	if (worker->guest)
		pf_guest_writes(pf, worker->first, worker->nr, SEED_GUEST);
	else
		ASSERT_EQ(pre_fault(pf->vcpu[worker->vcpu],
				    pf_gpa(worker->first),
				    worker->nr * PF_PAGE), 0);
	return NULL;
}

static void work_in_parallel(struct pf_vm *pf, enum parallel how)
{
	uint64_t nr = how == BOTH_HALF ? pf->pages / 2 : pf->pages;
	struct worker workers[2];
	pthread_barrier_t barrier;
	unsigned int i;

	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < 2; i++) {
		workers[i] = (struct worker) {
			.pf = pf,
			.vcpu = i,
			.guest = how == WITH_GUEST && !i,
			.first = how == BOTH_HALF ? i * nr : 0,
			.nr = nr,
			.barrier = &barrier,
		};
		TEST_ASSERT(!pthread_create(&workers[i].thread, NULL, work,
					    &workers[i]), "pthread_create");
	}
	for (i = 0; i < 2; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static uint64_t stat_of_both(struct pf_vm *pf, const char *name)
{
	return vcpu_stat(pf->vcpu[0], name) + vcpu_stat(pf->vcpu[1], name);
}

/* Nothing is lost, and nothing is mapped twice. */
static void check_parallel(struct pf_vm *pf, enum parallel how)
{
	uint64_t mapped = vm_get_stat(pf->vm, "pages_4k");
	uint64_t done = stat_of_both(pf, "pre_fault_pages");
	uint64_t fixed = stat_of_both(pf, "pf_fixed");

	work_in_parallel(pf, how);
	ASSERT_EQ(vm_get_stat(pf->vm, "pages_4k") - mapped, pf->pages);
	ASSERT_EQ(stat_of_both(pf, "pre_fault_pages") - done,
		  how == BOTH_ALL ? 2 * pf->pages : pf->pages);

	/*
	 * Fewer if the shadow MMU prefetches neighbours, which count for none;
	 * more if the guest's fault comes just after the pre-fault, and marks
	 * the entry Accessed.
	 */
	fixed = stat_of_both(pf, "pf_fixed") - fixed;
	TEST_ASSERT(how == WITH_GUEST || fixed <= pf->pages,
		    "%lu faults fixed for %lu pages", fixed, pf->pages);
}

static void run_parallel(enum parallel how)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	unsigned int i;

	for (i = 0; i < nr_rounds; i++) {
		pf_host_writes(pf.mem, nr_pages, SEED(i));

		/* A slot that goes takes all mappings of the VM along. */
		ASSERT_EQ(pf_set_slot(&pf, PF_GPA, 0), 0);
		ASSERT_EQ(pf_set_slot(&pf, PF_GPA, nr_pages), 0);
		pf_settle(&pf);
		check_parallel(&pf, how);
		check_quiet(&pf, how == WITH_GUEST ? SEED_GUEST : SEED(i));
	}

	pf_destroy(&pf);
}

static void test_parallel_same(void)
{
	run_parallel(BOTH_ALL);
}

static void test_parallel_halves(void)
{
	run_parallel(BOTH_HALF);
}

static void test_parallel_guest(void)
{
	run_parallel(WITH_GUEST);
}

/*
 * A slot that has nothing to do with the range makes the roots obsolete: that
 * of a vCPU that has run, and that of one that has only pre-faulted.
 */
static void test_obsolete_root(void)
{
	const uint32_t unrelated = PF_SLOT + 1;
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	void *mem = pf_anon(1);

	pf_host_writes(pf.mem, nr_pages, SEED(0));
	vm_set_user_memory_region(pf.vm, unrelated, 0, pf_gpa(2 * nr_pages),
				  PF_PAGE, mem);
	ASSERT_EQ(pre_fault(pf.vcpu[1], PF_GPA, PF_PAGE), 0);
	pf_guest_reads(&pf, 0, 1, SEED(0));
	vm_set_user_memory_region(pf.vm, unrelated, 0, pf_gpa(2 * nr_pages), 0,
				  mem);

	ASSERT_EQ(pf_pre_fault(&pf, 0), 0);
	ASSERT_EQ(pf_pre_fault(&pf, 1), 0);
	check_quiet(&pf, SEED(0));
	munmap(mem, PF_PAGE);
	pf_destroy(&pf);
}

/* A thread that makes a single call, which waits for the missing page. */
struct waiter {
	pthread_t thread;
	struct pf_vm *pf;
	int (*call)(struct pf_vm *pf);
	int result;
	atomic_bool done;
};

static void *wait_in_call(void *arg)
{
	struct waiter *waiter = arg;

	waiter->result = waiter->call(waiter->pf);
	waiter->done = true;
	return NULL;
}

static void start_waiter(struct waiter *waiter, struct pf_vm *pf,
			 int (*call)(struct pf_vm *pf))
{
	waiter->pf = pf;
	waiter->call = call;
	TEST_ASSERT(!pthread_create(&waiter->thread, NULL, wait_in_call,
				    waiter), "pthread_create");
}

static int end_waiter(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	return waiter->result;
}

static int pre_fault_last_page(struct pf_vm *pf)
{
	return pre_fault(pf->vcpu[1], pf_gpa(pf->pages - 1), PF_PAGE);
}

static int delete_the_slot(struct pf_vm *pf)
{
	return pf_set_slot(pf, PF_GPA, 0);
}

static int move_the_slot(struct pf_vm *pf)
{
	return pf_set_slot(pf, pf_gpa(2 * pf->pages), pf->pages);
}

/*
 * Pre-faults page 0 until that fails: while the update has not yet marked the
 * slot, it is an ordinary page that is not mapped.
 */
static int pre_fault_until_error(struct pf_vm *pf)
{
	int r;

	do {
		TEST_ASSERT(!madvise(pf->mem, PF_PAGE, MADV_DONTNEED),
			    "MADV_DONTNEED");
		r = pre_fault_once(pf->vcpu[0], PF_GPA, PF_PAGE, NULL);
	} while (!r);

	return r;
}

/*
 * The waiting pre-fault keeps the update from going on, after it has marked
 * the slot as invalid and before it has deleted or moved it.
 */
static void check_transition(struct pf_vm *pf, int uffd,
			     int (*update)(struct pf_vm *pf))
{
	struct waiter waiter = {}, updater = {};
	int r;

	start_waiter(&waiter, pf, pre_fault_last_page);
	pf_wait_until_missed(uffd);
	start_waiter(&updater, pf, update);

	ASSERT_EQ(pre_fault_until_error(pf), -EAGAIN);
	ASSERT_EQ(pf_pre_fault(pf, 0), -EAGAIN);
	ASSERT_EQ(pre_fault(pf->vcpu[0], 0, PF_PAGE), 0);
	TEST_ASSERT(!waiter.done && !updater.done,
		    "the page is missing and somebody did not wait for it");

	pf_provide_page(uffd, pf->mem + (pf->pages - 1) * PF_PAGE,
			SEED(0) + pf->pages - 1);
	ASSERT_EQ(end_waiter(&updater), 0);
	r = end_waiter(&waiter);
	TEST_ASSERT(!r || r == -EAGAIN || r == -ENOENT,
		    "pre-fault returned %d", r);
	ASSERT_EQ(pf_pre_fault(pf, 0), -ENOENT);
}

static void run_transition(int (*update)(struct pf_vm *pf))
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	int uffd = pf_watch(pf.mem + (nr_pages - 1) * PF_PAGE, 1);

	if (uffd < 0) {
		pf_destroy(&pf);
		return pf_skip("no userfaultfd");
	}

	pf_host_writes(pf.mem, nr_pages - 1, SEED(0));
	check_transition(&pf, uffd, update);

	ASSERT_EQ(pf_set_slot(&pf, PF_GPA, nr_pages), 0);
	WRITE_ONCE(*pf_word(pf.mem, 0), SEED(0));
	check_quiet(&pf, SEED(0));
	close(uffd);
	pf_destroy(&pf);
}

static void test_slot_being_deleted(void)
{
	run_transition(delete_the_slot);
}

static void test_slot_being_moved(void)
{
	run_transition(move_the_slot);
}

/*
 * Processes that end with a pre-fault under way.
 */
typedef void (*child_t)(int ready);

/* Returns when the child says that it is ready. */
static pid_t start_child(child_t child)
{
	int fds[2];
	pid_t pid;
	char c;

	TEST_ASSERT(!pipe(fds), "pipe");
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork");
	if (!pid) {
		close(fds[0]);
		child(fds[1]);
	}

	close(fds[1]);
	TEST_ASSERT(read(fds[0], &c, 1) == 1, "the child ended early");
	close(fds[0]);
	return pid;
}

static void say_ready(int ready)
{
	TEST_ASSERT(write(ready, "", 1) == 1, "write to the pipe");
}

/* Returns the status of the child. */
static int end_child(pid_t pid)
{
	int status;

	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static void wait_for_page_child(int ready)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	int uffd = pf_watch(pf.mem + (nr_pages - 1) * PF_PAGE, 1);
	struct waiter waiter = {};

	start_waiter(&waiter, &pf, pre_fault_last_page);
	pf_wait_until_missed(uffd);
	say_ready(ready);
	end_waiter(&waiter);
	_exit(1);
}

static void test_kill_while_page_is_missing(void)
{
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	pid_t pid;

	if (uffd < 0)
		return pf_skip("no userfaultfd");

	close(uffd);
	pid = start_child(wait_for_page_child);
	kill(pid, SIGKILL);
	ASSERT_EQ(end_child(pid), SIGKILL);
}

/* Takes the memory away under the thread that pre-faults, and exits. */
static void race_child(int ready)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	struct racer racer = { .slot_changes = true, .mem_goes = true };

	start_racer(&racer, &pf);
	say_ready(ready);
	munmap(pf.mem, nr_pages / 2 * PF_PAGE);
	pf_set_slot(&pf, PF_GPA, 0);
	_exit(0);
}

static void test_exit(void)
{
	unsigned int i;

	for (i = 0; i < nr_rounds; i += 4)
		ASSERT_EQ(end_child(start_child(race_child)), 0);
}

/* Killed wherever it happens to be. */
static void race_on_child(int ready)
{
	struct pf_vm pf = pf_create(pf_anon(nr_pages), nr_pages, 0, 2);
	struct racer racer = {};

	start_racer(&racer, &pf);
	say_ready(ready);
	for (;;)
		drop_pages(&pf, 0);
}

static void test_kill(void)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < nr_rounds; i += 4) {
		pid = start_child(race_on_child);
		kill(pid, SIGKILL);
		ASSERT_EQ(end_child(pid), SIGKILL);
	}
}

static const struct pre_fault_case cases[] = {
	{ "obsolete_root", test_obsolete_root },
	{ "slot_being_deleted", test_slot_being_deleted },
	{ "slot_being_moved", test_slot_being_moved },
	{ "kill_while_page_is_missing", test_kill_while_page_is_missing },
	{ "delete_slot", test_delete_slot },
	{ "move_slot", test_move_slot },
	{ "dontneed", test_dontneed },
	{ "mprotect", test_mprotect },
	{ "fork", test_fork },
	{ "ksm", test_ksm },
	{ "parallel_same", test_parallel_same },
	{ "parallel_halves", test_parallel_halves },
	{ "parallel_guest", test_parallel_guest },
	{ "exit", test_exit },
	{ "kill", test_kill },
};

static const struct pf_option options[] = {
	{ 'p', "pages", &nr_pages },
	{ 'n', "rounds", &nr_rounds },
	{ 't', "seconds", &pf_case_seconds },
};

int main(int argc, char *argv[])
{
	pf_case_seconds = 120;
	pf_parse(argc, argv, options, ARRAY_SIZE(options));
	if (nr_pages < 8 || nr_pages % 2 || !nr_rounds)
		pf_usage(argv[0], options, ARRAY_SIZE(options));

	return pf_run_cases(cases, ARRAY_SIZE(cases));
}
