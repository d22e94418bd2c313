#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# block-diskseq gives a backend the disk that it was told to, and no other, or
# says why not, and leaves nothing behind.  Run as root, in a machine to spare
# whose kernel has diskseqfs and Debian's Xen tools, but without a hypervisor:
#
#   TOOLS=build/xen [PROGRAM=.../block-diskseq] [ROUNDS=n] [BACKENDS=n] \
#       ./block-diskseq_test.sh [TEST]...
#
# XenStore is the real one; fakeback does what xen-blkback does.

TOOLS=${TOOLS:-$(dirname "$0")}
PROGRAM=${PROGRAM:-$TOOLS/block-diskseq}
XEN_SCRIPTS=${XEN_SCRIPTS:-/etc/xen/scripts}
BLOCK_PATCH=${BLOCK_PATCH:-$(dirname "$0")/../../hotplug/Linux/block.patch}
ROUNDS=${ROUNDS:-50}
BACKENDS=${BACKENDS:-300}

DISKS=/dev/disk/by-diskseq
T=$(mktemp -d /tmp/block-diskseq.XXXXXX)
export XENSTORED_RUNDIR="$T/run" XENSTORED_ROOTDIR="$T" FAKEXL_SYSFS="$T/sys"
LOG=/var/log/xen/xen-hotplug.log

interfere=$TOOLS/interfere.so
case $PROGRAM in
*asan*)	interfere=$TOOLS/interfere-asan.so ;;
esac
export ASAN_OPTIONS=verify_asan_link_order=0:exitcode=99 UBSAN_OPTIONS=exitcode=99

cleanup()
{
	# shellcheck disable=SC2086 # processes
	kill $daemons 2>/dev/null
	umount "$T/mnt" 2>/dev/null
	losetup -n -O NAME,BACK-FILE | while read -r device file; do
		case $file in
		"$T"/*) losetup -d "$device" ;;
		esac
	done
	rm -rf "$T"
}

note()
{
	printf '# %s\n' "$@"
}

# For who reads the log of a failure.
complain()
{
	note "$*"
	return 1
}

# wait_for WHAT COMMAND...: 3000 looks must do, each of which takes longer on a busy
# machine.
wait_for()
{
	what=$1
	shift
	tries=3000
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] ||
			complain "waited in vain for: $what" || return
		sleep 0.01
	done
}

start_daemons()
{
	mkdir -p "$T/run" "$T/sys/devices" "$T/mnt" $DISKS
	mount -t tmpfs tmpfs /var/log/xen || return
	mountpoint -q $DISKS || mount -t diskseqfs diskseqfs $DISKS || return
	set -- /usr/lib/xen-*/bin/xenstored
	LD_PRELOAD=$TOOLS/fakexen.so "$1" -N --pid-file "$T/xenstored.pid" &
	daemons=$!
	wait_for xenstored test -S "$T/run/socket" || return
	"$TOOLS/fakeback" "$T/sys" $DISKS &
	daemons="$daemons $!"
}

image()
{
	truncate -s 1M "$T/$1"
	printf '%s' "$1" | dd of="$T/$1" conv=notrunc status=none
}

loops_of()
{
	losetup -n -O NAME -j "$1"
}

no_loop_of()
{
	[ -z "$(loops_of "$1")" ]
}

number_of()
{
	cat "/sys/block/${1#/dev/}/diskseq"
}

node()
{
	xenstore-read -R "backend/vbd/$1" 2>/dev/null
}

node_is()
{
	[ "$(node "$1")" = "$2" ]
}

no_node()
{
	! xenstore-exists "backend/vbd/$1"
}

has_log()
{
	grep -qsF -- "$1" $LOG
}

# backend VBD TARGET MODE [NODE VALUE]...: what xl does before it runs a script.
backend()
{
	"$TOOLS/fakexl" create "$@" || complain "no backend $1"
}

# What xl does in the end.
gone()
{
	"$TOOLS/fakexl" gone "$1" || complain "$1 does not go"
}

# hotplug VBD [ARG]...: the program, with what is in $INTERFERE_...
hotplug()
{
	vbd=$1
	shift
	XENBUS_PATH=/local/domain/0/backend/vbd/$vbd INTERFERE_SYSFS=$T/sys \
		LD_PRELOAD=$interfere "$PROGRAM" "$@" 2>"$T/stderr"
	status=$?
	# A sanitizer has the word.
	[ $status -le 1 ] || [ $status = 137 ] || sed 's/^/# /' "$T/stderr"
	return $status
}

attach()
{
	hotplug "$1" add || complain "status $?: $(node "$1/hotplug-error")"
}

# detached VBD FILE: remove leaves nothing.
detached()
{
	xenstore-write "backend/vbd/$1/state" 6
	gone "$1" && no_loop_of "$2"
}

# refused VBD STATUS TEXT...: it is, and for everybody to see.
refused()
{
	vbd=$1
	wanted=$2
	shift 2
	hotplug "$vbd" add
	status=$?
	error=$(node "$vbd/hotplug-error")
	[ $status = 1 ] && node_is "$vbd/hotplug-status" "$wanted" ||
		complain "status $status, $(node "$vbd/hotplug-status"): $error" || return
	no_node "$vbd/physical-device" || complain "but the backend was told" || return
	for text in "$@" "/local/domain/0/backend/vbd/$vbd" "xl block-detach ${vbd%/*} xvdz"; do
		case $error in
		*"$text"*) ;;
		*)	complain "no \"$text\" in: $error" || return ;;
		esac
	done
	has_log "$error" || complain "not in the log: $error"
}

file_is_attached()
{
	image FILE
	backend 1/51712 "$T/FILE" w && attach 1/51712 || return
	loop=$(loops_of "$T/FILE")
	uid=$(number_of "$loop")
	node_is 1/51712/physical-device-uid "$uid" &&
		node_is 1/51712/physical-device-path $DISKS/"$uid" &&
		node_is 1/51712/physical-device "$(stat -c %t:%T "$loop")" &&
		node_is 1/51712/hotplug-status connected &&
		[ "$(losetup -n -O AUTOCLEAR,RO,LOG-SEC,DIO "$loop" | xargs)" = "1 0 512 0" ] ||
		complain "$(losetup -n -O AUTOCLEAR,RO,LOG-SEC,DIO "$loop")" || return
	detached 1/51712 "$T/FILE"
}

remove_waits_for_the_loop_device()
{
	image REMOVED
	backend 1/51712 "$T/REMOVED" w && attach 1/51712 || return
	uid=$(node 1/51712/physical-device-uid)
	exec 7<$DISKS/"$uid"
	xenstore-write backend/vbd/1/51712/state 6
	(exec 7<&-; hotplug 1/51712 remove) &
	removal=$!
	sleep 0.5
	kill -0 $removal 2>/dev/null || complain "it did not wait"
	waited=$?
	xenstore-rm backend/vbd/1/51712
	exec 7<&-
	wait $removal && [ $waited = 0 ] && no_loop_of "$T/REMOVED"
}

read_only_file_is_attached_read_only()
{
	image READ
	backend 1/51712 "$T/READ" r && attach 1/51712 || return
	ro=$(losetup -n -O RO -j "$T/READ" | tr -d ' ')
	detached 1/51712 "$T/READ" && [ "$ro" = 1 ]
}

file_without_write_permission_is_not_written()
{
	image PERM
	chmod 444 "$T/PERM"
	backend 1/51712 "$T/PERM" w &&
		refused 1/51712 busy "params = \"$T/PERM\"" "is read-only" && gone 1/51712 &&
		backend 1/51712 "$T/PERM" r && attach 1/51712 && detached 1/51712 "$T/PERM"
}

direct_io_if_it_is_safe()
{
	image DIRECT
	backend 1/51712 "$T/DIRECT" w direct-io-safe 1 && attach 1/51712 || return
	dio=$(losetup -n -O DIO -j "$T/DIRECT" | tr -d ' ')
	detached 1/51712 "$T/DIRECT" && [ "$dio" = 1 ]
}

# blocks_of_4096: a file system on such a device, at $T/mnt
blocks_of_4096()
{
	truncate -s 16M "$T/BLOCKS" &&
		device=$(losetup -b 4096 -f --show "$T/BLOCKS") &&
		mkfs.ext4 -q -b 4096 "$device" && mount "$device" "$T/mnt"
}

sectors_have_512_bytes_on_any_file_system()
{
	blocks_of_4096 || return
	image mnt/IMAGE
	for safe in 0 1; do
		backend 1/51712 "$T/mnt/IMAGE" w direct-io-safe $safe && attach 1/51712
		sectors="${sectors-}$(losetup -n -O LOG-SEC -j "$T/mnt/IMAGE" | tr -d ' ') "
		detached 1/51712 "$T/mnt/IMAGE"
	done
	umount "$T/mnt" && losetup -d "$device"
	[ "$sectors" = "512 512 " ] || complain "$sectors"
}

file_of_any_name_is_attached()
{
	newline='
'
	# shellcheck disable=SC2016 # a name
	for name in 'Gr\x20ün' 'a  b"c'\''d$e`f' "$(printf 'latin\3511')" \
		"new${newline}line" "ends${newline}"; do
		image "$name"
		backend 1/51712 "$T/$name" w && attach 1/51712 || return
		uid=$(node 1/51712/physical-device-uid)
		[ "$(tr -d '\0' <$DISKS/"$uid")" = "$(printf %s "$name")" ] ||
			complain "not $name" || return
		detached 1/51712 "$T/$name" || return
	done
}

name_cannot_speak_to_the_terminal()
{
	# To many terminals, \302\233 in UTF-8, or \233 without it, is what \033[ is.
	backend 1/51712 "$T/no$(printf '\033[2J\r\302\2332J\2332J')süch€" w \
		dev "$(printf 'xvdz\033c\302\233')" &&
		refused 1/51712 error 'no\033[2J\015\302\2332J\2332Jsüch€' \
			"No such file or directory" 'xvdz\033c\302\233' || return
	gone 1/51712
	# What looks like UTF-8, and is not: too long for what it says, half of a pair of
	# UTF-16, beyond the last character, and cut off.
	for bytes in '\301\233' '\340\202\233' '\360\200\202\233' '\355\240\200' \
		'\364\220\200\200' '\370\210\200\200' '\342\202'; do
		# shellcheck disable=SC2059 # that is what they are
		backend 1/51712 "$T/no$(printf "$bytes")" w &&
			refused 1/51712 error "no$bytes\"" && gone 1/51712 || return
	done
}

long_name_is_cut_in_the_message()
{
	long=$(printf '%0200d/' 1 2 3 4 5 6 7 8 9)
	backend 1/51712 "$T/$long" w &&
		refused 1/51712 error "..." "No such file or directory" && gone 1/51712
}

# What is printed there would go to the disk, or to XenStore.
descriptors_that_the_caller_has_closed_are_opened()
{
	image CLOSED
	backend 1/51712 "$T/CLOSED" w || return
	XENBUS_PATH=/local/domain/0/backend/vbd/1/51712 INTERFERE_SYSFS=$T/sys \
		INTERFERE_AT=xs_transaction_end INTERFERE_DO=run \
		INTERFERE_HOOK="readlink /proc/\$PPID/fd/[012] >$T/opened" \
		LD_PRELOAD=$interfere "$PROGRAM" add <&- >&- 2>&- || return
	[ "$(paste -sd' ' "$T/opened")" = "/dev/null /dev/null /dev/null" ] ||
		complain "$(cat "$T/opened")" || return
	detached 1/51712 "$T/CLOSED"
}

value_with_a_nul_is_refused()
{
	backend 1/51712 "$T/x" w &&
		xenstore-write backend/vbd/1/51712/params "$T/FILE\\x00DISK" || return
	refused 1/51712 error "/params: has a NUL in it" && gone 1/51712
}

device_is_used_as_it_is()
{
	image DEVICE
	device=$(losetup -f --show "$T/DEVICE")
	for target in "$device" "${device#/dev/}" "$DISKS/$(number_of "$device")"; do
		backend 1/51712 "$target" w && attach 1/51712 &&
			node_is 1/51712/physical-device-uid "$(number_of "$device")" &&
			hotplug 1/51712 remove && gone 1/51712 || return
	done
	[ "$(loops_of "$T/DEVICE")" = "$device" ] && losetup -d "$device"
}

partition_is_named_with_its_number()
{
	image TABLE
	# A table that has only the third: 64 sectors from sector 16.
	printf '\0\0\0\0\203\0\0\0\20\0\0\0\100\0\0\0' |
		dd of="$T/TABLE" bs=1 seek=478 conv=notrunc status=none
	printf '\125\252' | dd of="$T/TABLE" bs=1 seek=510 conv=notrunc status=none
	device=$(losetup -P -f --show "$T/TABLE")
	backend 1/51712 "${device}p3" w && attach 1/51712 &&
		node_is 1/51712/physical-device-uid "$(number_of "$device")-part3" || return
	gone 1/51712
	losetup -d "$device"
}

read_only_device_is_not_written()
{
	image RODEV
	device=$(losetup -r -f --show "$T/RODEV")
	backend 1/51712 "$device" w &&
		refused 1/51712 busy "params = \"$device\"" "is read-only" && gone 1/51712 &&
		backend 1/51712 "$device" r && attach 1/51712 && gone 1/51712 &&
		losetup -d "$device"
}

# It must not be opened either: that would block.
what_is_no_disk_is_refused()
{
	mkfifo "$T/FIFO"
	for target in "$T/FIFO" "$T" /dev/null; do
		backend 1/51712 "$target" w &&
			refused 1/51712 error "params = \"$target\"" \
				"neither a block device nor a file" &&
			gone 1/51712 || return
	done
}

number_that_has_gone_is_called_so()
{
	image STALE
	device=$(losetup -f --show "$T/STALE")
	uid=$(number_of "$device")
	losetup -d "$device"
	for target in "$DISKS/$uid" "$DISKS/$uid-part2"; do
		backend 1/51712 "$target" w &&
			refused 1/51712 error "params = \"$target\"" "has gone" && gone 1/51712 || return
	done
}

# Where diskseqfs is not mounted, or not seen, a link may be that of a disk before.
link_of_udev_to_another_disk_is_refused()
{
	image LINKED
	device=$(losetup -f --show "$T/LINKED")
	uid=$(number_of "$device")
	mount -t tmpfs tmpfs $DISKS && ln -s "$device" "$DISKS/${uid}0" &&
		ln -s "$device" "$DISKS/$uid" || return
	backend 1/51712 "$DISKS/${uid}0" w && refused 1/51712 error "params" "has gone" &&
		gone 1/51712 && backend 1/51712 "$DISKS/$uid" w && attach 1/51712 && gone 1/51712
	status=$?
	umount $DISKS && losetup -d "$device" && [ $status = 0 ]
}

drive_without_medium_is_connected()
{
	backend 1/51712 "" r && attach 1/51712 && node_is 1/51712/hotplug-status connected &&
		no_node 1/51712/physical-device && gone 1/51712
}

# shared A B: mode of a first guest and of a second one; may it?
shared()
{
	backend 1/51712 "$1" "$2" && attach 1/51712 || return
	backend 2/51712 "$1" "$3"
	case $4 in
	yes)	attach 2/51712 ;;
	no)	refused 2/51712 busy "params = \"$1\"" "in use by guest 1" ;;
	esac || complain "$2 and $3 of $1" || return
	gone 2/51712 && gone 1/51712
}

sharing_follows_the_rule()
{
	image SHARED
	device=$(losetup -f --show "$T/SHARED")
	xenstore-write /local/domain/1/vm /vm/1 /local/domain/2/vm /vm/2
	for target in "$T/SHARED" "$device"; do
		shared "$target" r r yes && shared "$target" r w no &&
			shared "$target" w r no && shared "$target" w w no &&
			shared "$target" w 'w!' yes && shared "$target" 'w!' r no || return
		[ "$target" = "$device" ] || losetup -d "$device"
		[ "$target" = "$device" ] || device=$(losetup -f --show "$T/SHARED")
	done
	# The device of the file, and the file.
	backend 1/51712 "$device" w && attach 1/51712 &&
		backend 2/51712 "$T/SHARED" w && refused 2/51712 busy "in use by guest 1" || return
	gone 1/51712
	gone 2/51712
	losetup -d "$device"
}

# xens_block VBD: Xen's own script attaches it
xens_block()
{
	XENBUS_PATH=/local/domain/0/backend/vbd/$1 XENBUS_TYPE=vbd XENBUS_BASE_PATH=backend \
		"$XEN_SCRIPTS/block" add
}

# (By the loop device of a file, which is what guests share.  For the file itself, the
# script of Xen 4.17 compares what stat(1) writes in hexadecimal with what losetup(8)
# writes in decimal, and finds no device of its own either.)
xens_script_sees_what_this_has_attached()
{
	image OURS
	device=$(losetup -f --show "$T/OURS")
	xenstore-write /local/domain/1/vm /vm/1 /local/domain/2/vm /vm/2
	for target in "$device" "$T/OURS"; do
		backend 1/51712 "$target" w && attach 1/51712 || return
		shared=$(loops_of "$T/OURS")
		for mode in r w; do
			backend 2/51712 "$shared" $mode || return
			! xens_block 2/51712 2>/dev/null && node_is 2/51712/hotplug-status busy &&
				no_node 2/51712/physical-device && gone 2/51712 ||
				complain "$mode of $target: $(node 2/51712/hotplug-error)" || return
		done
		gone 1/51712 || return
		[ "$target" != "$device" ] || losetup -d "$device"
	done
	# What both only read, they may share.
	device=$(losetup -r -f --show "$T/OURS")
	backend 1/51712 "$device" r && attach 1/51712 && backend 2/51712 "$device" r &&
		xens_block 2/51712 && node_is 2/51712/hotplug-status connected &&
		gone 2/51712 && gone 1/51712 && losetup -d "$device"
}

# A device model, or the same guest when it reboots.
same_guest_may_share()
{
	image SAME
	xenstore-write /local/domain/1/vm /vm/1 /local/domain/2/vm /vm/2 \
		/local/domain/2/target 1
	shared "$T/SAME" w w yes
	status=$?
	xenstore-rm /local/domain/2/target
	# On its way to this machine, on which it is.
	xenstore-write /local/domain/2/vm /vm/1-1
	shared "$T/SAME" w w yes
	moving=$?
	xenstore-write /local/domain/2/vm /vm/2-1
	shared "$T/SAME" w w no
	other_moving=$?
	xenstore-rm /local/domain/1
	shared "$T/SAME" w w yes
	gone_too=$?
	xenstore-write /local/domain/1/vm /vm/1
	[ $status = 0 ] && [ $moving = 0 ] && [ $other_moving = 0 ] && [ $gone_too = 0 ]
}

# Xen's script has told it, and it has not been opened yet.
backend_that_has_not_opened_its_disk_counts()
{
	image TOLD
	device=$(losetup -f --show "$T/TOLD")
	backend 1/51712 "$device" w deaf 1
	xenstore-write backend/vbd/1/51712/physical-device "$(stat -c %t:%T "$device")"
	backend 2/51712 "$T/TOLD" r && refused 2/51712 busy "in use by guest 1" || return
	gone 2/51712
	# By number: the same one, and one that was there before it.
	xenstore-write backend/vbd/1/51712/physical-device-uid "$(number_of "$device")"
	backend 2/51712 "$device" w && refused 2/51712 busy "in use by guest 1" || return
	gone 2/51712
	xenstore-write backend/vbd/1/51712/physical-device-uid 1
	backend 2/51712 "$device" w && attach 2/51712 || return
	gone 2/51712 && gone 1/51712 && losetup -d "$device"
}

mounted_disk_is_refused()
{
	blocks_of_4096 || return
	for target in "$device" "$T/BLOCKS"; do
		for mode in r w; do
			backend 1/51712 "$target" $mode &&
				refused 1/51712 busy "is mounted in this domain ($device)" &&
				gone 1/51712 || return
		done
	done
	mount -o remount,ro "$T/mnt" &&
		backend 1/51712 "$device" r && attach 1/51712 && gone 1/51712 &&
		backend 1/51712 "$T/BLOCKS" r && attach 1/51712 && gone 1/51712 &&
		backend 1/51712 "$T/BLOCKS" w && refused 1/51712 busy "is mounted" &&
		gone 1/51712 || return
	umount "$T/mnt" && losetup -d "$device"
}

# A mount whose source is anything; who may use fusermount(1) can have that.
source_of_a_mount_that_is_no_path_is_no_disk()
{
	image STRANGE
	device=$(losetup -f --show "$T/STRANGE")
	ln -s around "$T/around" && mount -i -t tmpfs "$T/around" "$T/mnt" || return
	backend 1/51712 "$device" w && attach 1/51712 && gone 1/51712
	status=$?
	umount "$T/mnt" && losetup -d "$device" && [ $status = 0 ]
}

# Any user may have one, and call it what he likes.
fuse_mount_that_is_called_like_a_disk_is_none()
{
	[ -c /dev/fuse ] || complain "no FUSE in this kernel" || return
	image CALLED
	device=$(losetup -f --show "$T/CALLED")
	exec 7<>/dev/fuse
	mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0 "$device" "$T/mnt" || return
	backend 1/51712 "$device" w && attach 1/51712 && gone 1/51712
	status=$?
	umount -l "$T/mnt"
	exec 7<&-
	losetup -d "$device" && [ $status = 0 ]
}

source_of_a_mount_cannot_speak_to_the_terminal()
{
	image SPOKEN
	device=$(losetup -f --show "$T/SPOKEN")
	name=$T/a$(printf '\033]0;b\007')
	ln -s "$device" "$name" && mount -i -t tmpfs "$name" "$T/mnt" || return
	backend 1/51712 "$device" w && refused 1/51712 busy 'a\033]0;b\007)' && gone 1/51712
	status=$?
	umount "$T/mnt" && losetup -d "$device" && [ $status = 0 ]
}

# By a backup, say: that is no guest.
file_that_is_open_is_attached()
{
	image OPEN
	exec 7<>"$T/OPEN"
	backend 1/51712 "$T/OPEN" w && attach 1/51712
	status=$?
	exec 7>&-
	[ $status = 0 ] && detached 1/51712 "$T/OPEN"
}

unaware_backend_is_refused()
{
	image UNAWARE
	backend 1/51712 "$T/UNAWARE" w unaware 1 &&
		refused 1/51712 error "/feature-physical-device-uid" \
			"does not understand physical-device-uid" &&
		no_loop_of "$T/UNAWARE" && gone 1/51712
}

# What the other script is left with.
other_script()
{
	cat >"$T/other" <<-EOF
		#!/bin/sh
		echo "\$XENBUS_PATH \$BLOCK_DISKSEQ \$*" >$T/called
		[ ! -e /var/run/xen-hotplug/block ] || echo locked >>$T/called
		# SIGIO is the 29th.
		! grep -q '^SigIgn:.*[13579bdf].......\$' /proc/self/status ||
			echo "SIGIO is ignored" >>$T/called
	EOF
	chmod +x "$T/other"
	rm -f "$T/called"
}

unaware_backend_is_left_to_another_script()
{
	image OTHER
	for command in add remove; do
		other_script
		backend 1/51712 "$T/OTHER" w unaware 1 &&
			hotplug 1/51712 --else "$T/other" $command || return
		[ "$(cat "$T/called")" = "/local/domain/0/backend/vbd/1/51712 no $command" ] ||
			complain "$(cat "$T/called")" || return
		no_node 1/51712/hotplug-status && no_loop_of "$T/OTHER" && gone 1/51712 || return
	done
	has_log "\"$T/OTHER\" is given by its device number, by $T/other" || return
	# Not if there is nothing to be undone.
	other_script
	backend 1/51712 "$T/no-such-file" w && hotplug 1/51712 --else "$T/other" remove &&
		[ ! -e "$T/called" ] || return
	xenstore-write backend/vbd/1/51712/node /dev/loop99
	hotplug 1/51712 --else "$T/other" remove && [ -e "$T/called" ] && gone 1/51712 || return
	# And what it has set up stays with it.
	other_script
	backend 1/51712 "$T/OTHER" w
	xenstore-write backend/vbd/1/51712/physical-device 7:99
	hotplug 1/51712 --else "$T/other" add && grep -q "no add" "$T/called" && gone 1/51712 || return
	# One that is aware is not.
	other_script
	backend 1/51712 "$T/OTHER" w && hotplug 1/51712 --else "$T/other" add &&
		xenstore-write backend/vbd/1/51712/state 6 || return
	hotplug 1/51712 --else "$T/other" remove &
	call=$!
	gone 1/51712 && wait $call || return
	[ ! -e "$T/called" ]
}

# For which Xen's script has block-TYPE.
type_with_a_script_of_its_own_is_left_to_it()
{
	image TYPE
	for command in add remove; do
		other_script
		backend 1/51712 "$T/TYPE" w type nbd &&
			hotplug 1/51712 --else "$T/other" $command || return
		[ "$(cat "$T/called")" = "/local/domain/0/backend/vbd/1/51712 no $command" ] ||
			complain "$(cat "$T/called")" || return
		no_node 1/51712/hotplug-status && no_loop_of "$T/TYPE" && gone 1/51712 || return
	done
	has_log "the type is not phy" || return
	for type in phy file; do
		other_script
		backend 1/51712 "$T/TYPE" w type $type && hotplug 1/51712 --else "$T/other" add &&
			[ ! -e "$T/called" ] && node_is 1/51712/hotplug-status connected &&
			detached 1/51712 "$T/TYPE" || return
	done
	# And who has named this program in the disk line has decided.
	backend 1/51712 "$T/TYPE" w type nbd && attach 1/51712 && detached 1/51712 "$T/TYPE"
}

# One that may know numbers, but has not come: it would be told a device number.
driver_that_does_not_come_is_not_left_to_another_script()
{
	image LATE
	other_script
	kill -STOP "${daemons##* }"
	vbd=backend/vbd/1/51712
	xenstore-write $vbd/params "$T/LATE" $vbd/mode w $vbd/frontend-id 1 $vbd/state 1
	hotplug 1/51712 --else "$T/other" add
	status=$?
	kill -CONT "${daemons##* }"
	[ $status != 0 ] && [ ! -e "$T/called" ] && no_node 1/51712/physical-device &&
		node 1/51712/hotplug-error | grep -q "the driver has not come" || return
	gone 1/51712
}

# As udev does it.  Xen's script would write to the backend that it cannot read.
removal_after_the_end_does_nothing()
{
	other_script
	hotplug 1/51712 --else "$T/other" remove && [ ! -e "$T/called" ] && no_node 1/51712
}

# block COMMAND: Xen's script with our patch, in a folder of its own
block()
{
	XENBUS_PATH=/local/domain/0/backend/vbd/1/51712 XENBUS_TYPE=vbd \
		XENBUS_BASE_PATH=backend INTERFERE_SYSFS=$T/sys \
		LD_PRELOAD=$interfere "$T/scripts/block" "$1" 2>"$T/stderr"
}

patched_block_script_uses_it_where_it_can()
{
	rm -rf "$T/scripts"
	cp -r "$XEN_SCRIPTS" "$T/scripts" && cp "$PROGRAM" "$T/scripts/block-diskseq" &&
		patch -s -F0 "$T/scripts/block" "$BLOCK_PATCH" || return
	image BLOCK
	backend 1/51712 "$T/BLOCK" w && block add || return
	uid=$(node 1/51712/physical-device-uid)
	[ "$uid" = "$(number_of "$(loops_of "$T/BLOCK")")" ] &&
		node_is 1/51712/hotplug-status connected || complain "$uid" || return
	xenstore-write backend/vbd/1/51712/state 6
	gone 1/51712 && no_loop_of "$T/BLOCK" || return

	backend 1/51712 "$T/BLOCK" w unaware 1 && block add || return
	no_node 1/51712/physical-device-uid &&
		node_is 1/51712/physical-device-path "$(loops_of "$T/BLOCK")" &&
		node_is 1/51712/hotplug-status connected && block remove || return
	gone 1/51712
	no_loop_of "$T/BLOCK" || return

	# Where it is not installed, nothing changes.
	rm "$T/scripts/block-diskseq"
	backend 1/51712 "$T/BLOCK" w && block add && no_node 1/51712/physical-device-uid &&
		block remove && gone 1/51712 && no_loop_of "$T/BLOCK"
}

second_call_keeps_the_disk()
{
	image FIRST
	image SECOND
	backend 1/51712 "$T/FIRST" w && attach 1/51712 || return
	uid=$(node 1/51712/physical-device-uid)
	xenstore-write backend/vbd/1/51712/params "$T/SECOND"
	attach 1/51712 && node_is 1/51712/physical-device-uid "$uid" &&
		no_loop_of "$T/SECOND" && detached 1/51712 "$T/FIRST"
}

second_attempt_says_what_to_do()
{
	image AGAIN
	backend 1/51712 "$T/AGAIN" w
	xenstore-write backend/vbd/1/51712/state 5 error/backend/vbd/1/51712/error "6 something"
	refused 1/51712 error 'state = "5"' "6 something" && gone 1/51712
}

driver_that_refuses_is_quoted()
{
	image REFUSED
	backend 1/51712 "$T/REFUSED" w deaf 1
	(
		wait_for "the disk" xenstore-exists backend/vbd/1/51712/physical-device
		xenstore-write error/backend/vbd/1/51712/error "22 no, thanks" \
			backend/vbd/1/51712/state 5
	) &
	hotplug 1/51712 add
	status=$?
	error=$(node 1/51712/hotplug-error)
	gone 1/51712
	case $error in
	*physical-device-uid\ =*"$T/REFUSED: 22 no, thanks"*) ;;
	*)	complain "$error" || return ;;
	esac
	[ $status = 1 ] && no_loop_of "$T/REFUSED"
}

lock_is_of_root_alone()
{
	[ "$(stat -c %a /run/xen-hotplug/block)" = 600 ]
}

# Until descriptor 7 is closed, which who is to wait must not have.
keep_lock()
{
	mkdir -p /run/xen-hotplug
	exec 7>/run/xen-hotplug/block
	flock 7
}

# Nothing must come into being again.
backend_that_goes_while_it_waits_stays_gone()
{
	image GOING
	keep_lock
	backend 1/51712 "$T/GOING" w
	(exec 7>&-; hotplug 1/51712 add) &
	call=$!
	# Also in the place of a script, nobody but root may have it open.
	wait_for "a lock of root alone" lock_is_of_root_alone || return
	sleep 0.3
	xenstore-rm backend/vbd/1/51712
	exec 7>&-
	wait $call
	status=$?
	no_node 1/51712 && no_loop_of "$T/GOING" && [ $status = 1 ] || return

	# And when it waits for the driver.
	backend 1/51712 "$T/GOING" w deaf 1
	hotplug 1/51712 add &
	call=$!
	wait_for "the disk" xenstore-exists backend/vbd/1/51712/physical-device
	xenstore-rm backend/vbd/1/51712
	wait $call
	status=$?
	no_node 1/51712 && no_loop_of "$T/GOING" && [ $status = 1 ]
}

# xens_lock COMMAND...: with the lock, as Xen's scripts take it
xens_lock()
{
	bash -c '. "$0/locking.sh"
		claim_lock block
		"$@"
		release_lock block' "$XEN_SCRIPTS" "$@"
}

lock_is_that_of_xens_scripts()
{
	image LOCK
	backend 1/51712 "$T/LOCK" w
	xens_lock sh -c "touch $T/locked; while [ -e $T/locked ]; do sleep 0.05; done" 3>&- &
	wait_for "the lock" test -e "$T/locked"
	hotplug 1/51712 add &
	call=$!
	sleep 0.5
	no_loop_of "$T/LOCK" && kill -0 $call || complain "it did not wait" || return
	rm "$T/locked"
	wait $call && node_is 1/51712/hotplug-status connected &&
		[ ! -e /run/xen-hotplug/block ] && detached 1/51712 "$T/LOCK" || return

	# The other way round.
	backend 1/51712 "$T/LOCK" w
	rm -f "$T/entered"
	INTERFERE_AT=xs_transaction_end INTERFERE_DO=run \
		INTERFERE_HOOK="touch $T/held; sleep 0.7; [ ! -e $T/entered ] || touch $T/both" \
		hotplug 1/51712 add &
	call=$!
	wait_for "the program" test -e "$T/held"
	xens_lock touch "$T/entered"
	wait $call && [ ! -e "$T/both" ] && detached 1/51712 "$T/LOCK"
}

# To say so may take long, where XenStore is busy.
refusal_does_not_keep_the_lock()
{
	backend 1/51712 "$T/no-such-file" w
	rm -f "$T/locked" "$T/came"
	INTERFERE_AT=xs_transaction_start INTERFERE_DO=run \
		INTERFERE_HOOK="touch $T/came; [ ! -e /run/xen-hotplug/block ] || touch $T/locked" \
		refused 1/51712 error "No such file" || return
	gone 1/51712
	[ -e "$T/came" ] && [ ! -e "$T/locked" ]
}

# After 40 s xl kills it, and nobody knew why.
lock_that_others_keep_is_given_up()
{
	image KEPT
	keep_lock
	backend 1/51712 "$T/KEPT" w
	begun=$(date +%s)
	(exec 7>&-; refused 1/51712 error "the lock of the block scripts" "others keep it")
	status=$?
	took=$(($(date +%s) - begun))
	exec 7>&-
	gone 1/51712
	note "after $took s"
	[ $status = 0 ] && [ $took -ge 30 ] && [ $took -lt 40 ] && no_loop_of "$T/KEPT"
}

# The device goes to somebody else as soon as it can.
thief()
{
	echo "losetup -d $1; losetup $1 $T/THIEF"
}

disk_stays_open_until_the_driver_has_it()
{
	image THIEF
	image HELD
	backend 1/51712 "$T/HELD" w
	INTERFERE_AT=xs_transaction_end INTERFERE_DO=run \
		INTERFERE_HOOK="for l in \$(losetup -n -O NAME -j $T/HELD); do $(thief "\$l"); done; touch $T/came" \
		hotplug 1/51712 add 2>/dev/null && [ -e "$T/came" ] || return
	[ "$(head -c 4 $DISKS/"$(node 1/51712/physical-device-uid)")" = HELD ] &&
		detached 1/51712 "$T/HELD" && no_loop_of "$T/THIEF"
}

# calls: how many the last run made
calls()
{
	sed -n 's/^all //p' "$T/calls"
}

# each_call WHAT TARGET [SCRIPT]: see each_call.c
each_call()
{
	what=$1
	shift
	TMPDIR=$T INTERFERE_SYSFS=$T/sys \
		"$TOOLS/fakexl" each "$what" "$interfere" "$PROGRAM" "$@" 2>"$T/each" ||
		complain "$(tail -n 3 "$T/each")"
}

killed_at_any_point_it_leaves_nothing()
{
	image THIEF
	image DISK
	: >"$T/stolen"
	INTERFERE_HOOK="losetup $(losetup -f) $T/THIEF 2>/dev/null && echo >>$T/stolen" \
		each_call kill "$T/DISK" || return
	note "device taken over $(wc -l <"$T/stolen") times"
	[ -s "$T/stolen" ]
}

# With AddressSanitizer, each but those that allocate memory: it has its own malloc().
each_call_may_fail()
{
	image DISK
	each_call add "$T/DISK" || return
	device=$(losetup -f --show "$T/DISK")
	each_call add "$device" || return
	# Somebody has the file open: all loop devices are looked at.
	losetup -d "$device"
	image BESIDE
	device=$(losetup -f --show "$T/BESIDE")
	exec 7<"$T/DISK"
	each_call add "$T/DISK"
	status=$?
	exec 7<&-
	losetup -d "$device"
	return $status
}

each_call_of_a_refusal_may_fail()
{
	image DISK
	xenstore-write /local/domain/2/vm /vm/2 /local/domain/1/vm /vm/1
	backend 2/51712 "$T/DISK" w && attach 2/51712 &&
		each_call refusal "$T/DISK" && gone 2/51712 && no_loop_of "$T/DISK"
}

each_call_of_a_removal_may_fail()
{
	image DISK
	each_call removal "$T/DISK"
}

each_call_of_a_second_call_may_fail()
{
	image DISK
	each_call again "$T/DISK"
}

each_call_before_another_script_may_fail()
{
	image DISK
	other_script
	each_call else-add "$T/DISK" "$T/other" && each_call else-remove "$T/DISK" "$T/other"
}

counted()
{
	rm -f "$T/calls"
	backend 0/1 "$1" w && INTERFERE_LOG=$T/calls attach 0/1 && gone 0/1
}

# For a file, nothing.  For a device, the next name and one attribute in sysfs of each
# backend, which are four calls, and none to XenStore.
cost_grows_by_one_look_at_each_backend_at_most()
{
	image COST
	image COSTDEV
	image MANY
	device=$(losetup -f --show "$T/COSTDEV")
	many=$(losetup -f --show "$T/MANY")
	counted "$T/COST" && file=$(calls) && counted "$device" && dev=$(calls) || return
	numbers=$(stat -c %t:%T "$many")
	uid=$(number_of "$many")
	# Ten words each, so that xargs parts no backend.
	seq 1 "$BACKENDS" | while read -r n; do
		b=backend/vbd/$n/51712
		echo "$b/mode r $b/frontend-id $n $b/physical-device $numbers" \
			"$b/physical-device-uid $uid $b/state 1"
	done | xargs -n 1000 xenstore-write
	xenstore-write backend/vbd/wake up
	wait_for "the backends" test -e "$T/sys/devices/vbd-$BACKENDS-51712/physical_device_uid" || return
	counted "$T/COST" && file_then=$(calls) && counted "$device" && dev_then=$(calls) || return
	note "file: $file calls, then $file_then; device: $dev, then $dev_then"
	seq -f backend/vbd/%.0f 1 "$BACKENDS" | xargs xenstore-rm
	wait_for "their end" no_device || return
	losetup -d "$device"
	losetup -d "$many"
	# A few more are of a transaction that is tried again, and of looks at what the
	# driver does.
	[ $((file_then - file)) -le 40 ] &&
		[ $((dev_then - dev)) -le $((4 * BACKENDS + 100)) ]
}

no_device()
{
	[ -z "$(ls "$T/sys/devices")" ]
}

# How much there is of nodes, loop devices, and what the driver and XenStore have open.
inventory()
{
	xenstore-ls -f | wc -l
	losetup -n -O NAME | wc -l
	for pid in $daemons; do
		find "/proc/$pid/fd" -type l | wc -l
	done
}

# Of a file, of a device, and of one that is opened before it is refused.
many_rounds_leave_nothing()
{
	image ROUND
	image ROUNDDEV
	image ROUNDRO
	device=$(losetup -f --show "$T/ROUNDDEV")
	ro=$(losetup -r -f --show "$T/ROUNDRO")
	backend 1/51712 "$T/ROUND" w && gone 1/51712
	before=$(inventory)
	INTERFERE_SYSFS=$T/sys LD_PRELOAD=$interfere \
		"$TOOLS/fakexl" rounds "$ROUNDS" "$PROGRAM" "$ro" "$T/ROUND" "$device" 2>"$T/stderr" ||
		complain "$(tail -n 3 "$T/stderr")" || return
	note "$ROUNDS rounds"
	wait_for "what was there before" is_inventory "$before" ||
		complain "before: $(echo "$before" | paste -sd' '), now: $(inventory | paste -sd' ')" || return
	losetup -d "$device" && losetup -d "$ro"
}

is_inventory()
{
	[ "$(inventory)" = "$1" ]
}

TESTS="
	file_is_attached
	remove_waits_for_the_loop_device
	read_only_file_is_attached_read_only
	file_without_write_permission_is_not_written
	direct_io_if_it_is_safe
	sectors_have_512_bytes_on_any_file_system
	file_of_any_name_is_attached
	name_cannot_speak_to_the_terminal
	long_name_is_cut_in_the_message
	descriptors_that_the_caller_has_closed_are_opened
	value_with_a_nul_is_refused
	device_is_used_as_it_is
	partition_is_named_with_its_number
	read_only_device_is_not_written
	what_is_no_disk_is_refused
	number_that_has_gone_is_called_so
	link_of_udev_to_another_disk_is_refused
	drive_without_medium_is_connected
	sharing_follows_the_rule
	xens_script_sees_what_this_has_attached
	same_guest_may_share
	backend_that_has_not_opened_its_disk_counts
	mounted_disk_is_refused
	source_of_a_mount_that_is_no_path_is_no_disk
	fuse_mount_that_is_called_like_a_disk_is_none
	source_of_a_mount_cannot_speak_to_the_terminal
	file_that_is_open_is_attached
	unaware_backend_is_refused
	unaware_backend_is_left_to_another_script
	type_with_a_script_of_its_own_is_left_to_it
	driver_that_does_not_come_is_not_left_to_another_script
	removal_after_the_end_does_nothing
	patched_block_script_uses_it_where_it_can
	second_call_keeps_the_disk
	second_attempt_says_what_to_do
	driver_that_refuses_is_quoted
	backend_that_goes_while_it_waits_stays_gone
	lock_is_that_of_xens_scripts
	refusal_does_not_keep_the_lock
	lock_that_others_keep_is_given_up
	disk_stays_open_until_the_driver_has_it
	killed_at_any_point_it_leaves_nothing
	each_call_may_fail
	each_call_of_a_refusal_may_fail
	each_call_of_a_removal_may_fail
	each_call_of_a_second_call_may_fail
	each_call_before_another_script_may_fail
	cost_grows_by_one_look_at_each_backend_at_most
	many_rounds_leave_nothing
"

[ $# = 0 ] || TESTS=$*
echo "TAP version 13"
# shellcheck disable=SC2086 # a list
echo "1..$(echo $TESTS | wc -w)"
daemons=
trap cleanup EXIT
start_daemons || {
	echo "Bail out! no XenStore"
	exit 1
}
number=0
failed=0
for t in $TESTS; do
	number=$((number + 1))
	begin=$(date +%s%N)
	if "$t"; then
		ok=ok
	else
		ok="not ok"
		failed=1
		# The next one is to begin with nothing.
		for b in $(xenstore-ls -f backend/vbd 2>/dev/null |
			sed -n 's,.*backend/vbd/\([0-9]*/[0-9]*\) = .*,\1,p'); do
			gone "$b"
		done
		umount "$T/mnt" 2>/dev/null
	fi
	echo "$ok $number $t"
	note "$((($(date +%s%N) - begin) / 1000000)) ms"
done
[ $failed = 0 ]
