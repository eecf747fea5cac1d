//! Waiting until something answers on the network.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Name, Naming, Problem, ReadResult, Resource, Traits, Wanted,
};
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::host::Host;
use super::recorded::recorded;
use super::token::token;
use crate::tls;

/// The longest time one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How a client of AMQP 0-9-1 begins (specification, section 4.2.2).
const AMQP: &[u8] = b"AMQP\0\0\x09\x01";
/// The type of the frame a broker answers with: a method (section 4.2.3).
const METHOD_FRAME: u8 = 1;

/// Waits until something answers, as seen from this machine: asked when it is made or
/// changed, and again before anything that names it in `after_healthy` is made or changed.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where a TCP connection must be accepted, `127.0.0.1:6379`.
    #[serde(default)]
    tcp: Option<String>,
    /// A page that must be there, `http://127.0.0.1:8080/health`. With `https`, an authority
    /// the system believes must have signed the certificate.
    #[serde(default)]
    http: Option<String>,
    /// The status the page must have; any from 200 to 399 when left out.
    #[serde(default)]
    status: Option<u16>,
    /// Where a broker must speak AMQP 0-9-1, `127.0.0.1:5672`.
    #[serde(default)]
    amqp: Option<String>,
    /// The longest time to wait for it, `1m`.
    #[serde(default = "minute")]
    timeout: String,
}

impl Spec {
    /// What it asks, in words: `http http://127.0.0.1:8080/health`.
    pub(super) fn what(&self) -> String {
        let asked = [("tcp", &self.tcp), ("http", &self.http), ("amqp", &self.amqp)];
        let found = asked.iter().find_map(|(way, place)| Some((way, place.as_ref()?)));
        found.map_or_else(String::new, |(way, place)| format!("{way} {place}"))
    }
}

fn minute() -> String {
    "1m".to_owned()
}

/// What is known once it answered.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// A random identifier.
    #[schemars(extend("x-stable" = true))]
    id: String,
}

/// The kind `local::probe`.
pub struct Probe;

impl Resource for Probe {
    const KIND: &'static str = "local::probe";
    type Connection = Host;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            gets_ready: true,
            only_recorded: true,
            ..Traits::default()
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: String, hint: &str| {
            let (attribute, hint) = (attribute.to_owned(), Some(hint.to_owned()));
            problems.push(Problem { attribute, message, hint });
        };
        let asked = [&spec.tcp, &spec.http, &spec.amqp];
        if asked.iter().filter(|place| place.is_some()).count() != 1 {
            let message = "it asks in one way: `tcp`, `http` or `amqp`".to_owned();
            problem("tcp", message, "to wait for two things, declare two probes");
        }
        for (attribute, place) in [("tcp", &spec.tcp), ("amqp", &spec.amqp)] {
            if let Some(place) = place
                && !is_place(place)
            {
                let message = format!("`{place}` is no host and port");
                problem(attribute, message, "one looks like `127.0.0.1:5672`");
            }
        }
        if let Some(url) = &spec.http
            && reqwest::Url::parse(url).map_or(true, |url| !url.has_host())
        {
            let message = format!("`{url}` is no address of a page");
            problem("http", message, "one looks like `http://127.0.0.1:8080/health`");
        }
        if spec.status.is_some() && spec.http.is_none() {
            let message = "only a page has a status".to_owned();
            problem("status", message, "use `http`, or leave `status` out");
        }
        if let Err(error) = humantime::parse_duration(&spec.timeout) {
            let message = format!("`{}` is no duration: {error}", spec.timeout);
            problem("timeout", message, "one looks like `30s` or `2m`");
        }
        problems
    }

    async fn read(_: &Host, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        recorded::<Self>(wanted, |facts| &facts.id)
    }

    async fn create(_: &Host, _: &Name, spec: Spec) -> Result<Created<Facts>, CallError> {
        answers(&spec).await?;
        let id = token()?;
        Ok(Created { id: id.clone(), facts: Facts { id } })
    }

    async fn update(
        _: &Host,
        _: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        answers(&to).await?;
        Ok(Facts { id: id.to_owned() })
    }

    async fn delete(_: &Host, _: &Name, _: &str, _: Spec) -> Result<(), CallError> {
        Ok(())
    }

    async fn ready(_: &Host, _: &Name, _: &str, spec: Spec) -> Result<(), CallError> {
        answers(&spec).await
    }
}

fn is_place(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Asks again and again until it answers as it should.
async fn answers(spec: &Spec) -> Result<(), CallError> {
    let patience = humantime::parse_duration(&spec.timeout).unwrap_or(ATTEMPT);
    let client = client(spec)?;
    let often = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .without_max_times()
        .with_total_delay(Some(patience));
    let ask = || ask(&client, spec);
    ask.retry(often).await.map_err(|why| {
        CallError::refused(format!("{why}, after {}", spec.timeout))
            .hint("give it longer with `timeout`, if it only is slow")
    })
}

/// What asks for pages.
pub(super) fn client(spec: &Spec) -> Result<Client, CallError> {
    let by_tls = spec.http.as_deref().is_some_and(|url| url.starts_with("https"));
    let tls = if by_tls { tls::system() } else { tls::unused() }?;
    Client::builder()
        .no_proxy()
        .timeout(ATTEMPT)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| CallError::refused(format!("cannot make an HTTP client: {error}")))
}

/// Asks once; the error says why it does not answer as it should.
pub(super) async fn ask(client: &Client, spec: &Spec) -> Result<(), String> {
    match (&spec.tcp, &spec.http, &spec.amqp) {
        (Some(place), ..) => connect(place).await.map(drop),
        (_, Some(url), _) => page(client, url, spec.status).await,
        (_, _, Some(place)) => broker(place).await,
        (None, None, None) => Ok(()),
    }
}

/// A TCP connection to `host:port`; the error says why there is none.
pub(crate) async fn connect(place: &str) -> Result<TcpStream, String> {
    let failed = |why: &str| format!("nothing answers at `{place}`: {why}");
    match tokio::time::timeout(ATTEMPT, TcpStream::connect(place)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            let why = error.to_string().to_lowercase();
            Err(failed(why.split(" (os error").next().unwrap_or(&why)))
        }
        Err(_) => Err(failed("it takes too long")),
    }
}

async fn page(client: &Client, url: &str, wanted: Option<u16>) -> Result<(), String> {
    let answer = client.get(url).send().await.map_err(|error| {
        let why = if error.is_timeout() { "it takes too long" } else { "no connection" };
        format!("no answer from `{url}`: {why}")
    })?;
    let status = answer.status().as_u16();
    let good = wanted.map_or((200..400).contains(&status), |wanted| wanted == status);
    if good { Ok(()) } else { Err(format!("`{url}` answers with status {status}")) }
}

async fn broker(place: &str) -> Result<(), String> {
    let mut stream = connect(place).await?;
    let silent = || format!("what answers at `{place}` does not speak AMQP 0-9-1");
    let greeted = async {
        stream.write_all(AMQP).await?;
        let mut first = [0];
        stream.read_exact(&mut first).await.map(|_| first[0])
    };
    match tokio::time::timeout(ATTEMPT, greeted).await {
        Ok(Ok(METHOD_FRAME)) => Ok(()),
        _ => Err(silent()),
    }
}
