//! What a container can be told, and what it reports.

use std::collections::BTreeMap;

use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{labels, reference};
use super::blkio::BlockIo;
use super::devices::{Devices, Gpus};
use super::facts::Defaults;
use super::files::Files;
use super::health::Healthcheck;
use super::hooks::{self, Hook};
use super::hosts::Hosts;
use super::modes::{CgroupMode, Mode, NetworkMode, UserNamespace};
use super::mounts::{Mounts, tidy_path};
use super::networks::Networks;
use super::pairs::{self, Pairs};
use super::ports::{Exposed, Ports};
use super::succession::UpdateConfig;
use super::track::{Digests, Track};
use super::ulimits::Ulimits;
use super::units::{Bytes, Cpus, MemorySwap, Micros, Restart, Span, Whole, capability, signal};
use super::words::{Several, Words};
use super::{inject, rules, security};
use crate::text::Text;

/// A container: a program from an image, with what it needs to run.
///
/// Name, limits, restart policy, networks, files and whether it runs change in place;
/// anything else makes a new container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the engine's own switches, independent")]
pub struct ContainerSpec {
    /// What it is made from: a `docker::image`, or a reference like `postgres:15`, pulled
    /// when the engine does not have it.
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::image", "x-by-name" = true))]
    #[serde(deserialize_with = "reference::read")]
    pub image: String,
    /// The arguments, or the program when the image has no entry point: a list, or a string
    /// split as a shell would. What the image says when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub command: Option<Words>,
    /// The program, instead of the image's; then the image's command is dropped too.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub entrypoint: Option<Words>,
    /// Environment variables, `#{ PGDATA: "/data", WORKERS: 4 }` or `["PGDATA=/data"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-write-only" = true))]
    pub env: Pairs,
    /// Ports published on the host, in Compose's short form, `8080:80`,
    /// `127.0.0.1:8080:80`, `127.0.0.1::5432` (a free port, see `host_ports`), `53:53/udp`,
    /// or its long one, `#{ target: 80, published: 8080, host_ip: "127.0.0.1" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ports: Ports,
    /// Ports its program listens on, `["80", "53/udp"]`. Nothing is published by it.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub expose: Exposed,
    /// What lies elsewhere: `${volume}:/data`, `./conf:/etc/app:ro` (from the project
    /// folder), or the long form `#{ type: "volume", source: volume, target: "/data" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::volume"))]
    pub volumes: Mounts,
    /// Containers whose volumes it has too, `[`${db}:ro`]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::container"))]
    pub volumes_from: Vec<String>,
    /// Of what is mounted from the machine, what counts by its content, by its path in the
    /// container, and what happens to a running one when somebody edits it:
    /// `#{ "/etc/nginx/conf.d": "signal:HUP" }`, `restart` or `none`.
    #[serde(default)]
    #[schemars(extend("x-disruption" = "restart"))]
    pub track: Track,
    /// Files put into it, by their path there: the text, or
    /// `#{ content: file("app.conf"), mode: "0640", uid: 70, on_change: "signal:HUP" }`. A
    /// changed one is copied in, and the container restarted unless told otherwise.
    #[serde(default)]
    #[schemars(extend("x-disruption" = "restart", "x-write-only" = true))]
    pub files: Files,
    /// Networks it is in, `[app, #{ network: db, aliases: ["store"], ipv4_address: "10.20.0.5" }]`,
    /// or a map from their real names. In each it is found by its short name. The engine's
    /// `bridge` when left out.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::network", "x-disruption" = "reconnect"))]
    pub networks: Networks,
    /// `host` for the network of the machine itself, `none` for no network at all,
    /// `container:${db}` for the one of another container, which then publishes the ports.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::container"))]
    pub network_mode: Option<NetworkMode>,
    /// Labels, beside dollop's own marks.
    #[serde(default, deserialize_with = "pairs::labels")]
    #[schemars(extend("x-replace" = true))]
    pub labels: Pairs,
    /// Notes for the program that runs containers (OCI annotations).
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub annotations: Pairs,
    /// How the engine finds out whether it works.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub healthcheck: Option<Healthcheck>,
    /// When the engine starts it again: `no`, `always`, `unless-stopped`, `on-failure` or
    /// `on-failure:3`.
    #[serde(default)]
    pub restart: Restart,
    /// The user in the container, `1000:1000` or `postgres`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub user: Option<Text>,
    /// The folder its program starts in.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub working_dir: Option<String>,
    /// Its own host name; the start of its id when left out.
    #[serde(default, deserialize_with = "rules::host_name")]
    #[schemars(extend("x-replace" = true))]
    pub hostname: Option<String>,
    /// The domain behind its host name.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub domainname: Option<String>,
    /// Groups its user is in too, by name or number.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub group_add: Vec<Text>,
    /// A terminal for its program.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub tty: bool,
    /// Keep its standard input open although nobody writes to it.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub stdin_open: bool,
    /// The platform of its image, `linux/arm64`; the engine's own when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub platform: Option<String>,
    /// The program that runs it, `runsc`; the engine's default when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub runtime: Option<String>,
    /// A small init process that passes signals on and reaps children.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub init: Option<bool>,
    /// The image's files cannot be changed.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub read_only: bool,
    /// The signal that asks it to stop, `SIGINT`.
    #[serde(default, deserialize_with = "rules::a_signal")]
    #[schemars(extend("x-replace" = true))]
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed, `30s`; 10 s when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub stop_grace_period: Option<Span>,
    /// The size of `/dev/shm`, `256m`; 64m when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub shm_size: Option<Bytes>,
    /// The most memory it may use, `512m`.
    #[serde(default)]
    pub mem_limit: Option<Bytes>,
    /// The memory it is pressed back to when the machine runs short, `256m`.
    #[serde(default)]
    pub mem_reservation: Option<Bytes>,
    /// Memory and swap together, `1g`, with a `mem_limit`; -1 for swap without limit. Twice
    /// the memory when left out.
    #[serde(default)]
    pub memswap_limit: Option<MemorySwap>,
    /// How readily its memory is swapped out, 0 to 100.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub mem_swappiness: Option<u8>,
    /// Never kill it when memory runs out; it waits instead.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub oom_kill_disable: bool,
    /// How likely it is to be killed when memory runs out: -1000 (never) to 1000.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub oom_score_adj: i16,
    /// The most processors it may use, `0.5`.
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// Which processors it may use, `0-2,5`.
    #[serde(default, deserialize_with = "rules::processors")]
    pub cpuset: Option<String>,
    /// Its weight against other containers when processors are busy; 1024 is usual.
    #[serde(default)]
    pub cpu_shares: Option<u32>,
    /// The period that `cpu_quota` is part of, `100ms`, or in microseconds; 100 ms when left
    /// out. Unlike the quota, it does not change in place.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cpu_period: Option<Micros>,
    /// The time on processors it gets in each `cpu_period`, `50ms`, or in microseconds.
    #[serde(default)]
    pub cpu_quota: Option<Micros>,
    /// The period that `cpu_rt_runtime` is part of, for programs with real-time scheduling.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cpu_rt_period: Option<Micros>,
    /// The time for real-time scheduling in each `cpu_rt_period`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cpu_rt_runtime: Option<Micros>,
    /// The most processes it may have.
    #[serde(default)]
    pub pids_limit: Option<Whole>,
    /// How fast it may read from and write to disks.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub blkio_config: Option<BlockIo>,
    /// What its processes may use each, `#{ nofile: 65536, core: #{ soft: 0, hard: -1 } }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ulimits: Ulimits,
    /// Settings of the kernel that a container has for itself,
    /// `#{ "net.core.somaxconn": 1024 }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub sysctls: Pairs,
    /// Rights of the kernel added to the usual ones, `["NET_ADMIN"]`.
    #[serde(default, deserialize_with = "rules::capabilities")]
    #[schemars(extend("x-replace" = true))]
    pub cap_add: Vec<String>,
    /// Rights of the kernel taken away, `["ALL"]`.
    #[serde(default, deserialize_with = "rules::capabilities")]
    #[schemars(extend("x-replace" = true))]
    pub cap_drop: Vec<String>,
    /// All rights on the machine. Rarely needed.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub privileged: bool,
    /// How the kernel guards it, `["no-new-privileges", "apparmor=unconfined"]`; a seccomp
    /// profile by its text, `"seccomp=" + file("profile.json")`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub security_opt: Vec<String>,
    /// Devices of the machine, `["/dev/ttyUSB0", "/dev/sda:/dev/xvda:r"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub devices: Devices,
    /// Kinds of devices it may use, as the kernel names them, `["c 1:3 mr"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub device_cgroup_rules: Vec<String>,
    /// Graphics processors: `all`, how many, or
    /// `[#{ driver: "nvidia", device_ids: ["0"], capabilities: ["gpu"] }]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub gpus: Gpus,
    /// Whose shared memory and semaphores it sees: `private`, `shareable`, `host`, `none`
    /// or `container:${db}`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::container"))]
    pub ipc: Option<Mode>,
    /// Whose processes it sees: `host` or `container:${db}`; its own when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::container"))]
    pub pid: Option<Mode>,
    /// `host` for the host name of the machine.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub uts: Option<UserNamespace>,
    /// `host` to stay out of the engine's mapping of users.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub userns_mode: Option<UserNamespace>,
    /// Whose control groups it sees: `host` or `private`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cgroup: Option<CgroupMode>,
    /// The control group it is placed in.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cgroup_parent: Option<String>,
    /// Folders in memory, `["/run", "/tmp:size=64m,mode=1777"]`.
    #[serde(default, deserialize_with = "rules::folders")]
    #[schemars(extend("x-replace" = true))]
    pub tmpfs: Several,
    /// Options of the engine's storage, `#{ size: "10G" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub storage_opt: Pairs,
    /// Servers it asks for names beside those of its networks.
    #[serde(default, deserialize_with = "rules::addresses")]
    #[schemars(extend("x-replace" = true))]
    pub dns: Several,
    /// Options for asking, `["ndots:2"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub dns_opt: Several,
    /// Domains that short names are looked for in.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub dns_search: Several,
    /// Lines for its hosts file: `["db:10.0.0.5", "host.docker.internal:host-gateway"]`, or
    /// a map from name to address.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub extra_hosts: Hosts,
    /// Where its output goes, `#{ driver: "json-file", options: #{ "max-size": "10m" } }`;
    /// what the engine does by default when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub logging: Option<Logging>,
    /// Whether it should run. One that was stopped is started again.
    #[serde(default = "yes")]
    #[schemars(extend("x-disruption" = "restart"))]
    pub running: bool,
    /// Commands run in it once it has started, `[#{ command: "./warm-up.sh" }]`.
    #[serde(default)]
    pub post_start: Vec<Hook>,
    /// Commands run in it before dollop stops it.
    #[serde(default)]
    pub pre_stop: Vec<Hook>,
    /// How many of it there are: `app-1`, `app-2` and so on, all found as `app` in their
    /// networks.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Another name it is found by in all of its networks; what `replicas` gives its own.
    #[serde(default)]
    #[schemars(extend("x-disruption" = "reconnect"))]
    pub replica_of: Option<String>,
    /// How it is replaced, `#{ order: "start-first", monitor: "10s" }`.
    #[serde(default)]
    pub update_config: Option<UpdateConfig>,
    /// When it counts as made: `started`, `healthy` (its health check passed) or `exited`
    /// (a job: it ended with code 0).
    #[serde(default)]
    pub wait: Wait,
    /// The longest time to wait for that, `5m`.
    #[serde(default = "two_minutes")]
    pub wait_timeout: Span,
}

fn yes() -> bool {
    true
}

fn two_minutes() -> Span {
    Span(std::time::Duration::from_mins(2))
}

/// Where the output of a container goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `json-file`, `local`, `journald`, `syslog`, `none` or one of a plugin; the engine's
    /// default when left out.
    pub driver: Option<String>,
    /// Options of that driver.
    pub options: Pairs,
}

/// When a container counts as made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// It was started.
    #[default]
    Started,
    /// Its health check passed.
    Healthy,
    /// It ended with code 0.
    Exited,
}

/// What the engine reports about a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerFacts {
    /// The engine's id of it.
    #[schemars(extend("x-stable" = true))]
    pub id: String,
    /// The id of the image it was made from, `sha256:...`.
    #[schemars(extend("x-stable" = true))]
    pub image_id: String,
    /// What pins that image in its registry, `postgres@sha256:...`; nothing when it was
    /// built or loaded on the engine.
    #[schemars(extend("x-stable" = true))]
    pub image_digest: Option<String>,
    /// The address its published ports are reached at from this machine; nothing when it
    /// publishes none.
    #[schemars(extend("x-stable" = true))]
    pub host_ip: Option<String>,
    /// The host port of each published one, `host_ports["5432/tcp"]`; only while it runs.
    pub host_ports: BTreeMap<String, u16>,
    /// Its address in each network; only while it runs.
    pub addresses: BTreeMap<String, String>,
    /// `created`, `running`, `paused`, `restarting` or `exited`.
    pub state: String,
    /// `starting`, `healthy` or `unhealthy`; nothing without a health check.
    pub health: Option<String>,
    /// The code it ended with, when it did.
    pub exit_code: Option<i64>,
    /// A digest of each path in `track`, as its program was last told of it.
    #[serde(default)]
    pub tracked: Digests,
    /// A digest of each of `files`, as its program was last told of it.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub told: Option<Digests>,
    /// What the engine filled in by its own configuration where nothing was asked for:
    /// `shm_size`, `ipc`, `cgroup` and options of `logging`, as they were when it was made.
    #[serde(default)]
    pub defaults: Defaults,
}

impl ContainerSpec {
    /// Brings equal forms to one.
    pub(crate) fn normalize(&mut self) {
        self.image = reference::familiar(&self.image);
        // To the engine an empty command is none.
        self.command = self.command.take().filter(|words| !words.0.is_empty());
        self.healthcheck = self.healthcheck.take().and_then(Healthcheck::normal);
        self.stop_signal =
            self.stop_signal.as_deref().map(signal).filter(|name| !name.is_empty());
        self.stop_grace_period = self
            .stop_grace_period
            .map(|span| Span(std::time::Duration::from_secs(span.seconds())));
        for limit in [&mut self.mem_limit, &mut self.mem_reservation, &mut self.shm_size] {
            *limit = limit.filter(|bytes| bytes.0 > 0);
        }
        self.memswap_limit = self.memswap_limit.filter(|limit| limit.0 != 0);
        self.pids_limit = self.pids_limit.filter(|limit| limit.0 > 0);
        self.cpu_shares = self.cpu_shares.filter(|shares| *shares > 0);
        self.blkio_config = self.blkio_config.take().and_then(BlockIo::normal);
        for (list, form) in [
            (&mut self.cap_add, capability as fn(&str) -> String),
            (&mut self.cap_drop, capability),
            (&mut self.tmpfs.0, |path: &str| path.trim().to_owned()),
            (&mut self.security_opt, security::option),
            (&mut self.device_cgroup_rules, |rule: &str| rule.trim().to_owned()),
        ] {
            *list = list.iter().map(|item| form(item)).collect();
            list.sort();
            list.dedup();
        }
        self.group_add.sort();
        self.group_add.dedup();
        self.devices.normalize();
        for text in [
            &mut self.working_dir,
            &mut self.hostname,
            &mut self.domainname,
            &mut self.platform,
            &mut self.runtime,
            &mut self.cpuset,
            &mut self.cgroup_parent,
        ] {
            *text = text.take().filter(|text| !text.is_empty());
        }
        self.platform = self.platform.take().map(|platform| platform.to_ascii_lowercase());
        // That is where it is without saying anything.
        self.network_mode = self
            .network_mode
            .take()
            .filter(|mode| *mode != NetworkMode::Bridge || !self.networks.0.is_empty());
        self.working_dir = self.working_dir.take().map(|path| tidy_path(&path));
        self.user = self.user.take().filter(|user| !user.0.is_empty());
        // Every one of them is a resource of its own.
        self.replicas = None;
        if let Some(group) = &self.replica_of {
            self.networks.found_as(group);
        }
        self.networks.normalize();
        inject::add_folders(self);
        // To say the default is to say nothing.
        self.update_config =
            self.update_config.take().filter(|config| *config != UpdateConfig::default());
    }

    /// Rules across attributes.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = labels::check(&self.labels.0);
        problems.extend(rules::limits(self));
        problems.extend(self.ports.check());
        problems.extend(self.volumes.check());
        problems.extend(self.networks.check());
        problems.extend(self.ulimits.check());
        problems.extend(self.files.check());
        problems.extend(inject::check(self));
        problems.extend(self.track.check(&self.volumes));
        problems.extend(hooks::check("post_start", &self.post_start));
        problems.extend(hooks::check("pre_stop", &self.pre_stop));
        let mut problem = |attribute: &str, message: String, hint: &str| {
            problems.push(Problem {
                attribute: attribute.to_owned(),
                message,
                hint: Some(hint.to_owned()),
            });
        };
        if self.image.trim().is_empty() || self.image == ":latest" {
            problem("image", "an image has a name".to_owned(), "one looks like `postgres:15`");
        }
        for key in self.env.0.keys() {
            if key.is_empty() || key.contains(['=', '\0']) {
                let message = format!("`{key}` cannot name an environment variable");
                problem("env", message, "names have no `=`; the value stands after the colon");
            }
        }
        if self.network_mode.is_some() && !self.networks.0.is_empty() {
            let message = "a container with a `network_mode` joins no networks".to_owned();
            problem("network_mode", message, "leave out one of the two");
        }
        if matches!(self.network_mode, Some(NetworkMode::Container(_))) {
            for (attribute, given) in [
                ("ports", !self.ports.0.is_empty()),
                ("hostname", self.hostname.is_some()),
                ("extra_hosts", !self.extra_hosts.0.is_empty()),
                ("dns", !self.dns.0.is_empty()),
            ] {
                if given {
                    let message = "it has the network of another container".to_owned();
                    problem(attribute, message, "set it on that container instead");
                }
            }
        }
        if !self.ports.0.is_empty()
            && matches!(self.network_mode, Some(NetworkMode::Host | NetworkMode::None))
        {
            let message = "without a network of its own it publishes nothing".to_owned();
            problem("ports", message, "leave out `ports` or `network_mode`");
        }
        if self.memswap_limit.is_some() && self.mem_limit.is_none() {
            let message = "memory and swap are limited together only with a `mem_limit`".into();
            problem("memswap_limit", message, "add `mem_limit`, or leave it out");
        }
        if self.cpus.is_some() && (self.cpu_period.is_some() || self.cpu_quota.is_some()) {
            let message = "`cpus` is a `cpu_quota` of a `cpu_period` already".to_owned();
            problem("cpus", message, "leave out one or the other");
        }
        if !(-1000..=1000).contains(&self.oom_score_adj) {
            let message = format!("{} is not between -1000 and 1000", self.oom_score_adj);
            problem("oom_score_adj", message, "-1000 is never killed");
        }
        if self.mem_swappiness.is_some_and(|percent| percent > 100) {
            let message = "it is a percentage, 0 to 100".to_owned();
            problem("mem_swappiness", message, "0 keeps its memory from being swapped out");
        }
        for option in &self.security_opt {
            let profile = option.strip_prefix("seccomp=").unwrap_or("{");
            if !profile.starts_with('{') && !matches!(profile, "unconfined" | "builtin") {
                let message = format!("`{profile}` is no seccomp profile");
                let hint = "give its text: `\"seccomp=\" + file(\"profile.json\")`";
                problem("security_opt", message, hint);
            }
        }
        if let Some(platform) = &self.platform
            && !matches!(platform.split('/').count(), 2 | 3)
        {
            let message = format!("`{platform}` is no platform");
            problem("platform", message, "one looks like `linux/arm64` or `linux/arm/v7`");
        }
        let disabled = self.healthcheck.as_ref().is_some_and(|health| health.disable);
        match self.wait {
            Wait::Healthy if disabled => {
                let message =
                    "it never gets healthy: its health check is switched off".to_owned();
                problem("wait", message, "wait for `started`, or give it a health check");
            }
            Wait::Exited
                if matches!(self.restart, Restart::Always | Restart::UnlessStopped) =>
            {
                let message = format!("it never ends: it is restarted `{}`", self.restart);
                problem("wait", message, "a job has `restart: \"no\"` or `on-failure:3`");
            }
            Wait::Healthy | Wait::Exited if !self.running => {
                let message = "nothing to wait for: it is not to run".to_owned();
                problem("wait", message, "leave out `running: false` or `wait`");
            }
            _ => {}
        }
        problems
    }
}
