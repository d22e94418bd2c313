/* SPDX-License-Identifier: GPL-2.0 */
/*
 * To be preloaded to block-diskseq: something happens before one of its calls.
 * Between two calls it does nothing that anybody else could notice.
 *
 *  INTERFERE_AT=N|NAME     before call N, or before the first one of this name
 *  INTERFERE_DO=kill       it is killed, and INTERFERE_HOOK runs when it is dead
 *  INTERFERE_DO=run        INTERFERE_HOOK runs, and then it goes on
 *  INTERFERE_DO=fail       the call fails: EIO, or ENOMEM (not with AddressSanitizer)
 *  INTERFERE_HOOK=COMMAND  for the shell
 *  INTERFERE_LOG=FILE      gets a line "N NAME" for that call, and in the end,
 *                          unless it was killed, "all N"
 *  INTERFERE_SYSFS=DIR     is in the place of /sys/bus/xen-backend
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define BUS "/sys/bus/xen-backend"

static const char *at, *action, *hook, *log_file, *sysfs;
static unsigned int calls;
static bool armed;

static void say(const char *what, unsigned int n)
{
    char line[64];
    int len, fd;

    if (!log_file)
        return;
    fd = syscall(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_APPEND | O_CREAT,
                 0666);
    len = !strcmp(what, "all") ? snprintf(line, sizeof(line), "all %u\n", n) :
        snprintf(line, sizeof(line), "%u %s\n", n, what);
    if (syscall(SYS_write, fd, line, len) != len)
        abort();
    syscall(SYS_close, fd);
}

static void run_hook(bool wait)
{
    pid_t pid = getpid(), child = fork();

    if (!child) {
        unsetenv("LD_PRELOAD");
        syscall(SYS_close_range, 3, ~0U, 0);
        if (!wait)
            while (!syscall(SYS_kill, pid, 0) && getppid() == pid)
                syscall(SYS_sched_yield);
        execl("/bin/sh", "sh", "-c", hook ? hook : ":", NULL);
        syscall(SYS_exit_group, 127);
    }
    if (wait)
        waitpid(child, NULL, 0);
}

/* Is the call NAME to fail? */
static bool step(const char *name)
{
    int err = errno;
    char number[16];

    if (!armed)
        return false;
    armed = false;
    snprintf(number, sizeof(number), "%u", ++calls);
    if (at && (!strcmp(at, number) || !strcmp(at, name))) {
        at = NULL;
        say(name, calls);
        if (!strcmp(action, "fail")) {
            armed = true;
            errno = !strcmp(name, "malloc") ? ENOMEM : EIO;
            return true;
        }
        run_hook(!strcmp(action, "run"));
        if (!strcmp(action, "kill"))
            kill(getpid(), SIGKILL);
    }
    armed = true;
    errno = err;
    return false;
}

__attribute__((constructor))
static void arm(void)
{
    at = getenv("INTERFERE_AT");
    action = getenv("INTERFERE_DO");
    hook = getenv("INTERFERE_HOOK");
    log_file = getenv("INTERFERE_LOG");
    sysfs = getenv("INTERFERE_SYSFS");
    if (!action)
        at = NULL;
    armed = true;
}

__attribute__((destructor))
static void disarm(void)
{
    armed = false;
    say("all", calls);
}

void _exit(int status)
{
    disarm();
    for (;;)
        syscall(SYS_exit_group, status);
}

static const char *redirect(const char *path, char *buffer, size_t size)
{
    if (!sysfs || strncmp(path, BUS, strlen(BUS)))
        return path;
    snprintf(buffer, size, "%s%s", sysfs, path + strlen(BUS));
    return buffer;
}

int open(const char *path, int flags, ...)
{
    char buffer[4096];
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    if (step("open"))
        return -1;
    return REAL(open)(redirect(path, buffer, sizeof(buffer)), flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    char buffer[4096];
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    if (step("openat"))
        return -1;
    return REAL(openat)(dir, redirect(path, buffer, sizeof(buffer)), flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    char buffer[4096];

    if (step("fopen"))
        return NULL;
    return REAL(fopen)(redirect(path, buffer, sizeof(buffer)), mode);
}

DIR *opendir(const char *path)
{
    char buffer[4096];

    if (step("opendir"))
        return NULL;
    return REAL(opendir)(redirect(path, buffer, sizeof(buffer)));
}

struct dirent *readdir(DIR *dir)
{
    return step("readdir") ? NULL : REAL(readdir)(dir);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    return step("ioctl") ? -1 : REAL(ioctl)(fd, request, arg);
}

/* A lease that is not given is an answer, not a failure. */
int fcntl(int fd, int command, ...)
{
    va_list args;
    long arg;

    va_start(args, command);
    arg = va_arg(args, long);
    va_end(args);
    return step("fcntl") ? -1 : REAL(fcntl)(fd, command, arg);
}

/* What runs in its place is not what this is about. */
int execv(const char *path, char *const argv[])
{
    if (step("execv"))
        return -1;
    unsetenv("LD_PRELOAD");
    return REAL(execv)(path, argv);
}

/* What a call is that only looks, or changes one thing. */
#define WRAP(type, failure, name, params, ...)                          \
    type name params                                                    \
    {                                                                   \
        return step(#name) ? failure : REAL(name)(__VA_ARGS__);         \
    }

WRAP(int, -1, close, (int fd), fd)
WRAP(ssize_t, -1, read, (int fd, void *buffer, size_t size), fd, buffer, size)
WRAP(int, -1, flock, (int fd, int how), fd, how)
WRAP(int, -1, mkdir, (const char *path, mode_t mode), path, mode)
WRAP(int, -1, unlink, (const char *path), path)
WRAP(int, -1, access, (const char *path, int how), path, how)
WRAP(int, -1, stat, (const char *path, struct stat *st), path, st)
WRAP(int, -1, lstat, (const char *path, struct stat *st), path, st)
WRAP(int, -1, fstat, (int fd, struct stat *st), fd, st)
WRAP(int, -1, nanosleep, (const struct timespec *time, struct timespec *rest),
     time, rest)
WRAP(int, -1, fchmod, (int fd, mode_t mode), fd, mode)
WRAP(int, -1, statfs, (const char *path, struct statfs *fs), path, fs)
WRAP(ssize_t, -1, readlinkat, (int dir, const char *path, char *target, size_t size),
     dir, path, target, size)
WRAP(ssize_t, -1, write, (int fd, const void *data, size_t size), fd, data, size)
WRAP(struct xs_handle *, NULL, xs_open, (unsigned long flags), flags)
WRAP(void *, NULL, xs_read, (struct xs_handle *xs, xs_transaction_t t,
     const char *path, unsigned int *len), xs, t, path, len)
WRAP(bool, false, xs_write, (struct xs_handle *xs, xs_transaction_t t,
     const char *path, const void *data, unsigned int len), xs, t, path, data, len)
WRAP(bool, false, xs_rm, (struct xs_handle *xs, xs_transaction_t t,
     const char *path), xs, t, path)
WRAP(xs_transaction_t, XBT_NULL, xs_transaction_start, (struct xs_handle *xs), xs)
WRAP(bool, false, xs_transaction_end, (struct xs_handle *xs, xs_transaction_t t,
     bool abort), xs, t, abort)

/* glibc declares it with a union of all kinds of addresses. */
int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t size)
{
    return step("connect") ? -1 : REAL(connect)(fd, addr, size);
}

/* AddressSanitizer has its own, so that with it no allocation fails. */
#ifndef NO_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    return step("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return step("malloc") ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return step("malloc") ? NULL : __libc_realloc(old, size);
}
#endif
