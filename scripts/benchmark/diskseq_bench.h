/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/diskseq_bench: what one call inside the kernel costs.
 */
#ifndef DISKSEQ_BENCH_H
#define DISKSEQ_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct diskseq_bench {
	__u64 diskseq;		/* of the disk to open */
	__u32 major, minor;	/* of the same, or of the one to change */
	__u64 insns;		/* result */
};

/* Open a disk: bdev_file_open_by_dev() or blkdev_get_by_diskseq() */
#define DISKSEQ_BENCH_BY_DEV	_IOWR('q', 1, struct diskseq_bench)
#define DISKSEQ_BENCH_BY_SEQ	_IOWR('q', 2, struct diskseq_bench)
/* Change the medium of a disk: disk_force_media_change() */
#define DISKSEQ_BENCH_CHANGE	_IOWR('q', 3, struct diskseq_bench)
/* sizeof(struct gendisk), and what the allocator makes of it */
#define DISKSEQ_BENCH_SIZE	_IOWR('q', 4, struct diskseq_bench)
#define DISKSEQ_BENCH_SLAB	_IOWR('q', 5, struct diskseq_bench)

#endif /* DISKSEQ_BENCH_H */
