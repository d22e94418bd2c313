// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that is changed for certain while an open of it waits in the driver's
 * ->open(), so that a successful open is wrong for certain.
 *
 *	loop device		its lock, in the order of the requests
 *	  |
 *	dm-linear, suspended	a read is stuck in it:
 *	  |			1. LOOP_SET_STATUS64 holds the lock and waits
 *	loop device		   for the read
 *	  |			2. LOOP_CHANGE_FD waits for the lock
 *	memory			3. open() by number, having passed what is
 *				   checked before ->open(), waits for the lock
 *
 * When the read may go on, the number is changed before ->open() returns.  Only
 * the comparison after ->open() can refuse.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "race.h"

#define STALL_NAME	"diskseq-stall"
#define DEADLINE_S	10

static int stalled_fd;		/* the loop device that is changed */
static int dm_fd, memory_fd;	/* what can be behind it */
static uint64_t number;		/* its number before the change */

struct job {
	void (*work)(struct job *job);
	atomic_int tid;
	int ret, error;
	pthread_t thread;
};

static void do_read(struct job *job)
{
	static alignas(RACE_BLOCK) char block[RACE_BLOCK];

	job->ret = pread(stalled_fd, block, sizeof(block), 0);
}

static void do_set_status(struct job *job)
{
	static struct loop_info64 info;

	if (ioctl(stalled_fd, LOOP_GET_STATUS64, &info))
		err(1, "LOOP_GET_STATUS64");
	job->ret = ioctl(stalled_fd, LOOP_SET_STATUS64, &info);
}

static void do_change(struct job *job)
{
	job->ret = ioctl(stalled_fd, LOOP_CHANGE_FD, memory_fd);
}

static void do_open(struct job *job)
{
	job->ret = open_by_number(number, 0, O_RDONLY);
}

static void *run_job(void *arg)
{
	struct job *job = arg;

	job->tid = gettid();
	job->work(job);
	job->error = errno;
	return NULL;
}

/* State of a thread, as /proc shows it: D if it waits in the kernel. */
static char state_of(pid_t tid)
{
	char path[64], stat[256] = "", *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, stat, sizeof(stat) - 1) < 0)
		err(1, "%s", path);
	close(fd);
	end = strrchr(stat, ')');
	return end && end[1] ? end[2] : 0;
}

/* Start @job and see it wait where it is meant to. */
static void start(struct job *job, const char *what)
{
	time_t end = time(NULL) + DEADLINE_S;
	int ret = pthread_create(&job->thread, NULL, run_job, job);

	if (ret)
		errx(1, "thread: %s", strerror(ret));
	while (!job->tid || state_of(job->tid) != 'D') {
		if (time(NULL) >= end)
			errx(1, "%s does not wait in the kernel", what);
		usleep(100);
	}
}

static void finish(struct job *job, const char *what)
{
	pthread_join(job->thread, NULL);
	if (job->ret < 0) {
		errno = job->error;
		err(1, "%s", what);
	}
}

static void stalled_round(struct stalled_counts *counts)
{
	struct job reader = { .work = do_read };
	struct job setter = { .work = do_set_status };
	struct job changer = { .work = do_change };
	struct job opener = { .work = do_open };

	if (ioctl(stalled_fd, LOOP_CHANGE_FD, dm_fd))
		err(1, "LOOP_CHANGE_FD");
	number = diskseq_of(stalled_fd);
	if (ioctl(dm_fd, BLKFLSBUF))
		err(1, "BLKFLSBUF");
	if (run("dmsetup suspend " STALL_NAME))
		errx(1, "dmsetup suspend");
	start(&reader, "read");
	start(&setter, "LOOP_SET_STATUS64");
	start(&changer, "LOOP_CHANGE_FD");
	start(&opener, "open");
	if (run("dmsetup resume " STALL_NAME))
		errx(1, "dmsetup resume");
	finish(&reader, "read");
	finish(&setter, "LOOP_SET_STATUS64");
	finish(&changer, "LOOP_CHANGE_FD");
	pthread_join(opener.thread, NULL);

	counts->tried++;
	if (opener.ret >= 0) {
		if (!counts->mismatches++)
			printf("# stalled: asked %" PRIu64 ", opened %" PRIu64 "\n",
			       number, diskseq_of(opener.ret));
		close(opener.ret);
	} else if (opener.error == ENOENT) {
		counts->refused++;
	} else {
		errno = opener.error;
		err(1, "open by number");
	}
}

const char *race_stalled(unsigned long rounds, struct stalled_counts *counts)
{
	const char *missing = MISSING(FOR_DM);
	int below, nr;
	char *path;

	if (missing)
		return missing;
	below = loop_add(-1);
	nr = loop_add(-1);
	if (below < 0 || nr < 0)
		err(1, "LOOP_CTL_ADD");
	/* Page faults wait in the kernel, too. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		err(1, "mlockall");

	memory_fd = image_create("", IMAGE_SIZE);
	loop_attach(below, memory_fd, 0);
	if (run("dmsetup create " STALL_NAME " --table '0 %d linear %s 0'",
		IMAGE_SIZE / 512, loop_path(below)))
		errx(1, "dmsetup create");
	dm_fd = open("/dev/mapper/" STALL_NAME, O_RDONLY | O_CLOEXEC);
	if (dm_fd < 0)
		err(1, "/dev/mapper/" STALL_NAME);
	loop_attach(nr, memory_fd, LO_FLAGS_READ_ONLY);
	if (asprintf(&path, "%s", loop_path(nr)) < 0)
		err(1, "path");
	stalled_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (stalled_fd < 0)
		err(1, "%s", path);
	free(path);

	while (rounds--)
		stalled_round(counts);

	close(stalled_fd);
	loop_detach(nr);
	close(dm_fd);
	if (run("dmsetup remove " STALL_NAME))
		errx(1, "dmsetup remove");
	loop_detach(below);
	close(memory_fd);
	return NULL;
}
