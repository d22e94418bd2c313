/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XenStore through /dev/xen/xenbus, for values and sequences of requests that
 * the command line tools cannot make.  A failure that is not part of what is
 * returned ends the test program with a message.
 */
#ifndef XENSTORE_H
#define XENSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* What fits into one request, with its path and a NUL. */
#define XS_PAYLOAD_MAX	4096
/* /dev/xen/xenbus has that much room for all of it, the header included. */
#define XS_REQUEST_MAX	(XS_PAYLOAD_MAX - 16)

/*
 * Between these two, all requests are of one transaction.  xs_end() returns
 * false if it was not carried out because of a conflicting change.
 */
void xs_begin(void);
bool xs_end(void);

/* Read a node into static storage; NULL if there is none. */
const char *xs_read(const char *path);
/* Write a node: a string, or @len bytes. */
void xs_write(const char *path, const char *value);
void xs_write_bytes(const char *path, const void *value, size_t len);
/* Remove a node and what is below it, if it is there. */
void xs_rm(const char *path);
/* How many nodes there are at and below @path. */
unsigned int xs_count(const char *path);

/* Does the node exist and have this value? */
bool xs_is(const char *path, const char *value);

#endif /* XENSTORE_H */
