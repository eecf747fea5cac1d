//! Limits that change while a container runs.
//!
//! The engine reads 0 in an update as "leave it" and mostly refuses less, so a limit is taken
//! away by setting one that limits nothing, and read back as none.

use bollard::models::{ContainerUpdateBody, HostConfig};

use super::super::engine::Machine;
use super::create::restart_policy;
use super::spec::ContainerSpec;
use super::units::{Bytes, Cpus, MemorySwap};

/// The weight of a container nobody gave one.
const USUAL_SHARES: i64 = 1024;
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
    host.pids_limit = spec.pids_limit;
    host.restart_policy = Some(restart_policy(spec.restart));
}

/// The update request; nothing when no limit differs.
pub(super) fn update(
    from: &ContainerSpec,
    to: &ContainerSpec,
    machine: &Machine,
) -> Option<ContainerUpdateBody> {
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
    if from.cpus != to.cpus {
        body.nano_cpus = Some(to.cpus.map_or(machine.nano_cpus(), |cpus| cpus.0));
    }
    if from.cpuset != to.cpuset {
        body.cpuset_cpus = Some(to.cpuset.clone().unwrap_or_else(|| machine.cpuset()));
    }
    if from.cpu_shares != to.cpu_shares {
        body.cpu_shares = Some(to.cpu_shares.map_or(USUAL_SHARES, i64::from));
    }
    if from.pids_limit != to.pids_limit {
        body.pids_limit = Some(to.pids_limit.unwrap_or(-1));
    }
    if from.restart != to.restart {
        body.restart_policy = Some(restart_policy(to.restart));
    }
    (body != ContainerUpdateBody::default()).then_some(body)
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
        let limit = self.host.nano_cpus.filter(|limit| *limit > 0);
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

    pub(super) fn pids_limit(&self) -> Option<i64> {
        self.host.pids_limit.filter(|limit| *limit > 0)
    }
}
