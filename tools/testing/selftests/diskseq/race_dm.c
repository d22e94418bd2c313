// SPDX-License-Identifier: GPL-2.0
/* Device-mapper devices for the race program. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <linux/dm-ioctl.h>

#include "diskseq_util.h"
#include "race.h"

#define FIRST_MINOR	200

static int control_fd = -1;

struct request {
	struct dm_ioctl dm;
	struct dm_target_spec spec;
	char params[128];
};

/* @nr is part of the device's name, @suffix too. */
static void prepare(struct request *r, const struct target *t,
		    const char *suffix)
{
	*r = (struct request) {
		.dm = {
			.version = { DM_VERSION_MAJOR },
			.data_size = sizeof(*r),
			.data_start = offsetof(struct request, spec),
		},
	};
	snprintf(r->dm.name, sizeof(r->dm.name), "race%u%s", t->nr, suffix);
}

static void dm(struct request *r, unsigned long command, const char *what)
{
	if (ioctl(control_fd, command, r))
		err(1, "%s %s", what, r->dm.name);
}

/*
 * To exchange the table of a device that is mounted its file system is frozen,
 * which fails if it is just being unmounted (EINVAL of fs_bdev_freeze()).
 */
static int load_and_resume_step(struct target *t)
{
	struct request r;

	prepare(&r, t, "");
	r.dm.target_count = 1;
	r.spec.length = IMAGE_SIZE / 512;
	memcpy(r.spec.target_type, "linear", sizeof("linear"));
	snprintf(r.params, sizeof(r.params), "%s 0",
		 loop_path(t->image[1]));
	dm(&r, DM_TABLE_LOAD, "DM_TABLE_LOAD");
	prepare(&r, t, "");
	if (!ioctl(control_fd, DM_DEV_SUSPEND, &r))
		return 0;
	if (errno == EINVAL)
		errno = EBUSY;
	return -1;
}

static const char *dm_setup(struct target *t)
{
	static unsigned int devices;

	if (control_fd < 0)
		control_fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control_fd < 0)
		return "needs device-mapper";
	t->nr = FIRST_MINOR + devices++;
	snprintf(t->node, sizeof(t->node), "/dev/dm-%u", t->nr);
	/* A file, and the loop device that makes a disk of it. */
	t->image[0] = image_create("", IMAGE_SIZE);
	t->image[1] = loop_add(-1);
	if (t->image[1] < 0)
		err(1, "LOOP_CTL_ADD");
	loop_attach(t->image[1], t->image[0], 0);
	return NULL;
}

/* The name is free, but the minor is only when the last user has closed it. */
static int create_step(struct target *t)
{
	struct request r;

	prepare(&r, t, "");
	r.dm.flags = DM_PERSISTENT_DEV_FLAG;
	r.dm.dev = makedev(0, t->nr);
	if (!ioctl(control_fd, DM_DEV_CREATE, &r))
		return 0;
	if (errno == ENXIO)
		errno = EBUSY;
	return -1;
}

static uint64_t create(struct target *t)
{
	uint64_t number;

	race_persist(t, "DM_DEV_CREATE", create_step);
	race_persist(t, "resume", load_and_resume_step);
	t->up = true;
	number = diskseq_of_path(t->node);
	stamp_path(t->node, number, 0);
	return number;
}

static int remove_step(struct target *t)
{
	struct request r;

	prepare(&r, t, "");
	return ioctl(control_fd, DM_DEV_REMOVE, &r);
}

static void dm_teardown(struct target *t)
{
	if (t->up)
		race_persist(t, "DM_DEV_REMOVE", remove_step);
	loop_detach(t->image[1]);
	close(t->image[0]);
}

static uint64_t dm_remove_turn(struct target *t)
{
	if (t->up)
		race_persist(t, "DM_DEV_REMOVE", remove_step);
	return create(t);
}

const struct kind dm_remove_kind = {
	.name		= "dm-remove",
	.help		= "a device removed, and created with the same minor",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= dm_setup,
	.turn		= dm_remove_turn,
	.teardown	= dm_teardown,
};

/* It exists until its last user closes it. */
static int gone_step(struct target *t)
{
	struct request r;

	prepare(&r, t, "");
	if (ioctl(control_fd, DM_DEV_STATUS, &r))
		return 0;
	errno = EBUSY;
	return -1;
}

static uint64_t dm_deferred_turn(struct target *t)
{
	struct request r;

	if (t->up) {
		prepare(&r, t, "");
		r.dm.flags = DM_DEFERRED_REMOVE;
		dm(&r, DM_DEV_REMOVE, "DM_DEV_REMOVE");
		race_persist(t, "deferred DM_DEV_REMOVE", gone_step);
	}
	return create(t);
}

const struct kind dm_deferred_kind = {
	.name		= "dm-deferred",
	.help		= "the same, with deferred removal",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= dm_setup,
	.turn		= dm_deferred_turn,
	.teardown	= dm_teardown,
};

static void rename_device(struct target *t, const char *from, const char *to)
{
	struct request r;

	prepare(&r, t, from);
	snprintf((char *)&r.spec, sizeof(r.spec), "race%u%s", t->nr, to);
	dm(&r, DM_DEV_RENAME, "DM_DEV_RENAME");
}

static uint64_t dm_rename_turn(struct target *t)
{
	if (!t->up)
		return create(t);
	rename_device(t, "", "-renamed");
	rename_device(t, "-renamed", "");
	race_persist(t, "resume", load_and_resume_step);
	return t->number;
}

const struct kind dm_rename_kind = {
	.name		= "dm-rename",
	.help		= "a device renamed and its table loaded again: stays",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.stays		= true,
	.slow		= true,
	.setup		= dm_setup,
	.turn		= dm_rename_turn,
	.teardown	= dm_teardown,
};
