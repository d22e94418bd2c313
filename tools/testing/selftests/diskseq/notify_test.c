// SPDX-License-Identifier: GPL-2.0
/*
 * Who watches the node of a disk hears of what is done by number just what he
 * would hear if it were done by the node, and of the node nothing else than before.
 *
 * SEEN failing: without CONFIG_BLOCK_DISKSEQFS_NOTIFY, all but
 * node_is_let_go_with_the_disk and next_disk_of_the_name_hears_nothing; these if the
 * node is kept, and if it is looked up by its name each time.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/falloc.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "uring_util.h"
#include "../kselftest_harness.h"

#define EVENTS		(IN_OPEN | IN_ACCESS | IN_MODIFY | IN_CLOSE | IN_ATTRIB | \
			 IN_DELETE_SELF)
#define PART		2
#define PART_START	(IMAGE_SIZE / 2)
#define PART_SIZE	(IMAGE_SIZE / 4)
/* A null_blk device can be unplugged while somebody has it open. */
#define NULL_NAME	"diskseq-notify"
#define NULL_CONFIG	"/sys/kernel/config/nullb/" NULL_NAME
#define NULL_PATH	"/dev/" NULL_NAME

static char block[4096] __attribute__((aligned(4096)));

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* What is done with a disk, by whatever path. */
static void read_it(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);

	if (read(fd, block, sizeof(block)) != sizeof(block))
		err(1, "read %s", path);
	close(fd);
}

static void open_to_write(const char *path)
{
	close(open_or_die(path, O_WRONLY));
}

static void open_both_ways(const char *path)
{
	close(open_or_die(path, O_RDWR));
}

static void write_it(const char *path)
{
	int fd = open_or_die(path, O_WRONLY);

	if (write(fd, block, sizeof(block)) != sizeof(block) || fsync(fd))
		err(1, "write %s", path);
	close(fd);
}

static void write_direct(const char *path)
{
	int fd = open_or_die(path, O_RDWR | O_DIRECT | O_EXCL);

	if (pwrite(fd, block, sizeof(block), 4096) != sizeof(block) ||
	    pread(fd, block, sizeof(block), 4096) != sizeof(block))
		err(1, "direct I/O %s", path);
	close(fd);
}

static void write_vector(const char *path)
{
	struct iovec iov = { block, sizeof(block) };
	int fd = open_or_die(path, O_RDWR);

	if (preadv2(fd, &iov, 1, 0, 0) != sizeof(block) ||
	    pwritev2(fd, &iov, 1, 0, RWF_DSYNC) != sizeof(block))
		err(1, "vector %s", path);
	close(fd);
}

static void send_it(const char *path)
{
	int in = open_or_die("/proc/self/exe", O_RDONLY);
	int out = open_or_die(path, O_WRONLY);

	if (sendfile(out, in, NULL, 512) != 512)
		err(1, "sendfile %s", path);
	close(out);
	close(in);
}

static void splice_it(const char *path)
{
	int fd = open_or_die(path, O_RDWR), pipes[2];

	if (pipe(pipes) || splice(fd, NULL, pipes[1], NULL, 4096, 0) != 4096 ||
	    splice(pipes[0], NULL, fd, NULL, 4096, 0) != 4096)
		err(1, "splice %s", path);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static void punch_hole(const char *path)
{
	int fd = open_or_die(path, O_RDWR);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096))
		err(1, "fallocate %s", path);
	close(fd);
}

static void use_io_uring(const char *path)
{
	int fd = open_or_die(path, O_RDWR | O_DIRECT);
	struct uring ring;

	uring_init(&ring, 1);
	uring_add(&ring, IORING_OP_WRITE, fd, block, sizeof(block), 0);
	if (uring_result(&ring) != sizeof(block))
		errx(1, "io_uring %s", path);
	uring_exit(&ring);
	close(fd);
}

static void open_again(const char *path)
{
	int fd = open_or_die(path, O_RDONLY), other = dup(fd);
	char proc[64];

	sprintf(proc, "/proc/self/fd/%d", fd);
	close(open_or_die(proc, O_WRONLY));
	close(fd);
	close(other);
}

static void hold_a_path(const char *path)
{
	struct stat st;
	int fd = open_or_die(path, O_PATH);

	if (fstat(fd, &st))
		err(1, "%s", path);
	close(fd);
}

static const struct {
	const char *name;
	void (*act)(const char *path);
	const char *heard;
	const char *need;
} acts[] = {
	{ "read", read_it, "open access close " },
	{ "open to write", open_to_write, "open close_write " },
	{ "open both ways", open_both_ways, "open close_write " },
	{ "write", write_it, "open modify close_write " },
	{ "direct I/O", write_direct, "open modify access close_write " },
	{ "vectors", write_vector, "open access modify close_write " },
	{ "sendfile", send_it, "open modify close_write " },
	{ "splice", splice_it, "open access modify close_write " },
	{ "hole", punch_hole, "open modify close_write " },
	{ "io_uring", use_io_uring, "open modify close_write ", "io_uring" },
	/* inotify says once what it has just said */
	{ "again", open_again, "open close_write close " },
	{ "O_PATH", hold_a_path, "" },
};

/* Not every kernel has all of them. */
static bool can(size_t act)
{
	const char *missing = acts[act].need ? MISSING(acts[act].need) : NULL;

	if (missing)
		printf("# not tried: %s\n", missing);
	return !missing;
}

/* What was heard since the last time; names those it was heard by a directory of. */
static char *heard(int watch)
{
	static const struct {
		uint32_t mask;
		const char *name;
	} names[] = {
		{ IN_OPEN, "open" }, { IN_ACCESS, "access" },
		{ IN_MODIFY, "modify" }, { IN_CLOSE_WRITE, "close_write" },
		{ IN_CLOSE_NOWRITE, "close" }, { IN_ATTRIB, "attrib" },
		{ IN_DELETE_SELF, "delete_self" }, { IN_IGNORED, "ignored" },
	};
	static char text[4096];
	char events[4096] __attribute__((aligned(8)));
	ssize_t size, pos, end = 0;

	text[0] = '\0';
	size = read(watch, events, sizeof(events));
	if (size < 0 && errno != EAGAIN)
		err(1, "inotify");
	for (pos = 0; pos < size;) {
		struct inotify_event *event = (void *)(events + pos);

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			if (event->mask & names[i].mask)
				end += sprintf(text + end, "%s ", names[i].name);
		}
		if (event->len)
			end += sprintf(text + end, "of %s ", event->name);
		pos += sizeof(*event) + event->len;
	}
	return text;
}

static int watch(const char *path)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, path, EVENTS) < 0)
		err(1, "inotify of %s", path);
	return fd;
}

/* The node that the kernel has made of a device, under the name that sysfs has. */
static void node_of(char node[64], dev_t rdev)
{
	char link[64], target[PATH_MAX];
	ssize_t len;

	sprintf(link, "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		err(1, "%s", link);
	target[len] = '\0';
	snprintf(node, 64, "/dev/%s", strrchr(target, '/') + 1);
}

FIXTURE(notify)
{
	int nr;
	uint64_t number;
	char entry[64];		/* path of the disk, by number */
	char node[64];		/* and of its device node */
};

FIXTURE_SETUP(notify)
{
	diskseqfs_private();
	self->nr = loop_get_free();
	self->number = loop_attach(self->nr, image_create("DISK", IMAGE_SIZE),
				   0);
	path_by_number(self->entry, self->number, 0);
	snprintf(self->node, sizeof(self->node), "%s", loop_path(self->nr));
}

FIXTURE_TEARDOWN(notify)
{
	loop_detach(self->nr);
}

/* Whatever is done, it sounds the same from both paths, and as it always has. */
TEST_F(notify, node_hears_what_is_done_by_number)
{
	int fd = watch(self->node);

	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		if (!can(i))
			continue;
		acts[i].act(self->node);
		EXPECT_STREQ(acts[i].heard, heard(fd))
			TH_LOG("%s by node", acts[i].name);
		acts[i].act(self->entry);
		EXPECT_STREQ(acts[i].heard, heard(fd))
			TH_LOG("%s by number", acts[i].name);
	}
	close(fd);
}

/* A watch that is set while files are open hears of these from then on. */
TEST_F(notify, watch_that_comes_later_hears_the_rest)
{
	int first = open_or_die(self->entry, O_RDONLY);
	int second = open_or_die(self->entry, O_WRONLY);
	int fd = watch(self->node);

	ASSERT_EQ(512, write(second, block, 512));
	EXPECT_STREQ("modify ", heard(fd));
	close(first);
	EXPECT_STREQ("close ", heard(fd));
	close(second);
	EXPECT_STREQ("close_write ", heard(fd));
	close(fd);
}

/* It is the last descriptor of a file that is heard, wherever that is. */
TEST_F(notify, close_is_that_of_the_last_descriptor)
{
	int writer = open_or_die(self->entry, O_WRONLY), fd = watch(self->node);
	int pipes[2];
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(pipes[1]);
		_exit(read(pipes[0], &c, 1));
	}
	close(writer);
	EXPECT_STREQ("", heard(fd));
	close(pipes[1]);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_STREQ("close_write ", heard(fd));
	close(pipes[0]);
	close(fd);
}

/* A watch of the directory hears it with the node's name, as by the node. */
TEST_F(notify, directory_of_the_node_hears_it)
{
	const char *name = strrchr(self->node, '/') + 1;
	int fd = watch("/dev");
	char expected[128];

	/* Reads and writes of special files are not for a directory to hear. */
	sprintf(expected, "open of %s close_write of %s ", name, name);
	write_it(self->node);
	EXPECT_STREQ(expected, heard(fd));
	write_it(self->entry);
	EXPECT_STREQ(expected, heard(fd));
	close(fd);
}

/* Of several mounts, each is heard once. */
TEST_F(notify, each_mount_is_heard_once)
{
	char other[64];
	int fd;

	if (mkdir("/tmp/notify_test", 0755) && errno != EEXIST)
		err(1, "/tmp/notify_test");
	ASSERT_EQ(0, mount("none", "/tmp/notify_test", "diskseqfs", 0, NULL));
	sprintf(other, "/tmp/notify_test/%" PRIu64, self->number);
	fd = watch(self->node);
	write_it(other);
	EXPECT_STREQ("open modify close_write ", heard(fd));
	write_it(self->entry);
	EXPECT_STREQ("open modify close_write ", heard(fd));
	ASSERT_EQ(0, umount("/tmp/notify_test"));
	EXPECT_STREQ("", heard(fd));
	close(fd);
}

/* Entries have watches of their own, which hear what they always have. */
TEST_F(notify, entry_hears_itself_and_not_the_node)
{
	int fd = watch(self->entry);

	write_it(self->entry);
	EXPECT_STREQ("open modify close_write ", heard(fd));
	write_it(self->node);
	EXPECT_STREQ("", heard(fd));
	close(fd);
}

/* The owner of an entry is no matter of the node's. */
TEST_F(notify, owner_of_an_entry_is_not_heard)
{
	int writer = open_or_die(self->entry, O_WRONLY), fd = watch(self->node);

	ASSERT_EQ(0, fchmod(writer, 0640));
	ASSERT_EQ(0, fchown(writer, 1, 1));
	EXPECT_STREQ("", heard(fd));
	close(writer);
	EXPECT_STREQ("close_write ", heard(fd));
	close(fd);
}

/* The node of a partition hears of that, and the one of the disk does not. */
TEST_F(notify, partition_is_heard_at_its_own_node)
{
	int disk = open_or_die(self->node, O_RDONLY), fd, disk_fd;
	char entry[64], node[64];
	struct stat st;

	ASSERT_EQ(0, partition_add(disk, PART, PART_START, PART_SIZE));
	ASSERT_EQ(0, stat(path_by_number(entry, self->number, PART), &st));
	node_of(node, st.st_rdev);
	fd = watch(node);
	disk_fd = watch(self->node);
	write_it(node);
	EXPECT_STREQ("open modify close_write ", heard(fd));
	write_it(entry);
	EXPECT_STREQ("open modify close_write ", heard(fd));
	EXPECT_STREQ("", heard(disk_fd));
	write_it(self->entry);
	EXPECT_STREQ("open modify close_write ", heard(disk_fd));
	EXPECT_STREQ("", heard(fd));
	close(fd);
	close(disk_fd);
	ASSERT_EQ(0, partition_del(disk, PART));
	close(disk);
}

/* A descriptor of the medium before is one of the device still. */
TEST_F(notify, file_of_an_earlier_medium_is_heard)
{
	int other = image_create("OTHER", IMAGE_SIZE), fd, old, nr;
	char entry[64];

	nr = loop_get_free();
	path_by_number(entry, loop_attach(nr, other, LO_FLAGS_READ_ONLY), 0);
	old = open_or_die(entry, O_RDONLY);
	ASSERT_EQ(0, ioctl(old, LOOP_CHANGE_FD, image_create("NEXT", IMAGE_SIZE)));
	EXPECT_EQ(-1, access(entry, F_OK));
	fd = watch(loop_path(nr));
	close(old);
	EXPECT_STREQ("close ", heard(fd));
	close(fd);
	loop_detach(nr);
}

static void null_remove(void)
{
	run("rmdir " NULL_CONFIG " 2>/dev/null");
}

/* A device that goes while it is open is not the next one of its name. */
TEST_F(notify, next_disk_of_the_name_hears_nothing)
{
	char entry[64];
	int fd, old;

	NEED(FOR_NULL_BLK);
	if (access("/sys/kernel/config/nullb", F_OK))
		mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	null_remove();
	ASSERT_EQ(0, run("mkdir " NULL_CONFIG " && echo 1 >" NULL_CONFIG
			 "/memory_backed && echo 1 >" NULL_CONFIG
			 "/size && echo 1 >" NULL_CONFIG "/power"));
	path_by_number(entry, diskseq_of_path(NULL_PATH), 0);
	old = open_or_die(entry, O_WRONLY);
	fd = watch(NULL_PATH);
	ASSERT_EQ(0, run("echo 0 >" NULL_CONFIG "/power"));
	close(fd);

	ASSERT_EQ(0, run("echo 1 >" NULL_CONFIG "/power"));
	fd = watch(NULL_PATH);
	close(old);
	EXPECT_STREQ("", heard(fd));
	write_it(path_by_number(entry, diskseq_of_path(NULL_PATH), 0));
	EXPECT_STREQ("open close open modify close_write ", heard(fd));
	close(fd);
	null_remove();
}

/* The entry opens all the same if the node is elsewhere, and what is there is not told. */
TEST_F(notify, node_that_has_been_put_elsewhere_is_let_be)
{
	char elsewhere[64];
	struct stat st;
	int fd;

	sprintf(elsewhere, "%s-elsewhere", self->node);
	ASSERT_EQ(0, stat(self->node, &st));
	ASSERT_EQ(0, rename(self->node, elsewhere));
	open_to_write(self->entry);

	ASSERT_EQ(0, mknod(self->node, S_IFREG | 0600, 0));
	fd = watch(self->node);
	open_to_write(self->entry);
	EXPECT_STREQ("", heard(fd));
	close(fd);
	ASSERT_EQ(0, unlink(self->node));

	ASSERT_EQ(0, mknod(self->node, S_IFBLK | 0600, st.st_rdev + 1));
	fd = watch(self->node);
	open_to_write(self->entry);
	EXPECT_STREQ("", heard(fd));
	close(fd);
	ASSERT_EQ(0, unlink(self->node));

	ASSERT_EQ(0, rename(elsewhere, self->node));
	fd = watch(self->node);
	open_to_write(self->entry);
	EXPECT_STREQ("open close_write ", heard(fd));
	close(fd);
}

/* Nobody holds the node for longer than files are open: its watch ends with it. */
TEST_F(notify, node_is_let_go_with_the_disk)
{
	char node[64], entry[64];
	struct stat st;
	int disk, fd;

	disk = open_or_die(self->node, O_RDONLY);
	ASSERT_EQ(0, partition_add(disk, PART, PART_START, PART_SIZE));
	ASSERT_EQ(0, stat(path_by_number(entry, self->number, PART), &st));
	node_of(node, st.st_rdev);
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		if (can(i))
			acts[i].act(entry);
	}
	fd = watch(node);
	ASSERT_EQ(0, partition_del(disk, PART));
	EXPECT_NE(NULL, strstr(heard(fd), "delete_self ignored "));
	close(fd);
	close(disk);
}

TEST_HARNESS_MAIN_NEED(FOR_DISKSEQFS, "symbol:diskseqfs_notify_opened",
		       "file:/proc/sys/fs/inotify")
