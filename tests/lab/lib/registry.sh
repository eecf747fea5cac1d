# shellcheck shell=bash
# A registry on a loopback port, with images that only it has.

REGISTRY_DIR=$LAB_STATE/registry
# repository:tag, and the text that makes the image differ from the next one.
REGISTRY_IMAGES='
lab/busybox:1 one
lab/busybox:2 two
'

registry_pid() {
    local pid
    pid=$(cat "$REGISTRY_DIR/pid" 2>/dev/null) || return 1
    process_is "$pid" "$REGISTRY_DIR/config.yml" || return 1
    echo "$pid"
}

registry_port() {
    registry_pid >/dev/null || return 1
    cat "$REGISTRY_DIR/port"
}

registry_answers() {
    [[ $(curl --silent --noproxy '*' --max-time 3 --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$1/v2/") == 200 ]]
}

registry_up() {
    need curl curl
    local port
    if ! port=$(registry_port) || ! registry_answers "$port"; then
        registry_down
        registry_program
        registry_start
        port=$(<"$REGISTRY_DIR/port")
    fi
    registry_fill "$port"
}

# The program is unpacked, not installed: the package would start a service.
registry_program() {
    have docker-registry && return 0
    [[ ! -x $REGISTRY_DIR/program/usr/bin/docker-registry ]] || return 0
    apt_refreshed
    local work
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt-get download docker-registry >"$LAB_STATE/apt.log" 2>&1) \
        || { rm -rf "$work"; die "apt-get download docker-registry failed: see $LAB_STATE/apt.log"; }
    mkdir -p "$REGISTRY_DIR/program"
    dpkg-deb --extract "$work"/*.deb "$REGISTRY_DIR/program"
    rm -rf "$work"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

registry_start() {
    local program port pid _
    program=$(command -v docker-registry || echo "$REGISTRY_DIR/program/usr/bin/docker-registry")
    mkdir -p "$REGISTRY_DIR/data"
    # The port of the last time if it can be had: image names contain it.
    for port in $(cat "$REGISTRY_DIR/port" 2>/dev/null || true) $(seq 5000 5050) none; do
        [[ $port != none ]] || die "no free port from 5000 to 5050"
        ! port_is_free "$port" || break
    done
    cat >"$REGISTRY_DIR/config.yml" <<CONFIG
version: 0.1
log: { level: warn }
storage:
  filesystem: { rootdirectory: "$REGISTRY_DIR/data" }
  delete: { enabled: true }
http: { addr: "127.0.0.1:$port" }
CONFIG
    echo "$port" >"$REGISTRY_DIR/port"
    pid=$(start_daemon "$REGISTRY_DIR/log" "$program" serve "$REGISTRY_DIR/config.yml")
    echo "$pid" >"$REGISTRY_DIR/pid"
    for _ in $(seq 100); do
        registry_answers "$port" && return 0
        is_alive "$pid" || break
        sleep 0.1
    done
    tail -5 "$REGISTRY_DIR/log" >&2 || true
    die "the registry did not start: see $REGISTRY_DIR/log"
}

registry_has() {
    curl --silent --fail --noproxy '*' --max-time 3 --output /dev/null \
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        "http://127.0.0.1:$1/v2/${2%%:*}/manifests/${2##*:}"
}

registry_fill() {
    local port=$1 image text name
    while read -r image text; do
        [[ -n $image ]] || continue
        registry_has "$port" "$image" && continue
        name=127.0.0.1:$port/$image
        say "pushing $name"
        printf 'FROM busybox:1.35\nENV LAB_VERSION=%s\nCMD ["sh", "-c", "echo %s; exec sleep 1000000"]\n' "$text" "$text" \
            | docker build --quiet --tag "$name" --label "dollop.lab.variant=$text" - \
                >"$LAB_STATE/build-registry.log" 2>&1 || die "building $name failed: see $LAB_STATE/build-registry.log"
        docker push --quiet "$name" >/dev/null || die "pushing $name failed"
        # Not kept here: the next one who wants it shall have to pull it.
        docker image rm "$name" >/dev/null
    done <<<"$REGISTRY_IMAGES"
}

registry_down() {
    local pid
    pid=$(registry_pid) || return 0
    say "stopping the registry"
    stop_process "$pid"
    rm -f "$REGISTRY_DIR/pid"
}

registry_status() {
    local port names
    if ! port=$(registry_port) || ! registry_answers "$port"; then
        status_row service registry missing -
        return 1
    fi
    names=$(awk 'NF { printf "%s%s", sep, $1; sep = " " }' <<<"$REGISTRY_IMAGES")
    status_row service registry up "127.0.0.1:$port: $names"
}
