//! What a declaration asks for, in the normal form of its kind as far as it is known.

use crate::ephemeral::{Ephemeral, Secrecy};
use crate::expr::{Expr, Function};
use crate::kind::{SpecError, mark, mark_expr};
use crate::map::Map;
use crate::schema::{Schema, Type};
use crate::value::Value;

/// A declared spec, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    /// The spec; a known value when nothing in it is unknown.
    pub(crate) spec: Expr,
    /// The same with stand-ins for what is unknown: enough to look the object up by name.
    /// `None` when the stand-ins do not fit.
    pub(crate) probe: Option<Value>,
}

impl Desired {
    /// Whether something in an attribute is not known yet.
    pub(crate) fn is_open(&self, attribute: &str) -> bool {
        match &self.spec {
            Expr::Map(spec) => spec.get(attribute).is_some_and(|expr| expr.known().is_none()),
            _ => false,
        }
    }

    /// The spec with a stand-in for everything that is not known. Nothing where one does not
    /// fit: then the attribute looks as if it had been left out, and whatever goes with it as
    /// if it stood alone.
    pub(crate) fn whole(&self) -> Option<&Value> {
        let probe = self.probe.as_ref()?;
        let Expr::Map(spec) = &self.spec else { return Some(probe) };
        let mut open = spec.iter().filter(|(_, expr)| expr.known().is_none());
        open.all(|(name, _)| probe.get(name).is_some_and(holds_stand_in)).then_some(probe)
    }
}

/// Whether a part of a value is not known yet.
fn holds_stand_in(value: &Value) -> bool {
    match value {
        Value::String(text) => is_stand_in(text),
        Value::List(items) => items.iter().any(holds_stand_in),
        Value::Map(entries) => entries.iter().any(|(_, entry)| holds_stand_in(entry)),
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
            holds_stand_in(inner)
        }
        _ => false,
    }
}

/// Brings a spec to normal form.
///
/// What is unknown is replaced by a stand-in text while the kind normalises the rest, and
/// put back afterwards. Where a stand-in does not fit (a port must be a number), the
/// attribute it belongs to keeps the form it was written in.
///
/// # Errors
/// A known value does not fit the kind.
pub(crate) fn desired(
    schema: &Schema,
    attributes: &Map<Expr>,
    normalize: &dyn Fn(&Value) -> Result<Value, SpecError>,
) -> Result<Desired, SpecError> {
    let spec = Expr::map(attributes.clone());
    if let Some(known) = spec.known() {
        let known = mark(normalize(known)?, &schema.spec);
        return Ok(Desired { spec: Expr::Value(known.clone()), probe: Some(known) });
    }
    let mut unknowns = Vec::new();
    let mut stand_ins: Map = attributes
        .iter()
        .map(|(name, value)| (name.clone(), stand_in(value, &mut unknowns)))
        .collect();
    let mut raw: Map<Expr> = Map::new();
    loop {
        match normalize(&Value::Map(stand_ins.clone())) {
            Ok(normal) => {
                let same = |name: &str, value: &Value| {
                    let written = stand_ins.get(name).filter(|written| *written == value)?;
                    // What was set aside stands for something else.
                    attributes
                        .get(name)
                        .filter(|_| !raw.contains_key(name) && !written.is_secret())
                };
                let probe = mark(normal, &schema.spec);
                let mut entries: Map<Expr> = probe
                    .as_map()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| {
                        // Most attributes are written in their normal form: one copy is enough.
                        let kept = same(name, value).cloned();
                        (name.clone(), kept.unwrap_or_else(|| put_back(value, &unknowns)))
                    })
                    .collect();
                entries.extend(raw);
                for (name, entry) in &mut entries {
                    if let Some(attribute) = schema.spec.get(name) {
                        *entry = mark_expr(std::mem::replace(entry, Expr::NULL), attribute);
                    }
                }
                return Ok(Desired { spec: Expr::map(entries), probe: Some(probe) });
            }
            Err(error) => {
                // Whose fault: an attribute with a stand-in is set aside, a known one is wrong.
                let name = match error.path.first() {
                    Some(name) => name.to_owned(),
                    None => match first_unknown(attributes, &raw) {
                        Some(name) => name,
                        None => return Err(error),
                    },
                };
                match attributes.get(&name) {
                    Some(value) if value.known().is_none() && !raw.contains_key(&name) => {
                        raw.insert(name.clone(), value.clone());
                        match schema.spec.get(&name) {
                            Some(attribute) if attribute.required => {
                                stand_ins.insert(name, dummy(&attribute.ty));
                            }
                            _ => {
                                stand_ins.remove(&name);
                            }
                        }
                    }
                    _ => return Err(error),
                }
            }
        }
    }
}

fn first_unknown(attributes: &Map<Expr>, raw: &Map<Expr>) -> Option<String> {
    attributes
        .iter()
        .find(|(name, value)| value.known().is_none() && !raw.contains_key(*name))
        .map(|(name, _)| name.clone())
}

/// A value of a type, for attributes that must be there.
pub(crate) fn dummy(ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(false),
        Type::Int | Type::Number => Value::Int(1),
        Type::String | Type::Any => Value::string("unknown"),
        Type::Enum(words) => words.first().map_or(Value::Null, Value::string),
        Type::List(_) => Value::List(Vec::new()),
        Type::Map(_) | Type::Object(_) => Value::Map(Map::new()),
        Type::Either(forms) => forms.first().map_or(Value::Null, dummy),
    }
}

/// The text that stands for the unknown of that number. The script host refuses these
/// characters in user text, so it cannot be confused with one.
fn marker(number: usize) -> String {
    format!("\u{FDD2}{number}\u{FDD3}")
}

/// Whether a part of a text stands for what is not known.
pub(crate) fn is_stand_in(text: &str) -> bool {
    text.contains('\u{FDD2}')
}

fn stand_in(expr: &Expr, unknowns: &mut Vec<Expr>) -> Value {
    match expr {
        Expr::Value(value) => value.clone(),
        Expr::List(items) => {
            Value::List(items.iter().map(|item| stand_in(item, unknowns)).collect())
        }
        Expr::Map(entries) => Value::Map(
            entries.iter().map(|(key, item)| (key.clone(), stand_in(item, unknowns))).collect(),
        ),
        // A text with unknown parts keeps its known parts, so that a kind can still split it.
        Expr::Call(Function::Concat, parts) if parts.len() > 1 => {
            let text: String = parts
                .iter()
                .map(|part| match part {
                    Expr::Value(Value::String(text)) => text.clone(),
                    other => {
                        unknowns.push(other.clone());
                        marker(unknowns.len() - 1)
                    }
                })
                .collect();
            Value::String(text)
        }
        other => {
            unknowns.push(other.clone());
            Value::String(marker(unknowns.len() - 1))
        }
    }
}

fn put_back(value: &Value, unknowns: &[Expr]) -> Expr {
    match value {
        Value::String(text) if is_stand_in(text) => {
            let mut parts = Vec::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('\u{FDD2}') {
                if !before.is_empty() {
                    parts.push(Expr::Value(Value::string(before)));
                }
                let Some((number, after)) = after.split_once('\u{FDD3}') else { break };
                let unknown = number.parse().ok().and_then(|n: usize| unknowns.get(n));
                parts.push(unknown.cloned().unwrap_or(Expr::NULL));
                rest = after;
            }
            if !rest.is_empty() {
                parts.push(Expr::Value(Value::string(rest)));
            }
            match parts.len() {
                1 => parts.remove(0),
                _ => Expr::call(Function::Concat, parts),
            }
        }
        Value::List(items) => {
            Expr::list(items.iter().map(|item| put_back(item, unknowns)).collect())
        }
        Value::Map(entries) => Expr::map(
            entries.iter().map(|(key, item)| (key.clone(), put_back(item, unknowns))).collect(),
        ),
        Value::Secret(inner) => put_back(inner, unknowns).secret(),
        Value::Ephemeral(Ephemeral::Known(inner)) => {
            put_back(inner, unknowns).marked(Secrecy::Ephemeral)
        }
        other => Expr::Value(other.clone()),
    }
}
