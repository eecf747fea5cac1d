//! What an engine is too old for or its machine cannot do, and would leave out or change without
//! a word.

use dollop_engine::error::CallError;

use super::super::engine::{Engine, Machine};
use super::spec::ContainerSpec;
use super::units::MemorySwap;

/// The version of the API since which settings of one interface belong to its network.
const OF_ENDPOINTS: usize = 46;

/// Refuses what is not supported of a container that is about to be made.
pub(super) fn all(
    engine: &Engine,
    machine: &Machine,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    if !spec.annotations.0.is_empty() {
        engine.needs(43, "`annotations`").map_err(|error| error.about("annotations"))?;
    }
    if spec.devices.any_cdi() {
        let what = "a device that a driver describes";
        engine.needs(44, what).map_err(|error| error.about("devices"))?;
    }
    if let Some((what, minor)) = spec.volumes.needs() {
        engine.needs(minor, what).map_err(|error| error.about("volumes"))?;
    }
    if engine.has(OF_ENDPOINTS)
        && let Some(key) = spec.sysctls.0.keys().find(|key| is_of_interface(key))
    {
        let message = format!("the engine takes no `{key}` for a whole container");
        return Err(CallError::refused(message).about("sysctls").hint(
            "an interface belongs to a network: `networks: #{ NAME: #{ driver_opts: \
             #{ \"com.docker.network.endpoint.sysctls\": \"net.ipv4.conf.IFNAME.rp_filter=0\" } } }`",
        ));
    }
    in_place(engine, machine, None, spec)
}

/// The same of what changes in place: how it is in its networks, and its limits. What it has
/// already it can have.
pub(super) fn in_place(
    engine: &Engine,
    machine: &Machine,
    from: Option<&ContainerSpec>,
    spec: &ContainerSpec,
) -> Result<(), CallError> {
    for endpoint in spec.networks.0.values() {
        if endpoint.mac_address.is_some() {
            let needed = engine.needs(44, "`mac_address` in a network");
            needed.map_err(|error| error.about("networks"))?;
        }
        if endpoint.gw_priority != 0 {
            let needed = engine.needs(48, "`gw_priority` of a network");
            needed.map_err(|error| error.about("networks"))?;
        }
    }
    let is_new = from.is_none_or(|from| from.memswap_limit != spec.memswap_limit);
    let limits_swap = spec.memswap_limit.is_some_and(|limit| limit != MemorySwap(-1));
    if is_new && limits_swap && !machine.swap_limit {
        let message = "the machine of the engine cannot limit swap";
        return Err(CallError::refused(message).about("memswap_limit").hint(
            "leave it out, or turn on accounting of swap in its kernel: `swapaccount=1`",
        ));
    }
    Ok(())
}

/// Whether a setting is that of one interface, `net.ipv4.conf.eth0.rp_filter`.
fn is_of_interface(key: &str) -> bool {
    let interface = key.strip_prefix("net.").and_then(|rest| rest.split('.').nth(2));
    let number = interface.and_then(|name| name.strip_prefix("eth"));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_one_interface_are_known() {
        assert!(is_of_interface("net.ipv4.conf.eth0.rp_filter"));
        assert!(is_of_interface("net.ipv6.neigh.eth12.retrans_time_ms"));
        for key in ["net.ipv4.conf.all.rp_filter", "net.core.somaxconn", "kernel.shmmax"] {
            assert!(!is_of_interface(key), "{key}");
        }
    }
}
