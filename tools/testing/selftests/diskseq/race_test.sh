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
# shellcheck source=diskseq_lib.sh
. "$dir/diskseq_lib.sh"
need_all root diskseqfs loop

opens=${DISKSEQ_RACE_OPENS:-100000}
seconds=${DISKSEQ_RACE_SECONDS:-10}
[ "$(nproc)" -gt 1 ] || opens=$((opens / 10))
# The drivers that every kernel of these tests has; diskseq_race knows more.
kinds=loop-attach,loop-remove,loop-change,dm-remove,dm-deferred,dm-rename
kinds=$kinds,part-blkpg,part-reread,remount

# race ARG...
race()
{
	status=0
	log=$(mktemp)
	"$dir/diskseq_race" --seed "${DISKSEQ_RACE_SEED:-1}" "$@" >"$log" 2>&1 ||
		status=$?
	sed 's/^/# /' "$log"
	rm -f "$log"
	return "$status"
}

stalled()
{
	need tool:dmsetup file:/dev/mapper/control && race --stalled 50
}

ktap_print_header
ktap_set_plan 4
run_test number_gives_the_disk_or_nothing race --kinds "$kinds" --opens "$opens" \
	--seconds "$seconds"
run_test number_under_change_in_driver stalled
# A mount of the wrong disk would keep the next one from being attached.
run_test node_gives_other_disks race --via path --kinds loop-attach,loop-remove \
	--openers uring,open,reopen --opens 4000 --expect-mismatches
run_test link_gives_other_disks race --via symlink --kinds loop-attach,loop-remove \
	--openers uring,open,reopen --opens 4000 --expect-mismatches
ktap_finished
