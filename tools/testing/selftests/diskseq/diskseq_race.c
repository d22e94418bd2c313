// SPDX-License-Identifier: GPL-2.0
/*
 * Open disks by number while they are replaced, and look what was opened.
 *
 * What is opened by number must be the disk of that number, or nothing, also in
 * the page cache, and while others keep pages of it, write to it, poll it and
 * send it commands (race_beside.c).  What is opened by a device node (--via path)
 * or by a link such as udev makes (--via symlink) is another disk now and then:
 * that is the problem, and the proof that this program would see it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
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
#include "need.h"
#include "race.h"
#include "uring_util.h"
#include "../kselftest.h"

#define BATCH		16
#define DEADLINE_S	30
#define LINK_DIR	"/tmp/by-diskseq"
#define MAX_SHOWN	5	/* mismatches to describe, of each kind */
#define NOTICE_MSECS	1000	/* until a change that nobody sees is missed */
#define TELLS_PERCENT	99	/* of the numbers in events must open */

/* The slow ones first: what they do not get done in time is left to the others. */
static const struct kind *const kinds[] = {
	&virtio_kind,
	&cd_kind,
	&card_kind,
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
	unsigned long stalled, events;
	unsigned int beside;		/* bit mask of enum beside */
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
	.beside		= (1 << NR_BESIDE) - 1,
};

atomic_bool race_stop;
atomic_ulong race_tried;
atomic_ulong race_mismatches;
const struct kind *racing;
struct target *targets;
unsigned int nr_targets;
bool race_stock;

static atomic_ulong counts[NR_OPENERS][NR_RESULTS];
static atomic_uint shown;
static unsigned long goal;		/* opens to try of this kind */
static int dir_fd;

uint64_t race_random(uint64_t *seed, uint64_t limit)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 32) * 0xd6e8feb86659fd93;
	z ^= z >> 32;
	return z % limit;
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
	bool late;

	/* Once more when it is late: the machine may not have gone on. */
	for (;;) {
		late = time(NULL) >= end;
		if (step(t) >= 0)
			return;
		if (errno != EBUSY || late)
			err(1, "%s %s", what, t->node);
		usleep(100);
	}
}

int race_open_step(struct target *t)
{
	int fd = open(t->node, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return close(fd);
	if (errno == ENXIO || errno == ENOENT)
		errno = EBUSY;
	return -1;
}

void race_mismatch(const char *format, ...)
{
	char text[256];
	va_list args;

	race_mismatches++;
	if (shown++ >= MAX_SHOWN)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ksft_print_msg("mismatch: %s\n", text);
}

/* Without an open, which would look for a change; 0 if it is not there. */
static uint64_t number_in_sysfs(const struct target *t)
{
	char path[128], number[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/diskseq",
		 t->node + strlen("/dev/"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, number, sizeof(number) - 1) < 0)
		*number = 0;
	close(fd);
	return strtoull(number, NULL, 10);
}

/*
 * A partition keeps the number of its table while it is open, although the disk
 * can have another medium by then: which is what is read and written through it.
 */
bool race_is_still(const struct target *t, int fd, uint64_t number,
		   unsigned int part)
{
	return diskseq_of(fd) == number &&
	       (!part || !t->kind->table || number_in_sysfs(t) == number);
}

void race_step(struct target *t)
{
	uint64_t number = number_in_sysfs(t);

	if (number > t->before)
		t->before = number;
	t->steps++;
}

bool race_notice(struct target *t)
{
	uint64_t number;
	int fd;

	for (int msecs = 0; msecs < NOTICE_MSECS; msecs += 20) {
		fd = open(t->node, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			number = diskseq_of(fd);
			close(fd);
			if (number != t->before)
				return true;
		}
		usleep(20000);
	}
	race_mismatch("%s has another medium, but keeps the number %" PRIu64,
		      t->node, (uint64_t)t->before);
	return false;
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

	while (!race_stop) {
		race_step(t);
		announce(t, t->kind->turn(t));
		enough = t->tried + 1 + race_random(&t->seed, 2 * BATCH);
		while (!race_stop && t->tried < enough)
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
		if (t->number != t->dead || !race_random(seed, 8) || race_stop)
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
	else if (racing->table && !race_random(seed, 4))
		a->part = 1;

	/* It is read in both ways; this is the first. */
	a->flags = O_RDONLY | O_CLOEXEC;
	if (race_random(seed, 2))
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

static void open_by_uring(struct uring *ring, struct attempt *batch)
{
	uint64_t data;
	int result;

	for (size_t i = 0; i < BATCH; i++)
		uring_add_open(ring, dir_fd, batch[i].name, batch[i].flags, i);
	uring_submit(ring);
	for (size_t i = 0; i < BATCH; i++) {
		result = uring_wait(ring, &data);
		batch[data].fd = result;
		batch[data].error = -result;
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
	race_io_begin();
	close(a->fd);
	race_io_end();
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
		return racing->drive;
	case ENODEV:	/* md_open() of an array that is going away */
		return racing == &md_kind || how == BY_MOUNT;
	case EINTR:	/* md_open() waits, which io_uring interrupts */
		return racing == &md_kind && how == BY_URING;
	case ESTALE:
		/*
		 * Not looked up again, as a name would be; or a partition that
		 * was replaced, and found again, and replaced.
		 */
		return how == BY_REOPEN || a->part;
	case EBUSY:	/* claimed, frozen or removed by who is setting it up */
		return how == BY_MOUNT || racing == &zram_kind;
	default:
		return false;
	}
}

/* By mount there is only the content to go by. */
static enum reading read_mounted(const struct attempt *a)
{
	static const char blank[RACE_BLOCK];
	char block[RACE_BLOCK];
	uint64_t found;
	int fd;

	if (pread(a->fd, block, sizeof(block), 0) <= 0)
		return READ_CHANGED;
	if (stamp_check(block, label_of(a->number), a->part, &found))
		return READ_RIGHT;
	/* See is_rest_of_gone(). */
	if (!memcmp(block, blank, sizeof(block))) {
		fd = open_by_number(a->number, 0, O_RDONLY);
		if (fd < 0)
			return READ_CHANGED;
		close(fd);
	}
	race_mismatch("mounted %s, read %#" PRIx64, a->name, found);
	return READ_WRONG;
}

/* The number is another than it was asked for. */
static enum result judge_change(const struct attempt *a)
{
	if (!racing->held)
		return CHANGED;
	race_mismatch("asked for %s (%" PRIu64 "), opened %" PRIu64, a->name,
		      a->number, diskseq_of(a->fd));
	return MISMATCH;
}

static enum result judge(const struct attempt *a, enum opener how)
{
	if (a->fd < 0 && is_refusal(a, how)) {
		if (!racing->stays || a->error == EBUSY)
			return REFUSED;
		race_mismatch("%s refused: %s", a->name, strerror(a->error));
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

	if (how != BY_MOUNT && diskseq_of(a->fd) != a->number)
		return judge_change(a);
	switch (how == BY_MOUNT ? read_mounted(a) :
		race_read_both(a->target, a->fd, a->number, a->part, true)) {
	case READ_RIGHT:
		return OPENED;
	case READ_WRONG:
		return MISMATCH;
	case READ_CHANGED:
		break;
	}
	if (how != BY_MOUNT && diskseq_of(a->fd) != a->number)
		return judge_change(a);
	return CHANGED;
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
	struct uring ring;
	enum opener how;
	char dir[64];

	if (mkdir(mount_point(dir), 0755))
		err(1, "%s", dir);
	if (opts.openers & 1 << BY_URING)
		uring_init(&ring, BATCH);
	while (!race_stop) {
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
			/* Not of every medium there is a partition. */
			if (result == REFUSED && a->part <= racing->parts)
				a->target->dead = a->number;
			close_attempt(a, how);
			a->target->tried++;
		}
		race_tried += BATCH;
	}
	if (opts.openers & 1 << BY_URING)
		uring_exit(&ring);
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
	while (!race_stop) {
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

	race_stop = false;
	race_tried = 0;
	race_mismatches = 0;
	shown = 0;
	memset(counts, 0, sizeof(counts));

	for (i = 0; i < nr_targets; i++)
		announce(&targets[i], targets[i].kind->turn(&targets[i]));
	beside_start(opts.via == VIA_NUMBER ? opts.beside : 0, opts.seed << 40);
	for (i = 0; i < nr_targets; i++)
		start_thread(&replacers[i], replace_disks, &targets[i]);
	for (i = 0; i < opts.threads; i++) {
		seeds[i] = opts.seed << 32 | i;
		start_thread(&openers[i], open_disks, &seeds[i]);
	}
	start_thread(&lister, list_disks, NULL);
	while (race_tried < goal && (!seconds || time(NULL) < end))
		usleep(10000);
	race_stop = true;
	pthread_join(lister, NULL);
	for (i = 0; i < opts.threads; i++)
		pthread_join(openers[i], NULL);
	for (i = 0; i < nr_targets; i++)
		pthread_join(replacers[i], NULL);
	beside_stop();
}

/*
 * Of a drive in which the medium has really changed, what is announced opens.  But
 * for some: a command that is under way when the driver asks the drive can be told of
 * the same medium, which is another one then, to be safe.  How many depends on how
 * busy the processors are.
 */
static bool numbers_open(const struct kind *kind)
{
	long judged = beside_counts.announced - beside_counts.late;
	long missed = judged - beside_counts.reached;
	/*
	 * Of as few as in a short run, twice the standard deviation may miss more,
	 * and of a few dozen it may well be two.
	 */
	long above = missed * 100 - judged * (100 - TELLS_PERCENT);

	return !kind->tells || missed <= 2 || above <= 0 ||
	       above * above <= 4 * 100 * (100 - TELLS_PERCENT) * judged;
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
	if (!numbers_open(kind) && !opts.expect_mismatches)
		ksft_print_msg("%s: numbers that events announce do not open\n",
			       kind->name);
	/* A race in which nothing could be opened has shown nothing. */
	good = opts.expect_mismatches ? race_mismatches > 0 :
		race_mismatches == 0 && all[OPENED] > 0 && numbers_open(kind);
	ksft_test_result(good,
			 "%s via %s: %lu disks, %lu tried, %lu opened, %lu refused, %lu changed, %lu mismatches, %lu hoarded, %lu written, %lu sent, %lu of %lu announced opened\n",
			 kind->name, via_names[opts.via], turns,
			 (unsigned long)race_tried, all[OPENED], all[REFUSED],
			 all[CHANGED], (unsigned long)race_mismatches,
			 (unsigned long)beside_counts.hoarded,
			 (unsigned long)beside_counts.written,
			 (unsigned long)beside_counts.sent,
			 (unsigned long)beside_counts.reached,
			 beside_counts.announced - beside_counts.late);
}

static void turn_once(struct target *t)
{
	race_step(t);
	announce(t, t->kind->turn(t));
}

static void report_events(const struct kind *kind)
{
	unsigned long count = race_events(opts.events, turn_once);

	/* On any kernel; who compares it with another decides. */
	ksft_test_result_pass("%s: %lu changes, %lu events\n", kind->name,
			      opts.events, count);
}

static void race_kind(const struct kind *kind)
{
	const char *missing = NULL;
	unsigned int i;
	time_t start;

	if (!openers_of(kind) && !opts.events) {
		ksft_test_result_skip("%s: cannot be opened by these means\n",
				      kind->name);
		return;
	}
	racing = kind;
	nr_targets = kind->single || opts.events ? 1 : opts.targets;
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
		if (opts.events) {
			report_events(kind);
		} else {
			race();
			report(kind, time(NULL) - start);
		}
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
"  -w, --without LIST  of hoarder, writer, poller, sender, listener, which do what\n"
"                      the opens must not suffer from\n"
"      --events N      instead: N changes of each kind, one after the other, and\n"
"                      how many uevents each makes; for any kernel\n"
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
	enum { OPT_TARGETS = 256, OPT_THREADS, OPT_STALLED, OPT_SLOW,
	       OPT_EVENTS };
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
		{ "events",	required_argument, NULL, OPT_EVENTS },
		{ "without",	required_argument, NULL, 'w' },
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
	while ((c = getopt_long(argc, argv, "k:o:v:n:t:s:w:xh", long_options,
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
		case OPT_EVENTS:
			opts.events = number_arg("events", 1);
			break;
		case 'w':
			opts.beside &= ~list_arg(beside_names, NR_BESIDE,
						 "without");
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

/* To mount diskseqfs makes no events, and not every kernel can. */
static bool is_asked_for(size_t i)
{
	return opts.kinds & 1ULL << i &&
	       !(opts.events && kinds[i] == &remount_kind);
}

static unsigned int count_kinds(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		count += is_asked_for(i);
	return count;
}

static void race_kinds(unsigned int left)
{
	unsigned long done = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!is_asked_for(i))
			continue;
		goal = opts.opens > done ? (opts.opens - done) / left : 1;
		left--;
		race_tried = 0;
		race_kind(kinds[i]);
		done += race_tried;
	}
	ksft_print_msg("%lu opens tried\n", done);
}

int main(int argc, char **argv)
{
	const char *missing;

	parse_options(argc, argv);

	/* What there is must be seen also if the guest is given up. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	race_stock = opts.events && MISSING("diskseqfs");
	missing = race_stock ? MISSING("root", "loop") :
		  MISSING(FOR_DISKSEQFS);
	if (missing)
		ksft_exit_skip("%s\n", missing);
	if (!race_stock)
		dir_fd = diskseqfs_private();
	if (mkdir(LINK_DIR, 0755) && errno != EEXIST)
		err(1, LINK_DIR);

	if (MISSING("fs:romfs"))
		opts.openers &= ~(1 << BY_MOUNT);
	if (MISSING("io_uring"))
		opts.openers &= ~(1 << BY_URING);

	if (opts.stalled) {
		ksft_set_plan(1);
		race_stalled_test();
		ksft_finished();
	}

	ksft_set_plan(count_kinds());
	ksft_print_msg("seed %" PRIu64 ", %u threads, %u targets\n",
		       opts.seed, opts.threads, opts.targets);
	race_kinds(count_kinds());
	ksft_finished();
}
