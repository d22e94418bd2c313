// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>

#include "uevent_util.h"

#define KERNEL_EVENTS	1	/* multicast group; udev sends its own to 2 */
#define RECEIVE_BUFFER	(4 << 20)

int uevent_listen(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_EVENTS,
	};
	int size = RECEIVE_BUFFER;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "uevents");
	return fd;
}

/* The value of a variable of the event in @start, or "". */
static const char *value(const char *start, const char *end, const char *key)
{
	size_t length = strlen(key);

	for (; start < end; start += strlen(start) + 1) {
		if (!strncmp(start, key, length) && start[length] == '=')
			return start + length + 1;
	}
	return "";
}

bool uevent_next(int socket, const char *name, int timeout_ms,
		 struct uevent *event)
{
	struct pollfd pollfd = { .fd = socket, .events = POLLIN };
	char text[8192];
	const char *end;
	ssize_t length;

	while (poll(&pollfd, 1, timeout_ms) == 1) {
		length = recv(socket, text, sizeof(text) - 1, 0);
		if (length < 0)
			err(1, "uevents");
		text[length] = '\0';
		end = text + length;
		if (strcmp(value(text, end, "SUBSYSTEM"), "block") ||
		    strcmp(value(text, end, "DEVNAME"), name))
			continue;
		snprintf(event->action, sizeof(event->action), "%s",
			 value(text, end, "ACTION"));
		event->diskseq = strtoull(value(text, end, "DISKSEQ"), NULL,
					  10);
		event->media_change =
			!strcmp(value(text, end, "DISK_MEDIA_CHANGE"), "1");
		return true;
	}
	return false;
}

unsigned int uevent_drain(int socket, const char *name)
{
	unsigned int events = 0;
	struct uevent event;

	while (uevent_next(socket, name, QUIET_MS, &event))
		events++;
	return events;
}

unsigned int uevent_media_changes(int socket, const char *name)
{
	unsigned int changes = 0;
	struct uevent event;

	while (uevent_next(socket, name, QUIET_MS, &event))
		changes += event.media_change;
	return changes;
}
