//! Text in quotes that looks as if something were to be filled in: only text between
//! backticks is.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr as Syntax};

use super::sources::Source;
use crate::diagnostic::{Code, Diagnostic};

/// The warnings of one script: texts in quotes that name a value of it in `${..}`. Others are
/// meant for whoever reads them, such as a shell.
pub(super) fn not_filled_in(syntax: &AST, source: &Source) -> Vec<Diagnostic> {
    if !source.text.contains("${") {
        return Vec::new();
    }
    let names: BTreeSet<&str> = source.names().into_iter().collect();
    let mut found = Vec::new();
    syntax.walk(&mut |path| {
        if let Some(ASTNode::Expr(Syntax::StringConstant(text, position))) = path.last()
            && let Some(name) = named(text, &names)
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

/// The first of the names that a text would have filled in: `${name}`, `${name.key}`.
fn named<'t>(text: &'t str, names: &BTreeSet<&str>) -> Option<&'t str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.split("${").skip(1).find_map(|rest| {
        let rest = rest.trim_start();
        let end = rest.find(|c| !is_name(c))?;
        let (name, after) = rest.split_at(end);
        let ends = after.trim_start().starts_with(['}', '.', '[', '(', ':'])
            && !after.starts_with(":-")
            && !after.starts_with(":?")
            && !after.starts_with(":+");
        (ends && names.contains(name)).then_some(name)
    })
}
