//! TLS with an engine: whose certificate is wrong, and what to do about it.

use std::error::Error as StdError;

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::Code;
use dollop_engine::error::CallError;
use dollop_engine::files::{FileError, Look};
use dollop_engine::path::Path;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError as Wrong, Error as TlsError};

use crate::tls::{self, Misfit, Papers};

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

/// What is wrong with our files, as far as they tell by themselves.
pub(super) fn lint(tls: &serde_json::Value, look: Look<'_>) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut texts: [Option<String>; 3] = [None, None, None];
    let path = |part: &str| tls.get(part).and_then(serde_json::Value::as_str);
    for (part, text) in PARTS.iter().zip(&mut texts) {
        let Some(path) = path(part) else { continue };
        match look(path) {
            Ok(bytes) => *text = Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => found.extend(unseen(part, path, &error)),
        }
    }
    let before = found.len();
    for (part, text) in PARTS.iter().zip(&texts) {
        let (Some(text), Some(path)) = (text, path(part)) else { continue };
        let wrong = match *part {
            "key" => no_key(text),
            "ca" => no_certificate(text).or_else(|| over(tls::all_out_of_time(text))),
            _ => no_certificate(text).or_else(|| over(tls::own_out_of_time(text))),
        };
        found.extend(wrong.map(|(why, hint)| about(part, format!("`{path}` {why}"), hint)));
    }
    let [_, Some(cert_text), Some(key_text)] = &texts else { return found };
    if found.len() == before
        && let (Some(cert), Some(key)) = (path("cert"), path("key"))
    {
        found.extend(tls::misfit(cert_text, key_text).map(|misfit| match misfit {
            Misfit::Pair => about(
                "key",
                format!("`{key}` is not the key of `{cert}`"),
                "both are made together: use those of one pair",
            ),
            Misfit::Key => about(
                "key",
                format!("`{key}` is of a kind that cannot be used"),
                "make one of RSA (2048 bits and more), ECDSA (P-256, P-384, P-521) or Ed25519",
            ),
            Misfit::Version => about(
                "cert",
                format!("`{cert}` is a version 1 certificate, which TLS libraries refuse"),
                "make one with extensions: `openssl x509 -req -extfile ..`",
            ),
            Misfit::Other(why) => about(
                "cert",
                format!("`{cert}` cannot be used: {why}"),
                "give it another one, with its key",
            ),
        }));
    }
    found
}

const PARTS: [&str; 3] = ["ca", "cert", "key"];

fn about(part: &str, message: String, hint: &str) -> Lint {
    let at = Path::attribute("tls").key(part);
    Lint { code: Code::TlsFiles, at, message, hint: hint.to_owned() }
}

/// Why a file cannot be seen; what is not in the project may be on another machine.
fn unseen(part: &str, path: &str, error: &FileError) -> Option<Lint> {
    match error {
        FileError::Outside(_) => None,
        FileError::Missing(_) => {
            let elsewhere = path.starts_with('/');
            let hint = if elsewhere {
                "bring it there, or correct the path"
            } else {
                "relative paths begin at the project folder"
            };
            let found = about(part, format!("there is no file `{path}` for TLS"), hint);
            let code = if elsewhere { Code::MaybeMissingSource } else { Code::MissingSource };
            Some(Lint { code, ..found })
        }
        other => Some(about(part, other.to_string(), "let this user read it")),
    }
}

fn no_certificate(text: &str) -> Option<(String, &'static str)> {
    if tls::certificates("docker::engine", "tls", text).is_err() {
        let hint = "a PEM file has the line `-----BEGIN CERTIFICATE-----`";
        return Some(("holds no certificate in PEM form".to_owned(), hint));
    }
    None
}

fn over(when: Option<String>) -> Option<(String, &'static str)> {
    when.map(|when| (when, "make a new one, or set this machine's clock"))
}

fn no_key(text: &str) -> Option<(String, &'static str)> {
    if PrivateKeyDer::from_pem_slice(text.as_bytes()).is_ok() {
        return None;
    }
    if text.contains("ENCRYPTED") {
        let hint = "take the pass phrase off: `openssl pkey -in key.pem -out plain.pem`";
        return Some(("is encrypted, and nobody asks for its pass phrase".to_owned(), hint));
    }
    let hint = "a PEM file has a line like `-----BEGIN PRIVATE KEY-----`";
    Some(("holds no private key in PEM form".to_owned(), hint))
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
