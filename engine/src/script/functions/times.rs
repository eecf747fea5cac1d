//! Points in time that are given: there is no clock.

use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta};

use super::arguments::{string, text};
use super::{Entry, Fault, Outcome, Run};
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "time_add(time: string, duration: string) -> string",
        doc: "A point in time (RFC 3339) and a duration later, or, with a `-` before it, earlier.",
        examples: &[
            (r#"time_add("2026-01-31T10:00:00Z", "36h")"#, r#""2026-02-01T22:00:00Z""#),
            (r#"time_add("2026-01-31T10:00:00Z", "-30m")"#, r#""2026-01-31T09:30:00Z""#),
        ],
        run: Run::Known(add),
    },
    Entry {
        signature: "time_compare(a: string, b: string) -> int",
        doc: "-1, 0 or 1: whether the first point in time (RFC 3339) is before, the same as or after the second.",
        examples: &[(
            r#"time_compare("2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00")"#,
            "1",
        )],
        run: Run::Known(|a| Ok(Value::Int(time(text(a, 0))?.cmp(&time(text(a, 1))?) as i64))),
    },
    Entry {
        signature: "time_format(time: string, pattern: string) -> string",
        doc: "A point in time (RFC 3339) as the pattern says, in the notation of `strftime`: `%Y-%m-%d %H:%M:%S`, `%s` for seconds since 1970, `%A` for the day of the week.",
        examples: &[(
            r#"time_format("2026-01-31T10:05:00Z", "%d.%m.%Y %H:%M")"#,
            r#""31.01.2026 10:05""#,
        )],
        run: Run::Known(format),
    },
];

fn time(text: &str) -> Result<DateTime<FixedOffset>, Fault> {
    DateTime::parse_from_rfc3339(text).map_err(|error| {
        Fault::new(format!("`{text}` is not a point in time: {error}"))
            .hint("write `2026-01-31T10:00:00Z`")
    })
}

fn add(arguments: &[Value]) -> Outcome {
    let (start, written) = (time(text(arguments, 0))?, text(arguments, 1));
    let (sign, plain) = match written.strip_prefix('-') {
        Some(plain) => (-1, plain),
        None => (1, written),
    };
    let duration = humantime::parse_duration(plain).map_err(|error| {
        Fault::new(format!("`{written}` is not a duration: {error}"))
            .hint("write `30s`, `-5m`, `1h30m` or `2days`")
    })?;
    let sum = TimeDelta::from_std(duration)
        .ok()
        .and_then(|duration| start.checked_add_signed(duration * sign))
        .ok_or_else(|| Fault::new("that is too long"))?;
    Ok(string(sum.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

fn format(arguments: &[Value]) -> Outcome {
    let (time, pattern) = (time(text(arguments, 0))?, text(arguments, 1));
    if StrftimeItems::new(pattern).any(|item| item == Item::Error) {
        return Err(Fault::new(format!("`{pattern}` is no pattern of `strftime`"))
            .hint("write `%Y-%m-%d` or `%H:%M:%S`; a percent sign is `%%`"));
    }
    let mut out = String::new();
    write!(out, "{}", time.format(pattern))
        .map_err(|_| Fault::new(format!("the pattern `{pattern}` does not fit this time")))?;
    Ok(string(out))
}
