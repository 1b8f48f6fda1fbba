/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a library can be preloaded into a program. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes the path of what execvp() would run for @name.  Returns false if
 * there is none.
 */
bool program_find(const char *name, char *path, size_t size);

/* Returns NULL, or why a library of this one's kind cannot be preloaded. */
const char *program_obstacle(const char *path);

#endif /* PROGRAM_H */
