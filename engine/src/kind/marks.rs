//! What of a value or an expression is secret or not kept, as a schema says.

use std::collections::BTreeMap;

use crate::ephemeral::Secrecy;
use crate::expr::Expr;
use crate::schema::Attribute;
use crate::value::Value;

/// Marks what the schema calls secret, and what it says is not kept.
pub(crate) fn mark(mut value: Value, attributes: &BTreeMap<String, Attribute>) -> Value {
    // It may be secret as a whole already; a part that is not kept says more.
    if let Value::Secret(inner) = value {
        return mark(*inner, attributes).secret();
    }
    if let Value::Map(entries) = &mut value {
        for (name, attribute) in attributes.iter().filter(|(_, attribute)| marks(attribute)) {
            // Looked at first: to change an entry copies a map that others have, too.
            if entries.get(name).is_none_or(|entry| *entry == Value::Null) {
                continue;
            }
            if let Some(entry) = entries.get_mut(name) {
                *entry = mark_one(std::mem::take(entry), attribute);
            }
        }
    }
    value
}

fn mark_one(value: Value, attribute: &Attribute) -> Value {
    let value = match attribute.ty.parts() {
        Some(parts) => mark(value, parts),
        None => value,
    };
    if attribute.not_kept {
        forgotten(value)
    } else if attribute.secret {
        value.secret()
    } else {
        value
    }
}

/// The same for an attribute that is not known as a whole.
pub(crate) fn mark_expr(expr: Expr, attribute: &Attribute) -> Expr {
    if !marks(attribute) {
        return expr;
    }
    let expr = match (expr, attribute.ty.parts()) {
        (Expr::Value(Value::Null), _) => return Expr::NULL,
        (Expr::Value(value), _) => return Expr::Value(mark_one(value, attribute)),
        (Expr::Secret(inner), _) => mark_expr(*inner, attribute).secret(),
        (Expr::Map(entries), Some(parts)) => {
            let entries = entries.into_iter().map(|(name, entry)| match parts.get(&name) {
                Some(part) => (name, mark_expr(entry, part)),
                None => (name, entry),
            });
            Expr::map(entries.collect())
        }
        (expr, _) => expr,
    };
    if attribute.not_kept {
        expr.marked(Secrecy::Ephemeral)
    } else if attribute.secret {
        expr.secret()
    } else {
        expr
    }
}

/// Whether anything in an attribute is secret or not kept.
fn marks(attribute: &Attribute) -> bool {
    attribute.secret
        || attribute.not_kept
        || attribute.ty.parts().is_some_and(|parts| parts.values().any(marks))
}

/// Marks what is not kept; of a map the entries, so that their keys still tell.
fn forgotten(value: Value) -> Value {
    match value.reveal() {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, entry)| (key.clone(), entry.clone().ephemeral()))
                .collect(),
        ),
        _ => value.ephemeral(),
    }
}
