/* SPDX-License-Identifier: GPL-2.0-only */
/* Loads and unloads the modules of a host that boots with KVM as modules. */
#ifndef MODULE_H
#define MODULE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Names, one a line, in the order in which they are loaded, and the files. */
#define MODULE_LIST	"/modules"
#define MODULE_DIR	"/m"
/* What the kernel allows, with the end. */
#define MODULE_NAME	56

/* Returns 0, or -errno. */
static inline int module_load(const char *name)
{
	char path[PATH_MAX];
	int fd, error = 0;

	snprintf(path, sizeof(path), MODULE_DIR "/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0))
		error = -errno;
	close(fd);
	return error;
}

/* Returns 0, or -errno: -EWOULDBLOCK if somebody uses it. */
static inline int module_unload(const char *name)
{
	char loaded[MODULE_NAME];

	/* The kernel's name has no dash. */
	snprintf(loaded, sizeof(loaded), "%s", name);
	for (char *dash = loaded; (dash = strchr(dash, '-')); )
		*dash = '_';
	return syscall(SYS_delete_module, loaded, O_NONBLOCK) ? -errno : 0;
}

#endif
