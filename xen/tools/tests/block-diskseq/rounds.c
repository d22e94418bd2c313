/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rounds N PROGRAM IMAGE SYSFS: attach and detach the backend 1/51712 so often, as
 * xl does: with a shell it would take hours.
 */
#include <err.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#define VBD "1/51712"
#define BACKEND "/local/domain/0/backend/vbd/" VBD

extern char **environ;

static struct xs_handle *xs;

static void set(const char *node, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), BACKEND "/%s", node);
    if (!xs_write(xs, XBT_NULL, path, value, strlen(value)))
        err(1, "%s", path);
}

static bool is(const char *node, const char *wanted)
{
    char path[128], *value;
    unsigned int len;
    bool is;

    snprintf(path, sizeof(path), BACKEND "/%s", node);
    value = xs_read(xs, XBT_NULL, path, &len);
    is = value && !strcmp(value, wanted);
    free(value);
    return is;
}

/* A fifth of a millisecond of patience, N times: 10 s in all. */
static bool again(unsigned int *n)
{
    return ++*n < 50000 &&
        !nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static void run(const char *program, const char *command, const char *round)
{
    char *argv[] = { (char *)program, (char *)command, NULL };
    int status;
    pid_t pid;

    if (posix_spawn(&pid, program, NULL, NULL, argv, environ))
        errx(1, "cannot run %s", program);
    if (waitpid(pid, &status, 0) != pid || status)
        errx(1, "round %s: %s: status %#x", round, command, status);
}

int main(int argc, char *argv[])
{
    unsigned int i, n, tries;
    char round[16], dir[256];

    if (argc != 5)
        return 2;
    n = atoi(argv[1]);
    snprintf(dir, sizeof(dir), "%s/devices/vbd-1-51712", argv[4]);
    xs = xs_open(0);
    if (!xs)
        err(1, "xs_open");
    setenv("XENBUS_PATH", BACKEND, 1);
    for (i = 1; i <= n; i++) {
        snprintf(round, sizeof(round), "%u", i);
        set("frontend-id", "1");
        set("dev", "xvda");
        set("params", argv[3]);
        set("mode", "w");
        set("state", "1");
        for (tries = 0; !is("state", "2");)
            if (!again(&tries))
                errx(1, "round %u: the driver does not come", i);
        run(argv[2], "add", round);
        if (!is("hotplug-status", "connected"))
            errx(1, "round %u: not connected", i);
        set("state", "6");
        run(argv[2], "remove", round);
        if (!xs_rm(xs, XBT_NULL, BACKEND))
            err(1, "round %u: " BACKEND, i);
        for (tries = 0; !access(dir, F_OK);)
            if (!again(&tries))
                errx(1, "round %u: the driver does not go", i);
    }
    return 0;
}
