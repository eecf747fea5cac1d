//! Secrets at rest: XChaCha20-Poly1305 under a key file.

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use dollop_engine::store::StoreError;
use dollop_engine::value::SECRET_KEY;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::files::{Folder, cannot, hinted, read_if_there, sync_folder, write_aside};

/// The key that stands where a secret stood.
pub(crate) const SEALED_KEY: &str = "$sealed";
/// Ties a ciphertext to its use: the same key elsewhere opens nothing of this.
const CONTEXT: &[u8] = b"dollop-state secret v1";
const NONCE_LENGTH: usize = 24;

/// Seals and opens the secrets of one state folder.
#[derive(Clone)]
pub struct Keyring {
    cipher: XChaCha20Poly1305,
    fingerprint: String,
}

/// Never prints the key.
impl std::fmt::Debug for Keyring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Keyring({})", self.fingerprint)
    }
}

impl Keyring {
    /// The key of a state folder; an error when there is none.
    pub fn load(folder: &Path) -> Result<Self, StoreError> {
        Self::find(folder)?.ok_or_else(|| missing(folder))
    }

    /// The key of a state folder; `None` when there is none yet.
    pub(crate) fn find(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = Folder::new(folder).key();
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        refuse_open_to_others(&path)?;
        let key = Key::try_from(bytes.as_slice()).map_err(|_| {
            hinted(
                format!("`{}` is not a key file: it has not 32 bytes", path.display()),
                "put back the key file that belongs to this state",
            )
        })?;
        Ok(Some(Self::new(&key)))
    }

    /// The key of a state folder, made if there is none. Two processes that both make one
    /// end up with the same.
    pub fn load_or_create(folder: &Path) -> Result<Self, StoreError> {
        if let Some(ring) = Self::find(folder)? {
            return Ok(ring);
        }
        let folder = Folder::new(folder);
        folder.create()?;
        let path = folder.key();
        let random = |error| cannot("find randomness for", &path)(io::Error::other(error));
        let key = Key::try_generate().map_err(random)?;
        // Never a name that was used before: a leftover may be linked to the key itself.
        let name = <[u8; 8]>::try_generate().map_err(random)?;
        let aside = folder.root().join(format!("key.{}.tmp", hex::encode(name)));
        write_aside(&aside, &key)?;
        // A link fails when the name is taken, a rename would not.
        let linked = fs::hard_link(&aside, &path);
        let _ = fs::remove_file(&aside);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot("create", &path)(error)),
        }
        sync_folder(folder.root())?;
        Self::load(folder.root())
    }

    fn new(key: &Key) -> Self {
        let digest = Sha256::new().chain_update(b"dollop key").chain_update(key).finalize();
        Self { cipher: XChaCha20Poly1305::new(key), fingerprint: hex::encode(&digest[..8]) }
    }

    /// Says which key it is without giving it away.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Replaces every `{"$secret": X}` by `{"$sealed": ".."}`, at any depth.
    pub fn seal(&self, json: Json) -> Json {
        match json {
            Json::Object(mut entries)
                if entries.len() == 1 && entries.contains_key(SECRET_KEY) =>
            {
                let secret = entries.remove(SECRET_KEY).unwrap_or_default();
                entries.insert(SEALED_KEY.to_owned(), self.encrypt(&secret).into());
                Json::Object(entries)
            }
            other => map_children(other, &mut |child| {
                Ok::<_, std::convert::Infallible>(self.seal(child))
            })
            .unwrap_or_else(|never| match never {}),
        }
    }

    /// Replaces every `{"$sealed": ".."}` by the `{"$secret": X}` it was.
    pub fn open(&self, json: Json) -> Result<Json, StoreError> {
        match json {
            Json::Object(mut entries)
                if entries.len() == 1 && entries.contains_key(SEALED_KEY) =>
            {
                let sealed = entries.remove(SEALED_KEY).unwrap_or_default();
                let secret =
                    sealed.as_str().and_then(|text| self.decrypt(text)).ok_or_else(misfit)?;
                entries.insert(SECRET_KEY.to_owned(), secret);
                Ok(Json::Object(entries))
            }
            other => map_children(other, &mut |child| self.open(child)),
        }
    }

    fn encrypt(&self, secret: &Json) -> String {
        let nonce = XNonce::generate();
        let plain = secret.to_string();
        let ciphertext = self
            .cipher
            .encrypt(&nonce, Payload { msg: plain.as_bytes(), aad: CONTEXT })
            .unwrap_or_else(|_| unreachable!("BUG: a secret of more than 256 GiB"));
        BASE64.encode([nonce.as_slice(), &ciphertext].concat())
    }

    fn decrypt(&self, text: &str) -> Option<Json> {
        let bytes = BASE64.decode(text).ok()?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LENGTH)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let plain =
            self.cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: CONTEXT }).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

fn map_children<E>(
    json: Json,
    change: &mut impl FnMut(Json) -> Result<Json, E>,
) -> Result<Json, E> {
    Ok(match json {
        Json::Array(items) => {
            Json::Array(items.into_iter().map(change).collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => Json::Object(
            entries
                .into_iter()
                .map(|(key, value)| Ok((key, change(value)?)))
                .collect::<Result<_, _>>()?,
        ),
        other => other,
    })
}

/// The key is gone, but something was sealed with it.
pub(crate) fn missing(folder: &Path) -> StoreError {
    hinted(
        format!("the key file `{}` is missing", Folder::new(folder).key().display()),
        "put it back from where it is kept; without it the secrets in this state are lost",
    )
}

/// Some other key, or a changed ciphertext.
pub(crate) fn misfit() -> StoreError {
    hinted(
        "the key file does not fit this state",
        "put back the `key` file that this state was written with",
    )
}

#[cfg(unix)]
fn refuse_open_to_others(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(cannot("read", path))?.permissions().mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(hinted(
        format!("the key file `{}` is open to others", path.display()),
        format!("run `chmod 600 {}`", path.display()),
    ))
}

#[cfg(not(unix))]
fn refuse_open_to_others(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dollop_engine::map::Map;
    use dollop_engine::value::Value;
    use serde_json::json;

    fn check(value: &Value, ring: &Keyring) -> Json {
        let sealed = ring.seal(serde_json::to_value(value).unwrap());
        let back: Value = serde_json::from_value(ring.open(sealed.clone()).unwrap()).unwrap();
        assert_eq!(&back, value);
        sealed
    }

    #[test]
    fn user_keys_cannot_pass_for_secrets_or_sealed_ones() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::load_or_create(folder.path()).unwrap();
        for key in ["$secret", "$sealed", "$$secret", "$$sealed", "$"] {
            let plain = Value::Map(Map::from([(key.to_owned(), Value::string("x"))]));
            assert_eq!(check(&plain, &ring), json!({ format!("${key}"): "x" }));
            let sealed = check(&plain.secret(), &ring);
            assert!(sealed["$sealed"].is_string(), "{sealed}");
        }
        let nested = Value::List(vec![
            Value::List(vec![Value::string("a").secret(), Value::Int(1)]).secret(),
            Value::Null.secret(),
            Value::string("$secret"),
        ]);
        check(&nested, &ring);
    }

    #[test]
    fn sealing_twice_gives_two_texts_that_open_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::load_or_create(folder.path()).unwrap();
        let secret = json!({ "$secret": "hunter2" });
        let (one, two) = (ring.seal(secret.clone()), ring.seal(secret.clone()));
        assert_ne!(one, two);
        assert_eq!(ring.open(one).unwrap(), secret);
        let again = Keyring::load(folder.path()).unwrap();
        assert_eq!(again.open(two).unwrap(), secret);
    }

    #[test]
    fn a_wrong_missing_open_or_short_key_is_said_so() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = Keyring::load_or_create(one.path()).unwrap().seal(json!({ "$secret": 1 }));
        let other = Keyring::load_or_create(two.path()).unwrap();
        let message = other.open(sealed.clone()).unwrap_err().message;
        assert_eq!(message, "the key file does not fit this state");

        let mut bent = sealed["$sealed"].as_str().unwrap().to_owned();
        let last = if bent.pop() == Some('A') { 'B' } else { 'A' };
        bent.push(last);
        let ring = Keyring::load(one.path()).unwrap();
        for text in [bent.as_str(), "", "AAAA", "?"] {
            assert!(ring.open(json!({ "$sealed": text })).is_err(), "{text}");
        }

        let key = one.path().join("key");
        fs::write(&key, b"short").unwrap();
        assert!(Keyring::load(one.path()).unwrap_err().message.contains("32 bytes"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(Keyring::load(one.path()).unwrap_err().message.contains("open to others"));
        }
        fs::remove_file(&key).unwrap();
        assert!(Keyring::load(one.path()).unwrap_err().message.contains("is missing"));
    }

    #[test]
    fn many_that_make_the_key_at_once_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let prints: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Keyring::load_or_create(path).unwrap().fingerprint))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(prints.iter().all(|print| *print == prints[0]), "{prints:?}");
    }
}
