// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>

#include "vbd.h"
#include "xenstore.h"
#include "../diskseq/diskseq_util.h"

#define TRACING		"/sys/kernel/tracing/"
#define FAILSLAB	"/sys/kernel/debug/failslab/"

static const char *const frontends[] = {
	[XVDA] = "/local/domain/0/device/vbd/51712",
	[NOBODY] = VBD_FRONTEND,
};

static const char *frontend_path;
static int kmsg = -1;

static const char *below(const char *dir, const char *node)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return path;
}

static void set_state(const char *dir, int state)
{
	char value[] = { '0' + state, 0 };

	xs_write(below(dir, "state"), value);
}

static bool has_state(const char *dir, int state)
{
	char value[] = { '0' + state, 0 };

	return xs_is(below(dir, "state"), value);
}

void vbd_announce(enum vbd_frontend frontend, const char *mode,
		  const char *device_type)
{
	const char *const back[][2] = {
		{ "frontend", frontends[frontend] }, { "frontend-id", "0" },
		{ "online", "1" }, { "removable", "0" }, { "bootable", "0" },
		{ "dev", "xvda" }, { "type", "phy" }, { "mode", mode },
		{ "device-type", device_type }, { "params", "" },
		{ "state", "1" },
	};
	const char *const front[][2] = {
		{ "backend", VBD_BACKEND }, { "backend-id", "0" },
		{ "virtual-device", "51712" }, { "device-type", device_type },
		{ "state", "1" },
	};

	vbd_destroy();
	frontend_path = frontends[frontend];
	/* No device is registered before both ends are there. */
	do {
		xs_begin();
		for (size_t i = 0; i < sizeof(back) / sizeof(*back); i++)
			xs_write(below(VBD_BACKEND, back[i][0]), back[i][1]);
		for (size_t i = 0; i < sizeof(front) / sizeof(*front); i++)
			xs_write(below(frontend_path, front[i][0]), front[i][1]);
	} while (!xs_end());
}

void vbd_create(enum vbd_frontend frontend, const char *mode,
		const char *device_type)
{
	vbd_announce(frontend, mode, device_type);
	if (!vbd_comes_to(INIT_WAIT))
		errx(1, "the backend does not come up");
	vbd_settle();
}

void vbd_destroy(void)
{
	if (has_state(VBD_BACKEND, CONNECTED)) {
		xs_write(VBD_BACKEND "/online", "0");
		set_state(VBD_BACKEND, CLOSING);
		if (!vbd_comes_to(CLOSED))
			errx(1, "the backend does not close");
	}
	/*
	 * A backend goes when its frontend does; one that has no driver, since
	 * its set-up failed, only when its own nodes go.
	 */
	for (size_t i = 0; i < sizeof(frontends) / sizeof(*frontends); i++)
		xs_rm(frontends[i]);
	xs_rm("/local/domain/0/diskseq-test");
	xs_rm(VBD_BACKEND);
	if (!wait_until(access(VBD_SYSFS, F_OK)))
		errx(1, VBD_SYSFS " does not go away");
	xs_rm("/local/domain/0/error");
	if (!wait_until(access("/sys/bus/xen/devices/vbd-51712", F_OK)))
		errx(1, "the frontend does not go away");
}

void vbd_name_bytes(const void *uid, size_t len, const char *physical_device)
{
	if (kmsg < 0)
		kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		err(1, "/dev/kmsg");
	lseek(kmsg, 0, SEEK_END);
	xs_rm(VBD_ERROR);
	vbd_write_nodes(uid, len, physical_device);
}

void vbd_write_nodes(const void *uid, size_t len, const char *physical_device)
{
	do {
		xs_begin();
		if (uid)
			xs_write_bytes(VBD_BACKEND "/physical-device-uid", uid,
				       len);
		xs_write(VBD_BACKEND "/physical-device", physical_device);
	} while (!xs_end());
}

void vbd_name(const char *uid, const char *physical_device)
{
	vbd_name_bytes(uid, uid ? strlen(uid) : 0, physical_device);
}

bool vbd_comes_to(int state)
{
	return wait_until(has_state(VBD_BACKEND, state));
}

/* The first line of a file, in static storage, or %NULL if there is none. */
static const char *read_file(const char *path)
{
	static char line[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	/* What the file is about can go while it is read. */
	line[n > 0 ? n : 0] = 0;
	line[strcspn(line, "\n")] = 0;
	return line;
}

static bool file_is(const char *path, const char *text)
{
	const char *is = read_file(path);

	return is && !strcmp(is, text);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s to %s", text, path);
	close(fd);
}

bool vbd_has_open(const char *uid)
{
	return file_is(VBD_SYSFS "/physical_device_uid", uid);
}

bool vbd_opens(const char *uid)
{
	return wait_until(vbd_has_open(uid));
}

/* How many records of the kernel's log have the text, since the last call. */
static unsigned int log_count(const char *text)
{
	char record[8192];
	unsigned int count = 0;
	ssize_t n;

	/* A record that was overwritten before it was read gives EPIPE. */
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 ||
	       errno == EPIPE) {
		record[n > 0 ? n : 0] = 0;
		count += !!strstr(record, text);
	}
	return count;
}

bool vbd_refuses(int error)
{
	const char *message;
	unsigned int lines;
	char *end;
	bool good;

	if (!wait_until(xs_read(VBD_ERROR))) {
		printf("# no error in XenStore\n");
		return false;
	}
	message = xs_read(VBD_ERROR);
	good = strtol(message, &end, 10) == error &&
	       strstr(end, "physical-device-uid");
	if (!good)
		printf("# the error is \"%s\", not %d\n", message, error);
	if (!wait_until(has_state(VBD_BACKEND, CLOSING) ||
			has_state(VBD_BACKEND, CLOSED))) {
		printf("# the backend does not close\n");
		return false;
	}
	lines = log_count("physical-device-uid");
	if (lines != 1)
		printf("# %u lines in the log\n", lines);
	if (!access(VBD_SYSFS "/physical_device_uid", F_OK)) {
		printf("# something is open\n");
		return false;
	}
	return good && lines == 1;
}

void vbd_set_frontend(int state)
{
	set_state(frontend_path, state);
}

void vbd_reconnect(void)
{
	vbd_set_frontend(CLOSED);
	if (!vbd_comes_to(CLOSED))
		errx(1, "the backend does not close");
	vbd_set_frontend(INITIALISING);
	if (!vbd_comes_to(INIT_WAIT))
		errx(1, "the backend does not wait again");
	vbd_settle();
}

void trace_start(const char *event)
{
	if (access(TRACING "kprobe_events", F_OK) &&
	    mount("tracefs", TRACING, "tracefs", 0, NULL))
		err(1, TRACING);
	write_file(TRACING "events/enable", "0");
	write_file(TRACING "kprobe_events", event);
	write_file(TRACING "trace", "");
	write_file(TRACING "events/kprobes/enable", "1");
}

unsigned int trace_count(const char *text)
{
	FILE *trace = fopen(TRACING "trace", "r");
	unsigned int count = 0;
	char line[512];

	if (!trace)
		err(1, TRACING "trace");
	while (fgets(line, sizeof(line), trace))
		count += strstr(line, "xenwatch") && strstr(line, text);
	fclose(trace);
	return count;
}

/* A file of the thread's directory in /proc, in static storage. */
static const char *xenwatch_file(const char *name)
{
	static char path[64];
	static int xenwatch;
	int pid;

	for (pid = 1; !xenwatch && pid < 32768; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		if (file_is(path, "xenwatch"))
			xenwatch = pid;
	}
	if (!xenwatch)
		errx(1, "there is no thread xenwatch");
	snprintf(path, sizeof(path), "/proc/%d/%s", xenwatch, name);
	return path;
}

/*
 * How often the thread has slept, if it does so for want of an event; otherwise
 * -1: while it waits for a reply, its state is D.
 */
static long xenwatch_sleeps(void)
{
	FILE *status = fopen(xenwatch_file("status"), "r");
	char line[256], state = 0;
	long sleeps = -1;

	if (!status)
		err(1, "status of xenwatch");
	while (fgets(line, sizeof(line), status)) {
		if (sscanf(line, "State: %c", &state) != 1 &&
		    sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps) != 1)
			continue;
	}
	fclose(status);
	return state == 'S' ? sleeps : -1;
}

static bool has_settled(void)
{
	long sleeps = xenwatch_sleeps();

	/* An event of what was written before this comes before the reply. */
	xs_read("/local/domain/0");
	return sleeps >= 0 && xenwatch_sleeps() == sleeps;
}

void vbd_settle(void)
{
	if (!wait_until(has_settled()))
		errx(1, "xenwatch does not come to rest");
}

void fail_allocation(unsigned int nth)
{
	char number[16];

	if (access(FAILSLAB, F_OK) &&
	    mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL))
		err(1, FAILSLAB);
	/* Not only those that cannot wait; and no call trace for each. */
	write_file(FAILSLAB "ignore-gfp-wait", "0");
	write_file(FAILSLAB "verbose", "0");
	snprintf(number, sizeof(number), "%u", nth);
	write_file(xenwatch_file("fail-nth"), number);
}

unsigned int fail_remaining(void)
{
	return atoi(read_file(xenwatch_file("fail-nth")));
}
