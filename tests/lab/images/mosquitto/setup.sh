#!/bin/sh
set -eu
mkdir -p /mosquitto/config /mosquitto/data /mosquitto/log
cp /opt/lab/mosquitto/mosquitto.conf /mosquitto/config/mosquitto.conf
chown -R mosquitto:mosquitto /mosquitto
