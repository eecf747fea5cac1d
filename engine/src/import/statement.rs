//! One object as a statement: what it is called on, its first argument, its attributes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Existing;
use super::compose::{Composer, Meant, Place};
use crate::address::Address;
use crate::kind::{Kind, lookup_of, short_name};
use crate::map::Map;
use crate::schema::Attribute;
use crate::script::write::{Code, Receiver, Statement};
use crate::value::Value;

/// One object on its way to a statement.
pub(super) struct One<'a> {
    pub(super) composer: &'a Composer<'a>,
    pub(super) object: &'a Existing,
    pub(super) variables: &'a HashMap<usize, String>,
    /// What was written so far.
    pub(super) firsts: &'a HashMap<usize, String>,
    /// What is declared elsewhere in the stack and used here by its name.
    pub(super) depends_on: BTreeSet<Address>,
    /// What is used here by its variable.
    pub(super) referred: BTreeSet<usize>,
}

impl One<'_> {
    /// The statement, the text of its first argument, and its address.
    pub(super) fn statement(
        &mut self,
        variable: Option<&String>,
        taken: &mut HashSet<Address>,
        (parameters, secrets): (&HashSet<&str>, &mut BTreeMap<String, Value>),
    ) -> (Statement, String, Address) {
        let Existing { kind, found, built_in, remarks, .. } = self.object;
        let spec = found.spec.as_map().cloned().unwrap_or_default();
        let composer = self.composer;
        let parent = composer.parent(self.object);
        let parent = parent.and_then(|(meant, says)| Some((self.refer(meant)?, says)));
        let mut filled: Vec<&str> = vec!["name"];
        let on = match (parent, composer.place.on) {
            (Some((variable, says)), _) => {
                filled.extend(says);
                Receiver::Variable(variable)
            }
            (None, Some(on)) => Receiver::Variable(on.to_owned()),
            (None, None) => {
                let provider = kind.name.split("::").next().unwrap_or_default();
                Receiver::Provider(provider.to_owned())
            }
        };
        let natural = spec.get("name").and_then(Value::as_str).map(str::to_owned);
        let (mut first, text, address) = self.first(natural.as_deref(), taken);
        let namesake = composer.namesake(self.object);
        let named = namesake.filter(|meant| self.first_of(meant) == Some(text.as_str()));
        let mut attributes: Vec<(String, Code)> = Vec::new();
        if let Some(variable) = named.and_then(|meant| self.refer(meant)) {
            first = Code::Variable(variable);
        } else if let Some(natural) = &natural
            && *natural != name_of(composer.place, self.object, &text, &address)
        {
            attributes.push(("name".to_owned(), Code::Value(Value::string(natural))));
        }
        let mut comments = remarks.clone();
        if *built_in {
            let telling = kind.traits.identity.iter().copied();
            let around =
                kind.traits.within.iter().copied().filter(|name| !filled.contains(name));
            for name in around.chain(telling) {
                self.attribute(name, &spec, &mut attributes);
            }
        } else {
            let (shown, lost) = written(kind, &spec);
            for name in shown.into_iter().filter(|name| !filled.contains(name)) {
                match spec.get(name) {
                    Some(Value::Secret(inner)) => {
                        let holder = variable.cloned().unwrap_or_else(|| {
                            composer.writer.identifier(&text, short_name(kind.name))
                        });
                        let parameter = fresh(&format!("{holder}_{name}"), |name| {
                            secrets.contains_key(name) || parameters.contains(name)
                        });
                        let code =
                            Code::Secret { name: parameter.clone(), ty: parameter_type(inner) };
                        secrets.insert(parameter, (**inner).clone());
                        attributes.push((name.to_owned(), code));
                    }
                    _ => self.attribute(name, &spec, &mut attributes),
                }
            }
            comments.extend(lost);
        }
        let first_of_all = self.first_of_all(&mut comments);
        if !first_of_all.is_empty() {
            attributes.push(("depends_on".to_owned(), Code::List(first_of_all)));
        }
        let short = short_name(kind.name);
        let statement = Statement {
            heading: None,
            comments,
            variable: variable.cloned(),
            on,
            function: if *built_in { lookup_of(short) } else { short.to_owned() },
            first,
            attributes,
        };
        (statement, text, address)
    }

    /// What must be there first and is named by no attribute.
    fn first_of_all(&self, comments: &mut Vec<String>) -> Vec<Code> {
        let addresses = self.depends_on.iter();
        let mut all: Vec<_> =
            addresses.map(|address| Code::Value(Value::string(address.to_string()))).collect();
        if self.object.built_in {
            return all;
        }
        for other in self.composer.needed(self.object).collect::<BTreeSet<_>>() {
            match self.variables.get(&other) {
                Some(_) if self.referred.contains(&other) => {}
                Some(variable) if self.firsts.contains_key(&other) => {
                    all.push(Code::Variable(variable.clone()));
                }
                _ => comments
                    .push(format!("it and {} need each other", self.composer.words(other))),
            }
        }
        all
    }

    fn attribute(&mut self, name: &str, spec: &Map, attributes: &mut Vec<(String, Code)>) {
        let schema = &self.object.kind.schema.spec;
        let (Some(attribute), Some(value)) = (schema.get(name), spec.get(name)) else { return };
        let Attribute { ty, handle, .. } = attribute;
        let (composer, object) = (self.composer, self.object);
        let holder = &object.found.spec;
        let mut refer = |meant: &Meant| self.refer(meant);
        let code = composer.code(holder, ty, handle, value, &mut refer);
        attributes.push((name.to_owned(), code));
    }

    /// The variable of what a name stands for, when it is written already.
    fn refer(&mut self, meant: &Meant) -> Option<String> {
        match meant {
            Meant::Object(other) if self.firsts.contains_key(other) => {
                let variable = self.variables.get(other).cloned();
                self.referred.extend(variable.as_ref().map(|_| *other));
                variable
            }
            Meant::Object(_) => None,
            Meant::Declared(address) => {
                self.depends_on.insert(address.clone());
                None
            }
        }
    }

    fn first_of(&self, meant: &Meant) -> Option<&str> {
        match meant {
            Meant::Object(other) => self.firsts.get(other).map(String::as_str),
            Meant::Declared(_) => None,
        }
    }

    /// The first argument, and the address that follows from it.
    fn first(
        &self,
        natural: Option<&str>,
        taken: &mut HashSet<Address>,
    ) -> (Code, String, Address) {
        let Existing { kind, found, built_in, .. } = self.object;
        let place = self.composer.place;
        let mut path = Vec::new();
        let implicit =
            place.registry.connection_kind(kind.connection).is_some_and(|c| c.implicit);
        if !(implicit && place.connection.name() == "default") {
            path.extend(place.connection.components().iter().cloned());
            path.push(place.connection.name().to_owned());
        }
        path.extend(parents(kind, &found.spec));
        let wanted = natural.map_or_else(|| label(kind, &found.spec), str::to_owned);
        let address = |first: &str| {
            let mut path = path.clone();
            path.push(first.to_owned());
            let kind = if *built_in { lookup_of(kind.name) } else { kind.name.to_owned() };
            Address::new(Vec::new(), kind, path)
        };
        let first = fresh(&wanted, |first| taken.contains(&address(first)));
        let address = address(&first);
        taken.insert(address.clone());
        (Code::Value(Value::string(&first)), first, address)
    }
}

/// The name that follows from the first argument.
fn name_of(place: &Place<'_>, object: &Existing, first: &str, address: &Address) -> String {
    if object.built_in {
        return first.to_owned();
    }
    object.kind.calls.default_name(&place.graph.program().stack, address)
}

/// The name, or the name with the first number that makes it free.
pub(super) fn fresh(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

/// The names of what it lives in.
pub(super) fn parents(kind: &Kind, spec: &Value) -> Vec<String> {
    let text = |name: &&str| spec.get(name).and_then(Value::as_str).map(str::to_owned);
    kind.traits.within.iter().filter_map(text).collect()
}

/// ``database `shop`, schema `app` ``.
pub(super) fn heading(kind: &Kind, around: &[String]) -> String {
    let names = kind.traits.within.iter().zip(around);
    let names = names.map(|(attribute, name)| format!("{attribute} `{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// What something without a name of its own is called: what tells it from others.
pub(super) fn label(kind: &Kind, spec: &Value) -> String {
    let mut words = Vec::new();
    for name in kind.traits.identity {
        let attribute = kind.schema.spec.get(*name);
        let Some(value) = spec
            .get(name)
            .filter(|value| !attribute.is_some_and(|attribute| is_left_out(attribute, value)))
        else {
            continue;
        };
        match value {
            Value::String(text) => words.push(text.clone()),
            Value::Int(number) => words.push(number.to_string()),
            _ => {}
        }
    }
    let mut label = String::new();
    for character in words.join("-").chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_') {
            label.push(character);
        } else if !label.is_empty() && !label.ends_with('_') {
            label.push('_');
        }
    }
    match label.trim_matches(['_', '-', '.']) {
        "" => short_name(kind.name).to_owned(),
        label => label.to_owned(),
    }
}

/// Whether an attribute need not be written.
pub(super) fn is_left_out(attribute: &Attribute, value: &Value) -> bool {
    match (&attribute.default, value) {
        (Some(default), value) => default.same(value),
        (None, value) => *value == Value::Null && !attribute.required,
    }
}

/// The attributes that have to be written, required ones first, and what cannot be.
fn written<'k>(kind: &'k Kind, spec: &Map) -> (Vec<&'k str>, Vec<String>) {
    let schema = &kind.schema.spec;
    let mut shown: Vec<&str> = Vec::new();
    for required in [true, false] {
        for (name, attribute) in schema.iter().filter(|(_, known)| known.required == required) {
            if spec.get(name).is_some_and(|value| !is_left_out(attribute, value)) {
                shown.push(name);
            }
        }
    }
    // What the kind makes of that must be what was found.
    let mut given: Map = shown
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), spec.get(*name)?.clone())))
        .collect();
    if let Some(name) = spec.get("name") {
        given.insert("name".to_owned(), name.clone());
    }
    let mut lost = Vec::new();
    let normal = match kind.calls.normalize(&Value::Map(given)) {
        Ok(normal) => normal,
        Err(error) => return (shown, vec![format!("`{}`: {}", error.path, error.message)]),
    };
    for (name, value) in spec {
        let is = normal.get(name).unwrap_or(&Value::Null);
        let Some((name, _)) = schema.get_key_value(name).filter(|_| !is.same(value)) else {
            continue;
        };
        if *value != Value::Null && !shown.contains(&name.as_str()) {
            shown.push(name);
        } else {
            lost.push(format!("`{name}` is {value}, which cannot be written"));
        }
    }
    (shown, lost)
}

fn parameter_type(value: &Value) -> &'static str {
    match value.reveal() {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        _ => "string",
    }
}
