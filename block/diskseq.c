// SPDX-License-Identifier: GPL-2.0
/*
 * Disks by sequence number: what has which, and what that means for an open.
 *
 * A major:minor, and so a device node, names whatever disk has that number
 * now.  The sequence number names one disk, or one medium in it, until the
 * next boot: the user who has it either gets that disk or gets an error.
 *
 * Documentation/block/diskseq.rst describes the guarantee and its limits.
 */
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/export.h>
#include <linux/pagemap.h>
#include <linux/seqlock.h>

#include "blk.h"

/*
 * Writers hold its lock, which protects the number of each disk, those of its
 * partitions and caches, and the index.
 */
DEFINE_SEQLOCK(diskseq_lock);

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
	indexed = diskseq_unlink(disk);
	WRITE_ONCE(disk->diskseq, atomic64_inc_return(counter));
	if (sure)
		WRITE_ONCE(disk->mediumseq, disk->diskseq);
	if (indexed)
		diskseq_link(disk);
	write_sequnlock(&diskseq_lock);

	if (indexed)
		diskseqfs_retire(disk, old);
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
 * disk_mediumseq - read the number of the medium that a disk surely has
 * @disk: the disk
 *
 * Only a driver that is sure of another medium moves it, see diskseq_advance().
 *
 * Context: Any context but interrupts.
 * Return: The number that @disk got then.
 */
u64 disk_mediumseq(const struct gendisk *disk)
{
	return diskseq_read(&disk->mediumseq);
}

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
EXPORT_SYMBOL_GPL(bdev_data_diskseq);

/* Whether it is sure that the cache of @bdev is of a medium that is not there. */
static bool bdev_cache_outlived(const struct block_device *bdev)
{
	return bdev_cache_diskseq(bdev) < disk_mediumseq(bdev->bd_disk);
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
 * A partition must also be one of this medium's table.  One of the medium before
 * stays for as long as it, or another one, is open, since the table cannot be read
 * again then.  Not checked before the open, which is what has the table read.
 *
 * What is cached must be of this medium, too.  But who opens whatever is there gets
 * what a file system that is mounted has cached: it would have to be emptied for
 * each of them, for as long as that is mounted.
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
	if (IS_ENABLED(CONFIG_BLOCK_DISKSEQ) && diskseq)
		return diskseq_get_no_open(diskseq, partno, dev);
	return blkdev_get_no_open(dev);
}

/**
 * bdev_file_diskseq - read which medium a file was opened for
 * @bdev_file: open file of a block device
 *
 * Context: Any context.
 * Return: The number that what is read had when the file was opened, or when
 *	   BLKGETDISKSEQ was last used on it.
 */
u64 bdev_file_diskseq(const struct file *bdev_file)
{
	return READ_ONCE(bdev_file->f_diskseq);
}
EXPORT_SYMBOL_GPL(bdev_file_diskseq);

/**
 * inode_bdev_name - get what a block special file names
 * @inode: inode of the file
 * @name: set to what to open, see bdev_file_open_by_name()
 *
 * For callers that have looked up a path themselves; see lookup_bdev_name().
 *
 * The device number of a partition of a disk by number is the one that it has,
 * which may not be that of @inode any more.
 *
 * Context: Any context but interrupts.
 */
void inode_bdev_name(const struct inode *inode, struct bdev_name *name)
{
	sector_t start;
	dev_t dev = 0;

	diskseqfs_get_number(inode, &name->diskseq, &name->partno);
	if (IS_ENABLED(CONFIG_BLOCK_DISKSEQ) && name->diskseq)
		dev = diskseq_devt(name->diskseq, name->partno, &start);
	name->dev = dev ?: inode->i_rdev;
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
	if (!IS_ENABLED(CONFIG_BLOCK_DISKSEQ) || !name->diskseq)
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
