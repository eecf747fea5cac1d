//! Definition files for editors: what a script can call, in Rhai's own notation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::mpsc;

use super::session::{Door, Session};
use super::{functions, host};
use crate::kind::{Kind, Registry, short_name};
use crate::program::Profiles;
use crate::schema::summary;

/// The `.d.rhai` files an editor reads, as names and texts: one for each provider, and one
/// for the functions every script has.
///
/// Those of the providers are written by Rhai from the engine that scripts run in, the
/// functions from the table they are registered from: both say what is there.
pub fn definitions(registry: &Registry) -> Vec<(String, String)> {
    // Nothing is read through this door: no script runs.
    let (_, answers) = mpsc::channel();
    let door = Rc::new(Door { ask: Box::new(|_| {}), answers });
    let session = Session::new(
        "stack".to_owned(),
        "default".to_owned(),
        registry.clone(),
        BTreeMap::new(),
        Profiles::default(),
        door,
        None,
    );
    let engine = host::documented(&Rc::new(session), "stack.rhai");
    let definitions = engine.definitions().with_headers(true);
    let mut files: Vec<_> = definitions
        .modules()
        .map(|(name, text)| (format!("{name}.d.rhai"), clean(&text)))
        .collect();
    let mut text = String::from("module static;\n");
    text.push_str(&functions::definitions());
    text.push_str(&methods(registry));
    files.push(("dollop.d.rhai".to_owned(), text));
    files
}

/// `db.role(..)`: what is declared on a resource, which Rhai knows by one name for all kinds.
fn methods(registry: &Registry) -> String {
    let mut shorts: BTreeMap<&str, Vec<&Kind>> = BTreeMap::new();
    for kind in registry.kinds() {
        shorts.entry(short_name(kind.name)).or_default().push(kind);
    }
    let mut out = String::new();
    for (short, kinds) in shorts {
        out.push('\n');
        for kind in kinds {
            let (name, doc) = (kind.name, summary(&kind.schema.doc));
            let _ = writeln!(out, "/// `{name}`: {doc}");
        }
        let _ = writeln!(out, "fn {short}(on: resource, name: string) -> resource;");
        let _ = writeln!(
            out,
            "fn {short}(on: resource, name: string, attributes: map) -> resource;"
        );
    }
    out
}

/// Without blanks at the ends of lines.
fn clean(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}
