// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that takes another number in the middle of an open by number.  Not by
 * chance, on any number of processors: an open takes open_mutex, compares the
 * number, takes the driver's lock in ->open(), compares again; each test stops
 * it at one of the two locks, changes the disk and lets it go on.
 *
 *	loop device, read-only		the disk that is opened
 *	dm-linear, two halves
 *	dm-linear | dm-linear		each is suspended to stop what reads it
 *	loop device			the image that is wanted
 *
 * A lock is held by whoever waits, with the lock, for a read of a half that is
 * suspended.  Waiters get a mutex in the order in which they came; that they
 * have come is seen from their state (D, disk sleep).
 *
 * SEEN failing: number_change_during_driver_open_is_enoent on a kernel with
 * scripts/mutants/no-check-after-open.patch (the wrong disk is opened),
 * wrong_disk_is_never_given_to_driver with no-check-before-open.patch (the open
 * waits for the driver's lock).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define HALF_SECTORS	(IMAGE_SIZE / 2 / 512)
#define BACK_POS	(IMAGE_SIZE * 3 / 4)
#define PARTNO		1
#define TIMEOUT_S	120	/* dmsetup is slow in an emulated machine */

/* A system call that is going to sleep, in a thread of its own. */
struct call {
	long (*function)(struct call *call);
	int fd;				/* of the disk */
	int image;			/* for call_change_fd() */
	uint64_t number;		/* for call_open(): 0 for the node */
	unsigned int partno;
	int flags;
	const char *node;
	long ret;
	int error;
	pthread_t thread;
	atomic_int tid;
	atomic_bool done;
};

static long call_read(struct call *call)
{
	static char block[4096] __attribute__((aligned(4096)));

	return pread(call->fd, block, sizeof(block), BACK_POS);
}

/* Takes the driver's lock, then waits for all reads to end. */
static long call_set_status(struct call *call)
{
	struct loop_info64 info;

	return ioctl(call->fd, LOOP_GET_STATUS64, &info) ?:
	       ioctl(call->fd, LOOP_SET_STATUS64, &info);
}

/* Takes the driver's lock, changes the number, then waits for all reads. */
static long call_change_fd(struct call *call)
{
	return ioctl(call->fd, LOOP_CHANGE_FD, call->image);
}

/* Takes open_mutex, then reads the front. */
static long call_scan_partitions(struct call *call)
{
	return ioctl(call->fd, BLKRRPART);
}

static long call_open(struct call *call)
{
	if (call->number)
		return open_by_number(call->number, call->partno, call->flags);
	return open(call->node, call->flags);
}

static void *call_thread(void *arg)
{
	struct call *call = arg;

	call->tid = gettid();
	call->ret = call->function(call);
	call->error = errno;
	call->done = true;
	return NULL;
}

/* Is the call waiting for a lock or for a read? */
static bool call_sleeps(struct call *call)
{
	char path[64], state = 0;
	FILE *stat;

	if (!call->tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", call->tid);
	stat = fopen(path, "r");
	if (stat) {
		if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(stat);
	}
	return state == 'D';
}

FIXTURE(open_race)
{
	int lower_nr, nr;	/* the loop devices below and above dm */
	int wrong;		/* the image that takes the place of dm */
	int fd;			/* of the upper one's node */
	uint64_t number;	/* of the upper one */
	struct call holder, read, change, open;
};

static int dm_create(const char *name, const char *table)
{
	return run("printf '%s' | dmsetup create --noudevsync diskseq-%s",
		   table, name);
}

static int dm_suspend(const char *name)
{
	return run("dmsetup suspend --noflush --nolockfs diskseq-%s", name);
}

static int dm_resume(const char *name)
{
	return run("dmsetup resume --noudevsync diskseq-%s", name);
}

static void dm_remove(const char *name)
{
	run("dmsetup remove --retry --noudevsync diskseq-%s", name);
}

static int partition(int fd, int op)
{
	return partition_change(fd, op, PARTNO, 4096, IMAGE_SIZE / 4);
}

FIXTURE_SETUP(open_race)
{
	char table[128];
	int image, dm;

	diskseqfs_private();
	image = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->wrong = image_create("WRONG-DISK", IMAGE_SIZE);

	self->lower_nr = loop_get_free();
	loop_attach(self->lower_nr, image, 0);
	close(image);
	snprintf(table, sizeof(table), "0 %d linear %s 0",
		 HALF_SECTORS, loop_path(self->lower_nr));
	ASSERT_EQ(0, dm_create("front", table));
	snprintf(table, sizeof(table), "0 %d linear %s %d",
		 HALF_SECTORS, loop_path(self->lower_nr), HALF_SECTORS);
	ASSERT_EQ(0, dm_create("back", table));
	snprintf(table, sizeof(table),
		 "0 %d linear /dev/mapper/diskseq-front 0\n"
		 "%d %d linear /dev/mapper/diskseq-back 0\n",
		 HALF_SECTORS, HALF_SECTORS, HALF_SECTORS);
	ASSERT_EQ(0, dm_create("both", table));

	dm = open("/dev/mapper/diskseq-both", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dm);
	self->nr = loop_get_free();
	/* Direct, so that each read gets down to dm. */
	self->number = loop_attach(self->nr, dm, LO_FLAGS_READ_ONLY |
						 LO_FLAGS_DIRECT_IO);
	close(dm);
	self->fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);

	self->read = (struct call){ call_read, self->fd };
	self->change = (struct call){ call_change_fd, self->fd, self->wrong };
	self->open = (struct call){ call_open, .number = self->number };

	/* So that nobody sleeps for a page of the program. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
}

FIXTURE_TEARDOWN(open_race)
{
	struct call *calls[] = {
		&self->holder, &self->read, &self->change, &self->open,
	};

	dm_resume("front");
	dm_resume("back");
	for (int i = 0; i < 4; i++) {
		if (calls[i]->thread)
			pthread_join(calls[i]->thread, NULL);
	}
	close(self->fd);
	loop_detach(self->nr);
	dm_remove("both");
	dm_remove("back");
	dm_remove("front");
	loop_detach(self->lower_nr);
}

/* Begin a call, and wait until it is stopped. */
static void start(struct __test_metadata *_metadata, struct call *call)
{
	ASSERT_EQ(0, pthread_create(&call->thread, NULL, call_thread, call));
	ASSERT_TRUE(wait_until(call_sleeps(call)));
}

/*
 * Stop the open in the driver's ->open(), behind a change of the number, and
 * let both go on.
 */
static void change_during_driver_open(struct __test_metadata *_metadata,
				      FIXTURE_DATA(open_race) *self)
{
	self->holder = (struct call){ call_set_status, self->fd };

	ASSERT_EQ(0, dm_suspend("back"));
	start(_metadata, &self->read);
	start(_metadata, &self->holder);
	start(_metadata, &self->change);
	start(_metadata, &self->open);
	ASSERT_EQ(self->number, diskseq_of(self->fd));
	ASSERT_EQ(0, dm_resume("back"));

	ASSERT_TRUE(wait_until(self->read.done && self->holder.done &&
			       self->change.done && self->open.done));
	EXPECT_EQ(4096, self->read.ret);
	EXPECT_EQ(0, self->holder.ret);
	EXPECT_EQ(0, self->change.ret);
	EXPECT_LT(self->number, diskseq_of(self->fd));
	EXPECT_TRUE(opens_as(diskseq_of(self->fd), 0, "WRONG-DISK"));
}

static void expect_enoent(struct __test_metadata *_metadata,
			  FIXTURE_DATA(open_race) *self)
{
	EXPECT_EQ(-1, self->open.ret)
	{
		TH_LOG("disk %llu opened under the number %llu",
		       (unsigned long long)diskseq_of(self->open.ret),
		       (unsigned long long)self->number);
		close(self->open.ret);
	}
	EXPECT_EQ(ENOENT, self->open.error);
}

/* A disk that becomes another one during the driver's ->open() is not opened. */
TEST_F_TIMEOUT(open_race, number_change_during_driver_open_is_enoent,
	       TIMEOUT_S)
{
	change_during_driver_open(_metadata, self);
	expect_enoent(_metadata, self);

	/* And no open of it is left: it can be removed. */
	close(self->fd);
	loop_detach(self->nr);
	EXPECT_EQ(0, loop_remove(self->nr));
	EXPECT_EQ(self->nr, loop_add(self->nr));
	self->fd = -1;
	loop_attach(self->nr, self->wrong, 0);
}

/* Nor is it claimed. */
TEST_F_TIMEOUT(open_race, number_change_during_driver_open_leaves_no_claim,
	       TIMEOUT_S)
{
	int fd;

	self->open.flags = O_EXCL;
	change_during_driver_open(_metadata, self);
	expect_enoent(_metadata, self);

	fd = open(loop_path(self->nr), O_RDONLY | O_EXCL);
	EXPECT_LE(0, fd);
	close(fd);
}

/* Nor is its partition, which can be deleted. */
TEST_F_TIMEOUT(open_race, number_change_during_driver_open_leaves_no_partition_open,
	       TIMEOUT_S)
{
	ASSERT_EQ(0, partition(self->fd, BLKPG_ADD_PARTITION));
	self->open.partno = PARTNO;
	self->open.flags = O_EXCL;
	change_during_driver_open(_metadata, self);
	expect_enoent(_metadata, self);

	EXPECT_EQ(0, partition(self->fd, BLKPG_DEL_PARTITION));
}

/* By the device node, the same open gives whatever disk there is now. */
TEST_F_TIMEOUT(open_race, number_change_during_driver_open_deceives_device_node,
	       TIMEOUT_S)
{
	self->open.number = 0;
	self->open.node = loop_path(self->nr);
	change_during_driver_open(_metadata, self);

	ASSERT_LE(0, self->open.ret);
	EXPECT_TRUE(has_stamp(self->open.ret, "WRONG-DISK"));
	close(self->open.ret);
}

/*
 * A disk that becomes another one between the look-up and the driver's
 * ->open() is not even given to the driver: the open fails while somebody else
 * has the driver's lock.
 */
TEST_F_TIMEOUT(open_race, wrong_disk_is_never_given_to_driver,
	       TIMEOUT_S)
{
	struct loop_info64 info;

	ASSERT_EQ(0, ioctl(self->fd, LOOP_GET_STATUS64, &info));
	info.lo_flags |= LO_FLAGS_PARTSCAN;
	ASSERT_EQ(0, ioctl(self->fd, LOOP_SET_STATUS64, &info));
	self->holder = (struct call){ call_scan_partitions, self->fd };
	/* Past the cache: the holder waits for what is being read into it. */
	self->read.fd = open(loop_path(self->nr), O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->read.fd);

	ASSERT_EQ(0, dm_suspend("front"));
	ASSERT_EQ(0, dm_suspend("back"));
	start(_metadata, &self->holder);
	start(_metadata, &self->read);
	start(_metadata, &self->open);
	start(_metadata, &self->change);
	ASSERT_LT(self->number, diskseq_of(self->fd));
	ASSERT_EQ(0, dm_resume("front"));

	EXPECT_TRUE(wait_until(self->open.done));
	EXPECT_FALSE(atomic_load(&self->change.done));
	ASSERT_EQ(0, dm_resume("back"));
	ASSERT_TRUE(wait_until(self->open.done && self->change.done));
	EXPECT_EQ(0, self->change.ret);
	expect_enoent(_metadata, self);
	close(self->read.fd);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, FOR_DM)
