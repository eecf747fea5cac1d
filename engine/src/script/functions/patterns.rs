//! Regular expressions, of the crate `regex`: time grows with the text, not beyond.

use regex::{Captures, Regex};

use super::super::host::{LONGEST_TEXT, MOST_ITEMS};
use super::arguments::{string, text};
use super::{Entry, Fault, Meter, Outcome, Run};
use crate::condition::{self, Unfit};
use crate::value::Value;

/// Matches times bytes: finding one match can look at the whole rest of the text.
const MOST_SEARCHING: usize = 1 << 28;
/// What to do about too much of it.
const TAKE_APART: &str = "take the text apart first: `lines(text)`";
/// Steps counted for reading a pattern.
const READING: usize = 32 << 10;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "regex_match(text: string, pattern: string) -> bool",
        doc: "Whether the pattern is found in the text; `^` and `$` bind it to the ends.",
        examples: &[
            (r#"regex_match("web-01", "^[a-z]+-[0-9]+$")"#, "true"),
            (r#"regex_match("web", "[0-9]")"#, "false"),
        ],
        run: Run::Searching(|a, meter| {
            Ok(Value::Bool(pattern(a, meter)?.is_match(text(a, 0))))
        }),
    },
    Entry {
        signature: "regex_find(text: string, pattern: string) -> string",
        doc: "The first part of the text that matches, or nothing.",
        examples: &[
            (r#"regex_find("web-01", "[0-9]+")"#, r#""01""#),
            (r#"regex_find("web", "[0-9]+")"#, "()"),
        ],
        run: Run::Searching(|a, meter| {
            Ok(pattern(a, meter)?
                .find(text(a, 0))
                .map_or(Value::Null, |found| string(found.as_str())))
        }),
    },
    Entry {
        signature: "regex_find_all(text: string, pattern: string) -> list",
        doc: "Every part of the text that matches, in order.",
        examples: &[(r#"regex_find_all("a1 b22", "[0-9]+")"#, r#"["1", "22"]"#)],
        run: Run::Searching(find_all),
    },
    Entry {
        signature: "regex_captures(text: string, pattern: string) -> any",
        doc: "The groups of the first match: a map when the pattern names groups, otherwise a list that begins with the whole match; nothing when it does not match.",
        examples: &[
            (r#"regex_captures("pg:15", "(\\w+):(\\d+)")"#, r#"["pg:15", "pg", "15"]"#),
            (
                r#"regex_captures("pg:15", "(?<name>\\w+):(?<tag>\\d+)")"#,
                r#"#{ name: "pg", tag: "15" }"#,
            ),
        ],
        run: Run::Searching(captures),
    },
    Entry {
        signature: "regex_replace(text: string, pattern: string, with: string) -> string",
        doc: "The text with every match replaced; `$1` or `${name}` stand for groups, `$$` for a dollar.",
        examples: &[(r#"regex_replace("a-b", "(\\w)-(\\w)", "$2-$1")"#, r#""b-a""#)],
        run: Run::Searching(replace),
    },
    Entry {
        signature: "regex_split(text: string, pattern: string) -> list",
        doc: "The parts of the text between the matches.",
        examples: &[(r#"regex_split("a, b;c", "[,;] *")"#, r#"["a", "b", "c"]"#)],
        run: Run::Searching(split),
    },
    Entry {
        signature: "regex_escape(text: string) -> string",
        doc: "A pattern that matches the text as it is.",
        examples: &[(r#"regex_escape("a.b")"#, r#""a\\.b""#)],
        run: Run::Known(|a| Ok(string(regex::escape(text(a, 0))))),
    },
];

/// The pattern; the text before it is checked too.
fn pattern(arguments: &[Value], meter: &mut Meter) -> Result<Regex, Fault> {
    meter.steps += READING;
    condition::pattern_for(text(arguments, 1), text(arguments, 0)).map_err(|why| match why {
        Unfit::Pattern(message) => Fault::new(message)
            .hint("a backslash is written twice between double quotes: `\"\\\\d\"`"),
        Unfit::Text(message) => Fault::new(message).hint(TAKE_APART),
    })
}

/// Refuses what would take too long.
fn patience(meter: &mut Meter, found: usize, text: &str) -> Result<(), Fault> {
    meter.steps = meter.steps.saturating_add(text.len());
    if found > MOST_ITEMS
        || found.saturating_mul(text.len()) > MOST_SEARCHING
        || meter.is_over()
    {
        let message = "the pattern matches too often in a text that long";
        return Err(Fault::new(message).hint(TAKE_APART));
    }
    Ok(())
}

fn find_all(arguments: &[Value], meter: &mut Meter) -> Outcome {
    let mut found = Vec::new();
    for part in pattern(arguments, meter)?.find_iter(text(arguments, 0)) {
        patience(meter, found.len(), text(arguments, 0))?;
        found.push(string(part.as_str()));
    }
    Ok(Value::List(found))
}

fn captures(arguments: &[Value], meter: &mut Meter) -> Outcome {
    let pattern = pattern(arguments, meter)?;
    let Some(found) = pattern.captures(text(arguments, 0)) else { return Ok(Value::Null) };
    let group =
        |part: Option<regex::Match<'_>>| part.map_or(Value::Null, |p| string(p.as_str()));
    let names: Vec<_> = pattern.capture_names().flatten().collect();
    Ok(if names.is_empty() {
        Value::List(found.iter().map(group).collect())
    } else {
        Value::Map(
            names.iter().map(|name| ((*name).to_owned(), group(found.name(name)))).collect(),
        )
    })
}

fn replace(arguments: &[Value], meter: &mut Meter) -> Outcome {
    let (whole, with) = (text(arguments, 0), text(arguments, 2));
    let (mut out, mut done) = (String::new(), 0);
    for (count, found) in pattern(arguments, meter)?.captures_iter(whole).enumerate() {
        patience(meter, count, whole)?;
        let Some(part) = found.get(0) else { continue };
        out.push_str(&whole[done..part.start()]);
        expand(&found, with, &mut out)?;
        done = part.end();
    }
    out.push_str(&whole[done..]);
    Ok(Value::String(out))
}

/// Writes a replacement, as long as the text stays within its limit.
fn expand(found: &Captures<'_>, with: &str, out: &mut String) -> Result<(), Fault> {
    let longest = found.get(0).map_or(0, |part| part.len());
    let groups = with.matches('$').count();
    if out.len() + with.len() + groups.saturating_mul(longest) > LONGEST_TEXT {
        return Err(Fault::new(format!("a text is longer than {} MiB", LONGEST_TEXT >> 20)));
    }
    found.expand(with, out);
    Ok(())
}

fn split(arguments: &[Value], meter: &mut Meter) -> Outcome {
    let whole = text(arguments, 0);
    let mut parts = Vec::new();
    for part in pattern(arguments, meter)?.split(whole) {
        patience(meter, parts.len(), whole)?;
        parts.push(string(part));
    }
    Ok(Value::List(parts))
}
