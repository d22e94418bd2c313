// SPDX-License-Identifier: GPL-2.0
/*
 * A file opened by number is a block device file like one opened through the
 * device node: most tests do the same thing both ways and compare.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/openat2.h>

#include "diskseq_util.h"
#include "need.h"
#include "uring_util.h"
#include "../kselftest_harness.h"

/* Enough alignment for O_DIRECT on any device. */
#define BLOCK	4096

FIXTURE(bdev)
{
	int dir;		/* the diskseqfs */
	int nr, image;
	uint64_t number;
	char entry[64];		/* path of the disk, by number */
	char node[64];		/* and of its device node */
	char *block;		/* a buffer for O_DIRECT */
};

FIXTURE_SETUP(bdev)
{
	self->dir = diskseqfs_private();
	self->image = image_create("DISK", IMAGE_SIZE);
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, self->image, LO_FLAGS_PARTSCAN);
	path_by_number(self->entry, self->number, 0);
	snprintf(self->node, sizeof(self->node), "%s", loop_path(self->nr));
	self->block = aligned_alloc(BLOCK, BLOCK);
	ASSERT_NE(NULL, self->block);
}

FIXTURE_TEARDOWN(bdev)
{
	int fd = open(self->node, O_RDONLY);

	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

/* Put another image on the same minor; returns its number. */
static uint64_t replace_disk(int nr)
{
	loop_detach(nr);
	return loop_attach(nr, image_create("OTHER", IMAGE_SIZE), 0);
}

/* Close a descriptor if there is one; returns 0, or the errno there was. */
static int close_or_errno(int fd)
{
	int error = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return error;
}

/* The errno of opening @path, or 0. */
static int open_errno(const char *path, int flags)
{
	return close_or_errno(open(path, flags | O_CLOEXEC));
}

static int mkdir_exist_ok(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -1 : 0;
}

/* Open what @fd refers to once more. */
static int reopen(int fd, int flags)
{
	char path[64];

	sprintf(path, "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* What is asked of the device is answered alike. */
TEST_F(bdev, ioctls_answer_as_at_the_node)
{
	static const struct {
		const char *name;
		unsigned long command;
	} ioctls[] = {
		{ "BLKGETDISKSEQ", BLKGETDISKSEQ },
		{ "BLKGETSIZE64", BLKGETSIZE64 },
		{ "BLKGETSIZE", BLKGETSIZE },
		{ "BLKSSZGET", BLKSSZGET },
		{ "BLKPBSZGET", BLKPBSZGET },
		{ "BLKIOMIN", BLKIOMIN },
		{ "BLKROGET", BLKROGET },
		{ "BLKRAGET", BLKRAGET },
		{ "BLKBSZGET", BLKBSZGET },
		{ "LOOP_GET_STATUS64", LOOP_GET_STATUS64 },
		{ "no such ioctl", _IO(0x12, 255) },
	};
	int fd = open(self->entry, O_RDONLY), node = open(self->node, O_RDONLY);
	uint64_t size;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, node);
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++) {
		struct loop_info64 a = {}, b = {};
		int by_node, by_number;

		by_node = ioctl(node, ioctls[i].command, &b) ? errno : 0;
		by_number = ioctl(fd, ioctls[i].command, &a) ? errno : 0;
		EXPECT_EQ(by_node, by_number) TH_LOG("%s", ioctls[i].name);
		EXPECT_EQ(0, memcmp(&a, &b, sizeof(a)))
			TH_LOG("%s", ioctls[i].name);
	}
	EXPECT_EQ(self->number, diskseq_of(fd));
	EXPECT_EQ(0, ioctl(fd, BLKGETSIZE64, &size));
	EXPECT_EQ(IMAGE_SIZE, size);
}

/* The end is where the device ends, and nothing can be read behind it. */
TEST_F(bdev, lseek_finds_the_end)
{
	int fd = open(self->entry, O_RDONLY);
	char c;

	ASSERT_LE(0, fd);
	EXPECT_EQ(IMAGE_SIZE, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(0, read(fd, &c, 1));
	EXPECT_EQ(IMAGE_SIZE - 1, lseek(fd, -1, SEEK_CUR));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ(-1, lseek(fd, IMAGE_SIZE + 1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
}

/* Neither poll() nor fcntl() can tell the two ways apart. */
TEST_F(bdev, poll_and_fcntl_flags_equal_the_nodes)
{
	static const int modes[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_DIRECT,
		O_RDWR | O_SYNC, O_RDONLY | O_NONBLOCK, O_RDONLY | O_EXCL,
		O_PATH,
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pollfd by_node, by_number;

		by_node.fd = open(self->node, modes[i]);
		ASSERT_LE(0, by_node.fd);
		by_node.events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;
		by_number = by_node;
		by_number.fd = open(self->entry, modes[i] & ~O_EXCL);
		ASSERT_LE(0, by_number.fd);

		EXPECT_EQ(fcntl(by_node.fd, F_GETFL),
			  fcntl(by_number.fd, F_GETFL))
			TH_LOG("flags %#o", modes[i]);
		EXPECT_EQ(poll(&by_node, 1, 0), poll(&by_number, 1, 0));
		EXPECT_EQ(by_node.revents, by_number.revents)
			TH_LOG("flags %#o", modes[i]);
		close(by_node.fd);
		close(by_number.fd);
	}
}

/* Flags that mean something for other files fail, or do not, as at the node. */
TEST_F(bdev, open_flags_mean_what_they_do_at_the_node)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_RDWR,
		O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_TRUNC,
		O_RDWR | O_CREAT | O_TRUNC, O_RDWR | O_APPEND,
		O_RDONLY | O_NONBLOCK, O_RDONLY | O_DIRECTORY,
		O_RDONLY | O_NOFOLLOW, O_RDONLY | O_NOATIME,
		O_RDONLY | O_NOCTTY, O_RDWR | O_DSYNC, O_RDWR | O_TMPFILE,
		O_PATH, O_PATH | O_DIRECTORY,
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(close_or_errno(open(self->node, flags[i], 0666)),
			  close_or_errno(open(self->entry, flags[i], 0666)))
			TH_LOG("flags %#o", flags[i]);
	}
	EXPECT_EQ(0, close_or_errno(open(self->entry, O_RDWR | O_CREAT, 0666)));
	EXPECT_EQ(EEXIST, open_errno(self->entry, O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(ENOTDIR, open_errno(self->entry, O_RDONLY | O_DIRECTORY));
}

/* O_TRUNC leaves a disk alone. */
TEST_F(bdev, truncating_open_keeps_content_and_size)
{
	int fd = open(self->entry, O_RDWR | O_TRUNC);

	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "DISK"));
	EXPECT_EQ(IMAGE_SIZE, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, truncate(self->entry, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* A disk that is read-only allows and refuses the same both ways. */
TEST_F(bdev, read_only_disk_refuses_as_at_the_node)
{
	static const int modes[] = { O_RDONLY, O_RDWR, O_WRONLY };
	uint64_t number;
	int fd;

	loop_detach(self->nr);
	number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int a = open(self->node, modes[i]), a_errno = errno;
		int b = open_by_number(number, 0, modes[i]), b_errno = errno;
		ssize_t ret;

		ASSERT_EQ(a < 0, b < 0) TH_LOG("mode %d", modes[i]);
		if (a < 0) {
			EXPECT_EQ(a_errno, b_errno) TH_LOG("mode %d", modes[i]);
			continue;
		}
		ret = write(a, "x", 1);
		a_errno = errno;
		EXPECT_EQ(-1, ret);
		EXPECT_EQ(ret, write(b, "x", 1)) TH_LOG("mode %d", modes[i]);
		EXPECT_EQ(a_errno, errno) TH_LOG("mode %d", modes[i]);
		close(a);
		close(b);
	}
	fd = open_by_number(number, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "DISK"));
}

/* Direct reads and writes reach the medium itself. */
TEST_F(bdev, direct_io_reaches_the_medium)
{
	int fd = open(self->entry, O_RDWR | O_DIRECT);
	char block[16];

	ASSERT_LE(0, fd);
	EXPECT_EQ(BLOCK, pread(fd, self->block, BLOCK, 0));
	EXPECT_STREQ("DISK", self->block);

	memcpy(self->block, "DIRECT", 7);
	EXPECT_EQ(BLOCK, pwrite(fd, self->block, BLOCK, BLOCK));
	EXPECT_EQ(sizeof(block),
		  pread(self->image, block, sizeof(block), BLOCK));
	EXPECT_STREQ("DIRECT", block);

	EXPECT_EQ(-1, pread(fd, self->block, 100, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* Data that has been synced is on the medium. */
TEST_F(bdev, fsync_reaches_the_medium)
{
	int fd = open(self->entry, O_RDWR);
	char block[16];

	ASSERT_LE(0, fd);
	EXPECT_EQ(7, pwrite(fd, "SYNCED", 7, BLOCK));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(sizeof(block),
		  pread(self->image, block, sizeof(block), BLOCK));
	EXPECT_STREQ("SYNCED", block);

	EXPECT_EQ(8, pwrite(fd, "SYNCED2", 8, BLOCK));
	EXPECT_EQ(0, fdatasync(fd));
	EXPECT_EQ(sizeof(block),
		  pread(self->image, block, sizeof(block), BLOCK));
	EXPECT_STREQ("SYNCED2", block);
}

/* A writable mapping by number is the memory that a mapping by node shows. */
TEST_F(bdev, shared_mappings_are_one_memory)
{
	int fd = open(self->entry, O_RDWR), node = open(self->node, O_RDWR);
	char *by_number, *by_node, block[16];

	ASSERT_LE(0, fd);
	ASSERT_LE(0, node);
	by_number = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	ASSERT_NE(MAP_FAILED, by_number);
	by_node = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED,
		       node, 0);
	ASSERT_NE(MAP_FAILED, by_node);

	EXPECT_STREQ("DISK", by_number);
	memcpy(by_number + BLOCK, "MAPPED", 7);
	EXPECT_STREQ("MAPPED", by_node + BLOCK);
	memcpy(by_node, "BACK", 5);
	EXPECT_STREQ("BACK", by_number);

	EXPECT_EQ(0, msync(by_number, 2 * BLOCK, MS_SYNC));
	EXPECT_EQ(sizeof(block),
		  pread(self->image, block, sizeof(block), BLOCK));
	EXPECT_STREQ("MAPPED", block);
}

/* A new partition table is read, and its partition can be opened by number. */
TEST_F(bdev, blkrrpart_reads_the_partition_table)
{
	int fd = open(self->entry, O_RDWR), part;
	uint64_t size;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, open_by_number(self->number, 1, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);

	partition_write_table(fd, 4096, 4096);
	ASSERT_EQ(0, ioctl(fd, BLKRRPART)) TH_LOG("%s", strerror(errno));

	part = open_by_number(self->number, 1, O_RDONLY);
	ASSERT_LE(0, part);
	EXPECT_EQ(0, ioctl(part, BLKGETSIZE64, &size));
	EXPECT_EQ(8 * 512, size);
	EXPECT_TRUE(has_stamp(part, "DISK"));
	EXPECT_EQ(self->number, diskseq_of(part));

	/* Now in use. */
	EXPECT_EQ(-1, ioctl(fd, BLKRRPART));
	EXPECT_EQ(EBUSY, errno);
	close(part);

	memset(self->block, 0, 512);
	ASSERT_EQ(512, pwrite(fd, self->block, 512, 0));
	ASSERT_EQ(0, ioctl(fd, BLKRRPART));
	EXPECT_EQ(-1, open_by_number(self->number, 1, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
}

/* An open file can be opened again through /proc, with another access mode. */
TEST_F(bdev, open_file_can_be_reopened)
{
	int fd = open(self->entry, O_RDONLY), again;

	ASSERT_LE(0, fd);
	again = reopen(fd, O_RDWR);
	ASSERT_LE(0, again);
	EXPECT_EQ(O_RDWR, fcntl(again, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(self->number, diskseq_of(again));
	EXPECT_EQ(6, pwrite(again, "AGAIN", 6, 0));
	EXPECT_TRUE(has_stamp(fd, "AGAIN"));
	/* Not a duplicate: the old one still cannot write. */
	EXPECT_EQ(-1, pwrite(fd, "x", 1, 0));
	EXPECT_EQ(EBADF, errno);
	close(fd);
	EXPECT_TRUE(has_stamp(again, "AGAIN"));
}

/*
 * A file whose number is gone stays open, but cannot be opened again: there is
 * no name to look up, so the error is that of a stale handle, where a path
 * gives ENOENT.
 */
TEST_F(bdev, reopen_of_a_lost_number_is_estale)
{
	static const int modes[] = { O_RDONLY, O_RDWR, O_RDONLY | O_NONBLOCK };
	uint64_t number;
	int fd;

	loop_detach(self->nr);
	number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
	fd = open_by_number(number, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD,
			   image_create("OTHER", IMAGE_SIZE)));
	EXPECT_NE(number, diskseq_of(fd));

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(-1, reopen(fd, modes[i]));
		EXPECT_EQ(ESTALE, errno);
	}
	EXPECT_EQ(-1, open_by_number(number, 0, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
	close(fd);
}

/*
 * O_PATH opens nothing, so it holds nothing: after the disk has gone it leads
 * nowhere, and never to the disk that has taken its place.
 */
TEST_F(bdev, o_path_never_leads_to_the_successor)
{
	static const int modes[] = { O_RDONLY, O_RDWR };
	int handle = open(self->entry, O_PATH), fd;
	struct stat st;
	uint64_t new;

	ASSERT_LE(0, handle);
	fd = reopen(handle, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(self->number, diskseq_of(fd));
	close(fd);

	new = replace_disk(self->nr);
	fd = open_by_number(new, 0, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "OTHER"));
	close(fd);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(-1, reopen(handle, modes[i]));
		EXPECT_EQ(ESTALE, errno);
	}
	EXPECT_EQ(ENOENT, open_errno(self->entry, O_RDONLY));
	/* What it was stays known, as for a file that has been unlinked. */
	EXPECT_EQ(0, fstat(handle, &st));
	EXPECT_EQ(makedev(LOOP_MAJOR, self->nr), st.st_rdev);
}

/*
 * The same of those who hand a path to the kernel to open: mount(2), also when
 * it could share the successor's file system, and a device-mapper table.
 */
TEST_F(bdev, kernel_look_up_never_leads_to_the_successor)
{
	char path[64];
	int handle;

	NEED(FOR_EXT4, FOR_DM);
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_test"));
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_successor"));
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s", self->node));
	handle = open(self->entry, O_PATH);
	ASSERT_LE(0, handle);
	sprintf(path, "/proc/self/fd/%d", handle);

	/* It works as long as the disk is there. */
	ASSERT_EQ(0, mount(path, "/tmp/bdev_test", "ext4", 0, NULL));
	ASSERT_EQ(0, umount("/tmp/bdev_test"));
	ASSERT_EQ(0, run("dmsetup create bdev_test --table '0 8 linear %s 0'",
			 path));
	ASSERT_EQ(0, run("dmsetup remove bdev_test"));

	replace_disk(self->nr);
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s", self->node));

	EXPECT_EQ(-1, mount(path, "/tmp/bdev_test", "ext4", 0, NULL));
	umount("/tmp/bdev_test");
	EXPECT_NE(0, run("dmsetup create bdev_test --table '0 8 linear %s 0' 2>&1",
			 path));
	run("dmsetup remove bdev_test 2>/dev/null");

	ASSERT_EQ(0, mount(self->node, "/tmp/bdev_successor", "ext4", 0, NULL));
	EXPECT_EQ(-1, mount(path, "/tmp/bdev_test", "ext4", 0, NULL));
	umount("/tmp/bdev_test");
	ASSERT_EQ(0, umount("/tmp/bdev_successor"));
	close(handle);
}

/* What is mounted from before a change of medium is not on the new one. */
TEST_F(bdev, superblock_of_earlier_medium_is_not_shared)
{
	int other = image_create("OTHER", IMAGE_SIZE), fd;
	char entry[64];

	NEED(FOR_EXT4);
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_test"));
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_earlier"));
	ASSERT_EQ(0, run("mkfs.ext4 -q -F -O ^has_journal /proc/%d/fd/%d",
			 getpid(), self->image));
	loop_detach(self->nr);
	self->number = loop_attach(self->nr, self->image, LO_FLAGS_READ_ONLY);
	path_by_number(self->entry, self->number, 0);

	/* Both names are of the same disk, so they share. */
	ASSERT_EQ(0, mount(self->node, "/tmp/bdev_earlier", "ext4", MS_RDONLY,
			   NULL));
	EXPECT_EQ(0, mount(self->entry, "/tmp/bdev_test", "ext4", MS_RDONLY,
			   NULL));
	umount("/tmp/bdev_test");

	fd = open(self->node, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD, other));
	path_by_number(entry, diskseq_of(fd), 0);
	/* What the file system holds on to is in the way of the new data. */
	EXPECT_EQ(EBUSY, open_errno(entry, O_RDONLY));
	EXPECT_EQ(-1, mount(entry, "/tmp/bdev_test", "ext4", MS_RDONLY, NULL));
	EXPECT_EQ(ENXIO, errno);
	umount("/tmp/bdev_test");
	EXPECT_EQ(0, umount("/tmp/bdev_earlier"));
	EXPECT_EQ(0, open_errno(entry, O_RDONLY));
	close(fd);
}

/* What is asked about an entry is not answered about the disk's successor. */
TEST_F(bdev, statx_of_lost_entry_does_not_describe_the_successor)
{
	int handle = open(self->entry, O_PATH);
	struct statx stx;

	ASSERT_LE(0, handle);
	ASSERT_EQ(0, statx(handle, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx));
	EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
	replace_disk(self->nr);
	ASSERT_EQ(0, statx(handle, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx));
	EXPECT_FALSE(stx.stx_mask & STATX_DIOALIGN);
	close(handle);
}

/* An overlay would open what has the device number. */
TEST_F(bdev, cannot_be_the_layer_of_an_overlay)
{
	char options[128];

	NEED("fs:overlay");
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_test"));
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_layer"));
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_layer_too"));
	ASSERT_EQ(0, mount("overlay", "/tmp/bdev_test", "overlay", 0,
			   "lowerdir=/tmp/bdev_layer:/tmp/bdev_layer_too"));
	ASSERT_EQ(0, umount("/tmp/bdev_test"));

	sprintf(options, "lowerdir=%s:/tmp/bdev_layer", diskseqfs_dir);
	EXPECT_EQ(-1, mount("overlay", "/tmp/bdev_test", "overlay", 0, options));
	EXPECT_EQ(EINVAL, errno);
	umount("/tmp/bdev_test");
}

/* A descriptor that is passed on is the same device for who receives it. */
TEST_F(bdev, descriptor_survives_scm_rights)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd = open(self->entry, O_RDWR), pair[2];
	pid_t child;
	int status;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(fd);
		if (recvmsg(pair[1], &msg, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		if (diskseq_of(fd) != self->number || !has_stamp(fd, "DISK"))
			_exit(2);
		_exit(pwrite(fd, "PASSED", 7, 0) == 7 ? 0 : 3);
	}

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	EXPECT_EQ(1, sendmsg(pair[0], &msg, 0));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(has_stamp(fd, "PASSED"));
}

/* io_uring opens by number, also from a cached entry, and reads and writes. */
TEST_F(bdev, io_uring_opens_and_reads)
{
	struct uring ring;

	NEED("io_uring");
	uring_init(&ring, 8);
	/* The first open looks the name up, the second finds it cached. */
	for (int i = 0; i < 2; i++) {
		int fd;

		uring_add_open(&ring, AT_FDCWD, self->entry, O_RDWR, 0);
		fd = uring_result(&ring);
		ASSERT_LE(0, fd);
		EXPECT_EQ(self->number, diskseq_of(fd));

		memset(self->block, 0, BLOCK);
		uring_add(&ring, IORING_OP_READ, fd, self->block, BLOCK, 0);
		EXPECT_EQ(BLOCK, uring_result(&ring));
		EXPECT_STREQ(i ? "RING" : "DISK", self->block);
		uring_add(&ring, IORING_OP_WRITE, fd, "RING", 5, 0);
		EXPECT_EQ(5, uring_result(&ring));
		uring_add(&ring, IORING_OP_CLOSE, fd, NULL, 0, 0);
		EXPECT_EQ(0, uring_result(&ring));
	}

	replace_disk(self->nr);
	uring_add_open(&ring, AT_FDCWD, self->entry, O_RDONLY, 0);
	EXPECT_EQ(-ENOENT, uring_result(&ring));
	uring_exit(&ring);
}

/* Each open of a batch is of the disk that it names. */
TEST_F(bdev, io_uring_batch_opens_each_its_own)
{
	enum { DISKS = 4, ROUNDS = 16 };
	uint64_t numbers[DISKS + 1] = { self->number };
	char paths[DISKS + 1][64];
	struct uring ring;
	int nrs[DISKS];

	NEED("io_uring");
	for (int i = 1; i < DISKS; i++) {
		char stamp[16];

		sprintf(stamp, "DISK%d", i);
		nrs[i] = loop_get_free();
		numbers[i] = loop_attach(nrs[i],
					 image_create(stamp, IMAGE_SIZE), 0);
	}
	/* The last one does not exist. */
	numbers[DISKS] = UINT64_MAX;
	for (int i = 0; i <= DISKS; i++)
		path_by_number(paths[i], numbers[i], 0);

	uring_init(&ring, ROUNDS * (DISKS + 1));
	for (int i = 0; i < ROUNDS * (DISKS + 1); i++) {
		int which = i % (DISKS + 1);

		uring_add_open(&ring, AT_FDCWD, paths[which], O_RDONLY, which);
	}
	uring_submit(&ring);
	for (int i = 0; i < ROUNDS * (DISKS + 1); i++) {
		uint64_t which;
		int fd = uring_wait(&ring, &which);

		if (which == DISKS) {
			EXPECT_EQ(-ENOENT, fd);
		} else {
			ASSERT_LE(0, fd);
			EXPECT_EQ(numbers[which], diskseq_of(fd));
			close(fd);
		}
	}
	uring_exit(&ring);
	for (int i = 1; i < DISKS; i++)
		loop_detach(nrs[i]);
}

static int openat2_errno(int dir, const char *path, uint64_t resolve)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = resolve };

	return close_or_errno(syscall(SYS_openat2, dir, path, &how,
				      sizeof(how)));
}

/*
 * An open that may only use the dcache asks to be repeated until the entry is
 * there, then works; a number that has gone is not cached as missing.
 */
TEST_F(bdev, resolve_cached_opens_a_cached_entry)
{
	const char *name = strrchr(self->entry, '/') + 1;
	int held;

	EXPECT_EQ(EAGAIN, openat2_errno(self->dir, name, RESOLVE_CACHED));
	held = open(self->entry, O_PATH);
	ASSERT_LE(0, held);
	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_CACHED));

	replace_disk(self->nr);
	EXPECT_EQ(EAGAIN, openat2_errno(self->dir, name, RESOLVE_CACHED));
	EXPECT_EQ(ENOENT, openat2_errno(self->dir, name, 0));
}

/* A look-up that is confined to the directory is not refused. */
TEST_F(bdev, confined_look_up_works)
{
	const char *name = strrchr(self->entry, '/') + 1;

	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_BENEATH));
	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_IN_ROOT));
	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_NO_SYMLINKS));
	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_NO_MAGICLINKS));
	EXPECT_EQ(0, openat2_errno(self->dir, name, RESOLVE_NO_XDEV));
	EXPECT_EQ(EXDEV, openat2_errno(AT_FDCWD, self->entry, RESOLVE_NO_XDEV));
}

/* stat() shows a block special file with the device number of the disk. */
TEST_F(bdev, stat_shows_the_device)
{
	int fd = open(self->entry, O_RDONLY);
	struct stat st, node, opened, root;
	struct statx stx;

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, stat(self->node, &node));
	EXPECT_EQ(0, stat(self->entry, &st));
	EXPECT_TRUE(S_ISBLK(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(node.st_rdev, st.st_rdev);
	EXPECT_EQ(node.st_size, st.st_size);
	EXPECT_NE(0, st.st_ino);

	/* A path and an open file tell the same. */
	EXPECT_EQ(0, fstat(fd, &opened));
	EXPECT_EQ(st.st_ino, opened.st_ino);
	EXPECT_EQ(st.st_dev, opened.st_dev);
	EXPECT_EQ(st.st_rdev, opened.st_rdev);
	EXPECT_EQ(st.st_mode, opened.st_mode);

	EXPECT_EQ(0, fstat(self->dir, &root));
	EXPECT_TRUE(S_ISDIR(root.st_mode));
	EXPECT_EQ(root.st_dev, st.st_dev);
	EXPECT_NE(root.st_ino, st.st_ino);

	EXPECT_EQ(0, statx(AT_FDCWD, self->entry, 0,
			   STATX_BASIC_STATS | STATX_DIOALIGN, &stx));
	EXPECT_EQ(major(st.st_rdev), stx.stx_rdev_major);
	EXPECT_EQ(minor(st.st_rdev), stx.stx_rdev_minor);
	EXPECT_EQ(st.st_ino, stx.stx_ino);
	EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
	EXPECT_LE(512, stx.stx_dio_offset_align);
}

/*
 * No two entries share an inode number, which has 32 bits for the sake of
 * programs without support for large files, and readdir() shows the same one.
 */
TEST_F(bdev, inode_numbers_are_unique)
{
	ino_t seen[1024] = { 0 };
	size_t count = 0, i;
	struct dirent *entry;
	DIR *dir = fdopendir(dup(self->dir));

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)) && count < ARRAY_SIZE(seen)) {
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		EXPECT_EQ(DT_BLK, entry->d_type);
		ASSERT_EQ(0, fstatat(self->dir, entry->d_name, &st, 0));
		EXPECT_EQ(entry->d_ino, st.st_ino);
		EXPECT_GE(UINT32_MAX, st.st_ino);
		for (i = 0; i < count && seen[i] != st.st_ino; i++)
			continue;
		EXPECT_EQ(count, i) TH_LOG("%s", entry->d_name);
		seen[count++] = st.st_ino;
	}
	/* At least the eight loop devices that there are from the start. */
	EXPECT_LE(8, count);
	closedir(dir);
}

/* There is one way to write a number; everything else names nothing. */
TEST_F(bdev, invalid_names_do_not_exist)
{
	static const char * const names[] = {
		"0", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "\t1", "0x1",
		"1a", "a", "1.", "1,", "1e0", "\xd9\xa1", "-", "--", "1-",
		"18446744073709551615", "18446744073709551616",
		"18446744073709551617", "36893488147419103233",
		"100000000000000000001", "000000000000000000001",
		"1-part", "1-part0", "1-part00", "1-part01", "1-part256",
		"1-part257", "1-part4294967297", "1-part18446744073709551617",
		"1-part1x", "1-part-1", "1-part+1", "1-part 1", "1-part1 ",
		"1-part1\n", "1-part1-part1", "1p1", "1-p1", "1-PART1",
		"1--part1", "1 -part1", "-part1", "part1", "0-part1",
		"18446744073709551616-part1", "loop0", "by-diskseq",
	};
	struct stat st;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		errno = 0;
		fd = openat(self->dir, names[i], O_RDONLY);
		EXPECT_EQ(-1, fd) TH_LOG("open '%s'", names[i]);
		EXPECT_EQ(ENOENT, errno) TH_LOG("open '%s'", names[i]);
		errno = 0;
		EXPECT_EQ(-1, fstatat(self->dir, names[i], &st, 0))
			TH_LOG("stat '%s'", names[i]);
		EXPECT_EQ(ENOENT, errno) TH_LOG("stat '%s'", names[i]);
	}
}

/*
 * The same for this disk's own number, which exists: a parser that takes the
 * valid start of a name, or wraps around, would open it.
 */
TEST_F(bdev, names_close_to_a_valid_one_do_not_exist)
{
	static const char * const formats[] = {
		"0%" PRIu64, "+%" PRIu64, " %" PRIu64, "%" PRIu64 " ",
		"%" PRIu64 "\n", "%" PRIu64 "x", "%" PRIu64 ".",
		"%" PRIu64 "-", "%" PRIu64 "-part", "%" PRIu64 "-part0",
		"%" PRIu64 "-part256", "%" PRIu64 "-part1", "%" PRIu64 "\\",
		"%" PRIu64 "\r\n", "00000000000000000000%" PRIu64,
	};
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		sprintf(name, formats[i], self->number);
		EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY))
			TH_LOG("open '%s'", name);
		EXPECT_EQ(ENOENT, errno) TH_LOG("open '%s'", name);
	}

	/* 2^64 more than the number, in decimal: 18446744073709551616 + n. */
	sprintf(name, "184467440737%08" PRIu64, 9551616 + self->number);
	EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY));
	EXPECT_EQ(ENOENT, errno) TH_LOG("open '%s'", name);

	/* An entry is no directory, whatever comes behind it. */
	sprintf(name, "%" PRIu64 "/", self->number);
	EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY));
	EXPECT_EQ(ENOTDIR, errno);
	sprintf(name, "%" PRIu64 "/1", self->number);
	EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY));
	EXPECT_EQ(ENOTDIR, errno);
}

/* A component longer than NAME_MAX is an error of its own, as everywhere. */
TEST_F(bdev, overlong_names_are_enametoolong)
{
	char name[4000];
	struct stat st;

	memset(name, '1', sizeof(name));
	name[NAME_MAX] = '\0';
	EXPECT_EQ(-1, fstatat(self->dir, name, &st, 0));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);

	for (size_t len = NAME_MAX + 1; len < sizeof(name); len *= 2) {
		memset(name, '1', sizeof(name));
		name[len] = '\0';
		EXPECT_EQ(-1, fstatat(self->dir, name, &st, 0));
		EXPECT_EQ(ENAMETOOLONG, errno) TH_LOG("%zu", len);
		EXPECT_EQ(-1, openat(self->dir, name, O_RDONLY));
		EXPECT_EQ(ENAMETOOLONG, errno) TH_LOG("%zu", len);
	}
}

/*
 * Two users of one disk, who came to it by different ways or by the same, meet
 * in the same block device.
 */
FIXTURE(two)
{
	FIXTURE_DATA(bdev) disk;
	const char *first, *second;	/* paths */
};

FIXTURE_VARIANT(two)
{
	bool first_by_number, second_by_number;
};

FIXTURE_VARIANT_ADD(two, number_then_node)
{
	.first_by_number = true,
};

FIXTURE_VARIANT_ADD(two, node_then_number)
{
	.second_by_number = true,
};

FIXTURE_VARIANT_ADD(two, number_twice)
{
	.first_by_number = true,
	.second_by_number = true,
};

FIXTURE_SETUP(two)
{
	bdev_setup(_metadata, &self->disk, NULL);
	self->first = variant->first_by_number ? self->disk.entry :
		      self->disk.node;
	self->second = variant->second_by_number ? self->disk.entry :
		       self->disk.node;
}

FIXTURE_TEARDOWN(two)
{
	bdev_teardown(_metadata, &self->disk, NULL);
}

/* What one writes, the other reads at once: they share the page cache. */
TEST_F(two, share_the_page_cache)
{
	int a = open(self->first, O_RDWR), b = open(self->second, O_RDWR);

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	/* Both have it in their cache, if they have one each. */
	EXPECT_TRUE(has_stamp(a, "DISK"));
	EXPECT_TRUE(has_stamp(b, "DISK"));
	EXPECT_EQ(6, pwrite(a, "FIRST", 6, 0));
	EXPECT_TRUE(has_stamp(b, "FIRST"));
	EXPECT_EQ(7, pwrite(b, "SECOND", 7, 0));
	EXPECT_TRUE(has_stamp(a, "SECOND"));
}

/* A direct read by one sees a buffered write by the other, and vice versa. */
TEST_F(two, direct_and_buffered_io_agree)
{
	char *block = self->disk.block;
	int direct = open(self->first, O_RDWR | O_DIRECT);
	int buffered = open(self->second, O_RDWR);

	ASSERT_LE(0, direct);
	ASSERT_LE(0, buffered);
	EXPECT_EQ(9, pwrite(buffered, "BUFFERED", 9, 0));
	EXPECT_EQ(BLOCK, pread(direct, block, BLOCK, 0));
	EXPECT_STREQ("BUFFERED", block);
	memcpy(block, "DIRECT", 7);
	EXPECT_EQ(BLOCK, pwrite(direct, block, BLOCK, 0));
	EXPECT_TRUE(has_stamp(buffered, "DIRECT"));
}

/* O_EXCL keeps out another O_EXCL, but not others, until it is closed. */
TEST_F(two, exclusive_open_excludes_another)
{
	int fd = open(self->first, O_RDONLY | O_EXCL), other;

	ASSERT_LE(0, fd);
	EXPECT_EQ(EBUSY, open_errno(self->second, O_RDONLY | O_EXCL));
	EXPECT_EQ(EBUSY, open_errno(self->second, O_RDWR | O_EXCL));
	other = open(self->second, O_RDWR);
	EXPECT_LE(0, other);
	close(fd);
	EXPECT_EQ(0, open_errno(self->second, O_RDONLY | O_EXCL));
}

/* O_EXCL and a mount keep each other out. */
TEST_F(two, exclusive_open_and_mount_exclude_each_other)
{
	int fd;

	NEED(FOR_EXT4);
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s", self->first));
	ASSERT_EQ(0, mkdir_exist_ok("/tmp/bdev_test"));

	ASSERT_EQ(0, mount(self->first, "/tmp/bdev_test", "ext4", 0, NULL))
		TH_LOG("%s", strerror(errno));
	EXPECT_EQ(EBUSY, open_errno(self->second, O_RDONLY | O_EXCL));
	EXPECT_EQ(0, open_errno(self->second, O_RDONLY));
	ASSERT_EQ(0, umount("/tmp/bdev_test"));

	fd = open(self->second, O_RDONLY | O_EXCL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, mount(self->first, "/tmp/bdev_test", "ext4", 0, NULL));
	EXPECT_EQ(EBUSY, errno);
	close(fd);
	EXPECT_EQ(0, mount(self->first, "/tmp/bdev_test", "ext4", 0, NULL));
	EXPECT_EQ(0, umount("/tmp/bdev_test"));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
