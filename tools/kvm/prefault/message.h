/* SPDX-License-Identifier: GPL-2.0-only */
/* What the user is told. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* As __printf(), which only the kernel's headers have: @what is format. */
#define LIKE_PRINTF(what, a, b)	__attribute__((what(printf, a, b)))

/* To be called before the VMM has run, while stderr is still the user's. */
void message_init(const struct options *options);

/*
 * One line, in any thread.  Never blocks: it is lost if nobody takes it.  Not
 * to be called with a lock held.
 */
LIKE_PRINTF(format, 1, 2)
void say(const char *format, ...);

/* As say(), for what --quiet leaves out. */
LIKE_PRINTF(format, 1, 2)
void tell(const char *format, ...);

/* Something starts whose progress is going to be shown. */
void start_progress(void);

/*
 * How far it is, in bytes.  May be called often, only some calls show
 * something; with @last the bar is shown, and ends.
 */
void show_progress(uint64_t done, uint64_t total, bool last);

#endif /* MESSAGE_H */
