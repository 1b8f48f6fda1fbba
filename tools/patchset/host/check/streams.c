// SPDX-License-Identifier: GPL-2.0-only
/* Reads two migration streams, and says how the tables in them differ. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../migrate/say.h"
#include "../migrate/stream.h"

void bail_out(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	exit(1);
}

int main(int argc, char **argv)
{
	struct stream one, two;
	struct difference d;

	if (argc != 3)
		return 2;
	read_stream(argv[1], &one);
	read_stream(argv[2], &two);
	d = compare(&one.table, &two.table);
	printf("told=%lu invalid=%lu bytes=%lu last=%lu locks=%lu missing=%lu extra=%lu other=%lu",
	       two.told, two.told_invalid, two.bytes, two.last_bytes,
	       two.lock_bits, d.missing, d.extra, d.other);
	return 0;
}
