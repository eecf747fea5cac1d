//! Networks.

use std::collections::{BTreeMap, HashMap, HashSet};

use bollard::models::{Ipam as ApiIpam, IpamConfig, Network as Listed, NetworkCreateRequest};
use dollop_engine::address::Address;
use dollop_engine::analysis::{Claim, Claimed};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::{self, Pairs};
use super::engine::{Engine, said};
use super::ipam::{self, Ipam};
use super::{departure, instead, labels, subnets};
use crate::text::Text;

/// Options newer engines add by themselves to every network.
const ADDED_BY_ENGINE: [&str; 2] =
    ["com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"];

/// Drivers that are a part of the engine.
const OF_THE_ENGINE: [&str; 4] = ["bridge", "macvlan", "ipvlan", "overlay"];
/// Options that name what only one network can have.
const ONLY_ONCE: [&str; 2] = ["com.docker.network.bridge.name", "parent"];

/// A network that containers join and find each other in by name.
///
/// Docker cannot change a network: every change makes a new one, and the containers in it
/// have to leave first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// What provides it: `bridge` on one machine; `macvlan`, `ipvlan`, `overlay` or a
    /// plugin where the engine has them.
    #[serde(default = "bridge")]
    #[schemars(extend("x-replace" = true))]
    pub driver: String,
    /// No way out: containers reach each other and nothing else.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub internal: bool,
    /// Whether containers may join that the driver does not manage itself (`overlay`).
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub attachable: bool,
    /// Whether containers get IPv6 addresses too. Engines before 27 need `ipv6_subnet`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ipv6: bool,
    /// The IPv4 range, `10.20.0.0/24`; the engine chooses one when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub subnet: Option<String>,
    /// The engine's own address in `subnet`, `10.20.0.1`; the first one when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub gateway: Option<String>,
    /// The part of `subnet` that containers get addresses from, `10.20.0.128/25`; all of
    /// it when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ip_range: Option<String>,
    /// The IPv6 range, `fd00:20::/64`; used while `ipv6` is on.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ipv6_subnet: Option<String>,
    /// How addresses are given out, where `subnet` and its like do not say it: several ranges,
    /// `#{ config: [#{ subnet: "10.20.0.0/24", aux_addresses: #{ printer: "10.20.0.9" } }] }`,
    /// or a driver for it.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub ipam: Option<Ipam>,
    /// Options of the driver, `#{ "com.docker.network.driver.mtu": 1400 }`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub options: BTreeMap<String, Text>,
    /// Labels, beside dollop's own marks.
    #[serde(default, deserialize_with = "container::labels")]
    #[schemars(extend("x-replace" = true))]
    pub labels: Pairs,
}

fn bridge() -> String {
    "bridge".to_owned()
}

/// What the engine reports about a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkFacts {
    /// The engine's id of it.
    #[schemars(extend("x-stable" = true))]
    pub id: String,
    /// The IPv4 range it really has, also when the engine chose it.
    #[schemars(extend("x-stable" = true))]
    pub ipv4_subnet: Option<String>,
    /// The address of the engine in it, as far as the engine tells.
    #[schemars(extend("x-stable" = true))]
    pub ipv4_gateway: Option<String>,
}

/// `docker::network`; the API's `/networks`.
pub struct Network;

impl Resource for Network {
    const KIND: &'static str = "docker::network";
    type Connection = Engine;
    type Spec = NetworkSpec;
    type Facts = NetworkFacts;

    fn default_name(stack: &str, address: &Address) -> String {
        labels::default_name(stack, address)
    }

    fn check_named(natural: &str, _spec: &NetworkSpec) -> Vec<Problem> {
        labels::check_natural("network", natural).into_iter().collect()
    }

    fn normalize(spec: &mut NetworkSpec) {
        let texts =
            [&mut spec.subnet, &mut spec.gateway, &mut spec.ip_range, &mut spec.ipv6_subnet];
        for text in texts.into_iter().flatten() {
            *text = subnets::plain(text);
        }
        ipam::normalize(spec);
    }

    fn check(spec: &NetworkSpec) -> Vec<Problem> {
        let mut problems = labels::check(&spec.labels.0);
        let within_subnet = [("gateway", &spec.gateway), ("ip_range", &spec.ip_range)];
        for (attribute, value) in within_subnet {
            if value.is_some() && spec.subnet.is_none() {
                problems.push(Problem {
                    attribute: attribute.to_owned(),
                    message: format!("`{attribute}` means nothing without `subnet`"),
                    hint: Some("say which range it is in: `subnet: \"10.20.0.0/24\"`".into()),
                });
            }
        }
        problems.extend(subnets::check(spec));
        problems.extend(ipam::check(spec));
        problems
    }

    fn traits() -> Traits {
        Traits { for_others: true, instead: instead::NETWORK, ..Traits::default() }
    }

    fn claims(_: &Name, spec: &NetworkSpec) -> Vec<Claimed> {
        let ranges = [("subnet", &spec.subnet), ("ipv6_subnet", &spec.ipv6_subnet)];
        let ranges = ranges.into_iter().filter_map(|(attribute, range)| {
            let range = range.as_ref()?.parse().ok()?;
            Some(Claimed::new(Path::attribute(attribute), Claim::Subnet(range)))
        });
        let pools = ipam::ranges(spec).into_iter().map(|(index, range)| {
            let at = Path::attribute("ipam").key("config").index(index).key("subnet");
            Claimed::new(at, Claim::Subnet(range))
        });
        ranges.chain(pools).collect()
    }

    async fn read(engine: &Engine, wanted: &[Wanted<NetworkSpec>]) -> Vec<ReadResult<Self>> {
        let listed = engine.docker.list_networks(None).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                let error = engine.failed("listing networks", &error);
                return wanted.iter().map(|_| Err(error.clone())).collect();
            }
        };
        let by = |key: fn(&Listed) -> Option<&str>| -> HashMap<&str, &Listed> {
            listed.iter().filter_map(|one| Some((key(one)?, one))).collect()
        };
        let by_id = by(|one| one.id.as_deref());
        let by_name = by(|one| one.name.as_deref());
        let find = |wanted: &Wanted<NetworkSpec>| match &wanted.id {
            Some(id) => by_id.get(id.as_str()).copied(),
            None => by_name.get(wanted.name.natural.as_str()).copied(),
        };
        let own: HashSet<_> =
            wanted.iter().filter_map(|wanted| find(wanted)?.id.as_deref()).collect();
        let is_own =
            |network: &Listed| network.id.as_deref().is_some_and(|id| own.contains(id));
        wanted
            .iter()
            .map(|wanted| match find(wanted) {
                Some(network) => Ok(Some(observe(network, wanted))),
                // What was there and is gone is made again as it was.
                None if wanted.id.is_some() => Ok(None),
                None => match subnets::taken(&listed, &wanted.name.stack, &wanted.spec, is_own)
                {
                    Some(error) => Err(error),
                    None => Ok(None),
                },
            })
            .collect()
    }

    async fn prepare(
        engine: &Engine,
        name: &Name,
        spec: &NetworkSpec,
    ) -> Result<(), CallError> {
        let listed = engine.docker.list_networks(None).await;
        let listed = listed.map_err(|error| engine.failed("listing networks", &error))?;
        let replaced = |one: &Listed| one.name.as_deref() == Some(&name.natural);
        if let Some(error) = subnets::taken(&listed, &name.stack, spec, replaced) {
            return Err(error);
        }
        trial_removed(engine, name, &listed).await?;
        tried(engine, name, spec).await
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: NetworkSpec,
    ) -> Result<Created<NetworkFacts>, CallError> {
        labels::check_name("network", &name.natural)?;
        let doing = format!("creating network `{}`", name.natural);
        // The engine would make a second network of the same name.
        let listed = engine.docker.list_networks(None).await;
        let listed = listed.map_err(|error| engine.failed(&doing, &error))?;
        let taken = listed.iter().find(|one| one.name.as_deref() == Some(&name.natural));
        if let Some(taken) = taken {
            return Err(exists(name, taken.labels.as_ref()));
        }
        let request = request(name, &spec);
        let created = engine.docker.create_network(request).await;
        let created = created.map_err(|error| refused(engine, &doing, &spec, &error))?;
        let made = engine.docker.inspect_network(&created.id, None).await;
        let made = made.map_err(|error| engine.failed(&doing, &error))?;
        let facts = facts(&created.id, made.ipam.as_ref());
        Ok(Created { id: created.id, facts })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        id: &str,
        _from: NetworkSpec,
        _to: NetworkSpec,
    ) -> Result<NetworkFacts, CallError> {
        // Every attribute makes a new network, so there is nothing to change in place.
        let found = engine.docker.inspect_network(id, None).await;
        let doing = format!("reading network `{}`", name.natural);
        let found = found.map_err(|error| engine.failed(&doing, &error))?;
        Ok(facts(id, found.ipam.as_ref()))
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        id: &str,
        _spec: NetworkSpec,
    ) -> Result<(), CallError> {
        departure::remove(engine, name, id).await
    }
}

/// Makes one of that kind under another name and removes it: a driver or an option that the
/// engine does not take must not cost the network that works.
///
/// Ranges are left out, since the one that works has them, and so is what can be there only
/// once. Somebody else's driver may do more with a network than the engine's own, so that only
/// its absence counts.
async fn tried(engine: &Engine, name: &Name, spec: &NetworkSpec) -> Result<(), CallError> {
    let trial = Name { natural: format!("{}.dollop-trial", name.natural), ..name.clone() };
    let ranged = spec.ipv6_subnet.is_some() || spec.ipam.is_some();
    let plain = NetworkSpec {
        subnet: None,
        gateway: None,
        ip_range: None,
        ipv6_subnet: None,
        ipam: None,
        ipv6: spec.ipv6 && !ranged,
        options: {
            let options = spec.options.clone().into_iter();
            // Without its ranges it has no version of IP that one may be turned off beside.
            let left_out = |key: &str| {
                ONLY_ONCE.contains(&key) || (ranged && ADDED_BY_ENGINE.contains(&key))
            };
            options.filter(|(key, _)| !left_out(key)).collect()
        },
        ..spec.clone()
    };
    let doing = format!("trying network `{}` as declared", name.natural);
    let error = match engine.docker.create_network(request(&trial, &plain)).await {
        Ok(made) => {
            let removed = engine.docker.remove_network(&made.id).await;
            return removed.map_err(|error| engine.failed(&doing, &error));
        }
        Err(error) => error,
    };
    let says = said(&error);
    let absent = says.contains("could not find") || says.contains("not found");
    // There may be one more range when the other network is gone.
    let counts = (absent || OF_THE_ENGINE.contains(&spec.driver.as_str()))
        && !says.contains("address pool");
    if counts { Err(refused(engine, &doing, spec, &error)) } else { Ok(()) }
}

/// Removes a trial that a killed run left.
async fn trial_removed(
    engine: &Engine,
    name: &Name,
    listed: &[Listed],
) -> Result<(), CallError> {
    let trial = format!("{}.dollop-trial", name.natural);
    let left = listed.iter().filter(|one| one.name.as_deref() == Some(&trial));
    for one in left {
        let marks = one.labels.clone().unwrap_or_default();
        if labels::owner(&marks, name, false) == Owner::Ours
            && let Some(id) = &one.id
        {
            let removed = engine.docker.remove_network(id).await;
            removed.map_err(|error| engine.failed(&format!("removing `{trial}`"), &error))?;
        }
    }
    Ok(())
}

fn observe(network: &Listed, wanted: &Wanted<NetworkSpec>) -> Found<NetworkSpec, NetworkFacts> {
    let asked = &wanted.spec;
    // Nobody can change a network: what one that was made here has beside what was asked for,
    // the engine's configuration added (`default-network-opts`).
    let ranges = network.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or(&[]);
    let v4 = ranges.iter().find(|range| !is_v6(range));
    let v6 = ranges.iter().find(|range| is_v6(range));
    // What the engine chose by itself is a fact, not a difference.
    let when_asked = |asked: &Option<String>, real: Option<&String>| {
        asked.as_ref().and_then(|_| real.map(|text| subnets::plain(text)))
    };
    let spec = NetworkSpec {
        driver: network.driver.clone().unwrap_or_default(),
        internal: network.internal.unwrap_or(false),
        attachable: network.attachable.unwrap_or(false),
        ipv6: network.enable_ipv6.unwrap_or(false),
        subnet: when_asked(&asked.subnet, v4.and_then(|range| range.subnet.as_ref())),
        gateway: when_asked(&asked.gateway, v4.and_then(|range| range.gateway.as_ref())),
        ip_range: when_asked(&asked.ip_range, v4.and_then(|range| range.ip_range.as_ref())),
        ipv6_subnet: if network.enable_ipv6.unwrap_or(false) {
            when_asked(&asked.ipv6_subnet, v6.and_then(|range| range.subnet.as_ref()))
        } else {
            asked.ipv6_subnet.clone()
        },
        ipam: Ipam::observed(network.ipam.as_ref(), asked.ipam.as_ref()),
        options: network
            .options
            .iter()
            .flatten()
            .filter(|(key, _)| {
                let by_engine = wanted.id.is_some() || ADDED_BY_ENGINE.contains(&key.as_str());
                !by_engine || asked.options.contains_key(*key)
            })
            .map(|(key, value)| (key.clone(), Text(value.clone())))
            .collect(),
        labels: Pairs(labels::unmarked(network.labels.as_ref().unwrap_or(&HashMap::new()))),
    };
    let id = network.id.clone().unwrap_or_default();
    let none = HashMap::new();
    Found {
        facts: facts(&id, network.ipam.as_ref()),
        id,
        natural: network.name.clone().unwrap_or_default(),
        spec,
        owner: labels::owner(
            network.labels.as_ref().unwrap_or(&none),
            &wanted.name,
            wanted.id.is_some(),
        ),
    }
}

fn facts(id: &str, ipam: Option<&ApiIpam>) -> NetworkFacts {
    let ranges = ipam.and_then(|ipam| ipam.config.as_deref()).unwrap_or(&[]);
    let v4 = ranges.iter().find(|range| !is_v6(range));
    NetworkFacts {
        id: id.to_owned(),
        ipv4_subnet: v4.and_then(|range| range.subnet.clone()),
        ipv4_gateway: v4.and_then(|range| range.gateway.clone()),
    }
}

fn is_v6(range: &IpamConfig) -> bool {
    range.subnet.as_deref().is_some_and(|subnet| subnet.contains(':'))
}

fn request(name: &Name, spec: &NetworkSpec) -> NetworkCreateRequest {
    let mut ranges = Vec::new();
    if spec.subnet.is_some() {
        ranges.push(IpamConfig {
            subnet: spec.subnet.clone(),
            gateway: spec.gateway.clone(),
            ip_range: spec.ip_range.clone(),
            auxiliary_addresses: None,
        });
    }
    if spec.ipv6 && spec.ipv6_subnet.is_some() {
        ranges.push(IpamConfig { subnet: spec.ipv6_subnet.clone(), ..IpamConfig::default() });
    }
    let options = spec.options.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    NetworkCreateRequest {
        name: name.natural.clone(),
        driver: Some(spec.driver.clone()),
        internal: Some(spec.internal),
        attachable: Some(spec.attachable),
        enable_ipv6: Some(spec.ipv6),
        ipam: match &spec.ipam {
            Some(ipam) if ranges.is_empty() => Some(ipam.request()),
            Some(ipam) => Some(ApiIpam { config: Some(ranges), ..ipam.request() }),
            None => (!ranges.is_empty())
                .then(|| ApiIpam { config: Some(ranges), ..ApiIpam::default() }),
        },
        options: Some(options.collect()),
        labels: Some(labels::marked(name, &spec.labels.0)),
        ..NetworkCreateRequest::default()
    }
}

fn exists(name: &Name, labels: Option<&HashMap<String, String>>) -> CallError {
    let whose = labels::whose(labels.unwrap_or(&HashMap::new()));
    let message = format!("a network named `{}` exists already ({whose})", name.natural);
    CallError::new(Failure::Exists, message)
        .hint("give this one another `name`, or take it over with `adopt: true`")
}

fn refused(
    engine: &Engine,
    doing: &str,
    spec: &NetworkSpec,
    error: &bollard::errors::Error,
) -> CallError {
    let failed = engine.failed(doing, error);
    let said = said(error);
    if said.contains("IPv6 address pool") {
        return failed.hint("this engine chooses no IPv6 range by itself: set `ipv6_subnet`");
    }
    if said.contains("overlap") {
        let range = spec.subnet.as_deref().unwrap_or("the range");
        return failed.hint(format!(
            "another network uses `{range}` or a part of it: choose another `subnet`, or see \
             `docker network ls`"
        ));
    }
    if spec.driver != "bridge" && (said.contains("not supported") || said.contains("not found"))
    {
        return failed.hint(format!(
            "the engine has no driver `{}`; `bridge` is everywhere",
            spec.driver
        ));
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn options_an_engine_adds_by_its_configuration_are_no_difference() {
        let mtu = "com.docker.network.driver.mtu";
        let there: Listed =
            from_value(json!({ "Driver": "bridge", "Options": { mtu: "1400" } })).unwrap();
        let address = Address::new(Vec::new(), Network::KIND, vec!["net".to_owned()]);
        let name = Name { stack: "s".to_owned(), address, natural: "net".to_owned() };
        let options = |asked: serde_json::Value, id: Option<&str>| {
            let spec = from_value(json!({ "options": asked })).unwrap();
            let id = id.map(str::to_owned);
            observe(&there, &Wanted { id, name: name.clone(), spec, facts: None }).spec.options
        };
        assert!(options(json!({}), Some("1")).is_empty());
        assert_eq!(options(json!({ mtu: "1500" }), Some("1"))[mtu].0, "1400");
        // One that was not made here shows as it is.
        assert_eq!(options(json!({}), None)[mtu].0, "1400");
    }
}
