/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The index of block/diskseq_index.c, as a model for spin: one disk gets another number
 * while another one stays, and somebody looks them up, without a lock.
 *
 * A number has two halves, which are written and read one after the other, as on a
 * 32-bit machine.  While the tree is changed, a descent may miss what is there.
 * scripts/model takes one protection away at a time (NO_...).
 */

#define HI(number)	((number) / 4)
#define LO(number)	((number) % 4)

#define STAYS	1
#define OLD	3	/* 0, 3 */
#define NEW	4	/* 1, 0 */

byte hi = HI(OLD), lo = LO(OLD);
bool linked = true;
bool changing;			/* the tree is not one at the moment */
bool misplaced;			/* a node is where another number belongs */

byte sequence;			/* of diskseq_lock, odd while it is held */

inline write_seqlock()
{
	atomic { !(sequence & 1) -> sequence++ }
}

inline write_sequnlock()
{
	sequence++
}

/* diskseq_advance() */
active proctype advance()
{
	write_seqlock();
#ifndef NO_MOVE
	changing = true;
	linked = false;
	changing = false;
#endif
#ifdef NO_ONE_HOLD
	write_sequnlock();
	write_seqlock();
#endif
	lo = LO(NEW);
	hi = HI(NEW);
#ifndef NO_MOVE
	changing = true;
	linked = true;
	changing = false;
#else
	misplaced = true;
#endif
	write_sequnlock()
}

/* rb_find_rcu(), of what has the number */
inline descend(number, found)
{
	if
	:: changing || misplaced -> found = false
	:: number == STAYS -> found = true
	:: number != STAYS && linked ->
		/* diskseq_cmp() */
		half = hi;
		found = (half == HI(number) && lo == LO(number))
	:: number != STAYS && !linked -> found = false
	fi
}

/* diskseq_find() */
inline diskseq_find(number, found)
{
	do
	:: atomic { !(sequence & 1) -> before = sequence }
	   descend(number, found);
#ifndef NO_RETRY
	   if
	   :: sequence == before -> break
	   :: else
	   fi
#else
	   break
#endif
	od;
	half = 0
}

/* diskseq_read() */
inline disk_diskseq(number)
{
	do
	:: atomic { !(sequence & 1) -> before = sequence }
	   half = hi;
	   number = half * 4 + lo;
#ifndef NO_READ_RETRY
	   if
	   :: sequence == before -> break
	   :: else
	   fi
#else
	   break
#endif
	od;
	half = 0
}

active proctype looker()
{
	byte before, half, number;
	bool found;

	if
	:: diskseq_find(STAYS, found);
	   /* Promise "found": a disk that stays always is. */
	   assert(found)

	:: diskseq_find(OLD, found);
	   if
	   :: !found ->
		diskseq_find(NEW, found);
		/* Promise "found": so is one whose old number no longer is. */
		assert(found)
	   :: else
	   fi

	:: diskseq_find(NEW, found);
	   if
	   :: found ->
		diskseq_find(OLD, found);
		/* Promise "retired": by the old number it is not, from then on. */
		assert(!found)
	   :: else
	   fi

	:: diskseq_find(HI(NEW) * 4 + LO(OLD), found);
	   /* Promise "whole": nor by a mixture of two. */
	   assert(!found)

	:: disk_diskseq(number);
	   /* Promise "whole": which is not read, either. */
	   assert(number == OLD || number == NEW)
	fi
}
