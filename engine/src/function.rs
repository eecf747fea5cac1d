//! Functions over values: computed at once when these are known, during apply otherwise.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256, Sha512};

use crate::condition::{self, Unfit};
use crate::ephemeral::Secrecy;
use crate::expr::{Expr, Function};
use crate::value::Value;

/// The widest indentation.
const WIDEST_INDENT: i64 = 64;
/// Bytes of the longest password bcrypt looks at.
const LONGEST_PASSWORD: usize = 72;
/// Bytes that a text of a service has at most, where its length matters beforehand.
const LONGEST_LATER: usize = 64 << 10;
/// Bytes of the longest text a script makes.
const LONGEST: usize = 16 << 20;

impl Function {
    /// Why it cannot work on these arguments, in words; what it may be given later always
    /// works.
    pub(crate) fn refuses(self, arguments: &[Expr]) -> Result<(), String> {
        if self.is_condition() {
            return self.refuses_condition(arguments);
        }
        let text_at =
            |index: usize| arguments.get(index).and_then(Expr::known).and_then(Value::as_str);
        match self {
            Self::Choose => {
                let known = arguments.first().and_then(Expr::known);
                return match known.map(Value::reveal) {
                    None | Some(Value::Bool(_)) => Ok(()),
                    Some(other) => Err(format!(
                        "the condition is {}, not true or false",
                        other.type_name()
                    )),
                };
            }
            Self::Toml => {
                let known = arguments.first().and_then(Expr::known);
                return known.map_or(Ok(()), |value| toml_of(value, "").map(|_| ()));
            }
            Self::Replace => {
                let longer = match (text_at(0), text_at(1), text_at(2)) {
                    (Some(text), Some(part), Some(with)) => {
                        text.matches(part).count().saturating_mul(with.len())
                    }
                    // A text that is known later has as many places as it has bytes.
                    (_, _, Some(with)) => with.len().saturating_mul(LONGEST_LATER),
                    _ => 0,
                };
                return too_long(longer);
            }
            Self::Bcrypt if text_at(0).is_some_and(|text| text.len() > LONGEST_PASSWORD) => {
                return Err(format!(
                    "bcrypt takes passwords of up to {LONGEST_PASSWORD} bytes"
                ));
            }
            _ => {}
        }
        let (Self::Indent, Some(Value::Int(spaces))) =
            (self, arguments.get(1).and_then(Expr::known))
        else {
            return Ok(());
        };
        if !(0..=WIDEST_INDENT).contains(spaces) {
            return Err(format!("`spaces` is from 0 to {WIDEST_INDENT}, not {spaces}"));
        }
        let text = arguments.first().and_then(Expr::known).and_then(Value::as_str);
        let lines = text.map_or(0, |text| text.matches('\n').count());
        let spaces = usize::try_from(*spaces).unwrap_or_default();
        too_long(lines.saturating_mul(spaces))
    }

    /// What a call takes beside reading its arguments, in bytes that could be read meanwhile.
    pub(crate) fn work(self) -> usize {
        match self {
            Self::Bcrypt => 16 << 20,
            Self::ScramVerifier => 1 << 20,
            _ => 0,
        }
    }

    fn refuses_condition(self, arguments: &[Expr]) -> Result<(), String> {
        if self == Self::Matches {
            let pattern = arguments.get(1);
            if pattern.is_some_and(Expr::is_withheld) {
                return Ok(());
            }
            let known = pattern.and_then(Expr::known).and_then(Value::as_str);
            let Some(text) = known else { return Err("the pattern must be known".to_owned()) };
            let searched = arguments.first().and_then(Expr::known).and_then(Value::as_str);
            condition::pattern_for(text, searched.unwrap_or_default()).map_err(
                |why| match why {
                    Unfit::Pattern(message) | Unfit::Text(message) => message,
                },
            )?;
        }
        let known: Option<Vec<Value>> =
            arguments.iter().map(|argument| argument.known().cloned()).collect();
        match known {
            Some(known) if self.holds(&known).is_none() => {
                let words: Vec<_> =
                    known.iter().map(|value| value.reveal().type_name()).collect();
                Err(format!("this cannot be asked of {}", words.join(" and ")))
            }
            _ => Ok(()),
        }
    }

    /// What it gives one of, when it gives an argument as it is.
    pub(crate) fn alternatives(self, arguments: &[Expr]) -> Option<&[Expr]> {
        match self {
            Self::Coalesce => Some(arguments),
            Self::Choose => Some(arguments.get(1..).unwrap_or_default()),
            _ => None,
        }
    }

    /// The argument it gives, as soon as it is known which; otherwise the arguments that are
    /// still in question.
    pub(crate) fn picked(self, mut arguments: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
        match self {
            Self::Coalesce => {
                let is_nothing = |expr: &Expr| {
                    expr.known().is_some_and(|value| *value.reveal() == Value::Null)
                };
                arguments.retain(|argument| !is_nothing(argument));
                match arguments.first() {
                    None => Ok(Expr::NULL),
                    Some(first) if arguments.len() == 1 || !first.may_be_nothing() => {
                        Ok(arguments.swap_remove(0))
                    }
                    Some(_) => Err(arguments),
                }
            }
            Self::Choose => {
                let Some(condition) = arguments.first().and_then(Expr::known) else {
                    return Err(arguments);
                };
                let secrecy = condition.secrecy();
                let place = match condition.reveal() {
                    Value::Bool(true) => 1,
                    Value::Bool(false) => 2,
                    // It says nothing: neither, and not nothing either.
                    _ => return Err(arguments),
                };
                let picked = arguments.into_iter().nth(place).unwrap_or(Expr::NULL);
                // Which one it is tells what decided.
                Ok(picked.marked(secrecy))
            }
            // One of them is enough where the other says nothing.
            Self::And | Self::Or => {
                let enough = Value::Bool(self == Self::Or);
                let decides = |argument: &Expr| {
                    argument.known().is_some_and(|value| *value.reveal() == enough)
                };
                let is_open = |argument: &Expr| {
                    argument.known().is_none() && argument.undecided().is_none()
                };
                let is_settled =
                    arguments.iter().any(decides) && !arguments.iter().any(is_open);
                let secrecy = arguments.iter().map(Expr::secrecy).max().unwrap_or_default();
                if is_settled {
                    Ok(Expr::Value(enough.marked(secrecy)))
                } else {
                    Err(arguments)
                }
            }
            _ => Err(arguments),
        }
    }

    /// The result for known arguments; secret when an argument holds a secret. Nothing when
    /// they say nothing about it.
    pub(crate) fn apply(self, arguments: &[Value]) -> Option<Value> {
        let secrecy = arguments.iter().map(Value::secrecy).max().unwrap_or_default();
        if self.is_condition() {
            return self.holds(arguments).map(|holds| Value::Bool(holds).marked(secrecy));
        }
        let first = arguments.first().unwrap_or(&Value::Null);
        let second = || text_of(arguments.get(1).unwrap_or(&Value::Null));
        let text = match self {
            Self::Concat => arguments.iter().map(text_of).collect(),
            Self::Join => {
                let items = match arguments.get(1).map(Value::reveal) {
                    Some(Value::List(items)) => items.as_slice(),
                    _ => &[],
                };
                let parts: Vec<_> = items.iter().map(text_of).collect();
                parts.join(&text_of(first))
            }
            Self::Json => first.to_json().to_string(),
            Self::Base64 => base64::prelude::BASE64_STANDARD.encode(text_of(first)),
            Self::UrlEncode => {
                const KEPT: &percent_encoding::AsciiSet =
                    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
                utf8_percent_encode(&text_of(first), KEPT).to_string()
            }
            Self::JsonPretty => {
                let json = first.to_json();
                serde_json::to_string_pretty(&json).unwrap_or_else(|_| json.to_string())
            }
            Self::Yaml => yaml(first),
            Self::Base64Url => base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text_of(first)),
            Self::Hex => hex::encode(text_of(first)),
            Self::Sha256 => hex::encode(Sha256::digest(text_of(first))),
            Self::Sha512 => hex::encode(Sha512::digest(text_of(first))),
            Self::Sha1 => hex::encode(sha1::Sha1::digest(text_of(first))),
            Self::Md5 => hex::encode(md5::Md5::digest(text_of(first))),
            Self::Sha256Base64 => {
                base64::prelude::BASE64_STANDARD.encode(Sha256::digest(text_of(first)))
            }
            Self::HmacSha256 => hex::encode(hmac_sha256(text_of(first).as_bytes(), &second())),
            Self::Bcrypt => bcrypt_hash(&text_of(first), &second()),
            Self::Replace => {
                let with = text_of(arguments.get(2).unwrap_or(&Value::Null));
                text_of(first).replace(&second(), &with)
            }
            Self::Trim => text_of(first).trim().to_owned(),
            Self::ToUpper => text_of(first).to_uppercase(),
            Self::ToLower => text_of(first).to_lowercase(),
            Self::Toml => toml_of(first, "").unwrap_or_default(),
            Self::Indent => {
                let spaces = match arguments.get(1).map(Value::reveal) {
                    Some(Value::Int(spaces)) => usize::try_from(*spaces).unwrap_or_default(),
                    _ => 0,
                };
                indent(&text_of(first), spaces)
            }
            Self::ShellQuote => shell_words::quote(&text_of(first)).into_owned(),
            Self::SqlName => format!("\"{}\"", text_of(first).replace('"', "\"\"")),
            Self::SqlText => sql_text(&text_of(first)),
            Self::ScramVerifier => scram_verifier(&text_of(first), &second()),
            // A condition, answered above, or one of the arguments, picked before.
            _ => return None,
        };
        Some(Value::String(text).marked(secrecy))
    }
}

/// A password as PostgreSQL stores it: `pg_authid.rolpassword` in its manual, RFC 5802. The
/// server counts the same way when it is given the clear text.
fn scram_verifier(password: &str, salt: &str) -> String {
    const ITERATIONS: u32 = 4096;
    let base64 = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
    let salt = &Sha256::digest(salt)[..16];
    // As the server does: what cannot be prepared is taken as it is.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<pbkdf2_sha2::Sha256>(
        prepared.as_bytes(),
        salt,
        ITERATIONS,
        &mut salted,
    );
    let stored = base64(&Sha256::digest(hmac_sha256(&salted, "Client Key")));
    let server = base64(&hmac_sha256(&salted, "Server Key"));
    format!("SCRAM-SHA-256${ITERATIONS}:{}${stored}:{server}", base64(salt))
}

fn hmac_sha256(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("BUG: HMAC takes keys of any length"));
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// A password as bcrypt keeps it. The salt is made from text, so that the plan is the same the
/// next time.
fn bcrypt_hash(password: &str, salt: &str) -> String {
    const COST: u32 = 10;
    let salt = Sha256::digest(salt);
    let mut half = [0; 16];
    half.copy_from_slice(&salt[..16]);
    // It fails for a cost it does not know only.
    bcrypt::hash_with_salt(password, COST, half)
        .map(|hash| hash.to_string())
        .unwrap_or_default()
}

/// The value as TOML text.
///
/// # Errors
/// What TOML has no words for, and where: nothing, and a text that is no map.
fn toml_of(value: &Value, path: &str) -> Result<String, String> {
    fn convert(value: &Value, path: &str) -> Result<toml::Value, String> {
        Ok(match value.reveal() {
            Value::Bool(value) => toml::Value::Boolean(*value),
            Value::Int(value) => toml::Value::Integer(*value),
            Value::Float(value) => toml::Value::Float(*value),
            Value::String(text) => toml::Value::String(text.clone()),
            Value::List(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| convert(item, &format!("{path}[{at}]")));
                toml::Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, entry)| {
                    let path =
                        if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    Ok((key.clone(), convert(entry, &path)?))
                });
                toml::Value::Table(entries.collect::<Result<_, String>>()?)
            }
            _ => return Err(format!("TOML has no word for nothing: leave `{path}` out")),
        })
    }
    toml::to_string(&convert(value, path)?)
        .map_err(|error| format!("this cannot be written as TOML: {error}"))
}

fn too_long(bytes: usize) -> Result<(), String> {
    if bytes > LONGEST {
        return Err(format!("a text is longer than {} MiB", LONGEST >> 20));
    }
    Ok(())
}

/// A scalar as text; lists and maps as JSON.
fn text_of(value: &Value) -> String {
    match value.reveal() {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_json().to_string(),
    }
}

/// Whether a value is secret or has a secret part.
pub(crate) fn holds_secret(value: &Value) -> bool {
    value.secrecy() > Secrecy::Open
}

/// The value as YAML. Every text is quoted: YAML 1.1 takes `no`, `1:30` and others for
/// something else, and what reads it is not known here.
fn yaml(value: &Value) -> String {
    let json = value.to_json();
    let options = serde_saphyr::ser_options! { quote_all: true };
    // JSON is YAML as well.
    serde_saphyr::to_string_with_options(&json, options).unwrap_or_else(|_| json.to_string())
}

/// A text in SQL. A backslash says nothing in a standard text and something in an `E` text, so
/// one that holds backslashes is written as the latter, which reads the same everywhere.
fn sql_text(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        // Not to be read as a part of a word before it.
        return format!(" E'{}'", quoted.replace('\\', r"\\"));
    }
    format!("'{quoted}'")
}

/// The text with spaces before every line but the first; empty lines stay empty.
fn indent(text: &str, spaces: usize) -> String {
    let margin = " ".repeat(spaces);
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index > 0 && !line.trim_end_matches(['\n', '\r']).is_empty() {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    out
}
