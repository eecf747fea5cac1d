//! Attribute by attribute, before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Span;
use crate::expr::Expr;
use crate::map::Map;
use crate::path::{Path, Segment};
use crate::plan::change::Difference;
use crate::schema::{Attribute, Type};
use crate::value::Value;

/// What to compare with what.
pub(crate) struct Sides<'a> {
    /// As declared, in normal form as far as known.
    pub(crate) desired: &'a Expr,
    /// As it is.
    pub(crate) actual: &'a Value,
    /// As it was last written, when dollop wrote it.
    pub(crate) recorded: Option<&'a Value>,
    /// The kind's attributes, for what forces a replacement.
    pub(crate) schema: &'a BTreeMap<String, Attribute>,
    /// Where the script sets what.
    pub(crate) spans: Option<&'a Arc<BTreeMap<Path, Span>>>,
}

/// Everything that differs, in the order of the attributes.
pub(crate) fn differences(sides: &Sides<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let both = (Some(sides.desired), Some(sides.actual));
    compare(both, &Path::default(), &|name| Some(&sides.schema.get(name)?.ty), &mut found);
    for difference in &mut found {
        let attribute = difference.path.first().and_then(|name| sides.schema.get(name));
        difference.replaces = attribute.is_some_and(|attribute| {
            attribute.replace || nested_replace(&attribute.ty, &difference.path.0[1..])
        });
        difference.drift = sides.recorded.is_some_and(|recorded| {
            let was = difference.path.follow(recorded);
            !alike(was.as_ref(), difference.path.follow(sides.actual).as_ref())
        });
        difference.span = sides.spans.and_then(|spans| nearest(spans, &difference.path));
    }
    found
}

/// Every attribute that is set, as differences from nothing: what a create shows.
pub(crate) fn all_set(
    desired: &Expr,
    schema: &BTreeMap<String, Attribute>,
    spans: Option<&Arc<BTreeMap<Path, Span>>>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (name, value) in set(entries(desired), schema) {
        compare((Some(&value), None), &Path::attribute(name), &|_| None, &mut found);
    }
    for difference in &mut found {
        difference.span = spans.and_then(|spans| nearest(spans, &difference.path));
    }
    found
}

/// The entries that say more than the schema says without them, and of those what does.
fn set(entries: Map<Expr>, schema: &BTreeMap<String, Attribute>) -> Map<Expr> {
    let says_more = |(name, value): (String, Expr)| {
        let attribute = schema.get(&name);
        let default = attribute.and_then(|attribute| attribute.default.as_ref());
        let left_out = match (&value, default) {
            (Expr::Value(value), Some(default)) => value.same(default),
            (Expr::Value(value), None) => is_empty(value),
            _ => false,
        };
        let value = match attribute {
            _ if left_out => return None,
            Some(attribute) => set_within(value, &attribute.ty),
            None => value,
        };
        Some((name, value))
    };
    entries.into_iter().filter_map(says_more).collect()
}

/// A value without the attributes inside it that only repeat their defaults.
fn set_within(value: Expr, ty: &Type) -> Expr {
    match ty {
        Type::Object(attributes) if is_map(&value) => {
            Expr::map(set(entries(&value), attributes))
        }
        Type::Map(item) if is_map(&value) => {
            let inner = entries(&value).into_iter();
            Expr::map(inner.map(|(key, value)| (key, set_within(value, item))).collect())
        }
        Type::List(item) => match value {
            Expr::Value(Value::List(items)) => {
                let items = items.into_iter().map(Expr::Value);
                Expr::list(items.map(|value| set_within(value, item)).collect())
            }
            Expr::List(items) => {
                Expr::list(items.iter().map(|value| set_within(value.clone(), item)).collect())
            }
            other => other,
        },
        Type::Either(forms) => match forms.iter().find(|form| fits(&value, form)) {
            Some(form) => set_within(value, form),
            None => value,
        },
        _ => value,
    }
}

/// Whether a value has the form of a type of which there are several, by its outside.
fn fits(value: &Expr, ty: &Type) -> bool {
    match ty {
        Type::Object(attributes) => {
            is_map(value) && entries(value).keys().all(|name| attributes.contains_key(name))
        }
        Type::Map(_) => is_map(value),
        Type::List(_) => matches!(value, Expr::List(_) | Expr::Value(Value::List(_))),
        _ => false,
    }
}

fn is_map(value: &Expr) -> bool {
    matches!(value, Expr::Map(_) | Expr::Value(Value::Map(_)))
}

/// Whether two values are the same; nothing, an empty list and an empty map are alike only
/// to themselves, a missing value is like `null`.
fn alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same(b),
        (None, None) => true,
        (Some(one), None) | (None, Some(one)) => *one.reveal() == Value::Null,
    }
}

fn is_empty(value: &Value) -> bool {
    match value.reveal() {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// The entries of a map, known or partly known.
pub(crate) fn entries(expr: &Expr) -> Map<Expr> {
    match expr {
        Expr::Map(entries) => entries.clone(),
        Expr::Value(Value::Map(entries)) => entries
            .iter()
            .map(|(key, value)| (key.clone(), Expr::Value(value.clone())))
            .collect(),
        _ => Map::new(),
    }
}

/// The type of an entry, where the schema says one.
type TypeOf<'a> = dyn Fn(&str) -> Option<&'a Type> + 'a;

fn compare(
    (desired, actual): (Option<&Expr>, Option<&Value>),
    path: &Path,
    type_of: &TypeOf<'_>,
    found: &mut Vec<Difference>,
) {
    // Known on both sides and the same: the common case, decided without copying.
    let known = desired.map(Expr::known);
    match (known, actual) {
        (None, None) => return,
        (None, actual) if alike(None, actual) => return,
        (Some(Some(value)), actual) if alike(Some(value), actual) => return,
        _ => {}
    }
    let before_secret = actual.is_some_and(Value::is_secret);
    let after_secret = desired.is_some_and(Expr::is_secret);
    let desired_is_map = desired.is_none_or(is_map);
    let actual_is_map = actual.is_none_or(|value| matches!(value, Value::Map(_)));
    // Below the top, an entry that is new or gone as a whole is shown entry by entry too.
    if desired_is_map && actual_is_map && !before_secret && !after_secret {
        let wanted = desired.map(entries).unwrap_or_default();
        let empty = Map::new();
        let present = actual.and_then(Value::as_map).unwrap_or(&empty);
        let keys: BTreeSet<&String> = wanted.keys().chain(present.keys()).collect();
        if !keys.is_empty() {
            for key in keys {
                let path = path.key(key);
                let ty = type_of(key);
                let within = |name: &str| ty.and_then(|ty| entry_type(ty, name));
                match (wanted.get(key), present.get(key), ty) {
                    // As a whole: without what only repeats the defaults.
                    (Some(new), None, Some(ty)) => {
                        let new = set_within(new.clone(), ty);
                        compare((Some(&new), None), &path, &within, found);
                    }
                    (None, Some(gone), Some(ty)) => {
                        let gone = set_within(Expr::Value(gone.clone()), ty);
                        compare((None, gone.known()), &path, &within, found);
                    }
                    (new, old, _) => compare((new, old), &path, &within, found),
                }
            }
            return;
        }
    }
    found.push(Difference {
        path: path.clone(),
        before: actual.filter(|value| **value != Value::Null).cloned(),
        after: desired.filter(|expr| !matches!(expr, Expr::Value(Value::Null))).cloned(),
        drift: false,
        replaces: false,
        span: None,
    });
}

/// The type of an entry of a value of a type.
fn entry_type<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    match ty {
        Type::Object(attributes) => attributes.get(name).map(|attribute| &attribute.ty),
        Type::Map(item) => Some(item),
        Type::Either(forms) => forms.iter().find_map(|form| entry_type(form, name)),
        _ => None,
    }
}

/// Whether something on the way into an attribute carries `x-replace`.
fn nested_replace(ty: &Type, rest: &[Segment]) -> bool {
    match (ty, rest.split_first()) {
        (Type::Object(attributes), Some((Segment::Key(key), rest))) => attributes
            .get(key)
            .is_some_and(|inner| inner.replace || nested_replace(&inner.ty, rest)),
        (Type::List(item) | Type::Map(item), Some((_, rest))) => nested_replace(item, rest),
        _ => false,
    }
}

fn nearest(spans: &BTreeMap<Path, Span>, path: &Path) -> Option<Span> {
    let mut path = path.clone();
    loop {
        if let Some(span) = spans.get(&path) {
            return Some(span.clone());
        }
        path.0.pop()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap())
    }

    fn check(desired: &str, actual: &str, recorded: &str, expected: &str) {
        check_with(&BTreeMap::new(), desired, actual, recorded, expected);
    }

    fn check_with(
        schema: &BTreeMap<String, Attribute>,
        desired: &str,
        actual: &str,
        recorded: &str,
        expected: &str,
    ) {
        let desired = Expr::Value(value(desired));
        let (actual, recorded) = (value(actual), value(recorded));
        let sides = Sides {
            desired: &desired,
            actual: &actual,
            recorded: Some(&recorded),
            schema,
            spans: None,
        };
        let lines: Vec<_> = differences(&sides)
            .iter()
            .map(|d| {
                let show = |v: &Option<Value>| v.as_ref().map_or("-".into(), Value::to_string);
                let after = d.after.as_ref().map_or("-".into(), Expr::to_string);
                let drift = if d.drift { " drift" } else { "" };
                format!("{}: {} → {after}{drift}", d.path, show(&d.before))
            })
            .collect();
        assert_eq!(lines.join("\n"), expected);
    }

    fn attribute(ty: Type, default: Option<Value>) -> Attribute {
        Attribute {
            doc: String::new(),
            ty,
            required: false,
            default,
            replace: false,
            secret: false,
            write_only: false,
            not_kept: false,
            stable: false,
            disruption: crate::schema::Disruption::None,
            handle: Vec::new(),
            by_name: false,
        }
    }

    #[test]
    fn an_entry_that_is_new_or_gone_is_shown_without_its_defaults() {
        let inner = Type::Object(BTreeMap::from([
            ("aliases".to_owned(), attribute(Type::List(Box::new(Type::String)), None)),
            ("priority".to_owned(), attribute(Type::Int, Some(Value::Int(0)))),
        ]));
        let schema =
            BTreeMap::from([("nets".to_owned(), attribute(Type::Map(Box::new(inner)), None))]);
        check_with(
            &schema,
            r#"{"nets":{"a":{"aliases":[],"priority":1},"new":{"aliases":[],"priority":0}}}"#,
            r#"{"nets":{"a":{"aliases":[],"priority":0},"by-hand":{"aliases":[],"priority":0},
                "gone":{"aliases":["x"],"priority":0}}}"#,
            r#"{"nets":{"a":{"aliases":[],"priority":0},"gone":{"aliases":["x"],"priority":0}}}"#,
            "nets.a.priority: 0 → 1\nnets.by-hand: {} → - drift\n\
             nets.gone.aliases: [\"x\"] → -\nnets.new: - → {}",
        );
    }

    #[test]
    fn maps_are_compared_by_key_and_lists_as_a_whole() {
        check(
            r#"{"env":{"A":"1","B":"2"},"ports":["80"]}"#,
            r#"{"env":{"A":"1","C":"3"},"ports":["81"]}"#,
            r#"{"env":{"A":"1"},"ports":["81"]}"#,
            "env.B: - → \"2\"\nenv.C: \"3\" → - drift\nports: [\"81\"] → [\"80\"]",
        );
    }

    #[test]
    fn what_only_repeats_a_default_is_not_shown_however_deep() {
        let inner = Type::Object(BTreeMap::from([
            ("aliases".to_owned(), attribute(Type::List(Box::new(Type::String)), None)),
            ("priority".to_owned(), attribute(Type::Int, Some(Value::Int(0)))),
            ("ip".to_owned(), attribute(Type::String, None)),
        ]));
        let schema = BTreeMap::from([
            ("nets".to_owned(), attribute(Type::Map(Box::new(inner.clone())), None)),
            (
                "mounts".to_owned(),
                attribute(Type::List(Box::new(Type::Either(vec![Type::String, inner]))), None),
            ),
        ]);
        let desired = value(
            r#"{"nets":{"a":{"aliases":[],"priority":0},"b":{"ip":"::1","priority":1}},
                "mounts":["x",{"aliases":[],"ip":"::2","priority":0}]}"#,
        );
        let lines: Vec<_> = all_set(&Expr::Value(desired), &schema, None)
            .iter()
            .map(|d| {
                format!("{}: {}", d.path, d.after.as_ref().map_or("-".into(), Expr::to_string))
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"mounts: ["x", {"ip": "::2"}]"#,
                "nets.a: {}",
                r#"nets.b.ip: "::1""#,
                "nets.b.priority: 1",
            ]
        );
    }

    #[test]
    fn nothing_and_left_out_are_the_same() {
        check(r#"{"a":null,"b":1}"#, r#"{"b":1}"#, r#"{"b":1}"#, "");
        check(r#"{"b":1}"#, r#"{"a":null,"b":1.0}"#, r#"{"b":1}"#, "");
    }
}
