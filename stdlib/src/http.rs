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

/// Where documents are sent to whoever wants to know. Of the address only the host is ever
/// shown: the rest of it is what lets people in, where chats give out such addresses.
#[derive(Clone)]
pub struct Webhook(reqwest::Url);

impl Webhook {
    /// An address of HTTP.
    ///
    /// # Errors
    /// It is none.
    pub fn new(url: &str) -> Result<Self, CallError> {
        let parsed = reqwest::Url::parse(url.trim()).ok().filter(reqwest::Url::has_host);
        let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        parsed.map(Self).ok_or_else(|| {
            CallError::refused("the webhook is no address of HTTP")
                .hint("one looks like `https://chat.example.org/hooks/1234`")
        })
    }

    /// Sends a document.
    ///
    /// # Errors
    /// It is not taken.
    pub async fn post(&self, document: &Json) -> Result<(), CallError> {
        let host = self.0.host_str().unwrap_or_default();
        let sent = client()?.post(self.0.clone()).json(document).send().await;
        let answer = sent.map_err(|error| {
            CallError::unreachable(format!(
                "the webhook at `{host}` is not reached: {}",
                why(&error)
            ))
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let message =
            format!("the webhook at `{host}` answers with status {}", status.as_u16());
        let failure =
            if status.is_server_error() { Failure::Unreachable } else { Failure::Refused };
        Err(CallError::new(failure, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_before_anything_is_sent() {
        for url in ["", "chat.example.org", "ftp://chat.example.org/x", "http://", "hook"] {
            let refused = Webhook::new(url).err().expect(url);
            assert_eq!(refused.message, "the webhook is no address of HTTP");
        }
        assert!(Webhook::new(" https://chat.example.org/hooks/1234\n").is_ok());
    }
}
