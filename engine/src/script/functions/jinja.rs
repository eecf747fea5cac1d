//! The template engine: MiniJinja without a loader, with limits.

use std::collections::BTreeMap;
use std::io;

use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value as Jinja};

use super::super::host::LONGEST_TEXT;
use super::{Fault, bounds};
use crate::ephemeral::Ephemeral;
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
            named(entries.iter().map(|(key, entry)| (key.clone(), plain(entry, mark))))
        }
        other => Jinja::from(mark(other)),
    }
}

/// A map; pairs that are collected would be a list of pairs.
fn named(entries: impl Iterator<Item = (String, Jinja)>) -> Jinja {
    Jinja::from(entries.collect::<BTreeMap<_, _>>())
}

fn known(value: &Value) -> Jinja {
    match value {
        // What an earlier run left is not met while a script runs.
        Value::Null | Value::Ephemeral(Ephemeral::Digest(_)) => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Int(value) => Jinja::from(*value),
        Value::Float(value) => Jinja::from(*value),
        Value::String(text) => Jinja::from(text.as_str()),
        Value::List(items) => items.iter().map(known).collect(),
        Value::Map(entries) => {
            named(entries.iter().map(|(key, entry)| (key.clone(), known(entry))))
        }
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => known(inner),
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

/// The items as one text; the engine's own has no limit, nor have the next two.
fn join(items: Vec<Jinja>, between: Option<String>) -> Result<String, minijinja::Error> {
    let between = between.unwrap_or_default();
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&between);
        }
        out.push_str(&item.to_string());
        if out.len() > LONGEST_TEXT {
            return Err(too_long());
        }
    }
    Ok(out)
}

fn replace(text: String, from: String, to: String) -> Result<String, minijinja::Error> {
    let more = text.matches(&from).count().saturating_mul(to.len());
    if text.len().saturating_add(more) > LONGEST_TEXT {
        return Err(too_long());
    }
    Ok(text.replace(&from, &to))
}

fn indent(
    text: String,
    spaces: usize,
    first: Option<bool>,
) -> Result<String, minijinja::Error> {
    let lines = text.matches('\n').count() + 1;
    if text.len().saturating_add(lines.saturating_mul(spaces)) > LONGEST_TEXT {
        return Err(too_long());
    }
    let margin = " ".repeat(spaces);
    let indented = text.replace('\n', &format!("\n{margin}"));
    Ok(if first == Some(true) { margin + indented.as_str() } else { indented })
}

fn too_long() -> minijinja::Error {
    let words = format!("a text is longer than {} MiB", LONGEST_TEXT >> 20);
    minijinja::Error::new(ErrorKind::InvalidOperation, words)
}

fn environment<'t>() -> Result<Environment<'t>, Fault> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_syntax(syntax()?);
    // They make much of little, or values that grow.
    for name in ["batch", "chain", "format", "pprint", "slice", "zip"] {
        environment.remove_filter(name);
    }
    for name in ["debug", "namespace"] {
        environment.remove_global(name);
    }
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    Ok(environment)
}

/// Renders a template; says how many steps it took.
pub(super) fn render(
    text: &str,
    values: BTreeMap<String, Jinja>,
    steps: &mut usize,
) -> Result<String, Fault> {
    let tree = parse(text, "template", syntax()?).map_err(|error| word(&error))?;
    let sizes = values.iter().map(|(name, value)| (name.clone(), size(value)));
    if !bounds::within(&tree, sizes.collect()) {
        let fault = Fault::new("the template could make a value that is far too large");
        return Err(
            fault.hint("print parts one after the other; blocks are not captured by `set`")
        );
    }
    let environment = environment()?;
    let template =
        environment.template_from_named_str("template", text).map_err(|error| word(&error))?;
    let mut page = Page::default();
    *steps = usize::try_from(MOST_STEPS).unwrap_or(usize::MAX);
    match template.render_captured_to(Jinja::from(values), &mut page) {
        Ok(captured) => {
            let taken = captured.state().fuel_levels().map_or(MOST_STEPS, |(taken, _)| taken);
            *steps = usize::try_from(taken).unwrap_or(usize::MAX);
        }
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

/// About how many bytes a value takes.
fn size(value: &Jinja) -> u64 {
    if let Some(text) = value.as_str() {
        return 16 + text.len() as u64;
    }
    let Ok(items) = value.try_iter() else { return 16 };
    items.fold(16, |sum, item| {
        let inner = value.get_item(&item).ok().filter(|inner| !inner.is_undefined());
        sum + size(&item) + inner.map_or(0, |inner| size(&inner))
    })
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
