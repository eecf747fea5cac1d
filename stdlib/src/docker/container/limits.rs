//! Limits that change while a container runs.
//!
//! The engine reads 0 in an update as "leave it" and mostly refuses less, so a limit is taken
//! away by setting one that limits nothing, and read back as none.

use bollard::models::{ContainerUpdateBody, HostConfig};
use dollop_engine::error::CallError;

use super::super::engine::Machine;
use super::create::restart_policy;
use super::spec::ContainerSpec;
use super::units::{Bytes, Cpus, MemorySwap, Micros, Whole};

/// The weight of a container nobody gave one.
const USUAL_SHARES: i64 = 1024;
/// The period of quotas, in microseconds, where nobody gave one.
const USUAL_PERIOD: i64 = 100_000;
/// Billionths of a processor in a microsecond of quota in the usual period.
const NANOS_OF_QUOTA: i64 = 1_000_000_000 / USUAL_PERIOD;
/// "No limit", -1, does not reach the kernel with an update; this much does.
const UNLIMITED_SWAP: i64 = 1 << 60;

/// Adds the limits to what the engine is told when the container is made.
pub(super) fn request(spec: &ContainerSpec, host: &mut HostConfig) {
    host.memory = spec.mem_limit.map(|limit| limit.0);
    host.memory_reservation = spec.mem_reservation.map(|limit| limit.0);
    host.memory_swap = spec.memswap_limit.map(|limit| limit.0);
    host.nano_cpus = spec.cpus.map(|cpus| cpus.0);
    host.cpuset_cpus.clone_from(&spec.cpuset);
    host.cpu_shares = spec.cpu_shares.map(i64::from);
    host.cpu_period = spec.cpu_period.map(|period| period.0);
    host.cpu_quota = spec.cpu_quota.map(|quota| quota.0);
    host.pids_limit = spec.pids_limit.map(|limit| limit.0);
    host.restart_policy = Some(restart_policy(spec.restart));
}

/// The update request; nothing when no limit differs. `now` is what the engine holds.
pub(super) fn update(
    from: &ContainerSpec,
    to: &ContainerSpec,
    machine: &Machine,
    now: &HostConfig,
) -> Result<Option<ContainerUpdateBody>, CallError> {
    let mut body = ContainerUpdateBody::default();
    let memory = to.mem_limit.map_or(machine.memory, |limit| limit.0);
    if from.mem_limit != to.mem_limit || from.memswap_limit != to.memswap_limit {
        body.memory = Some(memory);
        // Twice the memory is the engine's default, which it works out only when a
        // container is made.
        body.memory_swap = Some(match to.memswap_limit {
            Some(MemorySwap(-1)) => UNLIMITED_SWAP,
            Some(MemorySwap(limit)) => limit,
            None => memory.saturating_mul(2),
        });
    }
    if from.mem_reservation != to.mem_reservation {
        body.memory_reservation = Some(to.mem_reservation.map_or(memory, |limit| limit.0));
    }
    processors(from, to, machine, now, &mut body)?;
    if from.cpuset != to.cpuset {
        body.cpuset_cpus = Some(to.cpuset.clone().unwrap_or_else(|| machine.cpuset()));
    }
    if from.cpu_shares != to.cpu_shares {
        body.cpu_shares = Some(to.cpu_shares.map_or(USUAL_SHARES, i64::from));
    }
    if from.pids_limit != to.pids_limit {
        body.pids_limit = Some(to.pids_limit.map_or(-1, |limit| limit.0));
    }
    if from.restart != to.restart {
        body.restart_policy = Some(restart_policy(to.restart));
    }
    Ok((body != ContainerUpdateBody::default()).then_some(body))
}

/// The share of processors, or the quota.
///
/// The engine keeps to the one of the two it was once told, and refuses the other from then
/// on; a share is a quota of its usual period, so either can be said by the other.
fn processors(
    from: &ContainerSpec,
    to: &ContainerSpec,
    machine: &Machine,
    now: &HostConfig,
    body: &mut ContainerUpdateBody,
) -> Result<(), CallError> {
    let same = from.cpus == to.cpus
        && from.cpu_period == to.cpu_period
        && from.cpu_quota == to.cpu_quota;
    if same {
        return Ok(());
    }
    let above_zero = |number: Option<i64>| number.is_some_and(|number| number > 0);
    let period = to.cpu_period.map_or(USUAL_PERIOD, |period| period.0);
    let has_quota = above_zero(now.cpu_period) || above_zero(now.cpu_quota);
    match (to.cpus, to.cpu_quota) {
        (None, _) if above_zero(now.nano_cpus) => {
            if period != USUAL_PERIOD {
                let message = "the engine keeps to `cpus` of a container that was made with it";
                return Err(CallError::refused(message).about("cpu_period").hint(
                    "leave `cpu_period` out, or make it anew: `--replace` with its address",
                ));
            }
            let share = to
                .cpu_quota
                .map_or(machine.nano_cpus(), |quota| quota.0.saturating_mul(NANOS_OF_QUOTA));
            body.nano_cpus = Some(share);
        }
        (Some(cpus), _) if has_quota => {
            body.cpu_period = Some(USUAL_PERIOD);
            body.cpu_quota = Some(cpus.0 / NANOS_OF_QUOTA);
        }
        (Some(cpus), _) => body.nano_cpus = Some(cpus.0),
        (None, quota) => {
            body.cpu_period = Some(period);
            body.cpu_quota = Some(quota.map_or(-1, |quota| quota.0));
        }
    }
    Ok(())
}

/// The limits of a container, without those that limit nothing and were not asked for.
pub(super) struct Limits<'a> {
    pub(super) host: &'a HostConfig,
    pub(super) asked: &'a ContainerSpec,
    pub(super) machine: &'a Machine,
}

impl Limits<'_> {
    pub(super) fn mem_limit(&self) -> Option<Bytes> {
        let limit = self.host.memory.filter(|limit| *limit > 0);
        limit
            .filter(|limit| self.asked.mem_limit.is_some() || *limit < self.machine.memory)
            .map(Bytes)
    }

    pub(super) fn mem_reservation(&self) -> Option<Bytes> {
        let all = self.host.memory.filter(|limit| *limit > 0).unwrap_or(self.machine.memory);
        let limit = self.host.memory_reservation.filter(|limit| *limit > 0);
        limit.filter(|limit| self.asked.mem_reservation.is_some() || *limit < all).map(Bytes)
    }

    pub(super) fn memswap_limit(&self) -> Option<MemorySwap> {
        let memory = self.host.memory.unwrap_or(0);
        let limit = self.host.memory_swap.filter(|limit| *limit != 0)?;
        let limit = if limit >= UNLIMITED_SWAP { -1 } else { limit };
        let by_itself = limit == memory.saturating_mul(2)
            || (limit == -1 && (memory == 0 || !self.machine.swap_limit));
        (self.asked.memswap_limit.is_some() || !by_itself).then_some(MemorySwap(limit))
    }

    pub(super) fn cpus(&self) -> Option<Cpus> {
        let limit = match (self.asked.cpus, self.asked.cpu_quota) {
            // It was a quota when it was made, and the engine keeps to that.
            (Some(_), _) => self.share(),
            (None, Some(_)) => None,
            (None, None) => self.host.nano_cpus.filter(|limit| *limit > 0),
        };
        limit
            .filter(|limit| self.asked.cpus.is_some() || *limit < self.machine.nano_cpus())
            .map(Cpus)
    }

    pub(super) fn cpuset(&self) -> Option<String> {
        let set = self.host.cpuset_cpus.clone().filter(|set| !set.is_empty());
        set.filter(|set| self.asked.cpuset.is_some() || *set != self.machine.cpuset())
    }

    pub(super) fn cpu_shares(&self) -> Option<u32> {
        let shares = self.host.cpu_shares.filter(|shares| *shares > 0);
        shares
            .filter(|shares| self.asked.cpu_shares.is_some() || *shares != USUAL_SHARES)
            .and_then(|shares| u32::try_from(shares).ok())
    }

    pub(super) fn cpu_period(&self) -> Option<Micros> {
        let asked = self.asked.cpu_period;
        let period = self.host.cpu_period.filter(|period| *period > 0).map(Micros);
        if self.by_share() && self.asked.cpu_quota.is_some() {
            return asked.filter(|period| period.0 == USUAL_PERIOD);
        }
        period.filter(|period| asked.is_some() || period.0 != USUAL_PERIOD)
    }

    pub(super) fn cpu_quota(&self) -> Option<Micros> {
        if self.by_share() && self.asked.cpu_quota.is_some() {
            return self.share().map(|share| Micros(share / NANOS_OF_QUOTA));
        }
        let by_quota = self.asked.cpus.is_some() && self.asked.cpu_quota.is_none();
        self.host.cpu_quota.filter(|quota| *quota > 0 && !by_quota).map(Micros)
    }

    /// Whether the engine holds the share of processors as such, not as a quota.
    fn by_share(&self) -> bool {
        self.host.nano_cpus.is_some_and(|share| share > 0)
    }

    /// The share of processors, in billionths.
    fn share(&self) -> Option<i64> {
        if let Some(share) = self.host.nano_cpus.filter(|share| *share > 0) {
            return Some(share);
        }
        let quota = self.host.cpu_quota.filter(|quota| *quota > 0)?;
        let period = self.host.cpu_period.filter(|period| *period > 0);
        Some(quota.saturating_mul(1_000_000_000) / period.unwrap_or(USUAL_PERIOD))
    }

    pub(super) fn pids_limit(&self) -> Option<Whole> {
        self.host.pids_limit.filter(|limit| *limit > 0).map(Whole)
    }
}
