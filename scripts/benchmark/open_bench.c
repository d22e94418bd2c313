// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: open_bench COUNT [udev]
 *
 * What it takes to open a disk, and to close it again, among COUNT of them: by
 * number, by device node, and in today's ways of being sure which disk it is.
 * With "udev", what that service has records of.
 *
 * Each figure is the median over single operations, on disks that are spread
 * over all there are.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <systemd/sd-device.h>
#include <unistd.h>

#include "bench_util.h"
#include "diskseq_bench.h"

#define MAX_SAMPLES	400
#define GONE_DISKS	500
#define BY_DISKSEQ	"/mnt/by-diskseq"
#define LINKS		"/dev/disk/by-diskseq"

static struct disk *disks;
static unsigned int disk_count;
static int dev_dir, link_dir, bench_dev;
static int seq_dir;

/* The ways of opening: each returns a file descriptor. */

static int open_node(const struct disk *disk)
{
	return openat(dev_dir, disk->node, O_RDONLY);
}

static int open_number(const struct disk *disk)
{
	return openat(seq_dir, disk->number, O_RDONLY);
}

static int open_path(const char *dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDONLY);
}

static int open_node_path(const struct disk *disk)
{
	return open_path("/dev", disk->node);
}

static int open_number_path(const struct disk *disk)
{
	return open_path(BY_DISKSEQ, disk->number);
}

static int check_diskseq(int fd, const struct disk *disk)
{
	uint64_t diskseq;

	CHECK(fd);
	CHECK(ioctl(fd, BLKGETDISKSEQ, &diskseq));
	CHECK(diskseq == disk->diskseq ? 0 : -1);
	return fd;
}

/* A link such as udev makes, and the check that a careful user adds. */
static int open_link_checked(const struct disk *disk)
{
	return check_diskseq(openat(link_dir, disk->link, O_RDONLY), disk);
}

static int check_sd(int ret)
{
	if (ret < 0)
		errno = -ret;
	return CHECK(ret);
}

static int open_sd_device(const struct disk *disk)
{
	sd_device *device;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", disk->node);
	check_sd(sd_device_new_from_devname(&device, path));
	fd = check_sd(sd_device_open(device, O_RDONLY));
	/* Otherwise it has left out most of its checks. */
	if (check_sd(sd_device_get_is_initialized(device)) == 0) {
		fprintf(stderr, "%s: not in udev's records\n", disk->node);
		exit(1);
	}
	sd_device_unref(device);
	return fd;
}

static uint64_t sysfs_diskseq(int class, const char *name)
{
	char path[300], text[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/diskseq", name);
	fd = openat(class, path, O_RDONLY);
	if (fd < 0)
		return 0;	/* "." or a partition */
	len = CHECK(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[len] = '\0';
	return strtoull(text, NULL, 10);
}

/* Without links: look for the number in sysfs, then open and check. */
static int open_sysfs_scan(const struct disk *disk)
{
	DIR *class = opendir("/sys/class/block");
	struct dirent *entry;
	int fd = -1;

	CHECK(class ? 0 : -1);
	while (fd < 0 && (entry = readdir(class))) {
		if (sysfs_diskseq(dirfd(class), entry->d_name) == disk->diskseq)
			fd = openat(dev_dir, entry->d_name, O_RDONLY);
	}
	closedir(class);
	return check_diskseq(fd, disk);
}

typedef int (*open_fn)(const struct disk *disk);

static uint64_t measure_one(open_fn open_disk, const struct disk *disk)
{
	uint64_t start = counter();

	close(CHECK(open_disk(disk)));
	return counter() - start;
}

static const struct disk *spread(unsigned int i, unsigned int samples)
{
	if (samples < disk_count)
		return &disks[(uint64_t)i * disk_count / samples];
	return &disks[i % disk_count];
}

static void measure(const char *what, open_fn open_disk, unsigned int samples)
{
	uint64_t values[MAX_SAMPLES];
	unsigned int i;

	/* Caches and first times. */
	for (i = 0; i < samples; i++)
		measure_one(open_disk, spread(i, samples));
	for (i = 0; i < samples; i++)
		values[i] = measure_one(open_disk, spread(i, samples));
	report(what, disk_count, median(values, samples), "instructions");
}

/* The first open of each name in a file system that is new. */
static void measure_cold(unsigned int samples)
{
	uint64_t values[MAX_SAMPLES];
	int warm = seq_dir;
	unsigned int i, round;

	/* The first round finds memory that nobody has used for this before. */
	for (round = 0; round < 2; round++) {
		seq_dir = -1;
		for (i = 0; i < samples; i++) {
			if (i % disk_count == 0) {
				if (seq_dir >= 0)
					close(seq_dir);
				seq_dir = new_diskseqfs();
			}
			values[i] = measure_one(open_number, spread(i, samples));
		}
		close(seq_dir);
	}
	seq_dir = warm;
	report("number first time", disk_count, median(values, samples),
	       "instructions");
}

static void measure_gone(const char *what, int dir, const char *name)
{
	uint64_t values[MAX_SAMPLES];
	unsigned int i;

	for (i = 0; i < MAX_SAMPLES; i++) {
		uint64_t start = counter();

		CHECK(openat(dir, name, O_RDONLY) < 0 ? 0 : -1);
		values[i] = counter() - start;
	}
	report(what, disk_count, median(values, MAX_SAMPLES), "instructions");
}

static void measure_list(const char *what, int dir)
{
	unsigned int entries, round;
	uint64_t values[25], start;

	for (round = 0; round < ARRAY_SIZE(values); round++) {
		int fd = CHECK(openat(dir, ".", O_RDONLY | O_DIRECTORY));
		DIR *stream = fdopendir(fd);

		start = counter();
		for (entries = 0; readdir(stream); entries++)
			;
		values[round] = (counter() - start) / entries;
		closedir(stream);
	}
	report(what, disk_count, median(values, ARRAY_SIZE(values)),
	       "instructions");
}

static void measure_in_kernel(const char *what, unsigned long request)
{
	uint64_t values[MAX_SAMPLES];
	unsigned int i;

	for (i = 0; i < MAX_SAMPLES; i++) {
		const struct disk *disk = spread(i, MAX_SAMPLES);
		struct diskseq_bench bench = {
			.diskseq = disk->diskseq,
			.major = disk->major,
			.minor = disk->minor,
		};

		CHECK(ioctl(bench_dev, request, &bench));
		values[i] = bench.insns;
	}
	report(what, disk_count, median(values, MAX_SAMPLES), "instructions");
}

static void make_links(void)
{
	unsigned int i;
	char target[32];

	mkdir("/dev/disk", 0755);
	mkdir(LINKS, 0755);
	link_dir = CHECK(open(LINKS, O_PATH | O_DIRECTORY));
	for (i = 0; i < disk_count; i++) {
		snprintf(target, sizeof(target), "../../%s", disks[i].node);
		if (symlinkat(target, link_dir, disks[i].link) && errno != EEXIST)
			CHECK(-1);
	}
}

/* One partition on the first disk, which has a medium as long as this runs. */
static void measure_partition(void)
{
	struct blkpg_partition part = {
		.start = 4096, .length = 4096, .pno = 1,
	};
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(part), .data = &part,
	};
	int image = CHECK(memfd_create("image", MFD_CLOEXEC));
	struct disk partition, *all = disks;
	unsigned int count = disk_count;
	int loop;

	CHECK(ftruncate(image, 1 << 20));
	loop = CHECK(openat(dev_dir, disks[0].node, O_RDWR | O_CLOEXEC));
	CHECK(ioctl(loop, LOOP_SET_FD, image));
	CHECK(ioctl(loop, BLKPG, &arg));
	get_disk(&partition, "loop0p1");
	snprintf(partition.number, sizeof(partition.number), "%llu-part1",
		 (unsigned long long)partition.diskseq);

	disks = &partition;
	disk_count = 1;
	measure("partition node", open_node, MAX_SAMPLES);
	measure("partition number", open_number, MAX_SAMPLES);
	disks = all;
	disk_count = count;

	arg.op = BLKPG_DEL_PARTITION;
	CHECK(ioctl(loop, BLKPG, &arg));
	CHECK(ioctl(loop, LOOP_CLR_FD, 0));
	close(loop);
	close(image);
	/* The disk has another number now. */
	get_disk(&disks[0], "loop0");
}

static long count_inodes(void)
{
	FILE *file = fopen("/proc/sys/fs/inode-nr", "r");
	long count;

	CHECK(file && fscanf(file, "%ld", &count) == 1 ? 0 : -1);
	fclose(file);
	return count;
}

/* What stays behind of disks that were opened by number and are gone. */
static void measure_retained(void)
{
	const unsigned int nr = disk_count;
	long before = count_inodes(), after;
	unsigned int i;

	for (i = 0; i < GONE_DISKS; i++) {
		struct disk disk;
		char node[16];

		CHECK(loop_ctl(LOOP_CTL_ADD, nr));
		snprintf(node, sizeof(node), "loop%u", nr);
		get_disk(&disk, node);
		close(CHECK(open_number(&disk)));
		CHECK(loop_ctl(LOOP_CTL_REMOVE, nr));
	}
	/* A work item forgets them. */
	for (i = 0; i < 100; i++) {
		after = count_inodes();
		if (after <= before)
			break;
		usleep(10000);
	}
	report("inodes kept of gone numbers", GONE_DISKS, after - before,
	       "inodes");
}

static void measure_opens(void)
{
	measure("node", open_node, MAX_SAMPLES);
	measure("number", open_number, MAX_SAMPLES);
	measure_cold(MAX_SAMPLES);
	measure("link + check", open_link_checked, MAX_SAMPLES);
	/* Takes longer the more disks there are, and depends on which one it is. */
	measure("sysfs scan", open_sysfs_scan,
		disk_count < 10000 ? MIN(MAX_SAMPLES, 40000 / disk_count) : 5);
	measure("node by path", open_node_path, MAX_SAMPLES);
	measure("number by path", open_number_path, MAX_SAMPLES);
	measure_gone("number gone", seq_dir, "18446744073709551615");
	measure_gone("node missing", dev_dir, "missing");
	measure_list("list numbers (each)", seq_dir);
	measure_list("list links (each)", link_dir);
	measure_in_kernel("kernel by dev_t", DISKSEQ_BENCH_BY_DEV);
	measure_in_kernel("kernel by number", DISKSEQ_BENCH_BY_SEQ);
}

int main(int argc, char **argv)
{
	bool udev = argc == 3 && !strcmp(argv[2], "udev");

	if (argc < 2 || atoi(argv[1]) < 1 || (argc > 2 && !udev)) {
		fprintf(stderr, "usage: %s COUNT [udev]\n", argv[0]);
		return 2;
	}
	disk_count = atoi(argv[1]);
	disks = make_disks(disk_count);
	dev_dir = CHECK(open("/dev", O_PATH | O_DIRECTORY));
	if (udev) {
		measure("sd_device_open", open_sd_device, MAX_SAMPLES);
		return 0;
	}

	mkdir(BY_DISKSEQ, 0755);
	CHECK(mount("diskseqfs", BY_DISKSEQ, "diskseqfs", 0, NULL));
	seq_dir = CHECK(open(BY_DISKSEQ, O_RDONLY | O_DIRECTORY));
	bench_dev = CHECK(open("/dev/diskseq_bench", O_RDWR));

	if (disk_count <= 10) {
		measure_partition();
		measure_retained();
	}
	make_links();
	measure_opens();

	close(seq_dir);
	CHECK(umount(BY_DISKSEQ));
	return 0;
}
