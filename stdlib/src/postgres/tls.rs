//! TLS to a server: when it is used, and whom one believes to talk to.
//!
//! The words are those of libpq; see "SSL Support" in the PostgreSQL manual.

use std::sync::Arc;

use dollop_engine::error::CallError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::config::ChannelBinding;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whether to use TLS, and what is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// When the server can; nothing is checked.
    #[default]
    Prefer,
    /// Always. Whom one talks to is checked only when `sslrootcert` is given.
    Require,
    /// Always, and the certificate must be signed by an authority that is believed.
    VerifyCa,
    /// The same, and it must be for the host.
    VerifyFull,
}

/// Whether the proof of the password is tied to the TLS session (SCRAM-SHA-256-PLUS): then it
/// is worth nothing to somebody who stands between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// Never.
    Disable,
    /// When the server can and TLS is used.
    #[default]
    Prefer,
    /// Always; without TLS, or with another proof than SCRAM, there is no connection.
    Require,
}

impl Binding {
    pub(super) fn wanted(self) -> ChannelBinding {
        match self {
            Self::Disable => ChannelBinding::Disable,
            Self::Prefer => ChannelBinding::Prefer,
            Self::Require => ChannelBinding::Require,
        }
    }
}

/// What a server's spec says about TLS.
pub(super) struct Papers<'a> {
    pub(super) mode: SslMode,
    pub(super) root: Option<&'a str>,
    pub(super) certificate: Option<&'a str>,
    pub(super) key: Option<&'a str>,
}

/// What connects by TLS.
pub(super) fn connector(papers: &Papers) -> Result<MakeRustlsConnect, CallError> {
    let provider = Arc::new(ring::default_provider());
    let trust = Trust {
        roots: roots(papers, &provider)?,
        name: papers.mode == SslMode::VerifyFull,
        provider: provider.clone(),
    };
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        CallError::refused(format!(
            "`{what}` of the `postgres::server` cannot be used: {error}"
        ))
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("sslmode", &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let config = match (papers.certificate, papers.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| wrong("sslkey", &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong("sslcert", &error))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(CallError::refused(
                "a client certificate needs `sslcert` and `sslkey`",
            )
            .hint("give both on the `postgres::server`, or none"));
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(what: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, CallError> {
    crate::tls::certificates("postgres::server", what, text)
}

/// The authorities that are believed; nothing when whom one talks to is not checked.
fn roots(
    papers: &Papers,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, CallError> {
    let checks = matches!(papers.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let certificates = match papers.root {
        Some(text) => certificates("sslrootcert", text)?,
        None if checks => rustls_native_certs::load_native_certs().certs,
        None => return Ok(None),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
    verifier.build().map(Some).map_err(|error| {
        CallError::refused(format!(
            "no authority to check the server's certificate by: {error}"
        ))
        .hint("give `sslrootcert` on the `postgres::server`")
    })
}

/// What of a server's certificate is checked.
#[derive(Debug)]
struct Trust {
    roots: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: an error about it means that the rest is fine.
        match roots.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
