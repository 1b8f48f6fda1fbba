// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "say.h"
#include "vm.h"

#define SIZE		((size_t)VM_MEMORY << 20)
#define PAGE		((size_t)4096)
#define CHUNK		((size_t)1 << 20)
#define SHOWN		8

/* Where QEMU has mapped it: what else it maps is not of that size. */
static off_t address_of(pid_t pid)
{
	unsigned long start, end, found = 0;
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		bail_out("%s: %m", path);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end - start != SIZE)
			continue;
		if (found)
			bail_out("%s: memory at 0x%lx and 0x%lx", path, found, start);
		found = start;
	}
	fclose(maps);
	if (!found)
		bail_out("%s: no memory of %d MiB", path, VM_MEMORY);
	return found;
}

void read_memory(pid_t pid, struct memory *memory)
{
	off_t address = address_of(pid);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memory->bytes = malloc(SIZE);
	if (fd < 0 || !memory->bytes)
		bail_out("%s: %m", path);
	for (size_t at = 0; at < SIZE; at += CHUNK)
		if (pread(fd, memory->bytes + at, CHUNK, address + at) != CHUNK)
			bail_out("%s: %m at 0x%zx", path, at);
	close(fd);
}

void free_memory(struct memory *memory)
{
	free(memory->bytes);
}

unsigned long differing_pages(const struct memory *one, const struct memory *two)
{
	unsigned long count = 0;

	for (size_t at = 0; at < SIZE; at += PAGE)
		if (memcmp(one->bytes + at, two->bytes + at, PAGE) &&
		    count++ < SHOWN)
			printf("# page 0x%zx is another one\n", at / PAGE);
	return count;
}
