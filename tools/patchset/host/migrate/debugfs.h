/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DEBUGFS_H
#define DEBUGFS_H

#include <sys/types.h>

#include "table.h"

/* Reads the table of the one VM of a process, which is not running. */
void read_debugfs(pid_t pid, unsigned int order, struct table *table);

#endif
