// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <string.h>

#include "policy.h"

/* QEMU's machines without a firmware that changes memslots. */
static const char * const final_machines[] = {
	"microvm", "nitro-enclave", "none", NULL
};

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_qemu(const char *program)
{
	const char *name = strrchr(program, '/');

	name = name ? name + 1 : program;
	return starts_with(name, "qemu") || !strcmp(name, "kvm");
}

/* QEMU takes an option with one dash or with two. */
static bool is_option(const char *argument, const char *name)
{
	if (*argument++ != '-')
		return false;
	if (*argument == '-')
		argument++;
	return !strcmp(argument, name);
}

static bool is_restored(char **argv)
{
	for (; *argv; argv++) {
		if (is_option(*argv, "incoming") || is_option(*argv, "loadvm"))
			return true;
	}
	return false;
}

/* The value of -machine: NAME,KEY=VALUE... or type=NAME among them. */
static bool is_final_machine(const char *value)
{
	const char *type = strstr(value, "type=");
	size_t length;
	int i;

	if (type && (type == value || type[-1] == ','))
		value = type + strlen("type=");

	length = strcspn(value, ",");
	for (i = 0; final_machines[i]; i++) {
		if (length == strlen(final_machines[i]) &&
		    starts_with(value, final_machines[i]))
			return true;
	}
	return false;
}

/* The last of several counts. */
static bool has_final_layout(char **argv)
{
	bool final = false;

	for (; argv[0] && argv[1]; argv++) {
		if (is_option(argv[0], "machine") || is_option(argv[0], "M"))
			final = is_final_machine(argv[1]);
	}
	return final;
}

static struct policy decide_for_qemu(const struct options *options,
				     char **argv)
{
	if (is_restored(argv))
		return (struct policy){ WHEN_START, "the guest is restored" };

	if (has_final_layout(argv))
		return (struct policy){ WHEN_START,
			"the machine's memory layout is final at start" };

	if (options->again)
		return (struct policy){ WHEN_SETTLED,
			"the firmware may change memslots while it starts" };

	return (struct policy){ WHEN_NEVER,
		"the firmware may change memslots, and KVM then drops it all; see --again" };
}

struct policy policy_decide(const struct options *options, char **argv)
{
	if (options->when != WHEN_AUTO)
		return (struct policy){ options->when, "as told by --when" };

	if (argv[0] && is_qemu(argv[0]))
		return decide_for_qemu(options, argv);

	return (struct policy){ WHEN_START,
		"no VMM that is known to change memslots later" };
}
