// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/uio.h>

#include "xenstore.h"

/* The wire protocol, see docs/misc/xenstore.txt of Xen. */
enum {
	XS_DIRECTORY		= 1,
	XS_READ			= 2,
	XS_TRANSACTION_START	= 6,
	XS_TRANSACTION_END	= 7,
	XS_WRITE		= 11,
	XS_RM			= 13,
	XS_ERROR		= 16,
};

struct xs_msg {
	uint32_t type;
	uint32_t req_id;
	uint32_t tx_id;
	uint32_t len;
};

static int xenbus = -1;
/* A connection does not survive fork(): the replies would be mixed up. */
static pid_t xenbus_owner;
static uint32_t transaction;
static char reply[XS_PAYLOAD_MAX + 1];

static void receive(void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(xenbus, (char *)to + done, len - done);

		if (n <= 0)
			err(1, "read from XenStore");
		done += n;
	}
}

/*
 * Send a request of the path and, after its NUL, a value; receive the reply,
 * which gets a NUL.  Returns its length, or -1 and the name of the error.
 */
static int talk(uint32_t type, const char *path, const void *value, size_t len)
{
	struct xs_msg msg = {
		.type = type,
		.tx_id = transaction,
		.len = strlen(path) + 1 + len,
	};
	struct iovec parts[] = {
		{ &msg, sizeof(msg) },
		{ (void *)path, strlen(path) + 1 },
		{ (void *)value, len },
	};
	size_t size = sizeof(msg) + msg.len;
	char request[size], *end = request;

	if (xenbus_owner != getpid()) {
		xenbus = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
		if (xenbus < 0)
			err(1, "/dev/xen/xenbus");
		xenbus_owner = getpid();
	}

	for (int i = 0; i < 3; i++)
		end = mempcpy(end, parts[i].iov_base, parts[i].iov_len);
	if (write(xenbus, request, size) != (ssize_t)size)
		err(1, "write of %s to XenStore", path);

	receive(&msg, sizeof(msg));
	if (msg.len > XS_PAYLOAD_MAX)
		errx(1, "reply of %u bytes from XenStore", msg.len);
	receive(reply, msg.len);
	reply[msg.len] = 0;
	return msg.type == XS_ERROR ? -1 : (int)msg.len;
}

void xs_begin(void)
{
	transaction = 0;
	if (talk(XS_TRANSACTION_START, "", NULL, 0) < 0)
		errx(1, "transaction: %s", reply);
	transaction = strtoul(reply, NULL, 10);
}

bool xs_end(void)
{
	int ret = talk(XS_TRANSACTION_END, "T", NULL, 0);

	transaction = 0;
	if (ret < 0 && strcmp(reply, "EAGAIN"))
		errx(1, "end of transaction: %s", reply);
	return ret >= 0;
}

const char *xs_read(const char *path)
{
	if (talk(XS_READ, path, NULL, 0) >= 0)
		return reply;
	if (strcmp(reply, "ENOENT"))
		errx(1, "read of %s: %s", path, reply);
	return NULL;
}

void xs_write_bytes(const char *path, const void *value, size_t len)
{
	if (talk(XS_WRITE, path, value, len) < 0)
		errx(1, "write of %s: %s", path, reply);
}

void xs_write(const char *path, const char *value)
{
	xs_write_bytes(path, value, strlen(value));
}

void xs_rm(const char *path)
{
	if (talk(XS_RM, path, NULL, 0) < 0 && strcmp(reply, "ENOENT"))
		errx(1, "removal of %s: %s", path, reply);
}

unsigned int xs_count(const char *path)
{
	char below[XS_PAYLOAD_MAX + 1], *child;
	unsigned int count = 1;
	int len;

	len = talk(XS_DIRECTORY, path, NULL, 0);
	if (len < 0)
		return 0;
	memcpy(below, reply, len);
	for (char *name = below; name < below + len; name += strlen(name) + 1) {
		if (asprintf(&child, "%s/%s", strcmp(path, "/") ? path : "",
			     name) < 0)
			err(1, "%s/%s", path, name);
		count += xs_count(child);
		free(child);
	}
	return count;
}

bool xs_is(const char *path, const char *value)
{
	const char *is = xs_read(path);

	return is && !strcmp(is, value);
}
