// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of disks by sequence number: their names, the index, the open, and
 * what is cached.
 *
 * The disks are real ones, of a driver in here that reads as zeroes but for what
 * tells the medium, and whose ->open() does what the test tells it to.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "blk.h"

/* Names. */

struct good_name {
	const char *name;
	u64 diskseq;
	u8 partno;
};

static const struct good_name good_names[] = {
	{ "1",				1,		0 },
	{ "9",				9,		0 },
	{ "10",				10,		0 },
	{ "4294967295",			U32_MAX,	0 },
	{ "4294967296",			U32_MAX + 1ULL,	0 },
	{ "9223372036854775807",	S64_MAX,	0 },
	{ "9223372036854775808",	S64_MAX + 1ULL,	0 },
	{ "18446744073709551615",	U64_MAX,	0 },
	{ "1-part1",			1,		1 },
	{ "1-part10",			1,		10 },
	{ "12-part255",			12,		255 },
	{ "18446744073709551615-part255", U64_MAX,	255 },
};

KUNIT_ARRAY_PARAM_DESC(good_name, good_names, name);

struct bad_name {
	const char *desc;
	const char *name;
	size_t len;		/* if other than strlen(name) */
	unsigned int times;	/* how often to repeat it, if at all */
	int err;
};

static const struct bad_name bad_names[] = {
	{ "empty",		"",		.err = -EINVAL },
	{ "0",			"0",		.err = -EINVAL },
	{ "00",			"00",		.err = -EINVAL },
	{ "01",			"01",		.err = -EINVAL },
	{ "plus sign",		"+1",		.err = -EINVAL },
	{ "minus sign",		"-1",		.err = -EINVAL },
	{ "blank in front",	" 1",		.err = -EINVAL },
	{ "blank behind",	"1 ",		.err = -EINVAL },
	{ "blank within",	"1 2",		.err = -EINVAL },
	{ "newline",		"1\n",		.err = -EINVAL },
	{ "tab",		"\t1",		.err = -EINVAL },
	{ "0x1",		"0x1",		.err = -EINVAL },
	{ "1a",			"1a",		.err = -EINVAL },
	{ "a1",			"a1",		.err = -EINVAL },
	{ "a",			"a",		.err = -EINVAL },
	{ "1.0",		"1.0",		.err = -EINVAL },
	{ "1e3",		"1e3",		.err = -EINVAL },
	{ "slash",		"1/",		.err = -EINVAL },
	{ "dot",		".",		.err = -EINVAL },
	{ "digit of another script", "\xd9\xa1",	.err = -EINVAL },
	{ "byte above 127",	"1\xb2",	.err = -EINVAL },
	{ "NUL",		"",		.len = 1, .err = -EINVAL },
	{ "NUL behind",		"1",		.len = 2, .err = -EINVAL },
	{ "NUL within",		"1\0002",	.len = 3, .err = -EINVAL },
	{ "NUL in front",	"\0001",	.len = 2, .err = -EINVAL },
	{ "NUL before -part",	"1\0-part1",	.len = 8, .err = -EINVAL },
	{ "NUL behind part",	"1-part1",	.len = 8, .err = -EINVAL },
	{ "U64_MAX + 1",	"18446744073709551616",	.err = -ERANGE },
	{ "U64_MAX + 5",	"18446744073709551620",	.err = -ERANGE },
	{ "2^64 + 1, 1 in 64 bits", "18446744073709551617", .err = -ERANGE },
	{ "20 nines",		"9", .times = 20,	.err = -ERANGE },
	{ "21 digits",		"1", .times = 21,	.err = -ERANGE },
	{ "4000 digits",	"1", .times = 4000,	.err = -ERANGE },
	{ "4000 zeroes",	"0", .times = 4000,	.err = -EINVAL },
	{ "1-",			"1-",		.err = -EINVAL },
	{ "1-par",		"1-par",	.err = -EINVAL },
	{ "1-part",		"1-part",	.err = -EINVAL },
	{ "1-part0",		"1-part0",	.err = -EINVAL },
	{ "1-part01",		"1-part01",	.err = -EINVAL },
	{ "1-part+1",		"1-part+1",	.err = -EINVAL },
	{ "1-part-1",		"1-part-1",	.err = -EINVAL },
	{ "1-part 1",		"1-part 1",	.err = -EINVAL },
	{ "1-part1x",		"1-part1x",	.err = -EINVAL },
	{ "1-part1 newline",	"1-part1\n",	.err = -EINVAL },
	{ "1-part1-part1",	"1-part1-part1", .err = -EINVAL },
	{ "1-part256",		"1-part256",	.err = -ERANGE },
	{ "1-part257, 1 in 8 bits", "1-part257", .err = -ERANGE },
	{ "1-part4294967297, 1 in 32 bits", "1-part4294967297",
	  .err = -ERANGE },
	{ "part too long for 64 bits", "1-part18446744073709551617",
	  .err = -ERANGE },
	{ "number too great, with part", "18446744073709551616-part1",
	  .err = -ERANGE },
	{ "1-PART1",		"1-PART1",	.err = -EINVAL },
	{ "1-p1",		"1-p1",		.err = -EINVAL },
	{ "1p1",		"1p1",		.err = -EINVAL },
	{ "1part1",		"1part1",	.err = -EINVAL },
	{ "-part1",		"-part1",	.err = -EINVAL },
	{ "0-part1",		"0-part1",	.err = -EINVAL },
	{ "1 -part1",		"1 -part1",	.err = -EINVAL },
	{ "1-part1 twice",	"1-part1", .times = 2, .err = -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(bad_name, bad_names, desc);

KUNIT_DEFINE_ACTION_WRAPPER(vfree_action, vfree, const void *);

/* From the end of a page that has none behind it: a read too far is a fault. */
static int parse(struct kunit *test, const char *name, size_t len,
		 unsigned int times, u64 *diskseq, u8 *partno)
{
	char *page = vmalloc(PAGE_SIZE), *start;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vfree_action,
							   page));
	start = page + PAGE_SIZE - len * times;
	for (i = 0; i < times; i++)
		memcpy(start + i * len, name, len);
	return diskseq_parse_name(start, len * times, diskseq, partno);
}

static void good_name_is_read(struct kunit *test)
{
	const struct good_name *good = test->param_value;
	u64 diskseq = 0;
	u8 partno = 77;

	KUNIT_EXPECT_EQ(test, 0, parse(test, good->name, strlen(good->name), 1,
				       &diskseq, &partno));
	KUNIT_EXPECT_EQ(test, diskseq, good->diskseq);
	KUNIT_EXPECT_EQ(test, partno, good->partno);
}

static void good_name_is_what_is_written(struct kunit *test)
{
	const struct good_name *good = test->param_value;
	char name[DISKSEQ_NAME_SIZE];
	int len;

	len = diskseq_format_name(name, good->diskseq, good->partno);
	KUNIT_EXPECT_STREQ(test, name, good->name);
	KUNIT_EXPECT_EQ(test, len, strlen(good->name));
}

static void bad_name_is_refused_and_sets_nothing(struct kunit *test)
{
	const struct bad_name *bad = test->param_value;
	u64 diskseq = 4711;
	u8 partno = 77;

	KUNIT_EXPECT_EQ(test, bad->err,
			parse(test, bad->name, bad->len ?: strlen(bad->name),
			      bad->times ?: 1, &diskseq, &partno));
	KUNIT_EXPECT_EQ(test, diskseq, 4711);
	KUNIT_EXPECT_EQ(test, partno, 77);
}

static void name_ends_at_its_length(struct kunit *test)
{
	u64 diskseq;
	u8 partno;

	KUNIT_EXPECT_EQ(test, 0, diskseq_parse_name("123", 2, &diskseq,
						    &partno));
	KUNIT_EXPECT_EQ(test, diskseq, 12);
	KUNIT_EXPECT_EQ(test, partno, 0);
	KUNIT_EXPECT_EQ(test, 0, diskseq_parse_name("1-part23", 7, &diskseq,
						    &partno));
	KUNIT_EXPECT_EQ(test, diskseq, 1);
	KUNIT_EXPECT_EQ(test, partno, 2);
}

static struct kunit_case diskseq_name_cases[] = {
	KUNIT_CASE_PARAM(good_name_is_read, good_name_gen_params),
	KUNIT_CASE_PARAM(good_name_is_what_is_written, good_name_gen_params),
	KUNIT_CASE_PARAM(bad_name_is_refused_and_sets_nothing,
			 bad_name_gen_params),
	KUNIT_CASE(name_ends_at_its_length),
	{}
};

static struct kunit_suite diskseq_name_suite = {
	.name		= "diskseq_name",
	.test_cases	= diskseq_name_cases,
};

/* Disks. */

#define TEST_DISK_SECTORS	2048

struct test_disk {
	struct gendisk *disk;
	bool live;
	/* Does it have a partition table, of partition 2? */
	bool has_table;
	/* What ->open() shall do */
	bool open_renumbers;
	bool open_rescans;	/* once */
	int open_err;
	/* The first byte of this medium */
	u8 medium;
	/* Shall a read of the first block find that medium, and then the next? */
	bool read_changes_medium;	/* once */
	/* Blocks of another medium that were written to this one */
	unsigned int foreign_writes;
	/* What ->check_events() shall report, once */
	atomic_t medium_changed;
	/* How often it was called, and how often memory could be had by I/O */
	atomic_t looks, looks_with_io;
	/* Shall somebody else look, who comes when it has found another medium? */
	bool look_beside;	/* once */
	struct work_struct look;
	struct completion looked;
	/* What it saw; disk->open_mutex protects these */
	int opens;
	int releases;
	bool found_in_open;
	u64 seen_by_other;	/* the number after that other look */
};

static struct gendisk *find(u64 diskseq)
{
	guard(rcu)();
	return diskseq_find(diskseq);
}

static dev_t devt(u64 diskseq, u8 partno)
{
	sector_t start;

	return diskseq_devt(diskseq, partno, &start);
}

static int test_disk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct test_disk *td = disk->private_data;

	if (td->open_renumbers)
		inc_diskseq(disk);
	if (td->open_rescans)
		set_bit(GD_NEED_PART_SCAN, &disk->state);
	td->open_rescans = false;
	if (td->open_err)
		return td->open_err;
	td->found_in_open = find(disk_diskseq(disk)) == disk;
	td->opens++;
	return 0;
}

static void test_disk_release(struct gendisk *disk)
{
	struct test_disk *td = disk->private_data;

	td->releases++;
}

static unsigned int test_disk_check_events(struct gendisk *disk,
					   unsigned int clearing)
{
	struct test_disk *td = disk->private_data;
	int changed = atomic_xchg(&td->medium_changed, 0);

	atomic_inc(&td->looks);
	if (!(current->flags & PF_MEMALLOC_NOIO))
		atomic_inc(&td->looks_with_io);
	if (td->look_beside) {
		td->look_beside = false;
		schedule_work(&td->look);
		/* Enough for one that does not wait for this one */
		wait_for_completion_timeout(&td->looked, HZ / 2);
	}
	return changed ? DISK_EVENT_MEDIA_CHANGE : 0;
}

/* What the driver of a disk and the block layer do for who opens it. */
static void look_as_opener(struct work_struct *work)
{
	struct test_disk *td = container_of(work, struct test_disk, look);

	disk_check_media_change(td->disk);
	td->seen_by_other = disk_diskseq(td->disk);
	complete(&td->looked);
}

static void change_medium_silently(struct test_disk *td)
{
	td->medium++;
	inc_diskseq(td->disk);
}

static void test_disk_submit_bio(struct bio *bio)
{
	static const u8 entry[16] = { [4] = 0x83, [8] = 8 * 2, [12] = 8 };
	static const u8 signature[2] = { 0x55, 0xaa };
	struct test_disk *td = bio->bi_bdev->bd_disk->private_data;
	struct bio_vec bv;
	u8 medium;

	if (bio_op(bio) == REQ_OP_READ)
		zero_fill_bio(bio);
	if (bio_has_data(bio) && !bio->bi_iter.bi_sector) {
		bv = bio_iter_iovec(bio, bio->bi_iter);
		memcpy_from_page(&medium, bv.bv_page, bv.bv_offset, 1);
		if (bio_op(bio) == REQ_OP_WRITE)
			td->foreign_writes += medium != td->medium;
		else
			memcpy_to_page(bv.bv_page, bv.bv_offset, &td->medium, 1);
		if (bio_op(bio) == REQ_OP_READ && td->has_table) {
			memcpy_to_page(bv.bv_page, bv.bv_offset + 446 + 16,
				       entry, sizeof(entry));
			memcpy_to_page(bv.bv_page, bv.bv_offset + 510,
				       signature, sizeof(signature));
		}
		if (bio_op(bio) == REQ_OP_READ && td->read_changes_medium) {
			td->read_changes_medium = false;
			change_medium_silently(td);
		}
	}
	bio_endio(bio);
}

static const struct block_device_operations test_disk_fops = {
	.open		= test_disk_open,
	.release	= test_disk_release,
	.check_events	= test_disk_check_events,
	.submit_bio	= test_disk_submit_bio,
};

static void remove_disk(struct test_disk *td)
{
	del_gendisk(td->disk);
	td->live = false;
}

static void free_disk(void *data)
{
	struct test_disk *td = data;

	if (td->live)
		remove_disk(td);
	put_disk(td->disk);
}

static struct test_disk *alloc_test_disk(struct kunit *test)
{
	static atomic_t instances;
	struct test_disk *td;

	td = kunit_kzalloc(test, sizeof(*td), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, td);
	td->disk = blk_alloc_disk(NULL, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, td->disk);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_disk,
							   td));
	td->disk->fops = &test_disk_fops;
	td->disk->private_data = td;
	snprintf(td->disk->disk_name, DISK_NAME_LEN, "diskseq-kunit%d-",
		 atomic_inc_return(&instances));
	set_capacity(td->disk, TEST_DISK_SECTORS);
	return td;
}

static void add_test_disk(struct kunit *test, struct test_disk *td)
{
	KUNIT_ASSERT_EQ(test, 0, add_disk(td->disk));
	td->live = true;
	/* The scan for partitions has opened it, and closes it from a work */
	flush_delayed_fput();
}

static struct test_disk *add_new_disk(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);

	add_test_disk(test, td);
	return td;
}

static void add_part(struct kunit *test, struct test_disk *td, u8 partno)
{
	KUNIT_ASSERT_EQ(test, 0, bdev_add_partition(td->disk, partno,
						    8 * partno, 8,
						    disk_diskseq(td->disk)));
}

/* The index. */

static void disk_is_found_before_its_event_until_removal(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	u64 diskseq = disk_diskseq(td->disk);

	KUNIT_EXPECT_NE(test, diskseq, 0);
	KUNIT_EXPECT_PTR_EQ(test, find(diskseq), NULL);

	/* The scan for partitions opens the disk, and the ADD event follows */
	add_test_disk(test, td);
	KUNIT_EXPECT_EQ(test, td->opens, 1);
	KUNIT_EXPECT_TRUE(test, td->found_in_open);
	KUNIT_EXPECT_PTR_EQ(test, find(diskseq), td->disk);
	KUNIT_EXPECT_EQ(test, disk_diskseq(td->disk), diskseq);

	remove_disk(td);
	KUNIT_EXPECT_PTR_EQ(test, find(diskseq), NULL);
}

static void number_0_and_numbers_not_given_find_nothing(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);

	KUNIT_EXPECT_PTR_EQ(test, find(0), NULL);
	KUNIT_EXPECT_PTR_EQ(test, find(U64_MAX), NULL);
	KUNIT_EXPECT_PTR_EQ(test, NULL,
			    find(disk_diskseq(td->disk) + BIT_ULL(32)));
}

static void new_number_takes_the_place_of_the_old(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	u64 old = disk_diskseq(td->disk), new;

	inc_diskseq(td->disk);
	new = disk_diskseq(td->disk);
	KUNIT_EXPECT_GT(test, new, old);
	KUNIT_EXPECT_PTR_EQ(test, find(old), NULL);
	KUNIT_EXPECT_PTR_EQ(test, find(new), td->disk);
}

/*
 * What a work has to do is looked for so often, each time after 20 ms: the clock
 * also goes on for a virtual machine that stands still.
 */
#define MAX_LOOKS	250

/* The number that a disk has after another medium was found in it. */
static u64 change_medium(struct test_disk *td)
{
	u64 old = disk_diskseq(td->disk);
	int looks;

	atomic_set(&td->medium_changed, 1);
	/* Have the driver asked now, and nothing cleared */
	disk_flush_events(td->disk, 0);
	for (looks = 0; looks < MAX_LOOKS && disk_diskseq(td->disk) == old; looks++)
		msleep(20);
	return disk_diskseq(td->disk);
}

/*
 * Seen failing on a kernel where disk_check_events() does not number what it
 * masks as pending, which it is until the disk is opened.
 */
static void each_medium_has_a_number_also_unopened(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	u64 first, second, third;

	td->disk->events = DISK_EVENT_MEDIA_CHANGE;
	add_test_disk(test, td);
	first = disk_diskseq(td->disk);
	second = change_medium(td);
	KUNIT_EXPECT_GT(test, second, first);
	third = change_medium(td);
	KUNIT_EXPECT_GT(test, third, second);
	KUNIT_EXPECT_PTR_EQ(test, find(second), NULL);
	KUNIT_EXPECT_PTR_EQ(test, find(third), td->disk);
}

/*
 * Who opens the disk may come when somebody else has the driver asked.  Seen failing
 * on a kernel where it does not wait: it finds nothing, and the number is that of the
 * medium before.
 */
static void medium_has_a_number_for_who_looks_beside(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	u64 first;

	td->disk->events = DISK_EVENT_MEDIA_CHANGE;
	INIT_WORK(&td->look, look_as_opener);
	init_completion(&td->looked);
	add_test_disk(test, td);
	/* The first look is by a work */
	disk_check_media_change(td->disk);
	first = disk_diskseq(td->disk);

	atomic_set(&td->medium_changed, 1);
	td->look_beside = true;
	disk_check_media_change(td->disk);
	KUNIT_EXPECT_FALSE(test, td->look_beside);
	flush_work(&td->look);
	KUNIT_EXPECT_GT(test, td->seen_by_other, first);
	KUNIT_EXPECT_EQ(test, td->seen_by_other, disk_diskseq(td->disk));
}

/* Somebody whose I/O others wait for may wait for a look, whoever looks. */
static void look_does_not_wait_for_io(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	int looks;

	td->disk->events = DISK_EVENT_MEDIA_CHANGE;
	add_test_disk(test, td);
	looks = atomic_read(&td->looks);
	disk_check_media_change(td->disk);
	KUNIT_EXPECT_GT(test, atomic_read(&td->looks), looks);
	KUNIT_EXPECT_FALSE(test, current->flags & PF_MEMALLOC_NOIO);

	looks = atomic_read(&td->looks);
	disk_note_media_change(td->disk);
	KUNIT_EXPECT_GT(test, atomic_read(&td->looks), looks);
	KUNIT_EXPECT_FALSE(test, current->flags & PF_MEMALLOC_NOIO);

	looks = atomic_read(&td->looks);
	change_medium(td);
	KUNIT_EXPECT_GT(test, atomic_read(&td->looks), looks);
	KUNIT_EXPECT_EQ(test, atomic_read(&td->looks_with_io), 0);
}

static void new_number_does_not_add_a_disk(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);

	inc_diskseq(td->disk);
	KUNIT_EXPECT_PTR_EQ(test, find(disk_diskseq(td->disk)), NULL);
	add_test_disk(test, td);
	KUNIT_EXPECT_PTR_EQ(test, find(disk_diskseq(td->disk)), td->disk);
	remove_disk(td);
	inc_diskseq(td->disk);
	KUNIT_EXPECT_PTR_EQ(test, find(disk_diskseq(td->disk)), NULL);
}

struct place {
	u64 diskseq;
	u8 partno;
	bool found;
};

static bool note_place(struct gendisk *disk, u8 partno, void *data)
{
	struct place *place = data;

	place->diskseq = disk->diskseq;
	place->partno = partno;
	place->found = true;
	return false;
}

/* The first disk or partition at or behind a place, which is set to where that is. */
static bool diskseq_next(u64 *diskseq, u8 *partno)
{
	struct place place = { *diskseq, *partno };

	diskseq_walk(*diskseq, *partno, note_place, &place);
	*diskseq = place.diskseq;
	*partno = place.partno;
	return place.found;
}

static void hidden_disk_is_never_found(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	u64 diskseq = disk_diskseq(td->disk), next = diskseq;
	u8 partno = 0;

	td->disk->flags |= GENHD_FL_HIDDEN;
	add_test_disk(test, td);
	KUNIT_EXPECT_PTR_EQ(test, find(diskseq), NULL);
	KUNIT_EXPECT_EQ(test, devt(diskseq, 0), 0);
	if (diskseq_next(&next, &partno))
		KUNIT_EXPECT_NE(test, next, diskseq);
	inc_diskseq(td->disk);
	KUNIT_EXPECT_PTR_EQ(test, find(disk_diskseq(td->disk)), NULL);
	remove_disk(td);
	KUNIT_EXPECT_PTR_EQ(test, find(disk_diskseq(td->disk)), NULL);
}

static void device_number_is_that_of_disk_and_partition(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	dev_t part;

	KUNIT_EXPECT_EQ(test, devt(diskseq, 0), disk_devt(td->disk));
	KUNIT_EXPECT_EQ(test, devt(diskseq, 3), 0);

	add_part(test, td, 3);
	part = part_devt(td->disk, 3);
	KUNIT_EXPECT_NE(test, part, 0);
	KUNIT_EXPECT_EQ(test, devt(diskseq, 3), part);
	KUNIT_EXPECT_EQ(test, devt(diskseq, 2), 0);

	inc_diskseq(td->disk);
	KUNIT_EXPECT_EQ(test, devt(diskseq, 3), 0);
	diskseq = disk_diskseq(td->disk);
	/* Its table is that of the medium before. */
	KUNIT_EXPECT_EQ(test, devt(diskseq, 3), 0);

	KUNIT_ASSERT_EQ(test, 0, bdev_del_partition(td->disk, 3));
	add_part(test, td, 3);
	KUNIT_EXPECT_NE(test, devt(diskseq, 3), 0);
	KUNIT_ASSERT_EQ(test, 0, bdev_del_partition(td->disk, 3));
	KUNIT_EXPECT_EQ(test, devt(diskseq, 3), 0);
	remove_disk(td);
	KUNIT_EXPECT_EQ(test, devt(diskseq, 0), 0);
}

static void reference_is_to_the_expected_device_only(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	dev_t devt = disk_devt(td->disk);
	struct block_device *bdev;

	KUNIT_EXPECT_NULL(test, diskseq_get_no_open(diskseq, 0, devt + 1));
	KUNIT_EXPECT_NULL(test, diskseq_get_no_open(diskseq, 1, 0));
	bdev = diskseq_get_no_open(diskseq, 0, devt);
	KUNIT_ASSERT_PTR_EQ(test, bdev, td->disk->part0);
	blkdev_put_no_open(bdev);
}

/* One step of a walk that starts at @diskseq, @partno. */
static void expect_next(struct kunit *test, u64 diskseq, unsigned int partno,
			u64 next_diskseq, u8 next_partno)
{
	u8 part = partno;

	KUNIT_EXPECT_TRUE_MSG(test, diskseq_next(&diskseq, &part),
			      "from %llu, %u", diskseq, partno);
	KUNIT_EXPECT_EQ(test, diskseq, next_diskseq);
	KUNIT_EXPECT_EQ(test, part, next_partno);
}

static void walk_goes_on_behind_any_position(struct kunit *test)
{
	struct test_disk *first = add_new_disk(test);
	struct test_disk *gone = add_new_disk(test);
	struct test_disk *last = add_new_disk(test);
	u64 a = disk_diskseq(first->disk);
	u64 gap = disk_diskseq(gone->disk);
	u64 b = disk_diskseq(last->disk);
	u8 partno = 0;
	u64 end;

	remove_disk(gone);
	add_part(test, first, 3);
	add_part(test, first, 1);
	add_part(test, last, 255);

	KUNIT_ASSERT_LT(test, a, gap);
	KUNIT_ASSERT_LT(test, gap, b);
	expect_next(test, a, 0, a, 0);
	expect_next(test, a, 1, a, 1);
	expect_next(test, a, 2, a, 3);
	expect_next(test, a, 3, a, 3);
	expect_next(test, a, 4, b, 0);
	expect_next(test, a, 255, b, 0);
	expect_next(test, a + 1, 0, b, 0);
	expect_next(test, gap, 0, b, 0);
	/* Of a disk that is gone, no partition carries over to the next. */
	expect_next(test, gap, 7, b, 0);
	expect_next(test, b, 1, b, 255);

	/* A disk of somebody else's may have come: go from the end. */
	end = U64_MAX;
	KUNIT_EXPECT_FALSE(test, diskseq_next(&end, &partno));
	KUNIT_EXPECT_EQ(test, end, U64_MAX);
	KUNIT_EXPECT_EQ(test, partno, 0);
}

static void walk_leaves_partitions_of_an_earlier_medium_out(struct kunit *test)
{
	struct test_disk *first = add_new_disk(test);
	struct test_disk *last = add_new_disk(test);
	u64 a, b;

	add_part(test, first, 1);
	add_part(test, first, 3);
	inc_diskseq(first->disk);
	a = disk_diskseq(first->disk);
	inc_diskseq(last->disk);
	b = disk_diskseq(last->disk);
	expect_next(test, a, 1, b, 0);
	add_part(test, first, 2);
	expect_next(test, a, 1, a, 2);
	expect_next(test, a, 3, b, 0);
}

/* Disks that change their numbers, between disks that do not, and who looks. */
#define NR_PAIRS	8

struct watch {
	struct test_disk *stays[NR_PAIRS];
	u64 stays_seq[NR_PAIRS];
	struct test_disk *moves[NR_PAIRS];
	/* The numbers behind this one that disks come and go with, and keep */
	u64 first;
	unsigned int comers;

	unsigned long rounds;
	unsigned int lost;	/* a disk was not found that was there */
	unsigned int stale;	/* a disk was found under an earlier number */
	unsigned int wrong;	/* a disk was found that has another number */
	unsigned int skipped;	/* a walk did not see a disk that was there */
	unsigned int repeated;	/* or saw it twice */
};

static void watch_stays(struct watch *w)
{
	int i;

	for (i = 0; i < NR_PAIRS; i++)
		w->lost += find(w->stays_seq[i]) != w->stays[i]->disk;
}

static void watch_moves(struct watch *w)
{
	u64 seen, now;
	int i;

	for (i = 0; i < NR_PAIRS; i++) {
		struct gendisk *disk = w->moves[i]->disk;
		bool hit;

		seen = disk_diskseq(disk);
		hit = find(seen) == disk;
		now = disk_diskseq(disk);
		if (!hit && now == seen)
			w->lost++;
		if (now != seen && find(seen))
			w->stale++;
	}
}

static void watch_comers(struct watch *w)
{
	u64 diskseq;

	for (diskseq = w->first + READ_ONCE(w->comers); diskseq > w->first;
	     diskseq--) {
		struct gendisk *disk;

		guard(rcu)();
		disk = diskseq_find(diskseq);
		if (disk && disk_diskseq(disk) != diskseq)
			w->wrong++;
	}
}

static void watch_walk(struct watch *w)
{
	unsigned int seen[NR_PAIRS] = {};
	u64 diskseq;
	u8 partno = 0;
	int i;

	for (diskseq = 0; diskseq_next(&diskseq, &partno);
	     diskseq += !++partno) {
		for (i = 0; i < NR_PAIRS; i++)
			if (diskseq == w->stays_seq[i] && !partno)
				seen[i]++;
	}
	for (i = 0; i < NR_PAIRS; i++) {
		w->skipped += !seen[i];
		w->repeated += seen[i] > 1;
	}
}

static int watch_thread(void *data)
{
	struct watch *w = data;

	while (!kthread_should_stop()) {
		watch_stays(w);
		watch_moves(w);
		watch_comers(w);
		watch_walk(w);
		WRITE_ONCE(w->rounds, w->rounds + 1);
		cond_resched();
	}
	return 0;
}

static void stop_thread(void *thread)
{
	kthread_stop(thread);
}

static struct watch *start_watch(struct kunit *test)
{
	struct task_struct *thread;
	struct watch *w;
	int i;

	w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w);
	for (i = 0; i < NR_PAIRS; i++) {
		w->stays[i] = add_new_disk(test);
		w->stays_seq[i] = disk_diskseq(w->stays[i]->disk);
		w->moves[i] = add_new_disk(test);
	}
	w->first = disk_diskseq(w->moves[NR_PAIRS - 1]->disk);

	thread = kthread_run(watch_thread, w, "diskseq-watch");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stop_thread,
							   thread));
	test->priv = thread;
	return w;
}

/* Has it seen enough of the changes?  Somebody else may have its processor. */
static bool has_watched(struct watch *w)
{
	return READ_ONCE(w->rounds) > 10;
}

static void end_watch(struct kunit *test, struct watch *w)
{
	kunit_release_action(test, stop_thread, test->priv);
	kunit_info(test, "%lu rounds of look-ups", w->rounds);
	KUNIT_EXPECT_EQ(test, w->lost, 0);
	KUNIT_EXPECT_EQ(test, w->stale, 0);
	KUNIT_EXPECT_EQ(test, w->wrong, 0);
	KUNIT_EXPECT_EQ(test, w->skipped, 0);
	KUNIT_EXPECT_EQ(test, w->repeated, 0);
}

/*
 * Seen failing with a diskseq_advance() that lets go of the lock between the
 * two numbers.  What happens within a look-up is tested only where there is a
 * second processor: User-Mode Linux does not switch there.
 */
static void lookup_is_right_while_numbers_change(struct kunit *test)
{
	struct watch *w = start_watch(test);
	unsigned long end = jiffies + 2 * HZ;
	unsigned int n = 0;

	while (time_before(jiffies, end) || !has_watched(w)) {
		inc_diskseq(w->moves[n++ % NR_PAIRS]->disk);
		cond_resched();
	}
	end_watch(test, w);
}

static void lookup_is_right_while_disks_come_and_go(struct kunit *test)
{
	struct watch *w = start_watch(test);
	unsigned int n;

	for (n = 0; n < 100 || !has_watched(w); n++) {
		struct test_disk *td = alloc_test_disk(test);

		WRITE_ONCE(w->comers, disk_diskseq(td->disk) - w->first);
		add_test_disk(test, td);
		kunit_release_action(test, free_disk, td);
	}
	end_watch(test, w);
}

static struct kunit_case diskseq_index_cases[] = {
	KUNIT_CASE(disk_is_found_before_its_event_until_removal),
	KUNIT_CASE(number_0_and_numbers_not_given_find_nothing),
	KUNIT_CASE(new_number_takes_the_place_of_the_old),
	KUNIT_CASE(each_medium_has_a_number_also_unopened),
	KUNIT_CASE(medium_has_a_number_for_who_looks_beside),
	KUNIT_CASE(look_does_not_wait_for_io),
	KUNIT_CASE(new_number_does_not_add_a_disk),
	KUNIT_CASE(hidden_disk_is_never_found),
	KUNIT_CASE(device_number_is_that_of_disk_and_partition),
	KUNIT_CASE(reference_is_to_the_expected_device_only),
	KUNIT_CASE(walk_goes_on_behind_any_position),
	KUNIT_CASE(walk_leaves_partitions_of_an_earlier_medium_out),
	KUNIT_CASE_SLOW(lookup_is_right_while_numbers_change),
	KUNIT_CASE_SLOW(lookup_is_right_while_disks_come_and_go),
	{}
};

static struct kunit_suite diskseq_index_suite = {
	.name		= "diskseq_index",
	.test_cases	= diskseq_index_cases,
};

/* The open. */

struct open_case {
	const char *desc;
	u8 partno;
	blk_mode_t mode;
	bool exclusive;
};

static const struct open_case open_cases[] = {
	{ "disk", 0, BLK_OPEN_READ, false },
	{ "disk, exclusive", 0, BLK_OPEN_READ | BLK_OPEN_WRITE, true },
	{ "disk, writes restricted", 0,
	  BLK_OPEN_READ | BLK_OPEN_RESTRICT_WRITES, true },
	{ "partition", 2, BLK_OPEN_READ, false },
	{ "partition, exclusive", 2, BLK_OPEN_READ | BLK_OPEN_WRITE, true },
	{ "partition, writes restricted", 2,
	  BLK_OPEN_READ | BLK_OPEN_RESTRICT_WRITES, true },
};

KUNIT_ARRAY_PARAM_DESC(open, open_cases, desc);

static struct file *open_test_disk(struct kunit *test, u64 diskseq)
{
	const struct open_case *c = test->param_value;

	return blkdev_get_by_diskseq(diskseq, c->partno, 0, c->mode,
				     c->exclusive ? test : NULL, NULL);
}

static void close_file(void *file)
{
	bdev_fput(file);
	/* Tests are threads of the kernel, whose files are put by a work */
	flush_delayed_fput();
}

static void close_at_exit(struct kunit *test, struct file *file)
{
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, close_file,
							   file));
}

static struct test_disk *add_partitioned_disk(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);

	add_part(test, td, 2);
	return td;
}

/* Is the disk as if it had never been opened? */
static void expect_not_open(struct kunit *test, struct test_disk *td)
{
	struct gendisk *disk = td->disk;
	struct block_device *part = xa_load(&disk->part_tbl, 2);

	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, td->opens, td->releases);
	KUNIT_EXPECT_EQ(test, disk_openers(disk), 0);
	KUNIT_EXPECT_EQ(test, disk->open_partitions, 0);
	KUNIT_EXPECT_EQ(test, disk->part0->bd_writers, 0);
	KUNIT_EXPECT_NULL(test, disk->part0->bd_holder);
	KUNIT_EXPECT_NULL(test, disk->part0->bd_claiming);
	if (!part)
		return;
	KUNIT_EXPECT_EQ(test, atomic_read(&part->bd_openers), 0);
	KUNIT_EXPECT_EQ(test, part->bd_writers, 0);
	KUNIT_EXPECT_NULL(test, part->bd_holder);
	KUNIT_EXPECT_NULL(test, part->bd_claiming);
}

/* Whoever comes next is not in the way of what has failed. */
static void expect_can_be_opened(struct kunit *test, struct test_disk *td)
{
	struct block_device *part = xa_load(&td->disk->part_tbl, 2);
	struct file *file;

	/* Of a new medium, the table is read first. */
	if (part && bdev_diskseq(part) != disk_diskseq(td->disk)) {
		KUNIT_ASSERT_EQ(test, 0, bdev_del_partition(td->disk, 2));
		add_part(test, td, 2);
	}
	file = open_test_disk(test, disk_diskseq(td->disk));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_file(file);
	file = blkdev_get_by_diskseq(disk_diskseq(td->disk), 0, 0, BLK_OPEN_READ,
				     td, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_file(file);
	expect_not_open(test, td);
}

static void number_opens_its_disk(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = add_partitioned_disk(test);
	struct test_disk *other = add_partitioned_disk(test);
	int opens = td->opens, others = other->opens;
	struct block_device *bdev;
	struct file *file;

	file = open_test_disk(test, disk_diskseq(td->disk));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	bdev = file_bdev(file);
	KUNIT_EXPECT_PTR_EQ(test, bdev->bd_disk, td->disk);
	KUNIT_EXPECT_EQ(test, bdev_partno(bdev), c->partno);
	KUNIT_EXPECT_PTR_EQ(test, bdev->bd_holder, c->exclusive ? test : NULL);
	KUNIT_EXPECT_EQ(test, td->opens, opens + 1);
	KUNIT_EXPECT_EQ(test, other->opens, others);
	close_file(file);
	expect_not_open(test, td);
}

static void number_that_is_gone_opens_nothing(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	u64 old = disk_diskseq(td->disk);
	int opens = td->opens;
	struct file *file;

	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, 0), ERR_PTR(-ENXIO));
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, U64_MAX),
			    ERR_PTR(-ENXIO));
	inc_diskseq(td->disk);
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, old), ERR_PTR(-ENXIO));
	KUNIT_EXPECT_EQ(test, td->opens, opens);

	file = blkdev_get_by_diskseq(disk_diskseq(td->disk), 3, 0, BLK_OPEN_READ,
				     NULL, NULL);
	KUNIT_EXPECT_PTR_EQ(test, file, ERR_PTR(-ENXIO));
	expect_can_be_opened(test, td);

	remove_disk(td);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENXIO),
			    open_test_disk(test, disk_diskseq(td->disk)));
}

/* Between look-up and open: here by hand what is a race in real life. */
static struct file *open_looked_up(struct kunit *test,
				   struct block_device *bdev, u64 diskseq)
{
	const struct open_case *c = test->param_value;

	return bdev_file_open(bdev, diskseq, c->mode,
			      c->exclusive ? test : NULL, NULL);
}

static struct block_device *look_up(struct kunit *test, struct test_disk *td)
{
	const struct open_case *c = test->param_value;
	struct block_device *bdev;

	bdev = diskseq_get_no_open(disk_diskseq(td->disk), c->partno, 0);
	KUNIT_ASSERT_NOT_NULL(test, bdev);
	return bdev;
}

static void disk_changed_before_open_is_not_touched(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	struct block_device *bdev = look_up(test, td);
	int opens = td->opens;

	inc_diskseq(td->disk);
	KUNIT_EXPECT_PTR_EQ(test, open_looked_up(test, bdev, diskseq),
			    ERR_PTR(-ESTALE));
	KUNIT_EXPECT_EQ(test, td->opens, opens);
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

/* That somebody has claimed the successor does not matter. */
static void claimed_successor_is_not_busy(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	struct block_device *bdev = look_up(test, td);
	struct file *holder;

	inc_diskseq(td->disk);
	holder = bdev_file_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, td, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, holder);
	close_at_exit(test, holder);
	KUNIT_EXPECT_PTR_EQ(test, open_looked_up(test, bdev, diskseq),
			    ERR_PTR(-ESTALE));
	kunit_release_action(test, close_file, holder);
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

static void disk_removed_before_open_is_not_touched(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	struct block_device *bdev = look_up(test, td);
	int opens = td->opens;

	remove_disk(td);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ESTALE),
			    open_looked_up(test, bdev,
					   disk_diskseq(td->disk)));
	KUNIT_EXPECT_EQ(test, td->opens, opens);
	expect_not_open(test, td);
}

static void partition_replaced_before_open_is_not_touched(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = add_partitioned_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	struct block_device *bdev = look_up(test, td);
	int opens = td->opens;
	struct file *file;

	KUNIT_ASSERT_EQ(test, 0, bdev_del_partition(td->disk, 2));
	add_part(test, td, 2);
	file = open_looked_up(test, bdev, diskseq);
	if (c->partno) {
		KUNIT_EXPECT_PTR_EQ(test, file, ERR_PTR(-ESTALE));
		KUNIT_EXPECT_EQ(test, td->opens, opens);
	} else {
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
		close_file(file);
	}
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

static void open_that_finds_a_new_medium_is_undone(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	u64 old = disk_diskseq(td->disk);
	int opens = td->opens;

	td->open_renumbers = true;
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, old), ERR_PTR(-ENXIO));
	td->open_renumbers = false;
	KUNIT_EXPECT_EQ(test, td->opens, opens + 1);
	KUNIT_EXPECT_GT(test, disk_diskseq(td->disk), old);
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

/*
 * When the open has the table read, the partition that was looked up is replaced
 * by another one of the same name: the disk is still there.
 */
static void open_that_reads_the_table_opens_the_new_partition(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = alloc_test_disk(test);
	struct block_device *before;
	struct file *file;

	td->has_table = true;
	add_test_disk(test, td);
	before = xa_load(&td->disk->part_tbl, 2);
	KUNIT_ASSERT_NOT_NULL(test, before);

	td->open_rescans = true;
	file = open_test_disk(test, disk_diskseq(td->disk));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_EXPECT_EQ(test, bdev_partno(file_bdev(file)), c->partno);
	KUNIT_EXPECT_FALSE(test, td->open_rescans);
	close_file(file);
	expect_not_open(test, td);
}

/*
 * The extents of a partition are those of the table that it was read from, and
 * it stays in memory until the table of the new medium is read.
 */
static void partition_of_an_earlier_medium_is_not_opened(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	struct block_device *part = xa_load(&td->disk->part_tbl, 2);
	struct bdev_name name = { .dev = part->bd_dev, .partno = 2 };
	struct file *file;

	inc_diskseq(td->disk);
	name.diskseq = disk_diskseq(td->disk);
	file = blkdev_get_by_diskseq(name.diskseq, 2, 0, BLK_OPEN_READ, NULL,
				     NULL);
	KUNIT_EXPECT_PTR_EQ(test, file, ERR_PTR(-ENXIO));
	KUNIT_EXPECT_FALSE(test, bdev_has_name(part, &name));
	expect_not_open(test, td);

	/* Of the new medium, this partition has been added. */
	add_part(test, td, 3);
	file = blkdev_get_by_diskseq(name.diskseq, 3, 0, BLK_OPEN_READ, NULL,
				     NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_file(file);
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

/* Of two openers, it is undone for the one who meant the old medium. */
static void undone_open_leaves_the_other_opener_alone(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	struct file *file;
	u64 old;

	file = blkdev_get_by_diskseq(disk_diskseq(td->disk), 2, 0, BLK_OPEN_READ,
				     NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_at_exit(test, file);
	old = disk_diskseq(td->disk);

	td->open_renumbers = true;
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, old), ERR_PTR(-ENXIO));
	td->open_renumbers = false;
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, td->opens, td->releases + 1);
	KUNIT_EXPECT_EQ(test, disk_openers(td->disk), 1);
	KUNIT_EXPECT_EQ(test, td->disk->open_partitions, 1);

	kunit_release_action(test, close_file, file);
	expect_not_open(test, td);
}

static void error_of_the_driver_is_returned(struct kunit *test)
{
	struct test_disk *td = add_partitioned_disk(test);
	u64 diskseq = disk_diskseq(td->disk);

	td->open_err = -ENOMEDIUM;
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, diskseq),
			    ERR_PTR(-ENOMEDIUM));
	expect_not_open(test, td);

	/* The medium that was asked for is gone, whatever else is wrong */
	td->open_renumbers = true;
	KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, diskseq),
			    ERR_PTR(-ENXIO));
	expect_not_open(test, td);

	td->open_renumbers = false;
	td->open_err = 0;
	expect_can_be_opened(test, td);
}

static void other_holder_is_busy(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = add_partitioned_disk(test);
	u64 diskseq = disk_diskseq(td->disk);
	struct file *file;

	file = blkdev_get_by_diskseq(diskseq, c->partno, 0, BLK_OPEN_READ, td,
				     NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_at_exit(test, file);
	if (c->exclusive) {
		KUNIT_EXPECT_PTR_EQ(test, open_test_disk(test, diskseq),
				    ERR_PTR(-EBUSY));
	} else {
		struct file *second = open_test_disk(test, diskseq);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, second);
		close_file(second);
	}
	KUNIT_EXPECT_PTR_EQ(test, file_bdev(file)->bd_holder, td);
	kunit_release_action(test, close_file, file);
	expect_not_open(test, td);
	expect_can_be_opened(test, td);
}

/* What a path named, see lookup_bdev_name(), by number or by device number. */
static void name_of_a_path_opens_what_it_named(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = add_partitioned_disk(test);
	struct bdev_name by_dev = {
		.dev = part_devt(td->disk, c->partno),
	};
	struct bdev_name by_number = {
		.dev = part_devt(td->disk, c->partno),
		.diskseq = disk_diskseq(td->disk),
		.partno = c->partno,
	};
	void *holder = c->exclusive ? test : NULL;
	struct file *file;

	file = bdev_file_open_by_name(&by_number, c->mode, holder, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_at_exit(test, file);
	KUNIT_EXPECT_TRUE(test, bdev_has_name(file_bdev(file), &by_number));
	KUNIT_EXPECT_TRUE(test, bdev_has_name(file_bdev(file), &by_dev));
	inc_diskseq(td->disk);
	KUNIT_EXPECT_FALSE(test, bdev_has_name(file_bdev(file), &by_number));
	KUNIT_EXPECT_TRUE(test, bdev_has_name(file_bdev(file), &by_dev));
	kunit_release_action(test, close_file, file);

	file = bdev_file_open_by_name(&by_number, c->mode, holder, NULL);
	KUNIT_EXPECT_PTR_EQ(test, file, ERR_PTR(-ENXIO));
	file = bdev_file_open_by_name(&by_dev, c->mode, holder, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_file(file);
	expect_not_open(test, td);
}

/*
 * Between look-up and open, or by the open, the table can be read again, and the
 * partition of that name then has another device number.
 */
static void name_of_a_path_survives_the_table(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = alloc_test_disk(test);
	struct block_device *before;
	struct bdev_name name;
	struct file *file;

	td->has_table = true;
	add_test_disk(test, td);
	/* A reference, so that its device number is not free again */
	before = look_up(test, td);
	name = (struct bdev_name) {
		.dev = before->bd_dev,
		.diskseq = disk_diskseq(td->disk),
		.partno = c->partno,
	};

	td->open_rescans = true;
	file = bdev_file_open_by_name(&name, c->mode,
				      c->exclusive ? test : NULL, NULL);
	if (!IS_ERR(file)) {
		KUNIT_EXPECT_EQ(test, bdev_partno(file_bdev(file)), c->partno);
		if (c->partno)
			KUNIT_EXPECT_NE(test, file_bdev(file)->bd_dev, name.dev);
		close_file(file);
	}
	blkdev_put_no_open(before);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_EXPECT_FALSE(test, td->open_rescans);
	expect_not_open(test, td);
}

/* The other way to open, by device number, knows nothing of numbers. */
static void open_by_device_number_follows_a_new_medium(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct test_disk *td = add_partitioned_disk(test);
	struct file *file;

	td->open_renumbers = true;
	file = bdev_file_open_by_dev(part_devt(td->disk, c->partno), c->mode,
				     c->exclusive ? test : NULL, NULL);
	td->open_renumbers = false;
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_file(file);
	expect_not_open(test, td);
}

static struct kunit_case diskseq_open_cases[] = {
	KUNIT_CASE_PARAM(number_opens_its_disk, open_gen_params),
	KUNIT_CASE_PARAM(number_that_is_gone_opens_nothing, open_gen_params),
	KUNIT_CASE_PARAM(disk_changed_before_open_is_not_touched,
			 open_gen_params),
	KUNIT_CASE_PARAM(claimed_successor_is_not_busy, open_gen_params),
	KUNIT_CASE_PARAM(disk_removed_before_open_is_not_touched,
			 open_gen_params),
	KUNIT_CASE_PARAM(partition_replaced_before_open_is_not_touched,
			 open_gen_params),
	KUNIT_CASE_PARAM(open_that_finds_a_new_medium_is_undone,
			 open_gen_params),
	KUNIT_CASE_PARAM(open_that_reads_the_table_opens_the_new_partition,
			 open_gen_params),
	KUNIT_CASE_PARAM(partition_of_an_earlier_medium_is_not_opened,
			 open_gen_params),
	KUNIT_CASE_PARAM(undone_open_leaves_the_other_opener_alone,
			 open_gen_params),
	KUNIT_CASE_PARAM(error_of_the_driver_is_returned, open_gen_params),
	KUNIT_CASE_PARAM(other_holder_is_busy, open_gen_params),
	KUNIT_CASE_PARAM(name_of_a_path_opens_what_it_named, open_gen_params),
	KUNIT_CASE_PARAM(name_of_a_path_survives_the_table, open_gen_params),
	KUNIT_CASE_PARAM(open_by_device_number_follows_a_new_medium,
			 open_gen_params),
	{}
};

static struct kunit_suite diskseq_open_suite = {
	.name		= "diskseq_open",
	.test_cases	= diskseq_open_cases,
};

/* What is cached. */

static struct file *open_part(struct kunit *test, struct test_disk *td, u8 partno)
{
	struct file *file;

	file = blkdev_get_by_diskseq(disk_diskseq(td->disk), partno, 0,
				     BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_at_exit(test, file);
	return file;
}

static struct folio *first_folio(struct kunit *test, struct file *file)
{
	struct folio *folio = read_mapping_folio(file->f_mapping, 0, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, folio);
	return folio;
}

/* The first byte of the medium, by the cache. */
static u8 cached_medium(struct kunit *test, struct file *file)
{
	struct folio *folio = first_folio(test, file);
	u8 medium;

	memcpy_from_folio(&medium, folio, 0, 1);
	folio_put(folio);
	return medium;
}

/* As a write() does, or a store to what is mapped. */
static void dirty_first_folio(struct kunit *test, struct file *file)
{
	struct folio *folio = first_folio(test, file);

	folio_lock(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
}

static void put_folio(void *folio)
{
	folio_put(folio);
}

/* Seen failing with an invalidate_bdev(), which skips pages that are in use. */
static void page_in_use_is_not_of_the_next_medium(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	struct file *file = open_part(test, td, 0);
	struct folio *held = first_folio(test, file);

	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_folio,
							   held));
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 0);
	change_medium_silently(td);
	file = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);
}

/* For who has the disk open already the driver, or the block layer, sees to it. */
static void page_goes_when_the_driver_reports_a_medium(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	struct folio *held;
	struct file *file;

	td->disk->events = DISK_EVENT_MEDIA_CHANGE;
	add_test_disk(test, td);
	file = open_part(test, td, 0);
	held = first_folio(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_folio,
							   held));
	td->medium++;
	atomic_set(&td->medium_changed, 1);
	KUNIT_EXPECT_TRUE(test, disk_check_media_change(td->disk));
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);

	held = first_folio(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_folio,
							   held));
	td->medium++;
	disk_force_media_change(td->disk);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 2);
}

/* Also when the table cannot be read again, since a partition is open. */
static void page_is_not_of_the_next_medium_while_a_partition_is_open(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	struct file *file;

	td->has_table = true;
	add_test_disk(test, td);
	open_part(test, td, 2);
	file = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 0);
	change_medium_silently(td);
	td->open_rescans = true;
	file = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);
	KUNIT_EXPECT_EQ(test, devt(disk_diskseq(td->disk), 2), 0);
}

/* Nor the table, which is read by the cache. */
static void table_is_read_from_the_next_medium(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	struct folio *held;

	td->has_table = true;
	add_test_disk(test, td);
	held = first_folio(test, open_part(test, td, 0));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_folio,
							   held));
	change_medium_silently(td);
	td->open_rescans = true;
	open_part(test, td, 0);
	KUNIT_EXPECT_FALSE(test, td->open_rescans);
	KUNIT_EXPECT_NE(test, devt(disk_diskseq(td->disk), 2), 0);
}

/* A table that was read before the medium is changed is not of the next one. */
static void table_read_during_the_change_is_of_the_earlier_medium(struct kunit *test)
{
	struct test_disk *td = alloc_test_disk(test);
	struct file *file;
	u64 diskseq;

	td->has_table = true;
	td->read_changes_medium = true;
	add_test_disk(test, td);
	diskseq = disk_diskseq(td->disk);
	KUNIT_EXPECT_FALSE(test, td->read_changes_medium);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&td->disk->part_tbl, 2));
	KUNIT_EXPECT_EQ(test, devt(diskseq, 2), 0);
	file = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);
}

/* Nor is one that was added, or resized, by who read the earlier table. */
static void extent_of_an_earlier_table_is_not_seen(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	u64 old = disk_diskseq(td->disk), new;

	change_medium_silently(td);
	new = disk_diskseq(td->disk);
	KUNIT_EXPECT_EQ(test, 0, bdev_add_partition(td->disk, 2, 16, 8, old));
	KUNIT_EXPECT_EQ(test, devt(new, 2), 0);
	KUNIT_EXPECT_EQ(test, 0, bdev_add_partition(td->disk, 3, 32, 8, new));
	KUNIT_EXPECT_NE(test, devt(new, 3), 0);
	KUNIT_EXPECT_EQ(test, 0, bdev_resize_partition(td->disk, 3, 32, 9, old));
	KUNIT_EXPECT_EQ(test, devt(new, 3), 0);
	KUNIT_EXPECT_EQ(test, 0, bdev_resize_partition(td->disk, 3, 32, 9, new));
	KUNIT_EXPECT_NE(test, devt(new, 3), 0);
}

/*
 * Who opens once more what is open compares the two: is what will be read of the
 * medium that was opened?  Of a partition that is, also if the disk has another one.
 */
static void reopened_file_is_of_the_number_that_it_reads(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	struct file *disk, *part, *again;

	add_part(test, td, 2);
	disk = open_part(test, td, 0);
	open_part(test, td, 2);
	change_medium_silently(td);
	part = bdev_file_open_by_dev(part_devt(td->disk, 2), BLK_OPEN_READ, NULL,
				     NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, part);
	close_at_exit(test, part);
	again = bdev_file_reopen(file_bdev(part), BLK_OPEN_READ, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, again);
	close_at_exit(test, again);
	KUNIT_EXPECT_EQ(test, bdev_data_diskseq(file_bdev(again)),
			bdev_file_diskseq(part));

	again = bdev_file_reopen(file_bdev(disk), BLK_OPEN_READ, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, again);
	close_at_exit(test, again);
	KUNIT_EXPECT_NE(test, bdev_data_diskseq(file_bdev(again)),
			bdev_file_diskseq(disk));
}

struct dirty_case {
	const char *desc;
	u8 partno;
	bool eager;	/* the driver has the caches dropped */
	bool syncs;	/* somebody writes back before */
	bool closes;	/* or closes */
};

static const struct dirty_case dirty_cases[] = {
	{ "disk, found by open", 0, false, false, false },
	{ "disk, written back", 0, false, true, false },
	{ "disk, closed", 0, false, false, true },
	{ "disk, dropped by driver", 0, true, false, false },
	{ "partition, written back", 2, false, true, false },
	{ "partition, closed", 2, false, false, true },
	{ "partition, dropped by driver", 2, true, false, false },
};

KUNIT_ARRAY_PARAM_DESC(dirty, dirty_cases, desc);

/* What was written for a medium does not get onto the next one. */
static void dirty_page_is_not_written_to_the_next_medium(struct kunit *test)
{
	const struct dirty_case *c = test->param_value;
	struct test_disk *td = add_new_disk(test);
	struct file *old, *new;

	KUNIT_ASSERT_EQ(test, 0, bdev_add_partition(td->disk, 2, 0, 16,
						    disk_diskseq(td->disk)));
	old = open_part(test, td, c->partno);
	dirty_first_folio(test, old);
	KUNIT_EXPECT_EQ(test, 0, sync_blockdev(file_bdev(old)));
	KUNIT_EXPECT_EQ(test, td->foreign_writes, 0);

	dirty_first_folio(test, old);
	change_medium_silently(td);
	if (c->eager)
		disk_drop_earlier(td->disk);
	if (c->syncs)
		sync_blockdev(file_bdev(old));
	if (c->closes)
		kunit_release_action(test, close_file, old);
	new = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, new), 1);
	if (!c->closes) {
		KUNIT_EXPECT_EQ(test, -EIO, file_check_and_advance_wb_err(old));
		KUNIT_EXPECT_EQ(test, 0, sync_blockdev(file_bdev(old)));
	}
	KUNIT_EXPECT_EQ(test, td->foreign_writes, 0);

	/* The new one can be written to, and knows nothing of the error. */
	dirty_first_folio(test, new);
	KUNIT_EXPECT_EQ(test, 0, sync_blockdev(file_bdev(new)));
	KUNIT_EXPECT_EQ(test, 0, file_check_and_advance_wb_err(new));
	KUNIT_EXPECT_EQ(test, td->foreign_writes, 0);
}

/* What may as well be for the medium that is there is written, not forgotten. */
static void dirty_page_is_kept_if_the_medium_may_be_the_same(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	struct file *file = open_part(test, td, 0);
	u64 diskseq = disk_diskseq(td->disk);

	dirty_first_folio(test, file);
	inc_diskseq_unsure(td->disk);
	KUNIT_EXPECT_GT(test, disk_diskseq(td->disk), diskseq);
	disk_drop_earlier(td->disk);
	KUNIT_EXPECT_TRUE(test, mapping_tagged(file->f_mapping,
					       PAGECACHE_TAG_DIRTY));
	open_part(test, td, 0);
	KUNIT_EXPECT_FALSE(test, mapping_tagged(file->f_mapping,
						PAGECACHE_TAG_DIRTY));
	KUNIT_EXPECT_EQ(test, 0, file_check_and_advance_wb_err(file));
}

/*
 * A file system holds on to buffers, which cannot be dropped: then the number of
 * the next medium cannot be opened until it is unmounted.
 */
static void medium_under_a_mounted_file_system_is_busy(struct kunit *test)
{
	static const struct blk_holder_ops hops;
	struct test_disk *td = add_new_disk(test);
	struct buffer_head *bh;
	struct file *fs, *file;

	fs = blkdev_get_by_diskseq(disk_diskseq(td->disk), 0, 0, BLK_OPEN_READ,
				   td, &hops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fs);
	close_at_exit(test, fs);
	bh = __bread(file_bdev(fs), 0, block_size(file_bdev(fs)));
	KUNIT_ASSERT_NOT_NULL(test, bh);

	change_medium_silently(td);
	file = blkdev_get_by_diskseq(disk_diskseq(td->disk), 0, 0, BLK_OPEN_READ,
				     NULL, NULL);
	KUNIT_EXPECT_PTR_EQ(test, file, ERR_PTR(-EBUSY));
	/* By device number, it opens as ever. */
	file = bdev_file_open_by_dev(disk_devt(td->disk), BLK_OPEN_READ, NULL,
				     NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	close_at_exit(test, file);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 0);

	brelse(bh);
	kunit_release_action(test, close_file, fs);
	/* Who has it open need not wait for the next open. */
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);
	/* The buffers that a processor remembers do not matter. */
	file = open_part(test, td, 0);
	KUNIT_EXPECT_EQ(test, cached_medium(test, file), 1);
}

static struct kunit_case diskseq_cache_cases[] = {
	KUNIT_CASE(page_in_use_is_not_of_the_next_medium),
	KUNIT_CASE(page_goes_when_the_driver_reports_a_medium),
	KUNIT_CASE(page_is_not_of_the_next_medium_while_a_partition_is_open),
	KUNIT_CASE(table_is_read_from_the_next_medium),
	KUNIT_CASE(table_read_during_the_change_is_of_the_earlier_medium),
	KUNIT_CASE(extent_of_an_earlier_table_is_not_seen),
	KUNIT_CASE(reopened_file_is_of_the_number_that_it_reads),
	KUNIT_CASE_PARAM(dirty_page_is_not_written_to_the_next_medium,
			 dirty_gen_params),
	KUNIT_CASE(dirty_page_is_kept_if_the_medium_may_be_the_same),
	KUNIT_CASE(medium_under_a_mounted_file_system_is_busy),
	{}
};

static struct kunit_suite diskseq_cache_suite = {
	.name		= "diskseq_cache",
	.test_cases	= diskseq_cache_cases,
};

#ifdef CONFIG_BLOCK_DISKSEQFS
/* The file system. */

static struct vfsmount *diskseqfs_mnt;

static int diskseq_fs_init(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("diskseqfs");

	KUNIT_ASSERT_NOT_NULL(test, type);
	diskseqfs_mnt = kern_mount(type);
	put_filesystem(type);
	return PTR_ERR_OR_ZERO(diskseqfs_mnt);
}

static void diskseq_fs_exit(struct kunit *test)
{
	kern_unmount(diskseqfs_mnt);
}

static void put_path(void *path)
{
	path_put(path);
}

/* The entry of a disk or partition, in use until the end of the test. */
static struct path *use_entry(struct kunit *test, u64 diskseq, u8 partno)
{
	struct path *path = kunit_kzalloc(test, sizeof(*path), GFP_KERNEL);
	char name[DISKSEQ_NAME_SIZE];

	KUNIT_ASSERT_NOT_NULL(test, path);
	diskseq_format_name(name, diskseq, partno);
	KUNIT_ASSERT_EQ(test, 0, vfs_path_lookup(diskseqfs_mnt->mnt_root,
						 diskseqfs_mnt, name, 0, path));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_path,
							   path));
	return path;
}

static u64 ino_of_path(struct kunit *test, const struct path *path)
{
	struct kstat stat = { };

	KUNIT_ASSERT_EQ(test, 0, vfs_getattr(path, &stat, STATX_INO, 0));
	return stat.ino;
}

/* The same of an entry that is not in use before, and not any more. */
static u64 ino_of_entry(struct kunit *test, u64 diskseq, u8 partno)
{
	struct path *path = use_entry(test, diskseq, partno);
	u64 ino = ino_of_path(test, path);

	kunit_release_action(test, put_path, path);
	return ino;
}

struct entry_search {
	struct dir_context ctx;
	char name[DISKSEQ_NAME_SIZE];
	u64 ino;
};

static bool compare_entry(struct dir_context *ctx, const char *name, int len,
			  loff_t pos, u64 ino, unsigned int type)
{
	struct entry_search *search = container_of(ctx, struct entry_search,
						   ctx);

	if (len == strlen(search->name) && !memcmp(name, search->name, len))
		search->ino = ino;
	return true;
}

/* What the directory shows for an entry, which need not be in memory for it. */
static u64 ino_in_directory(struct kunit *test, u64 diskseq, u8 partno)
{
	const struct path root = {
		.mnt = diskseqfs_mnt,
		.dentry = diskseqfs_mnt->mnt_root,
	};
	struct entry_search search = { .ctx.actor = compare_entry };
	struct file *dir;

	diskseq_format_name(search.name, diskseq, partno);
	dir = dentry_open(&root, O_RDONLY | O_DIRECTORY, current_cred());
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dir);
	KUNIT_EXPECT_EQ(test, 0, iterate_dir(dir, &search.ctx));
	fput(dir);
	flush_delayed_fput();
	return search.ino;
}

/* A program without support for large files gets EOVERFLOW for more. */
static void inode_number_has_32_bits(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	atomic64_t counter = ATOMIC64_INIT(BIT_ULL(41));
	u64 disk, part, diskseq;

	diskseq_advance(td->disk, &counter, true);
	add_part(test, td, 2);
	diskseq = disk_diskseq(td->disk);
	KUNIT_ASSERT_GT(test, diskseq, BIT_ULL(41));

	disk = ino_in_directory(test, diskseq, 0);
	part = ino_in_directory(test, diskseq, 2);
	KUNIT_EXPECT_NE(test, disk, 0);
	KUNIT_EXPECT_NE(test, part, 0);
	KUNIT_EXPECT_LE(test, disk, U32_MAX);
	KUNIT_EXPECT_LE(test, part, U32_MAX);
	KUNIT_EXPECT_NE(test, part, disk);
	KUNIT_EXPECT_EQ(test, ino_of_entry(test, diskseq, 0), disk);
	KUNIT_EXPECT_EQ(test, ino_of_entry(test, diskseq, 2), part);
	/* In whatever order they are asked for, and again */
	KUNIT_EXPECT_EQ(test, ino_in_directory(test, diskseq, 0), disk);
	KUNIT_EXPECT_EQ(test, ino_of_entry(test, diskseq, 0), disk);
}

/* What is still in use of a number that is gone is not what is there now. */
static void inode_number_in_use_is_not_given_again(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	struct test_disk *other = add_new_disk(test);
	u64 old, new;

	old = ino_of_path(test, use_entry(test, disk_diskseq(td->disk), 0));
	KUNIT_EXPECT_NE(test, old,
			ino_of_entry(test, disk_diskseq(other->disk), 0));
	inc_diskseq(td->disk);
	new = ino_in_directory(test, disk_diskseq(td->disk), 0);
	KUNIT_EXPECT_NE(test, new, 0);
	KUNIT_EXPECT_NE(test, new, old);
	KUNIT_EXPECT_EQ(test, new,
			ino_of_entry(test, disk_diskseq(td->disk), 0));

	remove_disk(td);
	inc_diskseq(other->disk);
	KUNIT_EXPECT_NE(test, old,
			ino_of_entry(test, disk_diskseq(other->disk), 0));
}

/* 2^24 are enough for what is there, not for all numbers that ever were. */
static void inode_number_is_given_again(struct kunit *test)
{
	struct test_disk *td = add_new_disk(test);
	u64 first = ino_of_entry(test, disk_diskseq(td->disk), 0), ino;
	unsigned int changes = 0, looks = 0;

	/* What is not in use any more is forgotten by a work. */
	do {
		inc_diskseq(td->disk);
		ino = ino_of_entry(test, disk_diskseq(td->disk), 0);
		msleep(20);
	} while ((ino > first || ++changes < 20) && ++looks < MAX_LOOKS);
	KUNIT_EXPECT_LE(test, ino, first);
}

static struct kunit_case diskseq_fs_cases[] = {
	KUNIT_CASE(inode_number_has_32_bits),
	KUNIT_CASE(inode_number_in_use_is_not_given_again),
	KUNIT_CASE(inode_number_is_given_again),
	{}
};

static struct kunit_suite diskseq_fs_suite = {
	.name		= "diskseq_fs",
	.init		= diskseq_fs_init,
	.exit		= diskseq_fs_exit,
	.test_cases	= diskseq_fs_cases,
};

kunit_test_suite(diskseq_fs_suite);
#endif

kunit_test_suites(&diskseq_name_suite, &diskseq_index_suite,
		  &diskseq_open_suite, &diskseq_cache_suite);

MODULE_DESCRIPTION("KUnit tests of disks by sequence number");
MODULE_LICENSE("GPL");
