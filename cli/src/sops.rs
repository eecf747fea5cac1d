//! Files that SOPS encrypted for age: names are readable, each value is encrypted by itself.
//!
//! A value is bound to its name and to the key of the file, so one can be read alone. SOPS adds
//! a sum over all of them, which says nothing about a single one.

use std::io::Read as _;

use aes_gcm::aead::consts::U32;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace as _, AesGcm, KeyInit as _};
use age::armor::ArmoredReader;
use base64::Engine as _;
use serde_json::Value as Json;

/// How values are encrypted.
type Cipher = AesGcm<Aes256, U32>;

/// How an encrypted value begins.
const SEALED: &str = "ENC[AES256_GCM,";
/// Bytes of the key of a file, and of what makes each encryption another.
const KEY: usize = 32;

/// One entry of a file, in clear; between its keys stand dots, items of lists are numbered. The
/// name of the file says how it is written. Errors quote names, never values.
pub fn entry(path: &str, text: &str, entry: &str) -> Result<String, String> {
    let json: Json = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?,
        Some("yaml" | "yml") => {
            serde_saphyr::from_str(text).map_err(|_| "it is no YAML".to_owned())?
        }
        _ => {
            return Err(
                "files of SOPS are read that end in `.yaml`, `.yml` or `.json`".to_owned()
            );
        }
    };
    let Some(about) = json.get("sops") else {
        return Err("it has no part `sops`: SOPS did not encrypt it".to_owned());
    };
    let mut found = &json;
    let mut bound = String::new();
    for key in entry.split('.') {
        let gone = || format!("it has no entry `{entry}`");
        found = match found {
            Json::Array(items) => {
                key.parse().ok().and_then(|index: usize| items.get(index)).ok_or_else(gone)?
            }
            other => {
                bound.push_str(key);
                bound.push(':');
                other.get(key).ok_or_else(gone)?
            }
        };
    }
    match found {
        Json::String(text) if text.starts_with(SEALED) => {
            let key = key_of(about)?;
            open(text, &key, &bound).map_err(|why| format!("the entry `{entry}` {why}"))
        }
        // SOPS leaves an empty text as it is, and what it is told to.
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(found.to_string()),
        _ => Err(format!("the entry `{entry}` is not a single value")),
    }
}

/// The key of the file, which is encrypted for each of those who may read it.
fn key_of(about: &Json) -> Result<[u8; KEY], String> {
    let sealed = about.get("age").and_then(Json::as_array).into_iter().flatten();
    let sealed: Vec<&str> = sealed.filter_map(|one| one.get("enc")?.as_str()).collect();
    if sealed.is_empty() {
        return Err(
            "it is encrypted for nobody's age key; `secret_command([\"sops\", \"decrypt\", \
                    ..])` asks SOPS itself"
                .to_owned(),
        );
    }
    let (identities, shown) = crate::secrets::identities()?;
    let identities = || identities.iter().map(|identity| &**identity as &dyn age::Identity);
    for one in sealed {
        let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(one.as_bytes()));
        let decryptor = decryptor.map_err(|error| error.to_string())?;
        let reader = match decryptor.decrypt(identities()) {
            Err(age::DecryptError::NoMatchingKeys) => continue,
            other => other.map_err(|error| error.to_string())?,
        };
        let mut key = Vec::new();
        reader.take(64).read_to_end(&mut key).map_err(|error| error.to_string())?;
        let wrong = |_| "its key is none of AES-256".to_owned();
        return <[u8; KEY]>::try_from(key).map_err(wrong);
    }
    Err(format!("no key in `{shown}` opens it"))
}

/// A value, `ENC[AES256_GCM,data:..,iv:..,tag:..,type:..]`, in clear.
fn open(sealed: &str, key: &[u8; KEY], bound: &str) -> Result<String, String> {
    let malformed = || "is not encrypted as SOPS does it".to_owned();
    let inner = sealed.strip_prefix(SEALED).and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(malformed)?;
    let part = |name: &str| {
        let part = inner.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix(':'));
        base64::prelude::BASE64_STANDARD.decode(part?).ok()
    };
    let (Some(mut data), Some(iv), Some(tag)) = (part("data"), part("iv"), part("tag")) else {
        return Err(malformed());
    };
    if iv.len() != KEY || tag.len() != 16 {
        return Err(malformed());
    }
    let cipher = Cipher::new_from_slice(key).map_err(|_| malformed())?;
    cipher
        .decrypt_in_place_detached(
            aes_gcm::Nonce::<U32>::from_slice(&iv),
            bound.as_bytes(),
            &mut data,
            aes_gcm::Tag::from_slice(&tag),
        )
        .map_err(|_| "is not what was encrypted: it was changed or moved".to_owned())?;
    let text = String::from_utf8(data).map_err(|_| "is not UTF-8 text".to_owned())?;
    // SOPS writes `True`, as Python does.
    Ok(if inner.ends_with(",type:bool") { text.to_lowercase() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(text: &str, key: &[u8; KEY], bound: &str) -> String {
        let mut data = text.as_bytes().to_vec();
        let iv = [7; KEY];
        let cipher = Cipher::new_from_slice(key).unwrap();
        let nonce = aes_gcm::Nonce::<U32>::from_slice(&iv);
        let tag = cipher.encrypt_in_place_detached(nonce, bound.as_bytes(), &mut data).unwrap();
        let base64 = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
        format!(
            "{SEALED}data:{},iv:{},tag:{},type:str]",
            base64(&data),
            base64(&iv),
            base64(&tag)
        )
    }

    #[test]
    fn a_value_is_read_under_its_own_name_only() {
        let key = [3; KEY];
        let sealed = seal("hunter2", &key, "db:password:");
        assert_eq!(open(&sealed, &key, "db:password:").unwrap(), "hunter2");
        for (text, key, bound) in [
            (&*sealed, [3; KEY], "db:user:"),
            (&*sealed, [4; KEY], "db:password:"),
            (&*sealed.replace("data:", "data:AA"), [3; KEY], "db:password:"),
            ("ENC[AES256_GCM,data:x]", [3; KEY], "db:password:"),
            ("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]", [3; KEY], "db:password:"),
        ] {
            let error = open(text, &key, bound).unwrap_err();
            assert!(error.starts_with("is not"), "{error}");
        }
    }

    #[test]
    fn entries_are_found_and_values_never_quoted() {
        let sops = "\nsops:\n  lastmodified: now\n";
        let plain =
            format!("db:\n  port_unencrypted: 5432\n  empty: \"\"\n  hosts: [a, b]{sops}");
        assert_eq!(entry("a.yaml", &plain, "db.port_unencrypted").unwrap(), "5432");
        assert_eq!(entry("a.yml", &plain, "db.empty").unwrap(), "");
        assert_eq!(entry("a.yaml", &plain, "db.hosts.1").unwrap(), "b");
        let sealed = format!("pw: {}{sops}", seal("hunter2", &[3; KEY], "pw:"));
        for (path, text, name, wanted) in [
            ("a.yaml", &*plain, "db.no", "no entry `db.no`"),
            ("a.yaml", &*plain, "db", "not a single value"),
            ("a.yaml", &*plain, "db.hosts.2", "no entry"),
            ("a.yaml", "pw: hunter2", "pw", "no part `sops`"),
            ("a.json", "hunter2", "pw", "no JSON"),
            ("a.env", "PW=hunter2", "pw", "`.yaml`"),
            ("a.yaml", &*sealed, "pw", "nobody's age key"),
        ] {
            let error = entry(path, text, name).unwrap_err();
            assert!(error.contains(wanted) && !error.contains("hunter2"), "{error}");
        }
    }
}
