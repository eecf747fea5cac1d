//! Pages of the manual for a terminal.

use std::fmt::Write as _;

use dollop_engine::kind::{Kind, Registry, lookup_of, short_name};
use dollop_engine::schema::{Attribute, Schema, summary};
use dollop_engine::script::{Documented, KEYS, Key, library, lookup_takes};

use crate::manual::{self, Attributes, Topic};
use crate::modules::Module;
use crate::render::style::{BOLD, DIM, paint};
use crate::render::text::{pad, width, wrap};

/// Wider lines are hard to read.
const WIDEST: usize = 80;

/// What there is, one line a kind.
pub fn index(registry: &Registry, columns: usize) -> String {
    let columns = columns.min(WIDEST);
    let mut out = String::new();
    for (provider, doc) in registry.providers() {
        let _ = writeln!(out, "{}", paint(BOLD, provider));
        paragraph(&mut out, &summary(doc), columns, 2);
        out.push('\n');
        kind_list(&mut out, registry, provider, columns);
        out.push('\n');
    }
    let keys: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    let _ = writeln!(out, "{}", paint(BOLD, "every resource understands"));
    paragraph(&mut out, &keys.join(", "), columns, 2);
    out.push('\n');
    let _ = writeln!(out, "{}", paint(BOLD, "functions"));
    let mut names: Vec<&str> = Vec::new();
    let mut group = "";
    for entry in library() {
        if entry.group != group {
            functions(&mut out, group, &names, columns);
            names.clear();
            group = entry.group;
        }
        names.push(entry.name);
    }
    functions(&mut out, group, &names, columns);
    out.push('\n');
    let _ = writeln!(out, "{}", paint(BOLD, "modules, as in `import \"std/postgres\" as pg;`"));
    let modules: Vec<_> = manual::modules(registry).map(|module| module.name).collect();
    paragraph(&mut out, &modules.join(", "), columns, 2);
    out.push('\n');
    let line = "`dollop doc NAME` shows more: `docker.container`, \
                `docker.container.healthcheck`, `cidr_host`, `std/postgres`, \
                `std/postgres::server`.";
    paragraph(&mut out, line, columns, 0);
    out
}

fn functions(out: &mut String, group: &str, names: &[&str], columns: usize) {
    if names.is_empty() {
        return;
    }
    let start = format!("  {}: ", group.to_lowercase());
    let text = wrap(&names.join(", "), columns, width(&start), 4);
    let _ = writeln!(out, "{}{text}", paint(DIM, start));
}

fn kind_list(out: &mut String, registry: &Registry, provider: &str, columns: usize) {
    let kinds = manual::kinds_of(registry, provider);
    let widest = kinds.iter().map(|kind| width(kind)).max().unwrap_or_default();
    for kind in kinds {
        let doc = registry.schema(kind).map_or("", |schema| &schema.doc);
        let text = wrap(&summary(doc), columns, widest + 4, widest + 4);
        let _ = writeln!(out, "  {}  {text}", pad(kind, widest));
    }
}

/// The page of one topic.
pub fn page(registry: &Registry, topic: &Topic<'_>, columns: usize) -> String {
    let columns = columns.min(WIDEST);
    let mut out = String::new();
    match topic {
        Topic::Provider(name, doc) => {
            heading(&mut out, name, "provider");
            paragraphs(&mut out, doc, columns, 0);
            out.push('\n');
            kind_list(&mut out, registry, name, columns);
        }
        Topic::Resource(kind) => {
            heading(&mut out, kind.name, "kind of resource");
            schema(&mut out, registry, kind.name, &kind.schema, columns);
            let keys: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            section(&mut out, "As every resource");
            paragraph(&mut out, &keys.join(", "), columns, 2);
            if !kind.traits.only_recorded {
                let name = lookup_of(kind.name);
                section(&mut out, "Looked up where it exists and is not managed");
                let text =
                    format!("`{name}(\"name\")`, see `dollop doc {}`", name.replace("::", "."));
                paragraph(&mut out, &text, columns, 2);
            }
            foot(&mut out, &format!("{} {}", manual::naming(kind), manual::LEGEND), columns);
        }
        Topic::Lookup(kind) => lookup(&mut out, kind, columns),
        Topic::Connection(kind) => {
            heading(&mut out, kind.name, "kind of connection");
            schema(&mut out, registry, kind.name, &kind.schema, columns);
            foot(&mut out, manual::LEGEND, columns);
        }
        Topic::Attribute(path, attribute) => {
            attribute_page(&mut out, path, attribute, manual::marks, columns);
        }
        Topic::Fact(path, attribute) => {
            attribute_page(&mut out, path, attribute, manual::fact_marks, columns);
        }
        Topic::Function(entry) => function(&mut out, entry, columns),
        Topic::Key(key) => key_page(&mut out, key, columns),
        Topic::Module(found) => module(&mut out, found, columns),
    }
    out
}

fn heading(out: &mut String, name: &str, what: &str) {
    let _ = writeln!(out, "{} {}\n", paint(BOLD, name), paint(DIM, format!("({what})")));
}

fn section(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n{}\n", paint(BOLD, title));
}

fn foot(out: &mut String, text: &str, columns: usize) {
    out.push('\n');
    let _ = writeln!(out, "{}", paint(DIM, wrap(text, columns, 0, 0)));
}

fn schema(out: &mut String, registry: &Registry, kind: &str, schema: &Schema, columns: usize) {
    paragraphs(out, &schema.doc, columns, 0);
    out.push('\n');
    for call in manual::calls(registry, kind) {
        let _ = writeln!(out, "  {}", wrap(&call, columns, 2, 6));
    }
    let children = manual::lives_in(registry, kind);
    if !children.is_empty() {
        section(out, "Declared on it");
        let calls: Vec<_> =
            children.iter().map(|child| format!(".{}(..)", short_name(child))).collect();
        paragraph(out, &calls.join(", "), columns, 2);
    }
    let plain = kind.replace("::", ".");
    if !schema.spec.is_empty() {
        section(out, "Attributes");
        attributes(out, &plain, &schema.spec, manual::marks, columns);
    }
    if !schema.facts.is_empty() {
        section(out, "Reported, to be referred to");
        attributes(out, &plain, &schema.facts, manual::fact_marks, columns);
    }
}

/// The page of a look-up: it takes little and gives what the kind has.
fn lookup(out: &mut String, kind: &Kind, columns: usize) {
    let name = lookup_of(kind.name);
    heading(out, &name, "look-up");
    let text = format!(
        "Looks up a `{}` that exists and is not managed here, and changes nothing. It is read \
         when a plan is made; what is declared can refer to it as to a resource.",
        kind.name
    );
    paragraph(out, &text, columns, 0);
    out.push('\n');
    let _ = writeln!(out, "  {name}(\"name\", #{{ .. }})");
    section(out, "It takes");
    for key in lookup_takes(kind) {
        let (ty, doc) = match (key, kind.schema.spec.get(key)) {
            ("optional", _) => (
                "bool, default false".to_owned(),
                "There need be none: then its attributes are nothing.".to_owned(),
            ),
            ("timeouts", _) => (
                "map".to_owned(),
                "How long the reading may take: `#{ read: \"10s\" }`.".to_owned(),
            ),
            (_, Some(attribute)) => (head(attribute, manual::marks), attribute.doc.clone()),
            (_, None) => (
                "resource, address or list of them".to_owned(),
                "Look after these are there.".to_owned(),
            ),
        };
        let text = wrap(&ty, columns, key.chars().count() + 4, 6);
        let _ = writeln!(out, "  {}: {}", paint(BOLD, key), paint(DIM, text));
        paragraphs(out, &doc, columns, 6);
    }
    let plain = kind.name.replace("::", ".");
    foot(out, &format!("What it gives is what `dollop doc {plain}` lists."), columns);
}

/// What there is to know about an attribute, in single words.
type Marks = fn(&Attribute) -> Vec<String>;

/// Those that must be given first, then by name.
fn attributes(out: &mut String, plain: &str, found: &Attributes, marks: Marks, columns: usize) {
    for (name, attribute) in manual::sorted(found) {
        let head = head(attribute, marks);
        let text = wrap(&head, columns, name.chars().count() + 4, 6);
        let _ = writeln!(out, "  {}: {}", paint(BOLD, name), paint(DIM, text));
        let mut doc = attribute.doc.clone();
        if !manual::parts_of(&attribute.ty).is_empty() {
            doc = format!("{doc} See `dollop doc {plain}.{name}`.");
        }
        paragraphs(out, &doc, columns, 6);
    }
}

/// The type of an attribute, and what there is to know about it.
fn head(attribute: &Attribute, marks: Marks) -> String {
    let mut words = vec![manual::words(&attribute.ty)];
    words.extend(marks(attribute));
    words.join(", ")
}

fn attribute_page(
    out: &mut String,
    path: &str,
    attribute: &Attribute,
    marks: Marks,
    columns: usize,
) {
    heading(out, path, &head(attribute, marks));
    paragraphs(out, &attribute.doc, columns, 0);
    if !attribute.handle.is_empty() {
        let kinds: Vec<_> = attribute.handle.iter().map(|kind| format!("`{kind}`")).collect();
        let text = format!("A {} can stand here for its name.", kinds.join(" or a "));
        out.push('\n');
        paragraph(out, &text, columns, 0);
    }
    for (place, parts) in manual::parts_of(&attribute.ty) {
        let title = match place {
            "" => "Its parts".to_owned(),
            place => format!("The parts of {place}"),
        };
        section(out, &title);
        attributes(out, path, parts, marks, columns);
    }
    foot(out, manual::LEGEND, columns);
}

fn function(out: &mut String, entry: &Documented, columns: usize) {
    heading(out, entry.name, &format!("function, {}", entry.group.to_lowercase()));
    let _ = writeln!(out, "  {}\n", entry.signature);
    paragraphs(out, entry.doc, columns, 0);
    if !entry.examples.is_empty() {
        section(out, "Examples");
    }
    for (script, result) in entry.examples {
        for line in script.lines() {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  {}", paint(DIM, format!("// {result}")));
    }
}

fn module(out: &mut String, found: &Module, columns: usize) {
    heading(out, &format!("{}{}", manual::STANDARD, found.name), "module");
    paragraphs(out, &found.doc, columns, 0);
    section(out, "Example");
    for line in found.example.lines() {
        let _ = writeln!(out, "  {line}");
    }
    section(out, "Functions");
    for function in &found.functions {
        let _ = writeln!(out, "  {}", paint(BOLD, &function.signature));
        paragraphs(out, &function.doc, columns, 6);
        for option in &function.options {
            let head =
                format!("{}: {}", paint(BOLD, &option.name), paint(DIM, &option.default));
            let _ = writeln!(out, "      {head}");
            paragraphs(out, &option.doc, columns, 10);
        }
    }
}

fn key_page(out: &mut String, key: &Key, columns: usize) {
    heading(out, key.name, "key of every resource");
    paragraph(out, &format!("Takes: {}.", key.takes), columns, 0);
    out.push('\n');
    paragraphs(out, key.doc, columns, 0);
}

/// Markdown as paragraphs of so many columns; lists keep their lines.
fn paragraphs(out: &mut String, doc: &str, columns: usize, indent: usize) {
    for (index, block) in doc.trim().split("\n\n").enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let mut text = String::new();
        for line in block.lines() {
            let starts = line.starts_with("- ") || line.starts_with('|');
            if starts && !text.is_empty() {
                paragraph(out, &text, columns, indent);
                text.clear();
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.trim());
        }
        if !text.is_empty() {
            paragraph(out, &text, columns, indent);
        }
    }
}

fn paragraph(out: &mut String, text: &str, columns: usize, indent: usize) {
    let _ = writeln!(out, "{}{}", " ".repeat(indent), wrap(text, columns, indent, indent));
}
