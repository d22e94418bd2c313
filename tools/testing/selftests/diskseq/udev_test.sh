#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# udev with disks by number: what is written to a disk by its number changes the
# links and the database at once, as by its node; and who has locked the disk, by
# either, is left alone.  udevd is started here; where it is not there, or
# another one is running, the tests are skipped.
#
# SEEN failing: all that write, if the node is not told of it, and
# lock_by_number_keeps_udev_away, if a lock of flock(2) is the path's.

dir=$(dirname "$(readlink -f "$0")")
# shellcheck source=diskseq_lib.sh
. "$dir/diskseq_lib.sh"
need_all root diskseqfs loop symbol:diskseqfs_notify_opened \
	tool:unshare tool:losetup tool:mkfs.ext4 tool:e2label tool:wipefs tool:flock tool:udevadm
be_private

tests="
	mkfs_makes_links
	label_moves_link
	wipefs_takes_links_away
	table_is_read_again
	lock_by_number_keeps_udev_away
	reader_makes_no_event
"

work=
loop=
udevd=

cleanup()
{
	[ -z "$loop" ] || losetup --detach "$loop"
	[ -z "$udevd" ] || kill "$udevd"
	umount "$work/by-diskseq"
	rm -rf "$work"
} 2>/dev/null

# eventually COMMAND...: it is true within 20 s
eventually()
{
	tries=200
	until "$@"; do
		tries=$((tries - 1))
		if [ "$tries" = 0 ]; then
			ktap_print_msg "not so after 20 s: $*"
			udevadm info --query=property "$loop" | sed 's/^/# /'
			return 1
		fi
		sleep 0.1
	done
}

udevd_answers()
{
	udevadm control --ping 2>/dev/null
}

# property NAME VALUE: udev's database has it of the disk; no VALUE: it has none
property()
{
	[ "$(udevadm info --query=property "$loop" | sed -n "s/^$1=//p")" = "$2" ]
}

links_to()
{
	[ "$(readlink -f "/dev/disk/$1")" = "$2" ]
}

no_link()
{
	[ ! -e "/dev/disk/$1" ]
}

fresh_disk()
{
	[ -z "$loop" ] || setup losetup --detach "$loop"
	rm -f "$work/image"
	setup truncate -s 32M "$work/image"
	if [ -z "$loop" ]; then
		loop=$(losetup --partscan --find --show "$work/image")
	else
		setup losetup --partscan "$loop" "$work/image"
	fi
	number=$(cat "/sys/block/${loop#/dev/}/diskseq")
	disk=$work/by-diskseq/$number
	setup eventually property DISKSEQ "$number"
	setup udevadm settle
}

mkfs_makes_links()
{
	quiet mkfs.ext4 -q -L diskseq-udev "$disk" &&
	eventually property ID_FS_LABEL diskseq-udev &&
	eventually links_to by-label/diskseq-udev "$loop"
}

label_moves_link()
{
	quiet mkfs.ext4 -q -L diskseq-old "$disk" &&
	eventually links_to by-label/diskseq-old "$loop" &&
	quiet e2label "$disk" diskseq-new &&
	eventually links_to by-label/diskseq-new "$loop" &&
	eventually no_link by-label/diskseq-old
}

wipefs_takes_links_away()
{
	quiet mkfs.ext4 -q -L diskseq-wipe "$disk" &&
	eventually links_to by-label/diskseq-wipe "$loop" &&
	quiet wipefs -a "$disk" &&
	eventually property ID_FS_TYPE "" &&
	eventually no_link by-label/diskseq-wipe
}

# udev has a partition table read again that was written without asking for that.
table_is_read_again()
{
	{
		head -c 446 /dev/zero
		# One partition, of 4096 sectors, from sector 2048
		printf '\000\000\000\000\203\000\000\000\000\010\000\000\000\020\000\000'
		head -c 48 /dev/zero
		printf '\125\252'
	} >"$work/table"
	quiet dd if="$work/table" of="$disk" bs=512 conv=fsync &&
	eventually [ -b "$disk-part1" ] &&
	eventually [ -b "${loop}p1" ] &&
	eventually udevadm info "${loop}p1" >/dev/null
}

# As systemd's "Locking Block Device Access" has it.
lock_by_number_keeps_udev_away()
{
	quiet mkfs.ext4 -q -L diskseq-a "$disk" &&
	eventually links_to by-label/diskseq-a "$loop" || return
	exec 8<"$disk"
	quiet flock -x 8 && quiet e2label "$disk" diskseq-b
	# More than what udev takes otherwise: this is for what does not happen.
	sleep 2
	if property ID_FS_LABEL diskseq-b; then
		ktap_print_msg "udev has looked at a disk that is locked"
		exec 8<&-
		return 1
	fi
	exec 8<&-
	eventually property ID_FS_LABEL diskseq-b
}

events()
{
	wc -l <"$work/events"
}

more_events_than()
{
	[ "$(events)" -gt "$1" ]
}

reader_makes_no_event()
{
	udevadm settle
	udevadm monitor --kernel --subsystem-match=block >"$work/events" &
	monitor=$!
	# It listens, and has written the last line before those of events.
	eventually grep -q '^$' "$work/events" || return
	before=$(events)
	quiet dd if="$disk" of=/dev/null bs=4k count=1
	# More than what udev takes otherwise: this is for what does not happen.
	sleep 1
	after=$(events)
	: >>"$disk"
	eventually more_events_than "$after"
	written=$?
	kill "$monitor"
	[ "$before" = "$after" ] && [ "$written" = 0 ] && return
	ktap_print_msg "events: $before, after a read $after"
	return 1
}

for udevd_path in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd; do
	[ ! -x "$udevd_path" ] || break
done
[ -x "$udevd_path" ] || skip_all "there is no udevd"
[ ! -e /run/udev/control ] || skip_all "another udevd is running"
ktap_print_header
# shellcheck disable=SC2086 # a list
set -- $tests
ktap_set_plan $#
trap cleanup EXIT
work=$(mktemp -d)
setup mkdir "$work/by-diskseq"
setup mount -t diskseqfs diskseqfs "$work/by-diskseq"
mkdir -p /run/udev
"$udevd_path" >"$work/udevd.log" 2>&1 &
udevd=$!
setup eventually udevd_answers
for test; do
	fresh_disk
	run_test "$test" "$test"
done
ktap_finished
