// SPDX-License-Identifier: GPL-2.0
/*
 * The directory of all disks, while they come and go.
 *
 * SEEN failing: staying_disks_are_listed_once_among_1024_changes on a
 * kernel where the position in the directory is a count, which skips disks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/blkpg.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "../kselftest_harness.h"

#define STAYING		16	/* disks that stay, among as many that do not */
#define CHANGES		64	/* for each of those */
#define PARTITIONS	100	/* of one disk */

/* As getdents64() writes it. */
struct entry {
	uint64_t ino;
	int64_t pos;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* What a reading of the directory has found of the disks that stay. */
struct listing {
	uint64_t last;		/* number; they must ascend */
	unsigned int last_part;
	unsigned int times[STAYING];
};

FIXTURE(readdir)
{
	int dir;
	int staying[STAYING], passing[STAYING];		/* loop devices */
	/* Their numbers, at first */
	uint64_t numbers[STAYING], passing_numbers[STAYING];
};

FIXTURE_SETUP(readdir)
{
	self->dir = diskseqfs_private();
	/* In turns: those that stay have others before and behind them. */
	for (int i = 0; i < STAYING; i++) {
		self->staying[i] = loop_add(-1);
		ASSERT_LE(0, self->staying[i]);
		self->passing[i] = loop_add(-1);
		ASSERT_LE(0, self->passing[i]);
		self->numbers[i] = diskseq_of_path(loop_path(self->staying[i]));
		self->passing_numbers[i] =
			diskseq_of_path(loop_path(self->passing[i]));
	}
}

FIXTURE_TEARDOWN(readdir)
{
	for (int i = 0; i < STAYING; i++) {
		loop_remove(self->staying[i]);
		loop_remove(self->passing[i]);
	}
}

/* Note an entry; a name is good if it can be read back, order if it ascends. */
static void note(struct __test_metadata *_metadata, FIXTURE_DATA(readdir) *self,
		 struct listing *listing, const char *name)
{
	unsigned int part = 0;
	uint64_t number;
	char good[64];

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return;
	if (sscanf(name, "%" SCNu64 "-part%u", &number, &part) < 1)
		number = 0;
	if (part)
		snprintf(good, sizeof(good), "%" PRIu64 "-part%u", number, part);
	else
		snprintf(good, sizeof(good), "%" PRIu64, number);
	ASSERT_STREQ(good, name);
	ASSERT_TRUE(number > listing->last ||
		    (number == listing->last && part > listing->last_part))
	{
		TH_LOG("%s after %" PRIu64 "-part%u", name, listing->last,
		       listing->last_part);
	}
	listing->last = number;
	listing->last_part = part;
	for (int i = 0; i < STAYING; i++)
		listing->times[i] += number == self->numbers[i] && !part;
}

static void expect_staying_once(struct __test_metadata *_metadata,
				FIXTURE_DATA(readdir) *self,
				const struct listing *listing)
{
	for (int i = 0; i < STAYING; i++) {
		EXPECT_EQ(1, listing->times[i])
		{
			TH_LOG("disk %" PRIu64 " listed %u times",
			       self->numbers[i], listing->times[i]);
		}
	}
}

/* Take one of the disks that pass away, and bring it back with a new number. */
static void change_one(struct __test_metadata *_metadata,
		       FIXTURE_DATA(readdir) *self, int which)
{
	int nr = self->passing[which];

	ASSERT_EQ(0, loop_remove(nr));
	ASSERT_EQ(nr, loop_add(nr));
}

/* An entry says what stat() says, and of partitions too. */
TEST_F(readdir, entries_agree_with_stat)
{
	struct blkpg_partition part = {
		.start = 4096,
		.length = IMAGE_SIZE / 2,
		.pno = 7,
	};
	struct blkpg_ioctl_arg blkpg = {
		.op = BLKPG_ADD_PARTITION,
		.datalen = sizeof(part),
		.data = &part,
	};
	int image = image_create("RIGHT-DISK", IMAGE_SIZE), disk, found = 0;
	char part_name[64], name[64];
	struct dirent *entry;
	struct stat st;
	uint64_t number;
	DIR *dir;

	number = loop_attach(self->staying[0], image, 0);
	disk = open(loop_path(self->staying[0]), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, disk);
	ASSERT_EQ(0, ioctl(disk, BLKPG, &blkpg));
	sprintf(name, "%" PRIu64, number);
	sprintf(part_name, "%" PRIu64 "-part7", number);

	dir = fdopendir(dup(self->dir));
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		ASSERT_EQ(0, fstatat(self->dir, entry->d_name, &st, 0))
			TH_LOG("%s", entry->d_name);
		if (entry->d_name[0] == '.') {
			EXPECT_EQ(DT_DIR, entry->d_type);
			continue;
		}
		EXPECT_EQ(DT_BLK, entry->d_type);
		EXPECT_TRUE(S_ISBLK(st.st_mode));
		EXPECT_EQ(st.st_ino, entry->d_ino);
		found += !strcmp(entry->d_name, name);
		found += !strcmp(entry->d_name, part_name);
	}
	EXPECT_EQ(2, found);
	closedir(dir);
	close(disk);
	loop_detach(self->staying[0]);
}

/* Every disk of the system is listed. */
TEST_F(readdir, every_disk_is_listed)
{
	struct dirent *entry;
	char path[300];
	int disks = 0;
	DIR *dir = opendir("/sys/block");

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		uint64_t number;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/diskseq",
			 entry->d_name);
		file = fopen(path, "r");
		ASSERT_NE(NULL, file);
		ASSERT_EQ(1, fscanf(file, "%" SCNu64, &number));
		fclose(file);
		EXPECT_EQ(0, access(path_by_number(path, number, 0), F_OK));
		disks++;
	}
	closedir(dir);
	EXPECT_LE(2 * STAYING, disks);

	dir = opendir(diskseqfs_dir);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		disks -= entry->d_name[0] != '.' && !strchr(entry->d_name, '-');
	closedir(dir);
	EXPECT_EQ(0, disks);
}

/*
 * So is every partition, also if they are more than the kernel has collected at a
 * time.  Seen failing with readdir-by-disk.patch.
 */
TEST_F(readdir, every_partition_is_listed)
{
	int image = image_create("DISK", IMAGE_SIZE), disk, seen = 0;
	unsigned int part;
	struct dirent *entry;
	uint64_t number;
	DIR *dir;

	number = loop_attach(self->staying[3], image, 0);
	disk = open(loop_path(self->staying[3]), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, disk);
	for (part = 1; part <= PARTITIONS; part++)
		ASSERT_EQ(0, partition_add(disk, part, part * 4096, 4096));

	dir = opendir(diskseqfs_dir);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		uint64_t found;

		if (sscanf(entry->d_name, "%" SCNu64 "-part%u", &found, &part) == 2 &&
		    found == number)
			EXPECT_EQ(++seen, part);
	}
	closedir(dir);
	EXPECT_EQ(PARTITIONS, seen);
	close(disk);
	loop_detach(self->staying[3]);
}

/*
 * Those that stay are listed once each, in one reading of the directory during
 * which others change their number 1,024 times: in the places that have been
 * read, between calls of getdents64() with room for one entry.
 */
TEST_F(readdir, staying_disks_are_listed_once_among_1024_changes)
{
	struct listing listing = {};
	uint64_t buffer[5];
	struct entry *entry = (struct entry *)buffer;
	int bytes, passed = 0;

	while ((bytes = syscall(SYS_getdents64, self->dir, buffer,
				sizeof(buffer))) > 0) {
		ASSERT_EQ(entry->length, bytes);
		note(_metadata, self, &listing, entry->name);
		if (passed == STAYING ||
		    listing.last != self->passing_numbers[passed])
			continue;
		for (int change = 0; change < CHANGES; change++)
			change_one(_metadata, self,
				   passed - change % (passed + 1));
		passed++;
	}
	ASSERT_EQ(0, bytes);
	EXPECT_EQ(STAYING, passed);
	expect_staying_once(_metadata, self, &listing);
}

/* The same in each of many readings, while another process makes changes. */
TEST_F(readdir, staying_disks_are_listed_once_in_each_reading)
{
	unsigned int readings = 0;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (int change = 0; change < 4 * CHANGES; change++)
			change_one(_metadata, self, change % STAYING);
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		struct listing listing = {};
		struct dirent *entry;
		DIR *dir = opendir(diskseqfs_dir);

		ASSERT_NE(NULL, dir);
		while ((entry = readdir(dir)))
			note(_metadata, self, &listing, entry->d_name);
		closedir(dir);
		expect_staying_once(_metadata, self, &listing);
		readings++;
	}
	EXPECT_EQ(0, status);
	EXPECT_LT(1, readings);
}

/* A buffer that has no room for an entry is an error, not the end. */
TEST_F(readdir, buffer_without_room_is_einval)
{
	char buffer[16];

	EXPECT_EQ(-1, syscall(SYS_getdents64, self->dir, buffer,
			      sizeof(buffer)));
	EXPECT_EQ(EINVAL, errno);
}

/*
 * A position that was told leads back to the same entry, or to the one behind
 * it if that disk has gone meanwhile.
 */
TEST_F(readdir, position_outlives_its_disk)
{
	char name[64] = "";
	struct dirent *entry;
	long pos = 0;
	DIR *dir = opendir(diskseqfs_dir);

	ASSERT_NE(NULL, dir);
	sprintf(name, "%" PRIu64, self->passing_numbers[3]);
	do {
		pos = telldir(dir);
		entry = readdir(dir);
		ASSERT_NE(NULL, entry);
	} while (strcmp(entry->d_name, name));
	while (readdir(dir))
		;

	seekdir(dir, pos);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	EXPECT_STREQ(name, entry->d_name);

	change_one(_metadata, self, 3);
	seekdir(dir, pos);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	sprintf(name, "%" PRIu64, self->numbers[4]);
	EXPECT_STREQ(name, entry->d_name);

	rewinddir(dir);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	EXPECT_STREQ(".", entry->d_name);
	entry = readdir(dir);
	ASSERT_NE(NULL, entry);
	EXPECT_STREQ("..", entry->d_name);
	closedir(dir);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS)
