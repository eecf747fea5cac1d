//! The networks a container is in.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bollard::models::{EndpointIpamConfig, EndpointSettings};
use dollop_engine::resource::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::pairs::Pairs;
use super::rules;
use super::units::written_as_text;

/// Networks by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Networks(pub BTreeMap<String, Endpoint>);

/// How a container is in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// Names it is found by, beside its own short name.
    pub aliases: Vec<String>,
    /// A fixed address, for networks with a `subnet`.
    pub ipv4_address: Option<Address>,
    /// A fixed IPv6 address, for networks with an `ipv6_subnet`.
    pub ipv6_address: Option<Address>,
    /// More addresses of its own, seen only on the same link.
    pub link_local_ips: Vec<Address>,
    /// A fixed hardware address. Engines since 25.0.
    #[serde(deserialize_with = "rules::hardware_address")]
    pub mac_address: Option<String>,
    /// Options of the network's driver for this container.
    pub driver_opts: Pairs,
    /// Of several networks, the one with the highest is the way out. Engines since 28.0.
    pub gw_priority: i64,
}

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub IpAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse().map(Self);
        address.map_err(|_| format!("`{text}` is no address; one looks like `10.20.0.5`"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

written_as_text!(Address, "string");

/// Who a container is, for telling what it gets in a network by itself.
pub(super) struct Identity<'a> {
    /// The engine's id.
    pub(super) id: &'a str,
    /// Its name on the engine.
    pub(super) natural: &'a str,
    /// What the script calls it: its alias everywhere.
    pub(super) short: &'a str,
}

/// The network of containers that are in no other, unless the engine has none.
pub(crate) const BRIDGE: &str = "bridge";
/// What stands for no network at all.
pub(super) const NONE: &str = "none";

/// Whether a container is in no network.
pub(super) fn unplugged(endpoints: &HashMap<String, EndpointSettings>) -> bool {
    endpoints.keys().all(|network| network == NONE)
}

/// Networks that cannot have names in them.
pub(super) fn is_predefined(network: &str) -> bool {
    matches!(network, "bridge" | "host" | "none")
}

impl Networks {
    /// One order and no duplicates.
    pub(crate) fn normalize(&mut self) {
        for endpoint in self.0.values_mut() {
            endpoint.aliases.sort();
            endpoint.aliases.dedup();
            endpoint.link_local_ips.sort();
            endpoint.link_local_ips.dedup();
            let mac = endpoint.mac_address.take().filter(|mac| !mac.is_empty());
            endpoint.mac_address = mac.map(|mac| mac.to_ascii_lowercase().replace('-', ":"));
        }
    }

    /// Adds a name it is found by in all of them.
    pub(super) fn found_as(&mut self, alias: &str) {
        for (network, endpoint) in &mut self.0 {
            if !is_predefined(network) {
                endpoint.aliases.push(alias.to_owned());
            }
        }
    }

    /// Whether it is found by a name in all of them.
    pub(super) fn is_found_as(&self, alias: &str) -> bool {
        let mut own = self.0.iter().filter(|(network, _)| !is_predefined(network));
        own.all(|(_, endpoint)| endpoint.aliases.iter().any(|name| name == alias))
    }

    /// What the container is in, read back.
    ///
    /// A network it was asked to join and in which it cannot be found by its short name counts
    /// as one it is not in: then the plan joins it again, properly. One nobody asked for shows,
    /// under whatever names somebody connected it by hand. `bridged` is whether the engine has
    /// a network for containers that are in no other.
    pub(super) fn observed(
        endpoints: &HashMap<String, EndpointSettings>,
        who: &Identity<'_>,
        wanted: &Self,
        bridged: bool,
    ) -> Self {
        let mut found = BTreeMap::new();
        for (network, settings) in endpoints {
            let asked = wanted.0.get(network);
            // The default network is where it is without any of its own.
            let default = network == BRIDGE && wanted.0.is_empty();
            if default || matches!(network.as_str(), "host" | NONE) && asked.is_none() {
                continue;
            }
            let aliases = settings.aliases.clone().unwrap_or_default();
            let by_name = aliases.iter().any(|alias| alias == who.short);
            if asked.is_some() && !is_predefined(network) && !by_name {
                continue;
            }
            // Older engines add the first twelve letters of the id.
            let by_itself = |alias: &str| {
                alias == who.short || alias == who.natural || who.id.get(..12) == Some(alias)
            };
            let written =
                |alias: &String| asked.is_some_and(|asked| asked.aliases.contains(alias));
            let aliases = aliases
                .into_iter()
                .filter(|alias| !by_itself(alias) || written(alias))
                .collect();
            let fixed = settings.ipam_config.clone().unwrap_or_default();
            let address = |text: Option<String>| text.and_then(|text| text.parse().ok());
            let link_local = fixed.link_local_ips.into_iter().flatten();
            // Every container has a hardware address; whether it was asked for, the engine
            // does not tell.
            let mac_address = asked
                .and_then(|asked| asked.mac_address.as_ref())
                .and(settings.mac_address.clone());
            let endpoint = Endpoint {
                aliases,
                ipv4_address: address(fixed.ipv4_address),
                ipv6_address: address(fixed.ipv6_address),
                link_local_ips: link_local.filter_map(|ip| ip.parse().ok()).collect(),
                mac_address,
                driver_opts: Pairs::observed(settings.driver_opts.iter().flatten()),
                gw_priority: settings.gw_priority.unwrap_or(0),
            };
            found.insert(network.clone(), endpoint);
        }
        let mut found = Self(found);
        // Without networks it is in the default one, unless it was taken out by hand.
        if bridged && unplugged(endpoints) && wanted.0.is_empty() {
            found.0.insert(NONE.to_owned(), Endpoint::default());
        }
        found.normalize();
        found
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let reserved = self.0.keys().find(|name| matches!(name.as_str(), "host" | NONE));
        let reserved = reserved.map(|name| Problem {
            attribute: "networks".to_owned(),
            message: format!("`{name}` is no network a container can join"),
            hint: Some(format!("say `network_mode: \"{name}\"` instead")),
        });
        let bridge = self.0.get(BRIDGE).filter(|endpoint| **endpoint != Endpoint::default());
        let bridge = bridge.map(|_| Problem {
            attribute: "networks".to_owned(),
            message: "the default network `bridge` has no aliases and no fixed addresses"
                .into(),
            hint: Some("declare a `docker::network` and join that".to_owned()),
        });
        reserved.into_iter().chain(bridge).collect()
    }
}

impl Endpoint {
    /// What the engine is told.
    pub(super) fn settings(&self, network: &str, short: &str) -> EndpointSettings {
        if is_predefined(network) {
            return EndpointSettings::default();
        }
        let mut aliases = self.aliases.clone();
        if !aliases.iter().any(|alias| alias == short) {
            aliases.push(short.to_owned());
        }
        let text = |address: Option<Address>| address.map(|address| address.to_string());
        let fixed = EndpointIpamConfig {
            ipv4_address: text(self.ipv4_address),
            ipv6_address: text(self.ipv6_address),
            link_local_ips: (!self.link_local_ips.is_empty())
                .then(|| self.link_local_ips.iter().map(Address::to_string).collect()),
        };
        EndpointSettings {
            aliases: Some(aliases),
            ipam_config: (fixed != EndpointIpamConfig::default()).then_some(fixed),
            mac_address: self.mac_address.clone(),
            driver_opts: self.driver_opts.requested(),
            gw_priority: Some(self.gw_priority).filter(|priority| *priority != 0),
            ..EndpointSettings::default()
        }
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrMap)
    }
}

/// An item of a list: a network, or one with how the container is in it.
struct Member {
    network: String,
    endpoint: Endpoint,
}

/// A network with how the container is in it.
#[derive(Deserialize, JsonSchema)]
struct Long {
    /// A `docker::network`, or the real name of one.
    network: String,
    #[serde(flatten)]
    endpoint: Endpoint,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrLong;
        impl<'de> de::Visitor<'de> for NameOrLong {
            type Value = Member;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a network, or `#{ network: net, aliases: [..] }`")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(Member { network: name.to_owned(), endpoint: Endpoint::default() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Member, A::Error> {
                let Long { network, endpoint } =
                    Long::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Member { network, endpoint })
            }
        }
        deserializer.deserialize_any(NameOrLong)
    }
}

struct ListOrMap;

impl<'de> de::Visitor<'de> for ListOrMap {
    type Value = Networks;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a list of networks, or a map from name to aliases and address")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Networks, A::Error> {
        let mut networks = Networks::default();
        while let Some(Member { network, endpoint }) = seq.next_element()? {
            let said = networks.0.entry(network).or_default();
            if *said != Endpoint::default() && endpoint != Endpoint::default() {
                return Err(de::Error::custom("this network is there twice"));
            }
            if endpoint != Endpoint::default() {
                *said = endpoint;
            }
        }
        networks.normalize();
        Ok(networks)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Networks, A::Error> {
        let map = MapAccessDeserializer::new(map);
        let endpoints = BTreeMap::<String, Option<Endpoint>>::deserialize(map)?;
        let endpoints =
            endpoints.into_iter().map(|(name, endpoint)| (name, endpoint.unwrap_or_default()));
        let mut networks = Networks(endpoints.collect());
        networks.normalize();
        Ok(networks)
    }
}

impl JsonSchema for Networks {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Networks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let endpoint = generator.subschema_for::<Endpoint>();
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "anyOf": [{ "type": "string" }, long] } },
                { "type": "object", "additionalProperties": endpoint },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn a_list_is_a_map_without_details() {
        let list: Networks = from_value(json!(["b", "a", "a"])).unwrap();
        let map: Networks = from_value(json!({ "a": null, "b": {} })).unwrap();
        assert_eq!(list, map);
        let plain = to_value(Endpoint::default()).unwrap();
        assert_eq!(to_value(&list).unwrap(), json!({ "a": plain, "b": plain }));
    }

    #[test]
    fn an_item_of_a_list_may_say_how_the_container_is_in_it() {
        let list: Networks = from_value(
            json!(["b", { "network": "a", "aliases": ["y", "x"], "gw_priority": 1 }]),
        )
        .unwrap();
        let map: Networks =
            from_value(json!({ "a": { "aliases": ["x", "y"], "gw_priority": 1 }, "b": {} }))
                .unwrap();
        assert_eq!(list, map);
        let twice =
            json!([{ "network": "a", "aliases": ["x"] }, { "network": "a", "aliases": ["y"] }]);
        assert!(from_value::<Networks>(twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn what_a_container_gets_by_itself_is_no_difference() {
        let who = Identity { id: "0123456789abcdef", natural: "shop-web", short: "web" };
        let wanted: Networks = from_value(json!({ "app": { "aliases": ["www"] } })).unwrap();
        let mut settings = wanted.0["app"].settings("app", "web");
        settings.aliases.as_mut().unwrap().push("0123456789ab".into());
        let endpoints = HashMap::from([("app".to_owned(), settings)]);
        assert_eq!(Networks::observed(&endpoints, &who, &wanted, true), wanted);
        let endpoints = HashMap::from([("app".to_owned(), EndpointSettings::default())]);
        assert!(Networks::observed(&endpoints, &who, &wanted, true).0.is_empty());
    }

    #[test]
    fn a_network_nobody_asked_for_shows() {
        let who = Identity { id: "0123456789abcdef", natural: "shop-web", short: "web" };
        let wanted: Networks = from_value(json!(["app"])).unwrap();
        let connected = EndpointSettings {
            aliases: Some(vec!["0123456789ab".to_owned()]),
            ..EndpointSettings::default()
        };
        for other in ["other", BRIDGE] {
            let endpoints = HashMap::from([
                ("app".to_owned(), wanted.0["app"].settings("app", "web")),
                (other.to_owned(), connected.clone()),
            ]);
            let found = Networks::observed(&endpoints, &who, &wanted, true);
            assert_eq!(found.0.get(other), Some(&Endpoint::default()));
            assert_eq!(found.0.get("app"), wanted.0.get("app"));
        }
        let both = HashMap::from([
            (BRIDGE.to_owned(), EndpointSettings::default()),
            ("other".to_owned(), connected),
        ]);
        let found = Networks::observed(&both, &who, &Networks::default(), true);
        assert_eq!(found.0.keys().collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn a_container_without_any_network_shows() {
        let who = Identity { id: "01", natural: "shop-web", short: "web" };
        let nothing = Networks::default();
        let found = Networks::observed(&HashMap::new(), &who, &nothing, true);
        assert!(found.0.contains_key(NONE));
        // Where the engine has no network for it, that is what was asked for.
        let found = Networks::observed(&HashMap::new(), &who, &nothing, false);
        assert_eq!(found, nothing);
        let bridge = HashMap::from([(BRIDGE.to_owned(), EndpointSettings::default())]);
        assert_eq!(Networks::observed(&bridge, &who, &nothing, true), nothing);
    }
}
