//! `param`: values from outside.

mod options;

use rhai::{Dynamic, NativeCallContext};

use super::convert::list_words;
use super::marks;
use super::profile;
use super::session::{MOST_PARAMETERS, Session};
use super::symbol::{Answer, Symbol, to_dynamic};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::ephemeral::Ephemeral;
use crate::expr::Expr;
use crate::path::Path;
use crate::program::{Given, GivenValue, Parameter};
use crate::value::Value;
use options::Options;
pub(super) use options::option_hint;

/// A parameter that was asked for, with the value it has.
#[derive(Clone)]
pub(super) struct Asked {
    /// As the program shows it.
    pub(super) parameter: Parameter,
    options: Options,
    /// The value the script goes on with; a placeholder when there is none.
    value: Value,
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
    let Some(name) = known_text(name).filter(|name| !name.is_empty()) else {
        let message = "the name of a parameter must be known text, and not empty";
        let finding = Diagnostic::new(Code::NameNotKnown, message).at(at);
        return Err(session.refuse_parameter(finding));
    };
    let options = options::read(session, &call, &name, options)?;
    let known = session.parameters.borrow().iter().find(|a| a.parameter.name == name).cloned();
    if let Some(known) = known {
        if !known.options.same(&options) {
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
    let from = given.map_or("default", |given| given.source.as_str());
    let settled = match settle(session, &name, given, &options) {
        Ok(value) => match refused_by_check(context, &options, &value)? {
            None => Ok(value),
            Some(words) => {
                let message = format!("parameter `{name}`: {words}");
                Err(Box::new(with_value(
                    Diagnostic::new(Code::ParameterValue, message),
                    from,
                    &value,
                    &options,
                )))
            }
        },
        Err(finding) => Err(finding),
    };
    let is_set = given.is_some() || options.default.is_some();
    let mut parameter = Parameter {
        name: name.clone(),
        doc: options.doc.clone(),
        ty: options.ty.name().to_owned(),
        choices: options.choices.clone(),
        secret: options.secret,
        default: options.default.clone().map(|value| marked(value, &options)),
        deprecated: options.deprecated.clone(),
        value: None,
        source: if is_set { from.to_owned() } else { "not set".to_owned() },
        outranked: given.map(|given| given.outranked.clone()).unwrap_or_default(),
        span: call.span.clone(),
    };
    let value = match settled {
        Ok(value) => {
            let value = marked(value, &options);
            parameter.value = Some(value.clone());
            value
        }
        // Who turns a profile off need not set what it wants.
        Err(_) if !is_set && profile::off(session).is_some() => {
            session.guessing.set(true);
            let off = profile::off(session).unwrap_or_default();
            parameter.source = format!("not set; profile `{off}` is off");
            let placeholder = options.choices.first().cloned();
            marked(placeholder.unwrap_or_else(|| options.ty.placeholder()), &options)
        }
        Err(finding) => {
            session.note_parameter((*finding).at(at.clone()), !is_set)?;
            let placeholder =
                options.choices.first().cloned().unwrap_or_else(|| options.ty.placeholder());
            marked(placeholder, &options)
        }
    };
    if let (Some(instead), Some(given)) = (&options.deprecated, given) {
        let mut warning = Diagnostic::new(
            Code::DeprecatedParameter,
            format!("parameter `{name}` is deprecated"),
        )
        .at(at);
        if !instead.is_empty() {
            warning = warning.note(instead.clone());
        }
        session.record(warning.note(format!("given by {}", given.source)));
    }
    let answer = dynamic(value.clone(), options.secret);
    session.parameters.borrow_mut().push(Asked { parameter, options, value });
    Ok(answer)
}

fn marked(value: Value, options: &Options) -> Value {
    match (options.secret, options.ephemeral) {
        _ if value == Value::Null => value,
        (_, true) => value.ephemeral(),
        (true, _) => value.secret(),
        _ => value,
    }
}

/// What the parameter's own rules say against a value.
fn refused_by_check(
    context: &NativeCallContext,
    options: &Options,
    value: &Value,
) -> Answer<Option<String>> {
    let says = |otherwise: String| {
        Some(if options.message.is_empty() { otherwise } else { options.message.clone() })
    };
    if *value == Value::Null {
        return Ok(None);
    }
    if let Some(pattern) = &options.pattern
        && let Some(text) = value.as_str()
        && !pattern.is_match(text)
    {
        let written = pattern.as_str();
        let written = written.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$"));
        return Ok(says(format!("it must match `{}`", written.unwrap_or_default())));
    }
    let Some(check) = &options.check else { return Ok(None) };
    let argument = to_dynamic(Expr::Value(value.clone()));
    let fine: Dynamic = check.call_within_context(context, (argument,))?;
    match fine.as_bool() {
        Ok(true) => Ok(None),
        Ok(false) => Ok(says("its check refuses the value".to_owned())),
        Err(_) => Ok(Some("its check must give a bool".to_owned())),
    }
}

/// Tells where a bad value came from, and what it is, unless that is secret.
fn with_value(finding: Diagnostic, from: &str, value: &Value, options: &Options) -> Diagnostic {
    let finding = finding.note(match from {
        "default" => "that is its default".to_owned(),
        from => format!("given by {from}"),
    });
    if options.secret { finding } else { finding.note(format!("it is `{}`", plain(value))) }
}

/// Those that were asked for, in order.
pub(super) fn asked(session: &Session) -> Vec<Parameter> {
    session.parameters.borrow().iter().map(|asked| asked.parameter.clone()).collect()
}

/// The values of the secret ones.
pub(super) fn secrets(session: &Session) -> Vec<Value> {
    let asked = session.parameters.borrow();
    asked.iter().filter(|asked| asked.options.secret).map(|asked| asked.value.clone()).collect()
}

fn dynamic(value: Value, secret: bool) -> Dynamic {
    if secret && value != Value::Null {
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
        GivenValue::Typed(value) => {
            options.ty.take(value.clone()).ok_or_else(|| Box::new(bad(options.ty.words())))?
        }
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
        let finding = match value.as_str().filter(|_| !options.secret) {
            Some(text) => finding.note(format!("it is `{text}`")),
            None => finding,
        };
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
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
            holds_noncharacter(inner)
        }
        _ => false,
    }
}

/// Warnings for parameters nobody asked for.
pub(super) fn unused(session: &Session) -> Vec<Diagnostic> {
    let asked = session.parameters.borrow();
    let names = || asked.iter().map(|asked| asked.parameter.name.as_str());
    let unused = session
        .given
        .iter()
        .filter(|(name, given)| !given.incidental && names().all(|asked| asked != **name));
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
