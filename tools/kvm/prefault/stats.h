/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM's binary statistics. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stdint.h>

/* One statistic of a VM or a vCPU. */
struct kvm_stat {
	int fd;			/* -1: KVM does not have it */
	uint64_t offset;
};

/* Waits while a vCPU is in KVM_RUN. */
struct kvm_stat kvm_stat_open(int kvm_fd, const char *name);

/* Of one that is not open, nothing can be got, and there is nothing to close. */
bool kvm_stat_get(const struct kvm_stat *stat, uint64_t *value);
void kvm_stat_close(struct kvm_stat *stat);

#endif /* STATS_H */
