/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The disk: opened once, and then only spoken of by its descriptor.
 */
#include "block-diskseq.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define BY_DISKSEQ "/dev/disk/by-diskseq"
#define DISKSEQFS_MAGIC 0x64736571

#define SECTOR_SIZE 512

bool read_line(int dir, const char *path, char *value, size_t size)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    if (fd < 0)
        return false;
    len = read(fd, value, size - 1);
    close(fd);
    if (len <= 0) {
        if (!len)
            errno = ENODATA;
        return false;
    }
    value[len] = '\0';
    value[strcspn(value, "\n")] = '\0';
    return true;
}

bool vbd_attribute(const char *name, const char *attribute, char *value,
                   size_t size)
{
    char path[160];
    int slash = strcspn(name, "/");

    snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/vbd-%.*s-%s/%s",
             slash, name, name + slash + (name[slash] == '/'), attribute);
    return read_line(AT_FDCWD, path, value, size);
}

bool disk_attribute(dev_t dev, const char *attribute, char *value, size_t size)
{
    char path[96];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev),
             minor(dev), attribute);
    return read_line(AT_FDCWD, path, value, size);
}

/* Open what is already open by PATH_FD, and not what has its path by now. */
static int reopen(int path_fd, int flags)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
    return open(path, flags | O_CLOEXEC);
}

/* Is PATH the name of a disk by number, which nothing can get again? */
static bool is_by_number(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = strndup(path, slash - path);
    struct statfs fs;
    bool is;

    is = dir && (!strcmp(dir, BY_DISKSEQ) ||
                 (!statfs(dir, &fs) && fs.f_type == DISKSEQFS_MAGIC)) &&
        slash[1] >= '1' && slash[1] <= '9';
    free(dir);
    return is;
}

__attribute__((noreturn))
static void refuse_target(const struct vbd *vbd, const char *what)
{
    int err = errno;

    if (is_by_number(vbd->target) &&
        (err == ENOENT || err == ENXIO || err == ESTALE || err == ENODEV))
        refuse(vbd, ERROR, "params", vbd->params,
               "has gone: there is no disk of this number (any more)");
    refuse(vbd, ERROR, "params", vbd->params, "%s: %s", what, strerror(err));
}

/* For what the disk is called; FD is open and stays so. */
static void name_disk(struct vbd *vbd)
{
    char part[16] = "";
    uint64_t number;
    struct stat st;
    int len, ro;

    if (fstat(vbd->fd, &st))
        refuse_target(vbd, "cannot get its device number");
    vbd->dev = st.st_rdev;
    if (ioctl(vbd->fd, BLKGETDISKSEQ, &number))
        refuse_target(vbd, "cannot get the number of the disk");
    if (ioctl(vbd->fd, BLKROGET, &ro))
        refuse_target(vbd, "cannot find out whether it is read-only");
    if (vbd->mode != 'r' && ro)
        refuse(vbd, BUSY, "params", vbd->params, "is read-only");

    /*
     * Should another disk have this major:minor by now, blkback will refuse:
     * it compares what it opens by its number with physical-device.
     */
    if (!disk_attribute(vbd->dev, "ro", part, sizeof(part)))
        refuse(vbd, ERROR, "params", vbd->params, "has gone");
    if (!disk_attribute(vbd->dev, "partition", part, sizeof(part))) {
        if (errno != ENOENT)
            refuse_target(vbd, "cannot get the number of the partition");
        part[0] = '\0';
    }
    len = snprintf(vbd->uid, sizeof(vbd->uid), "%" PRIu64 "%s%s", number,
                   part[0] ? "-part" : "", part);
    if (len < 0 || (size_t)len >= sizeof(vbd->uid))
        refuse(vbd, ERROR, "params", vbd->params, "has no usable number");
}

/*
 * Who opens the path, such as a device model, gets the same disk if diskseqfs is
 * there; udev's symbolic links do not help.
 */
static void prefer_diskseqfs(struct vbd *vbd)
{
    struct stat st;
    char *path;

    if (asprintf(&path, BY_DISKSEQ "/%s", vbd->uid) < 0)
        refuse(vbd, ERROR, "params", vbd->params, "%s", strerror(ENOMEM));
    if (!lstat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == vbd->dev) {
        free(vbd->path);
        vbd->path = path;
    } else {
        free(path);
    }
}

/*
 * Attach FILE to a free loop device, which is then open.  It detaches itself when
 * nobody has it open: killed at any point, this leaves nothing behind.
 */
static void attach(struct vbd *vbd, int file)
{
    bool ro = vbd->mode == 'r';
    struct loop_config config = {
        .fd = file,
        /* Guests are used to them, whatever the file system's device has. */
        .block_size = SECTOR_SIZE,
        .info.lo_flags = LO_FLAGS_AUTOCLEAR | (ro ? LO_FLAGS_READ_ONLY : 0) |
            (vbd->direct_io ? LO_FLAGS_DIRECT_IO : 0),
    };
    int control, i, n;

    memcpy(config.info.lo_file_name, vbd->target,
           strnlen(vbd->target, LO_NAME_SIZE - 1));
    control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        refuse_target(vbd, "cannot open /dev/loop-control to attach it");

    /* Somebody else may take, or remove, the device that was free. */
    for (i = 0; i < 100; i++) {
        n = ioctl(control, LOOP_CTL_GET_FREE);
        if (n < 0)
            refuse_target(vbd, "there is no free loop device for it");
        free(vbd->path);
        if (asprintf(&vbd->path, "/dev/loop%d", n) < 0) {
            vbd->path = NULL;
            errno = ENOMEM;
            refuse_target(vbd, "cannot be attached");
        }
        vbd->fd = open(vbd->path, (ro ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (vbd->fd < 0) {
            if (errno == ENXIO || errno == ENOENT || errno == EBUSY)
                continue;
            refuse_target(vbd, "cannot open a loop device for it");
        }
        if (!ioctl(vbd->fd, LOOP_CONFIGURE, &config)) {
            close(control);
            return;
        }
        if (errno != EBUSY)
            refuse_target(vbd, "cannot be attached to a loop device");
        close(vbd->fd);
    }
    errno = EBUSY;
    refuse_target(vbd, "no loop device stays free");
}

static void open_device(struct vbd *vbd, int path_fd)
{
    struct stat st;

    vbd->fd = reopen(path_fd, O_RDONLY);
    if (vbd->fd < 0)
        refuse_target(vbd, "cannot be opened");
    if (fstat(vbd->fd, &st))
        refuse_target(vbd, "cannot get its device number");
    if (vbd->mode != '!')
        check_sharing(vbd, &st.st_rdev, 1);
    vbd->path = strdup(vbd->target);
    if (!vbd->path)
        refuse_target(vbd, "cannot be told of");
}

static void open_file(struct vbd *vbd, int path_fd, mode_t perm)
{
    dev_t *loops;
    size_t n;
    int file;

    /* What only root's privilege would open is not to be written to. */
    if (vbd->mode != 'r' && !(perm & 0222))
        refuse(vbd, BUSY, "params", vbd->params, "is read-only");
    file = reopen(path_fd, vbd->mode == 'r' ? O_RDONLY : O_RDWR);
    if (file < 0)
        refuse_target(vbd, "cannot be opened");
    if (vbd->mode != '!' && file_is_shared(vbd, file)) {
        n = loops_of(vbd, file, &loops);
        check_sharing(vbd, loops, n);
        free(loops);
    }
    attach(vbd, file);
    close(file);
}

void open_target(struct vbd *vbd)
{
    struct stat st;
    int path_fd;

    if (vbd->params[0] == '/') {
        vbd->target = strdup(vbd->params);
    } else if (asprintf(&vbd->target, "/dev/%s", vbd->params) < 0) {
        vbd->target = NULL;
    }
    if (!vbd->target)
        refuse(vbd, ERROR, "params", vbd->params, "%s", strerror(ENOMEM));

    /* Looked at before it is opened: that may do something to other files. */
    path_fd = open(vbd->target, O_PATH | O_CLOEXEC);
    if (path_fd < 0 || fstat(path_fd, &st))
        refuse_target(vbd, "cannot be opened");
    if (S_ISBLK(st.st_mode))
        open_device(vbd, path_fd);
    else if (S_ISREG(st.st_mode))
        open_file(vbd, path_fd, st.st_mode);
    else
        refuse(vbd, ERROR, "params", vbd->params,
               "is neither a block device nor a file");
    close(path_fd);
    name_disk(vbd);
    /* A symbolic link of udev's may still be that of a disk which has gone. */
    if (is_by_number(vbd->target) &&
        strcmp(strrchr(vbd->target, '/') + 1, vbd->uid)) {
        errno = ENOENT;
        refuse_target(vbd, "cannot be opened");
    }
    prefer_diskseqfs(vbd);
}

/*
 * It detaches itself when blkback closes it, and no other that may have its name
 * is ever touched.  That is a moment after the backend is Closed.
 */
void wait_for_loop(const struct vbd *vbd)
{
    int64_t until = now_ms() + 5000;
    char value[32];
    unsigned int ms = 0;

    while (disk_attribute(vbd->dev, "loop/autoclear", value, sizeof(value)) &&
           !strcmp(value, "1") &&
           disk_attribute(vbd->dev, "diskseq", value, sizeof(value)) &&
           !strcmp(value, vbd->uid) && wait_a_bit(&ms, until))
        ;
}
