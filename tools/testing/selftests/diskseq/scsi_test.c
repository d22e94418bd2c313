// SPDX-License-Identifier: GPL-2.0
/*
 * SCSI disks by number: what the device says, it says once, and to whoever
 * sends it a command next.  It must be numbered whoever that is.
 *
 * The disks are those of scsi_debug.  One that is removable has another medium
 * after a unit attention, such as for another capacity.
 *
 * SEEN failing on kernels where only who sends the command by SG_IO is told, or the
 * error handler, also while the driver looks for another disc, where a drive for discs
 * is taken to tell it once more, where a change that is there at each look is announced
 * each time, and where a device that has another identity keeps its number.
 */
#define _GNU_SOURCE
#include <dirent.h>
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
#include "uevent_util.h"
#include "../kselftest_harness.h"

#define DRIVER		"/sys/bus/pseudo/drivers/scsi_debug/"
#define DEBUGFS		"/sys/kernel/debug"
#define UNIT_ATTENTION	6
#define PART_START	4096
#define PART_SIZE	(4 << 20)

/* A listener that this many events cause to open the disk goes on for ever. */
#define ENDLESS		64

static void get(const char *path, char *value, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, value, size - 1);

	if (length < 0)
		err(1, "%s", path);
	value[length] = '\0';
	close(fd);
}

FIXTURE(scsi)
{
	unsigned int host;
	char device[64];	/* its folder in sysfs */
	char name[32];		/* as DEVNAME has it */
	char node[64];
	int socket;
	uint64_t number;	/* once nothing more happens by itself */
};

FIXTURE_VARIANT(scsi)
{
	const char *removable;
};

FIXTURE_VARIANT_ADD(scsi, removable)
{
	.removable = "1",
};

FIXTURE_VARIANT_ADD(scsi, fixed)
{
	.removable = "0",
};

static unsigned int newest_host(void)
{
	DIR *dir = opendir("/sys/class/scsi_host");
	unsigned int host, newest = 0;
	struct dirent *entry;

	if (!dir)
		err(1, "scsi_host");
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "host%u", &host) == 1 &&
		    host > newest)
			newest = host;
	}
	closedir(dir);
	return newest;
}

/* The disk is found a while after its host was added. */
static bool find_disk(FIXTURE_DATA(scsi) *self)
{
	struct dirent *entry;
	char path[80];
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/block", self->device);
	dir = opendir(path);
	if (!dir)
		return false;
	self->name[0] = '\0';
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			snprintf(self->name, sizeof(self->name), "%.31s",
				 entry->d_name);
	}
	closedir(dir);
	/* The folder is there before the disk is. */
	if (!self->name[0])
		return false;
	snprintf(self->node, sizeof(self->node), "/dev/%s", self->name);
	fd = open(self->node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* @type as SCSI has it: 0 is a disk, 5 a drive for discs. */
static void add_disk(struct __test_metadata *_metadata, FIXTURE_DATA(scsi) *self,
		     const char *removable, const char *type)
{
	struct uevent event;

	diskseqfs_private();
	self->socket = uevent_listen();
	ASSERT_EQ(0, put(DRIVER "per_host_store", "1"));
	ASSERT_EQ(0, put(DRIVER "removable", removable));
	ASSERT_EQ(0, put(DRIVER "ptype", type));
	ASSERT_EQ(0, put(DRIVER "add_host", "1"));
	self->host = newest_host();
	snprintf(self->device, sizeof(self->device),
		 "/sys/bus/scsi/devices/%u:0:0:0", self->host);
	ASSERT_TRUE(wait_until(find_disk(self)));
	/* It can be opened before it is announced, which comes last. */
	do {
		ASSERT_TRUE(uevent_next(self->socket, self->name,
					WAIT_S * 1000, &event));
	} while (strcmp(event.action, "add"));
	uevent_drain(self->socket, self->name);
	self->number = diskseq_of_path(self->node);
	ASSERT_EQ(0, uevent_drain(self->socket, self->name));
}

static void remove_disk(FIXTURE_DATA(scsi) *self)
{
	if (self->socket <= 0)
		return;
	/* As it was for the other disks of the driver, too. */
	put(DRIVER "vpd_use_hostno", "1");
	put(DRIVER "virtual_gb", "0");
	put(DRIVER "ptype", "0");
	put(DRIVER "add_host", "-1");
}

FIXTURE_SETUP(scsi)
{
	add_disk(_metadata, self, variant->removable, "0");
}

FIXTURE_TEARDOWN(scsi)
{
	remove_disk(self);
}

/* A drive for discs, which does not know GET EVENT STATUS NOTIFICATION. */
FIXTURE(drive)
{
	FIXTURE_DATA(scsi) scsi;
};

FIXTURE_SETUP(drive)
{
	add_disk(_metadata, &self->scsi, "1", "5");
}

FIXTURE_TEARDOWN(drive)
{
	remove_disk(&self->scsi);
}

static void change_medium(void)
{
	char gigabytes[16];

	get(DRIVER "virtual_gb", gigabytes, sizeof(gigabytes));
	if (put(DRIVER "virtual_gb", atoi(gigabytes) == 1 ? "2" : "1"))
		err(1, DRIVER "virtual_gb");
}

/* Have the driver do to a command what @rule says; false if it cannot. */
static bool inject(FIXTURE_DATA(scsi) *self, const char *rule)
{
	char path[80];

	if (access(DEBUGFS "/scsi_debug", F_OK))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	snprintf(path, sizeof(path), DEBUGFS "/scsi_debug/%u:0:0:0/error",
		 self->host);
	return !put(path, rule);
}

static void scan_again(FIXTURE_DATA(scsi) *self)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/rescan", self->device);
	if (put(path, "1"))
		err(1, "%s", path);
}

/* Whoever gets the unit attention, the earlier number does not open any more. */
TEST_F(scsi, sg_io_does_not_hide_a_medium_change)
{
	int fd = open_by_number(self->number, 0, O_RDONLY);

	ASSERT_LE(0, fd);
	change_medium();
	ASSERT_EQ(UNIT_ATTENTION, sg_test_unit_ready(fd));
	ASSERT_EQ(0, sg_test_unit_ready(fd));
	if (!strcmp(variant->removable, "1")) {
		EXPECT_TRUE(is_gone(self->number, 0));
		EXPECT_LT(self->number, diskseq_of_path(self->node));
		EXPECT_EQ(1, uevent_media_changes(self->socket, self->name));
	} else {
		/* There is no other medium. */
		EXPECT_EQ(self->number, diskseq_of_path(self->node));
		EXPECT_EQ(0, uevent_drain(self->socket, self->name));
	}
	close(fd);
}

/* So it is with a drive for discs that tells it nobody else. */
TEST_F(drive, sg_io_does_not_hide_a_medium_change)
{
	FIXTURE_DATA(scsi) *scsi = &self->scsi;
	int fd = open_by_number(scsi->number, 0, O_RDONLY | O_NONBLOCK);

	ASSERT_LE(0, fd);
	change_medium();
	ASSERT_EQ(UNIT_ATTENTION, sg_test_unit_ready(fd));
	ASSERT_EQ(0, sg_test_unit_ready(fd));
	EXPECT_TRUE(is_gone(scsi->number, 0));
	EXPECT_EQ(1, uevent_media_changes(scsi->socket, scsi->name));
	close(fd);
}

/*
 * The error handler, too, sends TEST UNIT READY: when it has reset the device, since a
 * command got no answer and could not be aborted.  That command is sent again.
 */
TEST_F(scsi, error_handler_does_not_hide_a_medium_change)
{
	static char block[4096] __attribute__((aligned(4096)));
	int fd = open_by_number(self->number, 0, O_RDONLY | O_DIRECT);
	char path[80];

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "%s/timeout", self->device);
	ASSERT_EQ(0, put(path, "1"));
	if (!inject(self, "3 -1 0x28") || !inject(self, "0 -1 0x28"))
		SKIP(return, "needs debugfs and error injection of scsi_debug");
	change_medium();
	EXPECT_EQ(sizeof(block), pread(fd, block, sizeof(block), 0));
	/* Nobody else is told. */
	ASSERT_EQ(0, sg_test_unit_ready(fd));
	if (!strcmp(variant->removable, "1")) {
		EXPECT_TRUE(is_gone(self->number, 0));
		EXPECT_EQ(1, uevent_media_changes(self->socket, self->name));
	} else {
		EXPECT_EQ(self->number, diskseq_of_path(self->node));
	}
	close(fd);
}

/*
 * The command that got no answer may be the one by which the driver looks for another
 * disc: what the error handler was told meanwhile is of this look.  (It takes 30
 * seconds, which is how long sr waits.)
 */
TEST_F(drive, error_handler_of_a_look_does_not_hide_a_medium_change)
{
	FIXTURE_DATA(scsi) *scsi = &self->scsi;

	/* GET EVENT STATUS NOTIFICATION */
	if (!inject(scsi, "3 -1 0x4a") || !inject(scsi, "0 -1 0x4a"))
		SKIP(return, "needs debugfs and error injection of scsi_debug");
	change_medium();
	EXPECT_TRUE(is_gone(scsi->number, 0));
	EXPECT_LT(scsi->number, diskseq_of_path(scsi->node));
}

/* The same of the commands of a rescan, which may announce the size as well. */
TEST_F(scsi, rescan_does_not_hide_a_medium_change)
{
	int fd;

	change_medium();
	scan_again(self);
	fd = open_by_number(self->number, 0, O_RDONLY);
	EXPECT_EQ(!strcmp(variant->removable, "1"), fd < 0);
	if (fd >= 0)
		close(fd);
}

/* A change that the kernel finds by itself has one event, whose number opens. */
TEST_F(scsi, polled_change_is_announced_once_and_opens)
{
	struct uevent event;
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/events_poll_msecs",
		 self->name);
	if (strcmp(variant->removable, "1")) {
		/* Nothing to poll for. */
		EXPECT_NE(0, put(path, "50"));
		change_medium();
		EXPECT_EQ(self->number, diskseq_of_path(self->node));
		EXPECT_EQ(0, uevent_media_changes(self->socket, self->name));
		return;
	}
	ASSERT_EQ(0, put(path, "50"));
	for (int i = 0; i < 4; i++) {
		change_medium();
		ASSERT_TRUE(uevent_next(self->socket, self->name,
					WAIT_S * 1000, &event));
		EXPECT_TRUE(event.media_change);
		fd = open_by_number(event.diskseq, 0, O_RDONLY);
		EXPECT_LE(0, fd);
		close(fd);
		/* There is one of the size, which the open has looked at. */
		EXPECT_EQ(0, uevent_media_changes(self->socket, self->name));
		EXPECT_EQ(event.diskseq, diskseq_of_path(self->node));
	}
	ASSERT_EQ(0, put(path, "0"));
}

/*
 * A drive that has another medium at each look, as it says, does not keep those
 * busy for ever who look for each.  It is believed again when it says less.  (If
 * there is a partition table, that it has been read again is an event as well.)
 */
TEST_F(scsi, listener_of_a_drive_that_always_reports_comes_to_an_end)
{
	static const char zeros[512];
	unsigned int opened = 0;
	struct uevent event;
	char path[80];
	int fd;

	fd = open(self->node, O_WRONLY | O_CLOEXEC);
	ASSERT_EQ(sizeof(zeros), write(fd, zeros, sizeof(zeros)));
	ASSERT_EQ(0, ioctl(fd, BLKRRPART));
	close(fd);
	uevent_drain(self->socket, self->name);
	/* Fail TEST UNIT READY each time, as if it had been reset. */
	if (!inject(self, "2 1 0x00 0 0 2 6 0x29 0"))
		SKIP(return, "needs debugfs and error injection of scsi_debug");

	close(open(self->node, O_RDONLY | O_CLOEXEC));
	while (opened < ENDLESS &&
	       uevent_next(self->socket, self->name, QUIET_MS, &event)) {
		fd = open_by_number(event.diskseq, 0, O_RDONLY);
		if (fd < 0)
			fd = open(self->node, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
		opened++;
	}
	if (strcmp(variant->removable, "1")) {
		/* It is never asked. */
		EXPECT_EQ(0, opened);
		EXPECT_EQ(self->number, diskseq_of_path(self->node));
		ASSERT_TRUE(inject(self, "- 2 0x00"));
		return;
	}
	EXPECT_LT(0, opened);
	EXPECT_GT(ENDLESS, opened);

	/* All the same, each was another number. */
	self->number = diskseq_of_path(self->node);
	EXPECT_TRUE(is_gone(self->number, 0));

	ASSERT_TRUE(inject(self, "- 2 0x00"));
	snprintf(path, sizeof(path), "/sys/block/%s/events_poll_msecs",
		 self->name);
	close(open(self->node, O_RDONLY | O_CLOEXEC));
	close(open(self->node, O_RDONLY | O_CLOEXEC));
	uevent_drain(self->socket, self->name);
	ASSERT_EQ(0, put(path, "50"));
	change_medium();
	EXPECT_TRUE(uevent_next(self->socket, self->name, WAIT_S * 1000,
				&event));
	EXPECT_TRUE(event.media_change);
	ASSERT_EQ(0, put(path, "0"));
}

/* Give it a table with one partition. */
static void add_table(struct __test_metadata *_metadata, FIXTURE_DATA(scsi) *self,
		      int fd)
{
	partition_write_table(fd, PART_START, PART_SIZE);
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, ioctl(fd, BLKRRPART));
	uevent_drain(self->socket, self->name);
}

/*
 * If another logical unit answers, as its page 0x83 says, it is another disk,
 * of which the event tells the number.  A rescan that finds the same is none.
 */
TEST_F(scsi, lun_of_another_identity_is_another_disk)
{
	char path[80], before[256], after[256];
	struct uevent event = {};
	unsigned int events = 0;
	int fd, part;

	if (!self->host)
		SKIP(return, "needs another host than the first");
	snprintf(path, sizeof(path), "%s/wwid", self->device);
	get(path, before, sizeof(before));
	fd = open_by_number(self->number, 0, O_RDWR);
	ASSERT_LE(0, fd);
	add_table(_metadata, self, fd);

	scan_again(self);
	EXPECT_EQ(self->number, diskseq_of(fd));
	EXPECT_EQ(0, uevent_drain(self->socket, self->name));
	part = open_by_number(self->number, 1, O_RDONLY);
	EXPECT_LE(0, part);
	close(part);
	ASSERT_EQ(5, pwrite(fd, "dirty", 5, 4096));

	/* The identity of host 0. */
	ASSERT_EQ(0, put(DRIVER "vpd_use_hostno", "0"));
	scan_again(self);
	get(path, after, sizeof(after));
	ASSERT_STRNE(before, after);

	/* What was for the other one is not written. */
	EXPECT_EQ(-1, fsync(fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_TRUE(is_gone(self->number, 0));
	EXPECT_LT(self->number, diskseq_of(fd));
	while (uevent_next(self->socket, self->name, QUIET_MS, &event))
		events++;
	EXPECT_LT(0, events);
	EXPECT_STREQ("change", event.action);
	EXPECT_EQ(diskseq_of(fd), event.diskseq);
	close(fd);
	fd = open_by_number(event.diskseq, 0, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(event.diskseq, diskseq_of_path(self->node));
	fd = open_by_number(event.diskseq, 1, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
}

/* A file system on a partition of it is shut down. */
TEST_F(scsi, lun_of_another_identity_is_gone_for_who_mounted_a_part)
{
	static const char where[] = "/tmp/scsi_test";
	char path[80];
	int fd;

	NEED(FOR_EXT4);
	if (!self->host)
		SKIP(return, "needs another host than the first");
	fd = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	add_table(_metadata, self, fd);
	close(fd);
	mkdir(where, 0755);
	snprintf(path, sizeof(path), "%s1", self->node);
	ASSERT_EQ(0, run("mkfs.ext4 -q -F -O ^has_journal %s", path));
	ASSERT_EQ(0, mount(path, where, "ext4", 0, NULL));
	snprintf(path, sizeof(path), "%s/file", where);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EXPECT_LE(0, fd);

	ASSERT_EQ(0, put(DRIVER "vpd_use_hostno", "0"));
	scan_again(self);
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EIO, errno);
	close(fd);
	EXPECT_EQ(0, umount(where));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, FOR_SCSI_DEBUG, "file:/proc/net/netlink")
