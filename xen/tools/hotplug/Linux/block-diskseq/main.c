/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hotplug program of xl for disks, see block-diskseq(8).
 *
 * xen-blkback is told the sequence number of the disk, and can only open that
 * one.  This can be killed at any point:
 *  - It has the disk open from before its number is read until blkback has it
 *    open: in that time it stays what it is.
 *  - The call that attaches a file to a loop device also makes the device
 *    detach itself when nobody has it open.  There is nothing to clean up.
 *  - The number in XenStore names this disk or, if it has gone, none.
 */
#include "block-diskseq.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#ifndef LOG_FILE
#define LOG_FILE "/var/log/xen/xen-hotplug.log"
#endif

/* The driver gets so long for what it has to do. */
#define PATIENCE_MS 20000

/* But xl kills this program after 40 s, and then there would be no word of why. */
#define ALL_MS      35000
#define WORD_MS     3000

/* States of a backend. */
#define INITIALISING "1"
#define INIT_WAIT    "2"
#define CONNECTED    "4"

/* When everything that waits gives up. */
static int64_t deadline;

/* What else to do if this has nothing to do here, see --else. */
static char **other;

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

int64_t ms_left(void)
{
    return deadline - now_ms();
}

bool wait_a_bit(unsigned int *ms, int64_t until)
{
    struct timespec bit;

    if (now_ms() >= until || ms_left() <= 0)
        return false;
    /* By an eighth of what it has waited so far, or so, it is too late. */
    *ms += *ms < 100 ? 1 + *ms / 8 : 0;
    bit = (struct timespec){ .tv_nsec = *ms * 1000000L };
    nanosleep(&bit, NULL);
    return true;
}

/* What is open or allocated just goes. */
__attribute__((noreturn))
static void give_up(void)
{
    release_lock();
    _exit(EXIT_FAILURE);
}

/* Where Xen's scripts log: a file, and syslog. */
static void log_text(const char *text)
{
    int fd = open(LOG_FILE, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    if (fd >= 0) {
        dprintf(fd, "block-diskseq: %s\n", text);
        close(fd);
    }
    syslog(LOG_ERR, "%s", text);
}

/* What xl does not read in XenStore, it lets through from here. */
static void print(const char *text)
{
    dprintf(STDERR_FILENO, "block-diskseq: %s\n", text);
}

/* The length of the character at C, in UTF-8; 0 if that is none, or controls. */
static size_t printable(const unsigned char *c)
{
    static const unsigned int least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
    size_t len = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2, i;
    unsigned int code = *c & (0x7f >> len);

    if (*c < 0x80)
        return *c >= ' ' && *c != 127;
    if (*c < 0xc0 || *c >= 0xf8)
        return 0;
    for (i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (c[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return len;
}

/* Add VALUE to TEXT; what would do something to a terminal, as \ooo. */
static void append_printable(char *text, size_t size, const char *value)
{
    const unsigned char *c = (const unsigned char *)value;
    size_t len = strlen(text), n;

    while (*c) {
        if (len + 8 > size) {
            len += sprintf(text + len, "...");
            break;
        }
        n = printable(c);
        if (n) {
            memcpy(text + len, c, n);
            len += n;
            c += n;
        } else {
            len += sprintf(text + len, "\\%03o", *c++);
        }
    }
    text[len] = '\0';
}

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + len, size - len, format, args);
    va_end(args);
}

/* Add VALUE to TEXT, in quotes. */
static void quote(char *text, size_t size, const char *value)
{
    size_t end = strlen(text) + 512;

    append(text, size, "\"");
    append_printable(text, end < size ? end : size, value);
    append(text, size, "\"");
}

void refuse(const struct vbd *vbd, const char *status, const char *node,
            const char *value, const char *reason, ...)
{
    char text[3072] = "", what[1024], *dev;
    va_list args;
    size_t len;

    append(text, sizeof(text), "%.256s", vbd->dir);
    if (node)
        append(text, sizeof(text), "/%s", node);
    if (value) {
        append(text, sizeof(text), " = ");
        quote(text, sizeof(text), value);
    }
    append(text, sizeof(text), ": ");
    /* Paths and what others say are in this, too. */
    va_start(args, reason);
    vsnprintf(what, sizeof(what), reason, args);
    va_end(args);
    append_printable(text, sizeof(text) - 256, what);

    /* libxl leaves the directory, and would take the next attempt for this. */
    dev = store_read(vbd->dir, "dev");
    append(text, sizeof(text),
           ".  Before another \"xl block-attach\": xl block-detach %.*s ",
           (int)strcspn(vbd->name, "/"), vbd->name);
    len = strlen(text) + 64;
    append_printable(text, len < sizeof(text) ? len : sizeof(text),
                     dev ? dev : vbd->name + strcspn(vbd->name, "/") + 1);
    free(dev);

    log_text(text);
    /* Where XenStore is busy this takes a while: nobody else has to wait. */
    release_lock();
    deadline += WORD_MS;
    if (!store_write(vbd->dir, "state", NULL, (const char *const[][2]) {
                     { "hotplug-error", text },
                     { "hotplug-status", status },
                     { NULL, NULL } })) {
        print(text);
        if (errno != ENOENT) {
            snprintf(text, sizeof(text),
                     "%.256s/hotplug-status: cannot be written: %s", vbd->dir,
                     strerror(errno));
            log_text(text);
            print(text);
        }
    }
    give_up();
}

void refuse_quietly(const char *reason, ...)
{
    char text[2048] = "", what[1024];
    va_list args;

    va_start(args, reason);
    vsnprintf(what, sizeof(what), reason, args);
    va_end(args);
    append_printable(text, sizeof(text), what);
    log_text(text);
    print(text);
    give_up();
}

__attribute__((noreturn))
static void cannot_read(const struct vbd *vbd, const char *name)
{
    if (errno == EILSEQ)
        refuse(vbd, ERROR, name, NULL, "has a NUL in it");
    refuse(vbd, ERROR, name, NULL, "cannot be read: %s", strerror(errno));
}

/* A node that may be absent: NULL then.  Whoever cannot tell refuses. */
static char *node(const struct vbd *vbd, const char *name)
{
    char *value = store_read(vbd->dir, name);

    if (!value && errno != ENOENT)
        cannot_read(vbd, name);
    return value;
}

/* One that a backend has. */
static char *needed_node(const struct vbd *vbd, const char *name)
{
    char *value = node(vbd, name);

    if (!value && !store_exists(vbd->dir, "state"))
        refuse_quietly("%s: the backend is gone", vbd->dir);
    if (!value)
        refuse(vbd, ERROR, name, NULL, "is missing");
    return value;
}

static bool is(const char *value, const char *wanted)
{
    return value && !strcmp(value, wanted);
}

static void success(const struct vbd *vbd)
{
    if (!store_write(vbd->dir, "state", NULL, (const char *const[][2]) {
                     { "hotplug-status", "connected" },
                     { NULL, NULL } })) {
        if (errno == ENOENT)
            refuse_quietly("%s: the backend is gone", vbd->dir);
        refuse(vbd, ERROR, "hotplug-status", NULL, "cannot be written: %s",
               strerror(errno));
    }
}

/* The driver says in XenStore why it refuses. */
static char *error_path(const struct vbd *vbd)
{
    char *path;

    if (asprintf(&path, "error/backend/vbd/%s", vbd->name) < 0)
        refuse(vbd, ERROR, NULL, NULL, "%s", strerror(ENOMEM));
    return path;
}

/* As soon as blkback has the disk open, it no longer needs this program. */
static void wait_until_held(const struct vbd *vbd)
{
    int64_t until = now_ms() + PATIENCE_MS;
    char held[sizeof(vbd->uid)], *state, *path, *error;
    unsigned int ms = 0;

    while (!vbd_attribute(vbd->name, "physical_device_uid", held, sizeof(held)) ||
           strcmp(held, vbd->uid)) {
        state = needed_node(vbd, "state");
        if (!is(state, INIT_WAIT) && !is(state, CONNECTED)) {
            path = error_path(vbd);
            error = store_read(path, "error");
            refuse(vbd, ERROR, "physical-device-uid", vbd->uid,
                   "the backend refuses %s: %s%s", vbd->params,
                   error ? "" : "its state is ", error ? error : state);
        }
        free(state);
        if (!wait_a_bit(&ms, until))
            refuse(vbd, ERROR, "physical-device-uid", vbd->uid,
                   "the backend has not opened %s in time", vbd->params);
    }
}

/* Tell blkback, which acts on physical-device, in one transaction. */
static void tell(const struct vbd *vbd)
{
    char device[24];
    char *error = error_path(vbd);

    snprintf(device, sizeof(device), "%x:%x", major(vbd->dev), minor(vbd->dev));
    /* The reason of an earlier refusal is not that of one to come. */
    if (!store_write(vbd->dir, "state", error, (const char *const[][2]) {
                     { "physical-device-uid", vbd->uid },
                     { "physical-device-path", vbd->path },
                     { "physical-device", device },
                     { NULL, NULL } })) {
        if (errno == ENOENT)
            refuse_quietly("%s: the backend is gone", vbd->dir);
        refuse(vbd, ERROR, "physical-device-uid", vbd->uid,
               "cannot be written: %s", strerror(errno));
    }
    free(error);
}

/*
 * Run the program that is to be run if this is not the one for the backend; VBD
 * is NULL if there is none to tell that it cannot be.
 */
static void run_other(const struct vbd *vbd)
{
    if (!other)
        return;
    release_lock();
    /* It is to find things as if it were called in the first place. */
    signal(SIGIO, SIG_DFL);
    /* And it must not call this program again. */
    if (!setenv("BLOCK_DISKSEQ", "no", 1))
        execv(other[0], other);
    if (vbd)
        refuse(vbd, ERROR, NULL, NULL, "cannot run %s: %s", other[0],
               strerror(errno));
    refuse_quietly("cannot run %s: %s", other[0], strerror(errno));
}

/* The administrator may believe that every disk is given by its number. */
static void log_left_to_other(const struct vbd *vbd, const char *why)
{
    char text[2048] = "";

    append(text, sizeof(text), "%.256s: %s: ", vbd->dir, why);
    quote(text, sizeof(text), vbd->params);
    append(text, sizeof(text), " is given by its device number, by %.512s",
           other[0]);
    log_text(text);
}

/* Is this a disk of those for which Xen's block script calls a script of their own? */
static bool has_own_script(const char *type)
{
    return type && strcmp(type, "phy") && strcmp(type, "file");
}

static char *wait_for_driver(const struct vbd *vbd)
{
    int64_t until = now_ms() + PATIENCE_MS;
    char *state = needed_node(vbd, "state");
    unsigned int ms = 0;

    /* Called by udev, this can be there before the driver. */
    while (is(state, INITIALISING) && wait_a_bit(&ms, until)) {
        free(state);
        state = needed_node(vbd, "state");
    }
    return state;
}

static void add(struct vbd *vbd)
{
    char *state, *mode, *feature, *direct_io, *device, *uid, *path, *error, *type;

    free(wait_for_driver(vbd));
    if (!claim_lock())
        refuse(vbd, ERROR, NULL, NULL,
               "cannot get the lock of the block scripts, %s: %s", lock_file,
               errno == ETIMEDOUT ? "others keep it" : strerror(errno));
    /* Only now: the device can have gone while this waited for the lock. */
    state = needed_node(vbd, "state");
    vbd->params = needed_node(vbd, "params");
    vbd->frontend = needed_node(vbd, "frontend-id");
    mode = needed_node(vbd, "mode");
    vbd->mode = !strchr(mode, 'w') ? 'r' : !strchr(mode, '!') ? 'w' : '!';
    free(mode);
    direct_io = node(vbd, "direct-io-safe");
    vbd->direct_io = is(direct_io, "1");
    free(direct_io);

    feature = node(vbd, "feature-physical-device-uid");
    device = node(vbd, "physical-device");
    uid = node(vbd, "physical-device-uid");
    if (is(state, INITIALISING))
        refuse(vbd, ERROR, "state", state, "the driver has not come in time");
    type = other ? node(vbd, "type") : NULL;
    if (!is(feature, "1") || (device && !uid) || has_own_script(type)) {
        if (other && !device)
            log_left_to_other(vbd, has_own_script(type) ? "the type is not phy" :
                              "the driver does not understand physical-device-uid");
        run_other(vbd);
    }
    free(type);

    if (!vbd->params[0]) {
        /* A drive without a medium: there is nothing to open. */
        release_lock();
        success(vbd);
        return;
    }
    if (!device) {
        if (strcmp(state, INIT_WAIT)) {
            path = error_path(vbd);
            error = store_read(path, "error");
            refuse(vbd, ERROR, "state", state,
                   "the backend is not waiting for a disk (that is 2)%s%s",
                   error ? ": " : "", error ? error : "");
        }
        if (!is(feature, "1"))
            refuse(vbd, ERROR, "feature-physical-device-uid", feature,
                   "the backend does not understand physical-device-uid: it cannot be told to open %s and nothing else",
                   vbd->params);
        open_target(vbd);
        tell(vbd);
    } else {
        /* A second call: the disk stays the one of the first. */
        if (!uid)
            refuse(vbd, ERROR, "physical-device", device,
                   "the backend has been told a device, but not which disk that is");
        if (strlen(uid) >= sizeof(vbd->uid))
            refuse(vbd, ERROR, "physical-device-uid", uid, "is too long");
        strcpy(vbd->uid, uid);
    }
    free(state);
    free(feature);
    free(device);
    free(uid);
    release_lock();
    wait_until_held(vbd);
    success(vbd);
}

/* There is nobody left to be told why not. */
static char *node_of_removed(const struct vbd *vbd, const char *name)
{
    char *value = store_read(vbd->dir, name);

    if (!value && errno != ENOENT)
        refuse_quietly("%s/%s: cannot be read: %s", vbd->dir, name,
                       strerror(errno));
    return value;
}

static void remove_disk(struct vbd *vbd)
{
    char *uid = node_of_removed(vbd, "physical-device-uid");
    char *device = node_of_removed(vbd, "physical-device");
    char *feature = node_of_removed(vbd, "feature-physical-device-uid");
    char *type = other ? node_of_removed(vbd, "type") : NULL;
    unsigned int maj, min;

    /*
     * Of a backend that is gone, no script can know what it had; and of one that
     * was refused a disk, there is nothing: Xen's script would complain.  It writes
     * the node when it has attached a file.
     */
    if (!uid && store_exists(vbd->dir, "params") &&
        (!is(feature, "1") || device || has_own_script(type) ||
         store_exists(vbd->dir, "node")))
        run_other(NULL);
    if (uid && device && strlen(uid) < sizeof(vbd->uid) &&
        sscanf(device, "%x:%x", &maj, &min) == 2) {
        strcpy(vbd->uid, uid);
        vbd->dev = makedev(maj, min);
        wait_for_loop(vbd);
    }
    free(uid);
    free(device);
    free(feature);
    free(type);
}

/*
 * What is written to standard error must not go to XenStore, a disk or the lock,
 * where the caller has closed it.
 */
static void open_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            refuse_quietly("/dev/null: cannot be opened: %s", strerror(errno));
    } while (fd <= STDERR_FILENO);
    close(fd);
}

__attribute__((noreturn))
static void usage(void)
{
    fputs("Usage: XENBUS_PATH=.../DOMAIN/DEVICE block-diskseq [--else PROGRAM] add|remove\n"
          "Called by xl, see block-diskseq(8).\n", stderr);
    exit(EXIT_FAILURE);
}

/* DOMAIN/DEVICE of the directory DIR, or NULL. */
static const char *name_of(const char *dir)
{
    const char *device = strrchr(dir, '/'), *domain = device;

    if (!device || strlen(dir) > 256)
        return NULL;
    while (domain > dir && domain[-1] != '/')
        domain--;
    return domain > dir && domain < device && device[1] ? domain : NULL;
}

int main(int argc, char *argv[])
{
    static struct vbd vbd = { .fd = -1 };
    const char *command = argc == 2 ? argv[1] : NULL;

    deadline = now_ms() + ALL_MS;
    open_standard_files();
    if (argc >= 3 && !strcmp(argv[1], "--else")) {
        other = argv + 2;
        command = argc == 4 ? argv[3] : NULL;
    }
    vbd.dir = getenv("XENBUS_PATH");
    vbd.name = vbd.dir ? name_of(vbd.dir) : NULL;
    openlog("block-diskseq", LOG_PID, LOG_DAEMON);
    if (!vbd.name || (!is(command, "add") && !is(command, "remove"))) {
        run_other(NULL);
        usage();
    }
    signal(SIGIO, SIG_IGN);
    if (!store_open())
        refuse_quietly("%s: cannot open XenStore: %s", vbd.dir, strerror(errno));
    if (is(command, "add"))
        add(&vbd);
    else
        remove_disk(&vbd);
    return EXIT_SUCCESS;
}
