//! What a kind tells the analysis about one object: what it takes for itself, whom it needs.

use core::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostic::Code;
use crate::path::Path;

/// Something an object takes, offers or needs beside its attributes as such.
///
/// All of it is relative to the connection the object is reached through: two engines each
/// have a port 80.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A port of the host.
    HostPort {
        /// The address of the host; `None` for all of them.
        ip: Option<IpAddr>,
        /// The port.
        port: u16,
        /// `tcp`, `udp`, `sctp`.
        protocol: &'static str,
    },
    /// A range of addresses that is its own.
    Subnet(IpNet),
    /// A place in a network.
    Member {
        /// The network.
        network: Named,
        /// The addresses it asks for.
        addresses: Vec<IpAddr>,
        /// What others in the network find it by; empty where names are not found.
        names: Vec<String>,
        /// What they find it by together with others like it.
        group: Option<String>,
    },
    /// A use of stored data.
    Mount {
        /// Where it is stored.
        volume: Named,
        /// Whether it may be changed.
        writable: bool,
        /// The software that must be alone with it, `PostgreSQL`.
        exclusive: Option<&'static str>,
    },
    /// Another object of which it has a part: whose network it is in, say.
    Shares(Named),
    /// Software it runs, of which is known what it brings along.
    Offers {
        /// What it is called: `PostgreSQL`.
        software: &'static str,
        /// Where it comes from, as declared.
        image: String,
        /// Everything it has, sorted.
        features: &'static [&'static str],
    },
    /// A part of the software it lives in.
    Wants {
        /// What that is called.
        software: &'static str,
        /// Which part.
        feature: String,
        /// Where it can be had.
        hint: Option<String>,
    },
    /// An address in a text it is told, of something it reaches.
    Calls(Call),
    /// A name by which callers log in to the software it is or lives in, or ask it for a part.
    Knows {
        /// What it names.
        what: Known,
        /// The name.
        name: String,
    },
    /// A path of this machine that must exist before; relative to the project folder.
    NeedsPath(String),
    /// A path of this machine it makes; relative to the project folder.
    MakesPath(String),
}

/// An object by its real name, declared in this stack or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its kind: `docker::network`.
    pub kind: &'static str,
    /// The world's name for it.
    pub name: String,
}

/// A URL by its parts, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whom it leads to.
    pub host: String,
    /// The port, also when it follows from the scheme.
    pub port: Option<u16>,
    /// Who logs in, where that is known to be a name that somebody makes.
    pub login: Option<Asked>,
    /// The part that is asked for, likewise.
    pub place: Option<Asked>,
    /// Whether the text is handed on to browsers, which are elsewhere.
    pub by_browsers: bool,
}

/// What a caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What its software calls such a thing: `role`, `vhost`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// What else is to be said when nobody makes it.
    pub note: Option<&'static str>,
}

/// Said of a name when there may be others that nobody can know of.
pub const ANY: &str = "*";

/// What a name is for, to those who call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// A role or user.
    Login,
    /// A database or vhost.
    Place,
}

/// A claim and the attribute that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Where in the spec.
    pub at: Path,
    /// What.
    pub claim: Claim,
}

impl Claimed {
    /// A claim made by a part of the spec.
    pub fn new(at: Path, claim: Claim) -> Self {
        Self { at, claim }
    }
}

/// Something about one object that works and most likely is not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Which warning.
    pub code: Code,
    /// Where in the spec.
    pub at: Path,
    /// What: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
