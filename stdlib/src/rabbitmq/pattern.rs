//! Regular expressions as the server reads them: Erlang's `re`, which is PCRE.

use dollop_engine::resource::Problem;
use fancy_regex::Regex;

/// What is wrong with an expression.
///
/// Look-around, atomic groups and references back are understood, as the server does. What
/// only PCRE knows beyond that is left to the server.
pub(super) fn check(attribute: &str, text: &str) -> Option<Problem> {
    let error = Regex::new(text).err()?;
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
    let regex = Regex::new(text).ok()?;
    Some(move |name: &str| regex.is_match(name).unwrap_or(false))
}

/// Constructs of PCRE that have no place in other engines: recursion, verbs, callouts,
/// conditions and subroutine calls.
fn only_pcre(text: &str) -> bool {
    ["(*", "(?R", "(?C", "(?(", "(?&", "(?P>", "(?|", "\\g", "\\K", "\\Q", "\\G", "\\X", "[[."]
        .iter()
        .any(|construct| text.contains(construct))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_takes_is_taken() {
        for good in ["", ".*", r"^(?!amq\.).*", "^(a|b)$", r"^orders\.", "(?>a+)b", "(?|a|b)"] {
            assert_eq!(check("read", good), None, "{good}");
        }
    }

    #[test]
    fn what_the_server_refuses_is_said() {
        for bad in ["(", "*", "[a", "(?<n"] {
            assert!(check("read", bad).is_some(), "{bad}");
        }
    }
}
