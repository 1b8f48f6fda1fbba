/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The environment, by which the library comes into a process.
 *
 * It is left alone at first, since the VMM may be what a shell script starts.
 * A process that has created a VM is the VMM: what that starts is to get
 * nothing of this.
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/* To be called while there is one thread. */
void environment_init(void);

/* Takes this library out of LD_PRELOAD.  Without the lock. */
void environment_hide(void);

#endif /* ENVIRONMENT_H */
