// SPDX-License-Identifier: GPL-2.0-only
/*
 * pre-fault-demo: a small VMM that shows what KVM_PRE_FAULT_MEMORY does.
 *
 * Runs the same guest in two fresh VMs, without and with pre-faulting.  The
 * guest touches every page of its memory once.  Faults and exits are counted by
 * KVM, time is measured around the calls.
 *
 * ../prefault/pre-fault.h is what a VMM developer copies, prepare() below is
 * how to use it, vm.c is a VMM as every VMM is, and guest.S is the guest.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest.h"
#include "pre-fault.h"
#include "vm.h"

struct options {
	struct vm_options vm;
	bool read;
	bool plain;
	bool machine_readable;
};

struct result {
	uint64_t faults;
	uint64_t exits;
	uint64_t pre_fault_ns;
	uint64_t run_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/*
 * The use of pre-fault.h: if it cannot be done the guest runs all the same, so
 * a VMM would log what went wrong, at most.
 */
static void prepare(struct vm *vm)
{
	struct pre_fault_work work;
	int r;

	if (!pre_fault_supported(vm->vm_fd))
		return;

	pre_fault_start(&work, 0, vm->memory_size);
	/* With more vCPUs, each one's thread would do this. */
	r = pre_fault_share(vm->vcpu_fd, &work, NULL);
	if (r)
		warnx("pre-fault stopped: %s", strerror(-r));
}

static void check_writes(const struct vm *vm)
{
	uint32_t address, word;

	for (address = GUEST_PAGE_SIZE; address < vm->memory_size;
	     address += GUEST_PAGE_SIZE) {
		memcpy(&word, vm->memory + address, sizeof(word));
		if (word != address)
			errx(1, "0x%x holds 0x%x, not what the guest wrote",
			     address, word);
	}
}

static struct result measure(const struct options *options, bool pre_fault)
{
	struct result result;
	uint64_t start;
	struct vm vm;

	vm_create(&vm, &options->vm);
	/* The first page holds the code: it is touched by running it. */
	vm_load(&vm, options->read ? guest_read : guest_write, GUEST_PAGE_SIZE,
		options->vm.memory / GUEST_PAGE_SIZE - 1);

	start = now_ns();
	if (pre_fault)
		prepare(&vm);
	result.pre_fault_ns = now_ns() - start;

	start = now_ns();
	vm_run(&vm);
	result.run_ns = now_ns() - start;

	result.faults = vm_stat(&vm, "pf_taken");
	result.exits = vm_stat(&vm, "exits");
	if (!options->read)
		check_writes(&vm);
	vm_destroy(&vm);
	return result;
}

/* The kernel's answer to the plain ioctl for one page, whatever it reports. */
static int ask_kernel(bool *supported)
{
	struct kvm_pre_fault_memory range = { .size = GUEST_PAGE_SIZE };
	struct vm_options one = { .memory = VM_MEMORY_UNIT, .populate = true };
	struct vm vm;
	int r;

	vm_create(&vm, &one);
	*supported = pre_fault_supported(vm.vm_fd);
	r = pre_fault_chunk(vm.vcpu_fd, &range, range.size);
	vm_destroy(&vm);
	return r;
}

static const char *error_name(int error)
{
	switch (error) {
	case 0:
		return "success";
	case EINVAL:
		return "EINVAL";
	case ENOTTY:
		return "ENOTTY";
	case EOPNOTSUPP:
		return "EOPNOTSUPP";
	default:
		return strerror(error);
	}
}

static void put_value(const char *name, uint64_t value)
{
	printf("%s=%" PRIu64 "\n", name, value);
}

static void put_values(const char *run, const struct result *result)
{
	printf("%s.faults=%" PRIu64 "\n", run, result->faults);
	printf("%s.exits=%" PRIu64 "\n", run, result->exits);
	printf("%s.pre_fault_ns=%" PRIu64 "\n", run, result->pre_fault_ns);
	printf("%s.run_ns=%" PRIu64 "\n", run, result->run_ns);
}

static void put_row(const char *what, uint64_t without, uint64_t with)
{
	printf("%-32s%16" PRIu64 "%16" PRIu64 "\n", what, without, with);
}

static void put_table(const struct result *without, const struct result *with,
		      uint64_t pages)
{
	printf("%-32s%16s%16s\n", "", "no pre-fault", "pre-fault");
	put_row("stage-2 faults taken", without->faults, with->faults);
	put_row("VM exits", without->exits, with->exits);
	put_row("pre-fault, ns per page", without->pre_fault_ns / pages,
		with->pre_fault_ns / pages);
	put_row("guest's run, ns per page", without->run_ns / pages,
		with->run_ns / pages);
	put_row("both, ns per page",
		(without->pre_fault_ns + without->run_ns) / pages,
		(with->pre_fault_ns + with->run_ns) / pages);
	put_row("both, microseconds",
		(without->pre_fault_ns + without->run_ns) / 1000,
		(with->pre_fault_ns + with->run_ns) / 1000);
}

static void put_intro(const struct options *options, uint64_t pages,
		      bool supported, int answer)
{
	printf("A guest of %zu MiB %s one word in each of %" PRIu64 " pages of 4 KiB.\n",
	       options->vm.memory >> 20, options->read ? "reads" : "writes",
	       pages);
	printf("KVM_CAP_PRE_FAULT_MEMORY is %d, the ioctl's answer is: %s.\n\n",
	       supported, error_name(-answer));
	if (!supported)
		printf("This KVM cannot pre-fault, so both runs are alike.\n\n");
}

/* As a VMM that knows nothing of the ioctl, to be run by kvm-prefault. */
static void run_plain(const struct options *options)
{
	struct result result = measure(options, false);

	put_value("pages", options->vm.memory / GUEST_PAGE_SIZE);
	put_values("plain", &result);
}

static void run_demo(const struct options *options)
{
	uint64_t pages = options->vm.memory / GUEST_PAGE_SIZE;
	struct result without, with;
	bool supported;
	int answer;

	answer = ask_kernel(&supported);
	without = measure(options, false);
	with = measure(options, true);

	if (!options->machine_readable) {
		put_intro(options, pages, supported, answer);
		put_table(&without, &with, pages);
		return;
	}

	put_value("pages", pages);
	put_value("supported", supported);
	printf("answer=%s\n", error_name(-answer));
	put_values("without", &without);
	put_values("with", &with);
}

static const char help[] =
	"Usage: pre-fault-demo [OPTION]...\n"
	"Run a guest without and with KVM_PRE_FAULT_MEMORY, and compare.\n\n"
	"  -m, --memory=MIB         of the guest, even, 2 to 3072; default: 256\n"
	"  -r, --read               the guest reads its memory instead of writing it\n"
	"  -H, --huge               use transparent huge pages instead of 4 KiB pages\n"
	"  -n, --not-populated      do not populate host memory before\n"
	"      --plain              run once, and do not use the ioctl\n"
	"      --machine-readable   print KEY=VALUE lines instead of a table\n"
	"  -h, --help               print this and exit\n\n"
	"pre-fault is the time that the ioctl took, guest's run is that of KVM_RUN.\n"
	"Needs access to /dev/kvm.\n";

static size_t parse_memory(const char *text)
{
	char *end;
	unsigned long mib = strtoul(text, &end, 10);

	if (*end || !mib || mib > VM_MEMORY_MAX >> 20 ||
	    (mib << 20) % VM_MEMORY_UNIT)
		errx(2, "bad memory size '%s', see --help", text);
	return mib << 20;
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "memory", required_argument, NULL, 'm' },
		{ "read", no_argument, NULL, 'r' },
		{ "huge", no_argument, NULL, 'H' },
		{ "not-populated", no_argument, NULL, 'n' },
		{ "plain", no_argument, NULL, 'P' },
		{ "machine-readable", no_argument, NULL, 'M' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	int c;

	while ((c = getopt_long(argc, argv, "m:rHnh", known, NULL)) != -1) {
		switch (c) {
		case 'm':
			options->vm.memory = parse_memory(optarg);
			break;
		case 'r':
			options->read = true;
			break;
		case 'H':
			options->vm.huge = true;
			break;
		case 'n':
			options->vm.populate = false;
			break;
		case 'P':
			options->plain = true;
			break;
		case 'M':
			options->machine_readable = true;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind != argc)
		errx(2, "unexpected argument '%s', see --help", argv[optind]);
}

int main(int argc, char **argv)
{
	struct options options = {
		.vm = { .memory = (size_t)256 << 20, .populate = true },
	};

	parse(argc, argv, &options);
	if (options.plain)
		run_plain(&options);
	else
		run_demo(&options);
	return 0;
}
