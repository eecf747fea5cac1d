//! TLS as several providers need it: PEM text from a script becomes what a client takes.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dollop_engine::error::CallError;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription as Alert, CertificateError as Wrong, Error as TlsError};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use x509_cert::der::Decode as _;
use x509_cert::{Certificate, Version};

/// PEM texts by the attributes they stand in.
pub(crate) struct Papers<'a> {
    /// Whose attributes they are: `rabbitmq::server`.
    pub(crate) of: &'static str,
    /// The authorities that are believed; the system's when there are none.
    pub(crate) ca: (&'static str, Option<&'a str>),
    /// The client's certificate.
    pub(crate) certificate: (&'static str, Option<&'a str>),
    /// Its private key.
    pub(crate) key: (&'static str, Option<&'a str>),
}

/// A client that checks by whom and for whom the server's certificate is.
pub(crate) fn client(papers: &Papers<'_>) -> Result<ClientConfig, CallError> {
    let Papers { of, ca: (ca, ca_text), certificate, key } = papers;
    let roots = match ca_text {
        Some(text) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(of, ca, text)?);
            roots
        }
        None => system_roots(),
    };
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        CallError::refused(format!("`{what}` of the `{of}` cannot be used: {error}"))
    };
    let builder = believing(roots)?;
    match (certificate, key) {
        ((certificate, Some(text)), (key, Some(key_text))) => {
            let chain = certificates(of, certificate, text)?;
            // What is wrong with a key is not quoted: it is one.
            let parsed = PrivateKeyDer::from_pem_slice(key_text.as_bytes())
                .map_err(|_| wrong(key, &"it is no private key in PEM form"))?;
            builder
                .with_client_auth_cert(chain, parsed)
                .map_err(|error| wrong(certificate, &error))
        }
        ((_, None), (_, None)) => Ok(builder.with_no_client_auth()),
        ((certificate, _), (key, _)) => {
            let message = format!("a client certificate needs `{certificate}` and `{key}`");
            Err(CallError::refused(message).hint(format!("give both on the `{of}`, or none")))
        }
    }
}

/// A client that takes any certificate for the server's, and shows its own if it has one.
pub(crate) fn unchecked(papers: &Papers<'_>) -> Result<ClientConfig, CallError> {
    let mut config = client(papers)?;
    config.dangerous().set_certificate_verifier(Arc::new(Unchecked(ring::default_provider())));
    Ok(config)
}

/// A client that believes the authorities the system does.
pub(crate) fn system() -> Result<ClientConfig, CallError> {
    Ok(believing(system_roots())?.with_no_client_auth())
}

/// A client that believes nobody, where TLS is not used: HTTP clients want one all the same.
pub(crate) fn unused() -> Result<ClientConfig, CallError> {
    Ok(believing(RootCertStore::empty())?.with_no_client_auth())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn believing(
    roots: RootCertStore,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, CallError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| CallError::refused(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots))
}

/// Looks at nothing in a certificate but that who shows it has its key.
#[derive(Debug)]
struct Unchecked(CryptoProvider);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificates in a PEM text.
pub(crate) fn certificates(
    of: &str,
    attribute: &str,
    text: &str,
) -> Result<Vec<CertificateDer<'static>>, CallError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => {
            let message = format!("`{attribute}` of the `{of}` holds no certificate");
            Err(CallError::refused(message)
                .hint("give the text of a PEM file: `file(\"ca.pem\")`"))
        }
    }
}

/// Why a certificate and a key of ours cannot be used with each other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// They are of two pairs.
    Pair,
    /// Nothing here knows such a key.
    Key,
    /// The certificate is of the first version, which has no extensions.
    Version,
    /// What else the library says.
    Other(String),
}

/// What is wrong with a certificate and its key, texts that are PEM; nothing when they fit.
pub(crate) fn misfit(certificate: &str, key: &str) -> Option<Misfit> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    let first = chain.first().and_then(|first| Certificate::from_der(first).ok());
    if first.is_some_and(|first| first.tbs_certificate.version == Version::V1) {
        return Some(Misfit::Version);
    }
    match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        Ok(_) => None,
        Err(TlsError::InconsistentKeys(_)) => Some(Misfit::Pair),
        // The provider says so of keys alone.
        Err(TlsError::General(_)) => Some(Misfit::Key),
        Err(other) => Some(Misfit::Other(other.to_string())),
    }
}

/// The error of TLS among the causes of another.
pub(crate) fn error_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error holds is none of its causes.
        let within = error.downcast_ref().and_then(std::io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

/// Whether the other side refuses our certificate, or misses one.
pub(crate) fn refuses_ours(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::AlertReceived(
            Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
        )
    )
}

/// When a certificate that was shown ended or begins, if that is what is wrong with it:
/// `expired at 2026-11-20T10:00:00Z`.
pub(crate) fn out_of_time(error: &TlsError) -> Option<String> {
    let TlsError::InvalidCertificate(wrong) = error else { return None };
    Some(match wrong {
        Wrong::ExpiredContext { not_after, .. } => {
            ended(Duration::from_secs(not_after.as_secs()))
        }
        Wrong::NotValidYetContext { not_before, .. } => {
            begins(Duration::from_secs(not_before.as_secs()))
        }
        Wrong::Expired => "expired".to_owned(),
        Wrong::NotValidYet => "is not valid yet".to_owned(),
        _ => return None,
    })
}

/// The same of a certificate of ours, the first in a PEM text, by this machine's clock: who
/// refuses it mostly does not say why.
pub(crate) fn own_out_of_time(text: &str) -> Option<String> {
    let first = CertificateDer::pem_slice_iter(text.as_bytes()).next()?.ok()?;
    out_of_time_now(&first)
}

/// The same of authorities that are believed: one that can still vouch is enough.
pub(crate) fn all_out_of_time(text: &str) -> Option<String> {
    let mut last = None;
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        last = Some(out_of_time_now(&certificate.ok()?)?);
    }
    last
}

fn out_of_time_now(certificate: &CertificateDer<'_>) -> Option<String> {
    let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let (from, to) =
        (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    if now > to {
        return Some(ended(to));
    }
    (now < from).then(|| begins(from))
}

fn ended(at: Duration) -> String {
    format!("expired at {}", humantime::format_rfc3339_seconds(UNIX_EPOCH + at))
}

fn begins(at: Duration) -> String {
    let at = humantime::format_rfc3339_seconds(UNIX_EPOCH + at);
    format!("is not valid before {at}")
}
