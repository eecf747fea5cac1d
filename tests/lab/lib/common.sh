# shellcheck shell=bash
# Names, places and small helpers every part of the lab uses.

LAB_STATE=${DOLLOP_LAB_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/dollop-lab}

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# `su` without a dash leaves root without the folders of dockerd and its like.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# A program, not a word of the shell: `kill` is both.
have() { type -P "$1" >/dev/null; }

# need COMMAND PACKAGE: the command, from Debian's package when it is missing.
need() {
    have "$1" && return 0
    have apt-get || die "$1 is missing, and there is no apt-get here to install $2 with"
    [[ $(id -u) == 0 ]] || die "$1 is missing: install the package $2, or run this as root"
    say "installing $2"
    apt_refreshed
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" \
        >"$LAB_STATE/apt.log" 2>&1 || die "installing $2 failed: see $LAB_STATE/apt.log"
}

# Once per run at most: apt's lists may be older than the mirror's packages.
apt_refreshed() {
    [[ -z ${LAB_APT_REFRESHED-} ]] || return 0
    LAB_APT_REFRESHED=1
    apt-get update >"$LAB_STATE/apt.log" 2>&1 || say "apt-get update failed, going on with the lists there are"
}

# process_is PID WORD: PID is alive and WORD stands in its command line. A pid
# file alone proves nothing: the number may be somebody else's by now.
process_is() {
    [[ -n $1 && -r /proc/$1/cmdline ]] || return 1
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# What has ended may stay in the list of processes for long: not every first process of a
# container or a machine collects what others leave to it.
is_alive() { grep -qs ') [^ZX] ' "/proc/$1/stat"; }

# stop_process PID: SIGTERM, up to 15 s, then SIGKILL.
stop_process() {
    kill "$1" 2>/dev/null || return 0
    local _
    for _ in $(seq 150); do
        is_alive "$1" || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
}

# start_daemon LOG COMMAND...: in a session of its own, holding neither this
# script's lock nor its output. Prints the pid.
start_daemon() {
    local log=$1
    shift
    setsid "$@" >>"$log" 2>&1 </dev/null 9>&- &
    echo $!
}
