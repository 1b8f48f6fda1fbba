// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <glob.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "say.h"

#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY	236
#endif

#define HUGE_PAGES	"/sys/kernel/mm/transparent_hugepage/enabled"

unsigned long long stage2_faults(pid_t vmm)
{
	unsigned long long count;
	char pattern[80];
	glob_t found;
	FILE *file;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-*/pf_taken",
		 vmm);
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1)
		bail_out("%s: not one VM", pattern);
	file = fopen(found.gl_pathv[0], "re");
	if (!file || fscanf(file, "%llu", &count) != 1)
		bail_out("%s: not read", found.gl_pathv[0]);
	fclose(file);
	globfree(&found);
	return count;
}

bool can_pre_fault(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int answer;

	if (kvm < 0)
		bail_out("/dev/kvm: %m");
	answer = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY);
	if (answer < 0)
		bail_out("KVM_CHECK_EXTENSION: %m");
	close(kvm);
	return answer;
}

void set_huge_pages(bool on)
{
	const char *word = on ? "madvise" : "never";
	int fd = open(HUGE_PAGES, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, word, strlen(word)) < 0)
		bail_out(HUGE_PAGES ": %m");
	close(fd);
}

unsigned long long nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}
