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
#include <linux/loop.h>

#include "diskseq_util.h"
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
	int fd;

	EXPECT_NE(old, new);

	fd = open_by_number(old, 0, O_RDONLY);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(ENOENT, errno);

	fd = open_by_number(new, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(new, diskseq_of(fd));
	EXPECT_TRUE(has_stamp(fd, "WRONG-DISK"));
	close(fd);

	/* Who wanted the right disk has been given the wrong one. */
	fd = open(loop_path(nr), O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "WRONG-DISK"));
	close(fd);
}

/* The number opens the disk that it was read from. */
TEST_F(loop, number_opens_the_attached_image)
{
	int fd = open_by_number(self->number, 0, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(self->number, diskseq_of(fd));
	EXPECT_TRUE(has_stamp(fd, "RIGHT-DISK"));
	close(fd);
}

/* Another image on the same minor does not answer to the old number. */
TEST_F(loop, detach_and_attach_retires_number)
{
	uint64_t new;

	loop_detach(self->nr);
	new = loop_attach(self->nr, self->wrong, 0);
	expect_new_disk(_metadata, self->nr, self->number, new);
}

TEST_HARNESS_MAIN
