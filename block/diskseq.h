/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Disks by sequence number: what the block layer shares with diskseqfs.
 *
 * See Documentation/block/diskseq.rst.
 */
#ifndef BLOCK_DISKSEQ_H
#define BLOCK_DISKSEQ_H

#include <linux/atomic.h>
#include <linux/seqlock_types.h>
#include <linux/types.h>

struct block_device;
struct file;
struct folio;
struct gendisk;
struct inode;

extern seqlock_t diskseq_lock;

void inc_diskseq_unsure(struct gendisk *disk);
void diskseq_advance(struct gendisk *disk, atomic64_t *counter, bool sure);

#ifdef CONFIG_BLOCK_DISKSEQ
void diskseq_link(struct gendisk *disk);
bool diskseq_unlink(struct gendisk *disk);
bool diskseq_is_linked(const struct gendisk *disk);
void diskseq_add(struct gendisk *disk);
void diskseq_del(struct gendisk *disk);
#else
static inline void diskseq_link(struct gendisk *disk)
{
}

static inline bool diskseq_unlink(struct gendisk *disk)
{
	return false;
}

static inline bool diskseq_is_linked(const struct gendisk *disk)
{
	return false;
}

static inline void diskseq_add(struct gendisk *disk)
{
}

static inline void diskseq_del(struct gendisk *disk)
{
}
#endif

int bdev_check_diskseq(struct block_device *bdev, u64 diskseq);
int bdev_check_opened(struct block_device *bdev, u64 diskseq);

void bdev_set_diskseq(struct block_device *part, u64 diskseq);
u64 disk_mediumseq(const struct gendisk *disk);
u64 bdev_cache_diskseq(const struct block_device *bdev);
int bdev_drop_earlier(struct block_device *bdev);
bool bdev_caches_earlier(const struct block_device *bdev);
bool bdev_discard_earlier(struct folio *folio);

struct gendisk *diskseq_find(u64 diskseq);
int diskseq_format_name(char *name, u64 diskseq, u8 partno);

dev_t diskseq_devt(u64 diskseq, u8 partno, sector_t *start);
struct block_device *diskseq_get_no_open(u64 diskseq, u8 partno, dev_t dev);
struct block_device *bdev_get_no_open(dev_t dev, u64 diskseq, u8 partno);

typedef bool (*diskseq_visit_t)(struct gendisk *disk, u8 partno, void *data);
void diskseq_walk(u64 diskseq, u8 partno, diskseq_visit_t visit, void *data);

int blkdev_open_diskseq(struct inode *inode, struct file *filp, u64 diskseq,
			u8 partno);

#ifdef CONFIG_BLOCK_DISKSEQFS
void diskseqfs_retire(struct gendisk *disk, u64 diskseq);
void diskseqfs_get_number(const struct inode *inode, u64 *diskseq, u8 *partno);
#else
static inline void diskseqfs_retire(struct gendisk *disk, u64 diskseq)
{
}

static inline void diskseqfs_get_number(const struct inode *inode, u64 *diskseq,
					u8 *partno)
{
	*diskseq = 0;
	*partno = 0;
}
#endif

#ifdef CONFIG_BLOCK_DISKSEQFS_NOTIFY
int diskseqfs_notify_opened(struct inode *inode, struct file *filp);
#else
static inline int diskseqfs_notify_opened(struct inode *inode, struct file *filp)
{
	return 0;
}
#endif

#endif /* BLOCK_DISKSEQ_H */
