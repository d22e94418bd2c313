// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: openers_bench
 *
 * Do openers get in each other's way more by number than by device node?
 *
 * 1, 2 and 4 threads each open and close a fixed number of times, its own disk or
 * all the same, by node and by number in turns.  Reported is the cost of an
 * open as a ratio of number to node: what stays the same from 1 thread to 4
 * scales alike.  To be run with 4 processors and without -icount, which lets only
 * one of them run at a time; the counter then is the time.  Other load on the
 * host comes and goes more slowly than the turns do, which are compared in pairs
 * that begin with the one and the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench_util.h"

#define MAX_THREADS	4
#define OPENS		200
#define TURNS		1001
#define PER_MILLION	1000000

struct opener {
	pthread_t thread;
	const struct disk *disk;
	bool by_number;
};

static int dev_dir, seq_dir;

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;
	const char *name = opener->disk->node;
	int i, dir = dev_dir;

	if (opener->by_number) {
		name = opener->disk->number;
		dir = seq_dir;
	}
	for (i = 0; i < OPENS; i++)
		close(CHECK(openat(dir, name, O_RDONLY)));
	return NULL;
}

static uint64_t turn(const struct disk *disks, unsigned int threads, bool same,
		     bool by_number)
{
	struct opener openers[MAX_THREADS];
	uint64_t start = counter();
	unsigned int i;

	for (i = 0; i < threads; i++) {
		openers[i].disk = &disks[same ? 0 : i];
		openers[i].by_number = by_number;
		errno = pthread_create(&openers[i].thread, NULL,
				       open_and_close, &openers[i]);
		CHECK(errno ? -1 : 0);
	}
	for (i = 0; i < threads; i++)
		pthread_join(openers[i].thread, NULL);
	return counter() - start;
}

static void measure(const struct disk *disks, unsigned int threads, bool same)
{
	uint64_t node, number, ratio[TURNS];
	char what[40];
	unsigned int i;

	for (i = 0; i < TURNS; i++) {
		if (i % 2)
			number = turn(disks, threads, same, true);
		node = turn(disks, threads, same, false);
		if (i % 2 == 0)
			number = turn(disks, threads, same, true);
		ratio[i] = number * PER_MILLION / node;
	}
	snprintf(what, sizeof(what), "%u on %s", threads,
		 same ? "the same disk" : "different disks");
	report(what, 0, (double)median(ratio, TURNS) / PER_MILLION, "ratio");
}

int main(void)
{
	struct disk *disks = make_disks(MAX_THREADS);
	unsigned int threads;

	dev_dir = CHECK(open("/dev", O_PATH | O_DIRECTORY));
	seq_dir = new_diskseqfs();
	for (threads = 1; threads <= MAX_THREADS; threads *= 2) {
		measure(disks, threads, false);
		measure(disks, threads, true);
	}
	return 0;
}
