// SPDX-License-Identifier: GPL-2.0
/*
 * blkback opens the disk that physical-device-uid names, or none.  Frontend and
 * backend are both in dom0; the tests write what a toolstack and its hotplug
 * script write.
 *
 * Races, and the kernels on which the tests for them were seen failing:
 *  - recreated_*: between the look-up of a disk and its open by blkback; if that
 *    opens by the device number.
 *  - nodes_are_read_together: between the reads of two nodes; if the transaction is
 *    not committed.
 *
 * endless_writes_* were seen failing where they are read for ever.
 *
 * Where memory runs out, for each allocation of the thread that handles events of
 * XenStore, xenwatch.  Those of the thread that receives them cannot lose one: it
 * leaves the event in the ring until there is memory for it.  The tests wait until
 * xenwatch has nothing to do before they let it run out, as otherwise what fails
 * is what a device that was announced still has to do after InitWait.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "vbd.h"
#include "xenstore.h"
#include "../diskseq/diskseq_util.h"
#include "../diskseq/need.h"
#include "../kselftest_harness.h"

#define FOR_FAILSLAB	"symbol:should_failslab", "file:/proc/self/fail-nth"
#define XVDA_PATH	"/dev/xvda"

/* Every open of a loop device by blkback shows as one of these. */
#define LOOP_OPEN	"p:lo_open lo_open"

struct names {
	char uid[64];
	char device[32];	/* as in physical-device */
};

static struct names names_of(uint64_t number, const char *path)
{
	struct names names;
	struct stat st;

	if (stat(path, &st))
		err(1, "%s", path);
	sprintf(names.uid, "%" PRIu64, number);
	sprintf(names.device, "%x:%x", major(st.st_rdev), minor(st.st_rdev));
	return names;
}

static bool xvda_has(const char *stamp)
{
	int fd = -1;
	bool has;

	wait_until((fd = open(XVDA_PATH, O_RDONLY | O_CLOEXEC)) >= 0);
	if (fd < 0)
		return false;
	has = has_stamp(fd, stamp);
	close(fd);
	return has;
}

FIXTURE(loop)
{
	int nr;
	int right, wrong;	/* the image that is wanted, and another */
	struct names names;	/* of the device, while it has the right one */
};

FIXTURE_SETUP(loop)
{
	trace_start(LOOP_OPEN);
	self->right = image_create("RIGHT-DISK", IMAGE_SIZE);
	self->wrong = image_create("WRONG-DISK", IMAGE_SIZE);
	self->nr = loop_get_free();
	self->names = names_of(loop_attach(self->nr, self->right, 0),
			       loop_path(self->nr));
}

FIXTURE_TEARDOWN(loop)
{
	int fd;

	vbd_destroy();
	fd = open(loop_path(self->nr), O_RDONLY);
	if (fd >= 0) {
		ioctl(fd, LOOP_CLR_FD, 0);
		close(fd);
	}
}

/* The script can tell, before it writes anything, that its number is heeded. */
TEST_F(loop, feature_is_announced)
{
	vbd_create(NOBODY, "w", "disk");
	EXPECT_TRUE(xs_is(VBD_BACKEND "/feature-physical-device-uid", "1"));
}

/* Toolstacks that write no number get the device, and can tell which it was. */
TEST_F(loop, absent_node_opens_by_device_number)
{
	vbd_create(XVDA, "w", "disk");
	vbd_name(NULL, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("RIGHT-DISK"));
	EXPECT_EQ(1, trace_count("lo_open"));
}

TEST_F(loop, number_opens_that_disk)
{
	vbd_create(XVDA, "w", "disk");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("RIGHT-DISK"));
	EXPECT_EQ(1, trace_count("lo_open"));
}

/*
 * The race of this project: another image takes over the loop device between
 * the script's look-up and blkback's open.
 */
TEST_F(loop, recreated_loop_device_is_not_opened)
{
	struct names now;

	loop_detach(self->nr);
	now = names_of(loop_attach(self->nr, self->wrong, 0),
		       loop_path(self->nr));
	ASSERT_STREQ(self->names.device, now.device);

	vbd_create(XVDA, "w", "disk");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));
	EXPECT_EQ(0, trace_count("lo_open"));
	EXPECT_EQ(-1, access(XVDA_PATH, F_OK));

	/* The same way to the new disk is seen where the old one was not. */
	vbd_create(XVDA, "w", "disk");
	vbd_name(now.uid, now.device);
	EXPECT_TRUE(vbd_opens(now.uid));
	EXPECT_EQ(1, trace_count("lo_open"));
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("WRONG-DISK"));
}

/* The disk is unplugged before blkback opens it. */
TEST_F(loop, removed_disk_is_refused)
{
	loop_detach(self->nr);
	ASSERT_EQ(0, loop_remove(self->nr));
	vbd_create(NOBODY, "w", "disk");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));
	EXPECT_EQ(0, trace_count("lo_open"));
	EXPECT_EQ(self->nr, loop_add(self->nr));
}

/* The number and the device number are of different disks. */
TEST_F(loop, contradiction_is_refused)
{
	int nr = loop_get_free();
	struct names other = names_of(loop_attach(nr, self->wrong, 0),
				      loop_path(nr));
	char device[40];

	vbd_create(NOBODY, "w", "disk");
	vbd_name(self->names.uid, other.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));

	/* What would be the same in the bits that a dev_t has. */
	vbd_reconnect();
	snprintf(device, sizeof(device), "100%s", self->names.device);
	vbd_name(self->names.uid, device);
	EXPECT_TRUE(vbd_refuses(ENXIO));

	/* What is no device number is not taken for any. */
	vbd_reconnect();
	vbd_name(self->names.uid, "0:0");
	EXPECT_TRUE(vbd_refuses(ENXIO));
	vbd_reconnect();
	vbd_name(self->names.uid, "loop0");
	EXPECT_TRUE(vbd_comes_to(CLOSING));
	EXPECT_NE(NULL, xs_read(VBD_ERROR));

	/* Neither has been opened, or is kept. */
	EXPECT_EQ(0, trace_count("lo_open"));
	loop_detach(nr);
	EXPECT_TRUE(wait_until(!loop_remove(nr)));
	EXPECT_EQ(nr, loop_add(nr));
}

/* After a refusal, the right nodes make the same device work. */
TEST_F(loop, refused_device_can_be_set_up_again)
{
	vbd_create(NOBODY, "w", "disk");
	vbd_name("0", self->names.device);
	EXPECT_TRUE(vbd_refuses(EINVAL));
	/* As soon as the nodes are there ... */
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	/* ... and it goes on as soon as the frontend does. */
	vbd_reconnect();
	EXPECT_TRUE(vbd_opens(self->names.uid));
}

/* A script that writes the nodes in the wrong order can tell what it got. */
TEST_F(loop, number_that_comes_late_is_not_heeded)
{
	vbd_create(XVDA, "w", "disk");
	vbd_name(NULL, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	xs_write(VBD_BACKEND "/physical-device-uid", "1");
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	/* Another try neither changes nor breaks what is in use. */
	vbd_name("1", self->names.device);
	xs_write(VBD_BACKEND "/physical-device", "7");
	vbd_settle();
	xs_write(VBD_BACKEND "/physical-device", "");
	vbd_settle();
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(wait_until(xvda_has("RIGHT-DISK")));
	EXPECT_TRUE(vbd_opens(self->names.uid));
	EXPECT_EQ(1, trace_count("lo_open"));
	EXPECT_EQ(NULL, xs_read(VBD_ERROR));
}

/* blkback holds the disk from the moment it says so, and lets it go. */
TEST_F(loop, autoclear_disk_lives_as_long_as_the_vbd)
{
	int fd;

	loop_detach(self->nr);
	vbd_create(XVDA, "w", "disk");
	fd = open(loop_path(self->nr), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	self->names = names_of(loop_attach(self->nr, self->right,
					   LO_FLAGS_AUTOCLEAR),
			       loop_path(self->nr));
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	close(fd);
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("RIGHT-DISK"));

	/* Hot unplug. */
	vbd_destroy();
	EXPECT_TRUE(wait_until(access(XVDA_PATH, F_OK)));
	loop_wait_detached(self->nr);
}

/* What the toolstack says of the mode, the frontend is told and bound by. */
TEST_F(loop, read_only_is_read_only)
{
	char block[512] = "";
	int fd, ro;

	vbd_create(XVDA, "r", "disk");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	ASSERT_TRUE(xvda_has("RIGHT-DISK"));
	fd = open(XVDA_PATH, O_RDONLY);
	ASSERT_EQ(0, ioctl(fd, BLKROGET, &ro));
	close(fd);
	EXPECT_EQ(1, ro);
	fd = open(XVDA_PATH, O_RDWR | O_SYNC | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, block, sizeof(block), 0));
	EXPECT_EQ(EPERM, errno);
	close(fd);
	EXPECT_TRUE(has_stamp(self->right, "RIGHT-DISK"));
	vbd_destroy();

	vbd_create(XVDA, "w", "disk");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	ASSERT_TRUE(xvda_has("RIGHT-DISK"));
	fd = open(XVDA_PATH, O_RDWR | O_SYNC);
	ASSERT_LE(0, fd);
	EXPECT_EQ((ssize_t)sizeof(block), pwrite(fd, block, sizeof(block), 0));
	EXPECT_EQ(0, close(fd));
	EXPECT_FALSE(has_stamp(self->right, "RIGHT-DISK"));
}

TEST_F(loop, cdrom_is_a_cdrom)
{
	vbd_create(XVDA, "r", "cdrom");
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	/* VDISK_CDROM, VDISK_READONLY */
	EXPECT_EQ(0x1 | 0x4, strtoul(xs_read(VBD_BACKEND "/info"), NULL, 10));
}

/* An image with one partition that starts 4 KiB behind the start. */
static void make_partition(int image)
{
	unsigned char table[66] = {
		[4] = 0x83, [8] = 8, [12] = 0xe8, [13] = 0x03,
		[64] = 0x55, 0xaa,
	};

	if (pwrite(image, table, sizeof(table), 446) != sizeof(table))
		err(1, "partition table");
}

TEST_F(loop, partition_is_opened_as_partition)
{
	char path[32];
	struct names disk, part, by_disk;

	NEED("symbol:msdos_partition");
	loop_detach(self->nr);
	make_partition(self->right);
	disk = names_of(loop_attach(self->nr, self->right, LO_FLAGS_PARTSCAN),
			loop_path(self->nr));
	sprintf(path, "%sp1", loop_path(self->nr));
	ASSERT_TRUE(wait_until(!access(path, F_OK)));
	part = names_of(0, path);
	snprintf(part.uid, sizeof(part.uid), "%.40s-part1", disk.uid);

	vbd_create(XVDA, "w", "disk");
	vbd_name(part.uid, part.device);
	EXPECT_TRUE(vbd_opens(part.uid));
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("RIGHT-DISK"));
	EXPECT_TRUE(xs_is(VBD_BACKEND "/sectors", "1000"));

	/* The disk is not its partition, and the other way round. */
	vbd_create(NOBODY, "w", "disk");
	vbd_name(disk.uid, part.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));
	vbd_reconnect();
	vbd_name(part.uid, disk.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));

	/* A partition that the disk does not have. */
	vbd_reconnect();
	by_disk = disk;
	snprintf(by_disk.uid, sizeof(by_disk.uid), "%.40s-part2", disk.uid);
	vbd_name(by_disk.uid, part.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));

	/* Another disk with the same partition. */
	vbd_destroy();
	loop_detach(self->nr);
	make_partition(self->wrong);
	loop_attach(self->nr, self->wrong, LO_FLAGS_PARTSCAN);
	ASSERT_TRUE(wait_until(!access(path, F_OK)));
	vbd_create(NOBODY, "w", "disk");
	vbd_name(part.uid, part.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));
}

TEST_F(loop, recreated_dm_device_is_not_opened)
{
	struct names old, now;
	unsigned int maj, min;

	NEED(FOR_DM);
	ASSERT_EQ(0, run("dmsetup create diskseq-xen --table '0 8 linear %s 0'",
			 loop_path(self->nr)));
	old = names_of(diskseq_of_path("/dev/mapper/diskseq-xen"),
		       "/dev/mapper/diskseq-xen");
	vbd_create(XVDA, "w", "disk");
	vbd_name(old.uid, old.device);
	EXPECT_TRUE(vbd_opens(old.uid));
	EXPECT_TRUE(vbd_comes_to(CONNECTED));
	EXPECT_TRUE(xvda_has("RIGHT-DISK"));
	vbd_destroy();

	ASSERT_EQ(0, run("dmsetup remove --retry diskseq-xen"));
	maj = strtoul(old.device, NULL, 16);
	min = strtoul(strchr(old.device, ':') + 1, NULL, 16);
	ASSERT_EQ(0, run("dmsetup create diskseq-xen -j %u -m %u --table '0 8 error'",
			 maj, min));
	now = names_of(diskseq_of_path("/dev/mapper/diskseq-xen"),
		       "/dev/mapper/diskseq-xen");
	EXPECT_STREQ(old.device, now.device);
	EXPECT_STRNE(old.uid, now.uid);

	trace_start("p:dm_open dm_blk_open");
	vbd_create(NOBODY, "w", "disk");
	vbd_name(old.uid, old.device);
	EXPECT_TRUE(vbd_refuses(ENXIO));
	EXPECT_EQ(0, trace_count("dm_open"));
	vbd_reconnect();
	vbd_name(now.uid, now.device);
	EXPECT_TRUE(vbd_opens(now.uid));
	EXPECT_EQ(1, trace_count("dm_open"));

	vbd_destroy();
	EXPECT_EQ(0, run("dmsetup remove --retry diskseq-xen"));
}

static char digits21[] = "111111111111111111111";
static char digits4000[4000];
static char longest[XS_REQUEST_MAX - sizeof(VBD_BACKEND "/physical-device-uid")];

static const struct {
	const char *uid;
	size_t len;
	int error;
} bad_names[] = {
#define BAD(string, error)	{ string, sizeof(string) - 1, error }
	BAD("", EINVAL),
	BAD("0", EINVAL),
	BAD("00", EINVAL),
	BAD("01", EINVAL),
	BAD("+1", EINVAL),
	BAD("-1", EINVAL),
	BAD(" 1", EINVAL),
	BAD("1 ", EINVAL),
	BAD("1\n", EINVAL),
	BAD("\n", EINVAL),
	BAD("0x1", EINVAL),
	BAD("1a", EINVAL),
	BAD("a", EINVAL),
	BAD("1,", EINVAL),
	BAD("1\0", EINVAL),
	BAD("1\0002", EINVAL),
	BAD("\0001", EINVAL),
	BAD("1-", EINVAL),
	BAD("1-part", EINVAL),
	BAD("1-part0", EINVAL),
	BAD("1-part01", EINVAL),
	BAD("1-part+1", EINVAL),
	BAD("1-part1x", EINVAL),
	BAD("1-part1\0", EINVAL),
	BAD("1-PART1", EINVAL),
	BAD("1p1", EINVAL),
	BAD("-part1", EINVAL),
	BAD("1-part256", ERANGE),
	BAD("18446744073709551616", ERANGE),
	{ digits21, sizeof(digits21) - 1, ERANGE },
	{ digits4000, sizeof(digits4000), ERANGE },
	{ longest, sizeof(longest), EINVAL },
	/* Well formed, but nobody can have it. */
	BAD("18446744073709551615", ENXIO),
	BAD("18446744073709551615-part255", ENXIO),
};

/* With a number in front that is the right one, to tempt who reads only that. */
TEST_F(loop, bad_names_are_refused)
{
	char tempting[64];
	int len;

	memset(digits4000, '1', sizeof(digits4000));
	memset(longest, 'x', sizeof(longest));

	vbd_create(NOBODY, "w", "disk");
	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		vbd_name_bytes(bad_names[i].uid, bad_names[i].len,
			       self->names.device);
		EXPECT_TRUE(vbd_refuses(bad_names[i].error))
			TH_LOG("name \"%.40s\"", bad_names[i].uid);
		vbd_reconnect();

		if (bad_names[i].uid[0] != '1' || bad_names[i].len > 30 ||
		    bad_names[i].error == ENXIO)
			continue;
		len = snprintf(tempting, sizeof(tempting), "%s",
			       self->names.uid);
		memcpy(tempting + len, bad_names[i].uid + 1,
		       bad_names[i].len - 1);
		vbd_name_bytes(tempting, len + bad_names[i].len - 1,
			       self->names.device);
		EXPECT_TRUE(vbd_refuses(bad_names[i].error))
			TH_LOG("name \"%.40s\"", tempting);
		vbd_reconnect();
	}
	EXPECT_EQ(0, trace_count("lo_open"));

	/* That it was only the name. */
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
	EXPECT_EQ(1, trace_count("lo_open"));
}

/*
 * Somebody who writes a node as fast as he can, until he is killed; with a
 * @priority above 0, as soon as he has a reply, before others get theirs.
 */
static pid_t start_writer(const char *path, int priority)
{
	const struct sched_param first = { .sched_priority = priority };
	pid_t writer = fork();

	if (!writer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (priority && sched_setscheduler(0, SCHED_FIFO, &first))
			err(1, "sched_setscheduler");
		for (;;)
			xs_write(path, "w");
	}
	return writer;
}

static void stop_writer(pid_t writer)
{
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
}

/*
 * Does a transaction that only reads fail if that is written to meanwhile?  With
 * oxenstored it does not: it reads what there was when it began.
 */
static bool reads_conflict(void)
{
	pid_t writer = start_writer(VBD_BACKEND "/mode", 0);
	bool conflict;

	xs_begin();
	xs_read(VBD_BACKEND "/mode");
	usleep(500000);
	conflict = !xs_end();
	stop_writer(writer);
	return conflict;
}

/*
 * Somebody changes all nodes, always together, while blkback reads them: it sees
 * one set or the other.  The test goes on until blkback had to read again, which
 * shows as the error from the end of its transaction, unless XenStore saves it that.
 */
TEST_F_TIMEOUT(loop, nodes_are_read_together, 900)
{
	int nr = loop_get_free();
	struct names other = names_of(loop_attach(nr, self->wrong, 0),
				      loop_path(nr));
	const struct names *names[] = { &self->names, &other };
	unsigned int retries = 0, rounds = 0;
	time_t end = time(NULL) + 60;
	bool conflict;
	pid_t writer;

	vbd_create(NOBODY, "w", "disk");
	conflict = reads_conflict();
	trace_start("r:end xenbus_transaction_end ret=$retval:s32");

	writer = fork();
	if (!writer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned int i = 0; ; i++) {
			vbd_write_nodes(names[i % 2]->uid,
					strlen(names[i % 2]->uid),
					names[i % 2]->device);
			/* Lest nobody else gets anywhere. */
			usleep(i % 64 * 16);
		}
	}

	/* Each open is undone by a new set-up, which the writer goes on into. */
	do {
		char error[128] = "";

		wait_until(xs_read(VBD_ERROR) ||
			   !access(VBD_SYSFS "/physical_device_uid", F_OK) ||
			   access(VBD_SYSFS, F_OK));
		if (xs_read(VBD_ERROR))
			snprintf(error, sizeof(error), "%s", xs_read(VBD_ERROR));
		EXPECT_STREQ("", error);
		if (error[0])
			break;
		rounds++;
		/* The writer does not let anything settle. */
		vbd_announce(NOBODY, "w", "disk");
		ASSERT_TRUE(vbd_comes_to(INIT_WAIT));
		retries = trace_count("ret=-11");
		/* A busy machine has few rounds in that time. */
	} while (((conflict && retries < 3) || rounds < 30) &&
		 (rounds < 200 || time(NULL) < end));
	TH_LOG("blkback read again %u times in %u rounds", retries, rounds);
	if (conflict) {
		EXPECT_LE(3, retries);
	} else {
		EXPECT_EQ(0, retries);
	}

	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	vbd_destroy();
	loop_detach(nr);
}

/*
 * Who writes what blkback reads can keep it from that, but not for ever: it would
 * handle no event of any other device.  Where they do not disturb, the disk is opened.
 */
TEST_F(loop, endless_writes_are_a_refusal)
{
	pid_t writers[2];
	bool conflict;

	vbd_create(NOBODY, "w", "disk");
	conflict = reads_conflict();
	trace_start("r:end xenbus_transaction_end ret=$retval:s32");
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		writers[i] = start_writer(VBD_BACKEND "/mode", 1);
	vbd_name(self->names.uid, self->names.device);
	/* A busy machine takes long for the ten times that it tries at least. */
	for (int i = 0; i < 6 && !xs_read(VBD_ERROR) &&
	     !vbd_has_open(self->names.uid); i++)
		wait_until(xs_read(VBD_ERROR) ||
			   vbd_has_open(self->names.uid));
	if (conflict) {
		EXPECT_TRUE(vbd_refuses(EAGAIN));
	}
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		stop_writer(writers[i]);
	TH_LOG("blkback read %u times in vain", trace_count("ret=-11"));
	if (!conflict) {
		EXPECT_TRUE(vbd_opens(self->names.uid));
		EXPECT_EQ(0, trace_count("ret=-11"));
		return;
	}
	EXPECT_LE(10, trace_count("ret=-11"));

	/* To be set up again, like any other that was refused. */
	vbd_reconnect();
	vbd_name(self->names.uid, self->names.device);
	EXPECT_TRUE(vbd_opens(self->names.uid));
}

#define OTHER_BACKEND	"/local/domain/0/backend/vbd/0/51728"
#define OTHER_FRONTEND	"/local/domain/0/diskseq-test/51728"
#define OTHER_SYSFS	"/sys/bus/xen-backend/devices/vbd-0-51728"

/* Meanwhile, another device waits for as long as that takes, and is served then. */
TEST_F(loop, endless_writes_keep_no_other_device)
{
	static const char *const nodes[][2] = {
		{ OTHER_BACKEND "/frontend", OTHER_FRONTEND },
		{ OTHER_BACKEND "/frontend-id", "0" },
		{ OTHER_BACKEND "/online", "1" },
		{ OTHER_BACKEND "/mode", "r" },
		{ OTHER_BACKEND "/state", "1" },
		{ OTHER_FRONTEND "/backend", OTHER_BACKEND },
		{ OTHER_FRONTEND "/backend-id", "0" },
		{ OTHER_FRONTEND "/virtual-device", "51728" },
		{ OTHER_FRONTEND "/device-type", "disk" },
		{ OTHER_FRONTEND "/state", "1" },
	};
	pid_t writers[2];
	bool conflict;

	vbd_create(NOBODY, "w", "disk");
	conflict = reads_conflict();
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		writers[i] = start_writer(VBD_BACKEND "/mode", 1);
	/* It comes while the first one is being read. */
	do {
		xs_begin();
		xs_write(VBD_BACKEND "/physical-device-uid", self->names.uid);
		xs_write(VBD_BACKEND "/physical-device", self->names.device);
		for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
			xs_write(nodes[i][0], nodes[i][1]);
	} while (!xs_end());
	/* A busy machine takes long for all of that. */
	for (int i = 0; i < 6 && !xs_is(OTHER_BACKEND "/state", "2"); i++)
		wait_until(xs_is(OTHER_BACKEND "/state", "2"));
	EXPECT_TRUE(xs_is(OTHER_BACKEND "/state", "2"));
	do {
		xs_begin();
		xs_write(OTHER_BACKEND "/physical-device-uid", self->names.uid);
		xs_write(OTHER_BACKEND "/physical-device", self->names.device);
	} while (!xs_end());
	EXPECT_TRUE(wait_until(!access(OTHER_SYSFS "/physical_device_uid",
				       F_OK)));
	/* The first one is being written to until now. */
	EXPECT_EQ(!conflict, vbd_has_open(self->names.uid));
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		stop_writer(writers[i]);

	xs_rm(OTHER_FRONTEND);
	xs_rm(OTHER_BACKEND);
	EXPECT_TRUE(wait_until(access(OTHER_SYSFS, F_OK)));
}

/* Guests can write to their own nodes, tool stacks have much to write. */
TEST_F(loop, writes_elsewhere_keep_from_nothing)
{
	static const char *const paths[] = {
		VBD_FRONTEND "/ring-ref", VBD_BACKEND "/hotplug-error",
		"/libxl/0/diskseq-test",
	};
	pid_t writers[ARRAY_SIZE(paths)];

	vbd_create(NOBODY, "w", "disk");
	trace_start("r:end xenbus_transaction_end ret=$retval:s32");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		writers[i] = start_writer(paths[i], 0);
	for (int round = 0; round < 20; round++) {
		vbd_name("0", self->names.device);
		EXPECT_TRUE(vbd_refuses(EINVAL));
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		stop_writer(writers[i]);
	TH_LOG("blkback read again %u times in 20 rounds",
	       trace_count("ret=-11"));
	EXPECT_GE(5, trace_count("ret=-11"));
	xs_rm("/libxl/0/diskseq-test");
}

/*
 * Say what came of it that an allocation failed; of several in a row that had the
 * same outcome, once.
 */
static void log_outcome(unsigned int nth, const char *outcome)
{
	static char before[256];

	if (nth == 1 || strcmp(before, outcome))
		printf("# from allocation %u: %s\n", nth, outcome);
	snprintf(before, sizeof(before), "%s", outcome);
}

/*
 * A number that cannot be read, for want of memory, is not taken for one that is
 * not there: each allocation on the way fails once.  The disk has gone, so that
 * whatever is read leads to a refusal:
 *
 *  - allocations of the watch of all backends, which fires first, or of the
 *    open: the disk is refused as one that has gone;
 *  - those for what is read: the error is ENOMEM;
 *  - those for the report itself: there is no error, but the state says so.
 *
 * Nothing is opened, and afterwards the device can be set up.
 */
TEST_F(loop, unreadable_nodes_fail_closed)
{
	struct names now;
	unsigned int nth = 0, unreadable = 0;
	const char *error;
	bool failed;

	NEED(FOR_FAILSLAB);
	loop_detach(self->nr);
	now = names_of(loop_attach(self->nr, self->wrong, 0),
		       loop_path(self->nr));
	do {
		vbd_create(NOBODY, "w", "disk");
		trace_start(LOOP_OPEN);
		fail_allocation(++nth);
		vbd_name(self->names.uid, self->names.device);
		vbd_settle();
		failed = !fail_remaining();
		fail_allocation(0);

		EXPECT_EQ(0, trace_count("lo_open"))
			TH_LOG("allocation %u", nth);
		error = xs_read(VBD_ERROR);
		if (error) {
			unreadable += atoi(error) == ENOMEM;
			EXPECT_TRUE(atoi(error) == ENOMEM ||
				    atoi(error) == ENXIO)
				TH_LOG("allocation %u: \"%s\"", nth, error);
			log_outcome(nth, error);
		} else {
			EXPECT_TRUE(vbd_comes_to(CLOSING))
				TH_LOG("allocation %u: no error", nth);
			log_outcome(nth, "only the state says so");
		}

		vbd_name(now.uid, now.device);
		EXPECT_TRUE(vbd_opens(now.uid))
			TH_LOG("allocation %u", nth);
		EXPECT_EQ(1, trace_count("lo_open"))
			TH_LOG("allocation %u", nth);
	} while (failed);
	/* Each read and the transaction take some. */
	EXPECT_LT(10, unreadable);
}

/*
 * Announce a device, or let its frontend go through Closed, and name the disk if
 * the backend waits for it, while one allocation fails.  What came of it?  Returns
 * false if there were not that many.
 */
static bool set_up_failing(const struct names *names, bool reconnect,
			   unsigned int nth, char outcome[256])
{
	bool failed;

	vbd_destroy();
	if (reconnect)
		vbd_create(NOBODY, "w", "disk");
	vbd_settle();
	fail_allocation(nth);
	if (reconnect) {
		vbd_set_frontend(CLOSED);
		vbd_settle();
		vbd_set_frontend(INITIALISING);
	} else {
		vbd_announce(NOBODY, "w", "disk");
	}
	vbd_settle();

	/* To this a toolstack sets a limit of time. */
	strcpy(outcome, "it is not announced");
	if (!xs_is(VBD_BACKEND "/state", "1")) {
		vbd_write_nodes(names->uid, strlen(names->uid), names->device);
		vbd_settle();
		strcpy(outcome, "it is lost");
		if (vbd_has_open(names->uid))
			strcpy(outcome, "it is open");
		else if (xs_read(VBD_ERROR))
			snprintf(outcome, 256, "%s", xs_read(VBD_ERROR));
	}
	failed = !fail_remaining();
	fail_allocation(0);
	log_outcome(nth, outcome);
	return failed;
}

/*
 * A device that came to InitWait, where a hotplug script writes the nodes, opens
 * the disk or says why it does not: each allocation fails once from when the
 * toolstack announces the device until the disk is open.
 */
TEST_F_TIMEOUT(loop, set_up_is_not_lost_without_an_error, 900)
{
	unsigned int nth = 1;
	char outcome[256];

	NEED(FOR_FAILSLAB);
	for (; set_up_failing(&self->names, false, nth, outcome); nth++)
		EXPECT_STRNE("it is lost", outcome)
			TH_LOG("allocation %u", nth);
	EXPECT_STREQ("it is open", outcome);
	EXPECT_LT(100, nth);
}

/* The same if it is there, and its frontend connects anew. */
TEST_F_TIMEOUT(loop, reconnect_is_not_lost_without_an_error, 900)
{
	unsigned int nth = 1;
	char outcome[256];

	NEED(FOR_FAILSLAB);
	for (; set_up_failing(&self->names, true, nth, outcome); nth++)
		EXPECT_STRNE("it is lost", outcome)
			TH_LOG("allocation %u", nth);
	EXPECT_STREQ("it is open", outcome);
	EXPECT_LT(30, nth);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/*
 * Free what only waits for that, and what processors keep at hand: all objects of
 * their slabs count as in use, so that the sum grew by a slab now and then.
 */
static void settle_slabs(void)
{
	glob_t caches;

	vbd_settle();
	write_to("/proc/sys/vm/drop_caches", "2");
	write_to("/sys/module/rcutree/parameters/do_rcu_barrier", "1");
	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches))
		errx(1, "no caches in /sys/kernel/slab");
	for (size_t i = 0; i < caches.gl_pathc; i++)
		write_to(caches.gl_pathv[i], "1");
	globfree(&caches);
}

/* Objects of all caches of the kernel, in bytes: how /proc/slabinfo has it now. */
static unsigned long slabinfo_bytes(void)
{
	FILE *slabs = fopen("/proc/slabinfo", "r");
	unsigned long bytes = 0, active, size;
	char line[256];

	if (!slabs)
		err(1, "/proc/slabinfo");
	while (fgets(line, sizeof(line), slabs))
		if (sscanf(line, "%*s %lu %*u %lu", &active, &size) == 2)
			bytes += active * size;
	fclose(slabs);
	return bytes;
}

/* The same when nothing more can be freed: what was used of late goes last. */
static unsigned long slab_bytes(void)
{
	unsigned long bytes = slabinfo_bytes(), before;

	do {
		before = bytes;
		settle_slabs();
		bytes = slabinfo_bytes();
	} while (bytes < before);
	return bytes;
}

static bool is_refused(const struct names *names)
{
	bool refused;

	vbd_create(NOBODY, "w", "disk");
	vbd_name(names->uid, names->device);
	refused = wait_until(xs_read(VBD_ERROR));
	vbd_destroy();
	return refused;
}

/*
 * A device that is set up, refused and removed again and again, for each of the
 * reasons, leaves nothing behind: 10000 times with REFUSALS=10000.  What leaks does
 * so in each third of them, other than what the rest of the kernel needs for once,
 * such as another worker.
 */
TEST_F_TIMEOUT(loop, refusals_leave_nothing_behind, 3600)
{
	const char *variable = getenv("REFUSALS");
	int third = (variable ? atoi(variable) : 300) / 3;
	struct names names[] = { self->names, self->names, self->names };
	long bytes, least = LONG_MAX;
	unsigned long before;
	unsigned int nodes = 0;

	strcpy(names[0].uid, "18446744073709551615");
	strcpy(names[1].uid, "x");
	strcpy(names[2].device, "7:ff");

	/* The first ones fill caches. */
	for (int round = 0; round <= 3; round++) {
		before = slab_bytes();
		for (int i = 0; i < third; i++)
			ASSERT_TRUE(is_refused(&names[i % ARRAY_SIZE(names)]));
		if (!round) {
			nodes = xs_count("/");
			continue;
		}
		bytes = slab_bytes() - before;
		TH_LOG("%d refused attaches: %ld bytes", third, bytes);
		if (bytes < least)
			least = bytes;
	}
	/* Less than the smallest object for each. */
	EXPECT_GT(third * 8L, least);
	EXPECT_EQ(nodes, xs_count("/"));

	/* Who has it open would keep it. */
	loop_detach(self->nr);
	EXPECT_TRUE(wait_until(!loop_remove(self->nr)));
	EXPECT_EQ(self->nr, loop_add(self->nr));
}

TEST_HARNESS_MAIN_NEED("root", "loop", "dom0", "symbol:blkdev_get_by_diskseq",
		       "symbol:trace_kprobe_create",
		       "file:/sys/bus/xen-backend")
