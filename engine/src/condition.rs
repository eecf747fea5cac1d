//! The functions that give true or false, on known values.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::expr::Function;
use crate::value::Value;

/// Bytes of the longest pattern.
const LONGEST_PATTERN: usize = 4 << 10;
/// Bytes a compiled pattern may take.
const LARGEST_PATTERN: usize = 1 << 20;
/// Bytes of the longest text that is searched.
const LONGEST_SEARCHED: usize = 1 << 20;
/// What of a pattern may be under way at once, times its groups, times bytes of the text: in
/// the worst case all of it is gone through for each byte, and each part of it carries where
/// the groups are. No search can be broken off, so this is about three seconds.
const MOST_SEARCHING: u64 = 1 << 31;
/// What one character of a pattern counts.
const CHARACTER: u64 = 4;
/// Ranges of a set of characters that are looked at for one byte, and how many of them take
/// as long as one step more.
const MOST_RANGES: u64 = 64;
const RANGES_A_STEP: u64 = 4;

/// Why a pattern is not looked for in a text, in words.
pub(crate) enum Unfit {
    /// It is no pattern.
    Pattern(String),
    /// The text is too long for it.
    Text(String),
}

/// Compiles a pattern within limits that keep it from taking memory or time without end.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > LONGEST_PATTERN {
        return Err(format!("a pattern has up to {LONGEST_PATTERN} bytes"));
    }
    let compiled = RegexBuilder::new(text)
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .nest_limit(64)
        .build();
    compiled.map_err(|error| {
        // The last line of a syntax error says what is wrong, the others draw it.
        let error = error.to_string();
        let words = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("this is no pattern: {words}")
    })
}

/// Compiles a pattern that is looked for in a text, within limits on both together.
///
/// # Errors
/// What is wrong with it, or that the text is too long for it.
pub(crate) fn pattern_for(text: &str, searched: &str) -> Result<Regex, Unfit> {
    if searched.len() > LONGEST_SEARCHED {
        let most = LONGEST_SEARCHED >> 20;
        return Err(Unfit::Text(format!("patterns are looked for in up to {most} MiB")));
    }
    let pattern = pattern(text).map_err(Unfit::Pattern)?;
    let at_once = regex_syntax::parse(text).map_or(u64::MAX, |parsed| at_once(&parsed));
    let effort = [pattern.captures_len(), searched.len()]
        .into_iter()
        .fold(at_once, |effort, times| effort.saturating_mul(times as u64));
    if effort > MOST_SEARCHING {
        let message = "the pattern is too large to be looked for in a text that long";
        return Err(Unfit::Text(message.to_owned()));
    }
    Ok(pattern)
}

/// How much of a pattern may be under way at once.
fn at_once(pattern: &Hir) -> u64 {
    let set = |ranges: usize| CHARACTER + (ranges as u64).min(MOST_RANGES) / RANGES_A_STEP;
    let all = |parts: &[Hir]| parts.iter().map(at_once).fold(0, u64::saturating_add);
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => CHARACTER.saturating_mul(literal.0.len() as u64),
        HirKind::Class(Class::Unicode(class)) => set(class.ranges().len()),
        HirKind::Class(Class::Bytes(class)) => set(class.ranges().len()),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            at_once(&repetition.sub).saturating_add(1).saturating_mul(times.into())
        }
        HirKind::Capture(group) => at_once(&group.sub).saturating_add(2),
        HirKind::Concat(parts) => all(parts),
        HirKind::Alternation(parts) => all(parts).saturating_add(parts.len() as u64),
    }
}

impl Function {
    /// Whether it gives true or false; all others give text.
    pub(crate) fn is_condition(self) -> bool {
        matches!(
            self,
            Self::Eq
                | Self::Ne
                | Self::Lt
                | Self::Le
                | Self::Gt
                | Self::Ge
                | Self::Holds
                | Self::Matches
                | Self::And
                | Self::Or
                | Self::Not
        )
    }

    /// Whether it holds; `None` for values it says nothing about.
    pub(crate) fn holds(self, arguments: &[Value]) -> Option<bool> {
        let null = Value::Null;
        let a = arguments.first().unwrap_or(&null).reveal();
        let b = arguments.get(1).unwrap_or(&null).reveal();
        match self {
            Self::Eq => Some(a.same(b)),
            Self::Ne => Some(!a.same(b)),
            Self::Lt => Some(order(a, b)? == Ordering::Less),
            Self::Le => Some(order(a, b)? != Ordering::Greater),
            Self::Gt => Some(order(a, b)? == Ordering::Greater),
            Self::Ge => Some(order(a, b)? != Ordering::Less),
            Self::Holds => match (a, b) {
                (Value::String(text), Value::String(part)) => Some(text.contains(part)),
                (Value::List(items), part) => Some(items.iter().any(|item| item.same(part))),
                (Value::Map(entries), Value::String(key)) => Some(entries.contains_key(key)),
                _ => None,
            },
            Self::Matches => {
                let text = match a {
                    Value::String(text) => text.clone(),
                    Value::Null | Value::List(_) | Value::Map(_) => return None,
                    other => other.to_json().to_string(),
                };
                Some(pattern_for(b.as_str()?, &text).ok()?.is_match(&text))
            }
            Self::And => Some(truth(a)? && truth(b)?),
            Self::Or => Some(truth(a)? || truth(b)?),
            Self::Not => Some(!truth(a)?),
            _ => None,
        }
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    #[expect(clippy::cast_precision_loss, reason = "numbers of two kinds compare as floats")]
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, bytes: usize) -> bool {
        pattern_for(pattern, &"a".repeat(bytes)).is_ok()
    }

    #[test]
    fn what_people_look_for_may_be_looked_for_in_any_text() {
        for pattern in [
            r"\w+@\w+\.\w+",
            r"(\w+)\s*=\s*(\w+)",
            r"(?m)^\s*([\w.-]+)\s*[:=]\s*(.*?)\s*$",
            r"(?:\w+\s+){3}\w+",
            r"\w{1,20}",
            r"https?://[^\s/]+(/\S*)?",
            r"\b(\d{1,3}\.){3}\d{1,3}\b",
            r#"^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]+)" (\d+) (\d+)$"#,
            "[0-9a-f]{64}",
        ] {
            assert!(fits(pattern, LONGEST_SEARCHED), "{pattern}");
        }
    }

    #[test]
    fn what_would_take_minutes_is_refused() {
        let groups = format!("(?:{})*b?", "(a?)".repeat(1000));
        assert!(fits(&groups, 100));
        assert!(!fits(&groups, 10_000));
        assert!(fits("[ac]{4000}b", 100_000));
        assert!(!fits("[ac]{4000}b", LONGEST_SEARCHED));
    }
}
