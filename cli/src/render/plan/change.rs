//! One change as a block: sign, address, disturbance, why, and what differs.

use std::fmt::Write as _;

use anstyle::Style;
use dollop_engine::plan::{Action, Change, Plan, Reason};
use dollop_engine::schema::Disruption;

use super::leaf;
use crate::render::leaf::{leaves, worth_showing};
use crate::render::reasons::Reasons;
use crate::render::style::{BOLD, CARE, CHANGED, DANGER, DIM, GONE, LOOKED, NEW, paint};
use crate::render::text::{self, wrap};
use crate::render::{Screen, words};

/// The colour of an action.
pub(super) fn style(action: Action) -> Style {
    match action {
        Action::Create => NEW,
        Action::Update => CHANGED,
        Action::Replace => CARE,
        Action::Delete | Action::Cascade => GONE,
        Action::Adopt | Action::Forget | Action::Verify | Action::Keep => LOOKED,
    }
}

/// Writes one change.
pub(super) fn block(
    out: &mut String,
    plan: &Plan,
    why: &Reasons<'_>,
    change: &Change,
    screen: &Screen,
) {
    let folded = matches!(change.action, Action::Delete | Action::Cascade | Action::Forget)
        && !screen.verbose;
    if !folded && !out.ends_with("\n\n") {
        out.push('\n');
    }
    let used = heading(out, change, screen);
    // The head of the plan says why once; here one word is enough.
    let said = short_deferral(change) && !screen.verbose;
    let reasons = change
        .reasons
        .iter()
        .filter(|reason| !(said && matches!(reason, Reason::Deferred(_))))
        .filter_map(|reason| why.sentence(reason))
        .map(|sentence| sentence.plain());
    if folded {
        let reasons: Vec<_> = reasons.collect();
        if !reasons.is_empty() {
            let _ = write!(out, "  {}", wrap(&reasons.join("; "), screen.width, used + 2, 6));
        }
        out.push('\n');
        return;
    }
    out.push('\n');
    for sentence in reasons {
        let _ = writeln!(out, "      {}", wrap(&sentence, screen.width, 6, 8));
    }
    for note in plan.notes.get(&change.address).into_iter().flatten() {
        let _ = writeln!(out, "      {}", wrap(&text::clean(note), screen.width, 6, 8));
    }
    let mut shown = leaves(&change.differences);
    if !screen.verbose {
        worth_showing(change, &mut shown);
    }
    let mut layout = leaf::Layout::new(&shown, 6, screen);
    // Of what is new all is set by the script; where, is asked for.
    if matches!(change.action, Action::Delete)
        || (change.action == Action::Create && !screen.verbose)
    {
        layout = layout.without_positions();
    }
    for item in &shown {
        leaf::write(out, item, &layout);
    }
    out.push('\n');
}

/// `  ~ docker::container.web  [restart]  stack.rhai:12:5`; returns its width.
fn heading(out: &mut String, change: &Change, screen: &Screen) -> usize {
    let (symbol, _) = words::sign(change);
    let address = change.address.to_string();
    let mut line = format!(
        "{} {}",
        paint(style(change.action), format!("{symbol:>3}")),
        paint(BOLD, &address)
    );
    let mut used = 4 + text::width(&address);
    if let Some(word) = words::disturbance(change.disruption) {
        let strong = if change.disruption == Disruption::DataLoss { DANGER } else { CARE };
        let _ = write!(line, "  {}", paint(strong, format!("[{word}]")));
        used += word.len() + 4;
    }
    if change.creates_first() {
        let word = "[create before destroy]";
        let _ = write!(line, "  {}", paint(NEW, word));
        used += word.len() + 2;
    }
    if short_deferral(change) {
        let _ = write!(line, "  {}", paint(DIM, "(deferred)"));
        used += 12;
    }
    if let Some(span) = &change.span {
        let span = text::clean(&span.to_string()).into_owned();
        if used + 2 + text::width(&span) <= screen.width {
            let _ = write!(line, "  {}", paint(DIM, &span));
            used += 2 + text::width(&span);
        }
    }
    out.push_str(&line);
    used
}

/// A create behind a deferred connection: one word is enough.
fn short_deferral(change: &Change) -> bool {
    change.action == Action::Create
        && change.reasons.iter().any(|reason| matches!(reason, Reason::Deferred(_)))
}
