//! A stack as whoever uses it sees it: what it wants and what it hands out.

use std::fmt::Write as _;

use dollop_engine::program::Parameter;
use dollop_engine::script::Inputs;

use crate::render::params::shown;
use crate::render::style::{BOLD, CARE, DIM, paint};
use crate::render::text::{clean, wrap};

/// Wider lines are hard to read.
const WIDEST: usize = 80;

/// The page of a stack; `script` is the text of its script.
pub fn page(name: &str, script: &str, inputs: &Inputs, columns: usize) -> String {
    let columns = columns.min(WIDEST);
    let mut out = paint(BOLD, clean(name)) + "\n";
    for paragraph in about(script).split("\n\n").filter(|text| !text.is_empty()) {
        line(&mut out, paragraph, columns, 2);
    }
    heading(&mut out, "Parameters", inputs.parameters.is_empty());
    for parameter in &inputs.parameters {
        let _ = writeln!(out, "  {}  {}", clean(&parameter.name), paint(DIM, kind(parameter)));
        line(&mut out, &parameter.doc, columns, 6);
        deprecated(&mut out, parameter.deprecated.as_deref(), columns);
    }
    heading(&mut out, "Outputs", inputs.outputs.is_empty());
    for output in &inputs.outputs {
        let ty = output.ty.map(|ty| format!(": {}", ty.name())).unwrap_or_default();
        let _ = writeln!(out, "  {}{}", clean(&output.name), paint(DIM, ty));
        line(&mut out, &output.doc, columns, 6);
        deprecated(&mut out, output.deprecated.as_deref(), columns);
    }
    for (title, names) in [("Profiles", &inputs.profiles), ("Commands", &inputs.commands)] {
        heading(&mut out, title, names.is_empty());
        line(&mut out, &names.join(", "), columns, 2);
    }
    out
}

/// The comment a script begins with; an empty line in it parts paragraphs.
fn about(script: &str) -> String {
    let lines = script.lines().map_while(|line| line.strip_prefix("//"));
    let lines = lines.map(|line| line.trim_start_matches(['/', '!']).trim());
    let mut text = String::new();
    for line in lines {
        match (line.is_empty(), text.is_empty() || text.ends_with('\n')) {
            (true, true) => {}
            (true, false) => text.push_str("\n\n"),
            (false, true) => text.push_str(line),
            (false, false) => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
    text
}

fn heading(out: &mut String, title: &str, is_empty: bool) {
    if !is_empty {
        let _ = writeln!(out, "\n{}", paint(BOLD, title));
    }
}

fn line(out: &mut String, text: &str, columns: usize, indent: usize) {
    if !text.is_empty() {
        let text = clean(text);
        let _ = writeln!(out, "{}{}", " ".repeat(indent), wrap(&text, columns, indent, indent));
    }
}

fn deprecated(out: &mut String, instead: Option<&str>, columns: usize) {
    if let Some(instead) = instead {
        let _ = writeln!(out, "      {}", paint(CARE, "deprecated"));
        line(out, instead, columns, 8);
    }
}

/// `int, 3 when left out`, `string: "dev", "live"`.
fn kind(parameter: &Parameter) -> String {
    let mut text = parameter.ty.clone();
    if parameter.secret {
        text.push_str(", secret");
    }
    if !parameter.choices.is_empty() {
        let choices: Vec<_> = parameter.choices.iter().map(shown).collect();
        let _ = write!(text, ": {}", choices.join(", "));
    }
    match &parameter.default {
        Some(default) => format!("{text}; {} when left out", shown(default)),
        None => text + "; must be set",
    }
}

#[cfg(test)]
mod tests {
    use super::about;

    #[test]
    fn the_first_comment_is_what_a_stack_is() {
        let script = "// A shop,\n// small.\n//\n// It sells.\nlet a = 1; // no\n// nor this\n";
        assert_eq!(about(script), "A shop, small.\n\nIt sells.");
        assert_eq!(about("let a = 1;\n// late"), "");
    }
}
