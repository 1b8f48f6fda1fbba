// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "report.h"
#include "stats.h"

static unsigned long long mib(uint64_t bytes)
{
	return bytes >> 20;
}

static void add_faults(struct report *report, const struct vcpu *vcpu)
{
	uint64_t faults;

	if (!kvm_stat_get(&vcpu->faults, &faults))
		return;
	report->has_faults = true;
	report->faults += faults;
}

void report_closing(struct vcpu *vcpu)
{
	uint64_t faults;

	if (!kvm_stat_get(&vcpu->faults, &faults))
		return;
	vcpu->vm->has_faults = true;
	vcpu->vm->faults += faults;
}

void report_fill(struct report *report, const struct vm *vm)
{
	const struct vcpu *vcpu;

	*report = (struct report){
		.account = vm->account,
		.vm_fd = -1,
		.error = vm->error,
		.pass = vm->passes,
		.workers = vm->most_workers,
		.changes = vm->changes,
		.ns = vm->ended_at - vm->started_at,
		.again = vm->state == STATE_SETTLING,
		.has_faults = vm->has_faults,
		.faults = vm->faults,
	};
	for (vcpu = vm->vcpus; vcpu; vcpu = vcpu->next)
		add_faults(report, vcpu);
}

static void tell_left_out(const struct account *account)
{
	if (account->absent)
		tell("left out: %llu MiB that the host has not populated",
		     mib(account->absent));
	if (account->failed)
		tell("left out: %llu KiB for errors of the memory",
		     (unsigned long long)account->failed >> 10);
}

static bool count_pages(int vm_fd, const char *name, uint64_t *pages)
{
	struct kvm_stat stat = kvm_stat_open(vm_fd, name);
	bool counted = kvm_stat_get(&stat, pages);

	kvm_stat_close(&stat);
	return counted;
}

static void tell_pages(const struct report *report)
{
	uint64_t pages[3];

	if (report->account.entries)
		tell("stage-2 entries made: %llu, each spares the guest a fault",
		     (unsigned long long)report->account.entries);
	if (report->vm_fd >= 0 &&
	    count_pages(report->vm_fd, "pages_4k", &pages[0]) &&
	    count_pages(report->vm_fd, "pages_2m", &pages[1]) &&
	    count_pages(report->vm_fd, "pages_1g", &pages[2]))
		tell("pages mapped now: %llu of 4 KiB, %llu of 2 MiB, %llu of 1 GiB",
		     (unsigned long long)pages[0],
		     (unsigned long long)pages[1],
		     (unsigned long long)pages[2]);
}

static void tell_changes(const struct report *report)
{
	if (!report->changes)
		return;
	tell("memslots deleted or moved since the pass started: %u (KVM drops all entries)%s",
	     report->changes, report->again ? "; once more when settled" : "");
}

void report_pass(const struct report *report)
{
	const struct account *account = &report->account;

	show_progress(account->done + account->absent + account->failed,
		      account->total, true);
	if (report->error) {
		say("stopped after %llu of %llu MiB: %s; the VMM runs as without",
		    mib(account->done), mib(account->total),
		    strerror(-report->error));
		return;
	}
	tell("pass %u: pre-faulted %llu of %llu MiB in %llu.%03llu ms, vCPUs %u, kicks %llu",
	     report->pass, mib(account->done), mib(account->total),
	     (unsigned long long)report->ns / 1000000,
	     (unsigned long long)report->ns / 1000 % 1000, report->workers,
	     (unsigned long long)account->kicks);
	tell_left_out(account);
	tell_pages(report);
	tell_changes(report);
}

void report_exit(const struct report *report)
{
	const struct account *account = &report->account;

	say("at exit: %u pass%s, %llu MiB pre-faulted in the last one",
	    report->pass, report->pass == 1 ? "" : "es", mib(account->done));
	if (report->has_faults)
		say("at exit: stage-2 faults taken by the guest: %llu",
		    (unsigned long long)report->faults);
	tell_changes(report);
}
