//! Requests to servers that belong to no stack: registries of images, webhooks.

use std::time::Duration;

use dollop_engine::error::{CallError, Failure};
use reqwest::Client;
use serde_json::Value as Json;

use crate::tls;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A client that believes the authorities the system does, and goes the way the environment
/// names: these servers are elsewhere.
pub(crate) fn client() -> Result<Client, CallError> {
    let built = Client::builder().timeout(ANSWER).tls_backend_preconfigured(tls::system()?);
    built
        .build()
        .map_err(|error| CallError::refused(format!("cannot make an HTTP client: {error}")))
}

/// Why there is no answer, in words that do not hold the address: it may be a secret.
pub(crate) fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_builder() {
        "the address is none"
    } else {
        "the connection broke"
    }
}

/// Sends a document to whoever wants to know. Of the address only the host is ever shown: the
/// rest of it is what lets people in, where chats give out such addresses.
///
/// # Errors
/// It is not taken.
pub async fn post(url: &str, document: &Json) -> Result<(), CallError> {
    let parsed = reqwest::Url::parse(url).ok().filter(reqwest::Url::has_host);
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(parsed) = parsed else {
        return Err(CallError::refused("the webhook is no address of HTTP")
            .hint("one looks like `https://chat.example.org/hooks/1234`"));
    };
    let host = parsed.host_str().unwrap_or_default().to_owned();
    let answer = client()?.post(parsed).json(document).send().await.map_err(|error| {
        CallError::unreachable(format!(
            "the webhook at `{host}` is not reached: {}",
            why(&error)
        ))
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let message = format!("the webhook at `{host}` answers with status {}", status.as_u16());
    let failure =
        if status.is_server_error() { Failure::Unreachable } else { Failure::Refused };
    Err(CallError::new(failure, message))
}
