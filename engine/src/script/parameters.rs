//! `param`: values from outside.

use rhai::{Dynamic, Map, NativeCallContext};

use super::convert::{Converter, list_words};
use super::marks;
use super::session::{MOST_PARAMETERS, Session};
use super::symbol::{Answer, Symbol, to_dynamic};
use crate::diagnostic::{Code, Diagnostic, Span, did_you_mean};
use crate::expr::Expr;
use crate::path::Path;
use crate::program::{Given, GivenValue, Parameter};
use crate::value::Value;

/// A parameter that was asked for, with the value it has.
#[derive(Clone)]
pub(super) struct Asked {
    /// As the program shows it.
    pub(super) parameter: Parameter,
    options: Options,
    value: Value,
}

#[derive(Clone, PartialEq)]
struct Options {
    ty: Type,
    default: Option<Value>,
    secret: bool,
    doc: String,
    choices: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Int,
    Bool,
    List,
    Map,
}

const TYPES: [(&str, Type); 5] = [
    ("string", Type::String),
    ("int", Type::Int),
    ("bool", Type::Bool),
    ("list", Type::List),
    ("map", Type::Map),
];

impl Type {
    fn name(self) -> &'static str {
        TYPES.iter().find(|(_, ty)| *ty == self).map_or("", |(name, _)| name)
    }

    fn of(value: &Value) -> Option<Self> {
        match value.reveal() {
            Value::String(_) => Some(Self::String),
            Value::Int(_) => Some(Self::Int),
            Value::Bool(_) => Some(Self::Bool),
            Value::List(_) => Some(Self::List),
            Value::Map(_) => Some(Self::Map),
            _ => None,
        }
    }

    /// Something of this type, to go on with when there is no value.
    fn placeholder(self) -> Value {
        match self {
            Self::String => Value::string(""),
            Self::Int => Value::Int(0),
            Self::Bool => Value::Bool(false),
            Self::List => Value::List(Vec::new()),
            Self::Map => Value::Map(crate::map::Map::new()),
        }
    }

    /// Reads text from a command line or environment.
    fn parse(self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::String => Ok(Value::string(text)),
            Self::Int => text.trim().parse().map(Value::Int).map_err(|_| "an integer"),
            Self::Bool => text.trim().parse().map(Value::Bool).map_err(|_| "`true` or `false`"),
            Self::List | Self::Map => {
                let value =
                    serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from);
                value.filter(|value| Self::of(value) == Some(self)).ok_or(match self {
                    Self::List => "a JSON list",
                    _ => "a JSON map",
                })
            }
        }
    }
}

/// `param(name)` and `param(name, #{ .. })`.
pub(super) fn param(
    session: &Session,
    context: &NativeCallContext,
    name: &Dynamic,
    options: Dynamic,
) -> Answer<Dynamic> {
    let call = session.call(context);
    let at = call.at(&Path::attribute("name"));
    let Some(name) = known_text(name) else {
        let finding =
            Diagnostic::new(Code::NameNotKnown, "the name of a parameter must be known text")
                .at(at);
        return Err(session.refuse(finding));
    };
    let options = read_options(session, &call, &name, options)?;
    let known = session.parameters.borrow().iter().find(|a| a.parameter.name == name).cloned();
    if let Some(known) = known {
        if known.options != options {
            let finding = Diagnostic::new(
                Code::ParameterForm,
                format!("parameter `{name}` is asked for with other options"),
            )
            .at(call.span.clone())
            .related(known.parameter.span.clone(), "first asked for here")
            .hint("ask once and keep it: `let x = param(..)`");
            session.note(finding)?;
        }
        return Ok(dynamic(known.value, known.options.secret));
    }
    let count = session.parameters.borrow().len();
    session.limit(count, MOST_PARAMETERS, "parameters", &call.span)?;
    let given = session.given.get(&name);
    let value = match settle(session, &name, given, &options) {
        Ok(value) => value,
        Err(finding) => {
            session.note_parameter((*finding).at(at))?;
            options.choices.first().cloned().unwrap_or_else(|| options.ty.placeholder())
        }
    };
    let value = if options.secret { value.secret() } else { value };
    let parameter = Parameter {
        name,
        doc: options.doc.clone(),
        ty: options.ty.name().to_owned(),
        secret: options.secret,
        required: options.default.is_none(),
        source: given.map_or_else(|| "default".to_owned(), |given| given.source.clone()),
        span: call.span.clone(),
    };
    let answer = dynamic(value.clone(), options.secret);
    session.parameters.borrow_mut().push(Asked { parameter, options, value });
    Ok(answer)
}

/// The values of the secret ones.
pub(super) fn secrets(session: &Session) -> Vec<Value> {
    let asked = session.parameters.borrow();
    asked.iter().filter(|asked| asked.options.secret).map(|asked| asked.value.clone()).collect()
}

fn dynamic(value: Value, secret: bool) -> Dynamic {
    if secret {
        Dynamic::from(Symbol::new(Expr::Value(value)))
    } else {
        to_dynamic(Expr::Value(value))
    }
}

/// Text that is known, from a value.
pub(super) fn known_text(value: &Dynamic) -> Option<String> {
    let text = value.as_immutable_string_ref().ok()?;
    (!marks::is_marked(&text)).then(|| text.to_string())
}

/// The value: given, else the default.
fn settle(
    session: &Session,
    name: &str,
    given: Option<&Given>,
    options: &Options,
) -> Result<Value, Box<Diagnostic>> {
    let Some(given) = given else {
        return options
            .default
            .clone()
            .ok_or_else(|| Box::new(not_set(session, name, options)));
    };
    let from = &given.source;
    let bad = |wanted: &str| {
        Diagnostic::new(Code::ParameterValue, format!("parameter `{name}` must be {wanted}"))
            .note(format!("given by {from}"))
    };
    let value = match &given.value {
        GivenValue::Text(text) => options.ty.parse(text).map_err(|wanted| {
            let finding = bad(wanted);
            Box::new(if options.secret {
                finding
            } else {
                finding.note(format!("it is `{text}`"))
            })
        })?,
        GivenValue::Typed(value) => match Type::of(value) {
            Some(ty) if ty == options.ty => value.clone(),
            _ => return Err(Box::new(bad(&format!("a {}", options.ty.name())))),
        },
    };
    if holds_noncharacter(&value) {
        let message =
            format!("parameter `{name}` holds Unicode noncharacters U+FDD0 to U+FDEF");
        return Err(Box::new(
            Diagnostic::new(Code::ParameterValue, message).note(format!("given by {from}")),
        ));
    }
    if !options.choices.is_empty() && !options.choices.iter().any(|choice| choice.same(&value))
    {
        let words: Vec<_> = options.choices.iter().map(plain).collect();
        let finding = bad(&format!("one of {}", list_words(&words)));
        let meant = value
            .as_str()
            .filter(|_| !options.secret)
            .and_then(|text| did_you_mean(text, words.iter().map(String::as_str)));
        return Err(Box::new(match meant {
            Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
            None => finding,
        }));
    }
    Ok(value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn not_set(session: &Session, name: &str, options: &Options) -> Diagnostic {
    let mut finding =
        Diagnostic::new(Code::ParameterNotSet, format!("parameter `{name}` is not set"));
    if !options.doc.is_empty() {
        finding = finding.note(format!("`{name}`: {}", options.doc));
    }
    let asked = session.parameters.borrow();
    let unused =
        session.given.keys().filter(|given| asked.iter().all(|a| a.parameter.name != **given));
    if let Some(meant) = did_you_mean(name, unused.map(String::as_str)) {
        finding = finding.hint(format!("`{meant}` is given: is it a slip of the pen?"));
    }
    finding
        .hint(format!("set it with `--param {name}=..`"))
        .hint(format!("or in the environment: `DOLLOP_PARAM_{name}=..`"))
}

/// Whether any text in a value could be mistaken for a marker.
pub(super) fn holds_noncharacter(value: &Value) -> bool {
    match value {
        Value::String(text) => marks::is_marked(text),
        Value::List(items) => items.iter().any(holds_noncharacter),
        Value::Map(entries) => entries
            .iter()
            .any(|(key, value)| marks::is_marked(key) || holds_noncharacter(value)),
        Value::Secret(inner) => holds_noncharacter(inner),
        _ => false,
    }
}

fn read_options(
    session: &Session,
    call: &super::sources::Call,
    name: &str,
    options: Dynamic,
) -> Answer<Options> {
    let refuse = |key: &str, message: String| -> Box<rhai::EvalAltResult> {
        let at: Span = call.at(&Path::attribute(key));
        session.refuse(Diagnostic::new(Code::ParameterForm, message).at(at))
    };
    let mut read = Options {
        ty: Type::String,
        default: None,
        secret: false,
        doc: String::new(),
        choices: Vec::new(),
    };
    if options.is_unit() {
        return Ok(read);
    }
    let Some(options) = options.flatten().try_cast::<Map>() else {
        let message = format!("options of parameter `{name}` must be a map");
        return Err(refuse("name", message));
    };
    let mut ty = None;
    for (key, value) in options {
        match key.as_str() {
            "type" => {
                let word = known_text(&value).unwrap_or_default();
                let found = TYPES.iter().find(|(name, _)| *name == word);
                let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
                let Some((_, found)) = found else {
                    return Err(refuse(
                        "type",
                        format!("a type is one of {}", list_words(&names)),
                    ));
                };
                ty = Some(*found);
            }
            "default" => match constant(session, value) {
                Some(value) => read.default = Some(value),
                None => {
                    let message = format!("the default of parameter `{name}` must be known");
                    return Err(refuse("default", message));
                }
            },
            "choices" => match constant(session, value) {
                Some(Value::List(choices)) => read.choices = choices,
                _ => {
                    return Err(refuse(
                        "choices",
                        "`choices` must be a list of known values".to_owned(),
                    ));
                }
            },
            "secret" => match value.as_bool() {
                Ok(value) => read.secret = value,
                Err(_) => return Err(refuse("secret", "`secret` must be a bool".to_owned())),
            },
            "doc" => match known_text(&value) {
                Some(text) => read.doc = text,
                None => return Err(refuse("doc", "`doc` must be known text".to_owned())),
            },
            other => {
                let known = ["choices", "default", "doc", "secret", "type"];
                let finding = Diagnostic::new(
                    Code::ParameterForm,
                    format!("a parameter has no option `{other}`"),
                )
                .at(call.at(&Path::attribute(other)));
                return Err(session.refuse(match did_you_mean(other, known) {
                    Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                    None => finding.hint(format!("there are {}", list_words(&known))),
                }));
            }
        }
    }
    let of_default = read.default.as_ref().and_then(Type::of);
    read.ty = ty.or(of_default).unwrap_or(Type::String);
    if read.default.is_some() && of_default != Some(read.ty) {
        let message = format!("the default of parameter `{name}` must be a {}", read.ty.name());
        return Err(refuse("default", message));
    }
    if read.choices.iter().any(|choice| Type::of(choice) != Some(read.ty)) {
        let message =
            format!("the choices of parameter `{name}` must each be a {}", read.ty.name());
        return Err(refuse("choices", message));
    }
    if let Some(default) = &read.default
        && !read.choices.is_empty()
        && !read.choices.iter().any(|choice| choice.same(default))
    {
        let message = format!("the default of parameter `{name}` is none of its choices");
        return Err(refuse("default", message));
    }
    Ok(read)
}

fn constant(session: &Session, value: Dynamic) -> Option<Value> {
    let mut converter = Converter::new(session, Path::default());
    match converter.expr(value) {
        Expr::Value(value) if converter.troubles.is_empty() => Some(value),
        _ => None,
    }
}

/// Warnings for parameters nobody asked for.
pub(super) fn unused(session: &Session) -> Vec<Diagnostic> {
    let asked = session.parameters.borrow();
    let names = || asked.iter().map(|asked| asked.parameter.name.as_str());
    let unused = session.given.iter().filter(|(name, _)| names().all(|asked| asked != **name));
    unused
        .map(|(name, given)| {
            let warning =
                Diagnostic::new(Code::UnusedParameter, format!("unused parameter `{name}`"))
                    .note(format!(
                        "given by {}, but the script does not ask for it",
                        given.source
                    ));
            match did_you_mean(name, names()) {
                Some(meant) => warning.hint(format!("did you mean `{meant}`?")),
                None => warning,
            }
        })
        .collect()
}
