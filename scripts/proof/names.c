// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz the names of disks: diskseq_parse_name() and diskseq_format_name(), against
 * a second opinion that shares nothing with them.
 *
 * scripts/fuzz takes the functions from block/diskseq_name.c, into names.inc.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the functions need of the kernel. */
typedef unsigned long long u64;
typedef uint32_t u32;
typedef uint8_t u8;
#define U64_MAX				ULLONG_MAX
#define DISK_MAX_PARTS			256
#define check_mul_overflow(a, b, d)	__builtin_mul_overflow(a, b, d)
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define EXPORT_SYMBOL_GPL(name)
#define isdigit(c)			((c) >= '0' && (c) <= '9')

static int num_to_str(char *buf, int size, unsigned long long num,
		      unsigned int width)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%*llu", (int)width, num);

	if (len > size)
		return 0;
	memcpy(buf, text, len);
	return len;
}

#include "names.inc"

/*
 * The second opinion: by the digits, as text, without counting.  The number at the
 * start of a string, up to the longest that max has; *rest is what comes behind.
 */
static int judge_number(const char *text, const char *max, const char **rest)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || *text == '0')
		return -EINVAL;
	*rest = text + digits;
	if (digits > strlen(max) ||
	    (digits == strlen(max) && strncmp(text, max, digits) > 0))
		return -ERANGE;
	return 0;
}

static int judge(const char *text, size_t len, char *disk, char *part)
{
	const char *rest, *end;
	int err;

	err = judge_number(text, "18446744073709551615", &rest);
	if (err)
		return err;
	memcpy(disk, text, rest - text);
	disk[rest - text] = '\0';
	strcpy(part, "0");

	/* a NUL ends the text, but not the name */
	if (rest == text + len)
		return 0;
	if (strncmp(rest, "-part", 5))
		return -EINVAL;
	err = judge_number(rest + 5, "255", &end);
	if (err)
		return err;
	if (end != text + len)
		return -EINVAL;
	strcpy(part, rest + 5);
	return 0;
}

static void differ(const char *what, const char *name, size_t len, int ret,
		   int judged)
{
	fprintf(stderr, "names: %s: \"%.*s\" (%zu bytes): %d, and should be %d\n",
		what, (int)len, name, len, ret, judged);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const u64 no_seq = 0xdeadbeef;
	const u8 no_part = 0xee;
	char *name = malloc(size), *text = malloc(size + 1);
	char *disk = malloc(size + 1), *part = malloc(size + 2);
	char seq_text[32], part_text[8], out[DISKSEQ_NAME_SIZE];
	u64 seq = no_seq;
	u8 partno = no_part;
	int ret, judged;

	/* Of exactly that size, so that a read behind it is found. */
	memcpy(name, data, size);
	memcpy(text, data, size);
	text[size] = '\0';

	ret = diskseq_parse_name(name, size, &seq, &partno);
	judged = judge(text, size, disk, part);
	if (ret != judged)
		differ("parsed", text, size, ret, judged);

	if (ret) {
		if (seq != no_seq || partno != no_part)
			differ("set on failure", text, size, ret, judged);
	} else {
		snprintf(seq_text, sizeof(seq_text), "%llu", seq);
		snprintf(part_text, sizeof(part_text), "%u", partno);
		if (strcmp(seq_text, disk) || strcmp(part_text, part))
			differ("another number", text, size, ret, judged);
		ret = diskseq_format_name(out, seq, partno);
		if (ret != (int)size || strcmp(out, text))
			differ("written otherwise", text, size, ret, size);
	}

	/* And the other way: any number and partition, written and read. */
	if (size >= 9) {
		u64 want;

		memcpy(&want, data, sizeof(want));
		ret = diskseq_format_name(out, want, data[8]);
		if (ret != (int)strlen(out) || ret >= DISKSEQ_NAME_SIZE)
			differ("length", out, strlen(out), ret, strlen(out));
		ret = diskseq_parse_name(out, ret, &seq, &partno);
		if (ret != (want ? 0 : -EINVAL))
			differ("read back", out, strlen(out), ret, want ? 0 : -EINVAL);
		if (!ret && (seq != want || partno != data[8]))
			differ("read back as another", out, strlen(out), 0, 0);
	}

	free(name);
	free(text);
	free(disk);
	free(part);
	return 0;
}
