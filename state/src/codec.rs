//! Stored texts: the format's number, a space, JSON.

use std::borrow::Cow;

use dollop_engine::store::StoreError;
use serde_json::Value as Json;

use crate::files::{failure, hinted};
use crate::upgrade::{Kind, upgrade};

/// The format this crate writes. It reads this one and all before.
pub const FORMAT: u32 = 1;

/// Puts the format before a JSON text.
pub(crate) fn frame(json: &[u8]) -> Vec<u8> {
    let mut text = format!("{FORMAT} ").into_bytes();
    text.extend_from_slice(json);
    text
}

/// The JSON text in today's format.
pub(crate) fn unframe(kind: Kind, text: &[u8]) -> Result<Cow<'_, [u8]>, StoreError> {
    let space = text.iter().position(|byte| *byte == b' ').ok_or_else(|| unreadable(kind))?;
    let format = std::str::from_utf8(&text[..space])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| unreadable(kind))?;
    let json = &text[space + 1..];
    if check(format)? {
        return Ok(Cow::Borrowed(json));
    }
    let json = serde_json::from_slice(json).map_err(|_| unreadable(kind))?;
    Ok(Cow::Owned(upgrade(kind, format, json).to_string().into_bytes()))
}

/// JSON of some format in today's.
pub(crate) fn current(kind: Kind, format: u32, json: Json) -> Result<Json, StoreError> {
    Ok(if check(format)? { json } else { upgrade(kind, format, json) })
}

/// Whether a format is today's; a newer one is refused.
pub(crate) fn check(format: u32) -> Result<bool, StoreError> {
    match format {
        0 => Err(failure("the state has format 0, which never was one")),
        FORMAT => Ok(true),
        _ if format > FORMAT => Err(hinted(
            format!(
                "this state was written by a newer dollop: it has format {format}, this dollop \
                 reads up to {FORMAT}"
            ),
            "use the newer dollop; going back to an older one is not possible",
        )),
        _ => Ok(false),
    }
}

/// Something that should be JSON of a kind and is not.
pub(crate) fn unreadable(kind: Kind) -> StoreError {
    crate::table::damaged(&format!("an entry ({kind:?}) cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_and_an_unreadable_one_is_damage() {
        assert_eq!(&*unframe(Kind::Head, b"1 {}").unwrap(), b"{}");
        let error = unframe(Kind::Head, b"2 {}").unwrap_err();
        assert!(error.message.contains("newer dollop: it has format 2"), "{error}");
        for text in ["", "1", "x {}", "-1 {}", "{}"] {
            let error = unframe(Kind::Head, text.as_bytes()).unwrap_err();
            assert!(error.message.contains("damaged"), "{text}: {error}");
        }
    }
}
