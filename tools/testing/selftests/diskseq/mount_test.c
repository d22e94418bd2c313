// SPDX-License-Identifier: GPL-2.0
/*
 * mount(2) and fsconfig(2) are two ways into a file system; mount(8) takes the
 * one or the other, depending on its version.  Both mount diskseqfs, change its
 * options, and mount the disk that an entry is of, and no other one.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define MOUNT_POINT	"/tmp/mount_test"

/* One option, which both ways take. */
struct option {
	const char *name, *value;
};

static int by_mount(const char *type, const char *source, struct option option)
{
	char data[64] = "";

	if (option.name)
		snprintf(data, sizeof(data), "%s=%s", option.name, option.value);
	return mount(source, MOUNT_POINT, type, 0, data) ? errno : 0;
}

static int by_mount_again(struct option option)
{
	char data[64];

	snprintf(data, sizeof(data), "%s=%s", option.name, option.value);
	return mount("none", MOUNT_POINT, NULL, MS_REMOUNT, data) ? errno : 0;
}

static int by_fsconfig(const char *type, const char *source,
		       struct option option)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), mnt = -1, error = 0;

	if (fs < 0)
		return errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) ||
	    (option.name && fsconfig(fs, FSCONFIG_SET_STRING, option.name,
				     option.value, 0)) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		error = errno;
	else
		mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (!error && (mnt < 0 || move_mount(mnt, "", AT_FDCWD, MOUNT_POINT,
					     MOVE_MOUNT_F_EMPTY_PATH)))
		error = errno;
	if (mnt >= 0)
		close(mnt);
	close(fs);
	return error;
}

static int by_fsconfig_again(struct option option)
{
	int fs = fspick(AT_FDCWD, MOUNT_POINT, FSPICK_CLOEXEC), error = 0;

	if (fs < 0)
		return errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, option.name, option.value, 0) ||
	    fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		error = errno;
	close(fs);
	return error;
}

FIXTURE(mount)
{
	int nr, image;
	uint64_t number;
	char entry[64];
};

FIXTURE_VARIANT(mount)
{
	/* Return 0 or an errno. */
	int (*mount)(const char *type, const char *source, struct option option);
	int (*again)(struct option option);
};

FIXTURE_VARIANT_ADD(mount, by_mount)
{
	.mount = by_mount,
	.again = by_mount_again,
};

FIXTURE_VARIANT_ADD(mount, by_fsconfig)
{
	.mount = by_fsconfig,
	.again = by_fsconfig_again,
};

FIXTURE_SETUP(mount)
{
	diskseqfs_private();
	if (mkdir(MOUNT_POINT, 0755) && errno != EEXIST)
		err(1, MOUNT_POINT);
	self->image = image_create("DISK", IMAGE_SIZE);
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, self->image, 0);
	path_by_number(self->entry, self->number, 0);
}

FIXTURE_TEARDOWN(mount)
{
	int fd;

	umount(MOUNT_POINT);
	fd = open(loop_path(self->nr), O_RDONLY);
	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

static mode_t mode_there(uint64_t number)
{
	char path[64];
	struct stat st;

	sprintf(path, MOUNT_POINT "/%" PRIu64, number);
	return stat(path, &st) ? 0 : st.st_mode;
}

/* The options apply, at first and when they are changed; bad ones are refused. */
TEST_F(mount, file_system_takes_its_options)
{
	const struct option read = { "mode", "0440" }, all = { "mode", "0666" };
	const struct option bad = { "mode", "7777" }, none = { "colour", "red" };

	EXPECT_EQ(EINVAL, variant->mount("diskseqfs", "none", bad));
	EXPECT_EQ(EINVAL, variant->mount("diskseqfs", "none", none));
	ASSERT_EQ(0, variant->mount("diskseqfs", "none", read));
	EXPECT_EQ(S_IFBLK | 0440, mode_there(self->number));
	ASSERT_EQ(0, variant->again(all));
	EXPECT_EQ(S_IFBLK | 0666, mode_there(self->number));
	EXPECT_EQ(EINVAL, variant->again(bad));
	EXPECT_EQ(EINVAL, variant->again(none));
	EXPECT_EQ(S_IFBLK | 0666, mode_there(self->number));
}

#ifdef SYS_ustat
/* What is mounted by number is found by the device number, as it always was. */
TEST_F(mount, ustat_finds_what_is_mounted)
{
	const struct option no_option = { NULL, NULL };
	char buffer[256];
	struct stat st;

	NEED(FOR_EXT4);
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s",
			 loop_path(self->nr)));
	ASSERT_EQ(0, stat(loop_path(self->nr), &st));
	EXPECT_EQ(-1, syscall(SYS_ustat, (unsigned int)st.st_rdev, buffer));
	ASSERT_EQ(0, variant->mount("ext4", self->entry, no_option));
	EXPECT_EQ(0, syscall(SYS_ustat, (unsigned int)st.st_rdev, buffer));
	ASSERT_EQ(0, umount(MOUNT_POINT));
}
#endif

/* An entry is what the file system is on, as long as that disk is there. */
TEST_F(mount, entry_mounts_its_disk_or_nothing)
{
	const char *node = loop_path(self->nr);
	const struct option no_option = { NULL, NULL };
	char held[64];
	int handle;

	NEED(FOR_EXT4);
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s", node));
	handle = open(self->entry, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, handle);
	sprintf(held, "/proc/self/fd/%d", handle);
	ASSERT_EQ(0, variant->mount("ext4", self->entry, no_option));
	ASSERT_EQ(0, umount(MOUNT_POINT));
	ASSERT_EQ(0, variant->mount("ext4", held, no_option));
	ASSERT_EQ(0, umount(MOUNT_POINT));

	/* The next one has the same device number and could be mounted, too. */
	loop_detach(self->nr);
	EXPECT_LT(self->number, loop_attach(self->nr, self->image, 0));
	ASSERT_EQ(0, variant->mount("ext4", node, no_option));
	EXPECT_EQ(ENOENT, variant->mount("ext4", self->entry, no_option));
	EXPECT_NE(0, variant->mount("ext4", held, no_option));
	ASSERT_EQ(0, umount(MOUNT_POINT));
	EXPECT_EQ(ENOENT, variant->mount("ext4", self->entry, no_option));
	EXPECT_NE(0, variant->mount("ext4", held, no_option));
	close(handle);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
