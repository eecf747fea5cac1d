# shellcheck shell=bash
# The Docker engine: the one that is there, or else one of the lab's own.

ENGINE_DIR=$LAB_STATE/engine
ENGINE_SOCKET=$ENGINE_DIR/docker.sock

engine_answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

engine_own_pid() {
    local pid
    pid=$(cat "$ENGINE_DIR/docker.pid" 2>/dev/null) || return 1
    process_is "$pid" "$ENGINE_SOCKET" || return 1
    echo "$pid"
}

# Points docker at the lab's own engine when that one runs.
engine_select() {
    if engine_own_pid >/dev/null; then
        export DOCKER_HOST=unix://$ENGINE_SOCKET
    fi
}

engine_up() {
    engine_select
    have docker || engine_install
    engine_answers && return 0
    # Two engines on one machine share docker0 and the DOCKER firewall chains;
    # the second would take both away from the first and its containers.
    ! dockerd_runs || die "a dockerd runs on this machine but does not answer here (DOCKER_HOST=${DOCKER_HOST-unset}): not starting a second one"
    have dockerd || engine_install
    engine_start
}

dockerd_runs() { grep -qsE '^[0-9]+ \(dockerd\) [^ZX] ' /proc/[0-9]*/stat; }

engine_install() {
    [[ $(id -u) == 0 ]] || die "there is no Docker here: install docker.io, or run this as root"
    apt_refreshed
    # Debian's maintainer scripts must not start a second engine, on the default socket, that
    # 'down' would then not know to stop. However this ends, that holds for no other package.
    (
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        need docker docker.io
        need dockerd docker.io
    )
    # Where the kernel has AppArmor, no container starts without its parser, which docker.io
    # only recommends.
    if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then
        need apparmor_parser apparmor
    fi
}

engine_start() {
    [[ $(id -u) == 0 ]] || die "no Docker engine answers, and starting one needs root"
    mkdir -p "$ENGINE_DIR"
    rm -f "$ENGINE_SOCKET" "$ENGINE_DIR/docker.pid"
    # A file of its own: the machine's daemon.json may name the same settings,
    # and dockerd refuses a setting that is given twice.
    [[ -e $ENGINE_DIR/daemon.json ]] || echo '{}' >"$ENGINE_DIR/daemon.json"
    say "starting a Docker engine under $ENGINE_DIR"
    local pid _
    pid=$(start_daemon "$ENGINE_DIR/dockerd.log" dockerd \
        --config-file "$ENGINE_DIR/daemon.json" \
        --data-root "$ENGINE_DIR/data" --exec-root "$ENGINE_DIR/exec" \
        --pidfile "$ENGINE_DIR/docker.pid" --host "unix://$ENGINE_SOCKET")
    export DOCKER_HOST=unix://$ENGINE_SOCKET
    for _ in $(seq 60); do
        engine_answers && return 0
        is_alive "$pid" || break
        sleep 0.5
    done
    tail -5 "$ENGINE_DIR/dockerd.log" >&2 || true
    die "the Docker engine did not start: see $ENGINE_DIR/dockerd.log"
}

# Something of the lab's engine lives, though it may itself be dead: killed, it leaves its
# containerd and the containers behind.
engine_lives() { grep -qsF -- "$ENGINE_DIR/exec/" /proc/[0-9]*/cmdline; }

# engine_wake [--images]: the lab's engine, for what only an engine can do: ending in order
# what it left behind when it was killed, and removing images.
engine_wake() {
    engine_select
    if engine_own_pid >/dev/null || dockerd_runs; then
        return 0
    fi
    if engine_lives || [[ ${1-} == --images && -d $ENGINE_DIR/data ]]; then
        engine_start
    fi
}

engine_down() {
    local pid
    pid=$(engine_own_pid) || return 0
    say "stopping the lab's Docker engine"
    stop_process "$pid"
    unset DOCKER_HOST
}

engine_status() {
    local version owner=found
    version=$(timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null) || {
        status_row service "docker engine" missing -
        return 1
    }
    ! engine_own_pid >/dev/null || owner="the lab's own"
    status_row service "docker engine" up "$version, $owner"
}
