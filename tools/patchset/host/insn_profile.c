// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU: counts how often each instruction of the kernel is executed
 * between the first one of a function and that of another.
 *
 * Arguments: from=ADDRESS, to=ADDRESS, text=ADDRESS, where the kernel's text is
 * linked to, and out=FILE.  The file gets a line for each instruction that was
 * executed: its address and the count.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define TEXT_SIZE	(64ull << 20)

static uint64_t *counts;
static uint64_t from, to, text;
static const char *path;
static bool counting;

static void on_from(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	counting = true;
}

static void on_to(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	counting = false;
}

static void on_insn(unsigned int cpu, void *data)
{
	(void)cpu;
	if (counting)
		++*(uint64_t *)data;
}

static void watch_insn(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);

	if (address < text || address >= text + TEXT_SIZE)
		return;
	if (address == from)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_from, 0, NULL);
	if (address == to)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_to, 0, NULL);
	qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, 0,
					       &counts[address - text]);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < nr; i++)
		watch_insn(qemu_plugin_tb_get_insn(tb, i));
}

static void write_counts(plugin_id id, void *data)
{
	FILE *out = fopen(path, "w");
	uint64_t i;

	(void)id;
	(void)data;
	if (!out)
		return perror(path);
	for (i = 0; i < TEXT_SIZE; i++) {
		if (counts[i])
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n", text + i,
				counts[i]);
	}
	fclose(out);
}

static void parse(char *argument)
{
	if (!strncmp(argument, "from=", 5))
		from = strtoull(argument + 5, NULL, 16);
	else if (!strncmp(argument, "to=", 3))
		to = strtoull(argument + 3, NULL, 16);
	else if (!strncmp(argument, "text=", 5))
		text = strtoull(argument + 5, NULL, 16);
	else if (!strncmp(argument, "out=", 4))
		path = argument + 4;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	while (argc--)
		parse(strdup(*argv++));
	counts = calloc(TEXT_SIZE, sizeof(*counts));
	if (!counts || !from || !to || !text || !path)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, write_counts, NULL);
	return 0;
}
