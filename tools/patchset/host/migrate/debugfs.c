// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hashed page table of a VM, as the host has it: one line for each entry
 * that is there, its index, the two doublewords for the hardware, and the second
 * one as the guest made it.
 */
#include <glob.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

#include "debugfs.h"
#include "say.h"

#ifndef PPC_FEATURE2_ARCH_3_00
#define PPC_FEATURE2_ARCH_3_00	0x00800000
#endif

#define HPTE_V_ABSENT		0x20
#define HPTE_V_COMMON_BITS	0x000fffffffffffffULL
#define HPTE_V_SSIZE_SHIFT	62
#define HPTE_R_3_0_SSIZE_SHIFT	58
#define HPTE_R_RC		0x180
#define HPTE_GR_MODIFIED	(1ULL << 62)

/* The first doubleword in the format of ISA 2.07, which guests use. */
static uint64_t guest_v(uint64_t v, uint64_t hr)
{
	if (getauxval(AT_HWCAP2) & PPC_FEATURE2_ARCH_3_00) {
		v &= HPTE_V_COMMON_BITS;
		v |= (hr >> HPTE_R_3_0_SSIZE_SHIFT & 3) << HPTE_V_SSIZE_SHIFT;
	}
	return (v & ~(uint64_t)HPTE_V_ABSENT) | HPTE_V_VALID;
}

/* What the hardware has set in R and C, the guest sees. */
static uint64_t guest_r(uint64_t v, uint64_t hr, uint64_t gr)
{
	if (v & HPTE_V_VALID)
		gr |= hr & HPTE_R_RC;
	return gr & ~HPTE_GR_MODIFIED;
}

static void read_lines(FILE *htab, const char *path, struct table *table)
{
	unsigned long long i, v, hr, gr;
	int n;

	while ((n = fscanf(htab, "%llx %llx %llx %llx", &i, &v, &hr, &gr)) == 4) {
		if (i >= table->slots)
			bail_out("%s: an entry beyond the table", path);
		table->entries[i].v = guest_v(v, hr);
		table->entries[i].r = guest_r(v, hr, gr);
	}
	if (n != EOF || ferror(htab))
		bail_out("%s: not understood", path);
}

void read_debugfs(pid_t pid, unsigned int order, struct table *table)
{
	char pattern[80];
	glob_t found;
	FILE *htab;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-*/htab", pid);
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1)
		bail_out("%s: no VM", pattern);
	htab = fopen(found.gl_pathv[0], "re");
	if (!htab)
		bail_out("%s: %m", found.gl_pathv[0]);
	create_table(table, order);
	read_lines(htab, found.gl_pathv[0], table);
	fclose(htab);
	globfree(&found);
}
