#!/usr/bin/env bash
# Keeps the contract of the official rabbitmq image. RabbitMQ 3.10 itself reads
# RABBITMQ_DEFAULT_USER, _PASS, _VHOST and RABBITMQ_NODENAME from the environment.
set -euo pipefail

home=/var/lib/rabbitmq

if [[ ${1-} == rabbitmq* && $(id -u) == 0 ]]; then
    if [[ $1 == rabbitmq-server ]]; then
        find "$home" \! -user rabbitmq -exec chown rabbitmq:rabbitmq '{}' +
    fi
    exec gosu rabbitmq "${BASH_SOURCE[0]}" "$@"
fi

# The cookie as a file: the server and every tool run later by 'docker exec'
# then agree on it.
if [[ -n ${RABBITMQ_ERLANG_COOKIE-} ]]; then
    cookie=$home/.erlang.cookie
    if [[ ! -e $cookie || $(<"$cookie") != "$RABBITMQ_ERLANG_COOKIE" ]]; then
        rm -f "$cookie"
        (umask 077 && printf '%s\n' "$RABBITMQ_ERLANG_COOKIE" >"$cookie")
    fi
    unset RABBITMQ_ERLANG_COOKIE
fi

exec "$@"
