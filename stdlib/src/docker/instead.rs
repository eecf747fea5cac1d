//! Keys of Compose that are no attributes here, with what to write instead or why there is
//! nothing: see [`Traits::instead`](dollop_engine::resource::Traits::instead).

use dollop_engine::resource::Instead;

/// Of a service.
pub(super) const CONTAINER: Instead = Instead(&[
    ("environment", "it is called `env`"),
    ("env_file", "read the file: `env: dotenv(file(\"app.env\"))`"),
    ("label_file", "read the file: `labels: dotenv(file(\"app.labels\"))`"),
    ("container_name", "it is called `name`"),
    (
        "build",
        "declare it, `let img = docker::image(\"shop/app\", #{ build: \"./app\" })`, and say \
         `image: img`",
    ),
    ("pull_policy", "declare a `docker::image` with `pull`, and say `image: img`"),
    (
        "deploy",
        "its parts stand by themselves: `replicas`, `update_config`, `restart`, `mem_limit`, \
         `cpus`, `pids_limit`, `mem_reservation`, `gpus`; placement is for a swarm",
    ),
    ("scale", "it is called `replicas`"),
    (
        "configs",
        "put them into it: `files: #{ \"/etc/app.conf\": file(\"app.conf\") }`; a change is \
         copied in",
    ),
    (
        "secrets",
        "put them into it: `files: #{ \"/run/secrets/key\": #{ content: key, mode: \"0400\" } }`",
    ),
    ("links", "put both into one network: `networks: [net]`; there each has its name"),
    (
        "external_links",
        "put both into one network, which may be looked up: \
         `networks: [docker::network_lookup(\"other\")]`",
    ),
    (
        "mac_address",
        "it belongs to a network: `networks: [#{ network: net, mac_address: \"02:42:ac:11:00:03\" }]`",
    ),
    ("stop_timeout", "it is called `stop_grace_period`"),
    ("privilege", "it is called `privileged`"),
    ("stdin", "it is called `stdin_open`"),
    ("profiles", "declare it inside of `profile(\"name\", || { .. })`"),
    (
        "extends",
        "write a function that returns the attributes, and merge them: `base() + #{ .. }`",
    ),
    ("provider", "declare what it would make: another resource, or a `docker::job`"),
    ("models", "run the model in a container of its own: `import \"std/ollama\"`"),
    (
        "develop",
        "mount the sources: `volumes: [\"./src:/app\"]`, and `track` what it must be told of",
    ),
    ("attach", "nothing is attached to: `dollop logs` shows what it prints"),
    (
        "pre_start",
        "use a `docker::job`, and name it in `depends_on`; the engine has no such hook",
    ),
    (
        "use_api_socket",
        "mount it: `volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]`; who has it has \
         the whole machine",
    ),
    ("isolation", "it is for Windows, and these engines run on Linux"),
    ("credential_spec", "it is for Windows, and these engines run on Linux"),
    ("cpu_count", "it is for Windows; here it is `cpus`"),
    ("cpu_percent", "it is for Windows; here it is `cpus`"),
    ("version", "a script has no version of its format"),
    // As Terraform and Ansible have them.
    ("upload", "it is called `files`: `files: #{ \"/etc/app.conf\": file(\"app.conf\") }`"),
    ("must_run", "leave it out: `running: false` is for one that shall not run"),
    ("start", "it is called `running`"),
    ("rm", "one that ends by itself is a `docker::job`"),
    (
        "networks_advanced",
        "it is called `networks`: `networks: [#{ network: net, aliases: [\"db\"] }]`",
    ),
    ("capabilities", "they are called `cap_add` and `cap_drop`"),
    ("host", "it is called `extra_hosts`"),
    ("etc_hosts", "it is called `extra_hosts`"),
    ("mounts", "it is called `volumes`"),
    ("log_driver", "it is called `logging: #{ driver: \"local\" }`"),
    ("log_opts", "it is called `logging: #{ options: #{ .. } }`"),
    ("max_retry_count", "it is part of `restart`: `\"on-failure:3\"`"),
    ("restart_policy", "it is called `restart`"),
    ("restart_retries", "it is part of `restart`: `\"on-failure:3\"`"),
    ("published_ports", "it is called `ports`"),
    ("exposed_ports", "it is called `expose`"),
    ("destroy_grace_seconds", "it is called `stop_grace_period`"),
    ("detach", "leave it out: containers run in the background"),
    ("recreate", "say so on the command line: `dollop apply --replace ADDRESS`"),
    ("ports.internal", "it is called `target`"),
    ("ports.external", "it is called `published`"),
    ("ports.ip", "it is called `host_ip`"),
    ("volumes.container_path", "it is called `target`; shorter is `\"data:/var/lib/data\"`"),
    (
        "volumes.host_path",
        "it is called `source`, with `type: \"bind\"`; shorter is `\"./conf:/etc/app:ro\"`",
    ),
    ("volumes.volume_name", "it is called `source`; shorter is `\"data:/var/lib/data\"`"),
    ("ports.name", "ports have no names: write a comment"),
    ("ports.app_protocol", "the engine knows only `protocol`: tcp, udp or sctp"),
    (
        "volumes.consistency",
        "leave it out: it only told Docker Desktop how lazily to synchronise",
    ),
    ("healthcheck.start_timeout", "it is called `start_period`"),
    ("update_config.max_failure_ratio", "there is only `failure_action`, at the first failure"),
    (
        "networks.priority",
        "the way out is decided by `gw_priority`; engines join in order of name",
    ),
    (
        "networks.interface_name",
        "tell it to the driver: `driver_opts: #{ \"com.docker.network.endpoint.ifname\": \"eth7\" }`; \
         engines since 28.0",
    ),
    ("gpus.id", "it is called `device_ids`"),
]);

/// Of a network.
pub(super) const NETWORK: Instead = Instead(&[
    ("external", "what exists already is looked up: `docker::network_lookup(\"name\")`"),
    ("driver_opts", "it is called `options`"),
    ("enable_ipv6", "it is called `ipv6`"),
    (
        "config_only",
        "it is for a swarm, whose machines each hold a part; here `options` say it all",
    ),
    (
        "config_from",
        "it is for a swarm, whose machines each hold a part; here `options` say it all",
    ),
    ("enable_ipv4", "a network always has IPv4 addresses; `ipv6` adds the others"),
    ("scope", "it is for a swarm; the `driver` decides it"),
    ("ingress", "it is the one network of a swarm through which it publishes ports"),
    ("check_duplicate", "names are always checked"),
]);

/// Of a volume.
pub(super) const VOLUME: Instead = Instead(&[
    ("external", "what exists already is looked up: `docker::volume_lookup(\"name\")`"),
    ("driver_opts", "it is called `options`"),
    ("cluster", "it is for a swarm"),
]);

/// Of the `build` of a service, and of its image.
pub(super) const IMAGE: Instead = Instead(&[
    ("context", "it belongs into `build: #{ context: \"./app\" }`"),
    ("dockerfile", "it belongs into `build: #{ context: \".\", dockerfile: \"..\" }`"),
    ("pull_policy", "it is called `pull`"),
    ("platforms", "one `docker::image` for each `platform`: an engine keeps one for a name"),
    ("build.tags", "it stands beside `build`: `tags: [..]`"),
    (
        "build.platforms",
        "one `docker::image` for each `platform`: an engine keeps one for a name",
    ),
    ("build.platform", "it stands beside `build`"),
    ("build.ssh", "no agent is handed on: give the key as a secret, or use HTTPS with a token"),
    (
        "build.cache_to",
        "let the image itself carry it: `args: #{ BUILDKIT_INLINE_CACHE: \"1\" }`",
    ),
    (
        "build.additional_contexts",
        "copy from another image: `COPY --from=..`, or put the files into the one folder",
    ),
    ("build.entitlements", "the builder of the engine has none to give"),
    ("build.privileged", "the builder of the engine runs nothing with all rights"),
    ("build.ulimits", "the builder of the engine has its own"),
    ("build.isolation", "it is for Windows, and these engines run on Linux"),
    ("build.provenance", "the builder of the engine makes no attestations"),
    ("build.sbom", "the builder of the engine makes no attestations"),
]);

#[cfg(test)]
mod tests {
    use dollop_engine::path::Path;

    /// The keys of a service, of its parts, of a build, of networks and of volumes in the
    /// Compose Specification. Parts of a list or map stand behind a dot.
    const SERVICE: &str = "annotations attach blkio_config build cap_add cap_drop cgroup \
        cgroup_parent command configs container_name cpu_count cpu_percent cpu_period cpu_quota \
        cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec deploy develop \
        device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file \
        environment expose extends external_links extra_hosts gpus group_add healthcheck \
        hostname image init ipc isolation label_file labels links logging mac_address mem_limit \
        mem_reservation mem_swappiness memswap_limit models network_mode networks \
        oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_start \
        pre_stop privileged profiles provider pull_policy read_only restart runtime scale \
        secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt \
        sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from \
        working_dir networks.priority networks.interface_name ports.name ports.app_protocol \
        volumes.consistency";
    const NETWORK: &str = "attachable config_from config_only driver driver_opts enable_ipv4 \
        enable_ipv6 external ingress internal ipam labels name scope";
    const VOLUME: &str = "driver driver_opts external labels name";
    const IMAGE: &str = "build.additional_contexts build.cache_to build.entitlements \
        build.isolation build.platforms build.privileged build.provenance build.sbom build.ssh \
        build.tags build.ulimits platform";

    #[test]
    fn every_key_of_compose_is_an_attribute_or_has_words() {
        let registry = crate::registry();
        for (kind, keys) in [
            ("docker::container", SERVICE),
            ("docker::network", NETWORK),
            ("docker::volume", VOLUME),
            ("docker::image", IMAGE),
        ] {
            let kind = registry.kind(kind).expect("a registered kind");
            for key in keys.split_whitespace() {
                let path = key.split('.').skip(1).fold(
                    Path::attribute(key.split('.').next().unwrap_or_default()),
                    |path, part| path.key(part),
                );
                let instead = kind.traits.instead.words(&path);
                let known = kind.schema.spec.contains_key(key);
                assert!(known || instead.is_some(), "`{key}` of {} gets no words", kind.name);
                assert!(!known || instead.is_none(), "`{key}` of {} has both", kind.name);
            }
        }
    }

    #[test]
    fn words_are_for_names_that_are_no_attributes() {
        let registry = crate::registry();
        let connections =
            registry.connections().map(|kind| (kind.name, &kind.schema, kind.instead));
        let kinds = registry.kinds().map(|kind| (kind.name, &kind.schema, kind.traits.instead));
        for (kind, schema, instead) in kinds.chain(connections) {
            for (name, words) in instead.0 {
                assert!(!schema.spec.contains_key(*name), "`{name}` of {kind}");
                assert!(!words.ends_with('.'), "`{name}`: {words}");
                if let Some((outer, _)) = name.split_once('.') {
                    assert!(schema.spec.contains_key(outer), "`{name}` of {kind}");
                }
            }
        }
    }
}
