// SPDX-License-Identifier: GPL-2.0
/*
 * What goes on beside the opens of the race program:
 *
 * hoarder	keeps pages of disks, mapped, in pipes and referenced in a mapping,
 *		and partitions open, while the disks are changed
 * writer	writes through the page cache, and leaves it to the kernel when
 * poller	the kernel's own, of drives with removable media
 * sender	sends TEST UNIT READY by SG_IO, which gets to know of a new medium
 *		before the driver does
 * listener	opens each number that a uevent announces, at once
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <linux/netlink.h>
#include <scsi/sg.h>

#include "diskseq_util.h"
#include "race.h"

#define HOARDS		12
#define HOARD_TURNS	6	/* a hoard is kept for up to so many changes */
#define POLL_MSECS	"50"
#define KERNEL_EVENTS	1	/* multicast group; udev sends its own to 2 */
#define QUIET_MSECS	300	/* no event for so long: there will be none */

const char *const beside_names[NR_BESIDE] = {
	"hoarder", "writer", "poller", "sender", "listener"
};

struct beside_counts beside_counts;

static struct helper {
	pthread_t thread;
	bool runs;
	uint64_t seed;
} helpers[NR_BESIDE];

static int event_socket = -1;

/*
 * Wait until some opens were tried: what is done beside takes its share of the
 * processors, however fast they are, and leaves the rest to the opens.
 */
static void wait_for_opens(struct helper *self, unsigned long most)
{
	unsigned long enough = race_tried + 1 + race_random(&self->seed, most);

	while (!race_stop && race_tried < enough)
		usleep(2000);
}

static struct target *any_target(uint64_t *seed)
{
	return &targets[race_random(seed, nr_targets)];
}

/*
 * What is kept of a disk.  If that would keep the disk, only the pages are.
 */
struct hoard {
	struct target *target;
	unsigned long until;		/* turn of the target */
	int fd;
	void *map;
	int pipe[2];
};

static void hoard_close(struct hoard *h)
{
	if (h->map)
		munmap(h->map, STAMPED_SIZE);
	race_io_begin();
	if (h->fd >= 0)
		close(h->fd);
	race_io_end();
	h->map = NULL;
	h->fd = -1;
}

static void hoard_release(struct hoard *h)
{
	if (!h->target)
		return;
	hoard_close(h);
	close(h->pipe[0]);
	close(h->pipe[1]);
	h->target = NULL;
}

static void hoard_take(struct hoard *h, uint64_t *seed)
{
	struct target *t = any_target(seed);
	unsigned int part = racing->parts;
	struct iovec vec;
	loff_t pos = 0;

	if (racing->table)
		part = race_random(seed, 2);
	h->fd = open_by_number(t->number, part, O_RDONLY | O_NONBLOCK);
	if (h->fd < 0)
		return;
	if (pipe2(h->pipe, O_CLOEXEC | O_NONBLOCK))
		err(1, "pipe");
	h->target = t;
	h->until = t->turn + 1 + race_random(seed, HOARD_TURNS);
	race_io_begin();
	/* Without a signal if there is nothing to map any more */
	h->map = mmap(NULL, STAMPED_SIZE, PROT_READ, MAP_SHARED, h->fd, 0);
	if (h->map == MAP_FAILED) {
		h->map = NULL;
	} else if (!madvise(h->map, STAMPED_SIZE, MADV_POPULATE_READ)) {
		vec = (struct iovec) { h->map, STAMPED_SIZE };
		if (race_random(seed, 2) && vmsplice(h->pipe[1], &vec, 1, 0) > 0)
			beside_counts.hoarded++;
		beside_counts.hoarded++;
	}
	if (splice(h->fd, &pos, h->pipe[1], NULL, STAMPED_SIZE,
		   SPLICE_F_NONBLOCK) > 0)
		beside_counts.hoarded++;
	race_io_end();
	if (racing->blocks)
		hoard_close(h);
}

static void *hoard_pages(void *arg)
{
	struct hoard hoards[HOARDS] = { 0 }, *h;
	struct helper *self = arg;

	while (!race_stop) {
		h = &hoards[race_random(&self->seed, HOARDS)];
		if (!h->target)
			hoard_take(h, &self->seed);
		else if (h->target->turn >= h->until)
			hoard_release(h);
		wait_for_opens(self, 48);
	}
	for (h = hoards; h < hoards + HOARDS; h++)
		hoard_release(h);
	return NULL;
}

/*
 * From the moment when a drive tells the sender of another medium, until the
 * kernel sees that answer, nobody else can know.  It may read the other medium
 * with the number of the one before; what it writes is there, and cannot be told
 * from what arrives later.  Hence a disk is either written to or sent commands.
 */
static atomic_ulong sending;	/* odd while a command is on its way */

static bool is_for_sender(const struct target *t)
{
	return !t->kind->writes || t->turn % 2;
}

static bool is_for_writer(const struct target *t)
{
	return !t->kind->drive || !is_for_sender(t);
}

void beside_settle(void)
{
	unsigned long was = sending;

	while (was % 2 && sending == was)
		usleep(100);
}

static void write_some(struct target *t, uint64_t *seed)
{
	alignas(RACE_BLOCK) char block[RACE_BLOCK];
	uint64_t number = t->number, label = label_of(number);
	unsigned int part = racing->table ? race_random(seed, 2) : 0;
	int fd = open_by_number(number, part, O_RDWR);
	unsigned int left = 1 + race_random(seed, 4);

	if (fd < 0)
		return;
	area_fill(block, label);
	/*
	 * What is written when the disk has just been changed is rightly on the
	 * next one: then the number is another after it.
	 */
	while (left-- && !race_stop && is_for_writer(t) &&
	       race_is_still(t, fd, number, part)) {
		off_t pos = AREA_POS +
			    race_random(seed, AREA_BLOCKS) * RACE_BLOCK;

		write_begin(label);
		race_io_begin();
		if (pwrite(fd, block, sizeof(block), pos) > 0)
			beside_counts.written++;
		race_io_end();
		write_end(!race_is_still(t, fd, number, part));
		if (!racing->blocks)
			usleep(race_random(seed, 3000));
	}
	race_io_begin();
	close(fd);
	race_io_end();
}

static void *write_blocks(void *arg)
{
	struct helper *self = arg;

	while (!race_stop) {
		write_some(any_target(&self->seed), &self->seed);
		wait_for_opens(self, 96);
	}
	return NULL;
}

/* Whatever comes of it; who sends it has not asked for the number. */
static void send_test_unit_ready(const struct target *t, int fd)
{
	unsigned char command[6] = { 0 }, sense[32];
	struct sg_io_hdr header = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_NONE,
		.cmd_len = sizeof(command),
		.mx_sb_len = sizeof(sense),
		.cmdp = command,
		.sbp = sense,
		.timeout = 10000,
	};

	sending++;
	if (is_for_sender(t) && !ioctl(fd, SG_IO, &header))
		beside_counts.sent++;
	sending++;
}

static void *send_commands(void *arg)
{
	struct helper *self = arg;
	struct target *t;
	int fd;

	while (!race_stop) {
		t = any_target(&self->seed);
		fd = open(t->node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		for (int i = 0; i < 64 && fd >= 0 && !race_stop; i++) {
			send_test_unit_ready(t, fd);
			usleep(race_random(&self->seed, 4000));
		}
		if (fd >= 0)
			close(fd);
		usleep(1000);
	}
	return NULL;
}

struct event {
	char data[8192];	/* "ACTION@PATH", "KEY=VALUE"... */
	ssize_t length;
};

static void open_event_socket(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_EVENTS,
	};
	int size = 16 << 20;

	event_socket = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			      NETLINK_KOBJECT_UEVENT);
	if (event_socket < 0 ||
	    setsockopt(event_socket, SOL_SOCKET, SO_RCVBUFFORCE, &size,
		       sizeof(size)) ||
	    bind(event_socket, (struct sockaddr *)&address, sizeof(address)))
		err(1, "uevents");
}

static const char *event_value(const struct event *e, const char *key)
{
	size_t length = strlen(key);
	const char *p = e->data, *end = p + e->length;

	for (; p < end; p += strlen(p) + 1) {
		if (!strncmp(p, key, length) && p[length] == '=')
			return p + length + 1;
	}
	return "";
}

/* Wait for the next event of a block device; false if there is none in time. */
static bool next_event(struct event *e, int msecs)
{
	struct pollfd pollfd = { .fd = event_socket, .events = POLLIN };

	while (poll(&pollfd, 1, msecs) == 1) {
		e->length = recv(event_socket, e->data, sizeof(e->data) - 1, 0);
		if (e->length < 0)
			err(1, "uevents");
		e->data[e->length] = 0;
		if (!strcmp(event_value(e, "SUBSYSTEM"), "block"))
			return true;
	}
	return false;
}

/* The target whose disk, not a partition of it, the event is about. */
static struct target *event_target(const struct event *e)
{
	const char *name = event_value(e, "DEVNAME");

	for (unsigned int i = 0; i < nr_targets; i++) {
		if (!strcmp(name, targets[i].node + strlen("/dev/")))
			return &targets[i];
	}
	return NULL;
}

/*
 * The number is right if it opens.  If not it may be too late, because the disk
 * is being changed again: the number is older than the last step to change it,
 * or there is another step by now.
 */
static void hear(struct target *t, uint64_t number)
{
	unsigned long steps = t->steps;
	uint64_t before = t->before;
	int fd = open_by_number(number, 0, O_RDONLY | O_NONBLOCK);
	int error = errno;

	if (t->steps != steps) {
		if (fd >= 0)
			close(fd);
		return;
	}
	beside_counts.announced++;
	if (fd >= 0) {
		beside_counts.reached++;
		if (racing->ready && diskseq_of(fd) == number)
			race_read_both(t, fd, number, 0, false);
		close(fd);
	} else if (number <= before || t->steps != steps) {
		beside_counts.late++;
	} else if (error == ENOMEDIUM) {
		beside_counts.reached++;
	}
}

static void *listen_for_numbers(void *arg)
{
	static struct event e;
	uint64_t number, last = 0;
	struct target *t;

	(void)arg;
	while (!race_stop) {
		if (!next_event(&e, 10))
			continue;
		t = event_target(&e);
		number = strtoull(event_value(&e, "DISKSEQ"), NULL, 10);
		if (!t || !number || number == last ||
		    !strcmp(event_value(&e, "ACTION"), "remove"))
			continue;
		last = number;
		hear(t, number);
	}
	return NULL;
}

static void set_polling(const char *msecs)
{
	char path[128];

	for (unsigned int i = 0; i < nr_targets; i++) {
		snprintf(path, sizeof(path), "/sys/block/%s/events_poll_msecs",
			 targets[i].node + strlen("/dev/"));
		if (race_write(path, msecs))
			err(1, "%s", path);
	}
}

void beside_start(unsigned int which, uint64_t seed)
{
	static void *(*const work[NR_BESIDE])(void *arg) = {
		[HOARDER] = hoard_pages,
		[WRITER] = write_blocks,
		[SENDER] = send_commands,
		[LISTENER] = listen_for_numbers,
	};
	int ret;

	memset(&beside_counts, 0, sizeof(beside_counts));
	if (!racing->drive)
		which &= ~(1U << POLLER | 1U << SENDER);
	if (!racing->writes)
		which &= ~(1U << WRITER);
	if (which & 1U << LISTENER)
		open_event_socket();
	for (int i = 0; i < NR_BESIDE; i++) {
		struct helper *h = &helpers[i];

		h->runs = which & 1U << i;
		h->seed = seed + i;
		if (!h->runs || !work[i])
			continue;
		ret = pthread_create(&h->thread, NULL, work[i], h);
		if (ret)
			errx(1, "pthread_create: %s", strerror(ret));
	}
	if (helpers[POLLER].runs)
		set_polling(POLL_MSECS);
}

void beside_stop(void)
{
	for (int i = 0; i < NR_BESIDE; i++) {
		if (!helpers[i].runs)
			continue;
		if (i == POLLER)
			set_polling("-1");
		else
			pthread_join(helpers[i].thread, NULL);
	}
	if (event_socket >= 0)
		close(event_socket);
	event_socket = -1;
}

/* Open the node at an event of the disk, or of one of its partitions. */
static bool look_at(const struct event *e, const struct target *t)
{
	const char *name = event_value(e, "DEVNAME");
	char path[64];
	int fd;

	if (strncmp(name, t->node + strlen("/dev/"),
		    strlen(t->node + strlen("/dev/"))))
		return false;
	snprintf(path, sizeof(path), "/dev/%.32s", name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return true;
}

/* How many events there are until there are none, but not for ever. */
static unsigned long count_events(const struct target *t, unsigned long limit)
{
	static struct event e;
	unsigned long count = 0;

	while (count < limit && next_event(&e, QUIET_MSECS))
		count += look_at(&e, t);
	return count;
}

unsigned long race_events(unsigned long rounds,
			  void (*turn)(struct target *t))
{
	unsigned long count = 0;

	turn(&targets[0]);
	if (racing->drive)
		set_polling(POLL_MSECS);
	open_event_socket();
	count_events(&targets[0], 1000);
	while (rounds--) {
		turn(&targets[0]);
		count += count_events(&targets[0], 1000);
	}
	close(event_socket);
	event_socket = -1;
	if (racing->drive)
		set_polling("-1");
	return count;
}
