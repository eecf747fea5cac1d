//! What a script may not say, checked before it runs: places where Rhai would look into a
//! value without asking dollop.

use rhai::{AST, ASTNode, Expr as Syntax, FnCallExpr, Position, Stmt};

use super::host::taken;
use super::marks;
use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};

/// Names of functions that take ranges; elsewhere a range could cut text.
const TAKE_RANGES: [&str; 10] = [
    "contains", "drain", "extract", "range", "retain", "splice", "start", "end", "step_by",
    "is_empty",
];

/// Everything in a script that breaks a rule.
pub(super) fn check(syntax: &AST, source: &Source) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for function in syntax.iter_functions() {
        if let Some(finding) = taken(function.name) {
            found.push(finding.at(place_of_function(source, function.name)));
        }
    }
    syntax.walk(&mut |path| {
        let Some((node, above)) = path.split_last() else { return true };
        let finding = match node {
            ASTNode::Stmt(Stmt::Switch(parts, position)) => switch(&parts.0, *position),
            ASTNode::Expr(Syntax::CharConstant(character, position)) => {
                Some((a_character(*character), *position))
            }
            ASTNode::Expr(Syntax::StringConstant(text, position)) if marks::is_marked(text) => {
                Some((a_noncharacter(), *position))
            }
            ASTNode::Expr(Syntax::FnCall(call, position)) if is_range(call) => {
                range(above.last(), *node).map(|finding| (finding, *position))
            }
            _ => None,
        };
        if let Some((finding, position)) = finding {
            found.push(finding.at(source.span(position)));
        }
        true
    });
    // Rhai keeps functions in no order; findings come in the order of the text.
    found.sort_by(|a, b| a.span.cmp(&b.span));
    found
}

/// Noncharacters written straight into the source.
pub(super) fn noncharacters(source: &Source) -> Option<Diagnostic> {
    let at = source.text.find(marks::is_mark)?;
    Some(a_noncharacter().at(source.span_of_character(at)))
}

fn a_noncharacter() -> Diagnostic {
    Diagnostic::new(
        Code::LeftOut,
        "Unicode noncharacters U+FDD0 to U+FDEF cannot be used in a script",
    )
    .note("dollop marks values that are not known yet with them")
}

fn a_character(character: char) -> Diagnostic {
    Diagnostic::new(Code::LeftOut, "text is written in double quotes")
        .hint(format!("write `\"{character}\"`"))
}

/// A reference cannot be hashed, so Rhai would take the default arm without a word.
fn switch(subject: &Syntax, position: Position) -> Option<(Diagnostic, Position)> {
    if is_plain(subject) {
        return None;
    }
    let finding = Diagnostic::new(Code::LeftOut, "`switch` takes a value that is surely known")
        .label("may hold a value that is filled in later")
        .hint("write `switch known(..)`: it refuses values that are not known yet");
    let at = subject.start_position();
    Some((finding, if at.is_none() { position } else { at }))
}

/// Whether an expression can be seen to hold no reference.
fn is_plain(syntax: &Syntax) -> bool {
    match syntax {
        Syntax::BoolConstant(..)
        | Syntax::IntegerConstant(..)
        | Syntax::FloatConstant(..)
        | Syntax::StringConstant(..)
        | Syntax::Unit(_) => true,
        Syntax::FnCall(call, _) if call.is_operator_call() => call.args.iter().all(is_plain),
        Syntax::FnCall(call, _) => !call.is_qualified() && call.name == "known",
        _ => false,
    }
}

fn is_range(call: &FnCallExpr) -> bool {
    call.is_operator_call() && (call.name == ".." || call.name == "..=")
}

/// Ranges drive `for` loops and list functions. As an index they would cut text at places
/// that depend on a marker's length.
fn range(parent: Option<&ASTNode>, node: ASTNode) -> Option<Diagnostic> {
    match parent {
        Some(ASTNode::Stmt(Stmt::For(parts, _))) if ASTNode::Expr(&parts.2.expr) == node => {
            None
        }
        Some(
            ASTNode::Expr(Syntax::FnCall(call, _) | Syntax::MethodCall(call, _))
            | ASTNode::Stmt(Stmt::FnCall(call, _)),
        ) if TAKE_RANGES.contains(&call.name.as_str()) => None,
        // `(0..9).step_by(2)`
        Some(ASTNode::Expr(Syntax::Dot(parts, ..))) if ASTNode::Expr(&parts.lhs) == node => {
            None
        }
        Some(ASTNode::Expr(Syntax::Index(..))) => Some(
            Diagnostic::new(Code::LeftOut, "text cannot be cut with a range")
                .hint("use `sub_string(text, start, length)`; for lists, `list.extract(a..b)`"),
        ),
        _ => Some(
            Diagnostic::new(
                Code::LeftOut,
                "a range stands in a `for` loop or a list function only",
            )
            .hint("write `for i in 0..3 { .. }` or `list.extract(0..3)`"),
        ),
    }
}

/// Where a function is defined: Rhai keeps no position of its name.
fn place_of_function(source: &Source, name: &str) -> Option<crate::diagnostic::Span> {
    source.text.match_indices("fn ").find_map(|(at, _)| {
        let rest = &source.text[at + 3..];
        let start = at + 3 + (rest.len() - rest.trim_start().len());
        let after = source.text[start..].strip_prefix(name)?;
        if after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let mut span = source.span_of_character(start);
        span.length = u32::try_from(name.chars().count()).unwrap_or(1);
        Some(span)
    })
}
