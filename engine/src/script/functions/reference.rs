//! The reference of the library, written from its table.

use std::fmt::Write as _;

use super::GROUPS;

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
