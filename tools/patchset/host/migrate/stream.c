// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hashed page table in a migration stream of QEMU's pseries machine.
 *
 * Sections have no lengths, so those before the table's last have to be
 * understood: of the guest's memory ("ram"), which is skipped, and "spapr/htab".
 * Both end before the state of the devices, where reading stops.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"
#include "stream.h"

#define MAGIC			0x5145564d	/* QEVM */
#define VERSION			3

#define SECTION_START		1
#define SECTION_PART		2
#define SECTION_END		3
#define SECTION_CONFIGURATION	7
#define SECTION_FOOTER		0x7e

#define RAM_PAGE_SIZE		4096
#define RAM_ZERO		0x02
#define RAM_MEM_SIZE		0x04
#define RAM_PAGE		0x08
#define RAM_END			0x10
#define RAM_CONTINUE		0x20

#define HPTE_V_HVLOCK		0x40

struct reader {
	const char *path;
	const uint8_t *start, *at, *end;
	uint32_t ram, htab;	/* the sections' numbers */
	uint32_t next;		/* the entry behind the last that was told */
	struct stream *to;
};

static const uint8_t *take(struct reader *s, size_t bytes)
{
	const uint8_t *at = s->at;

	if ((size_t)(s->end - at) < bytes)
		bail_out("%s: ends in a section", s->path);
	s->at += bytes;
	return at;
}

static uint64_t number(struct reader *s, size_t bytes)
{
	const uint8_t *at = take(s, bytes);
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

static void expect(struct reader *s, uint64_t value, size_t bytes)
{
	size_t where = s->at - s->start;
	uint64_t found = number(s, bytes);

	if (found != value)
		bail_out("%s: 0x%llx instead of 0x%llx at %zu", s->path,
			 (unsigned long long)found, (unsigned long long)value,
			 where);
}

/* A block's name, and its length. */
static void skip_blocks(struct reader *s, uint64_t left)
{
	while (left) {
		uint64_t length;

		take(s, number(s, 1));
		length = number(s, 8);
		if (length > left)
			bail_out("%s: memory of 0x%llx too large", s->path,
				 (unsigned long long)length);
		left -= length;
	}
}

static void skip_ram(struct reader *s)
{
	for (;;) {
		uint64_t word = number(s, 8);
		uint64_t flags = word & (RAM_PAGE_SIZE - 1) & ~RAM_CONTINUE;

		if (flags == RAM_END)
			return;
		if (flags == RAM_MEM_SIZE) {
			skip_blocks(s, word - flags);
			continue;
		}
		if (!(word & RAM_CONTINUE))
			take(s, number(s, 1));
		if (flags == RAM_PAGE)
			take(s, RAM_PAGE_SIZE);
		else if (flags == RAM_ZERO)
			take(s, 1);
		else
			bail_out("%s: memory with flags 0x%llx", s->path,
				 (unsigned long long)word);
	}
}

static struct hpte read_hpte(struct reader *s)
{
	struct hpte hpte;

	/* KVM gives the two words in memory order, and QEMU passes them on. */
	memcpy(&hpte, take(s, sizeof(hpte)), sizeof(hpte));
	hpte.v = be64toh(hpte.v);
	hpte.r = be64toh(hpte.r);
	return hpte;
}

static struct part *add_part(struct stream *stream)
{
	size_t size = (stream->count + 1) * sizeof(struct part);
	struct part *part;

	stream->parts = realloc(stream->parts, size);
	if (!stream->parts)
		bail_out("no memory for %u parts", stream->count);
	part = &stream->parts[stream->count++];
	memset(part, 0, sizeof(*part));
	return part;
}

static void read_chunk(struct reader *s, struct part *part, uint32_t index,
		       unsigned int valid, unsigned int invalid)
{
	struct table *table = &s->to->table;

	if (index + (uint64_t)valid + invalid > table->slots)
		bail_out("%s: entries beyond the table", s->path);
	part->valid += valid;
	part->invalid += invalid;
	part->ends += index < s->next;
	s->next = index + valid + invalid;
	while (valid--) {
		struct hpte hpte = read_hpte(s);

		s->to->lock_bits += !!(hpte.v & HPTE_V_HVLOCK);
		hpte.v &= ~HPTE_V_HVLOCK;
		table->entries[index++] = hpte;
	}
	memset(table->entries + index, 0, invalid * sizeof(struct hpte));
}

/* Chunks up to one that is empty. */
static void read_part(struct reader *s, struct part *part)
{
	for (;;) {
		uint32_t index = number(s, 4);
		unsigned int valid = number(s, 2), invalid = number(s, 2);

		if (!index && !valid && !invalid)
			return;
		read_chunk(s, part, index, valid, invalid);
	}
}

static void read_htab(struct reader *s)
{
	const uint8_t *start = s->at;
	uint32_t order = number(s, 4);
	struct part *part;

	if (order) {
		if (s->to->table.entries)
			bail_out("%s: a second table", s->path);
		create_table(&s->to->table, order);
		return;
	}
	part = add_part(s->to);
	read_part(s, part);
	part->bytes = s->at - start;
}

static void name_section(struct reader *s, uint32_t section)
{
	unsigned int length = number(s, 1);
	const char *name = (const char *)take(s, length);

	take(s, 8);	/* instance, version */
	if (length == 3 && !memcmp(name, "ram", 3))
		s->ram = section;
	else if (length == 10 && !memcmp(name, "spapr/htab", 10))
		s->htab = section;
	else
		bail_out("%s: a section %.*s", s->path, (int)length, name);
}

/* Returns whether it was the table's last. */
static bool read_section(struct reader *s)
{
	unsigned int type = number(s, 1);
	uint32_t section = number(s, 4);

	if (type != SECTION_START && type != SECTION_PART && type != SECTION_END)
		bail_out("%s: a section of type %u", s->path, type);
	if (type == SECTION_START)
		name_section(s, section);
	if (section == s->ram)
		skip_ram(s);
	else if (section == s->htab)
		read_htab(s);
	else
		bail_out("%s: an unknown section %u", s->path, section);
	expect(s, SECTION_FOOTER, 1);
	expect(s, section, 4);
	return type == SECTION_END && section == s->htab;
}

static void map_file(struct reader *s)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat))
		bail_out("%s: %m", s->path);
	s->start = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (s->start == MAP_FAILED)
		bail_out("%s: %m", s->path);
	close(fd);
	s->at = s->start;
	s->end = s->start + stat.st_size;
}

void read_stream(const char *path, struct stream *stream)
{
	struct reader s = { .path = path, .ram = -1, .htab = -1, .to = stream };

	memset(stream, 0, sizeof(*stream));
	map_file(&s);
	expect(&s, MAGIC, 4);
	expect(&s, VERSION, 4);
	expect(&s, SECTION_CONFIGURATION, 1);
	take(&s, number(&s, 4));	/* the machine's name */
	while (!read_section(&s))
		;
	if (!stream->count)
		bail_out("%s: no entries", path);
	munmap((void *)s.start, s.end - s.start);
}

struct part sum_of_parts(const struct stream *stream)
{
	struct part sum = { 0 };

	for (unsigned int i = 0; i < stream->count; i++) {
		sum.valid += stream->parts[i].valid;
		sum.invalid += stream->parts[i].invalid;
		sum.bytes += stream->parts[i].bytes;
		sum.ends += stream->parts[i].ends;
	}
	return sum;
}

void free_stream(struct stream *stream)
{
	free_table(&stream->table);
	free(stream->parts);
}
