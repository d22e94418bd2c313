// SPDX-License-Identifier: GPL-2.0
/*
 * Look a disk up, and open it, by its sequence number.
 *
 * A major:minor, and so a device node, names whatever disk has that number
 * now.  The sequence number names one disk, or one medium in it, until the
 * next boot: the user who has it either gets that disk or gets an error.
 *
 * Documentation/block/diskseq.rst describes the guarantee and its limits.
 */
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/seqlock.h>
#include <linux/sprintf.h>
#include <linux/string.h>

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
static DEFINE_SEQLOCK(diskseq_lock);

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

static void diskseq_link(struct gendisk *disk)
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

static void diskseq_unlink(struct gendisk *disk)
{
	lockdep_assert_held(&diskseq_lock.lock);

	rb_erase(&disk->diskseq_node, &diskseq_tree);
	RB_CLEAR_NODE(&disk->diskseq_node);
}

/**
 * diskseq_advance - give a disk its next number
 * @disk: disk that is new, or whose medium has changed
 * @counter: the source of numbers, never to be used without this function
 * @sure: false if the medium may be another one, but may as well be the same
 *
 * If the disk can be looked up, the old number stops to be found at the very
 * moment when the new one starts to be.
 *
 * The caller need not hold any lock: the drivers call inc_diskseq() under
 * theirs (lo_mutex in loop, the event work of the disk, ...), not under
 * disk->open_mutex.  The number is drawn under the lock of the index, so that
 * two such calls leave the disk with the higher one.
 *
 * Context: Any context but interrupts.
 */
void diskseq_advance(struct gendisk *disk, atomic64_t *counter, bool sure)
{
	bool indexed;
	u64 old;

	write_seqlock(&diskseq_lock);
	old = disk->diskseq;
	/* A disk without a number is just being allocated. */
	if (!old)
		RB_CLEAR_NODE(&disk->diskseq_node);
	indexed = !RB_EMPTY_NODE(&disk->diskseq_node);
	if (indexed)
		diskseq_unlink(disk);
	WRITE_ONCE(disk->diskseq, atomic64_inc_return(counter));
	if (sure)
		WRITE_ONCE(disk->mediumseq, disk->diskseq);
	if (indexed)
		diskseq_link(disk);
	write_sequnlock(&diskseq_lock);

	if (indexed)
		diskseqfs_retire(disk, old);
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
	indexed = !RB_EMPTY_NODE(&disk->diskseq_node);
	if (indexed)
		diskseq_unlink(disk);
	write_sequnlock(&diskseq_lock);

	if (indexed)
		diskseqfs_retire(disk, 0);
}

/* A plain load can give a mixture of two numbers on 32-bit machines. */
static u64 diskseq_read(const u64 *number)
{
	unsigned int seq;
	u64 diskseq;

	if (IS_ENABLED(CONFIG_64BIT))
		return READ_ONCE(*number);

	do {
		seq = read_seqbegin(&diskseq_lock);
		diskseq = READ_ONCE(*number);
	} while (read_seqretry(&diskseq_lock, seq));
	return diskseq;
}

/**
 * disk_diskseq - read the number of a disk
 * @disk: the disk
 *
 * The number can change at any time; what is returned is never a mixture of
 * two numbers, which a plain load can give on 32-bit machines.
 *
 * Context: Any context but interrupts.
 * Return: The number @disk has, or had a moment ago.
 */
u64 disk_diskseq(const struct gendisk *disk)
{
	return diskseq_read(&disk->diskseq);
}
EXPORT_SYMBOL_GPL(disk_diskseq);

/**
 * bdev_diskseq - read the number of the medium that a block device is part of
 * @bdev: disk or partition, which is kept open
 *
 * A partition keeps the extent that it was added with, for as long as it is
 * open, also when its disk has another medium and another number by then.
 *
 * Context: Any context but interrupts.
 * Return: The number that the disk had when the partition was added, or for a
 *	   whole disk the number that it has.
 */
u64 bdev_diskseq(const struct block_device *bdev)
{
	return bdev_partno(bdev) ? diskseq_read(&bdev->bd_diskseq) :
				   disk_diskseq(bdev->bd_disk);
}
EXPORT_SYMBOL_GPL(bdev_diskseq);

/**
 * bdev_set_diskseq - say which medium the extent of a partition is of
 * @part: the partition
 * @diskseq: number of the disk when its table was read
 *
 * Context: Any context but interrupts.
 */
void bdev_set_diskseq(struct block_device *part, u64 diskseq)
{
	write_seqlock(&diskseq_lock);
	WRITE_ONCE(part->bd_diskseq, diskseq);
	write_sequnlock(&diskseq_lock);
}

/**
 * bdev_check_diskseq - check that a block device still is what was asked for
 * @bdev: block device that is being opened
 * @diskseq: number that @bdev was looked up by, or 0 if by something else
 *
 * A partition must also still be the one of its number in the disk's table.
 *
 * Context: Process context.  The caller holds the open_mutex of the disk, and
 *	    so keeps the disk and its partitions from going away.  The number
 *	    may change all the same (see diskseq_advance()).
 * Return: 0, or -ESTALE if @bdev is no longer to be found under @diskseq.
 */
int bdev_check_diskseq(struct block_device *bdev, u64 diskseq)
{
	struct gendisk *disk = bdev->bd_disk;

	lockdep_assert_held(&disk->open_mutex);

	if (!diskseq)
		return 0;
	if (!disk_live(disk) || disk_diskseq(disk) != diskseq)
		return -ESTALE;
	if (bdev_is_partition(bdev) &&
	    xa_load(&disk->part_tbl, bdev_partno(bdev)) != bdev)
		return -ESTALE;
	return 0;
}

/**
 * bdev_cache_diskseq - read the number that the cache of a block device has
 * @bdev: disk or partition
 *
 * Context: Any context but interrupts.
 * Return: A number.  What is in the page cache of @bdev, and what is read into
 *	   it from now on, is of the medium with that number or of a later one.
 */
u64 bdev_cache_diskseq(const struct block_device *bdev)
{
	u64 diskseq = diskseq_read(&bdev->bd_cacheseq);

	/* Pairs with bdev_drop_earlier(): what was dropped is not found. */
	smp_rmb();
	return diskseq;
}

/**
 * bdev_data_diskseq - read the number of the medium whose data a reader gets
 * @bdev: disk or partition, which is kept open
 *
 * For who notes of which medium something is before reading it.
 *
 * Context: Any context but interrupts.
 * Return: As bdev_diskseq(), or the number of the cache if that is an earlier one.
 */
u64 bdev_data_diskseq(const struct block_device *bdev)
{
	return min(bdev_cache_diskseq(bdev), bdev_diskseq(bdev));
}

/* Whether it is sure that the cache of @bdev is of a medium that is not there. */
static bool bdev_cache_outlived(const struct block_device *bdev)
{
	return bdev_cache_diskseq(bdev) < diskseq_read(&bdev->bd_disk->mediumseq);
}

/**
 * bdev_drop_earlier - bring the page cache of a block device up to its number
 * @bdev: disk or partition
 *
 * Drop what is cached of earlier media: mapped, pinned or spliced pages as well,
 * and without writing what is dirty (see bdev_discard_earlier()), unless it is not
 * sure that the medium is another one.
 *
 * The number is read before the cache is emptied, so what is read meanwhile is
 * of that medium, or of one with a later number, which is found out by the next
 * call.  Hence no lock is needed, and of two calls at a time each is right.
 *
 * Context: Process context.  Waits for the I/O on the pages of @bdev, so the
 *	    queue may not be frozen, and no lock held that I/O needs.
 * Return: 0, or -EBUSY if a file system that was mounted before the change holds
 *	   on to what it has read, or if something dirty is kept.
 */
int bdev_drop_earlier(struct block_device *bdev)
{
	struct address_space *mapping = bdev->bd_mapping;
	u64 diskseq = disk_diskseq(bdev->bd_disk);
	errseq_t since = 0;

	if (bdev_cache_diskseq(bdev) == diskseq)
		return 0;

	if (!mapping_empty(mapping)) {
		/* These hold on to pages, too, and outlive a file system. */
		invalidate_bh_lrus();
		if (invalidate_inode_pages2(mapping) &&
		    bdev_cache_diskseq(bdev) < diskseq)
			return -EBUSY;
	}
	/* What could not be written to an earlier medium is for who wrote it. */
	errseq_check_and_advance(&mapping->wb_err, &since);

	/* Pairs with bdev_cache_diskseq(). */
	smp_wmb();
	write_seqlock(&diskseq_lock);
	if (bdev->bd_cacheseq < diskseq)
		WRITE_ONCE(bdev->bd_cacheseq, diskseq);
	write_sequnlock(&diskseq_lock);
	return 0;
}

/**
 * disk_drop_earlier - bring all caches of a disk up to its new number
 * @disk: disk whose medium has changed
 *
 * To be called soon after inc_diskseq(), so that those who have the disk open
 * see the new medium, and can write to it.  Who opens it by number does not
 * depend on it.
 *
 * A driver that connects the disk to another medium by itself does so after
 * this, or lets no write through before: then nothing that was written to the
 * cache under the number from before can get there.
 *
 * Context: As of bdev_drop_earlier().
 */
void disk_drop_earlier(struct gendisk *disk)
{
	struct block_device *bdev;
	unsigned long idx;

	rcu_read_lock();
	xa_for_each(&disk->part_tbl, idx, bdev) {
		if (!kobject_get_unless_zero(&bdev->bd_device.kobj))
			continue;
		rcu_read_unlock();
		bdev_drop_earlier(bdev);
		put_device(&bdev->bd_device);
		rcu_read_lock();
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(disk_drop_earlier);

/**
 * bdev_caches_earlier - tell whether what is dirty was written for another medium
 * @bdev: disk or partition
 *
 * That is so from the moment the disk has another number until bdev_drop_earlier()
 * has brought the cache up to it.
 *
 * Not if a file system is mounted, which goes on as if nothing had happened, as it
 * always has: it has been told of the change (see bdev_mark_dead()), or else the
 * driver may have reported one that was none.  Nor if it is not sure that the
 * medium is another one, for the same reason.
 *
 * Context: Any context but interrupts.
 * Return: %true if it must not be written to the medium that is there now.
 */
bool bdev_caches_earlier(const struct block_device *bdev)
{
	return bdev_cache_outlived(bdev) && !READ_ONCE(bdev->bd_holder_ops);
}

/**
 * bdev_discard_earlier - forget what was written for an earlier medium
 * @folio: locked folio in the cache of a block device
 *
 * Who wrote it gets -EIO from fsync(), as of a disk that is gone.
 *
 * Context: Process context.
 * Return: %true if @folio was of an earlier medium, and is clean now.
 */
bool bdev_discard_earlier(struct folio *folio)
{
	struct block_device *bdev = I_BDEV(folio->mapping->host);
	struct buffer_head *head = NULL, *bh;

	if (!bdev_caches_earlier(bdev))
		return false;

	if (IS_ENABLED(CONFIG_BUFFER_HEAD))
		head = folio_buffers(folio);
	bh = head;
	while (bh) {
		clear_buffer_dirty(bh);
		bh = bh->b_this_page == head ? NULL : bh->b_this_page;
	}
	folio_cancel_dirty(folio);
	filemap_set_wb_err(folio->mapping, -EIO);
	return true;
}

/**
 * bdev_check_opened - check what bdev_open() has opened
 * @bdev: block device that the driver has just opened
 * @diskseq: number that @bdev was looked up by, or 0 if by something else
 *
 * Beside what bdev_check_diskseq() checks, what is cached must be of this
 * medium, and a partition one of its table.  One of the medium before stays for
 * as long as it, or another one, is open, since the table cannot be read again
 * then.  Not checked before the open, which is what has the table read.
 *
 * Who opens whatever is there gets what a file system that is mounted has cached:
 * it would have to be emptied for each of them, for as long as that is mounted.
 *
 * Context: As of bdev_check_diskseq().  Waits as bdev_drop_earlier().
 * Return: As of bdev_check_diskseq(), -ESTALE also for such a partition, or
 *	   -EBUSY as of bdev_drop_earlier().
 */
int bdev_check_opened(struct block_device *bdev, u64 diskseq)
{
	int busy, ret;

	if (!diskseq && READ_ONCE(bdev->bd_holder_ops))
		return 0;
	busy = bdev_drop_earlier(bdev);
	if (!diskseq)
		return 0;
	if (busy && !bdev_cache_outlived(bdev)) {
		filemap_write_and_wait(bdev->bd_mapping);
		busy = bdev_drop_earlier(bdev);
	}
	ret = bdev_check_diskseq(bdev, diskseq);
	if (ret)
		return ret;
	if (bdev_diskseq(bdev) != diskseq)
		return -ESTALE;
	return busy;
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

/**
 * bdev_get_no_open - get a reference on what a block special file means
 * @dev: its device number
 * @diskseq: number of the disk that it names, or 0 to go by @dev alone
 * @partno: partition of disk @diskseq, or 0 for the whole disk
 *
 * Context: Process context, may sleep.
 * Return: The block device, to be released with blkdev_put_no_open(), or %NULL.
 */
struct block_device *bdev_get_no_open(dev_t dev, u64 diskseq, u8 partno)
{
	if (diskseq)
		return diskseq_get_no_open(diskseq, partno, dev);
	return blkdev_get_no_open(dev);
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

/**
 * inode_bdev_name - get what a block special file names
 * @inode: inode of the file
 * @name: set to what to open, see bdev_file_open_by_name()
 *
 * For callers that have looked up a path themselves; see lookup_bdev_name().
 *
 * Context: Any context.
 */
void inode_bdev_name(const struct inode *inode, struct bdev_name *name)
{
	name->dev = inode->i_rdev;
	diskseqfs_get_number(inode, &name->diskseq, &name->partno);
}
EXPORT_SYMBOL_GPL(inode_bdev_name);

/**
 * bdev_file_open_by_name - open what lookup_bdev_name() found
 * @name: the block device that a path named
 * @mode: open mode (BLK_OPEN_*)
 * @holder: exclusive holder identifier, or %NULL
 * @hops: holder operations
 *
 * For callers that need the device number before they open.  A partition of a
 * disk by number can have another one by then, if the table has been read again,
 * maybe by this very open; a path that is opened is looked up again then.
 *
 * Context: Process context, may sleep.  Takes disk->open_mutex.
 * Return: The file, or an error as from bdev_file_open_by_dev(); -ENXIO also if
 *	   the path named a disk by number and that disk is gone.
 */
struct file *bdev_file_open_by_name(const struct bdev_name *name,
				    blk_mode_t mode, void *holder,
				    const struct blk_holder_ops *hops)
{
	if (!name->diskseq)
		return bdev_file_open_by_dev(name->dev, mode, holder, hops);
	return blkdev_get_by_diskseq(name->diskseq, name->partno, 0, mode,
				     holder, hops);
}
EXPORT_SYMBOL_GPL(bdev_file_open_by_name);

/**
 * bdev_has_name - check an open block device against what a path named
 * @bdev: block device that has the device number of @name, and is kept open
 * @name: what lookup_bdev_name() found
 *
 * Context: Any context but interrupts.
 * Return: %false if @name is that of a disk by number which @bdev is not.
 */
bool bdev_has_name(struct block_device *bdev, const struct bdev_name *name)
{
	return !name->diskseq ||
	       (disk_diskseq(bdev->bd_disk) == name->diskseq &&
		bdev_diskseq(bdev) == name->diskseq &&
		bdev_partno(bdev) == name->partno);
}
EXPORT_SYMBOL_GPL(bdev_has_name);

/*
 * Take a number from the start of what lies before @end.  There is one way to
 * write each: a name that is compared as a string means the same disk.
 */
static int take_number(const char **pos, const char *end, u64 max, u64 *number)
{
	const char *p = *pos;
	u64 n = 0;

	if (p == end || !isdigit(*p) || *p == '0')
		return -EINVAL;
	for (; p < end && isdigit(*p); p++) {
		if (check_mul_overflow(n, 10ULL, &n) ||
		    check_add_overflow(n, (u64)(*p - '0'), &n) || n > max)
			return -ERANGE;
	}
	*pos = p;
	*number = n;
	return 0;
}

#define DISKSEQ_PART_INFIX	"-part"

/**
 * diskseq_parse_name - read the name of a disk or partition
 * @name: the name, not necessarily terminated
 * @len: its length in bytes; a NUL among them makes the name invalid
 * @diskseq: set to the number of the disk
 * @partno: set to the partition, or to 0 for the whole disk
 *
 * A name is "12" for a disk and "12-part3" for a partition of it, in decimal
 * without sign, leading zero or white space; see diskseq_format_name().
 *
 * Context: Any context.
 * Return: 0; -EINVAL if @name is not of this form; -ERANGE if a number in it is
 *	   greater than any disk or partition can have.  The results are set
 *	   only on success.
 */
int diskseq_parse_name(const char *name, size_t len, u64 *diskseq, u8 *partno)
{
	const size_t infix = strlen(DISKSEQ_PART_INFIX);
	const char *end = name + len;
	u64 seq, part = 0;
	int err;

	err = take_number(&name, end, U64_MAX, &seq);
	if (err)
		return err;

	if (name != end) {
		if (end - name < infix ||
		    memcmp(name, DISKSEQ_PART_INFIX, infix))
			return -EINVAL;
		name += infix;
		err = take_number(&name, end, DISK_MAX_PARTS - 1, &part);
		if (err)
			return err;
		if (name != end)
			return -EINVAL;
	}

	*diskseq = seq;
	*partno = part;
	return 0;
}
EXPORT_SYMBOL_GPL(diskseq_parse_name);

/**
 * diskseq_format_name - write the name of a disk or partition
 * @name: buffer of at least %DISKSEQ_NAME_SIZE bytes
 * @diskseq: number of the disk
 * @partno: partition, or 0 for the whole disk
 *
 * Context: Any context.
 * Return: The length of the name, without the NUL that ends it.
 */
int diskseq_format_name(char *name, u64 diskseq, u8 partno)
{
	const size_t infix = strlen(DISKSEQ_PART_INFIX);
	int len = num_to_str(name, DISKSEQ_NAME_SIZE, diskseq, 0);

	if (partno) {
		memcpy(name + len, DISKSEQ_PART_INFIX, infix);
		len += infix;
		len += num_to_str(name + len, DISKSEQ_NAME_SIZE - len, partno, 0);
	}
	name[len] = '\0';
	return len;
}

/**
 * bdev_format_name - write the name that a block device has now
 * @bdev: disk or partition
 * @name: buffer of at least %DISKSEQ_NAME_SIZE bytes
 *
 * Context: Any context but interrupts.
 */
void bdev_format_name(const struct block_device *bdev, char *name)
{
	diskseq_format_name(name, bdev_diskseq(bdev), bdev_partno(bdev));
}
EXPORT_SYMBOL_GPL(bdev_format_name);
