//! Writing a script, for what was found and not written by a person: how values, calls and
//! names look in Rhai.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use heck::ToSnakeCase;
use rhai::Engine;

use super::host;
use crate::value::Value;

/// The longest line, where it can be helped.
const WIDTH: usize = 96;
/// What one level is indented by.
const STEP: usize = 4;

/// Something that stands in a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Code {
    /// A literal. Secrets have no literal form: they are written as nothing.
    Value(Value),
    /// The name of a variable, or a way into one.
    Variable(String),
    /// A secret parameter of a type.
    Secret {
        /// Its name.
        name: String,
        /// `string`, `int`, `float`, `bool`, `list` or `map`.
        ty: &'static str,
    },
    /// A list.
    List(Vec<Code>),
    /// A map.
    Map(Vec<(String, Code)>),
}

/// What a declaring function is called on.
#[derive(Clone, Debug, PartialEq)]
pub enum Receiver {
    /// A resource or connection in a variable: `mq.vhost(..)`.
    Variable(String),
    /// A provider whose connection need not be declared: `docker::network(..)`.
    Provider(String),
}

/// A declaration, with what stands above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Begins a part of the script: a comment after an empty line.
    pub heading: Option<String>,
    /// Comments of its own.
    pub comments: Vec<String>,
    /// The variable that holds it, where others use it.
    pub variable: Option<String>,
    /// What it is called on.
    pub on: Receiver,
    /// The function: the kind without its provider.
    pub function: String,
    /// The first argument.
    pub first: Code,
    /// The attributes, in the order they are written.
    pub attributes: Vec<(String, Code)>,
}

/// Writes scripts; knows which words need quotes.
pub struct Writer {
    reader: Engine,
    keys: RefCell<HashMap<String, bool>>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { reader: host::reader(), keys: RefCell::default() }
    }
}

impl Writer {
    /// A name for a variable, from any text: letters, digits and `_`, no word of the
    /// language. Of a text without any, `otherwise`.
    pub fn identifier(&self, text: &str, otherwise: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name = text.chars().map(plain).collect::<String>().to_snake_case();
        let name = match name.chars().next() {
            None => return otherwise.to_owned(),
            Some('0'..='9') => format!("n{name}"),
            Some(_) => name,
        };
        if self.reader.compile(format!("let {name} = 1; {name}")).is_ok() {
            name
        } else {
            format!("{name}_")
        }
    }

    /// Declarations, one after another; `secrets` is a parameter with the secrets of all.
    pub fn statements(&self, secrets: Option<&str>, statements: &[Statement]) -> String {
        self.lines(secrets, statements, 0)
    }

    /// The same as a function of a name that takes what they are declared on.
    pub fn function(
        &self,
        (name, parameter): (&str, &str),
        secrets: Option<&str>,
        statements: &[Statement],
    ) -> String {
        format!("fn {name}({parameter}) {{\n{}}}\n", self.lines(secrets, statements, STEP))
    }

    /// Lines of a comment.
    pub fn comment(text: &str) -> String {
        let mut out = String::new();
        comment(&mut out, 0, text);
        out
    }

    fn lines(&self, secrets: Option<&str>, statements: &[Statement], indent: usize) -> String {
        let mut out = String::new();
        if let Some(name) = secrets {
            pad(&mut out, indent);
            let all = Code::Secret { name: name.to_owned(), ty: "map" };
            let _ = writeln!(out, "let {name} = {};", self.inline(&all).unwrap_or_default());
        }
        for statement in statements {
            if let Some(heading) = &statement.heading {
                if !out.is_empty() {
                    out.push('\n');
                }
                comment(&mut out, indent, heading);
            }
            for text in &statement.comments {
                comment(&mut out, indent, text);
            }
            pad(&mut out, indent);
            self.statement(&mut out, statement, indent);
            out.push('\n');
        }
        out
    }

    fn statement(&self, out: &mut String, statement: &Statement, indent: usize) {
        let begin = out.len();
        if let Some(variable) = &statement.variable {
            let _ = write!(out, "let {variable} = ");
        }
        let _ = match &statement.on {
            Receiver::Variable(name) => write!(out, "{name}."),
            Receiver::Provider(name) => write!(out, "{name}::"),
        };
        let _ = write!(out, "{}(", statement.function);
        self.code(out, &statement.first, indent, indent + out.len() - begin);
        if !statement.attributes.is_empty() {
            out.push_str(", ");
            let attributes = Code::Map(statement.attributes.clone());
            self.code(out, &attributes, indent, indent + out.len() - begin);
        }
        out.push_str(");");
    }

    /// Writes a value that begins in a column, on one line where it fits.
    fn code(&self, out: &mut String, code: &Code, indent: usize, column: usize) {
        if let Some(line) = self.inline(code)
            && column + line.chars().count() < WIDTH
        {
            return out.push_str(&line);
        }
        match code {
            Code::Value(value) if !matches!(value, Value::List(_) | Value::Map(_)) => {
                Self::literal(out, value);
            }
            Code::Value(Value::List(items)) => {
                let items: Vec<_> = items.iter().cloned().map(Code::Value).collect();
                self.list(out, &items, indent);
            }
            Code::Value(Value::Map(entries)) => {
                let entries = entries.iter();
                let entries: Vec<_> = entries
                    .map(|(key, value)| (key.clone(), Code::Value(value.clone())))
                    .collect();
                self.map(out, &entries, indent);
            }
            Code::List(items) => self.list(out, items, indent),
            Code::Map(entries) => self.map(out, entries, indent),
            Code::Value(_) | Code::Variable(_) | Code::Secret { .. } => {
                out.push_str(&self.inline(code).unwrap_or_default());
            }
        }
    }

    fn list(&self, out: &mut String, items: &[Code], indent: usize) {
        out.push_str("[\n");
        for item in items {
            pad(out, indent + STEP);
            self.code(out, item, indent + STEP, indent + STEP);
            out.push_str(",\n");
        }
        pad(out, indent);
        out.push(']');
    }

    fn map(&self, out: &mut String, entries: &[(String, Code)], indent: usize) {
        out.push_str("#{\n");
        for (key, value) in entries {
            pad(out, indent + STEP);
            let key = self.key(key);
            let _ = write!(out, "{key}: ");
            self.code(out, value, indent + STEP, indent + STEP + key.chars().count() + 2);
            out.push_str(",\n");
        }
        pad(out, indent);
        out.push('}');
    }

    /// The value on one line; `None` when it holds a text of several.
    fn inline(&self, code: &Code) -> Option<String> {
        let joined = |items: Vec<Option<String>>| {
            items.into_iter().collect::<Option<Vec<_>>>().map(|items| items.join(", "))
        };
        let list = |items: Vec<Option<String>>| Some(format!("[{}]", joined(items)?));
        let map = |entries: Vec<Option<String>>| {
            let inner = joined(entries)?;
            Some(if inner.is_empty() { "#{}".to_owned() } else { format!("#{{ {inner} }}") })
        };
        match code {
            Code::Variable(name) => Some(name.clone()),
            Code::Secret { name, ty } => {
                let mut out = String::from("param(");
                quoted(&mut out, name);
                let ty =
                    if *ty == "string" { String::new() } else { format!(", type: \"{ty}\"") };
                let _ = write!(out, ", #{{ secret: true{ty} }})");
                Some(out)
            }
            Code::List(items) => list(items.iter().map(|item| self.inline(item)).collect()),
            Code::Map(entries) => {
                let entry = |(key, value): &(String, Code)| {
                    self.inline(value).map(|value| format!("{}: {value}", self.key(key)))
                };
                map(entries.iter().map(entry).collect())
            }
            Code::Value(Value::List(items)) => {
                list(items.iter().map(|item| self.inline(&Code::Value(item.clone()))).collect())
            }
            Code::Value(Value::Map(entries)) => {
                let entry = |(key, value): (&String, &Value)| {
                    let value = self.inline(&Code::Value(value.clone()))?;
                    Some(format!("{}: {value}", self.key(key)))
                };
                map(entries.iter().map(entry).collect())
            }
            Code::Value(Value::String(text)) if is_block(text) => None,
            Code::Value(value) => {
                let mut out = String::new();
                Self::literal(&mut out, value);
                Some(out)
            }
        }
    }

    fn literal(out: &mut String, value: &Value) {
        let _ = match value {
            Value::Bool(value) => write!(out, "{value}"),
            // The language has no literal for this one number.
            Value::Int(i64::MIN) => write!(out, "(-{} - 1)", i64::MAX),
            Value::Int(value) => write!(out, "{value}"),
            Value::Float(value) => {
                let text = format!("{value:?}");
                match text.split_once('e') {
                    Some((number, power)) if !number.contains('.') => {
                        write!(out, "{number}.0e{power}")
                    }
                    _ => out.write_str(&text),
                }
            }
            Value::String(text) if is_block(text) => {
                // The first line break belongs to the quotes.
                write!(out, "`\n{}`", text.replace('`', "``"))
            }
            Value::String(text) => {
                quoted(out, text);
                Ok(())
            }
            Value::Null
            | Value::List(_)
            | Value::Map(_)
            | Value::Secret(_)
            | Value::Ephemeral(_) => out.write_str("()"),
        };
    }

    /// A key of a map: bare where the language takes it so.
    fn key(&self, key: &str) -> String {
        let bare = *self.keys.borrow_mut().entry(key.to_owned()).or_insert_with(|| {
            rhai::is_valid_identifier(key)
                && self.reader.compile(format!("#{{ {key}: 1 }}")).is_ok()
        });
        if bare {
            return key.to_owned();
        }
        let mut out = String::new();
        quoted(&mut out, key);
        out
    }
}

/// Whether a text is written as it stands, over several lines.
fn is_block(text: &str) -> bool {
    let plain = |c: char| matches!(c, '\n' | '\t') || !is_hidden(c);
    text.contains('\n') && !text.contains("${") && text.chars().all(plain)
}

/// Whether a character would act instead of being seen.
fn is_hidden(character: char) -> bool {
    !matches!(character, '"' | '\'' | '\\') && character.escape_debug().count() > 1
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        let _ = match character {
            '"' | '\\' => write!(out, "\\{character}"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            hidden if is_hidden(hidden) => match u32::from(hidden) {
                code @ ..0x1_0000 => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            },
            plain => out.write_char(plain),
        };
    }
    out.push('"');
}

fn comment(out: &mut String, indent: usize, text: &str) {
    for line in text.lines() {
        pad(out, indent);
        let shown: String =
            line.chars().map(|c| if is_hidden(c) { '\u{FFFD}' } else { c }).collect();
        out.push_str(format!("// {shown}").trim_end());
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Map;
    use proptest::prelude::*;
    use rhai::Dynamic;

    fn read(value: Dynamic) -> Value {
        if value.is_unit() {
            Value::Null
        } else if let Ok(value) = value.as_bool() {
            Value::Bool(value)
        } else if let Ok(value) = value.as_int() {
            Value::Int(value)
        } else if let Ok(value) = value.as_float() {
            Value::Float(value)
        } else if value.is_string() {
            Value::String(value.into_string().unwrap())
        } else if value.is_array() {
            Value::List(value.cast::<rhai::Array>().into_iter().map(read).collect())
        } else {
            let entries = value.cast::<rhai::Map>().into_iter();
            Value::Map(entries.map(|(key, value)| (key.to_string(), read(value))).collect())
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[a-z`$\\{\\}\n\t\"\\\\]{0,40}",
            Just("let".to_owned()),
            Just("\n``\n${".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (i64::MIN + 1..=i64::MAX).prop_map(Value::Int),
            any::<f64>()
                .prop_filter("JSON has no others", |f| f.is_finite())
                .prop_map(Value::Float),
            text.clone().prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|entries| Value::Map(Map::from(entries))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value(), indent in 0..120_usize) {
            let writer = Writer::default();
            let mut text = String::new();
            writer.code(&mut text, &Code::Value(value.clone()), 0, indent);
            let back = writer.reader.eval::<Dynamic>(&text);
            let back = back.map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert_eq!(read(back), value, "{}", text);
        }

        #[test]
        fn every_name_is_a_variable(text in any::<String>()) {
            let writer = Writer::default();
            let name = writer.identifier(&text, "it");
            let script = format!("let {name} = 1; {name}");
            prop_assert_eq!(writer.reader.eval::<i64>(&script).ok(), Some(1), "{}", name);
        }
    }

    #[test]
    fn names_are_readable() {
        let writer = Writer::default();
        for (text, name) in [
            ("orders.mails", "orders_mails"),
            ("OrdersMails", "orders_mails"),
            ("7 days", "n7_days"),
            ("let", "let_"),
            ("/", "it"),
            ("漢字", "it"),
        ] {
            assert_eq!(writer.identifier(text, "it"), name);
        }
    }
}
