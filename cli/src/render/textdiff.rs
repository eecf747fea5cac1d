//! How one text becomes another: lines for long texts, words for short ones.

use similar::{ChangeTag, TextDiff};

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It stays.
    Same(String),
    /// It goes.
    Gone(String),
    /// It comes.
    New(String),
    /// A remark: lines left out, a missing line break at the end.
    Note(String),
}

/// How many lines stay visible around a change.
const CONTEXT: usize = 2;

/// The lines that differ, with a little around them.
pub fn lines(before: &str, after: &str) -> Vec<Line> {
    let (old, new) = match (pretty_json(before), pretty_json(after)) {
        (Some(old), Some(new)) if old == new => {
            return vec![Line::Note("only the layout of the JSON differs".to_owned())];
        }
        (Some(old), Some(new)) => (old, new),
        _ => (before.to_owned(), after.to_owned()),
    };
    let old_lines: Vec<&str> = old.lines().collect();
    let new_lines: Vec<&str> = new.lines().collect();
    let diff = TextDiff::from_slices(&old_lines, &new_lines);
    let mut out = Vec::new();
    let mut shown_to = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        push_skipped(&mut out, start.saturating_sub(shown_to));
        for op in &group {
            for change in diff.iter_changes(op) {
                let text = change.value().to_owned();
                out.push(match change.tag() {
                    ChangeTag::Equal => Line::Same(text),
                    ChangeTag::Delete => Line::Gone(text),
                    ChangeTag::Insert => Line::New(text),
                });
            }
            shown_to = op.old_range().end;
        }
    }
    push_skipped(&mut out, old_lines.len().saturating_sub(shown_to));
    match (old.ends_with('\n'), new.ends_with('\n')) {
        (true, false) => out.push(Line::Note("the line break at the end goes".to_owned())),
        (false, true) => out.push(Line::Note("a line break comes at the end".to_owned())),
        _ if out.iter().all(|line| matches!(line, Line::Note(_))) => {
            out.push(Line::Note("only line endings differ".to_owned()));
        }
        _ => {}
    }
    out
}

fn push_skipped(out: &mut Vec<Line>, number: usize) {
    if number > 0 {
        out.push(Line::Note(format!(
            "{} unchanged",
            crate::render::text::count(number, "line")
        )));
    }
}

/// JSON text laid out one value a line, so that it is compared by structure.
fn pretty_json(text: &str) -> Option<String> {
    let start = text.trim_start();
    if !(start.starts_with('{') || start.starts_with('[')) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&json).ok()
}

/// Whether both texts are JSON objects or lists, better compared by structure.
pub fn both_json(before: &str, after: &str) -> bool {
    pretty_json(before).is_some() && pretty_json(after).is_some()
}

/// Parts of a text, each with whether it differs from the other side.
pub type Words = Vec<(bool, String)>;

/// Two short texts as parts.
pub fn words(before: &str, after: &str) -> (Words, Words) {
    // Beyond this the answer is "everything" and finding it out takes long.
    if before.len() + after.len() > 4096 {
        return (vec![(false, before.to_owned())], vec![(false, after.to_owned())]);
    }
    let (old_parts, new_parts) = (parts(before), parts(after));
    let diff = TextDiff::from_slices(&old_parts, &new_parts);
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let mut same = 0;
    for change in diff.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Equal => {
                same += text.chars().filter(|c| c.is_alphanumeric()).count();
                push(&mut old, false, text);
                push(&mut new, false, text);
            }
            ChangeTag::Delete => push(&mut old, true, text),
            ChangeTag::Insert => push(&mut new, true, text),
        }
    }
    if same == 0 {
        // Nothing in common: marking every word says nothing.
        return (vec![(false, before.to_owned())], vec![(false, after.to_owned())]);
    }
    (old, new)
}

/// Runs of letters and digits, and everything else one character at a time: what people
/// change in `host:5432/db` or `image:1.27` is one of these.
fn parts(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (index, character) in text.char_indices() {
        let word = character.is_alphanumeric() || character == '_';
        if index > start && !(word && in_word) {
            found.push(&text[start..index]);
            start = index;
        }
        in_word = word;
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

fn push(words: &mut Words, differs: bool, text: &str) {
    match words.last_mut() {
        Some((last, words)) if *last == differs => words.push_str(text),
        _ => words.push((differs, text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(found: &[Line]) -> String {
        let lines: Vec<_> = found
            .iter()
            .map(|line| match line {
                Line::Same(text) => format!("  {text}"),
                Line::Gone(text) => format!("- {text}"),
                Line::New(text) => format!("+ {text}"),
                Line::Note(text) => format!("# {text}"),
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn far_lines_are_folded() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        insta::assert_snapshot!(show(&lines(before, &before.replace('5', "five"))), @r"
        # 2 lines unchanged
          3
          4
        - 5
        + five
          6
          7
        # 2 lines unchanged
        ");
    }

    #[test]
    fn json_is_compared_by_structure() {
        insta::assert_snapshot!(show(&lines(r#"{"b":1,"a":2}"#, r#"{ "a": 2, "b": 3 }"#)), @r#"
          {
            "a": 2,
        -   "b": 1
        +   "b": 3
          }
        "#);
        insta::assert_snapshot!(show(&lines("[1]", "[ 1 ]")), @"# only the layout of the JSON differs");
    }

    #[test]
    fn ends_of_lines_are_said_in_words() {
        insta::assert_snapshot!(show(&lines("a\n", "a")), @r"
        # 1 line unchanged
        # the line break at the end goes
        ");
        insta::assert_snapshot!(show(&lines("a\r\nb", "a\nb")), @r"
        # 2 lines unchanged
        # only line endings differ
        ");
    }

    #[test]
    fn words_that_differ_are_marked() {
        let (old, new) = words("nginx:1.27", "nginx:1.28");
        assert_eq!(old, [(false, "nginx:1.".to_owned()), (true, "27".to_owned())]);
        assert_eq!(new, [(false, "nginx:1.".to_owned()), (true, "28".to_owned())]);
    }
}
