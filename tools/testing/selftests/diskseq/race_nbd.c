// SPDX-License-Identifier: GPL-2.0
/*
 * Network block devices, served by the race program itself, and set up in both
 * ways: by ioctls, and by netlink.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <linux/nbd-netlink.h>
#ifdef HAVE_LIBNL
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#endif

#include "diskseq_util.h"
#include "race.h"

#define MAX_DEVICES	8
#define DEADLINE_S	30

/* A connection: a thread that serves it and, by ioctls, one inside NBD_DO_IT. */
static struct connection {
	int fd;			/* of the device, by ioctls */
	int kernel, server;	/* ends of the socket */
	int image;
	pthread_t client_thread, server_thread;
} connections[MAX_DEVICES];

static void *serve(void *arg)
{
	static __thread char data[IMAGE_SIZE];
	struct connection *c = arg;
	struct nbd_reply reply = { .magic = htobe32(NBD_REPLY_MAGIC) };
	struct nbd_request request;
	uint64_t pos;
	uint32_t len;

	while (recv(c->server, &request, sizeof(request), MSG_WAITALL) ==
	       sizeof(request)) {
		pos = be64toh(request.from);
		len = be32toh(request.len);
		memcpy(reply.handle, request.handle, sizeof(reply.handle));
		switch (be32toh(request.type)) {
		case NBD_CMD_READ:
			if (pread(c->image, data, len, pos) != len ||
			    send(c->server, &reply, sizeof(reply),
				 MSG_MORE | MSG_NOSIGNAL) < 0 ||
			    send(c->server, data, len, MSG_NOSIGNAL) < 0)
				goto out;
			continue;
		case NBD_CMD_WRITE:
			if (recv(c->server, data, len, MSG_WAITALL) != len ||
			    pwrite(c->image, data, len, pos) != len)
				goto out;
			break;
		case NBD_CMD_DISC:
			goto out;
		}
		if (send(c->server, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			goto out;
	}
out:
	close(c->server);
	return NULL;
}

static void *run_client(void *arg)
{
	struct connection *c = arg;

	ioctl(c->fd, NBD_DO_IT);
	if (ioctl(c->fd, NBD_CLEAR_SOCK))
		err(1, "NBD_CLEAR_SOCK");
	close(c->fd);
	return NULL;
}

static const char *nbd_setup(struct target *t)
{
	static unsigned int devices;

	if (access("/dev/nbd0", F_OK))
		return "needs nbd";
	if (devices == MAX_DEVICES)
		return "needs more devices";
	t->nr = devices++;
	snprintf(t->node, sizeof(t->node), "/dev/nbd%u", t->nr);
	for (int i = 0; i < 2; i++)
		t->image[i] = image_create("", IMAGE_SIZE);
	return NULL;
}

/*
 * Send one request about the device, and wait until it is carried out.  What
 * connects it has a socket.  Returns 0 or an errno.
 */
#ifdef HAVE_LIBNL
static int nbd_request(const struct target *t, int command, uint64_t size,
		       int sock)
{
	struct nl_sock *nl = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *list, *item;
	int family, ret;

	if (!nl || !msg || genl_connect(nl))
		errx(1, "netlink");
	family = genl_ctrl_resolve(nl, NBD_GENL_FAMILY_NAME);
	if (family < 0)
		errx(1, "netlink has no nbd: %s", nl_geterror(family));
	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, command, 0);
	nla_put_u32(msg, NBD_ATTR_INDEX, t->nr);
	if (command != NBD_CMD_DISCONNECT)
		nla_put_u64(msg, NBD_ATTR_SIZE_BYTES, size);
	if (sock >= 0) {
		list = nla_nest_start(msg, NBD_ATTR_SOCKETS);
		item = nla_nest_start(msg, NBD_SOCK_ITEM);
		nla_put_u32(msg, NBD_SOCK_FD, sock);
		nla_nest_end(msg, item);
		nla_nest_end(msg, list);
	}
	ret = nl_send_sync(nl, msg);	/* frees msg */
	nl_socket_free(nl);
	return ret == -NLE_BUSY ? EBUSY : ret ? EPROTO : 0;
}
#else
static int nbd_request(const struct target *t, int command, uint64_t size,
		       int sock)
{
	errx(1, "built without libnl");
}
#endif

static const char *nbd_netlink_setup(struct target *t)
{
#ifndef HAVE_LIBNL
	return "built without libnl";
#endif
	return nbd_setup(t);
}

static void disconnect(struct target *t)
{
	struct connection *c = &connections[t->nr];

	if (t->kind == &nbd_netlink_kind) {
		if (nbd_request(t, NBD_CMD_DISCONNECT, 0, -1))
			errx(1, "NBD_CMD_DISCONNECT %s", t->node);
	} else {
		if (ioctl(c->fd, NBD_DISCONNECT))
			err(1, "NBD_DISCONNECT %s", t->node);
		pthread_join(c->client_thread, NULL);
	}
	pthread_join(c->server_thread, NULL);
	close(c->kernel);
	t->up = false;
}

static bool is_connected(const struct target *t)
{
	char pid[64];

	snprintf(pid, sizeof(pid), "/sys/block/nbd%u/pid", t->nr);
	return !access(pid, F_OK);
}

/* Busy until the last user of the previous connection has closed the device. */
static int set_sock_step(struct target *t)
{
	struct connection *c = &connections[t->nr];
	int error;

	if (is_connected(t)) {
		errno = EBUSY;
		return -1;
	}
	c->fd = open(t->node, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		err(1, "%s", t->node);
	if (!ioctl(c->fd, NBD_SET_SOCK, c->kernel))
		return 0;
	error = errno;
	close(c->fd);
	errno = error;
	return -1;
}

/* The same by netlink. */
static int connect_step(struct target *t)
{
	errno = nbd_request(t, NBD_CMD_CONNECT, IMAGE_SIZE,
			    connections[t->nr].kernel);
	return errno ? -1 : 0;
}

/*
 * The device's number, when it is connected and its size is there.  A size alone
 * can be that of the connection before.
 */
static uint64_t wait_until_connected(const struct target *t)
{
	time_t end = time(NULL) + DEADLINE_S;
	uint64_t size, number;
	int fd;

	for (;;) {
		if (is_connected(t)) {
			fd = open(t->node, O_RDONLY | O_CLOEXEC);
			if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
				err(1, "%s", t->node);
			number = diskseq_of(fd);
			close(fd);
			if (size)
				return number;
		}
		if (time(NULL) >= end)
			errx(1, "%s is not connected", t->node);
		usleep(100);
	}
}

static uint64_t nbd_turn(struct target *t)
{
	struct connection *c = &connections[t->nr];
	uint64_t before, number, label;
	int ends[2];

	if (t->up)
		disconnect(t);
	before = diskseq_of_path(t->node);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		err(1, "socketpair");
	c->kernel = ends[0];
	c->server = ends[1];
	label = medium_next(t, t->turn % 2);
	c->image = t->image[t->turn % 2];
	if (pthread_create(&c->server_thread, NULL, serve, c))
		errx(1, "pthread_create");
	if (t->kind == &nbd_netlink_kind) {
		race_persist(t, "NBD_CMD_CONNECT", connect_step);
	} else {
		race_persist(t, "NBD_SET_SOCK", set_sock_step);
		if (ioctl(c->fd, NBD_SET_SIZE, (unsigned long)IMAGE_SIZE))
			err(1, "NBD_SET_SIZE %s", t->node);
		if (pthread_create(&c->client_thread, NULL, run_client, c))
			errx(1, "pthread_create");
	}
	number = wait_until_connected(t);
	t->up = true;
	/* Seen without the edit of nbd_start_device(). */
	if (number == before && !race_stock) {
		/* Lest others wait for a server that has gone. */
		disconnect(t);
		errx(1, "%s has the number from before the connection", t->node);
	}
	label_number(number, label);
	return number;
}

static void nbd_teardown(struct target *t)
{
	if (t->up) {
		/* Also of one that has no size any more, the number goes. */
		if (t->kind == &nbd_netlink_kind &&
		    nbd_request(t, NBD_CMD_RECONFIGURE, 0, -1))
			errx(1, "NBD_CMD_RECONFIGURE %s", t->node);
		disconnect(t);
		/* Seen without the edit of nbd_config_put(), by netlink. */
		if (!race_stock &&
		    !wait_until(diskseq_of_path(t->node) != t->number))
			errx(1, "%s keeps the number of what has gone", t->node);
	}
	for (int i = 0; i < 2; i++)
		close(t->image[i]);
}

const struct kind nbd_kind = {
	.name		= "nbd",
	.help		= "disconnected, also while it is open, and connected",
	.blocks		= true,
	.ready		= true,
	.writes		= true,
	.setup		= nbd_setup,
	.turn		= nbd_turn,
	.teardown	= nbd_teardown,
};

const struct kind nbd_netlink_kind = {
	.name		= "nbd-netlink",
	.help		= "the same, by netlink in place of ioctls",
	.blocks		= true,
	.ready		= true,
	.writes		= true,
	.setup		= nbd_netlink_setup,
	.turn		= nbd_turn,
	.teardown	= nbd_teardown,
};
