#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest has the disk that xl was told to give it, and never another one, if Xen's
# script for disks, patched, hands over to the program block-diskseq: no word of it
# is in the configuration.  Run in dom0:
#
#   GUEST_KERNEL=bzImage INTERFERE=interfere.so BLOCK_PATCH=block.patch \
#       [CYCLES=n] [KILL_EVERY=n] [WITH_DRIVER_DOMAIN=1] ./guest_test.sh [TEST]...
#
# interfere.so kills the program, or gives its loop device to another image, before
# a chosen one of its calls.  Of Xen's own script, the call of xenstore-write goes
# through a wrapper.
#
# Race: between the look-up of a disk and its open by blkback.  In each run a test
# sees Xen's own script lose it, on any kernel: the guest reads the other image.

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh
# shellcheck source=/dev/null
. "$DIR/driver_domain.sh"

# Each takes 5 s on an emulated machine.
CYCLES=${CYCLES:-5}
KILL_EVERY=${KILL_EVERY:-16}

XEN_SCRIPTS=${XEN_SCRIPTS:-/etc/xen/scripts}
GUEST=diskseq
CONSOLE=/var/log/xen/console/guest-$GUEST.log
XVDB=51728
# To look all the time would keep the driver domain from its work.
PAUSE=${WITH_DRIVER_DOMAIN:+0.5}
PAUSE=${PAUSE:-0.1}
backend=
other=/local/domain/0/backend/vbd/99/51712

T=$(mktemp -d /tmp/guest_test.XXXXXX)

cleanup()
{
	for guest in "$GUEST" "$USB"; do
		xl destroy "$guest" >/dev/null 2>&1
	done
	umount "$XEN_SCRIPTS"
	losetup -n -O NAME,BACK-FILE | while read -r device file; do
		case $file in
		"$T"/*) losetup -d "$device" ;;
		esac
	done
	rm -rf "$T"
}

# For who reads the log of a failure.
complain()
{
	ktap_print_msg "$*"
	return 1
}

# wait_for WHAT COMMAND...: 600 looks must do, each of which takes longer on a busy
# machine.
wait_for()
{
	what=$1
	shift
	tries=600
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] ||
			complain "waited in vain for: $what" || return
		sleep "$PAUSE"
	done
}

# image NAME: an image that says its name, $T/NAME.
image()
{
	truncate -s 64K "$T/$1"
	printf '%s' "$1" | dd of="$T/$1" conv=notrunc status=none
}

# What the guest has written into an image, see make_guest().
written_to()
{
	dd if="$T/$1" bs=512 skip=8 count=1 status=none | tr -d '\0'
}

# call_guest NAME TEXT: by sector 16 of an image, where it looks now and then.
call_guest()
{
	printf %s "$2" | dd of="$T/$1" bs=512 seek=16 conv=notrunc,sync status=none
}

guest_says()
{
	grep -aqF -- "$1" "$CONSOLE" 2>/dev/null
}

loops_of()
{
	losetup -n -O NAME -j "$1"
}

no_loop_of()
{
	[ -z "$(loops_of "$1")" ]
}

no_backend()
{
	! xenstore-exists "$backend"
}

# xl_attach TARGET [OPTION]...: as xvdb.
xl_attach()
{
	target=$1
	shift
	# What xl says is kept for those who look for the reason.
	xl block-attach $GUEST "vdev=xvdb, $([ $# = 0 ] || printf '%s, ' "$@")target=$target" \
		>"$T/xl.log" 2>&1
}

xl_detach()
{
	xl block-detach $GUEST xvdb >"$T/xl.log" 2>&1 || xl_complains
}

# libxl leaves the directory of a device whose script failed.
xl_give_up()
{
	xl block-detach $GUEST xvdb >"$T/give-up.log" 2>&1
	wait_for "the end of the backend" no_backend ||
		complain "$(paste -sd' ' "$T/give-up.log")"
}

xl_complains()
{
	sed 's/^/# /' "$T/xl.log"
	return 1
}

# The guest: it says what each disk holds that comes, writes the same and a word
# more to sector 8, says when the disk goes, and every 2 s, what is in sector 16.
# If that is "crash", it clears it and does so; if "storm", it writes to two nodes of
# its own as fast as it can, one of them what blkback reads of xvdb, until it is
# something else.
make_guest()
{
	root=$T/guest
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys"
	copy_with_libraries "$root" "${INTERFERE%/*}/storm" || return
	cp "$(command -v busybox)" "$root/bin/busybox"
	cat >"$root/init" <<-'EOF'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		PATH=/bin
		mount -t devtmpfs dev /dev
		mount -t sysfs sys /sys
		mount -t proc proc /proc
		exec </dev/hvc0 >/dev/hvc0 2>&1
		echo guest is up
		# Nobody writes to it: to wait without starting a process.
		mkfifo /never
		exec 3<>/never
		storm_on()
		{
			storm data/storm &
			echo $! >/storm
			# As soon as it is there.
			while [ -e /storm ]; do
				storm device/vbd/51728/device-type &
				echo $! >/storm-type
				wait $!
				usleep 100000
			done
		}
		look_at()
		{
			if [ ! -e "/sys/block/$1" ]; then
				[ ! -e "/$1" ] || echo "$1 gone: $(cat "/$1")"
				rm -f "/$1"
				return
			fi
			[ -b "/dev/$1" ] || return
			if [ -e "/$1" ]; then
				[ "$round" = 0 ] || return
				call=$(dd if="/dev/$1" bs=512 skip=16 count=1 iflag=direct |
					tr -d '\0')
				[ -z "$call" ] || echo "$1 calls: $call"
				if [ "$call" = storm ] && [ ! -e /storm ]; then
					storm_on 2>/dev/null &
				elif [ "$call" != storm ] && [ "$1" = xvda ] && [ -e /storm ]; then
					storm=$(cat /storm)
					rm /storm
					kill "$storm" "$(cat /storm-type)"
				fi
				[ "$call" = crash ] || return
				dd if=/dev/zero of="/dev/$1" bs=512 seek=16 count=1 conv=fsync
				echo c >/proc/sysrq-trigger
				return
			fi
			name=$(dd if="/dev/$1" bs=512 count=1 | tr -d '\0')
			echo "$name" >"/$1"
			if [ "$(cat "/sys/block/$1/queue/discard_max_bytes")" = 0 ]; then
				echo "$1 cannot discard: $name"
			elif [ "$name" = DISCARD ] && blkdiscard -o 32768 -l 16384 "/dev/$1"; then
				echo "$1 has discarded: $name"
			fi
			if [ "$(cat "/sys/block/$1/ro")" = 1 ]; then
				echo "$1 may only read: $name"
				return
			fi
			echo "$name by guest" |
				dd of="/dev/$1" bs=512 seek=8 conv=sync,fsync
			echo "$1 has: $name"
		}
		round=0
		while :; do
			round=$(((round + 1) % 20))
			look_at xvda 2>/dev/null
			look_at xvdb 2>/dev/null
			read -r -t 0.1 _ <&3
		done
	EOF
	chmod +x "$root/init"
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$T/initrd"
	cat >"$T/config" <<-EOF
		name = "$GUEST"
		type = "pv"
		kernel = "$GUEST_KERNEL"
		ramdisk = "$T/initrd"
		extra = "console=hvc0 rdinit=/init quiet"
		memory = 128
		on_crash = "restart"
		disk = [ "vdev=xvda, target=$T/SYSTEM" ]
	EOF
}

# In the place of Xen's scripts: these, patched, and our program, with a wrapper that
# sources $T/interfere, if that is there, before it becomes the program; or for Xen's
# own, $T/block, before its xenstore-write.
make_scripts()
{
	mkdir "$T/scripts" "$T/wrap"
	cp -p "$XEN_SCRIPTS"/* "$T/scripts" && cp -p "$T/scripts/block" "$T" &&
		patch -s -F0 "$T/scripts/block" "$BLOCK_PATCH" || return
	echo "bindir=$T/wrap" >>"$T/scripts/hotplugpath.sh"
	cat >"$T/wrap/xenstore-write" <<-EOF
		#!/bin/sh
		PATH=\${PATH#$T/wrap:}:/usr/sbin:/usr/bin:/sbin:/bin
		[ ! -e $T/interfere ] || . $T/interfere
		exec xenstore-write "\$@"
	EOF
	mv "$T/scripts/block-diskseq" "$T/program"
	cat >"$T/scripts/block-diskseq" <<-EOF
		#!/bin/sh
		echo \$\$ >$T/pid
		[ ! -e $T/interfere ] || . $T/interfere
		exec $T/program "\$@"
	EOF
	chmod +x "$T/wrap/xenstore-write" "$T/scripts/block-diskseq"
	mount --bind "$T/scripts" "$XEN_SCRIPTS"
}

# Give the device of image $1 to the image THIEF just before the program tells
# blkback of it.
steal_before_write()
{
	cat >"$T/steal" <<-EOF
		rm -f $T/interfere
		for loop in \$(losetup -n -O NAME -j $T/$1); do
			losetup -d "\$loop"
			losetup "\$loop" $T/THIEF
		done
	EOF
	cat >"$T/interfere" <<-EOF
		case \$*,\$0 in
		*,*/block-diskseq)
			export LD_PRELOAD=$INTERFERE INTERFERE_AT=xs_transaction_end \
				INTERFERE_DO=run INTERFERE_HOOK="sh $T/steal"
			;;
		*/physical-device\ *) sh $T/steal ;;
		esac
	EOF
}

# Kill the program before its call $1, and as soon as it is dead, give the device
# that it is to have had to the image THIEF.
kill_at_step()
{
	device=$(losetup -f)
	cat >"$T/interfere" <<-EOF
		rm -f $T/interfere $T/steps
		export LD_PRELOAD=$INTERFERE INTERFERE_AT=$1 INTERFERE_DO=kill \
			INTERFERE_LOG=$T/steps \
			INTERFERE_HOOK="losetup $device $T/THIEF && cat $T/steps >>$T/stolen"
	EOF
}

# Whoever looks for a free device from now on comes after the thief, who takes those
# of two disks.
thief_comes_first()
{
	cat >"$T/interfere" <<-EOF
		case "\$*" in
		*add)
			losetup -f $T/THIEF
			losetup -f $T/THIEF
			;;
		esac
	EOF
}

# thief_has DEVICE: such as 7:0
thief_has()
{
	for loop in $(loops_of "$T/THIEF"); do
		stat -c %t:%T "$loop"
	done | grep -qx "$1" || complain "nobody took $1"
}

drop_thief()
{
	for device in $(loops_of "$T/THIEF"); do
		losetup -d "$device"
	done
}

guest_reads_and_writes_its_disk()
{
	image SYSTEM
	make_guest
	xl create -q "$T/config" >"$T/xl.log" 2>&1 || xl_complains || return
	# The directory of xvdb in XenStore.
	backend=/local/domain/0/backend/vbd/$(xl domid $GUEST)/$XVDB
	wait_for "the guest's disk" guest_says "xvda has: SYSTEM" &&
		[ "$(written_to SYSTEM)" = "SYSTEM by guest" ]
}

attached_disk_is_the_image()
{
	image HOTPLUG
	xl_attach "$T/HOTPLUG" || xl_complains || return
	uid=$(xenstore-read "$backend/physical-device-uid")
	loop=$(loops_of "$T/HOTPLUG")
	[ "$uid" = "$(cat "/sys/block/${loop#/dev/}/diskseq")" ] &&
		[ "$(losetup -n -O AUTOCLEAR "$loop" | tr -d ' ')" = 1 ] ||
		complain "uid $uid, $(losetup "$loop")" || return
	wait_for "the disk in the guest" guest_says "xvdb has: HOTPLUG" &&
		[ "$(written_to HOTPLUG)" = "HOTPLUG by guest" ]
}

detached_disk_leaves_nothing()
{
	xl_detach &&
		no_loop_of "$T/HOTPLUG" && no_backend &&
		wait_for "the end of the disk" guest_says "xvdb gone: HOTPLUG"
}

read_only_disk_cannot_be_written()
{
	image READONLY
	xl_attach "$T/READONLY" access=ro || xl_complains || return
	ro=$(losetup -n -O RO -j "$T/READONLY" | tr -d ' ')
	wait_for "the disk in the guest" guest_says "xvdb may only read: READONLY"
	said=$?
	xl_detach && [ $said = 0 ] && [ "$ro" = 1 ]
}

# In the middle of DISCARD, the guest discards 16 KiB.
guest_discards_unless_it_may_not()
{
	for line in discard no-discard; do
		image DISCARD
		tr '\0' x </dev/zero | dd of="$T/DISCARD" bs=4096 seek=4 count=12 \
			conv=notrunc iflag=fullblock status=none
		before=$(stat -c %b "$T/DISCARD")
		xl_attach "$T/DISCARD" $line || xl_complains || return
		case $line in
		discard) says="xvdb has discarded: DISCARD" ;;
		*)	says="xvdb cannot discard: DISCARD" ;;
		esac
		wait_for "what the guest says with $line" guest_says "$says" &&
			wait_for "the end of its writes" written_by_guest DISCARD
		said=$?
		xl_detach && [ $said = 0 ] || return
		after=$(stat -c %b "$T/DISCARD")
		rest=$(dd if="$T/DISCARD" bs=4096 skip=8 count=4 status=none | tr -d '\0' | wc -c)
		ktap_print_msg "$line: $before blocks, then $after; $rest bytes are left of 16384"
		case $line in
		discard) [ "$rest" = 0 ] && [ "$after" -lt "$before" ] ;;
		*)	[ "$rest" = 16384 ] ;;
		esac || return
		rm "$T/DISCARD"
	done
}

written_by_guest()
{
	[ "$(written_to "$1")" = "$1 by guest" ]
}

# On tmpfs, which can do it, and on ramfs, which cannot.
direct_io_is_for_where_it_can_be()
{
	mkdir "$T/ramfs"
	mount -t ramfs ramfs "$T/ramfs" || return
	image ramfs/DIRECT
	image DIRECT
	used=
	for file in DIRECT ramfs/DIRECT; do
		xl_attach "$T/$file" direct-io-safe || xl_complains || break
		wait_for "the disk in the guest" guest_says "xvdb has: $file" || break
		used=$used$(losetup -n -O DIO -j "$T/$file" | tr -d ' ')
		xl_detach || break
	done
	umount "$T/ramfs"
	[ "$used" = 10 ] || complain "direct I/O: $used"
}

medium_of_a_cd_drive_is_the_image()
{
	image MEDIUM
	xl_attach "$T/MEDIUM" devtype=cdrom || xl_complains || return
	type=$(xenstore-read "$backend/device-type")
	wait_for "the disk in the guest" guest_says "xvdb may only read: MEDIUM"
	said=$?
	xl_detach && no_loop_of "$T/MEDIUM" && [ $said,"$type" = 0,cdrom ]
}

file_of_any_name_is_attached()
{
	# As in links of udev, and in other alphabets.
	image 'Gr\x20ün'
	xl_attach "$T/Gr\\x20ün" || xl_complains || return
	wait_for "the disk in the guest" guest_says 'xvdb has: Gr\x20ün'
	said=$?
	xl_detach && [ $said = 0 ] && no_loop_of "$T/Gr\\x20ün"
}

block_device_is_used_as_it_is()
{
	image DEVICE
	device=$(losetup -f --show "$T/DEVICE")
	if xl_attach "$device"; then
		wait_for "the disk in the guest" guest_says "xvdb has: DEVICE"
		said=$?
		xl_detach
	else
		xl_complains
		said=1
	fi
	kept=$(loops_of "$T/DEVICE")
	losetup -d "$device"
	[ "$said" = 0 ] && [ "$kept" = "$device" ]
}

partition_is_named_with_its_number()
{
	truncate -s 64K "$T/TABLE"
	printf PARTITION | dd of="$T/TABLE" bs=512 seek=16 conv=notrunc status=none
	# A partition table that has only the third: 64 sectors from sector 16.
	printf '\0\0\0\0\203\0\0\0\20\0\0\0\100\0\0\0' |
		dd of="$T/TABLE" bs=1 seek=478 conv=notrunc status=none
	printf '\125\252' | dd of="$T/TABLE" bs=1 seek=510 conv=notrunc status=none
	device=$(losetup -P -f --show "$T/TABLE")
	uid=none
	if xl_attach "${device}p3"; then
		uid=$(xenstore-read "$backend/physical-device-uid")
		wait_for "the disk in the guest" guest_says "xvdb has: PARTITION"
		said=$?
		xl_detach
	else
		xl_complains
		said=1
	fi
	wanted=$(cat "/sys/block/${device#/dev/}/diskseq")-part3
	losetup -d "$device"
	[ "$said" = 0 ] && [ "$uid" = "$wanted" ]
}

# other_guest NODE VALUE...: guest 99, which is there only in XenStore, has a
# backend of which blkback is told that.
other_guest()
{
	front=/local/domain/99/device/vbd/51712
	xenstore-write /local/domain/99/vm /vm/other $front/backend-id 0 \
		$front/state 1 $other/frontend $front $other/frontend-id 99 \
		$other/mode w $other/state 1 &&
		wait_for "the backend of guest 99" other_waits && xenstore-write "$@"
}

other_waits()
{
	[ "$(xenstore-read $other/state)" = 2 ]
}

no_other_guest()
{
	xenstore-rm /local/domain/0/backend/vbd/99
	xenstore-rm /local/domain/99
	wait_for "the end of guest 99" test ! -e /sys/bus/xen-backend/devices/vbd-99-51712
}

disk_of_another_guest_is_refused()
{
	image SHARED
	device=$(losetup -f --show "$T/SHARED")
	other_guest $other/physical-device "$(stat -L -c %t:%T "$device")" || return
	! xl_attach "$T/SHARED" &&
		grep -qF "/params = \"$T/SHARED\": is in use by guest 99" "$T/xl.log"
	refused=$?
	xl_give_up && no_other_guest || return
	losetup -d "$device"
	[ $refused = 0 ] && no_loop_of "$T/SHARED"
}

# Guest 99 could not be given the disk that was SUCCESSOR's device before.
rest_of_a_failed_attach_does_not_matter()
{
	image SUCCESSOR
	device=$(losetup -f --show "$T/SUCCESSOR")
	other_guest $other/physical-device "$(stat -L -c %t:%T "$device")" \
		$other/physical-device-uid 1 || return
	xl_attach "$device" || xl_complains
	attached=$?
	xl_give_up && no_other_guest || return
	losetup -d "$device"
	[ $attached = 0 ]
}

unaware_backend_is_refused()
{
	image UNAWARE
	xenstore-write $other/params "$T/UNAWARE" $other/mode w \
		$other/frontend-id 99 $other/state 2
	XENBUS_PATH=$other "$XEN_SCRIPTS/block-diskseq" add
	status=$?
	error=$(xenstore-read $other/hotplug-error)
	xenstore-exists $other/physical-device
	told=$?
	xenstore-rm /local/domain/0/backend/vbd/99
	ktap_print_msg "$error"
	[ $status = 1 ] && [ $told = 1 ] && no_loop_of "$T/UNAWARE" || return
	case $error in
	*"does not understand physical-device-uid"*) ;;
	*) return 1 ;;
	esac
}

# xl shows the node, its value, the reason, and what to do: that must do.
refusal_says_how_to_try_again()
{
	image LATER
	chmod 444 "$T/LATER"
	! xl_attach "$T/LATER" || complain "it was attached" || return
	grep -qF "${backend#/local/domain/0/}/params = \"$T/LATER\": is read-only" "$T/xl.log" ||
		xl_complains || return
	hint=$(sed -n 's/.*Before another "xl block-attach": //p' "$T/xl.log" |
		grep -o '^xl block-detach [0-9]* [a-z]*')
	[ -n "$hint" ] || xl_complains || return
	chmod 644 "$T/LATER"
	! xl_attach "$T/LATER" || complain "it is not needed" || return
	$hint >"$T/xl.log" 2>&1 && xl_attach "$T/LATER" || xl_complains || return
	wait_for "the disk in the guest" guest_says "xvdb has: LATER" && xl_detach
}

no_script()
{
	read -r pid <"$T/pid"
	[ ! -e "/proc/$pid" ]
}

killed_script_leaves_nothing_and_serves_nothing_wrong()
{
	image KILLED
	step=1
	: >"$T/stolen"
	while kill_at_step "$step"; ! xl_attach "$T/KILLED"; do
		wait_for "the end of the program" no_script &&
			xl_give_up &&
			wait_for "the end of the loop device" no_loop_of "$T/KILLED" ||
			complain "killed before call $step" || return
		grep -q "^$step " "$T/steps" ||
			xl_complains || return
		drop_thief
		step=$((step + KILL_EVERY))
	done
	steps=$(sed -n 's/^all //p' "$T/steps")
	wait_for "the disk in the guest" guest_says "xvdb has: KILLED"
	xl_detach
	ktap_print_msg "killed before every call $KILL_EVERY of $steps"
	ktap_print_msg "device taken over before: $(paste -sd' ' "$T/stolen")"
	[ "$step" -gt "$steps" ] && [ -s "$T/stolen" ] && ! guest_says THIEF
}

# attach_with_thief NAME: the guest must say NAME.
attach_with_thief()
{
	image "$1"
	steal_before_write "$1"
	xl_attach "$T/$1" || xl_complains || return
	[ ! -e "$T/interfere" ] || complain "the thief did not come" || return
	device=$(xenstore-read "$backend/physical-device")
	wait_for "$1 in the guest" guest_says "xvdb has: $1" &&
		[ "$(written_to "$1")" = "$1 by guest" ]
}

# On the same 7:0 each time, with a thief who wants it.
each_image_is_read_in_all_cycles()
{
	same=
	cycle=0
	while [ $cycle -lt "$CYCLES" ]; do
		cycle=$((cycle + 1))
		attach_with_thief "CYCLE-$cycle" || return
		[ "$device" = "${same:=$device}" ] ||
			complain "$device in cycle $cycle, $same before" || return
		xl_detach && no_loop_of "$T/CYCLE-$cycle" && no_backend ||
			complain "left behind in cycle $cycle" || return
		rm "$T/CYCLE-$cycle"
	done
	ktap_print_msg "$cycle cycles on $device"
	! guest_says THIEF
}

script_in_the_disk_line_is_used()
{
	image LINE
	cp -p "$T/block" "$T/scripts/block"
	xl_attach "$T/LINE" script=block-diskseq || xl_complains
	attached=$?
	patch -s -F0 "$T/scripts/block" "$BLOCK_PATCH"
	uid=$(xenstore-read "$backend/physical-device-uid")
	loop=$(loops_of "$T/LINE")
	[ "$uid" = "$(cat "/sys/block/${loop#/dev/}/diskseq")" ] || complain "uid $uid"
	right=$?
	wait_for "the disk in the guest" guest_says "xvdb has: LINE"
	said=$?
	xl_detach && no_loop_of "$T/LINE" && [ $attached,$right,$said = 0,0,0 ]
}

start_udev()
{
	# Ours, and no other rule.
	mount -t tmpfs tmpfs /usr/lib/udev/rules.d && mkdir -p /run/udev/rules.d || return
	# shellcheck disable=SC2016 # for udev
	printf 'SUBSYSTEM=="xen-backend", KERNEL=="vbd*", RUN+="%s/block $env{ACTION}"\n' \
		"$XEN_SCRIPTS" \
		>/run/udev/rules.d/xen-backend.rules
	/lib/systemd/systemd-udevd --daemon 2>"$T/udev.log" &&
		wait_for udevd udevadm control --ping
}

stop_udev()
{
	udevadm control --exit
	rm -rf /run/udev/rules.d
	umount /usr/lib/udev/rules.d
}

storm_blows()
{
	xenstore-exists "$home/data/storm"
}

# The guest writes to its nodes as fast as it can, also to what is read of them.
storm_of_a_guest_keeps_no_disk_away()
{
	image STORM
	home=/local/domain/$(xl domid $GUEST)
	call_guest SYSTEM storm
	wait_for "the guest's writes" storm_blows || return
	steal_before_write STORM
	xl_attach "$T/STORM" || xl_complains || return
	[ ! -e "$T/interfere" ] || complain "the thief did not come" || return
	wait_for "the disk in the guest" guest_says "xvdb has: STORM"
	said=$?
	[ "$(xenstore-read "$home/device/vbd/$XVDB/device-type")" = storm ] ||
		complain "it did not write to the node of its disk"
	written=$?
	call_guest SYSTEM calm
	wait_for "the end of the writes" guest_says "xvda calls: calm"
	xl_detach && no_loop_of "$T/STORM" && ! guest_says THIEF &&
		[ $said,$written = 0,0 ]
}

# As a tool stack that leaves it to udev to run the script for what the kernel
# announces, as xl once did with run_hotplug_scripts=0.
disk_added_by_udev_is_the_image()
{
	image UDEV
	steal_before_write UDEV
	start_udev || return
	id=$(xl domid $GUEST)
	front=/local/domain/$id/device/vbd/$XVDB
	xenstore-write "$front" "" "$backend" "" &&
		xenstore-chmod "$front" "n$id" r0 && xenstore-chmod "$backend" n0 "r$id" &&
		xenstore-write "$backend/frontend" "$front" "$backend/frontend-id" "$id" \
			"$backend/online" 1 "$backend/dev" xvdb "$backend/mode" w \
			"$backend/params" "$T/UDEV" "$backend/state" 1 \
			"$front/backend" "$backend" "$front/backend-id" 0 \
			"$front/virtual-device" $XVDB "$front/device-type" disk \
			"$front/state" 1 || return
	wait_for "the disk in the guest" guest_says "xvdb has: UDEV" ||
		complain "$(xenstore-read "$backend/hotplug-error")"
	said=$?
	[ ! -e "$T/interfere" ] || complain "the thief did not come"
	came=$?
	xenstore-write "$backend/online" 0 "$backend/state" 5
	wait_for "the end of the loop device" no_loop_of "$T/UDEV"
	left=$?
	xenstore-rm "$backend"
	xenstore-rm "$front"
	wait_for "the end of the device" \
		test ! -e "/sys/bus/xen-backend/devices/vbd-$id-$XVDB"
	udevadm settle
	stop_udev
	no_backend || complain "it is there again" || return
	! guest_says THIEF && [ $came,$said,$left = 0,0,0 ]
}

# While it is saved, its devices are free for others.
restored_guest_has_its_disks()
{
	image SAVED
	xl_attach "$T/SAVED" || xl_complains || return
	wait_for "the disk in the guest" guest_says "xvdb has: SAVED" || return
	before=$(xenstore-read "$backend/physical-device")
	xl save $GUEST "$T/state" >"$T/xl.log" 2>&1 || xl_complains || return
	wait_for "the end of the loop devices" no_loop_of "$T/SAVED" &&
		wait_for "the end of the loop devices" no_loop_of "$T/SYSTEM" || return
	for _ in xvda xvdb; do
		losetup -f "$T/THIEF"
	done
	thief_has "$before" || return
	xl restore "$T/state" >"$T/xl.log" 2>&1 || xl_complains || return
	rm "$T/state"
	backend=/local/domain/0/backend/vbd/$(xl domid $GUEST)/$XVDB
	ktap_print_msg "xvdb was $before, is $(xenstore-read "$backend/physical-device")"
	for name in SYSTEM SAVED THIEF; do
		call_guest "$name" "restored $name"
	done
	wait_for "xvda in the guest" guest_says "xvda calls: restored SYSTEM" &&
		wait_for "xvdb in the guest" guest_says "xvdb calls: restored SAVED" || return
	drop_thief
	! guest_says THIEF && xl_detach && no_loop_of "$T/SAVED"
}

another_domain()
{
	id=$(xl domid $GUEST 2>/dev/null) && [ "$id" != "$1" ]
}

# comes_again NAME COMMAND...: after that, the guest is a new domain with both of its
# disks, the second of which is NAME, although their devices have gone to others.
comes_again()
{
	name=$1
	shift
	image "$name"
	xl_attach "$T/$name" || xl_complains || return
	wait_for "the disk in the guest" guest_says "xvdb has: $name" || return
	before=$(xenstore-read "$backend/physical-device")
	domain=$(xl domid $GUEST)
	thief_comes_first
	"$@" >"$T/xl.log" 2>&1 || xl_complains || return
	wait_for "the domain after it" another_domain "$domain" || return
	backend=/local/domain/0/backend/vbd/$id/$XVDB
	for disk in SYSTEM "$name" THIEF; do
		call_guest "$disk" "$name for $disk"
	done
	wait_for "xvda in the guest" guest_says "xvda calls: $name for SYSTEM" &&
		wait_for "xvdb in the guest" guest_says "xvdb calls: $name for $name"
	said=$?
	rm -f "$T/interfere"
	thief_has "$before"
	taken=$?
	drop_thief
	[ $said = 0 ] && ! guest_says THIEF && xl_detach && no_loop_of "$T/$name" &&
		[ $taken = 0 ]
}

rebooted_guest_has_its_disks()
{
	comes_again REBOOTED xl reboot $GUEST
}

crashed_guest_has_its_disks()
{
	comes_again CRASHED call_guest SYSTEM crash
}

# The other guest is the driver domain.
readers_share_a_disk()
{
	image READERS
	steal_before_write READERS
	xl_attach "$T/READERS" access=ro || xl_complains || return
	steal_before_write READERS
	xl block-attach "$USB" "vdev=xvdb, access=ro, target=$T/READERS" >"$T/xl.log" 2>&1 ||
		xl_complains || return
	[ ! -e "$T/interfere" ] || complain "the thief did not come" || return
	wait_for "the disk in the guest" guest_says "xvdb may only read: READERS" &&
		in_usb 'until [ -b /dev/xvdb ]; do usleep 50000; done; head -c 7 /dev/xvdb'
	said=$?
	xl block-detach "$USB" xvdb
	[ $said = 0 ] && [ "$(cat "$T/usb.log")" = READERS ] || usb_complains || return
	# Not if one of them may write.
	! xl block-attach "$USB" "vdev=xvdb, target=$T/READERS" >"$T/xl.log" 2>&1 &&
		grep -q "in use by guest $(xl domid $GUEST)" "$T/xl.log"
	refused=$?
	xl block-detach "$USB" xvdb
	xl_detach && no_loop_of "$T/READERS" && ! guest_says THIEF && [ $refused = 0 ]
}

disk_that_is_taken_by_force_leaves_nothing()
{
	image FORCED
	xl_attach "$T/FORCED" || xl_complains || return
	wait_for "the disk in the guest" guest_says "xvdb has: FORCED" || return
	before=$(xenstore-read "$backend/physical-device")
	xl block-detach --force $GUEST xvdb >"$T/xl.log" 2>&1 || xl_complains || return
	wait_for "the end of the loop device" no_loop_of "$T/FORCED" && no_backend || return
	losetup -f "$T/THIEF"
	thief_has "$before" || return
	call_guest THIEF "taken over"
	wait_for "the end of the disk" guest_says "xvdb gone: FORCED"
	said=$?
	drop_thief
	[ $said = 0 ] && ! guest_says "taken over"
}

# On any kernel.
xens_own_script_serves_the_wrong_disk()
{
	cp -p "$T/block" "$T/scripts/block"
	steal_before_write STOCK
	image STOCK
	xl_attach "$T/STOCK" || xl_complains || return
	wait_for "the wrong disk in the guest" guest_says "xvdb has: THIEF" &&
		! guest_says "xvdb has: STOCK" &&
		[ "$(written_to THIEF)" = "THIEF by guest" ]
}

destroyed_guest_leaves_nothing()
{
	xl destroy $GUEST >"$T/xl.log" 2>&1 || xl_complains || return
	wait_for "the end of the loop device" no_loop_of "$T/SYSTEM" &&
		wait_for "the end of the backends" no_backends
}

# (The console of a driver domain stays for as long as it lives.)
no_backends()
{
	set -- /sys/bus/xen-backend/devices/vbd-*
	[ ! -e "$1" ]
}

# All but the first need the guest that the first one starts.
TESTS="
	guest_reads_and_writes_its_disk
	attached_disk_is_the_image
	detached_disk_leaves_nothing
	read_only_disk_cannot_be_written
	file_of_any_name_is_attached
	guest_discards_unless_it_may_not
	direct_io_is_for_where_it_can_be
	medium_of_a_cd_drive_is_the_image
	block_device_is_used_as_it_is
	partition_is_named_with_its_number
	disk_of_another_guest_is_refused
	rest_of_a_failed_attach_does_not_matter
	unaware_backend_is_refused
	refusal_says_how_to_try_again
	killed_script_leaves_nothing_and_serves_nothing_wrong
	each_image_is_read_in_all_cycles
	script_in_the_disk_line_is_used
	storm_of_a_guest_keeps_no_disk_away
	disk_added_by_udev_is_the_image
	restored_guest_has_its_disks
	rebooted_guest_has_its_disks
	crashed_guest_has_its_disks
	disk_that_is_taken_by_force_leaves_nothing
	xens_own_script_serves_the_wrong_disk
	destroyed_guest_leaves_nothing
"

# With a second guest to share one processor with, an emulated one, they take minutes,
# and what has a limit of time, such as Xen's own script, gets beyond it.
DRIVER_DOMAIN="
	driver_domain_starts
	disk_of_a_driver_domain_is_the_stick
	stick_that_was_swapped_is_refused
	stick_that_is_swapped_during_the_attach_is_refused
	readers_share_a_disk
	dead_driver_domain_leaves_nothing
	stale_number_is_refused_by_the_next_driver_domain
	destroyed_guest_leaves_nothing
"

# shellcheck disable=SC2086 # a list
[ -z "${WITH_DRIVER_DOMAIN-}" ] || set -- $DRIVER_DOMAIN
[ $# = 0 ] || TESTS="guest_reads_and_writes_its_disk $*"

ktap_print_header
if [ ! -e /proc/xen/capabilities ] || ! grep -q control_d /proc/xen/capabilities; then
	ktap_skip_all "not in a Xen dom0"
	exit "$KSFT_SKIP"
fi
if [ ! -f "${GUEST_KERNEL-}" ]; then
	ktap_skip_all "GUEST_KERNEL must name the kernel of a guest"
	exit "$KSFT_SKIP"
fi
if [ ! -e "$XEN_SCRIPTS/block-diskseq" ] || [ ! -e "${INTERFERE-}" ] ||
	[ ! -e "${BLOCK_PATCH-}" ]; then
	ktap_skip_all "no block-diskseq in $XEN_SCRIPTS, or INTERFERE or BLOCK_PATCH names no file"
	exit "$KSFT_SKIP"
fi
trap cleanup EXIT
# shellcheck disable=SC2086 # a list
ktap_set_plan "$(echo $TESTS | wc -w)"
make_scripts || ktap_exit_fail_msg "cannot patch Xen's hotplug scripts in $XEN_SCRIPTS"
image THIEF

for t in $TESTS; do
	start=$(date +%s)
	if "$t"; then
		ktap_test_pass "$t"
	else
		ktap_test_fail "$t"
		# Not to be the failure of the next one as well.
		rm -f "$T/interfere"
		xl_give_up
	fi
	ktap_print_msg "$(($(date +%s) - start)) s"
done
ktap_finished
