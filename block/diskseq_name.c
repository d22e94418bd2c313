// SPDX-License-Identifier: GPL-2.0
/*
 * The names of disks by sequence number, such as "12" and "12-part3".
 */
#include <linux/blkdev.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "blk.h"

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
