// SPDX-License-Identifier: GPL-2.0
/*
 * What a uevent says of a disk's number: a listener that opens the number it
 * has been told gets the disk, or medium, that the event is about.
 *
 * SEEN failing: detach_announces_number_that_opens on a kernel that sends the event
 * before the number changes, disk_can_be_opened_when_announced on one that has a new
 * disk in the index after its event, and its sibling for partitions on one whose
 * add_partition() was changed in the same way.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <linux/netlink.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define KERNEL_EVENTS	1	/* multicast group; udev sends its own to 2 */

FIXTURE(uevent)
{
	int socket;
	int nr;
	char name[16];		/* the disk's, as DEVNAME has it */
	int image, other;
	/* The event that next_event() has found: "ACTION@PATH", "KEY=VALUE"... */
	char event[8192];
	ssize_t length;
};

FIXTURE_SETUP(uevent)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_EVENTS,
	};

	diskseqfs_private();
	self->image = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->other = image_create("WRONG-DISK", IMAGE_SIZE);
	/* One of our own, whose events are all caused by the test. */
	self->nr = loop_add(-1);
	ASSERT_LE(0, self->nr);
	snprintf(self->name, sizeof(self->name), "loop%d", self->nr);

	self->socket = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			      NETLINK_KOBJECT_UEVENT);
	ASSERT_LE(0, self->socket);
	ASSERT_EQ(0, bind(self->socket, (struct sockaddr *)&address,
			  sizeof(address)));
}

FIXTURE_TEARDOWN(uevent)
{
	int fd = open(loop_path(self->nr), O_RDONLY);

	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
	loop_remove(self->nr);
}

/* The value of a variable of the event, or "". */
static const char *event_value(FIXTURE_DATA(uevent) *self, const char *key)
{
	size_t length = strlen(key);
	const char *p = self->event, *end = p + self->length;

	for (; p < end; p += strlen(p) + 1) {
		if (!strncmp(p, key, length) && p[length] == '=')
			return p + length + 1;
	}
	return "";
}

static uint64_t event_number(FIXTURE_DATA(uevent) *self)
{
	return strtoull(event_value(self, "DISKSEQ"), NULL, 10);
}

static const char *decimal(uint64_t number)
{
	static char string[24];

	snprintf(string, sizeof(string), "%" PRIu64, number);
	return string;
}

/* Wait for the next event of the block device @name; false if none comes. */
static bool next_event(FIXTURE_DATA(uevent) *self, const char *name)
{
	struct pollfd pollfd = { .fd = self->socket, .events = POLLIN };

	while (poll(&pollfd, 1, WAIT_S * 1000) == 1) {
		self->length = recv(self->socket, self->event,
				    sizeof(self->event) - 1, 0);
		if (self->length < 0)
			return false;
		self->event[self->length] = 0;
		if (!strcmp(event_value(self, "SUBSYSTEM"), "block") &&
		    !strcmp(event_value(self, "DEVNAME"), name))
			return true;
	}
	return false;
}

/* Wait for an event of the disk that says so: "KEY=VALUE". */
static bool next_event_with(FIXTURE_DATA(uevent) *self, const char *name,
			    const char *key, const char *value)
{
	while (next_event(self, name)) {
		if (!strcmp(event_value(self, key), value))
			return true;
	}
	return false;
}

/*
 * A detach is announced to who watches media with the number that the device
 * has from then on.
 */
TEST_F(uevent, detach_announces_number_that_opens)
{
	uint64_t attached = loop_attach(self->nr, self->image, 0), detached;
	int fd;

	ASSERT_TRUE(next_event_with(self, self->name, "DISKSEQ",
				    decimal(attached)));
	loop_detach(self->nr);
	ASSERT_TRUE(next_event_with(self, self->name, "DISK_MEDIA_CHANGE", "1"));
	EXPECT_STREQ("change", event_value(self, "ACTION"));
	detached = event_number(self);

	EXPECT_LT(attached, detached);
	EXPECT_TRUE(is_gone(attached, 0));
	fd = open_by_number(detached, 0, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
}

/* What is announced last of a medium that comes is its number. */
TEST_F(uevent, attach_announces_number_that_opens)
{
	uint64_t number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
	int fd;

	ASSERT_TRUE(next_event_with(self, self->name, "DISKSEQ",
				    decimal(number)));
	EXPECT_STREQ("change", event_value(self, "ACTION"));
	EXPECT_TRUE(opens_as(event_number(self), 0, "RIGHT-DISK"));

	/* So it is of one that is exchanged. */
	fd = open(loop_path(self->nr), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD, self->other));
	ASSERT_TRUE(next_event_with(self, self->name, "DISKSEQ",
				    decimal(diskseq_of(fd))));
	EXPECT_TRUE(opens_as(event_number(self), 0, "WRONG-DISK"));
	close(fd);
}

static void *add_disk(void *arg)
{
	int *nr = arg;

	return loop_add(*nr) == *nr ? arg : NULL;
}

/* A disk can be opened by its number as soon as its ADD event is there. */
TEST_F(uevent, disk_can_be_opened_when_announced)
{
	pthread_t thread;
	void *added;
	int fd;

	ASSERT_EQ(0, loop_remove(self->nr));
	ASSERT_EQ(0, pthread_create(&thread, NULL, add_disk, &self->nr));
	EXPECT_TRUE(next_event_with(self, self->name, "ACTION", "add"));
	fd = open_by_number(event_number(self), 0, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	pthread_join(thread, &added);
	EXPECT_NE(NULL, added);
}

static void *add_partition(void *arg)
{
	struct blkpg_partition part = {
		.start = 4096,
		.length = IMAGE_SIZE / 2,
		.pno = 1,
	};
	struct blkpg_ioctl_arg blkpg = {
		.op = BLKPG_ADD_PARTITION,
		.datalen = sizeof(part),
		.data = &part,
	};

	return ioctl(*(int *)arg, BLKPG, &blkpg) ? NULL : arg;
}

/* The same of a partition. */
TEST_F(uevent, partition_can_be_opened_when_announced)
{
	uint64_t number = loop_attach(self->nr, self->image, 0);
	char name[24];
	pthread_t thread;
	void *added;
	int disk, fd;

	disk = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, disk);
	snprintf(name, sizeof(name), "%sp1", self->name);
	ASSERT_EQ(0, pthread_create(&thread, NULL, add_partition, &disk));
	EXPECT_TRUE(next_event_with(self, name, "ACTION", "add"));
	EXPECT_STREQ("1", event_value(self, "PARTN"));
	EXPECT_EQ(number, event_number(self));
	fd = open_by_number(event_number(self), 1, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	pthread_join(thread, &added);
	EXPECT_NE(NULL, added);
	close(disk);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, "file:/proc/net/netlink")
