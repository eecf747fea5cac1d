//! Requests to the management API and what its refusals mean.
//!
//! The API's typed client crate is not used: at 0.93 it cannot write or read an exchange's
//! `internal` or read a vhost's `tracing`, cannot list queues without statistics, and drops
//! the reason of a 404.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use dollop_engine::error::{CallError, Failure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Proxy, Response, StatusCode};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::tls;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_mins(1);
/// What is said of a server that is not there.
const NO_ANSWER: &str = "no answer from";
/// For an import, and a vhost that goes with all it holds.
const LONG_WRITE: Duration = Duration::from_mins(30);
/// For all that waits in a queue.
const LONG_ANSWER: Duration = Duration::from_hours(4);

/// The API of one server, as one user.
pub(super) struct Api {
    http: Client,
    root: String,
    user: String,
    password: String,
    /// The certificate that is shown, as PEM text.
    papers: Option<String>,
    /// How many writes were begun; tells a reader whether what it has is old.
    writes: AtomicU64,
}

/// An answer that comes in pieces.
pub(super) struct Answer<'a> {
    api: &'a Api,
    what: String,
    response: Response,
}

impl Answer<'_> {
    /// The next piece; nothing at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        let piece = self.response.chunk().await;
        piece.map_err(|error| self.api.unanswered(&self.what, error))
    }
}

/// What stands between this machine and the API.
#[derive(Default)]
pub(super) struct Way {
    /// The proxy that is asked.
    pub(super) proxy: Option<String>,
    /// What is sent with every request.
    pub(super) headers: BTreeMap<String, String>,
}

impl Way {
    fn proxy(&self) -> Result<Option<Proxy>, CallError> {
        let Some(address) = &self.proxy else { return Ok(None) };
        // The address may hold a password.
        let proxy = Proxy::all(address).map_err(|_| {
            CallError::refused("`proxy` is no address").hint("write it as `http://proxy:3128`")
        })?;
        Ok(Some(proxy))
    }

    /// None of them is shown anywhere: they may be passwords.
    fn headers(&self) -> Result<HeaderMap, CallError> {
        let mut all = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong = |what: &str| {
                CallError::refused(format!("`headers`: {what} for HTTP: `{name}`"))
                    .hint("names are letters, digits and `-`; values are one line")
            };
            let key = HeaderName::from_bytes(name.as_bytes());
            let key = key.map_err(|_| wrong("this is no name"))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|_| wrong("there is no value"))?;
            value.set_sensitive(true);
            all.insert(key, value);
        }
        Ok(all)
    }
}

/// `http://127.0.0.1:15672`.
pub(super) fn root(scheme: &str, host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("{scheme}://[{address}]:{port}"),
        Err(_) => format!("{scheme}://{host}:{port}"),
    }
}

impl Api {
    /// A client, by TLS where `tls` says how and what is shown; nothing is sent yet.
    pub(super) fn new(
        root: String,
        user: String,
        password: String,
        (tls, papers): (Option<ClientConfig>, Option<String>),
        way: &Way,
    ) -> Result<Self, CallError> {
        // Without a proxy that the environment names: the address is meant as it stands, and
        // carries a password.
        // Without redirects, which could lead out of TLS.
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        let http = http.default_headers(way.headers()?);
        let http = match way.proxy()? {
            Some(proxy) => http.proxy(proxy),
            None => http,
        };
        let tls = tls.map_or_else(tls::unused, Ok)?;
        let http = http.tls_backend_preconfigured(tls).build().map_err(|error| {
            CallError::refused(format!("cannot make an HTTP client: {}", causes(&error)))
        })?;
        Ok(Self { http, root, user, password, papers, writes: AtomicU64::new(0) })
    }

    /// Who it logs in as.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// How many writes were begun so far.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Reads a document that lists objects.
    ///
    /// RabbitMQ 3.10 answers 500 to a list of queues while it makes one of them (a queue
    /// without a process yet: `badarg` in `rabbit_amqqueue_process:format/1`), so a list
    /// is asked for again.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, CallError> {
        self.again(what, path, |_| true).await
    }

    /// The same as the first request of all: whether there is a server shows at once.
    pub(super) async fn list_first<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, CallError> {
        self.again(what, path, |error| !error.message.contains(NO_ANSWER)).await
    }

    async fn again<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        helps: impl Fn(&CallError) -> bool,
    ) -> Result<T, CallError> {
        let again = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_times(5)
            .with_jitter();
        let ask = || self.get(what, path);
        let helps = |error: &CallError| error.failure == Failure::Unreachable && helps(error);
        ask.retry(again).when(helps).await
    }

    /// Reads a document. `what` completes "cannot …".
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, CallError> {
        let url = format!("{}/api/{path}", self.root);
        match self.send(what, Method::GET, &url, None).await? {
            Some(text) => parse(what, &url, &text),
            None => Err(CallError::refused(format!("cannot {what}: there is no {url}"))
                .hint("check that `port` is the one of RabbitMQ's management API")),
        }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Reads the answer of a health check, which is the same when it fails; `None` when the
    /// server has no such check.
    pub(super) async fn checked<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Option<T>, CallError> {
        let url = format!("{}/api/{path}", self.root);
        let request = self.http.get(&url).basic_auth(&self.user, Some(&self.password));
        let response = request.send().await.map_err(|error| self.unanswered(what, error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unanswered(what, error))?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE => {
                parse(what, &url, &text).map(Some)
            }
            status => Err(self.refused(what, status, &text)),
        }
    }

    /// Reads a document by names; `None` when the server has nothing there.
    pub(super) async fn get_at<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<Option<T>, CallError> {
        let url = self.url(what, path)?;
        match self.send(what, Method::GET, &url, None).await? {
            Some(text) => parse(what, &url, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Writes an object.
    pub(super) async fn put(
        &self,
        what: &str,
        path: &[&str],
        body: &Json,
    ) -> Result<(), CallError> {
        let url = self.url(what, path)?;
        self.send(what, Method::PUT, &url, Some(body)).await.map(drop)
    }

    /// Adds an object that the server names.
    pub(super) async fn post(
        &self,
        what: &str,
        path: &[&str],
        body: &Json,
    ) -> Result<(), CallError> {
        let url = self.url(what, path)?;
        let limit = limit(&Method::POST, path);
        self.send_within(limit, what, Method::POST, &url, Some(body)).await.map(drop)
    }

    /// Asks a question that takes a document; what is not there answers like an empty list.
    pub(super) async fn ask<T: DeserializeOwned + Default>(
        &self,
        what: &str,
        path: &[&str],
        body: &Json,
    ) -> Result<T, CallError> {
        let url = self.url(what, path)?;
        match self.send(what, Method::POST, &url, Some(body)).await {
            Ok(Some(text)) => parse(what, &url, &text),
            Ok(None) => Ok(T::default()),
            Err(error) => Err(error),
        }
    }

    /// Asks a question whose answer may be longer than fits into memory, and may take long.
    pub(super) async fn stream(
        &self,
        what: &str,
        path: &[&str],
        body: &Json,
    ) -> Result<Answer<'_>, CallError> {
        let url = self.url(what, path)?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        let request = self.http.post(&url).basic_auth(&self.user, Some(&self.password));
        let request = request.json(body).timeout(LONG_ANSWER);
        let response = request.send().await.map_err(|error| self.unanswered(what, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer { api: self, what: what.to_owned(), response });
        }
        let text = response.text().await.map_err(|error| self.unanswered(what, error))?;
        Err(self.refused(what, status, &text))
    }

    /// Removes an object; fine when it is gone.
    pub(super) async fn delete(&self, what: &str, path: &[&str]) -> Result<(), CallError> {
        let url = self.url(what, path)?;
        let limit = limit(&Method::DELETE, path);
        self.send_within(limit, what, Method::DELETE, &url, None).await.map(drop)
    }

    /// Removes a classic queue unless something is in it; whether it is gone.
    pub(super) async fn delete_if_empty(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<bool, CallError> {
        let url = format!("{}?if-empty=true", self.url(what, path)?);
        match self.send(what, Method::DELETE, &url, None).await {
            Ok(_) => Ok(true),
            Err(error) if error.message.ends_with(" not empty") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends one request and gives back the body of a good answer; `None` when what was to
    /// be read or removed is not there.
    async fn send(
        &self,
        what: &str,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<Option<String>, CallError> {
        self.send_within(ANSWER, what, method, url, body).await
    }

    /// The same, with how long the answer may take.
    async fn send_within(
        &self,
        limit: Duration,
        what: &str,
        method: Method,
        url: &str,
        body: Option<&Json>,
    ) -> Result<Option<String>, CallError> {
        let may_be_gone = matches!(method, Method::GET | Method::DELETE);
        if method != Method::GET {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        let request = self.http.request(method, url).timeout(limit);
        let request = request.basic_auth(&self.user, Some(&self.password));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unanswered(what, error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unanswered(what, error))?;
        if status.is_success() {
            return Ok(Some(text));
        }
        if may_be_gone && status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let error = self.refused(what, status, &text);
        if may_be_gone && status.is_server_error() {
            // Asking again does no harm and may help.
            return Err(CallError { failure: Failure::Unreachable, ..error });
        }
        Err(error)
    }

    /// The address of an object. Every part is a name: slashes and the like are encoded.
    fn url(&self, what: &str, path: &[&str]) -> Result<String, CallError> {
        let mut url = format!("{}/api", self.root);
        for part in path {
            if matches!(*part, "" | "." | "..") {
                // URLs have no way to say these as one part of a path.
                let message =
                    format!("cannot {what}: the API cannot address the name `{part}`");
                return Err(CallError::refused(message).hint("give it another name"));
            }
            url.push('/');
            url.extend(utf8_percent_encode(part, NON_ALPHANUMERIC));
        }
        Ok(url)
    }

    fn unanswered(&self, what: &str, error: reqwest::Error) -> CallError {
        let error = error.without_url();
        let of_tls = tls::error_in(&error);
        let no_answer = |why: &str| format!("cannot {what}: {NO_ANSWER} {}: {why}", self.root);
        if let Some(when) = of_tls.and_then(tls::out_of_time) {
            let message = no_answer(&format!("the server's certificate {when}"));
            return CallError::new(Failure::Denied, message)
                .hint("give the server a new one, or set the clock of this machine");
        }
        let ours = of_tls.filter(|error| tls::refuses_ours(error)).and(self.papers.as_deref());
        if let Some(when) = ours.and_then(tls::own_out_of_time) {
            let message =
                no_answer(&format!("it refuses our `client_certificate`, which {when}"));
            return CallError::new(Failure::Denied, message)
                .hint("give a new `client_certificate` with its `client_key`");
        }
        let why = causes(&error);
        let message = no_answer(&why);
        if error.is_builder() {
            return CallError::refused(message).hint("check `host` and `port`");
        }
        let by_tls = self.root.starts_with("https");
        let of_papers = ["certificate", "fatal alert"];
        if by_tls && of_papers.iter().any(|word| why.to_lowercase().contains(word)) {
            return CallError::new(Failure::Denied, message).hint(
                "give the authority that signed the server's certificate as `ca`, the name it \
                 is for as `host`, and a client certificate if the server wants one",
            );
        }
        if by_tls && (why.contains("InvalidContentType") || why.contains("corrupt message")) {
            return CallError::refused(message)
                .hint("nothing speaks TLS there; with `https` the port is usually 15671");
        }
        if why.contains("invalid HTTP") {
            return CallError::refused(message).hint(
                "`port` is the one of the management API, usually 15672; \
                 5672 is for messages",
            );
        }
        CallError::unreachable(message)
            .hint("check that RabbitMQ runs there with its management plugin enabled")
    }

    fn refused(&self, what: &str, status: StatusCode, body: &str) -> CallError {
        let reason = reason(body).unwrap_or_else(|| status.to_string());
        let (root, user) = (&self.root, &self.user);
        let message = format!("cannot {what} on {root}: {reason}");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let denied = |message| CallError::new(Failure::Denied, message);
                match reason.as_str() {
                    // The latter from 3.11.20 on.
                    "Login failed" | "Not_Authorized" => {
                        denied(format!("{root} refuses user `{user}`: {reason}"))
                            .hint("check `user` and `password` of the connection")
                    }
                    "User can only log in via localhost" => denied(message).hint(format!(
                        "connect as another user, or take `{user}` out of `loopback_users` in \
                         the server's configuration"
                    )),
                    // As who has another tag, or none.
                    _ if reason.starts_with("Not ") && reason.ends_with(" user") => denied(
                        message,
                    )
                    .hint(format!(
                        "give `{user}` the tag `administrator`, or connect as one who has it"
                    )),
                    _ => denied(message).hint(format!(
                        "user `{user}` needs permission in the vhost; \
                         names that begin with `amq.` are the server's own"
                    )),
                }
            }
            StatusCode::BAD_REQUEST if reason.contains("inequivalent arg") => {
                let message =
                    format!("cannot {what} on {root}: it exists with other properties");
                CallError::new(Failure::Exists, message).note(reason).hint(
                    "RabbitMQ cannot change them in place: declare it as it is, \
                     or delete it first",
                )
            }
            StatusCode::BAD_REQUEST if reason == "vhost_or_user_not_found" => {
                CallError::refused(format!(
                    "cannot {what} on {root}: there is no such vhost or no such user"
                ))
            }
            StatusCode::NOT_FOUND if reason == "vhost_not_found" => {
                CallError::refused(format!("cannot {what} on {root}: there is no such vhost"))
            }
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => CallError::unreachable(message),
            _ => CallError::refused(message),
        }
    }
}

/// How long the answer to a write may take.
fn limit(method: &Method, path: &[&str]) -> Duration {
    match (method, path) {
        (&Method::POST, ["definitions", ..]) | (&Method::DELETE, ["vhosts", _]) => LONG_WRITE,
        _ => ANSWER,
    }
}

fn parse<T: DeserializeOwned>(what: &str, url: &str, text: &str) -> Result<T, CallError> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("cannot {what}: {url} answers something else: {error}");
        CallError::refused(message).hint("check that a RabbitMQ management API is there")
    })
}

/// An error with all it was caused by: reqwest keeps the reason at the bottom.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Why the server refuses: the `reason` of its answer, made one line.
fn reason(body: &str) -> Option<String> {
    let answer: Json = serde_json::from_str(body).ok()?;
    let reason = answer.get("reason").or_else(|| answer.get("error"))?;
    let text = words(reason).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let text = text.strip_prefix("Validation failed").unwrap_or(&text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// An Erlang term that became JSON, as words: its texts come as lists of character codes.
fn words(term: &Json) -> String {
    let code = |item: &Json| {
        let code = item.as_u64().and_then(|code| u32::try_from(code).ok());
        code.and_then(char::from_u32).filter(|c| !c.is_control())
    };
    match term {
        Json::String(text) => text.clone(),
        Json::Array(items) => match items.iter().map(code).collect::<Option<String>>() {
            Some(text) if !text.is_empty() => text,
            _ => items.iter().map(words).collect::<Vec<_>>().join(" "),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_words() {
        let said = |body: &str| reason(body).unwrap_or_default();
        assert_eq!(said(r#"{"error":"bad_request","reason":"no"}"#), "no");
        assert_eq!(
            said(
                r#"{"reason":["invalid_regexp",[40],[[109,105,115,115,105,110,103,32,41],1]]}"#
            ),
            "invalid_regexp ( missing ) 1"
        );
        assert_eq!(
            said(r#"{"reason":"Validation failed\n\n[{&lt;&lt;\"foo\"&gt;&gt;,5}] no\n"}"#),
            "[{<<\"foo\">>,5}] no"
        );
        assert_eq!(reason("<html>"), None);
    }

    fn api(user: &str) -> Api {
        let root = root("http", "::1", 1);
        let (user, none) = (user.to_owned(), String::new());
        Api::new(root, user, none, (None, None), &Way::default()).unwrap()
    }

    /// The words of the servers since 3.11.20 as well.
    #[test]
    fn who_is_refused_is_told_why() {
        let told = |reason: &str| {
            let body = serde_json::json!({ "error": "not_authorized", "reason": reason });
            let api = api("app");
            let error = api.refused("look", StatusCode::UNAUTHORIZED, &body.to_string());
            assert_eq!(error.failure, Failure::Denied);
            error.hints.join(" ")
        };
        for reason in ["Login failed", "Not_Authorized"] {
            assert_eq!(told(reason), "check `user` and `password` of the connection");
        }
        for tag in ["administrator", "management", "monitor", "policymaker"] {
            let hint = told(&format!("Not {tag} user"));
            assert!(hint.starts_with("give `app` the tag `administrator`"), "{tag}: {hint}");
        }
        let local = told("User can only log in via localhost");
        assert!(local.contains("`loopback_users`"), "{local}");
        assert!(told("Access refused.").contains("needs permission in the vhost"));
    }

    /// The server goes on with them, whoever is gone by then.
    #[test]
    fn what_takes_long_has_time() {
        assert_eq!(limit(&Method::POST, &["definitions", "shop"]), LONG_WRITE);
        assert_eq!(limit(&Method::DELETE, &["vhosts", "shop"]), LONG_WRITE);
        let protection = ["vhosts", "shop", "deletion", "protection"];
        assert_eq!(limit(&Method::DELETE, &protection), ANSWER);
        assert_eq!(limit(&Method::DELETE, &["queues", "shop", "orders"]), ANSWER);
    }

    #[test]
    fn names_are_one_part_of_the_path() {
        let api = api("");
        let url = api.url("test", &["queues", "/", "a/b%ü ."]).unwrap();
        assert_eq!(url, "http://[::1]:1/api/queues/%2F/a%2Fb%25%C3%BC%20%2E");
        for name in ["", ".", ".."] {
            assert!(api.url("test", &["queues", "/", name]).is_err(), "{name}");
        }
    }
}
