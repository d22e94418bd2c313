/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule of Xen's block script, whose lock the caller holds: nobody else may
 * have any of the devices, or if all only read: nobody else may write.
 *
 * XenStore is asked about those backends only that have none open yet, and about
 * those that have one of ours: the time that this takes must hardly grow with the
 * number of disks.
 */
#include "block-diskseq.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BACKENDS "/sys/bus/xen-backend/devices"

static bool has_dev(const dev_t *devs, size_t n, dev_t dev)
{
    while (n--)
        if (devs[n] == dev)
            return true;
    return false;
}

__attribute__((noreturn))
static void cannot_tell(const struct vbd *vbd, const char *what)
{
    refuse(vbd, ERROR, "params", vbd->params,
           "cannot find out who else has it: %s: %s", what, strerror(errno));
}

/* Undo what mountinfo does to blanks, backslashes and the like. */
static void unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

/*
 * Any user may mount FUSE, with any source.  What is really on a disk then, as
 * fuseblk, has the number of that.
 */
static bool is_fuse(const char *type)
{
    return !strcmp(type, "fuse") || !strncmp(type, "fuse.", 5);
}

/*
 * A file system says what it is on by its own device number.  If it has one of
 * its own, as btrfs, there is the path.
 */
static void check_mounts(const struct vbd *vbd, const dev_t *devs, size_t n)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, *rest, *type, *source, *options;
    unsigned int maj, min;
    size_t size = 0;
    struct stat st;
    bool is;

    if (!mounts)
        cannot_tell(vbd, "/proc/self/mountinfo");
    errno = 0;
    while (getline(&line, &size, mounts) > 0) {
        if (sscanf(line, "%*s %*s %u:%u", &maj, &min) != 2)
            continue;
        rest = strstr(line, " - ");
        if (!rest)
            continue;
        rest += 3;
        type = strsep(&rest, " ");
        source = strsep(&rest, " ");
        options = strsep(&rest, " \n");
        if (!type || !source || !options)
            continue;
        unescape(source);
        is = has_dev(devs, n, makedev(maj, min));
        if (!maj && source[0] == '/' && !is_fuse(type)) {
            if (!stat(source, &st))
                is = S_ISBLK(st.st_mode) && has_dev(devs, n, st.st_rdev);
            else if (errno == ENOMEM || errno == EIO)
                cannot_tell(vbd, source);
        }
        if (is && (vbd->mode != 'r' || strncmp(options, "ro", 2) ||
                   (options[2] && options[2] != ',')))
            refuse(vbd, BUSY, "params", vbd->params,
                   "is mounted in this domain (%.256s)", source);
        errno = 0;
    }
    if (errno)
        cannot_tell(vbd, "/proc/self/mountinfo");
    free(line);
    fclose(mounts);
}

/*
 * The value, to be freed, of NODE of domain DOMAIN, or a copy of OTHER.  HIDDEN
 * is set if this domain, which is a driver domain then, may not see it.
 */
static char *domain_node(const struct vbd *vbd, const char *domain,
                         const char *node, const char *other, bool *hidden)
{
    char dir[64];
    char *value;

    if (snprintf(dir, sizeof(dir), "/local/domain/%s", domain) >=
        (int)sizeof(dir)) {
        errno = ENAMETOOLONG;
        cannot_tell(vbd, "XenStore");
    }
    value = store_read(dir, node);
    if (!value && errno == EACCES)
        *hidden = true;
    if (!value && (errno == ENOENT || errno == EACCES))
        value = strdup(other);
    if (!value)
        cannot_tell(vbd, "XenStore");
    return value;
}

/*
 * Have two domains the same "vm"?  Or is OURS, which ends with -1 then, one that
 * moves to where THEIRS was, on this very machine.
 */
static bool vm_is(const char *ours, const char *theirs)
{
    size_t len = strlen(ours);

    if (!strcmp(ours, theirs))
        return true;
    return len > 2 && !strcmp(ours + len - 2, "-1") &&
        strlen(theirs) == len - 2 && !strncmp(ours, theirs, len - 2);
}

/*
 * Is DOMAIN this guest, its device model, or the guest of that?  Or gone: tool
 * stacks remove a domain before its backends.  Where that cannot be seen, it is
 * somebody else: two who write to one disk destroy what is on it.  (A driver domain
 * sees none of it: XenStore tells who may not read a node the same if there is none.)
 */
static bool same_vm(const struct vbd *vbd, const char *domain)
{
    bool hidden = false;
    char *ours = domain_node(vbd, vbd->frontend, "vm", "unknown", &hidden);
    char *theirs = domain_node(vbd, domain, "vm", ours, &hidden);
    char *target = domain_node(vbd, vbd->frontend, "target", "-1", &hidden);
    char *targets = domain_node(vbd, target, "vm", "no target", &hidden);
    char *other = domain_node(vbd, domain, "target", "-1", &hidden);
    char *others = domain_node(vbd, other, "vm", "no other target", &hidden);
    bool same;

    same = !hidden && (vm_is(ours, theirs) || !strcmp(targets, theirs) ||
                       vm_is(ours, others) || !strcmp(targets, others));
    free(ours);
    free(theirs);
    free(target);
    free(targets);
    free(other);
    free(others);
    return same;
}

/* Not by sscanf(), which takes ten times as long, and this is done for each. */
static bool parse_dev(const char *value, dev_t *dev)
{
    unsigned long maj, min;
    char *end;

    maj = strtoul(value, &end, 16);
    if (end == value || *end != ':')
        return false;
    value = end + 1;
    min = strtoul(value, &end, 16);
    if (end == value)
        return false;
    *dev = makedev(maj, min);
    return true;
}

/* Has the device DEV the number of the disk that is called UID? */
static bool is_disk(const struct vbd *vbd, dev_t dev, const char *uid)
{
    size_t len = strcspn(uid, "-");
    char number[32];

    if (!disk_attribute(dev, "diskseq", number, sizeof(number)) &&
        (errno != ENOENT ||
         !disk_attribute(dev, "../diskseq", number, sizeof(number)))) {
        if (errno != ENOENT && errno != ENODEV)
            cannot_tell(vbd, "sysfs");
        return false;
    }
    return strlen(number) == len && !strncmp(number, uid, len);
}

/* That of a backend of which the driver has nothing open. */
static char *mode_of_waiting(const struct vbd *vbd, const char *base,
                             const char *name, const dev_t *devs, size_t n)
{
    char *dir, *device, *uid = NULL, *mode = NULL;
    dev_t dev;

    if (asprintf(&dir, "%s%s", base, name) < 0) {
        errno = ENOMEM;
        cannot_tell(vbd, "XenStore");
    }
    device = store_read(dir, "physical-device");
    if (!device && errno != ENOENT)
        cannot_tell(vbd, "XenStore");
    if (device && parse_dev(device, &dev) && has_dev(devs, n, dev)) {
        uid = store_read(dir, "physical-device-uid");
        if (!uid && errno != ENOENT)
            cannot_tell(vbd, "XenStore");
        /*
         * What is left of an attach that failed: its disk has gone, and this
         * one has its major:minor.
         */
        if (!uid || is_disk(vbd, dev, uid)) {
            mode = store_read(dir, "mode");
            if (!mode && errno == ENOENT)
                mode = strdup("");
            if (!mode)
                cannot_tell(vbd, "XenStore");
        }
    }
    free(device);
    free(uid);
    free(dir);
    return mode;
}

/*
 * The folder in which the devices themselves are, if that is where the link ENTRY
 * of the folder LINKS leads, or else LINKS.  A walk through the link takes twice as
 * long, and this is done for each.
 */
static int folder_of(int links, const char *entry)
{
    char target[300];
    ssize_t len = readlinkat(links, entry, target, sizeof(target) - 1);
    char *slash;
    int fd;

    if (len <= 0)
        return links;
    target[len] = '\0';
    slash = strrchr(target, '/');
    if (!slash || strcmp(slash + 1, entry))
        return links;
    *slash = '\0';
    fd = openat(links, target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? links : fd;
}

/*
 * An attribute of the backend device ENTRY, which is in the folder DEVICES, or
 * where the folder LINKS says.
 */
static bool attribute(int devices, int links, const char *entry,
                      const char *attr, char *value, size_t size)
{
    char path[300];

    stpcpy(stpcpy(stpcpy(path, entry), "/"), attr);
    return read_line(devices, path, value, size) ||
        (devices != links && read_line(links, path, value, size));
}

/* DOMAIN/DEVICE of vbd-DOMAIN-DEVICE; false if ENTRY is no such name. */
static bool name_of_entry(const char *entry, char name[32])
{
    size_t len = strlen(entry);
    char *dash;

    if (strncmp(entry, "vbd-", 4) || len - 4 >= 32)
        return false;
    strcpy(name, entry + 4);
    dash = strchr(name, '-');
    if (!dash)
        return false;
    *dash = '/';
    return true;
}

static void check_backend(const struct vbd *vbd, const char *base, int devices,
                          int links, const char *entry, const dev_t *devs,
                          size_t n)
{
    char value[32], name[32], *mode;
    bool conflict;
    dev_t dev;

    if (attribute(devices, links, entry, "physical_device", value,
                  sizeof(value))) {
        if (!parse_dev(value, &dev) || !has_dev(devs, n, dev))
            return;
        if (!attribute(devices, links, entry, "mode", value, sizeof(value)))
            strcpy(value, "w");         /* on its way out */
        mode = strdup(value);
        if (!mode)
            cannot_tell(vbd, "sysfs");
    } else {
        if (errno != ENOENT && errno != ENODEV && errno != ENODATA)
            cannot_tell(vbd, "sysfs");
        mode = NULL;
    }
    if (!name_of_entry(entry, name) || !strcmp(name, vbd->name)) {
        free(mode);
        return;
    }
    if (!mode)
        mode = mode_of_waiting(vbd, base, name, devs, n);
    if (!mode)
        return;
    conflict = vbd->mode != 'r' || strchr(mode, 'w');
    free(mode);
    name[strcspn(name, "/")] = '\0';
    if (conflict && !same_vm(vbd, name))
        refuse(vbd, BUSY, "params", vbd->params, "is in use by guest %s", name);
}

static void check_backends(const struct vbd *vbd, const dev_t *devs, size_t n)
{
    DIR *dir = opendir(BACKENDS);
    struct dirent *entry;
    int devices = -1;
    char *base;

    /* Without the bus there were no driver that takes a number. */
    if (!dir)
        cannot_tell(vbd, BACKENDS);
    base = strndup(vbd->dir, vbd->name - vbd->dir);
    if (!base)
        cannot_tell(vbd, "XenStore");
    while (errno = 0, (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "vbd-", 4))
            continue;
        if (devices < 0)
            devices = folder_of(dirfd(dir), entry->d_name);
        check_backend(vbd, base, devices, dirfd(dir), entry->d_name, devs, n);
    }
    if (errno)
        cannot_tell(vbd, BACKENDS);
    if (devices >= 0 && devices != dirfd(dir))
        close(devices);
    free(base);
    closedir(dir);
}

void check_sharing(const struct vbd *vbd, const dev_t *devs, size_t n)
{
    if (!n)
        return;
    check_mounts(vbd, devs, n);
    check_backends(vbd, devs, n);
}

/*
 * Whoever has the file attached has it open.  A lease is given for a file that
 * nobody else has open, or to read, that nobody has open to write.  It is given
 * back at once: who opens the file must not wait for it.  (To hear of that would
 * end this program: SIGIO is ignored.)
 */
bool file_is_shared(const struct vbd *vbd, int fd)
{
    if (fcntl(fd, F_SETLEASE, vbd->mode == 'r' ? F_RDLCK : F_WRLCK))
        return true;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

size_t loops_of(const struct vbd *vbd, int fd, dev_t **devs)
{
    struct loop_info64 info;
    struct dirent *entry;
    char path[300];
    struct stat file, loop;
    size_t n = 0;
    dev_t *more;
    DIR *dir;
    int disk;

    *devs = NULL;
    dir = opendir("/sys/block");
    if (!dir || fstat(fd, &file))
        cannot_tell(vbd, "/sys/block");
    while (errno = 0, (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "loop", 4))
            continue;
        snprintf(path, sizeof(path), "/sys/block/%s/loop", entry->d_name);
        if (access(path, F_OK)) {
            if (errno == ENOENT)
                continue;               /* nothing attached */
            cannot_tell(vbd, path);
        }
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        disk = open(path, O_RDONLY | O_CLOEXEC);
        if (disk < 0) {
            if (errno == ENXIO || errno == ENOENT || errno == ENODEV)
                continue;
            cannot_tell(vbd, path);
        }
        if (ioctl(disk, LOOP_GET_STATUS64, &info) || fstat(disk, &loop)) {
            if (errno != ENXIO)
                cannot_tell(vbd, path);
        } else if (info.lo_device == file.st_dev &&
                   info.lo_inode == file.st_ino) {
            more = reallocarray(*devs, n + 1, sizeof(**devs));
            if (!more)
                cannot_tell(vbd, path);
            *devs = more;
            (*devs)[n++] = loop.st_rdev;
        }
        close(disk);
    }
    if (errno)
        cannot_tell(vbd, "/sys/block");
    closedir(dir);
    return n;
}
