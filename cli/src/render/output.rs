//! The outputs of a stack.

use std::collections::BTreeMap;

use dollop_engine::value::Value;
use serde_json::Value as Json;

use crate::error::CommandError;
use crate::render::json;
use crate::render::style::{DIM, paint};
use crate::render::text::{clean, pad, width};

/// All outputs, aligned, secrets masked.
pub fn table(outputs: &BTreeMap<String, Value>) -> String {
    if outputs.is_empty() {
        return paint(DIM, "the last apply left no outputs") + "\n";
    }
    let name = |name: &str| clean(name).into_owned();
    let column = outputs.keys().map(|key| width(&name(key))).max().unwrap_or(0);
    let lines = outputs.iter().map(|(key, value)| {
        format!("{} = {}\n", pad(&name(key), column), clean(&value.to_string()))
    });
    lines.collect()
}

/// All outputs as JSON, secrets masked: `{"url": {"value": …, "sensitive": false}}`.
pub fn all_json(outputs: &BTreeMap<String, Value>) -> String {
    json::text(&json::values(outputs))
}

/// One output for a person; a secret is masked.
pub fn one(outputs: &BTreeMap<String, Value>, name: &str) -> Result<String, CommandError> {
    Ok(format!("{}\n", clean(&find(outputs, name)?.to_string())))
}

/// One output as JSON, in clear: whoever names it wants it.
pub fn one_json(outputs: &BTreeMap<String, Value>, name: &str) -> Result<String, CommandError> {
    Ok(json::text(&find(outputs, name)?.to_json()))
}

/// One output as bare text without quotes or a line break, in clear, for scripts.
pub fn one_raw(outputs: &BTreeMap<String, Value>, name: &str) -> Result<String, CommandError> {
    match find(outputs, name)?.to_json() {
        Json::String(text) => Ok(text),
        Json::Null => Ok(String::new()),
        plain @ (Json::Bool(_) | Json::Number(_)) => Ok(plain.to_string()),
        Json::Array(_) | Json::Object(_) => {
            Err(CommandError::failed(format!("output `{name}` is a list or map"))
                .hint("use `--json` instead of `--raw`"))
        }
    }
}

fn find<'a>(
    outputs: &'a BTreeMap<String, Value>,
    name: &str,
) -> Result<&'a Value, CommandError> {
    if let Some(value) = outputs.get(name) {
        return Ok(value);
    }
    let error = CommandError::failed(format!("there is no output `{name}`"));
    let known = outputs.keys().map(String::as_str);
    Err(match dollop_engine::diagnostic::did_you_mean(name, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if outputs.is_empty() => {
            error.hint("outputs appear after the first `dollop apply`")
        }
        None => {
            let names: Vec<_> = outputs.keys().map(|name| format!("`{name}`")).collect();
            error.hint(format!("there are: {}", names.join(", ")))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("dsn".to_owned(), Value::string("postgres://u:pw@h/").secret()),
            ("ports".to_owned(), Value::List(vec![Value::Int(80), Value::Int(443)])),
            ("url".to_owned(), Value::string("http://x")),
        ])
    }

    #[test]
    fn lists_mask_secrets() {
        insta::assert_snapshot!(table(&outputs()), @r#"
        dsn   = (sensitive)
        ports = [80, 443]
        url   = "http://x"
        "#);
        insta::assert_snapshot!(all_json(&outputs()), @r#"
        {
          "dsn": {
            "sensitive": true,
            "value": null
          },
          "ports": {
            "sensitive": false,
            "value": [
              80,
              443
            ]
          },
          "url": {
            "sensitive": false,
            "value": "http://x"
          }
        }
        "#);
        assert_eq!(one(&outputs(), "dsn").unwrap(), "(sensitive)\n");
    }

    #[test]
    fn a_named_output_is_revealed_to_programs() {
        assert_eq!(one_raw(&outputs(), "dsn").unwrap(), "postgres://u:pw@h/");
        assert_eq!(one_json(&outputs(), "dsn").unwrap(), "\"postgres://u:pw@h/\"\n");
        assert_eq!(one_raw(&outputs(), "url").unwrap(), "http://x");
    }

    #[test]
    fn what_cannot_be_shown_says_why() {
        let raw = one_raw(&outputs(), "ports").unwrap_err();
        assert_eq!(raw.hints, ["use `--json` instead of `--raw`"]);
        let missing = one(&outputs(), "prots").unwrap_err();
        assert_eq!(missing.message, "there is no output `prots`");
        assert_eq!(missing.hints, ["did you mean `ports`?"]);
    }
}
