// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "vms.h"

/* Descriptors above are not followed: pages of the table that stay 0 are free. */
#define MAX_FDS		65536
#define FIRST_PACE	0x100000ULL

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects[MAX_FDS];
static struct object other = { .kind = KIND_OTHER, .refs = 1 };
static struct vm *first_vm;
static int highest_fd = -1;
/* close() may be called in a signal handler, where free() may not be. */
static struct object *gone;

int vms_armed;

void vms_lock(void)
{
	pthread_mutex_lock(&lock);
}

void vms_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* What the parent had allocated is left alone: it may have been changing it. */
void vms_forget_all(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	for (; highest_fd >= 0; highest_fd--)
		objects[highest_fd] = NULL;
	first_vm = NULL;
	gone = NULL;
	vms_armed = 0;
}

void vms_arm(struct vm *vm, bool armed)
{
	if (vm->armed == armed)
		return;
	vm->armed = armed;
	__atomic_fetch_add(&vms_armed, armed ? 1 : -1, __ATOMIC_RELAXED);
}

bool vms_known(int fd)
{
	return fd >= 0 && fd < MAX_FDS &&
	       __atomic_load_n(&objects[fd], __ATOMIC_RELAXED);
}

static void remove_vm(struct vm *vm)
{
	struct vm **link = &first_vm;

	while (*link && *link != vm)
		link = &(*link)->next;
	if (*link)
		*link = vm->next;

	vms_arm(vm, false);
}

static void remove_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct vcpu **link = &vm->vcpus;

	while (*link && *link != vcpu)
		link = &(*link)->next;
	if (*link)
		*link = vcpu->next;

	vms_put(&vm->object);
}

void vms_get(struct object *object)
{
	object->refs++;
}

void vms_put(struct object *object)
{
	if (--object->refs)
		return;
	if (object->kind == KIND_VM)
		remove_vm((struct vm *)object);
	else if (object->kind == KIND_VCPU)
		remove_vcpu((struct vcpu *)object);
	object->gone = gone;
	gone = object;
}

static void free_object(struct object *object)
{
	struct vm *vm = (struct vm *)object;

	if (object->kind == KIND_VM) {
		free(vm->slots);
		free(vm->parts);
		free(vm->rests);
	}
	free(object);
}

void vms_free_gone(void)
{
	struct object *object;

	while (gone) {
		object = gone;
		gone = object->gone;
		free_object(object);
	}
}

static void close_stats(struct object *object)
{
	struct vcpu *vcpu = (struct vcpu *)object;

	if (object->kind == KIND_VCPU)
		kvm_stat_close(&vcpu->faults);
}

void vms_close(int fd)
{
	struct object *object;

	if (!vms_known(fd))
		return;

	object = objects[fd];
	__atomic_store_n(&objects[fd], NULL, __ATOMIC_RELAXED);
	close_stats(object);
	vms_put(object);
}

/* @fd has a reference on @object. */
static void set_object(int fd, struct object *object)
{
	vms_close(fd);
	vms_get(object);
	__atomic_store_n(&objects[fd], object, __ATOMIC_RELAXED);
	if (fd > highest_fd)
		highest_fd = fd;
}

static bool is_same_file(int fd, int other_fd)
{
	pid_t pid = getpid();

	return !syscall(SYS_kcmp, pid, pid, KCMP_FILE, fd, other_fd);
}

/* Whether @fd is a duplicate of a descriptor that is known. */
static struct object *find_original(int fd)
{
	int known;

	for (known = 0; known <= highest_fd; known++) {
		if (objects[known] && objects[known] != &other &&
		    is_same_file(fd, known))
			return objects[known];
	}
	return &other;
}

struct object *vms_find(int fd, enum kind kind)
{
	if (fd < 0 || fd >= MAX_FDS)
		return NULL;

	if (!objects[fd] && first_vm)
		set_object(fd, find_original(fd));

	return objects[fd] && objects[fd]->kind == kind ? objects[fd] : NULL;
}

struct vm *vms_add_vm(int fd)
{
	struct vm *vm;

	if (fd < 0 || fd >= MAX_FDS)
		return NULL;

	vms_free_gone();
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;

	vm->object = (struct object){ .kind = KIND_VM, .fd = fd };
	set_object(fd, &vm->object);
	vm->next = first_vm;
	first_vm = vm;
	return vm;
}

struct vcpu *vms_add_vcpu(int fd, struct vm *vm)
{
	struct vcpu *vcpu;

	if (fd < 0 || fd >= MAX_FDS)
		return NULL;

	vms_free_gone();
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return NULL;

	vcpu->object = (struct object){ .kind = KIND_VCPU, .fd = fd };
	vcpu->vm = vm;
	vcpu->pace = FIRST_PACE;
	vcpu->faults.fd = -1;
	vms_get(&vm->object);
	set_object(fd, &vcpu->object);
	vcpu->next = vm->vcpus;
	vm->vcpus = vcpu;
	return vcpu;
}

struct vm *vms_first(void)
{
	return first_vm;
}

static struct slot *find_slot(const struct vm *vm, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_slots; i++) {
		if (vm->slots[i].id == id)
			return &vm->slots[i];
	}
	return NULL;
}

static void add_slot(struct vm *vm, const struct slot *slot)
{
	struct slot *slots = realloc(vm->slots,
				     (vm->nr_slots + 1) * sizeof(*slots));

	if (!slots)
		return;		/* it is not pre-faulted, that is all */
	vm->slots = slots;
	slots[vm->nr_slots++] = *slot;
}

bool vms_set_slot(struct vm *vm,
		  const struct kvm_userspace_memory_region *region)
{
	struct slot *old = find_slot(vm, region->slot);
	const struct slot slot = {
		.id = region->slot,
		.flags = region->flags,
		.gpa = region->guest_phys_addr,
		.size = region->memory_size,
		.hva = region->userspace_addr,
	};
	bool moved;

	if (!slot.size) {
		if (old)
			*old = vm->slots[--vm->nr_slots];
		return true;
	}
	if (!old) {
		add_slot(vm, &slot);
		return false;
	}
	moved = old->gpa != slot.gpa;
	*old = slot;
	return moved;
}

bool vms_has_slot(const struct vm *vm, const struct slot *slot)
{
	const struct slot *now = find_slot(vm, slot->id);

	return now && now->gpa == slot->gpa && now->hva == slot->hva &&
	       now->size == slot->size;
}
