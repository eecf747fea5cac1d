//! Typed data to sealed, framed text and back.

use std::path::PathBuf;

use dollop_engine::store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::codec::{frame, unframe, unreadable};
use crate::files::Folder;
use crate::seal::{Keyring, misfit, missing};
use crate::upgrade::Kind;

/// The folder's key, made when the first secret comes.
#[derive(Debug)]
pub(crate) struct Vault {
    root: PathBuf,
    ring: Option<Keyring>,
}

impl Vault {
    /// With the key, if there is one.
    pub(crate) fn new(folder: &Folder) -> Result<Self, StoreError> {
        Ok(Self { root: folder.root().to_path_buf(), ring: Keyring::find(folder.root())? })
    }

    /// The key in use, for [`Vault::expect`].
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.ring.as_ref().map(Keyring::fingerprint)
    }

    /// Refuses to go on without the key that the state was sealed with.
    pub(crate) fn expect(&self, fingerprint: Option<&str>) -> Result<(), StoreError> {
        match (fingerprint, self.fingerprint()) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(missing(&self.root)),
            (Some(expected), Some(found)) if expected == found => Ok(()),
            (Some(_), Some(_)) => Err(misfit()),
        }
    }

    /// Sealed JSON with its format before it.
    pub(crate) fn encode(&mut self, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
        self.encode_json(value).map(|json| frame(&json))
    }

    /// Sealed JSON.
    pub(crate) fn encode_json(
        &mut self,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        let bug = |error: serde_json::Error| {
            crate::files::failure(format!("BUG: state that cannot be JSON: {error}"))
        };
        let text = serde_json::to_vec(value).map_err(bug)?;
        // Most data holds no secret and is done; text that only looks so takes the long way.
        if !contains(&text, b"\"$secret\"") {
            return Ok(text);
        }
        let json: Json = serde_json::from_slice(&text).map_err(bug)?;
        if self.ring.is_none() {
            self.ring = Some(Keyring::load_or_create(&self.root)?);
        }
        let sealed = match &self.ring {
            Some(ring) => ring.seal(json),
            None => return Err(missing(&self.root)),
        };
        serde_json::to_vec(&sealed).map_err(bug)
    }

    /// Typed data from a framed text, secrets opened.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        kind: Kind,
        text: &[u8],
    ) -> Result<T, StoreError> {
        let json = unframe(kind, text)?;
        self.decode_json(kind, &json)
    }

    /// Typed data from sealed JSON text.
    pub(crate) fn decode_json<T: DeserializeOwned>(
        &self,
        kind: Kind,
        text: &[u8],
    ) -> Result<T, StoreError> {
        if !contains(text, b"\"$sealed\"") {
            return serde_json::from_slice(text).map_err(|_| unreadable(kind));
        }
        let json = serde_json::from_slice(text).map_err(|_| unreadable(kind))?;
        self.decode_value(kind, json)
    }

    /// Typed data from sealed JSON.
    fn decode_value<T: DeserializeOwned>(
        &self,
        kind: Kind,
        json: Json,
    ) -> Result<T, StoreError> {
        let json = match &self.ring {
            Some(ring) => ring.open(json)?,
            None if holds_sealed(&json) => return Err(missing(&self.root)),
            None => json,
        };
        serde_json::from_value(json).map_err(|_| unreadable(kind))
    }
}

fn holds_sealed(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().any(holds_sealed),
        Json::Object(entries) => {
            (entries.len() == 1 && entries.contains_key(crate::seal::SEALED_KEY))
                || entries.values().any(holds_sealed)
        }
        _ => false,
    }
}

/// Whether a text has such a part.
pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
