//! A plan for a terminal: what happens, why, and what must not be missed.

mod change;
mod leaf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::plan::{Action, Change, Plan, Reason, Standing};

use crate::render::reasons::Reasons;
use crate::render::style::{BOLD, CARE, DANGER, DIM, paint};
use crate::render::text::{clean, count, wrap};
use crate::render::{Screen, diagnostic, words};

/// How many lines a folded list shows.
const FOLDED: usize = 20;

/// The whole plan, risks and summary last, so that they are what stays on the screen.
pub fn plan(plan: &Plan, screen: &Screen) -> String {
    let mut out = String::new();
    header(&mut out, plan, screen);
    drift(&mut out, plan, screen);
    legend(&mut out, plan);
    let why = Reasons::of(plan);
    for change in plan.changes.iter().filter(|change| !folded(change, screen)) {
        change::block(&mut out, plan, &why, change, screen);
    }
    together(&mut out, plan, screen);
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    outputs(&mut out, plan, screen);
    if !plan.warnings.is_empty() {
        out.push_str(&diagnostic::diagnostics(&plan.warnings, &plan.sources, screen.width));
        out.push('\n');
    }
    risks(&mut out, plan, screen);
    if let Some(checks) = words::checks(plan) {
        let _ = writeln!(out, "{checks}");
    }
    // `1 to update` is not torn apart.
    let summary = words::summary(plan).replace(" to ", "\u{a0}to\u{a0}");
    let summary = wrap(&summary, screen.width, 0, 2).replace('\u{a0}', " ");
    let _ = writeln!(out, "{}", paint(BOLD, summary));
    out
}

/// Whether a change is only counted: it stays, or is one of many that are merely verified or
/// go along with something else.
fn folded(change: &Change, screen: &Screen) -> bool {
    match change.action {
        Action::Keep => true,
        Action::Verify => !screen.verbose && change.differences.is_empty(),
        Action::Cascade => !screen.verbose,
        _ => false,
    }
}

/// What is only counted, a line for each connection or parent.
fn together(out: &mut String, plan: &Plan, screen: &Screen) {
    let mut groups: BTreeMap<(Action, &Address), usize> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| folded(change, screen)) {
        let with = match change.action {
            Action::Verify => change.connection.as_ref(),
            Action::Cascade => change.reasons.iter().find_map(|reason| match reason {
                Reason::GoesWith(with) => Some(with),
                _ => None,
            }),
            _ => None,
        };
        if let Some(with) = with {
            *groups.entry((change.action, with)).or_default() += 1;
        }
    }
    if groups.is_empty() {
        return;
    }
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    for ((action, with), number) in groups {
        let symbol = paint(change::style(action), format!("{:>3}", words::symbol(action)));
        let many = paint(BOLD, count(number, "object"));
        let with = clean(&with.to_string()).into_owned();
        let rest = match action {
            Action::Verify => format!("in {with}: looked at once it answers"),
            _ => format!("in {with}: deleted along with it"),
        };
        let _ = writeln!(out, "{symbol} {many} {}", wrap(&rest, screen.width, 16, 6));
    }
    let _ = writeln!(out, "    {}", paint(DIM, "`--verbose` names them"));
}

fn header(out: &mut String, plan: &Plan, screen: &Screen) {
    let what = if plan.destroy { "Plan to destroy stack" } else { "Plan for stack" };
    let mut title = format!("{what} `{}`", clean(&plan.stack));
    if let Some(environment) = words::environment(plan) {
        let _ = write!(title, ", environment `{}`", clean(environment));
    }
    let _ = writeln!(out, "{}", paint(BOLD, title));
    for sentence in words::left_out(plan).into_iter().chain(words::profiles(plan)) {
        let _ = writeln!(out, "  {}", wrap(&sentence.plain(), screen.width, 2, 4));
    }
    if plan.unrefreshed {
        let words = "nothing was read: compared with the last known state (`--no-refresh`)";
        let _ = writeln!(out, "  {}", paint(CARE, words));
    }
    for connection in &plan.connections {
        if let Some(sentence) = words::deferral(connection) {
            let text = wrap(&sentence.plain(), screen.width, 2, 4);
            let _ = writeln!(out, "  {text}");
        } else if screen.verbose && connection.standing == Standing::Open {
            let address = clean(&connection.address.to_string()).into_owned();
            let target = clean(&connection.target).into_owned();
            let _ = writeln!(out, "  {}", paint(DIM, format!("`{address}` is {target}")));
        }
    }
    for sentence in plan.lookups.iter().filter_map(words::later) {
        let text = wrap(&sentence.plain(), screen.width, 2, 4);
        let _ = writeln!(out, "  {text}");
    }
    out.push('\n');
}

/// What changed outside dollop, said before anything else.
fn drift(out: &mut String, plan: &Plan, screen: &Screen) {
    let drifted = words::drift(plan);
    if drifted.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint(CARE, "Changed outside dollop since the last run:"));
    let shown = if screen.verbose { drifted.len() } else { FOLDED };
    for (change, paths) in drifted.iter().take(shown) {
        let what = if paths.is_empty() { "is gone".to_owned() } else { paths.join(", ") };
        let line = format!("{}: {}", change.address, clean(&what));
        let _ = writeln!(out, "  {}", wrap(&line, screen.width, 2, 4));
    }
    more(out, drifted.len().saturating_sub(shown));
    out.push('\n');
}

/// The signs that occur, with what they stand for.
fn legend(out: &mut String, plan: &Plan) {
    let used: BTreeMap<_, _> = plan
        .changes
        .iter()
        .filter(|change| !matches!(change.action, Action::Keep | Action::Cascade))
        .map(|change| ((change.action, change.creates_first()), words::sign(change)))
        .collect();
    for ((action, _), (symbol, meaning)) in &used {
        let symbol = paint(change::style(*action), format!("{symbol:>3}"));
        let _ = writeln!(out, "{symbol}  {}", paint(DIM, meaning));
    }
    if !used.is_empty() {
        out.push('\n');
    }
}

fn outputs(out: &mut String, plan: &Plan, screen: &Screen) {
    let leaves = crate::render::leaf::output_leaves(&plan.outputs);
    if leaves.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint(BOLD, "Outputs"));
    let layout = leaf::Layout::new(&leaves, 4, screen).without_positions();
    for item in &leaves {
        leaf::write(out, item, &layout);
    }
    out.push('\n');
}

fn risks(out: &mut String, plan: &Plan, screen: &Screen) {
    let risks = words::risks(plan);
    if risks.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint(CARE, "Risks"));
    // Data loss is never folded away.
    let losses = risks.iter().filter(|risk| risk.data_loss).count();
    let shown = if screen.verbose { risks.len() } else { FOLDED.max(losses) };
    for risk in risks.iter().take(shown) {
        let (style, label) =
            if risk.data_loss { (DANGER, "DATA LOSS") } else { (CARE, "replace") };
        let line = format!("{} {}", risk.change.address, risk.because.plain());
        let _ = writeln!(
            out,
            "  {}  {}",
            paint(style, format!("{label:9}")),
            wrap(&line, screen.width, 13, 13)
        );
    }
    more(out, risks.len().saturating_sub(shown));
    out.push('\n');
}

fn more(out: &mut String, hidden: usize) {
    if hidden > 0 {
        let words = format!("{} not shown; `--verbose` shows all", count(hidden, "more line"));
        let _ = writeln!(out, "  {}", paint(DIM, words));
    }
}
