// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"
#include "vm.h"

#define QEMU		"/usr/bin/qemu-system-x86_64"
/*
 * QEMU 7.2, which emulates the host, delivers an interrupt that VMRUN injects
 * once more, even if the guest has interrupts off, when the time of the host's
 * next timer comes before a #VMEXIT. That hangs a guest that is updating its
 * clock. Without PV EOI the guest's handler has an exit before it does so.
 */
#define CPU		"host,kvm-pv-eoi=off"
#define SOCKET		"/tmp/qmp"
#define STATE		"/tmp/state"
#define TEXT_OF(number)	#number
#define TEXT(number)	TEXT_OF(number)
#define MEMORY		TEXT(MEMORY_MIB)

#define START_SECONDS	120
#define WAIT_SECONDS	300
#define POLL_MS		20
#define MAX_ARGS	48

struct command {
	const char *argv[MAX_ARGS];
	int n;
};

static void add(struct command *command, const char *const *words)
{
	for (; *words; words++) {
		if (command->n == MAX_ARGS - 1)
			bail_out("QEMU has too many arguments");
		command->argv[command->n++] = *words;
	}
}

#define ADD(command, ...) \
	add(command, (const char *const []){ __VA_ARGS__, NULL })

static void make_command(struct command *command, const struct setup *setup)
{
	static char machine[64];

	snprintf(machine, sizeof(machine), "%s,accel=kvm,memory-backend=ram",
		 setup->machine);
	if (setup->wrapper)
		add(command, setup->wrapper);
	ADD(command, QEMU, "-M", machine, "-cpu", CPU, "-m", MEMORY, "-object",
	    setup->prealloc ?
	    "memory-backend-ram,id=ram,size=" MEMORY "M,prealloc=on" :
	    "memory-backend-ram,id=ram,size=" MEMORY "M",
	    "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
	    "-serial", "stdio", "-qmp", "unix:" SOCKET ",server=on,wait=off",
	    "-kernel", "/g/kernel", "-initrd", "/g/toucher", "-S", "-append",
	    "console=ttyS0,115200 quiet panic=-1 mib=" TEXT(TOUCHED_MIB));
	if (setup->incoming)
		ADD(command, "-incoming", "exec:cat " STATE);
}

static void exec_qemu(const struct setup *setup, int in, int out)
{
	struct command command = { .n = 0 };

	/* Nobody would ask it to end, and init waits for that. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	make_command(&command, setup);
	execv(command.argv[0], (char **)command.argv);
	perror(command.argv[0]);
	_exit(127);
}

static void wait_incoming(struct vm *vm)
{
	for (int tries = WAIT_SECONDS * 1000 / POLL_MS; tries; tries--) {
		if (!qmp_is(qmp(&vm->qmp, "query-status", ""), "status",
			    "inmigrate"))
			return;
		usleep(POLL_MS * 1000);
	}
	bail_out("QEMU goes on reading");
}

void vm_start(struct vm *vm, const struct setup *setup)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		bail_out("pipe: %m");
	unlink(SOCKET);
	vm->corrupt = false;
	vm->pid = fork();
	if (vm->pid < 0)
		bail_out("fork: %m");
	if (!vm->pid)
		exec_qemu(setup, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	vm->keyboard = to[1];
	vm->console = fdopen(from[0], "r");
	if (!vm->console)
		bail_out("fdopen: %m");
	if (!qmp_connect(&vm->qmp, SOCKET, START_SECONDS))
		bail_out("QEMU does not start");
	if (setup->incoming)
		wait_incoming(vm);
}

void vm_continue(struct vm *vm)
{
	qmp(&vm->qmp, "cont", "");
}

/* The test hangs otherwise, and nobody would know why. */
static void on_alarm(int sig)
{
	static const char message[] = "Bail out! the guest says no more\n";

	(void)sig;
	if (write(STDOUT_FILENO, message, sizeof(message) - 1) < 0)
		_exit(2);
	_exit(1);
}

static const char *next_line(struct vm *vm, char *line, int size)
{
	const char *got;

	signal(SIGALRM, on_alarm);
	alarm(WAIT_SECONDS);
	got = fgets(line, size, vm->console);
	alarm(0);
	return got;
}

const char *vm_wait(struct vm *vm, const char *words)
{
	static char line[512];

	while (next_line(vm, line, sizeof(line))) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!strncmp(line, words, strlen(words)))
			return line + strlen(words);
		if (*line)
			printf("# guest: %s\n", line);
		vm->corrupt |= !!strstr(line, "CORRUPT");
	}
	bail_out("QEMU has ended: no \"%s\" of the guest's", words);
}

unsigned long long vm_pass(struct vm *vm)
{
	unsigned long long pass, ns;

	if (write(vm->keyboard, "\n", 1) != 1)
		bail_out("QEMU has ended: the guest cannot be told");
	if (sscanf(vm_wait(vm, "touch: pass "), "%llu, %llu ns", &pass, &ns) != 2)
		bail_out("the guest does not say how long its pass took");
	return ns;
}

static bool has_ended(const char *answer)
{
	if (qmp_is(answer, "status", "failed"))
		bail_out("saving: %s", answer);
	return qmp_is(answer, "status", "completed");
}

void vm_save(struct vm *vm)
{
	/* As fast as it goes, in one pass over a guest that does not change. */
	qmp(&vm->qmp, "stop", "");
	qmp(&vm->qmp, "migrate-set-parameters", "{\"max-bandwidth\": 0}");
	qmp(&vm->qmp, "migrate", "{\"uri\": \"exec:cat > " STATE "\"}");
	for (int tries = WAIT_SECONDS * 1000 / POLL_MS; tries; tries--) {
		if (has_ended(qmp(&vm->qmp, "query-migrate", "")))
			return;
		usleep(POLL_MS * 1000);
	}
	bail_out("QEMU goes on saving");
}

int vm_quit(struct vm *vm)
{
	int status;

	qmp(&vm->qmp, "quit", "");
	if (waitpid(vm->pid, &status, 0) != vm->pid)
		bail_out("waitpid: %m");
	close(vm->qmp.fd);
	close(vm->keyboard);
	fclose(vm->console);
	return status;
}
