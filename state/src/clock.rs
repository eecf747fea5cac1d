//! The time of day, as text.

use std::time::SystemTime;

/// Now, in RFC 3339 UTC, to the second.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
