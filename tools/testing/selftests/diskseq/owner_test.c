// SPDX-License-Identifier: GPL-2.0
/*
 * Owner, mode, ACL and labels of a disk by number: given by those who may give them
 * to a device node, there for as long as the number is, and not a moment longer.
 *
 * SEEN failing on kernels where an owner or a label is not kept, or taken by anyone,
 * or given when the number is gone; where that of an earlier partition stays, keeps
 * others out, or goes with the device number; where a remount takes it back; and where
 * an ACL is apart from the mode, or listed though there is none.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

/* A user and a group without any privilege, and others. */
#define USER	1000
#define GROUP	2000
#define OTHER	3000

#define DIR2	"/tmp/owner_test"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2	452
#endif

FIXTURE(owner)
{
	int nr;
	uint64_t number;
	char entry[64];		/* path of the disk, by number */
};

static void attach(FIXTURE_DATA(owner) *self)
{
	self->number = loop_attach(self->nr, image_create("DISK", IMAGE_SIZE),
				   0);
	path_by_number(self->entry, self->number, 0);
}

FIXTURE_SETUP(owner)
{
	diskseqfs_private();
	self->nr = loop_get_free();
	attach(self);
}

FIXTURE_TEARDOWN(owner)
{
	umount(DIR2);
	loop_detach(self->nr);
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

/* The errno of opening @path as a user, or 0. */
static int user_opens(const char *path, int flags, uid_t uid, gid_t gid)
{
	int fd, error;

	become(uid, gid);
	fd = open(path, flags | O_CLOEXEC);
	error = fd < 0 ? errno : 0;
	become_root();
	if (fd >= 0)
		close(fd);
	return error;
}

/* "uid:gid:mode" */
static const char *owner_of(const char *path)
{
	static char text[64];
	struct stat st;

	if (stat(path, &st))
		snprintf(text, sizeof(text), "%s", strerror(errno));
	else
		sprintf(text, "%u:%u:%04o", st.st_uid, st.st_gid,
			st.st_mode & 07777);
	return text;
}

static void squeeze_memory(void)
{
	sync();
	/* Not by a shell, whose program would have to be read again each time. */
	for (int i = 0; i < 3; i++) {
		if (put("/proc/sys/vm/drop_caches", "3"))
			err(1, "caches");
	}
}

static int remount(const char *options)
{
	return mount("none", diskseqfs_dir, NULL, MS_REMOUNT, options) ?
	       errno : 0;
}

/* What is given decides who may open it, by every way to give it. */
TEST_F(owner, whoever_it_is_given_to_may_open_it)
{
	char proc[64];
	int fd, path;

	fd = open(self->entry, O_RDWR | O_CLOEXEC);
	path = open(self->entry, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, path);

	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, USER, GROUP));
	ASSERT_EQ(0, chown(self->entry, USER, -1));
	EXPECT_STREQ("1000:0:0600", owner_of(self->entry));
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, USER, GROUP));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, OTHER, GROUP));

	ASSERT_EQ(0, fchmod(fd, 0460));
	ASSERT_EQ(0, fchown(fd, -1, GROUP));
	EXPECT_STREQ("1000:2000:0460", owner_of(self->entry));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDWR, USER, 1));
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, OTHER, GROUP));

	ASSERT_EQ(0, fchownat(path, "", OTHER, OTHER, AT_EMPTY_PATH));
	ASSERT_EQ(0, syscall(SYS_fchmodat2, path, "", 0640, AT_EMPTY_PATH));
	EXPECT_STREQ("3000:3000:0640", owner_of(self->entry));
	sprintf(proc, "/proc/self/fd/%d", path);
	ASSERT_EQ(0, chmod(proc, 0604));
	EXPECT_STREQ("3000:3000:0604", owner_of(self->entry));
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, OTHER, 1));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, USER, OTHER));
	EXPECT_EQ(0, user_opens(self->entry, O_RDONLY, 1, 1));

	ASSERT_EQ(0, lchown(self->entry, 0, 0));
	ASSERT_EQ(0, chmod(self->entry, 0600));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, OTHER, OTHER));
	close(fd);
	close(path);
}

/* Who is not the owner may change nothing, and the owner what is his to change. */
TEST_F(owner, only_the_owner_may_give)
{
	int fd = open(self->entry, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, chmod(self->entry, 0666));
	become(USER, GROUP);
	EXPECT_EQ(-1, chmod(self->entry, 0777));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fchmod(fd, 0777));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, chown(self->entry, USER, -1));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, chown(self->entry, -1, GROUP));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, setxattr(self->entry, "security.test", "x", 1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, setxattr(self->entry, "trusted.test", "x", 1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, removexattr(self->entry, ACL));
	EXPECT_EQ(EPERM, errno);
	become_root();
	EXPECT_STREQ("0:0:0666", owner_of(self->entry));

	ASSERT_EQ(0, chown(self->entry, USER, 0));
	become(USER, GROUP);
	EXPECT_EQ(0, chmod(self->entry, 0640));
	EXPECT_EQ(0, chown(self->entry, -1, GROUP));
	EXPECT_EQ(-1, chown(self->entry, -1, OTHER));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, chown(self->entry, 0, -1));
	EXPECT_EQ(EPERM, errno);
	become_root();
	EXPECT_STREQ("1000:2000:0640", owner_of(self->entry));
	close(fd);
}

/* Who is root in a user namespace only is not here, but may be the owner. */
TEST_F(owner, user_namespace_gives_what_is_its_own)
{
	int pipes[2], status;
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		become(USER, GROUP);
		if (unshare(CLONE_NEWUSER))
			_exit(1);
		if (!chmod(self->entry, 0666) || errno != EPERM)
			_exit(2);
		write(pipes[1], "x", 1);
		/* The parent makes it ours. */
		if (!wait_until(!strcmp("65534:65534:0600",
					owner_of(self->entry)) &&
				!chmod(self->entry, 0400)))
			_exit(3);
		_exit(0);
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &c, 1));
	ASSERT_EQ(0, chown(self->entry, USER, -1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("1000:0:0400", owner_of(self->entry));
}

/* Who owns it is not forgotten when nobody uses it, and memory is short. */
TEST_F(owner, owner_is_kept_without_users)
{
	char text[8];

	ASSERT_EQ(0, chown(self->entry, USER, GROUP));
	squeeze_memory();
	EXPECT_STREQ("1000:2000:0600", owner_of(self->entry));
	ASSERT_EQ(0, chmod(self->entry, 0640));
	ASSERT_EQ(0, setxattr(self->entry, "trusted.test", "label", 5, 0));
	squeeze_memory();
	EXPECT_STREQ("1000:2000:0640", owner_of(self->entry));
	EXPECT_EQ(5, getxattr(self->entry, "trusted.test", text, sizeof(text)));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDWR, OTHER, GROUP));
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, USER, 1));
}

/* The next disk, and the next medium, are nobody's but the options'. */
TEST_F(owner, next_number_inherits_nothing)
{
	int fd, held;

	ASSERT_EQ(0, remount("gid=2000,mode=0640"));
	ASSERT_EQ(0, chown(self->entry, USER, OTHER));
	ASSERT_EQ(0, chmod(self->entry, 0666));
	ASSERT_EQ(0, setxattr(self->entry, "security.test", "label", 5, 0));
	held = open(self->entry, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, held);

	loop_detach(self->nr);
	attach(self);
	EXPECT_STREQ("0:2000:0640", owner_of(self->entry));
	EXPECT_EQ(-1, getxattr(self->entry, "security.test", NULL, 0));
	EXPECT_EQ(ENODATA, errno);
	ASSERT_EQ(0, chmod(self->entry, 0604));
	loop_detach(self->nr);

	self->number = loop_attach(self->nr, image_create("DISK", IMAGE_SIZE),
				   LO_FLAGS_READ_ONLY);
	ASSERT_EQ(0, chmod(path_by_number(self->entry, self->number, 0), 0666));
	fd = open(self->entry, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, LOOP_CHANGE_FD,
			   image_create("NEXT", IMAGE_SIZE)));
	path_by_number(self->entry, diskseq_of(fd), 0);
	EXPECT_STREQ("0:2000:0640", owner_of(self->entry));
	close(fd);
	close(held);
}

/* Of a number that is gone there is nothing left to give. */
TEST_F(owner, entry_that_is_gone_cannot_be_given)
{
	int path = open(self->entry, O_PATH | O_CLOEXEC);
	char proc[64], gone[64];
	struct stat st;

	ASSERT_LE(0, path);
	ASSERT_EQ(0, chmod(self->entry, 0640));
	/* As an entry is given to a container. */
	close(open("/tmp/owner_bound", O_CREAT | O_RDWR, 0600));
	ASSERT_EQ(0, mount(self->entry, "/tmp/owner_bound", NULL, MS_BIND, NULL));
	EXPECT_EQ(0, user_opens("/tmp/owner_bound", O_RDONLY, 0, 0));
	ASSERT_EQ(0, chmod("/tmp/owner_bound", 0660));
	EXPECT_STREQ("0:0:0660", owner_of(self->entry));
	strcpy(gone, self->entry);
	loop_detach(self->nr);
	attach(self);

	EXPECT_EQ(-1, chmod(gone, 0666));
	EXPECT_EQ(ENOENT, errno);
	sprintf(proc, "/proc/self/fd/%d", path);
	EXPECT_EQ(-1, chmod(proc, 0666));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(-1, fchownat(path, "", USER, -1, AT_EMPTY_PATH));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(-1, setxattr(proc, "trusted.test", "x", 1, 0));
	EXPECT_EQ(ESTALE, errno);

	EXPECT_EQ(0, stat("/tmp/owner_bound", &st));
	EXPECT_EQ(ESTALE, user_opens("/tmp/owner_bound", O_RDONLY, 0, 0));
	EXPECT_EQ(-1, chmod("/tmp/owner_bound", 0666));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_EQ(0, umount("/tmp/owner_bound"));
	unlink("/tmp/owner_bound");
	close(path);
}

/* A remount changes what is the options', and leaves what has been given. */
TEST_F(owner, remount_leaves_what_was_given)
{
	static const struct {
		int mode, uid, gid;	/* given, or -1 */
		const char *first, *second;
	} rows[] = {
		{ -1, -1, -1, "1:2:0644", "3:4:0606" },
		{ 0600, -1, -1, "1:2:0600", "3:4:0600" },
		{ -1, USER, -1, "1000:2:0644", "1000:4:0606" },
		{ -1, -1, GROUP, "1:2000:0644", "3:2000:0606" },
		{ -1, USER, GROUP, "1000:2000:0644", "1000:2000:0606" },
		{ 0660, USER, GROUP, "1000:2000:0660", "1000:2000:0660" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, remount("uid=1,gid=2,mode=0644"));
		if (rows[i].mode >= 0)
			ASSERT_EQ(0, chmod(self->entry, rows[i].mode));
		if (rows[i].uid >= 0 || rows[i].gid >= 0)
			ASSERT_EQ(0, chown(self->entry, rows[i].uid,
					   rows[i].gid));
		EXPECT_STREQ(rows[i].first, owner_of(self->entry))
			TH_LOG("row %zu", i);
		ASSERT_EQ(0, remount("uid=3,gid=4,mode=0606"));
		EXPECT_STREQ(rows[i].second, owner_of(self->entry))
			TH_LOG("row %zu", i);
		squeeze_memory();
		EXPECT_STREQ(rows[i].second, owner_of(self->entry))
			TH_LOG("row %zu", i);
		loop_detach(self->nr);
		attach(self);
	}
}

/* What is given in one mount is of that: a container's is another one. */
TEST_F(owner, mounts_are_independent)
{
	char other[64];

	if (mkdir(DIR2, 0755) && errno != EEXIST)
		err(1, DIR2);
	ASSERT_EQ(0, mount("none", DIR2, "diskseqfs", 0, "mode=0640"));
	sprintf(other, DIR2 "/%" PRIu64, self->number);
	ASSERT_EQ(0, chown(other, USER, GROUP));
	ASSERT_EQ(0, chmod(self->entry, 0604));
	EXPECT_STREQ("1000:2000:0640", owner_of(other));
	EXPECT_STREQ("0:0:0604", owner_of(self->entry));
	ASSERT_EQ(0, umount(DIR2));
	squeeze_memory();
	EXPECT_STREQ("0:0:0604", owner_of(self->entry));
	ASSERT_EQ(0, mount("none", DIR2, "diskseqfs", 0, NULL));
	EXPECT_STREQ("0:0:0600", owner_of(other));
}

/* A read-only mount keeps owners as they are. */
TEST_F(owner, read_only_mount_gives_nothing)
{
	ASSERT_EQ(0, mount(NULL, diskseqfs_dir, NULL,
			   MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	EXPECT_EQ(-1, chmod(self->entry, 0666));
	EXPECT_EQ(EROFS, errno);
	ASSERT_EQ(0, mount(NULL, diskseqfs_dir, NULL, MS_REMOUNT | MS_BIND,
			   NULL));
	EXPECT_STREQ("0:0:0600", owner_of(self->entry));
}

/* An ACL gives, together with the mode, and is kept and gone as that. */
TEST_F(owner, acl_gives_to_one_more)
{
	struct acl acl = acl_for(USER, 6), back;

	ASSERT_EQ(0, setxattr(self->entry, ACL, &acl, sizeof(acl), 0));
	EXPECT_STREQ("0:0:0660", owner_of(self->entry));
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, USER, 1));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, OTHER, 1));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, OTHER, 0));
	ASSERT_EQ(sizeof(back), getxattr(self->entry, ACL, &back, sizeof(back)));
	EXPECT_EQ(0, memcmp(&acl, &back, sizeof(acl)));

	/* chmod is about its mask then, */
	ASSERT_EQ(0, chmod(self->entry, 0640));
	EXPECT_EQ(0, user_opens(self->entry, O_RDONLY, USER, 1));
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDWR, USER, 1));
	ASSERT_EQ(sizeof(back), getxattr(self->entry, ACL, &back, sizeof(back)));
	EXPECT_EQ(4, back.entries[3].perm);

	/* and a remount is about no part of it. */
	ASSERT_EQ(0, remount("uid=1,mode=0606"));
	EXPECT_STREQ("1:0:0640", owner_of(self->entry));
	squeeze_memory();
	EXPECT_STREQ("1:0:0640", owner_of(self->entry));
	EXPECT_EQ(0, user_opens(self->entry, O_RDONLY, USER, 1));

	ASSERT_EQ(0, removexattr(self->entry, ACL));
	EXPECT_EQ(-1, getxattr(self->entry, ACL, NULL, 0));
	EXPECT_EQ(ENODATA, errno);
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, USER, 1));

	ASSERT_EQ(0, setxattr(self->entry, ACL, &acl, sizeof(acl), 0));
	ASSERT_EQ(0, remount("uid=0,mode=0600"));
	EXPECT_EQ(0, user_opens(self->entry, O_RDONLY, USER, 1));
	loop_detach(self->nr);
	attach(self);
	EXPECT_EQ(-1, getxattr(self->entry, ACL, NULL, 0));
	EXPECT_EQ(ENODATA, errno);
	EXPECT_EQ(EACCES, user_opens(self->entry, O_RDONLY, USER, 1));
}

/* What is listed is what has been set: programs that copy take it for that. */
TEST_F(owner, nothing_is_listed_that_is_not_set)
{
	struct acl acl = acl_for(USER, 6);
	char names[256];

	EXPECT_EQ(0, listxattr(diskseqfs_dir, names, sizeof(names)));
	EXPECT_EQ(0, listxattr(self->entry, names, sizeof(names)));
	ASSERT_EQ(0, setxattr(self->entry, ACL, &acl, sizeof(acl), 0));
	ASSERT_EQ(sizeof(ACL), listxattr(self->entry, names, sizeof(names)));
	EXPECT_STREQ(ACL, names);
	ASSERT_EQ(0, removexattr(self->entry, ACL));
	EXPECT_EQ(0, listxattr(self->entry, names, sizeof(names)));
}

/* The owner sets the ACL, others do not; the directory has none. */
TEST_F(owner, acl_is_the_owners_to_set)
{
	struct acl acl = acl_for(OTHER, 6);

	ASSERT_EQ(0, chmod(self->entry, 0666));
	become(USER, GROUP);
	EXPECT_EQ(-1, setxattr(self->entry, ACL, &acl, sizeof(acl), 0));
	EXPECT_EQ(EPERM, errno);
	become_root();
	ASSERT_EQ(0, chown(self->entry, USER, -1));
	become(USER, GROUP);
	EXPECT_EQ(0, setxattr(self->entry, ACL, &acl, sizeof(acl), 0));
	become_root();
	EXPECT_EQ(0, user_opens(self->entry, O_RDWR, OTHER, 1));
	EXPECT_EQ(-1, setxattr(self->entry, "system.posix_acl_default", &acl,
			       sizeof(acl), 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, setxattr(diskseqfs_dir, ACL, &acl, sizeof(acl), 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

/* Labels: security.* and trusted.*, and those alone, as of a node. */
TEST_F(owner, labels_are_kept)
{
	static const char * const names[] = { "security.test", "trusted.test" };
	char value[16], list[256];
	ssize_t size;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(-1, getxattr(self->entry, names[i], NULL, 0));
		EXPECT_EQ(ENODATA, errno);
		EXPECT_EQ(-1, setxattr(self->entry, names[i], "a", 1,
				       XATTR_REPLACE));
		EXPECT_EQ(ENODATA, errno);
		ASSERT_EQ(0, setxattr(self->entry, names[i], "first", 5,
				      XATTR_CREATE));
		EXPECT_EQ(-1, setxattr(self->entry, names[i], "a", 1,
				       XATTR_CREATE));
		EXPECT_EQ(EEXIST, errno);
		ASSERT_EQ(0, setxattr(self->entry, names[i], "second", 6, 0));
		EXPECT_EQ(-1, getxattr(self->entry, names[i], value, 5));
		EXPECT_EQ(ERANGE, errno);
		squeeze_memory();
		ASSERT_EQ(6, getxattr(self->entry, names[i], value,
				      sizeof(value)));
		EXPECT_EQ(0, memcmp(value, "second", 6));
		size = listxattr(self->entry, list, sizeof(list));
		ASSERT_LT(0, size);
		EXPECT_NE(NULL, memmem(list, size, names[i],
				       strlen(names[i]) + 1));
		ASSERT_EQ(0, removexattr(self->entry, names[i]));
		EXPECT_EQ(-1, removexattr(self->entry, names[i]));
		EXPECT_EQ(ENODATA, errno);
	}
	EXPECT_EQ(-1, setxattr(self->entry, "user.test", "x", 1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, setxattr(self->entry, "system.test", "x", 1, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_STREQ("0:0:0600", owner_of(self->entry));

	ASSERT_EQ(0, setxattr(diskseqfs_dir, "security.test", "root", 4, 0));
	EXPECT_EQ(4, getxattr(diskseqfs_dir, "security.test", value,
			      sizeof(value)));
}

/*
 * A partition that is there again when the table has been read is the same one: it
 * begins where it began.  Another one is nobody's.
 */
TEST_F(owner, partition_is_known_by_where_it_begins)
{
	int disk = open(self->entry, O_RDONLY | O_CLOEXEC), path;
	const off_t size = IMAGE_SIZE / 4;
	char part[64], proc[64];
	struct stat before, st;
	bool moved = false;

	ASSERT_LE(0, disk);
	path_by_number(part, self->number, 1);
	ASSERT_EQ(0, partition_add(disk, 1, size, size));
	ASSERT_EQ(0, chown(part, USER, GROUP));
	EXPECT_STREQ("0:0:0600", owner_of(self->entry));
	ASSERT_EQ(0, chmod(part, 0666));
	ASSERT_EQ(0, setxattr(part, "security.test", "label", 5, 0));
	ASSERT_EQ(0, stat(part, &before));
	path = open(part, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);

	/* Whatever device number it gets. */
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, partition_del(disk, 1));
		EXPECT_STREQ("No such file or directory", owner_of(part));
		squeeze_memory();
		if (i % 2)
			ASSERT_EQ(0, partition_add(disk, 2, 3 * size, size));
		ASSERT_EQ(0, partition_add(disk, 1, size, size));
		if (i % 2)
			ASSERT_EQ(0, partition_del(disk, 2));
		EXPECT_EQ(0, user_opens(part, O_RDWR, OTHER, OTHER));
		EXPECT_STREQ("1000:2000:0666", owner_of(part));
		EXPECT_EQ(5, getxattr(part, "security.test", NULL, 0));
		ASSERT_EQ(0, stat(part, &st));
		moved |= st.st_rdev != before.st_rdev;
	}
	EXPECT_TRUE(moved);

	ASSERT_EQ(0, partition_del(disk, 1));
	ASSERT_EQ(0, partition_add(disk, 1, 2 * size, size));
	sprintf(proc, "/proc/self/fd/%d", path);
	EXPECT_EQ(ESTALE, user_opens(proc, O_RDONLY, OTHER, OTHER));
	EXPECT_EQ(EACCES, user_opens(part, O_RDONLY, USER, GROUP));
	EXPECT_STREQ("0:0:0600", owner_of(part));
	EXPECT_EQ(-1, getxattr(part, "security.test", NULL, 0));
	EXPECT_EQ(-1, chmod(proc, 0604));
	EXPECT_EQ(ESTALE, errno);
	EXPECT_STREQ("0:0:0600", owner_of(part));

	ASSERT_EQ(0, partition_del(disk, 1));
	ASSERT_EQ(0, partition_add(disk, 1, size, size));
	EXPECT_STREQ("0:0:0600", owner_of(part));
	ASSERT_EQ(0, partition_del(disk, 1));
	close(path);
	close(disk);
}

/*
 * Who holds the file of a partition that has another device number since cannot open
 * with it what was given after that, though the number is the first one again.
 */
TEST_F(owner, file_that_was_replaced_stays_so)
{
	int disk = open(self->entry, O_RDONLY | O_CLOEXEC), path;
	const off_t size = IMAGE_SIZE / 4;
	char part[64], proc[64];
	struct stat before;

	ASSERT_LE(0, disk);
	ASSERT_EQ(0, remount("mode=0666"));
	path_by_number(part, self->number, 1);
	ASSERT_EQ(0, partition_add(disk, 1, size, size));
	ASSERT_EQ(0, stat(part, &before));
	path = open(part, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	sprintf(proc, "/proc/self/fd/%d", path);
	EXPECT_EQ(0, user_opens(proc, O_RDONLY, USER, GROUP));

	ASSERT_EQ(0, partition_del(disk, 1));
	ASSERT_TRUE(wait_until(partition_gets(disk, self->number, 2, 2 * size, size,
					      before.st_rdev)));
	ASSERT_EQ(0, partition_add(disk, 1, size, size));
	ASSERT_EQ(0, chmod(part, 0600));

	ASSERT_EQ(0, partition_del(disk, 1));
	ASSERT_EQ(0, partition_del(disk, 2));
	ASSERT_TRUE(wait_until(partition_gets(disk, self->number, 1, size, size,
					      before.st_rdev)));
	EXPECT_STREQ("0:0:0600", owner_of(part));
	EXPECT_EQ(EACCES, user_opens(part, O_RDONLY, USER, GROUP));
	EXPECT_EQ(ESTALE, user_opens(proc, O_RDONLY, USER, GROUP));
	EXPECT_EQ(-1, chmod(proc, 0666));
	EXPECT_EQ(ESTALE, errno);

	ASSERT_EQ(0, partition_del(disk, 1));
	close(path);
	close(disk);
}

/* Nor does it keep anybody out who was kept out of another one. */
TEST_F(owner, next_partition_is_open_to_whom_options_let_in)
{
	int disk = open(self->entry, O_RDONLY | O_CLOEXEC);
	const off_t size = IMAGE_SIZE / 4;
	char part[64];

	ASSERT_LE(0, disk);
	ASSERT_EQ(0, remount("mode=0666"));
	path_by_number(part, self->number, 1);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, partition_add(disk, 1, size * (1 + i % 2), size));
		EXPECT_EQ(0, user_opens(part, O_RDWR, USER, GROUP));
		ASSERT_EQ(0, chmod(part, 0600));
		EXPECT_EQ(EACCES, user_opens(part, O_RDWR, USER, GROUP));
		ASSERT_EQ(0, partition_del(disk, 1));
	}
	close(disk);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
