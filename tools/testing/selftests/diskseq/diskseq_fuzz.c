// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: diskseq_fuzz [--seed N] [--steps N] [--seconds N] [--verbose]
 *
 * Random sequences of what can be done to disks by number, against a model of what
 * must come of it.  Disks are added, removed, attached, detached, and their media
 * exchanged; they get partitions and lose them; several diskseqfs are mounted,
 * changed and unmounted; entries are looked at, opened (open(), io_uring, an O_PATH
 * descriptor, by a symbolic link that is renamed), given away and labelled; open disks
 * are read and written; directories are read from where one likes.  After each step
 * its result, and now and then everything, is compared with the model.
 *
 * The same seed gives the same steps: --seed and --steps of a failure lead there
 * again.  Ends with what has been done, as TAP.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "diskseq_util.h"
#include "need.h"
#include "uring_util.h"
#include "../kselftest.h"

#define DISKS		4
#define PARTS		3	/* of a disk, numbered from 1 */
#define IMAGES		8	/* more than disks */
#define MOUNTS		3
#define FILES		12
#define RETIRED		32	/* numbers that are remembered when they are gone */
#define SECTOR		512
#define PART_SIZE	65536
#define LABEL		"trusted.fuzz"
#define LABEL_SIZE	16
#define WHERE		"/tmp/diskseq_fuzz"

/*
 * What has been set by hand of an entry, in one mount.  A partition is known by where
 * it begins: one that comes in its place, and is looked up, begins anew.
 */
struct given {
	off_t start;
	bool owner, group, mode;
	uid_t uid;
	gid_t gid;
	mode_t perm;
	char label[LABEL_SIZE];		/* or "" */
};

struct part {
	bool there;
	off_t start;			/* bytes */
	struct given given[MOUNTS];
};

static struct image {
	int fd;
	char stamp[STAMP_SIZE];
	bool used;
} images[IMAGES];

static struct disk {
	bool there;
	int nr;				/* of the loop device */
	uint64_t number;
	int image;			/* or -1 */
	bool read_only;
	/* Index 0 is the whole disk. */
	struct part parts[PARTS + 1];
	unsigned int files;		/* that are open of any of it */
} disks[DISKS];

static struct mount {
	bool there;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	unsigned int files;		/* that are open there */
} mounts[MOUNTS];

static struct file {
	int fd;				/* or -1 */
	int disk, mount;
	unsigned int part;
	uint64_t number;		/* it was opened by */
	bool handle;			/* O_PATH */
	bool writes;
	bool exclusive;
} files[FILES];

static uint64_t retired[RETIRED];
static unsigned int nr_retired;
static uint64_t highest;		/* number that has been given out */
static uint64_t seed = 1;
static unsigned long step;
static bool verbose;
static struct uring ring;

/* SplitMix64: the same sequence on every machine. */
static uint64_t draw(uint64_t below)
{
	static uint64_t state;
	uint64_t z;

	if (!state)
		state = seed;
	z = state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

static bool one_in(unsigned int n)
{
	return !draw(n);
}

/* What is done, told if asked for, or when it goes wrong. */
static char doing[256];

__attribute__((format(printf, 1, 2)))
static void now(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(doing, sizeof(doing), format, args);
	va_end(args);
	if (verbose)
		printf("# %lu: %s\n", step, doing);
}

__attribute__((format(printf, 1, 2), noreturn))
static void wrong(const char *format, ...)
{
	va_list args;

	printf("# step %lu (%s): ", step, doing);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1 seed %" PRIu64 " (--seed %" PRIu64 " --steps %lu)\n",
	       seed, seed, step);
	fflush(stdout);
	exit(1);
}

/* The result of a call, 0 or an errno, must be one of these. */
#define CHECK(got, ...)							\
({									\
	int __got = (got);						\
	const int __may[] = { __VA_ARGS__ };				\
	bool __is = false;						\
									\
	for (size_t __i = 0; __i < ARRAY_SIZE(__may); __i++)		\
		__is = __is || __may[__i] == __got;			\
	if (!__is)							\
		wrong("%s, expected %s", strerror(__got),		\
		      strerror(__may[0]));				\
})

static const char *where(int mount)
{
	static char path[2][64];
	static int turn;

	turn = !turn;
	sprintf(path[turn], WHERE "/%d", mount);
	return path[turn];
}

static const char *entry(int mount, uint64_t number, unsigned int part)
{
	static char path[2][128];
	static int turn;
	int len;

	turn = !turn;
	len = sprintf(path[turn], WHERE "/%d/%" PRIu64, mount, number);
	if (part)
		sprintf(path[turn] + len, "-part%u", part);
	return path[turn];
}

/* The number of the disk is another one now. */
static void retire(struct disk *d)
{
	retired[nr_retired++ % RETIRED] = d->number;
	for (unsigned int p = 0; p <= PARTS; p++)
		memset(d->parts[p].given, 0, sizeof(d->parts[p].given));
}

static void new_number(struct disk *d, uint64_t number)
{
	if (number <= highest)
		wrong("number %" PRIu64 " after %" PRIu64, number, highest);
	highest = number;
	d->number = number;
}

static uint64_t number_of(const struct disk *d)
{
	return diskseq_of_path(loop_path(d->nr));
}

/* Is the disk, or what would be claimed with that partition of it? */
static bool claimed(int disk, unsigned int part)
{
	for (int f = 0; f < FILES; f++)
		if (files[f].fd >= 0 && files[f].exclusive &&
		    files[f].disk == disk &&
		    (!part || !files[f].part || files[f].part == part))
			return true;
	return false;
}

static struct disk *any_disk(void)
{
	return &disks[draw(DISKS)];
}

static int index_of(const struct disk *d)
{
	return d - disks;
}

/* Steps.  One that makes no sense now does nothing. */

static void step_add(void)
{
	struct disk *d = any_disk();

	if (d->there)
		return;
	now("add disk %d", index_of(d));
	d->nr = loop_add(-1);
	CHECK(d->nr < 0 ? errno : 0, 0);
	memset(d->parts, 0, sizeof(d->parts));
	d->there = true;
	d->parts[0].there = true;
	d->image = -1;
	d->read_only = false;
	new_number(d, number_of(d));
}

static void step_remove(void)
{
	struct disk *d = any_disk();

	if (!d->there)
		return;
	now("remove disk %d", index_of(d));
	CHECK(loop_remove(d->nr) ? errno : 0,
	      d->files || d->image >= 0 ? EBUSY : 0);
	if (d->files || d->image >= 0)
		return;
	d->there = false;
	retire(d);
}

static int node(const struct disk *d, int flags)
{
	int fd = open(loop_path(d->nr), flags | O_CLOEXEC);

	if (fd < 0)
		wrong("%s: %s", loop_path(d->nr), strerror(errno));
	return fd;
}

static int unused_image(void)
{
	int i;

	do {
		i = draw(IMAGES);
	} while (images[i].used);
	return i;
}

static void step_attach(void)
{
	struct disk *d = any_disk();
	struct loop_config config = { };
	int i = unused_image(), fd, error;

	if (!d->there)
		return;
	config.fd = images[i].fd;
	if (one_in(2))
		config.info.lo_flags = LO_FLAGS_READ_ONLY;
	now("attach image %d to disk %d%s", i, index_of(d),
	    config.info.lo_flags ? ", read-only" : "");
	fd = node(d, O_RDWR);
	error = ioctl(fd, LOOP_CONFIGURE, &config) ? errno : 0;
	close(fd);
	CHECK(error, d->image >= 0 || claimed(index_of(d), 0) ? EBUSY : 0);
	if (error)
		return;
	retire(d);
	d->image = i;
	d->read_only = config.info.lo_flags;
	images[i].used = true;
	new_number(d, number_of(d));
}

/* The table of the medium before is not that of the next one. */
static void forget_parts(struct disk *d)
{
	for (unsigned int p = 1; p <= PARTS; p++)
		d->parts[p].there = false;
}

static void step_detach(void)
{
	struct disk *d = any_disk();
	uint64_t number;
	int fd, error;

	/* Put off until the last one closes it, which is loop's affair. */
	if (!d->there || d->files)
		return;
	now("detach disk %d", index_of(d));
	fd = node(d, O_RDWR);
	error = ioctl(fd, LOOP_CLR_FD, 0) ? errno : 0;
	close(fd);
	CHECK(error, d->image < 0 ? ENXIO : 0);
	if (error)
		return;
	loop_wait_detached(d->nr);
	images[d->image].used = false;
	d->image = -1;
	d->read_only = false;
	forget_parts(d);
	number = number_of(d);
	if (number == d->number)
		wrong("still number %" PRIu64, number);
	retire(d);
	new_number(d, number);
}

static void step_change(void)
{
	struct disk *d = any_disk();
	int i = unused_image(), fd, error;

	if (!d->there)
		return;
	now("exchange the file of disk %d for image %d", index_of(d), i);
	fd = node(d, O_RDWR);
	error = ioctl(fd, LOOP_CHANGE_FD, images[i].fd) ? errno : 0;
	close(fd);
	CHECK(error, d->image < 0 ? ENXIO : d->read_only ? 0 : EINVAL);
	if (error)
		return;
	retire(d);
	images[d->image].used = false;
	images[i].used = true;
	d->image = i;
	forget_parts(d);
	new_number(d, number_of(d));
}

static void step_partition(void)
{
	struct disk *d = any_disk();
	unsigned int p = 1 + draw(PARTS);
	struct part *part = &d->parts[p];
	bool add = one_in(2);
	off_t start;
	int fd, error;

	/* One that is left over from the medium before is in the way. */
	if (!d->there || d->image < 0 || d->files)
		return;
	fd = node(d, O_RDWR);
	if (!add) {
		now("delete partition %u of disk %d", p, index_of(d));
		error = partition_del(fd, p) ? errno : 0;
		close(fd);
		CHECK(error, part->there ? 0 : ENXIO, 0);
		part->there = false;
		return;
	}
	/* Each has a place of its own, or another one in it. */
	start = p * 2 * PART_SIZE + draw(2) * PART_SIZE / 2;
	now("add partition %u of disk %d at %jd", p, index_of(d),
	    (intmax_t)start);
	if (!part->there)
		partition_del(fd, p);
	error = partition_add(fd, p, start, PART_SIZE) ? errno : 0;
	close(fd);
	CHECK(error, part->there ? EBUSY : 0);
	if (error)
		return;
	part->there = true;
	part->start = start;
}

static const char *options(const struct mount *m)
{
	static char text[64];

	sprintf(text, "uid=%u,gid=%u,mode=%o", m->uid, m->gid, m->mode);
	return text;
}

static void draw_options(struct mount *m)
{
	m->uid = draw(3) * 1000;
	m->gid = draw(3) * 2000;
	m->mode = draw(01000);
}

static void step_mount(void)
{
	int m = draw(MOUNTS);

	if (mounts[m].there)
		return;
	draw_options(&mounts[m]);
	now("mount %d, %s", m, options(&mounts[m]));
	CHECK(mount("none", where(m), "diskseqfs", 0, options(&mounts[m])) ?
	      errno : 0, 0);
	mounts[m].there = true;
	for (int i = 0; i < DISKS; i++)
		for (unsigned int p = 0; p <= PARTS; p++)
			memset(&disks[i].parts[p].given[m], 0,
			       sizeof(struct given));
}

static void step_remount(void)
{
	int m = draw(MOUNTS);

	if (!mounts[m].there)
		return;
	draw_options(&mounts[m]);
	now("remount %d, %s", m, options(&mounts[m]));
	CHECK(mount("none", where(m), NULL, MS_REMOUNT, options(&mounts[m])) ?
	      errno : 0, 0);
}

static void step_umount(void)
{
	int m = draw(MOUNTS);

	if (!mounts[m].there || one_in(2))
		return;
	now("unmount %d", m);
	CHECK(umount(where(m)) ? errno : 0, mounts[m].files ? EBUSY : 0);
	if (!mounts[m].files)
		mounts[m].there = false;
}

/* A name to try, and what it is of in the model: a disk, or -1. */
struct aim {
	int disk, mount;
	uint64_t number;
	unsigned int part;
};

static struct given *given(const struct aim *aim)
{
	struct part *part = &disks[aim->disk].parts[aim->part];
	struct given *g = &part->given[aim->mount];

	if (g->start != part->start)
		*g = (struct given){ .start = part->start };
	return g;
}

static bool take_aim(struct aim *aim)
{
	aim->mount = draw(MOUNTS);
	if (!mounts[aim->mount].there)
		return false;
	aim->part = one_in(2) ? draw(PARTS + 1) : 0;
	aim->disk = draw(DISKS);
	aim->number = disks[aim->disk].number;
	if (one_in(8) && nr_retired) {
		aim->number = retired[draw(nr_retired < RETIRED ? nr_retired :
					   RETIRED)];
		aim->disk = -1;
	} else if (one_in(16)) {
		aim->number = highest + 1 + draw(1000);
		aim->disk = -1;
	}
	if (aim->disk >= 0 && (!disks[aim->disk].there ||
			       !disks[aim->disk].parts[aim->part].there))
		aim->disk = -1;
	/* It is going to be looked up. */
	if (aim->disk >= 0)
		given(aim);
	return aim->number;
}

static int free_file(void)
{
	for (int f = 0; f < FILES; f++)
		if (files[f].fd < 0)
			return f;
	return -1;
}

static int open_by_ring(const char *path, int flags)
{
	int ret;

	uring_add_open(&ring, AT_FDCWD, path, flags, 0);
	ret = uring_result(&ring);
	if (ret < 0) {
		errno = -ret;
		return -1;
	}
	return ret;
}

/* By a link that has come from another name. */
static int open_by_link(const char *path, int flags)
{
	int fd;

	unlink(WHERE "/old");
	unlink(WHERE "/new");
	if (symlink(path, WHERE "/old") ||
	    rename(WHERE "/old", WHERE "/new"))
		err(1, "symbolic link");
	fd = open(WHERE "/new", flags);
	return fd;
}

static void expect_content(int fd, const struct disk *d, unsigned int part)
{
	char block[STAMP_SIZE] = "", wanted[STAMP_SIZE] = "";
	off_t start = part ? d->parts[part].start : 0;

	if (d->image < 0) {
		if (read(fd, block, sizeof(block)) > 0)
			wrong("read something of no medium");
		return;
	}
	if (pread(images[d->image].fd, wanted, sizeof(wanted), start) < 0)
		err(1, "image");
	if (pread(fd, block, sizeof(block), 0) != sizeof(block))
		wrong("read: %s", strerror(errno));
	if (memcmp(block, wanted, sizeof(block)))
		wrong("read '%.63s', expected '%.63s'", block, wanted);
}

static void step_open(void)
{
	static int (*const ways[])(const char *path, int flags) = {
		(void *)open, (void *)open, open_by_ring, open_by_link,
	};
	static const int accesses[] = {
		O_RDONLY, O_RDONLY, O_RDWR, O_RDWR | O_EXCL, O_PATH,
	};
	int flags = accesses[draw(5)], way = draw(4), f = free_file(), fd, error;
	struct aim aim;

	if (f < 0 || !take_aim(&aim))
		return;
	now("open %s, flags %#o, way %d", entry(aim.mount, aim.number, aim.part),
	    flags, way);
	fd = ways[way](entry(aim.mount, aim.number, aim.part), flags | O_CLOEXEC);
	error = fd < 0 ? errno : 0;
	if (aim.disk < 0) {
		CHECK(error, ENOENT);
		return;
	}
	if (flags != O_PATH && (flags & O_EXCL) && claimed(aim.disk, aim.part)) {
		CHECK(error, EBUSY);
		return;
	}
	CHECK(error, 0);
	files[f] = (struct file) {
		.fd = fd,
		.disk = aim.disk,
		.mount = aim.mount,
		.part = aim.part,
		.number = aim.number,
		.handle = flags == O_PATH,
		.writes = flags != O_PATH && (flags & O_RDWR),
		.exclusive = flags != O_PATH && (flags & O_EXCL),
	};
	mounts[aim.mount].files++;
	if (files[f].handle)
		return;
	disks[aim.disk].files++;
	if (diskseq_of(fd) != aim.number)
		wrong("opened disk %" PRIu64, diskseq_of(fd));
	expect_content(fd, &disks[aim.disk], aim.part);
}

/* Is the medium that the file was opened for still there? */
static bool current(const struct file *file)
{
	const struct disk *d = &disks[file->disk];

	return d->there && d->number == file->number && d->parts[file->part].there;
}

static struct file *any_file(void)
{
	struct file *file = &files[draw(FILES)];

	return file->fd < 0 ? NULL : file;
}

static void close_file(struct file *file)
{
	close(file->fd);
	file->fd = -1;
	mounts[file->mount].files--;
	if (!file->handle)
		disks[file->disk].files--;
}

static void step_close(void)
{
	struct file *file = any_file();

	if (!file)
		return;
	now("close %s", entry(file->mount, file->number, file->part));
	close_file(file);
}

static void step_reopen(void)
{
	struct file *file = any_file();
	char path[32];
	int fd, error;

	if (!file || !file->handle)
		return;
	now("re-open %s", entry(file->mount, file->number, file->part));
	sprintf(path, "/proc/self/fd/%d", file->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	error = fd < 0 ? errno : 0;
	if (!current(file)) {
		/* A partition that has come in its place begins elsewhere, or there. */
		if (file->part && !error &&
		    disks[file->disk].number == file->number)
			;
		else
			CHECK(error, ENOENT, ESTALE, ENXIO);
	} else if (!file->part) {
		CHECK(error, 0);
	} else {
		/* It may be another partition of this number. */
		CHECK(error, 0, ENOENT, ESTALE, ENXIO);
	}
	if (error)
		return;
	if (diskseq_of(fd) != file->number)
		wrong("opened disk %" PRIu64, diskseq_of(fd));
	close(fd);
}

static void step_read(void)
{
	struct file *file = any_file();
	const struct disk *d;

	if (!file || file->handle)
		return;
	d = &disks[file->disk];
	now("read from %s", entry(file->mount, file->number, file->part));
	if (!file->part && diskseq_of(file->fd) != d->number)
		wrong("number %" PRIu64 ", expected %" PRIu64,
		      diskseq_of(file->fd), d->number);
	/* A partition that is kept open by whom it was opened for stays as it was. */
	if (current(file))
		expect_content(file->fd, d, file->part);
	else if (!file->part)
		expect_content(file->fd, d, 0);
}

static void step_write(void)
{
	struct file *file = any_file();
	char block[STAMP_SIZE] = "";

	if (!file || !file->writes || !current(file) ||
	    disks[file->disk].image < 0)
		return;
	now("write to %s", entry(file->mount, file->number, file->part));
	snprintf(block, sizeof(block), "STEP-%lu", step);
	CHECK(pwrite(file->fd, block, sizeof(block), 0) < 0 ? errno : 0,
	      disks[file->disk].read_only ? EPERM : 0);
	CHECK(fsync(file->fd) ? errno : 0, 0);
	/* Of the disk and its partition, each has a cache of its own. */
	for (int f = 0; f < FILES; f++) {
		if (files[f].fd >= 0 && !files[f].handle &&
		    files[f].disk == file->disk)
			posix_fadvise(files[f].fd, 0, 0, POSIX_FADV_DONTNEED);
	}
}

static void expect_stat(const struct aim *aim)
{
	const struct mount *m = &mounts[aim->mount];
	const char *path = entry(aim->mount, aim->number, aim->part);
	const struct given *g;
	struct stat st, nd;
	uid_t uid;
	gid_t gid;
	mode_t mode;

	CHECK(stat(path, &st) ? errno : 0, aim->disk < 0 ? ENOENT : 0);
	if (aim->disk < 0)
		return;
	g = given(aim);
	uid = g->owner ? g->uid : m->uid;
	gid = g->group ? g->gid : m->gid;
	mode = S_IFBLK | (g->mode ? g->perm : m->mode);
	if (st.st_uid != uid || st.st_gid != gid || st.st_mode != mode)
		wrong("owner %u:%u mode %o, expected %u:%u %o", st.st_uid,
		      st.st_gid, st.st_mode, uid, gid, mode);
	if (aim->part)
		return;
	if (stat(loop_path(disks[aim->disk].nr), &nd))
		err(1, "node");
	if (st.st_rdev != nd.st_rdev)
		wrong("device %ju", (uintmax_t)st.st_rdev);
}

static void expect_label(const struct aim *aim)
{
	char value[LABEL_SIZE] = "";
	ssize_t len = getxattr(entry(aim->mount, aim->number, aim->part), LABEL,
			       value, sizeof(value));
	const char *wanted = given(aim)->label;

	CHECK(len < 0 ? errno : 0, *wanted ? 0 : ENODATA);
	if (len >= 0 && strcmp(value, wanted))
		wrong("label '%s', expected '%s'", value, wanted);
}

static void step_look(void)
{
	struct aim aim;

	if (!take_aim(&aim))
		return;
	now("look at %s", entry(aim.mount, aim.number, aim.part));
	expect_stat(&aim);
	if (aim.disk >= 0)
		expect_label(&aim);
}

static void step_give(void)
{
	struct given new = {
		.uid = draw(5) * 1000,
		.gid = draw(5) * 2000,
		.perm = draw(01000),
	};
	unsigned int what = draw(4);
	struct given *g;
	struct aim aim;
	const char *path;
	int error = 0;

	snprintf(new.label, sizeof(new.label), "%lu", step);
	if (!take_aim(&aim))
		return;
	path = entry(aim.mount, aim.number, aim.part);
	now("give %s, %u", path, what);
	switch (what) {
	case 0:
		error = chown(path, new.uid, -1) ? errno : 0;
		break;
	case 1:
		error = chown(path, -1, new.gid) ? errno : 0;
		break;
	case 2:
		error = chmod(path, new.perm) ? errno : 0;
		break;
	case 3:
		error = setxattr(path, LABEL, new.label, sizeof(new.label), 0) ?
			errno : 0;
		break;
	}
	CHECK(error, aim.disk < 0 ? ENOENT : 0);
	if (error)
		return;
	g = given(&aim);
	switch (what) {
	case 0:
		g->owner = true;
		g->uid = new.uid;
		break;
	case 1:
		g->group = true;
		g->gid = new.gid;
		break;
	case 2:
		g->mode = true;
		g->perm = new.perm;
		break;
	case 3:
		strcpy(g->label, new.label);
		break;
	}
	expect_stat(&aim);
}

/* Nothing is made, renamed or removed by hand. */
static void step_meddle(void)
{
	struct aim aim;
	const char *path;
	char other[128];

	if (!take_aim(&aim))
		return;
	path = entry(aim.mount, aim.number, aim.part);
	sprintf(other, "%s/other", where(aim.mount));
	now("meddle with %s", path);
	/* As in /proc: there is no such name, and none that could be. */
	CHECK(rename(path, other) ? errno : 0, ENOENT);
	CHECK(unlink(path) ? errno : 0, aim.disk < 0 ? ENOENT : EPERM);
	CHECK(mknod(other, S_IFBLK | 0600, makedev(7, 0)) ? errno : 0, ENOENT);
	CHECK(mkdir(other, 0755) ? errno : 0, ENOENT);
	CHECK(symlink("x", other) ? errno : 0, ENOENT);
}

/* The entries of our disks, in order, from one on: disk, part */
static bool in_model(uint64_t number, unsigned int part)
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there && disks[i].number == number)
			return part <= PARTS && disks[i].parts[part].there;
	return false;
}

static bool is_ours(uint64_t number)
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there && disks[i].number == number)
			return true;
	for (unsigned int i = 0; i < RETIRED; i++)
		if (number && retired[i] == number)
			return true;
	return false;
}

static unsigned int entries_from(uint64_t number, unsigned int part)
{
	unsigned int count = 0;

	for (int i = 0; i < DISKS; i++) {
		for (unsigned int p = 0; p <= PARTS; p++) {
			if (!disks[i].there || !disks[i].parts[p].there)
				continue;
			count += disks[i].number > number ||
				 (disks[i].number == number && p >= part);
		}
	}
	return count;
}

/* All of the directory, and what is behind a place that was told. */
static void step_list(void)
{
	uint64_t number, last = 0, from = 0;
	unsigned int part, last_part = 0, count = 0, from_part = 0, at = 0;
	int m = draw(MOUNTS), stop = draw(20);
	long pos = 0;
	struct dirent *d;
	DIR *dir;

	if (!mounts[m].there)
		return;
	now("list %d, again from entry %d", m, stop);
	dir = opendir(where(m));
	if (!dir)
		wrong("opendir: %s", strerror(errno));
	for (;;) {
		long told = telldir(dir);

		d = readdir(dir);
		if (!d)
			break;
		part = 0;
		if (sscanf(d->d_name, "%" SCNu64 "-part%u", &number, &part) < 1)
			continue;
		if (number < last || (number == last && part <= last_part && at))
			wrong("%s after %" PRIu64 "-part%u", d->d_name, last,
			      last_part);
		last = number;
		last_part = part;
		if (at++ == stop) {
			pos = told;
			from = number;
			from_part = part;
		}
		if (in_model(number, part))
			count++;
		else if (is_ours(number))
			wrong("%s is listed", d->d_name);
	}
	if (count != entries_from(0, 0))
		wrong("%u entries, expected %u", count, entries_from(0, 0));
	if (from) {
		seekdir(dir, pos);
		count = 0;
		while ((d = readdir(dir))) {
			part = 0;
			if (sscanf(d->d_name, "%" SCNu64 "-part%u", &number,
				   &part) >= 1)
				count += in_model(number, part);
		}
		if (count != entries_from(from, from_part))
			wrong("%u entries from %" PRIu64 "-part%u, expected %u",
			      count, from, from_part,
			      entries_from(from, from_part));
	}
	closedir(dir);
}

static void step_squeeze(void)
{
	if (!one_in(4))
		return;
	now("have caches dropped");
	put("/proc/sys/vm/drop_caches", "2");
}

static void check_all(void)
{
	struct aim aim;

	now("compare everything");
	for (aim.mount = 0; aim.mount < MOUNTS; aim.mount++) {
		if (!mounts[aim.mount].there)
			continue;
		for (int i = 0; i < DISKS; i++) {
			if (!disks[i].there)
				continue;
			aim.number = disks[i].number;
			if (number_of(&disks[i]) != aim.number)
				wrong("disk %d has number %" PRIu64, i,
				      number_of(&disks[i]));
			for (aim.part = 0; aim.part <= PARTS; aim.part++) {
				aim.disk = disks[i].parts[aim.part].there ? i : -1;
				expect_stat(&aim);
				if (aim.disk >= 0)
					expect_label(&aim);
			}
		}
		aim.disk = -1;
		aim.part = 0;
		for (unsigned int i = 0; i < RETIRED && i < nr_retired; i++) {
			aim.number = retired[i];
			expect_stat(&aim);
		}
	}
}

static const struct {
	const char *name;
	unsigned int weight;
	void (*run)(void);
} steps[] = {
	{ "add",	4,	step_add },
	{ "remove",	2,	step_remove },
	{ "attach",	8,	step_attach },
	{ "detach",	4,	step_detach },
	{ "change",	6,	step_change },
	{ "partition",	8,	step_partition },
	{ "mount",	4,	step_mount },
	{ "remount",	3,	step_remount },
	{ "umount",	2,	step_umount },
	{ "open",	20,	step_open },
	{ "close",	14,	step_close },
	{ "reopen",	6,	step_reopen },
	{ "read",	10,	step_read },
	{ "write",	6,	step_write },
	{ "look",	10,	step_look },
	{ "give",	8,	step_give },
	{ "meddle",	2,	step_meddle },
	{ "list",	8,	step_list },
	{ "squeeze",	2,	step_squeeze },
};

#define STEPS	ARRAY_SIZE(steps)

int main(int argc, char **argv)
{
	const char *missing;
	static const struct option long_options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "steps", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ }
	};
	unsigned long limit = ~0UL, done[STEPS] = { };
	time_t end = 0, start = time(NULL), told = start;
	unsigned int sum = 0, i;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		switch (option) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			limit = strtoul(optarg, NULL, 0);
			break;
		case 't':
			end = start + strtoul(optarg, NULL, 0);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	printf("TAP version 13\n1..1\n");
	setlinebuf(stdout);
	umask(0);
	missing = MISSING(FOR_DISKSEQFS, "io_uring");
	if (missing)
		errx(4, "%s", missing);
	diskseqfs_private();
	if (mkdir(WHERE, 0755) && errno != EEXIST)
		err(1, WHERE);
	for (i = 0; i < MOUNTS; i++)
		if (mkdir(where(i), 0755) && errno != EEXIST)
			err(1, "%s", where(i));
	for (i = 0; i < IMAGES; i++) {
		snprintf(images[i].stamp, STAMP_SIZE, "IMAGE-%u", i);
		images[i].fd = image_create(images[i].stamp, IMAGE_SIZE);
	}
	for (i = 0; i < FILES; i++)
		files[i].fd = -1;
	uring_init(&ring, 1);
	for (i = 0; i < STEPS; i++)
		sum += steps[i].weight;

	for (step = 1; step <= limit && (!end || time(NULL) < end); step++) {
		unsigned int pick = draw(sum);

		for (i = 0; pick >= steps[i].weight; i++)
			pick -= steps[i].weight;
		done[i]++;
		steps[i].run();
		if (step % 200 == 0)
			check_all();
		if (time(NULL) - told >= 20) {
			told = time(NULL);
			printf("# %lu steps\n", step);
		}
	}
	check_all();

	/* All of it can be undone: nobody keeps anything. */
	for (i = 0; i < FILES; i++)
		if (files[i].fd >= 0)
			close_file(&files[i]);
	for (i = 0; i < MOUNTS; i++) {
		now("unmount %u at the end", i);
		if (mounts[i].there)
			CHECK(umount(where(i)) ? errno : 0, 0);
	}
	for (i = 0; i < DISKS; i++) {
		if (!disks[i].there)
			continue;
		now("remove disk %u at the end", i);
		if (disks[i].image >= 0)
			loop_detach(disks[i].nr);
		CHECK(loop_remove(disks[i].nr) ? errno : 0, 0);
	}
	for (i = 0; i < STEPS; i++)
		printf("# %-10s %lu\n", steps[i].name, done[i]);
	printf("# numbers    %" PRIu64 "\n", highest);
	printf("ok 1 seed %" PRIu64 ": %lu steps in %ld s\n", seed, step - 1,
	       (long)(time(NULL) - start));
	return 0;
}
