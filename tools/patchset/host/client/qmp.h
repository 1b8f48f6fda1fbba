/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QMP_H
#define QMP_H

#include <stdbool.h>

/* QEMU's monitor, on a unix socket. */
struct qmp {
	int fd;
	unsigned int len;
	char line[16384];	/* the last answer */
	char rest[16384];	/* what came behind it */
};

/* Waits for the socket, as QEMU may still be starting; false after a while. */
bool qmp_connect(struct qmp *qmp, const char *path, int seconds);

/*
 * Executes a command with arguments, "" or a JSON object.  Returns the answer,
 * one line of JSON; bails out if it is an error.
 */
const char *qmp(struct qmp *qmp, const char *command, const char *arguments);

/* The number behind "KEY": in an answer, or -1. */
long long qmp_number(const char *answer, const char *key);

/* Whether "KEY": "VALUE" stands in an answer. */
bool qmp_is(const char *answer, const char *key, const char *value);

#endif
