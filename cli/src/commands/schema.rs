//! `dollop schema`: what can be declared, for programs and editors.

use std::path::Path;

use dollop_engine::kind::Registry;
use dollop_engine::script::definitions;

use crate::args::SchemaArgs;
use crate::error::{CommandError, DONE};
use crate::manual::{self, Topic};
use crate::render::text::count;
use crate::render::{json, schema};
use crate::terminal;

/// Prints schemas, or writes definition files.
pub fn run(args: &SchemaArgs) -> Result<u8, CommandError> {
    let registry = dollop_stdlib::registry();
    if let Some(folder) = &args.definitions {
        return write(&registry, folder);
    }
    let wanted = match &args.kind {
        None => schema::all(&registry),
        Some(name) => schema::some(&registry, &kinds(&registry, name)?),
    };
    terminal::print(&json::text(&wanted))?;
    Ok(DONE)
}

/// The kinds a name stands for: one kind, or all of a provider.
fn kinds(registry: &Registry, name: &str) -> Result<Vec<&'static str>, CommandError> {
    let mut kinds = Vec::new();
    for topic in manual::find(registry, name)? {
        match topic {
            Topic::Provider(name, _) => kinds.extend(manual::kinds_of(registry, name)),
            Topic::Resource(kind) => kinds.push(kind.name),
            Topic::Connection(kind) => kinds.push(kind.name),
            Topic::Attribute(..)
            | Topic::Fact(..)
            | Topic::Lookup(_)
            | Topic::Function(_)
            | Topic::Key(_)
            | Topic::Module(_) => {}
        }
    }
    if kinds.is_empty() {
        return Err(CommandError::failed(format!("`{name}` is neither a kind nor a provider"))
            .hint("`dollop doc` lists them"));
    }
    Ok(kinds)
}

/// Writes a `.d.rhai` file for each provider and one for the functions of every script.
fn write(registry: &Registry, folder: &Path) -> Result<u8, CommandError> {
    let failed = |path: &Path, error: &std::io::Error| {
        CommandError::failed(format!("cannot write `{}`: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let files = definitions(registry);
    for (name, text) in &files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    let what = count(files.len(), "definition file");
    terminal::say(&format!("wrote {what} to `{}`\n", folder.display()));
    Ok(DONE)
}
