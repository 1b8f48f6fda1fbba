/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options, as the launcher hands them to the library in an environment
 * variable: NAME=VALUE,NAME=VALUE...
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_VARIABLE	"KVM_PREFAULT_OPTIONS"
/* "0" switches the launcher and the library off. */
#define SWITCH_VARIABLE		"KVM_PREFAULT"

#define OPTIONS_RANGES		16
#define OPTIONS_PATH		256

enum when {
	WHEN_AUTO,		/* what policy.c finds */
	WHEN_START,		/* before a vCPU runs for the first time */
	WHEN_SETTLED,		/* when memslots have not changed for a while */
	WHEN_NEVER,
};

/* What to do with guest memory that the host has not populated. */
enum absent {
	ABSENT_SKIP,		/* leave it to the guest */
	ABSENT_POPULATE,	/* populate it for writing */
	ABSENT_READ,		/* as if the guest read it */
};

enum progress {
	PROGRESS_AUTO,		/* a bar on a terminal, else lines */
	PROGRESS_BAR,
	PROGRESS_LINES,
	PROGRESS_NONE,
};

struct range {
	uint64_t from;
	uint64_t to;		/* the first byte behind */
};

struct options {
	enum when when;
	enum absent absent;
	enum progress progress;
	unsigned int threads;		/* at the same time; 0: all vCPUs */
	unsigned int again;		/* how many more times, at most */
	unsigned int settle_ms;
	uint64_t slots_over;		/* bytes */
	struct range ranges[OPTIONS_RANGES];
	unsigned int nr_ranges;		/* 0: all memory */
	bool confined;			/* go on although the VMM uses seccomp */
	bool report;			/* at exit, too */
	bool quiet;
	char output[OPTIONS_PATH];	/* file for messages; "": stderr */
};

void options_init(struct options *options);

/* Sets one.  Returns false if there is no such option or value. */
bool options_set(struct options *options, const char *name, const char *value);

/* Sets all in @text.  Returns false if one of them is wrong. */
bool options_parse(struct options *options, const char *text);

#endif /* OPTIONS_H */
