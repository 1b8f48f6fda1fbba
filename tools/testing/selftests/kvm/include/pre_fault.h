/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of KVM_PRE_FAULT_MEMORY share: calls, statistics,
 * options, and a table of named cases that is run and reported as TAP.
 */
#ifndef SELFTEST_KVM_PRE_FAULT_H
#define SELFTEST_KVM_PRE_FAULT_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_util.h"
#include "test_util.h"

/**
 * pre_fault_once - one call of the ioctl
 * @vcpu: that calls it
 * @gpa: where the range begins
 * @size: of the range, in bytes
 * @left: if not NULL, receives the bytes that remain
 *
 * Return: 0, or the negative errno.
 */
static inline int pre_fault_once(struct kvm_vcpu *vcpu, uint64_t gpa,
				 uint64_t size, uint64_t *left)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };
	int r = __vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range);
	int err = errno;

	TEST_ASSERT(range.gpa + range.size == gpa + size,
		    "the end of the range moved from 0x%lx to 0x%llx",
		    gpa + size, range.gpa + range.size);
	TEST_ASSERT(r ? range.size == size : range.size < size,
		    "a call that returned %d went from size 0x%lx to 0x%llx",
		    r, size, range.size);
	if (left)
		*left = range.size;

	return r ? -err : 0;
}

/**
 * pre_fault - call the ioctl until the range is done or a call fails
 * @vcpu: that calls it
 * @gpa: where the range begins
 * @size: of the range, in bytes
 *
 * Return: 0, or the negative errno of the call that failed.
 */
static inline int pre_fault(struct kvm_vcpu *vcpu, uint64_t gpa, uint64_t size)
{
	uint64_t end = gpa + size, left = size;
	int r;

	do {
		r = pre_fault_once(vcpu, end - left, left, &left);
	} while (!r && left);

	return r;
}

/* Looks a counter up in the vCPU's binary statistics. */
static inline bool vcpu_has_stat(struct kvm_vcpu *vcpu, const char *name,
				 uint64_t *value)
{
	int fd = vcpu_get_stats_fd(vcpu);
	struct kvm_stats_header header;
	struct kvm_stats_desc *descs, *desc;
	bool found = false;
	unsigned int i;

	read_stats_header(fd, &header);
	descs = read_stats_descriptors(fd, &header);
	for (i = 0; i < header.num_desc && !found; i++) {
		desc = get_stats_descriptor(descs, i, &header);
		found = !strcmp(desc->name, name);
		if (found)
			read_stat_data(fd, &header, desc, value, 1);
	}

	free(descs);
	close(fd);
	return found;
}

static inline uint64_t vcpu_stat(struct kvm_vcpu *vcpu, const char *name)
{
	uint64_t value = 0;

	TEST_ASSERT(vcpu_has_stat(vcpu, name, &value),
		    "no vCPU statistic is called %s", name);
	return value;
}

/* Stage-2 faults that the vCPU's guest has taken. */
static inline uint64_t vcpu_faults(struct kvm_vcpu *vcpu)
{
	return vcpu_stat(vcpu, "pf_taken");
}

struct pre_fault_case {
	const char *name;
	void (*run)(void);
};

/* Why the case that runs cannot do its work here, NULL if it can. */
static const char *pf_skipped;

/* A case that lacks something of the host says so by this and returns. */
static inline void pf_skip(const char *why)
{
	pf_skipped = why;
}

/* How a case is run, if it is not just called. */
static void (*pf_run_by)(void (*run)(void));

/* SIGALRM ends the test program if a case takes longer; 0 is for ever. */
static uint64_t pf_case_seconds;

static inline void pf_run_case(const struct pre_fault_case *c)
{
	pf_skipped = NULL;
	printf("# %s\n", c->name);
	alarm(pf_case_seconds);
	if (pf_run_by)
		pf_run_by(c->run);
	else
		c->run();
	alarm(0);
	if (pf_skipped)
		ksft_test_result_skip("%s: %s\n", c->name, pf_skipped);
	else
		ksft_test_result_pass("%s\n", c->name);
}

/* What follows -c: the one case to run. */
static const char *pf_only;

static inline bool pf_wanted(const struct pre_fault_case *c)
{
	return !pf_only || !strcmp(c->name, pf_only);
}

/* Like pf_run_cases(), also where the capability is not reported. */
static inline int __pf_run_cases(const struct pre_fault_case *cases,
				 unsigned int nr, bool possible)
{
	unsigned int i, wanted = 0;

	/* Nothing that is printed may get lost with an assertion. */
	setbuf(stdout, NULL);
	ksft_print_header();
	__TEST_REQUIRE(possible, "KVM_CAP_PRE_FAULT_MEMORY is not reported");
	for (i = 0; i < nr; i++)
		wanted += pf_wanted(&cases[i]);
	ksft_set_plan(wanted);
	for (i = 0; i < nr; i++) {
		if (pf_wanted(&cases[i]))
			pf_run_case(&cases[i]);
	}

	ksft_finished();
	return KSFT_FAIL;
}

/* Runs the cases in order.  A failed assertion ends the test program. */
static inline int pf_run_cases(const struct pre_fault_case *cases,
			       unsigned int nr)
{
	return __pf_run_cases(cases, nr, kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY));
}

/* An option of a test program that takes a number. */
struct pf_option {
	char letter;
	const char *what;
	uint64_t *value;
};

static inline void pf_usage(const char *name, const struct pf_option *options,
			    unsigned int nr)
{
	unsigned int i;

	printf("usage: %s [-c case]", name);
	for (i = 0; i < nr; i++)
		printf(" [-%c %s]", options[i].letter, options[i].what);
	printf("\n");
	exit(KSFT_FAIL);
}

static inline bool pf_parse_option(const struct pf_option *options,
				   unsigned int nr, int letter)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (options[i].letter == letter) {
			*options[i].value = strtoul(optarg, NULL, 0);
			return true;
		}
	}

	return false;
}

/* The @options, and -c, which every test has. */
static inline void pf_parse(int argc, char *argv[],
			    const struct pf_option *options, unsigned int nr)
{
	char letters[32] = "c:";
	unsigned int i;
	int letter;

	for (i = 0; i < nr; i++)
		snprintf(&letters[2 + 2 * i], 3, "%c:", options[i].letter);

	while ((letter = getopt(argc, argv, letters)) != -1) {
		if (letter == 'c')
			pf_only = optarg;
		else if (!pf_parse_option(options, nr, letter))
			pf_usage(argv[0], options, nr);
	}
}

#endif /* SELFTEST_KVM_PRE_FAULT_H */
