//! What a script may not say, checked before it runs: places where Rhai would look into a
//! value without asking dollop.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr as Syntax, FnCallExpr, Position, Stmt};

use super::host::taken;
use super::marks;
use super::ours::plain;
use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};
use crate::kind::{LOOKUP, Registry, short_name};

/// Names of functions that take ranges; elsewhere a range could cut text.
const TAKE_RANGES: [&str; 10] = [
    "contains", "drain", "extract", "range", "retain", "splice", "start", "end", "step_by",
    "is_empty",
];

/// Everything in a script that breaks a rule.
pub(super) fn check(syntax: &AST, source: &Source, registry: &Registry) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut resources = None;
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
            ASTNode::Expr(Syntax::Coalesce(parts, _)) => {
                let resources =
                    resources.get_or_insert_with(|| Resources::of(syntax, registry));
                // The last one is taken whatever it is.
                let asked = parts.split_last().map_or(&[][..], |(_, asked)| asked);
                asked.iter().find_map(|part| resources.coalesced(part))
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

/// What of a script is a resource, as far as its text tells.
struct Resources<'a> {
    /// What is called on a resource to declare another.
    methods: BTreeSet<&'a str>,
    /// Modules whose functions declare.
    providers: BTreeSet<&'a str>,
    /// Variables that hold resources wherever they are given.
    variables: BTreeSet<String>,
}

impl<'a> Resources<'a> {
    fn of(syntax: &AST, registry: &'a Registry) -> Self {
        let kinds = || registry.kinds().map(|kind| kind.name);
        let all = kinds().chain(registry.connections().map(|kind| kind.name));
        let providers = all.filter_map(|name| name.split("::").next()).collect();
        let methods = kinds().map(short_name).collect();
        let mut found = Self { methods, providers, variables: BTreeSet::new() };
        // A name that is given something else elsewhere is left alone.
        let mut given: BTreeMap<String, bool> = BTreeMap::new();
        let mut learn = |name: &str, is_resource: bool| {
            *given.entry(name.to_owned()).or_insert(true) &= is_resource;
        };
        syntax.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Var(parts, ..))) => {
                    learn(&parts.0.name, found.declares(&parts.1));
                }
                Some(ASTNode::Stmt(Stmt::Assignment(parts))) => {
                    if let Syntax::Variable(name, ..) = &parts.1.lhs {
                        learn(&name.1, found.declares(&parts.1.rhs));
                    }
                }
                Some(ASTNode::Stmt(Stmt::For(parts, _))) => {
                    learn(&parts.0.name, false);
                }
                _ => {}
            }
            true
        });
        for function in syntax.iter_functions() {
            for name in function.params {
                learn(name, false);
            }
        }
        let all = given.into_iter().filter(|(_, is_resource)| *is_resource);
        found.variables = all.map(|(name, _)| name).collect();
        found
    }

    /// Whether a call declares something, or looks it up.
    fn declares(&self, syntax: &Syntax) -> bool {
        match syntax {
            Syntax::FnCall(call, _) => {
                call.is_qualified() && self.providers.contains(call.namespace.root())
            }
            Syntax::Dot(parts, ..) => match &parts.rhs {
                Syntax::MethodCall(call, _) => {
                    let name = plain(&call.name);
                    self.methods.contains(name.strip_suffix(LOOKUP).unwrap_or(name))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// An attribute is a reference, which is never nothing while the script runs: what stands
    /// behind `??` would never be taken, whatever the attribute turns out to be.
    fn coalesced(&self, syntax: &Syntax) -> Option<(Diagnostic, Position)> {
        let mut inner = syntax;
        let (root, name) = loop {
            match inner {
                Syntax::Dot(parts, ..) => match (&parts.lhs, &parts.rhs) {
                    (root, Syntax::Property(name, _)) => break (root, name.2.as_str()),
                    (root, Syntax::Dot(rest, ..) | Syntax::Index(rest, ..)) => {
                        let Syntax::Property(name, _) = &rest.lhs else { return None };
                        break (root, name.2.as_str());
                    }
                    _ => return None,
                },
                Syntax::Index(parts, ..) => inner = &parts.lhs,
                _ => return None,
            }
        };
        let is_resource = match root {
            Syntax::Variable(name, ..) => self.variables.contains(name.1.as_str()),
            other => self.declares(other),
        };
        let message = format!(
            "`{name}` of a resource is filled in later, so `??` never sees that it is nothing"
        );
        let finding = Diagnostic::new(Code::NotKnown, message)
            .hint("write `coalesce([value, other])`: it decides when the value is known");
        is_resource.then(|| (finding, syntax.start_position()))
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
