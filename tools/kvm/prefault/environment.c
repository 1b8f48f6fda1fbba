// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "environment.h"
#include "library.h"

static char *preload;

void environment_init(void)
{
	preload = getenv("LD_PRELOAD");
}

/* Whether what ends at @end is this library's name. */
static bool is_ours(const char *name, size_t length)
{
	size_t ours = strlen(LIBRARY_NAME);

	return length >= ours &&
	       !memcmp(name + length - ours, LIBRARY_NAME, ours) &&
	       (length == ours || name[length - ours - 1] == '/');
}

/*
 * In place: unsetenv() moves pointers, which another thread may be reading at
 * this time.
 */
void environment_hide(void)
{
	char *name = __atomic_exchange_n(&preload, NULL, __ATOMIC_ACQ_REL);
	size_t length, behind;

	while (name && *name) {
		length = strcspn(name, ": ");
		behind = length + strspn(name + length, ": ");
		if (is_ours(name, length))
			memmove(name, name + behind, strlen(name + behind) + 1);
		else
			name += behind;
	}
}
