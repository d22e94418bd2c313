/* SPDX-License-Identifier: GPL-2.0 */
/*
 * io_uring without a library, so that the tests build wherever there is a compiler:
 * requests are added, sent together, and answered one by one.
 */
#ifndef DISKSEQ_URING_UTIL_H
#define DISKSEQ_URING_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/io_uring.h>

struct uring {
	int fd;
	void *rings;
	size_t rings_size, sqes_size;
	struct io_uring_params params;
	struct io_uring_sqe *sqes;
	unsigned int added;		/* and not sent */
};

/* Make one for so many requests, or end the program. */
void uring_init(struct uring *ring, unsigned int entries);
void uring_exit(struct uring *ring);

/* Add a request; @data comes back with its result. */
struct io_uring_sqe *uring_add(struct uring *ring, int op, int fd,
			       const void *addr, unsigned int len,
			       uint64_t data);
void uring_add_open(struct uring *ring, int dir, const char *path, int flags,
		    uint64_t data);

/* Send what was added. */
void uring_submit(struct uring *ring);
/* Wait for the next result. */
int uring_wait(struct uring *ring, uint64_t *data);
/* Send the one request that was added, and wait for its result. */
int uring_result(struct uring *ring);

#endif /* DISKSEQ_URING_UTIL_H */
