#!/bin/sh
set -eu
cd /opt/lab/rabbitmq
for tool in server diagnostics plugins queues streams upgrade; do
    ln -sf rabbitmqctl "rabbitmq-$tool"
done
mkdir -p /etc/rabbitmq/conf.d /var/log/rabbitmq /var/lib/rabbitmq
cp defaults.conf /etc/rabbitmq/conf.d/10-defaults.conf
echo '[rabbitmq_management,rabbitmq_prometheus].' >/etc/rabbitmq/enabled_plugins
# The scheduler's busy waiting is switched off: on a small machine an idle
# broker would cost the test beside it a good part of a core.
echo 'SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"' >/etc/rabbitmq/rabbitmq-env.conf
chown -R rabbitmq:rabbitmq /etc/rabbitmq /var/log/rabbitmq /var/lib/rabbitmq
