//! Reading arguments whose kinds were checked before.

use super::Fault;
use crate::value::Value;

/// The text at a place; an optional one left out is empty.
pub(super) fn text(arguments: &[Value], index: usize) -> &str {
    arguments.get(index).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a place, when it was given.
pub(super) fn given_text(arguments: &[Value], index: usize) -> Option<&str> {
    arguments.get(index).and_then(Value::as_str)
}

/// The integer at a place.
pub(super) fn int(arguments: &[Value], index: usize) -> i64 {
    match arguments.get(index).map(Value::reveal) {
        Some(Value::Int(value)) => *value,
        _ => 0,
    }
}

/// The number at a place.
#[expect(clippy::cast_precision_loss, reason = "as Rhai mixes numbers")]
pub(super) fn number(arguments: &[Value], index: usize) -> f64 {
    match arguments.get(index).map(Value::reveal) {
        Some(Value::Int(value)) => *value as f64,
        Some(Value::Float(value)) => *value,
        _ => 0.0,
    }
}

/// The integer at a place as a size from `least` to `most`.
pub(super) fn size(
    arguments: &[Value],
    index: usize,
    name: &str,
    least: usize,
    most: usize,
) -> Result<usize, Fault> {
    let value = int(arguments, index);
    usize::try_from(value)
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| Fault::new(format!("`{name}` is from {least} to {most}, not {value}")))
}

/// The list at a place.
pub(super) fn list(arguments: &[Value], index: usize) -> &[Value] {
    match arguments.get(index).map(Value::reveal) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// The texts of the list at a place.
pub(super) fn texts<'a>(
    arguments: &'a [Value],
    index: usize,
    name: &str,
) -> Result<Vec<&'a str>, Fault> {
    let items = list(arguments, index).iter().enumerate().map(|(at, item)| {
        item.as_str().ok_or_else(|| {
            Fault::new(format!("item {at} of `{name}` is {}, not text", item.type_name()))
        })
    });
    items.collect()
}

/// A text as a value.
pub(super) fn string(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// Texts as a list.
pub(super) fn strings<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Value {
    Value::List(texts.into_iter().map(string).collect())
}
