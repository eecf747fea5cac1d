//! `template` and `template_text`: Jinja templates, rendered while the script runs. What is
//! not known yet passes through as it is; a template that would look into it is refused.

use crate::map::Map;
use std::rc::Rc;

use rhai::Dynamic;

use super::super::convert::Converter;
use super::super::symbol::{Answer, to_dynamic};
use super::{Entry, Fault, Hand, Run, files, jinja, taint};
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::Secrecy;
use crate::expr::Expr;
use crate::path::Path;
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "template(path: string, values: map) -> string",
        doc: "A file of the project as a Jinja template, filled in. A value the template names must be given. Works on values that are not known yet, as long as the template only prints them. Loops are not `recursive`.",
        examples: &[(
            r#"template("app.conf.j2", #{ name: "web", ports: [80, 443] })"#,
            r#""name = web\nlisten 80\nlisten 443\n""#,
        )],
        run: Run::Items(|hand, a| {
            let path = files::path(hand, &a)?;
            let text = files::read(hand, &a)?;
            fill(hand, &text, &a)
                .map_err(|problem| problem.at(hand, |fault| files::in_file(&path, fault)))
        }),
    },
    Entry {
        signature: "template_text(text: string, values: map) -> string",
        doc: "A text as a Jinja template, filled in, as `template` does it.",
        examples: &[
            (
                r#"template_text("{% for n in names %}{{ n }};{% endfor %}", #{ names: ["a", "b"] })"#,
                r#""a;b;""#,
            ),
            (
                r#"template_text("{{ x | tojson }}", #{ x: ["a\"b", 1] })"#,
                r#""[\"a\\\"b\",1]""#,
            ),
            (
                r#"template_text("{{ x | upper }}{% if loud %}!{% endif %}", #{ x: "a", loud: true })"#,
                r#""A!""#,
            ),
        ],
        run: Run::Items(|hand, a| {
            let text = hand.text(a.first().unwrap_or(&Dynamic::UNIT), "a template")?;
            fill(hand, &text, &a).map_err(|problem| problem.at(hand, |fault| fault))
        }),
    },
];

/// What stops a template.
enum Problem {
    /// Found in the template.
    Fault(Fault),
    /// Written down already.
    Error(Box<rhai::EvalAltResult>),
}

impl Problem {
    fn at(self, hand: &Hand<'_>, word: impl Fn(Fault) -> Fault) -> Box<rhai::EvalAltResult> {
        match self {
            Self::Fault(fault) => hand.fault(word(fault)),
            Self::Error(error) => error,
        }
    }
}

impl From<Box<rhai::EvalAltResult>> for Problem {
    fn from(error: Box<rhai::EvalAltResult>) -> Self {
        Self::Error(error)
    }
}

fn fill(hand: &Hand<'_>, text: &str, arguments: &[Dynamic]) -> Result<Dynamic, Problem> {
    let values = arguments.get(1).cloned().unwrap_or(Dynamic::UNIT);
    let values = match hand.expr(values)? {
        Expr::Value(value) => {
            let entries = value.as_map().cloned().unwrap_or_default();
            entries.into_iter().map(|(key, entry)| (key, Expr::Value(entry))).collect()
        }
        Expr::Map(entries) => entries,
        _ => Map::new(),
    };
    // What a plan looks up and fills in, this run cannot.
    if values.values().any(Expr::is_withheld) {
        return Ok(to_dynamic(Expr::withheld()));
    }
    let known = values.values().all(|value| value.known().is_some());
    let secrecy = values.values().filter_map(Expr::known).map(Value::secrecy).max();
    let secrecy = secrecy.unwrap_or_default();
    if !known && let Err(name) = taint::check(text, &values).map_err(Problem::Fault)? {
        let finding = Diagnostic::new(
            Code::NotKnown,
            format!("the template looks into `{name}`, which is not known yet"),
        )
        .note("attributes of resources are filled in by the plan, after the script has ended")
        .hint("only print it, as `{{ name }}`; decide by another value, such as a parameter");
        return Err(hand.refuse(finding).into());
    }
    // Each part that is not known is printed as its marker.
    let mark = |expr: &Expr| hand.session.mark(Rc::new(expr.clone()));
    let context = values.iter().map(|(key, value)| (key.clone(), jinja::plain(value, &mark)));
    let mut steps = 0;
    let rendered = jinja::render(text, context.collect(), &mut steps);
    hand.spend(text.len().saturating_add(steps.saturating_mul(64)))?;
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(_) if secrecy > Secrecy::Open => {
            let finding = Diagnostic::new(
                Code::LooksIntoSecret,
                "the template does not work on these values",
            )
            .note("one of them is secret; why would tell about it");
            return Err(hand.refuse(finding).into());
        }
        Err(fault) => return Err(Problem::Fault(fault)),
    };
    hand.spend(rendered.len())?;
    finish(hand, &rendered, secrecy).map_err(Problem::Error)
}

/// The rendered text as a value.
fn finish(hand: &Hand<'_>, rendered: &str, secrecy: Secrecy) -> Answer<Dynamic> {
    let mut converter = Converter::new(hand.session, Path::default());
    let expr = converter.text(&rendered.into());
    if let Some(trouble) = converter.troubles.pop() {
        return Err(hand.fault(Fault {
            message: trouble.message,
            hint: trouble.hints.into_iter().next(),
        }));
    }
    Ok(to_dynamic(expr.marked(secrecy)))
}
