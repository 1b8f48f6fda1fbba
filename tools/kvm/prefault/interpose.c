// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that stand in front of the C library's.
 *
 * ioctl() is all that is needed.  close() is there so that nothing is done to
 * memory that belonged to a VM that has gone, prctl() to see a VMM that is
 * about to confine itself by seccomp: its filter may kill it for an ioctl that
 * it does not know.  Most VMMs do that by libseccomp, the system call of which
 * is made by syscall() and cannot be seen: PR_SET_NO_NEW_PRIVS, which it sets
 * right before, has to stand for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "environment.h"
#include "message.h"
#include "own.h"
#include "pass.h"

#define EXPORT	__attribute__((visibility("default")))

#ifndef KVM_SET_USER_MEMORY_REGION2
/* It begins with struct kvm_userspace_memory_region. */
#define KVM_SET_USER_MEMORY_REGION2	0x40a0ae49
#endif

static int (*real_ioctl)(int fd, unsigned long request, ...);
static int (*real_close)(int fd);
static int (*real_prctl)(int option, ...);

static struct options options;
static struct policy policy;

/* The process that has initialized this; no child by vfork() is meant. */
static pid_t owner;
static bool on;
/* It is off for seccomp, which has not been said yet. */
static bool confined;

static bool is_on(void)
{
	return __atomic_load_n(&on, __ATOMIC_RELAXED) && getpid() == owner;
}

static void switch_off(void)
{
	__atomic_store_n(&on, false, __ATOMIC_RELAXED);
	__atomic_store_n(&vms_armed, 0, __ATOMIC_RELAXED);
}

/* Some constructor of the VMM's may be earlier than the one below. */
static void find_real(void)
{
	if (real_prctl)
		return;
	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	real_close = dlsym(RTLD_NEXT, "close");
	real_prctl = dlsym(RTLD_NEXT, "prctl");
}

int ioctl_own(int fd, unsigned long request, void *argument)
{
	return real_ioctl(fd, request, argument);
}

static void tell_confined(void)
{
	tell("the VMM is about to use seccomp, or may be: not pre-faulting; see --confined");
}

static int run_vcpu(int fd, unsigned long request, void *argument)
{
	struct kick kick;
	int r;

	if (!pass_turn(fd, &kick))
		return real_ioctl(fd, request, argument);

	r = real_ioctl(fd, request, argument);
	kick_end(&kick);
	return r;
}

static void created_vm(int fd)
{
	environment_hide();
	pass_new_vm(fd);
}

static void set_slot(int vm_fd, const void *argument)
{
	struct vm *vm;

	vms_lock();
	vm = (struct vm *)vms_find(vm_fd, KIND_VM);
	if (vm && vms_set_slot(vm, argument))
		pass_slot_changed(vm);
	vms_unlock();
}

static void set_signal_mask(int vcpu_fd, const struct kvm_signal_mask *mask)
{
	struct vcpu *vcpu;

	vms_lock();
	vcpu = (struct vcpu *)vms_find(vcpu_fd, KIND_VCPU);
	if (vcpu) {
		vcpu->has_mask = mask;
		sigemptyset(&vcpu->mask);
		/* The kernel has taken it, so this is the size of its type. */
		if (mask)
			memcpy(&vcpu->mask, mask->sigset, mask->len);
	}
	vms_unlock();
}

/* What the VMM has got done. */
static void note(int fd, unsigned int request, void *argument, int result)
{
	struct guard guard;

	guard_enter(&guard);
	switch (request) {
	case KVM_CREATE_VM:
		created_vm(result);
		break;
	case KVM_CREATE_VCPU:
		pass_new_vcpu(fd, result);
		break;
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		set_slot(fd, argument);
		break;
	case KVM_SET_SIGNAL_MASK:
		set_signal_mask(fd, argument);
		break;
	}
	guard_leave(&guard);
}

static bool is_noted(unsigned int request)
{
	return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	       request == KVM_SET_USER_MEMORY_REGION ||
	       request == KVM_SET_USER_MEMORY_REGION2 ||
	       request == KVM_SET_SIGNAL_MASK;
}

/* A process without a VM, such as a helper that the VMM forks, says nothing. */
static void explain(void)
{
	struct guard guard;

	if (getpid() != owner ||
	    !__atomic_exchange_n(&confined, false, __ATOMIC_RELAXED))
		return;
	guard_enter(&guard);
	tell_confined();
	guard_leave(&guard);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list rest;
	int r;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);

	find_real();
	if ((unsigned int)request == KVM_RUN) {
		if (!__atomic_load_n(&vms_armed, __ATOMIC_RELAXED) || !is_on())
			return real_ioctl(fd, request, argument);
		return run_vcpu(fd, request, argument);
	}

	r = real_ioctl(fd, request, argument);
	if (r >= 0 && (unsigned int)request == KVM_CREATE_VM)
		explain();
	if (r >= 0 && is_noted(request) && is_on())
		note(fd, request, argument, r);
	return r;
}

EXPORT int close(int fd)
{
	struct guard guard;

	find_real();
	if (vms_known(fd) && is_on()) {
		guard_enter(&guard);
		vms_lock();
		pass_closing(fd);
		vms_close(fd);
		vms_unlock();
		guard_leave(&guard);
	}
	return real_close(fd);
}

static void before_confined(void)
{
	struct guard guard;
	bool has_vm;

	guard_enter(&guard);
	vms_lock();
	has_vm = vms_first();
	vms_unlock();
	switch_off();
	__atomic_store_n(&confined, !has_vm, __ATOMIC_RELAXED);
	if (has_vm)
		tell_confined();
	guard_leave(&guard);
}

EXPORT int prctl(int option, ...)
{
	unsigned long a[4];
	va_list rest;
	int i;

	va_start(rest, option);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(rest, unsigned long);
	va_end(rest);

	find_real();
	if ((option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP) &&
	    !options.confined && is_on())
		before_confined();
	return real_prctl(option, a[0], a[1], a[2], a[3]);
}

/* A VMM may fork before it creates a VM: the child may be the one to run it. */
static void in_child(void)
{
	pass_forget_all();
	owner = getpid();
}

static bool is_switched_off(void)
{
	const char *state = getenv(SWITCH_VARIABLE);

	return state && !strcmp(state, "0");
}

static bool get_options(void)
{
	const char *text = getenv(OPTIONS_VARIABLE);

	options_init(&options);
	if (!text || options_parse(&options, text))
		return true;

	options_init(&options);
	say("bad " OPTIONS_VARIABLE ": not pre-faulting");
	return false;
}

__attribute__((constructor))
static void init(int argc, char **argv)
{
	(void)argc;
	find_real();
	message_init(&options);
	if (is_switched_off() || !get_options())
		return;

	message_init(&options);
	environment_init();
	policy = policy_decide(&options, argv);
	pass_init(&options, &policy);
	if (pthread_atfork(NULL, NULL, in_child))
		return;

	owner = getpid();
	__atomic_store_n(&on, true, __ATOMIC_RELAXED);
}

__attribute__((destructor))
static void finish(void)
{
	struct guard guard;

	if (!is_on())
		return;
	guard_enter(&guard);
	pass_report_at_exit();
	guard_leave(&guard);
}
