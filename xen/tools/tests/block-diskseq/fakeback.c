/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fakeback SYSFS DISKS: what xen-blkback does with the nodes of backends, but not
 * with their disks.  SYSFS is its /sys/bus/xen-backend, DISKS where diskseqfs is.
 *
 * A backend with the node "unaware" does not say that it knows numbers, one with
 * "deaf" does not open anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xenstore.h>

#define BACKENDS "/local/domain/0/backend/vbd"

static struct xs_handle *xs;
static const char *sysfs, *disks;

/* What is open, for as long as the backend is there. */
static struct open_disk {
    struct open_disk *next;
    char name[32];
    int fd;
} *opened;

static char *get(const char *name, const char *node)
{
    char path[256];
    unsigned int len;

    snprintf(path, sizeof(path), BACKENDS "/%s/%s", name, node);
    return xs_read(xs, XBT_NULL, path, &len);
}

static bool has(const char *name, const char *node)
{
    char *value = get(name, node);

    free(value);
    return value;
}

static void set(const char *name, const char *node, const char *value)
{
    char path[256];

    snprintf(path, sizeof(path), BACKENDS "/%s/%s", name, node);
    xs_write(xs, XBT_NULL, path, value, strlen(value));
}

static void device_dir(char path[512], const char *name)
{
    int slash = strcspn(name, "/");

    snprintf(path, 512, "%s/devices/vbd-%.*s-%s", sysfs, slash, name,
             name + slash + 1);
}

static void attribute(const char *name, const char *attr, const char *format, ...)
{
    char path[600];
    va_list args;
    FILE *file;

    device_dir(path, name);
    strcat(path, "/");
    strcat(path, attr);
    file = fopen(path, "w");
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fclose(file);
}

static void gone(const char *name)
{
    static const char *const attrs[] = {
        "/physical_device_uid", "/physical_device", "/mode", "",
    };
    struct open_disk **p, *disk;
    char dir[512], path[600];
    unsigned int i;

    for (p = &opened; (disk = *p); p = &disk->next) {
        if (!strcmp(disk->name, name)) {
            close(disk->fd);
            *p = disk->next;
            free(disk);
            break;
        }
    }
    device_dir(dir, name);
    for (i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", dir, attrs[i]);
        remove(path);
    }
}

static void open_disk(const char *name, const char *device)
{
    char path[600], error[700], *uid = get(name, "physical-device-uid");
    char *mode = get(name, "mode");
    struct open_disk *disk;
    unsigned int maj, min;
    struct stat st;
    int fd;

    for (disk = opened; disk; disk = disk->next)
        if (!strcmp(disk->name, name))
            goto out;
    if (!mode || sscanf(device, "%x:%x", &maj, &min) != 2)
        goto out;
    snprintf(path, sizeof(path), "%s/%s", disks, uid ? uid : "");
    if (!uid)
        snprintf(path, sizeof(path), "/dev/loop%u", min);
    fd = open(path, (strchr(mode, 'w') ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || st.st_rdev != makedev(maj, min)) {
        snprintf(error, sizeof(error), "6 opening %s as %s", path, device);
        snprintf(path, sizeof(path), "error/backend/vbd/%s/error", name);
        xs_write(xs, XBT_NULL, path, error, strlen(error));
        set(name, "state", "5");
        goto out;
    }
    disk = calloc(1, sizeof(*disk));
    disk->fd = fd;
    snprintf(disk->name, sizeof(disk->name), "%s", name);
    disk->next = opened;
    opened = disk;
    attribute(name, "physical_device", "%s\n", device);
    attribute(name, "mode", "%s\n", mode);
    attribute(name, "physical_device_uid", "%s\n", uid ? uid : "?");
out:
    free(uid);
    free(mode);
}

static void look_at(const char *name)
{
    char *state = get(name, "state"), *device;
    char dir[512];

    if (!state || !strcmp(state, "6")) {
        gone(name);
        free(state);
        return;
    }
    if (!strcmp(state, "1")) {
        device_dir(dir, name);
        mkdir(dir, 0755);
        if (!has(name, "unaware"))
            set(name, "feature-physical-device-uid", "1");
        set(name, "state", "2");
    } else if (!strcmp(state, "2") && !has(name, "deaf")) {
        device = get(name, "physical-device");
        if (device)
            open_disk(name, device);
        free(device);
    }
    free(state);
}

int main(int argc, char *argv[])
{
    char name[32], domain[16], device[16], **event;
    unsigned int n;

    if (argc != 3)
        return 2;
    sysfs = argv[1];
    disks = argv[2];
    xs = xs_open(0);
    if (!xs || !xs_watch(xs, BACKENDS, ""))
        return 1;
    while ((event = xs_read_watch(xs, &n))) {
        if (sscanf(event[XS_WATCH_PATH], BACKENDS "/%15[0-9]/%15[0-9]", domain,
                   device) == 2) {
            snprintf(name, sizeof(name), "%s/%s", domain, device);
            look_at(name);
        } else {
            struct open_disk *disk, *next;

            /* A whole domain may have gone. */
            for (disk = opened; disk; disk = next) {
                next = disk->next;
                look_at(strcpy(name, disk->name));
            }
        }
        free(event);
    }
    return 1;
}
