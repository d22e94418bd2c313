// SPDX-License-Identifier: GPL-2.0
/*
 * Partitions by number, "N-partM": partition M of disk N as it is now.  They
 * share the number of their disk, and their device numbers are handed out
 * again in any order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define PART_SIZE	(IMAGE_SIZE / 4)
#define NODE		"/tmp/diskseq-partition-node"

static off_t part_start(unsigned int partno)
{
	return PART_SIZE * partno;
}

/* An image whose partitions 1 to 3, where they are, tell which they are. */
static int partitioned_image(const char *disk)
{
	int fd = image_create(disk, IMAGE_SIZE);

	for (unsigned int partno = 1; partno <= 3; partno++) {
		char stamp[STAMP_SIZE] = "";

		snprintf(stamp, sizeof(stamp), "%s-PART%u", disk, partno);
		pwrite(fd, stamp, sizeof(stamp), part_start(partno));
	}
	return fd;
}

/* Write a partition table that has the partitions in the bit mask @parts. */
static void write_table(struct __test_metadata *_metadata, int fd,
			unsigned int parts)
{
	unsigned char table[66] = { [64] = 0x55, 0xaa };

	for (unsigned int partno = 1; partno <= 3; partno++) {
		unsigned char *entry = table + 16 * (partno - 1);
		uint32_t start = part_start(partno) / 512;
		uint32_t sectors = PART_SIZE / 512;

		if (!(parts & 1 << partno))
			continue;
		entry[4] = 0x83;
		for (int i = 0; i < 4; i++) {
			entry[8 + i] = start >> 8 * i;
			entry[12 + i] = sectors >> 8 * i;
		}
	}
	ASSERT_EQ(sizeof(table), pwrite(fd, table, sizeof(table), 446));
}

static int add_partition(int fd, unsigned int partno)
{
	return partition_add(fd, partno, part_start(partno), PART_SIZE);
}

static int del_partition(int fd, unsigned int partno)
{
	return partition_del(fd, partno);
}

/* The device number of an entry, or 0. */
static dev_t rdev_of(uint64_t number, unsigned int partno)
{
	char path[64];
	struct stat st;

	path_by_number(path, number, partno);
	return stat(path, &st) ? 0 : st.st_rdev;
}

/* What an open fails with, or 0. */
static int open_error(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

FIXTURE(partition)
{
	int nr;
	int right, wrong;
	int fd;			/* the whole disk */
	uint64_t number;
};

FIXTURE_SETUP(partition)
{
	diskseqfs_private();
	self->right = partitioned_image("RIGHT-DISK");
	self->wrong = partitioned_image("WRONG-DISK");
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, self->right, LO_FLAGS_PARTSCAN);
	self->fd = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(partition)
{
	close(self->fd);
	loop_detach(self->nr);
	unlink(NODE);
}

/* A device node of what is partition @partno now. */
static void make_node(struct __test_metadata *_metadata, uint64_t number,
		      unsigned int partno)
{
	unlink(NODE);
	ASSERT_NE(0, rdev_of(number, partno));
	ASSERT_EQ(0, mknod(NODE, S_IFBLK | 0600, rdev_of(number, partno)));
}

/* The name of a partition opens it while it is there, and only then. */
TEST_F(partition, name_comes_and_goes_with_partition)
{
	EXPECT_TRUE(is_gone(self->number, 1));

	ASSERT_EQ(0, add_partition(self->fd, 1));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));
	EXPECT_TRUE(is_gone(self->number, 2));
	make_node(_metadata, self->number, 1);
	EXPECT_TRUE(node_opens_as(NODE, "RIGHT-DISK-PART1"));

	ASSERT_EQ(0, del_partition(self->fd, 1));
	EXPECT_TRUE(is_gone(self->number, 1));
	EXPECT_EQ(ENXIO, open_error(NODE));
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));
}

/* The same with a table that is read again. */
TEST_F(partition, name_follows_rescanned_table)
{
	write_table(_metadata, self->fd, 1 << 1 | 1 << 2);
	ASSERT_EQ(0, ioctl(self->fd, BLKRRPART));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));
	EXPECT_TRUE(opens_as(self->number, 2, "RIGHT-DISK-PART2"));
	EXPECT_TRUE(is_gone(self->number, 3));

	write_table(_metadata, self->fd, 1 << 2 | 1 << 3);
	ASSERT_EQ(0, ioctl(self->fd, BLKRRPART));
	EXPECT_TRUE(is_gone(self->number, 1));
	EXPECT_TRUE(opens_as(self->number, 2, "RIGHT-DISK-PART2"));
	EXPECT_TRUE(opens_as(self->number, 3, "RIGHT-DISK-PART3"));
	EXPECT_EQ(self->number, diskseq_of(self->fd));
}

/* The rescan can be asked for through a descriptor by number. */
TEST_F(partition, descriptor_by_number_rescans)
{
	int fd = open_by_number(self->number, 0, O_RDWR);

	ASSERT_LE(0, fd);
	write_table(_metadata, fd, 1 << 1);
	ASSERT_EQ(0, ioctl(fd, BLKRRPART));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));
	close(fd);
}

/* A partition that was added again, elsewhere, is what its name opens. */
TEST_F(partition, name_opens_readded_partition)
{
	ASSERT_EQ(0, add_partition(self->fd, 1));
	make_node(_metadata, self->number, 1);
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));

	ASSERT_EQ(0, del_partition(self->fd, 1));
	ASSERT_EQ(0, partition_add(self->fd, 1, part_start(2), PART_SIZE));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART2"));
}

/*
 * Two partitions that come back with each other's device number: neither a
 * cached entry of the one nor a handle on its inode opens the other.
 */
TEST_F(partition, device_numbers_that_change_places_mislead_nobody)
{
	dev_t rdev1, rdev2;
	char path[64];
	int handle;

	ASSERT_EQ(0, add_partition(self->fd, 1));
	ASSERT_EQ(0, add_partition(self->fd, 2));
	rdev1 = rdev_of(self->number, 1);
	rdev2 = rdev_of(self->number, 2);
	ASSERT_NE(rdev1, rdev2);
	make_node(_metadata, self->number, 1);
	/* Keeps the entry in the cache, too. */
	handle = open_by_number(self->number, 1, O_PATH);
	ASSERT_LE(0, handle);
	sprintf(path, "/proc/self/fd/%d", handle);
	EXPECT_TRUE(node_opens_as(path, "RIGHT-DISK-PART1"));

	ASSERT_EQ(0, del_partition(self->fd, 1));
	ASSERT_EQ(0, del_partition(self->fd, 2));
	EXPECT_EQ(ESTALE, open_error(path));

	ASSERT_TRUE(wait_until(partition_gets(self->fd, self->number, 2,
					      part_start(2), PART_SIZE, rdev1)));
	EXPECT_TRUE(is_gone(self->number, 1));
	EXPECT_EQ(ESTALE, open_error(path));
	/* Who wanted the first partition is given the second one. */
	EXPECT_TRUE(node_opens_as(NODE, "RIGHT-DISK-PART2"));

	ASSERT_TRUE(wait_until(partition_gets(self->fd, self->number, 1,
					      part_start(1), PART_SIZE, rdev2)));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));
	EXPECT_TRUE(opens_as(self->number, 2, "RIGHT-DISK-PART2"));
	EXPECT_EQ(ESTALE, open_error(path));
	EXPECT_TRUE(node_opens_as(NODE, "RIGHT-DISK-PART2"));
	close(handle);
}

/*
 * What is mounted of one partition can have the device number that another one had:
 * a handle on the entry of that does not get it.
 */
TEST_F(partition, superblock_of_another_partition_is_not_shared)
{
	char path[64], first[64];
	dev_t rdev1;
	int handle;

	NEED(FOR_EXT4);
	mkdir("/tmp/partition_test", 0700);
	mkdir("/tmp/partition_other", 0700);
	ASSERT_EQ(0, add_partition(self->fd, 1));
	rdev1 = rdev_of(self->number, 1);
	handle = open_by_number(self->number, 1, O_PATH);
	ASSERT_LE(0, handle);
	sprintf(first, "/proc/self/fd/%d", handle);
	ASSERT_EQ(0, del_partition(self->fd, 1));
	ASSERT_TRUE(wait_until(partition_gets(self->fd, self->number, 2,
					      part_start(2), PART_SIZE, rdev1)));

	path_by_number(path, self->number, 2);
	ASSERT_EQ(0, run("mkfs.ext4 -q -F -O ^has_journal %s", path));
	ASSERT_EQ(0, mount(path, "/tmp/partition_test", "ext4", 0, NULL));
	EXPECT_EQ(-1, mount(first, "/tmp/partition_other", "ext4", 0, NULL));
	EXPECT_EQ(ENXIO, errno);
	umount("/tmp/partition_other");

	/* Its own name shares it. */
	EXPECT_EQ(0, mount(path, "/tmp/partition_other", "ext4", 0, NULL));
	umount("/tmp/partition_other");
	EXPECT_EQ(0, umount("/tmp/partition_test"));
	close(handle);
}

/*
 * A handle on the entry of a partition that has another device number since is
 * still of that partition, and what is mounted by it has that device number.  SEEN
 * failing (ESTALE) where the number that it had is what is mounted.
 */
TEST_F(partition, handle_mounts_what_has_another_device_number)
{
	struct stat st;
	char path[64];
	dev_t rdev;
	int handle;

	NEED(FOR_EXT4);
	mkdir("/tmp/partition_test", 0700);
	ASSERT_EQ(0, add_partition(self->fd, 1));
	rdev = rdev_of(self->number, 1);
	path_by_number(path, self->number, 1);
	ASSERT_EQ(0, run("mkfs.ext4 -q -F -O ^has_journal %s", path));
	handle = open(path, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, handle);
	sprintf(path, "/proc/self/fd/%d", handle);
	ASSERT_EQ(0, del_partition(self->fd, 1));
	ASSERT_TRUE(wait_until(partition_gets(self->fd, self->number, 2,
					      part_start(2), PART_SIZE, rdev)));
	ASSERT_EQ(0, add_partition(self->fd, 1));
	ASSERT_NE(rdev, rdev_of(self->number, 1));

	EXPECT_EQ(0, mount(path, "/tmp/partition_test", "ext4", 0, NULL));
	EXPECT_EQ(0, stat("/tmp/partition_test", &st));
	EXPECT_EQ(rdev_of(self->number, 1), st.st_dev);
	umount("/tmp/partition_test");
	close(handle);
}

/*
 * While a partition is open, the table of a new medium cannot be read.  What is
 * still in memory then has the extents of the medium before.  Seen failing where
 * the number of a partition is not compared.
 */
TEST_F(partition, partition_of_an_earlier_medium_is_not_opened)
{
	uint64_t old, new;
	int held;

	write_table(_metadata, self->right, 1 << 1 | 1 << 2);
	write_table(_metadata, self->wrong, 1 << 1 | 1 << 2);
	close(self->fd);
	loop_detach(self->nr);
	/* Only what is read-only can be exchanged. */
	old = loop_attach(self->nr, self->right,
			  LO_FLAGS_PARTSCAN | LO_FLAGS_READ_ONLY);
	self->fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
	held = open_by_number(old, 2, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, held);

	ASSERT_EQ(0, ioctl(self->fd, LOOP_CHANGE_FD, self->wrong));
	new = diskseq_of(self->fd);
	ASSERT_NE(old, new);
	EXPECT_TRUE(is_gone(old, 1));
	EXPECT_TRUE(is_gone(new, 1));
	EXPECT_TRUE(is_gone(new, 2));

	/* One that is added now is of this medium. */
	ASSERT_EQ(0, add_partition(self->fd, 3));
	EXPECT_TRUE(opens_as(new, 3, "WRONG-DISK-PART3"));

	close(held);
	ASSERT_EQ(0, ioctl(self->fd, BLKRRPART));
	EXPECT_TRUE(opens_as(new, 1, "WRONG-DISK-PART1"));
}

/* Another disk in the place of the old one has partitions of its own. */
TEST_F(partition, new_disk_retires_names_of_partitions)
{
	uint64_t new;

	write_table(_metadata, self->right, 1 << 1 | 1 << 2);
	write_table(_metadata, self->wrong, 1 << 1);
	ASSERT_EQ(0, ioctl(self->fd, BLKRRPART));
	EXPECT_TRUE(opens_as(self->number, 1, "RIGHT-DISK-PART1"));
	EXPECT_TRUE(opens_as(self->number, 2, "RIGHT-DISK-PART2"));
	make_node(_metadata, self->number, 1);

	close(self->fd);
	loop_detach(self->nr);
	EXPECT_TRUE(is_gone(self->number, 1));
	EXPECT_TRUE(is_gone(diskseq_of_path(loop_path(self->nr)), 1));

	new = loop_attach(self->nr, self->wrong, LO_FLAGS_PARTSCAN);
	EXPECT_TRUE(is_gone(self->number, 1));
	EXPECT_TRUE(is_gone(self->number, 2));
	EXPECT_TRUE(opens_as(new, 1, "WRONG-DISK-PART1"));
	EXPECT_TRUE(is_gone(new, 2));
	self->fd = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, "symbol:msdos_partition")
