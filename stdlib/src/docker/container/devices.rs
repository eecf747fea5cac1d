//! Devices of the machine, graphics processors among them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bollard::models::{DeviceMapping, DeviceRequest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::pairs::Pairs;
use super::units::written_as_text;

/// The driver of devices that others describe (Container Device Interface).
const CDI: &str = "cdi";

/// Devices, in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Devices(pub Vec<Device>);

/// `/dev/host[:/dev/container[:rwm]]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// The path on the machine; or the name of a CDI device.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Some of `r`, `w`, `m` (read, write, make nodes).
    pub permissions: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// The path on the machine, or the name of a CDI device.
    source: String,
    /// The path in the container; the same when left out.
    #[serde(default)]
    target: Option<String>,
    /// Some of `r`, `w`, `m` (read, write, make nodes); all when left out.
    #[serde(default)]
    permissions: Option<String>,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is no device; one looks like `/dev/sda`, `/dev/sda:/dev/xvda:r` or \
                 `vendor.com/class=name`"
            )
        };
        if is_cdi(text.trim()) {
            return Ok(Self::cdi(text.trim()));
        }
        let parts: Vec<_> = text.trim().split(':').collect();
        let is_mode = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
        let (source, target, permissions) = match parts.as_slice() {
            [source] => (*source, *source, "rwm"),
            [source, mode] if is_mode(mode) => (*source, *source, *mode),
            [source, target] => (*source, *target, "rwm"),
            [source, target, mode] if is_mode(mode) => (*source, *target, *mode),
            _ => return Err(bad()),
        };
        if !source.starts_with('/') || !target.starts_with('/') {
            return Err(bad());
        }
        // One order, so that `wr` is `rw`.
        let permissions = "rwm".chars().filter(|c| permissions.contains(*c)).collect();
        Ok(Self { source: source.to_owned(), target: target.to_owned(), permissions })
    }
}

/// Whether it is the name of a device that a driver describes: `nvidia.com/gpu=all`.
fn is_cdi(text: &str) -> bool {
    let parts = text.split_once('/').and_then(|(vendor, rest)| {
        let (class, name) = rest.split_once('=')?;
        Some([vendor, class, name])
    });
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    parts.is_some_and(|parts| {
        parts.iter().all(|part| !part.is_empty() && part.chars().all(fits))
    })
}

impl Device {
    fn cdi(name: &str) -> Self {
        let name = name.to_owned();
        Self { source: name.clone(), target: name, permissions: "rwm".to_owned() }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.source)?;
        if self.target != self.source {
            write!(out, ":{}", self.target)?;
        }
        if self.permissions != "rwm" {
            write!(out, ":{}", self.permissions)?;
        }
        Ok(())
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Short(String),
            Long(Long),
        }
        let written = Written::deserialize(deserializer).map_err(|_| {
            de::Error::custom("a device is text, or `#{ source, target, permissions }`")
        })?;
        let text = match written {
            Written::Short(text) => text,
            Written::Long(Long { source, target, .. })
                if is_cdi(&source)
                    && target.as_ref().is_none_or(|target| *target == source) =>
            {
                source
            }
            Written::Long(Long { source, target, permissions }) => {
                let target = target.unwrap_or_else(|| source.clone());
                let permissions = permissions.unwrap_or_else(|| "rwm".to_owned());
                format!("{source}:{target}:{permissions}")
            }
        };
        text.parse().map_err(de::Error::custom)
    }
}

impl Devices {
    pub(super) fn normalize(&mut self) {
        self.0.sort();
        self.0.dedup();
    }

    /// Whether some of them are described by drivers.
    pub(super) fn any_cdi(&self) -> bool {
        self.0.iter().any(|device| is_cdi(&device.source))
    }

    /// The request for those that drivers describe.
    pub(super) fn described(&self) -> Option<DeviceRequest> {
        let names = self.0.iter().map(|device| &device.source);
        let names: Vec<_> = names.filter(|name| is_cdi(name)).cloned().collect();
        (!names.is_empty()).then(|| DeviceRequest {
            driver: Some(CDI.to_owned()),
            device_ids: Some(names),
            ..DeviceRequest::default()
        })
    }

    pub(super) fn observed(devices: &[DeviceMapping], requests: &[DeviceRequest]) -> Self {
        let devices = devices.iter().filter_map(|device| {
            let source = device.path_on_host.clone()?;
            let target = device.path_in_container.clone().unwrap_or_else(|| source.clone());
            let permissions = device.cgroup_permissions.clone();
            Some(Device { source, target, permissions: permissions.unwrap_or("rwm".into()) })
        });
        let described =
            requests.iter().filter(|request| request.driver.as_deref() == Some(CDI));
        let described = described.flat_map(|request| request.device_ids.iter().flatten());
        Self(devices.chain(described.map(|name| Device::cdi(name))).collect())
    }

    pub(super) fn requested(&self) -> Vec<DeviceMapping> {
        let paths = self.0.iter().filter(|device| !is_cdi(&device.source));
        let devices = paths.map(|device| DeviceMapping {
            path_on_host: Some(device.source.clone()),
            path_in_container: Some(device.target.clone()),
            cgroup_permissions: Some(device.permissions.clone()),
        });
        devices.collect()
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut devices = Self(Vec::deserialize(deserializer)?);
        devices.normalize();
        Ok(devices)
    }
}

impl JsonSchema for Devices {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Devices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "type": "array",
            "items": { "anyOf": [{ "type": "string" }, long] }
        })
    }
}

/// Graphics processors asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Gpus(pub Vec<Gpu>);

/// Devices a driver chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Who provides them, `nvidia`; whoever can when left out.
    #[serde(default)]
    pub driver: String,
    /// How many, or `all`; without `device_ids`.
    #[serde(default)]
    pub count: Option<Count>,
    /// Which ones; without `count`.
    #[serde(default)]
    pub device_ids: Vec<String>,
    /// What they must be able to do, `["gpu", "compute"]`.
    #[serde(default = "gpu")]
    pub capabilities: Vec<String>,
    /// Options of the driver.
    #[serde(default)]
    pub options: Pairs,
}

fn gpu() -> Vec<String> {
    vec!["gpu".to_owned()]
}

/// A number of devices; -1 is all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub i64);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<i64>()) {
            ("all", _) => Ok(Self(-1)),
            (_, Ok(count)) if count > 0 || count == -1 => Ok(Self(count)),
            _ => Err(format!("`{text}` is no number of devices: use `all` or `1`")),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == -1 { out.write_str("all") } else { write!(out, "{}", self.0) }
    }
}

written_as_text!(Count, "string", "integer");

impl Gpu {
    fn of(count: Count) -> Self {
        Self {
            driver: String::new(),
            count: Some(count),
            device_ids: Vec::new(),
            capabilities: gpu(),
            options: Pairs::default(),
        }
    }

    /// Without ids and a number, Compose means all.
    fn normal(mut self) -> Self {
        if self.device_ids.is_empty() && self.count.is_none() {
            self.count = Some(Count(-1));
        }
        if !self.device_ids.is_empty() {
            self.count = None;
        }
        if !self.capabilities.iter().any(|capability| capability == "gpu") {
            self.capabilities.push("gpu".to_owned());
        }
        self.capabilities.sort();
        self
    }
}

impl Gpus {
    pub(super) fn observed(requests: &[DeviceRequest]) -> Self {
        let others = requests.iter().filter(|request| request.driver.as_deref() != Some(CDI));
        let requests = others.map(|request| Gpu {
            driver: request.driver.clone().unwrap_or_default(),
            count: request.count.filter(|count| *count != 0).map(Count),
            device_ids: request.device_ids.clone().unwrap_or_default(),
            capabilities: request.capabilities.iter().flatten().flatten().cloned().collect(),
            options: Pairs::observed(request.options.iter().flatten()),
        });
        Self(requests.map(Gpu::normal).collect())
    }

    pub(super) fn requested(&self, devices: &Devices) -> Option<Vec<DeviceRequest>> {
        let requests = self.0.iter().map(|gpu| DeviceRequest {
            driver: Some(gpu.driver.clone()),
            count: gpu.count.map(|count| count.0),
            device_ids: (!gpu.device_ids.is_empty()).then(|| gpu.device_ids.clone()),
            capabilities: Some(vec![gpu.capabilities.clone()]),
            options: gpu.options.requested(),
        });
        let requests: Vec<_> = requests.chain(devices.described()).collect();
        (!requests.is_empty()).then_some(requests)
    }
}

impl<'de> Deserialize<'de> for Gpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrList;
        impl<'de> de::Visitor<'de> for CountOrList {
            type Value = Gpus;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("`all`, a number or a list of maps")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Gpus, E> {
                let count = text.parse().map_err(E::custom)?;
                Ok(Gpus(vec![Gpu::of(count)]))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Gpus, E> {
                self.visit_str(&count.to_string())
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Gpus, E> {
                self.visit_str(&count.to_string())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Gpus, A::Error> {
                let seq = de::value::SeqAccessDeserializer::new(seq);
                let gpus = Vec::<Gpu>::deserialize(seq)?;
                if gpus.iter().any(|gpu| gpu.driver == CDI) {
                    let words =
                        "devices of driver `cdi` stand in `devices: [\"vendor.com/gpu=0\"]`";
                    return Err(de::Error::custom(words));
                }
                Ok(Gpus(gpus.into_iter().map(Gpu::normal).collect()))
            }
        }
        deserializer.deserialize_any(CountOrList)
    }
}

impl JsonSchema for Gpus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Gpus".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let gpu = generator.subschema_for::<Gpu>();
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "integer" },
                { "type": "array", "items": gpu },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn forms_of_devices_become_one() {
        let forms = json!([
            "/dev/b:/dev/x:wr",
            { "source": "/dev/b", "target": "/dev/x", "permissions": "rw" },
            "/dev/a:/dev/a:rwm",
        ]);
        let devices: Devices = from_value(forms).unwrap();
        assert_eq!(to_value(&devices).unwrap(), json!(["/dev/a", "/dev/b:/dev/x:rw"]));
        assert!(from_value::<Devices>(json!(["sda"])).is_err());
        assert_eq!(Devices::observed(&devices.requested(), &[]), devices);
        let described: Devices = from_value(json!(["vendor1.com/device=gpu"])).unwrap();
        assert!(described.requested().is_empty());
        let request = described.described().unwrap();
        assert_eq!(Devices::observed(&[], std::slice::from_ref(&request)), described);
        assert_eq!(Gpus::observed(&[request]), Gpus::default());
    }

    #[test]
    fn forms_of_gpus_become_one() {
        let all: Gpus = from_value(json!("all")).unwrap();
        assert_eq!(from_value::<Gpus>(json!([{}])).unwrap(), all);
        assert_eq!(from_value::<Gpus>(json!([{ "count": -1 }])).unwrap(), all);
        let some: Gpus =
            from_value(json!([{ "driver": "nvidia", "device_ids": ["0"] }])).unwrap();
        for gpus in [all, some, from_value(json!(2)).unwrap()] {
            assert_eq!(Gpus::observed(&gpus.requested(&Devices::default()).unwrap()), gpus);
        }
        assert!(from_value::<Gpus>(json!(0)).is_err());
    }
}
