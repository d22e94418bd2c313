# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # shared with who sources this
#
# A driver domain for guest_test.sh, which sources this: a guest whose disks are
# USB sticks, as it were, that other guests can be given.  It has the same kernel,
# "xl devd", which runs Xen's scripts in there, and a drive of scsi_debug: each
# stick that is plugged in is the same /dev/sda.

USB=usb
# Its programs; what they are linked with goes with them.
USB_PROGRAMS="bash xl xenstore-read xenstore-write xenstore-list xenstore-rm \
	xenstore-watch"

# in_usb COMMAND: for its shell; its status, and its output in $T/usb.log.
in_usb()
{
	usb_calls=$((${usb_calls-0} + 1))
	xenstore-write "$usb/data/call" "$usb_calls $*" &&
		wait_for "an answer of the driver domain: $*" has_answered || return
	xenstore-read "$usb/data/output" >"$T/usb.log"
	return "${answer#* }"
}

has_answered()
{
	answer=$(xenstore-read "$usb/data/answer" 2>/dev/null)
	[ "${answer% *}" = "$usb_calls" ]
}

usb_complains()
{
	sed 's/^/# usb: /' "$T/usb.log"
	return 1
}

# copy_with_libraries FOLDER PROGRAM...
copy_with_libraries()
{
	to=$1
	shift
	for program; do
		# Debian's xl is a script that looks for the right one.
		xen=$(/usr/lib/xen-common/bin/xen-dir 2>/dev/null)
		program=$(PATH=$xen/bin:$PATH && command -v "$program") || return
		cp -L "$program" "$to/bin"
		ldd "$program" | grep -o '/[^ ]*'
	done | sort -u >"$T/libraries"
	# xl looks for that one when a thread of it ends.
	echo /lib/*/libgcc_s.so.1 >>"$T/libraries"
	while read -r library; do
		mkdir -p "$to/${library%/*}"
		cp -L "$library" "$to/$library"
	done <"$T/libraries"
}

make_driver_domain()
{
	root=$T/usb
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" \
		"$root/etc/xen/scripts" "$root/var/log/xen" "$root/var/lib/xen" \
		"$root/wrap" "$root/lib64"
	# shellcheck disable=SC2086 # a list
	copy_with_libraries "$root" $USB_PROGRAMS || return
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp -p "$T/scripts/block" "$T"/scripts/*.sh "$root/etc/xen/scripts"
	cp -p "$T/program" "$root/etc/xen/scripts/block-diskseq.real"
	cp -p "$T/block" "$root/etc/xen/scripts/block-stock"
	cp "$INTERFERE" "$root/interfere.so"
	# If there is /swap, the stick becomes STICK-B just before blkback is told of
	# it, by the program or by Xen's own script; what plug says goes to /swapped.
	cat >"$root/etc/xen/scripts/block-diskseq" <<-'EOF'
		#!/bin/busybox sh
		[ ! -e /swap ] || {
			rm /swap
			export LD_PRELOAD=/interfere.so INTERFERE_AT=xs_transaction_end \
				INTERFERE_DO=run INTERFERE_HOOK='plug STICK-B >/swapped'
		}
		exec /etc/xen/scripts/block-diskseq.real "$@"
	EOF
	cat >>"$root/etc/xen/scripts/hotplugpath.sh" <<-'EOF'
		bindir=/wrap
	EOF
	cat >"$root/wrap/xenstore-write" <<-'EOF'
		#!/bin/busybox sh
		case "$*" in
		*/physical-device\ *) [ ! -e /swap ] || { rm /swap; plug STICK-B >/swapped; } ;;
		esac
		exec /bin/xenstore-write "$@"
	EOF
	# plug LABEL: out with the stick, in with another one, which says LABEL; prints
	# the number of that one and what its device is, such as "5 8:0"
	cat >"$root/bin/plug" <<-'EOF'
		#!/bin/busybox sh
		cd /sys/bus/pseudo/drivers/scsi_debug
		[ "$(cat add_host)" = 0 ] || echo -1 >add_host
		echo 1 >add_host
		disk=
		sticks=/sys/bus/pseudo/devices/adapter*/host*/target*/*/block/sd*
		until disk=$(ls -d $sticks 2>/dev/null) && [ -b "/dev/${disk##*/}" ]; do
			usleep 20000
		done
		printf %s "$1" | dd of="/dev/${disk##*/}" conv=sync,fsync 2>/dev/null
		echo "$(cat "$disk/diskseq") $(stat -c %t:%T "/dev/${disk##*/}")"
	EOF
	cat >"$root/init" <<-'EOF'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		PATH=/bin
		export PATH
		mount -t devtmpfs dev /dev
		mount -t sysfs sys /sys
		mount -t proc proc /proc
		mount -t xenfs xenfs /proc/xen
		ln -s /proc/self/fd /dev/fd
		ln -s fd/0 /dev/stdin
		mkdir -p /run/xen /run/lock /dev/disk/by-diskseq /var/lock /usr
		ln -s /run /var/run
		ln -s /bin /usr/bin
		mount -t diskseqfs diskseqfs /dev/disk/by-diskseq
		exec </dev/hvc0 >/dev/hvc0 2>&1
		echo 1 >/sys/bus/pseudo/drivers/scsi_debug/per_host_store
		xl devd -F >/var/log/xen/devd.log 2>&1 &
		answered=0
		xenstore-write data/answer "0 0"
		echo driver domain is up
		# No process is started while there is no call: Xen's own script has
		# 40 s, and needs most of them here.
		xenstore-watch data/call | while read -r _; do
			call=$(xenstore-read data/call 2>/dev/null)
			n=${call%% *}
			[ "${n:-0}" != "$answered" ] || continue
			output=$(eval "${call#* }" 2>&1)
			status=$?
			xenstore-write data/output "$output"
			xenstore-write data/answer "$n $status"
			answered=$n
		done
	EOF
	chmod +x "$root/init" "$root/bin/plug" "$root/wrap/xenstore-write" \
		"$root/etc/xen/scripts/block-diskseq"
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$T/usb.initrd"
	rm -rf "$root"
	no_stick_yet="scsi_debug.add_host=0 scsi_debug.dev_size_mb=1"
	cat >"$T/usb.config" <<-EOF
		name = "$USB"
		type = "pv"
		driver_domain = 1
		kernel = "$GUEST_KERNEL"
		ramdisk = "$T/usb.initrd"
		extra = "console=hvc0 rdinit=/init quiet $no_stick_yet"
		memory = 192
	EOF
}

driver_domain_starts()
{
	[ -e "$T/usb.config" ] || make_driver_domain || return
	xl create -q "$T/usb.config" >"$T/xl.log" 2>&1 || xl_complains || return
	usb=/local/domain/$(xl domid $USB)
	# The directory of the guest's xvdb.
	usb_backend=$usb/backend/vbd/$(xl domid "$GUEST")/$XVDB
	in_usb true
}

no_usb_backend()
{
	! xenstore-exists "$usb_backend"
}

# usb_error: why the driver domain refuses it
usb_error()
{
	xenstore-read "$usb_backend/hotplug-error" 2>/dev/null
}

has_usb_error()
{
	[ -n "$(usb_error)" ]
}

usb_give_up()
{
	xl block-detach "$GUEST" xvdb >"$T/give-up.log" 2>&1
	wait_for "the end of the backend in the driver domain" no_usb_backend ||
		complain "$(paste -sd' ' "$T/give-up.log")"
}

# usb_refuses TEXT: with that in its reason; it must be possible to detach it then
usb_refuses()
{
	wait_for "a refusal in the driver domain" has_usb_error
	error=$(usb_error)
	usb_give_up || return
	case $error in
	*"$1"*) ;;
	*)	complain "the reason is: $error" ;;
	esac
}

# plug LABEL: its number is $number then, and its device $device
plug()
{
	in_usb plug "$1" || usb_complains || return
	read -r number device <"$T/usb.log"
}

disk_of_a_driver_domain_is_the_stick()
{
	plug STICK-A || return
	xl_attach "/dev/disk/by-diskseq/$number" backend=$USB || xl_complains || return
	wait_for "the stick in the guest" guest_says "xvdb has: STICK-A"
	said=$?
	uid=$(xenstore-read "$usb_backend/physical-device-uid")
	usb_give_up && [ $said = 0 ] && [ "$uid" = "$number" ]
}

# Between the choice of the user and the attach; xl is told a number.
stick_that_was_swapped_is_refused()
{
	plug STICK-A || return
	chosen=$number
	chosen_device=$device
	plug STICK-B || return
	[ "$device" = "$chosen_device" ] ||
		complain "it was $chosen_device, and is $device" || return
	xl_attach "/dev/disk/by-diskseq/$chosen" backend=$USB
	ktap_print_msg "xl: $?"
	usb_refuses "has gone" && ! guest_says STICK-B
}

# Just before the program tells blkback, with the stick open.
stick_that_is_swapped_during_the_attach_is_refused()
{
	plug STICK-A && in_usb touch /swap || return
	xl_attach /dev/sda backend=$USB
	ktap_print_msg "xl: $?"
	usb_refuses "the backend refuses /dev/sda" && in_usb cat /swapped || usb_complains || return
	ktap_print_msg "number $number on $device, then $(cat "$T/usb.log")"
	! guest_says STICK-B
}

no_frontend()
{
	! xenstore-exists "/local/domain/$(xl domid "$GUEST")/device/vbd/$XVDB"
}

# While the guest has its disk.
dead_driver_domain_leaves_nothing()
{
	# In the next one, numbers begin anew: not with this one.
	plug STICK-C && plug STICK-D || return
	stale=$number
	xl_attach "/dev/disk/by-diskseq/$stale" backend=$USB || xl_complains || return
	wait_for "the stick in the guest" guest_says "xvdb has: STICK-D" || return
	xl destroy "$USB" >"$T/xl.log" 2>&1 || xl_complains || return
	xl block-detach --force "$GUEST" xvdb >"$T/xl.log" 2>&1
	ktap_print_msg "xl block-detach --force: $?, $(paste -sd' ' "$T/xl.log")"
	wait_for "the end of the frontend in XenStore" no_frontend &&
		wait_for "the end of the disk" guest_says "xvdb gone: STICK-D" &&
		no_usb_backend
}

# A number that was stored is not that of the stick in the next driver domain.
stale_number_is_refused_by_the_next_driver_domain()
{
	driver_domain_starts && plug STICK-E || return
	[ "$number" != "$stale" ] || complain "$number again" || return
	xl_attach "/dev/disk/by-diskseq/$stale" backend=$USB
	usb_refuses "has gone" && ! guest_says STICK-E
}
