// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench_util.h"

long check(long ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
	return ret;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t median(uint64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

void report(const char *what, unsigned int disks, double value,
	    const char *unit)
{
	printf("%s,%u,%.*f,%s\n", what, disks, value < 10 ? 3 : 0, value, unit);
	fflush(stdout);
}

int loop_ctl(unsigned long request, long nr)
{
	static int fd = -1;

	if (fd < 0)
		fd = CHECK(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
	return ioctl(fd, request, nr);
}

void get_disk(struct disk *disk, const char *node)
{
	char path[32];
	struct stat st;
	int fd;

	snprintf(disk->node, sizeof(disk->node), "%s", node);
	snprintf(path, sizeof(path), "/dev/%s", disk->node);
	fd = CHECK(open(path, O_RDONLY | O_CLOEXEC));
	CHECK(ioctl(fd, BLKGETDISKSEQ, &disk->diskseq));
	CHECK(fstat(fd, &st));
	close(fd);
	disk->major = major(st.st_rdev);
	disk->minor = minor(st.st_rdev);
	snprintf(disk->number, sizeof(disk->number), "%llu",
		 (unsigned long long)disk->diskseq);
	snprintf(disk->link, sizeof(disk->link), "%s", disk->number);
}

struct disk *make_disks(unsigned int count)
{
	struct disk *disks = calloc(count, sizeof(*disks));
	char node[16];
	unsigned int i;

	CHECK(disks ? 0 : -1);
	for (i = 0; i < count; i++) {
		if (loop_ctl(LOOP_CTL_ADD, i) < 0 && errno != EEXIST)
			CHECK(-1);
		snprintf(node, sizeof(node), "loop%u", i);
		get_disk(&disks[i], node);
	}
	return disks;
}

int new_diskseqfs(void)
{
	int fs, dir;

	fs = CHECK(syscall(SYS_fsopen, "diskseqfs", FSOPEN_CLOEXEC));
	CHECK(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	dir = CHECK(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0));
	close(fs);
	return dir;
}
