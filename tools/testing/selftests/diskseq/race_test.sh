#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Open disks by number while they are replaced by others on the same device
# number: never another disk.  The same by device node and by a link such as
# udev makes: another disk now and then, so the program can tell.
#
# DISKSEQ_RACE_OPENS	opens to try by number (default 100000; a tenth of it on
#			a single processor, where little can happen)
# DISKSEQ_RACE_SECONDS	at most so long for each kind of disk (default 10)
# DISKSEQ_RACE_SEED	for the random choices (default 1)

dir=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$dir/../kselftest/ktap_helpers.sh"

opens=${DISKSEQ_RACE_OPENS:-100000}
seconds=${DISKSEQ_RACE_SECONDS:-10}
[ "$(nproc)" -gt 1 ] || opens=$((opens / 10))
# The drivers that every kernel of these tests has; scripts/race has more.
kinds=loop-attach,loop-remove,loop-change,dm-remove,dm-deferred,dm-rename
kinds=$kinds,part-blkpg,part-reread,remount

# race NAME ARG...
race()
{
	name=$1
	shift
	status=0
	log=$(mktemp)
	"$dir/diskseq_race" --seed "${DISKSEQ_RACE_SEED:-1}" "$@" >"$log" 2>&1 ||
		status=$?
	sed 's/^/# /' "$log"
	rm -f "$log"
	ktap_test_result "$name" test "$status" = 0
}

ktap_print_header
ktap_set_plan 4
race number_gives_the_disk_or_nothing --kinds "$kinds" --opens "$opens" \
	--seconds "$seconds"
race number_under_change_in_driver --stalled 50
# A mount of the wrong disk would keep the next one from being attached.
race node_gives_other_disks --via path --kinds loop-attach,loop-remove \
	--openers uring,open,reopen --opens 4000 --expect-mismatches
race link_gives_other_disks --via symlink --kinds loop-attach,loop-remove \
	--openers uring,open,reopen --opens 4000 --expect-mismatches
ktap_finished
