//! How containers are, and whether they work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum,
    ImageInspect,
};
use dollop_engine::error::CallError;
use dollop_engine::operate::{Condition, Endpoint, Object, Probe, Verdict};
use dollop_engine::value::Value;
use futures::future::join_all;
use tokio::io::AsyncReadExt as _;

use super::super::container::facts;
use super::super::engine::Engine;
use super::super::pull;
use super::{find, some_at_once};
use crate::local::connect;

/// The proxy of the engine accepts connections in the container's name and hangs up when
/// nothing listens inside; that takes it less than this.
const HANGS_UP: Duration = Duration::from_millis(250);

/// What is spoken at well-known ports (IANA's registry, and the documentation of each).
const WELL_KNOWN: [(u16, &str); 19] = [
    (80, "http"),
    (443, "https"),
    (1883, "mqtt"),
    (3306, "mysql"),
    (4318, "http"),
    (5432, "postgres"),
    (5601, "http"),
    (5672, "amqp"),
    (6379, "redis"),
    (8025, "http"),
    (8080, "http"),
    (8443, "https"),
    (9000, "http"),
    (9090, "http"),
    (9092, "kafka"),
    (9200, "http"),
    (15672, "http"),
    (16686, "http"),
    (27017, "mongodb"),
];

pub(super) async fn conditions(
    engine: &Engine,
    objects: &[Object],
) -> Vec<Result<Option<Condition>, CallError>> {
    let asked = objects.iter().map(|object| find(engine, object)).collect();
    let found = some_at_once(asked).await;
    let there = found.iter().flatten().flatten();
    let ids: BTreeSet<String> = there.filter_map(|container| container.image.clone()).collect();
    let asked = ids.into_iter().map(|id| async move {
        let image = pull::local(engine, &id).await.ok().flatten();
        (id, image)
    });
    let images: HashMap<String, Option<ImageInspect>> =
        join_all(asked).await.into_iter().collect();
    let answers = objects.iter().zip(found).map(|(object, found)| {
        let Some(container) = found? else { return Ok(None) };
        let image = container.image.as_ref().and_then(|id| images.get(id)?.as_ref());
        Ok(Some(condition(engine, object, &container, image)))
    });
    answers.collect()
}

fn condition(
    engine: &Engine,
    object: &Object,
    container: &ContainerInspectResponse,
    image: Option<&ImageInspect>,
) -> Condition {
    let now = container.state.clone().unwrap_or_default();
    let facts = facts(engine, container, image);
    let since = if now.running.unwrap_or(false) { &now.started_at } else { &now.finished_at };
    let digest = facts.image_digest.as_deref();
    let digest = digest.and_then(|digest| Some(digest.split_once('@')?.1.to_owned()));
    Condition {
        verdict: verdict(&object.spec, &now),
        state: state(&now),
        health: facts.health.clone(),
        since: since.as_deref().and_then(moment),
        restarts: u64::try_from(container.restart_count.unwrap_or(0)).unwrap_or(0),
        image: container.config.as_ref().and_then(|config| config.image.clone()),
        digest: digest.or_else(|| Some(facts.image_id.clone()).filter(|id| !id.is_empty())),
        endpoints: endpoints(container, facts.host_ip.as_deref(), &facts.host_ports),
    }
}

/// In the engine's words, with the code it ended with: `exited (137)`.
pub(super) fn state(state: &ContainerState) -> String {
    let word = state.status.map(|status| status.to_string()).unwrap_or_default();
    let ended = matches!(
        state.status,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD)
    );
    let killed = if state.oom_killed.unwrap_or(false) { ", out of memory" } else { "" };
    match state.exit_code.filter(|_| ended) {
        Some(code) => format!("{word} ({code}{killed})"),
        None => word,
    }
}

fn verdict(spec: &Value, state: &ContainerState) -> Verdict {
    let wanted = spec.get("running") != Some(&Value::Bool(false));
    let ends = spec.get("wait").and_then(Value::as_str) == Some("exited");
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING) => {
            match state.health.as_ref().and_then(|health| health.status) {
                Some(HealthStatusEnum::STARTING) => Verdict::Waiting,
                Some(HealthStatusEnum::UNHEALTHY) => Verdict::Bad,
                _ => Verdict::Good,
            }
        }
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::CREATED)
            if !wanted =>
        {
            Verdict::Off
        }
        Some(ContainerStateStatusEnum::EXITED) if ends && state.exit_code == Some(0) => {
            Verdict::Good
        }
        _ => Verdict::Bad,
    }
}

/// The engine says `0001-01-01T00:00:00Z` for never.
fn moment(text: &str) -> Option<SystemTime> {
    if text.starts_with("0001-") { None } else { humantime::parse_rfc3339(text).ok() }
}

fn endpoints(
    container: &ContainerInspectResponse,
    host: Option<&str>,
    ports: &BTreeMap<String, u16>,
) -> Vec<Endpoint> {
    let Some(host) = host else { return Vec::new() };
    let check = container.config.as_ref().and_then(|config| config.healthcheck.as_ref());
    let check = check.and_then(|check| check.test.as_ref()).map(|test| test.join(" "));
    let ends = ports.iter().map(|(inner, port)| Endpoint {
        host: host.to_owned(),
        port: *port,
        inner: inner.clone(),
        scheme: scheme(inner, check.as_deref().unwrap_or_default()),
    });
    ends.collect()
}

/// What is spoken at a port: what its health check speaks, or what is usual there.
fn scheme(inner: &str, check: &str) -> Option<String> {
    let number = inner.strip_suffix("/tcp")?;
    for scheme in ["http", "https"] {
        for host in ["localhost", "127.0.0.1"] {
            let asked = format!("{scheme}://{host}:{number}");
            let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_digit());
            if check.split_once(&asked).is_some_and(|(_, rest)| ends(rest)) {
                return Some(scheme.to_owned());
            }
        }
    }
    let number: u16 = number.parse().ok()?;
    let known = WELL_KNOWN.iter().find(|(port, _)| *port == number)?;
    Some(known.1.to_owned())
}

/// The container's own state and health, then whether each published port leads anywhere.
pub(super) async fn probe(engine: &Engine, object: &Object) -> Vec<Probe> {
    let begun = Instant::now();
    let found = find(engine, object).await;
    let took = begun.elapsed();
    let own = |verdict, detail| Probe { what: "container".to_owned(), verdict, detail, took };
    let container = match found {
        Ok(Some(container)) => container,
        Ok(None) => return vec![own(Verdict::Bad, "it is gone".to_owned())],
        Err(error) => return vec![own(Verdict::Bad, error.message)],
    };
    let now = container.state.clone().unwrap_or_default();
    let verdict = verdict(&object.spec, &now);
    let mut probes = vec![own(verdict, own_words(&now, verdict))];
    if now.running.unwrap_or(false) {
        let facts = facts(engine, &container, None);
        let ends = endpoints(&container, facts.host_ip.as_deref(), &facts.host_ports);
        let tcp = ends.iter().filter(|end| end.inner.ends_with("/tcp"));
        probes.extend(join_all(tcp.map(port)).await);
    }
    probes
}

/// State and health, and what a failing health check printed last.
fn own_words(now: &ContainerState, verdict: Verdict) -> String {
    let word = match verdict {
        Verdict::Off => format!("stopped on purpose, {}", state(now)),
        _ => state(now),
    };
    let Some(health) = &now.health else { return word };
    let status = health
        .status
        .filter(|status| !matches!(status, HealthStatusEnum::NONE | HealthStatusEnum::EMPTY));
    let Some(status) = status.filter(|_| now.running.unwrap_or(false)) else { return word };
    let last = health.log.as_ref().and_then(|checks| checks.last());
    let output = last.and_then(|check| check.output.as_deref()).unwrap_or_default();
    let line = output.lines().map(str::trim).rfind(|line| !line.is_empty());
    match line.filter(|_| status != HealthStatusEnum::HEALTHY) {
        Some(line) => format!("{word}, {status}: {line}"),
        None => format!("{word}, {status}"),
    }
}

async fn port(end: &Endpoint) -> Probe {
    let begun = Instant::now();
    let place = if end.host.contains(':') {
        format!("[{}]:{}", end.host, end.port)
    } else {
        format!("{}:{}", end.host, end.port)
    };
    let (verdict, detail) = match connect(&place).await {
        Err(why) => (Verdict::Bad, why),
        Ok(mut stream) => {
            let mut first = [0];
            match tokio::time::timeout(HANGS_UP, stream.read(&mut first)).await {
                Ok(Ok(0) | Err(_)) => {
                    let why = format!("hangs up: nothing listens at {} inside", end.inner);
                    (Verdict::Bad, why)
                }
                _ => (Verdict::Good, format!("leads to {}", end.inner)),
            }
        }
    };
    Probe { what: format!("tcp {place}"), verdict, detail, took: begun.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_speaks_what_its_health_check_speaks() {
        let scheme = |inner, check| scheme(inner, check);
        let wget = "CMD-SHELL wget -q -O /dev/null 'http://127.0.0.1:3000/health'";
        assert_eq!(scheme("3000/tcp", wget).as_deref(), Some("http"));
        assert_eq!(scheme("300/tcp", wget), None);
        assert_eq!(scheme("5432/tcp", "pg_isready").as_deref(), Some("postgres"));
        assert_eq!(scheme("53/udp", ""), None);
    }

    #[test]
    fn what_was_never_is_no_moment() {
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert!(moment("2026-11-25T15:46:13.123456789Z").is_some());
    }
}
