#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tools that people use on disks, unmodified, take a path by number like any
# other.  What they did is seen in the image behind the loop device.  And no
# tool touches the disk that has taken the place of the one that was meant.

dir=$(dirname "$(readlink -f "$0")")
# shellcheck source=diskseq_lib.sh
. "$dir/diskseq_lib.sh"
need_all root diskseqfs loop tool:unshare tool:losetup tool:mount
# Not those of busybox.
losetup --help 2>&1 | grep -q -e --show || skip_all "losetup is not that of util-linux"
be_private

tests="
	blockdev_reads_size_and_number
	lsblk_finds_the_disk
	dd_writes_and_reads
	mkfs_makes_what_blkid_finds
	e2fsck_repairs
	mount_shows_the_file_system
	losetup_stacks_a_loop
	dmsetup_takes_it_in_a_table
	cryptsetup_keeps_a_secret
	no_tool_touches_the_successor
"

# What some of them need.
dm="tool:dmsetup file:/dev/mapper/control"
crypt="$dm tool:cryptsetup symbol:crypt_ctr symbol:af_alg_register_type"

size=$((64 * 1024 * 1024))
uuid=5eed5eed-0000-4000-8000-d15c5e90d15c
work=
loop=
top=

cleanup()
{
	cryptsetup close diskseq_luks
	dmsetup remove diskseq_linear
	umount "$work/mnt"
	[ -z "$top" ] || losetup --detach "$top"
	[ -z "$loop" ] || losetup --detach "$loop"
	umount "$work/by-diskseq"
	rm -rf "$work"
} 2>/dev/null

# same WHAT EXPECTED ACTUAL
same()
{
	[ "$2" = "$3" ] && return
	ktap_print_msg "$1: expected '$2', got '$3'"
	return 1
}

# fails COMMAND...: it does, and not by a signal
fails()
{
	"$@" >"$work/log" 2>&1
	status=$?
	[ "$status" -gt 0 ] && [ "$status" -lt 128 ] && return
	ktap_print_msg "$1 exits with $status on the path of a disk that is gone"
	return 1
}

# Put a fresh image of zeroes behind the loop device; sets number and disk.
fresh_disk()
{
	[ -z "$loop" ] || setup losetup --detach "$loop"
	rm -f "$work/image"
	setup truncate -s "$size" "$work/image"
	if [ -z "$loop" ]; then
		loop=$(losetup --find --show "$work/image")
	else
		setup losetup "$loop" "$work/image"
	fi
	number=$(cat "/sys/block/${loop#/dev/}/diskseq")
	disk=$work/by-diskseq/$number
	setup [ -b "$disk" ]
}

# Is the text in the image, at any place?
image_has()
{
	sync "$disk"
	grep -aqF "$1" "$work/image"
}

# Before util-linux 2.39 blockdev and lsblk know no numbers.
blockdev_reads_size_and_number()
{
	need tool:blockdev || return
	same size "$size" "$(blockdev --getsize64 "$disk")" || return
	! blockdev --help | grep -q getdiskseq ||
		same number "$number" "$(blockdev --getdiskseq "$disk")"
}

lsblk_finds_the_disk()
{
	need tool:lsblk || return
	same "name and size" "${loop#/dev/} $size" "$(lsblk -bdnro NAME,SIZE "$disk")" ||
		return
	! lsblk --help | grep -q DISK-SEQ ||
		same number "$number" "$(lsblk -dnro DISK-SEQ "$disk")"
}

dd_writes_and_reads()
{
	need tool:cmp || return
	head -c 1M /dev/urandom >"$work/data"
	for direct in '' direct; do
		quiet dd if="$work/data" of="$disk" bs=64k seek=7 conv=fsync \
			${direct:+oflag=direct} &&
		quiet cmp -n 1M "$work/data" "$work/image" 0 $((7 * 65536)) &&
		quiet dd if="$disk" of="$work/back" bs=64k skip=7 count=16 \
			${direct:+iflag=direct} &&
		quiet cmp "$work/data" "$work/back" || return
		head -c 1M /dev/urandom >"$work/data"
	done
}

mkfs_makes_what_blkid_finds()
{
	need tool:mkfs.ext4 tool:blkid || return
	quiet mkfs.ext4 -q -U "$uuid" -L by-number "$disk" &&
	same UUID "$uuid" "$(blkid -p -s UUID -o value "$disk")" &&
	same LABEL by-number "$(blkid -c /dev/null -s LABEL -o value "$disk")" &&
	sync "$disk" &&
	same "UUID in the image" "$uuid" \
		"$(blkid -p -s UUID -o value "$work/image")"
}

e2fsck_repairs()
{
	need tool:mkfs.ext4 tool:e2fsck tool:debugfs tool:fsck || return
	quiet mkfs.ext4 -q "$disk" &&
	quiet debugfs -w -R 'clri lost+found' "$disk" || return
	e2fsck -fy "$disk" >"$work/log" 2>&1
	same "e2fsck of a damaged file system" 1 $? &&
	quiet fsck.ext4 -fn "$disk" &&
	quiet fsck -t ext4 "$disk" -- -fn &&
	quiet e2fsck -fn "$work/image"
}

mount_shows_the_file_system()
{
	need tool:mkfs.ext4 fs:ext4 tool:mountpoint || return
	quiet mkfs.ext4 -q "$disk" &&
	quiet mount "$disk" "$work/mnt" || return
	echo "written through the mount" >"$work/mnt/file"
	same "device of the mount" "$(cat "/sys/block/${loop#/dev/}/dev")" \
		"$(mountpoint -d "$work/mnt")" &&
	quiet umount "$work/mnt" &&
	image_has "written through the mount" &&
	quiet mount -o ro "$disk" "$work/mnt" &&
	same content "written through the mount" "$(cat "$work/mnt/file")"
	status=$?
	quiet umount "$work/mnt" && return "$status"
}

losetup_stacks_a_loop()
{
	top=$(losetup --find --show "$disk") || return
	echo "written through a loop" >"$top" &&
	sync "$top" &&
	image_has "written through a loop" &&
	same "backing file" "$disk" "$(losetup -nO BACK-FILE "$top")"
	status=$?
	quiet losetup --detach "$top" && top= && return "$status"
}

dmsetup_takes_it_in_a_table()
{
	# shellcheck disable=SC2086 # words
	need $dm || return
	quiet dmsetup create diskseq_linear \
		--table "0 2048 linear $disk 2048" || return
	echo "written through a mapping" >/dev/mapper/diskseq_linear &&
	sync /dev/mapper/diskseq_linear &&
	same "data behind 1 MiB" "written through a mapping" \
		"$(tail -c +1048577 "$work/image" | head -n 1)" &&
	same table \
		"0 2048 linear $(cat "/sys/block/${loop#/dev/}/dev") 2048" \
		"$(dmsetup table diskseq_linear)"
	status=$?
	quiet dmsetup remove diskseq_linear && return "$status"
}

luks_open()
{
	quiet cryptsetup open --key-file "$work/key" "$disk" diskseq_luks
}

cryptsetup_keeps_a_secret()
{
	# shellcheck disable=SC2086 # words
	need $crypt tool:blkid || return
	echo password >"$work/key"
	quiet cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 \
		--pbkdf-force-iterations 1000 --key-file "$work/key" "$disk" &&
	quiet cryptsetup isLuks "$disk" &&
	luks_open || return
	echo "a secret" >/dev/mapper/diskseq_luks &&
	sync /dev/mapper/diskseq_luks &&
	quiet cryptsetup close diskseq_luks &&
	same "type of the image" crypto_LUKS \
		"$(blkid -p -s TYPE -o value "$work/image")" &&
	! image_has "a secret" &&
	luks_open &&
	same "data read back" "a secret" "$(head -n 1 /dev/mapper/diskseq_luks)" &&
	quiet cryptsetup close diskseq_luks
}

no_tool_touches_the_successor()
{
	# shellcheck disable=SC2086 # words
	need $crypt tool:blockdev tool:lsblk tool:mkfs.ext4 tool:e2fsck tool:blkid || return
	gone=$disk
	echo password >"$work/key"
	fresh_disk
	setup mkfs.ext4 -q -U "$uuid" "$disk"
	sync "$disk"
	before=$(cksum <"$work/image")

	fails blockdev --getsize64 "$gone" &&
	fails lsblk "$gone" &&
	fails blkid -p "$gone" &&
	fails dd if=/dev/zero of="$gone" bs=4k count=1 &&
	fails dd if=/dev/zero of="$gone" bs=4k count=1 conv=nocreat &&
	fails dd if="$gone" of=/dev/null bs=4k count=1 &&
	fails mkfs.ext4 -q -F "$gone" &&
	fails e2fsck -fy "$gone" &&
	fails mount "$gone" "$work/mnt" &&
	fails losetup --find "$gone" &&
	fails dmsetup create diskseq_linear --table "0 8 linear $gone 0" &&
	fails cryptsetup luksFormat --batch-mode --key-file "$work/key" \
		"$gone" &&
	sync "$disk" &&
	same "checksum of the successor" "$before" "$(cksum <"$work/image")"
}

ktap_print_header
# shellcheck disable=SC2086 # a list
set -- $tests
ktap_set_plan $#
trap cleanup EXIT
work=$(mktemp -d)
setup mkdir "$work/by-diskseq" "$work/mnt"
setup mount -t diskseqfs diskseqfs "$work/by-diskseq"
for test; do
	fresh_disk
	run_test "$test" "$test"
done
ktap_finished
