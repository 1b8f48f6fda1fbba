/* SPDX-License-Identifier: GPL-2.0-only */
/* Which memory, and who does which piece of it.  With the lock held. */
#ifndef SELECT_H
#define SELECT_H

#include <stdbool.h>

#include "options.h"
#include "vms.h"

/* Makes the parts of @vm anew.  Returns their size in bytes. */
uint64_t select_parts(struct vm *vm, const struct options *options);

/* Whether there is anything left to take. */
bool select_any(const struct vm *vm);

/* Takes a piece that nobody else has.  Returns false if there is none. */
bool select_take(struct vm *vm, struct piece *piece);

/* What is left of a piece is to be taken again.  Returns false without memory. */
bool select_give_back(struct vm *vm, const struct piece *piece);

#endif /* SELECT_H */
