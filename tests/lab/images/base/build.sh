#!/usr/bin/env bash
# Builds the shared Debian root file system: base/build.sh DIRECTORY
# LAB_MORE_PACKAGES names a file with more packages than those of the servers.
#
# The mirror, the proxy and the other Acquire settings are those of this
# machine's own apt; nothing about them stays in the directory.
set -euo pipefail

out=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../lib/debian.sh
. "$here/../../lib/debian.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

debian_sources "$work/sources.list"
debian_apt_conf "$work/apt.conf"

include=$(sed 's/#.*//' "$here/packages" ${LAB_MORE_PACKAGES:+"$LAB_MORE_PACKAGES"} | xargs | tr ' ' ',')

# What a test image never reads. The LLVM part of postgres (JIT) is 150 MB;
# postgres does without when its provider is not there.
cat >"$work/dpkg.cfg" <<'CFG'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/lib/postgresql/15/lib/bitcode/*
path-exclude=/usr/lib/postgresql/15/lib/llvmjit*
path-exclude=/usr/lib/*/libLLVM-*
force-unsafe-io
CFG

# The official postgres image has uid and gid 999, and files on volumes and
# bind mounts are compared by number.
cat >"$work/before" <<'HOOK'
#!/bin/sh
set -eu
echo "postgres:x:999:999::/var/lib/postgresql:/bin/bash" >>"$1/etc/passwd"
echo "postgres:x:999:" >>"$1/etc/group"
echo "postgres:!:19000::::::" >>"$1/etc/shadow"
mkdir -p "$1/etc/postgresql-common" "$1/var/lib/postgresql"
chown 999:999 "$1/var/lib/postgresql"
echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"
HOOK

# No host-specific thing (mirror, proxy, keys, cookie) and no left-over stays.
cat >"$work/after" <<'HOOK'
#!/bin/sh
set -eu
chroot "$1" localedef -i en_US -f UTF-8 en_US.UTF-8
find "$1/var/log" -type f -delete
rm -rf "$1"/usr/share/i18n \
    "$1"/var/lib/rabbitmq/.erlang.cookie "$1"/var/lib/rabbitmq/mnesia \
    "$1"/etc/apt/sources.list "$1"/etc/apt/apt.conf.d/99mmdebstrap \
    "$1"/etc/ssl/private/ssl-cert-snakeoil.key
: >"$1/etc/resolv.conf"
echo localhost >"$1/etc/hostname"
HOOK
chmod +x "$work/before" "$work/after"

mmdebstrap --quiet --variant=essential --mode=root --format=directory \
    --include="$include" \
    --aptopt="$work/apt.conf" \
    --dpkgopt="$work/dpkg.cfg" \
    --essential-hook="$work/before" \
    --customize-hook="$work/after" \
    "$LAB_SUITE" "$out" "$work/sources.list"
