//! Text in quotes that looks as if something were to be filled in: only text between
//! backticks is.

use rhai::{AST, ASTNode, Expr as Syntax, Position, Stmt, StmtBlock};

use super::sources::Source;
use super::spans::is_closure;
use crate::diagnostic::{Code, Diagnostic};

/// The warnings of one script: texts in quotes that name a value of it in `${..}`. Others are
/// meant for whoever reads them, such as a shell.
pub(super) fn not_filled_in(syntax: &AST, source: &Source) -> Vec<Diagnostic> {
    if !source.text.contains("${") {
        return Vec::new();
    }
    let scopes = Scopes::of(syntax);
    let mut found = Vec::new();
    syntax.walk(&mut |path| {
        if let Some(ASTNode::Expr(Syntax::StringConstant(text, position))) = path.last()
            && let Some(name) = named(text, |name| scopes.sees(name, *position))
            && let Some(at) = source.offset(source.shift.written(*position))
            && source.text[at..].starts_with('"')
        {
            found.push(
                Diagnostic::new(
                    Code::PlainText,
                    format!("`${{{name}}}` stays as it is in this text"),
                )
                .at(source.span(*position))
                .note(format!("the script has a value `{name}`, which text in quotes does not take"))
                .hint("put the text between backticks; what a shell fills in is also written `$name`"),
            );
        }
        true
    });
    found.sort_by(|a, b| a.span.cmp(&b.span));
    found
}

/// Which names a script gives, and where each can be used.
#[derive(Default)]
struct Scopes {
    /// Blocks and the bodies of functions: from where to where.
    blocks: Vec<(Position, Position)>,
    /// Bodies of functions, closures left out, which see no name from around them.
    functions: Vec<(Position, Position)>,
    /// Names, each from where to where; to the end of the script where nothing is said.
    names: Vec<(String, Position, Option<Position>)>,
}

impl Scopes {
    fn of(syntax: &AST) -> Self {
        let mut scopes = Self::default();
        syntax.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::If(parts, _) | Stmt::TryCatch(parts, _))) => {
                    scopes.block(&parts.body);
                    scopes.block(&parts.branch);
                }
                Some(ASTNode::Stmt(Stmt::While(parts, _) | Stmt::Do(parts, ..))) => {
                    scopes.block(&parts.body);
                }
                Some(ASTNode::Stmt(Stmt::For(parts, _))) => {
                    let body = &parts.2.body;
                    scopes.block(body);
                    let names = std::iter::once(&parts.0).chain(&parts.1);
                    let (from, to) = (body.position(), body.end_position());
                    for name in names {
                        scopes.names.push((name.name.to_string(), from, Some(to)));
                    }
                }
                Some(
                    ASTNode::Stmt(Stmt::Block(block)) | ASTNode::Expr(Syntax::Stmt(block)),
                ) => scopes.block(block),
                _ => {}
            }
            true
        });
        for function in syntax.iter_fn_def() {
            let (from, to) =
                extent(function.body.start_position(), function.body.end_position());
            scopes.blocks.push((from, to));
            if !is_closure(&function.name) {
                scopes.functions.push((from, to));
            }
            for name in &function.params {
                scopes.names.push((name.to_string(), from, Some(to)));
            }
        }
        let mut given = Vec::new();
        syntax.walk(&mut |path| {
            if let Some(ASTNode::Stmt(Stmt::Var(parts, ..))) = path.last() {
                given.push((parts.0.name.to_string(), parts.0.pos));
            }
            true
        });
        for (name, from) in given {
            let around =
                scopes.blocks.iter().filter(|(first, last)| *first <= from && from <= *last);
            let to = around.max_by_key(|(first, _)| *first).map(|(_, last)| *last);
            scopes.names.push((name, from, to));
        }
        scopes
    }

    fn block(&mut self, block: &StmtBlock) {
        if !block.is_empty() {
            self.blocks.push((block.position(), block.end_position()));
        }
    }

    /// Whether a name has a value at a place.
    fn sees(&self, name: &str, place: Position) -> bool {
        let mut around = self.functions.iter();
        let around = around.find(|(from, to)| *from <= place && place <= *to);
        let begins = around.map_or(Position::START, |(from, _)| *from);
        self.names.iter().any(|(given, from, to)| {
            given == name
                && begins <= *from
                && *from <= place
                && to.is_none_or(|to| place <= to)
        })
    }
}

/// From where to where a body stands. That of a closure without braces has no end: it is most
/// likely in one line.
fn extent(from: Position, to: Position) -> (Position, Position) {
    let end = from.line().and_then(|line| u16::try_from(line).ok());
    match end.filter(|_| to.is_none()) {
        Some(line) => (from, Position::new(line, u16::MAX)),
        None => (from, to),
    }
}

/// The first of the names that a text would have filled in: `${name}`, `${name.key}`.
fn named(text: &str, is_given: impl Fn(&str) -> bool) -> Option<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.split("${").skip(1).find_map(|rest| {
        let rest = rest.trim_start();
        let end = rest.find(|c| !is_name(c))?;
        let (name, after) = rest.split_at(end);
        let ends = after.trim_start().starts_with(['}', '.', '[', '(', ':'])
            && !after.starts_with(":-")
            && !after.starts_with(":?")
            && !after.starts_with(":+");
        (ends && is_given(name)).then_some(name)
    })
}
