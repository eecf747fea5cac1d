//! How addresses are given out in a network, in Compose's form: for what `subnet`, `gateway`,
//! `ip_range` and `ipv6_subnet` do not say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{Ipam as ApiIpam, IpamConfig};
use dollop_engine::resource::Problem;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::Pairs;
use super::network::NetworkSpec;
use super::subnets;

/// What the engine calls the driver when nobody names one.
const DEFAULT: &str = "default";

/// How addresses are given out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ipam {
    /// What gives them out: a plugin; the engine itself when left out.
    pub driver: Option<String>,
    /// Options of that.
    pub options: Pairs,
    /// The ranges. A `bridge` takes one of each IP version; `macvlan`, `ipvlan` and
    /// `overlay` several.
    pub config: Vec<Pool>,
}

/// One range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The range, `10.20.0.0/24` or `fd00:20::/64`.
    pub subnet: String,
    /// The engine's own address in it; the first one when left out.
    #[serde(default)]
    pub gateway: Option<String>,
    /// The part of it that containers get addresses from; all of it when left out.
    #[serde(default)]
    pub ip_range: Option<String>,
    /// Addresses that others have and no container gets, `#{ printer: "10.20.0.9" }`.
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, String>,
}

impl Pool {
    fn is_v6(&self) -> bool {
        self.subnet.contains(':')
    }

    /// Whether it says more than which range it is.
    fn says_more(&self) -> bool {
        self.gateway.is_some() || self.ip_range.is_some() || !self.aux_addresses.is_empty()
    }

    fn normalize(&mut self) {
        self.subnet = subnets::plain(&self.subnet);
        for text in [&mut self.gateway, &mut self.ip_range].into_iter().flatten() {
            *text = subnets::plain(text);
        }
        for text in self.aux_addresses.values_mut() {
            *text = subnets::plain(text);
        }
    }

    fn request(&self) -> IpamConfig {
        let reserved = self.aux_addresses.clone().into_iter().collect::<HashMap<_, _>>();
        IpamConfig {
            subnet: Some(self.subnet.clone()),
            gateway: self.gateway.clone(),
            ip_range: self.ip_range.clone(),
            auxiliary_addresses: (!reserved.is_empty()).then_some(reserved),
        }
    }

    /// A range as it is; what the engine chose by itself in one that was asked for is a fact.
    fn observed(real: &IpamConfig, asked: Option<&Self>) -> Self {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let gateway = asked.is_none_or(|asked| asked.gateway.is_some());
        let mut found = Self {
            subnet: real.subnet.clone().unwrap_or_default(),
            gateway: given(&real.gateway).filter(|_| gateway),
            ip_range: given(&real.ip_range),
            aux_addresses: real.auxiliary_addresses.clone().into_iter().flatten().collect(),
        };
        found.normalize();
        found
    }
}

/// Says what can be said so with `subnet` and its like: equal forms are one.
pub(super) fn normalize(spec: &mut NetworkSpec) {
    let Some(mut ipam) = spec.ipam.take() else { return };
    ipam.driver = ipam.driver.filter(|driver| !driver.is_empty() && driver != DEFAULT);
    for pool in &mut ipam.config {
        pool.normalize();
    }
    // The order stays: what asks for no range in particular gets the first one.
    let mut seen = BTreeSet::new();
    ipam.config.retain(|pool| seen.insert(pool.clone()));
    if ipam == Ipam::default() {
        return;
    }
    let (v6, v4): (Vec<_>, Vec<_>) = ipam.config.iter().partition(|pool| pool.is_v6());
    let plain = ipam.driver.is_none() && ipam.options.0.is_empty();
    let free = !is_flat(spec);
    let few = v4.len() <= 1 && v6.len() <= 1;
    let simple = v4.iter().all(|pool| pool.aux_addresses.is_empty())
        && !v6.iter().any(|pool| pool.says_more());
    if plain && free && few && simple {
        if let Some(pool) = v4.first() {
            spec.subnet = Some(pool.subnet.clone());
            spec.gateway.clone_from(&pool.gateway);
            spec.ip_range.clone_from(&pool.ip_range);
        }
        spec.ipv6_subnet = v6.first().map(|pool| pool.subnet.clone());
        return;
    }
    spec.ipam = Some(ipam);
}

/// Whether a range is given by the short attributes.
fn is_flat(spec: &NetworkSpec) -> bool {
    [&spec.subnet, &spec.gateway, &spec.ip_range, &spec.ipv6_subnet].iter().any(|o| o.is_some())
}

/// What cannot be, of a spec in normal form.
pub(super) fn check(spec: &NetworkSpec) -> Vec<Problem> {
    let Some(ipam) = &spec.ipam else { return Vec::new() };
    let mut problems = Vec::new();
    let mut problem = |message: String, hint: Option<&str>| {
        let (attribute, hint) = ("ipam".to_owned(), hint.map(str::to_owned));
        problems.push(Problem { attribute, message, hint });
    };
    if is_flat(spec) && !ipam.config.is_empty() {
        let message = "`config` says which ranges it has, and `subnet` or its like does too";
        problem(message.to_owned(), Some("leave out one of the two"));
    }
    let (v6, v4): (Vec<_>, Vec<_>) = ipam.config.iter().partition(|pool| pool.is_v6());
    if spec.driver == "bridge" && (v4.len() > 1 || v6.len() > 1) {
        let message = "a `bridge` has one range of each IP version".to_owned();
        problem(message, Some("`macvlan`, `ipvlan` and `overlay` take several"));
    }
    if let Some(pool) = v6.first().filter(|_| !spec.ipv6) {
        let message = format!("`{}` is for IPv6, which is off", pool.subnet);
        problem(message, Some("say `ipv6: true` too"));
    }
    for pool in &ipam.config {
        let Some(range) = subnets::range(&mut problems, "ipam", Some(pool.subnet.as_str()))
        else {
            continue;
        };
        subnets::within(&mut problems, "ipam", range, pool.gateway.as_deref());
        let part = subnets::range(&mut problems, "ipam", pool.ip_range.as_deref());
        problems.extend(subnets::no_part(range, part, "ipam"));
        for address in pool.aux_addresses.values() {
            subnets::within(&mut problems, "ipam", range, Some(address));
        }
    }
    problems
}

/// The ranges it asks for, and where.
pub(super) fn ranges(spec: &NetworkSpec) -> Vec<(usize, IpNet)> {
    let pools = spec.ipam.iter().flat_map(|ipam| &ipam.config).enumerate();
    pools.filter_map(|(index, pool)| Some((index, pool.subnet.parse().ok()?))).collect()
}

impl Ipam {
    /// What the engine is told.
    pub(super) fn request(&self) -> ApiIpam {
        let pools: Vec<_> = self.config.iter().map(Pool::request).collect();
        ApiIpam {
            driver: self.driver.clone(),
            options: self.options.requested(),
            config: (!pools.is_empty()).then_some(pools),
        }
    }

    /// What the engine reports. What it chose by itself is no part of it: of an IP version
    /// nobody gave a range for, it chose one.
    pub(super) fn observed(real: Option<&ApiIpam>, asked: Option<&Self>) -> Option<Self> {
        let (no_ipam, nothing) = (ApiIpam::default(), Self::default());
        let (real, asked) = (real.unwrap_or(&no_ipam), asked.unwrap_or(&nothing));
        let chosen = |pool: &IpamConfig| {
            let is_v6 = pool.subnet.as_deref().is_some_and(|subnet| subnet.contains(':'));
            let reserves = pool.auxiliary_addresses.as_ref().is_some_and(|all| !all.is_empty());
            !reserves && !asked.config.iter().any(|pool| pool.is_v6() == is_v6)
        };
        let pools = real.config.iter().flatten().filter(|pool| !chosen(pool));
        let mut config: Vec<_> = pools
            .map(|pool| {
                let mut all = asked.config.iter();
                let subnet = pool.subnet.as_deref().map(subnets::plain);
                let same = all.find(|asked| Some(&asked.subnet) == subnet.as_ref());
                Pool::observed(pool, same)
            })
            .collect();
        // As they were asked for; what nobody asked for comes last.
        let place = |found: &Pool| {
            let mut all = asked.config.iter();
            all.position(|asked| asked.subnet == found.subnet).unwrap_or(usize::MAX)
        };
        config.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
        let driver = real.driver.clone().filter(|driver| driver != DEFAULT);
        let options = Pairs::observed(real.options.iter().flatten());
        Some(Self { driver, options, config }).filter(|found| *found != Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dollop_engine::resource::Resource as _;
    use serde_json::{Value, from_value, json};

    use super::super::network::Network;

    fn network(attributes: Value) -> NetworkSpec {
        let mut spec: NetworkSpec = from_value(attributes).unwrap();
        Network::normalize(&mut spec);
        spec
    }

    #[test]
    fn what_the_short_attributes_say_is_said_by_them() {
        let long = network(json!({ "ipv6": true, "ipam": { "driver": "default", "config": [
            { "subnet": "fd00:20::/64" },
            { "subnet": "10.20.0.0/24", "gateway": "10.20.0.9", "ip_range": "10.20.0.128/25" },
        ] } }));
        let short = network(json!({ "ipv6": true, "ipv6_subnet": "fd00:20::/64",
            "subnet": "10.20.0.0/24", "gateway": "10.20.0.9", "ip_range": "10.20.0.128/25" }));
        assert_eq!(long, short);
        assert_eq!(network(json!({ "ipam": {} })), network(json!({})));
    }

    #[test]
    fn ranges_keep_their_order_and_one_form() {
        let asked = network(json!({ "driver": "macvlan", "ipv6": true, "ipam": { "config": [
            { "subnet": "10.20.0.0/24" }, { "subnet": "10.10.0.0/24" },
            { "subnet": "FD00:20:0::/64", "gateway": "fd00:20::0:1" },
            { "subnet": "10.20.0.0/24" },
        ] } }));
        let ipam = asked.ipam.unwrap();
        let ranges: Vec<_> = ipam.config.iter().map(|pool| pool.subnet.as_str()).collect();
        assert_eq!(ranges, ["10.20.0.0/24", "10.10.0.0/24", "fd00:20::/64"]);
        assert_eq!(ipam.config[2].gateway.as_deref(), Some("fd00:20::1"));
        let mut real = ipam.request();
        real.config.as_mut().unwrap().reverse();
        assert_eq!(Ipam::observed(Some(&real), Some(&ipam)), Some(ipam.clone()));
        let other = IpamConfig { subnet: Some("10.1.0.0/16".to_owned()), ..Default::default() };
        real.config.as_mut().unwrap().insert(0, other);
        let found = Ipam::observed(Some(&real), Some(&ipam)).unwrap();
        assert_eq!(found.config[3].subnet, "10.1.0.0/16");
    }

    #[test]
    fn what_a_range_cannot_be_is_said() {
        for (attributes, says) in [
            (
                json!({ "subnet": "10.1.0.0/16", "ipam": { "config": [
                { "subnet": "10.2.0.0/16" }] } }),
                "or its like does too",
            ),
            (
                json!({ "ipam": { "config": [{ "subnet": "10.1.0.0/16" },
                { "subnet": "10.2.0.0/16" }] } }),
                "one range of each IP version",
            ),
            (
                json!({ "ipam": { "config": [{ "subnet": "fd00::/64", "gateway": "fd00::9" }] } }),
                "IPv6, which is off",
            ),
            (json!({ "ipv6_subnet": "fd00::/64" }), "IPv6, which is off"),
            (
                json!({ "ipam": { "config": [{ "subnet": "fd00::/64" }] } }),
                "IPv6, which is off",
            ),
            (
                json!({ "ipam": { "config": [{ "subnet": "10.1.0.0/16",
                "aux_addresses": { "x": "10.2.0.5" } }] } }),
                "`10.2.0.5` is not in",
            ),
            (
                json!({ "ipam": { "config": [{ "subnet": "10.1.0.0/16", "ip_range": "10.2.0.0/24",
                "aux_addresses": { "x": "10.1.0.5" } }] } }),
                "is not a part of",
            ),
        ] {
            let problems = Network::check(&network(attributes));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(says), "{problems:?}");
        }
    }

    #[test]
    fn what_the_engine_chose_is_no_difference() {
        let asked = network(json!({ "ipam": { "config": [{ "subnet": "10.1.0.0/16",
            "aux_addresses": { "x": "10.1.0.5" } }] } }));
        let ipam = asked.ipam.unwrap();
        let mut real = ipam.request();
        real.driver = Some(DEFAULT.to_owned());
        let pools = real.config.as_mut().unwrap();
        pools[0].gateway = Some("10.1.0.1".to_owned());
        pools.push(IpamConfig { subnet: Some("fd00::/64".to_owned()), ..Default::default() });
        assert_eq!(Ipam::observed(Some(&real), Some(&ipam)), Some(ipam.clone()));
        assert!(Ipam::observed(Some(&real), None).is_some_and(|found| found.config.len() == 1));
        real.config.as_mut().unwrap()[0].auxiliary_addresses = None;
        assert_ne!(Ipam::observed(Some(&real), Some(&ipam)), Some(ipam));
        assert_eq!(Ipam::observed(Some(&real), None), None);
    }
}
