/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of change maps (virt/kvm/change_map.c) for spin.
 *
 * Markers change entries, as hypercall handlers do, and mark them in a source.
 * Readers open, which publishes the source if it is the first one, and sweep the
 * source into sinks.  Two entries share a word of the detail, so that a mark can
 * rely on a bit in the summary that another mark has set; they stand for all.
 *
 * Memory is weakly ordered where the algorithm has to care: what a marker stores
 * in the detail and in the summary waits in its store buffer, and leaves it at
 * any time and in any order, but not later than at a full barrier or at the
 * release of a lock.  So do the change of the entry, what is added to the register,
 * and that the lock is held, for who does not take it; a mark is a release for the
 * last two.  What a sweep stores it stores by xchg(), which is a full barrier.
 * Stores leave a buffer for all to see: that POWER's barriers are cumulative, and so
 * a store that another marker has seen is no exception, is not in the model.
 *
 * A register tells which entries have ever been changed.  A marker adds an entry
 * before it marks it, and a reader does not read what is not in it.  With PEEK, for
 * which there is no room beside it, all entries are in it, and the only reader may
 * look at one without the lock, if it sees nobody have it.
 *
 * There is no end to what is changed and read.  An entry's value is not modelled,
 * but for each reader whether it is another than the reader knows.
 *
 * What is asserted, at any time, for any reader that has opened and any entry
 * under its lock: after a sweep, the reader has it set in its sink, or knows it
 * as it is.  This is what "nothing has changed" means, and includes that nothing
 * is ever lost.
 *
 * Each of these breaks it, and spin has to find that:
 *	NO_BARRIER		a mark without a barrier within
 *	SUMMARY_FIRST		a mark sets the summary, then the detail
 *	DETAIL_FIRST		a sweep clears the detail, then the summary
 *	MARK_AFTER_UNLOCK	a mark after the unlock of the entry
 *	READ_FIRST		a reader reads an entry, then clears its bit
 *	READ_UNLOCKED		a reader reads an entry, locked or not
 *	SWEEP_FOR_ONE		a sweep fills the sink of who sweeps only
 *	NO_GRACE_PERIOD		opening does not wait for those who saw no map
 *	RELAXED_MARK		a mark is no release
 */

#define MARKERS	2
#define READERS	2
#define ENTRIES	2

#define NOBODY	255
#define BIT(i)	(1 << (i))
#define ALL	(BIT(0) | BIT(1))

/*
 * The entries' locks, and which of them are seen to be held by who does not take
 * them; what of the entries has changed since a reader has read it.
 */
bool locked[ENTRIES];
byte lock_seen;
byte stale[READERS];

/* The source: a word of the detail, and its bit in the summary. */
byte detail;
bool summary;
bool published;

/* The sinks, under the mutex. */
byte mutex = NOBODY;
byte sink[READERS];
bool joined[READERS];

/* The register, and which entries really are not as they were. */
#ifdef PEEK
byte used = ALL;
#else
byte used;
#endif
byte changed;

/* What a marker has stored and others do not see yet: bits of entries. */
byte change_buffer[MARKERS];
byte early_buffer[MARKERS];	/* the register, or the lock */
byte detail_buffer[MARKERS];
bool summary_buffer[MARKERS];

/* SRCU: who is in a section, and whom a grace period waits for. */
bool in_section[MARKERS];
bool awaited[MARKERS];

inline lock_entry(i)
{
	atomic { !locked[i] -> locked[i] = true }
}

inline unlock_entry(i)
{
	d_step { locked[i] = false; lock_seen = lock_seen & ~BIT(i) }
}

/* What only the holder of the mutex looks at needs no steps of its own. */
inline lock_mutex(r)
{
	atomic { mutex == NOBODY -> mutex = r }
}

inline unlock_mutex()
{
	mutex = NOBODY
}

/* The stores of marker @m leave its buffer. */
proctype store_buffer(byte m)
{
end:	do
	:: d_step { change_buffer[m] ->
		stale[0] = stale[0] | change_buffer[m];
		stale[1] = stale[1] | change_buffer[m];
#ifndef PEEK
		changed = changed | change_buffer[m];
#endif
		change_buffer[m] = 0 }
	:: d_step { early_buffer[m] ->
#ifdef PEEK
		lock_seen = lock_seen | early_buffer[m];
#else
		used = used | early_buffer[m];
#endif
		early_buffer[m] = 0 }
#ifdef RELAXED_MARK
	:: d_step { detail_buffer[m] ->
#else
	:: d_step { detail_buffer[m] && !early_buffer[m] ->
#endif
		detail = detail | detail_buffer[m];
		detail_buffer[m] = 0 }
	:: d_step { summary_buffer[m] ->
		summary = true;
		summary_buffer[m] = false }
	od
}

/* A release is one, too, for what has been stored. */
inline full_barrier(m)
{
	(!change_buffer[m] && !early_buffer[m] && !detail_buffer[m] &&
	 !summary_buffer[m])
}

inline set_summary(m)
{
	d_step {
		if
		:: summary
		:: else -> summary_buffer[m] = true
		fi
	}
}

inline mark(m, i)
{
#ifdef SUMMARY_FIRST
	set_summary(m);
	full_barrier(m);
	detail_buffer[m] = BIT(i)
#else
	detail_buffer[m] = BIT(i);
#ifndef NO_BARRIER
	full_barrier(m);
#endif
	set_summary(m)
#endif
}

inline enter_section(m)
{
	d_step { in_section[m] = true; map = published }
}

inline leave_section(m)
{
	d_step { in_section[m] = false; awaited[m] = false; map = false; i = 0 }
}

inline change_entry(m, which)
{
	atomic {
		!locked[which] ->
		locked[which] = true;
		i = which;
		change_buffer[m] = BIT(which);
#ifdef PEEK
		early_buffer[m] = BIT(which)
#else
		early_buffer[m] = BIT(which) & ~used
#endif
	}
}

proctype marker(byte m)
{
	byte i;
	bool map;

end:	do
	:: enter_section(m);
		if
		:: change_entry(m, 0)
		:: change_entry(m, 1)
		fi;
#ifdef MARK_AFTER_UNLOCK
		full_barrier(m);
		unlock_entry(i);
#endif
		if
		:: map -> mark(m, i)
		:: else
		fi;
		full_barrier(m);
#ifndef MARK_AFTER_UNLOCK
		unlock_entry(i);
#endif
		leave_section(m)
	od
}

/* Moves what is in the detail to the sinks; @r is who sweeps. */
inline sweep_detail(r)
{
	d_step {
#ifdef SWEEP_FOR_ONE
		sink[r] = sink[r] | detail;
#else
		if
		:: joined[0] -> sink[0] = sink[0] | detail
		:: else
		fi;
		if
		:: joined[1] -> sink[1] = sink[1] | detail
		:: else
		fi;
#endif
		detail = 0
	}
}

/* Under the mutex. */
inline sweep(r)
{
	if
	:: !summary
	:: else ->
#ifdef DETAIL_FIRST
		sweep_detail(r);
		summary = false
#else
		summary = false;
		sweep_detail(r)
#endif
	fi
}

inline publish()
{
	published = true;
#ifndef NO_GRACE_PERIOD
	d_step { awaited[0] = in_section[0]; awaited[1] = in_section[1] };
	(!awaited[0] && !awaited[1])
#endif
}

inline open(r)
{
	lock_mutex(r);
	if
	:: published
	:: else -> publish()
	fi;
	d_step { joined[r] = true; sink[r] = ALL; unlock_mutex() }
}

inline know(r, i)
{
	stale[r] = stale[r] & ~BIT(i)
}

inline read_entry(r, i)
{
	if
#ifdef READ_UNLOCKED
	:: know(r, i)
#endif
#ifdef PEEK
	:: d_step { !(lock_seen & BIT(i)) -> know(r, i) }
#endif
	:: lock_entry(i);
		know(r, i);
		unlock_entry(i)
	fi
}

inline clear(r, i)
{
	sink[r] = sink[r] & ~BIT(i)
}

/* It is as it was when there was no map, or somebody will mark it. */
inline pass_over(r, i)
{
	clear(r, i);
	stale[r] = stale[r] & (~BIT(i) | changed)
}

/* The mutex need not be held while the entry is read. */
inline read_one(r, i)
{
	lock_mutex(r);
	sweep(r);
	if
#ifndef PEEK
	:: d_step { (sink[r] & BIT(i)) && !(used & BIT(i)) ->
		pass_over(r, i);
		unlock_mutex() }
#endif
	:: d_step { sink[r] & used & BIT(i) ->
#ifndef READ_FIRST
		clear(r, i);
#endif
		unlock_mutex() };
		read_entry(r, i);
#ifdef READ_FIRST
		lock_mutex(r);
		d_step { clear(r, i); unlock_mutex() }
#endif
	:: d_step { else -> unlock_mutex() }
	fi
}

inline check(r, i)
{
	lock_entry(i);
	lock_mutex(r);
	sweep(r);
	d_step {
		assert((sink[r] & BIT(i)) || !(stale[r] & BIT(i)));
		unlock_mutex();
		locked[i] = false
	}
}

proctype reader(byte r)
{
	open(r);
end:	do
	:: read_one(r, 0)
	:: read_one(r, 1)
	:: check(r, 0)
	:: check(r, 1)
	od
}

init {
	atomic {
		stale[0] = ALL;
		stale[1] = ALL;
		run store_buffer(0);
		run store_buffer(1);
		run marker(0);
		run marker(1);
#ifndef PEEK
		run reader(1);
#endif
		run reader(0)
	}
}
