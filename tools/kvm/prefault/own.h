/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OWN_H
#define OWN_H

#include <sys/syscall.h>
#include <unistd.h>

/* For the library's own descriptors: its close() asks for the lock. */
static inline void close_own(int fd)
{
	syscall(SYS_close, fd);
}

/* An ioctl() that counts as none of the VMM's, see interpose.c. */
int ioctl_own(int fd, unsigned long request, void *argument);

#endif /* OWN_H */
