//! Parameters that are asked for and kept in a variable nobody reads.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, ASTNode, Expr as Syntax, Position, Stmt};

use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};

/// The warnings of one script. A name that is read anywhere counts as read everywhere; one
/// that begins with `_` is meant not to be.
pub(super) fn parameters(syntax: &AST, source: &Source) -> Vec<Diagnostic> {
    let mut kept: BTreeMap<String, Position> = BTreeMap::new();
    let mut read: BTreeSet<String> = BTreeSet::new();
    syntax.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(parts, flags, _)))
                if is_parameter(&parts.1) && !flags.intersects(ASTFlags::EXPORTED) =>
            {
                kept.entry(parts.0.name.to_string()).or_insert(parts.0.pos);
            }
            Some(ASTNode::Stmt(Stmt::Export(names, _))) => {
                read.insert(names.0.name.to_string());
            }
            Some(ASTNode::Expr(Syntax::Variable(parts, ..))) => {
                read.insert(parts.1.to_string());
            }
            _ => {}
        }
        true
    });
    let unread =
        kept.into_iter().filter(|(name, _)| !read.contains(name) && !name.starts_with('_'));
    unread
        .map(|(name, position)| {
            Diagnostic::new(Code::ParameterUnread, format!("nothing reads `{name}`"))
                .at(source.span(position))
                .note("so the parameter it holds changes nothing")
                .hint(format!("remove it, or call it `_{name}` when that is meant"))
        })
        .collect()
}

fn is_parameter(value: &Syntax) -> bool {
    matches!(value, Syntax::FnCall(call, _) if !call.is_qualified() && call.name == "param")
}
