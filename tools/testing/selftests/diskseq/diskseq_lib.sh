# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests in shell share; $dir is where they are.  Sourced, not run.
# shellcheck disable=SC2154 # $dir and $work are those of who sources this

# shellcheck source=/dev/null
. "$dir/../kselftest/ktap_helpers.sh"

# skip_all REASON
skip_all()
{
	ktap_print_header
	ktap_skip_all "$@"
	exit "$KSFT_SKIP"
}

# need_all NEED...: as need.h has them; where one is not there, the program is skipped
need_all()
{
	reason=$("$dir/diskseq_need" "$@") || skip_all "$reason"
}

# be_private: run the program again, in a mount namespace of its own
be_private()
{
	[ -n "$DISKSEQ_PRIVATE" ] ||
		DISKSEQ_PRIVATE=1 exec unshare --mount --propagation private "$0"
}

# need NEED...: in a test: false where one is not there, and then it is skipped
need()
{
	skip=$("$dir/diskseq_need" "$@")
}

# run_test NAME COMMAND...: one result of the plan
run_test()
{
	name=$1
	shift
	skip=
	if "$@"; then
		ktap_test_pass "$name"
	elif [ -n "$skip" ]; then
		ktap_print_msg "$skip"
		ktap_test_skip "$name"
	else
		ktap_test_fail "$name"
	fi
}

# A setup that is not as it must be is no result.
setup()
{
	"$@" || ktap_exit_fail_msg "setup failed: $*"
}

# quiet COMMAND...: what it says is shown if it fails
quiet()
{
	"$@" >"$work/log" 2>&1 && return
	ktap_print_msg "$* failed:"
	sed 's/^/# /' "$work/log"
	return 1
}
