// SPDX-License-Identifier: GPL-2.0
/* Disks in memory, null_blk and zram, added and removed for the race program. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "diskseq_util.h"
#include "race.h"

#define CONFIGFS	"/sys/kernel/config"

static void null_set(const struct target *t, const char *attribute,
		     const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s/%s",
		 t->node + strlen("/dev/"), attribute);
	if (race_write(path, value))
		err(1, "%s", path);
}

static const char *null_setup(struct target *t)
{
	static unsigned int devices;
	char path[128];

	if (access("/sys/module/null_blk", F_OK))
		return "needs null_blk";
	if (access(CONFIGFS "/nullb", F_OK) &&
	    mount("configfs", CONFIGFS, "configfs", 0, NULL))
		err(1, "configfs");
	/* The disk is named after its folder. */
	snprintf(t->node, sizeof(t->node), "/dev/nullrace%u", devices++);
	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s",
		 t->node + strlen("/dev/"));
	if (mkdir(path, 0755))
		err(1, "%s", path);
	null_set(t, "memory_backed", "1");
	null_set(t, "size", "1");
	return NULL;
}

static uint64_t null_turn(struct target *t)
{
	uint64_t number;

	if (t->up)
		null_set(t, "power", "0");
	null_set(t, "power", "1");
	t->up = true;
	number = diskseq_of_path(t->node);
	stamp_path(t->node, number, 0);
	return number;
}

static void null_teardown(struct target *t)
{
	char path[128];

	null_set(t, "power", "0");
	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s",
		 t->node + strlen("/dev/"));
	if (rmdir(path))
		err(1, "%s", path);
}

const struct kind null_kind = {
	.name		= "null_blk",
	.help		= "powered off, also while it is open, and on",
	.held		= true,
	.writes		= true,
	.setup		= null_setup,
	.turn		= null_turn,
	.teardown	= null_teardown,
};

#define ZRAM_CONTROL	"/sys/class/zram-control"

/* What is added gets the number that was last removed. */
static pthread_mutex_t zram_mutex = PTHREAD_MUTEX_INITIALIZER;

static const char *zram_setup(struct target *t)
{
	(void)t;
	return access(ZRAM_CONTROL, F_OK) ? "needs zram" : NULL;
}

static int zram_remove_step(struct target *t)
{
	char nr[16];

	snprintf(nr, sizeof(nr), "%u", t->nr);
	return race_write(ZRAM_CONTROL "/hot_remove", nr);
}

static uint64_t zram_turn(struct target *t)
{
	char nr[16], path[64];
	uint64_t number;

	pthread_mutex_lock(&zram_mutex);
	if (t->up)
		race_persist(t, "hot_remove", zram_remove_step);
	/* To read is to add. */
	race_read(ZRAM_CONTROL "/hot_add", nr, sizeof(nr));
	t->nr = strtoul(nr, NULL, 10);
	snprintf(t->node, sizeof(t->node), "/dev/zram%u", t->nr);
	t->up = true;
	pthread_mutex_unlock(&zram_mutex);

	snprintf(path, sizeof(path), "/sys/block/zram%u/disksize", t->nr);
	if (race_write(path, "1M"))
		err(1, "%s", path);
	number = diskseq_of_path(t->node);
	stamp_path(t->node, number, 0);
	return number;
}

static void zram_teardown(struct target *t)
{
	race_persist(t, "hot_remove", zram_remove_step);
}

const struct kind zram_kind = {
	.name		= "zram",
	.help		= "hot_remove and hot_add of the same minor",
	.held		= true,
	.blocks		= true,
	.writes		= true,
	.setup		= zram_setup,
	.turn		= zram_turn,
	.teardown	= zram_teardown,
};
