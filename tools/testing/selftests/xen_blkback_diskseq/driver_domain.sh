# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # shared with who sources this
#
# A driver domain for guest_test.sh, which sources this: a guest whose disks are
# USB sticks, as it were, that other guests can be given.  It has the same kernel,
# "xl devd", which runs Xen's scripts in there, and a drive of scsi_debug: each
# stick that is plugged in is the same /dev/sda.

USB=usb
# Its programs; what they are linked with goes with them.
USB_PROGRAMS="bash xl xenstore-read xenstore-write xenstore-list xenstore-rm logger"

# in_usb COMMAND: for its shell; its status, and its output in $T/usb.log.
in_usb()
{
	usb_calls=$((${usb_calls-0} + 1))
	xenstore-write "$usb/data/call" "$usb_calls $*" &&
		wait_for "an answer of the driver domain: $*" has_answered || return
	xenstore-read "$usb/data/output" >"$T/usb.log"
	return "$(xenstore-read "$usb/data/answer" | cut -d' ' -f2)"
}

has_answered()
{
	[ "$(xenstore-read "$usb/data/answer" 2>/dev/null | cut -d' ' -f1)" = "$usb_calls" ]
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
	cp -p "$T/program" "$root/etc/xen/scripts/block-diskseq"
	cp "$T/block" "$root/etc/xen/scripts/block-stock"
	cp "$INTERFERE" "$root/interfere.so"
	cp "${INTERFERE%/*}/storm" "$root/bin"
	# Xen's own script is here to lose the race.
	cat >>"$root/etc/xen/scripts/hotplugpath.sh" <<-'EOF'
		bindir=/wrap
	EOF
	cat >"$root/wrap/xenstore-write" <<-'EOF'
		#!/bin/busybox sh
		case "$*" in
		*/physical-device\ *) [ ! -e /swap ] || { rm /swap; plug STICK-B; } ;;
		esac
		exec /bin/xenstore-write "$@"
	EOF
	# plug LABEL: out with the stick, in with another one; LABEL by LABEL
	cat >"$root/bin/plug" <<-'EOF'
		#!/bin/busybox sh
		cd /sys/bus/pseudo/drivers/scsi_debug
		[ "$(cat add_host)" = 0 ] || echo -1 >add_host
		while [ -e /sys/block/sda/size ] && [ ! -e /held ]; do
			usleep 20000
		done
		echo 1 >add_host
		disk=
		sticks=/sys/bus/pseudo/devices/adapter*/host*/target*/*/block/sd*
		until disk=$(ls -d $sticks 2>/dev/null) && [ -b "/dev/${disk##*/}" ]; do
			usleep 20000
		done
		printf %s "$1" | dd of="/dev/${disk##*/}" conv=sync,fsync 2>/dev/null
		cat "$disk/diskseq"
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
		id=$(xenstore-read domid)
		answered=0
		xenstore-write data/answer "0 0"
		echo driver domain is up
		while :; do
			call=$(xenstore-read data/call 2>/dev/null)
			n=${call%% *}
			if [ "${n:-0}" = "$answered" ]; then
				usleep 100000
				continue
			fi
			output=$(eval "${call#* }" 2>&1)
			status=$?
			xenstore-write data/output "$output"
			xenstore-write data/answer "$n $status"
			answered=$n
		done
	EOF
	chmod +x "$root/init" "$root/bin/plug" "$root/wrap/xenstore-write"
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
	make_driver_domain || return
	xl create -q "$T/usb.config" >"$T/xl.log" 2>&1 || xl_complains || return
	rm "$T/usb.initrd"
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

disk_of_a_driver_domain_is_the_stick()
{
	in_usb plug STICK-A || usb_complains || return
	number=$(cat "$T/usb.log")
	xl_attach "/dev/disk/by-diskseq/$number" backend=$USB || xl_complains || return
	wait_for "the stick in the guest" guest_says "xvdb has: STICK-A"
	said=$?
	uid=$(xenstore-read "$usb_backend/physical-device-uid")
	in_usb head -c 18 /dev/sda
	usb_give_up && [ $said = 0 ] && [ "$uid" = "$number" ]
}

# Between the choice of the user and the attach; xl is told a number.
stick_that_was_swapped_is_refused()
{
	in_usb plug STICK-A || usb_complains || return
	number=$(cat "$T/usb.log")
	in_usb plug STICK-B || usb_complains || return
	xl_attach "/dev/disk/by-diskseq/$number" backend=$USB
	usb_refuses "has gone" && ! guest_says STICK-B
}
