// SPDX-License-Identifier: GPL-2.0
/*
 * A CD-ROM drive by number: each disc that is put into it has one number, which
 * its event announces and which opens it.
 *
 * QEMU has to change the discs, so this needs one that is started with a drive
 * "test-cd", a port "test-qmp" of the guest that leads to QEMU's monitor, and the
 * images cd0 and cd1, which say so in their first block, in the folder that
 * DISKSEQ_CD_FOLDER names.
 *
 * SEEN failing on a kernel where an open reads half of what the drive says of a disc.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "diskseq_util.h"
#include "need.h"
#include "uevent_util.h"
#include "../kselftest_harness.h"

#define FOLDER		"DISKSEQ_CD_FOLDER"
#define NAME		"sr0"
#define POLL		"/sys/block/" NAME "/events_poll_msecs"
#define BLOCK		2048
#define UNIT_ATTENTION	6
#define DISCS		8

/* Of linux/pktcdvd.h, which newer kernels do not have any more. */
struct packet_control {
	uint32_t command;
	uint32_t index;
	uint32_t dev;
	uint32_t packet_dev;
	uint32_t devices;
	uint32_t padding;
};

#define PACKET_CONTROL		_IOWR('X', 1, struct packet_control)
#define PACKET_SETUP		0
#define PACKET_TEARDOWN		1

FIXTURE(cd)
{
	int monitor;
	int socket;
};

/* Have QEMU do something.  Between answers there are events. */
static bool qmp(int monitor, const char *command, const char *arguments)
{
	char line[4096];
	size_t length;

	if (dprintf(monitor, "{'execute': '%s', 'arguments': {%s}}\n", command,
		    arguments) < 0)
		err(1, "QMP");
	for (;;) {
		for (length = 0; length < sizeof(line) - 1; length++) {
			if (read(monitor, &line[length], 1) != 1)
				err(1, "QMP");
			if (line[length] == '\n')
				break;
		}
		line[length] = '\0';
		if (!strncmp(line, "{\"return\"", 9))
			return true;
		if (!strncmp(line, "{\"error\"", 8)) {
			printf("# %s\n", line);
			return false;
		}
	}
}

static int open_monitor(void)
{
	char name[32], path[300];
	int monitor = -1, fd;
	ssize_t length;
	glob_t found;

	glob("/sys/class/virtio-ports/*/name", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && monitor < 0; i++) {
		fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		length = read(fd, name, sizeof(name) - 1);
		close(fd);
		name[length < 0 ? 0 : length] = '\0';
		if (strcmp(name, "test-qmp\n"))
			continue;
		*strrchr(found.gl_pathv[i], '/') = '\0';
		snprintf(path, sizeof(path), "/dev/%s",
			 strrchr(found.gl_pathv[i], '/') + 1);
		monitor = open(path, O_RDWR | O_CLOEXEC);
	}
	globfree(&found);
	return monitor;
}

static void poll_by(const char *path, const char *msecs)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, msecs, strlen(msecs)) < 0)
		err(1, "%s", path);
	close(fd);
}

static void poll_each(const char *msecs)
{
	poll_by(POLL, msecs);
}

static bool insert(FIXTURE_DATA(cd) *self, int disc)
{
	char arguments[512];

	snprintf(arguments, sizeof(arguments),
		 "'id': 'test-cd', 'filename': '%s/cd%d', 'format': 'raw', 'read-only-mode': 'read-only', 'force': true",
		 getenv(FOLDER), disc);
	return qmp(self->monitor, "blockdev-change-medium", arguments);
}

FIXTURE_SETUP(cd)
{
	int fd;

	self->monitor = getenv(FOLDER) ? open_monitor() : -1;
	if (self->monitor < 0)
		SKIP(return, "needs a QEMU that changes the disc, see cd_test.c");
	/* Once is enough, and later it is an error. */
	qmp(self->monitor, "qmp_capabilities", "");
	diskseqfs_private();
	self->socket = uevent_listen();
	ASSERT_TRUE(insert(self, 1));
	fd = open("/dev/" NAME, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	close(fd);
	uevent_drain(self->socket, NAME);
}

FIXTURE_TEARDOWN(cd)
{
	if (self->monitor >= 0)
		poll_each("-1");
}

/* Is it open, and the disc that it should be? */
static bool is_disc(int fd, int disc)
{
	char *block = aligned_alloc(BLOCK, BLOCK), text[8];
	bool is;

	sprintf(text, "CD%d", disc);
	is = fd >= 0 && block && pread(fd, block, BLOCK, 0) == BLOCK &&
	     !strncmp(block, text, strlen(text));
	free(block);
	return is;
}

/* A listener that opens what is announced, at once, gets each disc. */
TEST_F(cd, each_disc_is_announced_once_by_a_number_that_opens)
{
	uint64_t before = diskseq_of_path("/dev/" NAME);
	struct uevent event;
	int fd;

	poll_each("100");
	for (int i = 0; i < DISCS; i++) {
		ASSERT_TRUE(insert(self, i % 2));
		ASSERT_TRUE(uevent_next(self->socket, NAME, WAIT_S * 1000,
					&event));
		EXPECT_TRUE(event.media_change);
		EXPECT_LT(before, event.diskseq);
		before = event.diskseq;
		fd = open_by_number(event.diskseq, 0, O_RDONLY | O_DIRECT);
		EXPECT_TRUE(is_disc(fd, i % 2));
		if (fd >= 0)
			close(fd);
		EXPECT_EQ(0, uevent_media_changes(self->socket, NAME));
	}
	EXPECT_EQ(before, diskseq_of_path("/dev/" NAME));
}

/* A disc that nobody has looked at, and that is taken out, has one of its own. */
TEST_F(cd, unopened_disc_has_a_number_of_its_own)
{
	struct uevent event;
	uint64_t first;
	int fd;

	poll_each("100");
	ASSERT_TRUE(insert(self, 0));
	ASSERT_TRUE(uevent_next(self->socket, NAME, WAIT_S * 1000, &event));
	first = event.diskseq;
	EXPECT_EQ(0, uevent_drain(self->socket, NAME));
	ASSERT_TRUE(insert(self, 1));
	ASSERT_TRUE(uevent_next(self->socket, NAME, WAIT_S * 1000, &event));
	EXPECT_LT(first, event.diskseq);
	EXPECT_TRUE(is_gone(first, 0));
	fd = open_by_number(event.diskseq, 0, O_RDONLY | O_DIRECT);
	EXPECT_TRUE(is_disc(fd, 1));
	close(fd);
}

/* Who gets to know first that the disc is another must not be the only one. */
TEST_F(cd, sg_io_does_not_hide_a_change)
{
	uint64_t number = diskseq_of_path("/dev/" NAME);
	int fd = open_by_number(number, 0, O_RDONLY | O_NONBLOCK);

	ASSERT_LE(0, fd);
	ASSERT_TRUE(insert(self, 0));
	/* Several are reported: no disc, and another one. */
	while (sg_test_unit_ready(fd))
		;
	EXPECT_TRUE(is_gone(number, 0));
	close(fd);
}

/* What pktcdvd learns when it asks the drive, the drive's own disk gets to know. */
TEST_F(cd, pktcdvd_does_not_hide_a_change)
{
	struct packet_control control = { .command = PACKET_SETUP };
	uint64_t number = diskseq_of_path("/dev/" NAME);
	struct uevent event = {};
	struct stat st;
	int fd;

	fd = open("/dev/pktcdvd/control", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "needs pktcdvd");
	ASSERT_EQ(0, stat("/dev/" NAME, &st));
	control.dev = major(st.st_rdev) << 8 | minor(st.st_rdev);
	ASSERT_EQ(0, ioctl(fd, PACKET_CONTROL, &control));

	poll_each("0");
	poll_by("/sys/block/pktcdvd0/events_poll_msecs", "100");
	ASSERT_TRUE(insert(self, 0));
	EXPECT_TRUE(uevent_next(self->socket, NAME, WAIT_S * 1000, &event));
	EXPECT_LT(number, event.diskseq);
	EXPECT_TRUE(is_gone(number, 0));

	control.command = PACKET_TEARDOWN;
	control.dev = control.packet_dev;
	EXPECT_EQ(0, ioctl(fd, PACKET_CONTROL, &control));
	close(fd);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
