// SPDX-License-Identifier: GPL-2.0
/* Partitions, of a loop device, for the race program. */
#define _GNU_SOURCE
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "race.h"

#define PARTS		2
#define PART_SIZE	(IMAGE_SIZE / 4)
#define TURNS_PER_DISK	8

/* The two places are taken in turns by the two partitions. */
static unsigned int place_of(const struct target *t, unsigned int part)
{
	return ((part + t->turn) % PARTS + 1) * PART_SIZE;
}

static void stamp_partitions(const struct target *t, uint64_t number)
{
	alignas(RACE_BLOCK) char block[RACE_BLOCK] = "";
	int fd = open(t->node, O_WRONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", t->node);
	for (unsigned int part = 1; part <= PARTS; part++) {
		stamp_fill(block, number, part);
		if (pwrite(fd, block, sizeof(block),
			   place_of(t, part) + STAMP_POS) != sizeof(block))
			err(1, "write of a stamp to %s", t->node);
	}
	close(fd);
}

static const char *part_setup(struct target *t)
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

static void part_teardown(struct target *t)
{
	if (t->up)
		loop_detach(t->nr);
	for (int i = 0; i < 2; i++)
		close(t->image[i]);
}

/* Another disk now and then; else the number stays. */
static uint64_t disk_number(struct target *t)
{
	if (t->turn % TURNS_PER_DISK)
		return t->number;
	if (t->up)
		loop_detach(t->nr);
	t->up = true;
	return loop_attach(t->nr, t->image[t->turn / TURNS_PER_DISK % 2],
			   LO_FLAGS_PARTSCAN);
}

static int blkpg(const struct target *t, int op, unsigned int part)
{
	struct blkpg_partition partition = {
		.start = place_of(t, part),
		.length = PART_SIZE,
		.pno = part,
	};
	struct blkpg_ioctl_arg arg = {
		.op = op,
		.datalen = sizeof(partition),
		.data = &partition,
	};
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);
	int ret, error;

	if (fd < 0)
		err(1, "%s", t->node);
	ret = ioctl(fd, BLKPG, &arg);
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

static int delete_step(struct target *t)
{
	for (unsigned int part = 1; part <= PARTS; part++) {
		if (blkpg(t, BLKPG_DEL_PARTITION, part) && errno != ENXIO)
			return -1;
	}
	return 0;
}

static uint64_t part_blkpg_turn(struct target *t)
{
	uint64_t number;

	if (t->up)
		race_persist(t, "BLKPG_DEL_PARTITION", delete_step);
	number = disk_number(t);
	stamp_partitions(t, number);
	for (unsigned int part = 1; part <= PARTS; part++) {
		if (blkpg(t, BLKPG_ADD_PARTITION, part))
			err(1, "BLKPG_ADD_PARTITION %s", t->node);
	}
	return number;
}

const struct kind part_blkpg_kind = {
	.name		= "part-blkpg",
	.help		= "partitions deleted, and added where the other was",
	.held		= true,
	.blocks		= true,
	.parts		= PARTS,
	.slow		= true,
	.setup		= part_setup,
	.turn		= part_blkpg_turn,
	.teardown	= part_teardown,
};

/* A table of PC type, or of no partitions at all. */
static void write_table(const struct target *t, bool empty)
{
	alignas(RACE_BLOCK) unsigned char block[RACE_BLOCK] = "";
	int fd = open(t->node, O_WRONLY | O_DIRECT | O_CLOEXEC);

	for (unsigned int part = 1; part <= PARTS && !empty; part++) {
		unsigned char *entry = block + 446 + (part - 1) * 16;
		uint32_t start = htole32(place_of(t, part) / 512);
		uint32_t sectors = htole32(PART_SIZE / 512);

		entry[4] = 0x83;
		memcpy(entry + 8, &start, sizeof(start));
		memcpy(entry + 12, &sectors, sizeof(sectors));
	}
	block[510] = 0x55;
	block[511] = 0xaa;
	if (fd < 0 || pwrite(fd, block, sizeof(block), 0) != sizeof(block))
		err(1, "write of a partition table to %s", t->node);
	close(fd);
}

static int reread_step(struct target *t)
{
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);
	int ret, error;

	if (fd < 0)
		err(1, "%s", t->node);
	ret = ioctl(fd, BLKRRPART);
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

static uint64_t part_reread_turn(struct target *t)
{
	uint64_t number;

	if (t->up) {
		write_table(t, true);
		race_persist(t, "BLKRRPART", reread_step);
	}
	number = disk_number(t);
	stamp_partitions(t, number);
	write_table(t, false);
	race_persist(t, "BLKRRPART", reread_step);
	return number;
}

const struct kind part_reread_kind = {
	.name		= "part-reread",
	.help		= "the same, by BLKRRPART of another partition table",
	.held		= true,
	.blocks		= true,
	.parts		= PARTS,
	.slow		= true,
	.setup		= part_setup,
	.turn		= part_reread_turn,
	.teardown	= part_teardown,
};
