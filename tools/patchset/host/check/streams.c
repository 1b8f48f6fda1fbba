// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads two migration streams, and says how the tables in them differ; with a trace,
 * also when the parts of the second were sent.
 */
#include <stdio.h>

#include "stream.h"
#include "trace.h"

int main(int argc, char **argv)
{
	struct stream one, two;
	struct difference d;
	struct part sum;

	if (argc < 3)
		return 2;
	read_stream(argv[1], &one);
	read_stream(argv[2], &two);
	d = compare(&one.table, &two.table);
	sum = sum_of_parts(&two);
	printf("told=%lu invalid=%lu bytes=%lu ends=%u parts=%u ", sum.valid,
	       sum.invalid, sum.bytes, sum.ends, two.count);
	printf("locks=%lu missing=%lu extra=%lu other=%lu\n", two.lock_bits,
	       d.missing, d.extra, d.other);
	if (argc > 3)
		put_trace(argv[3], &two);
	free_stream(&one);
	free_stream(&two);
	return 0;
}
