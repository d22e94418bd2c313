// SPDX-License-Identifier: GPL-2.0
/* Loop devices for the race program. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "race.h"

static const char *loop_setup(struct target *t)
{
	int nr = loop_add(-1);

	if (nr < 0)
		err(1, "LOOP_CTL_ADD");
	t->nr = nr;
	snprintf(t->node, sizeof(t->node), "%s", loop_path(nr));
	for (int i = 0; i < 2; i++)
		t->image[i] = image_create("", IMAGE_SIZE);
	return NULL;
}

static void loop_teardown(struct target *t)
{
	if (t->up)
		loop_detach(t->nr);
	for (int i = 0; i < 2; i++)
		close(t->image[i]);
}

static uint64_t attach_next(struct target *t)
{
	uint64_t number = loop_attach(t->nr, t->image[t->turn % 2], 0);

	t->up = true;
	stamp_path(t->node, number, 0);
	return number;
}

static uint64_t loop_attach_turn(struct target *t)
{
	if (t->up) {
		loop_detach(t->nr);
		race_step(t);
	}
	return attach_next(t);
}

const struct kind loop_attach_kind = {
	.name		= "loop-attach",
	.help		= "LOOP_CLR_FD, then LOOP_CONFIGURE of another file",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= loop_setup,
	.turn		= loop_attach_turn,
	.teardown	= loop_teardown,
};

static int remove_step(struct target *t)
{
	return loop_remove(t->nr);
}

static uint64_t loop_remove_turn(struct target *t)
{
	if (t->up) {
		loop_detach(t->nr);
		race_persist(t, "LOOP_CTL_REMOVE", remove_step);
		/*
		 * Who opens a stale node makes the kernel add it, too, which
		 * then may not have come to its end.
		 */
		if (loop_add(t->nr) < 0 && errno != EEXIST)
			err(1, "LOOP_CTL_ADD %s", t->node);
		race_persist(t, "LOOP_CTL_ADD", race_open_step);
	}
	return attach_next(t);
}

const struct kind loop_remove_kind = {
	.name		= "loop-remove",
	.help		= "LOOP_CTL_REMOVE, then LOOP_CTL_ADD of the same minor",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= loop_setup,
	.turn		= loop_remove_turn,
	.teardown	= loop_teardown,
};

static uint64_t loop_change_turn(struct target *t)
{
	uint64_t label = medium_next(t, t->turn % 2), number;
	int image = t->image[t->turn % 2];
	int fd;

	if (!t->up) {
		number = loop_attach(t->nr, image,
				     LO_FLAGS_READ_ONLY | LO_FLAGS_PARTSCAN);
		t->up = true;
	} else {
		fd = open(t->node, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, LOOP_CHANGE_FD, image))
			err(1, "LOOP_CHANGE_FD %s", t->node);
		number = diskseq_of(fd);
		close(fd);
	}
	label_number(number, label);
	return number;
}

const struct kind loop_change_kind = {
	.name		= "loop-change",
	.help		= "LOOP_CHANGE_FD, which changes disks that are open",
	.tells		= true,
	.ready		= true,
	.table		= true,
	.setup		= loop_setup,
	.turn		= loop_change_turn,
	.teardown	= loop_teardown,
};

static void remount(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mutex);
	if (umount2(diskseqfs_dir, MNT_DETACH) ||
	    mount("diskseqfs", diskseqfs_dir, "diskseqfs", 0, NULL))
		err(1, "%s", diskseqfs_dir);
	pthread_mutex_unlock(&mutex);
}

static uint64_t remount_turn(struct target *t)
{
	remount();
	return loop_attach_turn(t);
}

const struct kind remount_kind = {
	.name		= "remount",
	.help		= "diskseqfs unmounted and mounted, and loop-attach",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= loop_setup,
	.turn		= remount_turn,
	.teardown	= loop_teardown,
};
