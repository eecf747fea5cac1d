//! From the parsed script: where each call and each part of its map literals stand.
//!
//! Rhai tells the position of a call while it runs, but not of an entry of a map that was
//! passed to it. The syntax tree does; this and `rules` are the only readers of it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use rhai::{AST, ASTNode, Expr as Syntax, FnAccess, FnCallExpr, Position, Stmt};

use super::sources::{Call, Form, Source};
use crate::diagnostic::Span;
use crate::path::Path;

/// The path under which the first argument's place is kept.
pub(super) const FIRST_ARGUMENT: &str = "name";

/// Every call of a script, by position.
pub(super) fn calls(syntax: &AST, source: &Source) -> HashMap<Position, Rc<Call>> {
    let mut calls = HashMap::new();
    syntax.walk(&mut |path| {
        let (call, position) = match path.last() {
            Some(
                ASTNode::Expr(
                    Syntax::FnCall(call, position) | Syntax::MethodCall(call, position),
                )
                | ASTNode::Stmt(Stmt::FnCall(call, position)),
            ) => (call, *position),
            _ => return true,
        };
        if !call.is_operator_call()
            && let Some(found) = read(call, position, source)
        {
            calls.insert(position, Rc::new(found));
        }
        true
    });
    calls
}

/// Functions a script defines, closures left out: name, number of parameters.
pub(super) fn functions(syntax: &AST) -> Vec<(String, usize)> {
    syntax
        .iter_functions()
        .filter(|function| !is_closure(function.name))
        .map(|function| (function.name.to_owned(), function.params.len()))
        .collect()
}

/// How the functions of a script are called.
pub(super) fn forms(syntax: &AST) -> Vec<Form> {
    syntax
        .iter_functions()
        .filter(|function| !is_closure(function.name))
        .map(|function| Form {
            name: function.name.to_owned(),
            words: format!("{}({})", function.name, function.params.join(", ")),
            is_private: function.access == FnAccess::Private,
        })
        .collect()
}

/// The closures of a script, and how many parameters each has.
pub(super) fn closures(syntax: &AST) -> HashMap<String, usize> {
    syntax
        .iter_functions()
        .filter(|function| is_closure(function.name))
        .map(|function| (function.name.to_owned(), function.params.len()))
        .collect()
}

/// Functions of a script that it calls itself, without a module before the name.
pub(super) fn own_calls(syntax: &AST, source: &Source) -> BTreeMap<(String, usize), Span> {
    let mut found = BTreeMap::new();
    syntax.walk(&mut |path| {
        let Some(
            ASTNode::Expr(Syntax::FnCall(call, position))
            | ASTNode::Stmt(Stmt::FnCall(call, position)),
        ) = path.last()
        else {
            return true;
        };
        let key = (call.name.to_string(), call.args.len());
        if !call.is_qualified() && source.functions.contains(&key) {
            found.extend(source.span(*position).map(|span| (key, span)));
        }
        true
    });
    found
}

/// Whether a function's name is one Rhai made up for a closure.
pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

fn read(call: &FnCallExpr, position: Position, source: &Source) -> Option<Call> {
    let span = source.span(position)?;
    let mut spans = BTreeMap::new();
    for (index, argument) in call.args.iter().enumerate() {
        parts(argument, &Path::default(), source, &mut spans);
        // An explicit `name:` in the map, read later, is the better place.
        if index == 0
            && let Some(span) = source.span(argument.start_position())
        {
            spans.insert(Path::attribute(FIRST_ARGUMENT), span);
        }
    }
    Some(Call { span, spans: Arc::new(spans) })
}

/// The places of the parts of a literal, nested ones included.
fn parts(syntax: &Syntax, at: &Path, source: &Source, spans: &mut BTreeMap<Path, Span>) {
    match syntax {
        Syntax::Map(entries, _) => {
            for (key, value) in &entries.0 {
                let path = at.key(key.as_str());
                if let Some(span) = source.span(key.pos) {
                    spans.insert(path.clone(), span);
                }
                parts(value, &path, source, spans);
            }
        }
        // At the top a list is no set of attributes.
        Syntax::Array(items, _) if !at.0.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let path = at.index(index);
                if let Some(span) = source.span(item.start_position()) {
                    spans.insert(path.clone(), span);
                }
                parts(item, &path, source, spans);
            }
        }
        // `base + #{ .. }`: what is written here counts, the right side last.
        Syntax::FnCall(call, _) if call.is_operator_call() && call.name == "+" => {
            for argument in &call.args {
                if !matches!(argument, Syntax::Array(..)) {
                    parts(argument, at, source, spans);
                }
            }
        }
        _ => {}
    }
}
