//! What a kind of resource accepts and returns, read from its Rust structs.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::value::Value;

/// How much a change to something running disturbs it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Disruption {
    /// Nobody notices.
    None,
    /// Clients lose their connection and come back.
    Reconnect,
    /// The process stops and starts.
    Restart,
    /// The object is removed and made again; what it does not keep elsewhere is gone.
    Recreate,
    /// Data people put there is lost.
    DataLoss,
}

/// The type of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// Text.
    String,
    /// One of these texts.
    Enum(Vec<String>),
    /// A list of one type.
    List(Box<Type>),
    /// Entries of one type under any key.
    Map(Box<Type>),
    /// Named attributes.
    Object(BTreeMap<String, Attribute>),
    /// One of several forms.
    Either(Vec<Type>),
    /// Anything.
    Any,
}

/// One attribute of a spec or of the facts.
#[expect(clippy::struct_excessive_bools, reason = "flags of the JSON Schema, independent")]
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// What it is, in Markdown.
    pub doc: String,
    /// What it accepts.
    pub ty: Type,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when left out.
    pub default: Option<Value>,
    /// A change means a new object (`x-replace`).
    pub replace: bool,
    /// Never shown (`x-secret`).
    pub secret: bool,
    /// For facts: does not change while the object lives (`x-stable`).
    pub stable: bool,
    /// What changing it does to something running (`x-disruption`).
    pub disruption: Disruption,
    /// The kinds whose handles stand for a name here (`x-handle`); empty means any.
    pub handle: Vec<String>,
    /// A handle here stands for a name and nothing more: when the object behind it is made
    /// anew under the same name, this one does not follow (`x-by-name`).
    pub by_name: bool,
    /// It takes a value that is not kept: the kind does not need it again (`x-write-only`).
    pub write_only: bool,
    /// Whatever value it is given is not kept (`x-not-kept`).
    pub not_kept: bool,
}

/// What a kind accepts (`spec`) and reports (`facts`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// What the kind is, in Markdown.
    pub doc: String,
    /// What users may set.
    pub spec: BTreeMap<String, Attribute>,
    /// What the world reports.
    pub facts: BTreeMap<String, Attribute>,
}

/// A struct whose JSON Schema has a shape dollop does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{at}`: {what}")]
pub struct SchemaError {
    at: String,
    what: String,
}

impl Schema {
    /// The schema of a spec and its facts.
    ///
    /// Understands bool, integer, number, string, string enums, lists, maps, nested
    /// objects, optional forms and `anyOf`; refuses other shapes, so that a wrong one
    /// fails in its author's own test run.
    pub fn of<Spec: schemars::JsonSchema, Facts: schemars::JsonSchema>()
    -> Result<Self, SchemaError> {
        let spec = json_schema::<Spec>();
        let facts = json_schema::<Facts>();
        Ok(Self {
            doc: description(&spec),
            spec: attributes(&spec, "spec")?,
            facts: attributes(&facts, "facts")?,
        })
    }

    /// The attribute of that name, from the spec or else the facts.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.spec.get(name).or_else(|| self.facts.get(name))
    }

    /// Whether something a spec says is never kept, whatever it is.
    pub(crate) fn forgets(&self) -> bool {
        fn any(attributes: &BTreeMap<String, Attribute>) -> bool {
            attributes
                .values()
                .any(|attribute| attribute.not_kept || attribute.ty.parts().is_some_and(any))
        }
        any(&self.spec)
    }
}

impl Type {
    /// The attributes of an object, also where something short may stand for one.
    pub(crate) fn parts(&self) -> Option<&BTreeMap<String, Attribute>> {
        match self {
            Self::Object(parts) => Some(parts),
            Self::Either(forms) => {
                let mut objects = forms.iter().filter_map(|form| match form {
                    Self::Object(parts) => Some(parts),
                    _ => None,
                });
                objects.next().filter(|_| objects.next().is_none())
            }
            _ => None,
        }
    }
}

/// The first sentence of a doc comment, on one line, its full stop included.
pub fn summary(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.find(". ") {
        Some(end) => line[..=end].to_owned(),
        None => line,
    }
}

fn json_schema<T: schemars::JsonSchema>() -> Json {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn description(json: &Json) -> String {
    json["description"].as_str().unwrap_or_default().to_owned()
}

fn attributes(json: &Json, at: &str) -> Result<BTreeMap<String, Attribute>, SchemaError> {
    let required: Vec<&str> = json["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let mut found = BTreeMap::new();
    let Some(properties) = json["properties"].as_object() else {
        return Ok(found);
    };
    for (name, property) in properties {
        let at = format!("{at}.{name}");
        let flag = |key: &str| property[key].as_bool().unwrap_or(false);
        let disruption = match property["x-disruption"].as_str() {
            None | Some("none") => Disruption::None,
            Some("reconnect") => Disruption::Reconnect,
            Some("restart") => Disruption::Restart,
            Some("recreate") => Disruption::Recreate,
            Some("data_loss") => Disruption::DataLoss,
            Some(other) => {
                let what = format!("unknown `x-disruption` {other:?}");
                return Err(SchemaError { at, what });
            }
        };
        let handle = match &property["x-handle"] {
            Json::String(kind) => vec![kind.clone()],
            Json::Array(kinds) => {
                kinds.iter().filter_map(Json::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let attribute = Attribute {
            doc: description(property),
            ty: read_type(property, &at)?,
            required: required.contains(&name.as_str()),
            default: property.get("default").cloned().map(Value::from),
            replace: flag("x-replace"),
            secret: flag("x-secret"),
            stable: flag("x-stable"),
            disruption,
            handle,
            by_name: flag("x-by-name"),
            write_only: flag("x-write-only"),
            not_kept: flag("x-not-kept"),
        };
        found.insert(name.clone(), attribute);
    }
    Ok(found)
}

fn read_type(json: &Json, at: &str) -> Result<Type, SchemaError> {
    let refuse = |what: &str| {
        Err(SchemaError { at: at.to_owned(), what: format!("{what} in its JSON Schema") })
    };
    let Some(object) = json.as_object() else {
        // `true`: anything goes.
        return Ok(Type::Any);
    };
    if let Some(forms) = object.get("anyOf").or_else(|| object.get("oneOf")) {
        let Some(forms) = forms.as_array() else {
            return refuse("a union that is no list");
        };
        return union(forms, at);
    }
    if let Some(values) = object.get("enum").and_then(Json::as_array) {
        let words: Vec<_> = values.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        return Ok(Type::Enum(words));
    }
    if let Some(word) = object.get("const") {
        return match word.as_str() {
            Some(word) => Ok(Type::Enum(vec![word.to_owned()])),
            None => refuse("a constant that is not text"),
        };
    }
    match object.get("type") {
        None => Ok(Type::Any),
        Some(Json::String(name)) => named_type(name, json, at),
        Some(Json::Array(names)) => {
            let names: Vec<_> =
                names.iter().filter_map(Json::as_str).filter(|n| *n != "null").collect();
            match names.as_slice() {
                [] => Ok(Type::Any),
                [one] => named_type(one, json, at),
                several => several
                    .iter()
                    .map(|name| named_type(name, json, at))
                    .collect::<Result<_, _>>()
                    .map(Type::Either),
            }
        }
        Some(_) => refuse("a `type` that is no text"),
    }
}

fn named_type(name: &str, json: &Json, at: &str) -> Result<Type, SchemaError> {
    Ok(match name {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Number,
        "string" => Type::String,
        "array" => {
            let item = json.get("items").unwrap_or(&Json::Bool(true));
            Type::List(Box::new(read_type(item, &format!("{at}[]"))?))
        }
        "object" if json.get("properties").is_some() => Type::Object(attributes(json, at)?),
        "object" => {
            let item = json.get("additionalProperties").unwrap_or(&Json::Bool(true));
            Type::Map(Box::new(read_type(item, &format!("{at}.*"))?))
        }
        other => {
            let what = format!("unknown type `{other}`");
            return Err(SchemaError { at: at.to_owned(), what });
        }
    })
}

/// Several forms; enum words are gathered, `null` only makes it optional.
fn union(forms: &[Json], at: &str) -> Result<Type, SchemaError> {
    let mut words = Vec::new();
    let mut types = Vec::new();
    for form in forms {
        if form["type"] == "null" {
            continue;
        }
        match read_type(form, at)? {
            Type::Enum(more) => words.extend(more),
            other => types.push(other),
        }
    }
    if !words.is_empty() {
        types.insert(0, Type::Enum(words));
    }
    Ok(if types.len() == 1 { types.remove(0) } else { Type::Either(types) })
}

impl std::fmt::Display for Type {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => out.write_str("bool"),
            Self::Int => out.write_str("integer"),
            Self::Number => out.write_str("number"),
            Self::String => out.write_str("string"),
            Self::Enum(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                out.write_str(&words.join(" | "))
            }
            Self::List(item) => write!(out, "list of {item}"),
            Self::Map(item) => write!(out, "map of {item}"),
            Self::Object(_) => out.write_str("map"),
            Self::Either(forms) => {
                let forms: Vec<_> = forms.iter().map(Type::to_string).collect();
                out.write_str(&forms.join(" or "))
            }
            Self::Any => out.write_str("any value"),
        }
    }
}
