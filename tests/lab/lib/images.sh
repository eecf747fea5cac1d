# shellcheck shell=bash
# The images: the official ones where a registry answers, else lab-built ones.

LAB_IMAGES=$LAB_ROOT/images

# name:tag, its recipe (a directory under images/), what the software is called,
# and the Debian package its version is read from.
# A recipe with '+alt' is the same with one label more: another image id.
LAB_IMAGE_TABLE='
busybox:1.35             busybox      busybox     busybox-static
postgres:15              postgres     postgresql  postgresql-15
postgres:15-bookworm     postgres     postgresql  postgresql-15
postgres:15-alt          postgres+alt postgresql  postgresql-15
rabbitmq:3.10-management rabbitmq     rabbitmq    rabbitmq-server
rabbitmq:3-management    rabbitmq     rabbitmq    rabbitmq-server
redis:7                  redis        redis       redis-server
nginx:1.22               nginx        nginx       nginx-common
eclipse-mosquitto:2.0    mosquitto    mosquitto   mosquitto
'

images_rows() { grep -v '^ *$' <<<"$LAB_IMAGE_TABLE"; }
images_names() { images_rows | awk '{ print $1 }'; }

# recipe_hash RECIPE: changes when a file that goes into the image does. The
# servers share one file system, into which each one's set-up went.
recipe_hash() {
    local where=$LAB_IMAGES
    case $1 in base | busybox) where+=/$1 ;; esac
    find "$where" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16
}

# One docker call for all of them. Prints, for each image that is there:
# name:tag|id|dollop.lab|recipe hash|software (the last three may be empty)
images_present() {
    local names=()
    mapfile -t names < <(images_names)
    docker image inspect "${names[@]}" --format \
        '{{$i := .}}{{range .RepoTags}}{{.}}|{{$i.Id}}|{{with $i.Config.Labels}}{{index . "dollop.lab"}}|{{index . "dollop.lab.recipe"}}|{{index . "dollop.lab.software"}}{{else}}||{{end}}
{{end}}' 2>/dev/null | grep . | sort -u || true
}

# The names that are not there, or were built here from what the recipe was
# once. An image that is not the lab's own (no label) is taken as it is.
images_missing() {
    local present line name recipe kind hash servers busybox
    present=$(images_present)
    servers=$(recipe_hash servers)
    busybox=$(recipe_hash busybox)
    while read -r name recipe _; do
        if line=$(grep -F -m1 -- "$name|" <<<"$present"); then
            IFS='|' read -r _ _ kind hash _ <<<"$line"
            case $recipe:$hash in
                *:official | busybox:"$busybox" | *:"$servers") continue ;;
            esac
            [[ -n $kind ]] || continue
        fi
        echo "$name"
    done < <(images_rows)
}

# One quick question per 'up', and only when something is missing.
# DOLLOP_LAB_IMAGES=built builds without asking.
registry_reachable() {
    if [[ -z ${LAB_REACHABLE-} ]]; then
        LAB_REACHABLE=no
        if [[ ${DOLLOP_LAB_IMAGES-} != built ]] \
            && timeout 10 docker pull --quiet busybox:1.35 >/dev/null 2>&1; then
            LAB_REACHABLE=yes
        fi
    fi
    [[ $LAB_REACHABLE == yes ]]
}

images_up() {
    local missing=()
    mapfile -t missing < <(images_missing)
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if registry_reachable; then
        say "a registry answers: pulling the official images"
        images_pull "${missing[@]}"
    else
        [[ ${DOLLOP_LAB_IMAGES-} == built ]] || say "no registry answers"
        say "building from Debian packages: ${missing[*]}"
        images_build "${missing[@]}"
    fi
}

images_pull() {
    local name
    for name; do
        case $name in
            *-alt) image_pull_alt "$name" ;;
            *) docker pull --quiet "$name" >/dev/null \
                || die "pulling $name failed (DOLLOP_LAB_IMAGES=built builds it from Debian packages)" ;;
        esac
    done
}

# postgres:15-alt from postgres:15
image_pull_alt() {
    printf 'FROM %s\n' "${1%-alt}" | docker build --quiet --tag "$1" \
        --label dollop.lab=real --label dollop.lab.recipe=official --label dollop.lab.variant=alt \
        --label "dollop.lab.software=official ${1%-alt}" - \
        >"$LAB_STATE/build-alt.log" 2>&1 || die "building $1 failed: see $LAB_STATE/build-alt.log"
}

images_build() {
    [[ $(id -u) == 0 ]] || die "building images from Debian packages needs root"
    need jq jq
    apt_refreshed
    if [[ " $* " == *" busybox:"* ]]; then
        "$LAB_IMAGES/busybox/build.sh" busybox:1.35 "$(recipe_hash busybox)"
    fi
    if [[ " $* " != " busybox:1.35 " ]]; then
        rootfs_up
        servers_load
    fi
    # What lost its name to a newer build; dangling images of the lab only.
    docker image prune --force --filter label=dollop.lab >/dev/null
}

# The Debian root file system as a directory, kept: only a change of the package
# list makes it new.
rootfs_up() {
    local root=$LAB_STATE/rootfs hash start=$SECONDS
    hash=$(recipe_hash base)
    [[ "$(cat "$root.recipe" 2>/dev/null)" != "$hash" ]] || return 0
    need mmdebstrap mmdebstrap
    say "building a Debian root file system (about a minute)"
    rm -rf "$root" "$root.recipe"
    "$LAB_IMAGES/base/build.sh" "$root" >"$LAB_STATE/build-base.log" 2>&1 \
        || { tail -20 "$LAB_STATE/build-base.log" >&2; die "building the root file system failed"; }
    echo "$hash" >"$root.recipe"
    say "built the root file system in $((SECONDS - start)) s"
}

# Every server's files into /opt/lab/<recipe>, and its set-up run in there.
rootfs_set_up() {
    local root=$1 recipe
    rm -rf "$root/opt/lab"
    for recipe in $(images_rows | awk '$2 !~ /busybox|\+/ { print $2 }' | sort -u); do
        mkdir -p "$root/opt/lab/$recipe"
        cp -R "$LAB_IMAGES/$recipe/." "$root/opt/lab/$recipe/"
        chown -R 0:0 "$root/opt/lab/$recipe"
        chmod -R u=rwX,go=rX "$root/opt/lab/$recipe"
        chroot "$root" "/opt/lab/$recipe/setup.sh" || die "images/$recipe/setup.sh failed"
    done
}

# package_version ROOT PACKAGE: as the software itself tells it
# (5:7.0.15-1~deb12u10 -> 7.0.15).
package_version() {
    dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat '${Version}' "$2" \
        | sed -E 's/^[0-9]+://; s/[-+~].*$//'
}

# All servers are one layer under several configurations, brought in by one
# 'docker load'. A 'docker build' per image would be the usual way, but each of
# its steps compares the whole file system with the slower storage drivers:
# half a minute an image where this takes ten seconds for all.
servers_load() {
    local root=$LAB_STATE/rootfs work hash layer name recipe software package config start=$SECONDS
    hash=$(recipe_hash servers)
    rootfs_set_up "$root"
    work=$(mktemp -d "$LAB_STATE/load.XXXXXX")
    # Nothing newer than the root file system itself: the same files then give
    # the same layer, and an image that is built again keeps its id.
    tar -C "$root" --sort=name --numeric-owner --clamp-mtime --mtime="@$(stat -c %Y "$root.recipe")" \
        -cf "$work/layer.tar" .
    layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
    while read -r name recipe software package; do
        [[ $recipe != busybox ]] || continue
        config=${recipe//+/-}.json
        image_config "${recipe%+*}" "${recipe#*+}" "$layer" "$hash" \
            "$software $(package_version "$root" "$package")" "$(stat -c %Y "$root.recipe")" >"$work/$config"
        jq -n --arg config "$config" --arg name "$name" \
            '{Config: $config, RepoTags: [$name], Layers: ["layer.tar"]}'
    done < <(images_rows) | jq -s . >"$work/manifest.json"
    (cd "$work" && tar -c ./*.json layer.tar) | docker load --quiet >"$LAB_STATE/load.log" 2>&1 \
        || { tail -5 "$LAB_STATE/load.log" >&2; rm -rf "$work"; die "loading the images failed"; }
    rm -rf "$work"
    say "built the server images in $((SECONDS - start)) s"
}

# image_config RECIPE VARIANT LAYER HASH SOFTWARE TIME: what 'docker load' calls
# an image's configuration.
image_config() {
    jq --arg variant "$2" --arg layer "sha256:$3" --arg hash "$4" --arg software "$5" \
        --arg arch "$(dpkg --print-architecture)" --argjson time "$6" '
        {
            architecture: $arch, os: "linux", created: ($time | todate),
            config: (. + {Labels: ({
                "dollop.lab": "real",
                "dollop.lab.recipe": $hash,
                "dollop.lab.software": $software
            } + (if $variant == "alt" then {"dollop.lab.variant": "alt"} else {} end))}),
            rootfs: {type: "layers", diff_ids: [$layer]},
            history: [{created: ($time | todate), created_by: "tests/lab/lab up"}]
        }' "$LAB_IMAGES/$1/config.json"
}

images_down() {
    local name kind
    while IFS='|' read -r name _ kind _; do
        [[ -n $kind ]] || continue
        docker image rm "$name" >/dev/null || say "$name is in use and stays"
    done < <(images_present)
}

images_status() {
    local present line name id kind software failed=0
    present=$(images_present)
    while read -r name _; do
        if line=$(grep -F -m1 -- "$name|" <<<"$present"); then
            IFS='|' read -r _ id kind _ software <<<"$line"
            status_row image "$name" "${kind:-official}" "${software:-$name}, ${id:7:12}"
        else
            status_row image "$name" missing -
            failed=1
        fi
    done < <(images_rows)
    return "$failed"
}
