#!/usr/bin/env bash
# busybox/build.sh NAME:TAG RECIPE_HASH
#
# The static busybox of Debian and a link per applet; no other file is needed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt drops its privileges for a download, and has to reach the directory.
chmod 755 "$work"
(cd "$work" && apt-get download busybox-static >/dev/null 2>&1) \
    || { echo "lab: apt-get download busybox-static failed" >&2; exit 1; }
deb=$(echo "$work"/*.deb)
version=$(dpkg-deb --field "$deb" Version)
version=${version#*:}
version=${version%%-*}

dpkg-deb --extract "$deb" "$work/deb"
root=$work/root
mkdir -p "$root"/{bin,etc,home,root,tmp,usr/bin,usr/sbin,sbin,var/spool/mail,var/www,dev,proc,sys}
chmod 1777 "$root/tmp"
install -m 755 "$(find "$work/deb" -type f -path "*/bin/busybox")" "$root/bin/busybox"
applets=$("$root/bin/busybox" --list)
for applet in $applets; do
    [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
done
# Scripts name these by full path.
ln -s /bin/env "$root/usr/bin/env"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

tar -C "$root" --owner=0 --group=0 --numeric-owner -c . | docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["sh"]' \
    --change "LABEL dollop.lab=real dollop.lab.recipe=$2 dollop.lab.software=\"busybox $version\"" \
    - "$1" >/dev/null
