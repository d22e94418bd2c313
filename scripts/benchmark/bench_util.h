/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks share: the counter, medians, disks to open, one format.
 *
 * Functions that cannot fail in a sound environment end the program with a
 * message if they do.
 */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <x86intrin.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

struct disk {
	char node[16];		/* in /dev */
	char number[24];	/* in a diskseqfs */
	char link[40];		/* a symbolic link to the node has this name */
	uint64_t diskseq;
	unsigned int major, minor;
};

/* The TSC: instructions, under QEMU's -icount shift=0. */
static inline uint64_t counter(void)
{
	return __rdtsc();
}

/* End the program with a message if @ret is negative; returns it. */
long check(long ret, const char *what);
#define CHECK(call)	check((call), #call)

/* Sorts them. */
uint64_t median(uint64_t *values, size_t count);

/* Print a figure: one line of CSV. */
void report(const char *what, unsigned int disks, double value,
	    const char *unit);

/* Have loop devices until there are @count disks; returns them, allocated. */
struct disk *make_disks(unsigned int count);
/* What is to be known of a device node in /dev. */
void get_disk(struct disk *disk, const char *node);
int loop_ctl(unsigned long request, long nr);

/* A diskseqfs that nobody has looked into; returns its directory's fd. */
int new_diskseqfs(void);

#endif /* BENCH_UTIL_H */
