// SPDX-License-Identifier: GPL-2.0
/*
 * Measure what opening a disk by sequence number costs inside the kernel.
 *
 * One open per call: the file is closed on the return to user space, so that
 * each open is the first one.  The counter is the TSC, which under QEMU's
 * -icount shift=0 counts instructions.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/msr.h>

#include "diskseq_bench.h"

static struct file *open_disk(const struct diskseq_bench *arg, bool by_dev)
{
	/* The stock kernel, which this is measured against, has no such. */
#ifdef DISKSEQ_NAME_SIZE
	if (!by_dev)
		return blkdev_get_by_diskseq(arg->diskseq, 0, 0, BLK_OPEN_READ,
					     NULL, NULL);
#endif
	if (!by_dev)
		return ERR_PTR(-EOPNOTSUPP);
	return bdev_file_open_by_dev(MKDEV(arg->major, arg->minor),
				     BLK_OPEN_READ, NULL, NULL);
}

static int measure_open(struct diskseq_bench *arg, bool by_dev)
{
	struct file *file;
	u64 start;

	start = rdtsc();
	file = open_disk(arg, by_dev);
	arg->insns = rdtsc() - start;
	if (IS_ERR(file))
		return PTR_ERR(file);
	bdev_fput(file);
	return 0;
}

static int measure_change(struct diskseq_bench *arg)
{
	struct file *file;
	u64 start;

	file = open_disk(arg, true);
	if (IS_ERR(file))
		return PTR_ERR(file);
	start = rdtsc();
	disk_force_media_change(file_bdev(file)->bd_disk);
	arg->insns = rdtsc() - start;
	bdev_fput(file);
	return 0;
}

static long diskseq_bench_ioctl(struct file *file, unsigned int cmd,
				unsigned long user)
{
	struct diskseq_bench arg;
	int err = 0;

	if (copy_from_user(&arg, (void __user *)user, sizeof(arg)))
		return -EFAULT;
	switch (cmd) {
	case DISKSEQ_BENCH_BY_DEV:
	case DISKSEQ_BENCH_BY_SEQ:
		err = measure_open(&arg, cmd == DISKSEQ_BENCH_BY_DEV);
		break;
	case DISKSEQ_BENCH_CHANGE:
		err = measure_change(&arg);
		break;
	case DISKSEQ_BENCH_SIZE:
		arg.insns = sizeof(struct gendisk);
		break;
	case DISKSEQ_BENCH_SLAB:
		arg.insns = kmalloc_size_roundup(sizeof(struct gendisk));
		break;
	default:
		return -ENOTTY;
	}
	if (!err && copy_to_user((void __user *)user, &arg, sizeof(arg)))
		err = -EFAULT;
	return err;
}

static const struct file_operations diskseq_bench_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= diskseq_bench_ioctl,
};

static struct miscdevice diskseq_bench_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "diskseq_bench",
	.fops	= &diskseq_bench_fops,
};
module_misc_device(diskseq_bench_dev);

MODULE_DESCRIPTION("Benchmark of opening disks by sequence number");
MODULE_LICENSE("GPL");
