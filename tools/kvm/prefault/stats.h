/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM's binary statistics. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads the statistics @names[0] to @names[@count - 1] of a VM or a vCPU.
 * Waits while a vCPU is in KVM_RUN.  Returns false if one of them is missing.
 */
bool stats_read(int kvm_fd, const char *const *names, uint64_t *values,
		unsigned int count);

/* The two halves of it, for who wants to read later: a descriptor, or -1. */
int stats_open(int kvm_fd);
bool stats_read_from(int stats_fd, const char *const *names, uint64_t *values,
		     unsigned int count);

#endif /* STATS_H */
