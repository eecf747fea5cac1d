//! JSON, YAML, TOML, CSV, and text in other alphabets.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::arguments::{string, text};
use super::{Entry, Fault, Outcome, Run};
use crate::dotenv;
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
        doc: "The map as TOML text. TOML has no word for nothing. Works on values that are not known yet.",
        examples: &[(r"toml(#{ a: 1, b: #{ c: [true] } })", r#""a = 1\n\n[b]\nc = [true]\n""#)],
        run: Run::Later(Function::Toml),
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
        signature: "dotenv(text: string, values?: map) -> map",
        doc: "The variables of a `.env` file, as Docker Compose reads an `env_file`: quotes, escapes, comments, `export`, `${NAME:-other}` and its relatives, filled in from the map and then from the lines above. A variable that nothing sets is an error. Of a secret text the whole map is secret.",
        examples: &[
            (r#"dotenv("export A='x y'\nB=\"${A}\" # twice\n")"#, r#"#{ A: "x y", B: "x y" }"#),
            (
                r#"dotenv("URL=http://${HOST}:${PORT:-80}", #{ HOST: "web" })"#,
                r#"#{ URL: "http://web:80" }"#,
            ),
        ],
        run: Run::Known(variables),
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
        signature: "url_parts(url: string) -> map",
        doc: "The parts of a URL: `scheme`, `user`, `password`, `host`, `port` (also where it is that of the scheme), `path`, `query`, a map, and `fragment`; what it does not have is nothing. Of a secret URL all parts are secret.",
        examples: &[(
            r#"url_parts("http://ada:s%20t@web:8080/a?b=1#c")"#,
            r#"#{ scheme: "http", user: "ada", password: "s t", host: "web", port: 8080, path: "/a", query: #{ b: "1" }, fragment: "c" }"#,
        )],
        run: Run::Known(url_parts),
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

fn url_parts(arguments: &[Value]) -> Outcome {
    let url = url::Url::parse(text(arguments, 0)).map_err(|error| {
        Fault::new(format!("this is not a URL: {error}")).hint("one begins with `http://`")
    })?;
    let decoded = |part: &str| {
        let bytes = percent_encoding::percent_decode_str(part).collect();
        utf8(Ok::<_, String>(bytes), "URL encoding")
    };
    let given = |part: Option<&str>| match part.filter(|part| !part.is_empty()) {
        Some(part) => decoded(part),
        None => Ok(Value::Null),
    };
    let query = url.query_pairs().map(|(key, value)| (key.into_owned(), string(value)));
    let port = url.port_or_known_default().map_or(Value::Null, |port| Value::Int(port.into()));
    let entries = [
        ("scheme", string(url.scheme())),
        ("user", given(Some(url.username()))?),
        ("password", given(url.password())?),
        ("host", url.host_str().map_or(Value::Null, string)),
        ("port", port),
        ("path", decoded(url.path())?),
        ("query", Value::Map(query.collect())),
        ("fragment", given(url.fragment())?),
    ];
    Ok(Value::Map(entries.into_iter().map(|(key, part)| (key.to_owned(), part)).collect()))
}

fn variables(arguments: &[Value]) -> Outcome {
    let empty = Map::new();
    let values = match arguments.get(1).map(Value::reveal) {
        Some(Value::Map(values)) => values,
        _ => &empty,
    };
    for (name, value) in values {
        if matches!(value.reveal(), Value::List(_) | Value::Map(_) | Value::Null) {
            let found = value.reveal().type_name();
            return Err(Fault::new(format!("`{name}` in `values` is {found}, not text")));
        }
    }
    let get = |name: &str| {
        let value = values.get(name)?.reveal();
        Some(value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned))
    };
    let outside = dotenv::Outside { get: &get, name: "the map `values`" };
    let found = dotenv::parse(text(arguments, 0), &outside).map_err(|problems| {
        let lines = problems.iter().map(|it| format!("line {}: {}", it.line, it.message));
        let fault = Fault::new(lines.collect::<Vec<_>>().join("; "));
        match problems.into_iter().find(|it| !it.hint.is_empty()) {
            Some(problem) => fault.hint(problem.hint),
            None => fault,
        }
    })?;
    Ok(Value::Map(found.into_iter().map(|(name, value)| (name, string(value))).collect()))
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
