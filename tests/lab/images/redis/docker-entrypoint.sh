#!/bin/sh
# As the official image: options or a .conf file alone mean redis-server, and
# the server runs as the user redis.
set -e
case "${1-}" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec gosu redis "$0" "$@"
fi
# The official build has protected mode off unless it is asked for; Debian's has
# it on. A later option wins over an earlier one, and any option over the file.
if [ "${1-}" = redis-server ]; then
    case "${2-}" in
        - | -v | --version | -h | --help | --test-memory | --check-system) ;;
        '' | -*) shift && set -- redis-server --protected-mode no "$@" ;;
        *)
            if ! grep -q '^[[:space:]]*protected-mode' "$2"; then
                set -- "$@" --protected-mode no
            fi
            ;;
    esac
fi
exec "$@"
