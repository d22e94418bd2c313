/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hotplug_bench IMAGE COUNT SCRIPT...: what it takes dom0 to attach a disk with xl
 * and a hotplug script, and to detach it, as CSV: the instructions of dom0, if a
 * nanosecond is one (QEMU's -icount shift=0), those of them that xl and its script,
 * xenstored, and xenwatch in the kernel have run, and the processes started.  Each is
 * a median; of Xen's own script beside a thousand others, which takes minutes, there
 * is one round.
 *
 * There are COUNT backends before, made here, which have as many loop devices open.
 * The disk is another loop device at first, and then IMAGE.  It is attached to dom0
 * itself, whose own driver for disks of guests connects to it.
 */
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#define ROUNDS  5
#define MANY    1000
#define BACKEND "/local/domain/0/backend/vbd/0/51744"
#define VDEV    "xvdc"
#define BACKENDS "/sys/bus/xen-backend/devices"

extern char **environ;

enum { ALL, XL, XENSTORED, XENWATCH, PROCESSES, COSTS };

static const struct {
    const char *name, *unit;
} costs[COSTS] = {
    [ALL] = { "", "instructions" },
    [XL] = { ": xl and script", "instructions" },
    [XENSTORED] = { ": xenstored", "instructions" },
    [XENWATCH] = { ": xenwatch", "instructions" },
    [PROCESSES] = { ": processes", "processes" },
};

struct cost {
    uint64_t of[COSTS];
};

static struct xs_handle *xs;
static xc_interface *xc;
static clockid_t xenstored, xenwatch;

/* The clock of the process that is called NAME, or what ends with it. */
static clockid_t clock_of(const char *name)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    char path[300], comm[32];
    clockid_t clock;
    size_t len;
    FILE *file;

    while (proc && (entry = readdir(proc))) {
        if (!isdigit(entry->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (!fgets(comm, sizeof(comm), file))
            comm[0] = '\0';
        fclose(file);
        comm[strcspn(comm, "\n")] = '\0';
        len = strlen(comm);
        if (len < strlen(name) || strcmp(comm + len - strlen(name), name))
            continue;
        errno = clock_getcpuclockid(atoi(entry->d_name), &clock);
        if (errno)
            err(1, "the clock of %s", name);
        closedir(proc);
        return clock;
    }
    errx(1, "%s does not run", name);
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time))
        err(1, "clock_gettime");
    return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

static uint64_t ns(struct timeval time)
{
    return time.tv_sec * UINT64_C(1000000000) + time.tv_usec * UINT64_C(1000);
}

static struct cost now(void)
{
    struct cost cost = {};
    struct rusage usage;
    xc_vcpuinfo_t info;
    FILE *stat;
    char line[4096];

    stat = fopen("/proc/stat", "re");
    if (!stat)
        err(1, "/proc/stat");
    while (fgets(line, sizeof(line), stat))
        if (sscanf(line, "processes %" SCNu64, &cost.of[PROCESSES]) == 1)
            break;
    fclose(stat);
    if (xc_vcpu_getinfo(xc, 0, 0, &info))
        err(1, "xc_vcpu_getinfo");
    if (getrusage(RUSAGE_CHILDREN, &usage))
        err(1, "getrusage");
    cost.of[ALL] = info.cpu_time;
    cost.of[XL] = ns(usage.ru_utime) + ns(usage.ru_stime);
    cost.of[XENSTORED] = read_clock(xenstored);
    cost.of[XENWATCH] = read_clock(xenwatch);
    return cost;
}

/* Until dom0 has nothing more to do with what was before. */
static void settle(void)
{
    uint64_t before, after = now().of[ALL];

    do {
        before = after;
        usleep(200000);
        after = now().of[ALL];
    } while (after - before > 2000000);
}

/* Its state is that, or with NULL, it has none any more. */
static bool state_is(const char *wanted)
{
    unsigned int len;
    char *value = xs_read(xs, XBT_NULL, BACKEND "/state", &len);
    bool is = wanted ? value && !strcmp(value, wanted) : !value;

    free(value);
    return is;
}

/* Run xl, and wait for the STATE that it is to bring, of which a watch tells. */
static void xl(const char *command, const char *what, const char *state)
{
    char *argv[] = { "xl", (char *)command, "0", (char *)what, NULL };
    unsigned int num;
    int status;
    pid_t pid;

    if (!xs_watch(xs, BACKEND, "state"))
        err(1, "xs_watch");
    if ((errno = posix_spawnp(&pid, "xl", NULL, NULL, argv, environ)))
        err(1, "xl");
    if (waitpid(pid, &status, 0) != pid || status)
        errx(1, "xl %s %s: status %#x", command, what, status);
    while (!state_is(state))
        free(xs_read_watch(xs, &num));
    xs_unwatch(xs, BACKEND, "state");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, unsigned int n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

static void measure(const char *script, const char *kind, const char *target,
                    int count)
{
    static const char *const phases[] = { "attach", "detach" };
    unsigned int rounds = count >= MANY && !strcmp(script, "block") ? 1 : ROUNDS;
    uint64_t took[2][COSTS][ROUNDS];
    unsigned int round, i, j;
    char disk[512];

    snprintf(disk, sizeof(disk), "vdev=" VDEV ", script=%s, target=%s",
             script, target);
    for (round = 0; round < rounds; round++) {
        for (i = 0; i < 2; i++) {
            struct cost before, after;

            settle();
            before = now();
            if (i)
                xl("block-detach", VDEV, NULL);
            else
                xl("block-attach", disk, "4");
            after = now();
            for (j = 0; j < COSTS; j++)
                took[i][j][round] = after.of[j] - before.of[j];
            /* Who waits for minutes sees that it goes on. */
            fprintf(stderr, "%s %s by %s, %d, round %u of %u: %" PRIu64 "\n",
                    phases[i], kind, script, count, round + 1, rounds,
                    took[i][ALL][round]);
        }
    }
    for (i = 0; i < 2; i++)
        for (j = 0; j < COSTS; j++)
            printf("%s %s by %s%s,%d,%" PRIu64 ",%s\n", phases[i], kind, script,
                   costs[j].name, count, median(took[i][j], rounds),
                   costs[j].unit);
    fflush(stdout);
}

/* Attach it to a loop device; returns whose number. */
static int attach(int image)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    struct loop_config config = { .fd = image };
    char path[32];
    int nr, loop;

    if (control < 0 || (nr = ioctl(control, LOOP_CTL_GET_FREE)) < 0)
        err(1, "/dev/loop-control");
    close(control);
    snprintf(path, sizeof(path), "/dev/loop%d", nr);
    loop = open(path, O_RDWR | O_CLOEXEC);
    if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config))
        err(1, "%s", path);
    close(loop);
    return nr;
}

static void set(const char *dir, const char *node, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, node);
    if (!xs_write(xs, XBT_NULL, path, value, strlen(value)))
        err(1, "%s", path);
}

/* A backend that has a loop device open, for a guest that is never there. */
static void make_backend(int i, int loop)
{
    char backend[64], value[96];
    unsigned int n;

    snprintf(backend, sizeof(backend), "/local/domain/0/backend/vbd/%d/51712",
             1000 + i);
    snprintf(value, sizeof(value), "/local/domain/%d/device/vbd/51712", 1000 + i);
    set(value, "state", "1");
    set(backend, "frontend", value);
    snprintf(value, sizeof(value), "%d", 1000 + i);
    set(backend, "frontend-id", value);
    set(backend, "mode", "w");
    set(backend, "type", "phy");
    set(backend, "online", "1");
    snprintf(value, sizeof(value), "/dev/loop%d", loop);
    set(backend, "params", value);
    set(backend, "physical-device-path", value);
    set(backend, "hotplug-status", "connected");
    set(backend, "state", "1");

    snprintf(value, sizeof(value), "7:%x", loop);
    set(backend, "physical-device", value);
    snprintf(value, sizeof(value), BACKENDS "/vbd-%d-51712/physical_device", 1000 + i);
    for (n = 0; access(value, F_OK); n++) {
        if (n == 10000)
            errx(1, "%s does not come", value);
        usleep(1000);
    }
}

int main(int argc, char *argv[])
{
    int count, image, i;
    char device[32];

    if (argc < 4 || (count = atoi(argv[2])) < 1)
        errx(2, "usage: hotplug_bench IMAGE COUNT SCRIPT...");
    xs = xs_open(0);
    xc = xc_interface_open(NULL, NULL, 0);
    if (!xs || !xc)
        err(1, "not in dom0");
    xenstored = clock_of("xenstored");
    xenwatch = clock_of("xenwatch");

    image = memfd_create("disk", MFD_CLOEXEC);
    if (image < 0 || ftruncate(image, 1 << 20))
        err(1, "memfd");
    for (i = 0; i < count; i++) {
        make_backend(i, attach(image));
        if ((i + 1) % 100 == 0)
            fprintf(stderr, "%d of %d backends\n", i + 1, count);
    }
    snprintf(device, sizeof(device), "/dev/loop%d", attach(image));
    for (i = 3; i < argc; i++) {
        measure(argv[i], "device", device, count);
        measure(argv[i], "file", argv[1], count);
    }
    return 0;
}
