//! The template engine: MiniJinja without a loader, with limits.

use std::collections::BTreeMap;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value as Jinja};

use super::super::host::LONGEST_TEXT;
use super::Fault;
use crate::expr::Expr;
use crate::value::Value;

/// Steps a template may take.
const MOST_STEPS: u64 = 2_000_000;

/// A value for a template; parts that are not known are texts that `mark` gives.
pub(super) fn plain(expr: &Expr, mark: &impl Fn(&Expr) -> String) -> Jinja {
    match expr {
        Expr::Value(value) => known(value),
        Expr::List(items) => items.iter().map(|item| plain(item, mark)).collect(),
        Expr::Map(entries) => {
            entries.iter().map(|(key, entry)| (key.clone(), plain(entry, mark))).collect()
        }
        other => Jinja::from(mark(other)),
    }
}

fn known(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Int(value) => Jinja::from(*value),
        Value::Float(value) => Jinja::from(*value),
        Value::String(text) => Jinja::from(text.as_str()),
        Value::List(items) => items.iter().map(known).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, entry)| (key.clone(), known(entry))).collect()
        }
        Value::Secret(inner) => known(inner),
    }
}

/// Text of a bounded length.
#[derive(Default)]
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TEXT {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Jinja's own signs; lines that hold only a block leave nothing behind.
pub(super) fn syntax() -> Result<SyntaxConfig, Fault> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(|error| word(&error))
}

/// Renders a template.
pub(super) fn render(text: &str, values: BTreeMap<String, Jinja>) -> Result<String, Fault> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_syntax(syntax()?);
    environment.remove_global("debug");
    let template =
        environment.template_from_named_str("template", text).map_err(|e| word(&e))?;
    let mut page = Page::default();
    match template.render_captured_to(Jinja::from(values), &mut page) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WriteFailure => {
            return Err(Fault::new(format!(
                "a text is longer than {} MiB",
                LONGEST_TEXT >> 20
            )));
        }
        Err(error) => return Err(word(&error)),
    }
    String::from_utf8(page.0).map_err(|_| Fault::new("the template did not give UTF-8 text"))
}

/// The engine's error in dollop's words.
pub(super) fn word(error: &minijinja::Error) -> Fault {
    let place = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    match error.kind() {
        ErrorKind::UndefinedError => {
            Fault::new(format!("the template names a value that is not given{place}"))
                .hint("give it in the map, or write `{{ name | default(\"..\") }}`")
        }
        ErrorKind::OutOfFuel => {
            Fault::new(format!("the template takes more than {MOST_STEPS} steps"))
        }
        kind => Fault::new(format!("the template fails{place}: {kind}{detail}")),
    }
}
