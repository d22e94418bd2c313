/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The race program: threads that make one disk after the other on the same
 * device number ("kinds" of disks), and threads that open them by sequence
 * number meanwhile.
 *
 * Each disk says on itself which number it has.  An open is judged by what is
 * read from it while BLKGETDISKSEQ says the same before and after.
 */
#ifndef DISKSEQ_RACE_H
#define DISKSEQ_RACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RACE_BLOCK	4096

/* Behind what the kernel or a partition table has at the start of a disk. */
#define STAMP_POS	RACE_BLOCK

struct kind;

/* A device number that one disk after the other gets; one thread's. */
struct target {
	const struct kind *kind;
	char node[64];			/* the device node, without partition */
	unsigned int nr;		/* the driver's number of it */
	uint64_t seed;
	unsigned long turn;		/* disks made so far */
	int image[2];			/* for kinds that need a backing file */
	bool up;			/* there is a disk to take down */

	atomic_uint_least64_t number;	/* the disk's, when it has its stamp */
	atomic_uint_least64_t dead;		/* the number that was last refused */
	atomic_ulong tried;		/* times that somebody tried to open it */
};

struct kind {
	const char *name;
	const char *help;
	/* The number of a disk that is open cannot change. */
	bool held;
	/* What is announced can be opened until the next is. */
	bool stays;
	/* It becomes another number only when somebody opens the disk. */
	bool lazy;
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
	virtio_kind, cd_kind;

/* A number below @limit, for reproducible choices. */
uint64_t race_random(uint64_t *seed, uint64_t limit);

/* The stamp of partition @part, or of the whole disk, at its place in @block. */
void stamp_fill(void *block, uint64_t number, unsigned int part);
/* Is it there?  If not, @found is the number that is. */
bool stamp_check(const void *block, uint64_t number, unsigned int part,
		 uint64_t *found);
/* Write the stamp through a device node, or to a backing file. */
void stamp_path(const char *path, uint64_t number, unsigned int part);
void stamp_image(int fd, uint64_t number);

/* Write a file of sysfs; returns -1 with errno on failure.  Read one, or end. */
int race_write(const char *path, const char *value);
void race_read(const char *path, char *value, size_t size);

/* Call @step until it does not fail with EBUSY, with a deadline. */
void race_persist(struct target *t, const char *what,
		  int (*step)(struct target *t));

struct stalled_counts {
	unsigned long tried, refused, mismatches;
};

/* Rounds of an open that waits in ->open() while the disk is changed. */
const char *race_stalled(unsigned long rounds, struct stalled_counts *counts);

#endif /* DISKSEQ_RACE_H */
