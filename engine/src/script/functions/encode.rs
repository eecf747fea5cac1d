//! JSON, YAML, TOML, CSV, and text in other alphabets.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::arguments::{string, text};
use super::{Entry, Fault, Outcome, Run};
use crate::expr::Function;
use crate::map::Map;
use crate::value::Value;

/// Deeper nesting than anything useful.
const DEEPEST: usize = 64;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "json(value: any) -> string",
        doc: "The value as compact JSON text. Works on values that are not known yet.",
        examples: &[("json(#{ a: [1, true, ()] })", r#""{\"a\":[1,true,null]}""#)],
        run: Run::Later(Function::Json),
    },
    Entry {
        signature: "json_pretty(value: any) -> string",
        doc: "The value as JSON text over several lines, indented by two. Works on values that are not known yet.",
        examples: &[(r"json_pretty(#{ a: 1 })", r#""{\n  \"a\": 1\n}""#)],
        run: Run::Later(Function::JsonPretty),
    },
    Entry {
        signature: "json_decode(text: string) -> any",
        doc: "What a JSON text says.",
        examples: &[(r#"json_decode("{\"a\": [1, 2.5, null]}")"#, "#{ a: [1, 2.5, ()] }")],
        run: Run::Known(json_decode),
    },
    Entry {
        signature: "yaml(value: any) -> string",
        doc: "The value as YAML text. Every text is quoted, so that no reader takes it for something else. Works on values that are not known yet.",
        examples: &[(r#"yaml(#{ a: [1, "no"] })"#, r#""a:\n- 1\n- 'no'\n""#)],
        run: Run::Later(Function::Yaml),
    },
    Entry {
        signature: "yaml_decode(text: string) -> any",
        doc: "What a YAML text of one document says. Keys must be text; what aliases unfold to is limited.",
        examples: &[(
            r#"yaml_decode("a: &x [1, b]\nc: *x")"#,
            r#"#{ a: [1, "b"], c: [1, "b"] }"#,
        )],
        run: Run::Known(yaml_decode),
    },
    Entry {
        signature: "toml(value: map) -> string",
        doc: "The map as TOML text. TOML has no word for nothing.",
        examples: &[(r"toml(#{ a: 1, b: #{ c: [true] } })", r#""a = 1\n\n[b]\nc = [true]\n""#)],
        run: Run::Known(toml_encode),
    },
    Entry {
        signature: "toml_decode(text: string) -> map",
        doc: "What a TOML text says; dates and times become text.",
        examples: &[(
            r#"toml_decode("[a]\nb = 1979-05-27")"#,
            r#"#{ a: #{ b: "1979-05-27" } }"#,
        )],
        run: Run::Known(toml_decode),
    },
    Entry {
        signature: "csv_decode(text: string) -> list",
        doc: "The rows of a CSV text as maps; the first row has the keys.",
        examples: &[(
            r#"csv_decode("name,size\nweb,2\n\"a, b\",3")"#,
            r#"[#{ name: "web", size: "2" }, #{ name: "a, b", size: "3" }]"#,
        )],
        run: Run::Known(csv_decode),
    },
    Entry {
        signature: "base64(text: text) -> string",
        doc: "The text in standard base64. Works on values that are not known yet.",
        examples: &[(r#"base64("user:pass")"#, r#""dXNlcjpwYXNz""#)],
        run: Run::Later(Function::Base64),
    },
    Entry {
        signature: "base64_decode(text: string) -> string",
        doc: "The text that was encoded in standard base64; what is no UTF-8 text is refused.",
        examples: &[(r#"base64_decode("dXNlcjpwYXNz")"#, r#""user:pass""#)],
        run: Run::Known(|a| utf8(BASE64_STANDARD.decode(text(a, 0)), "base64")),
    },
    Entry {
        signature: "base64url(text: text) -> string",
        doc: "The text in base64 for URLs, without padding. Works on values that are not known yet.",
        examples: &[(r#"base64url("a?>b")"#, r#""YT8-Yg""#)],
        run: Run::Later(Function::Base64Url),
    },
    Entry {
        signature: "base64url_decode(text: string) -> string",
        doc: "The text that was encoded in base64 for URLs, with or without padding.",
        examples: &[(r#"base64url_decode("YT8-Yg")"#, r#""a?>b""#)],
        run: Run::Known(|a| {
            let text = text(a, 0).trim_end_matches('=');
            utf8(BASE64_URL_SAFE_NO_PAD.decode(text), "base64 for URLs")
        }),
    },
    Entry {
        signature: "hex(text: text) -> string",
        doc: "The bytes of the text in hexadecimal. Works on values that are not known yet.",
        examples: &[(r#"hex("az")"#, r#""617a""#)],
        run: Run::Later(Function::Hex),
    },
    Entry {
        signature: "hex_decode(text: string) -> string",
        doc: "The text whose bytes are given in hexadecimal.",
        examples: &[(r#"hex_decode("617A")"#, r#""az""#)],
        run: Run::Known(|a| utf8(hex::decode(text(a, 0)), "hexadecimal")),
    },
    Entry {
        signature: "urlencode(text: text) -> string",
        doc: "The text, encoded for use inside a URL. Works on values that are not known yet.",
        examples: &[(r#"urlencode("a b/ü")"#, r#""a%20b%2F%C3%BC""#)],
        run: Run::Later(Function::UrlEncode),
    },
    Entry {
        signature: "urldecode(text: string) -> string",
        doc: "The text that was encoded for use inside a URL; a `+` stays a `+`.",
        examples: &[(r#"urldecode("a%20b+c")"#, r#""a b+c""#)],
        run: Run::Known(|a| {
            let bytes = percent_encoding::percent_decode_str(text(a, 0));
            utf8(Ok::<_, String>(bytes.collect()), "URL encoding")
        }),
    },
];

fn utf8<E: std::fmt::Display>(bytes: Result<Vec<u8>, E>, what: &str) -> Outcome {
    let bytes = bytes.map_err(|error| Fault::new(format!("this is not {what}: {error}")))?;
    String::from_utf8(bytes)
        .map(Value::String)
        .map_err(|_| Fault::new(format!("what this {what} stands for is not UTF-8 text")))
}

/// JSON as a value; numbers keep their value or are refused.
fn plain(json: serde_json::Value, depth: usize) -> Outcome {
    use serde_json::Value as Json;
    if depth > DEEPEST {
        return Err(Fault::new(format!("this is nested more than {DEEPEST} deep")));
    }
    Ok(match json {
        Json::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            return Err(Fault::new(format!("the number {number} is too large"))
                .hint("write it as text, in quotes"));
        }
        Json::Array(items) => Value::List(
            items.into_iter().map(|item| plain(item, depth + 1)).collect::<Result<_, _>>()?,
        ),
        Json::Object(entries) => {
            let entries =
                entries.into_iter().map(|(key, entry)| Ok((key, plain(entry, depth + 1)?)));
            Value::Map(entries.collect::<Result<Map, Fault>>()?)
        }
        other => Value::from(other),
    })
}

fn json_decode(arguments: &[Value]) -> Outcome {
    let json = serde_json::from_str(text(arguments, 0))
        .map_err(|error| Fault::new(format!("this is not JSON: {error}")))?;
    plain(json, 0)
}

fn yaml_decode(arguments: &[Value]) -> Outcome {
    // `no`, `on` and `y` are text, as YAML 1.2 has it.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let json =
        serde_saphyr::from_str_with_options(text(arguments, 0), options).map_err(|error| {
            Fault::new(format!("this is not YAML: {}", first_line(&error.to_string())))
        })?;
    plain(json, 0)
}

fn first_line(text: &str) -> &str {
    text.trim_start_matches("error: ").lines().next().unwrap_or_default()
}

fn toml_encode(arguments: &[Value]) -> Outcome {
    fn convert(value: &Value, path: &str) -> Result<toml::Value, Fault> {
        Ok(match value.reveal() {
            Value::Null | Value::Secret(_) | Value::Ephemeral(_) => {
                let place = if path.is_empty() { "the value" } else { path };
                return Err(Fault::new(format!("TOML has no word for nothing: `{place}`"))
                    .hint("leave the entry out"));
            }
            Value::Bool(value) => toml::Value::Boolean(*value),
            Value::Int(value) => toml::Value::Integer(*value),
            Value::Float(value) => toml::Value::Float(*value),
            Value::String(text) => toml::Value::String(text.clone()),
            Value::List(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| convert(item, &format!("{path}[{at}]")));
                toml::Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => toml::Value::Table(
                entries
                    .iter()
                    .map(|(key, entry)| {
                        let path =
                            if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                        Ok((key.clone(), convert(entry, &path)?))
                    })
                    .collect::<Result<_, Fault>>()?,
            ),
        })
    }
    let value = convert(arguments.first().unwrap_or(&Value::Null), "")?;
    toml::to_string(&value)
        .map(Value::String)
        .map_err(|error| Fault::new(format!("this cannot be written as TOML: {error}")))
}

fn toml_decode(arguments: &[Value]) -> Outcome {
    fn convert(value: toml::Value, depth: usize) -> Outcome {
        if depth > DEEPEST {
            return Err(Fault::new(format!("this is nested more than {DEEPEST} deep")));
        }
        Ok(match value {
            toml::Value::Boolean(value) => Value::Bool(value),
            toml::Value::Integer(value) => Value::Int(value),
            toml::Value::Float(value) if value.is_finite() => Value::Float(value),
            toml::Value::Float(value) => {
                return Err(Fault::new(format!("{value} is not a number that can be written")));
            }
            toml::Value::String(text) => Value::String(text),
            toml::Value::Datetime(time) => string(time.to_string()),
            toml::Value::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| convert(item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            toml::Value::Table(table) => Value::Map(
                table
                    .into_iter()
                    .map(|(key, entry)| Ok((key, convert(entry, depth + 1)?)))
                    .collect::<Result<_, Fault>>()?,
            ),
        })
    }
    let table: toml::Table = text(arguments, 0).parse().map_err(|error: toml::de::Error| {
        Fault::new(format!("this is not TOML: {}", error.message()))
    })?;
    convert(toml::Value::Table(table), 0)
}

fn csv_decode(arguments: &[Value]) -> Outcome {
    let fault = |error: csv::Error| Fault::new(format!("this is not CSV: {error}"));
    let mut reader = csv::Reader::from_reader(text(arguments, 0).as_bytes());
    let keys = reader.headers().map_err(fault)?.clone();
    if let Some((at, key)) = keys
        .iter()
        .enumerate()
        .find(|(at, key)| keys.iter().take(*at).any(|other| other == *key))
    {
        return Err(Fault::new(format!("column {} is called `{key}` again", at + 1)));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(fault)?;
        let entries = keys.iter().zip(&row).map(|(key, cell)| (key.to_owned(), string(cell)));
        rows.push(Value::Map(entries.collect()));
    }
    Ok(Value::List(rows))
}
