/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <sys/types.h>

/* What KVM has counted for a VM, all its vCPUs together. */
unsigned long long stage2_faults(pid_t vmm);

/* Whether the kernel has KVM_PRE_FAULT_MEMORY. */
bool can_pre_fault(void);

/* Whether a VMM gets huge pages that asks for them, as QEMU does. */
void set_huge_pages(bool on);

unsigned long long nanoseconds(void);

#endif
