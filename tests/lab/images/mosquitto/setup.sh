#!/bin/sh
set -eu
mkdir -p /mosquitto/config /mosquitto/data /mosquitto/log
cp /opt/lab/mosquitto/mosquitto.conf /mosquitto/config/mosquitto.conf
# The official image takes nobody from outside unless it is started with this one.
cp /opt/lab/mosquitto/mosquitto.conf /mosquitto-no-auth.conf
chown -R mosquitto:mosquitto /mosquitto
