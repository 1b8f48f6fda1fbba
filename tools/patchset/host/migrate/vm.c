// SPDX-License-Identifier: GPL-2.0-only
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
#define MEMORY		"256"

/* QEMU's own. */
#define DOWNTIME_MS	300

#define START_SECONDS	600
#define WAIT_SECONDS	600
#define POLL_MS		100

static void exec_qemu(const struct vm *vm, const char *socket,
		      const char *incoming)
{
	char serial[128], monitor[128], source[128];
	const char *argv[40] = {
		QEMU, "-M", MACHINE, "-cpu", "host", "-m", MEMORY,
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

static bool has_ended(const char *answer)
{
	if (qmp_is(answer, "status", "failed"))
		bail_out("migration: %s", answer);
	return qmp_is(answer, "status", "completed");
}

static void set_downtime_limit(struct vm *vm, int ms)
{
	char arguments[64];

	snprintf(arguments, sizeof(arguments), "{\"downtime-limit\": %d}", ms);
	qmp(&vm->qmp, "migrate-set-parameters", arguments);
}

struct migration vm_migrate(struct vm *vm, const char *path, int passes)
{
	char arguments[128];
	const char *answer;
	int tries = WAIT_SECONDS * 1000 / POLL_MS;

	snprintf(arguments, sizeof(arguments), "{\"uri\": \"exec:cat > %s\"}",
		 path);
	set_downtime_limit(vm, 1);
	qmp(&vm->qmp, "migrate", arguments);
	while (!has_ended(answer = qmp(&vm->qmp, "query-migrate", ""))) {
		if (qmp_number(answer, "dirty-sync-count") >= passes)
			set_downtime_limit(vm, DOWNTIME_MS);
		if (!tries--)
			bail_out("QEMU %d goes on migrating: %s", vm->number,
				 answer);
		usleep(POLL_MS * 1000);
	}
	return (struct migration){
		.downtime = qmp_number(answer, "downtime"),
		.total = qmp_number(answer, "total-time"),
		.bytes = qmp_number(answer, "transferred"),
		.passes = qmp_number(answer, "dirty-sync-count"),
	};
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
