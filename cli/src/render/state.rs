//! What dollop remembers of a stack.

use std::fmt::Write as _;

use dollop_engine::address::Address;
use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::store::{Record, State};
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use crate::error::CommandError;
use crate::render::json::{FORMAT_VERSION, values};
use crate::render::leaf::{Side, masked_json, value_leaves};
use crate::render::style::{BOLD, CARE, DIM, LOOKED, paint};
use crate::render::text::{clean, clip, count, pad, quoted, width};
use crate::render::{Screen, output};

/// One address a line, connections included.
pub fn list(state: &State) -> String {
    let mut out = String::new();
    for address in state.records.keys() {
        let _ = writeln!(out, "{address}");
    }
    out
}

/// The whole state, record by record, then the outputs.
pub fn show(state: &State, screen: &Screen) -> String {
    let mut out = String::new();
    if state.records.is_empty() {
        return paint(DIM, "nothing is recorded yet") + "\n";
    }
    let what = count(state.records.len(), "record");
    let title = format!("Stack `{}`, state {}, {what}", clean(&state.stack), state.serial);
    let _ = writeln!(out, "{}\n", paint(BOLD, title));
    for record in state.records.values() {
        self::record(&mut out, record, screen);
        out.push('\n');
    }
    if !state.outputs.is_empty() {
        let _ = writeln!(out, "{}", paint(BOLD, "Outputs"));
        out.push_str(&output::table(&state.outputs));
    }
    out
}

/// One record.
pub fn show_one(
    state: &State,
    address: &Address,
    screen: &Screen,
) -> Result<String, CommandError> {
    let mut out = String::new();
    record(&mut out, find(state, address)?, screen);
    Ok(out)
}

/// One record as JSON, secrets masked.
pub fn one_json(state: &State, address: &Address) -> Result<Json, CommandError> {
    Ok(record_json(find(state, address)?))
}

/// The whole state as JSON, secrets masked.
pub fn json(state: &State) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "stack": state.stack,
        "serial": state.serial,
        "records": state.records.values().map(record_json).collect::<Vec<_>>(),
        "outputs": values(&state.outputs),
    })
}

fn find<'a>(state: &'a State, address: &Address) -> Result<&'a Record, CommandError> {
    if let Some(record) = state.records.get(address) {
        return Ok(record);
    }
    let error = CommandError::failed(format!("`{address}` is not in the state"));
    let known: Vec<_> = state.records.keys().map(Address::to_string).collect();
    Err(match did_you_mean(&address.to_string(), known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`dollop state list` shows every address"),
    })
}

fn record(out: &mut String, record: &Record, screen: &Screen) {
    let mut title = paint(BOLD, &record.address);
    if record.interrupted {
        let _ = write!(title, "  {}", paint(CARE, "(interrupted: may not be whole)"));
    }
    let _ = writeln!(out, "{title}");
    let mut head = Vec::new();
    if !record.id.is_empty() {
        head.push(("id", clean(&record.id).into_owned()));
    }
    if let Some(connection) = &record.connection {
        head.push(("through", connection.to_string()));
    }
    if !record.dependencies.is_empty() {
        let names: Vec<_> = record.dependencies.iter().map(Address::to_string).collect();
        head.push(("needs", names.join(", ")));
    }
    if record.lifecycle.prevent_destroy {
        head.push(("guarded", "`prevent_destroy` is set".to_owned()));
    }
    for (label, text) in head {
        let text = clip(&text, screen.width.saturating_sub(12)).into_owned();
        let _ = writeln!(out, "  {}", paint(DIM, format!("{label:8}  {text}")));
    }
    leaves(out, "attributes", &record.spec, screen);
    leaves(out, "reported", &record.facts, screen);
}

fn leaves(out: &mut String, title: &str, value: &Value, screen: &Screen) {
    let leaves = value_leaves(value);
    if leaves.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {}", paint(DIM, title));
    let path = |path: &dollop_engine::path::Path| clean(&path.to_string()).into_owned();
    let most = screen.width / 3;
    let widths = leaves.iter().map(|(at, _)| width(&path(at))).filter(|width| *width <= most);
    let column = widths.max().unwrap_or(0);
    for (at, side) in &leaves {
        let path = pad(&path(at), column);
        let room = screen.width.saturating_sub(6 + width(&path)).max(8);
        let text = match side {
            Side::Known(Value::String(text)) => clip(&quoted(text), room).into_owned(),
            Side::Known(value) => clip(&clean(&value.to_string()), room).into_owned(),
            _ => paint(LOOKED, "(sensitive)"),
        };
        let _ = writeln!(out, "    {path}  {text}");
    }
}

fn record_json(record: &Record) -> Json {
    let (attributes, hidden) = masked_json(&record.spec);
    let (facts, hidden_facts) = masked_json(&record.facts);
    json!({
        "address": record.address,
        "kind": record.address.kind(),
        "connection": record.connection,
        "id": record.id,
        "attributes": attributes,
        "facts": facts,
        "sensitive": hidden || hidden_facts,
        "dependencies": record.dependencies,
        "interrupted": record.interrupted,
        "prevent_destroy": record.lifecycle.prevent_destroy,
    })
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use dollop_engine::program::Lifecycle;

    use super::*;
    use crate::render::fixture::{SECRET, address, json as value};

    fn state() -> State {
        let mut spec = value(r#"{"image": "pg:16", "env": {"PASSWORD": ""}, "ports": []}"#);
        if let Value::Map(entries) = &mut spec {
            let secret = Value::string(SECRET).secret();
            entries.insert("env".to_owned(), Value::Map([("PW".to_owned(), secret)].into()));
        }
        let record = Record {
            connection: Some(address("docker::engine.default")),
            id: "4f1a".to_owned(),
            spec,
            facts: value(r#"{"ip": "10.0.0.2"}"#),
            dependencies: vec![address("docker::network.app")],
            lifecycle: Lifecycle { prevent_destroy: true, ..Lifecycle::default() }.shared(),
            interrupted: true,
            ..Record::of(address("docker::container.pg"))
        };
        State {
            serial: 3,
            stack: "shop".to_owned(),
            records: [(record.address.clone(), record)].into(),
            outputs: [("pw".to_owned(), Value::string(SECRET).secret())].into(),
        }
    }

    #[test]
    fn a_state_reads_well() {
        assert_eq!(list(&state()), "docker::container.pg\n");
        let text = show(&state(), &Screen::wide(80));
        insta::assert_snapshot!(strip_str(&text), @r#"
        Stack `shop`, state 3, 1 record

        docker::container.pg  (interrupted: may not be whole)
          id        4f1a
          through   docker::engine.default
          needs     docker::network.app
          guarded   `prevent_destroy` is set
          attributes
            env.PW  (sensitive)
            image   "pg:16"
            ports   []
          reported
            ip  "10.0.0.2"

        Outputs
        pw = (sensitive)
        "#);
    }

    #[test]
    fn json_masks_secrets() {
        let text = json(&state()).to_string();
        assert!(!text.contains(SECRET), "{text}");
        let one = one_json(&state(), &address("docker::container.pg")).unwrap();
        assert_eq!(one["attributes"]["env"]["PW"], Json::Null);
        assert_eq!(one["sensitive"], true);
    }

    #[test]
    fn an_unknown_address_gets_a_suggestion() {
        let wrong = address("docker::container.pq");
        let error = show_one(&state(), &wrong, &Screen::wide(80)).unwrap_err();
        assert_eq!(error.hints, ["did you mean `docker::container.pg`?"]);
    }
}
