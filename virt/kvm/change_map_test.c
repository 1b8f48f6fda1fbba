// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of change maps.
 *
 * What a weakly ordered machine may do to a mark and a sweep is beyond what can
 * be run here: it takes a model checker to see it.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/kvm_change_map.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#define CHUNK		BIT(KVM_CHANGE_MAP_CHUNK_SHIFT)
#define CHUNK_WORDS	(CHUNK / BITS_PER_LONG)
#define SEED	20221211

static int init_map(struct kunit_resource *res, void *nr)
{
	res->data = kvm_change_map_alloc(*(unsigned long *)nr);
	return res->data ? 0 : -ENOMEM;
}

static void free_map(struct kunit_resource *res)
{
	kvm_change_map_free(res->data);
}

/* A map that is freed when the test ends. */
static struct kvm_change_map *new_map(struct kunit *test, unsigned long nr)
{
	struct kvm_change_map *map = kunit_alloc_resource(test, init_map, free_map,
							  GFP_KERNEL, &nr);

	KUNIT_ASSERT_NOT_NULL(test, map);
	return map;
}

/* Sizes, and entries, where something begins or ends. */
static const unsigned long edges[] = {
	1, 2, BITS_PER_LONG - 1, BITS_PER_LONG, BITS_PER_LONG + 1,
	BITS_PER_LONG * BITS_PER_LONG - 1, BITS_PER_LONG * BITS_PER_LONG,
	BITS_PER_LONG * BITS_PER_LONG + 1,
	CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5,
	BITS_PER_LONG * CHUNK - 1, BITS_PER_LONG * CHUNK,
	BITS_PER_LONG * CHUNK + 1,	/* two chunks of the summary */
};

static void alloc_refuses(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, kvm_change_map_alloc(0));
	KUNIT_EXPECT_NULL(test, kvm_change_map_alloc(LONG_MAX + 1ul));
	KUNIT_EXPECT_NULL(test, kvm_change_map_alloc(ULONG_MAX));
	kvm_change_map_free(NULL);
}

/* The chunks that two directories point to. */
static unsigned long count_chunks(const struct kvm_change_map *map,
				  unsigned long detail, unsigned long summary)
{
	unsigned long i, chunks = 0;

	for (i = 0; i < detail; i++)
		chunks += !!map->detail[i];
	for (i = 0; i < summary; i++)
		chunks += !!map->summary[i];
	return chunks;
}

static void bytes(struct kunit *test)
{
	/* In words what both levels take, in chunks what they are made of. */
	static const struct {
		unsigned long nr, words, detail, summary;
	} sizes[] = {
		{ 1, 2, 1, 1 },
		{ BITS_PER_LONG, 2, 1, 1 },
		{ BITS_PER_LONG + 1, 3, 1, 1 },
		{ CHUNK, CHUNK_WORDS + CHUNK_WORDS / BITS_PER_LONG, 1, 1 },
		{ CHUNK + 1, CHUNK_WORDS + 1 + CHUNK_WORDS / BITS_PER_LONG + 1,
		  2, 1 },
		{ BITS_PER_LONG * CHUNK, (BITS_PER_LONG + 1) * CHUNK_WORDS,
		  BITS_PER_LONG, 1 },
		{ BITS_PER_LONG * CHUNK + 1,
		  (BITS_PER_LONG + 1) * CHUNK_WORDS + 2, BITS_PER_LONG + 1, 2 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long chunks = sizes[i].detail + sizes[i].summary;
		struct kvm_change_map *map = new_map(test, sizes[i].nr);

		KUNIT_EXPECT_EQ(test, kvm_change_map_bytes(sizes[i].nr),
				sizeof(*map) + sizes[i].words * sizeof(long) +
				chunks * sizeof(long *));
		KUNIT_EXPECT_EQ(test, count_chunks(map, sizes[i].detail,
						   sizes[i].summary), chunks);
	}
}

/* Entry @i is all that is set in @map, which is then cleared. */
static void expect_only(struct kunit *test, struct kvm_change_map *map,
			unsigned long i)
{
	KUNIT_EXPECT_TRUE(test, kvm_change_map_test(map, i));
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, 0), i);
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, i), i);
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, i + 1), map->nr);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(map), 1);

	kvm_change_map_clear(map, i);
	KUNIT_EXPECT_FALSE(test, kvm_change_map_test(map, i));
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, 0), map->nr);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(map), 0);
}

static void try_entry(struct kunit *test, struct kvm_change_map *source,
		      struct kvm_change_map *sink, unsigned long i)
{
	LIST_HEAD(sinks);

	list_add(&sink->node, &sinks);
	kvm_change_map_mark(source, i);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(sink), 0);
	kvm_change_map_sweep(source, &sinks);
	expect_only(test, sink, i);
	kvm_change_map_sweep(source, &sinks);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(sink), 0);

	kvm_change_map_set(sink, i);
	expect_only(test, sink, i);
}

static void single_entries(struct kunit *test)
{
	int size, entry;

	for (size = 0; size < ARRAY_SIZE(edges); size++) {
		struct kvm_change_map *source = new_map(test, edges[size]);
		struct kvm_change_map *sink = new_map(test, edges[size]);

		KUNIT_EXPECT_EQ(test, kvm_change_map_next(sink, 0), edges[size]);
		try_entry(test, source, sink, 0);
		try_entry(test, source, sink, edges[size] - 1);
		for (entry = 0; entry < size; entry++)
			try_entry(test, source, sink, edges[entry]);
	}
}

/* Nothing before @first is set yet. */
static void expect_set_from(struct kunit *test, struct kvm_change_map *map,
			    unsigned long first)
{
	kvm_change_map_set_range(map, first, map->nr - first);
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, 0), first);
	/* Whole words are counted: what is past the end would be too. */
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(map), map->nr - first);
}

static void set_from(struct kunit *test)
{
	int size, entry;

	for (size = 0; size < ARRAY_SIZE(edges); size++) {
		struct kvm_change_map *map = new_map(test, edges[size]);

		for (entry = size; entry >= 0; entry--)
			expect_set_from(test, map, edges[entry]);
		expect_set_from(test, map, 0);
	}
}

/* The word of @i becomes @bits, seen from both sides. */
static void expect_bits(struct kunit *test, struct kvm_change_map *map,
			unsigned long i, unsigned long bits)
{
	unsigned long first = round_down(i, BITS_PER_LONG);
	unsigned long next = bits ? first + __ffs(bits) : map->nr;

	kvm_change_map_set_bits(map, first, bits);
	KUNIT_EXPECT_EQ(test, kvm_change_map_bits(map, first), bits);
	KUNIT_EXPECT_EQ(test, kvm_change_map_next(map, 0), next);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(map), hweight_long(bits));
}

static void whole_words(struct kunit *test)
{
	int size, entry;

	for (size = 0; size < ARRAY_SIZE(edges); size++) {
		struct kvm_change_map *map = new_map(test, edges[size]);

		for (entry = 0; entry < size; entry++) {
			unsigned long i = edges[entry];

			expect_bits(test, map, i, BIT_MASK(i) | 1);
			expect_bits(test, map, i, BIT_MASK(i));
			expect_bits(test, map, i, 0);
		}
	}
}

/* Whatever else is added. */
static void added(struct kunit *test)
{
	int size, entry;

	for (size = 0; size < ARRAY_SIZE(edges); size++) {
		struct kvm_change_map *map = new_map(test, edges[size]);

		for (entry = 0; entry < size; entry++) {
			unsigned long i = edges[entry];

			kvm_change_map_add(map, i);
			kvm_change_map_add(map, i);
			KUNIT_EXPECT_TRUE(test, kvm_change_map_test(map, i));
		}
		for (entry = 0; entry < size; entry++)
			KUNIT_EXPECT_TRUE(test, kvm_change_map_test(map, edges[entry]));
	}
}

static void several_sinks(struct kunit *test)
{
	struct kvm_change_map *source = new_map(test, CHUNK);
	struct kvm_change_map *one = new_map(test, CHUNK);
	struct kvm_change_map *two = new_map(test, CHUNK);
	LIST_HEAD(sinks);

	list_add(&one->node, &sinks);
	kvm_change_map_mark(source, 1);
	kvm_change_map_sweep(source, &sinks);

	/* One that comes later is told what is swept later. */
	list_add(&two->node, &sinks);
	kvm_change_map_mark(source, 2);
	kvm_change_map_sweep(source, &sinks);
	kvm_change_map_clear(one, 1);
	expect_only(test, one, 2);
	KUNIT_EXPECT_TRUE(test, kvm_change_map_test(two, 2));

	/* One that has left is told no more, */
	list_del(&two->node);
	kvm_change_map_mark(source, 3);
	kvm_change_map_sweep(source, &sinks);
	expect_only(test, one, 3);
	expect_only(test, two, 2);

	/* and what nobody wants is dropped. */
	list_del(&one->node);
	kvm_change_map_mark(source, 4);
	kvm_change_map_sweep(source, &sinks);
	list_add(&one->node, &sinks);
	kvm_change_map_sweep(source, &sinks);
	KUNIT_EXPECT_EQ(test, kvm_change_map_count(one), 0);
}

/* A map and what should be in it. */
struct pair {
	struct kvm_change_map *map;
	unsigned long *model;
};

struct random {
	struct rnd_state rnd;
	unsigned long nr;
	struct pair source, sinks[2];
	struct list_head list;
};

static void init_pair(struct kunit *test, struct pair *pair, unsigned long nr)
{
	pair->map = new_map(test, nr);
	pair->model = kunit_kcalloc(test, BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pair->model);
}

static unsigned long random_entry(struct random *r)
{
	unsigned long i = prandom_u32_state(&r->rnd) % r->nr;

	/* Every other one is in few words, or there would be no neighbours. */
	return prandom_u32_state(&r->rnd) % 2 ? i : i % CHUNK % (4 * BITS_PER_LONG);
}

static bool is_listed(struct pair *sink)
{
	return !list_empty(&sink->map->node);
}

static void random_sweep(struct random *r)
{
	int i;

	kvm_change_map_sweep(r->source.map, &r->list);
	for (i = 0; i < ARRAY_SIZE(r->sinks); i++)
		if (is_listed(&r->sinks[i]))
			bitmap_or(r->sinks[i].model, r->sinks[i].model,
				  r->source.model, r->nr);
	bitmap_zero(r->source.model, r->nr);
}

static void random_membership(struct random *r, struct pair *sink)
{
	if (is_listed(sink))
		list_del_init(&sink->map->node);
	else
		list_add(&sink->map->node, &r->list);
}

static void random_clear(struct random *r, struct pair *sink, unsigned long i)
{
	/* What is set, to have an end of it. */
	i = kvm_change_map_next(sink->map, i);
	if (i == r->nr)
		return;
	kvm_change_map_clear(sink->map, i);
	__clear_bit(i, sink->model);
}

static void random_drain(struct random *r, struct pair *sink)
{
	unsigned long i;

	for (i = kvm_change_map_next(sink->map, 0); i < r->nr;
	     i = kvm_change_map_next(sink->map, i + 1))
		kvm_change_map_clear(sink->map, i);
	bitmap_zero(sink->model, r->nr);
}

static void random_step(struct random *r)
{
	struct pair *sink = &r->sinks[prandom_u32_state(&r->rnd) % ARRAY_SIZE(r->sinks)];
	unsigned long i = random_entry(r), what = prandom_u32_state(&r->rnd) % 1000;
	unsigned long nr;

	if (what < 600) {
		kvm_change_map_mark(r->source.map, i);
		__set_bit(i, r->source.model);
	} else if (what < 650) {
		random_sweep(r);
	} else if (what < 750) {
		kvm_change_map_set(sink->map, i);
		__set_bit(i, sink->model);
	} else if (what < 980) {
		random_clear(r, sink, i);
	} else if (what < 990) {
		random_membership(r, sink);
	} else if (what < 999) {
		random_drain(r, sink);
	} else {
		nr = min(random_entry(r), r->nr - i);
		kvm_change_map_set_range(sink->map, i, nr);
		bitmap_set(sink->model, i, nr);
	}
}

static bool is_as_model(struct random *r, struct pair *pair)
{
	unsigned long i = random_entry(r);

	return kvm_change_map_test(pair->map, i) == test_bit(i, pair->model) &&
	       kvm_change_map_next(pair->map, i) ==
	       find_next_bit(pair->model, r->nr, i);
}

static bool is_next_as_model(struct random *r)
{
	unsigned long i = random_entry(r);
	struct pair *one = &r->sinks[0], *two = &r->sinks[1];

	return kvm_change_map_next_of(one->map, two->map, i) ==
	       min(find_next_bit(one->model, r->nr, i),
		   find_next_bit(two->model, r->nr, i));
}

/* Goes through all that is set, and compares the count. */
static bool is_whole_as_model(struct random *r, struct pair *pair)
{
	unsigned long i = 0, nr = 0;

	for (;;) {
		i = kvm_change_map_next(pair->map, i);
		if (i != find_next_bit(pair->model, r->nr, i))
			return false;
		if (i == r->nr)
			return kvm_change_map_count(pair->map) == nr;
		i++;
		nr++;
	}
}

static void random_operations(struct kunit *test)
{
	struct random r = { .nr = 2 * CHUNK + BITS_PER_LONG + 7,
			    .list = LIST_HEAD_INIT(r.list) };
	unsigned long wrong = 0;
	int step, i;

	prandom_seed_state(&r.rnd, SEED);
	init_pair(test, &r.source, r.nr);
	for (i = 0; i < ARRAY_SIZE(r.sinks); i++)
		init_pair(test, &r.sinks[i], r.nr);

	for (step = 0; step < 50000; step++) {
		random_step(&r);
		for (i = 0; i < ARRAY_SIZE(r.sinks); i++)
			wrong += !is_as_model(&r, &r.sinks[i]);
		wrong += !is_next_as_model(&r);
		if (step % 1000)
			continue;
		for (i = 0; i < ARRAY_SIZE(r.sinks); i++)
			wrong += !is_whole_as_model(&r, &r.sinks[i]);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/*
 * A race of markers, who change entries as a hypercall handler does, with one
 * who keeps shadows of them by two sinks, and finds in a register what was added
 * before each mark.
 *
 * A mark that gets lost does not show if the entry is changed again, nor, since
 * that makes the summary right, if another of its word is.  So the markers go in
 * rounds from word to word, and may be ahead only by as many rounds as there are
 * words: the entries of a word rest until they have been compared.
 */
#define RACE_MARKERS	2
#define RACE_ROUNDS	20000
#define RACE_CHANGES	2	/* by each marker, in each round */
#define RACE_SINKS	2

static const unsigned long race_words[] = {
	0, 1, BITS_PER_LONG - 1, BITS_PER_LONG,
	CHUNK / BITS_PER_LONG - 1, CHUNK / BITS_PER_LONG,
};

static const unsigned long race_bits[] = {
	0, 1, BITS_PER_LONG / 2, BITS_PER_LONG - 1,
};

#define RACE_WORDS	ARRAY_SIZE(race_words)
#define RACE_BITS	ARRAY_SIZE(race_bits)
#define RACE_NR		(CHUNK + BITS_PER_LONG)

struct race_entry {
	spinlock_t lock;	/* protects value */
	unsigned long value;
};

struct race_marker {
	struct race *race;
	struct rnd_state rnd;
	unsigned long done;	/* rounds */
	struct completion end;
};

struct race_sink {
	struct kvm_change_map *map;
	unsigned long shadow[RACE_WORDS][RACE_BITS];
};

struct race {
	struct kvm_change_map *source;
	struct kvm_change_map *used;
	struct race_entry entries[RACE_WORDS][RACE_BITS];
	struct race_marker markers[RACE_MARKERS];
	struct race_sink sinks[RACE_SINKS];
	struct list_head list;
	unsigned long compared;	/* rounds */
	wait_queue_head_t wait;
	unsigned long lost, alien, unused;
};

static bool may_begin(struct race *race, unsigned long round)
{
	/* Pairs with the release in tell_compared(). */
	return round < smp_load_acquire(&race->compared) + RACE_WORDS;
}

static void tell_compared(struct race *race, unsigned long rounds)
{
	/* Pairs with the acquire in may_begin(): a word has been compared. */
	smp_store_release(&race->compared, rounds);
	wake_up(&race->wait);
}

/* The rounds that all markers have done. */
static unsigned long rounds_done(struct race *race)
{
	unsigned long done = RACE_ROUNDS;
	int i;

	for (i = 0; i < RACE_MARKERS; i++)
		/* Pairs with the release in tell_done(). */
		done = min(done, smp_load_acquire(&race->markers[i].done));
	return done;
}

static void tell_done(struct race_marker *m, unsigned long rounds)
{
	/* Pairs with the acquire in rounds_done(): all marks have been made. */
	smp_store_release(&m->done, rounds);
}

static void change_entry(struct race_marker *m, unsigned long round)
{
	int word = round % RACE_WORDS, bit = prandom_u32_state(&m->rnd) % RACE_BITS;
	struct race_entry *entry = &m->race->entries[word][bit];
	unsigned long i = race_words[word] * BITS_PER_LONG + race_bits[bit];

	spin_lock(&entry->lock);
	kvm_change_map_add(m->race->used, round * RACE_BITS + bit);
	entry->value++;
	kvm_change_map_mark(m->race->source, i);
	spin_unlock(&entry->lock);
}

static int marker_fn(void *data)
{
	struct race_marker *m = data;
	struct race *race = m->race;
	unsigned long round;
	int i;

	for (round = 0; round < RACE_ROUNDS; round++) {
		wait_event(race->wait, may_begin(race, round));
		for (i = 0; i < RACE_CHANGES; i++)
			change_entry(m, round);
		tell_done(m, round + 1);
	}
	kthread_complete_and_exit(&m->end, 0);
}

static unsigned long read_entry(struct race_entry *entry)
{
	unsigned long value;

	spin_lock(&entry->lock);
	value = entry->value;
	spin_unlock(&entry->lock);
	return value;
}

/* Returns where @what is in @array, or -1. */
static int find(const unsigned long *array, int size, unsigned long what)
{
	int i;

	for (i = 0; i < size; i++)
		if (array[i] == what)
			return i;
	return -1;
}

/* Whether what was added before the mark is there: of the round that is this word's. */
static bool is_used(struct race *race, int word, int bit)
{
	unsigned long first = race->compared % RACE_WORDS;
	unsigned long round = race->compared +
			      (word + RACE_WORDS - first) % RACE_WORDS;
	unsigned long i = round * RACE_BITS + bit;

	return kvm_change_map_bits(race->used, i) & BIT_MASK(i);
}

static void read_what_changed(struct race *race, struct race_sink *sink)
{
	unsigned long i;
	int word, bit;

	for (i = kvm_change_map_next(sink->map, 0); i < RACE_NR;
	     i = kvm_change_map_next(sink->map, i + 1)) {
		kvm_change_map_clear(sink->map, i);
		word = find(race_words, RACE_WORDS, i / BITS_PER_LONG);
		bit = find(race_bits, RACE_BITS, i % BITS_PER_LONG);
		if (word < 0 || bit < 0) {
			race->alien++;
			continue;
		}
		race->unused += !is_used(race, word, bit);
		sink->shadow[word][bit] = read_entry(&race->entries[word][bit]);
	}
}

static void compare_word(struct race *race, int word)
{
	int bit, i;

	for (bit = 0; bit < RACE_BITS; bit++)
		for (i = 0; i < RACE_SINKS; i++)
			if (race->sinks[i].shadow[word][bit] !=
			    read_entry(&race->entries[word][bit]))
				race->lost++;
}

static void run_race(struct race *race)
{
	unsigned long done, round;
	int i;

	do {
		done = rounds_done(race);
		kvm_change_map_sweep(race->source, &race->list);
		for (i = 0; i < RACE_SINKS; i++)
			read_what_changed(race, &race->sinks[i]);
		for (round = race->compared; round < done; round++)
			compare_word(race, round % RACE_WORDS);
		tell_compared(race, done);
	} while (done < RACE_ROUNDS);
}

static struct race *new_race(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	int i, bit;

	KUNIT_ASSERT_NOT_NULL(test, race);
	init_waitqueue_head(&race->wait);
	INIT_LIST_HEAD(&race->list);
	race->source = new_map(test, RACE_NR);
	race->used = new_map(test, RACE_ROUNDS * RACE_BITS);
	for (i = 0; i < RACE_SINKS; i++) {
		race->sinks[i].map = new_map(test, RACE_NR);
		list_add(&race->sinks[i].map->node, &race->list);
	}
	for (i = 0; i < RACE_WORDS; i++)
		for (bit = 0; bit < RACE_BITS; bit++)
			spin_lock_init(&race->entries[i][bit].lock);
	return race;
}

static struct task_struct *new_marker(struct race *race, int i)
{
	struct race_marker *m = &race->markers[i];

	m->race = race;
	prandom_seed_state(&m->rnd, SEED + i);
	init_completion(&m->end);
	return kthread_create(marker_fn, m, "change_map/%d", i);
}

static void race_with_markers(struct kunit *test)
{
	struct task_struct *tasks[RACE_MARKERS];
	struct race *race = new_race(test);
	int i, nr;

	for (nr = 0; nr < RACE_MARKERS; nr++) {
		tasks[nr] = new_marker(race, nr);
		if (IS_ERR(tasks[nr]))
			break;
	}
	if (nr < RACE_MARKERS) {
		while (nr--)
			kthread_stop(tasks[nr]);
		KUNIT_FAIL(test, "no thread");
		return;
	}

	for (i = 0; i < RACE_MARKERS; i++)
		wake_up_process(tasks[i]);
	run_race(race);
	for (i = 0; i < RACE_MARKERS; i++)
		wait_for_completion(&race->markers[i].end);

	KUNIT_EXPECT_EQ(test, race->lost, 0);
	KUNIT_EXPECT_EQ(test, race->alien, 0);
	KUNIT_EXPECT_EQ(test, race->unused, 0);
}

static struct kunit_case change_map_cases[] = {
	KUNIT_CASE(alloc_refuses),
	KUNIT_CASE(bytes),
	KUNIT_CASE(single_entries),
	KUNIT_CASE(set_from),
	KUNIT_CASE(whole_words),
	KUNIT_CASE(added),
	KUNIT_CASE(several_sinks),
	KUNIT_CASE(random_operations),
	KUNIT_CASE(race_with_markers),
	{}
};

static struct kunit_suite change_map_suite = {
	.name = "kvm_change_map",
	.test_cases = change_map_cases,
};

kunit_test_suite(change_map_suite);
