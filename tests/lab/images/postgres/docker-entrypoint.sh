#!/usr/bin/env bash
# Keeps the contract of the official postgres image: the same variables, the
# same first start, the same refusals.
set -Eeuo pipefail

say() { printf '%s\n' "$@"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# file_env NAME [DEFAULT]: NAME from the variable, or from the file NAME_FILE names.
file_env() {
    local var=$1 file_var="${1}_FILE" default=${2-} value
    if [[ -n ${!var-} && -n ${!file_var-} ]]; then
        die "error: both $var and $file_var are set (but are exclusive)"
    fi
    value=$default
    if [[ -n ${!var-} ]]; then
        value=${!var}
    elif [[ -n ${!file_var-} ]]; then
        value=$(<"${!file_var}")
    fi
    export "$var=$value"
    unset "$file_var"
}

# The help and version switches want neither a data directory nor a password.
wants_help() {
    local arg
    for arg; do
        case $arg in -\? | --help | --describe-config | -V | --version) return 0 ;; esac
    done
    return 1
}

create_directories() {
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA" || true
    chmod 3775 /var/run/postgresql || true
    if [[ -n ${POSTGRES_INITDB_WALDIR-} ]]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 0700 "$POSTGRES_INITDB_WALDIR"
    fi
    if [[ $(id -u) == 0 ]]; then
        find "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} \
            \! -user postgres -exec chown postgres '{}' +
    fi
}

read_environment() {
    file_env POSTGRES_PASSWORD
    file_env POSTGRES_USER postgres
    file_env POSTGRES_DB "$POSTGRES_USER"
    file_env POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
}

require_password() {
    if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
        die 'Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.'
    fi
}

init_cluster() {
    local args=()
    [[ -z ${POSTGRES_INITDB_WALDIR-} ]] || args+=(--waldir "$POSTGRES_INITDB_WALDIR")
    # POSTGRES_INITDB_ARGS is a command line, quotes included: hence the eval.
    # shellcheck disable=SC2016
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") "${args[@]}" '"$POSTGRES_INITDB_ARGS"
    local method=$POSTGRES_HOST_AUTH_METHOD
    : "${method:=$(postgres -C password_encryption "$@")}"
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# Only on the unix socket: nobody outside may see the server before it is ready.
temporary_server() {
    case $1 in
        start)
            shift
            PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -w start \
                -o "$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")"
            ;;
        stop) PGUSER=postgres pg_ctl -D "$PGDATA" -m fast -w stop ;;
    esac
}

run_psql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc \
        --username "$POSTGRES_USER" --no-password "$@"
}

create_database() {
    local found
    found=$(run_psql --dbname postgres --set db="$POSTGRES_DB" --tuples-only \
        <<<"SELECT 1 FROM pg_database WHERE datname = :'db';")
    if [[ -z $found ]]; then
        run_psql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
}

# Under the official image's name: init scripts that are sourced may call it.
docker_process_sql() { run_psql --dbname "$POSTGRES_DB" "$@"; }

run_init_files() {
    local file
    for file; do
        case $file in
            *.sh)
                if [[ -x $file ]]; then
                    say "$0: running $file"
                    "$file"
                else
                    say "$0: sourcing $file"
                    # shellcheck disable=SC1090
                    . "$file"
                fi
                ;;
            *.sql) say "$0: running $file"; docker_process_sql -f "$file"; echo ;;
            *.sql.gz) say "$0: running $file"; gunzip -c "$file" | docker_process_sql; echo ;;
            *.sql.xz) say "$0: running $file"; xzcat "$file" | docker_process_sql; echo ;;
            *) say "$0: ignoring $file" ;;
        esac
    done
}

main() {
    [[ ${1:0:1} != - ]] || set -- postgres "$@"
    if [[ ${1-} != postgres ]] || wants_help "$@"; then
        exec "$@"
    fi

    create_directories
    if [[ $(id -u) == 0 ]]; then
        exec gosu postgres "${BASH_SOURCE[0]}" "$@"
    fi

    read_environment
    if [[ -s $PGDATA/PG_VERSION ]]; then
        say '' 'PostgreSQL Database directory appears to contain a database; Skipping initialization' ''
    else
        require_password
        local init_files=(/docker-entrypoint-initdb.d/*)
        init_cluster "${@:2}"
        export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
        temporary_server start "${@:2}"
        create_database
        [[ ! -e ${init_files[0]} ]] || run_init_files "${init_files[@]}"
        temporary_server stop
        unset PGPASSWORD
        say '' 'PostgreSQL init process complete; ready for start up.' ''
    fi
    exec "$@"
}

main "$@"
