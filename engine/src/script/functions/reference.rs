//! The reference of the library, written from its table.

use std::fmt::Write as _;

use super::signature::Signature;
use super::{GROUPS, comment};

/// `docs/reference/functions.md`: every function with its signature and examples.
pub fn reference() -> String {
    let mut out = String::from(
        "# Functions\n\n\
         Written from the table in `engine/src/script/functions`; every example is run as a test.\n\n\
         A function is called as `name(value, ..)` or as `value.name(..)`.\n\
         A `?` marks what can be left out; `text` is a string, a number or a bool.\n\
         `# =` shows what an example is equal to.\n\n\
         A function gives the same for the same arguments and files: there is no clock, no randomness, no network and no environment.\n\
         Most functions look into their arguments, so these must be known while the script runs; an attribute of a resource is refused where it is given.\n\
         The ones that work on values that are not known yet, or hand them on, say so.\n\
         What is made from a secret is secret.\n\
         A script may define a function of the same name, which then is called instead; those of \"The stack\", `file`, `join`, `json`, `base64` and `urlencode` are dollop's alone.\n",
    );
    for group in GROUPS {
        let _ = write!(out, "\n## {}\n", group.title);
        for entry in group.entries {
            let _ = write!(
                out,
                "\n### {}\n\n`{}`\n\n{}\n",
                entry.name(),
                entry.signature,
                entry.doc
            );
            if entry.examples.is_empty() {
                continue;
            }
            out.push_str("\n```text\n");
            for (script, result) in entry.examples {
                let _ = writeln!(out, "{script}\n# = {result}");
            }
            out.push_str("```\n");
        }
    }
    out
}

/// One function of the library, as a reference shows it.
#[derive(Clone, Copy, Debug)]
pub struct Documented {
    /// Its subject: `Lists`.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How it is called: `join(list: list, between: text) -> string`.
    pub signature: &'static str,
    /// What it does, in one sentence or two of Markdown.
    pub doc: &'static str,
    /// Scripts, and what each is equal to.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Every function of the library, subject by subject.
pub fn library() -> impl Iterator<Item = Documented> {
    GROUPS.iter().flat_map(|group| {
        group.entries.iter().map(|entry| Documented {
            group: group.title,
            name: entry.name(),
            signature: entry.signature,
            doc: entry.doc,
            examples: entry.examples,
        })
    })
}

/// The library in the notation of definition files, one entry for each number of arguments.
pub(in crate::script) fn definitions() -> String {
    let mut out = String::new();
    for entry in GROUPS.iter().flat_map(|group| group.entries) {
        let signature = Signature::of(entry);
        for count in signature.required()..=signature.parameters.len() {
            let mut types = signature.metadata(count);
            let result = types.pop().unwrap_or_default();
            let parameters: Vec<_> = types
                .iter()
                .map(|parameter| match parameter.split_once(": ") {
                    Some((name, ty)) => format!("{name}: {}", rhai_type(ty)),
                    None => parameter.clone(),
                })
                .collect();
            let (name, parameters) = (entry.name(), parameters.join(", "));
            let result = rhai_type(&result);
            let _ = write!(out, "\n{}\nfn {name}({parameters}) -> {result};\n", comment(entry));
        }
    }
    out
}

/// What Rhai calls a type; `?` where several fit.
fn rhai_type(name: &str) -> &str {
    match name {
        "list" => "array",
        "fn" => "Fn",
        "text" | "number" | "any" => "?",
        other => other,
    }
}
