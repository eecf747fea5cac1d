# shellcheck shell=bash
# The images of the five platforms in scripts/: real software where Debian has it, elsewhere
# a stand-in under the image's name, which its label says.

PLATFORMS=$LAB_ROOT/platforms

platforms_names() {
    jq -r '.[].images[]' "$PLATFORMS/real.json" "$PLATFORMS/standins.json"
}

# Everything that goes into the layer they share.
platforms_hash() {
    find "$PLATFORMS" "$LAB_IMAGES" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16
}

# The names that are not there, or were built here from what the recipe was once. An image
# that is not the lab's own (no label) is taken as it is.
platforms_missing() {
    local hash present name
    hash=$(platforms_hash)
    present=$(docker image ls --format '{{.Repository}}:{{.Tag}} {{.ID}}' | awk '{ print $1 }' | sort -u)
    local there=()
    while read -r name; do
        if grep -qxF -- "$name" <<<"$present"; then there+=("$name"); else echo "$name"; fi
    done < <(platforms_names)
    [[ ${#there[@]} -gt 0 ]] || return 0
    docker image inspect "${there[@]}" --format \
        '{{index .RepoTags 0}} {{with .Config.Labels}}{{index . "dollop.lab"}} {{index . "dollop.lab.recipe"}}{{end}}' \
        | awk -v hash="$hash" 'NF == 3 && $3 != hash { print $1 }'
}

platforms_up() {
    need jq jq
    local missing=() start=$SECONDS root=$LAB_STATE/platforms
    mapfile -t missing < <(platforms_missing)
    [[ ${#missing[@]} -gt 0 ]] || return 0
    [[ $(id -u) == 0 ]] || die "building images from Debian packages needs root"
    need mmdebstrap mmdebstrap
    platforms_root "$root"
    rootfs_set_up "$root"
    rm -rf "$root/opt/platforms"
    cp -R "$PLATFORMS/files" "$root/opt/platforms"
    cp "$PLATFORMS/standins.json" "$root/opt/platforms/"
    chown -R 0:0 "$root/opt/platforms"
    chmod -R u=rwX,go=rX "$root/opt/platforms"
    chroot "$root" /bin/sh -s <"$PLATFORMS/setup.sh" || die "platforms/setup.sh failed"
    platforms_load "$root"
    docker image prune --force --filter label=dollop.lab >/dev/null
    say "built ${#missing[@]} images of the platforms in $((SECONDS - start)) s"
}

# A root file system of its own: the servers' images keep theirs, and their ids.
platforms_root() {
    local root=$1 hash
    hash=$(cat "$PLATFORMS/packages" "$LAB_IMAGES"/base/* | sha256sum | cut -c1-16)
    [[ "$(cat "$root.recipe" 2>/dev/null)" != "$hash" ]] || return 0
    apt_refreshed
    say "building a Debian root file system for the platforms (a few minutes)"
    rm -rf "$root" "$root.recipe"
    LAB_MORE_PACKAGES=$PLATFORMS/packages "$LAB_IMAGES/base/build.sh" "$root" \
        >"$LAB_STATE/build-platforms.log" 2>&1 \
        || { tail -20 "$LAB_STATE/build-platforms.log" >&2; die "building the root file system failed"; }
    echo "$hash" >"$root.recipe"
}

# One layer, many configurations, one 'docker load'.
platforms_load() {
    local root=$1 work layer hash time name config
    hash=$(platforms_hash)
    time=$(stat -c %Y "$root.recipe")
    work=$(mktemp -d "$LAB_STATE/load.XXXXXX")
    tar -C "$root" --sort=name --numeric-owner --clamp-mtime --mtime="@$time" -cf "$work/layer.tar" .
    layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
    {
        jq -r 'keys[]' "$PLATFORMS/real.json" | while read -r name; do
            config=real-$name.json
            platforms_real "$name" "$root" | platforms_config real "$layer" "$hash" "$time" >"$work/$config"
            jq --arg config "$config" --arg name "$name" \
                '{Config: $config, RepoTags: .[$name].images, Layers: ["layer.tar"]}' "$PLATFORMS/real.json"
        done
        jq -r 'keys[]' "$PLATFORMS/standins.json" | while read -r name; do
            config=stand-in-$name.json
            platforms_standin "$name" | platforms_config stand-in "$layer" "$hash" "$time" >"$work/$config"
            jq --arg config "$config" --arg name "$name" \
                '{Config: $config, RepoTags: .[$name].images, Layers: ["layer.tar"]}' "$PLATFORMS/standins.json"
        done
    } | jq -s . >"$work/manifest.json"
    (cd "$work" && tar -c ./*.json layer.tar) | docker load --quiet >"$LAB_STATE/load-platforms.log" 2>&1 \
        || { tail -5 "$LAB_STATE/load-platforms.log" >&2; rm -rf "$work"; die "loading the images failed"; }
    rm -rf "$work"
}

# What an image of real software runs: the server's own recipe, and what the table adds.
platforms_real() {
    local name=$1 root=$2 recipe base='{}' package
    recipe=$(jq -r --arg name "$name" '.[$name].recipe // empty' "$PLATFORMS/real.json")
    [[ -z $recipe ]] || base=$(cat "$LAB_IMAGES/$recipe/config.json")
    package=$(jq -r --arg name "$name" '.[$name].package' "$PLATFORMS/real.json")
    jq --arg name "$name" --argjson base "$base" --arg version "$(package_version "$root" "$package")" '
        .[$name] as $row
        | ($base.Env // ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]) as $env
        | $base
        | .Env = [
            ($env[] | select((split("=")[0]) as $key | all($row.env[]?; split("=")[0] != $key))
                | sub("^PATH="; "PATH=/opt/platforms/bin:")),
            $row.env[]?]
        | if $row.entrypoint then .Entrypoint = $row.entrypoint + (if $row.env then [] else (.Entrypoint // []) - ["docker-entrypoint.sh"] end) else . end
        | if $row.command then .Cmd = $row.command else . end
        | if $row.user then .User = $row.user else . end
        | if $row.stop then .StopSignal = $row.stop else . end
        | if $row.directory then .WorkingDir = $row.directory else . end
        | if $row.volumes then .Volumes = ($row.volumes | map({(.): {}}) | add) else . end
        | if $row.env then del(.Volumes) else . end
        | .Labels = {"dollop.lab.software": "\($row.software) \($version)"}' "$PLATFORMS/real.json"
}

platforms_standin() {
    jq --arg name "$1" '
        .[$name] as $row
        | {
            Env: [
                "PATH=/opt/platforms/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "STANDIN=\($name)",
                # An image may hold several programs: one of their ports is enough.
                "STANDIN_PORT=\([(($row.http // {}) + ($row.https // {}) | keys[]), ($row.tcp[]? | tostring)] | first // "")"
            ],
            Entrypoint: ["/opt/platforms/standin.py", $name],
            ExposedPorts: ([(($row.http // {}) + ($row.https // {}) | keys[]), ($row.tcp[]? | tostring)] | map({"\(.)/tcp": {}}) | add // {}),
            Labels: {"dollop.lab.software": "a stand-in for \($name)"}
        }
        + (if $row.user then {User: $row.user} else {} end)' "$PLATFORMS/standins.json"
}

# platforms_config KIND LAYER HASH TIME: what 'docker load' calls an image's configuration,
# from its run settings.
platforms_config() {
    jq --arg kind "$1" --arg layer "sha256:$2" --arg hash "$3" --argjson time "$4" \
        --arg arch "$(dpkg --print-architecture)" '
        {
            architecture: $arch, os: "linux", created: ($time | todate),
            config: (.Labels += {"dollop.lab": $kind, "dollop.lab.recipe": $hash}),
            rootfs: {type: "layers", diff_ids: [$layer]},
            history: [{created: ($time | todate), created_by: "tests/lab/lab platforms"}]
        }'
}

platforms_down() {
    local name kind
    while read -r name; do
        kind=$(docker image inspect "$name" --format '{{with .Config.Labels}}{{index . "dollop.lab"}}{{end}}' 2>/dev/null) || continue
        [[ -n $kind ]] || continue
        docker image rm "$name" >/dev/null || say "$name is in use and stays"
    done < <(platforms_names)
}
