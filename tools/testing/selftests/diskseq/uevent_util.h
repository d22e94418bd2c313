/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's uevents of one block device, for tests that listen. */
#ifndef DISKSEQ_UEVENT_UTIL_H
#define DISKSEQ_UEVENT_UTIL_H

#include <stdbool.h>
#include <stdint.h>

/* How long to listen until there are no more, in milliseconds. */
#define QUIET_MS	500

struct uevent {
	char action[16];
	uint64_t diskseq;
	bool media_change;	/* DISK_MEDIA_CHANGE=1 */
};

/* A socket that receives the uevents from now on. */
int uevent_listen(void);
/* The next one of the device @name, as DEVNAME has it; false if none comes. */
bool uevent_next(int socket, const char *name, int timeout_ms,
		 struct uevent *event);
/* Receive what there is until none comes for QUIET_MS; returns how many. */
unsigned int uevent_drain(int socket, const char *name);
/* The same; returns how many of them were of another medium. */
unsigned int uevent_media_changes(int socket, const char *name);

#endif /* DISKSEQ_UEVENT_UTIL_H */
