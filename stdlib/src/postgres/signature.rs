//! What a function takes, read from the text of its arguments.

use super::types;

/// What stands between the types of a signature: no name of a type has it.
pub(super) const BETWEEN: &str = "\u{1f}";

/// The types of the arguments that tell one function from another of its name: of
/// `a int, OUT b text, variadic c text[] default '{}'` they are `int` and `text[]`.
pub(super) fn types(arguments: &str) -> Vec<String> {
    split(arguments).iter().filter_map(|argument| one(argument)).collect()
}

/// The same as the server calls them, which keeps no size of an argument.
pub(super) fn canonical(arguments: &str) -> Vec<String> {
    types(arguments).iter().map(|text| types::without_size(text)).collect()
}

/// The type of one argument; nothing for one that is only given back.
fn one(argument: &str) -> Option<String> {
    let argument = without_default(argument);
    let words = words(&argument);
    let mode = words.first()?.to_lowercase();
    let modes = ["in", "out", "inout", "variadic"];
    let rest = if modes.contains(&mode.as_str()) { &words[1..] } else { &words[..] };
    if mode == "out" || rest.is_empty() {
        return None;
    }
    let whole = rest.join(" ");
    let named = rest.len() > 1 && !rest[1].starts_with('(') && !rest[1].starts_with('[');
    Some(if named && !types::has_several_words(&whole) { rest[1..].join(" ") } else { whole })
}

/// The arguments, split at the commas between them.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    each_outside(text, |c, outside| match parts.last_mut() {
        _ if outside && c == ',' => parts.push(String::new()),
        Some(part) => part.push(c),
        None => {}
    });
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// An argument without `DEFAULT ..` or `= ..`.
fn without_default(argument: &str) -> String {
    let mut end = argument.len();
    let mut at = 0;
    let lower = argument.to_ascii_lowercase();
    each_outside(argument, |c, outside| {
        let spaced = lower[..at].ends_with(char::is_whitespace);
        let word = spaced && lower[at..].starts_with("default");
        if outside && end == argument.len() && (c == '=' || word) {
            end = at;
        }
        at += c.len_utf8();
    });
    argument[..end].trim_end_matches(':').trim().to_owned()
}

/// The words of a text, quoted ones in one piece.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    each_outside(text, |c, outside| match words.last_mut() {
        _ if outside && c.is_whitespace() => words.push(String::new()),
        Some(word) => word.push(c),
        None => {}
    });
    words.retain(|word| !word.is_empty());
    words
}

/// Hands on every character with whether it stands outside of quotes and parentheses.
fn each_outside(text: &str, mut hand: impl FnMut(char, bool)) {
    let mut quote = None;
    let mut depth = 0_usize;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        hand(c, quote.is_none() && depth == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::types;

    #[test]
    fn types_tell_functions_apart() {
        for (arguments, expected) in [
            ("", vec![]),
            ("a int, b text DEFAULT ', (x'", vec!["int", "text"]),
            ("int", vec!["int"]),
            (
                "double precision, x double precision",
                vec!["double precision", "double precision"],
            ),
            ("IN a int = 1, OUT b text, INOUT c numeric(10, 2)", vec!["int", "numeric(10, 2)"]),
            ("VARIADIC \"my args\" text[] default '{}'::text[]", vec!["text[]"]),
            (
                "\"a b\" app.\"My Type\", c timestamp with time zone := now()",
                vec!["app.\"My Type\"", "timestamp with time zone"],
            ),
            ("default_value int", vec!["int"]),
            (
                "interval day to second (3), interval interval",
                vec!["interval day to second (3)", "interval"],
            ),
            ("timestamp (3) with time zone", vec!["timestamp (3) with time zone"]),
        ] {
            assert_eq!(types(arguments), expected, "{arguments}");
        }
    }
}
