// SPDX-License-Identifier: GPL-2.0
/*
 * What is written on the disks of the race program, and what is read from them.
 *
 *	0	partition table, or the start of a romfs
 *	4 KiB	stamp: which disk this is
 *	8 KiB	area: empty, then blocks that say for which disk they were meant
 *
 * The same is at the start of a partition.  With a partition table there are two
 * places for partition 1; in the other one, the stamp is of nobody.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diskseq_util.h"
#include "race.h"

/* Labels that are no numbers */
#define MADE_UP		(1ULL << 63)

/* For the table of labels: more than there are numbers in use at a time. */
#define LABELS		(1 << 16)

/* Late writes that are remembered */
#define LATE		256

/* More than there are threads at a time */
#define FLIGHTS		256

#define NO_PART		99	/* stamp of a place without a partition */
#define WRITTEN		100	/* or of a block that was written */
#define PLACES		2
#define PLACE_SIZE	(IMAGE_SIZE / 4)

static struct label {
	atomic_uint_least64_t number, label;
} labels[LABELS];

/* The label is there when somebody is told the number. */
void label_number(uint64_t number, uint64_t label)
{
	struct label *l = &labels[number % LABELS];

	l->number = 0;
	l->label = label;
	l->number = number;
}

uint64_t label_of(uint64_t number)
{
	const struct label *l = &labels[number % LABELS];

	return l->number == number ? l->label : number;
}

/*
 * Who reads a block while it is written can find the start of it, up to any byte,
 * and zeroes: it says what it says only if @inverse is there, and fits.
 */
struct stamp {
	char magic[8];
	uint64_t label;
	uint64_t part;
	uint64_t inverse;		/* of the label */
};

static const char stamp_magic[8] = "DISKSEQ";

void stamp_fill(void *block, uint64_t label, unsigned int part)
{
	struct stamp stamp = {
		.label = label, .part = part, .inverse = ~label,
	};

	memcpy(stamp.magic, stamp_magic, sizeof(stamp_magic));
	memcpy(block, &stamp, sizeof(stamp));
}

static bool is_whole(const struct stamp *stamp)
{
	return !memcmp(stamp->magic, stamp_magic, sizeof(stamp_magic)) &&
	       stamp->inverse == ~stamp->label;
}

bool stamp_check(const void *block, uint64_t label, unsigned int part,
		 uint64_t *found)
{
	struct stamp stamp;

	memcpy(&stamp, block, sizeof(stamp));
	*found = 0;
	if (!is_whole(&stamp))
		return false;
	*found = stamp.label;
	return stamp.label == label && stamp.part == part;
}

void area_fill(void *block, uint64_t label)
{
	memset(block, 0, RACE_BLOCK);
	stamp_fill(block, label, WRITTEN);
}

/* Writes that may have come too late: what was meant, lately. */
static struct {
	pthread_mutex_t mutex;
	uint64_t writing;
	uint64_t late[LATE];
	unsigned int count;
} writes = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void write_begin(uint64_t label)
{
	pthread_mutex_lock(&writes.mutex);
	writes.writing = label;
	pthread_mutex_unlock(&writes.mutex);
}

void write_end(bool changed)
{
	pthread_mutex_lock(&writes.mutex);
	if (changed)
		writes.late[writes.count++ % LATE] =
			writes.writing;
	writes.writing = 0;
	pthread_mutex_unlock(&writes.mutex);
}

static bool is_late(uint64_t label)
{
	bool is;

	pthread_mutex_lock(&writes.mutex);
	is = writes.writing == label;
	for (int i = 0; i < LATE && !is; i++)
		is = writes.late[i] == label;
	pthread_mutex_unlock(&writes.mutex);
	return is;
}

/*
 * A command that a drive has got behind the one that it has told of another medium
 * by is done on that, before the kernel can know: one in a hundred media may have a
 * block that was on its way then.  Of as few as in a short run, there may be as many
 * more as twice the standard deviation.
 */
static bool was_under_way(const struct target *t, uint64_t label)
{
	static long arrived;
	long above;
	bool was;

	if (!t->kind->drive)
		return false;
	pthread_mutex_lock(&writes.mutex);
	above = arrived * 100 - (long)t->turn;
	was = above <= 0 || above * above <= 4 * 100 * (long)t->turn;
	if (was) {
		arrived++;
		writes.late[writes.count++ % LATE] = label;
	}
	pthread_mutex_unlock(&writes.mutex);
	return was;
}

bool area_check(const void *area, uint64_t label, uint64_t *found)
{
	const char *block = area;
	struct stamp stamp;

	for (int i = 0; i < AREA_BLOCKS; i++, block += RACE_BLOCK) {
		memcpy(&stamp, block, sizeof(stamp));
		*found = stamp.label;
		if (is_whole(&stamp) && stamp.label != label &&
		    !is_late(stamp.label))
			return false;
	}
	return true;
}

/* The start of a romfs whose only file, "stamp", is the stamp. */
static void fill_romfs(unsigned char *block)
{
	static const unsigned int root = 32, file = STAMP_POS - 32;
	uint32_t word, sum = 0;

#define PUT(pos, value)	(word = htobe32(value), memcpy(block + (pos), &word, 4))
	memcpy(block, "-rom1fs-", 8);
	PUT(8, STAMP_POS + RACE_BLOCK);
	PUT(root, 1);			/* no next; a directory */
	PUT(root + 4, file);		/* its first entry */
	memcpy(block + root + 16, ".", 1);
	PUT(file, 2);			/* no next; a regular file */
	PUT(file + 8, RACE_BLOCK);	/* its size */
	memcpy(block + file + 16, "stamp", 5);
	for (unsigned int pos = 0; pos < 512; pos += 4) {
		memcpy(&word, block + pos, 4);
		sum += be32toh(word);
	}
	PUT(12, -sum);
#undef PUT
}

void stamp_path(const char *path, uint64_t number, unsigned int part)
{
	alignas(RACE_BLOCK) unsigned char blocks[STAMPED_SIZE] = "";
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	fill_romfs(blocks);
	stamp_fill(blocks + STAMP_POS, number, part);
	if (fd < 0 || pwrite(fd, blocks, sizeof(blocks), 0) != sizeof(blocks))
		err(1, "write of a stamp to %s", path);
	close(fd);
}

/* Where a medium's partition 1 is, of the two places; neither if it has none. */
static unsigned int place_of(uint64_t label)
{
	return label % (PLACES + 1);
}

static off_t place_pos(unsigned int place)
{
	return (place + 1) * PLACE_SIZE;
}

static void fill_table(unsigned char *block, uint64_t label)
{
	uint32_t start = htole32(place_pos(place_of(label)) / 512);
	uint32_t sectors = htole32(PLACE_SIZE / 512);
	unsigned char *entry = block + 446;

	block[510] = 0x55;
	block[511] = 0xaa;
	if (place_of(label) == PLACES)
		return;
	entry[4] = 0x83;
	memcpy(entry + 8, &start, sizeof(start));
	memcpy(entry + 12, &sectors, sizeof(sectors));
}

uint64_t medium_put(int fd, bool table)
{
	alignas(RACE_BLOCK) unsigned char blocks[STAMPED_SIZE] = "";
	static atomic_uint_least64_t last;
	uint64_t label = MADE_UP | ++last;

	if (table)
		fill_table(blocks, label);
	stamp_fill(blocks + STAMP_POS, label, 0);
	if (pwrite(fd, blocks, sizeof(blocks), 0) != sizeof(blocks))
		err(1, "write of a medium");
	memset(blocks, 0, RACE_BLOCK);
	for (unsigned int place = 0; place < PLACES && table; place++) {
		stamp_fill(blocks + STAMP_POS, label,
			   place == place_of(label) ? 1 : NO_PART);
		if (pwrite(fd, blocks, sizeof(blocks), place_pos(place)) !=
		    sizeof(blocks))
			err(1, "write of a medium");
	}
	return label;
}

bool medium_check(int fd, uint64_t label, uint64_t *found)
{
	alignas(RACE_BLOCK) char area[AREA_BLOCKS * RACE_BLOCK];

	for (int place = -1; place < PLACES; place++) {
		if (pread(fd, area, sizeof(area), place_pos(place) + AREA_POS) !=
		    sizeof(area))
			err(1, "read of a medium");
		if (!area_check(area, label, found))
			return false;
	}
	return true;
}

uint64_t medium_next(struct target *t, unsigned int i)
{
	uint64_t found;

	if (t->medium[i] && t->kind->writes &&
	    !medium_check(t->image[i], t->medium[i], &found) &&
	    !was_under_way(t, found))
		race_mismatch("%s: on medium %#" PRIx64 " arrived what was meant for %#" PRIx64,
			      t->node, t->medium[i], found);
	t->medium[i] = medium_put(t->image[i], t->kind->table);
	return t->medium[i];
}

/* Of each thread: odd while what it reads or writes may be on its way. */
static atomic_ulong flights[FLIGHTS];
static __thread atomic_ulong *flight;

void race_io_begin(void)
{
	static atomic_uint threads;

	if (!flight)
		flight = &flights[threads++ % FLIGHTS];
	++*flight;
}

void race_io_end(void)
{
	++*flight;
}

/*
 * A drive tells of another medium by its answer to one command.  Until the kernel
 * sees that, all others read the other medium under the number of the one before,
 * and who looks again is told of nothing.  Wait until it has, if there is one.
 */
static void settle(void)
{
	unsigned long was;

	beside_settle();
	for (int i = 0; i < FLIGHTS; i++) {
		was = flights[i];
		while (was % 2 && flights[i] == was)
			usleep(100);
	}
}

/* Have the driver see whether there is another medium by now. */
static void look_again(const struct target *t)
{
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

/*
 * The page cache of a disk that was unplugged: a read that was under way takes
 * its size, which is 0 by then, and fills what is behind it with zeroes (see
 * block_read_full_folio()), or is short, as it is if the rest is not there any more.
 */
static bool is_rest_of_gone(uint64_t number, unsigned int part,
			    const char *block, bool is_short)
{
	alignas(RACE_BLOCK) static __thread char data[RACE_BLOCK];
	static const char blank[RACE_BLOCK];
	ssize_t len;
	int fd;

	if (!is_short && memcmp(block, blank, sizeof(blank)))
		return false;
	fd = open_by_number(number, part, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return true;
	/*
	 * A connection of nbd that has ended keeps its number while it is open, and
	 * by netlink its size, too: but what is not cached can no longer be read.
	 */
	len = pread(fd, data, sizeof(data), STAMP_POS);
	close(fd);
	return len <= 0;
}

enum reading race_read_both(struct target *t, int fd, uint64_t number,
			    unsigned int part, bool known)
{
	alignas(RACE_BLOCK) char data[2][STAMPED_SIZE - STAMP_POS];
	static const char *const ways[] = { "the page cache", "O_DIRECT" };
	unsigned long swaps = t->swaps;
	int flags = fcntl(fd, F_GETFL);
	uint64_t label, found = 0;
	ssize_t len[2];

	race_io_begin();
	for (int i = 0; i < 2; i++, flags ^= O_DIRECT) {
		int way = !!(flags & O_DIRECT);

		if (i && fcntl(fd, F_SETFL, flags))
			err(1, "O_DIRECT");
		len[way] = pread(fd, data[way], sizeof(data[way]), STAMP_POS);
	}
	race_io_end();
	if (t->kind->lazy)
		look_again(t);
	if (!race_is_still(t, fd, number, part) || t->swaps != swaps ||
	    swaps % 2)
		return READ_CHANGED;
	/* A disk that is going away is held by us, but reads nothing. */
	if (len[0] <= 0 || len[1] <= 0)
		return READ_CHANGED;
	/* Who was told by an event does not know what it should be. */
	if (known)
		label = label_of(number);
	else if (stamp_check(data[1], 0, part, &label) || !label)
		return READ_CHANGED;
	for (int way = 0; way < 2; way++) {
		if (len[way] == sizeof(data[way]) &&
		    stamp_check(data[way], label, part, &found) &&
		    (area_check(data[way] + RACE_BLOCK, label, &found) ||
		     was_under_way(t, found)))
			continue;
		if (is_rest_of_gone(number, part, data[way],
				    len[way] < (ssize_t)sizeof(data[way])))
			return READ_CHANGED;
		if (t->kind->drive) {
			settle();
			look_again(t);
			if (!race_is_still(t, fd, number, part))
				return READ_CHANGED;
		}
		race_mismatch("%s, %" PRIu64 " part %u, disk %#" PRIx64 ": %s gives %#" PRIx64,
			      t->node, number, part, label, ways[way], found);
		return READ_WRONG;
	}
	return READ_RIGHT;
}
