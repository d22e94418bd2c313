// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "uring_util.h"

static unsigned int *at(const struct uring *ring, unsigned int offset)
{
	return ring->rings + offset;
}

static void *map(const struct uring *ring, size_t size, off_t offset)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, ring->fd, offset);

	if (mem == MAP_FAILED)
		err(1, "io_uring: mmap");
	return mem;
}

void uring_init(struct uring *ring, unsigned int entries)
{
	struct io_uring_params *p = &ring->params;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, entries, p);
	if (ring->fd < 0)
		err(1, "io_uring_setup");
	/* As all kernels have it since 5.4. */
	if (!(p->features & IORING_FEAT_SINGLE_MMAP))
		errx(1, "io_uring has two rings");
	ring->rings_size = p->sq_off.array +
			   p->sq_entries * sizeof(unsigned int);
	if (ring->rings_size < p->cq_off.cqes +
			       p->cq_entries * sizeof(struct io_uring_cqe))
		ring->rings_size = p->cq_off.cqes +
				   p->cq_entries * sizeof(struct io_uring_cqe);
	ring->rings = map(ring, ring->rings_size, IORING_OFF_SQ_RING);
	ring->sqes_size = p->sq_entries * sizeof(*ring->sqes);
	ring->sqes = map(ring, ring->sqes_size, IORING_OFF_SQES);
}

void uring_exit(struct uring *ring)
{
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->rings, ring->rings_size);
	close(ring->fd);
}

struct io_uring_sqe *uring_add(struct uring *ring, int op, int fd,
			       const void *addr, unsigned int len,
			       uint64_t data)
{
	const struct io_sqring_offsets *off = &ring->params.sq_off;
	unsigned int tail = *at(ring, off->tail) + ring->added;
	unsigned int i = tail & *at(ring, off->ring_mask);
	struct io_uring_sqe *sqe = &ring->sqes[i];

	if (ring->added++ == ring->params.sq_entries)
		errx(1, "io_uring is full");
	at(ring, off->array)[i] = i;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (unsigned long)addr;
	sqe->len = len;
	sqe->user_data = data;
	return sqe;
}

void uring_add_open(struct uring *ring, int dir, const char *path, int flags,
		    uint64_t data)
{
	uring_add(ring, IORING_OP_OPENAT, dir, path, 0, data)->open_flags =
		flags;
}

static int enter(const struct uring *ring, unsigned int submit,
		 unsigned int wait)
{
	return syscall(__NR_io_uring_enter, ring->fd, submit, wait,
		       wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

void uring_submit(struct uring *ring)
{
	unsigned int *tail = at(ring, ring->params.sq_off.tail);
	int sent;

	/* Not before what is in them. */
	__atomic_store_n(tail, *tail + ring->added, __ATOMIC_RELEASE);
	sent = enter(ring, ring->added, 0);
	if (sent != (int)ring->added)
		err(1, "io_uring: sent %d of %u", sent, ring->added);
	ring->added = 0;
}

int uring_wait(struct uring *ring, uint64_t *data)
{
	const struct io_cqring_offsets *off = &ring->params.cq_off;
	const struct io_uring_cqe *cqe;
	unsigned int head = *at(ring, off->head);
	int result;

	while (__atomic_load_n(at(ring, off->tail), __ATOMIC_ACQUIRE) == head) {
		if (enter(ring, 0, 1) < 0)
			err(1, "io_uring_enter");
	}
	cqe = ring->rings + off->cqes;
	cqe += head & *at(ring, off->ring_mask);
	result = cqe->res;
	*data = cqe->user_data;
	__atomic_store_n(at(ring, off->head), head + 1, __ATOMIC_RELEASE);
	return result;
}

int uring_result(struct uring *ring)
{
	uint64_t data;

	uring_submit(ring);
	return uring_wait(ring, &data);
}
