//! Schemas for programs: a versioned form, described in `docs/reference/schema.md`.

use dollop_engine::kind::{Registry, lookup_of};
use dollop_engine::resource::Naming;
use dollop_engine::schema::{Attribute, Schema, Type};
use dollop_engine::script::{KEYS, library, lookup_takes};
use serde_json::{Map, Value as Json, json};

use crate::manual::{self, Attributes};

/// The version of the form. The second number grows when something is added, the first when
/// something readers may rely on changes.
pub const FORMAT_VERSION: &str = "1.1";

/// Everything scripts can use.
pub fn all(registry: &Registry) -> Json {
    let providers: Map<_, _> = registry
        .providers()
        .map(|(name, doc)| (name.to_owned(), json!({ "doc": doc })))
        .collect();
    let kinds: Map<_, _> = manual::kinds(registry)
        .into_iter()
        .map(|name| (name.to_owned(), kind(registry, name)))
        .collect();
    let keys: Map<_, _> = KEYS
        .iter()
        .map(|key| (key.name.to_owned(), json!({ "takes": key.takes, "doc": key.doc })))
        .collect();
    let functions: Map<_, _> = library()
        .map(|entry| {
            let examples: Vec<_> = entry
                .examples
                .iter()
                .map(|(script, result)| json!({ "script": script, "result": result }))
                .collect();
            let function = json!({
                "group": entry.group,
                "signature": entry.signature,
                "doc": entry.doc,
                "examples": examples,
            });
            (entry.name.to_owned(), function)
        })
        .collect();
    json!({
        "format_version": FORMAT_VERSION,
        "dollop": env!("CARGO_PKG_VERSION"),
        "providers": providers,
        "kinds": kinds,
        "keys": keys,
        "functions": functions,
    })
}

/// Some kinds only.
pub fn some(registry: &Registry, names: &[&str]) -> Json {
    let kinds: Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), kind(registry, name))).collect();
    json!({
        "format_version": FORMAT_VERSION,
        "dollop": env!("CARGO_PKG_VERSION"),
        "kinds": kinds,
    })
}

fn kind(registry: &Registry, name: &str) -> Json {
    let empty = Schema::default();
    let schema = registry.schema(name).unwrap_or(&empty);
    let mut out = json!({
        "doc": schema.doc,
        "attributes": attributes(&schema.spec),
        "facts": attributes(&schema.facts),
    });
    if let Some(found) = registry.kind(name) {
        out["type"] = json!("resource");
        out["connection"] = json!(found.connection);
        out["naming"] = json!(match found.traits.naming {
            Naming::Natural => "natural",
            Naming::Label => "label",
        });
        out["within"] = json!(found.traits.within);
        out["holds_data"] = json!(found.traits.holds_data);
        if !found.traits.only_recorded {
            out["lookup"] = json!({
                "function": lookup_of(name),
                "takes": lookup_takes(found),
            });
        }
    } else if let Some(found) = registry.connection_kind(name) {
        out["type"] = json!("connection");
        out["implicit"] = json!(found.implicit);
    }
    out
}

fn attributes(found: &Attributes) -> Json {
    Json::Object(found.iter().map(|(name, a)| (name.clone(), attribute(a))).collect())
}

fn attribute(attribute: &Attribute) -> Json {
    let mut out = json!({
        "doc": attribute.doc,
        "type": ty(&attribute.ty),
        "required": attribute.required,
        "replaces": attribute.replace,
        "secret": attribute.secret,
        "stable": attribute.stable,
        "disruption": attribute.disruption,
        "by_name": attribute.by_name,
        "write_only": attribute.write_only,
        "not_kept": attribute.not_kept,
    });
    if let Some(default) = &attribute.default {
        out["default"] = default.to_json();
    }
    if !attribute.handle.is_empty() {
        out["stands_for"] = json!(attribute.handle);
    }
    out
}

fn ty(ty: &Type) -> Json {
    match ty {
        Type::Bool => json!({ "type": "bool" }),
        Type::Int => json!({ "type": "int" }),
        Type::Number => json!({ "type": "number" }),
        Type::String => json!({ "type": "string" }),
        Type::Enum(words) => json!({ "type": "enum", "values": words }),
        Type::List(item) => json!({ "type": "list", "of": self::ty(item) }),
        Type::Map(item) => json!({ "type": "map", "of": self::ty(item) }),
        Type::Object(parts) => json!({ "type": "object", "attributes": attributes(parts) }),
        Type::Either(forms) => {
            json!({ "type": "either", "of": forms.iter().map(self::ty).collect::<Vec<_>>() })
        }
        Type::Any => json!({ "type": "any" }),
    }
}
