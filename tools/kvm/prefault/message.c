// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "message.h"
#include "own.h"

#define LINE_LENGTH		512
#define BAR_LENGTH		40
#define BAR_INTERVAL_NS		(100 * 1000000ULL)
#define LINES_INTERVAL_NS	(1000 * 1000000ULL)

static const struct options *options;
static enum progress progress;
static struct stat user;
static bool has_user;
static uint64_t shown_at;

void message_init(const struct options *given)
{
	options = given;
	has_user = !fstat(STDERR_FILENO, &user);
	progress = options->progress;
	if (progress == PROGRESS_AUTO)
		progress = !*options->output && isatty(STDERR_FILENO) ?
			   PROGRESS_BAR : PROGRESS_LINES;
	if (options->quiet)
		progress = PROGRESS_NONE;
}

/* A VMM may have closed stderr, and have opened a disk in its place. */
static bool is_still_user(void)
{
	struct stat now;

	return has_user && !fstat(STDERR_FILENO, &now) &&
	       now.st_dev == user.st_dev && now.st_ino == user.st_ino;
}

static int open_output(void)
{
	if (!*options->output)
		return is_still_user() ? STDERR_FILENO : -1;
	return open(options->output,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK |
		    O_NOCTTY, 0644);
}

static void put(const char *text, size_t length)
{
	struct pollfd out = { .fd = open_output(), .events = POLLOUT };

	if (out.fd < 0)
		return;

	/* It then takes PIPE_BUF bytes at least without waiting. */
	if (poll(&out, 1, 0) == 1 && out.revents == POLLOUT &&
	    write(out.fd, text, length) < 0)
		has_user = has_user && *options->output;
	/* FILE may have got the number, if the VMM has closed stderr. */
	if (*options->output)
		close_own(out.fd);
}

static void put_line(const char *format, va_list arguments)
{
	static const char name[] = "kvm-prefault: ";
	char line[LINE_LENGTH];
	size_t length = sizeof(name) - 1;
	int n;

	memcpy(line, name, length);
	n = vsnprintf(line + length, sizeof(line) - length - 1, format,
		      arguments);
	if (n < 0)
		return;

	length += n;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	put(line, length);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put_line(format, arguments);
	va_end(arguments);
}

void tell(const char *format, ...)
{
	va_list arguments;

	if (options->quiet)
		return;
	va_start(arguments, format);
	put_line(format, arguments);
	va_end(arguments);
}

static void put_bar(uint64_t done, uint64_t total, bool last)
{
	char bar[BAR_LENGTH + 1], line[LINE_LENGTH];
	unsigned int full = (double)done / total * BAR_LENGTH;
	int n;

	memset(bar, '.', BAR_LENGTH);
	memset(bar, '#', full);
	bar[BAR_LENGTH] = '\0';
	n = snprintf(line, sizeof(line), "\rkvm-prefault: [%s] %llu of %llu MiB%s",
		     bar, (unsigned long long)done >> 20,
		     (unsigned long long)total >> 20, last ? "\n" : "");
	put(line, n);
}

/* Whether it is time again; one thread is told so. */
static bool is_due(uint64_t interval)
{
	uint64_t last = __atomic_load_n(&shown_at, __ATOMIC_RELAXED);
	uint64_t now = now_ns();

	return now - last >= interval &&
	       __atomic_compare_exchange_n(&shown_at, &last, now, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void start_progress(void)
{
	__atomic_store_n(&shown_at, now_ns(), __ATOMIC_RELAXED);
}

void show_progress(uint64_t done, uint64_t total, bool last)
{
	if (!total || progress == PROGRESS_NONE)
		return;

	if (done > total)
		done = total;
	if (progress == PROGRESS_BAR) {
		if (last || is_due(BAR_INTERVAL_NS))
			put_bar(done, total, last);
	} else if (!last && is_due(LINES_INTERVAL_NS)) {
		tell("%llu of %llu MiB", (unsigned long long)done >> 20,
		     (unsigned long long)total >> 20);
	}
}
