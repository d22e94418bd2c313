// SPDX-License-Identifier: GPL-2.0
/*
 * Disks that the host changes, for the race program.  The machine has a port that
 * leads to QEMU's own monitor (QMP), a slot to plug disks into, a CD-ROM drive and a
 * card reader, by the names below, and a folder that host and guest can write.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diskseq_util.h"
#include "race.h"

/* The machine's parts */
#define PORT		"race-qmp"
#define SLOT		"race-slot"
#define DISK		"race-disk"
#define IMAGE		"race-disk-image"
#define DRIVE		"race-cd"
#define READER		"race-card"
#define FOLDER		"DISKSEQ_RACE_FOLDER"
#define NEEDS		"needs a machine made for it, see race_qemu.c"

static int monitor_fd;
static FILE *monitor;	/* the same, to read from */

static const char *open_monitor(void)
{
	char path[300], name[32];
	glob_t found;

	if (monitor)
		return NULL;
	if (!getenv(FOLDER))
		return NEEDS;
	glob("/sys/class/virtio-ports/*/name", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && !monitor; i++) {
		race_read(found.gl_pathv[i], name, sizeof(name));
		if (strcmp(name, PORT "\n"))
			continue;
		*strrchr(found.gl_pathv[i], '/') = '\0';
		snprintf(path, sizeof(path), "/dev/%s",
			 strrchr(found.gl_pathv[i], '/') + 1);
		monitor_fd = open(path, O_RDWR | O_CLOEXEC);
		if (monitor_fd < 0)
			err(1, "%s", path);
		monitor = fdopen(monitor_fd, "re");
	}
	globfree(&found);
	if (!monitor)
		return NEEDS;
	return NULL;
}

/* Have QEMU do something; -1 with EBUSY if it cannot. */
static int qmp(const char *command, const char *arguments)
{
	char *line = NULL;
	size_t size = 0;
	int ret = -1;

	if (dprintf(monitor_fd, "{'execute': '%s', 'arguments': {%s}}\n",
		    command, arguments) < 0)
		err(1, "QMP");
	/* Between them there are events. */
	for (;;) {
		if (getline(&line, &size, monitor) < 0)
			err(1, "QMP");
		if (!strncmp(line, "{\"return\"", 9))
			ret = 0;
		else if (strncmp(line, "{\"error\"", 8))
			continue;
		break;
	}
	free(line);
	errno = EBUSY;
	return ret;
}

static const char *qemu_setup(void)
{
	static bool ready;
	const char *missing = open_monitor();

	if (missing || ready)
		return missing;
	if (qmp("qmp_capabilities", ""))
		errx(1, "QMP does not start");
	ready = true;
	return NULL;
}

/* The disk whose serial number is DISK, if it is there. */
static int find_disk_step(struct target *t)
{
	char serial[32];
	glob_t found;
	int ret = -1;

	glob("/sys/block/vd*/serial", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && ret; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");

		if (!file)
			continue;
		if (fgets(serial, sizeof(serial), file) &&
		    !strncmp(serial, DISK, strlen(DISK))) {
			*strrchr(found.gl_pathv[i], '/') = '\0';
			snprintf(t->node, sizeof(t->node), "/dev/%.32s",
				 strrchr(found.gl_pathv[i], '/') + 1);
			ret = 0;
		}
		fclose(file);
	}
	globfree(&found);
	errno = EBUSY;
	return ret;
}

static int disk_is_gone_step(struct target *t)
{
	if (!find_disk_step(t)) {
		errno = EBUSY;
		return -1;
	}
	return 0;
}

static int plug_step(struct target *t)
{
	(void)t;
	return qmp("device_add",
		   "'driver': 'virtio-blk-pci', 'drive': '" IMAGE
		   "', 'serial': '" DISK
		   "', 'id': '" DISK
		   "', 'bus': '" SLOT "'");
}

static int unplug_step(struct target *t)
{
	(void)t;
	return qmp("device_del", "'id': '" DISK "'");
}

static const char *virtio_setup(struct target *t)
{
	snprintf(t->node, sizeof(t->node), "virtio-blk");
	return qemu_setup();
}

static void virtio_teardown(struct target *t)
{
	if (!t->up)
		return;
	race_persist(t, "unplug", unplug_step);
	race_persist(t, "removal", disk_is_gone_step);
}

static uint64_t virtio_turn(struct target *t)
{
	uint64_t number;

	virtio_teardown(t);
	race_persist(t, "plug", plug_step);
	race_persist(t, "disk", find_disk_step);
	race_persist(t, "open", race_open_step);
	t->up = true;
	number = diskseq_of_path(t->node);
	stamp_path(t->node, number, 0);
	return number;
}

const struct kind virtio_kind = {
	.name		= "virtio-blk",
	.help		= "unplugged, also while it is open, and plugged in",
	.held		= true,
	.writes		= true,
	.single		= true,
	.slow		= true,
	.setup		= virtio_setup,
	.turn		= virtio_turn,
	.teardown	= virtio_teardown,
};

/* The files that are put into a drive. */
static void open_media(struct target *t, const char *name)
{
	char path[300];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s%d", getenv(FOLDER), name, i);
		t->image[i] = open(path, O_RDWR | O_CLOEXEC);
		if (t->image[i] < 0)
			err(1, "%s", path);
	}
}

static const char *cd_setup(struct target *t)
{
	const char *missing = qemu_setup();

	if (missing)
		return missing;
	snprintf(t->node, sizeof(t->node), "/dev/sr0");
	open_media(t, "cd");
	return NULL;
}

static int insert(struct target *t, const char *drive, const char *name,
		  const char *mode)
{
	char arguments[512];

	snprintf(arguments, sizeof(arguments),
		 "'id': '%s', 'filename': '%s/%s%lu', 'format': 'raw', 'read-only-mode': '%s', 'force': true",
		 drive, getenv(FOLDER), name, t->turn % 2, mode);
	return qmp("blockdev-change-medium", arguments);
}

static int insert_cd_step(struct target *t)
{
	return insert(t, DRIVE, "cd", "read-only");
}

static int insert_card_step(struct target *t)
{
	return insert(t, READER, "card", "read-write");
}

/* The other one, until the driver knows that it is another one. */
static uint64_t media_turn(struct target *t, int (*step)(struct target *t))
{
	uint64_t label = medium_next(t, t->turn % 2), number;

	do {
		race_step(t);
		beside_settle();
		race_persist(t, "insertion", step);
	} while (!race_notice(t));
	number = diskseq_of_path(t->node);
	label_number(number, label);
	return number;
}

static uint64_t cd_turn(struct target *t)
{
	return media_turn(t, insert_cd_step);
}

static void media_teardown(struct target *t)
{
	for (int i = 0; i < 2; i++)
		close(t->image[i]);
}

const struct kind cd_kind = {
	.name		= "cd",
	.help		= "the host puts another CD into the drive",
	.lazy		= true,
	.drive		= true,
	.tells		= true,
	.ready		= true,
	.single		= true,
	.slow		= true,
	.setup		= cd_setup,
	.turn		= cd_turn,
	.teardown	= media_teardown,
};

/* The disk whose model is that of the card reader. */
static const char *card_setup(struct target *t)
{
	const char *missing = qemu_setup();
	char name[32];
	glob_t found;

	if (missing)
		return missing;
	*t->node = '\0';
	glob("/sys/block/sd*/device/model", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		race_read(found.gl_pathv[i], name, sizeof(name));
		if (!strncmp(name, READER, strlen(READER)))
			snprintf(t->node, sizeof(t->node), "/dev/%.*s",
				 (int)strcspn(found.gl_pathv[i] +
					      strlen("/sys/block/"), "/"),
				 found.gl_pathv[i] + strlen("/sys/block/"));
	}
	globfree(&found);
	if (!*t->node)
		return NEEDS;
	open_media(t, "card");
	return NULL;
}

static uint64_t card_turn(struct target *t)
{
	return media_turn(t, insert_card_step);
}

const struct kind card_kind = {
	.name		= "card",
	.help		= "the host puts another card into the reader",
	.lazy		= true,
	.drive		= true,
	.tells		= true,
	.ready		= true,
	.table		= true,
	.writes		= true,
	.single		= true,
	.slow		= true,
	.setup		= card_setup,
	.turn		= card_turn,
	.teardown	= media_teardown,
};
