// SPDX-License-Identifier: GPL-2.0
/*
 * A lock of flock(2) is the disk's, whatever path it was opened by: who locks a
 * disk to keep udev from it, or another mkfs, keeps away those who come by number,
 * and the other way round.
 *
 * SEEN failing: if a lock is the path's, all that have two paths; if it is not
 * released, those that close; if fdinfo does not have it, lock_is_shown.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/loop.h>
#include <linux/major.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define COPY	"/tmp/diskseq-lock-node"
#define OTHER	"/tmp/diskseq-lock-mount"

FIXTURE(lock)
{
	int nr;
	uint64_t number;
	/* Paths of one disk: number, node, a copy of that, another mount */
	char paths[4][64];
};

FIXTURE_SETUP(lock)
{
	diskseqfs_private();
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, image_create("DISK", IMAGE_SIZE),
				   0);
	path_by_number(self->paths[0], self->number, 0);
	strcpy(self->paths[1], loop_path(self->nr));
	unlink(COPY);
	ASSERT_EQ(0, mknod(COPY, S_IFBLK | 0600, makedev(LOOP_MAJOR, self->nr)));
	strcpy(self->paths[2], COPY);
	if (mkdir(OTHER, 0755) && errno != EEXIST)
		err(1, OTHER);
	ASSERT_EQ(0, mount("none", OTHER, "diskseqfs", 0, NULL));
	sprintf(self->paths[3], OTHER "/%" PRIu64, self->number);
}

FIXTURE_TEARDOWN(lock)
{
	umount(OTHER);
	unlink(COPY);
	loop_detach(self->nr);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* The errno of a lock that does not wait, or 0. */
static int try_lock(int fd, int op)
{
	return flock(fd, op | LOCK_NB) ? errno : 0;
}

/* The same of a file that is opened for it, and closed. */
static int try_path(const char *path, int op)
{
	int fd = open_or_die(path, O_RDONLY), error = try_lock(fd, op);

	close(fd);
	return error;
}

/* Of any two paths, one keeps the other away, and shares with it. */
TEST_F(lock, paths_of_a_disk_share_its_lock)
{
	for (size_t i = 0; i < ARRAY_SIZE(self->paths); i++) {
		int fd = open_or_die(self->paths[i], O_RDWR);

		for (size_t j = 0; j < ARRAY_SIZE(self->paths); j++) {
			const char *path = self->paths[j];

			ASSERT_EQ(0, try_lock(fd, LOCK_EX));
			EXPECT_EQ(EWOULDBLOCK, try_path(path, LOCK_EX))
				TH_LOG("%s, %s", self->paths[i], path);
			EXPECT_EQ(EWOULDBLOCK, try_path(path, LOCK_SH))
				TH_LOG("%s, %s", self->paths[i], path);
			ASSERT_EQ(0, try_lock(fd, LOCK_SH));
			EXPECT_EQ(EWOULDBLOCK, try_path(path, LOCK_EX))
				TH_LOG("%s, %s", self->paths[i], path);
			EXPECT_EQ(0, try_path(path, LOCK_SH))
				TH_LOG("%s, %s", self->paths[i], path);
			ASSERT_EQ(0, try_lock(fd, LOCK_UN));
			EXPECT_EQ(0, try_path(path, LOCK_EX))
				TH_LOG("%s, %s", self->paths[i], path);
		}
		close(fd);
	}
}

/* The close of the last descriptor releases it, and only that. */
TEST_F(lock, last_close_releases_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(self->paths); i++) {
		const char *path = self->paths[i], *node = self->paths[1];
		int fd = open_or_die(path, O_WRONLY), other = dup(fd);

		ASSERT_EQ(0, try_lock(fd, LOCK_EX));
		close(fd);
		EXPECT_EQ(EWOULDBLOCK, try_path(node, LOCK_SH))
			TH_LOG("%s", path);
		close(other);
		EXPECT_EQ(0, try_path(node, LOCK_EX)) TH_LOG("%s", path);
		EXPECT_EQ(0, try_path(path, LOCK_EX)) TH_LOG("%s", path);
	}
}

/* So does the end of the process, in whatever way. */
TEST_F(lock, end_of_the_process_releases_it)
{
	int pipes[2], status;
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (try_path(self->paths[1], LOCK_EX) ||
		    try_lock(open_or_die(self->paths[0], O_RDWR), LOCK_EX))
			_exit(1);
		write(pipes[1], "x", 1);
		pause();
	}
	ASSERT_EQ(1, read(pipes[0], &c, 1));
	EXPECT_EQ(EWOULDBLOCK, try_path(self->paths[1], LOCK_EX));
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, try_path(self->paths[1], LOCK_EX));
}

/* How many lines of @path have all three words; those who wait have "->". */
static int lines_with(const char *path, const char *a, const char *b, const char *c)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int count = 0;

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, a) && strstr(line, b) && strstr(line, c);
	fclose(file);
	return count;
}

/* A child that waits by @path for the lock of @fd; ends with 0 when it has got it. */
static pid_t wait_for_lock(const char *path, int fd)
{
	pid_t child = fork();
	char pid[32];

	if (child < 0)
		err(1, "fork");
	if (!child) {
		close(fd);
		_exit(flock(open_or_die(path, O_RDONLY), LOCK_EX) ? 1 : 0);
	}
	sprintf(pid, " %d ", child);
	if (!wait_until(lines_with("/proc/locks", "->", "FLOCK", pid)))
		errx(1, "%s: nobody waits in /proc/locks", path);
	return child;
}

/* Who waits by one path gets it when it is released by another, or closed. */
TEST_F(lock, waiter_by_another_path_is_woken)
{
	for (size_t i = 0; i < ARRAY_SIZE(self->paths); i++) {
		size_t other = (i + 1) % ARRAY_SIZE(self->paths);

		for (int closes = 0; closes < 2; closes++) {
			int fd = open_or_die(self->paths[i], O_RDWR), status;
			pid_t child;

			ASSERT_EQ(0, try_lock(fd, LOCK_EX));
			child = wait_for_lock(self->paths[other], fd);
			ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
			if (closes)
				close(fd);
			else
				flock(fd, LOCK_UN);
			ASSERT_EQ(child, waitpid(child, &status, 0));
			EXPECT_EQ(0, status) TH_LOG("%s", self->paths[other]);
			if (!closes)
				close(fd);
		}
	}
}

/* It is in /proc/locks, and in the fdinfo of who has it, until it is released. */
TEST_F(lock, lock_is_shown)
{
	for (size_t i = 0; i < ARRAY_SIZE(self->paths); i++) {
		int fd = open_or_die(self->paths[i], O_RDWR);
		int other = open_or_die(self->paths[i], O_RDWR);
		char pid[32], info[64], other_info[64];

		sprintf(pid, " %d ", getpid());
		sprintf(info, "/proc/self/fdinfo/%d", fd);
		sprintf(other_info, "/proc/self/fdinfo/%d", other);
		ASSERT_EQ(0, try_lock(fd, LOCK_EX));
		EXPECT_EQ(1, lines_with("/proc/locks", "FLOCK", "WRITE", pid));
		EXPECT_EQ(1, lines_with(info, "lock:", "FLOCK", "WRITE"))
			TH_LOG("%s", self->paths[i]);
		EXPECT_EQ(0, lines_with(other_info, "lock:", "", ""));
		ASSERT_EQ(0, try_lock(fd, LOCK_SH));
		EXPECT_EQ(1, lines_with(info, "lock:", "FLOCK", "READ"));
		ASSERT_EQ(0, try_lock(fd, LOCK_UN));
		EXPECT_EQ(0, lines_with("/proc/locks", "FLOCK", "", pid));
		EXPECT_EQ(0, lines_with(info, "lock:", "", ""));

		ASSERT_EQ(0, try_lock(fd, LOCK_EX));
		close(fd);
		EXPECT_EQ(0, lines_with("/proc/locks", "FLOCK", "", pid))
			TH_LOG("%s", self->paths[i]);
		close(other);
	}
}

/* As lslocks(8) needs it, /proc/locks has the file by which the disk was opened. */
TEST_F(lock, lock_is_shown_with_the_file)
{
	for (size_t i = 0; i < ARRAY_SIZE(self->paths); i++) {
		int fd = open_or_die(self->paths[i], O_RDWR);
		char pid[32], inode[32];
		struct stat st;

		ASSERT_EQ(0, fstat(fd, &st));
		sprintf(pid, " %d ", getpid());
		sprintf(inode, ":%lu ", (unsigned long)st.st_ino);
		ASSERT_EQ(0, try_lock(fd, LOCK_EX));
		EXPECT_EQ(1, lines_with("/proc/locks", "FLOCK", inode, pid));
		close(fd);
	}
}

/* A partition is another device, as is another disk. */
TEST_F(lock, other_devices_are_not_locked)
{
	int disk = open_or_die(self->paths[0], O_RDWR), other_nr;
	char part[64], other[64];

	ASSERT_EQ(0, partition_add(disk, 1, IMAGE_SIZE / 2, IMAGE_SIZE / 4));
	other_nr = loop_get_free();
	path_by_number(other, loop_attach(other_nr,
					  image_create("OTHER", IMAGE_SIZE), 0),
		       0);
	path_by_number(part, self->number, 1);

	ASSERT_EQ(0, try_lock(disk, LOCK_EX));
	EXPECT_EQ(0, try_path(part, LOCK_EX));
	EXPECT_EQ(0, try_path(other, LOCK_EX));
	ASSERT_EQ(0, partition_del(disk, 1));
	close(disk);
	loop_detach(other_nr);
}

/* Special files that are not of a device, and other files, have their own. */
TEST_F(lock, other_files_have_locks_of_their_own)
{
	static const char * const files[] = { "/dev/null", "/tmp", COPY "-file" };

	close(open(files[2], O_CREAT | O_RDWR, 0600));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open_or_die(files[i], O_RDONLY);

		ASSERT_EQ(0, try_lock(fd, LOCK_EX)) TH_LOG("%s", files[i]);
		EXPECT_EQ(EWOULDBLOCK, try_path(files[i], LOCK_SH));
		for (size_t j = 0; j < ARRAY_SIZE(files); j++) {
			if (j != i)
				EXPECT_EQ(0, try_path(files[j], LOCK_EX));
		}
		close(fd);
		EXPECT_EQ(0, try_path(files[i], LOCK_EX));
	}
	unlink(files[2]);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
