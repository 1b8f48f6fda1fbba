// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints, as TAP, what a KUnit suite has told while the kernel booted:
 *
 *	kunit SUITE
 *
 * The plan and the results of the suite are one level of indentation deep; what
 * is outside of them counts the suite itself, as one result.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INDENT	"    "

static bool starts_with(const char *line, const char *prefix)
{
	return !strncmp(line, prefix, strlen(prefix));
}

int main(int argc, char **argv)
{
	char path[256], line[1024];
	bool passed = false;
	FILE *results;

	if (argc != 2)
		return 2;
	snprintf(path, sizeof(path), "/sys/kernel/debug/kunit/%s/results", argv[1]);
	results = fopen(path, "r");
	if (!results) {
		perror(path);
		return 1;
	}

	while (fgets(line, sizeof(line), results)) {
		if (starts_with(line, INDENT))
			fputs(line + strlen(INDENT), stdout);
		else
			printf("# %s", line);
		passed |= starts_with(line, "ok ");
	}
	return passed ? 0 : 1;
}
