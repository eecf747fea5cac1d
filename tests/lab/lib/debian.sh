# shellcheck shell=bash
# This machine's own apt, for root file systems made here.

LAB_SUITE=bookworm

# debian_sources FILE: Debian's sources as apt itself sees them, so that it does not matter in
# which of the two formats they are written. Third parties' are left out: each would only be one
# more thing that may be unreachable. A line: deb <uri> <release> <component>
debian_sources() {
    apt-get indextargets 'Identifier: Packages' 'Origin: Debian' \
        --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
        | grep -E " $LAB_SUITE(-[a-z]+)? " | sort -u >"$1" || true
    grep -q " $LAB_SUITE main\$" "$1" || {
        echo "lab: no Debian $LAB_SUITE among this machine's apt sources (is 'apt-get update' needed?)" >&2
        return 1
    }
}

# debian_apt_conf FILE: the proxy and the other settings of how packages are fetched.
debian_apt_conf() {
    apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' | grep -v '""' >"$1" || true
    cat >>"$1" <<'CONF'
APT::Install-Recommends "false";
Acquire::Languages "none";
CONF
}
