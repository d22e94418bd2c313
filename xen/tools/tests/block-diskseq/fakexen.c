/* SPDX-License-Identifier: GPL-2.0 */
/*
 * To be preloaded to xenstored: as much of a hypervisor as it needs to serve
 * its socket.  Domain 0 is there, and does nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static int something;

/* What dom0's kernel says of its page and its port. */
static int fake_file(const char *path)
{
    int fd = memfd_create(path, 0);

    if (!strcmp(path, "/proc/xen/xsd_port")) {
        if (write(fd, "1", 1) != 1)
            abort();
        lseek(fd, 0, SEEK_SET);
    } else if (ftruncate(fd, 4096)) {
        abort();
    }
    return fd;
}

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    if (!strncmp(path, "/proc/xen/xsd_", 14))
        return fake_file(path);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

void *xenevtchn_open(void *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return &something;
}

void *xenevtchn_fdopen(void *logger, int fd, unsigned int flags)
{
    (void)fd;
    return xenevtchn_open(logger, flags);
}

int xenevtchn_fd(void *xce)
{
    static int fd = -1;

    (void)xce;
    if (fd < 0)
        fd = eventfd(0, 0);
    return fd;
}

int xenevtchn_bind_interdomain(void *xce, unsigned int domid, unsigned int port)
{
    (void)xce;
    (void)domid;
    return port;
}

int xenevtchn_bind_virq(void *xce, unsigned int virq)
{
    (void)xce;
    (void)virq;
    return 2;
}

int xenevtchn_notify(void *xce, unsigned int port)
{
    (void)xce;
    (void)port;
    return 0;
}

int xenevtchn_pending(void *xce)
{
    (void)xce;
    return -1;
}

int xenevtchn_unbind(void *xce, unsigned int port)
{
    return xenevtchn_notify(xce, port);
}

int xenevtchn_unmask(void *xce, unsigned int port)
{
    return xenevtchn_notify(xce, port);
}

void *xengnttab_open(void *logger, unsigned int flags)
{
    return xenevtchn_open(logger, flags);
}

int xengnttab_close(void *xgt)
{
    (void)xgt;
    return 0;
}

int xengnttab_set_max_grants(void *xgt, unsigned int count)
{
    (void)xgt;
    (void)count;
    return 0;
}

void *xengnttab_map_grant_ref(void *xgt, unsigned int domid, unsigned int ref,
                              int prot)
{
    (void)xgt;
    (void)domid;
    (void)ref;
    return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int xengnttab_unmap(void *xgt, void *page, unsigned int count)
{
    (void)xgt;
    return munmap(page, count * 4096);
}

void *xc_interface_open(void *logger, void *other, unsigned int flags)
{
    (void)other;
    return xenevtchn_open(logger, flags);
}

int xc_interface_close(void *xch)
{
    (void)xch;
    return 0;
}

int xc_domain_getinfo(void *xch, unsigned int first, unsigned int max, void *info)
{
    (void)xch;
    (void)first;
    (void)max;
    (void)info;
    return 0;
}
