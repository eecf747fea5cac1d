#!/bin/sh
# Runs in the root file system of the platforms, with their files in /opt/platforms.
set -eu
cd /opt/platforms
chmod 755 standin.py tool.sh bin/*
for tool in airflow celery clickhouse-client kafka-broker-api-versions kafka-topics kong \
    ksql-datagen mc ollama rpk sentry terraform traefik vault; do
    ln -sf ../tool.sh "bin/$tool"
done
for name in valkey-server valkey-cli; do
    ln -sf "/usr/bin/redis-${name#valkey-}" "bin/$name"
done
ln -sf /usr/bin/python3 bin/python
ln -sf /bin/busybox bin/wget
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=stand-in \
    -keyout key.pem -out cert.pem 2>/dev/null
# For tests alone: nobody trusts it.
chmod 644 key.pem
mkdir -p extensions
for name in vector timescaledb; do
    printf "comment = 'a stand-in'\ndefault_version = '1.0'\nrelocatable = true\n" >"extensions/$name.control"
done
echo 'CREATE DOMAIN vector AS double precision[];' >"extensions/vector--1.0.sql"
echo 'SELECT 1;' >"extensions/timescaledb--1.0.sql"
mkdir -p /prometheus /alertmanager /etc/prometheus /usr/local/etc/haproxy
chown 65534:65534 /prometheus /alertmanager
