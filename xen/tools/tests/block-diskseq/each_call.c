/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each call of block-diskseq fails once, or it is killed before it, for the backend
 * 1/51712: whatever happens, the backend has its disk or nothing, somebody is told
 * why, and nothing is left.  (In a shell, the processes of a round would take most
 * of the time of all tests.)
 *
 * $TMPDIR/DISK is the file behind the target, and begins with "DISK".
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/loop.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#include "fakexl.h"

#define LOG_FILE "/var/log/xen/xen-hotplug.log"
#define DISKS "/dev/disk/by-diskseq"

extern char **environ;

static const char *interfere, *program, *target, *script;
static char stderr_file[160], calls_file[160], disk_file[160], thief_file[160];
static char called_file[160];
/* Before which call, and how the program ended. */
static unsigned int n;
static char call[64];
static int status;
/* The number of the disk that the backend had before. */
static char *uid_before;

/* What FILE has, or nothing, cut off after SIZE - 1 bytes. */
static char *content(const char *file, char *buffer, size_t size)
{
    int fd = open(file, O_RDONLY);
    ssize_t len = fd < 0 ? 0 : read(fd, buffer, size - 1);

    buffer[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return buffer;
}

/* Its first line, without the end of it. */
static char *first_line(const char *file, char *buffer, size_t size)
{
    content(file, buffer, size);
    buffer[strcspn(buffer, "\n")] = '\0';
    return buffer;
}

/* A sanitizer has the word, if it is that. */
static void fail(const char *format, ...)
{
    char said[4096], *line, *rest;
    va_list args;

    va_start(args, format);
    printf("# %u, %s: status %#x, ", n, call, status);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    content(stderr_file, said, sizeof(said));
    for (line = strtok_r(said, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        printf("# %s\n", line);
    exit(1);
}

/* The value of a node, or NULL. */
static char *node(const char *name)
{
    unsigned int len;

    return xs_read(xs, XBT_NULL, path(name), &len);
}

static void empty(const char *file)
{
    int fd = open(file, O_WRONLY | O_TRUNC | O_CREAT, 0600);

    if (fd < 0)
        err(1, "%s", file);
    close(fd);
}

static bool in_log(const char *text)
{
    static char log[16384];

    return *text && strstr(content(LOG_FILE, log, sizeof(log)), text);
}

static bool exited(int with)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == with;
}

/* The program is run with COMMAND, with what is in INTERFERE_..., or without. */
static void run(const char *command, bool disturbed)
{
    char *argv[] = { (char *)program, (char *)command, NULL, NULL, NULL };
    posix_spawn_file_actions_t actions;
    char at[16];
    pid_t pid;

    if (script) {
        argv[1] = "--else";
        argv[2] = (char *)script;
        argv[3] = (char *)command;
    }
    snprintf(at, sizeof(at), "%u", n);
    setenv("INTERFERE_AT", disturbed ? at : "none", 1);
    empty(calls_file);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_file,
                                     O_WRONLY | O_TRUNC | O_CREAT, 0600);
    setenv("LD_PRELOAD", interfere, 1);
    if (posix_spawn(&pid, program, &actions, NULL, argv, environ))
        errx(1, "cannot run %s", program);
    unsetenv("LD_PRELOAD");
    posix_spawn_file_actions_destroy(&actions);
    if (waitpid(pid, &status, 0) != pid)
        err(1, "waitpid");
}

/* Is the file behind loop device FILE, its attribute backing_file, ours? */
static bool backed_by(const char *file, const char *name)
{
    char buffer[256];

    return !strcmp(first_line(file, buffer, sizeof(buffer)), name);
}

/* Detach the loop devices of the file NAME if CLEAR; is there one? */
static bool attached(const char *name, bool clear)
{
    bool found = false;
    char device[32];
    glob_t files;
    size_t i;
    int fd;

    if (glob("/sys/block/loop*/loop/backing_file", 0, NULL, &files))
        return false;
    for (i = 0; i < files.gl_pathc; i++) {
        if (!backed_by(files.gl_pathv[i], name))
            continue;
        found = true;
        if (!clear)
            continue;
        sscanf(files.gl_pathv[i], "/sys/block/%15[^/]", device + 5);
        memcpy(device, "/dev/", 5);
        fd = open(device, O_RDONLY);
        if (fd < 0 || (ioctl(fd, LOOP_CLR_FD) && errno != ENXIO))
            err(1, "%s", device);
        close(fd);
    }
    globfree(&files);
    return found;
}

static bool disk_detached(void)
{
    return !attached(disk_file, false);
}

static bool has_disk(const char *uid)
{
    char file[320], start[5];

    if (!uid)
        return false;
    snprintf(file, sizeof(file), DISKS "/%s", uid);
    return !strcmp(content(file, start, sizeof(start)), "DISK");
}

/* What xl shows. */
static bool shown(void)
{
    char word[8];

    return *content(stderr_file, word, sizeof(word));
}

/* There, or in XenStore. */
static bool told(void)
{
    char *error = node("hotplug-error");
    bool told = error && *error;

    free(error);
    return told || shown();
}

/* What the driver has is the disk, or nothing. */
static void check_driver(void)
{
    char held[64], *uid;

    settle();
    uid = node("physical-device-uid");
    first_line(held_file(), held, sizeof(held));
    if (*held && (!uid || strcmp(held, uid) || !has_disk(uid)))
        fail("the driver has %s, not %s", held, uid ? uid : "nothing");
    free(uid);
}

static void new_backend(void)
{
    create(target, "w", NULL);
}

static void check_killed(void)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("it was not killed");
    check_driver();
}

static void check_added(void)
{
    char *error = node("hotplug-error"), *uid = node("physical-device-uid");
    char said[512];

    first_line(stderr_file, said, sizeof(said));
    if (exited(0) && is("hotplug-status", "connected")) {
        if (!has_disk(uid))
            fail("and it is another disk");
    } else if (exited(1) && is("hotplug-status", NULL)) {
        if (!is("hotplug-status", "error") && !is("hotplug-status", "busy"))
            fail("and an unknown hotplug-status");
        if (!error || !in_log(error))
            fail("and no word");
    } else if (exited(1)) {
        /* It could not say so there: on xl's terminal, then. */
        if (!in_log(said))
            fail("and no word");
    } else {
        fail("and no verdict");
    }
    free(error);
    free(uid);
    check_driver();
}

static void check_refused(void)
{
    if (!exited(1) || is("physical-device", NULL))
        fail("and it was not refused");
    if (!told())
        fail("and no word");
}

static void with_its_disk(void)
{
    new_backend();
    run("add", false);
    free(uid_before);
    uid_before = node("physical-device-uid");
    if (!exited(0) || !uid_before)
        fail("and nothing was done to it");
}

static void on_its_way_out(void)
{
    with_its_disk();
    set("state", "6");
}

static void check_removed(void)
{
    if (!exited(0) && (!exited(1) || !shown()))
        fail("and no word");
}

static void check_told(void)
{
    if (!exited(0) && (!exited(1) || !told()))
        fail("and no word");
}

/* The second call has nothing to do. */
static void check_kept(void)
{
    char held[64];

    check_told();
    first_line(held_file(), held, sizeof(held));
    if (!is("physical-device-uid", uid_before) || strcmp(held, uid_before) ||
        !has_disk(uid_before))
        fail("the backend had %s, the driver has %s", uid_before, held);
    if (exited(0) && !is("hotplug-status", "connected"))
        fail("and not connected");
}

static void unaware_backend(void)
{
    char *more[] = { "unaware", "1", NULL };

    unlink(called_file);
    create(target, "w", more);
}

/* The other script was called, or nothing was done. */
static void check_left_to_another(void)
{
    check_told();
    if (exited(0) == !!access(called_file, F_OK))
        fail("and the other script was%s called", exited(0) ? " not" : "");
    if (is("physical-device", NULL) || attached(disk_file, false))
        fail("and something was done");
}

static const struct kind {
    const char *name;
    const char *action;
    const char *command;
    void (*prepare)(void);
    void (*check)(void);
    /* How the last run, which is not disturbed, ends: a refused disk stays attached. */
    int last;
} kinds[] = {
    { "kill",       "kill", "add",    new_backend,     check_killed,  0 },
    { "add",        "fail", "add",    new_backend,     check_added,   0 },
    { "refusal",    "fail", "add",    new_backend,     check_refused, 1 },
    { "removal",    "fail", "remove", on_its_way_out,  check_removed, 0 },
    { "again",      "fail", "add",    with_its_disk,   check_kept,    0 },
    { "else-add",   "fail", "add",    unaware_backend, check_left_to_another, 0 },
    { "else-remove", "fail", "remove", unaware_backend, check_left_to_another, 0 },
};

/*
 * Was the program disturbed?  It makes fewer calls than N if not, and has then said
 * how many, or become the other script.
 */
static bool disturbed(void)
{
    char line[64];

    first_line(calls_file, line, sizeof(line));
    if (*line < '0' || *line > '9')
        return false;
    snprintf(call, sizeof(call), "%s", line + strcspn(line, " ") + 1);
    return true;
}

static void each(const struct kind *kind, bool file)
{
    bool more;

    setenv("INTERFERE_DO", kind->action, 1);
    setenv("INTERFERE_LOG", calls_file, 1);
    do {
        n++;
        strcpy(call, "no call");
        kind->prepare();
        run(kind->command, true);
        more = disturbed();
        if (!more && !exited(kind->last))
            fail("with nothing in its way");
        if (more || strcmp(kind->action, "kill"))
            kind->check();
        empty(LOG_FILE);
        gone();
        attached(thief_file, true);
        if (file && !kind->last)
            wait_for("the end of the loop device", disk_detached);
        /* Whoever waits sees that it goes on. */
        if (n % 50 == 0) {
            printf("# %s before call %u\n", kind->action, n);
            fflush(stdout);
        }
    } while (more);
    printf("# %s before each of %u calls of %s: %s\n", kind->action, n - 1,
           kind->name, target);
    if (n <= (strcmp(kind->command, "add") ? 10 : 20))
        fail("which are too few");
}

void each_call(const char *what, const char *preload, const char *block_diskseq,
               const char *params, const char *other)
{
    const char *tmp = getenv("TMPDIR");
    struct stat st;
    size_t i;

    interfere = preload;
    program = block_diskseq;
    target = params;
    script = other;
    if (!tmp)
        tmp = "/tmp";
    snprintf(stderr_file, sizeof(stderr_file), "%s/stderr", tmp);
    snprintf(calls_file, sizeof(calls_file), "%s/calls", tmp);
    snprintf(disk_file, sizeof(disk_file), "%s/DISK", tmp);
    snprintf(thief_file, sizeof(thief_file), "%s/THIEF", tmp);
    snprintf(called_file, sizeof(called_file), "%s/called", tmp);
    choose("1/51712");
    setenv("XENBUS_PATH", backend, 1);
    for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strcmp(kinds[i].name, what)) {
            each(&kinds[i], stat(target, &st) || !S_ISBLK(st.st_mode));
            return;
        }
    errx(1, "%s: no such kind", what);
}
