//! Plans and findings in a form made for tests: nothing of the presentation.

use std::fmt::Write as _;

use dollop_engine::diagnostic::Findings;
use dollop_engine::plan::{Action, CheckStanding, LookupOutcome, Operation, Plan, Standing};

use super::seen;

pub(super) fn show_plan(plan: &Plan) -> String {
    let mut text = String::new();
    for connection in &plan.connections {
        if let Standing::Deferred(by) = &connection.standing {
            writeln!(text, "deferred {} {by:?}", connection.address).unwrap();
        }
    }
    for lookup in &plan.lookups {
        let outcome = match &lookup.outcome {
            LookupOutcome::Found { .. } => "found",
            LookupOutcome::Missing => "missing",
            LookupOutcome::Later => "later",
        };
        writeln!(text, "{outcome} {}", lookup.address).unwrap();
    }
    for change in &plan.changes {
        if change.action == Action::Keep {
            continue;
        }
        let action = format!("{:?}", change.action).to_lowercase();
        let reasons: Vec<_> = change.reasons.iter().map(|r| format!("{r:?}")).collect();
        write!(text, "{action} {}: {}", change.address, reasons.join(", ")).unwrap();
        if change.disruption != dollop_engine::schema::Disruption::None {
            write!(text, " [{:?}]", change.disruption).unwrap();
        }
        match change.succession {
            Some(succession) if succession.begun => text.push_str(" (begun)"),
            Some(_) => text.push_str(" (first)"),
            None => {}
        }
        text.push('\n');
        if matches!(change.action, Action::Delete | Action::Forget) {
            continue;
        }
        for difference in &change.differences {
            let before = difference
                .before
                .as_ref()
                .map_or("-".to_owned(), std::string::ToString::to_string);
            let after = difference
                .after
                .as_ref()
                .map_or("-".to_owned(), std::string::ToString::to_string);
            write!(text, "  {}: {before} → {after}", difference.path).unwrap();
            text.push_str(if difference.drift { " drift" } else { "" });
            text.push_str(if difference.replaces { " replaces" } else { "" });
            text.push('\n');
        }
    }
    if let Some(left) = &plan.left_out {
        for address in &left.changes {
            writeln!(text, "left out {address}").unwrap();
        }
        for address in &left.dependents {
            writeln!(text, "left as it is {address}").unwrap();
        }
    }
    for address in &plan.dormant {
        writeln!(text, "dormant {address}").unwrap();
    }
    for output in plan.outputs.iter().filter(|output| output.differs()) {
        let after =
            output.after.as_ref().map_or("-".to_owned(), std::string::ToString::to_string);
        writeln!(text, "output {} → {after}", output.name).unwrap();
    }
    let shown = plan.steps.iter().filter(|step| {
        plan.change(&step.address).is_none_or(|change| change.action != Action::Keep)
    });
    for step in shown {
        let needs: Vec<_> = step.needs.iter().map(|need| need.0.to_string()).collect();
        let operation = match step.operation {
            Operation::Record => continue,
            other => format!("{other:?}").to_lowercase(),
        };
        write!(text, "{:>3} {operation} {}", step.id.0, step.address).unwrap();
        if !needs.is_empty() {
            write!(text, " after {}", needs.join(" ")).unwrap();
        }
        text.push('\n');
    }
    for check in plan.checks.iter().filter(|check| check.standing != CheckStanding::Passes) {
        let standing = format!("{:?}", check.standing).to_lowercase();
        writeln!(text, "check {}: {standing}", check.check.name).unwrap();
    }
    seen(&plan.warnings);
    for warning in &plan.warnings {
        writeln!(text, "warning: {}", warning.message).unwrap();
        for note in &warning.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for hint in &warning.hints {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("no changes\n");
    }
    text
}

pub(super) fn show_findings(findings: &Findings) -> String {
    seen(&findings.diagnostics);
    let mut text = String::new();
    for found in &findings.diagnostics {
        let place = found.span.as_ref().map_or(String::new(), |span| format!("{span}: "));
        writeln!(text, "{place}{}", found.message).unwrap();
        if let Some(span) = &found.span
            && let Some(source) = findings.sources.0.get(&span.file)
            && let Some(line) = source.lines().nth(span.line as usize - 1)
        {
            let shift = line.len() - line.trim_start().len();
            let column = (span.column as usize - 1).saturating_sub(shift);
            writeln!(text, "  {}", line.trim_start()).unwrap();
            writeln!(text, "  {}{}", " ".repeat(column), "^".repeat(span.length as usize))
                .unwrap();
        }
        for (span, words) in &found.related {
            writeln!(text, "  {span}: {words}").unwrap();
        }
        for (name, span) in &found.trace {
            writeln!(text, "  in {name}: {span}").unwrap();
        }
        for note in &found.notes {
            writeln!(text, "  note: {note}").unwrap();
        }
        for hint in &found.hints {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    text
}
