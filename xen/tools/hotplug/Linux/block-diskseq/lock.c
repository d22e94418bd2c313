/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lock of Xen's block scripts, see their locking.sh: who has the file open
 * and locked has it, if that is still the file of this name.  Only the holder
 * removes the file.  Whoever may open it could keep the lock for ever, so this is
 * nobody but root, also if a script has made the file.
 */
#include "block-diskseq.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef LOCK_DIR
#define LOCK_DIR "/var/run/xen-hotplug"
#endif

const char lock_file[] = LOCK_DIR "/block";
static int lock_fd = -1;

static void wake_up(int sig)
{
    (void)sig;
}

/* Have a call that waits return after MS, and again and again; 0: no more. */
static void interrupt_after(int64_t ms)
{
    struct itimerval timer = {
        .it_interval.tv_usec = ms ? 100000 : 0,
        .it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
    };

    setitimer(ITIMER_REAL, &timer, NULL);
}

static bool wait_for_lock(void)
{
    struct stat held, named;
    int fd;

    for (;;) {
        fd = open(lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return false;
        if (fchmod(fd, 0600)) {
            close(fd);
            return false;
        }
        while (flock(fd, LOCK_EX)) {
            if (errno == EINTR && ms_left() > 0)
                continue;
            if (errno == EINTR)
                errno = ETIMEDOUT;
            close(fd);
            return false;
        }
        if (!fstat(fd, &held) && !stat(lock_file, &named) &&
            held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
            lock_fd = fd;
            return true;
        }
        close(fd);
    }
}

/* In the queue of the kernel, or who asks again and again would never get it. */
bool claim_lock(void)
{
    struct sigaction action = { .sa_handler = wake_up };
    int64_t ms = ms_left();
    bool claimed;

    if (mkdir(LOCK_DIR, 0700) && errno != EEXIST)
        return false;
    sigaction(SIGALRM, &action, NULL);
    interrupt_after(ms > 0 ? ms : 1);
    claimed = wait_for_lock();
    interrupt_after(0);
    return claimed;
}

void release_lock(void)
{
    if (lock_fd < 0)
        return;
    unlink(lock_file);
    close(lock_fd);
    lock_fd = -1;
}
