//! Attributes within attributes: the interval of a health check, the address in a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dollop_engine::schema::{Attribute, Schema, Type};
use serde_json::Value as Json;

use super::Sample;

/// The attributes within those of a kind, and what became of each.
pub struct Nested {
    /// Whether it must be given, by its name.
    all: BTreeMap<String, bool>,
    set: BTreeSet<String>,
    shown: BTreeSet<String>,
}

/// A nested attribute where a value sets it.
pub struct Part {
    /// `healthcheck.interval`, whatever lists and maps are on the way.
    pub name: String,
    place: Vec<String>,
}

impl Nested {
    /// All of a kind.
    pub fn of(schema: &Schema) -> Self {
        let mut all = BTreeMap::new();
        for (name, attribute) in &schema.spec {
            within(&attribute.ty, name, &mut all);
        }
        Self { all, set: BTreeSet::new(), shown: BTreeSet::new() }
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// A sample sets it.
    pub fn set(&mut self, name: &str) {
        self.set.insert(name.to_owned());
    }

    pub(super) fn show(&mut self, name: &str) {
        self.shown.insert(name.to_owned());
    }

    pub(super) fn is_shown(&self, name: &str) -> bool {
        self.shown.contains(name)
    }

    /// Each must be set by a sample, and each that may be left out must have been seen.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_complete(&self, sample: &Sample, unseen: &[&str]) {
        let missing = self.left(sample, |name, _| !self.set.contains(name));
        assert!(missing.is_empty(), "`{}`: no sample for {missing:?}", sample.kind);
        let hidden = self.left(sample, |name, required| {
            let top = name.split('.').next().unwrap_or_default();
            let excused = required || unseen.contains(&name) || unseen.contains(&top);
            !excused && !self.shown.contains(name)
        });
        assert!(hidden.is_empty(), "`{}`: nothing shows {hidden:?}", sample.kind);
    }

    /// Those of which something is true, without what a sample says is fixed.
    fn left(&self, sample: &Sample, is: impl Fn(&str, bool) -> bool) -> Vec<&str> {
        let names = self.all.iter().filter(|(name, required)| is(name, **required));
        let names = names.map(|(name, _)| name.as_str());
        names
            .filter(|name| {
                let fixed = |fixed: &&str| {
                    name.strip_prefix(*fixed)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                };
                !sample.fixed.iter().any(fixed)
            })
            .collect()
    }
}

impl fmt::Display for Nested {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} of {} nested attributes set, {} seen when they are not asked for",
            self.set.len(),
            self.all.len(),
            self.shown.len()
        )
    }
}

/// Asserts that samples set everything that is nested.
///
/// # Panics
/// When they do not.
pub fn assert_set(schema: &Schema, sample: &Sample) {
    let mut within = Nested::of(schema);
    for (attribute, value) in &sample.changes {
        for part in parts(value, &schema.spec[*attribute].ty, attribute) {
            within.set(&part.name);
        }
    }
    let everything: Vec<String> = within.names().map(str::to_owned).collect();
    let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
    within.assert_complete(sample, &everything);
}

fn within(ty: &Type, at: &str, all: &mut BTreeMap<String, bool>) {
    match ty {
        Type::Object(attributes) => {
            for (name, Attribute { ty, required, .. }) in attributes {
                let name = format!("{at}.{name}");
                within(ty, &name, all);
                all.insert(name, *required);
            }
        }
        Type::List(item) | Type::Map(item) => within(item, at, all),
        Type::Either(forms) => forms.iter().for_each(|form| within(form, at, all)),
        _ => {}
    }
}

/// The nested attributes that a value of a type sets.
pub fn parts(value: &Json, ty: &Type, at: &str) -> Vec<Part> {
    let mut found = Vec::new();
    collect(value, ty, at, &mut Vec::new(), &mut found);
    found
}

fn collect(value: &Json, ty: &Type, at: &str, place: &mut Vec<String>, found: &mut Vec<Part>) {
    match (ty, value) {
        (Type::Object(attributes), Json::Object(entries)) => {
            for (name, value) in entries {
                let Some(attribute) = attributes.get(name) else { continue };
                if value.is_null() {
                    continue;
                }
                let name_in = format!("{at}.{name}");
                place.push(name.clone());
                found.push(Part { name: name_in.clone(), place: place.clone() });
                collect(value, &attribute.ty, &name_in, place, found);
                place.pop();
            }
        }
        (Type::List(item), Json::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                place.push(index.to_string());
                collect(value, item, at, place, found);
                place.pop();
            }
        }
        (Type::Map(item), Json::Object(entries)) => {
            for (key, value) in entries {
                place.push(key.clone());
                collect(value, item, at, place, found);
                place.pop();
            }
        }
        (Type::Either(forms), _) => {
            for form in forms {
                collect(value, form, at, place, found);
            }
        }
        _ => {}
    }
}

impl Part {
    /// The value it was found in, without it.
    ///
    /// # Panics
    /// When it is another value.
    pub fn without(&self, value: &Json) -> Json {
        let mut value = value.clone();
        let (last, before) = self.place.split_last().expect("it stands somewhere");
        let mut around = &mut value;
        for step in before {
            around = match around {
                Json::Array(values) => &mut values[step.parse::<usize>().expect("a number")],
                other => &mut other[step.as_str()],
            };
        }
        if let Json::Object(entries) = around {
            entries.remove(last);
        }
        value
    }
}
