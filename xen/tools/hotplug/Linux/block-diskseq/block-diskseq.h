/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Give a guest exactly the disk that was asked for, see block-diskseq(8).
 */
#ifndef BLOCK_DISKSEQ_H
#define BLOCK_DISKSEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A backend device, and what is to be its disk. */
struct vbd {
    const char *dir;            /* in XenStore: [...]/backend/vbd/DOMAIN/DEVICE */
    const char *name;           /* its end, DOMAIN/DEVICE */

    char *params;               /* as in XenStore */
    char *target;               /* the path that it means */
    char mode;                  /* r, w, or ! (w, and whoever else has it) */
    char *frontend;             /* domain of the guest */
    bool direct_io;             /* of the loop device */

    int fd;                     /* the disk, open */
    dev_t dev;
    char uid[32];               /* NUMBER or NUMBER-partPARTITION */
    char *path;                 /* of a loop device, of diskseqfs, or the target */
};

/* What hotplug-status says. */
#define ERROR "error"
#define BUSY  "busy"

/* main.c */

/*
 * Tell everybody why there is no disk, and exit.  NODE is the one in XenStore
 * that had VALUE, of any bytes; both may be NULL.
 */
void refuse(const struct vbd *vbd, const char *status, const char *node,
            const char *value, const char *reason, ...)
    __attribute__((format(printf, 5, 6), noreturn));

/* The same if the backend is gone: nothing must come into being there again. */
void refuse_quietly(const char *reason, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/*
 * Sleep, each time a bit longer; false from UNTIL on, of now_ms(), or when all of it
 * has taken too long.
 */
bool wait_a_bit(unsigned int *ms, int64_t until);
int64_t now_ms(void);

/* Until then. */
int64_t ms_left(void);

/* store.c: all of XenStore, by one connection.  DIR/NODE is a path. */

/* false, and errno */
bool store_open(void);

/*
 * The value, to be freed, and its length without the NUL; NULL and ENOENT if
 * there is none.  A value with a NUL in it is an error, too: EILSEQ.
 */
char *store_read(const char *dir, const char *node);

/* Is it there?  -1 and errno if nobody knows. */
int store_exists(const char *dir, const char *node);

/*
 * Write all PAIRS of NODE, VALUE in DIR (up to a NULL), remove the path GONE (if
 * any), or do nothing of it: false and errno, ENOENT if DIR has no GUARD (any
 * more).
 */
bool store_write(const char *dir, const char *guard, const char *gone,
                 const char *const pairs[][2]);

/* disk.c */

/* Open the target, whatever it is, and have its number: from here on it stays. */
void open_target(struct vbd *vbd);

/* Wait until the loop device of what was attached has gone. */
void wait_for_loop(const struct vbd *vbd);

/*
 * The first line of a file, without the newline: false and errno, ENODATA if it is
 * empty.
 */
bool read_line(int dir, const char *path, char *value, size_t size);

/*
 * A line of sysfs, on the backend device NAME, DOMAIN/DEVICE, or on the disk DEV:
 * false and errno.
 */
bool vbd_attribute(const char *name, const char *attribute, char *value,
                   size_t size);
bool disk_attribute(dev_t dev, const char *attribute, char *value, size_t size);

/* sharing.c */

/* Refuse it if somebody has one of the N devices and must not. */
void check_sharing(const struct vbd *vbd, const dev_t *devs, size_t n);

/* Can anybody have the file FD attached, in a way that matters? */
bool file_is_shared(const struct vbd *vbd, int fd);

/* The N loop devices that have it attached, to be freed. */
size_t loops_of(const struct vbd *vbd, int fd, dev_t **devs);

/*
 * lock.c: that of Xen's block scripts.  false and errno.
 * ETIMEDOUT: others have held it for as long as this program may take.
 */
extern const char lock_file[];
bool claim_lock(void);
void release_lock(void);

#endif /* BLOCK_DISKSEQ_H */
