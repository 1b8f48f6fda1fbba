/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stream of KVM_PPC_GET_HTAB_FD, for tests: records are built and written,
 * and what is read is checked and kept in a shadow of the table.
 */
#ifndef SELFTEST_KVM_HTAB_STREAM_H
#define SELFTEST_KVM_HTAB_STREAM_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "htab_vm.h"

/* The first doubleword of an entry. */
#define HTAB_V_VALID		0x1ull
#define HTAB_V_SECONDARY	0x2ull
#define HTAB_V_LARGE		0x4ull
#define HTAB_V_BOLTED		0x10ull
/* The two that are the hypervisor's own, and must not be seen outside. */
#define HTAB_V_ABSENT		0x20ull
#define HTAB_V_LOCK		0x40ull
#define HTAB_V_OWN		(HTAB_V_ABSENT | HTAB_V_LOCK)
#define HTAB_V_AVPN_SHIFT	7
/* POWER9 keeps no more of the address than this. */
#define HTAB_V_AVPN_BITS	45
#define HTAB_V_1TB_SEG		0x4000000000000000ull
/* A segment size that there is not. */
#define HTAB_V_BAD_SEG		0x8000000000000000ull
/* An entry of the real mode area, as the first segment of 1 TiB has. */
#define HTAB_V_VRMA		(HTAB_V_1TB_SEG | 0x1ffffffull << 24)

/* The second one. */
#define HTAB_R_PP_RWRW		0x2ull
#define HTAB_R_M		0x10ull
#define HTAB_R_C		0x80ull
#define HTAB_R_R		0x100ull
#define HTAB_R_RPN_SHIFT	12
/* With HTAB_V_LARGE: what says that a page has 64 KiB, or 16 MiB, or nothing. */
#define HTAB_R_64K		0x1000ull
#define HTAB_R_16M		0x0ull
#define HTAB_R_NO_SIZE		0x2000ull

/* Where the guest has no memory: entries that lead there are emulated MMIO. */
#define HTAB_NO_MEMORY		0x10000000000ull

#define HTAB_HEADER		sizeof(struct kvm_get_htab_header)
#define HTAB_ENTRY		16

/* In the host's byte order. */
struct htab_entry {
	uint64_t v;
	uint64_t r;
};

static inline struct htab_entry htab_entry_at(uint64_t vpage, uint64_t ra,
					      uint64_t v_bits)
{
	uint64_t avpn = vpage & ((1ull << HTAB_V_AVPN_BITS) - 1);

	return (struct htab_entry){
		.v = avpn << HTAB_V_AVPN_SHIFT | v_bits | HTAB_V_VALID,
		.r = ra | HTAB_R_PP_RWRW | HTAB_R_M | HTAB_R_R | HTAB_R_C,
	};
}

/* One that differs for each @n, and needs no memory in the guest. */
static inline struct htab_entry htab_entry_make(uint64_t n, uint64_t v_bits)
{
	return htab_entry_at(n, HTAB_NO_MEMORY + (n << HTAB_R_RPN_SHIFT), v_bits);
}

/* ---- Building and writing ---- */

static inline size_t htab_record_size(unsigned int n_valid)
{
	return HTAB_HEADER + (size_t)n_valid * HTAB_ENTRY;
}

static inline void htab_put_entry(void *to, struct htab_entry entry)
{
	uint64_t words[2] = { htobe64(entry.v), htobe64(entry.r) };

	memcpy(to, words, sizeof(words));
}

/* Returns the size of the record. */
static inline size_t htab_put_record(void *to, uint32_t index,
				     const struct htab_entry *entries,
				     uint16_t n_valid, uint16_t n_invalid)
{
	struct kvm_get_htab_header header = {
		.index = index,
		.n_valid = n_valid,
		.n_invalid = n_invalid,
	};
	unsigned int i;

	memcpy(to, &header, sizeof(header));
	for (i = 0; i < n_valid; i++)
		htab_put_entry((char *)to + htab_record_size(i), entries[i]);
	return htab_record_size(n_valid);
}

/* Writes one record. Returns what write() does, or -errno. */
static inline ssize_t htab_write(int fd, uint32_t index,
				 const struct htab_entry *entries,
				 uint16_t n_valid, uint16_t n_invalid)
{
	void *record = malloc(htab_record_size(n_valid));
	ssize_t ret;

	if (!record)
		return -ENOMEM;
	ret = write(fd, record, htab_put_record(record, index, entries, n_valid,
						n_invalid));
	if (ret < 0)
		ret = -errno;
	free(record);
	return ret;
}

/* Return 0 if all was written, or a negative number. */
static inline int htab_set(int fd, uint32_t index, struct htab_entry entry)
{
	ssize_t ret = htab_write(fd, index, &entry, 1, 0);

	return ret == (ssize_t)htab_record_size(1) ? 0 : ret < 0 ? (int)ret : -EIO;
}

static inline int htab_clear(int fd, uint32_t index, uint16_t count)
{
	ssize_t ret = htab_write(fd, index, NULL, 0, count);

	return ret == (ssize_t)HTAB_HEADER ? 0 : ret < 0 ? (int)ret : -EIO;
}

/* ---- Reading ---- */

struct htab_slot {
	struct htab_entry entry;
	bool valid;
	/* How often the stream told of it. */
	unsigned int told;
};

/* What a reader knows of the table from the stream. */
struct htab_shadow {
	uint64_t entries;
	struct htab_slot *slots;
	/* The table may be replaced while it is read, which begins anew then. */
	bool any_order;
	/* Entries that had a bit of HTAB_V_OWN. */
	uint64_t n_own_bits;
	/* What was wrong with the stream, or NULL. */
	const char *error;
};

static inline int htab_shadow_init(struct htab_shadow *shadow, uint64_t entries)
{
	*shadow = (struct htab_shadow){
		.entries = entries,
		.slots = calloc(entries, sizeof(struct htab_slot)),
	};
	return shadow->slots ? 0 : -ENOMEM;
}

static inline void htab_shadow_destroy(struct htab_shadow *shadow)
{
	free(shadow->slots);
	shadow->slots = NULL;
}

static inline void htab_shadow_forget_told(struct htab_shadow *shadow)
{
	uint64_t i;

	for (i = 0; i < shadow->entries; i++)
		shadow->slots[i].told = 0;
}

/* How many slots of [from, to) were told at least once. */
static inline uint64_t htab_shadow_told(const struct htab_shadow *shadow,
					uint64_t from, uint64_t to)
{
	uint64_t told = 0;

	for (; from < to; from++)
		told += !!shadow->slots[from].told;
	return told;
}

static inline uint64_t htab_shadow_valid(const struct htab_shadow *shadow)
{
	uint64_t i, valid = 0;

	for (i = 0; i < shadow->entries; i++)
		valid += shadow->slots[i].valid;
	return valid;
}

/* What a test itself has written, where it needs to know what is right. */
static inline void htab_shadow_set(struct htab_shadow *shadow, uint64_t index,
				   struct htab_entry entry)
{
	shadow->slots[index].entry = entry;
	shadow->slots[index].valid = true;
}

static inline void htab_shadow_clear(struct htab_shadow *shadow, uint64_t index)
{
	shadow->slots[index].entry = (struct htab_entry){};
	shadow->slots[index].valid = false;
}

static inline void __htab_apply_valid(struct htab_shadow *shadow, uint64_t index,
				      const char *from)
{
	struct htab_slot *slot = &shadow->slots[index];
	uint64_t words[2];

	memcpy(words, from, sizeof(words));
	slot->entry.v = be64toh(words[0]);
	slot->entry.r = be64toh(words[1]);
	slot->valid = true;
	slot->told++;

	if (!(slot->entry.v & HTAB_V_VALID))
		shadow->error = "an entry without the valid bit among the valid";
	if (slot->entry.v & HTAB_V_OWN)
		shadow->n_own_bits++;
	slot->entry.v &= ~HTAB_V_OWN;
}

static inline const char *
__htab_header_error(const struct htab_shadow *shadow,
		    const struct kvm_get_htab_header *header, size_t rest,
		    uint64_t least_index)
{
	uint64_t end = (uint64_t)header->index + header->n_valid +
		       header->n_invalid;

	if (!header->n_valid && !header->n_invalid)
		return "a record that says nothing";
	if (htab_record_size(header->n_valid) > rest)
		return "entries are cut off";
	if (end > shadow->entries)
		return "a record beyond the table";
	if (header->index < least_index && !shadow->any_order)
		return "records of one read are not in order";
	return NULL;
}

/*
 * Applies what one read() returned. Returns 0, or -EBADMSG if it is not well
 * formed; then shadow->error says why.
 */
static inline int htab_shadow_apply(struct htab_shadow *shadow, const char *buf,
				    size_t size)
{
	struct kvm_get_htab_header header;
	uint64_t next = 0;
	unsigned int i;

	while (size && !shadow->error) {
		if (size < sizeof(header)) {
			shadow->error = "a header is cut off";
			break;
		}
		memcpy(&header, buf, sizeof(header));
		shadow->error = __htab_header_error(shadow, &header, size, next);
		if (shadow->error)
			break;

		next = header.index;
		for (i = 0; i < header.n_valid; i++)
			__htab_apply_valid(shadow, next++,
					   buf + htab_record_size(i));
		for (i = 0; i < header.n_invalid; i++) {
			htab_shadow_clear(shadow, next);
			shadow->slots[next++].told++;
		}
		buf += htab_record_size(header.n_valid);
		size -= htab_record_size(header.n_valid);
	}
	return shadow->error ? -EBADMSG : 0;
}

/* One read() into @buf. Returns its size, 0, -errno or -EBADMSG. */
static inline ssize_t htab_read(int fd, struct htab_shadow *shadow, void *buf,
				size_t size)
{
	ssize_t ret = read(fd, buf, size);

	if (ret < 0)
		return -errno;
	if (ret > (ssize_t)size) {
		shadow->error = "more was returned than asked for";
		return -EBADMSG;
	}
	return htab_shadow_apply(shadow, buf, ret) ?: ret;
}

/*
 * Reads until 0 with a buffer of @size. Returns how many reads told something,
 * or a negative number as htab_read() does.
 */
static inline long htab_drain(int fd, struct htab_shadow *shadow, size_t size)
{
	void *buf = malloc(size);
	long reads = 0;
	ssize_t ret;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ret = htab_read(fd, shadow, buf, size);
		if (ret <= 0)
			break;
		reads++;
	}
	free(buf);
	return ret < 0 ? ret : reads;
}

/*
 * What the table has now: all that a new reader is told. Returns 0, or a
 * negative number as htab_read() does.
 */
static inline int htab_dump(struct htab_vm *vm, struct htab_shadow *shadow)
{
	long ret;
	int fd;

	fd = htab_open(vm, 0, 0);
	if (fd < 0)
		return fd;
	ret = htab_drain(fd, shadow, 65536);
	close(fd);
	return ret < 0 ? (int)ret : 0;
}

/* ---- Comparing ---- */

static inline bool htab_slots_differ(const struct htab_slot *a,
				     const struct htab_slot *b)
{
	if (a->valid != b->valid)
		return true;
	return a->valid && memcmp(&a->entry, &b->entry, sizeof(a->entry));
}

static inline void htab_print_slot(const char *who, const struct htab_slot *slot)
{
	fprintf(stderr, " %s %s v=%llx r=%llx told=%u", who,
		slot->valid ? "valid" : "invalid",
		(unsigned long long)slot->entry.v,
		(unsigned long long)slot->entry.r, slot->told);
}

/* Returns in how many slots they differ, and prints the first of these. */
static inline uint64_t htab_shadow_differ(const struct htab_shadow *a,
					  const struct htab_shadow *b)
{
	uint64_t entries = a->entries < b->entries ? a->entries : b->entries;
	uint64_t i, differ = a->entries > b->entries ? a->entries - entries :
						       b->entries - entries;

	for (i = 0; i < entries; i++) {
		if (!htab_slots_differ(&a->slots[i], &b->slots[i]))
			continue;
		if (differ++ >= 4)
			continue;
		fprintf(stderr, "# slot %llu:", (unsigned long long)i);
		htab_print_slot("one", &a->slots[i]);
		htab_print_slot("other", &b->slots[i]);
		fprintf(stderr, "\n");
	}
	return differ;
}

/* The same for what a reader was told, and what the table has now. */
static inline long htab_shadow_stale(struct htab_vm *vm,
				     const struct htab_shadow *shadow)
{
	struct htab_shadow now;
	long ret;

	if (htab_shadow_init(&now, shadow->entries))
		return -ENOMEM;
	ret = htab_dump(vm, &now);
	if (!ret)
		ret = htab_shadow_differ(shadow, &now);
	htab_shadow_destroy(&now);
	return ret;
}

#endif /* SELFTEST_KVM_HTAB_STREAM_H */
