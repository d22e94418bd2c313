// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: disk_bench
 *
 * What it takes to add a disk, to remove it and to change its medium: to be run
 * on the kernel with and without disks by number.
 *
 * These operations sleep.  So that the processor is never idle, whose time
 * would count, a task of the lowest priority spins; what it used is taken off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_util.h"
#include "diskseq_bench.h"

#define ROUNDS		200
#define FIRST_LOOP	1000

static pid_t spinner;
static clockid_t spinner_clock;

static void start_spinner(void)
{
	struct sched_param none = { 0 };

	spinner = CHECK(fork());
	if (!spinner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK(sched_setscheduler(0, SCHED_IDLE, &none));
		for (;;)
			;
	}
	errno = clock_getcpuclockid(spinner, &spinner_clock);
	CHECK(errno ? -1 : 0);
}

/* The counter less what the spinner used. */
static uint64_t busy(void)
{
	struct timespec spun;

	CHECK(clock_gettime(spinner_clock, &spun));
	return counter() - (spun.tv_sec * 1000000000ULL + spun.tv_nsec);
}

static uint64_t measure_loop_ctl(unsigned long request, unsigned int nr)
{
	uint64_t start = busy();

	CHECK(loop_ctl(request, nr));
	return busy() - start;
}

static void measure_add_remove(void)
{
	uint64_t add[ROUNDS], remove[ROUNDS], both[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		add[i] = measure_loop_ctl(LOOP_CTL_ADD, FIRST_LOOP + i);
		remove[i] = measure_loop_ctl(LOOP_CTL_REMOVE, FIRST_LOOP + i);
		both[i] = add[i] + remove[i];
	}
	report("add", 0, median(add, ROUNDS), "instructions");
	report("remove", 0, median(remove, ROUNDS), "instructions");
	report("add + remove", 0, median(both, ROUNDS), "instructions");
}

static void measure_change(int bench_dev)
{
	struct diskseq_bench bench;
	uint64_t change[ROUNDS];
	struct disk disk;
	unsigned int i;

	get_disk(&disk, "loop0");
	bench.major = disk.major;
	bench.minor = disk.minor;
	for (i = 0; i < ROUNDS; i++) {
		CHECK(ioctl(bench_dev, DISKSEQ_BENCH_CHANGE, &bench));
		change[i] = bench.insns;
	}
	report("change", 0, median(change, ROUNDS), "instructions");
}

int main(void)
{
	int bench_dev = CHECK(open("/dev/diskseq_bench", O_RDWR));
	struct diskseq_bench bench;

	CHECK(ioctl(bench_dev, DISKSEQ_BENCH_SIZE, &bench));
	report("disk size", 0, bench.insns, "bytes");
	CHECK(ioctl(bench_dev, DISKSEQ_BENCH_SLAB, &bench));
	report("disk allocated", 0, bench.insns, "bytes");
	measure_change(bench_dev);
	start_spinner();
	measure_add_remove();
	kill(spinner, SIGKILL);
	return 0;
}
