// SPDX-License-Identifier: GPL-2.0
/* For tests in shell: print what is missing, and exit as a test that is skipped. */
#include <stdio.h>

#include "need.h"
#include "../kselftest.h"

int main(int argc, char **argv)
{
	const char *missing = missing_of((const char *const *)argv + 1);

	if (!missing)
		return KSFT_PASS;
	puts(missing);
	return KSFT_SKIP;
}
