// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "host.h"
#include "select.h"

/* Slots of the second address space are what SMM sees. */
static bool is_wanted(const struct slot *slot, const struct options *options)
{
	return !(slot->id >> 16) && slot->size > options->slots_over;
}

/* Adds what @range has of @slot.  Returns its size. */
static uint64_t add_part(struct vm *vm, const struct slot *slot,
			 const struct range *range)
{
	uint64_t page = host_page_size();
	uint64_t from = slot->gpa, to = slot->gpa + slot->size;
	struct part *part = &vm->parts[vm->nr_parts];

	if (range->from > from)
		from = range->from & ~(page - 1);
	if (range->to < to)
		to = (range->to + page - 1) & ~(page - 1);
	if (from >= to)
		return 0;

	*part = (struct part){ .slot = *slot };
	pre_fault_start(&part->work, from, to - from);
	vm->nr_parts++;
	return to - from;
}

static uint64_t add_slot(struct vm *vm, const struct slot *slot,
			 const struct options *options)
{
	const struct range all = { .to = UINT64_MAX };
	uint64_t size = 0;
	unsigned int i;

	if (!options->nr_ranges)
		return add_part(vm, slot, &all);

	for (i = 0; i < options->nr_ranges; i++)
		size += add_part(vm, slot, &options->ranges[i]);
	return size;
}

uint64_t select_parts(struct vm *vm, const struct options *options)
{
	unsigned int per_slot = options->nr_ranges ? options->nr_ranges : 1;
	uint64_t size = 0;
	unsigned int i;

	free(vm->parts);
	vm->parts = calloc((size_t)vm->nr_slots * per_slot + 1,
			   sizeof(*vm->parts));
	vm->nr_parts = 0;
	vm->next_part = 0;
	vm->nr_rests = 0;
	if (!vm->parts)
		return 0;

	for (i = 0; i < vm->nr_slots; i++) {
		if (is_wanted(&vm->slots[i], options))
			size += add_slot(vm, &vm->slots[i], options);
	}
	return size;
}

bool select_any(const struct vm *vm)
{
	unsigned int i;

	for (i = vm->next_part; i < vm->nr_parts; i++) {
		if (vm->parts[i].work.next < vm->parts[i].work.end)
			return true;
	}
	return vm->nr_rests;
}

bool select_give_back(struct vm *vm, const struct piece *piece)
{
	struct piece *rests = realloc(vm->rests,
				      (vm->nr_rests + 1) * sizeof(*rests));

	if (!rests)
		return false;
	vm->rests = rests;
	rests[vm->nr_rests++] = *piece;
	return true;
}

static bool take_rest(struct vm *vm, struct piece *piece)
{
	while (vm->nr_rests) {
		*piece = vm->rests[--vm->nr_rests];
		if (vms_has_slot(vm, &piece->slot))
			return true;
	}
	return false;
}

bool select_take(struct vm *vm, struct piece *piece)
{
	struct kvm_pre_fault_memory range;
	struct part *part;

	if (take_rest(vm, piece))
		return true;

	for (; vm->next_part < vm->nr_parts; vm->next_part++) {
		part = &vm->parts[vm->next_part];
		/* The VMM may have unmapped its memory, too. */
		if (!vms_has_slot(vm, &part->slot))
			continue;
		if (pre_fault_take(&part->work, &range)) {
			*piece = (struct piece){
				.gpa = range.gpa,
				.size = range.size,
				.hva = part->slot.hva +
				       (range.gpa - part->slot.gpa),
				.slot = part->slot,
			};
			return true;
		}
	}
	return false;
}
