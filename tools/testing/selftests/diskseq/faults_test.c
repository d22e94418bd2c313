// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation, and each access to the memory of the caller, that the kernel makes
 * on behalf of a system call fails once: the first one, the second one, and so on
 * until there is none left to fail.  Each time the call says so or succeeds, nothing
 * is half done, the same call succeeds when nothing fails any more, and in the end
 * nothing is left behind: no inode, no open disk, no claim, no entry.
 *
 * Needs CONFIG_FAULT_INJECTION, FAILSLAB and FAIL_PAGE_ALLOC; with
 * FAULT_INJECTION_USERCOPY more can fail, and on a kernel with kmemleak and KASAN it
 * shows more.
 *
 * SEEN failing: chmod_with_acl on a kernel that changes the mode before the ACL.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "../kselftest_harness.h"

#define DEBUGFS		"/sys/kernel/debug"
#define SLABS		"/sys/kernel/slab"
#define DIR2		"/tmp/faults_test"	/* of another diskseqfs, or an ext4 */
#define DM_NAME		"diskseq-faults"

/* Where the partition of an image is, in sectors. */
#define PART_START	64
#define PART_LENGTH	128

#define LABEL		"trusted.diskseq"

static int fail_nth = -1;	/* of /proc/self/fail-nth */

static void set_attribute(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", kind, name);
	put(path, value);
}

/* Also those that can wait, of any size, and with no call trace for each. */
static bool may_inject(void)
{
	static const char *const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};

	if (access(DEBUGFS "/failslab", F_OK))
		mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		set_attribute(kinds[i], "ignore-gfp-wait", "0");
		set_attribute(kinds[i], "ignore-gfp-highmem", "0");
		set_attribute(kinds[i], "min-order", "0");
		set_attribute(kinds[i], "verbose", "0");
	}
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_nth >= 0 && !access(DEBUGFS "/failslab", F_OK) &&
	       !access(DEBUGFS "/fail_page_alloc", F_OK);
}

FIXTURE(faults)
{
	int nr;			/* of a loop device, */
	int image, other;	/* what it is on, and what it may come to be on */
	int node;		/* open, to command it with */
	uint64_t number;
	int fd;			/* What an act has opened, or -1 */
	int added;		/* a loop device beside it, or -1 */
	uint64_t added_number;
	int loop_control, dm_control;
	unsigned int entries;	/* in the directory, before an act */
};

/* One thing to do, in which the kernel is made to fail. */
FIXTURE_VARIANT(faults)
{
	/* What has to be there; nothing fails in it. */
	void (*prepare)(FIXTURE_DATA(faults) *self);
	/* 0, or an errno. */
	int (*act)(FIXTURE_DATA(faults) *self);
	/*
	 * Is all as it should be, if it has been @done or not?  Something has failed
	 * unless it was @whole.
	 */
	bool (*check)(FIXTURE_DATA(faults) *self, bool done, bool whole);
	/* Have it as it was before prepare(). */
	void (*undo)(FIXTURE_DATA(faults) *self, bool done);
	/* What the kernel makes of no memory elsewhere: EINVAL for a device without name */
	bool any_error;
};

static const char *entry(uint64_t number, unsigned int partno)
{
	static char path[64];
	int len = sprintf(path, DIR2 "/%" PRIu64, number);

	if (partno)
		sprintf(path + len, "-part%u", partno);
	return path;
}

/* How often @number is in the directory; -1 with errno on failure. */
static int list(uint64_t number, unsigned int *entries)
{
	DIR *dir = opendir(diskseqfs_dir);
	struct dirent *d;
	int found = 0;
	char name[32];

	if (!dir)
		return -1;
	sprintf(name, "%" PRIu64, number);
	*entries = 0;
	errno = 0;
	while ((d = readdir(dir))) {
		++*entries;
		found += !strcmp(d->d_name, name);
	}
	if (errno) {
		int error = errno;

		closedir(dir);
		errno = error;
		return -1;
	}
	closedir(dir);
	return found;
}

/* An image of a disk with one partition. */
static int image_with_partition(const char *stamp)
{
	int fd = image_create(stamp, IMAGE_SIZE);

	partition_write_table(fd, PART_START * 512, PART_LENGTH * 512);
	return fd;
}

static void mount_another(FIXTURE_DATA(faults) *self)
{
	if (mount("none", DIR2, "diskseqfs", 0, NULL))
		err(1, "mount");
}

/* What is still in use there would keep it. */
static void umount_another(FIXTURE_DATA(faults) *self, bool done)
{
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	if (umount(DIR2))
		err(1, "umount");
}

/* A file system is mounted. */

static void nothing(FIXTURE_DATA(faults) *self)
{
}

static int act_mount(FIXTURE_DATA(faults) *self)
{
	return mount("none", DIR2, "diskseqfs", 0, "mode=0640,uid=1,gid=2") ?
	       errno : 0;
}

static bool check_mount(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	struct stat st;

	if (!done)
		return umount(DIR2) && errno == EINVAL;
	return !stat(entry(self->number, 0), &st) && st.st_uid == 1 &&
	       st.st_gid == 2 && st.st_mode == (S_IFBLK | 0640);
}

static void undo_mount(FIXTURE_DATA(faults) *self, bool done)
{
	if (done)
		umount_another(self, done);
}

FIXTURE_VARIANT_ADD(faults, mount)
{
	.prepare = nothing,
	.act = act_mount,
	.check = check_mount,
	.undo = undo_mount,
};

/* Its options are changed, all of them or none. */

static int act_remount(FIXTURE_DATA(faults) *self)
{
	return mount("none", DIR2, NULL, MS_REMOUNT, "mode=0444,uid=3") ?
	       errno : 0;
}

static bool check_remount(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	struct stat st;

	return !stat(entry(self->number, 0), &st) &&
	       st.st_uid == (done ? 3 : 0) &&
	       st.st_mode == (S_IFBLK | (done ? 0444 : 0600));
}

FIXTURE_VARIANT_ADD(faults, remount)
{
	.prepare = mount_another,
	.act = act_remount,
	.check = check_remount,
	.undo = umount_another,
};

/* A disk comes, of which nobody has asked for anything. */
static void add_another(FIXTURE_DATA(faults) *self)
{
	self->added = loop_add(-1);
	if (self->added < 0)
		err(1, "LOOP_CTL_ADD");
	self->added_number = diskseq_of_path(loop_path(self->added));
}

/* Who keeps it open, or knows it in the index, keeps it. */
static void remove_another(FIXTURE_DATA(faults) *self)
{
	if (!wait_until(!loop_remove(self->added)))
		err(1, "LOOP_CTL_REMOVE");
	if (!is_gone(self->added_number, 0))
		errx(1, "disk %" PRIu64 " stays", self->added_number);
	self->added = -1;
}

/* It is looked up: entry and inode are made, and the inode's number. */

static void prepare_look_up(FIXTURE_DATA(faults) *self)
{
	mount_another(self);
	add_another(self);
}

static int act_look_up(FIXTURE_DATA(faults) *self)
{
	return access(entry(self->added_number, 0), F_OK) ? errno : 0;
}

static void undo_look_up(FIXTURE_DATA(faults) *self, bool done)
{
	umount_another(self, done);
	remove_another(self);
}

static bool check_nothing(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return true;
}

FIXTURE_VARIANT_ADD(faults, look_up)
{
	.prepare = prepare_look_up,
	.act = act_look_up,
	.check = check_nothing,
	.undo = undo_look_up,
};

/* A disk is opened. */

static int open_entry(FIXTURE_DATA(faults) *self, unsigned int partno, int flags)
{
	self->fd = open(entry(self->number, partno), flags | O_CLOEXEC);
	return self->fd < 0 ? errno : 0;
}

/* Nobody has the disk for himself. */
static bool is_free(FIXTURE_DATA(faults) *self)
{
	int fd = open(loop_path(self->nr), O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool check_open(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	if (!done)
		return is_free(self);
	return has_stamp(self->fd, "RIGHT-DISK") &&
	       diskseq_of(self->fd) == self->number;
}

static int act_open(FIXTURE_DATA(faults) *self)
{
	return open_entry(self, 0, O_RDONLY);
}

FIXTURE_VARIANT_ADD(faults, open)
{
	.prepare = mount_another,
	.act = act_open,
	.check = check_open,
	.undo = umount_another,
};

static int act_open_claiming(FIXTURE_DATA(faults) *self)
{
	return open_entry(self, 0, O_RDWR | O_EXCL);
}

static bool check_claimed(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return is_free(self) == !done && check_open(self, done, whole);
}

FIXTURE_VARIANT_ADD(faults, open_exclusively)
{
	.prepare = mount_another,
	.act = act_open_claiming,
	.check = check_claimed,
	.undo = umount_another,
};

static int act_open_partition(FIXTURE_DATA(faults) *self)
{
	return open_entry(self, 1, O_RDONLY);
}

FIXTURE_VARIANT_ADD(faults, open_partition)
{
	.prepare = mount_another,
	.act = act_open_partition,
	.check = check_open,
	.undo = umount_another,
};

/* Through a descriptor that only names it. */
static int act_reopen(FIXTURE_DATA(faults) *self)
{
	int handle = open(entry(self->number, 0), O_PATH | O_CLOEXEC), error;
	char path[32];

	if (handle < 0)
		return errno;
	sprintf(path, "/proc/self/fd/%d", handle);
	self->fd = open(path, O_RDONLY | O_CLOEXEC);
	error = self->fd < 0 ? errno : 0;
	close(handle);
	return error;
}

FIXTURE_VARIANT_ADD(faults, reopen)
{
	.prepare = mount_another,
	.act = act_reopen,
	.check = check_open,
	.undo = umount_another,
};

static int act_lock(FIXTURE_DATA(faults) *self)
{
	return open_entry(self, 0, O_RDONLY) ?: flock(self->fd, LOCK_EX) ?
	       errno : 0;
}

/* It is locked for those who come by the node as well, or not at all. */
static bool check_lock(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	int fd;
	bool free;

	if (!done && self->fd >= 0) {
		close(self->fd);
		self->fd = -1;
	}
	fd = open(loop_path(self->nr), O_RDONLY | O_CLOEXEC);
	free = !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return free == !done;
}

FIXTURE_VARIANT_ADD(faults, lock)
{
	.prepare = mount_another,
	.act = act_lock,
	.check = check_lock,
	.undo = umount_another,
};

/* The directory is listed, with new numbers of inodes. */

static int act_list(FIXTURE_DATA(faults) *self)
{
	unsigned int entries;
	int found = list(self->added_number, &entries);

	if (found < 0)
		return errno;
	if (found != 1 || entries != self->entries + 1)
		errx(1, "listed %d times, among %u of %u entries", found,
		     entries, self->entries + 1);
	return 0;
}

static void undo_list(FIXTURE_DATA(faults) *self, bool done)
{
	remove_another(self);
}

FIXTURE_VARIANT_ADD(faults, list)
{
	.prepare = add_another,
	.act = act_list,
	.check = check_nothing,
	.undo = undo_list,
};

/* An entry is given away. */

static bool entry_is(FIXTURE_DATA(faults) *self, uid_t uid, gid_t gid,
		     mode_t mode)
{
	struct stat st;

	if (stat(entry(self->number, 0), &st))
		err(1, "stat");
	if (st.st_uid == uid && st.st_gid == gid && st.st_mode == mode)
		return true;
	printf("# owner %u:%u, mode %o\n", st.st_uid, st.st_gid, st.st_mode);
	return false;
}

static int act_chown(FIXTURE_DATA(faults) *self)
{
	return chown(entry(self->number, 0), 1000, 2000) ? errno : 0;
}

static bool check_chown(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return entry_is(self, done ? 1000 : 0, done ? 2000 : 0, S_IFBLK | 0600);
}

FIXTURE_VARIANT_ADD(faults, chown)
{
	.prepare = mount_another,
	.act = act_chown,
	.check = check_chown,
	.undo = umount_another,
};

static int act_set_acl(FIXTURE_DATA(faults) *self)
{
	struct acl acl = acl_for(1000, 4);

	return setxattr(entry(self->number, 0), ACL, &acl, sizeof(acl), 0) ?
	       errno : 0;
}

/* The bits of the mask, or -1. */
static int acl_mask(FIXTURE_DATA(faults) *self)
{
	struct acl found;

	if (getxattr(entry(self->number, 0), ACL, &found, sizeof(found)) !=
	    sizeof(found))
		return -1;
	return found.entries[ACL_MASK].perm;
}

static bool check_acl(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return acl_mask(self) == (done ? 4 : -1) &&
	       entry_is(self, 0, 0, S_IFBLK | (done ? 0640 : 0600));
}

FIXTURE_VARIANT_ADD(faults, set_acl)
{
	.prepare = mount_another,
	.act = act_set_acl,
	.check = check_acl,
	.undo = umount_another,
};

/* The mode and the ACL have a part in common. */

static void prepare_acl(FIXTURE_DATA(faults) *self)
{
	mount_another(self);
	if (act_set_acl(self))
		err(1, ACL);
}

static int act_chmod(FIXTURE_DATA(faults) *self)
{
	return chmod(entry(self->number, 0), 0666) ? errno : 0;
}

static bool check_chmod(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return acl_mask(self) == (done ? 6 : 4) &&
	       entry_is(self, 0, 0, S_IFBLK | (done ? 0666 : 0640));
}

FIXTURE_VARIANT_ADD(faults, chmod_with_acl)
{
	.prepare = prepare_acl,
	.act = act_chmod,
	.check = check_chmod,
	.undo = umount_another,
};

static int act_set_label(FIXTURE_DATA(faults) *self)
{
	return setxattr(entry(self->number, 0), LABEL, "mine", 4, 0) ? errno : 0;
}

static bool check_label(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	char value[4];
	ssize_t len = getxattr(entry(self->number, 0), LABEL, value, sizeof(value));

	return done ? len == 4 && !memcmp(value, "mine", 4) :
		      len < 0 && errno == ENODATA;
}

FIXTURE_VARIANT_ADD(faults, set_label)
{
	.prepare = mount_another,
	.act = act_set_label,
	.check = check_label,
	.undo = umount_another,
};

static void prepare_label(FIXTURE_DATA(faults) *self)
{
	mount_another(self);
	if (act_set_label(self))
		err(1, LABEL);
}

static int act_read_label(FIXTURE_DATA(faults) *self)
{
	char text[256];

	if (listxattr(entry(self->number, 0), text, sizeof(text)) < 0 ||
	    getxattr(entry(self->number, 0), LABEL, text, sizeof(text)) != 4)
		return errno;
	return 0;
}

static bool check_labelled(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return check_label(self, true, whole);
}

FIXTURE_VARIANT_ADD(faults, read_label)
{
	.prepare = prepare_label,
	.act = act_read_label,
	.check = check_labelled,
	.undo = umount_another,
};

static int act_remove_label(FIXTURE_DATA(faults) *self)
{
	return removexattr(entry(self->number, 0), LABEL) ? errno : 0;
}

static bool check_unlabelled(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return check_label(self, !done, whole);
}

FIXTURE_VARIANT_ADD(faults, remove_label)
{
	.prepare = prepare_label,
	.act = act_remove_label,
	.check = check_unlabelled,
	.undo = umount_another,
};

/* The medium is exchanged. */

static int act_change(FIXTURE_DATA(faults) *self)
{
	return ioctl(self->node, LOOP_CHANGE_FD, self->other) ? errno : 0;
}

/* Each number opens what it is of, or nothing. */
static bool check_changed(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	uint64_t number = diskseq_of(self->node);

	if (!done && number == self->number)
		return opens_as(number, 0, "RIGHT-DISK");
	return is_gone(self->number, 0) &&
	       opens_as(number, 0, done ? "OTHER-DISK" : "RIGHT-DISK") &&
	       (!whole || opens_as(number, 1, "OTHER-DISK"));
}

static void undo_change(FIXTURE_DATA(faults) *self, bool done)
{
	if (done && ioctl(self->node, LOOP_CHANGE_FD, self->image))
		err(1, "LOOP_CHANGE_FD");
	self->number = diskseq_of(self->node);
}

FIXTURE_VARIANT_ADD(faults, change_medium)
{
	.prepare = nothing,
	.act = act_change,
	.check = check_changed,
	.undo = undo_change,
};

/* A disk is attached, and detached. */

static void prepare_detached(FIXTURE_DATA(faults) *self)
{
	add_another(self);
	self->fd = open(loop_path(self->added), O_RDWR | O_CLOEXEC);
	if (self->fd < 0)
		err(1, "%s", loop_path(self->added));
}

static int act_attach(FIXTURE_DATA(faults) *self)
{
	struct loop_config config = {
		.fd = self->other,
		.info.lo_flags = LO_FLAGS_PARTSCAN,
	};

	return ioctl(self->fd, LOOP_CONFIGURE, &config) ? errno : 0;
}

static bool is_attached(int fd)
{
	struct loop_info64 info;

	return !ioctl(fd, LOOP_GET_STATUS64, &info);
}

static bool check_attached(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	self->added_number = diskseq_of(self->fd);
	if (!done)
		return !is_attached(self->fd) && errno == ENXIO;
	return opens_as(self->added_number, 0, "OTHER-DISK") &&
	       (!whole || opens_as(self->added_number, 1, "OTHER-DISK"));
}

static void undo_attach(FIXTURE_DATA(faults) *self, bool done)
{
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	if (done)
		loop_detach(self->added);
	remove_another(self);
}

FIXTURE_VARIANT_ADD(faults, attach)
{
	.prepare = prepare_detached,
	.act = act_attach,
	.check = check_attached,
	.undo = undo_attach,
};

static void prepare_attached(FIXTURE_DATA(faults) *self)
{
	prepare_detached(self);
	if (act_attach(self))
		err(1, "LOOP_CONFIGURE");
	self->added_number = diskseq_of(self->fd);
}

/* The last one who closes it does it. */
static int act_detach(FIXTURE_DATA(faults) *self)
{
	int error = ioctl(self->fd, LOOP_CLR_FD, 0) ? errno : 0;

	close(self->fd);
	self->fd = -1;
	return error;
}

static bool check_detached(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	if (!done)
		return opens_as(self->added_number, 0, "OTHER-DISK");
	loop_wait_detached(self->added);
	return is_gone(self->added_number, 0) && is_gone(self->added_number, 1);
}

static void undo_detach(FIXTURE_DATA(faults) *self, bool done)
{
	undo_attach(self, !done);
}

FIXTURE_VARIANT_ADD(faults, detach)
{
	.prepare = prepare_attached,
	.act = act_detach,
	.check = check_detached,
	.undo = undo_detach,
};

/* A disk comes and goes. */

static int act_add(FIXTURE_DATA(faults) *self)
{
	self->added = ioctl(self->loop_control, LOOP_CTL_ADD, -1L);
	return self->added < 0 ? errno : 0;
}

static bool check_added(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	unsigned int entries;

	return list(0, &entries) == 0 && entries == self->entries + done;
}

static void undo_add(FIXTURE_DATA(faults) *self, bool done)
{
	if (done && loop_remove(self->added))
		err(1, "LOOP_CTL_REMOVE");
	self->added = -1;
}

FIXTURE_VARIANT_ADD(faults, add_disk)
{
	.prepare = nothing,
	.act = act_add,
	.check = check_added,
	.undo = undo_add,
	.any_error = true,
};

static int act_remove(FIXTURE_DATA(faults) *self)
{
	return ioctl(self->loop_control, LOOP_CTL_REMOVE, (long)self->added) ?
	       errno : 0;
}

static bool check_removed(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return check_added(self, !done, whole);
}

static void undo_remove(FIXTURE_DATA(faults) *self, bool done)
{
	undo_add(self, !done);
}

FIXTURE_VARIANT_ADD(faults, remove_disk)
{
	.prepare = add_another,
	.act = act_remove,
	.check = check_removed,
	.undo = undo_remove,
};

/* A partition comes and goes, and the table is read. */

static int act_add_partition(FIXTURE_DATA(faults) *self)
{
	return partition_add(self->node, 2, 65536 * 4, 4096) ? errno : 0;
}

static bool check_partition(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return done ? opens_as(self->number, 2, "RIGHT-DISK") :
		      is_gone(self->number, 2);
}

static void undo_add_partition(FIXTURE_DATA(faults) *self, bool done)
{
	if (done && partition_del(self->node, 2))
		err(1, "BLKPG_DEL_PARTITION");
}

FIXTURE_VARIANT_ADD(faults, add_partition)
{
	.prepare = nothing,
	.act = act_add_partition,
	.check = check_partition,
	.undo = undo_add_partition,
	.any_error = true,
};

static void prepare_partition(FIXTURE_DATA(faults) *self)
{
	if (act_add_partition(self))
		err(1, "BLKPG_ADD_PARTITION");
}

static int act_delete_partition(FIXTURE_DATA(faults) *self)
{
	return partition_del(self->node, 2) ? errno : 0;
}

static bool check_no_partition(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return check_partition(self, !done, whole);
}

static void undo_delete_partition(FIXTURE_DATA(faults) *self, bool done)
{
	undo_add_partition(self, !done);
}

FIXTURE_VARIANT_ADD(faults, delete_partition)
{
	.prepare = prepare_partition,
	.act = act_delete_partition,
	.check = check_no_partition,
	.undo = undo_delete_partition,
};

static void prepare_reread(FIXTURE_DATA(faults) *self)
{
	self->fd = open_by_number(self->number, 0, O_RDONLY);
	if (self->fd < 0)
		err(1, "open");
}

static int act_reread(FIXTURE_DATA(faults) *self)
{
	return ioctl(self->fd, BLKRRPART) ? errno : 0;
}

static bool check_reread(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return opens_as(self->number, 0, "RIGHT-DISK") &&
	       (whole ? opens_as(self->number, 1, "RIGHT-DISK") :
			access(path_by_number((char [64]){}, self->number, 1),
			       F_OK) || opens_as(self->number, 1, "RIGHT-DISK"));
}

static void undo_reread(FIXTURE_DATA(faults) *self, bool done)
{
	if (ioctl(self->fd, BLKRRPART))
		err(1, "BLKRRPART");
	close(self->fd);
	self->fd = -1;
}

FIXTURE_VARIANT_ADD(faults, read_table)
{
	.prepare = prepare_reread,
	.act = act_reread,
	.check = check_reread,
	.undo = undo_reread,
};

/* The kernel opens it: a file system that is on it is mounted. */

static void prepare_ext4(FIXTURE_DATA(faults) *self)
{
	static uint64_t made;

	if (made == self->number)
		return;
	made = self->number;
	if (run("mkfs.ext4 -q -F -O ^has_journal %s", loop_path(self->nr)))
		errx(1, "mkfs.ext4");
}

static int act_mount_ext4(FIXTURE_DATA(faults) *self)
{
	char path[64];

	return mount(path_by_number(path, self->number, 0), DIR2, "ext4", 0,
		     NULL) ? errno : 0;
}

static bool check_mount_ext4(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	/* A mount that was given up is taken down by a worker. */
	return done ? !is_free(self) : wait_until(is_free(self));
}

static void undo_mount_ext4(FIXTURE_DATA(faults) *self, bool done)
{
	if (done)
		umount_another(self, done);
	if (!wait_until(is_free(self)))
		errx(1, "the disk is still claimed");
}

FIXTURE_VARIANT_ADD(faults, mount_disk)
{
	.prepare = prepare_ext4,
	.act = act_mount_ext4,
	.check = check_mount_ext4,
	.undo = undo_mount_ext4,
	.any_error = true,
};

/* And a device of device-mapper is made of it. */

struct request {
	struct dm_ioctl dm;
	struct dm_target_spec spec;
	char params[128];
};

static int dm(FIXTURE_DATA(faults) *self, unsigned long command,
	      struct request *r)
{
	r->dm.version[0] = DM_VERSION_MAJOR;
	r->dm.data_size = sizeof(*r);
	r->dm.data_start = offsetof(struct request, spec);
	strcpy(r->dm.name, DM_NAME);
	return ioctl(self->dm_control, command, r) ? errno : 0;
}

static void prepare_dm(FIXTURE_DATA(faults) *self)
{
	if (dm(self, DM_DEV_CREATE, &(struct request){}))
		err(1, "DM_DEV_CREATE");
}

static int act_load(FIXTURE_DATA(faults) *self)
{
	struct request r = {
		.dm.target_count = 1,
		.spec.length = IMAGE_SIZE / 512,
		.spec.target_type = "linear",
	};

	strcat(path_by_number(r.params, self->number, 0), " 0");
	return dm(self, DM_TABLE_LOAD, &r);
}

static bool check_load(FIXTURE_DATA(faults) *self, bool done, bool whole)
{
	return is_free(self) == !done;
}

static void undo_dm(FIXTURE_DATA(faults) *self, bool done)
{
	if (dm(self, DM_DEV_REMOVE, &(struct request){}))
		err(1, "DM_DEV_REMOVE");
	if (!is_free(self))
		errx(1, "the disk is still claimed");
}

FIXTURE_VARIANT_ADD(faults, load_table)
{
	.prepare = prepare_dm,
	.act = act_load,
	.check = check_load,
	.undo = undo_dm,
	.any_error = true,
};

FIXTURE_SETUP(faults)
{
	struct loop_config config = {
		.info.lo_flags = LO_FLAGS_PARTSCAN | LO_FLAGS_READ_ONLY,
	};

	/* Of this process, not of the one that forked it. */
	ASSERT_TRUE(may_inject());
	diskseqfs_private();
	if (mkdir(DIR2, 0755) && errno != EEXIST)
		err(1, DIR2);
	self->image = image_with_partition("RIGHT-DISK");
	self->other = image_with_partition("OTHER-DISK");
	/* One of its own, which can be removed. */
	self->nr = loop_add(-1);
	ASSERT_LE(0, self->nr);
	self->node = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->node);
	/* LOOP_CHANGE_FD takes one that is not written to, the others do write. */
	if (variant->act != act_change)
		config.info.lo_flags &= ~LO_FLAGS_READ_ONLY;
	config.fd = self->image;
	ASSERT_EQ(0, ioctl(self->node, LOOP_CONFIGURE, &config));
	self->number = diskseq_of(self->node);
	ASSERT_TRUE(opens_as(self->number, 1, "RIGHT-DISK"));
	self->fd = -1;
	self->added = -1;
	self->loop_control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->loop_control);
	self->dm_control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->dm_control);
}

/* No opener, no claim and no mount has been left behind. */
FIXTURE_TEARDOWN(faults)
{
	uint64_t number = diskseq_of(self->node);

	EXPECT_TRUE(is_free(self));
	close(self->node);
	loop_detach(self->nr);
	EXPECT_EQ(0, loop_remove(self->nr));
	EXPECT_TRUE(is_gone(number, 0));
}

/* What should be as many in the end as at the beginning */
static const char *const caches[] = {
	"diskseqfs_inode", "diskseqfs_watch", "bdev_cache",
};

static long in_use(const char *cache)
{
	char path[64];
	long count = 0;
	FILE *file;

	/* The first time may only take note that what it finds is not in use. */
	if (put("/proc/sys/vm/drop_caches", "2"))
		err(1, "drop_caches");
	snprintf(path, sizeof(path), SLABS "/%s/shrink", cache);
	put(path, "1");
	snprintf(path, sizeof(path), SLABS "/%s/objects", cache);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &count) != 1)
		err(1, "%s", path);
	fclose(file);
	return count;
}

static bool is_clear(int error)
{
	return error == 0 || error == ENOMEM || error == EFAULT;
}

TEST_F_TIMEOUT(faults, each_failure_is_told_and_undone, 600)
{
	long before[ARRAY_SIZE(caches)];
	unsigned int nth, told = 0;
	bool whole = false;
	char left[16];
	int error;

	ASSERT_EQ(1, list(self->number, &self->entries));
	for (nth = 0; !whole; nth++) {
		/* Once before, to have all there that stays. */
		if (nth == 1) {
			for (size_t i = 0; i < ARRAY_SIZE(caches); i++)
				before[i] = in_use(caches[i]);
		}

		variant->prepare(self);
		if (nth) {
			dprintf(fail_nth, "%u", nth);
			error = variant->act(self);
			/* The read can fail as well. */
			memset(left, 0, sizeof(left));
			whole = pread(fail_nth, left, sizeof(left) - 1, 0) < 0 ||
				atoi(left);
			pwrite(fail_nth, "0", 1, 0);
		} else {
			error = variant->act(self);
		}
		if (whole || !nth)
			ASSERT_EQ(0, error);
		told += error != 0;
		EXPECT_TRUE(is_clear(error) || variant->any_error)
			TH_LOG("failure %u: %s", nth, strerror(error));
		EXPECT_TRUE(variant->check(self, !error, whole || !nth))
			TH_LOG("after failure %u, %s", nth, strerror(error));
		variant->undo(self, !error);

		if (nth && !whole) {
			variant->prepare(self);
			error = variant->act(self);
			ASSERT_EQ(0, error)
				TH_LOG("again, after failure %u", nth);
			EXPECT_TRUE(variant->check(self, true, true))
				TH_LOG("again, after failure %u", nth);
			variant->undo(self, true);
		}
	}
	/* It cannot be that there is nothing to fail. */
	EXPECT_LT(2, nth);

	for (size_t i = 0; i < ARRAY_SIZE(caches); i++) {
		EXPECT_TRUE(wait_until(in_use(caches[i]) <= before[i]))
			TH_LOG("%s: %ld, not %ld", caches[i], in_use(caches[i]),
			       before[i]);
	}
	TH_LOG("%u failures, of which %u were told", nth - 2, told);
}

int main(int argc, char **argv)
{
	if (!may_inject()) {
		printf("1..0 # SKIP the kernel cannot be made to fail\n");
		return KSFT_SKIP;
	}
	close(fail_nth);
	return test_harness_run(argc, argv);
}
