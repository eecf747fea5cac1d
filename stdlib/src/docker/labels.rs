//! Ownership: the labels every object made by dollop carries.

use std::collections::{BTreeMap, HashMap};

use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Owner, Problem};

use crate::text::Text;

/// The stack an object belongs to.
pub(crate) const STACK: &str = "dollop.stack";
/// The address it was made for.
pub(crate) const ADDRESS: &str = "dollop.address";
/// What has files put into it by volumes: a container says into which folders.
pub(crate) const FILES: &str = "dollop.files";

/// What is there for a moment only: the stack whose run made it.
pub(crate) const MOMENTARY: &str = "dollop.momentary";

/// What the container of a job was made from.
pub(crate) const JOB: &str = "dollop.job";

const OWN: [&str; 5] = [STACK, ADDRESS, FILES, MOMENTARY, JOB];

/// The user's labels with the marks of ownership.
pub(crate) fn marked(name: &Name, labels: &BTreeMap<String, Text>) -> HashMap<String, String> {
    let own = [
        (STACK.to_owned(), name.stack.clone()),
        (ADDRESS.to_owned(), name.address.to_string()),
    ];
    labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).chain(own).collect()
}

/// The labels without the marks of ownership.
pub(crate) fn unmarked(labels: &HashMap<String, String>) -> BTreeMap<String, Text> {
    labels
        .iter()
        .filter(|(key, _)| !OWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), Text(value.clone())))
        .collect()
}

/// Whose an object is. Labels cannot be changed, so an object found by its recorded id may
/// carry the address it had before a declared move; its stack must still be ours.
pub(crate) fn owner(labels: &HashMap<String, String>, name: &Name, by_id: bool) -> Owner {
    let address = labels.get(ADDRESS);
    match labels.get(STACK) {
        None => Owner::Other("it was not made by dollop".to_owned()),
        Some(stack) if *stack != name.stack => {
            Owner::Other(format!("it belongs to stack `{stack}`"))
        }
        Some(_) if by_id || address.is_some_and(|a| *a == name.address.to_string()) => {
            Owner::Ours
        }
        Some(_) => {
            let address = address.map_or("unknown", String::as_str);
            Owner::Other(format!("it belongs to `{address}` of this stack"))
        }
    }
}

/// In words for a message about an object that is in the way: ` (of stack `x`)`.
pub(crate) fn whose(labels: &HashMap<String, String>) -> String {
    match (labels.get(STACK), labels.get(ADDRESS)) {
        (Some(stack), Some(address)) => format!("`{address}` of stack `{stack}`"),
        (Some(stack), None) => format!("stack `{stack}`"),
        _ => "not made by dollop".to_owned(),
    }
}

/// Labels a script may not set itself.
pub(crate) fn check(labels: &BTreeMap<String, Text>) -> Vec<Problem> {
    OWN.iter()
        .filter(|key| labels.contains_key(**key))
        .map(|key| Problem {
            attribute: "labels".to_owned(),
            message: format!("label `{key}` is dollop's own"),
            hint: Some("choose another key".to_owned()),
        })
        .collect()
}

/// `{stack}-{components}-{name}`.
pub(crate) fn default_name(stack: &str, address: &Address) -> String {
    let components = address.components().iter().map(String::as_str);
    std::iter::once(stack)
        .chain(components)
        .chain(std::iter::once(address.name()))
        .collect::<Vec<_>>()
        .join("-")
}

/// Refuses what the engine would refuse as a name, with a way out.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), CallError> {
    match check_natural(what, name) {
        None => Ok(()),
        Some(Problem { message, hint, .. }) => {
            let refused = CallError::refused(message);
            Err(hint.into_iter().fold(refused, CallError::hint))
        }
    }
}

/// What the engine would refuse as a name.
pub(crate) fn check_natural(what: &str, name: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() >= 2 && starts_well && name.chars().all(allowed) {
        return None;
    }
    Some(Problem {
        attribute: "name".to_owned(),
        message: format!(
            "`{name}` cannot name a {what}: Docker allows letters, digits, `_`, `.` and `-`, at \
             least two and not starting with a sign"
        ),
        hint: Some("give it another one: `name: \"...\"`".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        let address = Address::new(vec!["data".into()], "docker::network", vec!["app".into()]);
        Name { stack: "shop".into(), natural: default_name("shop", &address), address }
    }

    #[test]
    fn components_are_part_of_the_default_name() {
        assert_eq!(name().natural, "shop-data-app");
    }

    #[test]
    fn an_address_changed_by_a_move_is_still_ours_by_id() {
        let mut labels = marked(&name(), &BTreeMap::new());
        assert_eq!(owner(&labels, &name(), false), Owner::Ours);
        labels.insert(ADDRESS.into(), "docker::network.old".into());
        assert_eq!(owner(&labels, &name(), true), Owner::Ours);
        assert_ne!(owner(&labels, &name(), false), Owner::Ours);
        labels.insert(STACK.into(), "other".into());
        assert_eq!(
            owner(&labels, &name(), true),
            Owner::Other("it belongs to stack `other`".into())
        );
    }

    #[test]
    fn names_the_engine_refuses_are_refused_first() {
        assert!(check_name("network", "shop-data_1.x").is_ok());
        for bad in ["", "a", "-ab", "with space", "ünder"] {
            assert!(check_name("network", bad).is_err(), "{bad}");
        }
    }
}
