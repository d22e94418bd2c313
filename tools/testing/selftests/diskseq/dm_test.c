// SPDX-License-Identifier: GPL-2.0
/*
 * Device-mapper disks by number, made with the host's own dmsetup.  The number
 * is that of the device: it is retired with it, and survives a change of name
 * or of table.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define DM_NAME		"diskseq-test"
#define DM_OTHER_NAME	"diskseq-other"
#define DM_PATH		"/dev/mapper/" DM_NAME
#define DM_MINOR	200	/* one that dm does not give out by itself here */
#define DM_NODE		"/tmp/diskseq-dm-node"

#define NULL_NAME	"diskseq-null"	/* of a null_blk device */
#define NULL_PATH	"/dev/" NULL_NAME
#define NULL_CONFIG	"/sys/kernel/config/nullb"
#define NULL_SECTORS	2048

static int dm_major(void)
{
	FILE *devices = fopen("/proc/devices", "r");
	char line[64];
	int major, end;

	while (devices && fgets(line, sizeof(line), devices)) {
		end = 0;
		if (sscanf(line, "%d device-mapper%n", &major, &end) == 1 && end) {
			fclose(devices);
			return major;
		}
	}
	errx(1, "no device-mapper in /proc/devices");
}

/* The table of a dm-linear disk that is all of a loop device. */
static const char *dm_table(int loop_nr)
{
	static char table[64];

	snprintf(table, sizeof(table), "0 %d linear %s 0", IMAGE_SIZE / 512,
		 loop_path(loop_nr));
	return table;
}

/* Such a disk, with the same device number each time. */
static int dm_create(const char *name, int loop_nr)
{
	return run("dmsetup create --noudevsync %s --major %d --minor %d --table '%s'",
		   name, dm_major(), DM_MINOR, dm_table(loop_nr));
}

/* The other one, half of it on one disk and half on another, or the same. */
#define TABLE_OF_TWO	"'0 8 linear %s 0\\n8 8 linear %s 8\\n'"

static int dm_create_of_two(const char *first, const char *second)
{
	return run("printf " TABLE_OF_TWO " | dmsetup create --noudevsync " DM_OTHER_NAME " 2>&-",
		   first, second);
}

static bool dm_depends_on(int disks)
{
	return !run("dmsetup deps " DM_OTHER_NAME " | grep -q '^%d '", disks);
}

static int dm_remove(const char *name)
{
	return run("dmsetup remove --noudevsync %s", name);
}

/* Have the dm disk be all of the null_blk device with this number. */
static int dm_move_to_null(uint64_t number)
{
	char path[64];

	return run("dmsetup reload %s --table '0 %d linear %s 0'", DM_NAME,
		   NULL_SECTORS, path_by_number(path, number, 0)) ||
	       run("dmsetup resume --noudevsync " DM_NAME);
}

/* Plug the null_blk device in, with this content; returns its number. */
static uint64_t null_plug_in(struct __test_metadata *_metadata,
			     const char *stamp, dev_t *rdev)
{
	struct stat st;

	ASSERT_EQ(0, run("echo 1 >" NULL_CONFIG "/" NULL_NAME "/power"));
	ASSERT_EQ(0, run("printf %s | dd of=" NULL_PATH
			 " bs=4096 conv=sync,fsync status=none", stamp));
	ASSERT_EQ(0, stat(NULL_PATH, &st));
	*rdev = st.st_rdev;
	return diskseq_of_path(NULL_PATH);
}

FIXTURE(dm)
{
	int right_nr, wrong_nr;	/* loop devices with the image that is wanted, */
	int right, wrong;	/* and another */
	uint64_t number;	/* of the dm disk on the first */
};

FIXTURE_SETUP(dm)
{
	struct stat st;

	diskseqfs_private();
	self->right = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->wrong = image_create("WRONG-DISK", IMAGE_SIZE);
	self->right_nr = loop_get_free();
	loop_attach(self->right_nr, self->right, 0);
	self->wrong_nr = loop_get_free();
	loop_attach(self->wrong_nr, self->wrong, 0);

	ASSERT_EQ(0, dm_create(DM_NAME, self->right_nr));
	self->number = diskseq_of_path(DM_PATH);

	/* What somebody has who has written down the device number. */
	ASSERT_EQ(0, stat(DM_PATH, &st));
	ASSERT_EQ(DM_MINOR, minor(st.st_rdev));
	unlink(DM_NODE);
	ASSERT_EQ(0, mknod(DM_NODE, S_IFBLK | 0600, st.st_rdev));
}

FIXTURE_TEARDOWN(dm)
{
	run("dmsetup remove --noudevsync " DM_NAME " 2>/dev/null");
	run("dmsetup remove --noudevsync " DM_OTHER_NAME " 2>/dev/null");
	unlink(DM_NODE);
	loop_detach(self->right_nr);
	loop_detach(self->wrong_nr);
}

struct change_fd {
	int loop, file;
	int error;
};

static void *change_fd(void *arg)
{
	struct change_fd *c = arg;

	c->error = ioctl(c->loop, LOOP_CHANGE_FD, c->file) ? errno : 0;
	return NULL;
}

/*
 * A loop device on the dm disk, which is suspended when the file is exchanged: a
 * read is under way, for which the exchange has to wait.  Whoever looks at the
 * number meanwhile has one that is not that of the new file, and what is read is
 * not taken for the new file's.  Seen failing where the number changes first.
 */
TEST_F(dm, loop_has_number_of_new_file_when_it_has_the_file)
{
	struct change_fd change = { .file = self->wrong };
	int file = open(DM_PATH, O_RDONLY | O_CLOEXEC);
	int nr = loop_get_free();
	char found[sizeof("WRONG-DISK")] = "";
	uint64_t before, meanwhile;
	pthread_t thread;

	before = loop_attach(nr, file, LO_FLAGS_READ_ONLY);
	change.loop = open(loop_path(nr), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, change.loop);
	ASSERT_EQ(0, run("dmsetup suspend " DM_NAME));
	EXPECT_EQ(0, posix_fadvise(change.loop, 0, IMAGE_SIZE,
				   POSIX_FADV_WILLNEED));
	EXPECT_EQ(0, pthread_create(&thread, NULL, change_fd, &change));
	EXPECT_TRUE(wait_until(diskseq_of(change.loop) != before));
	/* Long enough for the exchange to come to where it waits. */
	usleep(100000);
	meanwhile = diskseq_of(change.loop);
	ASSERT_EQ(0, run("dmsetup resume --noudevsync " DM_NAME));
	EXPECT_EQ(0, pthread_join(thread, NULL));

	EXPECT_EQ(0, change.error);
	EXPECT_NE(meanwhile, diskseq_of(change.loop));
	EXPECT_EQ((ssize_t)strlen("WRONG-DISK"),
		  pread(change.loop, found, strlen("WRONG-DISK"), 0));
	EXPECT_STREQ("WRONG-DISK", found);
	close(change.loop);
	close(file);
	loop_detach(nr);
}

/* The number opens the disk that it was read from. */
TEST_F(dm, number_opens_the_disk)
{
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));
	EXPECT_TRUE(node_opens_as(DM_NODE, "RIGHT-DISK"));
}

/* A table with a disk under several names has it once; one name may be its number. */
TEST_F(dm, table_has_a_disk_once_by_each_of_its_names)
{
	char device[32], path[64];
	struct stat st;

	ASSERT_EQ(0, stat(loop_path(self->right_nr), &st));
	sprintf(device, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	path_by_number(path, diskseq_of_path(loop_path(self->right_nr)), 0);
	ASSERT_EQ(0, dm_create_of_two(device, path));
	EXPECT_TRUE(node_opens_as("/dev/mapper/" DM_OTHER_NAME, "RIGHT-DISK"));
	EXPECT_TRUE(dm_depends_on(1));
	ASSERT_EQ(0, dm_remove(DM_OTHER_NAME));

	path_by_number(path, diskseq_of_path(loop_path(self->wrong_nr)), 0);
	ASSERT_EQ(0, dm_create_of_two(device, path));
	EXPECT_TRUE(dm_depends_on(2));
	ASSERT_EQ(0, dm_remove(DM_OTHER_NAME));

	/* A device number that there cannot be */
	EXPECT_NE(0, dm_create_of_two("4294967295:0", path));
}

/* Another disk with the same device number does not answer to the old number. */
TEST_F(dm, remove_and_create_of_minor_retires_number)
{
	uint64_t new;

	ASSERT_EQ(0, dm_remove(DM_NAME));
	EXPECT_TRUE(is_gone(self->number, 0));
	EXPECT_EQ(-1, open(DM_NODE, O_RDONLY));

	ASSERT_EQ(0, dm_create(DM_NAME, self->wrong_nr));
	new = diskseq_of_path(DM_PATH);
	EXPECT_LT(self->number, new);
	EXPECT_TRUE(is_gone(self->number, 0));
	EXPECT_TRUE(opens_as(new, 0, "WRONG-DISK"));
	/* Who wanted the right disk has been given the wrong one. */
	EXPECT_TRUE(node_opens_as(DM_NODE, "WRONG-DISK"));
}

/* A new name is not a new disk. */
TEST_F(dm, rename_keeps_number)
{
	ASSERT_EQ(0, run("dmsetup rename --noudevsync %s %s", DM_NAME,
			 DM_OTHER_NAME));
	EXPECT_EQ(self->number, diskseq_of_path("/dev/mapper/" DM_OTHER_NAME));
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));
	EXPECT_TRUE(node_opens_as(DM_NODE, "RIGHT-DISK"));
}

/*
 * Nor is a new table: it can be the same data that has moved, and who has the
 * disk open goes on with it.
 */
TEST_F(dm, reload_keeps_number)
{
	int held = open_by_number(self->number, 0, O_RDONLY);

	ASSERT_LE(0, held);
	ASSERT_EQ(0, run("dmsetup reload %s --table '%s'", DM_NAME,
			 dm_table(self->wrong_nr)));
	ASSERT_EQ(0, run("dmsetup resume --noudevsync " DM_NAME));

	EXPECT_EQ(self->number, diskseq_of_path(DM_PATH));
	EXPECT_EQ(self->number, diskseq_of(held));
	EXPECT_TRUE(opens_as(self->number, 0, "WRONG-DISK"));
	EXPECT_TRUE(node_opens_as(DM_NODE, "WRONG-DISK"));
	close(held);
}

/*
 * A deferred removal waits for the last close, of a descriptor by number too:
 * until then the number opens the disk, then it is gone.
 */
TEST_F(dm, deferred_removal_retires_number_on_last_close)
{
	int held = open_by_number(self->number, 0, O_RDONLY);
	char path[64];
	uint64_t new;

	ASSERT_LE(0, held);
	ASSERT_EQ(0, run("dmsetup remove --deferred --noudevsync " DM_NAME));

	EXPECT_TRUE(has_stamp(held, "RIGHT-DISK"));
	EXPECT_TRUE(opens_as(self->number, 0, "RIGHT-DISK"));

	close(held);
	path_by_number(path, self->number, 0);
	EXPECT_TRUE(wait_until(access(path, F_OK)));
	EXPECT_TRUE(is_gone(self->number, 0));

	ASSERT_EQ(0, dm_create(DM_OTHER_NAME, self->wrong_nr));
	new = diskseq_of_path("/dev/mapper/" DM_OTHER_NAME);
	EXPECT_LT(self->number, new);
	EXPECT_TRUE(is_gone(self->number, 0));
	EXPECT_TRUE(opens_as(new, 0, "WRONG-DISK"));
	EXPECT_TRUE(node_opens_as(DM_NODE, "WRONG-DISK"));
}

/*
 * A table keeps a disk that was unplugged, while another one has its device
 * number: a path by number means the other one.  Seen failing where tables share
 * what has the same device number.
 */
TEST_F(dm, successor_of_an_unplugged_disk_is_not_taken_for_it)
{
	uint64_t first, second;
	dev_t rdev, rdev_then;

	NEED(FOR_NULL_BLK);
	if (access(NULL_CONFIG, F_OK))
		ASSERT_EQ(0, run("mount -t configfs configfs /sys/kernel/config"));
	ASSERT_EQ(0, mkdir(NULL_CONFIG "/" NULL_NAME, 0755));
	ASSERT_EQ(0, run("cd " NULL_CONFIG "/" NULL_NAME
			 " && echo 1 >memory_backed && echo %d >size",
			 NULL_SECTORS * 512 >> 20));
	first = null_plug_in(_metadata, "FIRST", &rdev);
	EXPECT_EQ(0, dm_move_to_null(first));
	EXPECT_TRUE(node_opens_as(DM_PATH, "FIRST"));

	ASSERT_EQ(0, run("echo 0 >" NULL_CONFIG "/" NULL_NAME "/power"));
	second = null_plug_in(_metadata, "SECOND", &rdev_then);
	ASSERT_EQ(rdev, rdev_then);
	ASSERT_LT(first, second);
	/* In sysfs it has the same name, too, and so has to wait. */
	EXPECT_NE(0, dm_move_to_null(second));
	EXPECT_EQ(0, run("dmsetup reload %s --table '%s'", DM_NAME,
			 dm_table(self->right_nr)));
	EXPECT_EQ(0, run("dmsetup resume --noudevsync " DM_NAME));
	EXPECT_EQ(0, dm_move_to_null(second));
	EXPECT_TRUE(node_opens_as(DM_PATH, "SECOND"));

	EXPECT_EQ(0, dm_remove(DM_NAME));
	EXPECT_EQ(0, rmdir(NULL_CONFIG "/" NULL_NAME));
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, FOR_DM)
