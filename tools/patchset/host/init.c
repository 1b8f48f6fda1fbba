// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a test host.
 *
 * Runs the tests listed in /tests, one after the other, and writes what they
 * say to the verdict channel, which nothing else in the machine writes to: the
 * second serial port, or on powerpc, which has one only, a virtio port.  A line of /tests is
 *
 *	NAME KIND TIMEOUT PROGRAM [ARGUMENT]...
 *
 * KIND "tap" is a program that prints TAP.  KIND "exit" is one that only has
 * an exit status, which is turned into TAP here.  TIMEOUT is in seconds.
 *
 * Where there is /modules, it loads the modules that are listed there before
 * the first test, and unloads them in reverse order after the last.  It does
 * both once more, as what they have left behind may be in their own way.
 *
 * Lines on the channel that start with "@@ " are from init, all others are
 * from a test:
 *
 *	@@ start NAME
 *	@@ end NAME exit=N|signal=N|timeout taint=N ms=N
 *	@@ load NAME ok|ERROR	each time that a module is loaded
 *	@@ unload NAME ok|ERROR
 *	@@ loaded [NAME]...	modules that are there after the last unload
 *	@@ kmemleak N		lines of leak reports, which follow as comments
 *	@@ done RUN		RUN is run= of the kernel's command line
 *
 * "done" is the very last thing that is written.  The name of the test that
 * runs is also written to the kernel log, so that a splat on the console can
 * be attributed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "module.h"

#ifdef __powerpc__
#define CHANNEL		"/dev/vport0p1"
#else
#define CHANNEL		"/dev/ttyS1"
#endif
#define DISK		"/dev/vda"
#define DISK_DIR	"/disk"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define KSFT_SKIP	4
#define MAX_ARGS	32
#define MAX_MODULES	8
/* kmemleak ignores objects that are younger than five seconds. */
#define LEAK_AGE	6

static FILE *channel;

static char modules[MAX_MODULES][MODULE_NAME];
static int nr_modules;

struct test {
	const char *name;
	bool tap;
	int timeout;
	char *argv[MAX_ARGS + 1];
};

struct outcome {
	int status;		/* from waitpid() */
	bool timed_out;
	long ms;
};

/* One output stream of a test, cut into lines. */
struct stream {
	int fd;
	size_t len;
	char buf[4096];
};

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void die(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	power_off();
}

static void mount_on(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	/* Not every kernel has debugfs or tracefs: tests say what they miss. */
	if (mount(type, dir, type, 0, NULL))
		fprintf(stderr, "init: no %s: %s\n", type, strerror(errno));
}

static void mount_all(void)
{
	mount_on("devtmpfs", "/dev");
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("debugfs", "/sys/kernel/debug");
	mount_on("tracefs", "/sys/kernel/tracing");
	mount_on("tmpfs", "/dev/shm");
	mount_on("hugetlbfs", "/dev/hugepages");
	mount_on("tmpfs", "/tmp");
}

/* What is on the disk is seen at its usual place, next to what is here. */
static void link_from_disk(void)
{
	DIR *dir = opendir(DISK_DIR);
	char from[PATH_MAX], to[PATH_MAX];
	struct dirent *entry;

	if (!dir)
		die(DISK_DIR);
	while ((entry = readdir(dir))) {
		snprintf(from, sizeof(from), DISK_DIR "/%s", entry->d_name);
		snprintf(to, sizeof(to), "/%s", entry->d_name);
		if (symlink(from, to) && errno != EEXIST)
			die(to);
	}
	closedir(dir);
}

/* A root of Debian's has mounted all by itself. */
static bool is_initramfs(void)
{
	struct statfs root;

	if (statfs("/", &root))
		die("/");
	return root.f_type == RAMFS_MAGIC || root.f_type == TMPFS_MAGIC;
}

/* Hosts whose tests need a distribution's programs have a disk with them. */
static void mount_disk(void)
{
	if (access(DISK, F_OK))
		return;
	mkdir(DISK_DIR, 0755);
	if (mount(DISK, DISK_DIR, "ext4", MS_RDONLY, NULL))
		die(DISK);
	link_from_disk();
}

static void set_raw(int tty)
{
	struct termios tio;

	if (tcgetattr(tty, &tio))
		die(CHANNEL);
	cfmakeraw(&tio);
	cfsetspeed(&tio, B115200);
	tio.c_cflag |= CLOCAL;
	if (tcsetattr(tty, TCSANOW, &tio))
		die(CHANNEL);
}

static void open_channel(void)
{
	int fd = open(CHANNEL, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die(CHANNEL);
	if (isatty(fd))
		set_raw(fd);
	channel = fdopen(fd, "w");
	if (!channel)
		die(CHANNEL);
}

/*
 * What was said so far has left the machine when this returns: a virtio port
 * waits by itself.
 */
static void flush_channel(void)
{
	fflush(channel);
	tcdrain(fileno(channel));
}

/* Not by dprintf(), which seeks: /dev/kmsg refuses that. */
static void mark_log(const char *what, const char *name)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[256];
	int len = snprintf(line, sizeof(line), "<5>host: %s %s\n", what, name);

	if (fd < 0 || write(fd, line, len) != len)
		perror("init: /dev/kmsg");
	close(fd);
}

/* The first line of a file, without its end, or NULL. */
static char *first_line(const char *path)
{
	static char line[2048];
	FILE *f = fopen(path, "re");
	char *got;

	if (!f)
		return NULL;
	got = fgets(line, sizeof(line), f);
	fclose(f);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

static const char *taint(void)
{
	const char *line = first_line("/proc/sys/kernel/tainted");

	return line ? line : "unknown";
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool starts_with(const char *line, const char *prefix)
{
	return !strncmp(line, prefix, strlen(prefix));
}

static bool is_tap(const char *line)
{
	/* Indented lines are the result of a subtest. */
	return starts_with(line, "TAP version ") || starts_with(line, "1..") ||
	       starts_with(line, "ok ") || starts_with(line, "not ok ") ||
	       starts_with(line, "Bail out!") || starts_with(line, "#") ||
	       starts_with(line, "    ");
}

/* Only a test that speaks TAP may say anything but comments. */
static void put_line(const struct test *test, const char *line)
{
	fprintf(channel, "%s%s\n", test->tap && is_tap(line) ? "" : "# ", line);
}

static void put_lines(const struct test *test, struct stream *s)
{
	char *line = s->buf, *end;

	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		put_line(test, line);
		line = end + 1;
	}
	s->len -= line - s->buf;
	memmove(s->buf, line, s->len + 1);
}

/* An unfinished line is told when the stream ends or the buffer is full. */
static void put_rest(const struct test *test, struct stream *s)
{
	if (s->len)
		put_line(test, s->buf);
	s->len = 0;
}

/* Returns false at the end of the stream. */
static bool read_stream(const struct test *test, struct stream *s)
{
	size_t room = sizeof(s->buf) - 1 - s->len;
	ssize_t n = read(s->fd, s->buf + s->len, room);

	if (n <= 0) {
		if (n < 0 && errno == EAGAIN)
			return true;
		put_rest(test, s);
		return false;
	}
	/* A NUL would end the line for strchr(). */
	for (char *p = s->buf + s->len; p < s->buf + s->len + n; p++)
		if (!*p)
			*p = '?';
	s->len += n;
	s->buf[s->len] = '\0';
	put_lines(test, s);
	if (s->len == sizeof(s->buf) - 1)
		put_rest(test, s);
	return true;
}

static pid_t spawn(const struct test *test, int out, int err)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execv(test->argv[0], test->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", test->argv[0], strerror(errno));
	_exit(127);
}

/* Copies both streams until they end or the time is over. */
static bool copy_output(const struct test *test, struct stream s[2], long end)
{
	struct pollfd fds[2] = {
		{ .fd = s[0].fd, .events = POLLIN },
		{ .fd = s[1].fd, .events = POLLIN },
	};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		long left = end - now_ms();

		if (left <= 0)
			return false;
		if (poll(fds, 2, left) < 0 && errno != EINTR)
			die("poll");
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !read_stream(test, &s[i]))
				fds[i].fd = -1;
		fflush(channel);
	}
	return true;
}

/* The streams may end before the test does, or outlive it in a child. */
static bool wait_until(pid_t pid, int *status, long end)
{
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (now_ms() >= end)
			return false;
		usleep(10000);
	}
	return true;
}

static void reap_all(void)
{
	kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
}

static struct outcome run(const struct test *test)
{
	static struct stream s[2];
	long start = now_ms(), end = start + test->timeout * 1000L;
	struct outcome outcome = { 0 };
	int out[2], err[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("pipe");
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	s[0] = (struct stream){ .fd = out[0] };
	s[1] = (struct stream){ .fd = err[0] };

	pid = spawn(test, out[1], err[1]);
	if (pid < 0)
		die("fork");
	close(out[1]);
	close(err[1]);

	outcome.timed_out = !copy_output(test, s, end) ||
			    !wait_until(pid, &outcome.status, end);
	if (outcome.timed_out) {
		kill(pid, SIGKILL);
		waitpid(pid, &outcome.status, 0);
	}
	reap_all();
	put_rest(test, &s[0]);
	put_rest(test, &s[1]);
	close(out[0]);
	close(err[0]);
	outcome.ms = now_ms() - start;
	return outcome;
}

static void put_exit_as_tap(const struct test *test, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		fprintf(channel, "ok 1 %s\n", test->name);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		fprintf(channel, "ok 1 # SKIP %s\n", test->name);
	else
		fprintf(channel, "not ok 1 %s\n", test->name);
}

static void run_and_tell(const struct test *test)
{
	struct outcome outcome;

	mark_log("start", test->name);
	fprintf(channel, "@@ start %s\n", test->name);
	if (!test->tap)
		fprintf(channel, "TAP version 13\n1..1\n");
	flush_channel();

	outcome = run(test);
	if (!test->tap && !outcome.timed_out)
		put_exit_as_tap(test, outcome.status);

	fprintf(channel, "@@ end %s ", test->name);
	if (outcome.timed_out)
		fprintf(channel, "timeout");
	else if (WIFEXITED(outcome.status))
		fprintf(channel, "exit=%d", WEXITSTATUS(outcome.status));
	else
		fprintf(channel, "signal=%d", WTERMSIG(outcome.status));
	fprintf(channel, " taint=%s ms=%ld\n", taint(), outcome.ms);
	flush_channel();
	mark_log("end", test->name);
}

/* Cuts a line of /tests into words.  Returns false for an empty line. */
static bool parse(char *line, struct test *test)
{
	const char *kind, *timeout;
	int n = 0;

	test->name = strtok(line, " \n");
	kind = strtok(NULL, " \n");
	timeout = strtok(NULL, " \n");
	while (n < MAX_ARGS && (test->argv[n] = strtok(NULL, " \n")))
		n++;
	test->argv[n] = NULL;
	if (!n)
		return false;
	test->tap = !strcmp(kind, "tap");
	test->timeout = atoi(timeout);
	return true;
}

static void run_tests(void)
{
	FILE *list = fopen("/tests", "re");
	char line[4096];
	struct test test;

	if (!list)
		die("/tests");
	while (fgets(line, sizeof(line), list))
		if (parse(line, &test))
			run_and_tell(&test);
	fclose(list);
}

static void read_modules(void)
{
	FILE *list = fopen(MODULE_LIST, "re");

	if (!list)
		return;
	while (nr_modules < MAX_MODULES &&
	       fgets(modules[nr_modules], MODULE_NAME, list)) {
		char *name = modules[nr_modules++];

		name[strcspn(name, "\n")] = '\0';
	}
	fclose(list);
}

/* Returns whether it could be done. */
static bool step(const char *what, int (*take)(const char *name),
		 const char *name)
{
	int error;

	mark_log(what, name);
	error = take(name);
	fprintf(channel, "@@ %s %s %s\n", what, name,
		error ? strerror(-error) : "ok");
	flush_channel();
	return !error;
}

/* Returns whether all could be loaded. */
static bool load_modules(void)
{
	bool done = true;

	for (int i = 0; i < nr_modules; i++)
		done &= step("load", module_load, modules[i]);
	return done;
}

static void unload_modules(void)
{
	for (int i = nr_modules - 1; i >= 0; i--)
		step("unload", module_unload, modules[i]);
}

static void put_loaded(void)
{
	FILE *list = fopen("/proc/modules", "re");
	char line[1024];

	if (!list)
		return;
	fprintf(channel, "@@ loaded");
	while (fgets(line, sizeof(line), list))
		fprintf(channel, " %.*s", (int)strcspn(line, " "), line);
	fprintf(channel, "\n");
	fclose(list);
}

static void load_run_unload(void)
{
	read_modules();
	if (load_modules())
		run_tests();
	unload_modules();
	load_modules();
	unload_modules();
	if (nr_modules)
		put_loaded();
}

static void kmemleak(const char *command)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, command, strlen(command)) < 0)
		fprintf(channel, "# kmemleak %s: %s\n", command,
			strerror(errno));
	close(fd);
}

/* A leak is only reported by the second scan that finds it unchanged. */
static void scan_for_leaks(void)
{
	char line[256];
	int lines = 0;
	FILE *f;

	if (access(KMEMLEAK, F_OK))
		return;
	sleep(LEAK_AGE);
	kmemleak("scan");
	kmemleak("scan");
	f = fopen(KMEMLEAK, "re");
	while (f && fgets(line, sizeof(line), f)) {
		fprintf(channel, "# %s", line);
		lines++;
	}
	fprintf(channel, "@@ kmemleak %d\n", f ? lines : -1);
	if (f)
		fclose(f);
}

/* Not from the environment, of which systemd's services have their own. */
static const char *run_id(void)
{
	char *word = first_line("/proc/cmdline");

	for (word = strtok(word, " "); word; word = strtok(NULL, " "))
		if (starts_with(word, "run="))
			return word + strlen("run=");
	return "without-id";
}

int main(void)
{
	const struct rlimit cores = { 0, 0 };

	if (is_initramfs()) {
		mount_all();
		mount_disk();
	}
	open_channel();
	setrlimit(RLIMIT_CORE, &cores);
	chdir("/tmp");
	load_run_unload();
	scan_for_leaks();
	fprintf(channel, "@@ done %s\n", run_id());
	flush_channel();
	power_off();
}
