//! The parameters of a stack.

use std::fmt::Write as _;

use dollop_engine::program::Parameter;
use dollop_engine::script::Inputs;
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use crate::render::style::{BOLD, CARE, DIM, paint};
use crate::render::text::{clean, pad, width};

/// One line each: name, type, value, where it came from.
pub fn table(inputs: &Inputs) -> String {
    let parameters = &inputs.parameters;
    if parameters.is_empty() && inputs.secrets.is_empty() {
        return paint(DIM, "this stack asks for no parameters") + "\n";
    }
    let rows: Vec<[String; 4]> = parameters
        .iter()
        .map(|parameter| {
            [
                clean(&parameter.name).into_owned(),
                parameter.ty.clone(),
                value(parameter),
                source(parameter),
            ]
        })
        .collect();
    let columns: [usize; 3] =
        std::array::from_fn(|at| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0));
    let mut out = String::new();
    let there = parameters.iter().map(|parameter| parameter.value.is_some());
    for ([name, ty, value, source], is_there) in rows.into_iter().zip(there) {
        let value = pad(&value, columns[2]);
        let _ = writeln!(
            out,
            "{}  {}  {}  {}",
            paint(BOLD, pad(&name, columns[0])),
            pad(&ty, columns[1]),
            if is_there { value } else { paint(CARE, value) },
            paint(DIM, source),
        );
    }
    secrets(&mut out, inputs);
    out
}

/// Everything about each.
pub fn explained(inputs: &Inputs) -> String {
    let parameters = &inputs.parameters;
    if parameters.is_empty() {
        return table(inputs);
    }
    let mut out = String::new();
    for parameter in parameters {
        if !out.is_empty() {
            out.push('\n');
        }
        let place = paint(DIM, parameter.span.to_string());
        let _ = writeln!(out, "{}  {place}", paint(BOLD, clean(&parameter.name)));
        let mut line = |name: &str, text: &str| {
            let _ = writeln!(out, "  {}  {}", pad(name, 10), clean(text));
        };
        if !parameter.doc.is_empty() {
            line("for", &parameter.doc);
        }
        let secret = if parameter.secret { ", secret" } else { "" };
        line("type", &format!("{}{secret}", parameter.ty));
        if !parameter.choices.is_empty() {
            let choices: Vec<_> = parameter.choices.iter().map(ToString::to_string).collect();
            line("choices", &choices.join(", "));
        }
        match &parameter.default {
            Some(default) => line("default", &shown(default)),
            None => line("default", "none: it must be set"),
        }
        if let Some(instead) = &parameter.deprecated {
            line("deprecated", if instead.is_empty() { "yes" } else { instead });
        }
        line("value", &value(parameter));
        line("from", &source(parameter));
        for other in &parameter.outranked {
            line("not from", &plain(other));
        }
    }
    secrets(&mut out, inputs);
    out
}

/// For programs; a secret has no value.
pub fn json(inputs: &Inputs) -> Json {
    let bare = |value: &Value| {
        if value.is_secret() { Json::Null } else { value.to_json() }
    };
    let all = inputs.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "type": parameter.ty,
            "doc": parameter.doc,
            "sensitive": parameter.secret,
            "required": parameter.default.is_none(),
            "default": parameter.default.as_ref().map(bare),
            "choices": parameter.choices.iter().map(bare).collect::<Vec<_>>(),
            "deprecated": parameter.deprecated,
            "set": parameter.value.is_some(),
            "value": parameter.value.as_ref().map(bare),
            "source": plain(&parameter.source),
            "outranked": parameter.outranked.iter().map(|s| plain(s)).collect::<Vec<_>>(),
            "at": parameter.span.to_string(),
        })
    });
    let secrets = inputs.secrets.iter().map(|secret| {
        json!({ "source": plain(&secret.source.to_string()), "at": secret.span.to_string() })
    });
    json!({
        "parameters": all.collect::<Vec<_>>(),
        "secrets": secrets.collect::<Vec<_>>(),
    })
}

/// Secrets kept elsewhere, with where each is asked for.
fn secrets(out: &mut String, inputs: &Inputs) {
    if inputs.secrets.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", paint(BOLD, "Secrets kept elsewhere"));
    for secret in &inputs.secrets {
        let place = paint(DIM, secret.span.to_string());
        let _ = writeln!(out, "  {}  {place}", plain(&secret.source.to_string()));
    }
}

fn value(parameter: &Parameter) -> String {
    match &parameter.value {
        Some(value) => shown(value),
        None if parameter.source.starts_with("not set") => "not set".to_owned(),
        None => "does not fit".to_owned(),
    }
}

/// As a script writes it; a secret is masked.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "()".to_owned(),
        value => clean(&value.to_string()).into_owned(),
    }
}

fn source(parameter: &Parameter) -> String {
    if parameter.source == "not set" {
        return "required".to_owned();
    }
    plain(&parameter.source)
}

/// Without the marks of code, which are for sentences.
fn plain(source: &str) -> String {
    clean(&source.replace('`', "")).into_owned()
}
