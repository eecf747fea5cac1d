//! TLS with an engine: whose certificate is wrong, and what to do about it.

use std::error::Error as StdError;

use dollop_engine::error::CallError;
use rustls::{CertificateError as Wrong, Error as TlsError};

use crate::tls::{self, Papers};

/// Refuses files of ours that cannot be used: later the engine would only miss a certificate.
pub(super) fn usable([ca, cert, key]: [&str; 3]) -> Result<(), CallError> {
    let text = |path: &str| {
        let bytes = std::fs::read(path);
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    let [ca, cert, key] = [ca, cert, key].map(text);
    let papers = Papers {
        of: "docker::engine",
        ca: ("tls.ca", Some(&ca)),
        certificate: ("tls.cert", Some(&cert)),
        key: ("tls.key", Some(&key)),
    };
    tls::client(&papers).map(drop).map_err(|mut error| {
        let hint =
            "`ca`, `cert` and `key` are the paths of PEM files, the last two of one pair";
        error.hints = vec![hint.to_owned()];
        error
    })
}

/// Why there is no TLS with the engine, when that is what is wrong; `cert` is the file of our
/// certificate.
pub(super) fn explain(
    at: &str,
    error: &(dyn StdError + 'static),
    cert: Option<&str>,
) -> Option<CallError> {
    let error = tls::error_in(error)?;
    let (mut why, hint) = reason(error);
    let own = cert.filter(|_| tls::refuses_ours(error));
    let own = own.and_then(|path| std::fs::read_to_string(path).ok());
    if let Some(when) = own.and_then(|text| tls::own_out_of_time(&text)) {
        why = format!("{why}, which {when}");
    }
    let message = format!("no TLS with the Docker engine at `{at}`: {why}");
    Some(CallError::refused(message).hint(hint))
}

/// What went wrong, and which side has to change something.
fn reason(error: &TlsError) -> (String, &'static str) {
    if let Some(when) = tls::out_of_time(error) {
        return (
            format!("the engine's certificate {when}"),
            "give the engine a new one (its `--tlscert`), or set the clock of this machine",
        );
    }
    let (why, hint) = match error {
        TlsError::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => (
            "the engine's certificate is not by the authority in `ca`",
            "`ca` of `tls` must be the authority that signed the engine's own certificate \
             (its `--tlscert`)",
        ),
        TlsError::InvalidCertificate(
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. },
        ) => (
            "the engine's certificate is for another name",
            "use the name it is for in `host`, or give the engine one for this name \
             (`subjectAltName`)",
        ),
        TlsError::InvalidCertificate(other) => {
            let why = format!("the engine's certificate cannot be believed: {other}");
            return (why, "give the engine another one (its `--tlscert`)");
        }
        refused if tls::refuses_ours(refused) => (
            "the engine refuses our certificate, `cert`",
            "`cert` of `tls` must be signed by the authority the engine believes (its \
             `--tlscacert`), for clients, and still be valid",
        ),
        TlsError::InvalidMessage(_) => (
            "what listens there does not speak TLS",
            "leave `tls` out, or use the port with TLS, which mostly is 2376",
        ),
        other => {
            return (
                other.to_string(),
                "check `tls` of `docker::engine`, and the engine's log",
            );
        }
    };
    (why.to_owned(), hint)
}
