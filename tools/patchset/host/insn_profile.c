// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU: counts how often each instruction of the kernel is executed
 * between the first one of a function and that of another.
 *
 * Arguments: from=ADDRESS, to=ADDRESS, out=FILE.  The file gets a line for each
 * instruction that was executed: its address and the count.
 *
 * Debian does not ship qemu-plugin.h, so what is used of it is declared here;
 * see "QEMU TCG Plugins" in QEMU's manual.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef uint64_t plugin_id;
typedef void (*exec_cb)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
		void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		exec_cb cb, int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id,
		void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

/* The version of the interface. */
extern const int qemu_plugin_version;
const int qemu_plugin_version = 1;

/* The kernel's text, as it is linked. */
#define TEXT		UINT64_C(0xffffffff81000000)
#define TEXT_SIZE	(64ull << 20)

static uint64_t *counts;
static uint64_t from, to;
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

	if (address < TEXT || address >= TEXT + TEXT_SIZE)
		return;
	if (address == from)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_from, 0, NULL);
	if (address == to)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_to, 0, NULL);
	qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, 0,
					       &counts[address - TEXT]);
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
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n", TEXT + i,
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
	else if (!strncmp(argument, "out=", 4))
		path = argument + 4;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	while (argc--)
		parse(strdup(*argv++));
	counts = calloc(TEXT_SIZE, sizeof(*counts));
	if (!counts || !from || !to || !path)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, write_counts, NULL);
	return 0;
}
