//! What containers take of their machine.

use bollard::models::{ContainerInspectResponse, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::operate::{Object, Usage};
use futures::StreamExt as _;

use super::super::engine::Engine;
use super::find;

/// Two looks, since the use of processors is a difference.
pub(super) async fn usage(
    engine: &Engine,
    object: &Object,
) -> Result<Option<Usage>, CallError> {
    let Some(container) = find(engine, object).await? else { return Ok(None) };
    let runs = container.state.as_ref().and_then(|state| state.running).unwrap_or(false);
    if !runs {
        return Ok(None);
    }
    let id = container.id.clone().unwrap_or_default();
    let options = StatsOptionsBuilder::new().stream(true).build();
    let looks: Vec<_> = engine.docker.stats(&id, Some(options)).take(2).collect().await;
    let looks: Result<Vec<_>, _> = looks.into_iter().collect();
    let doing = format!("asking what `{}` uses", object.name.address);
    let looks = looks.map_err(|error| engine.failed(&doing, &error))?;
    let [first, second] = looks.as_slice() else { return Ok(None) };
    Ok(Some(between(first, second, &container)))
}

fn between(
    first: &ContainerStatsResponse,
    second: &ContainerStatsResponse,
    container: &ContainerInspectResponse,
) -> Usage {
    let memory = second.memory_stats.clone().unwrap_or_default();
    let details = memory.stats.unwrap_or_default();
    // Files kept in memory that nobody uses are given back when somebody needs the room;
    // control groups of versions 1 and 2 call them differently.
    let idle = details.get("total_inactive_file").or_else(|| details.get("inactive_file"));
    let networks = second.networks.clone().unwrap_or_default();
    let sum = |of: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        networks.values().filter_map(of).sum::<u64>()
    };
    let disk = second.blkio_stats.clone().unwrap_or_default();
    let disk = disk.io_service_bytes_recursive.unwrap_or_default();
    let moved = |way: &str| {
        let entries = disk
            .iter()
            .filter(|entry| entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(way)));
        entries.filter_map(|entry| entry.value).sum::<u64>()
    };
    let limits = container.host_config.clone().unwrap_or_default();
    let above_zero = |limit: Option<i64>| {
        limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
    };
    Usage {
        cpus: cpus(first, second),
        cpus_limit: cpus_limit(&limits),
        memory: memory.usage.unwrap_or(0).saturating_sub(idle.copied().unwrap_or(0)),
        memory_limit: above_zero(limits.memory),
        processes: second.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
        processes_limit: above_zero(limits.pids_limit),
        network: (sum(|one| one.rx_bytes), sum(|one| one.tx_bytes)),
        disk: (moved("read"), moved("write")),
    }
}

/// Nanoseconds of processors in a nanosecond of time.
#[expect(clippy::cast_precision_loss, reason = "a second has 10^9 nanoseconds")]
fn cpus(first: &ContainerStatsResponse, second: &ContainerStatsResponse) -> f64 {
    let used = |look: &ContainerStatsResponse| {
        look.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage
    };
    let when =
        |look: &ContainerStatsResponse| humantime::parse_rfc3339(look.read.as_deref()?).ok();
    let (Some(from), Some(to)) = (used(first), used(second)) else { return 0.0 };
    let span = when(first).zip(when(second));
    let span = span.and_then(|(first, second)| second.duration_since(first).ok());
    match span.map(|span| span.as_nanos()).filter(|nanos| *nanos > 0) {
        Some(nanos) => to.saturating_sub(from) as f64 / nanos as f64,
        None => 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
fn cpus_limit(limits: &bollard::models::HostConfig) -> Option<f64> {
    let given = |limit: Option<i64>| limit.filter(|limit| *limit > 0).map(|limit| limit as f64);
    if let Some(nanos) = given(limits.nano_cpus) {
        return Some(nanos / 1e9);
    }
    let quota = given(limits.cpu_quota)?;
    Some(quota / given(limits.cpu_period).unwrap_or(100_000.0))
}
