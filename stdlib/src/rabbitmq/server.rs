//! A RabbitMQ server, through its management API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use dollop_engine::analysis::Lint;
use dollop_engine::backup::Backup;
use dollop_engine::diagnostic::Code;
use dollop_engine::error::CallError;
use dollop_engine::path::Path;
use dollop_engine::resource::{Concurrency, Connection, Instead, Scope};
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{Api, Way, root};
use super::definitions::{DEFINITIONS, Definitions, First, Latest, whole};
use super::drain;
use super::health;
use super::instead;
use super::item::Place;
use super::unbound::Notes;
use super::vhost;
use crate::tls::{self, Papers};

/// A RabbitMQ server with the management plugin (the `-management` images have it), 3.10 or
/// later. The user needs the tag `administrator`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name or address of the machine. Example: `"127.0.0.1"`.
    #[schemars(extend("x-replace" = true))]
    host: String,
    /// Port of the management API, not the one for messages; with `https` usually 15671.
    #[serde(default = "port")]
    #[schemars(extend("x-replace" = true))]
    port: u16,
    /// Whether the management API is spoken to by TLS.
    #[serde(default)]
    scheme: Scheme,
    /// The authorities that may have signed the server's certificate, as the text of a PEM
    /// file: `file("ca.pem")`; the system's when left out. The certificate must be for `host`.
    #[serde(default)]
    ca: Option<String>,
    /// Whether any certificate is taken for the server's, which is as good as none: whoever
    /// stands between reads the password. Better name its authority as `ca`.
    #[serde(default)]
    insecure: bool,
    /// The client's certificate, as the text of a PEM file.
    #[serde(default)]
    client_certificate: Option<String>,
    /// Its private key, as the text of a PEM file: `secret_file("client.key")`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    client_key: Option<String>,
    /// What stands before `/api` in its addresses, where something is in front of it that sorts
    /// requests by them. Example: `"/rabbitmq"`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    path: String,
    /// The proxy to ask; without one, none is, whatever the environment says.
    /// Example: `"http://proxy:3128"`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    proxy: Option<String>,
    /// Headers of every request, for what is in front of the server.
    /// Example: `#{ "X-Tenant": "shop" }`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    headers: BTreeMap<String, String>,
    /// Who to log in as.
    #[serde(default = "user")]
    user: String,
    /// Their password.
    #[schemars(extend("x-secret" = true))]
    password: String,
    /// The most changes under way on it at once; those of the whole run have a limit of their
    /// own, `--parallelism`.
    #[serde(default)]
    concurrency: Concurrency,
}

/// How the management API is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In clear: on this machine, or in a network nobody else is in.
    #[default]
    Http,
    /// By TLS.
    Https,
}

/// An open connection.
pub struct Server {
    pub(super) api: Arc<Api>,
    definitions: Latest,
    /// What the list of vhosts said when the connection was opened.
    pub(super) vhosts: First<Vec<vhost::Row>>,
    /// `3.10.8`.
    pub(super) version: String,
    /// Queues that go because they were empty right before.
    empty: Mutex<BTreeSet<Place>>,
    /// Queues of drains that were cut off, by when the connection was opened.
    cut_off: BTreeSet<Place>,
    /// Bindings that go with what is made anew, and come back with it.
    pub(super) unbound: Notes,
}

/// What a server says of itself beside its definitions; putting that together costs it half as
/// much as these.
#[derive(Deserialize)]
struct Overview {
    #[serde(default)]
    exchange_types: Vec<ExchangeType>,
    #[serde(default)]
    listeners: Vec<Listener>,
}

/// What of it is looked at, a tenth.
const OVERVIEW: &str = "overview?columns=exchange_types.name,listeners.protocol";

#[derive(Deserialize)]
struct Listener {
    protocol: String,
}

#[derive(Deserialize)]
struct ExchangeType {
    name: String,
}

impl Server {
    /// Who dollop is there.
    pub(super) fn user(&self) -> &str {
        self.api.user()
    }

    /// Notes which of some queues are removed because nothing is in them, in place of what was
    /// noted about these before.
    pub(super) fn note_empty(&self, of: &BTreeSet<Place>, empty: impl Iterator<Item = Place>) {
        let mut noted = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|place| !of.contains(place));
        noted.extend(empty);
    }

    /// Whether that is why a queue goes.
    pub(super) fn goes_empty(&self, place: &Place) -> bool {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).contains(place)
    }

    /// Whether a queue is there that holds messages of another since a drain was cut off.
    pub(super) fn was_cut_off(&self, place: &Place) -> bool {
        self.cut_off.contains(place)
    }

    /// The types of exchanges that it and its plugins have.
    pub(super) async fn exchange_types(&self) -> Result<Vec<String>, CallError> {
        let overview: Overview = self.api.list("list the types of exchanges", OVERVIEW).await?;
        Ok(overview
            .exchange_types
            .into_iter()
            .map(|exchange_type| exchange_type.name)
            .collect())
    }

    /// Whether something listens for AMQP clients.
    pub(super) async fn takes_amqp(&self) -> Result<bool, CallError> {
        let overview: Overview = self.api.get("list the listeners", OVERVIEW).await?;
        // `amqp`, or `amqp/ssl`.
        Ok(overview.listeners.iter().any(|listener| listener.protocol.starts_with("amqp")))
    }

    /// Nearly everything there is, in one request for all who ask at the same time.
    pub(super) async fn definitions(&self) -> Result<Arc<Definitions>, CallError> {
        self.definitions.get(&self.api).await
    }
}

impl Connection for Server {
    const KIND: &'static str = "rabbitmq::server";
    const INSTEAD: Instead = instead::SERVER;
    type Spec = Spec;

    fn lint(known: &serde_json::Value) -> Vec<Lint> {
        if known["insecure"] != true {
            return Vec::new();
        }
        vec![Lint {
            code: Code::Unverified,
            at: Path::attribute("insecure"),
            message: "any certificate is taken for the server's: whoever stands between reads \
                      the password"
                .to_owned(),
            hint: "give its authority as `ca`: `file(\"ca.pem\")`".to_owned(),
        }]
    }

    fn concurrency(spec: &Spec) -> Concurrency {
        spec.concurrency
    }

    /// Asks for the definitions, which needs the plugin, the login and its tag: nearly everybody
    /// wants them right after, and what they leave out of vhosts.
    async fn open(spec: Spec, _: Scope) -> Result<Self, CallError> {
        let root = spec.root();
        let tls = spec.tls()?;
        let papers = spec.client_certificate;
        let way = Way { proxy: spec.proxy, headers: spec.headers };
        let api = Api::new(root, spec.user, spec.password, (tls, papers), &way)?;
        // Whoever wants the list asks again where there is no answer, and is told why.
        let vhosts =
            async { Ok(vhost::listed(&api).await.map(First::with).unwrap_or_default()) };
        let definitions = api.list_first::<Definitions>("connect to RabbitMQ", DEFINITIONS);
        let (definitions, vhosts) = futures::try_join!(definitions, vhosts)?;
        let version = definitions.version()?;
        let cut_off = drain::cut_off(&definitions)?;
        let unbound = Notes::of(&definitions)?;
        let definitions = Latest::with(definitions);
        let empty = Mutex::default();
        Ok(Self { api: Arc::new(api), definitions, vhosts, version, empty, cut_off, unbound })
    }

    async fn ready(&self) -> Result<(), CallError> {
        health::ready(self).await
    }

    const EXPORTS: Option<&'static str> = Some("rabbitmq-definitions");

    async fn export(&self) -> Result<String, CallError> {
        let text = serde_json::to_string_pretty(&whole(self).await?);
        text.map_err(|error| CallError::refused(format!("cannot write them: {error}")))
    }

    fn describe(spec: &Spec) -> String {
        format!("{} as {}", spec.root(), spec.user)
    }

    const SAVES: bool = true;

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }
}

impl Spec {
    fn root(&self) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        let path = self.path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}{slash}{path}", root(scheme, &self.host, self.port))
    }

    /// What is checked and shown by TLS, where it is used.
    fn tls(&self) -> Result<Option<ClientConfig>, CallError> {
        let papers = Papers {
            of: Server::KIND,
            ca: ("ca", self.ca.as_deref()),
            certificate: ("client_certificate", self.client_certificate.as_deref()),
            key: ("client_key", self.client_key.as_deref()),
        };
        let given = [papers.ca, papers.certificate, papers.key];
        let given = given.iter().find_map(|(name, text)| text.map(|_| *name));
        let given = given.or(self.insecure.then_some("insecure"));
        match (self.scheme, given) {
            (Scheme::Https, _) if self.insecure => tls::unchecked(&papers).map(Some),
            (Scheme::Https, _) => tls::client(&papers).map(Some),
            (Scheme::Http, None) => Ok(None),
            (Scheme::Http, Some(name)) => {
                let message = format!("`{name}` is for TLS, which `scheme` does not say");
                Err(CallError::refused(message)
                    .hint("set `scheme: \"https\"`, and `port: 15671` if it is the usual one"))
            }
        }
    }
}

fn port() -> u16 {
    15672
}

fn user() -> String {
    "guest".to_owned()
}
