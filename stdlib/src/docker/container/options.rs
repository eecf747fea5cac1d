//! What each kind of mount can be told beside where it lies.

use std::fmt;
use std::str::FromStr;

use bollard::models::MountBindOptionsPropagationEnum as Api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Bytes, written_as_text};

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
}

/// Options of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeOptions {
    /// Do not fill an empty volume with what the image has at the target.
    pub nocopy: bool,
    /// A path in the volume, mounted instead of all of it. Engines since 26.0.
    pub subpath: Option<String>,
}

/// Options of a folder in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TmpfsOptions {
    /// How much it may hold, `64m`.
    pub size: Option<Bytes>,
    /// Its permissions as octal text, `"1777"`.
    pub mode: Option<Octal>,
}

/// Options of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// A path in the image, mounted instead of all of it.
    pub subpath: Option<String>,
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
    pub(super) fn requested(self) -> Api {
        PROPAGATIONS.iter().find(|entry| entry.0 == self).map_or(Api::EMPTY, |entry| entry.1)
    }

    pub(super) fn observed(api: Api) -> Option<Self> {
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
        (self != Self::default()).then_some(self)
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

/// Permissions of a file, written as octal text: `"0644"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octal(pub u32);

impl FromStr for Octal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok();
        octal.filter(|mode| *mode <= 0o7777).map(Self).ok_or_else(|| {
            format!("`{text}` is no file mode: write octal digits as text, such as `\"0644\"`")
        })
    }
}

impl fmt::Display for Octal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04o}", self.0)
    }
}

written_as_text!(Octal, "string");
