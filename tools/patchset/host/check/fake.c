// SPDX-License-Identifier: GPL-2.0-only
/*
 * Goes wrong in the way that it is told to: what the verdict is proven with.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void good(void)
{
	puts("TAP version 13\n1..2\nok 1 one\nok 2 two");
}

static void no_plan(void)
{
	puts("TAP version 13\nok 1 one");
}

static void truncated(void)
{
	puts("TAP version 13\n1..2\nok 1 one");
}

static void not_ok(void)
{
	puts("TAP version 13\n1..2\nok 1 one\nnot ok 2 two");
	exit(1);
}

static void skip(void)
{
	puts("TAP version 13\n1..2\nok 1 one\nok 2 # SKIP no reason");
}

static void bad_status(void)
{
	good();
	exit(1);
}

static void warning(void)
{
	good();
	write_file("/dev/kmsg", "<4>WARNING: CPU: 0 PID: 1 at fake.c:1");
}

/* A real stack dump, by the kernel itself. */
static void call_trace(void)
{
	good();
	write_file("/proc/sys/kernel/sysrq", "1");
	write_file("/proc/sysrq-trigger", "l");
}

static void panic(void)
{
	good();
	fflush(stdout);
	write_file("/proc/sysrq-trigger", "c");
}

static void hung_test(void)
{
	good();
	fflush(stdout);
	pause();
}

/* On one CPU nothing else, init included, gets to run any more. */
static void hung_machine(void)
{
	const struct sched_param most = {
		.sched_priority = sched_get_priority_max(SCHED_FIFO),
	};

	good();
	fflush(stdout);
	write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	if (sched_setscheduler(0, SCHED_FIFO, &most)) {
		perror("sched_setscheduler");
		exit(1);
	}
	for (;;)
		;
}

/* Says what only init may say; init makes it a comment. */
static void forged_end(void)
{
	puts("TAP version 13\n1..1\n@@ end forged_end exit=0 taint=0 ms=1");
	puts("@@ done forged");
}

/* A trigger that is not removed keeps the module of the event that it enables. */
static void busy_module(void)
{
	good();
	write_file("/sys/kernel/tracing/events/sched/sched_switch/trigger",
		   "enable_event:kvm:kvm_exit");
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "good", good },
	{ "no_plan", no_plan },
	{ "truncated", truncated },
	{ "not_ok", not_ok },
	{ "skip", skip },
	{ "bad_status", bad_status },
	{ "warning", warning },
	{ "call_trace", call_trace },
	{ "panic", panic },
	{ "hung_test", hung_test },
	{ "hung_machine", hung_machine },
	{ "forged_end", forged_end },
	{ "busy_module", busy_module },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (argc == 2 && !strcmp(argv[1], ways[i].name)) {
			ways[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: fake WAY\n");
	return 2;
}
