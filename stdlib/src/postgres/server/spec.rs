//! How a server is reached.

use dollop_engine::resource::Concurrency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::tls::{Binding, SslMode};

/// A PostgreSQL server, 11 or newer, and the user dollop works as.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Host name or address, or the folder of a Unix socket: `127.0.0.1`. Several with commas
    /// between them are tried in their order: `db1,db2`.
    #[schemars(extend("x-replace" = true))]
    pub host: String,
    /// TCP port.
    #[serde(default = "default_port")]
    #[schemars(extend("x-replace" = true))]
    pub port: u16,
    /// The role to work as; a superuser can do everything, others what they are allowed to.
    #[serde(default = "default_user")]
    pub user: String,
    /// Its password; sent only as SCRAM or MD5 proof unless the server insists on clear text.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub password: Option<String>,
    /// The database to connect to first, one that always exists.
    #[serde(default = "default_database")]
    pub database: String,
    /// Whether to use TLS, and what is checked; never by a Unix socket.
    #[serde(default)]
    pub sslmode: SslMode,
    /// The authorities that may have signed the server's certificate, as the text of a PEM
    /// file: `file("ca.pem")`. With `verify-ca` and `verify-full` the system's when left out.
    #[serde(default)]
    pub sslrootcert: Option<String>,
    /// The client's certificate, as the text of a PEM file.
    #[serde(default)]
    pub sslcert: Option<String>,
    /// Its private key, as the text of a PEM file: `secret_file("client.key")`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub sslkey: Option<String>,
    /// Whether the proof of the password is tied to the TLS session, so that nobody who stands
    /// between can use it, even where no authority says whom one talks to.
    #[serde(default)]
    pub channel_binding: Binding,
    /// Which of several hosts is meant: any that answers, or the one that can be written to.
    #[serde(default)]
    pub target_session_attrs: Target,
    /// How long connecting may take, in seconds; also how long a run waits for a server that
    /// was there and is gone, as in a fail-over.
    #[serde(default = "default_timeout")]
    pub connect_timeout: u32,
    /// The most changes under way on it at once; those of the whole run have a limit of their
    /// own, `--parallelism`.
    #[serde(default)]
    pub concurrency: Concurrency,
}

/// Which server is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The first that answers.
    #[default]
    Any,
    /// The one that can be written to: the leader, waited for while there is none.
    ReadWrite,
}

fn default_port() -> u16 {
    5432
}

fn default_user() -> String {
    "postgres".to_owned()
}

fn default_database() -> String {
    "postgres".to_owned()
}

fn default_timeout() -> u32 {
    10
}

pub(super) fn address(spec: &Spec) -> String {
    if spec.host.starts_with('/') {
        format!("{}/.s.PGSQL.{}", spec.host.trim_end_matches('/'), spec.port)
    } else if spec.host.contains(':') {
        format!("[{}]:{}", spec.host, spec.port)
    } else {
        format!("{}:{}", spec.host, spec.port)
    }
}
