//! Looking up what exists and is not managed here: `docker::network_lookup("bridge")`.

use rhai::{Dynamic, Map, NativeCallContext};

use super::convert::{Trouble, list_words};
use super::declare::{finish, set_name};
use super::draft::Draft;
use super::lifecycle::KEYS;
use super::marks;
use super::place::{self, Place};
use super::session::Session;
use super::symbol::{Answer, Declared, Handle};
use crate::address::Address;
use crate::diagnostic::{Code, did_you_mean};
use crate::kind::{Kind, lookup_of};
use crate::limit::Timeouts;
use crate::path::Path;
use crate::program::{Lifecycle, Lookup};
use crate::resource::Naming;

/// `docker::network_lookup("bridge", #{ .. })`, and `db.role_lookup("app", #{ .. })` on `db`.
pub(super) fn lookup(
    session: &Session,
    context: &NativeCallContext,
    kind: &Kind,
    on: Option<&Handle>,
    name: &Dynamic,
    attributes: Dynamic,
) -> Answer<Dynamic> {
    let mut draft = Draft::new(session, session.call(context), kind.name, &kind.schema);
    let first = draft.first(name)?;
    let (optional, attributes) = optional(&mut draft, kind, attributes);
    draft.read(attributes)?;
    only_what_tells(&mut draft, kind);
    let Place { connection, mut path } = place::place(&mut draft, kind, on);
    path.push(first.text.clone());
    let natural = kind.traits.naming == Naming::Natural;
    if natural {
        // The name it really has; nothing is named after the stack here.
        set_name(&mut draft, &first, || first.text.clone());
    }
    for name in kind.traits.within.iter().chain(kind.traits.identity) {
        let required = kind.schema.spec.get(*name).is_some_and(|attribute| attribute.required);
        if required && !draft.attributes.contains_key(*name) && !draft.is_given(name) {
            let message = format!("to look up a `{}`, `{name}` must be known", kind.name);
            draft.trouble(Trouble::new(Code::LookupForm, Path::default(), message));
        }
    }
    let components = session.components.borrow().clone();
    let address = Address::new(components, lookup_of(kind.name), path);
    let declared = Declared { address, connection: Some(connection), kind: kind.name, natural };
    finish(draft, declared, Some(Lookup { optional })).map(Dynamic::from)
}

/// The keys a look-up of this kind takes.
pub fn takes(kind: &Kind) -> Vec<&'static str> {
    let telling = kind.traits.within.iter().copied().chain(kind.traits.telling());
    telling.chain(["after", "depends_on", "optional", "timeouts"]).collect()
}

/// Takes the one key that only look-ups have out of the attributes, and those nobody has.
fn optional(draft: &mut Draft, kind: &Kind, attributes: Dynamic) -> (bool, Dynamic) {
    let attributes = attributes.flatten();
    if !attributes.is_map() {
        return (false, attributes);
    }
    let mut map = attributes.cast::<Map>();
    let schema = &kind.schema;
    let unknown = |key: &str| {
        key != "optional"
            && !KEYS.contains(&key)
            && !schema.spec.contains_key(key)
            && !schema.facts.contains_key(key)
            && !marks::is_marked(key)
    };
    let strange: Vec<_> = map.keys().filter(|key| unknown(key)).cloned().collect();
    for key in strange {
        map.remove(&key);
        let message = format!("a look-up of a `{}` takes no `{key}`", kind.name);
        let trouble = Trouble::new(Code::LookupForm, Path::attribute(key.as_str()), message);
        let takes = takes(kind);
        draft.trouble(match did_you_mean(&key, takes.iter().copied()) {
            Some(meant) => trouble.hint(format!("did you mean `{meant}`?")),
            None => trouble.hint(format!("it takes {}", list_words(&takes))),
        });
    }
    let value = map.remove("optional");
    let optional = match value.as_ref().map(Dynamic::as_bool) {
        None => false,
        Some(Ok(value)) => value,
        Some(Err(_)) => {
            let path = Path::attribute("optional");
            draft.trouble(Trouble::new(Code::LookupForm, path, "`optional` must be a bool"));
            false
        }
    };
    (optional, map.into())
}

/// Refuses what does not say which object is meant, or when to look.
fn only_what_tells(draft: &mut Draft, kind: &Kind) {
    let own = kind.traits.telling();
    let telling: Vec<&str> = kind.traits.within.iter().copied().chain(own).collect();
    let others: Vec<String> = draft
        .attributes
        .keys()
        .filter(|name| !telling.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in others {
        let message = format!("`{name}` does not say which `{}` is meant", kind.name);
        draft.trouble(
            Trouble::new(Code::LookupForm, Path::attribute(name), message)
                .hint(format!("a look-up takes {}", list_words(&telling)))
                .hint("it changes nothing; read the attribute from what it returns"),
        );
    }
    let Lifecycle { depends_on, timeouts, .. } = &draft.lifecycle;
    let fine = Lifecycle {
        depends_on: depends_on.clone(),
        timeouts: Timeouts { read: timeouts.read, ..Timeouts::default() },
        ..Lifecycle::default()
    };
    if draft.lifecycle != fine {
        let message = "a look-up changes nothing, so there is nothing to guard or to limit";
        let hint = "it takes `depends_on` and `timeouts: #{ read: \"..\" }`";
        draft.trouble(Trouble::new(Code::LookupForm, Path::default(), message).hint(hint));
    }
}
