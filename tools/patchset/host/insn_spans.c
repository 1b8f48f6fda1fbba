// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's machines of POWER: counts the instructions that are executed
 * between two that a program uses as marks, whatever executes them: the program,
 * the kernel, its real mode, or a guest.  What the timer's interrupts take is left
 * out, as they come when the time of this side tells it: all up to the next return
 * from an interrupt, which is too much if that is another one's, or a guest's entry.
 *
 * Argument: out=FILE.  The file gets a line for each span: the count, and how many
 * instructions were left out of it.  One CPU only.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

/* As in htab_perf_test.c: xori 26, 26, 0 and xori 27, 27, 0. */
#define MARK_BEGIN	0x6b5a0000u
#define MARK_END	0x6b7b0000u

#define RFID		0x4c000024u
#define HRFID		0x4c000224u

/* Where the decrementer interrupts: with translation off, and on. */
#define DECREMENTER_REAL	UINT64_C(0x900)
#define DECREMENTER_VIRTUAL	UINT64_C(0xc000000000004900)

#define MAX_SPANS	65536

struct span {
	uint64_t count;
	uint64_t left_out;
};

static uint64_t executed, left_out, interrupt_start;
static bool interrupted;
static struct span begin, spans[MAX_SPANS];
static unsigned int nr_spans;
static const char *path;

static struct span counted(void)
{
	return (struct span) { executed - left_out, left_out };
}

static void on_begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	begin = counted();
}

static void on_end(unsigned int cpu, void *data)
{
	struct span end = counted();

	(void)cpu;
	(void)data;
	if (nr_spans == MAX_SPANS)
		return;
	spans[nr_spans].count = end.count - begin.count;
	spans[nr_spans++].left_out = end.left_out - begin.left_out;
}

static void on_interrupt(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!interrupted)
		interrupt_start = executed;
	interrupted = true;
}

static void on_return(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (interrupted)
		left_out += executed - interrupt_start;
	interrupted = false;
}

static exec_cb callback_of_code(uint32_t code)
{
	switch (code) {
	case MARK_BEGIN:
		return on_begin;
	case MARK_END:
		return on_end;
	case RFID:
	case HRFID:
		return on_return;
	default:
		return NULL;
	}
}

static void watch_insn(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	exec_cb callback;
	uint32_t code;

	memcpy(&code, qemu_plugin_insn_data(insn), sizeof(code));
	callback = callback_of_code(code);
	if (address == DECREMENTER_REAL || address == DECREMENTER_VIRTUAL)
		callback = on_interrupt;
	if (callback)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, 0, NULL);
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
						   &executed, 1);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < nr; i++)
		watch_insn(qemu_plugin_tb_get_insn(tb, i));
}

static void write_spans(plugin_id id, void *data)
{
	FILE *out = fopen(path, "w");
	unsigned int i;

	(void)id;
	(void)data;
	if (!out)
		return perror(path);
	for (i = 0; i < nr_spans; i++)
		fprintf(out, "%" PRIu64 " %" PRIu64 "\n", spans[i].count,
			spans[i].left_out);
	fclose(out);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	while (argc--) {
		if (!strncmp(*argv, "out=", 4))
			path = strdup(*argv + 4);
		argv++;
	}
	if (!path)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, write_spans, NULL);
	return 0;
}
