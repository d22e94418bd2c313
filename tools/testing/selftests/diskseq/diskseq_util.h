/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of disks by number share: loop devices whose content tells
 * which image is behind them, and a diskseqfs of the test's own.
 *
 * Functions that cannot fail in a sound environment end the test program with
 * a message if they do; the others return -1 and set errno.
 */
#ifndef DISKSEQ_UTIL_H
#define DISKSEQ_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>
#include <sys/types.h>

#define IMAGE_SIZE	(1 << 20)
#define STAMP_SIZE	64
#define WAIT_S	10
#define WAIT_LOOKS	500

/*
 * Wait until @condition holds: true, or false if it does not in time.  That is not
 * the clock alone, which goes on for a virtual machine that stands still.
 */
#define wait_until(condition)						\
({									\
	time_t __end = time(NULL) + WAIT_S;				\
	unsigned int __looks = 0;					\
	bool __holds;							\
									\
	while (!(__holds = (condition)) &&				\
	       (__looks++ < WAIT_LOOKS || time(NULL) < __end))		\
		usleep(1000);						\
	__holds;							\
})

/* A private mount namespace with a diskseqfs; returns its directory's fd. */
int diskseqfs_private(void);
/* Where that is, for those that need a path. */
extern const char diskseqfs_dir[];

/* open() the entry of a disk (@partno 0) or partition there. */
int open_by_number(uint64_t diskseq, unsigned int partno, int flags);
/* Write the path of an entry there to @path, of at least 64 bytes; returns it. */
char *path_by_number(char *path, uint64_t diskseq, unsigned int partno);

/* An image (a memfd) that has @stamp at the start of each 4 KiB. */
int image_create(const char *stamp, size_t size);
/* Does what @fd reads (past the page cache of other openers) start with @stamp? */
bool has_stamp(int fd, const char *stamp);

/*
 * What a way to a disk leads to; each says what it found if it is not that.
 * The number opens no disk (ENOENT), or the one with that number and @stamp.
 */
bool is_gone(uint64_t diskseq, unsigned int partno);
bool opens_as(uint64_t diskseq, unsigned int partno, const char *stamp);
/* The same of a device node, which cannot tell whether it is the same disk. */
bool node_opens_as(const char *path, const char *stamp);

/* BLKGETDISKSEQ of an open device. */
uint64_t diskseq_of(int fd);
/* The same of a device node. */
uint64_t diskseq_of_path(const char *path);

/* An unused loop device; returns its number.  loop_path() is the thread's storage. */
int loop_get_free(void);
const char *loop_path(int nr);
/* Attach an image with LO_FLAGS_*; returns the number that the disk got. */
uint64_t loop_attach(int nr, int image_fd, uint32_t flags);
/* Detach, and wait until it is. */
void loop_detach(int nr);
/* Wait until nothing is attached, with a deadline. */
void loop_wait_detached(int nr);
/* LOOP_CTL_ADD and LOOP_CTL_REMOVE; return -1 with errno on failure. */
int loop_add(int nr);
int loop_remove(int nr);

/* BLKPG_* of a partition of an open disk; -1 with errno on failure. */
int partition_change(int fd, int op, unsigned int partno, off_t start,
		     off_t length);
int partition_add(int fd, unsigned int partno, off_t start, off_t length);
int partition_del(int fd, unsigned int partno);
/*
 * Add a partition of disk @number, if it gets the device number @rdev.  That is free
 * for use a little after the partition is gone that had it.
 */
bool partition_gets(int fd, uint64_t number, unsigned int partno, off_t start,
		    off_t length, dev_t rdev);
/* Write a table of one partition. */
void partition_write_table(int fd, off_t start, off_t length);

#define ACL	"system.posix_acl_access"

/* As the kernel takes it and gives it. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[5];
};

#define ACL_MASK	3	/* which of them it is */

/* An ACL that gives @user read and write, within @mask, and others nothing. */
struct acl acl_for(uid_t user, int mask);

/* Write all of @value to a file, as of sysfs; -1 with errno on failure. */
int put(const char *path, const char *value);

/* TEST UNIT READY through SG_IO; returns the sense key. */
int sg_test_unit_ready(int fd);

/* Run a command line of a host's tool; returns its exit status. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* DISKSEQ_UTIL_H */
