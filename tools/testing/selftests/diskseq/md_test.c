// SPDX-License-Identifier: GPL-2.0
/*
 * An MD array is a disk from when it starts until it stops: it has one number,
 * which its event announces and which opens.
 *
 * SEEN failing on a kernel that numbers the array when it is first opened, and
 * announces it before; and on one where an array that is stopped keeps its number.
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>

#include "diskseq_util.h"
#include "need.h"
#include "uevent_util.h"
#include "../kselftest_harness.h"

#define NEW_ARRAY	"/sys/module/md_mod/parameters/new_array"
#define MINOR		77
#define NAME		"md77"
#define NODE		"/dev/" NAME
#define STATE		"/sys/block/" NAME "/md/array_state"
#define ARRAY_SIZE_FILE	"/sys/block/" NAME "/md/array_size"

#define PART_START	4096
#define PART_SIZE	8192

FIXTURE(md)
{
	int image;
	int loop;
	int socket;
};

FIXTURE_SETUP(md)
{
	diskseqfs_private();
	self->loop = loop_get_free();
	self->image = image_create("", IMAGE_SIZE);
	loop_attach(self->loop, self->image, 0);
	self->socket = uevent_listen();
}

static int stop(void)
{
	int fd = open(NODE, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return 0;
	ret = ioctl(fd, STOP_ARRAY, NULL);
	close(fd);
	return ret;
}

FIXTURE_TEARDOWN(md)
{
	if (self->socket <= 0)
		return;
	wait_until(!stop());
	/* It goes after its last user. */
	wait_until(access("/sys/block/" NAME, F_OK));
	loop_detach(self->loop);
}

/* Assemble and start an array of the loop device. */
static void start(FIXTURE_DATA(md) *self)
{
	mdu_array_info_t array = {
		.level = 0, .raid_disks = 1, .not_persistent = 1,
		.md_minor = MINOR, .chunk_size = 65536,
	};
	mdu_disk_info_t disk = {
		.major = LOOP_MAJOR,
		.minor = self->loop,
		.state = 1 << MD_DISK_SYNC | 1 << MD_DISK_ACTIVE,
	};
	int fd;

	if (!wait_until(!put(NEW_ARRAY, NAME) || errno != EEXIST))
		err(1, NEW_ARRAY);
	fd = open(NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SET_ARRAY_INFO, &array) ||
	    ioctl(fd, ADD_NEW_DISK, &disk) || ioctl(fd, RUN_ARRAY, NULL))
		err(1, "assembling " NODE);
	close(fd);
}

/* The number that an event announces, the only one, is found and stays. */
static void expect_one_event(struct __test_metadata *_metadata, int socket,
			     uint64_t *number)
{
	struct uevent event;
	uint64_t size = 0;
	int fd;

	/* The one before is not found in sysfs some time before it is removed. */
	do {
		ASSERT_TRUE(uevent_next(socket, NAME, WAIT_S * 1000, &event));
	} while (!strcmp(event.action, "remove") ||
		 !strcmp(event.action, "add"));
	EXPECT_STREQ("change", event.action);
	fd = open_by_number(event.diskseq, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ioctl(fd, BLKGETSIZE64, &size));
	EXPECT_LT(0, size);
	EXPECT_EQ(event.diskseq, diskseq_of(fd));
	close(fd);
	EXPECT_EQ(event.diskseq, diskseq_of_path(NODE));
	EXPECT_EQ(0, uevent_drain(socket, NAME));
	*number = event.diskseq;
}

/* What is announced when an array starts is the number that it keeps. */
TEST_F(md, start_announces_the_number_that_opens)
{
	uint64_t number, next;

	start(self);
	expect_one_event(_metadata, self->socket, &number);

	/* The same name, for the next one. */
	ASSERT_TRUE(wait_until(!stop()));
	ASSERT_TRUE(wait_until(access("/sys/block/" NAME, F_OK)));
	EXPECT_TRUE(is_gone(number, 0));
	uevent_drain(self->socket, NAME);
	start(self);
	expect_one_event(_metadata, self->socket, &next);
	EXPECT_LT(number, next);
}

/* One that is stopped, and not taken apart, is not that disk any more. */
TEST_F(md, stopped_array_has_another_number)
{
	uint64_t number, again;

	start(self);
	expect_one_event(_metadata, self->socket, &number);
	ASSERT_TRUE(wait_until(!put(STATE, "inactive")));
	EXPECT_TRUE(is_gone(number, 0));
	uevent_drain(self->socket, NAME);

	ASSERT_EQ(0, put(STATE, "active"));
	expect_one_event(_metadata, self->socket, &again);
	EXPECT_LT(number, again);
}

/* It is the same array if it is read-only, or smaller. */
TEST_F(md, array_keeps_its_number_while_it_runs)
{
	uint64_t number;

	start(self);
	expect_one_event(_metadata, self->socket, &number);
	ASSERT_TRUE(wait_until(!put(STATE, "readonly")));
	EXPECT_EQ(number, diskseq_of_path(NODE));
	ASSERT_EQ(0, put(STATE, "active"));
	EXPECT_EQ(number, diskseq_of_path(NODE));
	ASSERT_EQ(0, put(ARRAY_SIZE_FILE, "256"));
	EXPECT_EQ(number, diskseq_of_path(NODE));
	EXPECT_TRUE(opens_as(number, 0, ""));
}

/* Its table is read when the array that starts is opened. */
TEST_F(md, partitions_are_those_of_the_array_that_starts)
{
	uint64_t number;

	partition_write_table(self->image, PART_START, PART_SIZE);
	start(self);
	number = diskseq_of_path(NODE);
	EXPECT_TRUE(opens_as(number, 1, ""));

	/* Of the next one, which has none, no partition is left. */
	ASSERT_TRUE(wait_until(!put(STATE, "inactive")));
	ASSERT_EQ(64, pwrite(self->image, (char[64]) {}, 64, 446));
	ASSERT_EQ(0, put(STATE, "active"));
	number = diskseq_of_path(NODE);
	EXPECT_TRUE(is_gone(number, 1));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, "file:" NEW_ARRAY)
