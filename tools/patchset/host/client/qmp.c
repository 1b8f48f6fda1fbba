// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp.h"
#include "say.h"

/* The next line of the monitor's, without its end. */
static const char *read_line(struct qmp *qmp)
{
	char *end;

	while (!(end = memchr(qmp->rest, '\n', qmp->len))) {
		ssize_t n = read(qmp->fd, qmp->rest + qmp->len,
				 sizeof(qmp->rest) - qmp->len);

		if (n <= 0)
			bail_out("QEMU's monitor has gone");
		qmp->len += n;
	}
	*end++ = '\0';
	strcpy(qmp->line, qmp->rest);
	qmp->len -= end - qmp->rest;
	memmove(qmp->rest, end, qmp->len);
	return qmp->line;
}

static bool begins(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

const char *qmp(struct qmp *qmp, const char *command, const char *arguments)
{
	const char *line;

	if (dprintf(qmp->fd, "{\"execute\": \"%s\"%s%s}\n", command,
		    *arguments ? ", \"arguments\": " : "", arguments) < 0)
		bail_out("%s: QEMU's monitor has gone", command);
	do
		line = read_line(qmp);
	while (!begins(line, "{\"return\"") && !begins(line, "{\"error\""));
	if (begins(line, "{\"error\""))
		bail_out("%s: %s", command, line);
	return line;
}

bool qmp_connect(struct qmp *monitor, const char *path, int seconds)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, path);
	monitor->len = 0;
	monitor->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int tries = seconds * 5; connect(monitor->fd, (void *)&address,
					      sizeof(address)); tries--) {
		if (!tries)
			return false;
		usleep(200000);
	}
	read_line(monitor);
	qmp(monitor, "qmp_capabilities", "");
	return true;
}

/* What stands behind "KEY": or NULL. */
static const char *value_of(const char *answer, const char *key)
{
	char name[64];
	const char *found;

	snprintf(name, sizeof(name), "\"%s\": ", key);
	found = strstr(answer, name);
	return found ? found + strlen(name) : NULL;
}

long long qmp_number(const char *answer, const char *key)
{
	const char *value = value_of(answer, key);

	return value ? atoll(value) : -1;
}

bool qmp_is(const char *answer, const char *key, const char *value)
{
	const char *found = value_of(answer, key);
	char want[64];

	snprintf(want, sizeof(want), "\"%s\"", value);
	return found && begins(found, want);
}
