//! A plan as a comment for a pull request.
//!
//! What users wrote appears only inside `<code>` with its punctuation as entities, or inside
//! a fence longer than any run of backticks in it: there it is neither Markdown nor HTML nor
//! a mention, whatever it says.

use std::cmp::Reverse;
use std::fmt::Write as _;

use anstream::adapter::strip_str;
use dollop_engine::plan::{Action, Change, Plan};

use crate::render::diagnostic;
use crate::render::leaf::{Leaf, Side, leaves, output_leaves, worth_showing};
use crate::render::reasons::Reasons;
use crate::render::sql::Lines;
use crate::render::text::{clean, count, quoted};
use crate::render::textdiff::{self, Line};
use crate::render::words::{self, Piece, Sentence};

/// The most characters a comment may have on GitHub is 65,536; the text stays below this.
pub const LIMIT: usize = 65_535;
/// Kept free for the closing lines.
const RESERVE: usize = 1_000;
/// The most characters of one change, so that one file cannot push out everything else.
const LARGEST: usize = 12_000;
/// The most characters of the statements of one change: most of their words stand in the
/// change already.
const LARGEST_SQL: usize = 6_000;
/// The most lines of a list outside the foldable parts.
const LISTED: usize = 30;
/// The most characters of one name.
const LONGEST_NAME: usize = 200;

/// The comment a bot looks for to update its own text.
pub fn marker(stack: &str) -> String {
    let safe: String = stack
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' })
        .take(LONGEST_NAME)
        .collect();
    format!("<!-- dollop:plan:{safe} -->")
}

/// A plan, below [`LIMIT`] characters, the worst first; with the statements that are sent, as far
/// as there is room for them.
pub fn plan(plan: &Plan, statements: &Lines) -> String {
    let mut out = Comment { text: String::new(), length: 0 };
    out.push(&marker(&plan.stack));
    let title = if plan.destroy { "Plan to destroy" } else { "Plan" };
    let environment = words::environment(plan);
    let environment = environment.map(|name| format!(", environment {}", code(name)));
    let environment = environment.unwrap_or_default();
    out.push(&format!("\n### {title} for {}{environment}\n\n", code(&plan.stack)));
    out.push(&format!("**{}**\n\n", words::summary(plan)));
    for sentence in words::left_out(plan).into_iter().chain(words::profiles(plan)) {
        out.push(&format!("{}\n\n", html(&sentence)));
    }
    if plan.unrefreshed {
        out.push("Nothing was read: compared with the last known state.\n\n");
    }
    if let Some(checks) = words::checks(plan) {
        out.push(&format!("{checks}\n\n"));
    }
    risks(&mut out, plan);
    drift(&mut out, plan);
    let deferred: Vec<_> = plan.connections.iter().filter_map(words::deferral).collect();
    list(&mut out, "Deferred connections", deferred.iter().map(html));
    let later: Vec<_> = plan.lookups.iter().filter_map(words::later).collect();
    list(&mut out, "Looked up during apply", later.iter().map(html));
    changes(&mut out, plan, statements);
    outputs(&mut out, plan);
    warnings(&mut out, plan);
    out.text
}

struct Comment {
    text: String,
    length: usize,
}

impl Comment {
    fn push(&mut self, text: &str) {
        self.length += text.chars().count();
        self.text.push_str(text);
    }

    /// Adds a part when there is room for it.
    fn fits(&mut self, text: &str) -> bool {
        let fits = self.length + text.chars().count() + RESERVE < LIMIT;
        if fits {
            self.push(text);
        }
        fits
    }
}

fn risks(out: &mut Comment, plan: &Plan) {
    let lines = words::risks(plan);
    let lines = lines.iter().map(|risk| {
        let label = if risk.data_loss { "**DATA LOSS**" } else { "replace" };
        let address = code(&risk.change.address.to_string());
        format!("{label} {address} {}", html(&risk.because))
    });
    list(out, "Risks", lines);
}

fn drift(out: &mut Comment, plan: &Plan) {
    let lines = words::drift(plan).into_iter().map(|(change, paths)| {
        let what = if paths.is_empty() {
            "is gone".to_owned()
        } else {
            let shown: Vec<_> = paths.iter().take(5).map(|path| code(path)).collect();
            let rest = paths.len() - shown.len();
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            shown.join(", ") + rest.as_str()
        };
        format!("{} {what}", code(&change.address.to_string()))
    });
    list(out, "Changed outside dollop since the last run", lines);
}

/// A heading with a list below it; nothing when the list is empty.
fn list(out: &mut Comment, heading: &str, lines: impl Iterator<Item = String>) {
    let mut hidden = 0;
    let mut text = String::new();
    for (index, line) in lines.enumerate() {
        if index < LISTED {
            let _ = writeln!(text, "- {line}");
        } else {
            hidden += 1;
        }
    }
    if text.is_empty() {
        return;
    }
    if hidden > 0 {
        let _ = writeln!(text, "- {hidden} more not shown");
    }
    if !out.fits(&format!("#### {heading}\n\n{text}\n")) {
        out.push(&format!("#### {heading}\n\n- too long to be shown here\n\n"));
    }
}

fn changes(out: &mut Comment, plan: &Plan, statements: &Lines) {
    let mut order: Vec<_> =
        plan.changes.iter().filter(|change| change.action != Action::Keep).collect();
    if order.is_empty() {
        return;
    }
    out.push("#### Changes\n\n");
    let why = Reasons::of(plan);
    order.sort_by_key(|change| (Reverse(change.disruption), rank(change.action)));
    let (mut hidden, mut untold) = (0, 0);
    for change in order {
        let notes = plan.notes.get(&change.address).map_or(&[][..], Vec::as_slice);
        let sent = statements.get(&change.address).map_or(&[][..], Vec::as_slice);
        // Once something did not fit, what follows is not shown either: what is cut is the
        // end of the list, not a hole in it. Statements go first.
        let whole = hidden == 0 && untold == 0 && out.fits(&details(&why, change, notes, sent));
        if whole {
            continue;
        }
        if hidden == 0 && out.fits(&details(&why, change, notes, &[])) {
            untold += usize::from(!sent.is_empty());
        } else {
            hidden += 1;
        }
    }
    if untold > 0 {
        let whose = count(untold, "change");
        out.push(&format!(
            "**The SQL of {whose} is not shown; `dollop plan --sql` has it.**\n\n"
        ));
    }
    if hidden > 0 {
        out.push(&format!("**{} not shown.**\n\n", count(hidden, "more change")));
    }
}

/// Riskier actions first.
fn rank(action: Action) -> u8 {
    match action {
        Action::Replace => 0,
        Action::Delete | Action::Cascade => 1,
        Action::Verify => 2,
        Action::Update => 3,
        Action::Create => 4,
        Action::Forget => 5,
        Action::Adopt => 6,
        Action::Keep => 7,
    }
}

fn details(why: &Reasons<'_>, change: &Change, notes: &[String], sent: &[String]) -> String {
    let mut out = String::from("<details>\n<summary>");
    let _ = write!(
        out,
        "<b>{}</b> {}",
        words::verb(change.action),
        code(&change.address.to_string())
    );
    if let Some(word) = words::disturbance(change.disruption) {
        let _ = write!(out, " <b>[{word}]</b>");
    }
    out.push_str("</summary>\n\n");
    for sentence in why.sentences(change) {
        let _ = writeln!(out, "- {}", html(&sentence));
    }
    if let Some(span) = &change.span {
        let _ = writeln!(out, "- declared at {}", code(&span.to_string()));
    }
    let mut shown = leaves(&change.differences);
    worth_showing(change, &mut shown);
    let lines = diff_lines(&shown);
    if !lines.is_empty() {
        let _ = write!(out, "\n{}", fence("diff", &lines, LARGEST));
    }
    if !notes.is_empty() {
        let notes = notes.iter().flat_map(|note| note.lines());
        let notes: Vec<_> = notes.map(|line| format!("note: {}", clean(line))).collect();
        let _ = write!(out, "\n{}", fence("text", &notes, LARGEST));
    }
    if !sent.is_empty() {
        let _ = write!(out, "\n{}", fence("sql", sent, LARGEST_SQL));
    }
    out.push_str("\n</details>\n\n");
    out
}

fn outputs(out: &mut Comment, plan: &Plan) {
    let lines = diff_lines(&output_leaves(&plan.outputs));
    if lines.is_empty() {
        return;
    }
    if !out.fits(&format!("#### Outputs\n\n{}\n", fence("diff", &lines, LARGEST))) {
        out.push("#### Outputs\n\nToo long to be shown here.\n\n");
    }
}

fn warnings(out: &mut Comment, plan: &Plan) {
    if plan.warnings.is_empty() {
        return;
    }
    let text = diagnostic::diagnostics(&plan.warnings, &plan.sources, 100);
    let text = strip_str(&text).to_string();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let heading = count(plan.warnings.len(), "warning");
    if !out.fits(&format!("#### {heading}\n\n{}\n", fence("text", &lines, LARGEST))) {
        out.push(&format!("#### {heading}\n\nToo long to be shown here.\n"));
    }
}

/// What differs, as lines of a diff.
fn diff_lines(leaves: &[Leaf]) -> Vec<String> {
    let mut lines = Vec::new();
    for leaf in leaves {
        let path = clean(&leaf.shown.to_string()).into_owned();
        let mut remarks = String::new();
        if leaf.drift {
            remarks.push_str("  (changed outside dollop)");
        }
        if leaf.replaces {
            remarks.push_str("  # forces replacement");
        }
        if let (Some(span), true) = (&leaf.span, leaf.before != Side::Absent) {
            let _ = write!(remarks, "  {}", clean(&span.to_string()));
        }
        match (leaf.before.text(), leaf.after.text()) {
            (Some(before), Some(after)) if before.contains('\n') || after.contains('\n') => {
                lines.push(format!("  {path}:{remarks}"));
                lines.extend(textdiff::lines(before, after).into_iter().map(
                    |line| match line {
                        Line::Same(text) => format!("    {}", clean(&text)),
                        Line::Gone(text) => format!("-   {}", clean(&text)),
                        Line::New(text) => format!("+   {}", clean(&text)),
                        Line::Note(text) => format!("  … {text}"),
                    },
                ));
                continue;
            }
            (None, Some(text)) if leaf.before == Side::Absent && text.contains('\n') => {
                lines.push(format!("+ {path}:{remarks}"));
                lines.extend(text.lines().map(|line| format!("+   {}", clean(line))));
                continue;
            }
            _ => {}
        }
        match (&leaf.before, &leaf.after) {
            (Side::Absent, after) => lines.push(format!("+ {path} = {}{remarks}", side(after))),
            (before, Side::Absent) => {
                lines.push(format!("- {path} = {}{remarks}", side(before)));
            }
            (before, after) => {
                lines.push(format!("- {path} = {}", side(before)));
                lines.push(format!("+ {path} = {}{remarks}", side(after)));
            }
        }
    }
    lines
}

fn side(side: &Side) -> String {
    match side {
        Side::Absent => "(nothing)".to_owned(),
        Side::Sensitive => "(sensitive)".to_owned(),
        Side::Known(dollop_engine::value::Value::String(text)) => quoted(text),
        Side::Known(value) => clean(&value.to_string()).into_owned(),
        Side::Unknown(_) => "(known after apply)".to_owned(),
    }
}

/// Lines in a fence that nothing in them can close; what is beyond `largest` characters is cut and
/// counted.
fn fence(language: &str, lines: &[String], largest: usize) -> String {
    let mut body = String::new();
    let mut length = 0;
    let mut shown = 0;
    for line in lines {
        let room = largest.saturating_sub(length);
        let characters = line.chars().count();
        if characters > room {
            if room < 200 {
                break;
            }
            let cut: String = line.chars().take(room - 100).collect();
            let left = characters - (room - 100);
            let _ = writeln!(body, "{cut}… ({})", count(left, "more character"));
            shown += 1;
            length = largest;
            continue;
        }
        let _ = writeln!(body, "{line}");
        length += characters + 1;
        shown += 1;
    }
    if shown < lines.len() {
        let _ = writeln!(body, "… {} not shown", count(lines.len() - shown, "more line"));
    }
    let mut longest = 0;
    let mut run = 0;
    for character in body.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{body}{fence}\n")
}

/// A sentence with its names as code.
fn html(sentence: &Sentence) -> String {
    let parts = sentence.0.iter().map(|piece| match piece {
        Piece::Words(words) => words.clone(),
        Piece::Name(name) => code(name),
    });
    parts.collect()
}

/// A name as code. Everything but letters, digits and a few harmless signs is an entity, so
/// that neither Markdown nor HTML sees it; mentions do not work inside `<code>`.
fn code(name: &str) -> String {
    let mut out = String::from("<code>");
    let cleaned = clean(name);
    for (index, character) in cleaned.chars().enumerate() {
        if index == LONGEST_NAME {
            out.push('…');
            break;
        }
        if character.is_alphanumeric() || matches!(character, ' ' | '.' | ':' | '/' | '-') {
            out.push(character);
        } else {
            let _ = write!(out, "&#{};", u32::from(character));
        }
    }
    out + "</code>"
}

#[cfg(test)]
mod tests;
