# shellcheck shell=sh
# What the scripts share: places, messages, packages.  Sourced, not run.

ROOT=$(cd "$(dirname "$0")/.." && pwd -P)
BUILD=${BUILD:-$ROOT/build}
START=${START:-$(date +%s)}
export BUILD START

PROG=${0##*/}

# What programs say is looked at in English, and what is made here is for all to read.
LC_ALL=C
export LC_ALL
umask 022

# The tools of an administrator are not in the path of an ordinary user.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

if [ ! -d "${TMPDIR:-/tmp}" ] || [ ! -w "${TMPDIR:-/tmp}" ]; then
	echo "$PROG: TMPDIR ${TMPDIR:-/tmp}: not a folder to write to" >&2
	exit 1
fi
case ${TMPDIR-} in
*\'*)	echo "$PROG: TMPDIR $TMPDIR: has a quote in it" >&2; exit 1 ;;
esac
# Neither can the kernel be built there, nor its command line name it.
case $PROG:$ROOT$BUILD in
graft:*) ;;
*:*[!A-Za-z0-9/._+@~=-]*)
	echo "$PROG: Linux can be built only in a path of letters, digits and /._+@~=- (this is $ROOT, build in $BUILD)" >&2
	exit 1
	;;
esac

# heed COMMAND...: run it without input and so that a TERM for us is heard at once, and
# passed on: before a command in the foreground has ended, no trap is run.
heeded=
heed()
{
	# What runs in the background does not hear Ctrl-C by itself.
	env --default-signal=INT "$@" </dev/null &
	heeded=$!
	case $- in
	*e*)	set +e; wait "$heeded"; heed_status=$?; set -e ;;
	*)	wait "$heeded"; heed_status=$? ;;
	esac
	heeded=
	return "$heed_status"
}
# shellcheck disable=SC2317 # called at exit
stop_heeded()
{
	[ -n "$heeded" ] || return 0
	kill "$heeded" 2>/dev/null || :
	wait "$heeded" || :
}

# kill_tree PID: it and all that it has started, which may not hear of it otherwise
kill_tree()
{
	# shellcheck disable=SC2013 # words
	for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
		kill_tree "$child"
	done
	kill "$1" 2>/dev/null || :
}

# What this shell leaves behind goes with it, also after Ctrl-C: at_exit CODE
leavings=
trap 'stop_heeded; eval "$leavings"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
at_exit()
{
	leavings="$1; $leavings"
}

# One line per step, with the time since the outermost script began; on a
# terminal in the place of a line that moves.
step()
{
	[ ! -t 2 ] || printf '\r\033[K' >&2
	told=$(date +%s)
	printf '[%4d s] %s\n' $((told - START)) "$*" >&2
}

die()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
	exit 1
}

# Bad usage: the reason, in one line.
usage_error()
{
	printf '%s: %s (see scripts/%s --help)\n' "$PROG" "$*" "$PROG" >&2
	exit 2
}

# number OPTION VALUE [MAX]: refuse what is not a whole number from 1 to MAX.
number()
{
	case $2 in
	'' | 0* | *[!0-9]*) usage_error "$1 '$2': not a whole number above 0" ;;
	esac
	if [ ${#2} -gt 15 ] || [ "$2" -gt "${3:-$2}" ]; then
		usage_error "$1 '$2': too large"
	fi
}

EXPORT_MARK=.diskseq-export
# may_empty FOLDER: refuse an --out that is not new, empty, or of an earlier export,
# which left a mark in it, or is in build/.
may_empty()
{
	if [ -e "$1" ]; then
		{ [ -d "$1" ] && [ -w "$1" ]; } || die "--out '$1': not a folder to write to"
		mark=$1/$EXPORT_MARK
		case $1 in
		"$BUILD"/*) mark=$BUILD ;;
		esac
		theirs=$(find "$1" -mindepth 1 ! -name "$EXPORT_MARK" | head -n 1)
		[ ! -e "$mark" ] || theirs=$(find "$1" -mindepth 1 ! \( -type d -path "$1/[0-9][0-9]-*" \) \
			! -name '[0-9][0-9][0-9][0-9]-*.patch' ! -name "$EXPORT_MARK" | head -n 1)
		[ -z "$theirs" ] || die "--out '$1': there is something else in it"
	else
		parent=$1
		until [ -e "$parent" ]; do
			parent=$(dirname "$parent")
		done
		{ [ -d "$parent" ] && [ -w "$parent" ]; } || die "--out '$1': $parent is not a folder to write to"
	fi
}

# The comment at the head of a script, up to the first blank line, is its help.
usage()
{
	sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

# beside WATCHER COMMAND...: run COMMAND, and the function WATCHER in the background
# until it ends.  That closes what others wait for the end of.
beside()
{
	"$1" >/dev/null 9>&- &
	watchers="$! ${watchers-}"
	shift
	# Not in a condition, where -e would not count in COMMAND.
	case $- in
	*e*)	set +e; "$@"; ended=$?; set -e ;;
	*)	"$@"; ended=$? ;;
	esac
	stop_watcher
	return "$ended"
}
stop_watcher()
{
	[ -n "${watchers-}" ] || return 0
	# Not TERM: it has our traps until it has begun, and forgets them then.
	kill -KILL "${watchers%% *}" 2>/dev/null || :
	wait "${watchers%% *}" 2>/dev/null || :
	watchers=${watchers#* }
}
stop_watchers()
{
	while [ -n "${watchers-}" ]; do
		stop_watcher
	done
}
at_exit stop_watchers

# A second of a watcher, as long as there is something to watch.
tick()
{
	sleep 1 2>/dev/null && kill -0 $$ 2>/dev/null
}

# progress SAY COMMAND...: run COMMAND, and tell how far it is: what SAY, a command
# without quotes, prints, as one moving line on a terminal, or else as a line every 20 s.  What runs
# inside of it and has progress of its own tells the outermost, in $PROGRESS.
progress()
{
	say=$1
	shift
	since=$(date +%s)
	: "${told:=$since}"
	if [ -n "${PROGRESS-}" ]; then
		set -- tell_progress "$@"
		outermost=
	else
		mkdir -p "$BUILD"
		export PROGRESS="$BUILD/progress.$$"
		: >"$PROGRESS"
		at_exit "rm -f '$PROGRESS'"
		set -- show_progress "$@"
		outermost=1
	fi
	case $- in
	*e*)	set +e; beside "$@"; set -e ;;
	*)	beside "$@" ;;
	esac
	if [ -n "$outermost" ]; then
		rm -f "$PROGRESS"
		unset PROGRESS
		[ ! -t 2 ] || printf '\r\033[K' >&2
		# When show_progress did so last.
		told=$((told + ($(date +%s) - told) / 20 * 20))
	else
		: >"$PROGRESS"
	fi
	return "$ended"
}
tell_progress()
{
	while tick; do
		# Not there for who reads it until all of it is known.
		text=$($say 2>/dev/null) || :
		echo "$text" >"$PROGRESS"
	done
}
show_progress()
{
	while tick; do
		if [ ! -t 2 ]; then
			[ $(($(date +%s) - told)) -ge 20 ] || continue
			told=$(date +%s)
		fi
		text=$($say 2>/dev/null | head -n 1) || :
		inner=$(head -n 1 "$PROGRESS" 2>/dev/null) || :
		text="$text${text:+${inner:+: }}$inner"
		if [ -t 2 ]; then
			columns=$(stty size <&2 2>/dev/null) || :
			columns=${columns#* }
			[ "${columns:-0}" -gt 20 ] || columns=80
			printf '\r[%4d s] %.*s\033[K' $(($(date +%s) - START)) $((columns - 11)) "$text" >&2
		else
			step "$text"
		fi
	done
}

# of_total DONE TOTAL WHAT: for progress, such as "124 of 480 objects, about 60 s
# left"; a TOTAL that is too low is none.
of_total()
{
	took=$(($(date +%s) - since))
	if [ "$2" -le "$1" ]; then
		echo "$1 $3"
	elif [ "$1" = 0 ] || [ $took -lt 10 ]; then
		echo "$1 of $2 $3"
	else
		echo "$1 of $2 $3, about $((took * ($2 - $1) / $1)) s left"
	fi
}

# count_objects FOLDER: those that a make has left there.
count_objects()
{
	find "$1" -name '[!.]*.o' 2>/dev/null | wc -l
}

# For progress, after what it is:

# objects FOLDER TOTAL WHAT: what a make has made there, of about as many.
objects()
{
	folder=$1 total=$2
	shift 2
	made=$(find "$folder" -name '[!.]*.o' -newermt "@$since" 2>/dev/null | wc -l)
	echo "$*: $(of_total "$made" "$total" objects)"
}

# megabytes FOLDER TOTAL WHAT: what has been written there, of about as many.
megabytes()
{
	folder=$1 total=$2
	shift 2
	echo "$*: $(of_total "$(du -sm "$folder" | cut -f1)" "$total" MB)"
}

# last_line FILE WHAT: but for the address of a mirror
last_line()
{
	file=$1
	shift
	echo "$*: $(tail -n 1 "$file" | sed 's|[a-z]*://[^ ]* *||')"
}

# wait_for_lock WHO [FD]: for the lock on a file descriptor, 9 if none is given
wait_for_lock()
{
	flock -n "${2-9}" || progress "echo waiting for $1" flock "${2-9}"
}

# guarded SECONDS SIGN FILE COMMAND...: run a program, but end it when what the
# function SIGN prints has been the same for SECONDS, or after 20 times that: status 124.
# It is the seconds of the watcher that count, which a busy machine delays as well.
# The first word of SIGN stands for what the user sees; if that is nothing for long,
# say so.  FILE is for the process id.
guarded()
{
	limit=$1 sign=$2 guard=$3
	shift 3
	rm -f "$guard.silent"
	# shellcheck disable=SC2016 # for the inner shell
	beside watch_for_silence heed sh -c 'echo $$ >"$0"; exec "$@"' "$guard" \
		timeout --foreground -k 5 $((limit * 20)) "$@" || :
	rm -f "$guard"
	[ ! -f "$guard.silent" ] || ended=124
	rm -f "$guard.silent"
	return "$ended"
}
watch_for_silence()
{
	old='' seen='' silent=0 unseen=$(date +%s) told=$(date +%s)
	while tick; do
		new=$("$sign" 2>/dev/null) || :
		silent=$((silent + 1))
		[ "$new" = "$old" ] || silent=0
		now=$(date +%s)
		[ "${new%% *}" = "$seen" ] || unseen=$now told=$now
		old=$new seen=${new%% *}
		if [ "$silent" -ge "$limit" ]; then
			: >"$guard.silent"
			break
		fi
		[ -n "${PROGRESS-}" ] || [ $((now - told)) -lt 20 ] ||
			step "still running: nothing printed for $((now - unseen)) s"
	done
	# It does not outlive us, who may have been killed without a word.
	kill "$(cat "$guard")"
}

# need_space MEGABYTES WHAT: refuse to begin WHAT if build/ has not that much room.
need_space()
{
	mkdir -p "$BUILD"
	free=$(df -Pm "$BUILD" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] || die "$BUILD: $2 takes $1 MB, and $free MB are free"
}

# What the scripts need, as need() takes it: to build a kernel, to run it with or
# without QEMU, KUnit, the kselftests with the tools that they try, the hotplug program
# for Xen and its tests, the checks.
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
		cryptsetup:cryptsetup-bin cmp:diffutils mkfs.btrfs:btrfs-progs mkfs.nilfs2:nilfs-tools
		udevadm:udev"
	NEED_MODEL="spin:spin gcc:gcc /usr/include/stdlib.h:libc6-dev"
	NEED_FUZZ="clang:clang patch:patch /usr/include/stdlib.h:libc6-dev
		/usr/lib/llvm-*/lib/clang/*/lib/*linux*/libclang_rt.fuzzer*:libclang-rt-dev"
	NEED_HOTPLUG="gcc:gcc make:make pkg-config:pkg-config /usr/include/stdlib.h:libc6-dev
		/usr/include/xenstore.h:libxen-dev"
	NEED_HOTPLUG_TEST="patch:patch losetup:mount mkfs.ext4:e2fsprogs"
	NEED_DEB="dh:debhelper dpkg-buildpackage:dpkg-dev fakeroot:fakeroot lintian:lintian
		/usr/share/build-essential/list:build-essential"
	NEED_DEB_KERNEL="dh:debhelper dpkg-buildpackage:dpkg-dev /usr/share/build-essential/list:build-essential rsync:rsync cpio:cpio kmod:kmod
		/usr/include/libelf.h:libelf-dev /usr/include/elfutils/libdw.h:libdw-dev
		/usr/include/openssl/ssl.h:libssl-dev python3:python3"
	NEED_TEST_SCRIPTS="ps:procps script:bsdutils"
	NEED_BOOT="mmdebstrap:mmdebstrap mkfs.ext4:e2fsprogs sfdisk:fdisk"
	NEED_OTHERS="dpkg-source:dpkg-dev pkg-config:pkg-config modprobe:kmod losetup:mount
		bc:bc xz:xz-utils cmp:diffutils xxd:xxd hexdump:bsdextrautils socat:socat
		udevadm:udev dmsetup:dmsetup cryptsetup:cryptsetup-bin keyctl:keyutils
		/usr/include/libcryptsetup.h:libcryptsetup-dev
		/usr/include/libdevmapper.h:libdevmapper-dev
		lsblk:util-linux fdisk:fdisk eject:eject uuidgen:uuid-runtime mkfs.ext4:e2fsprogs
		mkfs.vfat:dosfstools mdadm:mdadm"
	NEED_CHECK="git:git python3:python3 shellcheck:shellcheck sparse:sparse
		/usr/include/libelf.h:libelf-dev sphinx-build:python3-sphinx
		/usr/lib/python3/dist-packages/yaml:python3-yaml"
}

# Whoever is not root needs what gives him user ids.
[ "$(id -u)" = 0 ] || NEED_BOOT="$NEED_BOOT newuidmap:uidmap"

# need_arch ARCH: what else it takes to build for that architecture and to emulate it.
need_arch()
{
	case $1 in
	um)	;;
	i386)	echo "qemu-system-i386:qemu-system-x86" ;;
	arm64)	echo "aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu qemu-system-aarch64:qemu-system-arm" ;;
	# By the names that one package has in Debian 12, and several have in 13.
	s390)	echo "s390x-linux-gnu-gcc:gcc-s390x-linux-gnu qemu-system-s390x:qemu-system-s390x" ;;
	riscv)	echo "riscv64-linux-gnu-gcc:gcc-riscv64-linux-gnu qemu-system-riscv64:qemu-system-riscv64" ;;
	esac
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

# need_mounts: refuse to begin where there can be no mounts of our own: in some
# containers, and where that is not for ordinary users.
need_mounts()
{
	if [ "$(id -u)" = 0 ]; then
		unshare --mount true 2>/dev/null ||
			die "cannot have mounts of its own here, which User-Mode Linux needs: a container needs CAP_SYS_ADMIN for that"
	else
		unshare --mount --map-root-user true 2>/dev/null ||
			die "cannot have mounts of its own here, which User-Mode Linux needs: run it as root, or on a machine of its own"
	fi
}

# why LOG: what apt says is wrong, in one line.
why()
{
	{
		sed -n 's/^[EW]: \(Failed to fetch\)/\1/p' "$1" | head -n 1
		sed -n '/by \(glob\|regex\)/d; /Failed to fetch/d; s/^E: //p' "$1"
	} | awk '!seen[$0]++' | head -n 3 | paste -sd';' | sed 's/;/; /g'
}

# with_apt LOG COMMAND...: run it when nobody else uses the package lists or the
# archive: for these apt does not wait, only for dpkg's lock.
with_apt()
{
	apt_log=$1
	shift
	tries=600
	until [ $tries = 0 ]; do
		tries=$((tries - 1))
		apt_status=0
		"$@" >"$apt_log" 2>&1 </dev/null || apt_status=$?
		if [ "$apt_status" = 0 ] || ! grep -q '^E: Could not get lock' "$apt_log"; then
			break
		fi
		sleep 1
	done
	return "$apt_status"
}

install_packages()
{
	install="apt-get install -y --no-install-recommends$1"
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		# Of which sudo tells nobody by itself.
		as_root="sudo env${http_proxy:+ http_proxy=$http_proxy}${https_proxy:+ https_proxy=$https_proxy}${no_proxy:+ no_proxy=$no_proxy}"
	else
		die "these packages are missing:$1 - install them as root: $install"
	fi
	step "installing$1"
	mkdir -p "$BUILD"
	log=$BUILD/packages.log
	# One of us at a time: apt-get install does not wait for an update of the lists that
	# it reads, and with_apt would take what another one's apt says for its own's.
	exec 7>"$log.lock"
	wait_for_lock "other packages" 7
	# An old package list names versions that the archive no longer has.  Whether
	# one of the system's sources fails that is not needed here, installing tells.
	# shellcheck disable=SC2086 # lists of words
	{
		progress "last_line $log.update package lists" \
			with_apt "$log.update" $as_root apt-get update || :
		progress "last_line $log packages" \
			with_apt "$log" $as_root env DEBIAN_FRONTEND=noninteractive \
			${install%% *} -o DPkg::Lock::Timeout=600 ${install#* } ||
			die "cannot install$1: $(why "$log") (log: $log). By hand: $install"
	} 7>&-
	exec 7>&-
}

# new_lists SUITE...: the package lists of apt_of_our_own: of other_suites, or if none
# is named, of the system's sources.
new_lists()
{
	progress "last_line $log looking for ${package:-the newest kernel}${*:+ in $*}" \
		update_lists "$@" || :
}
update_lists()
{
	[ $# = 0 ] || other_suites "$@"
	in_folder apt_of_our_own apt-get update
}

# apt_of_our_own COMMAND...: apt with package lists of our own, in the folder $apt:
# it takes no root, and the system's may be old or none.
apt_of_our_own()
{
	tool=$1
	shift
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
	set -- -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" \
		-o Acquire::Languages=none -o APT::Sandbox::User= "$@"
	if [ -s "$apt/sources" ]; then
		set -- -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$apt/parts" "$@"
	fi
	"$tool" "$@"
}

# other_suites [SUITE]...: have apt_of_our_own look there, on the mirrors that the
# system's own sources have Debian from, with the options that they give for it.
# It has looked in these before: apt tells only of what there is a list of.  With
# types=deb-src, for source packages; without a SUITE, in those that the system's
# entries name, of security updates too.
other_suites()
{
	labels='^(Debian|[$][(]LABEL[)])$'
	[ $# -gt 0 ] || labels='^(Debian(-Security)?|[$][(]LABEL[)])$'
	# shellcheck disable=SC2016 # apt's variables
	[ -s "$apt/entries" ] ||
		apt_of_our_own apt-get indextargets --format '$(COMPONENT) $(LABEL) $(SOURCESENTRY)' 'Created-By: Packages' |
		awk -v labels="$labels" '$1 == "main" && $2 ~ labels && $3 ~ "^/" { sub($1 " [^ ]* ", ""); print }' |
		sort -u >"$apt/entries"
	rm -rf "$apt/parts"
	mkdir -p "$apt/parts"
	: >"$apt/sources"
	while IFS= read -r entry; do
		echo "$entry" >>"$apt/sources"
		part=$apt/parts/$(wc -l <"$apt/sources")
		case ${entry%:*} in
		*.sources)
			# The paragraph of that number, but for what it takes from there.
			grep -v '^#' "${entry%:*}" |
				awk -v RS= -v number="${entry##*:}" 'NR == number' |
				awk -v types="${types:-deb}" -v suites="$*" '
				BEGIN { replaced = "^(types|components|enabled" (suites ? "|suites" : "") "):$" }
				/^[^ \t]/ { ours = tolower($1) ~ replaced }
				!ours
				END {
					print "Types: " types
					if (suites)
						print "Suites: " suites
					print "Components: main"
				}' >"$part.sources"
			;;
		*)
			suites=$*
			for suite in ${suites:-'\3'}; do
				sed -n "${entry##*:}{
					s/#.*//
					s/^[ \t]*deb[ \t]*\(\[[^]]*\]\)\{0,1\}[ \t]*\([^ \t]*\)[ \t][ \t]*\([^ \t]*\)[ \t].*/${types:-deb} \1 \2 $suite main/p
				}" "${entry%:*}"
			done >"$part.list"
			;;
		esac
	done <"$apt/entries"
}

# download PACKAGE FOLDER [SUITES]...: put the .deb there, without installing anything:
# neither root nor a change of the system is needed.  If what the system has does
# not give it, the next SUITES on the same mirrors may.
download()
{
	package=$1
	folder=$2
	log=$BUILD/download.log
	apt=$2/apt
	shift 2
	at_exit "rm -rf '$apt'"
	: >"$log"
	progress "megabytes $folder 0 downloading" in_folder apt-get download "$package" && return
	rm -rf "$apt"
	for suites in '' "$@"; do
		# shellcheck disable=SC2086 # a list of suites
		new_lists $suites
		apt_of_our_own apt-cache show "$package" >/dev/null 2>&1 || continue
		progress "megabytes $folder 0 downloading" in_folder apt_of_our_own apt-get download "$package" && break
	done || :
	rm -rf "$apt"
	# shellcheck disable=SC2144 # of one package
	[ -f "$folder/$package"_*.deb ] ||
		die "cannot get $package: $(why "$log") (looked in the system's sources, $*; log: $log)"
}
in_folder()
{
	(cd "$folder" && "$@") >>"$log" 2>&1 </dev/null
}

# set_suite SUITE: sets suite, to the name of that Debian.
set_suite()
{
	case $1 in
	12 | bookworm) suite=bookworm ;;
	13 | trixie) suite=trixie ;;
	*) usage_error "unknown suite '$1': bookworm or trixie" ;;
	esac
}

# mirrors LABEL: where the system gets what has that label from.  Debian's own
# packages have Debian, and security updates Debian-Security.
mirrors()
{
	# shellcheck disable=SC2016 # for apt
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" |
		sort -u | head -n 1
}

# bootstrap SUITE TAR PACKAGES: make TAR, unless it is there: a root of that Debian with
# little more than PACKAGES, with commas between them, from the mirror of the system's
# own apt sources.
bootstrap()
{
	[ ! -f "$2" ] || return 0
	# The labels come with the package lists.
	[ -n "$(mirrors Debian)" ] || install_packages " mmdebstrap"
	mirror=$(mirrors Debian)
	security=$(mirrors Debian-Security)
	[ -n "$mirror" ] || die "apt has no source of Debian's own packages"
	log=${2%/*}/mmdebstrap.log
	step "making a fresh $1 (log: $log)"
	progress "last_line $log a fresh $1" run_mmdebstrap "$@" || {
		tail -n 5 "$log" >&2
		die "cannot make the root (log: $log)"
	}
	mv "$2.new" "$2"
}
run_mmdebstrap()
{
	# It takes it that a file name in its arguments is one.
	mmdebstrap --mode=auto --variant=minbase --format=tar --include="$3" "$1" "$2.new" \
		"deb $mirror $1 main" "deb $mirror $1-updates main" \
		${security:+"deb $security $1-security main"} \
		>"$log" 2>&1 </dev/null 9>&-
}

# set_kernel KERNEL: sets KDIR, the folder of that kernel below build/.
# shellcheck disable=SC2034 # for those who source this
# KERNEL is a version that Debian packages as linux-source-VERSION, "newest" for the
# newest of these, or a tree.
set_kernel()
{
	version=$1
	tree=
	case $1 in
	*/*)
		[ -f "$1/Kbuild" ] || die "kernel '$1': not a kernel source tree"
		tree=$(cd "$1" && pwd -P)
		version=$(basename "$tree" | tr -c 'A-Za-z0-9._\n-' _)-$(printf %s "$tree" | cksum | cut -d' ' -f1)
		;;
	newest)
		version=$("$ROOT/scripts/fetch" --newest)
		;;
	*[!0-9.]* | .* | *. | *..* | [!.]*.*.*.* | '')
		version=
		;;
	*.*) ;;
	*)
		version=
		;;
	esac
	[ -n "$version" ] ||
		die "kernel '$1': give a version such as 6.12, newest, or the path of a source tree (with a /)"
	KDIR=$BUILD/$version
}

# tree_version TREE: the version of a source tree, such as 6.12.117
tree_version()
{
	sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) *= *//p' "$1/Makefile" | paste -sd.
}

# at_least A B: is version A at least B?
at_least()
{
	[ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# fragments_for TREE FRAGMENT...: these options, as they are called in that tree, but those
# that it has not any more
fragments_for()
{
	renamed=
	! at_least "$(tree_version "$1")" 7.2 || renamed='/^CONFIG_CDROM_PKTCDVD=/d'
	! at_least "$(tree_version "$1")" 7.3 || renamed="$renamed;s/^CONFIG_PROC_SYSCTL=/CONFIG_SYSCTL=/"
	shift
	sed "$renamed" "$@"
}

# set_cc: sets cc, the compiler, a cross compiler if cross is its prefix, through
# ccache if that is there
# shellcheck disable=SC2034 # cc is for the caller
set_cc()
{
	cc=${cross-}${CC:-gcc}
	if command -v ccache >/dev/null; then
		cc="ccache $cc"
		export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$ROOT}"
	fi
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

# series_after FOLDER: the series, of series/, that this one is to be applied after
series_after()
{
	sed '1,/^---$/d' "$1/00-cover.txt" | sed -n 's/^after //p'
}
