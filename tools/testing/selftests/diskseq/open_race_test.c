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
 * SEEN failing: number_change_during_driver_open_is_enoent on a kernel that does
 * not compare after ->open() (the wrong disk is opened),
 * number_change_before_driver_open_is_enoent on one that does not compare at all,
 * mount_of_a_moved_partition_deceives_no_other on one where the superblock moves to
 * the device number that was opened (the file system of another disk is mounted),
 * quotactl_waits_for_a_mount on one that takes a mount that is under way for none
 * (ENODEV).  That ->open() is not even called for a disk that has another number
 * before is seen by diskseq_kunit.c, whose driver counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define HALF_SECTORS	(IMAGE_SIZE / 2 / 512)
#define BACK_POS	(IMAGE_SIZE * 3 / 4)
#define PARTNO		1
#define PART_START	4096
#define PART_SIZE	(IMAGE_SIZE / 4)
#define MOUNTED		"/tmp/open_race_test"
#define MOUNTED_OTHER	"/tmp/open_race_other"
#define NODE		"/tmp/diskseq-open-race-node"

/* A system call that is going to sleep, in a thread of its own. */
struct call {
	long (*function)(struct call *call);
	int fd;				/* of the disk */
	int image;			/* for call_change_fd() */
	int op;				/* for call_partition() */
	uint64_t number;		/* for call_open(): 0 for the node */
	unsigned int partno;
	int flags;
	const char *node;
	const char *dir;		/* for call_mount() */
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

/* Takes open_mutex. */
static long call_partition(struct call *call)
{
	return partition_change(call->fd, call->op, PARTNO, PART_START,
				PART_SIZE);
}

/* Waits for who mounts what has the same device number; then as call_open(). */
static long call_mount(struct call *call)
{
	return mount(call->node, call->dir, "ext4", MS_RDONLY, NULL);
}

static long call_quotactl(struct call *call)
{
	int format;

	return quotactl(QCMD(Q_GETFMT, USRQUOTA), call->node, 0,
			(char *)&format);
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

/* Is a thread waiting for a lock or for a read? */
static bool task_sleeps(pid_t tid)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	stat = fopen(path, "r");
	if (stat) {
		if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(stat);
	}
	return state == 'D';
}

static bool call_sleeps(struct call *call)
{
	return call->tid && task_sleeps(call->tid);
}

FIXTURE(open_race)
{
	int lower_nr, nr;	/* the loop devices below and above dm */
	int wrong;		/* the image that takes the place of dm */
	int fd;			/* of the upper one's node */
	uint64_t number;	/* of the upper one */
	struct call holder, read, change, open;
	struct call del, add, mount, other;
	pid_t pids[2];		/* processes that may be left */
	int other_nr, other_fd;	/* a disk beside them, or -1 */
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
	return partition_change(fd, op, PARTNO, PART_START, PART_SIZE);
}

FIXTURE_SETUP(open_race)
{
	char table[128];
	int image, dm;

	self->other_fd = -1;
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

/* End a process, also one that waits for the driver's lock. */
static void end(pid_t *pid)
{
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

FIXTURE_TEARDOWN(open_race)
{
	struct call *calls[] = {
		&self->holder, &self->read, &self->change, &self->open,
		&self->del, &self->add, &self->mount, &self->other,
	};

	dm_resume("front");
	dm_resume("back");
	for (int i = 0; i < 2; i++) {
		if (self->pids[i])
			end(&self->pids[i]);
	}
	for (int i = 0; i < 8; i++) {
		if (calls[i]->thread)
			pthread_join(calls[i]->thread, NULL);
	}
	umount(MOUNTED);
	umount(MOUNTED_OTHER);
	unlink(NODE);
	if (self->other_fd >= 0) {
		partition(self->other_fd, BLKPG_DEL_PARTITION);
		close(self->other_fd);
		loop_detach(self->other_nr);
	}
	partition(self->fd, BLKPG_DEL_PARTITION);
	close(self->fd);
	loop_detach(self->nr);
	dm_remove("both");
	dm_remove("back");
	dm_remove("front");
	loop_detach(self->lower_nr);
}

static void begin(struct __test_metadata *_metadata, struct call *call)
{
	ASSERT_EQ(0, pthread_create(&call->thread, NULL, call_thread, call));
}

/* Begin a call, and wait until it is stopped. */
static void start(struct __test_metadata *_metadata, struct call *call)
{
	begin(_metadata, call);
	ASSERT_TRUE(wait_until(call_sleeps(call)));
}

/* Is a read under way?  Who reads may have slept for something else before. */
static bool read_is_in_flight(int nr)
{
	unsigned int reads = -1;
	char path[64];
	FILE *inflight;

	snprintf(path, sizeof(path), "/sys/block/loop%d/inflight", nr);
	inflight = fopen(path, "r");
	if (inflight) {
		if (fscanf(inflight, "%u", &reads) != 1)
			reads = -1;
		fclose(inflight);
	}
	return reads == 1;
}

/* As start(), in a process of its own, which can be ended. */
static void start_process(struct __test_metadata *_metadata, struct call *call,
			  pid_t *pid)
{
	*pid = fork();
	ASSERT_LE(0, *pid);
	if (!*pid) {
		call->function(call);
		_exit(0);
	}
	ASSERT_TRUE(wait_until(task_sleeps(*pid)));
}

/* Have the driver's lock held until the back is resumed. */
static void hold_driver_lock(struct __test_metadata *_metadata,
			     FIXTURE_DATA(open_race) *self)
{
	self->holder = (struct call){ call_set_status, self->fd };
	ASSERT_EQ(0, dm_suspend("back"));
	start(_metadata, &self->read);
	start(_metadata, &self->holder);
}

/*
 * Stop the open in the driver's ->open(), behind a change of the number, and
 * let both go on.
 */
static void change_during_driver_open(struct __test_metadata *_metadata,
				      FIXTURE_DATA(open_race) *self)
{
	hold_driver_lock(_metadata, self);
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
TEST_F(open_race, number_change_during_driver_open_is_enoent)
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
TEST_F(open_race, number_change_during_driver_open_leaves_no_claim)
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
TEST_F(open_race, number_change_during_driver_open_leaves_no_partition_open)
{
	ASSERT_EQ(0, partition(self->fd, BLKPG_ADD_PARTITION));
	self->open.partno = PARTNO;
	self->open.flags = O_EXCL;
	change_during_driver_open(_metadata, self);
	expect_enoent(_metadata, self);

	EXPECT_EQ(0, partition(self->fd, BLKPG_DEL_PARTITION));
}

/* By the device node, the same open gives whatever disk there is now. */
TEST_F(open_race, number_change_during_driver_open_deceives_device_node)
{
	self->open.number = 0;
	self->open.node = loop_path(self->nr);
	change_during_driver_open(_metadata, self);

	ASSERT_LE(0, self->open.ret);
	EXPECT_TRUE(has_stamp(self->open.ret, "WRONG-DISK"));
	close(self->open.ret);
}

/*
 * Nor is a disk that becomes another one between the look-up and the driver's
 * ->open(): while somebody who reads its partition table has open_mutex.
 */
TEST_F(open_race, number_change_before_driver_open_is_enoent)
{
	struct loop_info64 info;

	ASSERT_EQ(0, ioctl(self->fd, LOOP_GET_STATUS64, &info));
	info.lo_flags |= LO_FLAGS_PARTSCAN;
	ASSERT_EQ(0, ioctl(self->fd, LOOP_SET_STATUS64, &info));
	self->holder = (struct call){ call_scan_partitions, self->fd };

	ASSERT_EQ(0, dm_suspend("front"));
	start(_metadata, &self->holder);
	ASSERT_TRUE(wait_until(read_is_in_flight(self->nr)));
	start(_metadata, &self->open);
	start(_metadata, &self->change);
	ASSERT_LT(self->number, diskseq_of(self->fd));
	ASSERT_EQ(0, dm_resume("front"));

	ASSERT_TRUE(wait_until(self->open.done && self->change.done));
	EXPECT_EQ(0, self->change.ret);
	expect_enoent(_metadata, self);
}

/* Put a file system with a file of that name where the partition is, or will be. */
static void make_fs(struct __test_metadata *_metadata, int nr, const char *name)
{
	const char *const dir = "/tmp/open_race_fs";

	/* In a file: what is below dm cannot be claimed. */
	ASSERT_EQ(0, run("mkdir -p %s/%s && >%s/%s/%s", dir, name, dir, name,
			 name));
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal -d %s/%s %s/%s.img %dk >/dev/null",
			 dir, name, dir, name, PART_SIZE / 1024));
	ASSERT_EQ(0, run("dd if=%s/%s.img of=%s bs=%d seek=1 conv=fsync status=none",
			 dir, name, loop_path(nr), PART_START));
}

/* The device number of a partition by number, or 0. */
static dev_t rdev_of(uint64_t number)
{
	char path[64];
	struct stat st;

	path_by_number(path, number, PARTNO);
	return stat(path, &st) ? 0 : st.st_rdev;
}

static bool mounted_is(const char *path, dev_t dev)
{
	struct stat st;

	if (stat(path, &st)) {
		printf("# %s: %s\n", path, strerror(errno));
		return false;
	}
	if (st.st_dev != dev)
		printf("# %s: of device %#llx, expected %#llx\n", path,
		       (unsigned long long)st.st_dev, (unsigned long long)dev);
	return st.st_dev == dev;
}

/*
 * A mount by number finds out the device number of the partition, makes a
 * superblock with it, and opens the partition.  In between, the partition is
 * added again and gets another device number; and the one that it had becomes that
 * of another disk's partition.  Whoever mounts that by its node waits for the
 * superblock, and must not be given it for his.
 *
 * Between its look-up and its open, the mount is stopped by another one, which waits
 * for open_mutex, and is ended: only then does nobody refer to the first device
 * number any more.  Then it is stopped by the driver's lock.
 */
TEST_F(open_race, mount_of_a_moved_partition_deceives_no_other)
{
	struct call node = { call_open, .node = NULL };
	struct call first = { call_mount, .dir = MOUNTED };
	uint64_t other_number;
	char entry[64];
	dev_t rdev;
	int image;

	NEED(FOR_EXT4);
	mkdir(MOUNTED, 0700);
	mkdir(MOUNTED_OTHER, 0700);
	make_fs(_metadata, self->lower_nr, "right");
	image = image_create("OTHER-DISK", IMAGE_SIZE);
	self->other_nr = loop_get_free();
	other_number = loop_attach(self->other_nr, image, 0);
	close(image);
	self->other_fd = open(loop_path(self->other_nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->other_fd);
	make_fs(_metadata, self->other_nr, "other");

	ASSERT_EQ(0, partition(self->fd, BLKPG_ADD_PARTITION));
	rdev = rdev_of(self->number);
	ASSERT_NE(0, rdev);
	unlink(NODE);
	ASSERT_EQ(0, mknod(NODE, S_IFBLK | 0600, rdev));
	first.node = path_by_number(entry, self->number, PARTNO);
	node.node = loop_path(self->nr);
	self->del = (struct call){ call_partition, self->fd,
				   .op = BLKPG_DEL_PARTITION };
	self->add = (struct call){ call_partition, self->fd,
				   .op = BLKPG_ADD_PARTITION };
	self->mount = first;
	self->other = (struct call){ call_mount, .node = NODE,
				     .dir = MOUNTED_OTHER };

	hold_driver_lock(_metadata, self);
	start_process(_metadata, &node, &self->pids[0]);
	start(_metadata, &self->del);
	start(_metadata, &self->add);
	start_process(_metadata, &first, &self->pids[1]);
	start(_metadata, &self->mount);

	/* The partition moves, ... */
	end(&self->pids[0]);
	ASSERT_TRUE(wait_until(self->del.done && self->add.done));
	ASSERT_EQ(0, self->del.ret);
	ASSERT_EQ(0, self->add.ret);
	ASSERT_NE(0, rdev_of(self->number));
	ASSERT_NE(rdev, rdev_of(self->number));

	/* ... the mount goes on to its open, ... */
	end(&self->pids[1]);
	/* ... and the device number is that of the other disk's partition. */
	ASSERT_TRUE(wait_until(!partition(self->other_fd, BLKPG_ADD_PARTITION) &&
			       (rdev_of(other_number) == rdev ||
				(partition(self->other_fd,
					   BLKPG_DEL_PARTITION), false))));
	ASSERT_FALSE(atomic_load(&self->mount.done));
	start(_metadata, &self->other);
	ASSERT_EQ(0, dm_resume("back"));
	ASSERT_TRUE(wait_until(self->mount.done && self->other.done));

	/* It fails, or is that of its partition. */
	if (!self->mount.ret) {
		EXPECT_EQ(0, access(MOUNTED "/right", F_OK));
		EXPECT_TRUE(mounted_is(MOUNTED, rdev_of(self->number)));
	} else {
		EXPECT_EQ(ESTALE, self->mount.error);
	}
	EXPECT_EQ(0, self->other.ret);
	EXPECT_EQ(0, access(MOUNTED_OTHER "/other", F_OK));
	EXPECT_NE(0, access(MOUNTED_OTHER "/right", F_OK));
	EXPECT_TRUE(mounted_is(MOUNTED_OTHER, rdev));

	/* The next one finds it. */
	if (self->mount.ret) {
		EXPECT_EQ(0, call_mount(&first));
		EXPECT_EQ(0, access(MOUNTED "/right", F_OK));
		EXPECT_TRUE(mounted_is(MOUNTED, rdev_of(self->number)));
	}
}

/* What is being mounted of a number may be what quotactl(2) is asked about. */
TEST_F(open_race, quotactl_waits_for_a_mount)
{
	char entry[64];

	NEED(FOR_EXT4);
	mkdir(MOUNTED, 0700);
	make_fs(_metadata, self->lower_nr, "right");
	ASSERT_EQ(0, partition(self->fd, BLKPG_ADD_PARTITION));
	path_by_number(entry, self->number, PARTNO);
	self->mount = (struct call){ call_mount, .node = entry, .dir = MOUNTED };
	self->other = (struct call){ call_quotactl, .node = entry };

	/* Nothing is mounted. */
	EXPECT_EQ(-1, call_quotactl(&self->other));
	ASSERT_EQ(ENODEV, errno);

	hold_driver_lock(_metadata, self);
	start(_metadata, &self->mount);
	begin(_metadata, &self->other);
	EXPECT_TRUE(wait_until(call_sleeps(&self->other) || self->other.done));
	EXPECT_FALSE(atomic_load(&self->other.done));
	ASSERT_EQ(0, dm_resume("back"));
	ASSERT_TRUE(wait_until(self->mount.done && self->other.done));
	EXPECT_EQ(0, self->mount.ret);
	/* It has no quota. */
	EXPECT_EQ(-1, self->other.ret);
	EXPECT_EQ(ESRCH, self->other.error);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, FOR_DM)
