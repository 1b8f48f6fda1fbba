// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's own trace of a migration: a line for each event, THREAD@SECONDS:EVENT and
 * its arguments.  Only the first section of the table, which tells its size, has no
 * event.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "say.h"
#include "stream.h"
#include "trace.h"

#define STARTS		":savevm_section_start spapr/htab,"
#define ENDS		":savevm_section_end spapr/htab,"
#define STOPPED		":migration_completion_vm_stop "

/* In microseconds. */
static long long time_of(const char *line)
{
	long long seconds, us;

	if (sscanf(line, "%*d@%lld.%lld:", &seconds, &us) != 2)
		bail_out("no trace of QEMU's: %s", line);
	return seconds * 1000000 + us;
}

static void put_part(unsigned int number, long long at, long long took,
		     const struct part *part, bool stopped)
{
	printf("# part %u: at %lld us, took %lld us, %lu bytes, ", number, at,
	       took, part->bytes);
	printf("%lu valid, %lu invalid, end passed %u times, %s\n", part->valid,
	       part->invalid, part->ends, stopped ? "stopped" : "live");
}

void put_trace(const char *path, const struct stream *stream)
{
	long long first = 0, start = 0;
	unsigned int count = 0;
	bool stopped = false;
	char line[256];
	FILE *trace;

	trace = fopen(path, "re");
	if (!trace)
		bail_out("%s: %m", path);
	while (fgets(line, sizeof(line), trace) && count < stream->count) {
		stopped |= !!strstr(line, STOPPED);
		if (strstr(line, STARTS)) {
			start = time_of(line);
			first = first ?: start;
		}
		if (strstr(line, ENDS)) {
			put_part(count, start - first, time_of(line) - start,
				 &stream->parts[count], stopped);
			count++;
		}
	}
	fclose(trace);
	if (count != stream->count)
		bail_out("%s: %u of %u parts", path, count, stream->count);
}
