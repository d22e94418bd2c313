/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XenStore, by one connection.  One that goes away ends a transaction, and the
 * library lets it go when it cannot receive an answer.
 */
#include "block-diskseq.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

static struct xs_handle *xs;

bool store_open(void)
{
    xs = xs_open(0);
    return xs;
}

static bool join(char path[XENSTORE_ABS_PATH_MAX], const char *dir,
                 const char *node)
{
    int len = snprintf(path, XENSTORE_ABS_PATH_MAX, "%s/%s", dir, node);

    if (len >= 0 && len < XENSTORE_ABS_PATH_MAX)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

char *store_read(const char *dir, const char *node)
{
    char path[XENSTORE_ABS_PATH_MAX];
    unsigned int len;
    char *value;

    if (!join(path, dir, node))
        return NULL;
    value = xs_read(xs, XBT_NULL, path, &len);
    if (value && memchr(value, 0, len)) {
        free(value);
        errno = EILSEQ;
        return NULL;
    }
    return value;
}

static int exists(xs_transaction_t t, const char *dir, const char *node)
{
    char path[XENSTORE_ABS_PATH_MAX];
    unsigned int len;
    void *value;

    if (!join(path, dir, node))
        return -1;
    value = xs_read(xs, t, path, &len);
    free(value);
    return value ? 1 : errno == ENOENT ? 0 : -1;
}

int store_exists(const char *dir, const char *node)
{
    return exists(XBT_NULL, dir, node);
}

static bool write_all(xs_transaction_t t, const char *dir, const char *guard,
                      const char *gone, const char *const pairs[][2])
{
    char path[XENSTORE_ABS_PATH_MAX];

    switch (exists(t, dir, guard)) {
    case 1:
        break;
    case 0:
        errno = ENOENT;
        /* fall through */
    default:
        return false;
    }
    if (gone && !xs_rm(xs, t, gone) && errno != ENOENT)
        return false;
    for (; (*pairs)[0]; pairs++) {
        if (!join(path, dir, (*pairs)[0]) ||
            !xs_write(xs, t, path, (*pairs)[1], strlen((*pairs)[1])))
            return false;
    }
    return true;
}

static bool write_transaction(const char *dir, const char *guard,
                              const char *gone, const char *const pairs[][2])
{
    int64_t until = now_ms() + 20000;
    unsigned int ms = 0;
    xs_transaction_t t;
    int err;

    /* Somebody else wrote there at the same time: once more, from the start. */
    do {
        t = xs_transaction_start(xs);
        if (t == XBT_NULL)
            return false;
        if (!write_all(t, dir, guard, gone, pairs)) {
            err = errno;
            xs_transaction_end(xs, t, true);
            errno = err;
            return false;
        }
        if (xs_transaction_end(xs, t, false))
            return true;
    } while (errno == EAGAIN && wait_a_bit(&ms, until));
    return false;
}

static bool reconnect(void)
{
    struct xs_handle *another = xs_open(0);

    if (!another)
        return false;
    xs_close(xs);
    xs = another;
    return true;
}

bool store_write(const char *dir, const char *guard, const char *gone,
                 const char *const pairs[][2])
{
    int err;

    if (write_transaction(dir, guard, gone, pairs))
        return true;
    if (errno == ENOENT || errno == EAGAIN)
        return false;
    /*
     * It may be done all the same, and only the answer lost; or what failed was
     * a read before, of which this is to tell.  To write the same once more does
     * no harm.
     */
    err = errno;
    if (reconnect())
        return write_transaction(dir, guard, gone, pairs);
    errno = err;
    return false;
}
