// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <scsi/sg.h>

#include "diskseq_util.h"

const char diskseqfs_dir[] = "/tmp/diskseqfs";

static int dir_fd = -1;

int diskseqfs_private(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		err(1, "private mount namespace");
	if (mkdir(diskseqfs_dir, 0755) && errno != EEXIST)
		err(1, "%s", diskseqfs_dir);
	if (mount("diskseqfs", diskseqfs_dir, "diskseqfs", 0, NULL))
		err(1, "mount diskseqfs");
	if (dir_fd >= 0)
		close(dir_fd);
	dir_fd = open(diskseqfs_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		err(1, "%s", diskseqfs_dir);
	return dir_fd;
}

static void name_by_number(char *name, uint64_t diskseq, unsigned int partno)
{
	if (partno)
		sprintf(name, "%" PRIu64 "-part%u", diskseq, partno);
	else
		sprintf(name, "%" PRIu64, diskseq);
}

int open_by_number(uint64_t diskseq, unsigned int partno, int flags)
{
	char name[64];

	name_by_number(name, diskseq, partno);
	return openat(dir_fd, name, flags | O_CLOEXEC);
}

char *path_by_number(char *path, uint64_t diskseq, unsigned int partno)
{
	name_by_number(path + sprintf(path, "%s/", diskseqfs_dir), diskseq,
		       partno);
	return path;
}

int image_create(const char *stamp, size_t size)
{
	int fd = memfd_create(stamp, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		err(1, "image of %zu bytes", size);
	for (size_t pos = 0; pos < size; pos += 4096) {
		char block[STAMP_SIZE] = "";

		snprintf(block, sizeof(block), "%s", stamp);
		if (pwrite(fd, block, sizeof(block), pos) != sizeof(block))
			err(1, "write to image");
	}
	return fd;
}

bool has_stamp(int fd, const char *stamp)
{
	char block[STAMP_SIZE];

	return pread(fd, block, sizeof(block), 0) == sizeof(block) &&
	       !strncmp(block, stamp, sizeof(block));
}

static bool fd_is(int fd, const char *what, const char *stamp)
{
	char block[STAMP_SIZE + 1] = "";

	if (fd < 0) {
		printf("# %s: %s, expected %s\n", what, strerror(errno), stamp);
		return false;
	}
	if (has_stamp(fd, stamp))
		return true;
	if (pread(fd, block, STAMP_SIZE, 0) < 0)
		snprintf(block, sizeof(block), "%s", strerror(errno));
	printf("# %s: read '%s', expected '%s'\n", what, block, stamp);
	return false;
}

bool is_gone(uint64_t diskseq, unsigned int partno)
{
	int fd = open_by_number(diskseq, partno, O_RDONLY);
	char path[64];

	if (fd < 0 && errno == ENOENT)
		return true;
	path_by_number(path, diskseq, partno);
	if (fd < 0) {
		printf("# %s: %s, expected ENOENT\n", path, strerror(errno));
	} else {
		printf("# %s: opened, expected ENOENT\n", path);
		close(fd);
	}
	return false;
}

bool opens_as(uint64_t diskseq, unsigned int partno, const char *stamp)
{
	int fd = open_by_number(diskseq, partno, O_RDONLY);
	char path[64];
	bool is;

	is = fd_is(fd, path_by_number(path, diskseq, partno), stamp);
	if (fd < 0)
		return is;
	if (diskseq_of(fd) != diskseq) {
		printf("# %s: opened disk %" PRIu64 "\n", path, diskseq_of(fd));
		is = false;
	}
	close(fd);
	return is;
}

bool node_opens_as(const char *path, const char *stamp)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is = fd_is(fd, path, stamp);

	if (fd >= 0)
		close(fd);
	return is;
}

uint64_t diskseq_of(int fd)
{
	uint64_t diskseq;

	if (ioctl(fd, BLKGETDISKSEQ, &diskseq))
		err(1, "BLKGETDISKSEQ");
	return diskseq;
}

uint64_t diskseq_of_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t diskseq;

	if (fd < 0)
		err(1, "%s", path);
	diskseq = diskseq_of(fd);
	close(fd);
	return diskseq;
}

static int loop_control(unsigned long command, long nr)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		err(1, "/dev/loop-control");
	ret = ioctl(fd, command, nr);
	close(fd);
	return ret;
}

int loop_get_free(void)
{
	int nr = loop_control(LOOP_CTL_GET_FREE, 0);

	if (nr < 0)
		err(1, "LOOP_CTL_GET_FREE");
	return nr;
}

int loop_add(int nr)
{
	return loop_control(LOOP_CTL_ADD, nr);
}

int loop_remove(int nr)
{
	return loop_control(LOOP_CTL_REMOVE, nr);
}

const char *loop_path(int nr)
{
	static _Thread_local char path[32];

	snprintf(path, sizeof(path), "/dev/loop%d", nr);
	return path;
}

static int loop_open(int nr)
{
	int fd = open(loop_path(nr), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", loop_path(nr));
	return fd;
}

uint64_t loop_attach(int nr, int image_fd, uint32_t flags)
{
	struct loop_config config = {
		.fd = image_fd,
		.info.lo_flags = flags,
	};
	int fd = loop_open(nr);
	uint64_t diskseq;

	if (ioctl(fd, LOOP_CONFIGURE, &config))
		err(1, "LOOP_CONFIGURE %s", loop_path(nr));
	diskseq = diskseq_of(fd);
	close(fd);
	return diskseq;
}

static bool loop_is_detached(int nr)
{
	struct loop_info64 info;
	int fd, ret, error;

	fd = open(loop_path(nr), O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENXIO)
			err(1, "%s", loop_path(nr));
		/* Who was opening it when it was detached holds it still. */
		return false;
	}
	ret = ioctl(fd, LOOP_GET_STATUS64, &info);
	error = errno;
	/* A descriptor of ours keeps it attached: do not hold one. */
	close(fd);
	return ret && error == ENXIO;
}

void loop_wait_detached(int nr)
{
	if (!wait_until(loop_is_detached(nr)))
		errx(1, "%s is still attached after %d s", loop_path(nr),
		     WAIT_S);
}

void loop_detach(int nr)
{
	int fd = loop_open(nr);

	if (ioctl(fd, LOOP_CLR_FD, 0))
		err(1, "LOOP_CLR_FD %s", loop_path(nr));
	close(fd);
	loop_wait_detached(nr);
}

int partition_change(int fd, int op, unsigned int partno, off_t start,
		     off_t length)
{
	struct blkpg_partition part = {
		.start = start,
		.length = length,
		.pno = partno,
	};
	struct blkpg_ioctl_arg arg = {
		.op = op,
		.datalen = sizeof(part),
		.data = &part,
	};

	return ioctl(fd, BLKPG, &arg);
}

int partition_add(int fd, unsigned int partno, off_t start, off_t length)
{
	return partition_change(fd, BLKPG_ADD_PARTITION, partno, start, length);
}

int partition_del(int fd, unsigned int partno)
{
	return partition_change(fd, BLKPG_DEL_PARTITION, partno, 0, 0);
}

bool partition_gets(int fd, uint64_t number, unsigned int partno, off_t start,
		    off_t length, dev_t rdev)
{
	char path[64];
	struct stat st;

	if (partition_add(fd, partno, start, length))
		return false;
	path_by_number(path, number, partno);
	if (!stat(path, &st) && st.st_rdev == rdev)
		return true;
	partition_del(fd, partno);
	return false;
}

void partition_write_table(int fd, off_t start, off_t length)
{
	uint32_t first = htole32(start / 512), sectors = htole32(length / 512);
	unsigned char table[66] = { [4] = 0x83, [64] = 0x55, 0xaa };

	memcpy(table + 8, &first, sizeof(first));
	memcpy(table + 12, &sectors, sizeof(sectors));
	if (pwrite(fd, table, sizeof(table), 446) != sizeof(table))
		err(1, "partition table");
}

struct acl acl_for(uid_t user, int mask)
{
	return (struct acl) { 2, {
		{ 0x01, 6, -1 },	/* the owner */
		{ 0x02, 6, user },
		{ 0x04, 0, -1 },	/* the group */
		[ACL_MASK] = { 0x10, mask, -1 },
		{ 0x20, 0, -1 },	/* others */
	} };
}

int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, value, strlen(value));
	close(fd);
	return written == (ssize_t)strlen(value) ? 0 : -1;
}

int sg_test_unit_ready(int fd)
{
	unsigned char command[6] = "", sense[32] = "";
	struct sg_io_hdr io = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_NONE,
		.cmdp = command,
		.cmd_len = sizeof(command),
		.sbp = sense,
		.mx_sb_len = sizeof(sense),
		.timeout = 10000,
	};

	if (ioctl(fd, SG_IO, &io))
		err(1, "SG_IO");
	/* Fixed format, or with descriptors. */
	return io.sb_len_wr ? sense[(sense[0] & 0x7f) < 0x72 ? 2 : 1] & 0xf : 0;
}

int run(const char *format, ...)
{
	char command[1024];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
