/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What xl does with the nodes of a backend VBD, DOMAIN/DEVICE; in a shell it would
 * take hours.
 *
 *  fakexl create VBD TARGET MODE [NODE VALUE]...  until the driver has come
 *  fakexl settle VBD        wait until the driver has done what it was told
 *  fakexl gone VBD          remove it, until the driver has gone
 *  fakexl rounds N PROGRAM REFUSED TARGET...  attach and detach 1/51712 so often, as
 *                          the targets in turn; after each tenth, have REFUSED refused
 *  fakexl each WHAT INTERFERE.SO PROGRAM TARGET [OTHER-SCRIPT]  see each_call.c
 *
 * FAKEXL_SYSFS is what the driver has instead of /sys/bus/xen-backend.
 */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#include "fakexl.h"

extern char **environ;

struct xs_handle *xs;
char backend[128];
static const char *vbd;
static char device[256];

void choose(const char *name)
{
    int slash = strcspn(name, "/");

    vbd = name;
    snprintf(backend, sizeof(backend), "/local/domain/0/backend/vbd/%s", name);
    snprintf(device, sizeof(device), "%s/devices/vbd-%.*s-%s",
             getenv("FAKEXL_SYSFS"), slash, name,
             name[slash] ? name + slash + 1 : "");
}

char *path(const char *node)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", backend, node);
    return path;
}

void set(const char *node, const char *value)
{
    if (!xs_write(xs, XBT_NULL, path(node), value, strlen(value)))
        err(1, "%s", path(node));
}

bool is(const char *node, const char *wanted)
{
    unsigned int len;
    char *value = xs_read(xs, XBT_NULL, path(node), &len);
    bool is = value && (!wanted || !strcmp(value, wanted));

    free(value);
    return is;
}

static bool driver_waits(void)
{
    return is("state", "2");
}

static bool driver_gone(void)
{
    return access(device, F_OK);
}

const char *held_file(void)
{
    static char file[300];

    snprintf(file, sizeof(file), "%s/physical_device_uid", device);
    return file;
}

/* The driver has done with it what it wants to. */
static bool settled(void)
{
    return !is("physical-device", NULL) || !is("state", "2") ||
        !access(held_file(), F_OK);
}

/*
 * A fifth of a millisecond of patience, N times: 10 s in all, if not more.  Where a
 * tick takes 10 ms, most has happened before it when the others may run at once.
 */
void wait_for(const char *what, bool (*condition)(void))
{
    unsigned int n;

    for (n = 0; !condition(); n++) {
        if (n == 50000)
            errx(1, "%s: waited in vain for: %s", vbd, what);
        if (n < 100)
            sched_yield();
        else
            nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    }
}

void settle(void)
{
    wait_for("what the driver does", settled);
}

/* All at once, with STATE 1, whose event is the one that counts. */
void create(const char *target, const char *mode, char *more[])
{
    char *domain = strndup(vbd, strcspn(vbd, "/"));

    set("frontend-id", domain);
    free(domain);
    set("dev", "xvdz");
    set("params", target);
    set("mode", mode);
    for (; more && more[0] && more[1]; more += 2)
        set(more[0], more[1]);
    set("state", "1");
    wait_for("the driver", driver_waits);
}

void gone(void)
{
    char error[160];

    snprintf(error, sizeof(error), "error/backend/vbd/%s", vbd);
    if (!xs_rm(xs, XBT_NULL, error) && errno != ENOENT)
        err(1, "%s", error);
    if (!xs_rm(xs, XBT_NULL, backend))
        err(1, "%s", backend);
    wait_for("the end of the backend", driver_gone);
}

/* It has to end with the status WANTED. */
static void run(const char *program, const char *command, unsigned int round,
                int wanted)
{
    char *argv[] = { (char *)program, (char *)command, NULL };
    int status;
    pid_t pid;

    if (posix_spawn(&pid, program, NULL, NULL, argv, environ))
        errx(1, "cannot run %s", program);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != wanted)
        errx(1, "round %u: %s: status %#x", round, command, status);
}

static void take_away(const char *program, unsigned int round)
{
    set("state", "6");
    run(program, "remove", round, 0);
    gone();
}

static void rounds(unsigned int n, const char *program, const char *refused,
                   char *targets[], unsigned int n_targets)
{
    unsigned int i;

    choose("1/51712");
    setenv("XENBUS_PATH", backend, 1);
    for (i = 1; i <= n; i++) {
        create(targets[i % n_targets], "w", NULL);
        run(program, "add", i, 0);
        if (!is("hotplug-status", "connected"))
            errx(1, "round %u: not connected", i);
        take_away(program, i);
        if (i % 10)
            continue;

        create(refused, "w", NULL);
        run(program, "add", i, 1);
        if (!is("hotplug-error", NULL) || is("physical-device", NULL))
            errx(1, "round %u: not refused", i);
        take_away(program, i);
        /* Whoever runs thousands of them sees that they go on. */
        if (i % 100 == 0) {
            printf("# %u of %u rounds\n", i, n);
            fflush(stdout);
        }
    }
}

int main(int argc, char *argv[])
{
    const char *what = argc > 2 ? argv[1] : "";

    xs = xs_open(0);
    if (!xs)
        err(1, "xs_open");
    if (argc > 2)
        choose(argv[2]);
    if (!strcmp(what, "create") && argc >= 5)
        create(argv[3], argv[4], argv + 5);
    else if (!strcmp(what, "settle"))
        settle();
    else if (!strcmp(what, "gone"))
        gone();
    else if (!strcmp(what, "rounds") && argc >= 6)
        rounds(atoi(argv[2]), argv[3], argv[4], argv + 5, argc - 5);
    else if (!strcmp(what, "each") && (argc == 6 || argc == 7))
        each_call(argv[2], argv[3], argv[4], argv[5], argv[6]);
    else
        return 2;
    return 0;
}
