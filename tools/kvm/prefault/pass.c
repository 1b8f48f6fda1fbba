// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>

#include "clock.h"
#include "fill.h"
#include "host.h"
#include "message.h"
#include "own.h"
#include "pass.h"
#include "report.h"
#include "select.h"
#include "stats.h"

/*
 * In a nested guest or in SMM a vCPU cannot, but others can, and it can later.
 * If none can for so many turns, it is the VM.
 */
#define UNABLE_NS	(100 * NS_PER_MS)
#define UNABLE_MAX	10

static const struct options *options;
static const struct policy *policy;
/* Of a VM that has gone, for the report at exit. */
static struct report last;

/* One turn of one thread. */
struct turn {
	struct vm *vm;
	struct vcpu *vcpu;
	sigset_t mask;		/* as in the vCPU */
	bool has_mask;
	struct fill fill;
	int error;
};

void pass_init(const struct options *given, const struct policy *decided)
{
	options = given;
	policy = decided;
}

void pass_new_vm(int vm_fd)
{
	bool able = pre_fault_supported(vm_fd);
	struct vm *vm;

	vms_lock();
	vm = able && policy->when != WHEN_NEVER ? vms_add_vm(vm_fd) : NULL;
	if (vm) {
		vm->again = options->again;
		vms_arm(vm, true);
	}
	vms_unlock();

	if (!able)
		tell("this KVM has no KVM_CAP_PRE_FAULT_MEMORY: the VMM runs as without");
	else if (!vm)
		tell("not pre-faulting: %s", policy->why);
}

/* Opened now, so that vCPUs without a turn count, too. */
static struct kvm_stat open_faults(int vcpu_fd)
{
	if (!options->report)
		return (struct kvm_stat){ .fd = -1 };
	return kvm_stat_open(vcpu_fd, "pf_taken");
}

static bool add_vcpu(int vm_fd, int vcpu_fd, const struct kvm_stat *faults)
{
	struct vm *vm = (struct vm *)vms_find(vm_fd, KIND_VM);
	struct vcpu *vcpu = vm ? vms_add_vcpu(vcpu_fd, vm) : NULL;

	if (vcpu)
		vcpu->faults = *faults;
	return vcpu;
}

void pass_new_vcpu(int vm_fd, int vcpu_fd)
{
	struct kvm_stat faults = open_faults(vcpu_fd);
	bool added;

	vms_lock();
	vms_close(vcpu_fd);	/* what had the number before */
	added = add_vcpu(vm_fd, vcpu_fd, &faults);
	vms_unlock();
	if (!added)
		kvm_stat_close(&faults);
}

void pass_slot_changed(struct vm *vm)
{
	vm->changes++;
	vm->changed_at = now_ns();

	if (vm->state == STATE_DONE && vm->again) {
		vm->again--;
		vm->state = STATE_SETTLING;
		vms_arm(vm, true);
	}
}

static void start_pass(struct vm *vm)
{
	unsigned int passes = vm->passes + 1;

	vm->account = (struct account){ };
	vm->account.total = select_parts(vm, options);
	vm->state = STATE_ACTIVE;
	vm->passes = passes;
	vm->changes = 0;
	vm->most_workers = 0;
	vm->started_at = now_ns();
	start_progress();
}

static bool has_settled(const struct vm *vm)
{
	return now_ns() - vm->changed_at >= options->settle_ms * NS_PER_MS;
}

/* Brings @vm to where it has to be when one of its vCPUs is about to run. */
static void update_state(struct vm *vm)
{
	if (vm->state == STATE_NEW && policy->when == WHEN_SETTLED) {
		vm->state = STATE_SETTLING;
		vm->changed_at = now_ns();
	}
	if (vm->state == STATE_NEW ||
	    (vm->state == STATE_SETTLING && has_settled(vm)))
		start_pass(vm);
}

static bool may_join(const struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;

	return vm->state == STATE_ACTIVE && now_ns() >= vcpu->unable_until &&
	       (!options->threads || vm->workers < options->threads) &&
	       select_any(vm);
}

static void set_end(struct vm *vm, enum state state)
{
	vm->state = state;
	vm->ended_at = now_ns();
	vms_arm(vm, false);
}

/* Returns whether this ends the pass, which nobody else is told then. */
static bool end_if_done(struct vm *vm)
{
	if (vm->state != STATE_ACTIVE || vm->workers || select_any(vm))
		return false;

	set_end(vm, STATE_DONE);
	if (vm->changes && vm->again) {
		vm->again--;
		vm->state = STATE_SETTLING;
		vms_arm(vm, true);
	}
	return true;
}

static void join(struct turn *turn)
{
	struct vm *vm = turn->vm;
	struct vcpu *vcpu = turn->vcpu;

	vms_get(&vcpu->object);
	vm->workers++;
	if (vm->workers > vm->most_workers)
		vm->most_workers = vm->workers;

	turn->has_mask = vcpu->has_mask;
	turn->mask = vcpu->mask;
	turn->fill = (struct fill){
		.vm = vm,
		.pace = vcpu->pace,
		.absent = options->absent,
	};
}

/* The VMM may close its descriptor of the VM, and get another file by the number. */
static void fill_report(struct report *report, const struct vm *vm)
{
	int fd = vm->object.fd;

	report_fill(report, vm);
	if (vms_known(fd) && vms_find(fd, KIND_VM) == &vm->object)
		report->vm_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void tell_report(const struct report *report)
{
	report_pass(report);
	if (report->vm_fd >= 0)
		close_own(report->vm_fd);
}

/* Returns whether there is something to do for this thread. */
static bool begin(struct turn *turn, int vcpu_fd)
{
	struct vcpu *vcpu;
	bool joined, ended;
	struct report report;

	vms_lock();
	vcpu = (struct vcpu *)vms_find(vcpu_fd, KIND_VCPU);
	if (!vcpu) {
		vms_unlock();
		return false;
	}
	turn->vcpu = vcpu;
	turn->vm = vcpu->vm;
	update_state(vcpu->vm);
	joined = may_join(vcpu);
	if (joined)
		join(turn);
	/* There may be no memory to select at all. */
	ended = !joined && end_if_done(vcpu->vm);
	if (ended)
		fill_report(&report, vcpu->vm);
	vms_unlock();

	if (ended)
		tell_report(&report);
	return joined;
}

static void add_account(struct account *sum, const struct account *more)
{
	sum->done += more->done;
	sum->absent += more->absent;
	sum->failed += more->failed;
	sum->entries += more->entries;
	sum->kicks += more->kicks;
}

/* Adds what this thread has done since, and shows how far they all are. */
static void flush_account(struct turn *turn)
{
	struct account now;

	vms_lock();
	add_account(&turn->vm->account, &turn->fill.account);
	if (turn->fill.account.done)
		turn->vm->unable = 0;
	turn->fill.account = (struct account){ };
	now = turn->vm->account;
	vms_unlock();
	show_progress(now.done + now.absent + now.failed, now.total, false);
}

static bool take(struct turn *turn, struct piece *piece)
{
	bool taken;

	vms_lock();
	taken = turn->vm->state == STATE_ACTIVE &&
		select_take(turn->vm, piece);
	vms_unlock();
	return taken;
}

static void give_back(struct turn *turn, const struct piece *piece)
{
	vms_lock();
	if (!select_give_back(turn->vm, piece))
		turn->fill.account.failed += piece->size;
	vms_unlock();
}

/* Returns 0, or what ended it. */
static int work(struct turn *turn)
{
	struct piece piece;
	int r = 0;

	while (!r && take(turn, &piece)) {
		r = fill_piece(&turn->fill, &piece);
		if ((r == -EINTR || r == -EOPNOTSUPP) && piece.size)
			give_back(turn, &piece);
		flush_account(turn);
	}
	return r;
}

static void work_and_count(struct turn *turn, int vcpu_fd)
{
	struct kvm_stat *entries = &turn->fill.entries;
	uint64_t before, after;
	bool counted;

	turn->fill.vcpu_fd = vcpu_fd;
	*entries = kvm_stat_open(vcpu_fd, "pf_fixed");
	counted = kvm_stat_get(entries, &before);
	host_open(&turn->fill.host);
	turn->error = work(turn);
	host_close(&turn->fill.host);
	if (counted && kvm_stat_get(entries, &after))
		turn->fill.account.entries = after - before;
	kvm_stat_close(entries);
	turn->fill.account.kicks = turn->error == -EINTR;
}

/* Whether what ended the turn is the end of it all.  With the lock held. */
static bool is_final(struct turn *turn)
{
	if (!turn->error || turn->error == -EINTR)
		return false;
	if (turn->error != -EOPNOTSUPP)
		return true;

	turn->vcpu->unable_until = now_ns() + UNABLE_NS;
	return ++turn->vm->unable >= UNABLE_MAX;
}

static void leave(struct turn *turn)
{
	struct vm *vm = turn->vm;
	struct report report;
	bool ended;

	vms_lock();
	add_account(&vm->account, &turn->fill.account);
	turn->vcpu->pace = turn->fill.pace;
	vm->workers--;
	if (is_final(turn) && vm->state == STATE_ACTIVE) {
		vm->error = turn->error;
		set_end(vm, STATE_OFF);
		ended = true;
	} else {
		ended = end_if_done(vm);
	}
	if (ended)
		fill_report(&report, vm);
	vms_put(&turn->vcpu->object);
	vms_unlock();

	if (ended)
		tell_report(&report);
}

/* Returns whether KVM_RUN is to see the signals. */
static bool do_turn(struct turn *turn, int vcpu_fd, struct kick *kick)
{
	bool started = kick_start(kick, vcpu_fd,
				  turn->has_mask ? &turn->mask : NULL);

	turn->fill.kick = kick;
	if (started)
		work_and_count(turn, vcpu_fd);
	else
		turn->error = -ENOMEM;	/* kicks would be missed */
	leave(turn);
	return started;
}

bool pass_turn(int vcpu_fd, struct kick *kick)
{
	struct turn turn = { };

	guard_enter(&kick->guard);
	if (begin(&turn, vcpu_fd) && do_turn(&turn, vcpu_fd, kick)) {
		kick_leave_to_run(kick);
		return true;
	}
	guard_leave(&kick->guard);
	return false;
}

void pass_forget_all(void)
{
	vms_forget_all();
	last = (struct report){ };
}

void pass_closing(int fd)
{
	struct vcpu *vcpu = (struct vcpu *)vms_find(fd, KIND_VCPU);

	if (!vcpu || !vcpu->vm->passes)
		return;
	report_fill(&last, vcpu->vm);
	report_closing(vcpu);
}

void pass_report_at_exit(void)
{
	struct vm *vm;

	if (!options->report)
		return;

	vms_lock();
	for (vm = vms_first(); vm && !vm->passes; vm = vm->next)
		;
	if (vm)
		report_fill(&last, vm);
	vms_unlock();

	if (last.pass)
		report_exit(&last);
}
