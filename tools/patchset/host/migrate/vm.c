// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"
#include "trace.h"
#include "vm.h"

#define QEMU		"/usr/bin/qemu-system-ppc64"
/* What QEMU would mitigate by default, the emulated POWER9 does not know. */
#define MACHINE		"pseries,accel=kvm,cap-cfpc=broken,cap-sbbc=broken," \
			"cap-ibs=broken,cap-ccf-assist=off,cap-large-decr=off," \
			"ic-mode=xics,kernel-irqchip=off"

/*
 * QEMU sends of the table what it can in 5 ms whenever it has sent all memory that
 * is dirty.  A limit in bytes per second makes it wait meanwhile, and so leaves the
 * host's one CPU to the guest: for some hundred changes with the first, for thousands
 * with the second.
 */
#define LIVE_LIMIT	(16 * 1024 * 1024)
#define WAIT_LIMIT	(1024 * 1024)
#define WAIT_MS		300

/* How long the guest may be stopped for the rest: this makes QEMU go on, or stop. */
#define GO_ON_MS	1
#define STOP_MS		60000

#define START_SECONDS	600
#define WAIT_SECONDS	600
#define POLL_MS		100

static void exec_qemu(const struct vm *vm, const char *socket,
		      const char *incoming)
{
	char serial[128], monitor[128], source[128], memory[16];
	const char *argv[40] = {
		QEMU, "-M", MACHINE, "-cpu", "host", "-m", memory,
		"-nodefaults", "-display", "none", "-serial", serial,
		"-qmp", monitor, "-kernel", "/g/kernel", "-initrd", "/g/churn",
		"-append", "console=hvc0 quiet panic=-1", "-no-reboot",
		"-D", vm->trace, TRACE_OPTIONS,
	};
	int n = 0;

	/* Without the test there is nobody to ask, and init waits for the end. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(serial, sizeof(serial), "file:%s", vm->console);
	snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", socket);
	snprintf(source, sizeof(source), "exec:cat %s", incoming ?: "");
	snprintf(memory, sizeof(memory), "%d", VM_MEMORY);
	while (argv[n])
		n++;
	if (incoming) {
		argv[n++] = "-S";
		argv[n++] = "-incoming";
		argv[n++] = source;
	}
	execv(QEMU, (char **)argv);
	perror(QEMU);
	_exit(127);
}

void vm_start(struct vm *vm, int number, const char *incoming)
{
	char socket[64];

	vm->number = number;
	snprintf(vm->console, sizeof(vm->console), "/tmp/console-%d", number);
	snprintf(socket, sizeof(socket), "/tmp/qmp-%d", number);
	snprintf(vm->trace, sizeof(vm->trace), "/tmp/trace-%d", number);
	vm->pid = fork();
	if (vm->pid < 0)
		bail_out("fork: %m");
	if (!vm->pid)
		exec_qemu(vm, socket, incoming);
	if (!qmp_connect(&vm->qmp, socket, START_SECONDS))
		bail_out("QEMU %d does not start", number);
}

void vm_wait_incoming(struct vm *vm)
{
	for (int tries = WAIT_SECONDS * 1000 / POLL_MS; tries; tries--) {
		if (!qmp_is(qmp(&vm->qmp, "query-status", ""), "status",
			    "inmigrate"))
			return;
		usleep(POLL_MS * 1000);
	}
	bail_out("QEMU %d goes on reading", vm->number);
}

static void limit(struct vm *vm, const char *what, int value)
{
	char arguments[64];

	snprintf(arguments, sizeof(arguments), "{\"%s\": %d}", what, value);
	qmp(&vm->qmp, "migrate-set-parameters", arguments);
}

#define OVER		LLONG_MAX

/* The passes over memory that have begun, or that the migration is over. */
static long long pass(struct vm *vm)
{
	const char *answer = qmp(&vm->qmp, "query-migrate", "");

	if (qmp_is(answer, "status", "failed"))
		bail_out("migration: %s", answer);
	if (qmp_is(answer, "status", "completed"))
		return OVER;
	return qmp_number(answer, "dirty-sync-count");
}

static void wait_for_pass(struct vm *vm, long long wanted)
{
	long long now = 0;

	for (int tries = WAIT_SECONDS * 1000 / POLL_MS; tries; tries--) {
		now = pass(vm);
		if (now >= wanted)
			return;
		usleep(POLL_MS * 1000);
	}
	bail_out("QEMU %d is still in pass %lld over memory", vm->number, now);
}

static struct migration figures(struct vm *vm)
{
	const char *answer = qmp(&vm->qmp, "query-migrate", "");

	return (struct migration){
		.downtime = qmp_number(answer, "downtime"),
		.total = qmp_number(answer, "total-time"),
		.bytes = qmp_number(answer, "transferred"),
		.passes = qmp_number(answer, "dirty-sync-count"),
	};
}

struct migration vm_migrate(struct vm *vm, const char *path, int passes)
{
	char arguments[128];

	limit(vm, "downtime-limit", GO_ON_MS);
	limit(vm, "max-bandwidth", LIVE_LIMIT);
	snprintf(arguments, sizeof(arguments), "{\"uri\": \"exec:cat > %s\"}",
		 path);
	qmp(&vm->qmp, "migrate", arguments);
	wait_for_pass(vm, passes);
	limit(vm, "max-bandwidth", WAIT_LIMIT);
	usleep(WAIT_MS * 1000);
	limit(vm, "downtime-limit", STOP_MS);
	wait_for_pass(vm, OVER);
	return figures(vm);
}

int vm_count(const struct vm *vm, const char *text)
{
	FILE *console = fopen(vm->console, "re");
	char line[512];
	int count = 0;

	if (!console)
		bail_out("%s: %m", vm->console);
	while (fgets(line, sizeof(line), console))
		count += !!strstr(line, text);
	fclose(console);
	return count;
}

void vm_quit(struct vm *vm)
{
	qmp(&vm->qmp, "quit", "");
	close(vm->qmp.fd);
	waitpid(vm->pid, NULL, 0);
}
