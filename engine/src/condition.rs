//! The functions that give true or false, on known values.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use crate::expr::Function;
use crate::value::Value;

/// Bytes of the longest pattern.
const LONGEST_PATTERN: usize = 4 << 10;
/// Bytes a compiled pattern may take.
const LARGEST_PATTERN: usize = 1 << 20;
/// Bytes of the longest text that is searched.
const LONGEST_SEARCHED: usize = 1 << 20;
/// Bytes of a compiled pattern times bytes of the text: in the worst case all of the one is
/// gone through for each of the other.
const MOST_SEARCHING: usize = 1 << 38;

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
    compiled(text, LARGEST_PATTERN).map_err(|error| {
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
    let most = MOST_SEARCHING / searched.len().max(1);
    if most < LARGEST_PATTERN && text.len() <= LONGEST_PATTERN {
        return compiled(text, most).or_else(|_| {
            pattern(text).map_err(Unfit::Pattern)?;
            let message = "the pattern is too large to be looked for in a text that long";
            Err(Unfit::Text(message.to_owned()))
        });
    }
    pattern(text).map_err(Unfit::Pattern)
}

fn compiled(text: &str, most: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(most)
        .dfa_size_limit(LARGEST_PATTERN)
        .nest_limit(64)
        .build()
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
