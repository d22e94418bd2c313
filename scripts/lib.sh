# shellcheck shell=sh
# What the scripts share: places, messages, packages.  Sourced, not run.

ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
BUILD=${BUILD:-$ROOT/build}
START=${START:-$(date +%s)}
export BUILD START

PROG=${0##*/}

# The tools of an administrator are not in the path of an ordinary user.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# One line per step, with the time since the outermost script began.
step()
{
	printf '[%4d s] %s\n' $(($(date +%s) - START)) "$*" >&2
}

die()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
	exit 1
}

# Bad usage: the reason, then the help text that is the head of the script.
usage_error()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
	usage >&2
	exit 2
}

# The comment at the head of a script, up to the first blank line, is its help.
usage()
{
	sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

# What the scripts need, as need() takes it: to build a kernel, to run it with or
# without QEMU, KUnit, the kselftests with the tools that they try, the checks.
# shellcheck disable=SC2034 # for those who source this
{
	NEED_BUILD="gcc:gcc make:make flex:flex bison:bison bc:bc patch:patch perl:perl xz:xz-utils
		/usr/include/stdlib.h:libc6-dev"
	NEED_RUN="busybox:busybox-static"
	NEED_QEMU="$NEED_RUN qemu-system-x86_64:qemu-system-x86 /usr/include/libelf.h:libelf-dev"
	NEED_KUNIT="python3:python3"
	NEED_DEMO="losetup:mount dmsetup:dmsetup"
	NEED_SELFTESTS="rsync:rsync /usr/include/liburing.h:liburing-dev pkg-config:pkg-config
		/usr/include/libnl3/netlink/genl/genl.h:libnl-genl-3-dev
		losetup:mount lsblk:util-linux mkfs.ext4:e2fsprogs dmsetup:dmsetup
		cryptsetup:cryptsetup-bin cmp:diffutils"
	NEED_CHECK="git:git python3:python3 shellcheck:shellcheck sparse:sparse
		/usr/include/libelf.h:libelf-dev"
}

# need_xen: what Xen needs, whose tools are in a package with the version in its name.
need_xen()
{
	utils=$(xen_utils)
	# Without a package list there is no telling; this brings one.
	echo "xenstore-write:xenstore-utils /usr/lib/xen-[0-9]*/bin/xl:${utils:-xen-utils-common}"
}

xen_utils()
{
	apt-cache depends xen-system-amd64 2>/dev/null |
		sed -n 's/.*Depends: \(xen-utils-[0-9.]*\)$/\1/p'
}

# missing COMMAND-OR-FILE:PACKAGE...
# The packages whose command, or file (a path), is not there, each after a blank.
missing()
{
	for pair; do
		what=${pair%%:*}
		case $what in
		/*)
			# shellcheck disable=SC2086 # may be a pattern
			ls -d $what >/dev/null 2>&1 && continue
			;;
		*)	command -v "$what" >/dev/null && continue ;;
		esac
		printf ' %s' "${pair#*:}"
	done
}

# need COMMAND-OR-FILE:PACKAGE...
# Install the packages that are missing.
need()
{
	if [ "$(id -u)" != 0 ] && [ -e "$BUILD" ]; then
		foreign=$(find "$BUILD" -maxdepth 2 ! -path "$BUILD/debian/*" ! -writable -print -quit)
		[ -z "$foreign" ] || die "$foreign belongs to somebody else, perhaps to root after sudo: sudo chown -R $(id -un) '$BUILD'"
	fi
	packages=$(missing "$@")
	[ -z "$packages" ] || install_packages "$packages"
}

# foresee COMMAND-OR-FILE:PACKAGE...
# An ordinary user is asked for his password, or told what is missing, at once for
# all that is going to be needed, before anything is downloaded or built.
foresee()
{
	[ "$(id -u)" = 0 ] || need "$@"
}

install_packages()
{
	install="apt-get install -y --no-install-recommends$1"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		as_root=sudo
	else
		die "these packages are missing:$1 - install them as root: $install"
	fi
	step "installing$1"
	mkdir -p "$BUILD"
	log=$BUILD/packages.log
	# An old package list names versions that the archive no longer has.
	# shellcheck disable=SC2086 # a list of words
	if ! { $as_root apt-get update &&
	       $as_root env DEBIAN_FRONTEND=noninteractive $install; } \
	       >"$log" 2>&1 </dev/null; then
		tail -n 5 "$log" >&2
		die "cannot install$1 (log: $log) - no network? Then install them by hand: $install"
	fi
}

# download PACKAGE FOLDER [COMMAND]: put the .deb there, without installing anything:
# neither root nor a change of the system is needed.  COMMAND PACKAGE knows another
# place to get it from.
download()
{
	log=$2/fetch.log
	(cd "$2" && apt-get download "$1") >"$log" 2>&1 || "${3:-false}" "$1" || {
		# Brings the package list up to date too.
		install_packages " ca-certificates"
		(cd "$2" && apt-get download "$1") >"$log" 2>&1
	} || {
		tail -n 3 "$log" >&2
		die "cannot get $1 (log: $log) - no network, or no such package? By hand: apt-get install $1"
	}
}

# set_kernel KERNEL: sets KDIR, the folder of that kernel below build/.
# shellcheck disable=SC2034 # for those who source this
# KERNEL is a version that Debian packages as linux-source-VERSION, or a tree.
set_kernel()
{
	case $1 in
	*/*)
		[ -f "$1/Kbuild" ] || die "$1: not a kernel source tree"
		tree=$(cd "$1" && pwd -P)
		KDIR=$BUILD/$(basename "$tree")-$(printf %s "$tree" | cksum | cut -d' ' -f1)
		;;
	*[!0-9.]* | '')
		die "kernel '$1': give a version such as 6.12, or the path of a source tree"
		;;
	*)
		tree=
		KDIR=$BUILD/$1
		;;
	esac
}

# copy_touched SOURCE DIR: copy to DIR what scripts/graft needs of the kernel
# tree SOURCE: the files that the overlay edits.
copy_touched()
{
	mkdir -p "$2"
	{ "$ROOT/scripts/graft" --list; echo Kbuild; echo Makefile; } | while read -r path; do
		[ ! -f "$1/$path" ] || (cd "$1" && cp -p --parents "$path" "$2")
	done
}
