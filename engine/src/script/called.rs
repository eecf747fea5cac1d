//! How functions are called.

use std::collections::BTreeSet;

use rhai::Engine;

use super::functions;
use super::session::Session;

/// Every function a script can call by a bare name.
pub(super) fn functions(session: &Session, engine: &Engine, file: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = engine
        .gen_fn_signatures(true)
        .iter()
        .filter_map(|signature| signature.split('(').next())
        .filter(|name| {
            !name.contains(['$', ':', ' ', '!']) && name.starts_with(char::is_alphabetic)
        })
        .map(str::to_owned)
        .collect();
    for internal in ["to_debug", "sleep", "chars"] {
        names.remove(internal);
    }
    if let Some(source) = session.source(file) {
        names.extend(source.functions.iter().map(|(name, _)| name.clone()));
    }
    names
}

/// The ways a function is called, as written where it is defined.
pub(super) fn forms(session: &Session, name: &str, file: &str) -> Vec<String> {
    let own = session.source(file);
    let own = own.iter().flat_map(|source| source.forms.iter());
    let own: Vec<_> =
        own.filter(|form| form.name == name).map(|form| form.words.clone()).collect();
    if !own.is_empty() {
        return own;
    }
    let entries = functions::entries().filter(|entry| entry.name() == name);
    entries.map(|entry| entry.form().to_owned()).collect()
}

/// Whether a function of that name, with these forms, never takes so many arguments.
pub(super) fn is_never(engine: &Engine, name: &str, forms: &[String], many: usize) -> bool {
    let is_named = |form: &&String| form.split('(').next() == Some(name);
    !forms.is_empty()
        && !forms.iter().any(|form| takes(form, many))
        && !engine.gen_fn_signatures(true).iter().filter(is_named).any(|form| takes(form, many))
}

/// Whether a function that is called like this takes so many arguments.
fn takes(form: &str, many: usize) -> bool {
    let parameters = form.split(['(', ')']).nth(1).unwrap_or_default();
    let parameters = parameters.split(',').filter(|one| !one.trim().is_empty());
    let (optional, needed): (Vec<_>, Vec<_>) = parameters
        .partition(|one| one.split(':').next().is_some_and(|name| name.ends_with('?')));
    (needed.len()..=needed.len() + optional.len()).contains(&many)
}
