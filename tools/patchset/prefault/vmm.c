// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM for tests, on a KVM that need not be real.  Its arguments, those behind
 * "--" if there is one, are what it does, in order:
 *
 *	vm			a VM
 *	slot=N,GPA,MIB,HOST	a memslot; HOST: full, none or half (every second
 *				page, from the first) of it is in host memory, or
 *				zero: has been read, and has the zero page, or
 *				huge-zero: a huge one; or shared: a file's; or
 *				tail: the last 64 KiB of each 2 MiB are; or askew:
 *				as full, but no 2 MiB of it can be in a huge page
 *	delete=N		that slot
 *	vcpu			one more, with the next index
 *	run=INDEX		KVM_RUN
 *	threads			KVM_RUN of all vCPUs, in a thread each
 *	kick=INDEX,HOW		KVM_RUN, and a signal after 100 ms, which is noted
 *				in FAKE_LOG. HOW: exit, the handler sets
 *				immediate_exit; mask, the thread blocks it and
 *				KVM_SET_SIGNAL_MASK does not; plain, the handler
 *				does nothing; ignored
 *	handle=HOW		what kick= would do with SIGUSR1, for FAKE_KICK_STATS
 *	spare			a thread that takes a SIGUSR1 for the process 300 ms
 *				later than it could
 *	kick-all		as kick=INDEX,plain of all vCPUs at a time
 *	delete-under=INDEX,N	KVM_RUN, and after 100 ms deletes slot N
 *	close=INDEX dup=INDEX	a vCPU's descriptor; run= is of the duplicate
 *	closevm
 *	close-in-handler	the VM's descriptor, in a signal handler that ends this
 *	confine			prctl(PR_SET_NO_NEW_PRIVS)
 *	fork=exit		a child that exits; what follows is the parent's
 *	fork=confine		a child that confines itself and exits
 *	fork=go			what follows is the child's, the parent waits
 *	exec			prints LD_PRELOAD as a child sees it
 *	sleep=MS
 *	stderr=FILE		closes stderr and opens a file in its place
 *	no-stderr		closes stderr
 *	open=FD			prints whether it is open
 *
 * It prints what each KVM_RUN gave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kvm.h>

#define PAGE		4096
#define HUGE		(2UL << 20)
#define TAIL		(64UL << 10)
#define VCPUS_MAX	64

static int vm_fd, vcpu_fds[VCPUS_MAX], vcpus;
static struct kvm_run *runs[VCPUS_MAX];
static struct kvm_run *kicked_run;

static void check(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* The KVM that is not real does without /dev/kvm. */
static void create_vm(void)
{
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	close(kvm_fd);
}

/* So that huge pages fit, or do not. */
static char *map_memory(size_t size, long long gpa, const char *how)
{
	int flags = strcmp(how, "shared") ? MAP_PRIVATE : MAP_SHARED;
	char *memory = mmap(NULL, size + 2 * HUGE, PROT_READ | PROT_WRITE,
			    flags | MAP_ANONYMOUS, -1, 0);

	check(memory != MAP_FAILED, "mmap");
	memory += -(uintptr_t)memory % HUGE + gpa % HUGE;
	return strcmp(how, "askew") ? memory : memory + PAGE;
}

static bool is_touched(size_t offset, const char *how)
{
	if (!strcmp(how, "tail"))
		return offset % HUGE >= HUGE - TAIL;
	return strcmp(how, "none");
}

static char *host_memory(size_t size, long long gpa, const char *how)
{
	size_t offset, stride = !strcmp(how, "half") ? 2 * PAGE : PAGE;
	char *memory = map_memory(size, gpa, how);

	madvise(memory, size, strcmp(how, "huge-zero") ? MADV_NOHUGEPAGE :
						      MADV_HUGEPAGE);
	for (offset = 0; offset < size; offset += stride) {
		if (!is_touched(gpa + offset, how))
			continue;
		if (!strstr(how, "zero"))
			memory[offset] = 1;
		else
			__atomic_load_n(&memory[offset], __ATOMIC_RELAXED);
	}
	return memory;
}

static void set_slot(const char *text)
{
	struct kvm_userspace_memory_region region = { };
	long long gpa = 0;
	char how[16] = "full";
	unsigned int mib = 0;

	if (sscanf(text, "%u,%lli,%u,%15s", &region.slot, &gpa, &mib, how) < 1)
		exit(2);
	region.guest_phys_addr = gpa;
	region.memory_size = (size_t)mib << 20;
	if (mib)
		region.userspace_addr =
			(unsigned long)host_memory(region.memory_size, gpa, how);
	check(!ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region), "slot");
}

static void create_vcpu(void)
{
	int fd = ioctl(vm_fd, KVM_CREATE_VCPU, vcpus);

	check(fd >= 0, "vcpu");
	runs[vcpus] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   0);
	check(runs[vcpus] != MAP_FAILED, "kvm_run");
	runs[vcpus]->exit_reason = KVM_EXIT_IO;
	vcpu_fds[vcpus++] = fd;
}

static void run_vcpu(int index)
{
	int r;

	errno = ENOTUNIQ;	/* must be as it was if nothing is wrong */
	r = ioctl(vcpu_fds[index], KVM_RUN, 0);
	printf("run %d: %d %s, immediate_exit %d, exit %s\n", index, r,
	       strerrorname_np(errno), runs[index]->immediate_exit,
	       runs[index]->exit_reason == KVM_EXIT_INTR ? "intr" : "io");
	fflush(stdout);
}

static void *run_in_thread(void *index)
{
	run_vcpu((long)index);
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[VCPUS_MAX];
	long i;

	for (i = 0; i < vcpus; i++)
		check(!pthread_create(&threads[i], NULL, run_in_thread,
				      (void *)i), "thread");
	for (i = 0; i < vcpus; i++)
		pthread_join(threads[i], NULL);
}

static void handle_exit(int signal)
{
	(void)signal;
	kicked_run->immediate_exit = 1;
}

static void handle_plain(int signal)
{
	(void)signal;
}

static void set_masks(int fd)
{
	struct {
		__u32 len;
		__u8 set[8];
	} mask = { .len = 8 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	check(!ioctl(fd, KVM_SET_SIGNAL_MASK, &mask), "mask");
}

struct kicked {
	int index;
	const char *how;
};

static void *run_kicked(void *data)
{
	struct kicked *kicked = data;

	if (!strcmp(kicked->how, "mask"))
		set_masks(vcpu_fds[kicked->index]);
	run_vcpu(kicked->index);
	return NULL;
}

static void set_handler(const char *how, int signal)
{
	struct sigaction action = { };

	action.sa_handler = handle_plain;
	if (!strcmp(how, "exit"))
		action.sa_handler = handle_exit;
	if (!strcmp(how, "ignored"))
		action.sa_handler = SIG_IGN;
	sigaction(signal, &action, NULL);
}

static void note_kick(void)
{
	static const char line[] = "0 kick 0\n";
	const char *path = getenv("FAKE_LOG");
	int fd = open(path ? path : "/dev/null", O_WRONLY | O_APPEND);

	check(write(fd, line, strlen(line)) > 0, "note");
	close(fd);
}

static void run_and_kick(const char *text)
{
	struct kicked kicked = { .index = atoi(text),
				 .how = strchr(text, ',') + 1 };
	int signal = strcmp(kicked.how, "mask") ? SIGUSR1 : SIGUSR2;
	pthread_t thread;

	kicked_run = runs[kicked.index];
	set_handler(kicked.how, signal);
	check(!pthread_create(&thread, NULL, run_kicked, &kicked), "thread");
	usleep(100000);
	note_kick();
	pthread_kill(thread, signal);
	pthread_join(thread, NULL);
	kicked_run->immediate_exit = 0;
}

static void run_and_kick_all(void)
{
	struct kicked kicked[VCPUS_MAX];
	pthread_t threads[VCPUS_MAX];
	int i;

	set_handler("plain", SIGUSR1);
	for (i = 0; i < vcpus; i++) {
		kicked[i] = (struct kicked){ .index = i, .how = "plain" };
		check(!pthread_create(&threads[i], NULL, run_kicked, &kicked[i]),
		      "thread");
	}
	usleep(100000);
	for (i = 0; i < vcpus; i++)
		pthread_kill(threads[i], SIGUSR1);
	for (i = 0; i < vcpus; i++)
		pthread_join(threads[i], NULL);
}

static void run_and_delete(const char *text)
{
	struct kicked run = { .index = atoi(text), .how = "" };
	pthread_t thread;

	check(!pthread_create(&thread, NULL, run_kicked, &run), "thread");
	usleep(100000);
	set_slot(strchr(text, ',') + 1);
	pthread_join(thread, NULL);
}

static void *take_signals(void *data)
{
	sigset_t set;
	int signal;

	(void)data;
	sigemptyset(&set);
	while (true) {
		usleep(1000);
		sigpending(&set);
		if (sigismember(&set, SIGUSR1) != 1)
			continue;
		usleep(300000);
		sigwait(&set, &signal);
	}
	return NULL;
}

static void start_spare(void)
{
	sigset_t set, old;
	pthread_t thread;

	set_handler("plain", SIGUSR1);
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	check(!pthread_create(&thread, NULL, take_signals, NULL), "thread");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void set_own_handler(const char *how)
{
	kicked_run = runs[0];
	set_handler(how, SIGUSR1);
}

static void handle_by_close(int signal)
{
	(void)signal;
	ioctl(-1, KVM_S390_STORE_STATUS, 0);	/* no free() now */
	close(vm_fd);
	_exit(0);
}

static void close_in_handler(void)
{
	signal(SIGUSR1, handle_by_close);
	raise(SIGUSR1);
}

static void run_child(const char *what)
{
	bool child_ends = strcmp(what, "go");
	int status = 0;
	pid_t pid = fork();

	if (!pid && !strcmp(what, "confine"))
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!pid && child_ends)
		exit(0);
	if (pid)
		waitpid(pid, &status, 0);
	if (pid && !child_ends)
		exit(WEXITSTATUS(status));
}

static void act(const char *verb, const char *value)
{
	if (!strcmp(verb, "vm"))
		create_vm();
	else if (!strcmp(verb, "slot") || !strcmp(verb, "delete"))
		set_slot(value);
	else if (!strcmp(verb, "vcpu"))
		create_vcpu();
	else if (!strcmp(verb, "run"))
		run_vcpu(atoi(value));
	else if (!strcmp(verb, "threads"))
		run_threads();
	else if (!strcmp(verb, "kick"))
		run_and_kick(value);
	else if (!strcmp(verb, "handle"))
		set_own_handler(value);
	else if (!strcmp(verb, "spare"))
		start_spare();
	else if (!strcmp(verb, "kick-all"))
		run_and_kick_all();
	else if (!strcmp(verb, "delete-under"))
		run_and_delete(value);
	else if (!strcmp(verb, "close"))
		close(vcpu_fds[atoi(value)]);
	else if (!strcmp(verb, "dup"))
		vcpu_fds[atoi(value)] = dup(vcpu_fds[atoi(value)]);
	else if (!strcmp(verb, "closevm"))
		close(vm_fd);
	else if (!strcmp(verb, "close-in-handler"))
		close_in_handler();
	else if (!strcmp(verb, "confine"))
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	else if (!strcmp(verb, "fork"))
		run_child(value);
	else if (!strcmp(verb, "exec"))
		check(!system("echo preload=$LD_PRELOAD"), "exec");
	else if (!strcmp(verb, "sleep"))
		usleep(1000 * atoi(value));
	else if (!strcmp(verb, "no-stderr"))
		check(!close(2), "stderr");
	else if (!strcmp(verb, "open"))
		printf("open: %d\n", fcntl(atoi(value), F_GETFD) >= 0);
	else if (!strcmp(verb, "stderr"))
		check(!close(2) && open(value, O_WRONLY | O_CREAT, 0644) == 2,
		      "stderr");
}

int main(int argc, char **argv)
{
	int i, first = 1;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			first = i + 1;

	for (i = first; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value)
			*value++ = '\0';
		act(argv[i], value);
	}
	return 0;
}
