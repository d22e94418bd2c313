// SPDX-License-Identifier: GPL-2.0
/*
 * Look a disk up, and open it, by its sequence number.
 *
 * For those who select BLOCK_DISKSEQ: without them, nobody pays for the index.
 *
 * Documentation/block/diskseq.rst describes the guarantee and its limits.
 */
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/rbtree.h>
#include <linux/seqlock.h>

#include "blk.h"

/*
 * Every disk that can be opened, ordered by number.
 *
 * A tree because the node lives in the disk (adding cannot fail), its order
 * gives directories a stable position, and its keys have 64 bits where the
 * index of an xarray has 32.
 *
 * Writers hold the lock of diskseq_lock, which also protects the number of
 * each disk.  Readers descend under RCU alone: a gendisk is freed by RCU, with
 * the inode of its block device (see bdev_free_inode()).  A change during the
 * descent can hide a disk, or pair half of an old number with half of a new
 * one on 32-bit machines, so both a hit and a miss count only if the sequence
 * count did not move.
 */
static struct rb_root diskseq_tree = RB_ROOT;

static struct gendisk *node_to_disk(const struct rb_node *node)
{
	return rb_entry_safe(node, struct gendisk, diskseq_node);
}

static int diskseq_cmp(u64 diskseq, const struct rb_node *node)
{
	u64 other = READ_ONCE(node_to_disk(node)->diskseq);

	return diskseq < other ? -1 : diskseq > other;
}

static int diskseq_cmp_key(const void *key, const struct rb_node *node)
{
	return diskseq_cmp(*(const u64 *)key, node);
}

/**
 * diskseq_link - put a disk into the index, by the number that it has
 * @disk: a disk that is not there
 *
 * Context: The caller holds the lock of the index for writing.
 */
void diskseq_link(struct gendisk *disk)
{
	struct rb_node **link = &diskseq_tree.rb_node, *parent = NULL;

	lockdep_assert_held(&diskseq_lock.lock);

	while (*link) {
		parent = *link;
		if (diskseq_cmp(disk->diskseq, parent) < 0)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node_rcu(&disk->diskseq_node, parent, link);
	rb_insert_color(&disk->diskseq_node, &diskseq_tree);
}

/**
 * diskseq_unlink - take a disk out of the index
 * @disk: a disk that may be there
 *
 * Context: The caller holds the lock of the index for writing.
 * Return: Whether it was there.
 */
bool diskseq_unlink(struct gendisk *disk)
{
	lockdep_assert_held(&diskseq_lock.lock);

	/* A disk without a number is just being allocated. */
	if (!disk->diskseq)
		RB_CLEAR_NODE(&disk->diskseq_node);
	if (!diskseq_is_linked(disk))
		return false;

	rb_erase(&disk->diskseq_node, &diskseq_tree);
	RB_CLEAR_NODE(&disk->diskseq_node);
	return true;
}

/**
 * diskseq_is_linked - tell whether a disk is in the index
 * @disk: the disk
 *
 * Context: Any context; it may change unless the lock of the index is held.
 * Return: Whether it is.
 */
bool diskseq_is_linked(const struct gendisk *disk)
{
	return !RB_EMPTY_NODE(&disk->diskseq_node);
}

/**
 * diskseq_add - let a disk be found by its number
 * @disk: disk whose block device has just been hashed
 *
 * Must come before the ADD uevent: who hears of a number can open it.
 *
 * Context: Process context.
 */
void diskseq_add(struct gendisk *disk)
{
	write_seqlock(&diskseq_lock);
	diskseq_link(disk);
	write_sequnlock(&diskseq_lock);
}

/**
 * diskseq_del - let a disk no longer be found by its number
 * @disk: disk whose block device has just been unhashed
 *
 * Does nothing to a disk that was never added (a hidden one).
 *
 * Context: Process context.  The caller holds @disk->open_mutex, and keeps the
 *	    disk unopenable under it.
 */
void diskseq_del(struct gendisk *disk)
{
	bool indexed;

	lockdep_assert_held(&disk->open_mutex);

	write_seqlock(&diskseq_lock);
	indexed = diskseq_unlink(disk);
	write_sequnlock(&diskseq_lock);

	if (indexed)
		diskseqfs_retire(disk, 0);
}

/**
 * diskseq_find - look up a disk by its number
 * @diskseq: number to look for
 *
 * Context: RCU read-side critical section, which bounds the life of the result.
 * Return: The disk, or %NULL if no disk has that number now.
 */
struct gendisk *diskseq_find(u64 diskseq)
{
	struct rb_node *node;
	unsigned int seq;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "disk looked up without RCU");

	do {
		seq = read_seqbegin(&diskseq_lock);
		node = rb_find_rcu(&diskseq, &diskseq_tree, diskseq_cmp_key);
	} while (read_seqretry(&diskseq_lock, seq));
	return node_to_disk(node);
}

static struct block_device *diskseq_find_bdev(u64 diskseq, u8 partno)
{
	struct gendisk *disk = diskseq_find(diskseq);

	if (!disk)
		return NULL;
	return partno ? xa_load(&disk->part_tbl, partno) : disk->part0;
}

/*
 * A partition enters the table before bdev_add() gives it its bd_dev, which
 * must not be taken for 0:0 by an access check; its device has the number from
 * before.
 */
static dev_t bdev_devt(const struct block_device *bdev)
{
	return bdev->bd_device.devt;
}

/**
 * diskseq_devt - look up a device number by a sequence number
 * @diskseq: number of the disk
 * @partno: partition, or 0 for the whole disk
 * @start: set to its first sector, unless 0 is returned
 *
 * Context: Any context but interrupts.
 * Return: The device number, or 0, which no block device has, if there is no
 *	   such disk, or no such partition of this medium.
 */
dev_t diskseq_devt(u64 diskseq, u8 partno, sector_t *start)
{
	struct block_device *bdev;

	guard(rcu)();
	bdev = diskseq_find_bdev(diskseq, partno);
	/* A partition of an earlier medium may be in the table, but is not seen. */
	if (!bdev || bdev_diskseq(bdev) != diskseq)
		return 0;
	*start = get_start_sect(bdev);
	return bdev_devt(bdev);
}

/**
 * diskseq_get_no_open - get a reference on a block device by its number
 * @diskseq: number of the disk
 * @partno: partition, or 0 for the whole disk
 * @dev: device number that it must have, or 0 for any
 *
 * The reference keeps the structure, it does not open the device, and the
 * number can be another one at any time: bdev_open() has to be told it.
 *
 * Context: Any context but interrupts.
 * Return: The block device, to be released with blkdev_put_no_open(), or %NULL.
 */
struct block_device *diskseq_get_no_open(u64 diskseq, u8 partno, dev_t dev)
{
	struct block_device *bdev;

	guard(rcu)();
	bdev = diskseq_find_bdev(diskseq, partno);
	if (!bdev || (dev && bdev_devt(bdev) != dev))
		return NULL;
	if (!kobject_get_unless_zero(&bdev->bd_device.kobj))
		return NULL;
	return bdev;
}

/* The first disk with a number that is not below @diskseq, or %NULL. */
static struct gendisk *diskseq_find_from(u64 diskseq)
{
	struct rb_node *node = diskseq_tree.rb_node, *found = NULL;

	lockdep_assert_held(&diskseq_lock.lock);

	while (node) {
		if (diskseq_cmp(diskseq, node) <= 0) {
			found = node;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return node_to_disk(found);
}

/* Visit a disk and the partitions of its medium, but what is before @partno. */
static bool disk_walk(struct gendisk *disk, u8 partno, diskseq_visit_t visit,
		      void *data)
{
	struct block_device *part;
	unsigned long idx;

	lockdep_assert_held(&diskseq_lock.lock);

	if (!partno && !visit(disk, 0, data))
		return false;

	guard(rcu)();
	xa_for_each_start(&disk->part_tbl, idx, part, max(partno, 1)) {
		if (bdev_diskseq(part) == disk->diskseq &&
		    !visit(disk, idx, data))
			return false;
	}
	return true;
}

/**
 * diskseq_walk - visit disks and partitions in the order of their numbers
 * @diskseq: number to start from
 * @partno: partition to start from, of the disk that has that number
 * @visit: called for each, until it returns %false
 * @data: passed to @visit
 *
 * Walks may go on, one from behind what the one before has visited last: a disk
 * that stays is visited once; one that changes its number may be under both.
 *
 * Context: Any context but interrupts.  @visit is called under the lock of the
 *	    index, and so may not look anything up, and should end soon.
 */
void diskseq_walk(u64 diskseq, u8 partno, diskseq_visit_t visit, void *data)
{
	struct gendisk *disk;

	read_seqlock_excl(&diskseq_lock);
	disk = diskseq_find_from(diskseq);
	if (disk && disk->diskseq != diskseq)
		partno = 0;
	while (disk && disk_walk(disk, partno, visit, data)) {
		disk = node_to_disk(rb_next(&disk->diskseq_node));
		partno = 0;
	}
	read_sequnlock_excl(&diskseq_lock);
}

/**
 * blkdev_get_by_diskseq - open a block device by its sequence number
 * @diskseq: number of the disk
 * @partno: partition, or 0 for the whole disk
 * @dev: device number that it must have as well, or 0 for any
 * @mode: open mode (BLK_OPEN_*)
 * @holder: exclusive holder identifier, or %NULL
 * @hops: holder operations
 *
 * The sibling of bdev_file_open_by_dev() for callers that know which disk they
 * mean.  When it returns a file, the number of its disk was @diskseq at a
 * moment after the driver had opened it, and no disk was opened on the way whose
 * number was another one by the time of the open, and nothing is cached of an
 * earlier medium.  The number can change later, if the medium does.
 *
 * diskseq_parse_name() turns the name of a disk into the first two arguments.
 *
 * Context: Process context, may sleep.  Takes disk->open_mutex.
 * Return: The file, to be released with bdev_fput() or fput(); -ENXIO if no
 *	   disk or partition has that number (any more), or not @dev; -EPERM if
 *	   the device cgroup of the caller forbids the open, -EBUSY if another
 *	   holder has it, or a file system of the medium before is still mounted
 *	   and holds on to its cache, or what the driver returns.
 */
struct file *blkdev_get_by_diskseq(u64 diskseq, u8 partno, dev_t dev,
				   blk_mode_t mode, void *holder,
				   const struct blk_holder_ops *hops)
{
	struct block_device *bdev;
	struct file *file;
	int tries = 2, err;

	/* Again, as a path walk: the open may have had the partitions read. */
	do {
		bdev = diskseq_get_no_open(diskseq, partno, dev);
		if (!bdev)
			return ERR_PTR(-ENXIO);

		err = bdev_permission(bdev_devt(bdev), mode, holder);
		if (err) {
			blkdev_put_no_open(bdev);
			return ERR_PTR(err);
		}
		file = bdev_file_open(bdev, diskseq, mode, holder, hops);
	} while (file == ERR_PTR(-ESTALE) && --tries);
	return file == ERR_PTR(-ESTALE) ? ERR_PTR(-ENXIO) : file;
}
EXPORT_SYMBOL_GPL(blkdev_get_by_diskseq);
