//! What can be looked up offline: providers, kinds, their attributes, functions and keys.

use std::collections::BTreeMap;

use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::kind::{ConnectionKind, Kind, Registry, lookup_of, short_name};
use dollop_engine::resource::Naming;
use dollop_engine::schema::{Attribute, Disruption, Schema, Type};
use dollop_engine::script::{Documented, KEYS, Key, library};
use dollop_engine::value::Value;

use crate::error::CommandError;
use crate::modules::{self, Module};

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// Something that has a page.
#[derive(Clone)]
pub enum Topic<'a> {
    /// A provider: its name and what it is for.
    Provider(&'static str, &'static str),
    /// A kind of resource.
    Resource(&'a Kind),
    /// The function that looks up what exists of a kind and is not managed.
    Lookup(&'a Kind),
    /// A kind of connection.
    Connection(&'a ConnectionKind),
    /// An attribute or a part of one, with its path: `docker.container.healthcheck`.
    Attribute(String, &'a Attribute),
    /// Something reported, or a part of it.
    Fact(String, &'a Attribute),
    /// A function.
    Function(Documented),
    /// A key every resource understands.
    Key(&'static Key),
    /// A module that comes with dollop.
    Module(Module),
}

/// Everything a name stands for; several when one word is a function and a kind.
///
/// `docker::container`, `docker.container.healthcheck`, `container`, `cidr_host`, and an
/// attribute alone when nothing but a function has that name.
///
/// # Errors
/// When nothing is called so, with the nearest name.
pub fn find<'a>(registry: &'a Registry, name: &str) -> Result<Vec<Topic<'a>>, CommandError> {
    if let Some(module) = name.trim().strip_prefix(STANDARD) {
        return module_of(registry, module).map(|found| vec![Topic::Module(found)]);
    }
    let plain = name.trim().trim_end_matches("()").replace("::", ".");
    let parts: Vec<&str> = plain.split('.').filter(|part| !part.is_empty()).collect();
    let mut found = Vec::new();
    if let [word] = parts.as_slice() {
        let providers = registry.providers().filter(|(name, _)| name == word);
        found.extend(providers.map(|(name, doc)| Topic::Provider(name, doc)));
        found.extend(library().filter(|entry| entry.name == *word).map(Topic::Function));
        found.extend(KEYS.iter().filter(|key| key.name == *word).map(Topic::Key));
    }
    found.extend(lookups(registry).filter(|kind| looks_up(kind, &parts)).map(Topic::Lookup));
    for kind in kinds(registry) {
        let Some(rest) = under(kind, &parts) else { continue };
        if rest.is_empty() {
            found.push(topic(registry, kind));
        } else if let Some(schema) = registry.schema(kind)
            && let Some(attribute) = descend(schema, rest)
        {
            let path = format!("{}.{}", kind.replace("::", "."), rest.join("."));
            found.push(setting(schema, rest[0])(path, attribute));
        }
    }
    if found.iter().all(|topic| matches!(topic, Topic::Function(_)))
        && let [word] = parts.as_slice()
    {
        // An attribute alone: all kinds that have it. Functions have ordinary names, too.
        for kind in kinds(registry) {
            let Some(schema) = registry.schema(kind) else { continue };
            if let Some(attribute) = schema.attribute(word) {
                let path = format!("{}.{word}", kind.replace("::", "."));
                found.push(setting(schema, word)(path, attribute));
            }
        }
    }
    if found.is_empty() { Err(unknown(registry, name, &parts)) } else { Ok(found) }
}

/// What stands before the names of modules.
pub const STANDARD: &str = "std/";

/// The modules that come with dollop, by name.
pub fn modules(registry: &Registry) -> impl Iterator<Item = Module> + '_ {
    registry.modules().map(|(name, text)| modules::read(name, text))
}

/// A module; with `::`, one of its functions alone.
fn module_of(registry: &Registry, path: &str) -> Result<Module, CommandError> {
    let (name, function) = path.split_once("::").map_or((path, None), |(a, b)| (a, Some(b)));
    let found = registry.modules().find(|(known, _)| *known == name);
    let Some((_, text)) = found else {
        let error = CommandError::failed(format!("there is no module `{STANDARD}{name}`"));
        let near = did_you_mean(name, registry.modules().map(|(known, _)| known));
        return Err(match near {
            Some(near) => error.hint(format!("did you mean `{STANDARD}{near}`?")),
            None => error.hint("`dollop doc` lists them"),
        });
    };
    let mut module = modules::read(name, text);
    let Some(function) = function.map(|word| word.trim_end_matches("()")) else {
        return Ok(module);
    };
    let names: Vec<String> = module.functions.iter().map(|f| f.name().to_owned()).collect();
    module.functions.retain(|found| found.name() == function);
    if module.functions.is_empty() {
        let message = format!("`{STANDARD}{name}` has no function `{function}`");
        let error = CommandError::failed(message);
        return Err(match did_you_mean(function, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{STANDARD}{name}::{near}`?")),
            None => error.hint(format!("`dollop doc {STANDARD}{name}` shows what it has")),
        });
    }
    Ok(module)
}

/// Whether a name is set by the script or reported.
fn setting<'a>(schema: &Schema, name: &str) -> fn(String, &'a Attribute) -> Topic<'a> {
    if schema.spec.contains_key(name) { Topic::Attribute } else { Topic::Fact }
}

/// The names of all kinds, of connections as well, in order.
pub fn kinds(registry: &Registry) -> Vec<&'static str> {
    let connections = registry.connections().map(|kind| kind.name);
    let mut names: Vec<_> = registry.kinds().map(|kind| kind.name).chain(connections).collect();
    names.sort_unstable();
    names
}

/// The kinds that can be looked up.
pub fn lookups(registry: &Registry) -> impl Iterator<Item = &Kind> {
    registry.kinds().filter(|kind| !kind.traits.only_recorded)
}

/// Whether a name is that of the look-up of a kind: `docker.network_lookup`.
fn looks_up(kind: &Kind, parts: &[&str]) -> bool {
    let name = lookup_of(kind.name);
    under(&name, parts).is_some_and(<[&str]>::is_empty)
}

/// The kinds of one provider, connections first.
pub fn kinds_of(registry: &Registry, provider: &str) -> Vec<&'static str> {
    let mut names = kinds(registry);
    names.retain(|name| provider_of(name) == provider);
    names.sort_by_key(|name| registry.connection_kind(name).is_none());
    names
}

/// The provider of a kind.
pub fn provider_of(kind: &str) -> &str {
    kind.split("::").next().unwrap_or(kind)
}

/// The page of a kind that exists.
pub fn topic<'a>(registry: &'a Registry, kind: &str) -> Topic<'a> {
    match (registry.kind(kind), registry.connection_kind(kind)) {
        (Some(kind), _) => Topic::Resource(kind),
        (None, Some(kind)) => Topic::Connection(kind),
        (None, None) => panic!("BUG: `{kind}` is no kind"),
    }
}

/// What is left of a path below a kind, when it names the kind: fully, or by its last word.
fn under<'p, 'w>(kind: &str, parts: &'p [&'w str]) -> Option<&'p [&'w str]> {
    let (provider, short) = (provider_of(kind), short_name(kind));
    match parts {
        [first, second, rest @ ..] if *first == provider && *second == short => Some(rest),
        [first, rest @ ..] if *first == short => Some(rest),
        _ => None,
    }
}

/// The attribute at a path, through lists, maps and alternative forms.
fn descend<'a>(schema: &'a Schema, path: &[&str]) -> Option<&'a Attribute> {
    let (first, rest) = path.split_first()?;
    let mut attribute = schema.attribute(first)?;
    for name in rest {
        attribute = parts_of(&attribute.ty).into_iter().find_map(|(_, map)| map.get(*name))?;
    }
    Some(attribute)
}

/// The named parts in a type, each with where they stand: alone, in a list, in a map.
pub fn parts_of(ty: &Type) -> Vec<(&'static str, &Attributes)> {
    match ty {
        Type::Object(attributes) => vec![("", attributes)],
        Type::List(item) => {
            parts_of(item).into_iter().map(|(_, parts)| ("each item", parts)).collect()
        }
        Type::Map(item) => {
            parts_of(item).into_iter().map(|(_, parts)| ("each entry", parts)).collect()
        }
        Type::Either(forms) => forms.iter().flat_map(parts_of).collect(),
        _ => Vec::new(),
    }
}

/// A type in words: `text` is what has an obvious text form.
pub fn words(ty: &Type) -> String {
    match ty {
        Type::List(item) => format!("list of {}", inner(item)),
        Type::Map(item) => format!("map of {}", inner(item)),
        Type::Either(forms) => {
            let has = |wanted: &Type| forms.contains(wanted);
            let number = has(&Type::Number);
            let text = has(&Type::String) && has(&Type::Int) && has(&Type::Bool);
            let folded = |ty: &Type| match ty {
                Type::String | Type::Bool | Type::Number => text,
                Type::Int => text || number,
                _ => false,
            };
            let mut words: Vec<String> =
                forms.iter().filter(|form| !folded(form)).map(self::words).collect();
            if text {
                words.insert(0, "text".to_owned());
            }
            words.join(" or ")
        }
        other => other.to_string(),
    }
}

/// The type of items and entries; several forms in brackets.
fn inner(ty: &Type) -> String {
    let words = words(ty);
    if words.contains(" or ") || words.contains(" | ") { format!("({words})") } else { words }
}

/// What there is to know about an attribute in single words: `required`, `replaces`, ...
pub fn marks(attribute: &Attribute) -> Vec<String> {
    let mut marks = Vec::new();
    if attribute.required {
        marks.push("required".to_owned());
    }
    match &attribute.default {
        None | Some(Value::Null) => {}
        Some(Value::List(items)) if items.is_empty() => {}
        Some(Value::Map(entries)) if entries.is_empty() => {}
        Some(default) => marks.push(format!("default {default}")),
    }
    if attribute.replace {
        marks.push("replaces".to_owned());
    }
    match attribute.disruption {
        Disruption::None => {}
        Disruption::Reconnect => marks.push("reconnects".to_owned()),
        Disruption::Restart => marks.push("restarts".to_owned()),
        Disruption::Recreate => marks.push("recreates".to_owned()),
        Disruption::DataLoss => marks.push("loses data".to_owned()),
    }
    if attribute.secret {
        marks.push("secret".to_owned());
    }
    if attribute.not_kept {
        marks.push("not kept".to_owned());
    } else if attribute.write_only {
        marks.push("takes ephemeral values".to_owned());
    }
    marks
}

/// Those that must be given first, then by name.
pub fn sorted(attributes: &Attributes) -> Vec<(&String, &Attribute)> {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(_, attribute)| !attribute.required);
    sorted
}

/// What the marks mean, for the foot of a page.
pub const LEGEND: &str = "replaces: a change makes a new object. restarts, reconnects: what a \
                          change does to something running. secret: never shown. text: a \
                          string, a number or a bool.";

/// What there is to know about something reported.
pub fn fact_marks(attribute: &Attribute) -> Vec<String> {
    let mut marks = Vec::new();
    if !attribute.required {
        marks.push("may be nothing".to_owned());
    }
    if attribute.secret {
        marks.push("secret".to_owned());
    }
    marks
}

/// How a kind is called in a script, in every form it has.
pub fn calls(registry: &Registry, kind: &str) -> Vec<String> {
    let short = short_name(kind);
    let tail = |schema: &Schema| {
        let needed: Vec<_> = schema
            .spec
            .iter()
            .filter(|(_, attribute)| attribute.required)
            .map(|(name, _)| name.clone())
            .collect();
        (needed.iter().map(|name| format!("{name}: ..")).collect::<Vec<_>>().join(", "), needed)
    };
    let arguments = |needed: &str| {
        let inner = if needed.is_empty() { "..".to_owned() } else { format!("{needed}, ..") };
        format!("(\"name\", #{{ {inner} }})")
    };
    let Some(found) = registry.kind(kind) else {
        let Some(schema) = registry.schema(kind) else { return Vec::new() };
        return vec![format!("{kind}{}", arguments(&tail(schema).0))];
    };
    let implicit = registry.connection_kind(found.connection).is_some_and(|c| c.implicit);
    let mut calls = Vec::new();
    if implicit {
        calls.push(format!("{kind}{}", arguments(&tail(&found.schema).0)));
    }
    let server = short_name(found.connection);
    calls.push(format!("{server}.{short}{}", arguments(&tail(&found.schema).0)));
    if let Some(parent) = found.traits.within.last() {
        let needed: Vec<_> = tail(&found.schema).1;
        let needed: Vec<_> = needed
            .into_iter()
            .filter(|name| !found.traits.within.contains(&name.as_str()))
            .map(|name| format!("{name}: .."))
            .collect();
        calls.push(format!("{parent}.{short}{}", arguments(&needed.join(", "))));
    }
    calls
}

/// What the first argument of a kind is.
pub fn naming(kind: &Kind) -> &'static str {
    match kind.traits.naming {
        Naming::Natural => "The first argument is its name, here and in the service.",
        Naming::Label => {
            "The first argument is only what the stack calls it; the service knows no such name."
        }
    }
}

/// The kinds that can be declared on this one: in it as a connection, or in its objects.
pub fn lives_in(registry: &Registry, kind: &str) -> Vec<&'static str> {
    let short = short_name(kind);
    registry
        .kinds()
        .filter(|other| {
            other.connection == kind
                || (provider_of(other.name) == provider_of(kind)
                    && other.traits.within.contains(&short))
        })
        .map(|other| other.name)
        .collect()
}

fn unknown(registry: &Registry, name: &str, parts: &[&str]) -> CommandError {
    let error = CommandError::failed(format!("there is nothing called `{name}`"));
    // A known kind with something unknown in it: the suggestion is what it has there.
    for kind in kinds(registry) {
        let (Some(schema), Some(path)) = (registry.schema(kind), under(kind, parts)) else {
            continue;
        };
        let mut plain = kind.replace("::", ".");
        let mut known: Vec<&str> = schema.spec.keys().map(String::as_str).collect();
        known.extend(schema.facts.keys().map(String::as_str));
        let mut inner: Option<&Attributes> = None;
        for name in path {
            if !known.contains(name) {
                return match did_you_mean(name, known.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean `{plain}.{near}`?")),
                    None => error.hint(format!("`dollop doc {plain}` shows what it has")),
                };
            }
            let attribute = match inner {
                None => schema.attribute(name),
                Some(parts) => parts.get(*name),
            };
            let parts = attribute.map(|found| parts_of(&found.ty)).unwrap_or_default();
            inner = parts.first().map(|(_, parts)| *parts);
            known = inner.into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
            plain = format!("{plain}.{name}");
        }
    }
    let mut known: Vec<String> =
        registry.providers().map(|(name, _)| name.to_owned()).collect();
    known.extend(library().map(|entry| entry.name.to_owned()));
    known.extend(KEYS.iter().map(|key| key.name.to_owned()));
    for kind in kinds(registry) {
        known.push(kind.replace("::", "."));
        known.push(short_name(kind).to_owned());
    }
    for kind in lookups(registry) {
        let name = lookup_of(kind.name);
        known.push(short_name(&name).to_owned());
        known.push(name.replace("::", "."));
    }
    let wanted = parts.join(".");
    // Of one letter, or none, everything short is a slip.
    let near = did_you_mean(&wanted, known.iter().map(String::as_str));
    match near.filter(|_| wanted.len() > 1) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`dollop doc` lists everything"),
    }
}
