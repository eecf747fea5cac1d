#!/bin/bash
# Stands in for a command line tool of an image without the real one: succeeds when every
# `host:port` among its arguments takes connections, or, without any, the container's own port.
# In shell, and no more than that: as a health check it runs again and again in a hundred containers.
tool=${0##*/}
# Where the software is real, so is the tool.
[[ -n ${STANDIN-} ]] || exec "/usr/bin/$tool" "$@"

places=()
for word in "$@"; do
    [[ ! $word =~ ^([a-z0-9+]+://)?([A-Za-z0-9_.-]+):([0-9]+)(/.*)?$ ]] \
        || places+=("${BASH_REMATCH[2]}/${BASH_REMATCH[3]}")
done
# Jobs run before the program does.
case "$tool $*" in
    sentry* | *migrations*) ;;
    *) [[ ${#places[@]} -gt 0 || -z ${STANDIN_PORT-} ]] || places=("127.0.0.1/$STANDIN_PORT") ;;
esac
for place in "${places[@]}"; do
    for try in {1..25}; do
        (exec 3<>"/dev/tcp/$place") 2>/dev/null && continue 2
        [[ $try == 25 ]] || sleep 0.2
    done
    echo "$tool: ${place/\//:} takes no connection" >&2
    exit 1
done
case "$tool $*" in
    ksql-datagen*) exec sleep infinity ;;
    'rpk cluster health'*) echo 'Healthy:                          true' ;;
esac
