// SPDX-License-Identifier: GPL-2.0
/*
 * A loop device that is used again and again: the case that made disks have
 * sequence numbers.  Each test shows what the three ways to a disk lead to
 * after the change: the old number (nothing), the new number (the new disk) and
 * the device node (the new disk, for somebody who wanted the old one).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

FIXTURE(loop)
{
	int nr;
	int right, wrong;	/* the image that is wanted, and another */
	uint64_t number;	/* the disk's, while the right image is attached */
};

FIXTURE_SETUP(loop)
{
	diskseqfs_private();
	self->right = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->wrong = image_create("WRONG-DISK", IMAGE_SIZE);
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, self->right, LO_FLAGS_READ_ONLY);
}

FIXTURE_TEARDOWN(loop)
{
	int fd = open(loop_path(self->nr), O_RDONLY);

	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

/* The three ways, once @nr has another image and another number. */
static void expect_new_disk(struct __test_metadata *_metadata, int nr,
			    uint64_t old, uint64_t new)
{
	EXPECT_NE(old, new);
	EXPECT_TRUE(is_gone(old, 0));
	EXPECT_TRUE(opens_as(new, 0, "WRONG-DISK"));
	/* Who wanted the right disk has been given the wrong one. */
	EXPECT_TRUE(node_opens_as(loop_path(nr), "WRONG-DISK"));
}

/* The number opens the disk that it was read from. */
TEST_F(loop, number_opens_the_attached_image)
{
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));
	EXPECT_TRUE(node_opens_as(loop_path(self->nr), "RIGHT-DISK"));
}

/* Another image on the same minor does not answer to the old number. */
TEST_F(loop, detach_and_attach_retires_number)
{
	uint64_t new;

	loop_detach(self->nr);
	new = loop_attach(self->nr, self->wrong, 0);
	expect_new_disk(_metadata, self->nr, self->number, new);
}

/* Nor does another device that was made with the same minor. */
TEST_F(loop, remove_and_add_of_minor_retires_number)
{
	uint64_t removed, new;

	loop_detach(self->nr);
	removed = diskseq_of_path(loop_path(self->nr));
	ASSERT_EQ(0, loop_remove(self->nr));
	EXPECT_TRUE(is_gone(self->number, 0));
	EXPECT_TRUE(is_gone(removed, 0));
	EXPECT_EQ(-1, open(loop_path(self->nr), O_RDONLY));

	ASSERT_EQ(self->nr, loop_add(self->nr));
	EXPECT_TRUE(is_gone(removed, 0));
	new = loop_attach(self->nr, self->wrong, 0);
	expect_new_disk(_metadata, self->nr, self->number, new);
}

/* An image that is exchanged while attached takes another number. */
TEST_F(loop, change_fd_retires_number)
{
	int fd = open(loop_path(self->nr), O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD, self->wrong));
	expect_new_disk(_metadata, self->nr, self->number, diskseq_of(fd));
	close(fd);
}

/*
 * The limit of what an open can guarantee: an image that is exchanged under an
 * open descriptor is exchanged for it too, and its number tells.
 */
TEST_F(loop, change_fd_shows_in_number_of_open_descriptor)
{
	int fd = open_by_number(self->number, 0, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "RIGHT-DISK"));
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD, self->wrong));
	EXPECT_TRUE(has_stamp(fd, "WRONG-DISK"));
	EXPECT_LT(self->number, diskseq_of(fd));
	expect_new_disk(_metadata, self->nr, self->number, diskseq_of(fd));
	close(fd);
}

/* A detached device is a disk without content, with a number until it is used. */
TEST_F(loop, detached_device_has_number_of_its_own)
{
	uint64_t empty, new, size;
	int fd;

	loop_detach(self->nr);
	empty = diskseq_of_path(loop_path(self->nr));
	EXPECT_LT(self->number, empty);

	fd = open_by_number(empty, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(empty, diskseq_of(fd));
	EXPECT_EQ(0, ioctl(fd, BLKGETSIZE64, &size));
	EXPECT_EQ(0, size);
	close(fd);

	new = loop_attach(self->nr, self->wrong, 0);
	EXPECT_LT(empty, new);
	EXPECT_TRUE(is_gone(empty, 0));
	expect_new_disk(_metadata, self->nr, self->number, new);
}

/*
 * The last close of a descriptor that was opened by number detaches, as with
 * any descriptor, and that retires the number at once.
 */
TEST_F(loop, autoclear_on_last_close_retires_number)
{
	int nr = loop_get_free(), held, fd;
	uint64_t number;

	held = open(loop_path(nr), O_RDONLY);
	ASSERT_LE(0, held);
	number = loop_attach(nr, self->right, LO_FLAGS_AUTOCLEAR);

	fd = open_by_number(number, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	close(held);
	EXPECT_TRUE(has_stamp(fd, "RIGHT-DISK"));
	EXPECT_TRUE(opens_as(number, 0, "RIGHT-DISK"));

	close(fd);
	EXPECT_TRUE(is_gone(number, 0));
	loop_wait_detached(nr);

	expect_new_disk(_metadata, nr, number,
			loop_attach(nr, self->wrong, 0));
	loop_detach(nr);
}

/*
 * A detach waits for the last close: until then the number means, and opens,
 * the disk that it always did.
 */
TEST_F(loop, held_descriptor_defers_detach)
{
	int held, fd;

	held = open_by_number(self->number, 0, O_RDONLY);
	ASSERT_LE(0, held);
	fd = open(loop_path(self->nr), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CLR_FD, 0));
	close(fd);

	EXPECT_TRUE(has_stamp(held, "RIGHT-DISK"));
	EXPECT_EQ(self->number, diskseq_of(held));
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));
	EXPECT_TRUE(node_opens_as(loop_path(self->nr), "RIGHT-DISK"));

	close(held);
	EXPECT_TRUE(is_gone(self->number, 0));
	expect_new_disk(_metadata, self->nr, self->number,
			loop_attach(self->nr, self->wrong, 0));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
