//! Values that are not kept, where they would be.

use super::Report;
use super::stack::Stack;
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::Secrecy;
use crate::expr::Expr;
use crate::kind::Registry;
use crate::path::Path;

pub(super) fn check<'a>(stack: &Stack<'a>, registry: &Registry, report: &mut Report<'a>) {
    for declaration in stack.graph.in_order() {
        let kind = declaration.address.kind();
        let Some(schema) = registry.schema(kind) else { continue };
        // A server is only ever told; what it is told it is told again by every run.
        let is_server = registry.connection_kind(kind).is_some();
        let takes = |name: &str| {
            let attribute = schema.spec.get(name);
            attribute.is_some_and(|it| it.write_only || (is_server && it.secret))
        };
        for (name, expr) in stack.attributes(declaration) {
            if takes(name) || expr.secrecy() < Secrecy::Ephemeral {
                continue;
            }
            let message = format!(
                "`{name}` of a `{kind}` is kept in the state, and this value is ephemeral"
            );
            let found = Diagnostic::new(Code::EphemeralKept, message);
            let names = schema.spec.keys().filter(|name| takes(name));
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
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
                    .hint("whoever may know it gets it where it comes from"),
            );
        }
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
        Expr::Value(crate::value::Value::Map(entries)) => entries
            .iter()
            .find(|(_, entry)| entry.secrecy() == Secrecy::Ephemeral)
            .map(|(key, _)| at.key(key)),
        _ => None,
    };
    part.unwrap_or(at)
}
