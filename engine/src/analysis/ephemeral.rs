//! Values that are not kept, where they would be.

use super::Report;
use super::stack::Stack;
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::Secrecy;
use crate::expr::Expr;
use crate::kind::Registry;
use crate::path::Path;
use crate::schema::Attribute;
use crate::value::Value;

pub(super) fn check<'a>(stack: &Stack<'a>, registry: &Registry, report: &mut Report<'a>) {
    for declaration in stack.graph.in_order() {
        let kind = declaration.address.kind();
        let Some(schema) = registry.schema(kind) else { continue };
        // A server is only ever told; what it is told it is told again by every run.
        let is_server = registry.connection_kind(kind).is_some();
        let takes = |it: &Attribute| it.write_only || (is_server && it.secret);
        for (name, expr) in stack.attributes(declaration) {
            let attribute = schema.spec.get(name);
            let keeps = attribute.is_none_or(|it| !takes(it) && keeps_some(it, expr));
            if !keeps || expr.secrecy() < Secrecy::Ephemeral {
                continue;
            }
            let message = format!(
                "`{name}` of a `{kind}` is kept in the state, and this value is ephemeral"
            );
            let found = Diagnostic::new(Code::EphemeralKept, message);
            let names =
                schema.spec.iter().flat_map(|(name, attribute)| match attribute.ty.parts() {
                    _ if takes(attribute) => vec![format!("`{name}`")],
                    Some(parts) => {
                        let parts = parts.iter().filter(|(_, part)| part.write_only);
                        parts.map(|(part, _)| format!("`{name}.{part}`")).collect()
                    }
                    None => Vec::new(),
                });
            let names: Vec<_> = names.collect();
            let found = if names.is_empty() {
                found.note(format!("a `{kind}` keeps all it is told"))
            } else {
                found.hint(format!("ephemeral values can go into {}", names.join(" and ")))
            };
            let hint = "for a value that is kept, sealed, use `secret` in place of `ephemeral`";
            report.add(declaration, &path_of(name, expr), found.hint(hint));
        }
    }
    for output in &stack.graph.program().outputs {
        if stack.resolve(&output.value).secrecy() == Secrecy::Ephemeral {
            let message = format!(
                "output `{}` is kept in the state, and this value is ephemeral",
                output.name
            );
            report.found.push(
                Diagnostic::new(Code::EphemeralKept, message)
                    .at(output.span.clone())
                    .hint("whoever may know it gets it where it comes from")
                    .into(),
            );
        }
    }
}

/// Whether an ephemeral part of a map stands where it would be kept.
fn keeps_some(attribute: &Attribute, expr: &Expr) -> bool {
    let Some(parts) = attribute.ty.parts() else { return true };
    let kept = |key: &str| parts.get(key).is_none_or(|part| !part.write_only);
    match expr {
        Expr::Map(entries) => entries
            .iter()
            .any(|(key, entry)| kept(key) && entry.secrecy() == Secrecy::Ephemeral),
        Expr::Value(Value::Map(entries)) => entries
            .iter()
            .any(|(key, entry)| kept(key) && entry.secrecy() == Secrecy::Ephemeral),
        _ => true,
    }
}

/// The part of an attribute that is ephemeral, as far as it is told apart.
fn path_of(name: &str, expr: &Expr) -> Path {
    let at = Path::attribute(name);
    let part = match expr {
        Expr::Map(entries) => entries
            .iter()
            .find(|(_, entry)| entry.secrecy() == Secrecy::Ephemeral)
            .map(|(key, _)| at.key(key)),
        Expr::Value(Value::Map(entries)) => entries
            .iter()
            .find(|(_, entry)| entry.secrecy() == Secrecy::Ephemeral)
            .map(|(key, _)| at.key(key)),
        _ => None,
    };
    part.unwrap_or(at)
}
