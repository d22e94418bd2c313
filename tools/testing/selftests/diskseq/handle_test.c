// SPDX-License-Identifier: GPL-2.0
/*
 * File handles of disks by number: name_to_handle_at() and open_by_handle_at().
 * A handle leads to what the entry was that it is of, or is stale.
 *
 * SEEN failing: handle_of_a_partition_is_not_that_of_the_next_one on a kernel that
 * does not compare where the partition begins, what_is_no_handle_is_stale on that
 * and on one that takes 256 partitions more.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define PART_SIZE	(IMAGE_SIZE / 4)
#define DIR2		"/tmp/handle_test"

/* A user without any privilege. */
#define USER		1000

/* What a handle consists of: only for those that are made by hand. */
struct fid {
	uint64_t diskseq;
	uint64_t start;
	uint32_t partno;
} __attribute__((packed));

struct handle {
	struct file_handle head;
	union {
		struct fid fid;
		char bytes[MAX_HANDLE_SZ];
	};
};

FIXTURE(handle)
{
	int dir;		/* of the diskseqfs */
	int nr;
	int fd;			/* of the loop device's node */
	uint64_t number;
};

FIXTURE_SETUP(handle)
{
	int image = image_create("RIGHT-DISK", IMAGE_SIZE);

	pwrite(image, "PART-3", sizeof("PART-3"), 2 * PART_SIZE);
	self->dir = diskseqfs_private();
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, image, LO_FLAGS_PARTSCAN);
	self->fd = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(handle)
{
	umount(DIR2);
	close(self->fd);
	loop_detach(self->nr);
}

/* The handle of @path, or of @dirfd if that is empty; -1 with errno on failure. */
static int get_handle(int dirfd, const char *path, struct handle *handle)
{
	int mount_id;

	memset(handle, 0, sizeof(*handle));
	handle->head.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(dirfd, path, &handle->head, &mount_id,
				 AT_EMPTY_PATH);
}

static void handle_by_number(struct __test_metadata *_metadata,
			     uint64_t number, unsigned int partno,
			     struct handle *handle)
{
	char path[64];

	path_by_number(path, number, partno);
	ASSERT_EQ(0, get_handle(AT_FDCWD, path, handle))
		TH_LOG("%s: %s", path, strerror(errno));
}

/* What opening it in the file system that @dir is in fails with, or 0. */
static int handle_error(int dir, struct handle *handle, int flags)
{
	int fd = open_by_handle_at(dir, &handle->head, flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Where a descriptor's path leads, or "". */
static const char *path_of(int fd)
{
	static char path[256];
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	return path;
}

/* It opens that disk, as its path does, also after all has gone from memory. */
TEST_F(handle, handle_opens_its_disk)
{
	struct handle handle, other;
	struct stat node, st;
	char path[64];
	int fd;

	path_by_number(path, self->number, 0);
	handle_by_number(_metadata, self->number, 0, &handle);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, get_handle(fd, "", &other));
	EXPECT_EQ(0, memcmp(&handle, &other, sizeof(handle)))
		TH_LOG("the handles of path and descriptor differ");
	close(fd);

	ASSERT_EQ(0, run("echo 3 >/proc/sys/vm/drop_caches"));
	fd = open_by_handle_at(self->dir, &handle.head, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd) TH_LOG("%s", strerror(errno));
	EXPECT_TRUE(has_stamp(fd, "RIGHT-DISK"));
	EXPECT_EQ(self->number, diskseq_of(fd));
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, fstat(self->fd, &node));
	EXPECT_EQ(node.st_rdev, st.st_rdev);
	EXPECT_STREQ(path, path_of(fd));
	close(fd);
}

/* It is of the disk, and so serves in any mount, with what that allows. */
TEST_F(handle, handle_serves_in_another_mount)
{
	struct handle handle;
	char path[64];
	int dir, fd;

	handle_by_number(_metadata, self->number, 0, &handle);
	mkdir(DIR2, 0700);
	ASSERT_EQ(0, mount("none", DIR2, "diskseqfs", 0, NULL));
	dir = open(DIR2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	fd = open_by_handle_at(dir, &handle.head, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), DIR2 "/%llu",
		 (unsigned long long)self->number);
	EXPECT_STREQ(path, path_of(fd));
	close(fd);
	close(dir);

	ASSERT_EQ(0, mount(NULL, DIR2, NULL, MS_REMOUNT | MS_BIND | MS_NODEV,
			   NULL));
	dir = open(DIR2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(EACCES, handle_error(dir, &handle, O_RDONLY));
	EXPECT_EQ(0, handle_error(dir, &handle, O_PATH));
	close(dir);
}

/* A disk that takes over the device number is not it. */
TEST_F(handle, handle_of_a_disk_that_is_gone_is_stale)
{
	struct handle handle;

	handle_by_number(_metadata, self->number, 0, &handle);
	close(self->fd);
	loop_detach(self->nr);
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_RDONLY));

	loop_attach(self->nr, image_create("WRONG-DISK", IMAGE_SIZE), 0);
	self->fd = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_RDONLY));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_PATH));
}

/* Nor is another medium in it; a descriptor of the earlier one still has its own. */
TEST_F(handle, handle_of_an_earlier_medium_is_stale)
{
	struct handle handle, later;
	uint64_t number;
	char path[64];
	int fd;

	close(self->fd);
	loop_detach(self->nr);
	number = loop_attach(self->nr, image_create("RIGHT-DISK", IMAGE_SIZE),
			     LO_FLAGS_READ_ONLY);
	self->fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);

	handle_by_number(_metadata, number, 0, &handle);
	path_by_number(path, number, 0);
	fd = open(path, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(self->fd, LOOP_CHANGE_FD,
			   image_create("WRONG-DISK", IMAGE_SIZE)));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_RDONLY));
	ASSERT_EQ(0, get_handle(fd, "", &later));
	EXPECT_EQ(0, memcmp(&handle, &later, sizeof(handle)));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &later, O_RDONLY));
	close(fd);

	handle_by_number(_metadata, diskseq_of(self->fd), 0, &later);
	EXPECT_EQ(0, handle_error(self->dir, &later, O_RDONLY));
}

/* A partition is its disk's, its number, and where it begins, as for its owner. */
TEST_F(handle, handle_of_a_partition_is_not_that_of_the_next_one)
{
	struct handle handle, disk;
	int fd;

	ASSERT_EQ(0, partition_add(self->fd, 3, 2 * PART_SIZE, PART_SIZE));
	handle_by_number(_metadata, self->number, 3, &handle);
	handle_by_number(_metadata, self->number, 0, &disk);
	fd = open_by_handle_at(self->dir, &handle.head, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "PART-3"));
	close(fd);

	ASSERT_EQ(0, partition_del(self->fd, 3));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_RDONLY));
	EXPECT_EQ(0, handle_error(self->dir, &disk, O_RDONLY));

	ASSERT_EQ(0, partition_add(self->fd, 3, PART_SIZE, PART_SIZE));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_RDONLY));
	EXPECT_EQ(ESTALE, handle_error(self->dir, &handle, O_PATH));

	ASSERT_EQ(0, partition_del(self->fd, 3));
	ASSERT_EQ(0, partition_add(self->fd, 3, 2 * PART_SIZE, PART_SIZE));
	fd = open_by_handle_at(self->dir, &handle.head, O_RDONLY | O_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "PART-3"));
	close(fd);
	ASSERT_EQ(0, partition_del(self->fd, 3));
}

/* The directory has one, too: who is given it has the disks that are there then. */
TEST_F(handle, handle_of_the_directory)
{
	struct handle handle;
	char name[32];
	struct stat st;
	int dir;

	ASSERT_EQ(0, get_handle(self->dir, "", &handle));
	dir = open_by_handle_at(self->fd, &handle.head, O_RDONLY | O_CLOEXEC);
	EXPECT_GT(0, dir);	/* which is in devtmpfs */
	dir = open_by_handle_at(self->dir, &handle.head,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	EXPECT_STREQ(diskseqfs_dir, path_of(dir));
	snprintf(name, sizeof(name), "%llu", (unsigned long long)self->number);
	EXPECT_EQ(0, fstatat(dir, name, &st, 0));
	close(dir);
}

/* What is not a handle of ours, or of no disk yet, leads nowhere. */
TEST_F(handle, what_is_no_handle_is_stale)
{
	struct handle handle, bad;
	int mount_id;

	ASSERT_EQ(0, partition_add(self->fd, 3, 2 * PART_SIZE, PART_SIZE));
	handle_by_number(_metadata, self->number, 3, &handle);
	ASSERT_EQ(sizeof(struct fid), handle.head.handle_bytes);

	bad = handle;
	EXPECT_EQ(0, handle_error(self->dir, &bad, O_RDONLY));
	bad.fid.partno += 256;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));
	bad = handle;
	bad.fid.partno = 0;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));
	bad = handle;
	bad.fid.diskseq += 1000000;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));
	bad.fid.diskseq = UINT64_MAX;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));
	bad = handle;
	bad.head.handle_bytes -= 4;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));
	bad = handle;
	bad.head.handle_type++;
	EXPECT_EQ(ESTALE, handle_error(self->dir, &bad, O_RDONLY));

	bad.head.handle_bytes = 4;
	EXPECT_EQ(-1, name_to_handle_at(self->dir, "", &bad.head, &mount_id,
					AT_EMPTY_PATH));
	EXPECT_EQ(EOVERFLOW, errno);
	EXPECT_EQ(sizeof(struct fid), bad.head.handle_bytes);
	ASSERT_EQ(0, partition_del(self->fd, 3));
}

/* Become USER, with these capabilities of root's, in a process that will end. */
static void become(uint32_t caps)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
	};

	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
	    setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
	    syscall(SYS_capset, &header, data))
		err(1, "switch to user %d", USER);
}

/* What a user with @caps, in a user namespace of his own or not, gets. */
static int user_error(FIXTURE_DATA(handle) *self, struct handle *handle,
		      uint32_t caps, bool own_namespace, int flags)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child) {
		become(caps);
		if (own_namespace && unshare(CLONE_NEWUSER))
			err(1, "user namespace");
		_exit(handle_error(self->dir, handle, flags));
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		errx(1, "child: status %#x", status);
	return WEXITSTATUS(status);
}

/*
 * Who opens by handle walks no path, which takes a privilege; that is to read and
 * search directories, and the mode of the entry still says who may write.
 */
TEST_F(handle, it_takes_the_privilege_and_the_mode)
{
	const uint32_t search = 1 << CAP_DAC_READ_SEARCH;
	struct handle handle;
	char path[64];

	path_by_number(path, self->number, 0);
	handle_by_number(_metadata, self->number, 0, &handle);
	ASSERT_EQ(0, chmod(path, 0666));
	EXPECT_EQ(EPERM, user_error(self, &handle, 0, false, O_RDONLY));
	EXPECT_EQ(EPERM, user_error(self, &handle, 0, false, O_PATH));
	EXPECT_EQ(0, user_error(self, &handle, search, false, O_RDWR));
	ASSERT_EQ(0, chmod(path, 0600));
	EXPECT_EQ(EACCES, user_error(self, &handle, search, false, O_RDWR));
}

/* Who is root in a user namespace only does not have it. */
TEST_F(handle, user_namespace_does_not_give_it)
{
	struct handle handle;
	char path[64];

	NEED("file:/proc/self/ns/user");
	path_by_number(path, self->number, 0);
	handle_by_number(_metadata, self->number, 0, &handle);
	ASSERT_EQ(0, chown(path, USER, USER));
	EXPECT_EQ(EPERM, user_error(self, &handle, 0, true, O_RDONLY));
	EXPECT_EQ(EPERM, user_error(self, &handle, 0, true, O_DIRECTORY));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, "fhandle")
