//! Parameters and secrets that are asked for and that nobody reads: kept in a variable that is
//! not used, or not kept at all.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, ASTNode, Expr as Syntax, Position, Stmt};

use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};

/// The warnings of one script. A name that is read anywhere counts as read everywhere; one
/// that begins with `_` is meant not to be.
pub(super) fn asked_for(syntax: &AST, source: &Source) -> Vec<Diagnostic> {
    let mut kept: BTreeMap<String, (Position, &str)> = BTreeMap::new();
    let mut read: BTreeSet<String> = BTreeSet::new();
    syntax.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(parts, flags, _)))
                if !flags.intersects(ASTFlags::EXPORTED) =>
            {
                if let Some(what) = asks_for(&parts.1) {
                    kept.entry(parts.0.name.to_string()).or_insert((parts.0.pos, what));
                }
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
    let dropped = syntax.statements().iter().filter_map(|statement| {
        let (call, position) = match statement {
            Stmt::FnCall(call, position) => (call, *position),
            Stmt::Expr(value) => match &**value {
                Syntax::FnCall(call, position) => (call, *position),
                _ => return None,
            },
            _ => return None,
        };
        let what = asked(call.name.as_str()).filter(|_| !call.is_qualified())?;
        // One that is kept to tell whoever still gives it.
        if let Some(Syntax::Map(options, _)) = call.args.get(1)
            && options.0.iter().any(|(key, _)| key.name == "deprecated")
        {
            return None;
        }
        let name = match call.args.first() {
            Some(Syntax::StringConstant(name, _)) if what == "parameter" => {
                format!("the {what} `{name}`")
            }
            _ => format!("this {what}"),
        };
        Some(
            Diagnostic::new(Code::ParameterUnread, format!("nothing reads {name}"))
                .at(source.span(position))
                .hint("keep it in a variable and use that, or remove it"),
        )
    });
    let dropped: Vec<_> = dropped.collect();
    let unread =
        kept.into_iter().filter(|(name, _)| !read.contains(name) && !name.starts_with('_'));
    unread
        .map(|(name, (position, what))| {
            Diagnostic::new(Code::ParameterUnread, format!("nothing reads `{name}`"))
                .at(source.span(position))
                .note(format!("so the {what} it holds changes nothing"))
                .hint(format!("remove it, or call it `_{name}` when that is meant"))
        })
        .chain(dropped)
        .collect()
}

/// What a call asks the outside for.
fn asks_for(value: &Syntax) -> Option<&'static str> {
    let Syntax::FnCall(call, _) = value else { return None };
    if call.is_qualified() { None } else { asked(call.name.as_str()) }
}

fn asked(function: &str) -> Option<&'static str> {
    match function {
        "param" => Some("parameter"),
        "secret_file" | "secret_age" | "secret_sops" | "secret_command" => Some("secret"),
        _ => None,
    }
}
