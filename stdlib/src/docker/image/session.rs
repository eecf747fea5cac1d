//! What BuildKit asks while it builds: files, secrets and logins.
//!
//! The engine turns one connection around: on it, it is the client and dollop the server, of
//! the few gRPC methods that are announced when it is opened. A secret goes from memory to
//! the engine when a step mounts it, and nowhere else.

use std::convert::Infallible;
use std::sync::Arc;

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{
    GetSecretRequest, GetSecretResponse,
};
use bollard_buildkit_proto::moby::filesync::v1::{CredentialsRequest, CredentialsResponse};
use dollop_engine::error::CallError;
use futures::future::{self, BoxFuture};
use futures::{FutureExt as _, TryFutureExt as _};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request as Asked, Response as Answered};
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::{Context, Poll, Service};
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::super::container::Pairs;
use super::super::engine::Engine;
use super::super::registry::{self, Logins};
use super::super::wire;
use super::transfer::{self, Packets, Source};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const LOGIN: &str = "/moby.filesync.v1.Auth/Credentials";
const FILES: &str = "/moby.filesync.v1.FileSync/DiffCopy";

/// An open session; it ends when it is dropped.
pub(super) struct Session {
    /// What the build names it by.
    pub(super) id: String,
    serving: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is answered.
struct Answers {
    secrets: Pairs,
    logins: Logins,
    /// Nothing when the engine gets them elsewhere.
    source: Option<Arc<Source>>,
}

impl Session {
    /// Opens one, for a build with these secrets and files. The engine keeps files it was sent
    /// and compares them by size and time; it takes those of another build for these only when
    /// `digest` is the same.
    pub(super) async fn open(
        engine: &Engine,
        secrets: &Pairs,
        source: Option<Source>,
        digest: &str,
    ) -> Result<Self, CallError> {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let request = Asked::builder()
            .method(Method::POST)
            .uri(engine.path("/session"))
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "h2c")
            .header("X-Docker-Expose-Session-Uuid", &id)
            .header("X-Docker-Expose-Session-Name", "dollop")
            .header("X-Docker-Expose-Session-Sharedkey", digest);
        let methods = [HEALTH, SECRET, LOGIN, FILES];
        let request = methods.iter().fold(request, |request, method| {
            request.header("X-Docker-Expose-Session-Grpc-Method", *method)
        });
        let doing = "opening a session for a build";
        let request = request.body(wire::nothing());
        let request =
            request.map_err(|error| CallError::refused(format!("{doing}: {error}")))?;
        let connection = engine.wire.upgrade(request, engine.docker.timeout()).await;
        let connection = connection.map_err(|error| engine.unanswered(doing, &error))?;
        let answers = Arc::new(Answers {
            secrets: secrets.clone(),
            logins: engine.logins.clone(),
            source: source.map(Arc::new),
        });
        let serving = tokio::spawn(async move {
            let service = service_fn(move |asked| answered(answers.clone(), asked));
            // When it breaks, the build fails, and says so.
            drop(
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(connection, service)
                    .await,
            );
        });
        Ok(Self { id, serving })
    }
}

/// Answers one question.
async fn answered(
    answers: Arc<Answers>,
    asked: Asked<Incoming>,
) -> Result<Answered<Body>, Infallible> {
    Ok(match asked.uri().path() {
        HEALTH => unary::<HealthCheckRequest>(answers, asked).await,
        SECRET => unary::<GetSecretRequest>(answers, asked).await,
        LOGIN => unary::<CredentialsRequest>(answers, asked).await,
        FILES => {
            let mut grpc = Grpc::new(ProstCodec::<Packet, Packet>::default());
            grpc.streaming(Sending(answers), asked).await
        }
        other => Status::unimplemented(format!("dollop does not answer `{other}`")).into_http(),
    })
}

impl Answers {
    fn secret(&self, id: &str) -> Result<GetSecretResponse, Status> {
        let found = self.secrets.0.get(id);
        let data = found.map(|secret| secret.0.as_bytes().to_vec());
        // The engine asks for secrets that are not required too.
        let missing = || Status::not_found(format!("`secrets` of the build has no `{id}`"));
        Ok(GetSecretResponse { data: data.ok_or_else(missing)? })
    }

    async fn login(&self, host: &str) -> Result<CredentialsResponse, Status> {
        // Docker's own registry has another name where images are fetched from.
        let host = if host == "registry-1.docker.io" { "docker.io" } else { host };
        let found = registry::login(&self.logins, host).await;
        let found = found.map_err(|error| Status::unknown(error.message))?.unwrap_or_default();
        // A token without a name is how the engine tells one from a password.
        let secret = found.identitytoken.or(found.password).unwrap_or_default();
        Ok(CredentialsResponse { username: found.username.unwrap_or_default(), secret })
    }
}

/// A question with one answer.
trait Question: Message + Default + 'static {
    type Answer: Message + Default + 'static;

    fn answer(self, answers: Arc<Answers>) -> BoxFuture<'static, Result<Self::Answer, Status>>;
}

impl Question for HealthCheckRequest {
    type Answer = HealthCheckResponse;

    fn answer(self, _: Arc<Answers>) -> BoxFuture<'static, Result<Self::Answer, Status>> {
        future::ok(HealthCheckResponse { status: ServingStatus::Serving.into() }).boxed()
    }
}

impl Question for GetSecretRequest {
    type Answer = GetSecretResponse;

    fn answer(self, answers: Arc<Answers>) -> BoxFuture<'static, Result<Self::Answer, Status>> {
        future::ready(answers.secret(&self.id)).boxed()
    }
}

impl Question for CredentialsRequest {
    type Answer = CredentialsResponse;

    fn answer(self, answers: Arc<Answers>) -> BoxFuture<'static, Result<Self::Answer, Status>> {
        async move { answers.login(&self.host).await }.boxed()
    }
}

/// One question and one answer, in the form of gRPC.
async fn unary<Q: Question>(answers: Arc<Answers>, asked: Asked<Incoming>) -> Answered<Body> {
    let mut grpc = Grpc::new(ProstCodec::<Q::Answer, Q>::default());
    grpc.unary(Answering(answers), asked).await
}

/// What is answered, as the service tonic takes.
struct Answering(Arc<Answers>);

impl<Q: Question> Service<Request<Q>> for Answering {
    type Response = Response<Q::Answer>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: Request<Q>) -> Self::Future {
        asked.into_inner().answer(self.0.clone()).map_ok(Response::new).boxed()
    }
}

/// The sending of files, as the service tonic takes.
struct Sending(Arc<Answers>);

impl Service<Request<Streaming<Packet>>> for Sending {
    type Response = Response<Packets>;
    type Error = Status;
    type Future = future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: Request<Streaming<Packet>>) -> Self::Future {
        let headers = asked.metadata();
        let words = |name: &str| {
            let values = headers.get_all(name).iter();
            values
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let (folder, only) = (words("dir-name"), words("followpaths"));
        let folder = folder.first().map(String::as_str).unwrap_or_default().to_owned();
        let Some(source) = self.0.source.clone() else {
            return future::err(Status::not_found("this build has no folder"));
        };
        let packets = transfer::send(source, &folder, &only, asked.into_inner());
        future::ready(packets.map(Response::new))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::registry::Login;
    use super::*;

    fn answers() -> Answers {
        let secrets = serde_json::from_value(serde_json::json!({ "npm": "t0ken" })).unwrap();
        let login = Login { username: "me".to_owned(), password: "pw".to_owned() };
        let logins = Logins::from([("docker.io".to_owned(), login)]);
        Answers { secrets, logins, source: None }
    }

    #[test]
    fn a_secret_is_found_by_its_id() {
        assert_eq!(answers().secret("npm").unwrap().data, b"t0ken");
        let missing = answers().secret("other").unwrap_err();
        assert_eq!(missing.code(), tonic::Code::NotFound);
        assert!(!missing.message().contains("t0ken"), "{missing}");
    }

    #[tokio::test]
    async fn the_login_of_dockers_own_registry_is_found_by_its_other_name() {
        let found = answers().login("registry-1.docker.io").await.unwrap();
        assert_eq!((found.username.as_str(), found.secret.as_str()), ("me", "pw"));
    }
}
