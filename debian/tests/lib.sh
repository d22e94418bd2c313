# shellcheck shell=sh
# What the tests on a Debian to spare share: TAP, and how to install.  Sourced, not run.

export DEBIAN_FRONTEND=noninteractive
number=0
failed=0

# ok WHAT COMMAND...
ok()
{
	what=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $what"
	else
		echo "not ok $number $what"
		failed=1
	fi
}

quietly()
{
	"$@" >/tmp/log 2>&1 && return
	sed 's/^/# /' /tmp/log
	return 1
}

install()
{
	quietly apt-get install -y --no-install-recommends "$@"
}

finish()
{
	echo "1..$number"
	exit $failed
}
