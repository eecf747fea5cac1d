//! Plans and diagnostics for programs: a versioned form, secrets never in clear.

use std::collections::BTreeMap;

use dollop_engine::diagnostic::{Diagnostic, Severity, Span};
use dollop_engine::expr::Expr;
use dollop_engine::plan::{
    Action, Change, CheckPlan, ConnectionPlan, DeferredBy, Difference, LookupOutcome,
    LookupPlan, Loss, Plan, Standing, Step, Summary,
};
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use crate::render::leaf::{Leaf, Side, leaves, masked_json, output_leaves};
use crate::render::reasons::Reasons;
use crate::render::tally::Tally;
use crate::render::words;

/// The version of the form. The second number grows when something is added, the first when
/// something readers may rely on changes.
pub const FORMAT_VERSION: &str = "1.3";

/// A plan.
pub fn plan(plan: &Plan) -> Json {
    let changed: Vec<_> =
        plan.changes.iter().filter(|change| change.action != Action::Keep).collect();
    let why = Reasons::of(plan);
    let mut form = json!({
        "format_version": FORMAT_VERSION,
        "stack": plan.stack,
        "environment": plan.environment,
        "profiles": plan.profiles,
        "left_out": plan.left_out,
        "dormant": plan.dormant.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "serial": plan.serial,
        "destroy": plan.destroy,
        "refreshed": !plan.unrefreshed,
        "has_changes": plan.has_changes(),
        "summary": summary(plan.summary()),
        "digests": plan.digests,
        "contents": plan.contents,
    });
    // What is inside the macro is copied, all that is in it included.
    form["connections"] = plan.connections.iter().map(connection).collect();
    form["changes"] = changed.into_iter().map(|item| change(plan, &why, item)).collect();
    form["steps"] = plan.steps.iter().map(step).collect();
    form["outputs"] = outputs(plan);
    form["lookups"] = plan.lookups.iter().map(lookup).collect();
    form["checks"] = plan.checks.iter().map(check).collect();
    form["losses"] = plan.losses.iter().map(|item| loss(plan, item)).collect();
    form["warnings"] = plan.warnings.iter().map(diagnostic).collect();
    form
}

fn check(planned: &CheckPlan) -> Json {
    json!({
        "name": planned.check.name,
        "standing": planned.standing,
        "position": position(&planned.check.span),
    })
}

fn loss(plan: &Plan, loss: &Loss) -> Json {
    json!({
        "address": loss.address,
        "content": loss.content,
        "empty": loss.empty,
        "allowed": loss.empty || plan.consents.contains(&loss.address),
    })
}

fn lookup(planned: &LookupPlan) -> Json {
    json!({
        "address": planned.address,
        "connection": planned.connection,
        "outcome": match &planned.outcome {
            LookupOutcome::Found { .. } => "found",
            LookupOutcome::Missing => "missing",
            LookupOutcome::Later => "later",
        },
        "position": position(&planned.span),
    })
}

fn step(step: &Step) -> Json {
    json!({
        "id": step.id,
        "address": step.address,
        "operation": step.operation,
        "needs": step.needs,
    })
}

/// Diagnostics, for `--format json` of a command that failed.
pub fn diagnostics(found: &[Diagnostic]) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "diagnostics": found.iter().map(diagnostic).collect::<Vec<_>>(),
    })
}

/// What came of an apply: `apply --format json`.
pub fn applied<'a>(
    plan: &Plan,
    tally: &Tally,
    outputs: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "stack": plan.stack,
        "complete": tally.complete(),
        "planned": summary(plan.summary()),
        "warnings": plan.warnings.iter().map(diagnostic).collect::<Vec<_>>(),
        "diagnostics": tally.errors().iter().map(diagnostic).collect::<Vec<_>>(),
        "outputs": values(outputs),
    })
}

/// One diagnostic.
pub fn diagnostic(found: &Diagnostic) -> Json {
    json!({
        "code": found.code,
        "severity": match found.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": found.message,
        "position": found.span.as_ref().map(position),
        "label": found.label,
        "related": found.related.iter().map(|(span, words)| json!({
            "position": position(span),
            "message": words,
        })).collect::<Vec<_>>(),
        "notes": found.notes,
        "hints": found.hints,
        "trace": found.trace.iter().map(|(function, span)| json!({
            "function": function,
            "position": position(span),
        })).collect::<Vec<_>>(),
    })
}

/// A place in a script.
pub fn position(span: &Span) -> Json {
    json!({
        "file": &*span.file,
        "line": span.line,
        "column": span.column,
        "length": span.length,
    })
}

/// Named values with secrets masked, as `{"name": {"value": …, "sensitive": …}}`.
pub fn values<'a>(values: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Json {
    let entries = values.into_iter().map(|(name, value)| {
        let (json, sensitive) = masked_json(value);
        (name.clone(), json!({"value": json, "sensitive": sensitive}))
    });
    Json::Object(entries.collect())
}

/// JSON as text with a line break at the end.
pub fn text(json: &Json) -> String {
    format!("{json:#}\n")
}

fn summary(summary: Summary) -> Json {
    json!({
        "create": summary.create,
        "update": summary.update,
        "replace": summary.replace,
        "delete": summary.delete,
        "cascade": summary.cascade,
        "adopt": summary.adopt,
        "forget": summary.forget,
        "verify": summary.verify,
        "unchanged": summary.keep,
    })
}

fn connection(connection: &ConnectionPlan) -> Json {
    let (standing, because) = match &connection.standing {
        Standing::Open => ("open", Json::Null),
        Standing::Unused => ("unused", Json::Null),
        Standing::Unrefreshed => ("unrefreshed", Json::Null),
        Standing::Deferred(DeferredBy::Upstream { address, action }) => (
            "deferred",
            json!({"address": address, "action": words::verb(*action), "attribute": null}),
        ),
        Standing::Deferred(DeferredBy::Unknown { attribute }) => {
            ("deferred", json!({"address": null, "action": null, "attribute": attribute}))
        }
    };
    json!({
        "address": connection.address,
        "target": if connection.target.is_empty() { None } else { Some(&connection.target) },
        "standing": standing,
        "because": because,
        "implicit": connection.implicit,
    })
}

fn change(plan: &Plan, why: &Reasons<'_>, change: &Change) -> Json {
    let reasons = change
        .reasons
        .iter()
        .map(|reason| {
            // The tag of the serialised form is the stable name of the reason.
            let kind = match serde_json::to_value(reason) {
                Ok(Json::String(kind)) => kind,
                Ok(Json::Object(tagged)) => tagged.keys().next().cloned().unwrap_or_default(),
                _ => String::new(),
            };
            let message = why.sentence(reason).map(|sentence| sentence.plain());
            json!({"kind": kind, "message": message})
        })
        .collect();
    let mut form = json!({
        "address": change.address,
        "kind": change.address.kind(),
        "connection": change.connection,
        "action": words::verb(change.action),
        "notes": plan.notes.get(&change.address).cloned().unwrap_or_default(),
        "create_before_destroy": change.creates_first(),
        "disruption": change.disruption,
        "data_loss": change.loses_data(),
        "drift": change.drifted(),
        "id": change.id,
        "position": change.span.as_ref().map(position),
    });
    form["reasons"] = reasons;
    form["differences"] = differences(&change.differences).into();
    form
}

/// What differs, as in a plan.
pub fn differences(all: &[Difference]) -> Vec<Json> {
    leaves(all).iter().map(difference).collect()
}

fn difference(leaf: &Leaf) -> Json {
    let mut json = sides(leaf);
    if let Json::Object(object) = &mut json {
        object.insert("path".to_owned(), Json::String(leaf.path.to_string()));
        object.insert("drift".to_owned(), Json::Bool(leaf.drift));
        object.insert("replaces".to_owned(), Json::Bool(leaf.replaces));
        let position = leaf.span.as_ref().map_or(Json::Null, position);
        object.insert("position".to_owned(), position);
    }
    json
}

fn sides(leaf: &Leaf) -> Json {
    let known = |side: &Side| match side {
        Side::Known(value) => value.to_json(),
        _ => Json::Null,
    };
    let waits: Vec<_> = leaf.after.waits_for().iter().map(ToString::to_string).collect();
    json!({
        "before": known(&leaf.before),
        "after": known(&leaf.after),
        "after_unknown": matches!(leaf.after, Side::Unknown(_)),
        "after_waits_for": waits,
        "sensitive": leaf.before == Side::Sensitive || leaf.after == Side::Sensitive,
    })
}

fn outputs(plan: &Plan) -> Json {
    let leaves = output_leaves(&plan.outputs);
    let mut by_name: BTreeMap<&str, Vec<&Leaf>> = BTreeMap::new();
    for leaf in &leaves {
        by_name.entry(leaf.path.first().unwrap_or_default()).or_default().push(leaf);
    }
    let found = plan.outputs.iter().map(|output| {
        let action = match (&output.before, &output.after) {
            _ if !output.differs() => "keep",
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        };
        let own = by_name.get(output.name.as_str()).map_or(&[][..], Vec::as_slice);
        let unknown = output.after.as_ref().is_some_and(|after| after.known().is_none());
        let hidden = own
            .iter()
            .any(|leaf| leaf.before == Side::Sensitive || leaf.after == Side::Sensitive);
        let (before, was_secret) =
            output.before.as_ref().map_or((Json::Null, false), masked_json);
        let (after, is_secret) = output
            .after
            .as_ref()
            .and_then(Expr::known)
            .map_or((Json::Null, false), masked_json);
        let sensitive = hidden || was_secret || is_secret;
        json!({
            "name": output.name,
            "action": action,
            // What is secret on one side may stand in clear on the other.
            "before": if sensitive { Json::Null } else { before },
            "after": if sensitive { Json::Null } else { after },
            "after_unknown": unknown,
            "sensitive": sensitive,
        })
    });
    Json::Array(found.collect())
}

#[cfg(test)]
mod tests {
    use dollop_engine::diagnostic::Code;

    use super::*;
    use crate::render::fixture;

    #[test]
    fn a_plan_has_a_versioned_shape() {
        let json = plan(&fixture::small());
        insta::assert_snapshot!(text(&json), @r#"
        {
          "changes": [
            {
              "action": "create",
              "address": "docker::network.app",
              "connection": null,
              "create_before_destroy": false,
              "data_loss": false,
              "differences": [
                {
                  "after": "bridge",
                  "after_unknown": false,
                  "after_waits_for": [],
                  "before": null,
                  "drift": false,
                  "path": "driver",
                  "position": null,
                  "replaces": false,
                  "sensitive": false
                },
                {
                  "after": {},
                  "after_unknown": false,
                  "after_waits_for": [],
                  "before": null,
                  "drift": false,
                  "path": "labels",
                  "position": null,
                  "replaces": false,
                  "sensitive": false
                }
              ],
              "disruption": "none",
              "drift": false,
              "id": null,
              "kind": "docker::network",
              "notes": [],
              "position": {
                "column": 1,
                "file": "stack.rhai",
                "length": 6,
                "line": 3
              },
              "reasons": [
                {
                  "kind": "new",
                  "message": null
                }
              ]
            },
            {
              "action": "update",
              "address": "docker::container.web",
              "connection": "docker::engine.default",
              "create_before_destroy": false,
              "data_loss": false,
              "differences": [
                {
                  "after": "debug",
                  "after_unknown": false,
                  "after_waits_for": [],
                  "before": "info",
                  "drift": true,
                  "path": "env.LOG",
                  "position": {
                    "column": 14,
                    "file": "stack.rhai",
                    "length": 6,
                    "line": 9
                  },
                  "replaces": false,
                  "sensitive": false
                },
                {
                  "after": null,
                  "after_unknown": false,
                  "after_waits_for": [],
                  "before": null,
                  "drift": false,
                  "path": "env.PASSWORD",
                  "position": null,
                  "replaces": false,
                  "sensitive": true
                },
                {
                  "after": null,
                  "after_unknown": true,
                  "after_waits_for": [
                    "docker::container.pg:ip"
                  ],
                  "before": "10.0.0.7",
                  "drift": false,
                  "path": "env.DB",
                  "position": null,
                  "replaces": false,
                  "sensitive": false
                }
              ],
              "disruption": "restart",
              "drift": true,
              "id": "4f1a",
              "kind": "docker::container",
              "notes": [],
              "position": {
                "column": 1,
                "file": "stack.rhai",
                "length": 6,
                "line": 7
              },
              "reasons": [
                {
                  "kind": "changed",
                  "message": null
                }
              ]
            }
          ],
          "checks": [],
          "connections": [],
          "contents": {},
          "destroy": false,
          "digests": {},
          "dormant": [],
          "environment": "default",
          "format_version": "1.3",
          "has_changes": true,
          "left_out": null,
          "lookups": [],
          "losses": [],
          "outputs": [
            {
              "action": "create",
              "after": "http://localhost:8080",
              "after_unknown": false,
              "before": null,
              "name": "url",
              "sensitive": false
            }
          ],
          "profiles": {},
          "refreshed": true,
          "serial": 7,
          "stack": "shop",
          "steps": [],
          "summary": {
            "adopt": 0,
            "cascade": 0,
            "create": 1,
            "delete": 0,
            "forget": 0,
            "replace": 0,
            "unchanged": 1,
            "update": 1,
            "verify": 0
          },
          "warnings": []
        }
        "#);
    }

    #[test]
    fn no_secret_is_in_any_plan() {
        let text = text(&plan(&fixture::everything()));
        assert!(!text.contains(fixture::SECRET), "{text}");
    }

    #[test]
    fn diagnostics_have_positions() {
        let span = Span { file: "main.rhai".into(), line: 2, column: 5, length: 9 };
        let mut found =
            Diagnostic::new(Code::Syntax, "no").at(span.clone()).hint("do").label("here");
        found.trace.push(("f".to_owned(), span));
        insta::assert_snapshot!(text(&diagnostics(&[found])), @r#"
        {
          "diagnostics": [
            {
              "code": "E0101",
              "hints": [
                "do"
              ],
              "label": "here",
              "message": "no",
              "notes": [],
              "position": {
                "column": 5,
                "file": "main.rhai",
                "length": 9,
                "line": 2
              },
              "related": [],
              "severity": "error",
              "trace": [
                {
                  "function": "f",
                  "position": {
                    "column": 5,
                    "file": "main.rhai",
                    "length": 9,
                    "line": 2
                  }
                }
              ]
            }
          ],
          "format_version": "1.3"
        }
        "#);
    }
}
