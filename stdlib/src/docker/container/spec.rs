//! What a container can be told, and what it reports.

use std::collections::BTreeMap;

use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{labels, reference};
use super::health::Healthcheck;
use super::hosts::Hosts;
use super::mounts::Mounts;
use super::networks::Networks;
use super::ports::Ports;
use super::units::{Bytes, Cpus, Restart, Span, capability, signal};
use super::words::Words;
use crate::text::Text;

/// A container: a program from an image, with what it needs to run.
///
/// Limits, restart policy, networks and whether it runs change in place; anything else
/// makes a new container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// What it is made from: a `docker::image`, or a reference like `postgres:15`, pulled
    /// when the engine does not have it.
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::image", "x-by-name" = true))]
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
    /// Environment variables, `#{ PGDATA: "/data", WORKERS: 4 }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub env: BTreeMap<String, Text>,
    /// Ports published on the host, in Compose's short form: `8080:80`,
    /// `127.0.0.1:8080:80`, `127.0.0.1::5432` (a free port, see `host_ports`), `53:53/udp`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ports: Ports,
    /// What lies elsewhere: `${volume}:/data`, `./conf:/etc/app:ro` (from the project
    /// folder), or the long form `#{ type: "volume", source: volume, target: "/data" }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::volume"))]
    pub volumes: Mounts,
    /// Networks it is in: a list, or a map to aliases and address,
    /// `#{ app: #{ aliases: ["db"], ipv4_address: "10.20.0.5" } }`. In each it is found by
    /// its short name. The engine's `bridge` when left out.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::network", "x-disruption" = "reconnect"))]
    pub networks: Networks,
    /// `host` for the network of the machine itself, `none` for no network at all.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub network_mode: Option<NetworkMode>,
    /// Labels, beside dollop's own marks.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub labels: BTreeMap<String, Text>,
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
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub hostname: Option<String>,
    /// A small init process that passes signals on and reaps children.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub init: Option<bool>,
    /// The image's files cannot be changed.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub read_only: bool,
    /// The signal that asks it to stop, `SIGINT`.
    #[serde(default)]
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
    /// The most processors it may use, `0.5`.
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// The most processes it may have.
    #[serde(default)]
    pub pids_limit: Option<i64>,
    /// Rights of the kernel added to the usual ones, `["NET_ADMIN"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cap_add: Vec<String>,
    /// Rights of the kernel taken away, `["ALL"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cap_drop: Vec<String>,
    /// All rights on the machine. Rarely needed.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub privileged: bool,
    /// Folders in memory, `["/run", "/tmp:size=64m,mode=1777"]`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub tmpfs: Vec<String>,
    /// Lines for its hosts file: `["db:10.0.0.5", "host.docker.internal:host-gateway"]`, or
    /// a map from name to address.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub extra_hosts: Hosts,
    /// Whether it should run. One that was stopped is started again.
    #[serde(default = "yes")]
    #[schemars(extend("x-disruption" = "restart"))]
    pub running: bool,
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

/// A container without networks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The network of the machine.
    Host,
    /// No network.
    None,
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
}

impl ContainerSpec {
    /// Brings equal forms to one.
    pub(super) fn normalize(&mut self) {
        self.image = reference::familiar(&self.image);
        // To the engine an empty command is none.
        self.command = self.command.take().filter(|words| !words.0.is_empty());
        self.healthcheck = self.healthcheck.take().and_then(Healthcheck::normal);
        self.stop_signal =
            self.stop_signal.as_deref().map(signal).filter(|name| !name.is_empty());
        self.stop_grace_period = self
            .stop_grace_period
            .map(|span| Span(std::time::Duration::from_secs(span.seconds())));
        for limit in [&mut self.mem_limit, &mut self.shm_size] {
            *limit = limit.filter(|bytes| bytes.0 > 0);
        }
        self.pids_limit = self.pids_limit.filter(|limit| *limit > 0);
        for (list, form) in [
            (&mut self.cap_add, capability as fn(&str) -> String),
            (&mut self.cap_drop, capability),
            (&mut self.tmpfs, |path: &str| path.trim().to_owned()),
        ] {
            *list = list.iter().map(|item| form(item)).collect();
            list.sort();
            list.dedup();
        }
        for text in [&mut self.working_dir, &mut self.hostname] {
            *text = text.take().filter(|text| !text.is_empty());
        }
        self.user = self.user.take().filter(|user| !user.0.is_empty());
        self.networks.normalize();
    }

    /// Rules across attributes.
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = labels::check(&self.labels);
        problems.extend(self.ports.check());
        problems.extend(self.volumes.check());
        problems.extend(self.networks.check());
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
        for key in self.env.keys() {
            if key.is_empty() || key.contains(['=', '\0']) {
                let message = format!("`{key}` cannot name an environment variable");
                problem("env", message, "names have no `=`; the value stands after the colon");
            }
        }
        if self.network_mode.is_some() && !self.networks.0.is_empty() {
            let message = "a container with a `network_mode` joins no networks".to_owned();
            problem("network_mode", message, "leave out one of the two");
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
