// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define OPTIONS_LENGTH		4096

static const char * const when_names[] = {
	[WHEN_AUTO] = "auto",
	[WHEN_START] = "start",
	[WHEN_SETTLED] = "settled",
	[WHEN_NEVER] = "never",
	NULL
};

static const char * const absent_names[] = {
	[ABSENT_SKIP] = "skip",
	[ABSENT_POPULATE] = "populate",
	[ABSENT_READ] = "read",
	NULL
};

static const char * const progress_names[] = {
	[PROGRESS_AUTO] = "auto",
	[PROGRESS_BAR] = "bar",
	[PROGRESS_LINES] = "lines",
	[PROGRESS_NONE] = "none",
	NULL
};

static bool set_name(const char * const *names, const char *value,
		     unsigned int *index)
{
	unsigned int i;

	for (i = 0; names[i]; i++) {
		if (!strcmp(names[i], value)) {
			*index = i;
			return true;
		}
	}
	return false;
}

static unsigned int shift_of(char suffix)
{
	switch (suffix) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	case 't':
	case 'T':
		return 40;
	default:
		return 0;
	}
}

/* A number of bytes.  Returns what follows it, or NULL. */
static const char *parse_size(const char *text, uint64_t *size)
{
	unsigned int shift;
	char *end;

	/* strtoull() takes a sign, and blanks before it. */
	if (*text < '0' || *text > '9')
		return NULL;

	errno = 0;
	*size = strtoull(text, &end, 0);
	if (errno)
		return NULL;

	shift = shift_of(*end);
	if (*size << shift >> shift != *size)
		return NULL;
	*size <<= shift;
	return shift ? end + 1 : end;
}

static bool set_size(const char *value, uint64_t *size)
{
	const char *end = parse_size(value, size);

	return end && !*end;
}

static bool set_number(const char *value, unsigned int *number)
{
	unsigned long parsed;
	char *end;

	if (*value < '0' || *value > '9')
		return false;

	errno = 0;
	parsed = strtoul(value, &end, 10);
	if (errno || *end || parsed > 1000000)
		return false;
	*number = parsed;
	return true;
}

static bool set_flag(const char *value, bool *flag)
{
	*flag = !strcmp(value, "1");
	return *flag || !strcmp(value, "0");
}

/* FROM-TO, where TO is the first byte behind, or FROM+SIZE. */
static bool add_range(struct options *options, const char *value)
{
	struct range *range = &options->ranges[options->nr_ranges];
	const char *end;
	char how;

	if (options->nr_ranges == OPTIONS_RANGES)
		return false;

	end = parse_size(value, &range->from);
	if (!end || (*end != '-' && *end != '+'))
		return false;

	how = *end;
	if (!set_size(end + 1, &range->to))
		return false;
	if (how == '+' && __builtin_add_overflow(range->from, range->to,
						 &range->to))
		return false;
	if (range->to <= range->from)
		return false;

	options->nr_ranges++;
	return true;
}

static bool set_output(struct options *options, const char *value)
{
	if (*value != '/' || strlen(value) >= sizeof(options->output))
		return false;
	strcpy(options->output, value);
	return true;
}

static bool set_enum(struct options *options, const char *name,
		     const char *value, bool *known)
{
	unsigned int index = 0;
	bool good = false;

	*known = true;
	if (!strcmp(name, "when")) {
		good = set_name(when_names, value, &index);
		options->when = index;
	} else if (!strcmp(name, "absent")) {
		good = set_name(absent_names, value, &index);
		options->absent = index;
	} else if (!strcmp(name, "progress")) {
		good = set_name(progress_names, value, &index);
		options->progress = index;
	} else {
		*known = false;
	}
	return good;
}

bool options_set(struct options *options, const char *name, const char *value)
{
	bool known, good = set_enum(options, name, value, &known);

	if (known)
		return good;
	if (!strcmp(name, "threads"))
		return set_number(value, &options->threads);
	if (!strcmp(name, "again"))
		return set_number(value, &options->again);
	if (!strcmp(name, "settle"))
		return set_number(value, &options->settle_ms);
	if (!strcmp(name, "slots-over"))
		return set_size(value, &options->slots_over);
	if (!strcmp(name, "range"))
		return add_range(options, value);
	if (!strcmp(name, "confined"))
		return set_flag(value, &options->confined);
	if (!strcmp(name, "report"))
		return set_flag(value, &options->report);
	if (!strcmp(name, "quiet"))
		return set_flag(value, &options->quiet);
	if (!strcmp(name, "output"))
		return set_output(options, value);
	return false;
}

void options_init(struct options *options)
{
	*options = (struct options){ .settle_ms = 1000 };
}

bool options_parse(struct options *options, const char *text)
{
	char copy[OPTIONS_LENGTH];
	char *option, *value, *rest = copy;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);

	while ((option = strsep(&rest, ","))) {
		if (!*option)
			continue;
		value = strchr(option, '=');
		if (!value)
			return false;
		*value++ = '\0';
		if (!options_set(options, option, value))
			return false;
	}
	return true;
}
