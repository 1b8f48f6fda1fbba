/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest: flat 32-bit protected mode without paging, so that it has no page
 * tables of its own and needs a stage-2 mapping of just the pages it touches.
 *
 * %ebx: the first address to touch, %ecx: how many pages
 */
#include "guest.h"

	.section .rodata
	.code32

	.globl	guest_start
guest_start:

	.globl	guest_write
guest_write:
	movl	%ebx, (%ebx)
	addl	$GUEST_PAGE_SIZE, %ebx
	decl	%ecx
	jnz	guest_write
	outb	%al, $GUEST_DONE_PORT

	.globl	guest_read
guest_read:
	movl	(%ebx), %eax
	addl	$GUEST_PAGE_SIZE, %ebx
	decl	%ecx
	jnz	guest_read
	outb	%al, $GUEST_DONE_PORT

	.globl	guest_end
guest_end:

	.section .note.GNU-stack, "", @progbits
