//! The template engine: MiniJinja without a loader, with limits.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value as Jinja, filters};

use super::super::host::LONGEST_TEXT;
use super::{Fault, bounds};
use crate::ephemeral::Ephemeral;
use crate::expr::Expr;
use crate::value::Value;

/// Steps a template may take.
const MOST_STEPS: u64 = 2_000_000;
/// Bytes all filters of a template may read.
const MOST_FILTERED: usize = 256 << 20;
/// Steps times the bytes one of them may read or write, filters excepted.
const MOST_COPIED: u64 = 16 << 30;
/// Values that are looked at before it runs for each step that this counts as.
const VISITS: u64 = 8;

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

/// Plain JSON: what is made is files, not pages.
fn tojson(value: Jinja) -> Result<String, minijinja::Error> {
    serde_json::to_string(&value)
        .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn too_long() -> minijinja::Error {
    let words = format!("a text is longer than {} MiB", LONGEST_TEXT >> 20);
    minijinja::Error::new(ErrorKind::InvalidOperation, words)
}

/// The filters that read what they are given. Those of the engine that are not here make much
/// of little.
fn reading() -> Vec<(&'static str, Jinja)> {
    use Jinja as J;
    vec![
        ("abs", J::from_function(filters::abs)),
        ("bool", J::from_function(filters::bool)),
        ("capitalize", J::from_function(filters::capitalize)),
        ("dictsort", J::from_function(filters::dictsort)),
        ("e", J::from_function(filters::escape)),
        ("escape", J::from_function(filters::escape)),
        ("float", J::from_function(filters::float)),
        ("groupby", J::from_function(filters::groupby)),
        ("indent", J::from_function(indent)),
        ("int", J::from_function(filters::int)),
        ("items", J::from_function(filters::items)),
        ("join", J::from_function(join)),
        ("last", J::from_function(filters::last)),
        ("lines", J::from_function(filters::lines)),
        ("list", J::from_function(filters::list)),
        ("lower", J::from_function(filters::lower)),
        ("map", J::from_function(filters::map)),
        ("max", J::from_function(filters::max)),
        ("min", J::from_function(filters::min)),
        ("reject", J::from_function(filters::reject)),
        ("rejectattr", J::from_function(filters::rejectattr)),
        ("replace", J::from_function(replace)),
        ("reverse", J::from_function(filters::reverse)),
        ("round", J::from_function(filters::round)),
        ("safe", J::from_function(filters::safe)),
        ("select", J::from_function(filters::select)),
        ("selectattr", J::from_function(filters::selectattr)),
        ("sort", J::from_function(filters::sort)),
        ("split", J::from_function(filters::split)),
        ("string", J::from_function(filters::string)),
        ("sum", J::from_function(filters::sum)),
        ("title", J::from_function(filters::title)),
        ("tojson", J::from_function(tojson)),
        ("trim", J::from_function(filters::trim)),
        ("unique", J::from_function(filters::unique)),
        ("upper", J::from_function(filters::upper)),
        ("count", J::from_function(filters::length)),
        ("length", J::from_function(filters::length)),
    ]
}

/// Whether it knows how many items it has.
fn is_counted(value: &Jinja) -> bool {
    matches!(value.kind(), ValueKind::Map | ValueKind::Seq)
}

/// An environment; what its filters read is added to `filtered`.
fn environment<'t>(steps: u64, filtered: &Arc<AtomicUsize>) -> Result<Environment<'t>, Fault> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(steps));
    environment.set_syntax(syntax()?);
    // They make much of little, or values that grow.
    for name in ["batch", "chain", "format", "pprint", "slice", "zip"] {
        environment.remove_filter(name);
    }
    for name in ["debug", "namespace"] {
        environment.remove_global(name);
    }
    // A step is one filter, however much it reads.
    for (name, filter) in reading() {
        let filtered = Arc::clone(filtered);
        environment.add_filter(
            name,
            move |state: &mut State<'_, '_>, arguments: Rest<Jinja>| {
                let counts = matches!(name, "count" | "length")
                    && matches!(arguments[..], [ref one] if is_counted(one));
                let read = if counts { 16 } else { bounds::read(&arguments, MOST_FILTERED) };
                let before = filtered.fetch_add(read, Ordering::Relaxed);
                if before.saturating_add(read) > MOST_FILTERED {
                    let words =
                        format!("its filters read more than {} MiB", MOST_FILTERED >> 20);
                    return Err(minijinja::Error::new(ErrorKind::InvalidOperation, words));
                }
                filter.call(state, &arguments)
            },
        );
    }
    Ok(environment)
}

/// Renders a template; says how many steps it took, the work of its filters included.
pub(super) fn render(
    text: &str,
    values: BTreeMap<String, Jinja>,
    steps: &mut usize,
) -> Result<String, Fault> {
    let tree = parse(text, "template", syntax()?).map_err(|error| word(&error))?;
    let bounds = bounds::of(&tree, &values);
    *steps = usize::try_from(bounds.visits / VISITS).unwrap_or(usize::MAX);
    if bounds.recurses {
        let fault = Fault::new("a loop of the template is `recursive`");
        return Err(fault.hint(
            "nest as many loops as there are levels, or join the text in a function of the \
             script, which may call itself",
        ));
    }
    if !bounds.is_seen {
        let fault =
            Fault::new("the template names too many parts of values to tell how large it gets");
        return Err(fault.hint("give it fewer or smaller values, or fill in several templates"));
    }
    if !bounds.within {
        let fault = Fault::new("the template could make a value that is far too large");
        return Err(
            fault.hint("print parts one after the other; blocks are not captured by `set`")
        );
    }
    let most = MOST_STEPS.min(MOST_COPIED / bounds.heaviest.max(1));
    let filtered = Arc::default();
    let environment = environment(most, &filtered)?;
    let template =
        environment.template_from_named_str("template", text).map_err(|error| word(&error))?;
    let mut page = Page::default();
    let rendered = template.render_captured_to(Jinja::from(values), &mut page);
    let taken = match &rendered {
        Ok(captured) => captured.state().fuel_levels().map_or(most, |(taken, _)| taken),
        Err(_) => most,
    };
    let read = filtered.load(Ordering::Relaxed) / 64;
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    *steps = steps.saturating_add(taken).saturating_add(read);
    match rendered {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WriteFailure => {
            return Err(Fault::new(format!(
                "a text is longer than {} MiB",
                LONGEST_TEXT >> 20
            )));
        }
        Err(error) if error.kind() == ErrorKind::OutOfFuel => {
            let fault = Fault::new(format!("the template takes more than {most} steps"));
            return Err(if most < MOST_STEPS {
                fault.hint("the longer the values it compares or joins, the fewer steps it has")
            } else {
                fault
            });
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
        kind => Fault::new(format!("the template fails{place}: {kind}{detail}")),
    }
}
