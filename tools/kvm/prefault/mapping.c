// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "mapping.h"

#define LINE_LENGTH	512

/* The end of a line that is longer than that is no mapping. */
static bool parse(const char *line, struct mapping *mapping)
{
	unsigned long long from, to, inode;

	if (sscanf(line, "%llx-%llx %*s %*s %*s %llu", &from, &to, &inode) != 3)
		return false;
	*mapping = (struct mapping){
		.from = from,
		.to = to,
		.anonymous = !inode,
	};
	return true;
}

static bool has(const struct mapping *mapping, uint64_t address)
{
	return mapping->from <= address && address < mapping->to;
}

bool mapping_is_anonymous(struct mapping *last, uint64_t address)
{
	char line[LINE_LENGTH];
	FILE *maps;

	if (has(last, address))
		return last->anonymous;

	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		if (parse(line, last) && has(last, address))
			break;
	}
	fclose(maps);
	return has(last, address) && last->anonymous;
}
