/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What plugins for QEMU use of its interface, as Debian does not ship
 * qemu-plugin.h; see "QEMU TCG Plugins" in QEMU's manual.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

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
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

enum qemu_plugin_op {
	QEMU_PLUGIN_INLINE_ADD_U64,
};

void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
		enum qemu_plugin_op op, void *counter, uint64_t add);

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* The version of the interface. */
extern const int qemu_plugin_version;
const int qemu_plugin_version = 1;

#endif /* QEMU_PLUGIN_H */
