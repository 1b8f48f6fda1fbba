// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvm-prefault: run a VMM with libkvm-prefault.so preloaded.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"
#include "options.h"
#include "program.h"

/* As a shell and env(1) have it. */
#define EXIT_USAGE		2
#define EXIT_CANNOT_RUN		126
#define EXIT_NOT_FOUND		127

#ifndef LIBRARY_DIRECTORY
#define LIBRARY_DIRECTORY	"/usr/local/lib/kvm-prefault"
#endif

static const char help[] =
	"Usage: kvm-prefault [OPTION]... [--] VMM [ARGUMENT]...\n"
	"Run a KVM virtual machine monitor, and pre-fault its guest's memory.\n\n"
	"  -w, --when=auto|start|settled|never\n"
	"                                   when to do it; default: auto, if it pays\n"
	"  -a, --again[=N]                  once more (N times) after memslots changed\n"
	"      --settle=MS                  they have not changed for so long; 1000\n"
	"  -r, --range=FROM-TO|FROM+SIZE    only these guest physical addresses\n"
	"  -s, --slots-over=SIZE            only memslots that are larger\n"
	"  -p, --populate                   as --absent=populate\n"
	"      --absent=skip|populate|read  memory that the host has not populated;\n"
	"                                   default: skip\n"
	"  -t, --threads=N                  of so many vCPUs at a time; default: all\n"
	"  -P, --progress=auto|bar|lines|none\n"
	"  -R, --report                     say at exit what it came to, too\n"
	"  -q, --quiet                      say only what goes wrong\n"
	"  -o, --output=FILE                append messages to FILE\n"
	"      --confined                   even if the VMM uses seccomp\n"
	"  -h, --help                       print this and exit\n\n"
	"KVM_PREFAULT=0 in the environment switches it off.  See kvm-prefault(1).\n";

/* Its name= is what options_set() knows; flags have value "1". */
static const struct option known[] = {
	{ "when", required_argument, NULL, 'w' },
	{ "again", optional_argument, NULL, 'a' },
	{ "settle", required_argument, NULL, 'S' },
	{ "range", required_argument, NULL, 'r' },
	{ "slots-over", required_argument, NULL, 's' },
	{ "populate", no_argument, NULL, 'p' },
	{ "absent", required_argument, NULL, 'A' },
	{ "threads", required_argument, NULL, 't' },
	{ "progress", required_argument, NULL, 'P' },
	{ "report", no_argument, NULL, 'R' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "output", required_argument, NULL, 'o' },
	{ "confined", no_argument, NULL, 'C' },
	{ "help", no_argument, NULL, 'h' },
	{ },
};

static void say(const char *what, const char *why)
{
	fprintf(stderr, "kvm-prefault: %s%s\n", what, why);
}

static void usage(const char *what, const char *name)
{
	fprintf(stderr, "kvm-prefault: %s%s%s, see --help\n", what,
		*name ? " --" : "", name);
	exit(EXIT_USAGE);
}

static const char *long_name(int letter)
{
	const struct option *option;

	for (option = known; option->name; option++)
		if (option->val == letter)
			return option->name;
	return "";
}

/* Adds an option to what the library is going to read. */
static void add(char *text, size_t size, const char *name, const char *value)
{
	size_t length = strlen(text);
	struct options options;

	options_init(&options);
	if (strchr(value, ',') ||
	    snprintf(text + length, size - length, "%s%s=%s",
		     length ? "," : "", name, value) >= (int)(size - length) ||
	    !options_parse(&options, text))
		usage("bad value of", name);
}

static void add_output(char *text, size_t size, const char *path)
{
	char whole[PATH_MAX + 1] = "";

	/* The VMM may change its directory. */
	if (*path != '/') {
		if (!getcwd(whole, sizeof(whole) - 1))
			usage("bad value of", "output");
		strcat(whole, "/");
	}
	if (strlen(whole) + strlen(path) >= sizeof(whole))
		usage("bad value of", "output");
	strcat(whole, path);
	add(text, size, "output", whole);
}

static void parse(int argc, char **argv, char *text, size_t size)
{
	int c;

	/* A "+": what follows the VMM's name is the VMM's. */
	while ((c = getopt_long(argc, argv, "+w:a::r:s:pt:P:Rqo:h", known,
				NULL)) != -1) {
		if (c == '?') {
			exit(EXIT_USAGE);
		} else if (c == 'h') {
			fputs(help, stdout);
			exit(0);
		} else if (c == 'p') {
			add(text, size, "absent", "populate");
		} else if (c == 'o') {
			add_output(text, size, optarg);
		} else {
			add(text, size, long_name(c), optarg ? optarg : "1");
		}
	}
	if (optind == argc)
		usage("no VMM is named", "");
}

static bool is_off(void)
{
	const char *state = getenv(SWITCH_VARIABLE);

	return state && !strcmp(state, "0");
}

/* Beside this program, as it is built, or where it is installed. */
static bool find_library(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *end;

	if (n > 0) {
		path[n] = '\0';
		end = strrchr(path, '/') + 1;
		if (snprintf(end, size - (end - path), "%s", LIBRARY_NAME) <
		    (int)(size - (end - path)) && !access(path, R_OK))
			return true;
	}
	snprintf(path, size, "%s/%s", LIBRARY_DIRECTORY, LIBRARY_NAME);
	return !access(path, R_OK);
}

/* In front of what is preloaded anyway. */
static bool set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *both;
	int r;

	if (asprintf(&both, "%s%s%s", library, old && *old ? ":" : "",
		     old ? old : "") < 0)
		return false;
	r = setenv("LD_PRELOAD", both, 1);
	free(both);
	return !r;
}

static void prepare(const char *vmm, const char *text)
{
	char path[PATH_MAX], library[PATH_MAX];
	const char *why;

	if (is_off()) {
		say("off, as KVM_PREFAULT is 0", "");
		return;
	}
	if (!program_find(vmm, path, sizeof(path)))
		return;		/* exec tells */

	why = program_obstacle(path);
	if (why) {
		fprintf(stderr,
			"kvm-prefault: %s %s: nothing can be preloaded, the VMM runs as without\n",
			path, why);
		return;
	}
	if (!find_library(library, sizeof(library)) ||
	    strpbrk(library, ": ")) {
		say(LIBRARY_NAME " is not found, or has a blank or a colon in its path",
		    ": the VMM runs as without");
		return;
	}
	if (!set_preload(library) || setenv(OPTIONS_VARIABLE, text, 1))
		say("no memory", "");
}

int main(int argc, char **argv)
{
	char text[2048] = "";

	parse(argc, argv, text, sizeof(text));
	prepare(argv[optind], text);

	execvp(argv[optind], argv + optind);
	fprintf(stderr, "kvm-prefault: %s: %s\n", argv[optind],
		strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
