// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PPC_GET_HTAB_FD while there is a guest: each way in which the guest or the
 * host changes an entry is told to a reader that was told everything before, and
 * nothing else is.
 */
#include "kselftest_harness.h"
#include "htab_guest.h"

#define ORDER		HTAB_MIN_ORDER
#define ENTRIES		HTAB_ENTRIES(ORDER)
#define BUFFER		65536

/* The page of the segment that most tests use, and what it is mapped to. */
#define PAGE		5
#define GPA		(HTAB_PAGES + 0x30000)

FIXTURE(guest)
{
	struct htab_guest guest;
	struct htab_vcpu *vcpu;
	struct htab_shadow shadow;
	uint64_t index;			/* of the entry for PAGE */
	struct htab_entry entry;	/* what maps it to GPA */
	int fd;
};

/* Reads until 0, and remembers only what this told. */
static void drain(struct __test_metadata *_metadata,
		  struct _test_data_guest *self)
{
	htab_shadow_forget_told(&self->shadow);
	ASSERT_GE(htab_drain(self->fd, &self->shadow, BUFFER), 0) {
		TH_LOG("%s", self->shadow.error ?: strerror(errno));
	}
}

FIXTURE_SETUP(guest)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(htab_guest_create(&self->guest, ORDER, 1), 0);
	self->vcpu = &self->guest.vcpu[0];
	self->index = htab_group(ORDER, PAGE);
	self->entry = htab_page(PAGE, GPA);

	/* The first run makes the entries of the VRMA. */
	ASSERT_EQ(htab_do(self->vcpu, H_READ, 0, 0, 0, 0), H_SUCCESS);
	ASSERT_EQ(htab_shadow_init(&self->shadow, 4 * ENTRIES), 0);
	self->shadow.entries = ENTRIES;
	self->fd = htab_open(&self->guest.vm, 0, 0);
	ASSERT_GE(self->fd, 0);
	drain(_metadata, self);
}

FIXTURE_TEARDOWN(guest)
{
	close(self->fd);
	htab_shadow_destroy(&self->shadow);
	htab_guest_destroy(&self->guest);
}

/* The reader is told of @count entries, each once. */
static void expect_told(struct __test_metadata *_metadata,
			struct _test_data_guest *self, uint64_t count)
{
	uint64_t i;

	drain(_metadata, self);
	EXPECT_EQ(htab_shadow_told(&self->shadow, 0, ENTRIES), count);
	for (i = 0; i < ENTRIES; i++)
		EXPECT_LE(self->shadow.slots[i].told, 1);
	EXPECT_EQ(htab_shadow_stale(&self->guest.vm, &self->shadow), 0);
}

static void expect_valid(struct __test_metadata *_metadata,
			 struct _test_data_guest *self, uint64_t index,
			 struct htab_entry entry)
{
	struct htab_slot *slot = &self->shadow.slots[index];

	EXPECT_TRUE(slot->told && slot->valid);
	EXPECT_EQ(slot->entry.v, entry.v);
	EXPECT_EQ(slot->entry.r, entry.r);
}

/* The reader is told of this one entry. */
static void expect_entry(struct __test_metadata *_metadata,
			 struct _test_data_guest *self, uint64_t index,
			 struct htab_entry entry)
{
	expect_told(_metadata, self, 1);
	expect_valid(_metadata, self, index, entry);
}

static void expect_invalid(struct __test_metadata *_metadata,
			   struct _test_data_guest *self, uint64_t index)
{
	expect_told(_metadata, self, 1);
	EXPECT_EQ(self->shadow.slots[index].told, 1);
	EXPECT_FALSE(self->shadow.slots[index].valid);
}

/* There is an entry for PAGE, and the reader knows. */
static void enter(struct __test_metadata *_metadata, struct _test_data_guest *self,
		  uint64_t r_bits)
{
	self->entry.r |= r_bits;
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	drain(_metadata, self);
}

/* As KVM has it when the host's page went away. */
static void unmap(struct __test_metadata *_metadata, struct _test_data_guest *self)
{
	ASSERT_EQ(madvise(self->guest.memory + GPA, 0x10000, MADV_DONTNEED), 0);
}

/* -- Hypercalls */

TEST_F(guest, the_vrma)
{
	uint64_t page = getpagesize() < 0x10000 ? 0x1000 : 0x10000;
	uint64_t i, valid = 0, bits = HTAB_V_BOLTED | HTAB_V_1TB_SEG;

	EXPECT_EQ(htab_shadow_valid(&self->shadow), HTAB_MEMORY / page);
	for (i = HTAB_VRMA_SLOT; i < ENTRIES; i += HTAB_GROUP) {
		if (!self->shadow.slots[i].valid)
			continue;
		valid++;
		EXPECT_EQ(self->shadow.slots[i].entry.v & bits, bits);
	}
	EXPECT_EQ(valid, HTAB_MEMORY / page);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, enter)
{
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	expect_entry(_metadata, self, self->index, self->entry);
	expect_told(_metadata, self, 0);
}

/* It need not be the first that is free: KVM passes by one that it fails to lock. */
TEST_F(guest, enter_anywhere_in_a_group)
{
	uint64_t i, index, taken = 0;

	for (i = 0; i < HTAB_GROUP; i++)
		taken += self->shadow.slots[self->index + i].valid;
	while (taken++ < HTAB_GROUP) {
		ASSERT_EQ(htab_do(self->vcpu, H_ENTER, 0, self->index + 3,
				  self->entry.v, self->entry.r), H_SUCCESS);
		index = self->vcpu->area->commands[0].out[1];
		ASSERT_EQ(index & -HTAB_GROUP, self->index);
		ASSERT_FALSE(self->shadow.slots[index].valid);
		expect_entry(_metadata, self, index, self->entry);
	}
	EXPECT_EQ(htab_do(self->vcpu, H_ENTER, 0, self->index + 3, self->entry.v,
			  self->entry.r), H_PTEG_FULL);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, enter_bolted)
{
	self->entry.v |= HTAB_V_BOLTED;
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	expect_entry(_metadata, self, self->index, self->entry);
}

TEST_F(guest, enter_where_there_is_no_memory)
{
	struct htab_entry entry = htab_page(PAGE, HTAB_NO_MEMORY);

	ASSERT_EQ(htab_enter(self->vcpu, self->index, entry), H_SUCCESS);
	expect_entry(_metadata, self, self->index, entry);
}

TEST_F(guest, enter_an_absent_page)
{
	unmap(_metadata, self);
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	expect_entry(_metadata, self, self->index, self->entry);
	EXPECT_EQ(self->shadow.n_own_bits, 0);
}

TEST_F(guest, enter_in_use)
{
	enter(_metadata, self, 0);
	EXPECT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_PTEG_FULL);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, read)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_do(self->vcpu, H_READ, 0, self->index, 0, 0), H_SUCCESS);
	EXPECT_EQ(self->vcpu->area->commands[0].out[1], self->entry.v);
	EXPECT_EQ(self->vcpu->area->commands[0].out[2], self->entry.r);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, remove)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	expect_invalid(_metadata, self, self->index);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, remove_an_absent_page)
{
	enter(_metadata, self, 0);
	unmap(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	expect_invalid(_metadata, self, self->index);
}

TEST_F(guest, remove_nothing)
{
	EXPECT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0),
		  H_NOT_FOUND);
	EXPECT_EQ(htab_do(self->vcpu, H_REMOVE, 0, ENTRIES, 0, 0), H_PARAMETER);
	expect_told(_metadata, self, 0);
}

/* Gone and back again between two reads: only its last state is told. */
TEST_F(guest, remove_and_enter)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	self->entry = htab_page(PAGE, GPA + 0x1000);
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	expect_entry(_metadata, self, self->index, self->entry);
}

static void protect(struct __test_metadata *_metadata,
		    struct _test_data_guest *self)
{
	uint64_t now = HTAB_R_PP_RORO | HTAB_R_N;

	ASSERT_EQ(htab_do(self->vcpu, H_PROTECT, now, self->index, 0, 0),
		  H_SUCCESS);
	self->entry.r = (self->entry.r & ~HTAB_R_PP) | now;
	expect_entry(_metadata, self, self->index, self->entry);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, protect)
{
	enter(_metadata, self, 0);
	protect(_metadata, self);
}

TEST_F(guest, protect_an_absent_page)
{
	enter(_metadata, self, 0);
	unmap(_metadata, self);
	protect(_metadata, self);
}

TEST_F(guest, protect_something_else)
{
	enter(_metadata, self, 0);
	EXPECT_EQ(htab_do(self->vcpu, H_PROTECT, H_AVPN | HTAB_R_PP_RORO,
			  self->index, ~0x7ful, 0), H_NOT_FOUND);
	EXPECT_EQ(htab_do(self->vcpu, H_PROTECT, HTAB_R_PP_RORO,
			  self->index + 1, 0, 0), H_NOT_FOUND);
	expect_told(_metadata, self, 0);
}

/* Four at once, the third of which does not exist. */
static void bulk_remove(struct __test_metadata *_metadata,
			struct _test_data_guest *self, bool absent)
{
	struct htab_command *command;
	uint64_t i;

	for (i = 0; i < 4; i++)
		if (i != 2)
			ASSERT_EQ(htab_enter(self->vcpu, self->index + i,
					     self->entry), H_SUCCESS);
	drain(_metadata, self);
	if (absent)
		unmap(_metadata, self);

	htab_no_commands(self->vcpu);
	command = htab_command(self->vcpu, H_BULK_REMOVE, 0, 0, 0, 0);
	for (i = 0; i < 4; i++)
		command->in[1 + 2 * i] = H_BULK_REQUEST | (self->index + i);
	ASSERT_EQ(htab_run(self->vcpu), 0);
	ASSERT_EQ(command->out[0], H_SUCCESS);

	expect_told(_metadata, self, 3);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(self->shadow.slots[self->index + i].told, i != 2);
		EXPECT_FALSE(self->shadow.slots[self->index + i].valid);
	}
	expect_told(_metadata, self, 0);
}

TEST_F(guest, bulk_remove)
{
	bulk_remove(_metadata, self, false);
}

TEST_F(guest, bulk_remove_absent_pages)
{
	bulk_remove(_metadata, self, true);
}

static void clear_bit(struct __test_metadata *_metadata,
		      struct _test_data_guest *self, uint64_t hcall, uint64_t bit)
{
	ASSERT_EQ(htab_do(self->vcpu, hcall, 0, self->index, 0, 0), H_SUCCESS);
	EXPECT_EQ(self->vcpu->area->commands[0].out[1] & bit, bit);
	self->entry.r &= ~bit;
	expect_entry(_metadata, self, self->index, self->entry);

	/* Now it is clear already. */
	ASSERT_EQ(htab_do(self->vcpu, hcall, 0, self->index, 0, 0), H_SUCCESS);
	EXPECT_EQ(self->vcpu->area->commands[0].out[1] & bit, 0);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, clear_ref)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_C);
	clear_bit(_metadata, self, H_CLEAR_REF, HTAB_R_R);
}

TEST_F(guest, clear_mod)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_C);
	clear_bit(_metadata, self, H_CLEAR_MOD, HTAB_R_C);
}

TEST_F(guest, clear_ref_of_an_absent_page)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_C);
	unmap(_metadata, self);
	clear_bit(_metadata, self, H_CLEAR_REF, HTAB_R_R);
}

TEST_F(guest, clear_mod_of_an_absent_page)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_C);
	unmap(_metadata, self);
	clear_bit(_metadata, self, H_CLEAR_MOD, HTAB_R_C);
}

/* -- R and C, which the guest's own accesses set */

static void store(struct __test_metadata *_metadata, struct _test_data_guest *self)
{
	uint64_t *page = (uint64_t *)(self->guest.memory + GPA);

	*page = 0;
	ASSERT_EQ(htab_store(self->vcpu, PAGE, 42), 0);
	EXPECT_EQ(*page, 42);
	self->entry.r |= HTAB_R_R | HTAB_R_C;
}

TEST_F(guest, a_load_and_a_store)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	self->entry.r |= HTAB_R_R;
	expect_entry(_metadata, self, self->index, self->entry);

	store(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);

	store(_metadata, self);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, accesses_after_the_bits_were_cleared)
{
	enter(_metadata, self, 0);
	store(_metadata, self);
	drain(_metadata, self);

	clear_bit(_metadata, self, H_CLEAR_MOD, HTAB_R_C);
	clear_bit(_metadata, self, H_CLEAR_REF, HTAB_R_R);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	self->entry.r |= HTAB_R_R;
	expect_entry(_metadata, self, self->index, self->entry);
	store(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);
}

/* Set by the hardware and cleared by the guest before anybody has read them. */
TEST_F(guest, bits_cleared_before_they_were_told)
{
	enter(_metadata, self, 0);
	store(_metadata, self);
	ASSERT_EQ(htab_do(self->vcpu, H_CLEAR_REF, 0, self->index, 0, 0), 0);
	ASSERT_EQ(htab_do(self->vcpu, H_CLEAR_MOD, 0, self->index, 0, 0), 0);
	drain(_metadata, self);
	EXPECT_EQ(htab_shadow_stale(&self->guest.vm, &self->shadow), 0);
	EXPECT_EQ(self->shadow.slots[self->index].entry.r,
		  htab_page(PAGE, GPA).r);
}

TEST_F(guest, protected_after_an_access)
{
	enter(_metadata, self, 0);
	store(_metadata, self);
	protect(_metadata, self);
}

/* The page comes back by a fault, which writes the entry anew. */
TEST_F(guest, an_access_to_an_absent_page)
{
	enter(_metadata, self, 0);
	unmap(_metadata, self);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	self->entry.r |= HTAB_R_R;
	expect_entry(_metadata, self, self->index, self->entry);
	store(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);
}

/* Made writable: the hardware's entry is, only at the fault that follows. */
TEST_F(guest, a_store_after_protect)
{
	self->entry.r |= HTAB_R_PP_RORO;
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_store(self->vcpu, PAGE, 1), 1);
	drain(_metadata, self);

	ASSERT_EQ(htab_do(self->vcpu, H_PROTECT, HTAB_R_PP_RWRW, self->index, 0,
			  0), H_SUCCESS);
	self->entry = htab_page(PAGE, GPA);
	store(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);
}

/* The guest runs in entries of the VRMA, too. */
TEST_F(guest, the_vrma_is_accessed)
{
	uint64_t page = getpagesize() < 0x10000 ? 0x1000 : 0x10000;
	uint64_t number = GPA / page, i, vsid = 0x1ffffff;
	struct htab_entry entry;

	i = (number ^ vsid ^ (vsid << 25)) & (ENTRIES / HTAB_GROUP - 1);
	i = i * HTAB_GROUP + HTAB_VRMA_SLOT;
	ASSERT_TRUE(self->shadow.slots[i].valid);
	entry = self->shadow.slots[i].entry;
	ASSERT_EQ(entry.r & ~0xfffull & ~(page - 1), GPA & ~(page - 1));

	ASSERT_EQ(htab_do(self->vcpu, H_CLEAR_REF, 0, i, 0, 0), H_SUCCESS);
	ASSERT_EQ(htab_do(self->vcpu, H_CLEAR_MOD, 0, i, 0, 0), H_SUCCESS);
	entry.r &= ~(HTAB_R_R | HTAB_R_C);
	expect_entry(_metadata, self, i, entry);

	ASSERT_EQ(htab_do(self->vcpu, HTAB_STORE, GPA, 1, 0, 0), 0);
	entry.r |= HTAB_R_R | HTAB_R_C;
	expect_entry(_metadata, self, i, entry);
}

/* -- What a later pass has to look at for R and C, changed or not */

/* What is told of it, and what is watched from then on. */
static void expect_watched(struct __test_metadata *_metadata,
			   struct _test_data_guest *self, uint64_t told,
			   long long watched)
{
	expect_told(_metadata, self, told);
	EXPECT_EQ(htab_fdinfo(self->fd, "htab-watched"), watched);
}

/* As Linux makes its entries: a later pass looks at none of them. */
TEST_F(guest, entries_of_a_linux_guest)
{
	uint64_t number, index, r_bits;
	struct htab_entry entry;

	expect_watched(_metadata, self, 0, 0);
	for (number = 0; number < 64; number++) {
		index = htab_group(ORDER, number);
		r_bits = number % 2 ? HTAB_R_C : HTAB_R_PP_RORO;
		entry = htab_page(number, GPA);
		entry.r |= HTAB_R_R | r_bits;
		ASSERT_EQ(htab_enter(self->vcpu, index, entry), H_SUCCESS);
	}
	expect_watched(_metadata, self, 64, 0);
	EXPECT_EQ(htab_load(self->vcpu, 0), 0);
	EXPECT_EQ(htab_store(self->vcpu, 1, 42), 0);
	expect_watched(_metadata, self, 0, 0);
}

/* Whether there is memory or not: it may come. */
TEST_F(guest, entries_to_watch)
{
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	expect_watched(_metadata, self, 1, 1);
	self->entry.r |= HTAB_R_C;
	ASSERT_EQ(htab_enter(self->vcpu, self->index + 1, self->entry), H_SUCCESS);
	expect_watched(_metadata, self, 1, 2);
	self->entry = htab_page(PAGE, HTAB_NO_MEMORY);
	self->entry.r |= HTAB_R_PP_RORO;
	ASSERT_EQ(htab_enter(self->vcpu, self->index + 2, self->entry), H_SUCCESS);
	expect_watched(_metadata, self, 1, 3);
	unmap(_metadata, self);
	expect_watched(_metadata, self, 0, 3);
}

TEST_F(guest, watched_until_accessed)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	expect_watched(_metadata, self, 1, 1);
	store(_metadata, self);
	expect_watched(_metadata, self, 1, 0);
}

TEST_F(guest, watched_until_removed)
{
	enter(_metadata, self, 0);
	expect_watched(_metadata, self, 0, 1);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, self->index, 0, 0), H_SUCCESS);
	expect_watched(_metadata, self, 1, 0);
}

static void clear_and_access(struct __test_metadata *_metadata,
			     struct _test_data_guest *self, uint64_t hcall)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_C);
	ASSERT_EQ(htab_do(self->vcpu, hcall, 0, self->index, 0, 0), H_SUCCESS);
	expect_watched(_metadata, self, 1, 1);
	store(_metadata, self);
	expect_watched(_metadata, self, 1, 0);
	expect_valid(_metadata, self, self->index, self->entry);
}

TEST_F(guest, watched_after_clear_ref)
{
	clear_and_access(_metadata, self, H_CLEAR_REF);
}

TEST_F(guest, watched_after_clear_mod)
{
	clear_and_access(_metadata, self, H_CLEAR_MOD);
}

/* What cannot be written does not get C; once it can, it may. */
TEST_F(guest, watched_after_protect)
{
	enter(_metadata, self, HTAB_R_R | HTAB_R_PP_RORO);
	expect_watched(_metadata, self, 0, 0);
	ASSERT_EQ(htab_do(self->vcpu, H_PROTECT, HTAB_R_PP_RWRW, self->index, 0,
			  0), H_SUCCESS);
	expect_watched(_metadata, self, 1, 1);
	ASSERT_EQ(htab_do(self->vcpu, H_PROTECT, HTAB_R_PP_RORO, self->index, 0,
			  0), H_SUCCESS);
	expect_watched(_metadata, self, 1, 0);
}

/* A reader that comes later, and has seen nothing, watches nothing more. */
TEST_F(guest, watched_for_all_readers)
{
	int fd;

	enter(_metadata, self, 0);
	fd = htab_open(&self->guest.vm, 0, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(htab_fdinfo(fd, "htab-watched"), 1);
	close(fd);
	expect_watched(_metadata, self, 0, 1);
}

static uint64_t groups_in_use(const struct htab_shadow *told)
{
	uint64_t i, groups = 0;

	for (i = 0; i < told->entries; i++) {
		if (!told->slots[i].valid)
			continue;
		groups++;
		i |= HTAB_GROUP - 1;
	}
	return groups;
}

/* All of a table that nobody has looked at, where there may be an entry. */
TEST_F(guest, watched_at_first)
{
	uint64_t groups;

	enter(_metadata, self, 0);
	groups = groups_in_use(&self->shadow);
	EXPECT_LT(groups * HTAB_GROUP, ENTRIES);

	close(self->fd);
	self->fd = htab_open(&self->guest.vm, 0, 0);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(htab_fdinfo(self->fd, "htab-watched"), groups * HTAB_GROUP);
	htab_shadow_forget_told(&self->shadow);
	ASSERT_GT(htab_drain(self->fd, &self->shadow, BUFFER), 0);
	EXPECT_EQ(htab_shadow_told(&self->shadow, 0, ENTRIES), ENTRIES);
	EXPECT_LE(htab_fdinfo(self->fd, "htab-watched"), 1);
}

/* -- What the host does */

TEST_F(guest, unmapped_by_the_host)
{
	enter(_metadata, self, 0);
	unmap(_metadata, self);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, unmapped_after_an_access)
{
	enter(_metadata, self, 0);
	store(_metadata, self);
	unmap(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);
}

TEST_F(guest, write_protected_after_an_access)
{
	void *page = self->guest.memory + GPA;

	enter(_metadata, self, 0);
	store(_metadata, self);
	ASSERT_EQ(mprotect(page, 0x10000, PROT_READ), 0);
	expect_entry(_metadata, self, self->index, self->entry);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	ASSERT_EQ(mprotect(page, 0x10000, PROT_READ | PROT_WRITE), 0);
	store(_metadata, self);
	expect_told(_metadata, self, 0);
}

/* Which frame of the host's the page is in; it has one. */
static uint64_t frame_of(struct __test_metadata *_metadata, const void *page)
{
	off_t at = (uintptr_t)page / getpagesize() * sizeof(uint64_t);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t frame = 0;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(pread(fd, &frame, sizeof(frame), at), sizeof(frame));
	close(fd);
	frame &= (1ull << 55) - 1;
	ASSERT_NE(frame, 0);
	return frame;
}

/* What the host does to find out whether the page at GPA is still in use. */
static void age(struct __test_metadata *_metadata, struct _test_data_guest *self)
{
	uint64_t frame = frame_of(_metadata, self->guest.memory + GPA);
	uint64_t bit = 1ull << frame % 64, bits = bit;
	off_t at = frame / 64 * sizeof(bits);
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(pwrite(fd, &bits, sizeof(bits), at), sizeof(bits));
	ASSERT_EQ(pread(fd, &bits, sizeof(bits), at), sizeof(bits));
	close(fd);
	/* Else it was not looked at. */
	ASSERT_EQ(bits & bit, bit);
}

/* Aging takes R from the hardware's entry: the guest's is kept, and told. */
TEST_F(guest, aged_after_an_access)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	age(_metadata, self);
	self->entry.r |= HTAB_R_R;
	expect_entry(_metadata, self, self->index, self->entry);

	store(_metadata, self);
	age(_metadata, self);
	expect_entry(_metadata, self, self->index, self->entry);
}

TEST_F(guest, aged_after_it_was_told)
{
	enter(_metadata, self, 0);
	store(_metadata, self);
	drain(_metadata, self);
	age(_metadata, self);
	expect_told(_metadata, self, 0);
	ASSERT_EQ(htab_load(self->vcpu, PAGE), 0);
	expect_told(_metadata, self, 0);
}

/* Whether the page at GPA is told to be dirty. */
static bool dirty(struct __test_metadata *_metadata, struct _test_data_guest *self)
{
	unsigned long map[HTAB_MEMORY / 4096 / 64] = { 0 };
	struct kvm_dirty_log log = { .dirty_bitmap = map };
	uint64_t page = GPA / getpagesize();

	EXPECT_EQ(ioctl(self->guest.vm.vm_fd, KVM_GET_DIRTY_LOG, &log), 0);
	return ((unsigned char *)map)[page / 8] & 1 << page % 8;
}

/* The dirty log clears C in the hardware's entry: the guest's is kept. */
TEST_F(guest, the_dirty_log)
{
	ASSERT_EQ(htab_set_slot(&self->guest, 0, KVM_MEM_LOG_DIRTY_PAGES, 0,
				HTAB_MEMORY), 0);
	enter(_metadata, self, 0);
	dirty(_metadata, self);
	store(_metadata, self);
	EXPECT_TRUE(dirty(_metadata, self));
	expect_entry(_metadata, self, self->index, self->entry);

	EXPECT_FALSE(dirty(_metadata, self));
	store(_metadata, self);
	EXPECT_TRUE(dirty(_metadata, self));
	expect_told(_metadata, self, 0);
}

/* A slot that goes unmaps its pages: the entries stay as they are. */
TEST_F(guest, a_slot_is_deleted)
{
	uint64_t gpa = 2 * HTAB_MEMORY;
	struct kvm_userspace_memory_region region = {
		.slot = 1,
		.guest_phys_addr = gpa,
		.memory_size = 0x10000,
		.userspace_addr = (unsigned long)self->guest.memory + GPA,
	};

	ASSERT_EQ(ioctl(self->guest.vm.vm_fd, KVM_SET_USER_MEMORY_REGION,
			&region), 0);
	self->entry = htab_page(PAGE, gpa);
	enter(_metadata, self, 0);
	store(_metadata, self);
	region.memory_size = 0;
	ASSERT_EQ(ioctl(self->guest.vm.vm_fd, KVM_SET_USER_MEMORY_REGION,
			&region), 0);
	expect_entry(_metadata, self, self->index, self->entry);
}

/* -- Other tables */

static int resize(struct htab_guest *guest, uint32_t order)
{
	struct kvm_ppc_resize_hpt rhpt = { .shift = order };
	int ret;

	/* A positive number means that it is in progress. */
	do {
		ret = ioctl(guest->vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &rhpt);
		sched_yield();
	} while (ret > 0);
	if (!ret)
		ret = ioctl(guest->vm.vm_fd, KVM_PPC_RESIZE_HPT_COMMIT, &rhpt);
	return ret ? -errno : 0;
}

/* The reader is told the whole of a table that has @order. */
static void expect_new(struct __test_metadata *_metadata,
		       struct _test_data_guest *self, uint32_t order)
{
	memset(self->shadow.slots, 0,
	       4 * ENTRIES * sizeof(*self->shadow.slots));
	self->shadow.entries = HTAB_ENTRIES(order);
	drain(_metadata, self);
	EXPECT_EQ(htab_shadow_told(&self->shadow, 0, HTAB_ENTRIES(order)),
		  HTAB_ENTRIES(order));
	EXPECT_EQ(htab_shadow_stale(&self->guest.vm, &self->shadow), 0);
}

static void resized(struct __test_metadata *_metadata, struct _test_data_guest *self,
		    uint32_t order)
{
	struct htab_entry entry = htab_page(PAGE + 1, GPA);
	uint64_t index = htab_group(order, PAGE);

	ASSERT_EQ(resize(&self->guest, order), 0);
	expect_new(_metadata, self, order);

	/* Bolted entries are kept. */
	EXPECT_TRUE(self->shadow.slots[index].valid);
	EXPECT_EQ(self->shadow.slots[index].entry.v, self->entry.v);
	EXPECT_EQ(self->shadow.slots[index].entry.r, self->entry.r);

	index = htab_group(order, PAGE + 1);
	ASSERT_EQ(htab_enter(self->vcpu, index, entry), H_SUCCESS);
	drain(_metadata, self);
	EXPECT_EQ(htab_shadow_told(&self->shadow, 0, HTAB_ENTRIES(order)), 1);
	expect_valid(_metadata, self, index, entry);
	ASSERT_EQ(htab_do(self->vcpu, H_REMOVE, 0, index, 0, 0), H_SUCCESS);
	drain(_metadata, self);
}

TEST_F(guest, resized)
{
	self->entry.v |= HTAB_V_BOLTED;
	enter(_metadata, self, 0);
	store(_metadata, self);
	drain(_metadata, self);

	resized(_metadata, self, ORDER + 2);
	resized(_metadata, self, ORDER + 1);
	resized(_metadata, self, ORDER);
}

/* Of which nothing was kept that is not bolted. */
TEST_F(guest, resized_in_the_first_pass)
{
	char buf[2048];

	enter(_metadata, self, 0);
	close(self->fd);
	self->fd = htab_open(&self->guest.vm, 0, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_GT(read(self->fd, buf, sizeof(buf)), 0);

	ASSERT_EQ(resize(&self->guest, ORDER + 1), 0);
	expect_new(_metadata, self, ORDER + 1);
	EXPECT_FALSE(self->shadow.slots[htab_group(ORDER + 1, PAGE)].valid);
}

/* A prepared table that is not used changes nothing. */
TEST_F(guest, resize_cancelled)
{
	struct kvm_ppc_resize_hpt rhpt = { .shift = ORDER + 1 };

	ASSERT_GT(ioctl(self->guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &rhpt),
		  0);
	rhpt.shift = 0;
	ASSERT_EQ(ioctl(self->guest.vm.vm_fd, KVM_PPC_RESIZE_HPT_PREPARE, &rhpt),
		  0);
	expect_told(_metadata, self, 0);
}

TEST_F(guest, resized_under_a_running_guest)
{
	uint32_t order = ORDER + 1;

	htab_no_commands(self->vcpu);
	htab_command(self->vcpu, H_ENTER, H_EXACT, 1, self->entry.v,
		     self->entry.r);
	htab_command(self->vcpu, H_REMOVE, 0, 1, 0, 0);
	ASSERT_EQ(htab_start(self->vcpu), 0);
	htab_wait_rounds(self->vcpu, 10);
	EXPECT_EQ(resize(&self->guest, order), 0);
	htab_wait_rounds(self->vcpu, 10);
	EXPECT_EQ(htab_stop(self->vcpu), 0);
	expect_new(_metadata, self, order);
}

/* Emptied, with the guest run afterwards. */
TEST_F(guest, reset)
{
	enter(_metadata, self, 0);
	ASSERT_EQ(htab_allocate(&self->guest.vm, ORDER), 0);
	expect_new(_metadata, self, ORDER);
	EXPECT_EQ(htab_shadow_valid(&self->shadow), 0);

	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	drain(_metadata, self);
	expect_valid(_metadata, self, self->index, self->entry);
	EXPECT_EQ(htab_shadow_stale(&self->guest.vm, &self->shadow), 0);
}

#define PATB_GR		0x8000000000000000ull

static int set_radix(struct htab_guest *guest, bool radix)
{
	struct kvm_ppc_mmuv3_cfg config = {
		.flags = radix ? KVM_PPC_MMUV3_RADIX : 0,
		.process_table = radix ? PATB_GR : 0,
	};

	return ioctl(guest->vm.vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &config) ?
		-errno : 0;
}

TEST_F(guest, radix_and_back)
{
	char buf[BUFFER];

	if (!ioctl(self->guest.vm.vm_fd, KVM_CHECK_EXTENSION,
		   KVM_CAP_PPC_MMU_RADIX))
		SKIP(return, "no radix");

	enter(_metadata, self, 0);
	ASSERT_EQ(set_radix(&self->guest, true), 0);
	EXPECT_EQ(read(self->fd, buf, sizeof(buf)), 0);
	ASSERT_EQ(set_radix(&self->guest, false), 0);
	EXPECT_EQ(read(self->fd, buf, sizeof(buf)), 0);

	ASSERT_EQ(htab_allocate(&self->guest.vm, ORDER), 0);
	expect_new(_metadata, self, ORDER);
	EXPECT_EQ(htab_shadow_valid(&self->shadow), 0);
	ASSERT_EQ(htab_enter(self->vcpu, self->index, self->entry), H_SUCCESS);
	drain(_metadata, self);
	expect_valid(_metadata, self, self->index, self->entry);
	EXPECT_EQ(htab_shadow_stale(&self->guest.vm, &self->shadow), 0);
}

/* -- Writing */

TEST_F(guest, no_write_while_a_vcpu_runs)
{
	int fd = htab_open(&self->guest.vm, KVM_GET_HTAB_WRITE, 0);

	ASSERT_GE(fd, 0);
	htab_no_commands(self->vcpu);
	htab_command(self->vcpu, H_READ, 0, 0, 0, 0);
	ASSERT_EQ(htab_start(self->vcpu), 0);
	htab_wait_rounds(self->vcpu, 1);
	EXPECT_EQ(htab_set(fd, self->index, self->entry), -EBUSY);
	EXPECT_EQ(htab_clear(fd, 0, ENTRIES - 1), -EBUSY);
	EXPECT_EQ(htab_stop(self->vcpu), 0);

	expect_told(_metadata, self, 0);
	EXPECT_EQ(htab_set(fd, self->index, self->entry), 0);
	close(fd);
	expect_entry(_metadata, self, self->index, self->entry);
	EXPECT_EQ(htab_load(self->vcpu, PAGE), 0);
}

/* Removed by a write, the guest cannot use it any more. */
TEST_F(guest, a_write_takes_effect)
{
	int fd = htab_open(&self->guest.vm, KVM_GET_HTAB_WRITE, 0);

	ASSERT_GE(fd, 0);
	enter(_metadata, self, 0);
	EXPECT_EQ(htab_load(self->vcpu, PAGE), 0);
	EXPECT_EQ(htab_clear(fd, self->index, 1), 0);
	EXPECT_EQ(htab_load(self->vcpu, PAGE), 1);
	expect_invalid(_metadata, self, self->index);
	close(fd);
}

/* Writes what was read, each record for itself as QEMU does. */
static long write_records(int to, const char *buf, size_t size)
{
	struct kvm_get_htab_header header;
	ssize_t record;

	while (size) {
		memcpy(&header, buf, sizeof(header));
		record = htab_record_size(header.n_valid);
		if (write(to, buf, record) != record)
			return -1;
		buf += record;
		size -= record;
	}
	return 0;
}

/*
 * Copies the stream from one table to another until it ends. Returns 0, or a
 * negative number.
 */
static long copy_stream(int from, int to)
{
	static char buf[2048];
	ssize_t size;

	for (;;) {
		size = read(from, buf, sizeof(buf));
		if (size <= 0)
			return size;
		if (write_records(to, buf, size))
			return -1;
	}
}

static long copy_table(struct htab_guest *from, struct htab_guest *to)
{
	int in = htab_open(&from->vm, 0, 0);
	int out = htab_open(&to->vm, KVM_GET_HTAB_WRITE, 0);
	long ret = in < 0 || out < 0 ? -1 : copy_stream(in, out);

	close(in);
	close(out);
	return ret;
}

/* Returns in how many entries the tables differ. */
static long tables_differ(struct htab_guest *a, struct htab_guest *b)
{
	struct htab_shadow shadow;
	long ret;

	if (htab_shadow_init(&shadow, ENTRIES))
		return -ENOMEM;
	ret = htab_dump(&a->vm, &shadow);
	if (!ret)
		ret = htab_shadow_stale(&b->vm, &shadow);
	htab_shadow_destroy(&shadow);
	return ret;
}

/* What a migration does: the guest goes on in another VM. */
TEST_F(guest, saved_and_loaded)
{
	struct htab_guest other;
	struct htab_vcpu *vcpu = &other.vcpu[0];
	uint64_t number, index;

	for (number = 0; number < 64; number++) {
		index = htab_group(ORDER, number) + number % HTAB_VRMA_SLOT;
		ASSERT_EQ(htab_enter(self->vcpu, index,
				     htab_page(number, GPA)), H_SUCCESS);
		if (number % 3)
			ASSERT_EQ(htab_load(self->vcpu, number), 0);
	}

	ASSERT_EQ(htab_guest_create(&other, ORDER, 1), 0);
	memcpy(other.memory, self->guest.memory, HTAB_MEMORY);
	ASSERT_EQ(copy_table(&self->guest, &other), 0);
	EXPECT_EQ(tables_differ(&self->guest, &other), 0);

	/* Its own VRMA is not made: the one that was loaded is used. */
	for (number = 0; number < 64; number++) {
		index = htab_group(ORDER, number) + number % HTAB_VRMA_SLOT;
		EXPECT_EQ(htab_do(vcpu, H_READ, 0, index, 0, 0), H_SUCCESS);
		EXPECT_EQ(vcpu->area->commands[0].out[1],
			  htab_page(number, GPA).v);
	}
	EXPECT_EQ(tables_differ(&self->guest, &other), 0);
	EXPECT_EQ(htab_store(vcpu, 1, 42), 0);
	EXPECT_EQ(*(uint64_t *)(other.memory + GPA), 42);
	EXPECT_EQ(htab_load(vcpu, 64), 1);
	htab_guest_destroy(&other);
}

/* The same while the guest changes its table, with the rest once it is stopped. */
TEST_F(guest, saved_from_a_running_guest)
{
	struct htab_guest other;
	char buf[2048];
	int in, out, i;
	ssize_t size;

	htab_no_commands(self->vcpu);
	for (i = 0; i < 100; i++) {
		htab_command(self->vcpu, H_ENTER, H_EXACT, 128 * i,
			     self->entry.v, self->entry.r);
		htab_command(self->vcpu, H_REMOVE, 0, 128 * (i * 37 % 100), 0, 0);
	}
	ASSERT_EQ(htab_guest_create(&other, ORDER, 1), 0);
	in = htab_open(&self->guest.vm, 0, 0);
	out = htab_open(&other.vm, KVM_GET_HTAB_WRITE, 0);
	ASSERT_GE(in, 0);
	ASSERT_GE(out, 0);

	ASSERT_EQ(htab_start(self->vcpu), 0);
	for (i = 0; i < 200; i++) {
		size = read(in, buf, sizeof(buf));
		ASSERT_GE(size, 0);
		EXPECT_EQ(write_records(out, buf, size), 0);
		if (i % 10 == 0)
			htab_wait_rounds(self->vcpu, 1);
	}
	EXPECT_EQ(htab_stop(self->vcpu), 0);
	EXPECT_EQ(copy_stream(in, out), 0);
	close(in);
	close(out);
	EXPECT_EQ(tables_differ(&self->guest, &other), 0);
	htab_guest_destroy(&other);
}

TEST_HARNESS_MAIN
