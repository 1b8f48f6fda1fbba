/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest and the VMM agree on. */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_PAGE_SIZE		4096
#define GUEST_DONE_PORT		0xf4

#ifndef __ASSEMBLER__
/* Copied to guest physical address 0. */
extern const char guest_start[], guest_end[];

/* Two ways in: write the page's address to every page, or read every page. */
extern const char guest_write[], guest_read[];
#endif

#endif /* GUEST_H */
