// SPDX-License-Identifier: GPL-2.0
/*
 * An ioctl that opens the disk once more opens this disk, never the one that has
 * its device number by then.
 *
 * SEEN failing on a kernel where they open by the device number.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/fs.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define CONFIGFS	"/sys/kernel/config"
#define NAME		"nullreopen"
#define FOLDER		CONFIGFS "/nullb/" NAME
#define NODE		"/dev/" NAME
#define BLOCK		4096

FIXTURE(reopen)
{
	int disk;		/* opened by number */
	struct stat stat;	/* its node */
};

FIXTURE_SETUP(reopen)
{
	diskseqfs_private();
	if (access(CONFIGFS "/nullb", F_OK) &&
	    mount("configfs", CONFIGFS, "configfs", 0, NULL))
		err(1, "configfs");
	ASSERT_EQ(0, mkdir(FOLDER, 0755));
	ASSERT_EQ(0, put(FOLDER "/memory_backed", "1"));
	ASSERT_EQ(0, put(FOLDER "/size", "1"));
	ASSERT_EQ(0, put(FOLDER "/power", "1"));
	ASSERT_EQ(0, stat(NODE, &self->stat));
	self->disk = open_by_number(diskseq_of_path(NODE), 0, O_RDWR);
	ASSERT_LE(0, self->disk);
}

FIXTURE_TEARDOWN(reopen)
{
	put(FOLDER "/power", "0");
	rmdir(FOLDER);
}

/* Put another disk in its place; returns a descriptor of it. */
static int replace_disk(FIXTURE_DATA(reopen) *self)
{
	struct stat st;

	if (put(FOLDER "/power", "0") || put(FOLDER "/power", "1"))
		err(1, FOLDER "/power");
	if (stat(NODE, &st))
		err(1, NODE);
	if (st.st_rdev != self->stat.st_rdev)
		errx(1, "the next disk has another device number");
	return open_by_number(diskseq_of_path(NODE), 0, O_RDWR);
}

static int block_size(int fd)
{
	int size;

	if (ioctl(fd, BLKBSZGET, &size))
		err(1, "BLKBSZGET");
	return size;
}

/* The errno of BLKBSZSET, or 0. */
static int set_block_size(int fd, int size)
{
	return ioctl(fd, BLKBSZSET, &size) ? errno : 0;
}

TEST_F(reopen, block_size_of_the_successor_is_left_alone)
{
	int next = replace_disk(self), size, claimed;

	ASSERT_LE(0, next);
	size = block_size(next);
	EXPECT_EQ(ENXIO, set_block_size(self->disk, 2048));
	EXPECT_EQ(size, block_size(next));
	/* Nor does it matter who has claimed that. */
	claimed = open(NODE, O_RDWR | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, claimed);
	EXPECT_EQ(ENXIO, set_block_size(self->disk, 2048));
	close(claimed);
	close(next);
}

TEST_F(reopen, partitions_of_the_successor_are_left_alone)
{
	int next = replace_disk(self);
	uint64_t number;

	ASSERT_LE(0, next);
	number = diskseq_of(next);
	partition_write_table(next, 4096, 4096);
	EXPECT_EQ(-1, ioctl(self->disk, BLKRRPART));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_TRUE(is_gone(number, 1));
	EXPECT_EQ(0, ioctl(next, BLKRRPART));
	EXPECT_TRUE(!is_gone(number, 1));
	close(next);
}

/* On a disk that is there, they do what they did. */
TEST_F(reopen, live_disk_is_set_and_read_again)
{
	int claimed, part;

	EXPECT_EQ(0, set_block_size(self->disk, 2048));
	EXPECT_EQ(2048, block_size(self->disk));
	EXPECT_EQ(EINVAL, set_block_size(self->disk, 1000));
	claimed = open(NODE, O_RDWR | O_EXCL | O_CLOEXEC);
	ASSERT_LE(0, claimed);
	EXPECT_EQ(EBUSY, set_block_size(self->disk, 1024));
	EXPECT_EQ(0, set_block_size(claimed, 1024));
	EXPECT_EQ(-1, ioctl(self->disk, BLKRRPART));
	EXPECT_EQ(EBUSY, errno);
	close(claimed);

	partition_write_table(self->disk, 4096, 4096);
	EXPECT_EQ(0, ioctl(self->disk, BLKRRPART));
	part = open_by_number(diskseq_of(self->disk), 1, O_RDWR);
	ASSERT_LE(0, part);
	EXPECT_EQ(0, set_block_size(part, 2048));
	EXPECT_EQ(2048, block_size(part));
	EXPECT_EQ(1024, block_size(self->disk));
	close(part);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, FOR_NULL_BLK)
