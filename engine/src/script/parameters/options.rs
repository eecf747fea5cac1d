//! The options of `param`: what a parameter must be.

use regex::Regex;
use rhai::{Dynamic, FnPtr, Map};

use super::super::convert::{Converter, list_words};
use super::super::session::Session;
use super::super::sources::Call;
use super::super::symbol::{Answer, Refusal};
use super::known_text;
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::expr::Expr;
use crate::path::Path;
use crate::plain_type::PlainType;
use crate::value::Value;

/// Every option there is.
const NAMES: [&str; 10] = [
    "check",
    "choices",
    "default",
    "deprecated",
    "doc",
    "ephemeral",
    "message",
    "pattern",
    "secret",
    "type",
];

/// What a script says of a parameter.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) ty: PlainType,
    pub(super) default: Option<Value>,
    pub(super) secret: bool,
    /// Not kept either.
    pub(super) ephemeral: bool,
    pub(super) doc: String,
    pub(super) choices: Vec<Value>,
    /// What to use instead; empty when the script does not say.
    pub(super) deprecated: Option<String>,
    /// The whole text must match it.
    pub(super) pattern: Option<Regex>,
    /// Asked whether a value is fine.
    pub(super) check: Option<FnPtr>,
    /// What is said of a value that is not.
    pub(super) message: String,
}

impl Options {
    fn new() -> Self {
        Self {
            ty: PlainType::String,
            default: None,
            secret: false,
            ephemeral: false,
            doc: String::new(),
            choices: Vec::new(),
            deprecated: None,
            pattern: None,
            check: None,
            message: String::new(),
        }
    }

    /// Whether two say the same. Closures cannot be compared.
    pub(super) fn same(&self, other: &Self) -> bool {
        let pattern = |options: &Self| options.pattern.as_ref().map(|p| p.as_str().to_owned());
        self.ty == other.ty
            && self.default == other.default
            && self.secret == other.secret
            && self.ephemeral == other.ephemeral
            && self.doc == other.doc
            && self.choices == other.choices
            && self.deprecated == other.deprecated
            && pattern(self) == pattern(other)
            && self.check.is_some() == other.check.is_some()
            && self.message == other.message
    }
}

/// Reads the map of options.
///
/// # Errors
/// An option that is unknown, or says what it cannot say.
pub(super) fn read(
    session: &Session,
    call: &Call,
    name: &str,
    options: Dynamic,
) -> Answer<Options> {
    let reader = Reader { session, call, name };
    let mut read = Options::new();
    if options.is_unit() {
        return Ok(read);
    }
    let Some(options) = options.flatten().try_cast::<Map>() else {
        return Err(reader.refuse("name", "options of parameter `{}` must be a map"));
    };
    let (mut ty, mut is_known) = (None, true);
    for (key, value) in options {
        match key.as_str() {
            "type" => ty = Some(reader.ty(&value)?),
            "default" => match reader.constant(value) {
                Some(value) => read.default = Some(value),
                None => {
                    let message = "the default of parameter `{}` must be known";
                    return Err(reader.refuse("default", message));
                }
            },
            "choices" => match reader.constant(value) {
                Some(Value::List(choices)) => read.choices = choices,
                _ => {
                    let message = "`choices` must be a list of known values";
                    return Err(reader.refuse("choices", message));
                }
            },
            "secret" => match value.as_bool() {
                Ok(value) => read.secret = value,
                Err(_) => return Err(reader.refuse("secret", "`secret` must be a bool")),
            },
            "ephemeral" => match value.as_bool() {
                Ok(value) => read.ephemeral = value,
                Err(_) => return Err(reader.refuse("ephemeral", "`ephemeral` must be a bool")),
            },
            "doc" => read.doc = reader.text("doc", &value)?,
            "message" => read.message = reader.text("message", &value)?,
            "deprecated" => {
                read.deprecated = match value.as_bool() {
                    Ok(deprecated) => deprecated.then(String::new),
                    Err(_) => Some(reader.text("deprecated", &value)?),
                }
            }
            "pattern" => {
                let text = reader.text("pattern", &value)?;
                // The whole text, as a person reads "must match".
                let pattern = Regex::new(&format!("^(?:{text})$")).map_err(|error| {
                    let error = error.to_string();
                    let last = error.lines().last().unwrap_or_default();
                    let last = last.trim_start_matches("error: ");
                    reader.refuse("pattern", &format!("`pattern` is no pattern: {last}"))
                })?;
                read.pattern = Some(pattern);
            }
            "check" => match value.try_cast::<FnPtr>() {
                Some(check) => read.check = Some(check),
                None => {
                    let message = "`check` must be a closure: `|value| value > 0`";
                    return Err(reader.refuse("check", message));
                }
            },
            other => {
                let finding = Diagnostic::new(
                    Code::ParameterForm,
                    format!("a parameter has no option `{other}`"),
                )
                .at(call.at(&Path::attribute(other)));
                session.note_parameter(finding.hint(option_hint(other, &NAMES)), false)?;
                is_known = false;
            }
        }
    }
    if !is_known {
        // What one of them was to say may be all that is missing.
        return Err(Refusal::SILENT.into_error());
    }
    read.secret |= read.ephemeral;
    reader.fit_together(&mut read, ty)?;
    Ok(read)
}

/// What to write for an option there is not.
pub(in super::super) fn option_hint(typed: &str, names: &[&str]) -> String {
    let elsewhere = match typed {
        "description" | "help" => Some("doc"),
        "sensitive" => Some("secret"),
        "validation" => Some("check"),
        "allowed" | "enum" | "options" | "values" => Some("choices"),
        _ => None,
    };
    let known = elsewhere.filter(|meant| names.contains(meant));
    match known.or_else(|| did_you_mean(typed, names.iter().copied())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if matches!(typed, "nullable" | "required" | "optional") => {
            "with `default: ()` it may be left out, without a default it must be set".to_owned()
        }
        None => format!("there are {}", list_words(names)),
    }
}

struct Reader<'a> {
    session: &'a Session,
    call: &'a Call,
    name: &'a str,
}

impl Reader<'_> {
    /// `{}` in the message stands for the parameter's name.
    fn refuse(&self, key: &str, message: &str) -> Box<rhai::EvalAltResult> {
        let at: Span = self.call.at(&Path::attribute(key));
        self.session.refuse_parameter(
            Diagnostic::new(Code::ParameterForm, message.replace("{}", self.name)).at(at),
        )
    }

    fn text(&self, key: &str, value: &Dynamic) -> Answer<String> {
        known_text(value)
            .ok_or_else(|| self.refuse(key, &format!("`{key}` must be known text")))
    }

    fn ty(&self, value: &Dynamic) -> Answer<PlainType> {
        let word = known_text(value).unwrap_or_default();
        PlainType::named(&word).ok_or_else(|| {
            let names: Vec<_> = PlainType::ALL.iter().map(|(name, _)| *name).collect();
            let message = format!("a type is one of {}", list_words(&names));
            let mut finding = Diagnostic::new(Code::ParameterForm, message);
            if word == "enum" {
                finding =
                    finding.hint("leave `type` out, and list what is allowed: `choices: [..]`");
            } else if let Some(instead) = PlainType::instead(&word) {
                finding = finding.hint(instead);
            }
            self.session.refuse_parameter(finding.at(self.call.at(&Path::attribute("type"))))
        })
    }

    fn constant(&self, value: Dynamic) -> Option<Value> {
        let mut converter = Converter::new(self.session, Path::default());
        match converter.expr(value) {
            Expr::Value(value) if converter.troubles.is_empty() => Some(value),
            _ => None,
        }
    }

    /// What the options say of each other.
    fn fit_together(&self, read: &mut Options, ty: Option<PlainType>) -> Answer<()> {
        let of_default = read.default.as_ref().and_then(PlainType::of);
        let ty = ty.or(of_default).unwrap_or(PlainType::String);
        read.ty = ty;
        if let Some(default) = read.default.take() {
            // Nothing is a default too: then the parameter may be left out.
            read.default =
                if default == Value::Null { Some(default) } else { ty.take(default) };
            if read.default.is_none() {
                let message = format!("the default of parameter `{{}}` must be {}", ty.words());
                return Err(self.refuse("default", &message));
            }
        }
        let choices = std::mem::take(&mut read.choices);
        let count = choices.len();
        read.choices = choices.into_iter().filter_map(|choice| ty.take(choice)).collect();
        if read.choices.len() != count {
            let message =
                format!("the choices of parameter `{{}}` must each be {}", ty.words());
            return Err(self.refuse("choices", &message));
        }
        if let Some(default) = &read.default
            && *default != Value::Null
            && !read.choices.is_empty()
            && !read.choices.iter().any(|choice| choice.same(default))
        {
            let message = "the default of parameter `{}` is none of its choices";
            return Err(self.refuse("default", message));
        }
        if read.pattern.is_some() && ty != PlainType::String {
            return Err(self.refuse("pattern", "`pattern` is for text"));
        }
        if read.secret && read.check.is_some() {
            let finding =
                Diagnostic::new(Code::ParameterForm, "a secret cannot be checked by a closure")
                    .at(self.call.at(&Path::attribute("check")))
                    .note("the closure could give it away")
                    .hint("use `pattern`, such as `pattern: \".{12,}\"` for twelve characters");
            return Err(self.session.refuse_parameter(finding));
        }
        if !read.message.is_empty() && read.check.is_none() && read.pattern.is_none() {
            let message = "`message` is what is said when `check` or `pattern` fails";
            return Err(self.refuse("message", message));
        }
        Ok(())
    }
}
