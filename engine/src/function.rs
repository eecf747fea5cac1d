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
/// Bytes of the longest text a script makes.
const LONGEST: usize = 16 << 20;

impl Function {
    /// Why it cannot work on these arguments, in words; what it may be given later always
    /// works.
    pub(crate) fn refuses(self, arguments: &[Expr]) -> Result<(), String> {
        if self.is_condition() {
            return self.refuses_condition(arguments);
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
        if lines.saturating_mul(spaces) > LONGEST {
            return Err(format!("a text is longer than {} MiB", LONGEST >> 20));
        }
        Ok(())
    }

    fn refuses_condition(self, arguments: &[Expr]) -> Result<(), String> {
        if self == Self::Matches {
            let known = arguments.get(1).and_then(Expr::known).and_then(Value::as_str);
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

    /// The result for known arguments; secret when an argument holds a secret.
    pub(crate) fn apply(self, arguments: &[Value]) -> Value {
        let secrecy = arguments.iter().map(Value::secrecy).max().unwrap_or_default();
        if self.is_condition() {
            let value = self.holds(arguments).map_or(Value::Null, Value::Bool);
            return value.marked(secrecy);
        }
        let first = arguments.first().unwrap_or(&Value::Null);
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
            Self::ScramVerifier => scram_verifier(
                &text_of(first),
                &text_of(arguments.get(1).unwrap_or(&Value::Null)),
            ),
            // A condition, answered above.
            _ => String::new(),
        };
        Value::String(text).marked(secrecy)
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
    let key = |name: &[u8]| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&salted)
            .unwrap_or_else(|_| unreachable!("BUG: HMAC takes keys of any length"));
        mac.update(name);
        mac.finalize().into_bytes()
    };
    let stored = base64(&Sha256::digest(key(b"Client Key")));
    let server = base64(&key(b"Server Key"));
    format!("SCRAM-SHA-256${ITERATIONS}:{}${stored}:{server}", base64(salt))
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
