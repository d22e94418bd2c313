// SPDX-License-Identifier: GPL-2.0
/*
 * Who may open a disk by number: the checks of a path, none of which a number
 * gets around, and the administrator's ways to set them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <linux/loop.h>
#include <linux/major.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

/* A user and a group without any privilege. */
#define USER	1000
#define GROUP	2000

FIXTURE(access)
{
	int nr;
	uint64_t number;
	char entry[64];		/* path of the disk, by number */
	char node[64];		/* and of its device node */
};

FIXTURE_SETUP(access)
{
	diskseqfs_private();
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, image_create("DISK", IMAGE_SIZE),
				   0);
	path_by_number(self->entry, self->number, 0);
	snprintf(self->node, sizeof(self->node), "%s", loop_path(self->nr));
}

FIXTURE_TEARDOWN(access)
{
	int fd = open(self->node, O_RDONLY);

	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

/* Change the options of the file system; returns 0 or an errno. */
static int remount(const char *options)
{
	return mount("none", diskseqfs_dir, NULL, MS_REMOUNT, options) ?
	       errno : 0;
}

/* Mount another one with @options; returns 0 or an errno. */
static int mount_at(const char *dir, unsigned long flags, const char *options)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		err(1, "%s", dir);
	return mount("none", dir, "diskseqfs", flags, options) ? errno : 0;
}

/* The errno of opening @path, or 0. */
static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int reopen_errno(int fd, int flags)
{
	char path[64];

	sprintf(path, "/proc/self/fd/%d", fd);
	return open_errno(path, flags);
}

/* Be an unprivileged user, with one group, until become_root(). */
static void become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(-1, gid, -1) ||
	    setresuid(-1, uid, -1))
		err(1, "switch to user %d", uid);
}

static void become_root(void)
{
	if (setresuid(-1, 0, -1) || setresgid(-1, 0, -1))
		err(1, "switch to root");
}

static int user_open_errno(const char *path, int flags, uid_t uid, gid_t gid)
{
	int error;

	become(uid, gid);
	error = open_errno(path, flags);
	become_root();
	return error;
}

/* The options of the file system's line in mountinfo, those behind " - ". */
static void shown_options(const char *dir, char options[256])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[1024], where[256];

	if (!f)
		err(1, "mountinfo");
	options[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		char *super = strstr(line, " - diskseqfs ");

		if (super && sscanf(line, "%*s %*s %*s %*s %255s", where) == 1 &&
		    !strcmp(where, dir))
			sscanf(super, " - diskseqfs %*s %255s", options);
	}
	fclose(f);
}

/* How many names there are, to see that no more have appeared. */
static int count_entries(void)
{
	DIR *dir = opendir(diskseqfs_dir);
	int count = 0;

	if (!dir)
		err(1, "%s", diskseqfs_dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Without options entries belong to root, and to nobody else. */
TEST_F(access, default_is_root_only)
{
	struct stat st;

	ASSERT_EQ(0, stat(self->entry, &st));
	EXPECT_EQ(S_IFBLK | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(EACCES, user_open_errno(self->entry, O_RDONLY, USER, GROUP));
	EXPECT_EQ(EACCES, user_open_errno(self->entry, O_WRONLY, USER, GROUP));
	EXPECT_EQ(0, open_errno(self->entry, O_RDWR));
}

/* The mode decides for the owner, the group and others, as for a node. */
TEST_F(access, mode_and_owner_decide)
{
	static const struct {
		const char *options;
		int flags, owner, group, other;
	} rows[] = {
		{ "mode=0600", O_RDWR, 0, EACCES, EACCES },
		{ "mode=0400", O_RDONLY, 0, EACCES, EACCES },
		{ "mode=0400", O_WRONLY, EACCES, EACCES, EACCES },
		{ "mode=0640", O_RDONLY, 0, 0, EACCES },
		{ "mode=0640", O_RDWR, 0, EACCES, EACCES },
		{ "mode=0660", O_RDWR, 0, 0, EACCES },
		{ "mode=0606", O_RDWR, 0, EACCES, 0 },
		{ "mode=0644", O_RDONLY, 0, 0, 0 },
		{ "mode=0644", O_WRONLY, 0, EACCES, EACCES },
		{ "mode=0666", O_RDWR, 0, 0, 0 },
		{ "mode=0", O_RDONLY, EACCES, EACCES, EACCES },
		{ "mode=777", O_RDWR, 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char options[64];

		sprintf(options, "uid=%d,gid=%d,%s", USER, GROUP,
			rows[i].options);
		ASSERT_EQ(0, remount(options)) TH_LOG("%s", options);
		EXPECT_EQ(rows[i].owner, user_open_errno(self->entry,
							 rows[i].flags, USER,
							 1))
			TH_LOG("owner, %s", options);
		EXPECT_EQ(rows[i].group, user_open_errno(self->entry,
							 rows[i].flags, 1,
							 GROUP))
			TH_LOG("group, %s", options);
		EXPECT_EQ(rows[i].other, user_open_errno(self->entry,
							 rows[i].flags, 1, 1))
			TH_LOG("other, %s", options);
		/* CAP_DAC_OVERRIDE overrides, as everywhere. */
		EXPECT_EQ(0, open_errno(self->entry, O_RDWR));
	}
}

/*
 * A remount gives owner and mode at once: nobody is let in by the owner of one
 * and the mode of the other.  Seen failing, on two processors, on a kernel that
 * sets one after the other.
 */
TEST_F(access, remount_changes_owner_and_mode_at_once)
{
	static const char * const options[] = {
		"uid=1000,mode=0", "uid=1,mode=0600",
	};
	int fd = open(self->entry, O_PATH | O_CLOEXEC);
	time_t end = time(NULL) + 3;
	pid_t child;
	int status;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, remount(options[0]));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		become(USER, GROUP);
		while (time(NULL) < end) {
			struct stat st;
			bool user;

			for (int i = 0; i < 100; i++) {
				if (!syscall(SYS_faccessat2, fd, "", R_OK,
					     AT_EACCESS | AT_EMPTY_PATH) ||
				    errno != EACCES)
					_exit(1);
				if (fstat(fd, &st))
					_exit(2);
				user = st.st_uid == USER;
				if (user != !(st.st_mode & 0600))
					_exit(2);
			}
		}
		_exit(0);
	}
	for (int i = 0; time(NULL) < end; i++)
		ASSERT_EQ(0, remount(options[i % ARRAY_SIZE(options)]));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(fd);
}

/* An option that means nothing is refused, and changes nothing. */
TEST_F(access, bad_options_are_refused)
{
	static const char * const options[] = {
		"mode=7777", "mode=1000", "mode=2600", "mode=4755",
		"mode=060600", "mode=-1", "mode=9", "mode=08", "mode=rw",
		"mode=0600x", "mode=", "mode", "mode=37777777777",
		"mode=100000000600", "uid=-1", "uid=4294967295",
		"uid=4294967296", "uid=root", "uid=", "uid", "uid=1x",
		"gid=-1", "gid=4294967295", "gid=disk", "gid=", "gid",
		"umask=0", "size=1", "nonsense", "nonsense=1", "Mode=0600",
		"uid=1,mode=9", "mode=0666,nonsense",
	};
	char before[256], after[256];
	struct stat st;

	ASSERT_EQ(0, remount("uid=1000,gid=2000,mode=0640"));
	shown_options(diskseqfs_dir, before);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_EQ(EINVAL, mount_at("/tmp/access_test", 0, options[i]))
			TH_LOG("mount -o '%s'", options[i]);
		umount("/tmp/access_test");
		EXPECT_EQ(EINVAL, remount(options[i]))
			TH_LOG("remount -o '%s'", options[i]);
		shown_options(diskseqfs_dir, after);
		EXPECT_STREQ(before, after)
			TH_LOG("remount -o '%s'", options[i]);
	}
	EXPECT_EQ(0, stat(self->entry, &st));
	EXPECT_EQ(S_IFBLK | 0640, st.st_mode);
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(2000, st.st_gid);
}

/* The new mount API says which option it refuses, and why. */
TEST_F(access, refused_mode_is_named_in_the_log)
{
	int fd = fsopen("diskseqfs", FSOPEN_CLOEXEC);
	char message[256] = "";

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, fsconfig(fd, FSCONFIG_SET_STRING, "mode", "7777", 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_LT(0, read(fd, message, sizeof(message) - 1));
	EXPECT_NE(NULL, strstr(message, "7777")) TH_LOG("'%s'", message);
	close(fd);
}

/* A mount of the new API opens the same disks, before it is attached, too. */
TEST_F(access, detached_mount_opens_disks)
{
	int fs = fsopen("diskseqfs", FSOPEN_CLOEXEC), mnt, fd;
	char name[32];
	struct stat st;

	ASSERT_LE(0, fs);
	ASSERT_EQ(0, fsconfig(fs, FSCONFIG_SET_STRING, "uid", "1000", 0));
	ASSERT_EQ(0, fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0440", 0));
	ASSERT_EQ(0, fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	ASSERT_LE(0, mnt);

	sprintf(name, "%" PRIu64, self->number);
	fd = openat(mnt, name, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_stamp(fd, "DISK"));
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFBLK | 0440, st.st_mode);
	EXPECT_EQ(1000, st.st_uid);

	/* And goes on doing so when nothing but the file holds the mount. */
	close(fs);
	close(mnt);
	EXPECT_TRUE(has_stamp(fd, "DISK"));
	close(fd);
}

/* A remount applies to entries that are in memory, not only to later ones. */
TEST_F(access, remount_changes_existing_entries)
{
	int handle = open(self->entry, O_PATH);
	int fd = open(self->entry, O_RDONLY);
	struct stat st;

	ASSERT_LE(0, handle);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, remount("uid=1000,gid=2000,mode=0666"));
	ASSERT_EQ(0, fstat(handle, &st));
	EXPECT_EQ(S_IFBLK | 0666, st.st_mode);
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(2000, st.st_gid);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(S_IFBLK | 0666, st.st_mode);

	/* Nor is a path of its own a way around the mode: O_PATH, or /proc. */
	become(1, 1);
	EXPECT_EQ(0, open_errno(self->entry, O_RDWR));
	EXPECT_EQ(0, reopen_errno(handle, O_RDWR));
	EXPECT_EQ(0, reopen_errno(fd, O_RDWR));
	become_root();

	ASSERT_EQ(0, remount("mode=0644"));
	become(1, 1);
	EXPECT_EQ(0, reopen_errno(handle, O_RDONLY));
	EXPECT_EQ(EACCES, reopen_errno(handle, O_RDWR));
	EXPECT_EQ(EACCES, reopen_errno(fd, O_RDWR));
	become_root();

	ASSERT_EQ(0, remount("mode=0600"));
	become(1, 1);
	EXPECT_EQ(EACCES, open_errno(self->entry, O_RDONLY));
	EXPECT_EQ(EACCES, reopen_errno(handle, O_RDONLY));
	EXPECT_EQ(EACCES, reopen_errno(fd, O_RDONLY));
	/* What is open stays open. */
	EXPECT_TRUE(has_stamp(fd, "DISK"));
	become_root();
}

/* A remount keeps what it does not name, and shows what is in force. */
TEST_F(access, remount_keeps_options_it_does_not_name)
{
	char options[256];

	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,mode=0600", options);
	ASSERT_EQ(0, remount("uid=1000,gid=2000,mode=0640"));
	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,uid=1000,gid=2000,mode=0640", options);
	ASSERT_EQ(0, remount(NULL));
	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,uid=1000,gid=2000,mode=0640", options);
	ASSERT_EQ(0, remount("mode=0444"));
	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,uid=1000,gid=2000,mode=0444", options);
	ASSERT_EQ(0, remount("uid=0"));
	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,gid=2000,mode=0444", options);
	/* The last of two counts. */
	ASSERT_EQ(0, remount("gid=5,gid=0,mode=0600"));
	shown_options(diskseqfs_dir, options);
	EXPECT_STREQ("rw,mode=0600", options);
}

/* Each mount has options of its own. */
TEST_F(access, mounts_are_independent)
{
	char other[64];
	struct stat st;

	ASSERT_EQ(0, mount_at("/tmp/access_test", 0, "uid=1000,mode=0444"));
	sprintf(other, "/tmp/access_test/%" PRIu64, self->number);
	EXPECT_EQ(0, stat(other, &st));
	EXPECT_EQ(S_IFBLK | 0444, st.st_mode);
	EXPECT_EQ(EACCES, user_open_errno(self->entry, O_RDONLY, 1, 1));
	EXPECT_EQ(0, user_open_errno(other, O_RDONLY, 1, 1));

	ASSERT_EQ(0, remount("mode=0606"));
	EXPECT_EQ(0, stat(other, &st));
	EXPECT_EQ(S_IFBLK | 0444, st.st_mode);
	EXPECT_EQ(EACCES, user_open_errno(other, O_WRONLY, 1, 1));
	EXPECT_EQ(0, user_open_errno(self->entry, O_WRONLY, 1, 1));
	EXPECT_EQ(0, umount("/tmp/access_test"));
	EXPECT_EQ(0, open_errno(self->entry, O_RDONLY));
}

/* An unprivileged user can see which disks there are, as in /dev. */
TEST_F(access, names_are_public)
{
	struct stat st;

	become(USER, GROUP);
	EXPECT_EQ(0, stat(self->entry, &st));
	EXPECT_LT(2, count_entries());
	become_root();
}

/* Nobody opens a device through a mount that is nodev. */
TEST_F(access, nodev_mount_opens_nothing)
{
	static const int modes[] = { O_RDONLY, O_RDWR, O_RDONLY | O_NONBLOCK };
	int handle;

	ASSERT_EQ(0, mount(NULL, diskseqfs_dir, NULL,
			   MS_REMOUNT | MS_BIND | MS_NODEV, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(EACCES, open_errno(self->entry, modes[i]))
			TH_LOG("flags %#o", modes[i]);
	}
	handle = open(self->entry, O_PATH);
	ASSERT_LE(0, handle);
	EXPECT_EQ(EACCES, reopen_errno(handle, O_RDONLY));
	EXPECT_EQ(-1, mount(self->entry, "/mnt", "ext4", 0, NULL));
	EXPECT_EQ(EACCES, errno);

	ASSERT_EQ(0, mount(NULL, diskseqfs_dir, NULL, MS_REMOUNT | MS_BIND,
			   NULL));
	EXPECT_EQ(0, open_errno(self->entry, O_RDONLY));
}

/* A read-only mount protects names, not devices: as it is with device nodes. */
TEST_F(access, read_only_mount_opens_devices_for_writing)
{
	static const int modes[] = {
		O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_CREAT,
	};
	char entry[64], node[64];

	if (mkdir("/tmp/access_dev", 0755) && errno != EEXIST)
		err(1, "/tmp/access_dev");
	ASSERT_EQ(0, mount("/dev", "/tmp/access_dev", NULL, MS_BIND, NULL));
	ASSERT_EQ(0, mount(NULL, "/tmp/access_dev", NULL,
			   MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	ASSERT_EQ(0, mount_at("/tmp/access_test", MS_RDONLY, NULL));
	sprintf(node, "/tmp/access_dev/loop%d", self->nr);
	sprintf(entry, "/tmp/access_test/%" PRIu64, self->number);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(open_errno(node, modes[i]),
			  open_errno(entry, modes[i]))
			TH_LOG("flags %#o", modes[i]);
	}
	EXPECT_EQ(0, open_errno(entry, O_RDWR));
	EXPECT_EQ(0, umount("/tmp/access_test"));
	EXPECT_EQ(0, umount("/tmp/access_dev"));
}

/* Nothing in there can be executed, or mapped to be. */
TEST_F(access, nothing_is_executable)
{
	int fd;

	ASSERT_EQ(0, remount("mode=0777"));
	EXPECT_EQ(-1, execl(self->entry, self->entry, NULL));
	EXPECT_EQ(EACCES, errno);
	fd = open(self->entry, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_EXEC,
				   MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EPERM, errno);
	close(fd);
}

static void write_file(const char *path, const char *format, ...)
{
	FILE *f = fopen(path, "we");
	va_list args;

	va_start(args, format);
	if (!f || vfprintf(f, format, args) < 0 || fclose(f))
		err(1, "%s", path);
	va_end(args);
}

/*
 * What the device cgroup forbids by node it forbids by number, to a process and
 * to the kernel that opens on its behalf.
 */
TEST_F(access, device_cgroup_decides_as_at_the_node)
{
	static const struct {
		const char *deny;
		int read, write;
	} rows[] = {
		{ "r", EPERM, 0 }, { "w", 0, EPERM }, { "m", 0, 0 },
		{ "rw", EPERM, EPERM },
	};
	const char * const ways[] = { self->entry, self->node };
	const char *top = "/tmp/access_cgroup";

	NEED(FOR_EXT4);
	if (mkdir(top, 0755) && errno != EEXIST)
		err(1, "%s", top);
	if (mount("none", top, "cgroup", 0, "devices"))
		SKIP(return, "no device cgroup, of version 1: %s",
		     strerror(errno));
	ASSERT_EQ(0, run("mkfs.ext4 -q -O ^has_journal %s", self->node));
	ASSERT_EQ(0, mkdir("/tmp/access_cgroup/test", 0755));
	write_file("/tmp/access_cgroup/test/cgroup.procs", "%d", getpid());

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_file("/tmp/access_cgroup/test/devices.allow", "a");
		write_file("/tmp/access_cgroup/test/devices.deny", "b %d:%d %s",
			   LOOP_MAJOR, self->nr, rows[i].deny);
		for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
			int fd;

			EXPECT_EQ(rows[i].read, open_errno(ways[way], O_RDONLY))
				TH_LOG("%s denied", rows[i].deny);
			EXPECT_EQ(rows[i].write,
				  open_errno(ways[way], O_WRONLY))
				TH_LOG("%s denied", rows[i].deny);
			fd = open(ways[way], O_PATH);
			ASSERT_LE(0, fd);
			EXPECT_EQ(rows[i].read, reopen_errno(fd, O_RDONLY));
			close(fd);

			EXPECT_EQ(rows[i].read,
				  mount(ways[way], "/mnt", "ext4", MS_RDONLY,
					NULL) ? errno : 0)
				TH_LOG("%s denied", rows[i].deny);
			umount("/mnt");
		}
	}

	write_file("/tmp/access_cgroup/cgroup.procs", "%d", getpid());
	EXPECT_EQ(0, rmdir("/tmp/access_cgroup/test"));
	EXPECT_EQ(0, umount(top));
	EXPECT_EQ(0, open_errno(self->entry, O_RDWR));
}

/* Who is root only in a user namespace cannot mount it, by either API. */
TEST_F(access, user_namespace_may_not_mount)
{
	pid_t child = fork();
	int status;

	NEED("file:/proc/self/ns/user");
	ASSERT_LE(0, child);
	if (!child) {
		int fs;

		become(USER, GROUP);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
			_exit(1);
		/* Its own tmpfs it can mount, so it is not for want of that. */
		if (mount("none", "/tmp", "tmpfs", 0, NULL))
			_exit(2);
		if (!mount("none", "/tmp", "diskseqfs", 0, NULL) ||
		    errno != EPERM)
			_exit(3);
		fs = fsopen("diskseqfs", FSOPEN_CLOEXEC);
		if (fs < 0)
			_exit(4);
		if (!fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ||
		    errno != EPERM)
			_exit(5);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/* Nor can such a root open through a mount that it inherits, or change it. */
TEST_F(access, user_namespace_gains_nothing)
{
	pid_t child;
	int status;

	NEED("file:/proc/self/ns/user");
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		become(USER, GROUP);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
			_exit(1);
		if (open_errno(self->entry, O_RDONLY) != EACCES)
			_exit(2);
		if (remount("mode=0666") != EPERM)
			_exit(3);
		if (!chmod(self->entry, 0666) || errno != EPERM)
			_exit(4);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/* Not even root makes, removes or renames anything in there. */
TEST_F(access, directory_cannot_be_changed)
{
	static const char * const names[] = {
		"new", "1000000", "1-part1", "18446744073709551615",
	};
	int count = count_entries();
	char path[64];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		sprintf(path, "%s/%s", diskseqfs_dir, names[i]);
		EXPECT_NE(0, open_errno(path, O_RDWR | O_CREAT));
		EXPECT_NE(0, open_errno(path, O_RDWR | O_CREAT | O_EXCL));
		EXPECT_EQ(-1, mknod(path, S_IFBLK | 0600,
				    makedev(LOOP_MAJOR, self->nr)));
		EXPECT_EQ(-1, mknod(path, S_IFREG | 0600, 0));
		EXPECT_EQ(-1, mkdir(path, 0755));
		EXPECT_EQ(-1, symlink(self->node, path));
		EXPECT_EQ(-1, link(self->entry, path));
		EXPECT_EQ(-1, rename(self->entry, path));
		EXPECT_EQ(-1, stat(path, &st));
		EXPECT_EQ(ENOENT, errno);
	}
	EXPECT_NE(0, open_errno(diskseqfs_dir, O_RDWR | O_TMPFILE));
	EXPECT_EQ(-1, unlink(self->entry));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, rmdir(self->entry));
	EXPECT_EQ(-1, link(self->entry, "/tmp/access_link"));
	EXPECT_EQ(EXDEV, errno);

	EXPECT_EQ(count, count_entries());
	EXPECT_EQ(0, open_errno(self->entry, O_RDWR));
}

/* The directory opens to read, with the right of nobody to write into it. */
TEST_F(access, directory_has_no_writers)
{
	struct stat st;

	ASSERT_EQ(0, stat(diskseqfs_dir, &st));
	EXPECT_EQ(S_IFDIR | 0755, st.st_mode);
	EXPECT_EQ(EISDIR, open_errno(diskseqfs_dir, O_RDWR));
	become(USER, GROUP);
	EXPECT_EQ(-1, faccessat(AT_FDCWD, diskseqfs_dir, W_OK, AT_EACCESS));
	EXPECT_EQ(EACCES, errno);
	become_root();
}

/* What else a directory has can be set. */
TEST_F(access, directory_has_its_times)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };
	struct stat st;

	ASSERT_EQ(0, utimensat(AT_FDCWD, diskseqfs_dir, times, 0));
	ASSERT_EQ(0, stat(diskseqfs_dir, &st));
	EXPECT_EQ(2, st.st_mtime);
}

/* The directory stays root's, for all to read; that of entries, see owner_test. */
TEST_F(access, directory_cannot_be_given)
{
	struct stat st;

	EXPECT_EQ(-1, chmod(diskseqfs_dir, 0777));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, chown(diskseqfs_dir, USER, GROUP));
	EXPECT_EQ(EPERM, errno);

	ASSERT_EQ(0, stat(diskseqfs_dir, &st));
	EXPECT_EQ(S_IFDIR | 0755, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
