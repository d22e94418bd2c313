// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of disks that are gone do not stay in memory: a card reader takes
 * thousands of numbers.  Counted are all inodes and dentries of the system.
 *
 * SEEN failing: those of entries that are forgotten on a kernel that keeps them
 * until the unmount, names_of_no_disk_are_not_kept if there are negative dentries,
 * those with owners if what was set by hand is kept.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define CHANGES		2000
/* What other parts of the system may come to hold meanwhile. */
#define TOLERANCE	(CHANGES / 20)

static long first_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long number;

	if (!file || fscanf(file, "%ld", &number) != 1)
		err(1, "%s", path);
	fclose(file);
	return number;
}

static long inodes(void)
{
	return first_number("/proc/sys/fs/inode-nr");
}

static long dentries(void)
{
	return first_number("/proc/sys/fs/dentry-state");
}

FIXTURE(retention)
{
	int nr;
	int image, other;
	int fd;			/* of the loop device's node */
	long inodes, dentries;	/* before the changes */
};

FIXTURE_SETUP(retention)
{
	diskseqfs_private();
	self->image = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->other = image_create("WRONG-DISK", IMAGE_SIZE);
	self->nr = loop_get_free();
	loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
	self->fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(retention)
{
	close(self->fd);
	loop_detach(self->nr);
}

static void change_number(struct __test_metadata *_metadata,
			  FIXTURE_DATA(retention) *self, int change)
{
	ASSERT_EQ(0, ioctl(self->fd, LOOP_CHANGE_FD,
			   change % 2 ? self->image : self->other));
}

static void count(FIXTURE_DATA(retention) *self)
{
	self->inodes = inodes();
	self->dentries = dentries();
}

static void expect_same_count(struct __test_metadata *_metadata,
			      FIXTURE_DATA(retention) *self)
{
	EXPECT_TRUE(wait_until(inodes() - self->inodes < TOLERANCE))
		TH_LOG("%ld inodes more", inodes() - self->inodes);
	EXPECT_TRUE(wait_until(dentries() - self->dentries < TOLERANCE))
		TH_LOG("%ld dentries more", dentries() - self->dentries);
}

/* An entry that is not in use when its number is retired is forgotten. */
TEST_F(retention, entries_of_2000_retired_numbers_are_forgotten)
{
	count(self);
	for (int change = 0; change < CHANGES; change++) {
		int fd = open_by_number(diskseq_of(self->fd), 0, O_RDONLY);

		ASSERT_LE(0, fd);
		close(fd);
		change_number(_metadata, self, change);
	}
	expect_same_count(_metadata, self);
}

/* The same of a disk that is detached and attached, with the numbers between. */
TEST_F(retention, entries_of_2000_detached_media_are_forgotten)
{
	char path[64];

	count(self);
	for (int change = 0; change < CHANGES / 2; change++) {
		uint64_t number;

		close(self->fd);
		loop_detach(self->nr);
		number = diskseq_of_path(loop_path(self->nr));
		ASSERT_EQ(0, access(path_by_number(path, number, 0), F_OK));
		number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
		ASSERT_EQ(0, access(path_by_number(path, number, 0), F_OK));
		self->fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, self->fd);
	}
	expect_same_count(_metadata, self);
}

/* An entry that is in use when its number is retired is forgotten after that. */
TEST_F(retention, entries_in_use_are_forgotten_when_put)
{
	count(self);
	for (int change = 0; change < CHANGES; change++) {
		int fd = open_by_number(diskseq_of(self->fd), 0, O_PATH);

		ASSERT_LE(0, fd);
		change_number(_metadata, self, change);
		close(fd);
	}
	expect_same_count(_metadata, self);
}

/* What has been set by hand keeps an entry while the number is there, and no longer. */
TEST_F(retention, entries_with_owners_are_forgotten)
{
	count(self);
	for (int change = 0; change < CHANGES; change++) {
		char path[64];

		path_by_number(path, diskseq_of(self->fd), 0);
		ASSERT_EQ(0, chmod(path, 0640));
		change_number(_metadata, self, change);
	}
	expect_same_count(_metadata, self);
}

/* So does the partition that it was set of: those that come in its place are many. */
TEST_F(retention, partitions_with_owners_are_forgotten)
{
	char path[64];

	path_by_number(path, diskseq_of(self->fd), 1);
	count(self);
	for (int change = 0; change < CHANGES; change++) {
		ASSERT_EQ(0, partition_add(self->fd, 1, 4096 * (1 + change % 2),
					   4096));
		ASSERT_EQ(0, chmod(path, 0640));
		ASSERT_EQ(0, partition_del(self->fd, 1));
	}
	expect_same_count(_metadata, self);
}

/* And so does the file system. */
TEST_F(retention, mounts_with_owners_are_forgotten)
{
	char path[64];

	path_by_number(path, diskseq_of(self->fd), 0);
	count(self);
	for (int change = 0; change < CHANGES; change++) {
		ASSERT_EQ(0, mount("none", diskseqfs_dir, "diskseqfs", 0, NULL));
		ASSERT_EQ(0, chmod(path, 0640));
		ASSERT_EQ(0, umount(diskseqfs_dir));
	}
	expect_same_count(_metadata, self);
}

/* Looking for names that no disk has leaves nothing behind either. */
TEST_F(retention, names_of_no_disk_are_not_kept)
{
	count(self);
	for (int i = 0; i < CHANGES; i++)
		ASSERT_TRUE(is_gone(1000000 + i, 0));
	expect_same_count(_metadata, self);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
