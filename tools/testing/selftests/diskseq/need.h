/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test cannot do without.  Where it is not there, the test is skipped and
 * says why; what is there and does not work is a failure.
 *
 *	root			to be root, not only in a user namespace
 *	diskseqfs		to mount it
 *	loop			a free loop device
 *	io_uring		that the kernel has it and lets us, and liburing at build
 *	fhandle			that the kernel has name_to_handle_at()
 *	dom0			to be the one that Xen gives its disks to
 *	fs:TYPE			a file system, built in or as a module
 *	tool:NAME		a program in $PATH
 *	file:PATH		a file, of a driver that is loaded
 *	symbol:NAME		a function of the kernel
 */
#ifndef DISKSEQ_NEED_H
#define DISKSEQ_NEED_H

/* The first of these, up to NULL, that is not there, as a sentence; or NULL. */
const char *missing_of(const char *const *needs);

/* What goes together. */
#define FOR_DISKSEQFS	"root", "diskseqfs", "loop"
#define FOR_DM		"tool:dmsetup", "file:/dev/mapper/control"
#define FOR_EXT4	"tool:mkfs.ext4", "fs:ext4"
#define FOR_NULL_BLK	"file:/sys/module/null_blk", "fs:configfs"
#define FOR_SCSI_DEBUG	"file:/sys/bus/pseudo/drivers/scsi_debug"

#define MISSING(...) missing_of((const char *const[]){ __VA_ARGS__, NULL })

/* At the start of a test or a fixture of kselftest_harness.h. */
#define NEED(...)							\
do {									\
	const char *__missing = MISSING(__VA_ARGS__);			\
									\
	if (__missing)							\
		SKIP(return, "%s", __missing);				\
} while (0)

/*
 * The harness ends a test after 30 seconds, which an emulated machine that is busy
 * can need for programs such as dmsetup.  What hangs is found out all the same.
 */
#define PATIENCE_S	240

/* TEST_HARNESS_MAIN of tests that all need the same. */
#define TEST_HARNESS_MAIN_NEED(...)					\
int main(int argc, char **argv)						\
{									\
	const char *missing = MISSING(__VA_ARGS__);			\
	struct __fixture_metadata *f;					\
	struct __test_metadata *t;					\
									\
	for (f = __fixture_list; f; f = f->next) {			\
		for (t = f->tests; t; t = t->next) {			\
			if (t->timeout < PATIENCE_S)			\
				t->timeout = PATIENCE_S;		\
		}							\
	}								\
	if (missing) {							\
		ksft_print_header();					\
		ksft_exit_skip("%s\n", missing);			\
	}								\
	return test_harness_run(argc, argv);				\
}

#endif /* DISKSEQ_NEED_H */
