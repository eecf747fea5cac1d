//! Random text that lives only in the record.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Name, Naming, Problem, ReadResult, Resource, Traits, Wanted,
};
use rand::seq::{IndexedRandom, SliceRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::Host;
use super::recorded::recorded;
use super::token::{generator, token};
use crate::text::Text;

const LONGEST: i64 = 4096;

/// Random text, for passwords and keys. Made once and kept in the state, sealed; a change
/// of any attribute makes a new one.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch people set by name")]
pub struct Spec {
    /// Number of characters, 1 to 4096.
    #[serde(default = "length")]
    #[schemars(extend("x-replace" = true))]
    length: i64,
    /// Whether to use the letters `a` to `z`. Of each class used there is at least one.
    #[serde(default = "yes")]
    #[schemars(extend("x-replace" = true))]
    lower: bool,
    /// Whether to use the letters `A` to `Z`.
    #[serde(default = "yes")]
    #[schemars(extend("x-replace" = true))]
    upper: bool,
    /// Whether to use the digits `0` to `9`.
    #[serde(default = "yes")]
    #[schemars(extend("x-replace" = true))]
    digits: bool,
    /// Whether to use `special_chars`.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    special: bool,
    /// The characters that `special` adds; without it they do not count.
    #[serde(default = "special_chars")]
    #[schemars(extend("x-replace" = true))]
    special_chars: String,
    /// Any values: when one changes, new text is made.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    keepers: BTreeMap<String, Text>,
}

/// What is known once it is made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// A random identifier that says nothing about the text.
    #[schemars(extend("x-stable" = true))]
    id: String,
    /// The text.
    #[schemars(extend("x-secret" = true, "x-stable" = true))]
    result: String,
}

/// The kind `local::random`.
pub struct Random;

impl Resource for Random {
    const KIND: &'static str = "local::random";
    type Connection = Host;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            for_others: true,
            only_recorded: true,
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        if !spec.special {
            spec.special_chars = special_chars();
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: String, hint: Option<String>| {
            problems.push(Problem { attribute: attribute.to_owned(), message, hint });
        };
        if !(1..=LONGEST).contains(&spec.length) {
            let message = format!("the length {} is not between 1 and {LONGEST}", spec.length);
            problem("length", message, None);
            return problems;
        }
        if spec.special && spec.special_chars.is_empty() {
            let hint = "list the characters, or leave `special_chars` out for the usual ones";
            let message = "there is no special character to choose from".to_owned();
            problem("special_chars", message, Some(hint.to_owned()));
        }
        let classes = classes(spec).len();
        if classes == 0 {
            let hint = "set one of `lower`, `upper`, `digits` and `special` to `true`";
            let message = "there is no character to choose from".to_owned();
            problem("lower", message, Some(hint.to_owned()));
        } else if spec.length < i64::try_from(classes).unwrap_or(i64::MAX) {
            let hint = format!("set `length` to {classes} or more, or leave out a class");
            let message = format!(
                "{} characters cannot hold one of each of {classes} classes",
                spec.length
            );
            problem("length", message, Some(hint));
        }
        problems
    }

    async fn read(_: &Host, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        recorded::<Self>(wanted, |facts| &facts.id)
    }

    async fn create(_: &Host, _: &Name, spec: Spec) -> Result<Created<Facts>, CallError> {
        let id = token()?;
        Ok(Created { id: id.clone(), facts: Facts { id, result: text(&spec)? } })
    }

    async fn update(
        _: &Host,
        name: &Name,
        _: &str,
        _: Spec,
        _: Spec,
    ) -> Result<Facts, CallError> {
        let message = format!("`{}` cannot change: it is made anew", name.address);
        Err(CallError::refused(message))
    }

    async fn delete(_: &Host, _: &Name, _: &str, _: Spec) -> Result<(), CallError> {
        Ok(())
    }
}

fn length() -> i64 {
    32
}

fn yes() -> bool {
    true
}

fn special_chars() -> String {
    "!#$%&*()-_=+[]{}<>:?".to_owned()
}

/// The classes of characters in use.
fn classes(spec: &Spec) -> Vec<Vec<char>> {
    let classes = [
        (spec.lower, ('a'..='z').collect()),
        (spec.upper, ('A'..='Z').collect()),
        (spec.digits, ('0'..='9').collect()),
        (spec.special, spec.special_chars.chars().collect::<Vec<_>>()),
    ];
    classes
        .into_iter()
        .filter(|(used, class)| *used && !class.is_empty())
        .map(|(_, class)| class)
        .collect()
}

/// One character of each class, the rest from all of them, in any order.
fn text(spec: &Spec) -> Result<String, CallError> {
    let classes = classes(spec);
    let all = classes.concat();
    let length = usize::try_from(spec.length).unwrap_or_default();
    let mut generator = generator()?;
    let mut chosen: Vec<char> =
        classes.iter().filter_map(|class| class.choose(&mut generator).copied()).collect();
    while chosen.len() < length
        && let Some(next) = all.choose(&mut generator)
    {
        chosen.push(*next);
    }
    chosen.shuffle(&mut generator);
    Ok(chosen.into_iter().collect())
}
