//! Calls that have all they ask for and still say nothing: a number compared with a text, a
//! text where true or false is meant. Nothing is taken in their place; what waits for one stops.

use crate::condition::Unfit;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::error::CallError;
use crate::expr::{Expr, Function};
use crate::value::Value;

/// The most characters of a value that are quoted.
const LONGEST_QUOTED: usize = 60;

/// A call that says nothing, in words; secrets are masked.
#[derive(Debug)]
pub(crate) struct Undecided {
    message: String,
    note: String,
    hint: &'static str,
}

impl Undecided {
    /// As a finding at that place.
    pub(crate) fn finding(self, span: Span) -> Diagnostic {
        let found = Diagnostic::new(Code::FunctionFailed, self.message).at(span);
        found.note(self.note).hint(self.hint)
    }

    /// As a reason why a call to a service was not even made.
    pub(crate) fn error(self, attribute: Option<&str>, span: Option<&Span>) -> CallError {
        let message = match attribute {
            Some(attribute) => format!("`{attribute}`: {}", self.message),
            None => self.message,
        };
        let error = CallError::refused(message).note(self.note);
        let error = match span {
            Some(span) => error.note(format!("it stands at {span}")),
            None => error,
        };
        error.hint(self.hint)
    }

    /// Tells it beside another finding.
    pub(crate) fn told_by(self, found: Diagnostic) -> Diagnostic {
        found.note(self.message).note(self.note).hint(self.hint)
    }
}

impl Expr {
    /// The call that keeps it from ever being a value, if there is one. What may turn out not
    /// to be asked for is not looked at.
    pub(crate) fn undecided(&self) -> Option<Undecided> {
        match self {
            Self::Value(_) | Self::Reference(_) => None,
            Self::List(items) => items.iter().find_map(Self::undecided),
            Self::Map(entries) => entries.values().find_map(Self::undecided),
            Self::Secret(inner) => inner.undecided(),
            Self::Call(function, arguments) => {
                function.undecided_inside(arguments).or_else(|| function.undecided(arguments))
            }
        }
    }
}

impl Function {
    fn undecided_inside(self, arguments: &[Expr]) -> Option<Undecided> {
        match self {
            Self::Choose | Self::Coalesce => arguments.first()?.undecided(),
            Self::And | Self::Or => {
                let found: Vec<_> = arguments.iter().map(Expr::undecided).collect();
                let is_open = |(argument, found): (&Expr, &Option<Undecided>)| {
                    argument.known().is_none() && found.is_none()
                };
                // What is still to come may decide it alone.
                if arguments.iter().zip(&found).any(is_open) {
                    return None;
                }
                found.into_iter().flatten().next()
            }
            _ => arguments.iter().find_map(Expr::undecided),
        }
    }

    /// Why it says nothing about these arguments; `None` while it may.
    fn undecided(self, arguments: &[Expr]) -> Option<Undecided> {
        if self == Self::Choose {
            let condition = arguments.first()?.known()?;
            if matches!(condition.reveal(), Value::Bool(_)) {
                return None;
            }
            let message = "the condition of `choose` is neither true nor false".to_owned();
            let note =
                format!("it is {}: {}", condition.reveal().type_name(), quoted(condition));
            let hint = "choose by a condition: `choose(eq(value, other), ..)`";
            return Some(Undecided { message, note, hint });
        }
        let name = self.condition_name()?;
        let known = arguments.iter().map(Expr::known).collect::<Option<Vec<_>>>()?;
        let values: Vec<Value> = known.iter().map(|value| (*value).clone()).collect();
        if self.holds(&values).is_some() {
            return None;
        }
        let written: Vec<_> = known.iter().map(|value| quoted(value)).collect();
        let message =
            format!("the condition `{name}({})` is neither true nor false", written.join(", "));
        let types: Vec<_> = known.iter().map(|value| value.reveal().type_name()).collect();
        let types = types.join(" and ");
        let nothing = known.iter().any(|value| *value.reveal() == Value::Null);
        let (note, hint) = match self {
            _ if nothing => (
                format!("this cannot be asked of {types}"),
                "`coalesce([value, other])` stands in where there is nothing",
            ),
            Self::Matches => match values.as_slice() {
                [text, pattern] => (
                    unfit(text, pattern).unwrap_or_else(|| format!("it is asked of {types}")),
                    "look for a shorter pattern, or in a text",
                ),
                _ => return None,
            },
            Self::Holds => (
                format!("this cannot be asked of {types}"),
                "ask a text for a part of it, a list for an item, a map for a key",
            ),
            Self::And | Self::Or | Self::Not => (
                format!("it is asked of {types}"),
                "make a condition of it: `eq(value, other)`",
            ),
            _ => (
                format!("{types} cannot be compared"),
                "compare a number with a number (`2`) and a text with a text (`\"2\"`)",
            ),
        };
        Some(Undecided { message, note, hint })
    }

    /// What a script calls it, when it is a condition.
    fn condition_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Holds => "holds",
            Self::Matches => "matches",
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            _ => return None,
        })
    }
}

/// Why a pattern is not looked for in a text, unless it is a secret.
fn unfit(text: &Value, pattern: &Value) -> Option<String> {
    let pattern = (!pattern.is_secret()).then(|| pattern.as_str()).flatten()?;
    match crate::condition::pattern_for(pattern, text.as_str()?) {
        Err(Unfit::Pattern(why) | Unfit::Text(why)) => Some(why),
        Ok(_) => None,
    }
}

/// A value as a script writes it, cut where it is long.
fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_QUOTED) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
