//! `replicas: 3`: one declaration in the script, several resources.

use rhai::{Array, Dynamic};

use super::convert::Trouble;
use super::declare::one;
use super::draft::{Draft, First};
use super::place::Place;
use super::symbol::Answer;
use crate::diagnostic::Code;
use crate::expr::Expr;
use crate::kind::Kind;
use crate::path::Path;
use crate::program::Replica;
use crate::value::Value;

/// How many there are.
const COUNT: &str = "replicas";
/// What they are all called.
const GROUP: &str = "replica_of";

/// How many there are to be, when the script says so.
pub(super) fn count(draft: &mut Draft) -> Option<u32> {
    let given = draft.attributes.remove(COUNT)?;
    if let Expr::Value(Value::Int(count)) = given
        && let Ok(count) = u32::try_from(count)
    {
        return Some(count);
    }
    let (code, message) = match given {
        Expr::Value(_) => (Code::Rule, "`replicas` is a number, 0 or more"),
        _ => (Code::NameNotKnown, "how many replicas there are must be known"),
    };
    draft.trouble(Trouble::new(code, Path::attribute(COUNT), message));
    None
}

/// Declares `app-1`, `app-2`, ... and returns their handles as a list.
pub(super) fn declare(
    mut draft: Draft,
    kind: &Kind,
    place: &Place,
    first: &First,
    count: u32,
) -> Answer<Dynamic> {
    if draft.is_given("name") {
        let message = "replicas cannot share one name";
        let hint = "leave `name` out: they are named after the first argument, with a number";
        let at = Path::attribute("name");
        draft.trouble(Trouble::new(Code::Rule, at, message).hint(hint));
    }
    draft.attributes.remove("name");
    draft.attributes.insert(GROUP.to_owned(), Value::string(first.text.as_str()).into());
    let session = draft.session;
    // What is wrong with all of them is said once.
    for finding in std::mem::take(&mut draft.findings) {
        session.note(finding)?;
    }
    let mut handles = Array::new();
    for number in 1..=count {
        let mut draft = draft.copy();
        draft.examined = number > 1;
        draft.lifecycle.replica = Some(Replica { of: first.text.clone(), number });
        let first = First { text: format!("{}-{number}", first.text), handle: None };
        handles.push(Dynamic::from(one(draft, kind, place.clone(), &first)?));
    }
    Ok(handles.into())
}
