// SPDX-License-Identifier: GPL-2.0
/*
 * Open disks by number while they are replaced, and look what was opened.
 *
 * What is opened by number must be the disk of that number, or nothing.  What
 * is opened by a device node (--via path) or by a link such as udev makes
 * (--via symlink) is another disk now and then: that is the problem, and the
 * proof that this program would see it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <liburing.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/fs.h>

#include "diskseq_util.h"
#include "race.h"
#include "../kselftest.h"

#define BATCH		16
#define DEADLINE_S	30
#define LINK_DIR	"/tmp/by-diskseq"
#define MAX_SHOWN	5	/* mismatches to describe */

/* The slow ones first: what they do not get done in time is left to the others. */
static const struct kind *const kinds[] = {
	&virtio_kind,
	&cd_kind,
	&scsi_medium_kind,
	&scsi_remove_kind,
	&dm_rename_kind,
	&part_blkpg_kind,
	&part_reread_kind,
	&dm_remove_kind,
	&dm_deferred_kind,
	&loop_attach_kind,
	&loop_remove_kind,
	&loop_change_kind,
	&remount_kind,
	&null_kind,
	&zram_kind,
	&nbd_kind,
	&nbd_netlink_kind,
	&md_kind,
};

/* What to open a disk by. */
enum via { VIA_NUMBER, VIA_PATH, VIA_SYMLINK };
static const char *const via_names[] = { "number", "path", "symlink" };

/* How to open it. */
enum opener { BY_URING, BY_OPEN, BY_REOPEN, BY_MOUNT, NR_OPENERS };
static const char *const opener_names[] = {
	"uring", "open", "reopen", "mount"
};

/* What came of it. */
enum result {
	REFUSED,	/* no such disk any more */
	OPENED,		/* the right one */
	CHANGED,	/* the right one, which changed or went while it was open */
	MISMATCH,
	NR_RESULTS
};

static struct {
	unsigned long opens;
	unsigned int seconds, slow_seconds;
	unsigned long stalled;
	uint64_t seed;
	unsigned int targets, threads;
	unsigned int openers;		/* bit mask of enum opener */
	uint64_t kinds;			/* bit mask of indices to kinds[] */
	enum via via;
	bool expect_mismatches;
} opts = {
	.opens		= 10000,
	.seed		= 1,
	.targets	= 2,
	.threads	= 2,
	.openers	= (1 << NR_OPENERS) - 1,
};

static atomic_bool stop;
static atomic_ulong tried;
static atomic_ulong counts[NR_OPENERS][NR_RESULTS];
static const struct kind *racing;	/* of all targets */
static struct target *targets;
static unsigned int nr_targets;
static unsigned long goal;		/* opens to try of this kind */
static int dir_fd;

uint64_t race_random(uint64_t *seed, uint64_t limit)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 32) * 0xd6e8feb86659fd93;
	z ^= z >> 32;
	return z % limit;
}

struct stamp {
	char magic[8];
	uint64_t number;
	uint64_t part;
};

static const char stamp_magic[8] = "DISKSEQ";

void stamp_fill(void *block, uint64_t number, unsigned int part)
{
	struct stamp stamp = { .number = number, .part = part };

	memcpy(stamp.magic, stamp_magic, sizeof(stamp_magic));
	memcpy(block, &stamp, sizeof(stamp));
}

bool stamp_check(const void *block, uint64_t number, unsigned int part,
		 uint64_t *found)
{
	struct stamp stamp;

	memcpy(&stamp, block, sizeof(stamp));
	*found = 0;
	if (memcmp(stamp.magic, stamp_magic, sizeof(stamp_magic)))
		return false;
	*found = stamp.number;
	return stamp.number == number && stamp.part == part;
}

/* The start of a romfs whose only file, "stamp", is the stamp. */
static void fill_romfs(unsigned char *block)
{
	static const unsigned int root = 32, file = STAMP_POS - 32;
	uint32_t word, sum = 0;

#define PUT(pos, value)	(word = htobe32(value), memcpy(block + (pos), &word, 4))
	memcpy(block, "-rom1fs-", 8);
	PUT(8, STAMP_POS + RACE_BLOCK);
	PUT(root, 1);			/* no next; a directory */
	PUT(root + 4, file);		/* its first entry */
	memcpy(block + root + 16, ".", 1);
	PUT(file, 2);			/* no next; a regular file */
	PUT(file + 8, RACE_BLOCK);	/* its size */
	memcpy(block + file + 16, "stamp", 5);
	for (unsigned int pos = 0; pos < 512; pos += 4) {
		memcpy(&word, block + pos, 4);
		sum += be32toh(word);
	}
	PUT(12, -sum);
#undef PUT
}

void stamp_path(const char *path, uint64_t number, unsigned int part)
{
	alignas(RACE_BLOCK) unsigned char blocks[STAMP_POS + RACE_BLOCK] = "";
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	fill_romfs(blocks);
	stamp_fill(blocks + STAMP_POS, number, part);
	if (fd < 0 || pwrite(fd, blocks, sizeof(blocks), 0) != sizeof(blocks))
		err(1, "write of a stamp to %s", path);
	close(fd);
}

void stamp_image(int fd, uint64_t number)
{
	char block[RACE_BLOCK] = "";

	stamp_fill(block, number, 0);
	if (pwrite(fd, block, sizeof(block), STAMP_POS) < 0)
		err(1, "write of a stamp");
}

int race_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret, error;

	if (fd < 0)
		return -1;
	ret = write(fd, value, strlen(value));
	error = errno;
	close(fd);
	errno = error;
	return ret < 0 ? -1 : 0;
}

void race_read(const char *path, char *value, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, value, size - 1);

	if (len < 0)
		err(1, "%s", path);
	value[len] = '\0';
	close(fd);
}

void race_persist(struct target *t, const char *what,
		  int (*step)(struct target *t))
{
	time_t end = time(NULL) + DEADLINE_S;

	while (step(t) < 0) {
		if (errno != EBUSY || time(NULL) >= end)
			err(1, "%s %s", what, t->node);
		usleep(100);
	}
}

/* The name of a partition's node; digits at the end need a letter between. */
static int node_name(char *name, const struct target *t, unsigned int part)
{
	size_t len = strlen(t->node);

	if (!part)
		return sprintf(name, "%s", t->node);
	return sprintf(name, "%s%s%u", t->node,
		       t->node[len - 1] <= '9' ? "p" : "", part);
}

static void link_name(char *name, uint64_t number, unsigned int part)
{
	name += sprintf(name, LINK_DIR "/%" PRIu64, number);
	if (part)
		sprintf(name, "-part%u", part);
}

/* Links as udev makes them: there a little later, and gone a little later. */
static void update_links(const struct target *t, uint64_t old, uint64_t new)
{
	unsigned int first = t->kind->parts ? 1 : 0;
	char link[96], node[96];

	for (unsigned int part = first; part <= t->kind->parts; part++) {
		link_name(link, new, part);
		node_name(node, t, part);
		if (symlink(node, link))
			err(1, "%s", link);
		link_name(link, old, part);
		if (old && unlink(link))
			err(1, "%s", link);
	}
}

static void announce(struct target *t, uint64_t number)
{
	if (opts.via == VIA_SYMLINK && number != t->number)
		update_links(t, t->number, number);
	t->turn++;
	t->number = number;
}

/* Replace the disk whenever somebody has tried it a few times. */
static void *replace_disks(void *arg)
{
	struct target *t = arg;
	unsigned long enough;

	while (!stop) {
		announce(t, t->kind->turn(t));
		enough = t->tried + 1 + race_random(&t->seed, 2 * BATCH);
		while (!stop && t->tried < enough)
			usleep(50);
	}
	return NULL;
}

struct attempt {
	struct target *target;
	uint64_t number;
	unsigned int part;
	int flags;
	char name[96];
	int fd, error;
};

/* Mostly one that has not been seen to be gone, but what is gone must stay so. */
static struct target *choose_target(uint64_t *seed)
{
	struct target *t;

	for (;;) {
		t = &targets[race_random(seed, nr_targets)];
		if (t->number != t->dead || !race_random(seed, 8) || stop)
			return t;
		usleep(20);
	}
}

static void prepare(struct attempt *a, uint64_t *seed, enum opener how)
{
	struct target *t = choose_target(seed);
	const char *base;

	*a = (struct attempt) { .target = t, .number = t->number };
	if (racing->parts)
		a->part = 1 + race_random(seed, racing->parts);

	/*
	 * The page cache would show the content that an open disk had before it
	 * was changed.  But a disk must not show that of the one before it.
	 */
	a->flags = O_RDONLY | O_CLOEXEC;
	if (!racing->held || race_random(seed, 2))
		a->flags |= O_DIRECT;

	switch (opts.via) {
	case VIA_NUMBER:
		path_by_number(a->name, a->number, a->part);
		/* The same from its folder, which may be another mount by now. */
		base = strrchr(a->name, '/') + 1;
		if (how != BY_MOUNT && race_random(seed, 2))
			memmove(a->name, base, strlen(base) + 1);
		break;
	case VIA_PATH:
		node_name(a->name, t, a->part);
		break;
	case VIA_SYMLINK:
		link_name(a->name, a->number, a->part);
		break;
	}
}

static void open_by_uring(struct io_uring *ring, struct attempt *batch)
{
	struct io_uring_cqe *cqe;
	struct attempt *a;
	int ret;

	for (a = batch; a < batch + BATCH; a++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_openat(sqe, dir_fd, a->name, a->flags, 0);
		io_uring_sqe_set_data(sqe, a);
	}
	ret = io_uring_submit_and_wait(ring, BATCH);
	if (ret != BATCH)
		errx(1, "io_uring_submit_and_wait: %d", ret);
	for (int i = 0; i < BATCH; i++) {
		ret = io_uring_wait_cqe(ring, &cqe);
		if (ret)
			errx(1, "io_uring_wait_cqe: %s", strerror(-ret));
		a = io_uring_cqe_get_data(cqe);
		a->fd = cqe->res;
		a->error = -cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
}

static void open_by_open(struct attempt *a)
{
	a->fd = openat(dir_fd, a->name, a->flags);
	a->error = errno;
}

/* Look it up now, open it later, as who is handed an O_PATH descriptor does. */
static void open_by_reopen(struct attempt *a)
{
	int fd = openat(dir_fd, a->name, O_PATH | O_CLOEXEC);
	char path[64];

	if (fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		a->fd = open(path, a->flags);
		a->error = errno;
		close(fd);
	} else {
		a->fd = -1;
		a->error = errno;
	}
}

static char *mount_point(char *path)
{
	sprintf(path, "/tmp/race-mount-%d", gettid());
	return path;
}

/* Mount it, and open the file that has the stamp. */
static void open_by_mount(struct attempt *a)
{
	char dir[64], path[96];

	mount_point(dir);
	sprintf(path, "%s/stamp", dir);
	a->fd = -1;
	if (mount(a->name, dir, "romfs", MS_RDONLY, NULL)) {
		a->error = errno;
		return;
	}
	a->fd = open(path, O_RDONLY | O_CLOEXEC);
	a->error = errno;
	if (a->fd < 0 && umount2(dir, 0))
		err(1, "umount %s", dir);
}

static void close_attempt(struct attempt *a, enum opener how)
{
	char dir[64];

	if (a->fd < 0)
		return;
	close(a->fd);
	if (how == BY_MOUNT && umount2(mount_point(dir), 0))
		err(1, "umount %s", dir);
}

static bool is_refusal(const struct attempt *a, enum opener how)
{
	switch (a->error) {
	case ENOENT:
	case ENXIO:
		return true;
	case ENOMEDIUM:
		return racing == &cd_kind || racing == &scsi_medium_kind;
	case ENODEV:	/* md_open() of an array that is going away */
		return racing == &md_kind || how == BY_MOUNT;
	case EINTR:	/* md_open() waits, which io_uring interrupts */
		return racing == &md_kind && how == BY_URING;
	case ESTALE:
		/*
		 * Not looked up again, as a name would be; or a partition that
		 * was replaced, and found again, and replaced.
		 */
		return how == BY_REOPEN || racing->parts;
	case EBUSY:	/* claimed, frozen or removed by who is setting it up */
		return how == BY_MOUNT || racing == &zram_kind;
	default:
		return false;
	}
}

static void show_mismatch(const struct attempt *a, const char *what,
			  uint64_t found)
{
	static atomic_uint shown;

	if (shown++ < MAX_SHOWN)
		ksft_print_msg("mismatch: %s asked for %" PRIu64 " part %u, %s %" PRIu64 "\n",
			       a->name, a->number, a->part, what, found);
}

/* By mount there is only the content to go by. */
static bool still_is(const struct attempt *a, enum opener how, uint64_t *number)
{
	*number = how == BY_MOUNT ? a->number : diskseq_of(a->fd);
	return *number == a->number;
}

/* Have the driver see whether there is another medium by now. */
static void look_again(const struct target *t)
{
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

/*
 * The page cache of a disk that was unplugged: a read that was under way takes
 * its size, which is 0 by then, and fills what is behind it with zeroes (see
 * block_read_full_folio()).  A file system reads them.
 */
static bool is_blank_of_gone(const struct attempt *a, const char *block)
{
	static const char blank[RACE_BLOCK];
	int fd;

	if (memcmp(block, blank, sizeof(blank)))
		return false;
	fd = open_by_number(a->number, a->part, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static enum result judge_change(const struct attempt *a, uint64_t number)
{
	if (!racing->held)
		return CHANGED;
	show_mismatch(a, "opened", number);
	return MISMATCH;
}

static enum result judge(const struct attempt *a, enum opener how)
{
	alignas(RACE_BLOCK) char block[RACE_BLOCK];
	size_t pos = how == BY_MOUNT ? 0 : STAMP_POS;
	uint64_t number, found = 0;
	ssize_t len;

	if (a->fd < 0 && is_refusal(a, how)) {
		if (!racing->stays || a->error == EBUSY)
			return REFUSED;
		show_mismatch(a, "refused", 0);
		return MISMATCH;
	}
	/* A disk that goes away in the middle of it */
	if (a->fd < 0 && how == BY_MOUNT &&
	    (a->error == EIO || a->error == EINVAL))
		return CHANGED;
	if (a->fd < 0) {
		errno = a->error;
		err(1, "open of %s (%s) by %s", a->name, a->target->node,
		    opener_names[how]);
	}

	if (!still_is(a, how, &number))
		return judge_change(a, number);
	len = pread(a->fd, block, sizeof(block), pos);
	if (racing->lazy)
		look_again(a->target);
	if (!still_is(a, how, &number))
		return judge_change(a, number);
	/* A loop device that is being detached is held by us, but reads nothing. */
	if (len <= 0)
		return CHANGED;
	if (how == BY_MOUNT && len == sizeof(block) &&
	    is_blank_of_gone(a, block))
		return CHANGED;
	if (len != sizeof(block) ||
	    !stamp_check(block, a->number, a->part, &found)) {
		show_mismatch(a, "read", found);
		return MISMATCH;
	}
	return OPENED;
}

/* A mount does not tell the number, and partitions have no file system. */
static unsigned int openers_of(const struct kind *kind)
{
	if (kind->held && !kind->parts)
		return opts.openers;
	return opts.openers & ~(1 << BY_MOUNT);
}

static enum opener choose_opener(uint64_t *seed)
{
	enum opener how;

	do {
		how = race_random(seed, NR_OPENERS);
	} while (!(openers_of(racing) & 1 << how));
	return how;
}

static void *open_disks(void *arg)
{
	struct attempt batch[BATCH], *a;
	uint64_t seed = *(uint64_t *)arg;
	enum result result;
	struct io_uring ring;
	enum opener how;
	char dir[64];
	int ret;

	if (mkdir(mount_point(dir), 0755))
		err(1, "%s", dir);
	ret = io_uring_queue_init(BATCH, &ring, 0);
	if (ret)
		errx(1, "io_uring_queue_init: %s", strerror(-ret));
	while (!stop) {
		how = choose_opener(&seed);
		for (a = batch; a < batch + BATCH; a++)
			prepare(a, &seed, how);
		if (how == BY_URING)
			open_by_uring(&ring, batch);
		for (a = batch; a < batch + BATCH; a++) {
			if (how == BY_OPEN)
				open_by_open(a);
			else if (how == BY_REOPEN)
				open_by_reopen(a);
			else if (how == BY_MOUNT)
				open_by_mount(a);
			result = judge(a, how);
			counts[how][result]++;
			if (result == REFUSED)
				a->target->dead = a->number;
			close_attempt(a, how);
			a->target->tried++;
		}
		tried += BATCH;
	}
	io_uring_queue_exit(&ring);
	rmdir(dir);
	return NULL;
}

/* Look at all names all the time, so that entries are in memory, or just not. */
static void *list_disks(void *arg)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	(void)arg;
	while (!stop) {
		dir = opendir(diskseqfs_dir);
		/* Between an unmount and a mount it is an empty directory. */
		if (!dir)
			err(1, "%s", diskseqfs_dir);
		while ((entry = readdir(dir))) {
			if (fstatat(dirfd(dir), entry->d_name, &st, 0) &&
			    errno != ENOENT)
				err(1, "%s", entry->d_name);
		}
		closedir(dir);
		usleep(1000);
	}
	return NULL;
}

static void start_thread(pthread_t *thread, void *(*work)(void *), void *arg)
{
	int ret = pthread_create(thread, NULL, work, arg);

	if (ret)
		errx(1, "pthread_create: %s", strerror(ret));
}

/* Race until the opens are done or the time is over. */
static void race(void)
{
	pthread_t replacers[nr_targets], openers[opts.threads], lister;
	uint64_t seeds[opts.threads];
	unsigned int seconds = opts.seconds;
	time_t end;
	unsigned int i;

	if (racing->slow && opts.slow_seconds)
		seconds = opts.slow_seconds;
	end = time(NULL) + seconds;

	stop = false;
	tried = 0;
	memset(counts, 0, sizeof(counts));

	for (i = 0; i < nr_targets; i++)
		announce(&targets[i], targets[i].kind->turn(&targets[i]));
	for (i = 0; i < nr_targets; i++)
		start_thread(&replacers[i], replace_disks, &targets[i]);
	for (i = 0; i < opts.threads; i++) {
		seeds[i] = opts.seed << 32 | i;
		start_thread(&openers[i], open_disks, &seeds[i]);
	}
	start_thread(&lister, list_disks, NULL);
	while (tried < goal && (!seconds || time(NULL) < end))
		usleep(10000);
	stop = true;
	pthread_join(lister, NULL);
	for (i = 0; i < opts.threads; i++)
		pthread_join(openers[i], NULL);
	for (i = 0; i < nr_targets; i++)
		pthread_join(replacers[i], NULL);
}

static void report(const struct kind *kind, time_t took)
{
	unsigned long all[NR_RESULTS] = { 0 }, turns = 0;
	bool good;

	for (unsigned int i = 0; i < nr_targets; i++)
		turns += targets[i].turn;
	ksft_print_msg("%s: %ld s\n", kind->name, (long)took);
	for (int how = 0; how < NR_OPENERS; how++) {
		if (!(openers_of(kind) & 1 << how))
			continue;
		ksft_print_msg("%s %s: %lu opened, %lu refused, %lu changed, %lu mismatches\n",
			       kind->name, opener_names[how],
			       counts[how][OPENED], counts[how][REFUSED],
			       counts[how][CHANGED], counts[how][MISMATCH]);
		for (int result = 0; result < NR_RESULTS; result++)
			all[result] += counts[how][result];
	}
	/* A race in which nothing could be opened has shown nothing. */
	good = opts.expect_mismatches ? all[MISMATCH] > 0 :
		all[MISMATCH] == 0 && all[OPENED] > 0;
	ksft_test_result(good,
			 "%s via %s: %lu disks, %lu tried, %lu opened, %lu refused, %lu changed, %lu mismatches\n",
			 kind->name, via_names[opts.via], turns,
			 (unsigned long)tried, all[OPENED], all[REFUSED],
			 all[CHANGED], all[MISMATCH]);
}

static void race_kind(const struct kind *kind)
{
	const char *missing = NULL;
	unsigned int i;
	time_t start;

	if (!openers_of(kind)) {
		ksft_test_result_skip("%s: cannot be opened by these means\n",
				      kind->name);
		return;
	}
	racing = kind;
	nr_targets = kind->single ? 1 : opts.targets;
	targets = calloc(nr_targets, sizeof(*targets));
	if (!targets)
		err(1, "targets");
	for (i = 0; i < nr_targets && !missing; i++) {
		targets[i].kind = kind;
		targets[i].seed = ~opts.seed << 32 | i;
		missing = kind->setup(&targets[i]);
	}
	if (missing) {
		ksft_test_result_skip("%s: %s\n", kind->name, missing);
	} else {
		start = time(NULL);
		race();
		report(kind, time(NULL) - start);
		for (i = 0; i < nr_targets; i++)
			kind->teardown(&targets[i]);
	}
	free(targets);
}

static void race_stalled_test(void)
{
	struct stalled_counts c = { 0 };
	const char *missing = race_stalled(opts.stalled, &c);

	if (missing) {
		ksft_test_result_skip("stalled: %s\n", missing);
		return;
	}
	ksft_test_result((c.mismatches > 0) == opts.expect_mismatches,
			 "stalled: %lu tried, %lu refused, %lu mismatches\n",
			 c.tried, c.refused, c.mismatches);
}

static const char usage_text[] =
"Usage: diskseq_race [OPTION]...\n"
"\n"
"Open disks by number while they are replaced by others; fail if ever another\n"
"disk is opened than the one asked for.  Prints KTAP.\n"
"\n"
"  -k, --kinds LIST    kinds of disks, separated by commas (default: all)\n"
"  -o, --openers LIST  uring, open, reopen (of an O_PATH descriptor), mount\n"
"                      (default: all that this kernel can)\n"
"  -v, --via WHAT      open by number (default), path, or symlink; the last two\n"
"                      only show what the first is good for\n"
"  -n, --opens N       opens to try, spread over the kinds (default 10000)\n"
"  -t, --seconds S     at most so long for each kind (default: no limit); what is\n"
"                      not done by then is left to the kinds after it\n"
"      --slow-seconds S  the same for those of which there are few in a second (*)\n"
"  -s, --seed N        for the random choices (default 1)\n"
"      --targets N     device numbers to race for (default 2)\n"
"      --threads N     threads that open (default 2)\n"
"      --stalled N     instead: N rounds in which the number changes for\n"
"                      certain while the open waits in the driver\n"
"  -x, --expect-mismatches  fail if there are none\n"
"  -h, --help          this text\n"
"\n"
"Kinds of disks:\n";

static void usage(FILE *to)
{
	fputs(usage_text, to);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(to, "  %-12s %c %s\n", kinds[i]->name,
			kinds[i]->slow ? '*' : ' ', kinds[i]->help);
}

static __noreturn __printf(1, 2) void usage_error(const char *format, ...)
{
	va_list args;

	fputs("diskseq_race: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	usage(stderr);
	exit(2);
}

static unsigned long number_arg(const char *option, unsigned long min)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(optarg, &end, 10);
	if (errno || end == optarg || *end || *optarg == '-' || n < min)
		usage_error("--%s %s: a number of at least %lu, please", option,
			    optarg, min);
	return n;
}

static int find_name(const char *const *names, int count, const char *option,
		     const char *name)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	usage_error("--%s %s: unknown", option, name);
}

static uint64_t list_arg(const char *const *names, int count,
			 const char *option)
{
	uint64_t mask = 0;
	char *name;

	for (name = strtok(optarg, ","); name; name = strtok(NULL, ","))
		mask |= 1ULL << find_name(names, count, option, name);
	if (!mask)
		usage_error("--%s: nothing in the list", option);
	return mask;
}

static void parse_options(int argc, char **argv)
{
	enum { OPT_TARGETS = 256, OPT_THREADS, OPT_STALLED, OPT_SLOW };
	static const struct option long_options[] = {
		{ "kinds",	required_argument, NULL, 'k' },
		{ "openers",	required_argument, NULL, 'o' },
		{ "via",	required_argument, NULL, 'v' },
		{ "opens",	required_argument, NULL, 'n' },
		{ "seconds",	required_argument, NULL, 't' },
		{ "slow-seconds", required_argument, NULL, OPT_SLOW },
		{ "seed",	required_argument, NULL, 's' },
		{ "targets",	required_argument, NULL, OPT_TARGETS },
		{ "threads",	required_argument, NULL, OPT_THREADS },
		{ "stalled",	required_argument, NULL, OPT_STALLED },
		{ "expect-mismatches", no_argument, NULL, 'x' },
		{ "help",	no_argument, NULL, 'h' },
		{}
	};
	const char *kind_names[ARRAY_SIZE(kinds)];
	int c;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		kind_names[i] = kinds[i]->name;
		opts.kinds |= 1ULL << i;
	}
	while ((c = getopt_long(argc, argv, "k:o:v:n:t:s:xh", long_options,
				NULL)) != -1) {
		switch (c) {
		case 'k':
			opts.kinds = list_arg(kind_names, ARRAY_SIZE(kinds),
					      "kinds");
			break;
		case 'o':
			opts.openers = list_arg(opener_names, NR_OPENERS,
						"openers");
			break;
		case 'v':
			opts.via = find_name(via_names, ARRAY_SIZE(via_names),
					     "via", optarg);
			break;
		case 'n':
			opts.opens = number_arg("opens", 1);
			break;
		case 't':
			opts.seconds = number_arg("seconds", 1);
			break;
		case OPT_SLOW:
			opts.slow_seconds = number_arg("slow-seconds", 1);
			break;
		case 's':
			opts.seed = number_arg("seed", 0);
			break;
		case OPT_TARGETS:
			opts.targets = number_arg("targets", 1);
			break;
		case OPT_THREADS:
			opts.threads = number_arg("threads", 1);
			break;
		case OPT_STALLED:
			opts.stalled = number_arg("stalled", 1);
			break;
		case 'x':
			opts.expect_mismatches = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc)
		usage_error("%s: not an option", argv[optind]);
}

static void race_kinds(void)
{
	unsigned int left = __builtin_popcountll(opts.kinds);
	unsigned long done = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!(opts.kinds & 1ULL << i))
			continue;
		goal = opts.opens > done ? (opts.opens - done) / left : 1;
		left--;
		tried = 0;
		race_kind(kinds[i]);
		done += tried;
	}
	ksft_print_msg("%lu opens tried\n", done);
}

static bool have_romfs(void)
{
	char list[4096];

	race_read("/proc/filesystems", list, sizeof(list));
	return strstr(list, "\tromfs\n");
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);

	ksft_print_header();
	dir_fd = diskseqfs_private();
	if (mkdir(LINK_DIR, 0755) && errno != EEXIST)
		err(1, LINK_DIR);

	if (!have_romfs())
		opts.openers &= ~(1 << BY_MOUNT);

	if (opts.stalled) {
		ksft_set_plan(1);
		race_stalled_test();
		ksft_finished();
	}

	ksft_set_plan(__builtin_popcountll(opts.kinds));
	ksft_print_msg("seed %" PRIu64 ", %u threads, %u targets\n",
		       opts.seed, opts.threads, opts.targets);
	race_kinds();
	ksft_finished();
}
