//! Names that nothing else has.

use dollop_engine::error::CallError;
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

/// A generator seeded by the operating system.
pub(super) fn generator() -> Result<StdRng, CallError> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| {
        CallError::refused(format!("the operating system gives no random numbers: {error}"))
    })
}

/// A random identifier in the form of a UUID (RFC 9562, version 4).
pub(super) fn token() -> Result<String, CallError> {
    let bits: u128 = generator()?.random();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_form_of_a_uuid_and_differ() {
        let token = token().unwrap();
        let parts: Vec<_> = token.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&token[14..15], "4");
        assert!("89ab".contains(&token[19..20]), "{token}");
        assert_ne!(token, super::token().unwrap());
    }
}
