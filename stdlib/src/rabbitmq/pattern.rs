//! Regular expressions as the server reads them: Erlang's `re`, which is PCRE.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dollop_engine::resource::Problem;
use fancy_regex::Regex;

/// What is wrong with an expression.
///
/// Look-around, atomic groups and references back are understood, as the server does. What
/// only PCRE knows beyond that is left to the server.
pub(super) fn check(attribute: &str, text: &str) -> Option<Problem> {
    let error = compile(text).err()?;
    if only_pcre(text) {
        return None;
    }
    // The engine below draws the expression; one line says enough.
    let why = error.to_string();
    let why = why.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let why = why.trim().trim_start_matches("error: ").to_owned();
    Some(Problem::new(attribute, format!("`{text}` is no regular expression: {why}")).hint("a `\\` before a character takes it as it is; write it `\\\\` in a script, or use backticks"))
}

/// Whether an expression matches a name; `None` for what cannot be judged here.
pub(super) fn matcher(text: &str) -> Option<impl Fn(&str) -> bool> {
    let regex = compile(text).ok()?;
    Some(move |name: &str| regex.is_match(name).unwrap_or(false))
}

/// So many expressions are kept; a stack has few that differ.
const KEPT: usize = 1_000;

/// An expression, compiled once: hundreds of permissions and policies say the same.
fn compile(text: &str) -> Result<Regex, fancy_regex::Error> {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known().get(text) {
        return Ok(regex.clone());
    }
    let regex = Regex::new(&translated(text))?;
    let mut known = known();
    if known.len() < KEPT {
        known.insert(text.to_owned(), regex.clone());
    }
    Ok(regex)
}

/// Constructs of PCRE that have no place in other engines: recursion, verbs, callouts,
/// conditions and subroutine calls.
fn only_pcre(text: &str) -> bool {
    [
        "(*", "(?R", "(?C", "(?(", "(?&", "(?P>", "(?|", "(?J", "(?U", "(?X", "\\g", "\\K",
        "\\Q", "\\G", "\\X", "\\C", "\\c", "\\o", "[[.",
    ]
    .iter()
    .any(|construct| text.contains(construct))
}

/// The expression in the words of the engine here, which takes for operators what PCRE takes
/// as it is: `[` within brackets, a brace that counts nothing, letters before which `\` means
/// nothing.
fn translated(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(next) = chars.get(at) {
        at += match next {
            '\\' => escaped(&chars[at..], &mut out),
            '[' => bracketed(&chars[at..], &mut out),
            '{' => counted(&chars[at..], &mut out),
            '}' => {
                out.push_str("\\}");
                1
            }
            other => {
                out.push(*other);
                1
            }
        };
    }
    out
}

/// Letters of one kind and what they are within brackets; the negation is the large letter.
const SPACES: [(char, &str); 3] = [
    ('h', r"\t\x20\u{a0}\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}"),
    ('v', r"\n\x0b\f\r\u{85}\u{2028}\u{2029}"),
    // The large one has no small one.
    ('n', r"\n"),
];

/// Letters that mean the same here and there after a `\`.
const SHARED: &str = "abdfgknoprstuwxzABCDEGKPQSWXZ";

/// Takes an escape outside of brackets; how many characters that were.
fn escaped(chars: &[char], out: &mut String) -> usize {
    let Some(letter) = chars.get(1) else {
        out.push('\\');
        return 1;
    };
    let large = SPACES.iter().find(|(small, _)| small.to_ascii_uppercase() == *letter);
    let small = SPACES[..2].iter().find(|(small, _)| small == letter);
    match (letter, small, large) {
        ('R', ..) => out.push_str(r"(?:\r\n|[\n\x0b\f\r\u{85}\u{2028}\u{2029}])"),
        (_, Some((_, inside)), _) => out.extend(["[", *inside, "]"]),
        (_, _, Some((_, inside))) => out.extend(["[^", *inside, "]"]),
        _ if letter.is_ascii_digit() || SHARED.contains(*letter) => out.extend(&chars[..2]),
        _ => out.push_str(&fancy_regex::escape(&letter.to_string())),
    }
    // `\p{Lu}`, `\x{41}`.
    if "pPxgko".contains(*letter) && chars.get(2) == Some(&'{') {
        let name: Vec<char> =
            chars[2..].iter().copied().take_while(|next| *next != '}').collect();
        out.extend(&name);
        let closed = chars.get(2 + name.len()).is_some();
        out.push_str(if closed { "}" } else { "" });
        return 2 + name.len() + usize::from(closed);
    }
    2
}

/// Takes a brace: it says how often (`{2}`, `{2,}`, `{2,3}`), or stands for itself.
fn counted(chars: &[char], out: &mut String) -> usize {
    let inside: String = chars[1..].iter().take_while(|next| **next != '}').collect();
    let closed = chars.len() > 1 + inside.chars().count();
    let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if closed && !least.is_empty() && is_number(least) && is_number(most) {
        out.extend(["{", &inside, "}"]);
        return 2 + inside.len();
    }
    out.push_str("\\{");
    1
}

/// Takes what stands within brackets, with these. One that is not closed stays open.
fn bracketed(chars: &[char], out: &mut String) -> usize {
    let mut at = 1;
    out.push('[');
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    // Whether the last item was a set, from which no range begins.
    let mut after_set = false;
    while let Some(next) = chars.get(at) {
        let begins_set = |at: usize| {
            chars.get(at) == Some(&'\\')
                && chars.get(at + 1).is_some_and(|letter| "dDwWsSpPhHvV".contains(*letter))
        };
        let is_set = begins_set(at);
        match next {
            ']' if at > first => {
                out.push(']');
                return at + 1;
            }
            '[' if chars.get(at + 1) == Some(&':') => {
                // `[:alpha:]`; without an end it is a bracket as any other.
                let end = chars[at + 2..].windows(2).position(|pair| pair == [':', ']']);
                if let Some(end) = end {
                    out.extend(&chars[at..at + end + 4]);
                    at += end + 4;
                    after_set = true;
                    continue;
                }
                out.push_str("\\[");
                at += 1;
            }
            '\\' => {
                let letter = chars.get(at + 1).copied().unwrap_or('\\');
                let spaces = SPACES[..2].iter().find(|(small, _)| *small == letter);
                match (letter, spaces) {
                    ('b', _) => out.push_str("\\x08"),
                    (_, Some((_, inside))) => out.push_str(inside),
                    _ if letter.is_ascii_digit() || SHARED.contains(letter) => {
                        out.push('\\');
                        out.push(letter);
                    }
                    ('H' | 'V', _) => {
                        out.push('\\');
                        out.push(letter);
                    }
                    _ => out.push_str(&fancy_regex::escape(&letter.to_string())),
                }
                at += 2;
            }
            '-' if after_set || begins_set(at + 1) => {
                out.push_str("\\-");
                at += 1;
            }
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(*next);
                at += 1;
            }
            '-' if chars.get(at + 1) == Some(&'-') => {
                // From something to `-`, which here would be a difference of sets.
                out.push_str("-\\-");
                at += 2;
            }
            other => {
                out.push(*other);
                at += 1;
            }
        }
        after_set = is_set;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_takes_is_taken() {
        for good in [
            "",
            ".*",
            r"^(?!amq\.).*",
            "^(a|b)$",
            r"^orders\.",
            "(?>a+)b",
            "(?|a|b)",
            "[[]x",
            "[^[]x",
            r"[\d-x]",
            r"\V+",
            "[]x]",
            "[^]x]",
            "[[:alpha:]_-]",
            r"\h+",
            "x{,3}",
            "a{2",
            "a{1,2}",
            "}",
            r"\_",
            r"\y",
            "[a&&b]",
            r"\p{L}",
            r"\pL",
            r"\x{41}",
        ] {
            assert_eq!(check("read", good), None, "{good}: {}", translated(good));
        }
    }

    #[test]
    fn what_the_server_refuses_is_said() {
        for bad in ["(", "*", "[a", "(?<n", "[[x", "a**", "[z-a]", "\\"] {
            assert!(check("read", bad).is_some(), "{bad}");
        }
    }

    /// As PCRE reads them, not as the engine here would.
    #[test]
    fn names_match_as_on_the_server() {
        let matches = |text: &str, name: &str| matcher(text).unwrap()(name);
        for (text, name) in [
            ("^[[]x$", "[x"),
            (r"^[\d-x]+$", "1-x"),
            ("^[a&&b]+$", "a&b"),
            ("^x{,3}$", "x{,3}"),
            (r"^a\hb$", "a b"),
            (r"^\V+$", "a b"),
            (r"^\y$", "y"),
            ("^[]x]+$", "]x"),
            ("^a{2}$", "aa"),
            ("^[+--]+$", ",-"),
        ] {
            assert!(matches(text, name), "{text} {name}: {}", translated(text));
        }
        assert!(!matches(r"^[^[]x$", "[x"));
        assert!(!matches(r"^\N$", "\n"));
        assert!(!matches(r"^a\hb$", "a\nb"));
    }
}
