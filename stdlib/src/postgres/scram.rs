//! Passwords as PostgreSQL stores them: computed here, so that the clear text never travels
//! in a statement, a log or an error.
//!
//! Source: "55.3 SASL Authentication" and `pg_authid.rolpassword` in the PostgreSQL manual,
//! RFC 5802.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password::scram_sha_256;
use sha2::Sha256;

/// What to store for a password; one that is a verifier already stays as it is.
pub(super) fn verifier(password: &str) -> String {
    if Verifier::parse(password).is_some() {
        password.to_owned()
    } else {
        scram_sha_256(password.as_bytes())
    }
}

/// Whether a stored password is this one, as a SCRAM verifier.
///
/// A right password under MD5 is none: it has to be stored again.
pub(super) fn verifies(stored: &str, password: &str) -> bool {
    if stored == password {
        return Verifier::parse(stored).is_some();
    }
    Verifier::parse(stored).is_some_and(|stored| stored.accepts(password).is_some())
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
struct Verifier<'a> {
    iterations: &'a str,
    salt: &'a str,
    server_key: Vec<u8>,
}

impl<'a> Verifier<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("SCRAM-SHA-256$")?.split('$');
        let (iterations, salt) = parts.next()?.split_once(':')?;
        let (stored_key, server_key) = parts.next()?.split_once(':')?;
        let whole = parts.next().is_none()
            && iterations.parse::<u32>().is_ok()
            && STANDARD.decode(salt).is_ok()
            && STANDARD.decode(stored_key).is_ok_and(|key| key.len() == 32);
        let server_key = STANDARD.decode(server_key).ok().filter(|key| key.len() == 32)?;
        whole.then_some(Self { iterations, salt, server_key })
    }

    /// Lets a real client authenticate against the verifier: what the client accepts from us
    /// proves that the password makes the same keys.
    fn accepts(&self, password: &str) -> Option<()> {
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let first = String::from_utf8(client.message().to_vec()).ok()?;
        let first = first.strip_prefix("n,,")?;
        let (_, nonce) = first.split_once("r=")?;
        let ours = format!("r={nonce}dollop,s={},i={}", self.salt, self.iterations);
        client.update(ours.as_bytes()).ok()?;

        let last = String::from_utf8(client.message().to_vec()).ok()?;
        let (last, _proof) = last.rsplit_once(",p=")?;
        let mut signature = Hmac::<Sha256>::new_from_slice(&self.server_key).ok()?;
        signature.update(format!("{first},{ours},{last}").as_bytes());
        let signature = STANDARD.encode(signature.finalize().into_bytes());
        client.finish(format!("v={signature}").as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_accepts_its_password_only() {
        for password in ["hunter2", "pä$$ wörd", "\u{2168}", "quote'\"\\"] {
            let stored = verifier(password);
            assert!(verifies(&stored, password), "{password}");
            assert!(!verifies(&stored, "another"), "{password}");
            assert_eq!(verifier(&stored), stored, "a verifier is stored as it is");
            assert!(verifies(&stored, &stored));
        }
    }

    #[test]
    fn other_forms_verify_nothing() {
        for stored in ["", "md5abc", "hunter2", "SCRAM-SHA-256$4096:x$y:z", "SCRAM-SHA-256$"] {
            assert!(!verifies(stored, "hunter2"), "{stored}");
        }
    }
}
