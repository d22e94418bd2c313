/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual disk, both ends in dom0, set up through XenStore as a toolstack and
 * its hotplug script do it.  There is one at a time.
 */
#ifndef VBD_H
#define VBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who is the frontend: the driver of this kernel, which makes xvda of it, or
 * nobody, so that the test can play its part.
 */
enum vbd_frontend { XVDA, NOBODY };

/* enum xenbus_state */
enum { INITIALISING = 1, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED };

#define VBD_BACKEND	"/local/domain/0/backend/vbd/0/51712"
/* Of the frontend that is nobody. */
#define VBD_FRONTEND	"/local/domain/0/diskseq-test/51712"
#define VBD_ERROR	"/local/domain/0/error/backend/vbd/0/51712/error"
#define VBD_SYSFS	"/sys/bus/xen-backend/devices/vbd-0-51712"

/* Write the nodes that make the backend create it. */
void vbd_announce(enum vbd_frontend frontend, const char *mode,
		  const char *device_type);
/* Create it: the backend waits for the hotplug script, and for nothing else. */
void vbd_create(enum vbd_frontend frontend, const char *mode,
		const char *device_type);
/*
 * Wait until this kernel has handled all events of what was written, by us or by
 * itself.  InitWait is not the end of that: the watches that a device registers
 * fire once, and each node that was written fires the one of all backends.
 */
void vbd_settle(void);
/* Remove it, connected or not, and what it has left in XenStore. */
void vbd_destroy(void);

/* In one transaction: physical-device, and physical-device-uid unless %NULL. */
void vbd_name(const char *uid, const char *physical_device);
void vbd_name_bytes(const void *uid, size_t len, const char *physical_device);
/* The same, but earlier errors stay. */
void vbd_write_nodes(const void *uid, size_t len, const char *physical_device);

/* Does the backend come to that state? */
bool vbd_comes_to(int state);
/* Has the backend a device open that is called that? */
bool vbd_has_open(const char *uid);
/* The same, waiting for it. */
bool vbd_opens(const char *uid);
/*
 * Does the backend refuse, with an error that has this number and, once in
 * XenStore and once in the kernel's log since vbd_name(), physical-device-uid?
 */
bool vbd_refuses(int error);
/* Write the state of the frontend that is nobody. */
void vbd_set_frontend(int state);
/* It goes through Closed: the backend waits again. */
void vbd_reconnect(void);

/*
 * Count calls of a kernel function by the thread that handles XenStore watches:
 * an event as of Documentation/trace/kprobetrace.rst, and what its line says.
 */
void trace_start(const char *event);
unsigned int trace_count(const char *text);

/*
 * Let the nth memory allocation of that thread from now on fail, or none (0).
 * How many are to come until then, 0 after it.
 */
void fail_allocation(unsigned int nth);
unsigned int fail_remaining(void);

#endif /* VBD_H */
