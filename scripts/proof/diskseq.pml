/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guarantee of Documentation/block/diskseq.rst, as a model for spin.
 *
 * A step here is one that others can come between in the kernel; what is done
 * under a spinlock is one step.  Names are those of the functions that are meant.
 * The look-up is one step as well: index.pml is about it.
 *
 * scripts/model chooses, by macros, one KIND of disk, who is there, and at most
 * one protection that is taken away (NO_...).  The kinds differ in how a medium,
 * which is what data are of, gets another number:
 *
 *   CHANGE  by a driver that exchanges it under those who have it open, as loop
 *           does for LOOP_CHANGE_FD, read-only
 *   ATTACH  by a driver that is disconnected and then connected, as nbd
 *   DRIVE   by somebody at the drive; the driver is told when it asks, or by the
 *           next command, and refuses I/O from then on until it has asked
 *   QUIET   by a driver that gives it one and leaves the rest to the next open, as md
 *   REMOVE  never: the disk is removed, and another one gets its device number
 *
 * What is promised is where it is asserted.
 *
 * What is not in it: the order of the memory accesses of one processor as others see
 * it, which is that of the program here; claims; a file system that is mounted, but
 * for the buffers that it holds on to; what a drive returns for a command that it
 * had before it told of a change.
 */

#define CHANGE	1
#define ATTACH	2
#define DRIVE	3
#define REMOVE	4
#define QUIET	5

#ifndef CHANGES
#define CHANGES	1	/* of the medium */
#endif
#ifndef READERS
#define READERS	1
#endif
#ifndef NODES
#define NODES	0	/* who open the device's node, as udev does */
#endif
#ifndef WRITERS
#define WRITERS	0	/* at most 1 */
#endif
#ifndef ASKERS
#define ASKERS	0	/* at most 1, of the drive */
#endif
#ifndef PARTS
#define PARTS	0	/* whether there is a partition, and readers open it */
#endif

/* The others have no events to look for. */
#if KIND == DRIVE && !defined(NO_EVENT_BLOCK)
#define BLOCK_EVENTS	1
#else
#define BLOCK_EVENTS	0
#endif

#define NONE	255
#define DISKS	2	/* the second one is for REMOVE */
#define SEQS	8
/* part0 of each disk, then partitions of disk 0: as many as anybody can refer to */
#define BDEVS	(DISKS + PARTS * (READERS + 2))

#define READ_BLOCK	0	/* a block that is on each medium */
#define WRITTEN_BLOCK	1	/* one that only the writer fills */

/* struct folio; its lock is held until the I/O is done */
typedef folio {
	bool there;
	bool locked;
	bool uptodate;
	bool dirty;
	byte data;		/* the medium that it was read of */
};

/* struct block_device */
typedef block_device {
	byte openers;
	byte refs;
	byte cacheseq;
	byte diskseq;		/* of a partition */
	byte extent;		/* the medium whose table it is of */
	folio f[2];
};

/* struct gendisk */
typedef gendisk {
	byte seq;
	bool indexed;
	bool live;
	bool open_mutex;
	byte medium;		/* what I/O reaches now, or NONE */
};

block_device bdev[BDEVS];
gendisk disk[DISKS];
byte node = 0;			/* the disk that has the device number */

byte counter = 0;
byte medium_of[SEQS];		/* the medium that each number means */

/* of disk 0 */
bool frozen;			/* the queue */
bool lo_mutex;			/* what the driver's ->open() takes */
bool block_mutex;		/* struct disk_events */
byte ev_block;
bool ev_running;
bool pending;
bool need_scan;			/* GD_NEED_PART_SCAN */
byte part_tbl = NONE;
byte open_partitions;

/* of the drive */
bool attention;			/* it has to tell of a change */
bool changed;			/* it has told; sdev->changed */
bool told;			/* somebody else who asked; cdi->vfs_events */
bool unnumbered;		/* I/O is refused until the change has a number */

/*
 * What has been written for a number, once it is certain that the number did not
 * change meanwhile.
 */
byte w_for;
bool w_judged;
byte w_on;			/* set of the media that it arrived on */
byte w_seen;			/* set of the media it was taken to be of */

byte exchanges;			/* odd while a driver exchanges the medium */
byte ended;

#define BIT(medium)	((medium) == NONE -> 0 : 1 << (medium))
#define check_written()	\
	assert(!w_judged || !((w_on | w_seen) & ~BIT(medium_of[w_for])))

#define is_part(b)	((b) >= DISKS)
#define disk_of(b)	(is_part(b) -> 0 : (b))

#define lock(mutex)	atomic { !(mutex) -> mutex = true }
#define unlock(mutex)	mutex = false

#define folio_lock(b, i) \
	atomic { !bdev[b].f[i].locked -> bdev[b].f[i].locked = true }
#define folio_unlock(b, i)	bdev[b].f[i].locked = false

/* diskseq_advance(): the old number stops when the new one starts to be found */
inline inc_diskseq(d, of_medium)
{
	counter++;
	medium_of[counter] = of_medium;
	disk[d].seq = counter
}

/*
 * One request, which reaches what is there at that moment: got is the medium, or
 * NONE if it fails.
 */
inline do_io(d, got)
{
	atomic {
		!(frozen && d == 0) ->
		got = disk[d].medium;
		if
		:: d == 0 && attention -> attention = false; changed = true
		:: else
		fi;
		if
		:: d == 0 && (changed || unnumbered) -> got = NONE
		:: else
		fi
	}
}

inline bdev_caches_earlier(b, yes)
{
	yes = bdev[b].cacheseq;
	yes = (yes != disk[disk_of(b)].seq)
}

/* With the folio locked; bdev_discard_earlier() */
inline discard_earlier(b, i)
{
#ifndef NO_LAUNDER
	bdev_caches_earlier(b, yes);
	if
	:: yes -> bdev[b].f[i].dirty = false
	:: else
	fi
#else
	skip
#endif
}

inline drop_folio(b, i)
{
	if
	:: !bdev[b].f[i].there
	:: bdev[b].f[i].there ->
		folio_lock(b, i);
		if
		:: bdev[b].f[i].dirty -> discard_earlier(b, i)
		:: else
		fi;
		atomic {
			if
			:: bdev[b].f[i].dirty -> busy = true
#ifdef MOUNTED
			/* a file system holds on to its buffers */
			:: busy = true
#endif
#ifdef NO_DROP_OF_USED
			/* mapped, or referenced: invalidate_mapping_pages() leaves it */
			:: true
#endif
			:: !bdev[b].f[i].dirty ->
				bdev[b].f[i].there = false;
				bdev[b].f[i].uptodate = false
			fi;
			folio_unlock(b, i)
		}
	fi
}

inline bdev_drop_earlier(b)
{
	busy = false;
	want = disk[disk_of(b)].seq;
	if
	:: bdev[b].cacheseq == want
	:: else ->
		drop_folio(b, READ_BLOCK);
#if WRITERS
		drop_folio(b, WRITTEN_BLOCK);
#endif
#ifdef NO_NUMBER_FIRST
		/* read when all is dropped */
		want = disk[disk_of(b)].seq;
#endif
		d_step {
			if
			:: !busy && bdev[b].cacheseq < want ->
				bdev[b].cacheseq = want
#ifndef NO_RECHECK
			/* Somebody else was faster, what is dirty is of this medium. */
			:: busy && bdev[b].cacheseq >= want -> busy = false
#endif
			:: else
			fi
		}
	fi
}

/* Of a partition that is added after it was looked for, nothing is cached yet. */
inline disk_drop_earlier()
{
	bdev_drop_earlier(0);
#if PARTS
	atomic {
		p = part_tbl;
		if
		:: p != NONE -> bdev[p].refs++
		:: else
		fi
	}
	if
	:: p != NONE ->
		bdev_drop_earlier(p);
		bdev[p].refs--
	:: else
	fi;
	p = NONE
#endif
}

/* What read() of a block does, through the page cache */
inline cached_read(b, got)
{
	atomic {
		if
		:: !bdev[b].f[READ_BLOCK].there ->
			bdev[b].f[READ_BLOCK].there = true;
			bdev[b].f[READ_BLOCK].locked = true;
			must_read = true
		:: bdev[b].f[READ_BLOCK].there && bdev[b].f[READ_BLOCK].uptodate ->
			got = bdev[b].f[READ_BLOCK].data
		:: bdev[b].f[READ_BLOCK].there && !bdev[b].f[READ_BLOCK].uptodate &&
		   !bdev[b].f[READ_BLOCK].locked ->
			bdev[b].f[READ_BLOCK].locked = true;
			must_read = true
		fi
	}
	if
	:: must_read ->
		do_io(disk_of(b), got);
		atomic {
			if
			:: got != NONE ->
				bdev[b].f[READ_BLOCK].data = got;
				bdev[b].f[READ_BLOCK].uptodate = true
			:: else
			fi;
			must_read = false;
			folio_unlock(b, READ_BLOCK)
		}
	:: else
	fi
}

/* blkdev_write_folio(), called with the folio locked and no longer dirty */
inline write_folio(b, got)
{
	yes = false;
	/* As if nobody came between the look at the number and the request */
#ifdef WRITE_AT_ONCE
	atomic {
#endif
#ifndef NO_DISCARD
	bdev_caches_earlier(b, yes);
#endif
	if
	:: yes
	:: else ->
		do_io(disk_of(b), got);
		d_step {
			if
			:: got != NONE -> w_on = w_on | BIT(got)
			:: else
			fi;
			/* Promise "written": nothing arrives on another medium than meant. */
			check_written()
		}
	fi;
#ifdef WRITE_AT_ONCE
	}
#endif
	d_step { got = NONE; yes = false }
}

inline sync_blockdev(b, got)
{
	if
	:: bdev[b].f[WRITTEN_BLOCK].dirty ->
		folio_lock(b, WRITTEN_BLOCK);
		if
		:: bdev[b].f[WRITTEN_BLOCK].dirty ->
			bdev[b].f[WRITTEN_BLOCK].dirty = false;
			write_folio(b, got)
		:: else
		fi;
		folio_unlock(b, WRITTEN_BLOCK)
	:: else
	fi
}

/* kill_bdev(): truncation waits for the lock as well, and drops what is dirty */
inline kill_folio(b, i)
{
	if
	:: bdev[b].f[i].there ->
		folio_lock(b, i);
		d_step {
			bdev[b].f[i].there = false;
			bdev[b].f[i].uptodate = false;
			bdev[b].f[i].dirty = false;
			bdev[b].f[i].locked = false
		}
	:: else
	fi
}

inline disk_block_events()
{
	lock(block_mutex);
	ev_block++;
	if
	:: ev_block == 1 -> !ev_running
	:: else
	fi;
	unlock(block_mutex)
}

inline disk_unblock_events()
{
	ev_block--
}

/* As if nobody came between the driver's answer and the number */
#ifdef NUMBER_AT_ONCE
#define then_next
#else
#define then_next	}; d_step {
#endif

/* And sd_check_events(), or that of another drive; some is the medium it saw */
inline disk_check_events(some)
{
	/* TEST UNIT READY */
	d_step {
		if
		:: attention -> attention = false; changed = true
		:: else
		fi;
		then_next
		some = (changed || told -> disk[0].medium : NONE);
		told = false;
#ifdef NO_TEST_AND_CLEAR
		then_next
#endif
		changed = false;
#ifndef NO_HOLD_BACK
		unnumbered = unnumbered || some != NONE;
#endif
		then_next
		number_it = some != NONE;
#ifdef NO_NUMBER_IF_PENDING
		number_it = number_it && !pending;
#endif
		pending = pending || some != NONE;
		if
		:: number_it -> inc_diskseq(0, some)
		:: else
		fi
	}
	if
	:: number_it -> disk_drop_earlier()
	:: else
	fi;
	d_step {
		if
		:: some != NONE -> unnumbered = false
		:: else
		fi;
		some = NONE;
		number_it = false
	}
}

#if PARTS
/* bdev_disk_changed(), with open_mutex held */
inline scan_partitions(got)
{
#ifndef NO_DROP_BEFORE_TABLE
	bdev_drop_earlier(0);
#endif
	if
	:: open_partitions
	:: else ->
		atomic {
			if
			:: part_tbl != NONE -> bdev[part_tbl].refs--
			:: else
			fi;
			part_tbl = NONE;
			need_scan = false
		}
#ifndef NO_DROP_AFTER_CLEAR
		bdev_drop_earlier(0);
#endif
		seq = bdev[0].cacheseq;
		cached_read(0, got);
#ifdef NO_TABLE_NUMBER
		seq = disk[0].seq;	/* when the table has been read */
#endif
		atomic {
			if
			:: got == NONE
			:: else ->
				/* the first that nobody refers to any more */
				p = DISKS;
				do
				:: bdev[p].refs -> p++
				:: else -> break
				od;
				bdev[p].refs = 1;
				bdev[p].diskseq = seq;
				bdev[p].extent = got;
				bdev[p].cacheseq = 0;
				bdev[p].f[READ_BLOCK].there = false;
				bdev[p].f[READ_BLOCK].uptodate = false;
				part_tbl = p
			fi;
			p = NONE;
			got = NONE;
			seq = 0
		}
	fi
}
#endif

/* The driver's ->open() */
inline driver_open(d, got)
{
#if KIND == CHANGE
	lock(lo_mutex);
	unlock(lo_mutex)
#elif KIND == DRIVE
	/* disk_check_media_change() */
	disk_block_events();
	disk_check_events(got);
	disk_unblock_events();
	d_step {
		need_scan = need_scan || pending;
		pending = false
	}
#else
	skip
#endif
}

inline blkdev_put(b, d, got)
{
	if
	:: bdev[b].openers == 1 ->
#if WRITERS
		sync_blockdev(b, got);
		kill_folio(b, WRITTEN_BLOCK);
#endif
		kill_folio(b, READ_BLOCK);
	:: else
	fi;
	d_step {
		bdev[b].openers--;
		if
		:: is_part(b) ->
			open_partitions = open_partitions - (bdev[b].openers == 0 -> 1 : 0);
			bdev[0].openers--
		:: else
		fi
	}
	/* The whole disk of a partition is flushed as well. */
	if
	:: is_part(b) && bdev[0].openers == 0 -> kill_folio(0, READ_BLOCK)
	:: else
	fi
}

#define READ	0
#define NODE	1
#define WRITE	2
#define LATE	3	/* when nothing changes any more */

proctype opener(byte role; byte part)
{
	byte number;		/* the disk that is meant */
	byte n;			/* the number that is opened by, or 0 */
	byte tries = 2;
	byte b = NONE, d = 0;
	byte got = NONE, then = NONE, yes, want, seq, p = NONE;
	byte at_lock;		/* the number when open_mutex was taken */
	byte after_open;	/* that when ->open() had returned */
	byte before;		/* what had been exchanged before the reads */
	bool busy, must_read, number_it, fine;

	/* Whoever knows a number knows it of a disk that is there. */
	atomic {
		node != NONE ->
		number = disk[node].seq;
		n = (role == NODE -> 0 : number)
	}
#ifdef BY_NODE
	n = 0;
#endif
#if PARTS
	/* BLKRRPART, see disk_scan_partitions() */
	if
	:: role == NODE -> need_scan = true
	:: true
	fi;
#endif
again:
	/* diskseq_get_no_open() or blkdev_get_no_open(), under RCU */
	atomic {
		if
		:: n == 0 && node != NONE && disk[node].live -> b = node
		:: n != 0 && disk[0].indexed && disk[0].seq == n -> b = 0
		:: n != 0 && disk[1].indexed && disk[1].seq == n -> b = 1
		:: else
		fi;
		if
		:: b == 0 && part -> b = part_tbl
		:: else
		fi;
		if
		:: b != NONE ->
			/* Promise "memory": what is found has not been freed. */
			assert(is_part(b) || bdev[b].refs);
#ifndef NO_REFERENCE
			bdev[b].refs++
#endif
		:: else
		fi
	}
	if
	:: b == NONE -> goto out
	:: else
	fi;
	d_step { d = disk_of(b); tries-- }

	/* bdev_open() */
#if BLOCK_EVENTS
	disk_block_events();
#endif
	lock(disk[d].open_mutex);
	/* Promise "memory": nor is it while it is used. */
	assert(bdev[b].refs);
	d_step { at_lock = disk[d].seq; fine = true }

	/* bdev_check_diskseq() */
#ifndef NO_CHECK_BEFORE
	fine = n == 0 || (disk[d].live && disk[d].seq == n);
#ifndef NO_PARTITION_COMPARED
	fine = fine && (n == 0 || !is_part(b) || part_tbl == b);
#endif
#endif
	fine = fine && disk[d].live;
	if
	:: !fine -> goto unlock
	:: else
	fi;

	/* Promise "touch": no driver opens a disk with another number. */
	assert(n == 0 || at_lock == n);
	driver_open(d, got);
	d_step { after_open = disk[d].seq; bdev[d].openers++ }
#if PARTS
	if
	:: need_scan -> scan_partitions(got)
	:: else
	fi;
	if
	:: is_part(b) ->
		d_step {
			open_partitions = open_partitions + (bdev[b].openers == 0 -> 1 : 0);
			bdev[b].openers++
		}
	:: else
	fi;
#endif

	/* bdev_check_opened() */
#ifndef NO_DROP_AT_OPEN
	bdev_drop_earlier(b);
#endif
#ifndef NO_CHECK_AFTER
	fine = n == 0 || (disk[d].live && disk[d].seq == n);
#ifndef NO_PARTITION_COMPARED
	fine = fine && (n == 0 || !is_part(b) || part_tbl == b);
#endif
#endif
#ifndef NO_TABLE_COMPARED
	fine = fine && (n == 0 || !is_part(b) || bdev[b].diskseq == n);
#endif
#ifndef MOUNTED
	/* Promise "busy": only what is mounted keeps a disk from being opened. */
	assert(!busy || !fine || n == 0);
#endif
#ifndef NO_BUSY
	fine = fine && (n == 0 || !busy);
#endif
	if
	:: !fine ->
#ifndef NO_UNDO
		blkdev_put(b, d, got);
#endif
		goto unlock
	:: else
	fi;
	/* Promise "number": it was the one asked for when ->open() had returned. */
	assert(n == 0 || after_open == n);
	/* Promise "table": a partition is the one that the table has. */
	assert(n == 0 || !is_part(b) || part_tbl == b);
	unlock(disk[d].open_mutex);
#if BLOCK_EVENTS
	disk_unblock_events();
#endif

	if
	:: role == WRITE ->
#if WRITERS
		atomic {
			!bdev[b].f[WRITTEN_BLOCK].locked ->
			bdev[b].f[WRITTEN_BLOCK].there = true;
			bdev[b].f[WRITTEN_BLOCK].locked = true
		}
		bdev[b].f[WRITTEN_BLOCK].uptodate = true;
		bdev[b].f[WRITTEN_BLOCK].dirty = true;
		folio_unlock(b, WRITTEN_BLOCK);
		d_step {
			if
			:: disk[d].seq == number ->
				w_for = number;
				w_judged = true;
				/* Promise "written": as soon as it is known */
				check_written()
			:: else
			fi
		}
#endif
		skip
	:: else ->
		before = exchanges;
		/* Through the page cache and past it, in either order */
		if
		:: cached_read(b, got); do_io(d, then)
		:: role != NODE -> do_io(d, then); cached_read(b, got)
		fi;
		d_step {
			/*
			 * Who opens the node means any disk.  A number that was there
			 * before and is there now was there all the time.
			 */
			if
			:: role != NODE && (disk[d].seq == number || n == 0) ->
				/* Promise "data": what is read is of the medium meant. */
				assert(got == NONE || got == medium_of[number]);
				assert(then == NONE || then == medium_of[number]);
				/* Promise "extent": and a partition of its table. */
				assert(!is_part(b) || bdev[b].extent == medium_of[number])
			:: else
			fi;
#if KIND == CHANGE && !defined(MOUNTED)
			if
			:: exchanges == before && !(exchanges & 1) ->
				/* Promise "seen": who has it open sees what is there. */
				assert(got == NONE || got == disk[d].medium)
			:: else
			fi;
#endif
			got = NONE;
			then = NONE
		}
#if WRITERS
		d_step {
			if
			:: bdev[b].f[WRITTEN_BLOCK].there && disk[d].seq == number ->
				w_seen = w_seen | BIT(medium_of[number])
			:: else
			fi;
			/* Promise "written": nor is it taken for something of another. */
			check_written()
		}
#endif
	fi;

	/* bdev_release() */
	lock(disk[d].open_mutex);
	blkdev_put(b, d, got);
#if PARTS && (KIND == DRIVE || KIND == QUIET)
	/* Promise "scanned": the table has been read, its partition can be opened. */
	assert(role != LATE || disk[d].seq != number ||
	       part_tbl != NONE && bdev[part_tbl].diskseq == number);
#endif
	unlock(disk[d].open_mutex);
#ifndef NO_REFERENCE
	bdev[b].refs--;
#endif
	goto done;

unlock:
	unlock(disk[d].open_mutex);
#if BLOCK_EVENTS
	disk_unblock_events();
#endif
#ifndef NO_REFERENCE
	bdev[b].refs--;
#endif
	b = NONE;
#ifndef NO_SECOND_TRY
	at_lock = 0;
	after_open = 0;
	if
	:: n != 0 && tries -> goto again
	:: else
	fi;
#endif
out:
	/* Promise "opens": an open fails only if the number is gone. */
	assert(role != LATE || disk[0].seq != number);
done:
	ended++
}

#if KIND == CHANGE
/* loop_change_fd() */
proctype changer()
{
	byte yes, want, seq, p = NONE, got = NONE, i;
	bool busy, must_read;

	for (i : 1 .. CHANGES) {
		exchanges++;
		lock(lo_mutex);
		/* disk_force_media_change(): a number of the medium that goes */
		d_step { inc_diskseq(0, disk[0].medium) }
		disk_drop_earlier();
		frozen = true;
		disk[0].medium++;
#ifndef NO_NUMBER_AT_SWITCH
		d_step { inc_diskseq(0, disk[0].medium) }
#endif
#ifdef DROP_WHILE_FROZEN
		disk_drop_earlier();
#endif
		frozen = false;
#ifdef DROP_UNDER_OPEN_MUTEX
		lock(disk[0].open_mutex);
#endif
#ifndef NO_DROP_AFTER_SWITCH
		disk_drop_earlier();
#endif
#ifdef DROP_UNDER_OPEN_MUTEX
		unlock(disk[0].open_mutex);
#endif
		unlock(lo_mutex);
		exchanges++;
#if PARTS
		/* loop_reread_partitions() */
		lock(disk[0].open_mutex);
		scan_partitions(got);
		unlock(disk[0].open_mutex)
#endif
	}
	ended++
}
#endif

#if KIND == QUIET
/*
 * A driver that gives a number, and leaves the rest to the next open, as md; what has
 * no size meanwhile is frozen here.
 */
proctype changer()
{
	byte i;

	for (i : 1 .. CHANGES) {
		lock(lo_mutex);
#ifdef NO_NUMBER_BEFORE_SCAN
		need_scan = true;
#endif
		frozen = true;
		disk[0].medium++;
		d_step { inc_diskseq(0, disk[0].medium) }
		frozen = false;
#ifndef NO_NUMBER_BEFORE_SCAN
		need_scan = true;
#endif
		unlock(lo_mutex)
	}
	ended++
}
#endif

#if KIND == ATTACH
/* A driver whose medium goes, and that is connected to another one, as nbd */
proctype changer()
{
	byte yes, want, p = NONE, medium, i;
	bool busy;

	for (i : 1 .. CHANGES) {
		lock(lo_mutex);
		d_step { medium = disk[0].medium; disk[0].medium = NONE }
		d_step { inc_diskseq(0, NONE) }
		unlock(lo_mutex);
		lock(lo_mutex);
		medium++;
#ifdef NO_NUMBER_AT_SWITCH
		skip;
#else
		d_step { inc_diskseq(0, medium) }
#endif
#ifdef NO_DROP_BEFORE_CONNECT
		disk[0].medium = medium;
		disk_drop_earlier();
#else
		disk_drop_earlier();
		disk[0].medium = medium;
#endif
		unlock(lo_mutex)
	}
	ended++
}
#endif

#if KIND == DRIVE
/* Somebody at the drive */
proctype changer()
{
	byte i;

	for (i : 1 .. CHANGES) {
		d_step {
			disk[0].medium++;
			attention = true
		}
	}
	ended++
}

/* disk_events_workfn(), as often as the kernel likes */
proctype poller()
{
	byte yes, want, p = NONE, got = NONE;
	bool busy, number_it;

end:	do
	:: atomic { ev_block == 0 && (attention || changed || told) -> ev_running = true }
	   disk_check_events(got);
	   ev_running = false
	od
}
#endif

#if ASKERS
/* CDROM_MEDIA_CHANGED, which asks the drive, and leaves what it said to the poller */
proctype asker()
{
	d_step {
		if
		:: attention -> attention = false; changed = true
		:: else
		fi
	}
	d_step {
		told = told || changed;
#ifndef NO_HOLD_BACK
		unnumbered = unnumbered || changed;
#endif
		changed = false
	}
	ended++
}
#endif

#if KIND == REMOVE
/* del_gendisk(), then put_disk(); and add_disk() of another one */
proctype changer()
{
	lock(disk[0].open_mutex);
	node = NONE;
	disk[0].live = false;
#ifndef NO_INDEX_REMOVAL
	disk[0].indexed = false;
#endif
	unlock(disk[0].open_mutex);
	disk[0].medium = NONE;
	bdev[0].refs--;

	disk[1].medium = 1;
	d_step { inc_diskseq(1, 1) }
	atomic { disk[1].live = true; bdev[1].refs = 1; node = 1 }
	disk[1].indexed = true;
	ended++
}
#endif

#if WRITERS
/* Whoever writes out what is dirty, at any time */
proctype flusher()
{
	byte yes, got = NONE;

end:	do
	:: bdev[0].f[WRITTEN_BLOCK].dirty -> sync_blockdev(0, got)
	od
}
#endif

init {
	byte i;

	atomic {
		for (i : 0 .. SEQS - 1) {
			medium_of[i] = NONE
		}
		disk[1].medium = NONE;
		disk[0].medium = 0;
		inc_diskseq(0, 0);
		disk[0].live = true;
		disk[0].indexed = true;
		bdev[0].refs = 1;
#if PARTS
		part_tbl = DISKS;
		bdev[DISKS].refs = 1;
		bdev[DISKS].diskseq = 1;
#endif

#if READERS
		for (i : 1 .. READERS) {
			run opener(READ, PARTS)
		}
#endif
#if NODES
		for (i : 1 .. NODES) {
			run opener(NODE, 0)
		}
#endif
#if WRITERS
		run opener(WRITE, 0);
		run flusher();
#endif
#if KIND == DRIVE
		run poller();
#endif
#if ASKERS
		run asker();
#endif
		run changer()
	}

	ended == READERS + NODES + WRITERS + ASKERS + 1;
	/* Promise "undone": whatever happened, nothing is left behind. */
	assert(bdev[0].openers == 0 && open_partitions == 0 && ev_block == 0);

	/* Whoever asks for the number that there is gets the disk, and its partition. */
	ended = 0;
#if PARTS
	if
	:: part_tbl != NONE && bdev[part_tbl].diskseq == disk[0].seq ->
		run opener(LATE, 1)
	:: true ->
		run opener(LATE, 0);
	fi
#else
	run opener(LATE, 0)
#endif
}
