//! Values people write as text: durations, sizes, processors, restart policies, signals.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bollard::models::{HostConfig, RestartPolicyNameEnum};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::text::Text;

/// A type read with `FromStr` from text (a number counts as its text) and written with
/// `Display`, so that equal values have one form.
macro_rules! written_as_text {
    ($name:ident, $($ty:literal),+) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: $crate::text::Text = serde::Deserialize::deserialize(deserializer)?;
                text.0.trim().parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "anyOf": [$({ "type": $ty }),+] })
            }
        }
    };
}

/// A duration: `30s`, `1m30s`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

impl Span {
    /// As the engine counts: nanoseconds.
    pub(super) fn nanoseconds(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }

    /// From what the engine counts.
    pub(super) fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
    }

    /// Whole seconds, rounded up.
    pub(super) fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text);
        duration.map(Self).map_err(|error| {
            format!("`{text}` is no duration: {error}; one looks like `30s` or `1m30s`")
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        out.write_str(&text.replace(' ', ""))
    }
}

written_as_text!(Span, "string");
pub(super) use written_as_text;

/// A time in microseconds, `50ms`; a number counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Micros(pub i64);

impl FromStr for Micros {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let micros = match text.parse::<i64>() {
            Ok(micros) => Some(micros),
            Err(_) => i64::try_from(text.parse::<Span>()?.0.as_micros()).ok(),
        };
        micros
            .filter(|micros| *micros > 0)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no time: one looks like `50ms` or `50000`"))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(Duration::from_micros(u64::try_from(self.0).unwrap_or(0))).fmt(out)
    }
}

written_as_text!(Micros, "string", "integer");

/// A whole number, also written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        let number = text.trim().parse().map(Self);
        number.map_err(|_| de::Error::custom(format!("`{text}` is no whole number")))
    }
}

impl JsonSchema for Whole {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] })
    }
}

/// A number of bytes: `512m`, `1.5g`, `65536`; k, m and g are powers of 1024 as in Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Bytes(pub i64);

const BYTE_UNITS: [(&str, i64); 4] =
    [("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no size; one looks like `512m`, `1.5g` or `65536`");
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
        let unit = BYTE_UNITS.iter().find(|(unit, _)| lower.ends_with(unit));
        let (number, scale) = match unit {
            Some((unit, scale)) => (&lower[..lower.len() - unit.len()], *scale),
            None => (lower, 1),
        };
        let number = number.trim();
        let bytes = match number.split_once('.') {
            None => number.parse::<i64>().ok().and_then(|whole| whole.checked_mul(scale)),
            Some(_) => number.parse::<f64>().ok().and_then(|number| {
                #[expect(clippy::cast_precision_loss, reason = "a scale is a power of two")]
                let bytes = (number * scale as f64).round();
                #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
                (bytes < 9e15).then_some(bytes as i64)
            }),
        };
        match bytes {
            Some(bytes) if bytes >= 0 => Ok(Self(bytes)),
            _ => Err(bad()),
        }
    }
}

impl Bytes {
    /// To a tenth of a unit, for people: `6.0g`.
    pub(crate) fn rounded(self) -> String {
        let unit = BYTE_UNITS.iter().find(|(_, scale)| self.0 >= *scale);
        match unit {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            Some((unit, scale)) => format!("{:.1}{unit}", self.0 as f64 / *scale as f64),
            None => format!("{} bytes", self.0),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS.iter().find(|(_, scale)| self.0 != 0 && self.0 % scale == 0);
        match unit {
            Some((unit, scale)) => write!(out, "{}{unit}", self.0 / scale),
            None => write!(out, "{}", self.0),
        }
    }
}

written_as_text!(Bytes, "string", "integer");

/// A limit on memory and swap together: bytes, or -1 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySwap(pub i64);

impl FromStr for MemorySwap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-1" { Ok(Self(-1)) } else { text.parse().map(|Bytes(bytes)| Self(bytes)) }
    }
}

impl fmt::Display for MemorySwap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == -1 { out.write_str("-1") } else { Bytes(self.0).fmt(out) }
    }
}

written_as_text!(MemorySwap, "string", "integer");

/// A share of processors: `0.5`, `2`; kept in billionths, as the engine counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub i64);

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            Ok(cpus) if cpus > 0.0 && cpus < 1e6 => Ok(Self((cpus * 1e9).round() as i64)),
            _ => Err(format!("`{text}` is no number of processors; one looks like `0.5`")),
        }
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let cpus = self.0 as f64 / 1e9;
        write!(out, "{cpus}")
    }
}

written_as_text!(Cpus, "string", "integer", "number");

/// When the engine starts a container again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and when the engine starts.
    Always,
    /// The same, but not after it was stopped on purpose.
    UnlessStopped,
    /// When it ends with another code than 0, this often; 0 means without end.
    OnFailure(u32),
}

impl Restart {
    /// What the engine was told.
    pub(super) fn observed(host: &HostConfig) -> Self {
        let policy = host.restart_policy.clone().unwrap_or_default();
        match policy.name {
            Some(RestartPolicyNameEnum::ALWAYS) => Self::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Self::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => {
                let times = policy.maximum_retry_count.unwrap_or(0);
                Self::OnFailure(u32::try_from(times).unwrap_or(0))
            }
            _ => Self::No,
        }
    }
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is no restart policy: use `no`, `always`, `unless-stopped`, \
                 `on-failure` or `on-failure:3`"
            )
        };
        match text {
            // `restart: no` is what people write; YAML taught them.
            "no" | "false" | "" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "unless-stopped" => Ok(Self::UnlessStopped),
            "on-failure" => Ok(Self::OnFailure(0)),
            other => other
                .strip_prefix("on-failure:")
                .and_then(|times| times.parse().ok())
                .map(Self::OnFailure)
                .ok_or_else(bad),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => out.write_str("no"),
            Self::Always => out.write_str("always"),
            Self::UnlessStopped => out.write_str("unless-stopped"),
            Self::OnFailure(0) => out.write_str("on-failure"),
            Self::OnFailure(times) => write!(out, "on-failure:{times}"),
        }
    }
}

written_as_text!(Restart, "string");

/// `SIGTERM` from `term`, `SIGTERM` or `TERM`; a number stays one.
pub(super) fn signal(text: &str) -> String {
    let upper = text.trim().to_ascii_uppercase();
    if upper.is_empty()
        || upper.starts_with("SIG")
        || upper.starts_with(|c: char| c.is_ascii_digit())
    {
        return upper;
    }
    format!("SIG{upper}")
}

/// `NET_ADMIN` from `CAP_NET_ADMIN` or `net_admin`.
pub(super) fn capability(text: &str) -> String {
    let upper = text.trim().to_ascii_uppercase();
    upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_form() {
        let span = |text: &str| text.parse::<Span>().map(|span| span.to_string());
        assert_eq!(span("90s").as_deref(), Ok("1m30s"));
        assert_eq!(span("1m 30s").as_deref(), Ok("1m30s"));
        assert!(span("30").is_err_and(|error| error.contains("`30s`")));

        let bytes = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.to_string());
        for text in ["512m", "512MB", "512MiB", "0.5g", "536870912"] {
            assert_eq!(bytes(text).as_deref(), Ok("512m"), "{text}");
        }
        assert_eq!(bytes("1000").as_deref(), Ok("1000"));
        let rounded = |bytes| Bytes(bytes).rounded();
        assert_eq!(rounded(512 << 20), "512.0m");
        assert_eq!(rounded(6 << 30), "6.0g");
        assert_eq!(rounded(700), "700 bytes");
        assert!(bytes("lots").is_err());
        assert!(bytes("9999999999999g").is_err());

        let cpus = |text: &str| text.parse::<Cpus>().map(|cpus| cpus.to_string());
        assert_eq!(cpus("0.50").as_deref(), Ok("0.5"));
        assert_eq!(cpus("2.0").as_deref(), Ok("2"));
        assert!(cpus("0").is_err());

        let restart = |text: &str| text.parse::<Restart>().map(|policy| policy.to_string());
        assert_eq!(restart("on-failure:0").as_deref(), Ok("on-failure"));
        assert_eq!(restart("on-failure:3").as_deref(), Ok("on-failure:3"));
        assert!(restart("sometimes").is_err());

        assert_eq!(signal("kill"), "SIGKILL");
        assert_eq!(capability("cap_net_admin"), "NET_ADMIN");
    }
}
