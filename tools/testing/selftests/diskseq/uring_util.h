/* SPDX-License-Identifier: GPL-2.0 */
/*
 * liburing as the tests use it: requests are added, sent together, and answered one
 * by one; what goes wrong ends the program.  Where it is built without the library,
 * need.h says so of "io_uring", and nothing of this may be called.
 */
#ifndef DISKSEQ_URING_UTIL_H
#define DISKSEQ_URING_UTIL_H

#include <stdint.h>
#ifdef HAVE_LIBURING
#include <liburing.h>

struct uring {
	struct io_uring ring;
};
#else
#include <linux/io_uring.h>

struct uring {
	char none;
};
#endif

/* Make one for so many requests. */
void uring_init(struct uring *ring, unsigned int entries);
void uring_exit(struct uring *ring);

/* Add a request; @data comes back with its result. */
void uring_add(struct uring *ring, int op, int fd, const void *addr,
	       unsigned int len, uint64_t data);
void uring_add_open(struct uring *ring, int dir, const char *path, int flags,
		    uint64_t data);

/* Send what was added. */
void uring_submit(struct uring *ring);
/* Wait for the next result. */
int uring_wait(struct uring *ring, uint64_t *data);
/* Send the one request that was added, and wait for its result. */
int uring_result(struct uring *ring);

#endif /* DISKSEQ_URING_UTIL_H */
