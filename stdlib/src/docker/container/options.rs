//! What each kind of mount can be told beside where it lies.

use std::fmt;
use std::str::FromStr;

use bollard::models::{MountBindOptions, MountBindOptionsPropagationEnum as Api};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::pairs::{self, Pairs};
use super::units::Bytes;

/// Options of a path of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BindOptions {
    /// Make an empty folder on the host when there is nothing at the path.
    pub create_host_path: bool,
    /// Whether mounts made later below it show on the other side.
    pub propagation: Option<Propagation>,
    /// Label it for SELinux: `z` for several containers, `Z` for this one alone.
    pub selinux: Option<Selinux>,
    /// What becomes of what is mounted below it on the host: `enabled` (it comes along, as
    /// when left out) or `disabled`; of a read-only one also `writable` or `readonly`, with
    /// engines since 25.0.
    pub recursive: Option<Recursive>,
}

/// Options of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeOptions {
    /// Do not fill an empty volume with what the image has at the target.
    pub nocopy: bool,
    /// A path in the volume, mounted instead of all of it. Engines since 26.0.
    pub subpath: Option<String>,
    /// Labels for a volume that is made for it, one without a name.
    #[serde(deserialize_with = "pairs::labels")]
    pub labels: Pairs,
}

/// Options of a folder in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TmpfsOptions {
    /// How much it may hold, `64m`.
    pub size: Option<Bytes>,
    /// Its permissions, `"1777"` or `0o1777`.
    pub mode: Option<Octal>,
}

/// Options of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// A path in the image, mounted instead of all of it.
    pub subpath: Option<String>,
}

/// What becomes of what is mounted below a path of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Recursive {
    /// It comes along.
    Enabled,
    /// It stays away.
    Disabled,
    /// It comes along and can be written to.
    Writable,
    /// It comes along and cannot be written to, or the container does not start.
    Readonly,
}

/// How an engine labels files for SELinux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Selinux {
    /// For several containers.
    #[serde(rename = "z")]
    Shared,
    /// For one container.
    #[serde(rename = "Z")]
    Private,
}

/// Whether mounts made later show on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// On neither side.
    Private,
    /// On neither side, nor below.
    Rprivate,
    /// On both sides.
    Shared,
    /// On both sides, and below.
    Rshared,
    /// Those of the host in the container.
    Slave,
    /// Those of the host in the container, and below.
    Rslave,
}

const PROPAGATIONS: [(Propagation, Api, &str); 6] = [
    (Propagation::Private, Api::PRIVATE, "private"),
    (Propagation::Rprivate, Api::RPRIVATE, "rprivate"),
    (Propagation::Shared, Api::SHARED, "shared"),
    (Propagation::Rshared, Api::RSHARED, "rshared"),
    (Propagation::Slave, Api::SLAVE, "slave"),
    (Propagation::Rslave, Api::RSLAVE, "rslave"),
];

impl Propagation {
    fn requested(self) -> Api {
        PROPAGATIONS.iter().find(|entry| entry.0 == self).map_or(Api::EMPTY, |entry| entry.1)
    }

    fn observed(api: Api) -> Option<Self> {
        PROPAGATIONS.iter().find(|entry| entry.1 == api).map(|entry| entry.0)
    }

    fn word(self) -> &'static str {
        PROPAGATIONS.iter().find(|entry| entry.0 == self).map_or("", |entry| entry.2)
    }
}

impl FromStr for Propagation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        PROPAGATIONS.iter().find(|entry| entry.2 == text).map(|entry| entry.0).ok_or(())
    }
}

impl BindOptions {
    /// `None` when it says nothing.
    pub(super) fn normal(mut self) -> Option<Self> {
        // What the engine does by itself.
        self.propagation = self.propagation.filter(|kind| *kind != Propagation::Rprivate);
        self.recursive = self.recursive.filter(|kind| *kind != Recursive::Enabled);
        (self != Self::default()).then_some(self)
    }

    /// As a mount says it; nothing when there is nothing to say.
    pub(super) fn requested(&self) -> Option<MountBindOptions> {
        let is = |kind| (self.recursive == Some(kind)).then_some(true);
        let options = MountBindOptions {
            propagation: self.propagation.map(Propagation::requested),
            non_recursive: is(Recursive::Disabled),
            read_only_non_recursive: is(Recursive::Writable),
            read_only_force_recursive: is(Recursive::Readonly),
            ..MountBindOptions::default()
        };
        (options != MountBindOptions::default()).then_some(options)
    }

    /// What a mount was told.
    pub(super) fn observed(options: &MountBindOptions) -> Self {
        let recursive = [
            (options.non_recursive, Recursive::Disabled),
            (options.read_only_non_recursive, Recursive::Writable),
            (options.read_only_force_recursive, Recursive::Readonly),
        ];
        Self {
            propagation: options.propagation.and_then(Propagation::observed),
            recursive: recursive.into_iter().find(|(is, _)| *is == Some(true)).map(|it| it.1),
            ..Self::default()
        }
    }

    /// Whether only the engine's old form can say it.
    pub(super) fn needs_old_form(&self) -> bool {
        self.create_host_path || self.selinux.is_some()
    }

    /// The options of the old form.
    pub(super) fn old_form(&self, read_only: bool) -> String {
        let mut words = vec![if read_only { "ro" } else { "rw" }];
        words.extend(self.selinux.map(|label| match label {
            Selinux::Shared => "z",
            Selinux::Private => "Z",
        }));
        words.extend(self.propagation.map(Propagation::word));
        words.join(",")
    }
}

impl VolumeOptions {
    /// `None` when it says nothing.
    pub(super) fn normal(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl TmpfsOptions {
    /// `None` when it says nothing.
    pub(super) fn normal(mut self) -> Option<Self> {
        self.size = self.size.filter(|size| size.0 > 0);
        (self != Self::default()).then_some(self)
    }
}

impl ImageOptions {
    /// `None` when it says nothing.
    pub(super) fn normal(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// Permissions of a file, written as octal text, `"0644"`, or as a number, `0o644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octal(pub u32);

/// Numbers that somebody wrote without the `0o`: as what they are, none of them is a mode.
const WITHOUT_PREFIX: [i64; 19] = [
    400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 711, 750, 755, 775, 777,
    1777,
];

impl Octal {
    fn number(number: i64) -> Result<Self, String> {
        if WITHOUT_PREFIX.contains(&number) {
            return Err(format!("{number} is not octal: write `0o{number}` or `\"{number}\"`"));
        }
        let mode = u32::try_from(number).ok().filter(|mode| *mode <= 0o7777);
        mode.map(Self)
            .ok_or_else(|| format!("{number} is no file mode; one looks like `0o644`"))
    }
}

impl FromStr for Octal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok();
        octal.filter(|mode| *mode <= 0o7777).map(Self).ok_or_else(|| {
            format!("`{text}` is no file mode: one looks like `\"0644\"` or `0o644`")
        })
    }
}

impl fmt::Display for Octal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04o}", self.0)
    }
}

impl Serialize for Octal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Octal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl de::Visitor<'_> for TextOrNumber {
            type Value = Octal;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a file mode, `\"0644\"` or `0o644`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Octal, E> {
                text.trim().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Octal, E> {
                Octal::number(number).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Octal, E> {
                Octal::number(i64::try_from(number).unwrap_or(-1)).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl JsonSchema for Octal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Octal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_mode_is_octal_text_or_a_number() {
        let mode = |json| from_value::<Octal>(json).map(|mode| mode.to_string());
        assert_eq!(mode(json!("1777")).unwrap(), "1777");
        assert_eq!(mode(json!("0o644")).unwrap(), "0644");
        // What `0o1777` and `0o600` are to a script.
        assert_eq!(mode(json!(1023)).unwrap(), "1777");
        assert_eq!(mode(json!(384)).unwrap(), "0600");
        let error = mode(json!(644)).unwrap_err().to_string();
        assert!(error.contains("`0o644`"), "{error}");
        assert!(mode(json!(-1)).is_err() && mode(json!(99999)).is_err());
    }
}
