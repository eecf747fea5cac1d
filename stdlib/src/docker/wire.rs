//! A connection to the engine of one's own, for the two things bollard keeps to itself: the
//! headers of an answer, and what a connection becomes once both sides left HTTP/1.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes as Chunk;
use dollop_engine::error::CallError;
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use openssh::{SessionBuilder, Stdio};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::endpoint::Endpoint;
use super::engine::Tls;
use crate::tls::{self, Papers};

/// The most an answer that says what is wrong may hold.
const LONGEST_REFUSAL: usize = 64 << 10;

/// What is sent along with a request.
pub(crate) type Body = Empty<Chunk>;

/// Where an engine is and how one gets there.
#[derive(Clone)]
pub(crate) struct Wire {
    host: String,
    /// Files for TLS, from the root.
    tls: Option<Tls>,
    /// The file with the key for SSH, from the root.
    ssh_key: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// There is no connection, or it broke.
    #[error("{0}")]
    Broken(String),
    /// Nothing came within this time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The engine does not do what was asked for.
    #[error("{message}")]
    Refused {
        /// The status of HTTP.
        status: StatusCode,
        /// What the engine says.
        message: String,
    },
}

impl WireError {
    fn broken(error: &(dyn StdError + 'static)) -> Self {
        // The innermost cause says most.
        let mut deepest = error;
        while let Some(next) = deepest.source() {
            deepest = next;
        }
        Self::Broken(deepest.to_string())
    }
}

/// Both ways of a connection, whatever it is made of.
trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// What reads and writes a connection; it ends with whoever waits for its answer.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose body still comes in. The engine ends what it does for one that is dropped.
pub(crate) struct Answer {
    response: Response<Incoming>,
    /// Without it the connection would be closed before its time.
    _sender: SendRequest<Body>,
    _driver: Driver,
}

impl Answer {
    /// A header of it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next part of its body; nothing at its end.
    pub(crate) async fn part(&mut self) -> Option<Result<Chunk, WireError>> {
        loop {
            match self.response.body_mut().frame().await? {
                Ok(frame) => {
                    // Trailers are no part of it.
                    if let Ok(part) = frame.into_data() {
                        return Some(Ok(part));
                    }
                }
                Err(error) => return Some(Err(WireError::broken(&error))),
            }
        }
    }
}

impl Wire {
    /// The way to an engine; `from_root` makes the path of a file one from the root.
    pub(super) fn new(
        endpoint: &Endpoint,
        ssh_key: Option<&str>,
        from_root: impl Fn(&str) -> String,
    ) -> Self {
        let tls = endpoint.tls.as_ref().map(|tls| Tls {
            ca: from_root(&tls.ca),
            cert: from_root(&tls.cert),
            key: from_root(&tls.key),
        });
        Self { host: endpoint.host.clone(), tls, ssh_key: ssh_key.map(from_root) }
    }

    /// Asks, and waits for the head of the answer no longer than `patience`.
    pub(crate) async fn ask(
        &self,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Answer, WireError> {
        let asked = async {
            let io = TokioIo::new(self.connect().await?);
            let (mut sender, connection) =
                http1::handshake(io).await.map_err(|error| WireError::broken(&error))?;
            let driver = Driver(tokio::spawn(async move {
                // Whoever waits for the answer is told what went wrong.
                drop(connection.with_upgrades().await);
            }));
            let response = sender.send_request(addressed(request)).await;
            let response = response.map_err(|error| WireError::broken(&error))?;
            Ok(Answer { response, _sender: sender, _driver: driver })
        };
        let answer = within(patience, asked).await?;
        let status = answer.response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let body = Limited::new(answer.response.into_body(), LONGEST_REFUSAL).collect();
        let body = tokio::time::timeout(patience, body).await;
        let body = body.ok().and_then(Result::ok).map(Collected::to_bytes);
        Err(WireError::Refused { status, message: refusal(&body.unwrap_or_default()) })
    }

    /// Asks to go on with another protocol, and returns the connection for it.
    pub(crate) async fn upgrade(
        &self,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Upgraded, WireError> {
        let Answer { response, .. } = self.ask(request, patience).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let message = format!("it answered with status {}", response.status().as_u16());
            return Err(WireError::Broken(message));
        }
        let upgraded = hyper::upgrade::on(response).await;
        upgraded.map_err(|error| WireError::broken(&error))
    }

    async fn connect(&self) -> Result<Box<dyn Both>, WireError> {
        let broken = |error: std::io::Error| WireError::broken(&error);
        let (scheme, place) = self.host.split_once("://").unwrap_or(("unix", &self.host));
        Ok(match (scheme, &self.tls) {
            ("unix", _) => Box::new(UnixStream::connect(place).await.map_err(broken)?),
            ("ssh", _) => Box::new(self.through_ssh().await?),
            (_, tls) => {
                let place = place.split('/').next().unwrap_or_default();
                let stream = TcpStream::connect(place).await.map_err(broken)?;
                match tls {
                    None => Box::new(stream),
                    Some(tls) => {
                        let connector = TlsConnector::from(Arc::new(client(tls)?));
                        let name = ServerName::try_from(host(place).to_owned())
                            .map_err(|error| WireError::broken(&error))?;
                        Box::new(connector.connect(name, stream).await.map_err(broken)?)
                    }
                }
            }
        })
    }

    /// The engine of another machine, through the `docker` command there.
    async fn through_ssh(&self) -> Result<impl Both + use<>, WireError> {
        let broken = |error: openssh::Error| WireError::broken(&error);
        let mut builder = SessionBuilder::default();
        if let Some(key) = &self.ssh_key {
            builder.keyfile(key);
        }
        let session = Arc::new(builder.connect(&self.host).await.map_err(broken)?);
        let mut command = session.arc_command("docker");
        command.args(["system", "dial-stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().await.map_err(broken)?;
        match (child.stdout().take(), child.stdin().take()) {
            (Some(output), Some(input)) => {
                Ok(Remote { stream: tokio::io::join(output, input), _child: child })
            }
            _ => Err(WireError::Broken("`docker system dial-stdio` has no pipes".to_owned())),
        }
    }
}

/// The streams of a command on another machine, which ends with them.
struct Remote<S> {
    stream: S,
    _child: openssh::Child<Arc<openssh::Session>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Remote<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Remote<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Nothing.
pub(crate) fn nothing() -> Body {
    Empty::new()
}

/// Where a request goes is a matter of its connection; HTTP wants a name all the same.
fn addressed(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert(HOST, hyper::header::HeaderValue::from_static("docker"));
    request
}

async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(WireError::Late(patience)),
    }
}

/// What the engine says when it refuses.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(said) => said.message,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

/// The name in an address with a port.
fn host(place: &str) -> &str {
    let name = place.rsplit_once(':').map_or(place, |(name, _)| name);
    name.trim_start_matches('[').trim_end_matches(']')
}

fn client(tls: &Tls) -> Result<rustls::ClientConfig, WireError> {
    let text = |path: &str| {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| WireError::Broken(format!("`{path}` cannot be read: {error}")))
    };
    let [ca, cert, key] = [text(&tls.ca)?, text(&tls.cert)?, text(&tls.key)?];
    let papers = Papers {
        of: "docker::engine",
        ca: ("tls.ca", Some(&ca)),
        certificate: ("tls.cert", Some(&cert)),
        key: ("tls.key", Some(&key)),
    };
    tls::client(&papers).map_err(|error: CallError| WireError::Broken(error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_the_name_without_the_port() {
        assert_eq!(host("10.0.0.5:2376"), "10.0.0.5");
        assert_eq!(host("[fd00::5]:2376"), "fd00::5");
        assert_eq!(host("engine"), "engine");
    }

    #[test]
    fn what_the_engine_refuses_is_in_its_words() {
        assert_eq!(refusal(br#"{"message":"no such session"}"#), "no such session");
        assert_eq!(refusal(b"page not found\n"), "page not found");
    }
}
