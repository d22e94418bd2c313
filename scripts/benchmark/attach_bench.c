// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: attach_bench
 *
 * What it takes xen-blkback to read the nodes of a toolstack and to open the
 * disk, with and without its number: to be run in dom0.  It is what the callback
 * of the watch on physical-device takes, without the times that it waits for the
 * answers of xenstored: others run then, in an order that differs from boot to
 * boot.  Each figure is a median.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_util.h"
#include "diskseq_util.h"
#include "vbd.h"
#include "xenstore.h"

#define ROUNDS		200
#define TRACING		"/sys/kernel/tracing/"
#define SWITCHES	TRACING "events/sched/sched_switch"
#define CALLBACK	"backend_changed"

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CHECK(file ? 0 : -1);
	CHECK(fputs(text, file));
	CHECK(fclose(file));
}

/*
 * Trace the callback.  The other function of this name, of the frontends' bus,
 * has nothing to do meanwhile.
 */
static void trace_callback(void)
{
	char line[256], name[128], events[512] = "";
	unsigned long long address;
	unsigned int count = 0;
	size_t len = 0;
	FILE *symbols;

	symbols = fopen("/proc/kallsyms", "r");
	CHECK(symbols ? 0 : -1);
	while (fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%llx %*c %127s", &address, name) != 2 ||
		    strcmp(name, CALLBACK) || count == 2)
			continue;
		len += sprintf(events + len,
			       "p:start%u 0x%llx\nr:end%u 0x%llx\n", count,
			       address, count, address);
		count++;
	}
	fclose(symbols);
	errno = ENOENT;
	CHECK(count ? 0 : -1);
	trace_start(events);
	write_text(SWITCHES "/filter",
		   "prev_comm == \"xenwatch\" || next_comm == \"xenwatch\"");
	write_text(SWITCHES "/enable", "1");
}

/* Empty the trace; its times are the counter's values. */
static void trace_reset(void)
{
	write_text(TRACING "trace_clock", "x86-tsc");
	CHECK(truncate(TRACING "trace", 0));
}

/*
 * What the thread took from the start of the callback to its end, without the
 * times that it waited, or 0 if it has not ended.  It can be called once more,
 * for each node that was written, and has nothing to do then.
 */
static uint64_t traced(void)
{
	FILE *trace = fopen(TRACING "trace", "r");
	uint64_t time, since = 0, took = 0;
	bool ended = false;
	char line[512];

	CHECK(trace ? 0 : -1);
	while (!ended && fgets(line, sizeof(line), trace)) {
		const char *event = strstr(line, ": ");

		if (sscanf(line, "%*[^]]] %*s %" SCNu64 ":", &time) != 1)
			continue;
		if (strstr(event, ": start") ||
		    (since && strstr(event, "next_comm=xenwatch"))) {
			since = time;
		} else if (since) {
			took += time - since;
			ended = strstr(event, ": end");
		}
	}
	fclose(trace);
	return ended ? took : 0;
}

/* Two nodes at once: Xen's own script writes the path in place of the name. */
static void write_nodes(const char *uid, const char *device)
{
	do {
		xs_begin();
		if (uid)
			xs_write(VBD_BACKEND "/physical-device-uid", uid);
		else
			xs_write(VBD_BACKEND "/physical-device-path", "x");
		xs_write(VBD_BACKEND "/physical-device", device);
	} while (!xs_end());
}

static uint64_t attach(const char *uid, const char *device)
{
	uint64_t took = 0;

	vbd_create(NOBODY, "w", "disk");
	/* The callback for its registration, with no node there, is over. */
	wait_until(traced());
	trace_reset();
	write_nodes(uid, device);
	/* Who looks meanwhile interrupts the callback. */
	usleep(50000);
	wait_until(!access(VBD_SYSFS "/physical_device", F_OK) &&
		   (took = traced()));
	errno = ETIMEDOUT;
	CHECK(took ? 0 : -1);
	trace_reset();
	vbd_destroy();
	return took;
}

int main(void)
{
	uint64_t without[ROUNDS], with[ROUNDS];
	char device[16], node[16];
	struct disk disk;
	bool aware;
	int nr;

	nr = loop_get_free();
	loop_attach(nr, image_create("BENCH", IMAGE_SIZE), 0);
	snprintf(node, sizeof(node), "loop%d", nr);
	get_disk(&disk, node);
	snprintf(device, sizeof(device), "%x:%x", disk.major, disk.minor);

	trace_callback();
	trace_reset();
	vbd_create(NOBODY, "w", "disk");
	aware = xs_is(VBD_BACKEND "/feature-physical-device-uid", "1");
	vbd_destroy();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		without[i] = attach(NULL, device);
		if (aware)
			with[i] = attach(disk.number, device);
	}
	report("attach by device number", 0, median(without, ROUNDS), "instructions");
	if (aware)
		report("attach by number", 0, median(with, ROUNDS), "instructions");
	return 0;
}
