//! Published ports in Compose's short forms.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bollard::models::{PortBinding, PortMap};
use dollop_engine::resource::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::text::Text;

/// All published ports, ranges taken apart, in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ports(pub Vec<Port>);

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The port inside the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: Protocol,
    /// The address on the host; all of them when left out.
    pub ip: Option<IpAddr>,
    /// The port on the host; one the engine chooses when left out.
    pub host: Option<HostPort>,
}

/// A port of the host, or a range the engine picks a free one from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The first.
    pub first: u16,
    /// The last; the same for a single port.
    pub last: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The usual one.
    Tcp,
    /// Datagrams.
    Udp,
    /// Telecoms.
    Sctp,
}

impl Ports {
    fn from_ports(mut ports: Vec<Port>) -> Self {
        ports.sort();
        ports.dedup();
        Self(ports)
    }

    /// What the engine was told, read back.
    pub(super) fn observed(bindings: &PortMap) -> Self {
        let ports = bindings.iter().flat_map(|(container, bindings)| {
            bindings.iter().flatten().filter_map(|binding| {
                let (container, protocol) = container_port(container)?;
                let ip = binding.host_ip.as_deref().and_then(|ip| ip.parse().ok());
                let host = binding.host_port.as_deref().and_then(|port| port.parse().ok());
                Some(Port { container, protocol, ip, host })
            })
        });
        Self::from_ports(ports.collect())
    }

    /// What the engine is told: the ports and where they are published.
    pub(super) fn bindings(&self) -> (Vec<String>, PortMap) {
        let mut bindings: PortMap = HashMap::new();
        for port in &self.0 {
            let key = format!("{}/{}", port.container, port.protocol);
            let binding = PortBinding {
                host_ip: Some(port.ip.map(|ip| ip.to_string()).unwrap_or_default()),
                host_port: Some(port.host.map(|port| port.to_string()).unwrap_or_default()),
            };
            bindings.entry(key).or_default().get_or_insert_default().push(binding);
        }
        (bindings.keys().cloned().collect(), bindings)
    }

    /// Two entries that want the same port of the host.
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, port) in self.0.iter().enumerate() {
            let clash = self.0[..index].iter().find(|other| other.collides(port));
            if let Some(other) = clash {
                problems.push(Problem {
                    attribute: "ports".to_owned(),
                    message: format!(
                        "`{other}` and `{port}` publish the same port of the host"
                    ),
                    hint: Some("give one of them another host port".to_owned()),
                });
            }
        }
        problems
    }
}

impl Port {
    /// Whether two published ports want the same place on the host. Of a range the engine
    /// takes one that is free.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let fixed = |port: &Self| port.host.filter(|host| host.is_one());
        self.protocol == other.protocol
            && fixed(self).is_some()
            && fixed(self) == fixed(other)
            && overlap(self.ip, other.ip)
    }
}

/// Whether two places on the host have an address in common; one left out is all of them. The
/// engine publishes at IPv6 addresses alone where it is told `::`.
pub(super) fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    let whole = one.is_unspecified() || other.is_unspecified();
    one == other || whole && one.is_ipv4() == other.is_ipv4()
}

impl HostPort {
    /// Whether it is one port and no range.
    pub(super) fn is_one(self) -> bool {
        self.first == self.last
    }

    fn count(self) -> u16 {
        self.last - self.first
    }
}

/// `5432` and `tcp` from `5432/tcp`.
pub(super) fn container_port(key: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    Some((port.parse().ok()?, protocol.parse().ok()?))
}

/// One written entry; a range is several ports.
fn entry(text: &str) -> Result<Vec<Port>, String> {
    let bad = |why: &str| {
        format!(
            "`{text}` is no port: {why}; forms are `80`, `8080:80`, `127.0.0.1:8080:80/udp`"
        )
    };
    let (rest, protocol) = match text.trim().rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol.parse().map_err(|e: String| bad(&e))?),
        None => (text.trim(), Protocol::Tcp),
    };
    let (before, container) = match rest.rsplit_once(':') {
        Some((before, container)) => (Some(before), container),
        None => (None, rest),
    };
    let (ip, host) = match before.map(|before| before.rsplit_once(':').ok_or(before)) {
        None => (None, None),
        Some(Err(host)) if host.contains('.') => {
            let why = format!("after an address come two colons: `{host}::{container}`");
            return Err(bad(&why));
        }
        Some(Err(host)) => (None, Some(host)),
        Some(Ok((ip, host))) => {
            let ip = ip.trim_start_matches('[').trim_end_matches(']');
            let ip = ip.parse().map_err(|_| bad(&format!("`{ip}` is no address")))?;
            (Some(ip), Some(host))
        }
    };
    let container: HostPort = container.parse().map_err(|e: String| bad(&e))?;
    let host: Option<HostPort> = match host {
        None | Some("" | "0") => None,
        Some(host) => Some(host.parse().map_err(|e: String| bad(&e))?),
    };
    if let Some(host) = host
        && !container.is_one()
        && host.count() != container.count()
    {
        return Err(bad("the two ranges have different lengths"));
    }
    Ok((0..=container.count())
        .map(|step| Port {
            container: container.first + step,
            protocol,
            ip,
            host: host.map(|host| {
                if container.is_one() {
                    host
                } else {
                    HostPort { first: host.first + step, last: host.first + step }
                }
            }),
        })
        .collect())
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |text: &str| match text.trim().parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("`{text}` is not between 1 and 65535")),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (one(first)?, one(last)?);
        if first > last {
            return Err(format!("`{text}` runs backwards"));
        }
        Ok(Self { first, last })
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(format!("`{text}` is no protocol (`tcp`, `udp`, `sctp`)")),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            write!(out, "{}", self.first)
        } else {
            write!(out, "{}-{}", self.first, self.last)
        }
    }
}

impl Protocol {
    /// As written.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(IpAddr::V6(ip)) => write!(out, "[{ip}]:")?,
            Some(IpAddr::V4(ip)) => write!(out, "{ip}:")?,
            None => {}
        }
        match self.host {
            Some(host) => write!(out, "{host}:")?,
            None if self.ip.is_some() => out.write_str(":")?,
            None => {}
        }
        write!(out, "{}", self.container)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            other => write!(out, "/{other}"),
        }
    }
}

impl Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Ok(Self::from_ports(entries.into_iter().flat_map(|entry| entry.0).collect()))
    }
}

struct Entry(Vec<Port>);

/// The long form of an entry.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// The port inside the container.
    target: Text,
    /// The port on the host, or a range the engine picks a free one from.
    #[serde(default)]
    published: Option<Text>,
    /// The address on the host; all of them when left out.
    #[serde(default)]
    host_ip: Option<String>,
    /// `tcp`, `udp` or `sctp`.
    #[serde(default)]
    protocol: Option<String>,
    /// Where it is published: always on the machine, `host`.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one mode, which is only checked")]
    mode: Option<Mode>,
}

/// The one way to publish a port without a swarm.
#[derive(Clone, Copy, Debug)]
struct Mode;

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "host" => Ok(Self),
            "ingress" => {
                Err("`ingress` spreads over the machines of a swarm: leave `mode` out"
                    .to_owned())
            }
            _ => Err(format!("`{text}` is no mode: there is only `host`")),
        }
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Mode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Long {
    /// The short form that says the same.
    fn short(self) -> String {
        let host = match (self.host_ip, self.published) {
            (None, None) => String::new(),
            (None, Some(port)) => format!("{port}:"),
            (Some(ip), port) if ip.contains(':') => {
                format!("[{ip}]:{}:", port.unwrap_or_default())
            }
            (Some(ip), port) => format!("{ip}:{}:", port.unwrap_or_default()),
        };
        format!("{host}{}/{}", self.target, self.protocol.as_deref().unwrap_or("tcp"))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShortOrLong;
        impl<'de> de::Visitor<'de> for ShortOrLong {
            type Value = String;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("text like `8080:80`, a number or a map")
            }

            fn visit_str<E>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_i64<E>(self, port: i64) -> Result<String, E> {
                Ok(port.to_string())
            }

            fn visit_u64<E>(self, port: u64) -> Result<String, E> {
                Ok(port.to_string())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<String, A::Error> {
                Long::deserialize(de::value::MapAccessDeserializer::new(map)).map(Long::short)
            }
        }
        let text = deserializer.deserialize_any(ShortOrLong)?;
        entry(&text).map(Self).map_err(de::Error::custom)
    }
}

/// Ports a program listens on, as `80` or `53/udp`, ranges taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Exposed(pub Vec<Port>);

impl Exposed {
    /// What is exposed beyond what is published and what the image exposes; what was asked
    /// for counts all the same.
    pub(super) fn observed(
        ports: &[String],
        image: &[String],
        published: &Ports,
        asked: &Self,
    ) -> Self {
        let plain = |key: &String| {
            let (container, protocol) = container_port(key)?;
            Some(Port { container, protocol, ip: None, host: None })
        };
        let image: Vec<Port> = image.iter().filter_map(plain).collect();
        let given = |port: &Port| {
            let same = |other: &Port| {
                (other.container, other.protocol) == (port.container, port.protocol)
            };
            image.iter().any(same) || published.0.iter().any(same)
        };
        let mut found: Vec<Port> = ports.iter().filter_map(plain).collect();
        found.retain(|port| asked.0.contains(port) || !given(port));
        found.sort();
        Self(found)
    }

    /// As the engine names them.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|port| format!("{}/{}", port.container, port.protocol))
    }
}

impl<'de> Deserialize<'de> for Exposed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ports = Ports::deserialize(deserializer)?;
        match ports.0.iter().find(|port| port.host.is_some() || port.ip.is_some()) {
            None => Ok(Self(ports.0)),
            Some(port) => Err(de::Error::custom(format!(
                "`{port}` publishes a port: that is for `ports`; here stand only ports of the container"
            ))),
        }
    }
}

impl JsonSchema for Exposed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Exposed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }] }
        })
    }
}

impl JsonSchema for Ports {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "type": "array",
            "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }, long] }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn normal(entries: serde_json::Value) -> Vec<String> {
        let ports: Ports = from_value(entries).unwrap();
        ports.0.iter().map(Port::to_string).collect()
    }

    #[test]
    fn equal_forms_become_one_in_one_order() {
        assert_eq!(normal(json!(["8080:80/tcp"])), ["8080:80"]);
        assert_eq!(normal(json!([80])), ["80"]);
        assert_eq!(normal(json!(["127.0.0.1:0:5432"])), ["127.0.0.1::5432"]);
        assert_eq!(normal(json!(["[::1]:8080:80"])), ["[::1]:8080:80"]);
        assert_eq!(
            normal(json!([
                { "target": 80, "published": 8080, "host_ip": "127.0.0.1", "protocol": "udp" },
                { "target": 81, "published": "8000-8010" },
                { "target": 82 },
                { "target": 83, "host_ip": "::1" },
            ])),
            ["127.0.0.1:8080:80/udp", "8000-8010:81", "82", "[::1]::83"]
        );
        assert!(from_value::<Exposed>(json!(["80:80"])).is_err());
        assert_eq!(
            normal(json!(["53:53/UDP", "8080:80", "53:53"])),
            ["53:53", "53:53/udp", "8080:80"]
        );
    }

    #[test]
    fn ranges_are_taken_apart() {
        assert_eq!(
            normal(json!(["3000-3002:4000-4002"])),
            ["3000:4000", "3001:4001", "3002:4002"]
        );
        assert_eq!(normal(json!(["3000-3001"])), ["3000", "3001"]);
        assert_eq!(normal(json!(["8000-8010:80"])), ["8000-8010:80"]);
    }

    #[test]
    fn what_is_sent_reads_back_the_same() {
        let all =
            json!(["80", "127.0.0.1::81", "8082:82/udp", "[::1]:8083:83", "8100-8110:84"]);
        let ports: Ports = from_value(all).unwrap();
        assert_eq!(Ports::observed(&ports.bindings().1), ports);
    }

    #[test]
    fn what_wants_the_same_port_of_the_host_is_said() {
        for (one, other, collide) in [
            ("80:80", "127.0.0.1:80:81", true),
            ("0.0.0.0:80:80", "127.0.0.1:80:81", true),
            ("[::]:80:80", "[::1]:80:81", true),
            ("0.0.0.0:80:80", "[::]:80:80", false),
            ("0.0.0.0:80:80", "[::1]:80:80", false),
            ("127.0.0.1:80:80", "127.0.0.2:80:80", false),
            ("80:80", "80:80/udp", false),
            ("8000-8010:80", "8000-8010:81", false),
            ("80", "81", false),
        ] {
            let ports: Ports = from_value(json!([one, other])).unwrap();
            assert_eq!(ports.check().len(), usize::from(collide), "{one} and {other}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("127.0.0.1:80", "two colons: `127.0.0.1::80`"),
            ("80:70000", "between 1 and 65535"),
            ("1-3:1-2", "different lengths"),
            ("80/http", "no protocol"),
            ("host:1:2", "no address"),
            ("3-1", "backwards"),
        ] {
            let error = entry(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_host_port_can_be_published_once() {
        let ports: Ports = from_value(json!(["8080:80", "127.0.0.1:8080:81"])).unwrap();
        assert_eq!(ports.check().len(), 1);
        let ports: Ports = from_value(json!(["53:53", "53:53/udp"])).unwrap();
        assert!(ports.check().is_empty());
    }
}
