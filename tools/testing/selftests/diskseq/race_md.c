// SPDX-License-Identifier: GPL-2.0
/* MD arrays, of a loop device each, for the race program. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>

#include "diskseq_util.h"
#include "race.h"

#define FIRST_MINOR	100
#define NEW_ARRAY	"/sys/module/md_mod/parameters/new_array"

static const char *md_setup(struct target *t)
{
	static unsigned int devices;

	if (access(NEW_ARRAY, F_OK))
		return "needs md";
	t->nr = FIRST_MINOR + devices++;
	snprintf(t->node, sizeof(t->node), "/dev/md%u", t->nr);
	/* A file, and the loop device that makes a disk of it. */
	t->image[0] = image_create("", IMAGE_SIZE);
	t->image[1] = loop_add(-1);
	if (t->image[1] < 0)
		err(1, "LOOP_CTL_ADD");
	loop_attach(t->image[1], t->image[0], 0);
	return NULL;
}

static int stop_step(struct target *t)
{
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);
	int ret, error;

	if (fd < 0)
		err(1, "%s", t->node);
	ret = ioctl(fd, STOP_ARRAY, NULL);
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

/* It is there until the last user of the one before has closed it. */
static int create_step(struct target *t)
{
	if (!race_write(NEW_ARRAY, t->node + strlen("/dev/")))
		return 0;
	if (errno == EEXIST)
		errno = EBUSY;
	return -1;
}

static uint64_t md_turn(struct target *t)
{
	mdu_array_info_t array = {
		.level = 0, .raid_disks = 1, .not_persistent = 1,
		.md_minor = t->nr, .chunk_size = 65536,
	};
	mdu_disk_info_t disk = {
		.state = 1 << MD_DISK_SYNC | 1 << MD_DISK_ACTIVE,
	};
	struct stat st;
	uint64_t number;
	int fd;

	if (t->up)
		race_persist(t, "STOP_ARRAY", stop_step);
	race_persist(t, NEW_ARRAY, create_step);
	if (stat(loop_path(t->image[1]), &st))
		err(1, "%s", loop_path(t->image[1]));
	disk.major = major(st.st_rdev);
	disk.minor = minor(st.st_rdev);
	fd = open(t->node, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SET_ARRAY_INFO, &array) ||
	    ioctl(fd, ADD_NEW_DISK, &disk) || ioctl(fd, RUN_ARRAY, NULL))
		err(1, "assembling %s", t->node);
	close(fd);
	t->up = true;
	number = diskseq_of_path(t->node);
	stamp_path(t->node, number, 0);
	return number;
}

static void md_teardown(struct target *t)
{
	if (t->up)
		race_persist(t, "STOP_ARRAY", stop_step);
	loop_detach(t->image[1]);
	close(t->image[0]);
}

const struct kind md_kind = {
	.name		= "md",
	.help		= "an array stopped and assembled with the same minor",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= md_setup,
	.turn		= md_turn,
	.teardown	= md_teardown,
};
