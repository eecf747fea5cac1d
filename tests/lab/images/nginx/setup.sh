#!/bin/sh
set -eu
cd /opt/lab/nginx
mkdir -p /etc/nginx/conf.d /usr/share/nginx/html /var/log/nginx
cp nginx.conf /etc/nginx/nginx.conf
cp default.conf /etc/nginx/conf.d/default.conf
echo '<h1>Welcome to nginx!</h1>' >/usr/share/nginx/html/index.html
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
