//! `output`: values for whoever asks the stack.

use rhai::{Dynamic, Map, NativeCallContext};

use super::check::a;
use super::convert::{Converter, list_words};
use super::parameters::known_text;
use super::parameters::option_hint;
use super::profile;
use super::session::{MOST_OUTPUTS, Session};
use super::sources::Call;
use super::symbol::{Answer, type_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::expr::{Expr, Function};
use crate::path::Path;
use crate::plain_type::PlainType;
use crate::plan::misfit;
use crate::program::Output;

/// Every option there is.
const NAMES: [&str; 4] = ["deprecated", "doc", "secret", "type"];

/// `output(name, value)` and `output(name, value, #{ .. })`.
pub(super) fn output(
    session: &Session,
    context: &NativeCallContext,
    name: &Dynamic,
    value: Dynamic,
    options: Dynamic,
) -> Answer<Dynamic> {
    let call = session.call(context);
    let Some(name) = known_text(name).filter(|name| !name.is_empty()) else {
        let message = "the name of an output must be known text, and not empty";
        let finding =
            Diagnostic::new(Code::NameNotKnown, message).at(call.at(&Path::attribute("name")));
        return Err(session.refuse(finding));
    };
    let options = read(session, &call, &name, options)?;
    let index = session.outputs.borrow().len();
    let other = session.output_places.borrow().get(&name).copied();
    if let Some(other) = other {
        let other = session.outputs.borrow()[other].span.clone();
        let finding =
            Diagnostic::new(Code::OutputForm, format!("output `{name}` is declared twice"))
                .at(call.span.clone())
                .related(other, "first declared here");
        session.note(finding)?;
        return Ok(Dynamic::UNIT);
    }
    let mut converter = Converter::new(session, Path::default());
    let mut value = converter.expr(value);
    for trouble in converter.troubles {
        let place = if trouble.path.0.is_empty() {
            String::new()
        } else {
            format!(" (at `{}`)", trouble.path)
        };
        let mut finding = Diagnostic::new(
            trouble.code,
            format!("output `{name}`: {}{place}", trouble.message),
        )
        .at(call.span.clone());
        finding.hints = trouble.hints;
        session.note(finding)?;
    }
    if let Some(finding) = wrong_type(session, &name, options.ty, &value) {
        session.note(finding.at(call.span.clone()))?;
    }
    if options.secret {
        value = value.secret();
    }
    let span = call.span.clone();
    session.limit(index, MOST_OUTPUTS, "outputs", &span)?;
    if profile::off(session).is_none() {
        let Options { ty, doc, deprecated, .. } = options;
        session.output_places.borrow_mut().insert(name.clone(), index);
        session.outputs.borrow_mut().push(Output { name, value, ty, doc, deprecated, span });
    }
    Ok(Dynamic::UNIT)
}

/// What a script says of an output.
#[derive(Default)]
struct Options {
    ty: Option<PlainType>,
    secret: bool,
    doc: String,
    deprecated: Option<String>,
}

/// Reads the map of options; what is wrong with them is noted, all of it.
fn read(session: &Session, call: &Call, name: &str, options: Dynamic) -> Answer<Options> {
    let mut read = Options::default();
    if options.is_unit() {
        return Ok(read);
    }
    let Some(options) = options.flatten().try_cast::<Map>() else {
        let message = format!("options of output `{name}` must be a map");
        let finding = Diagnostic::new(Code::OutputForm, message).at(call.span.clone());
        session.note(finding.hint("write `#{ doc: \"what it is\" }`"))?;
        return Ok(read);
    };
    for (key, value) in options {
        let text = known_text(&value);
        let typed = text.clone().filter(|_| key == "type");
        let wanted = match (key.as_str(), text, value.as_bool()) {
            ("doc", Some(text), _) => {
                read.doc = text;
                continue;
            }
            ("deprecated", Some(text), _) => {
                read.deprecated = Some(text);
                continue;
            }
            ("deprecated", _, Ok(is_so)) => {
                read.deprecated = is_so.then(String::new);
                continue;
            }
            ("secret", _, Ok(is_so)) => {
                read.secret = is_so;
                continue;
            }
            ("type", text, _) => {
                read.ty = text.and_then(|word| PlainType::named(&word));
                if read.ty.is_some() {
                    continue;
                }
                let names: Vec<_> = PlainType::ALL.iter().map(|(name, _)| *name).collect();
                format!("a type is one of {}", list_words(&names))
            }
            ("doc", ..) => "`doc` must be known text".to_owned(),
            ("secret", ..) => "`secret` must be a bool".to_owned(),
            ("deprecated", ..) => "`deprecated` must be known text or a bool".to_owned(),
            (other, ..) => format!("an output has no option `{other}`"),
        };
        let mut finding = Diagnostic::new(Code::OutputForm, wanted)
            .at(call.at(&Path::attribute(key.as_str())));
        if !NAMES.contains(&key.as_str()) {
            finding = finding.hint(option_hint(&key, &NAMES));
        } else if let Some(instead) = typed.as_deref().and_then(PlainType::instead) {
            finding = finding.hint(instead);
        }
        session.note(finding)?;
    }
    Ok(read)
}

/// What is wrong with the value, as far as can be seen before the plan.
fn wrong_type(
    session: &Session,
    name: &str,
    ty: Option<PlainType>,
    value: &Expr,
) -> Option<Diagnostic> {
    let wanted = ty?;
    let found = match value {
        Expr::Value(value) => return misfit(name, ty, value),
        Expr::Secret(inner) => return wrong_type(session, name, ty, inner),
        Expr::Reference(reference) => {
            let found = type_of(&session.registry, reference)?;
            if wanted.may_be(found) {
                return None;
            }
            format!("but `{reference}` is {}", a(found))
        }
        Expr::List(_) if wanted != PlainType::List => "not a list".to_owned(),
        Expr::Map(_) if wanted != PlainType::Map => "not a map".to_owned(),
        Expr::Call(function, arguments) => {
            if let Some(among) = function.alternatives(arguments) {
                return among.iter().find_map(|one| wrong_type(session, name, ty, one));
            }
            match (function.is_condition(), wanted) {
                _ if *function == Function::Withheld && !arguments.is_empty() => return None,
                (true, PlainType::Bool) | (false, PlainType::String) => return None,
                (true, _) => "not a bool".to_owned(),
                (false, _) => "not text".to_owned(),
            }
        }
        _ => return None,
    };
    let message = format!("output `{name}` must be {}, {found}", wanted.words());
    Some(Diagnostic::new(Code::OutputForm, message))
}
