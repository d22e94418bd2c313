/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The race program: threads that make one disk after the other on the same
 * device number ("kinds" of disks), and threads that open them by sequence
 * number meanwhile.
 *
 * Each disk says on itself which one it is.  An open is judged by what is read
 * from it, through the page cache and past it, while BLKGETDISKSEQ says the
 * same before and after.
 *
 *	replacer		turn(): the next disk; one for each target
 *	opener			opens what was announced, reads and judges
 *	hoarder, writer,	keep pages and partitions, dirty pages, eat unit
 *	sender, listener	attentions, open what events say: race_beside.c
 */
#ifndef DISKSEQ_RACE_H
#define DISKSEQ_RACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RACE_BLOCK	4096

/*
 * On a disk, and on a partition: what the kernel or a partition table has at its
 * start, the stamp, and an area that is empty at first, for the writer.
 */
#define STAMP_POS	RACE_BLOCK
#define AREA_POS	(STAMP_POS + RACE_BLOCK)
#define AREA_BLOCKS	4
#define STAMPED_SIZE	(AREA_POS + AREA_BLOCKS * RACE_BLOCK)

struct kind;

/* A device number that one disk after the other gets; one thread's. */
struct target {
	const struct kind *kind;
	char node[64];			/* the device node, without partition */
	unsigned int nr;		/* the driver's number of it */
	uint64_t seed;
	unsigned long turn;		/* disks made so far */
	int image[2];			/* for kinds that need a backing file */
	uint64_t medium[2];		/* what was put on it, see medium_put() */
	bool up;			/* there is a disk to take down */

	atomic_uint_least64_t number;	/* the disk's, when it has its stamp */
	atomic_uint_least64_t dead;		/* the number that was last refused */
	atomic_ulong tried;		/* times that somebody tried to open it */

	/* Steps that may change the number, and the number before the last. */
	atomic_ulong steps;
	atomic_uint_least64_t before;
	/* Odd while the content is changed before the driver can know. */
	atomic_ulong swaps;
};

struct kind {
	const char *name;
	const char *help;
	/* The number of a disk that is open cannot change. */
	bool held;
	/* Who has the disk open keeps it from being changed. */
	bool blocks;
	/* What is announced can be opened until the next is. */
	bool stays;
	/* It becomes another number only when somebody opens the disk. */
	bool lazy;
	/* A drive with media: it is polled, and sent commands by SG_IO. */
	bool drive;
	/* Each uevent's number opens, unless the disk was changed again. */
	bool tells;
	/* The content is there before the number is; see medium_put(). */
	bool ready;
	/* The same, with a partition table: up to one partition. */
	bool table;
	/* It can be written to. */
	bool writes;
	/* There is but one. */
	bool single;
	/* Few opens a second: see --slow-seconds. */
	bool slow;
	/* Names to open: partitions 1 to this, or if 0 the whole disk. */
	unsigned int parts;
	/* Once for each target; NULL, or the reason why this kernel cannot. */
	const char *(*setup)(struct target *t);
	/* Make the next disk; returns its number. */
	uint64_t (*turn)(struct target *t);
	void (*teardown)(struct target *t);
};

extern const struct kind loop_attach_kind, loop_remove_kind, loop_change_kind,
	dm_remove_kind, dm_deferred_kind, dm_rename_kind, part_blkpg_kind,
	part_reread_kind, null_kind, zram_kind, scsi_remove_kind,
	scsi_medium_kind, nbd_kind, nbd_netlink_kind, md_kind, remount_kind,
	virtio_kind, cd_kind, card_kind;

/* What is going on: the same for all threads. */
extern atomic_bool race_stop;
extern atomic_ulong race_tried;		/* opens */
extern const struct kind *racing;	/* of all targets */
extern struct target *targets;
extern unsigned int nr_targets;
extern bool race_stock;			/* a kernel without ours */

/* A number below @limit, for reproducible choices. */
uint64_t race_random(uint64_t *seed, uint64_t limit);

/*
 * What a disk's stamp and all that is written to it says: its number, or of a
 * kind that is ready before it has one, a name that medium_put() has made up.
 */
uint64_t label_of(uint64_t number);
void label_number(uint64_t number, uint64_t label);

/* The stamp of partition @part, or of the whole disk, at its place in @block. */
void stamp_fill(void *block, uint64_t label, unsigned int part);
/* Is it there?  If not, @found is the label that is. */
bool stamp_check(const void *block, uint64_t label, unsigned int part,
		 uint64_t *found);
/* Write the stamp through a device node, and empty the area. */
void stamp_path(const char *path, uint64_t number, unsigned int part);

/*
 * Make a new medium of a file, or of a disk's back door, with an empty area, and
 * if @table with a partition table.  Returns its label.
 */
uint64_t medium_put(int fd, bool table);
/* Has only who meant it written to it?  If not, @found is who else has. */
bool medium_check(int fd, uint64_t label, uint64_t *found);
/* The same two for image @i of a target, which is out of the drive. */
uint64_t medium_next(struct target *t, unsigned int i);

/*
 * The area: what the writer wrote there is labelled with the disk it was meant
 * for.  Is it @label's, or empty?
 */
void area_fill(void *block, uint64_t label);
bool area_check(const void *area, uint64_t label, uint64_t *found);
/*
 * Around a write that is meant for @label: if the disk was changed meanwhile it
 * may be found on the next.
 */
void write_begin(uint64_t label);
void write_end(bool changed);

/* Around all that reads or writes a disk, in any thread; the last close writes. */
void race_io_begin(void);
void race_io_end(void);

/* Say what was wrong, and count it. */
__attribute__((format(printf, 1, 2)))
void race_mismatch(const char *format, ...);
/* Mismatches that were not found by an opener. */
extern atomic_ulong race_mismatches;

/*
 * Read stamp and area through the page cache and past it, of an open disk whose
 * number was @number before, and judge them if that is so after it, too.
 */
enum reading { READ_RIGHT, READ_CHANGED, READ_WRONG };
enum reading race_read_both(struct target *t, int fd, uint64_t number,
			    unsigned int part, bool known);

/* Is it still the disk @number, or a partition of it, that is open? */
bool race_is_still(const struct target *t, int fd, uint64_t number,
		   unsigned int part);
/* Another step that can change the number is about to be taken. */
void race_step(struct target *t);
/*
 * Open the drive until its number is another than before the step: to open it is
 * to look what is in it.  False if that does not help.
 */
bool race_notice(struct target *t);

/* Write a file of sysfs; returns -1 with errno on failure.  Read one, or end. */
int race_write(const char *path, const char *value);
void race_read(const char *path, char *value, size_t size);

/* Call @step until it does not fail with EBUSY, with a deadline. */
void race_persist(struct target *t, const char *what,
		  int (*step)(struct target *t));
/* A step for it: the node of a disk comes before it can be opened. */
int race_open_step(struct target *t);

struct stalled_counts {
	unsigned long tried, refused, mismatches;
};

/* Rounds of an open that waits in ->open() while the disk is changed. */
const char *race_stalled(unsigned long rounds, struct stalled_counts *counts);

/* The threads beside. */
enum beside { HOARDER, WRITER, POLLER, SENDER, LISTENER, NR_BESIDE };
extern const char *const beside_names[NR_BESIDE];

struct beside_counts {
	atomic_ulong hoarded;	/* pages or partitions kept */
	atomic_ulong written;	/* blocks */
	atomic_ulong sent;	/* commands */
	atomic_ulong announced;	/* numbers, by events */
	atomic_ulong reached;	/* which could be opened */
	atomic_ulong late;	/* or could not, but the disk is changed again */
};

extern struct beside_counts beside_counts;

/* @which is a bit mask of enum beside. */
void beside_start(unsigned int which, uint64_t seed);
void beside_stop(void);
/* Wait until no command is on its way any more. */
void beside_settle(void);

/* Events of @rounds turns of all targets; opens the node at each, as udev does. */
unsigned long race_events(unsigned long rounds,
			  void (*turn)(struct target *t));

#endif /* DISKSEQ_RACE_H */
