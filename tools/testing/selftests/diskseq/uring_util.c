// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <string.h>

#include "uring_util.h"

#ifdef HAVE_LIBURING
void uring_init(struct uring *ring, unsigned int entries)
{
	int ret = io_uring_queue_init(entries, &ring->ring, 0);

	if (ret)
		errx(1, "io_uring_queue_init: %s", strerror(-ret));
}

void uring_exit(struct uring *ring)
{
	io_uring_queue_exit(&ring->ring);
}

static struct io_uring_sqe *next_sqe(struct uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe)
		errx(1, "io_uring is full");
	return sqe;
}

void uring_add(struct uring *ring, int op, int fd, const void *addr,
	       unsigned int len, uint64_t data)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_rw(op, sqe, fd, addr, len, 0);
	io_uring_sqe_set_data64(sqe, data);
}

void uring_add_open(struct uring *ring, int dir, const char *path, int flags,
		    uint64_t data)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_openat(sqe, dir, path, flags, 0);
	io_uring_sqe_set_data64(sqe, data);
}

void uring_submit(struct uring *ring)
{
	unsigned int added = io_uring_sq_ready(&ring->ring);
	int sent = io_uring_submit(&ring->ring);

	if (sent != (int)added)
		errx(1, "io_uring_submit: %d of %u", sent, added);
}

int uring_wait(struct uring *ring, uint64_t *data)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe(&ring->ring, &cqe);

	if (ret)
		errx(1, "io_uring_wait_cqe: %s", strerror(-ret));
	*data = io_uring_cqe_get_data64(cqe);
	ret = cqe->res;
	io_uring_cqe_seen(&ring->ring, cqe);
	return ret;
}
#else
static void none(void)
{
	errx(1, "built without liburing");
}

void uring_init(struct uring *ring, unsigned int entries)
{
	none();
}

void uring_exit(struct uring *ring)
{
	none();
}

void uring_add(struct uring *ring, int op, int fd, const void *addr,
	       unsigned int len, uint64_t data)
{
	none();
}

void uring_add_open(struct uring *ring, int dir, const char *path, int flags,
		    uint64_t data)
{
	none();
}

void uring_submit(struct uring *ring)
{
	none();
}

int uring_wait(struct uring *ring, uint64_t *data)
{
	none();
	return -1;
}
#endif

int uring_result(struct uring *ring)
{
	uint64_t data;

	uring_submit(ring);
	return uring_wait(ring, &data);
}
