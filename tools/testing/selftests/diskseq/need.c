// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/mount.h>

#include "need.h"
#include "../kselftest.h"

/* Of a file system: 0, or an errno.  To make one, it is mounted nowhere. */
static int try_fs(const char *type, bool make)
{
	int fd = syscall(__NR_fsopen, type, FSOPEN_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (make && syscall(__NR_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		error = errno;
	close(fd);
	return error;
}

/* Not all that has the user id 0: in a user namespace that is nobody. */
static bool is_root(void)
{
	return !geteuid() && try_fs("proc", false) != EPERM &&
	       !access("/proc/1/root/.", F_OK);
}

static bool has_diskseqfs(void)
{
	return !try_fs("diskseqfs", true);
}

static bool has_loop(void)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr = -1;

	if (fd < 0)
		return false;
	nr = ioctl(fd, LOOP_CTL_GET_FREE);
	close(fd);
	return nr >= 0;
}

#ifdef HAVE_LIBURING
#define NO_IO_URING	"no io_uring in this kernel"
#else
#define NO_IO_URING	"built without liburing"
#endif

static bool has_io_uring(void)
{
#ifdef HAVE_LIBURING
	struct io_uring_params params = { 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);

	if (fd < 0)
		return false;
	close(fd);
	return true;
#else
	return false;
#endif
}

static bool has_fhandle(void)
{
	return syscall(SYS_name_to_handle_at, -1, NULL, NULL, NULL, 0) < 0 &&
	       errno == EFAULT;
}

static bool is_dom0(void)
{
	FILE *file = fopen("/proc/xen/capabilities", "r");
	char line[64] = "";
	bool is = file && fgets(line, sizeof(line), file) &&
		  strstr(line, "control_d");

	if (file)
		fclose(file);
	return is;
}

static bool has_fs(const char *type)
{
	return try_fs(type, false) != ENODEV;
}

static bool has_tool(const char *name)
{
	char path[4096], *dirs = strdup(getenv("PATH") ?: ""), *dir, *rest = dirs;
	bool found = false;

	while (!found && (dir = strsep(&rest, ":"))) {
		snprintf(path, sizeof(path), "%s/%s", *dir ? dir : ".", name);
		found = !access(path, X_OK);
	}
	free(dirs);
	return found;
}

static bool has_file(const char *path)
{
	return !access(path, F_OK);
}

static bool has_symbol(const char *name)
{
	char line[512], symbol[256];
	FILE *file = fopen("/proc/kallsyms", "r");
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*s %*c %255s", symbol) == 1 &&
			!strcmp(symbol, name);
	fclose(file);
	return found;
}

static const struct {
	const char *name;
	bool (*alone)(void);
	bool (*of)(const char *what);
	const char *reason;
} kinds[] = {
	{ "root", is_root, NULL, "not root here" },
	{ "diskseqfs", has_diskseqfs, NULL, "no diskseqfs in this kernel" },
	{ "loop", has_loop, NULL, "no loop device to be had" },
	{ "io_uring", has_io_uring, NULL, NO_IO_URING },
	{ "fhandle", has_fhandle, NULL, "no file handles in this kernel" },
	{ "dom0", is_dom0, NULL, "not in a Xen dom0" },
	{ "fs:", NULL, has_fs, "no file system %s in this kernel" },
	{ "tool:", NULL, has_tool, "no program %s in $PATH" },
	{ "file:", NULL, has_file, "no %s" },
	{ "symbol:", NULL, has_symbol, "no %s() in this kernel" },
};

/* What nobody knows is missing as well, so that it is seen. */
static const char *missing(const char *need)
{
	static char reason[256];
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		len = strlen(kinds[i].name);
		if (kinds[i].alone) {
			if (!strcmp(need, kinds[i].name))
				return kinds[i].alone() ? NULL : kinds[i].reason;
		} else if (!strncmp(need, kinds[i].name, len)) {
			if (kinds[i].of(need + len))
				return NULL;
			snprintf(reason, sizeof(reason), kinds[i].reason,
				 need + len);
			return reason;
		}
	}
	snprintf(reason, sizeof(reason), "nobody knows what '%s' is", need);
	return reason;
}

const char *missing_of(const char *const *needs)
{
	const char *reason;

	for (; *needs; needs++) {
		reason = missing(*needs);
		if (reason)
			return reason;
	}
	return NULL;
}
