//! Findings as SARIF 2.1.0, which code hosts show beside the lines of a change.
//!
//! Only what such hosts read is written; the property names are those of the standard (OASIS
//! "Static Analysis Results Interchange Format", sections 3.14 to 3.30).

use std::collections::BTreeSet;

use dollop_engine::diagnostic::{Code, Diagnostic, Severity, Span};
use serde_json::{Value as Json, json};

use crate::render::explain;

/// A whole log with one run.
pub fn log(found: &[Diagnostic]) -> Json {
    let codes: BTreeSet<Code> = found.iter().map(|found| found.code).collect();
    let codes: Vec<Code> = codes.into_iter().collect();
    let rules: Vec<_> = codes.iter().copied().map(rule).collect();
    let results: Vec<_> = found.iter().map(|found| result(found, &codes)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "dollop",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                },
            },
            // Columns are counted as spans count them, not in UTF-16 units.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Json {
    json!({
        "id": code.id(),
        "shortDescription": { "text": code.title() },
        "help": {
            "text": code.title(),
            "markdown": explain::markdown(code).unwrap_or_default(),
        },
        "defaultConfiguration": { "level": level(code) },
    })
}

fn level(code: Code) -> &'static str {
    match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn result(found: &Diagnostic, codes: &[Code]) -> Json {
    let mut text = found.message.clone();
    for line in found.notes.iter().chain(&found.hints) {
        text.push('\n');
        text.push_str(line);
    }
    let related: Vec<_> = found
        .related
        .iter()
        .map(|(span, words)| (span, words.clone()))
        .chain(
            found.trace.iter().map(|(name, span)| (span, format!("in `{name}`, called here"))),
        )
        .enumerate()
        .map(|(id, (span, words))| {
            let mut location = location(span);
            location["id"] = json!(id);
            location["message"] = json!({ "text": words });
            location
        })
        .collect();
    json!({
        "ruleId": found.code.id(),
        "ruleIndex": codes.binary_search(&found.code).unwrap_or_default(),
        "level": level(found.code),
        "message": { "text": text },
        "locations": found.span.iter().map(location).collect::<Vec<_>>(),
        "relatedLocations": related,
    })
}

fn location(span: &Span) -> Json {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": &*span.file },
            "region": {
                "startLine": span.line,
                "startColumn": span.column,
                "endColumn": span.column + span.length,
            },
        },
    })
}
