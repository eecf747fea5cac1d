//! Whether an expression fits a type of the schema.

use super::convert::{EVERY_NAME, Trouble, list_words};
use super::symbol::type_of;
use crate::diagnostic::{Code, did_you_mean};
use crate::expr::{Expr, Function};
use crate::kind::Registry;
use crate::path::Path;
use crate::schema::{Attribute, Type};
use crate::value::Value;

/// What checking needs beside the expression.
pub(super) struct Checker<'a> {
    /// Types of references come from here.
    pub(super) registry: &'a Registry,
    /// The kind whose attribute it is.
    pub(super) kind: &'a str,
    /// Handles that stand for a name, and where.
    pub(super) handles: &'a [(Path, &'static str)],
    /// What does not fit.
    pub(super) troubles: Vec<Trouble>,
}

impl Checker<'_> {
    /// Checks the value of an attribute.
    pub(super) fn attribute(&mut self, expr: &Expr, attribute: &Attribute, path: &Path) {
        if !attribute.handle.is_empty() {
            self.kinds(&attribute.handle, path);
        }
        self.check(expr, &attribute.ty, path);
    }

    /// Handles at or below a path must be of one of these kinds.
    fn kinds(&mut self, wanted: &[String], path: &Path) {
        for (at, kind) in self.handles {
            if at.0.starts_with(&path.0) && !wanted.iter().any(|name| name == kind) {
                let message = format!("`{at}` takes {}, not `{kind}`", either(wanted));
                self.troubles.push(Trouble::new(Code::WrongResource, at.clone(), message));
            }
        }
    }

    fn check(&mut self, expr: &Expr, ty: &Type, path: &Path) {
        match expr {
            Expr::Value(value) => self.value(value, ty, path),
            Expr::Secret(inner) => self.check(inner, ty, path),
            Expr::Reference(reference) => {
                let Some(found) = type_of(self.registry, reference) else { return };
                if !accepts(ty, found) {
                    let message = format!(
                        "`{path}` must be {}, but `{reference}` is {}",
                        a(ty),
                        a(found)
                    );
                    let trouble = Trouble::new(Code::AttributeType, path.clone(), message);
                    self.troubles.push(if accepts(ty, &Type::String) {
                        trouble.hint("put it into text: `${..}` between backticks")
                    } else {
                        trouble
                    });
                }
            }
            Expr::Call(function, arguments) => {
                if let Some(among) = function.alternatives(arguments) {
                    return among.iter().for_each(|one| self.check(one, ty, path));
                }
                if *function == Function::Withheld && !arguments.is_empty() {
                    return;
                }
                // Everything else that is computed is text, or true or false.
                let (found, words) = if function.is_condition() {
                    (Type::Bool, "a bool")
                } else {
                    (Type::String, "text")
                };
                if !accepts(ty, &found) {
                    self.wrong(ty, words, path);
                }
            }
            Expr::List(items) => match ty {
                Type::List(item) => {
                    for (index, entry) in items.iter().enumerate() {
                        self.check(entry, item, &path.index(index));
                    }
                }
                Type::Either(forms) => self.either(expr, forms, ty, path),
                Type::Any => {}
                _ => self.wrong(ty, "a list", path),
            },
            Expr::Map(entries) => match ty {
                Type::Map(item) => {
                    for (key, entry) in entries {
                        if !may_be_left_open(item, entry.known()) {
                            self.check(entry, item, &path.key(key));
                        }
                    }
                }
                Type::Object(attributes) => {
                    let given: Vec<_> =
                        entries.iter().map(|(key, entry)| (key.as_str(), entry)).collect();
                    for (key, entry) in &given {
                        if let Some(attribute) = self.known(attributes, key, path) {
                            self.attribute(entry, attribute, &path.key(*key));
                        }
                    }
                    self.required(attributes, |name| entries.contains_key(name), path);
                }
                Type::Either(forms) => self.either(expr, forms, ty, path),
                Type::Any => {}
                _ => self.wrong(ty, "a map", path),
            },
        }
    }

    fn value(&mut self, value: &Value, ty: &Type, path: &Path) {
        match (ty, value.reveal()) {
            (Type::Any, _)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int, Value::Int(_))
            | (Type::Number, Value::Int(_) | Value::Float(_))
            | (Type::String, Value::String(_)) => {}
            (Type::Enum(words), Value::String(text)) => {
                if !words.contains(text) {
                    self.word(words, text, path);
                }
            }
            (Type::List(item), Value::List(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, item, &path.index(index));
                }
            }
            (Type::Map(item), Value::Map(entries)) => {
                for (key, value) in entries {
                    if !may_be_left_open(item, Some(value)) {
                        self.value(value, item, &path.key(key));
                    }
                }
            }
            (Type::Object(attributes), Value::Map(entries)) => {
                for (key, value) in entries {
                    let Some(attribute) = self.known(attributes, key, path) else { continue };
                    // A nested attribute set to nothing is one left out.
                    if *value != Value::Null {
                        let path = path.key(key);
                        if !attribute.handle.is_empty() {
                            self.kinds(&attribute.handle, &path);
                        }
                        self.value(value, &attribute.ty, &path);
                    }
                }
                let is_given =
                    |name: &str| entries.get(name).is_some_and(|v| *v != Value::Null);
                self.required(attributes, is_given, path);
            }
            (Type::Either(forms), _) => {
                self.either(&Expr::Value(value.clone()), forms, ty, path);
            }
            (_, found) => self.wrong(ty, found.type_name(), path),
        }
    }

    /// One of several forms: fine when one fits; else the words of the form that came
    /// nearest, which is the one that fits at the top.
    fn either(&mut self, expr: &Expr, forms: &[Type], ty: &Type, path: &Path) {
        let mut nearest: Option<Vec<Trouble>> = None;
        for form in forms {
            let mut checker = Checker {
                registry: self.registry,
                kind: self.kind,
                handles: self.handles,
                troubles: Vec::new(),
            };
            checker.check(expr, form, path);
            if checker.troubles.is_empty() {
                return;
            }
            let is_inside =
                checker.troubles.iter().all(|trouble| {
                    trouble.path != *path || trouble.code == Code::MissingAttribute
                }) || matches!(form, Type::Enum(_)) && forms.len() == 1;
            if is_inside && nearest.is_none() {
                nearest = Some(checker.troubles);
            }
        }
        match nearest {
            Some(troubles) => self.troubles.extend(troubles),
            None => {
                let found = match expr {
                    Expr::Value(value) => value.reveal().type_name(),
                    Expr::List(_) => "a list",
                    Expr::Map(_) => "a map",
                    _ => "text",
                };
                if let (Expr::Value(value), Some(words)) = (expr, words_of(forms))
                    && let Value::String(text) = value.reveal()
                {
                    return self.word(words, text, path);
                }
                self.wrong(ty, found, path);
            }
        }
    }

    fn word(&mut self, words: &[String], text: &str, path: &Path) {
        let message = format!("`{path}` cannot be \"{text}\"");
        let trouble = Trouble::new(Code::NotAChoice, path.clone(), message);
        let candidates = words.iter().map(String::as_str);
        self.troubles.push(match did_you_mean(text, candidates) {
            Some(word) => trouble.hint(format!("did you mean \"{word}\"?")),
            None => trouble.hint(format!("it is one of {}", quoted(words))),
        });
    }

    fn wrong(&mut self, ty: &Type, found: &str, path: &Path) {
        let found = if found == "nothing" { "nothing, `()`" } else { found };
        let message = format!("`{path}` must be {}, not {found}", a(ty));
        self.troubles.push(Trouble::new(Code::AttributeType, path.clone(), message));
    }

    fn known<'t>(
        &mut self,
        attributes: &'t std::collections::BTreeMap<String, Attribute>,
        key: &str,
        path: &Path,
    ) -> Option<&'t Attribute> {
        let attribute = attributes.get(key);
        if attribute.is_none() {
            let message = format!("`{path}` has no attribute `{key}`");
            let trouble = Trouble::new(Code::UnknownAttribute, path.key(key), message);
            self.troubles.push(unknown_attribute(
                self.registry,
                self.kind,
                trouble,
                key,
                attributes.keys(),
            ));
        }
        attribute
    }

    fn required(
        &mut self,
        attributes: &std::collections::BTreeMap<String, Attribute>,
        is_given: impl Fn(&str) -> bool,
        path: &Path,
    ) {
        let is_beside = |trouble: &Trouble| {
            trouble.path.0.split_last().is_some_and(|(_, around)| around == path.0)
        };
        for (name, attribute) in attributes {
            let is_meant = || self.troubles.iter().any(|one| is_beside(one) && one.means(name));
            if attribute.required && !is_given(name) && !is_meant() {
                let message = format!("`{path}` needs `{name}`");
                self.troubles.push(Trouble::new(Code::MissingAttribute, path.clone(), message));
            }
        }
    }
}

/// Whether an entry set to nothing says no more than that it is there: all its attributes can
/// be left out.
fn may_be_left_open(item: &Type, entry: Option<&Value>) -> bool {
    let optional = |ty: &Type| match ty {
        Type::Object(attributes) => attributes.values().all(|attribute| !attribute.required),
        _ => false,
    };
    entry == Some(&Value::Null) && optional(item)
}

/// How many names a hint lists.
const LISTED: usize = 16;

/// Advice for an attribute that a kind does not have: what the kind itself says about such a
/// name comes before names like it.
pub(super) fn unknown_attribute<'a>(
    registry: &Registry,
    kind: &str,
    trouble: Trouble,
    name: &str,
    names: impl Iterator<Item = &'a String> + Clone,
) -> Trouble {
    let instead = registry.instead(kind).words(&trouble.path);
    if let Some(words) = instead {
        return trouble.hint(words);
    }
    let is_own = trouble.path.0.len() == 1;
    if let Some(words) = super::syntax::words::key(kind, name).filter(|_| is_own) {
        return trouble.hint(words);
    }
    let is_long = is_own && names.clone().nth(LISTED).is_some();
    let trouble = unknown_hint(trouble, name, names);
    let meant = trouble.hints.first().is_some_and(|hint| hint.starts_with("did you mean"));
    if !is_long || meant {
        return trouble;
    }
    trouble.hint(format!("`dollop doc {}` lists them all", kind.replace("::", ".")))
}

/// Advice for a name nobody knows.
pub(super) fn unknown_hint<'a>(
    trouble: Trouble,
    name: &str,
    names: impl Iterator<Item = &'a String> + Clone,
) -> Trouble {
    if let Some(meant) = did_you_mean(name, names.clone().map(String::as_str)) {
        return trouble.hint(format!("did you mean `{meant}`?"));
    }
    let first: Vec<_> = names.clone().take(LISTED).collect();
    if first.is_empty() {
        return trouble;
    }
    let more = match names.count() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    trouble.hint(format!("{EVERY_NAME}{}{more}", list_words(&first)))
}

fn words_of(forms: &[Type]) -> Option<&[String]> {
    forms.iter().find_map(|form| match form {
        Type::Enum(words) => Some(words.as_slice()),
        _ => None,
    })
}

/// Whether what has one type can stand where the other is wanted.
pub(super) fn accepts(wanted: &Type, found: &Type) -> bool {
    match (wanted, found) {
        (Type::Any, _)
        | (_, Type::Any)
        | (Type::Bool, Type::Bool)
        | (Type::Int, Type::Int)
        | (Type::Number, Type::Int | Type::Number)
        | (Type::String | Type::Enum(_), Type::String | Type::Enum(_))
        | (Type::Object(_), Type::Object(_) | Type::Map(_))
        | (Type::Map(_), Type::Object(_)) => true,
        (Type::List(wanted), Type::List(found)) | (Type::Map(wanted), Type::Map(found)) => {
            accepts(wanted, found)
        }
        (Type::Either(forms), _) => forms.iter().any(|form| accepts(form, found)),
        (_, Type::Either(forms)) => forms.iter().any(|form| accepts(wanted, form)),
        _ => false,
    }
}

/// A type with its article.
pub(super) fn a(ty: &Type) -> String {
    match ty {
        Type::Enum(words) => format!("one of {}", quoted(words)),
        Type::Any => "any value".to_owned(),
        Type::Int => "an integer".to_owned(),
        Type::Either(forms) => forms.iter().map(a).collect::<Vec<_>>().join(" or "),
        other => format!("a {other}"),
    }
}

fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

/// Kinds with their articles: a `docker::network` or a `docker::engine`.
pub(super) fn either<S: AsRef<str>>(kinds: &[S]) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("a `{}`", kind.as_ref())).collect();
    kinds.join(" or ")
}
