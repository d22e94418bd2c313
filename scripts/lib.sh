# shellcheck shell=sh
# What the scripts share: places, messages, packages.  Sourced, not run.

ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
BUILD=${BUILD:-$ROOT/build}
START=${START:-$(date +%s)}
export BUILD START

PROG=${0##*/}

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

# need COMMAND-OR-FILE:PACKAGE...
# Install the packages whose command, or file (a path), is not there.
need()
{
	missing=
	for pair; do
		what=${pair%%:*}
		case $what in
		/*)	[ -e "$what" ] && continue ;;
		*)	command -v "$what" >/dev/null && continue ;;
		esac
		missing="$missing ${pair#*:}"
	done
	[ -n "$missing" ] || return 0
	install_packages "$missing"
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
