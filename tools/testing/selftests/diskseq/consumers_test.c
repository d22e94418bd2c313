// SPDX-License-Identifier: GPL-2.0
/*
 * Those in the kernel who are given a path by number, and keep what they have
 * opened or look for what somebody else has: file systems that find a superblock
 * by themselves, external journals, quotactl(2).  Each on a disk whose file is
 * exchanged for a copy of it, which nothing but the number tells from the first.
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <linux/btrfs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define FS_SIZE		(128 << 20)

static const char where[] = "/tmp/consumers_test";
static const char where_else[] = "/tmp/consumers_other";

/* Without a stamp, which would fill all of it. */
static int blank_image(size_t size)
{
	int fd = memfd_create("consumers_test", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		err(1, "image of %zu bytes", size);
	return fd;
}

FIXTURE(consumers)
{
	int image, copy;
	int nr;			/* loop device, read-only, of image */
	uint64_t number;
	char entry[64];
};

FIXTURE_SETUP(consumers)
{
	diskseqfs_private();
	if ((mkdir(where, 0755) && errno != EEXIST) ||
	    (mkdir(where_else, 0755) && errno != EEXIST))
		err(1, "mkdir");
	self->image = blank_image(FS_SIZE);
	self->copy = blank_image(FS_SIZE);
	self->nr = loop_get_free();
}

FIXTURE_TEARDOWN(consumers)
{
	int fd = open(loop_path(self->nr), O_RDONLY);

	umount(where_else);
	umount(where);
	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

/* Make a file system on @image, and @copy a copy of it. */
static void make_fs(int image, int copy, const char *mkfs)
{
	if (run("%s /proc/%d/fd/%d >/dev/null 2>&1", mkfs, getpid(), image))
		errx(1, "%s failed", mkfs);
	if (run("cp --sparse=always /proc/%d/fd/%d /proc/%d/fd/%d", getpid(),
		image, getpid(), copy))
		errx(1, "cp failed");
}

static void make_disk(FIXTURE_DATA(consumers) *self, const char *mkfs)
{
	make_fs(self->image, self->copy, mkfs);
	self->number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
	path_by_number(self->entry, self->number, 0);
}

/* Have the disk change to @image; writes its new name to @entry. */
static void change_medium(int nr, int image, char *entry)
{
	int fd = open(loop_path(nr), O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, LOOP_CHANGE_FD, image))
		err(1, "LOOP_CHANGE_FD");
	path_by_number(entry, diskseq_of(fd), 0);
	close(fd);
}

static int mount_errno(const char *path, const char *dir, const char *type,
		       const char *options)
{
	return mount(path, dir, type, MS_RDONLY, options) ? errno : 0;
}

/* The file system of a disk is shared by its number, not by the next one. */
static void expect_not_shared(struct __test_metadata *_metadata,
			      FIXTURE_DATA(consumers) *self, const char *type,
			      int error)
{
	char entry[64];

	ASSERT_EQ(0, mount_errno(loop_path(self->nr), where, type, NULL));
	EXPECT_EQ(0, mount_errno(self->entry, where_else, type, NULL));
	umount(where_else);

	change_medium(self->nr, self->copy, entry);
	EXPECT_EQ(ENOENT, mount_errno(self->entry, where_else, type, NULL));
	EXPECT_EQ(error, mount_errno(entry, where_else, type, NULL));
	umount(where_else);
	/* By node, it is whatever has been mounted of that. */
	EXPECT_EQ(0, mount_errno(loop_path(self->nr), where_else, type, NULL));
	umount(where_else);

	/* Once it is not mounted any more, the next one can be. */
	ASSERT_EQ(0, umount(where));
	EXPECT_EQ(0, mount_errno(entry, where, type, NULL));
	EXPECT_EQ(0, umount(where));
}

/* Btrfs finds what is mounted by the UUIDs on the medium. */
TEST_F(consumers, btrfs_of_earlier_medium_is_not_shared)
{
	NEED("fs:btrfs", "tool:mkfs.btrfs");
	make_disk(self, "mkfs.btrfs -q");
	expect_not_shared(_metadata, self, "btrfs", EBUSY);
}

/* As udev has each device scanned, by its node. */
static void btrfs_scan(int nr)
{
	struct btrfs_ioctl_vol_args args = {};
	int fd = open("/dev/btrfs-control", O_RDWR | O_CLOEXEC);

	snprintf(args.name, sizeof(args.name), "%s", loop_path(nr));
	if (fd < 0 || ioctl(fd, BTRFS_IOC_SCAN_DEV, &args))
		err(1, "BTRFS_IOC_SCAN_DEV");
	close(fd);
}

/* To be mounted from two disks, both by number. */
static int btrfs_fsopen(const char *source, const char *device)
{
	int fs = fsopen("btrfs", FSOPEN_CLOEXEC);

	if (fs < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "device", device, 0))
		err(1, "fsconfig");
	return fs;
}

static int btrfs_create(int fs)
{
	int error = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? errno : 0;

	close(fs);
	return error;
}

/*
 * Of two disks, that of device=, given by number, is opened when its file system
 * is mounted, by the path of the last scan; or it is open already.  Each time it
 * is not the one that was given, but a clone.
 */
TEST_F(consumers, btrfs_device_is_the_disk_of_the_number)
{
	int second = blank_image(FS_SIZE), fs, nr;
	char entry[64], options[64];

	NEED("fs:btrfs", "tool:mkfs.btrfs");
	snprintf(options, sizeof(options),
		 "mkfs.btrfs -q -d single -m single /proc/%d/fd/%d",
		 getpid(), self->image);
	make_fs(second, self->copy, options);
	path_by_number(self->entry, loop_attach(self->nr, self->image,
						LO_FLAGS_READ_ONLY), 0);
	nr = loop_get_free();
	path_by_number(entry, loop_attach(nr, second, LO_FLAGS_READ_ONLY), 0);
	btrfs_scan(nr);

	/* The path is another one, the disk is not. */
	fs = btrfs_fsopen(self->entry, entry);
	btrfs_scan(nr);
	EXPECT_EQ(0, btrfs_create(fs));

	fs = btrfs_fsopen(self->entry, entry);
	btrfs_scan(nr);
	change_medium(nr, self->copy, entry);
	EXPECT_NE(0, btrfs_create(fs));
	/* It would do, if it was asked for. */
	EXPECT_EQ(0, btrfs_create(btrfs_fsopen(self->entry, entry)));

	fs = btrfs_fsopen(self->entry, entry);
	change_medium(nr, second, entry);
	btrfs_scan(nr);
	snprintf(options, sizeof(options), "device=%s", loop_path(nr));
	ASSERT_EQ(0, mount_errno(loop_path(self->nr), where, "btrfs", options));
	EXPECT_NE(0, btrfs_create(fs));
	EXPECT_EQ(0, btrfs_create(btrfs_fsopen(self->entry, entry)));
	EXPECT_EQ(0, umount(where));
	loop_detach(nr);
}

/*
 * The path by number that a device was added by is gone with the number.  A scan of the
 * node, which has the same device number, gives it another one.
 */
TEST_F(consumers, btrfs_device_added_by_number_is_found_by_its_node)
{
	int second = blank_image(FS_SIZE), dir, nr;
	struct btrfs_ioctl_vol_args args = {};
	char options[64];

	NEED("fs:btrfs", "tool:mkfs.btrfs");
	make_fs(self->image, self->copy, "mkfs.btrfs -q -d single -m single");
	loop_attach(self->nr, self->image, 0);
	nr = loop_get_free();
	path_by_number(args.name, loop_attach(nr, second, 0), 0);
	ASSERT_EQ(0, mount(loop_path(self->nr), where, "btrfs", 0, NULL));
	dir = open(where, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(0, ioctl(dir, BTRFS_IOC_ADD_DEV, &args));
	close(dir);
	ASSERT_EQ(0, umount(where));

	loop_detach(nr);
	loop_attach(nr, second, 0);
	btrfs_scan(nr);
	snprintf(options, sizeof(options), "device=%s", loop_path(nr));
	EXPECT_EQ(0, mount_errno(loop_path(self->nr), where, "btrfs", options));
	EXPECT_EQ(0, umount(where));
	loop_detach(nr);
}

/* The same of nilfs2, which looks up the device and opens it by itself. */
TEST_F(consumers, nilfs2_of_earlier_medium_is_not_shared)
{
	NEED("fs:nilfs2", "tool:mkfs.nilfs2");
	make_disk(self, "mkfs.nilfs2 -q -f -B 1024");
	expect_not_shared(_metadata, self, "nilfs2", ENXIO);
}

/* Quotas are those of the disk that was mounted by the number. */
TEST_F(consumers, quotactl_is_for_the_number)
{
	char entry[64];

	NEED(FOR_EXT4, "symbol:dquot_initialize");
	make_disk(self, "mkfs.ext4 -q -F -O ^has_journal");
	EXPECT_EQ(-1, quotactl(QCMD(Q_SYNC, USRQUOTA), self->entry, 0, NULL));
	EXPECT_EQ(ENODEV, errno);
	ASSERT_EQ(0, mount_errno(loop_path(self->nr), where, "ext4", NULL));
	EXPECT_EQ(0, quotactl(QCMD(Q_SYNC, USRQUOTA), self->entry, 0, NULL));

	change_medium(self->nr, self->copy, entry);
	EXPECT_EQ(-1, quotactl(QCMD(Q_SYNC, USRQUOTA), entry, 0, NULL));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, quotactl(QCMD(Q_SYNC, USRQUOTA), self->entry, 0, NULL));
	EXPECT_EQ(ENOENT, errno);
	/* The node finds what is mounted, which may have been shut down. */
	EXPECT_TRUE(!quotactl(QCMD(Q_SYNC, USRQUOTA), loop_path(self->nr), 0,
			      NULL) || errno == EIO)
		TH_LOG("%m");
}

/* An option is given to the kernel before the mount, which opens what it says. */
static int mount_with_journal(const char *path, const char *journal,
			      int nr, int next_image)
{
	int fs = fsopen("ext4", FSOPEN_CLOEXEC), error = 0;

	if (fs < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "journal_path", journal, 0))
		err(1, "fsconfig");
	if (next_image >= 0) {
		loop_detach(nr);
		loop_attach(nr, next_image, 0);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		error = errno;
	close(fs);
	return error;
}

/* The journal is that of the number, not of the disk that took its place. */
TEST_F(consumers, ext4_journal_is_the_disk_of_the_number)
{
	int journal = blank_image(8 << 20), copy;
	char entry[64], path[64];
	int nr;

	NEED(FOR_EXT4, "tool:mke2fs");
	copy = blank_image(8 << 20);
	make_fs(journal, copy, "mke2fs -q -F -O journal_dev -b 4096");
	snprintf(path, sizeof(path), "%s", loop_path(self->nr));
	loop_attach(self->nr, self->image, 0);
	nr = loop_get_free();
	path_by_number(entry, loop_attach(nr, journal, 0), 0);
	ASSERT_EQ(0, run("mkfs.ext4 -q -b 4096 -J device=%s %s",
			 loop_path(nr), path));
	ASSERT_EQ(0, run("sync; cp /proc/%d/fd/%d /proc/%d/fd/%d", getpid(),
			 journal, getpid(), copy));

	EXPECT_EQ(0, mount_with_journal(path, entry, nr, -1));
	EXPECT_NE(0, mount_with_journal(path, entry, nr, copy));
	/* It would do, if it was asked for. */
	path_by_number(entry, diskseq_of_path(loop_path(nr)), 0);
	EXPECT_EQ(0, mount_with_journal(path, entry, nr, -1));
	/* And so it is with a node, which names whatever is there. */
	EXPECT_EQ(0, mount_with_journal(path, loop_path(nr), nr, journal));
	loop_detach(nr);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
