//! Arguments of exchanges and queues that are attributes too.

use std::collections::BTreeMap;

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::{Code, did_you_mean};
use dollop_engine::path::Path;
use dollop_engine::resource::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// Arguments as the server names them.
pub(super) type Arguments = BTreeMap<String, Json>;

/// What an argument's value looks like.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Int,
    /// A whole number from the first to the last.
    Range(i64, i64),
    /// How old something may get: see [`is_age`].
    Age,
    /// True or false.
    Bool,
}

/// An argument that is an attribute.
pub(super) struct Typed {
    /// `message_ttl`.
    pub(super) attribute: &'static str,
    /// `x-message-ttl`.
    pub(super) key: &'static str,
    /// Its form.
    pub(super) form: Form,
}

impl Form {
    /// Whether a value has it.
    pub(super) fn fits(self, value: &Json) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Int => value.is_i64(),
            Self::Range(least, most) => {
                value.as_i64().is_some_and(|number| (least..=most).contains(&number))
            }
            Self::Age => value.as_str().is_some_and(is_age),
            Self::Bool => value.is_boolean(),
        }
    }
}

/// A number above zero and a unit: years, months, days, hours, minutes or seconds.
pub(super) fn is_age(age: &str) -> bool {
    let number = age.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']);
    number
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && n.bytes().any(|b| b != b'0'))
}

/// Moves what stands in `arguments` to its attribute, so that both ways to write it are
/// one. What contradicts the attribute or has another form stays: `check_leftover` says so.
pub(super) fn lift<Spec: Serialize + DeserializeOwned>(
    typed: &[Typed],
    spec: &mut Spec,
    arguments: impl Fn(&Spec) -> &Arguments,
) {
    // Most have none.
    if arguments(spec).is_empty() {
        return;
    }
    let Ok(mut json) = serde_json::to_value(&*spec) else {
        return;
    };
    for Typed { attribute, key, form } in typed {
        let Some(value) = json["arguments"].get(key).filter(|value| form.fits(value)) else {
            continue;
        };
        let value = value.clone();
        if json[*attribute].is_null() || json[*attribute] == value {
            json[*attribute] = value;
            if let Some(arguments) = json["arguments"].as_object_mut() {
                arguments.remove(*key);
            }
        }
    }
    if let Ok(lifted) = serde_json::from_value(json) {
        *spec = lifted;
    }
}

/// All arguments as the server takes them.
pub(super) fn lower<Spec: Serialize>(
    typed: &[Typed],
    spec: &Spec,
    arguments: &Arguments,
) -> Arguments {
    let mut arguments = arguments.clone();
    let json = serde_json::to_value(spec).unwrap_or_default();
    for Typed { attribute, key, .. } in typed {
        if let Some(value) = json.get(attribute).filter(|value| !value.is_null()) {
            arguments.insert((*key).to_owned(), value.clone());
        }
    }
    arguments
}

/// Arguments that should have become attributes and could not.
pub(super) fn check_leftover(typed: &[Typed], arguments: &Arguments) -> Vec<Problem> {
    let left = typed.iter().filter_map(|typed| Some((typed, arguments.get(typed.key)?)));
    left.map(|(Typed { attribute, key, form }, value)| {
        let (message, hint) = if form.fits(value) {
            let message = format!("`{key}` says something else than `{attribute}`");
            (message, format!("keep `{attribute}` only"))
        } else {
            (format!("`{key}` cannot be {value}"), format!("write it as `{attribute}`"))
        };
        Problem::new("arguments", message).hint(hint)
    })
    .collect()
}

/// Arguments that are called nearly like one that the server knows: it takes them, and does
/// nothing by them.
pub(super) fn lint<'a>(
    arguments: &Arguments,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Vec<Lint> {
    let unknown =
        arguments.keys().filter(|key| known.clone().all(|known| known != key.as_str()));
    let near = unknown.filter_map(|key| Some((key, did_you_mean(key, known.clone())?)));
    near.map(|(key, near)| Lint {
        code: Code::Misspelt,
        at: Path::attribute("arguments").key(key),
        message: format!("the server takes an argument `{key}` and does nothing by it"),
        hint: format!("did you mean `{near}`?"),
    })
    .collect()
}

/// Whether a plugin made the object for itself, as federation does.
pub(super) fn is_internal(arguments: &Arguments) -> bool {
    arguments.contains_key("x-internal-purpose")
}

/// The API takes no `null`, at any depth.
pub(super) fn check_nulls(attribute: &str, arguments: &Arguments) -> Vec<Problem> {
    fn has_null(value: &Json) -> bool {
        match value {
            Json::Null => true,
            Json::Array(items) => items.iter().any(has_null),
            Json::Object(entries) => entries.values().any(has_null),
            _ => false,
        }
    }
    let bad = arguments.iter().filter(|(_, value)| has_null(value));
    bad.map(|(key, _)| {
        Problem::new(attribute, format!("`{key}` has no value"))
            .hint(format!("leave `{key}` out, or give it a value"))
    })
    .collect()
}
