// SPDX-License-Identifier: GPL-2.0
/* SCSI disks of scsi_debug for the race program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "diskseq_util.h"
#include "race.h"

#define DRIVER		"/sys/bus/pseudo/drivers/scsi_debug/"
#define DEADLINE_S	30

static int newest_host(void)
{
	DIR *dir = opendir("/sys/class/scsi_host");
	struct dirent *entry;
	int host, newest = -1;

	while (dir && (entry = readdir(dir))) {
		if (sscanf(entry->d_name, "host%d", &host) == 1 &&
		    host > newest)
			newest = host;
	}
	if (dir)
		closedir(dir);
	return newest;
}

/* The name of the disk, once it is there; it need not be the one from before. */
static void wait_for_disk(struct target *t)
{
	time_t end = time(NULL) + DEADLINE_S;
	struct dirent *entry;
	char path[64];
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/scsi/devices/%u:0:0:0/block",
		 t->nr);
	for (;;) {
		dir = opendir(path);
		while (dir && (entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(t->node, sizeof(t->node), "/dev/%.16s",
				 entry->d_name);
			closedir(dir);
			/* The node comes before it can be opened. */
			fd = open(t->node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0) {
				close(fd);
				return;
			}
			dir = NULL;
			break;
		}
		if (dir)
			closedir(dir);
		if (time(NULL) >= end)
			errx(1, "%s: no disk", path);
		usleep(1000);
	}
}

static const char *scsi_setup(struct target *t, const char *removable,
			      const char *own_store)
{
	if (access(DRIVER, F_OK))
		return "needs scsi_debug";
	if (race_write(DRIVER "per_host_store", own_store) ||
	    race_write(DRIVER "removable", removable) ||
	    race_write(DRIVER "add_host", "1"))
		err(1, DRIVER);
	t->nr = newest_host();
	wait_for_disk(t);
	return NULL;
}

/* Hosts go in the reverse order of their coming, as many as were added. */
static void scsi_teardown(struct target *t)
{
	(void)t;
	if (race_write(DRIVER "add_host", "-1"))
		err(1, DRIVER "add_host");
}

static const char *scsi_remove_setup(struct target *t)
{
	return scsi_setup(t, "0", "1");
}

static uint64_t stamp_next(struct target *t)
{
	uint64_t number = diskseq_of_path(t->node);

	t->up = true;
	stamp_path(t->node, number, 0);
	return number;
}

static uint64_t scsi_remove_turn(struct target *t)
{
	char path[64];

	if (t->up) {
		snprintf(path, sizeof(path),
			 "/sys/bus/scsi/devices/%u:0:0:0/delete", t->nr);
		if (race_write(path, "1"))
			err(1, "%s", path);
		snprintf(path, sizeof(path), "/sys/class/scsi_host/host%u/scan",
			 t->nr);
		if (race_write(path, "- - -"))
			err(1, "%s", path);
		wait_for_disk(t);
	}
	return stamp_next(t);
}

const struct kind scsi_remove_kind = {
	.name		= "scsi-remove",
	.help		= "deleted, also while it is open, and found by a rescan",
	.held		= true,
	.writes		= true,
	.slow		= true,
	.setup		= scsi_remove_setup,
	.turn		= scsi_remove_turn,
	.teardown	= scsi_teardown,
};

/* The disk of the first host, which was there before ours. */
static int open_first_disk(void)
{
	struct target first = { 0 };
	char path[64], name[32];

	for (;; first.nr++) {
		snprintf(path, sizeof(path),
			 "/sys/class/scsi_host/host%u/proc_name", first.nr);
		if (access(path, F_OK))
			continue;
		race_read(path, name, sizeof(name));
		if (!strcmp(name, "scsi_debug\n"))
			break;
	}
	wait_for_disk(&first);
	return open(first.node, O_RDWR | O_DIRECT | O_CLOEXEC);
}

/*
 * The medium is that of another disk, too: a back door, through which it can be
 * given another content without the knowledge of who has it open here.
 */
static const char *scsi_medium_setup(struct target *t)
{
	const char *missing = scsi_setup(t, "1", "0");

	if (missing)
		return missing;
	t->image[0] = open_first_disk();
	if (t->image[0] < 0)
		err(1, "the first disk of scsi_debug");
	return NULL;
}

/*
 * After a unit attention, such as for another capacity, the next who opens a
 * removable disk finds that the medium may be another.
 */
static uint64_t scsi_medium_turn(struct target *t)
{
	static bool large;
	uint64_t number;

	do {
		race_step(t);
		t->swaps++;
		medium_next(t, 0);
		large = !large;
		if (race_write(DRIVER "virtual_gb", large ? "2" : "1"))
			err(1, DRIVER "virtual_gb");
		t->swaps++;
	} while (!race_notice(t));
	t->up = true;
	number = diskseq_of_path(t->node);
	label_number(number, t->medium[0]);
	return number;
}

static void scsi_medium_teardown(struct target *t)
{
	if (race_write(DRIVER "virtual_gb", "0"))
		err(1, DRIVER "virtual_gb");
	close(t->image[0]);
	scsi_teardown(t);
}

const struct kind scsi_medium_kind = {
	.name		= "scsi-medium",
	.help		= "a medium change that open() itself finds",
	.lazy		= true,
	.drive		= true,
	.tells		= true,
	.ready		= true,
	.table		= true,
	.single		= true,		/* all have the same capacity */
	.slow		= true,
	.setup		= scsi_medium_setup,
	.turn		= scsi_medium_turn,
	.teardown	= scsi_medium_teardown,
};
