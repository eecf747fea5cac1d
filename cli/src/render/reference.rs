//! `docs/reference`: a Markdown page for each provider, written from its schemas.

use std::fmt::Write as _;

use dollop_engine::kind::{Registry, short_name};
use dollop_engine::schema::{Attribute, summary};
use dollop_engine::script::KEYS;

use crate::manual::{self, Attributes};

/// The files of the reference that are written from schemas: names and texts.
pub fn files(registry: &Registry) -> Vec<(String, String)> {
    let mut files = vec![("README.md".to_owned(), index(registry))];
    for (provider, doc) in registry.providers() {
        files.push((format!("{provider}.md"), page(registry, provider, doc)));
    }
    files.push(("modules.md".to_owned(), modules(registry)));
    files
}

/// The modules of the language, from their own text.
fn modules(registry: &Registry) -> String {
    let mut out = String::from(
        "# Modules\n\nWritten from `stdlib/rhai`; `dollop doc std/postgres` shows the same offline.\n\
         The last argument, `given`, is a map of the options listed, each with what it is when left out.\n",
    );
    for module in manual::modules(registry) {
        let name = &module.name;
        let _ = write!(
            out,
            "\n## std/{name}\n\n{}\n\n```rhai\n{}\n```\n",
            module.doc, module.example
        );
        for function in &module.functions {
            let _ = write!(out, "\n### {name}::{}\n\n{}\n", function.signature, function.doc);
            if !function.options.is_empty() {
                out.push_str("\n| option | left out | |\n|---|---|---|\n");
            }
            for option in &function.options {
                let cell = |text: &str| text.replace('|', "\\|");
                let (default, doc) = (cell(&option.default), cell(&option.doc));
                // A default with backticks in it is shown between two.
                let tick = if default.contains('`') { "`` " } else { "`" };
                let back: String = tick.chars().rev().collect();
                let _ = writeln!(out, "| `{}` | {tick}{default}{back} | {doc} |", option.name);
            }
        }
    }
    out
}

fn index(registry: &Registry) -> String {
    let mut out = String::from(
        "# Reference\n\nWritten from the schemas; `dollop doc` shows the same offline, \
         `dollop schema --json` says it to programs ([schema.md](schema.md)).\n",
    );
    for (provider, doc) in registry.providers() {
        let _ = write!(out, "\n## [{provider}]({provider}.md)\n\n{doc}\n\n");
        for kind in manual::kinds_of(registry, provider) {
            let doc = registry.schema(kind).map_or("", |schema| &schema.doc);
            let anchor = kind.replace("::", "");
            let words = summary(doc);
            let _ = writeln!(out, "- [`{kind}`]({provider}.md#{anchor}): {words}");
        }
    }
    out.push_str("\n## Functions\n\n[functions.md](functions.md) has every function.\n");
    out.push_str("\n## Modules\n\n[modules.md](modules.md) has those that come with dollop.\n");
    out.push_str("\n## Keys of every resource\n\n");
    for key in KEYS {
        let _ = writeln!(out, "- **`{}`**: {}. {}", key.name, key.takes, key.doc);
    }
    out
}

fn page(registry: &Registry, provider: &str, doc: &str) -> String {
    let mut out = format!(
        "# {provider}\n\nWritten from the schemas of `stdlib/src/{provider}`.\n\n{doc}\n\n{}\n",
        manual::LEGEND
    );
    for kind in manual::kinds_of(registry, provider) {
        let Some(schema) = registry.schema(kind) else { continue };
        let _ = write!(out, "\n## {kind}\n\n{}\n\n```text\n", schema.doc);
        for call in manual::calls(registry, kind) {
            let _ = writeln!(out, "{call}");
        }
        out.push_str("```\n");
        if let Some(found) = registry.kind(kind) {
            let _ = write!(out, "\n{}\n", manual::naming(found));
        }
        let children: Vec<_> = manual::lives_in(registry, kind)
            .into_iter()
            .map(|child| format!("`{}`", short_name(child)))
            .collect();
        if !children.is_empty() {
            let _ = write!(out, "\nDeclared on it: {}.\n", children.join(", "));
        }
        if !schema.spec.is_empty() {
            out.push_str("\n### Attributes\n\n");
            attributes(&mut out, &schema.spec, manual::marks, 0);
        }
        if !schema.facts.is_empty() {
            out.push_str("\n### Reported\n\n");
            attributes(&mut out, &schema.facts, manual::fact_marks, 0);
        }
    }
    out
}

/// Parts stand under what they are parts of.
fn attributes(
    out: &mut String,
    found: &Attributes,
    marks: fn(&Attribute) -> Vec<String>,
    depth: usize,
) {
    let indent = "  ".repeat(depth);
    for (name, attribute) in manual::sorted(found) {
        let mut words = vec![manual::words(&attribute.ty)];
        words.extend(marks(attribute));
        if !attribute.handle.is_empty() {
            words.push(format!("stands for a `{}`", attribute.handle.join("` or `")));
        }
        let _ = writeln!(out, "{indent}- **`{name}`**: {}.", words.join(", "));
        for line in attribute.doc.lines() {
            let _ = writeln!(out, "{}", format!("{indent}  {line}").trim_end());
        }
        for (_, parts) in manual::parts_of(&attribute.ty) {
            attributes(out, parts, marks, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::files;

    #[test]
    fn the_reference_is_up_to_date() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
        let mut stale = Vec::new();
        for (name, wanted) in files(&dollop_stdlib::registry()) {
            let path = folder.join(&name);
            if std::env::var_os("DOLLOP_BLESS").is_some() {
                std::fs::write(&path, wanted).unwrap();
            } else if std::fs::read_to_string(&path).unwrap_or_default() != wanted {
                stale.push(name);
            }
        }
        let way = "run `DOLLOP_BLESS=1 cargo test -p dollop reference`";
        assert!(stale.is_empty(), "{stale:?}: {way}");
    }
}
