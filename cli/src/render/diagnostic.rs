//! Errors and warnings with the place in the script they are about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use annotate_snippets::{
    AnnotationKind, Element, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use dollop_engine::diagnostic::{Code, Diagnostic, Findings, Severity, Sources, Span};

use crate::render::style::{BOLD, CARE, DANGER, LOOKED, paint};
use crate::render::text::{clean, count};

/// Everything a stage found, a count at the end when there is more than one.
pub fn findings(findings: &Findings, width: usize) -> String {
    let mut out = diagnostics(&findings.diagnostics, &findings.sources, width);
    let number = |severity| {
        findings.diagnostics.iter().filter(|found| found.severity() == severity).count()
    };
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    if findings.diagnostics.len() > 1 {
        let mut line = count(errors, "error");
        if warnings > 0 {
            line = format!("{line}, {}", count(warnings, "warning"));
        }
        out.push('\n');
        out.push_str(&if errors > 0 {
            paint(DANGER, "error") + format!(": {line}\n").as_str()
        } else {
            paint(CARE, "warning") + format!(": {}\n", count(warnings, "warning")).as_str()
        });
    }
    out
}

/// Diagnostics with an empty line between them, each ending in a line break.
pub fn diagnostics(found: &[Diagnostic], sources: &Sources, width: usize) -> String {
    let texts: Vec<_> = found.iter().map(|found| diagnostic(found, sources, width)).collect();
    texts.join("\n")
}

/// One diagnostic, ending in a line break.
pub fn diagnostic(found: &Diagnostic, sources: &Sources, width: usize) -> String {
    if found.span.is_none() && found.related.is_empty() && found.trace.is_empty() {
        return without_place(found);
    }
    let level = match found.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let way = way(found);
    let title = level.primary_title(clean(&found.message)).id(found.code.id());
    let mut group = title.elements(places(found, &way, sources));
    if found.trace.len() > MOST_CALLS {
        let words = format!("{} more around it", count(found.trace.len() - MOST_CALLS, "call"));
        group = group.element(Level::NOTE.message(words));
    }
    for note in &found.notes {
        group = group.element(Level::NOTE.message(normalize_untrusted_str(note)));
    }
    for hint in &found.hints {
        let hint = normalize_untrusted_str(hint);
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    let mut text = Renderer::styled().term_width(width.max(40)).render(&[group]);
    text.push('\n');
    text
}

/// Calls shown with their lines; the innermost ones tell most.
const MOST_CALLS: usize = 5;

/// The calls that led there, in words.
fn way(found: &Diagnostic) -> Vec<(&Span, String)> {
    let words = |name: &str| match name.split_once(' ') {
        Some(("component", name)) => format!("in component `{name}`, made here"),
        Some(("import", script)) => format!("in {script}, imported here"),
        _ if name == "closure" => "in a closure, called here".to_owned(),
        _ => format!("in `{name}`, called here"),
    };
    found.trace.iter().take(MOST_CALLS).map(|(name, span)| (span, words(name))).collect()
}

/// A diagnostic about no place in a script: notes and hints indented below it.
fn without_place(found: &Diagnostic) -> String {
    let heading = match found.severity() {
        Severity::Error => paint(DANGER, "error"),
        Severity::Warning => paint(CARE, "warning"),
    };
    let message = paint(BOLD, format!(": {}", normalize_untrusted_str(&found.message)));
    // What a command says of itself needs no page to look up.
    let code = match found.code {
        Code::Usage | Code::Command | Code::StateStore | Code::StateNote => String::new(),
        code if found.severity() == Severity::Error => paint(DANGER, format!("[{code}]")),
        code => paint(CARE, format!("[{code}]")),
    };
    let mut out = format!("{heading}{code}{message}\n");
    for line in found.notes.iter().flat_map(|note| note.lines()) {
        let _ = writeln!(out, "{}", format!("  {}", clean(line)).trim_end());
    }
    for hint in &found.hints {
        let hint = normalize_untrusted_str(hint).replace('\n', "\n    ");
        let _ = writeln!(out, "  {}: {hint}", paint(LOOKED, "hint"));
    }
    out
}

/// The snippets: the diagnostic's own place first, then other files.
fn places<'a>(
    found: &'a Diagnostic,
    way: &'a [(&'a Span, String)],
    sources: &'a Sources,
) -> Vec<Element<'a>> {
    let mut files: Vec<&str> = Vec::new();
    let mut marks: BTreeMap<&str, Vec<(bool, &Span, &str)>> = BTreeMap::new();
    let own = found.span.iter().map(|span| (true, span, found.label.as_str()));
    let others = found.related.iter().map(|(span, words)| (false, span, words.as_str()));
    let calls = way.iter().map(|(span, words)| (false, *span, words.as_str()));
    for (primary, span, words) in own.chain(others).chain(calls) {
        if !files.contains(&&*span.file) {
            files.push(&span.file);
        }
        marks.entry(&span.file).or_default().push((primary, span, words));
    }
    let mut elements: Vec<Element<'a>> = Vec::new();
    for file in files {
        let marks = marks.remove(file).unwrap_or_default();
        let source = sources.0.get(file).filter(|_| !shows_secret(found.code));
        let Some(source) = source else {
            elements.extend(marks.iter().map(|(_, span, _)| origin(span)));
            continue;
        };
        let mut snippet = Snippet::source(&**source).path(clean(file));
        for (primary, span, words) in marks {
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let label = (!words.is_empty()).then(|| clean(words));
            snippet = snippet.annotation(kind.span(bytes(source, span)).label(label));
        }
        elements.push(snippet.into());
    }
    elements
}

/// Whether the line that is meant holds a secret as such.
fn shows_secret(code: Code) -> bool {
    matches!(code, Code::ClearSecret | Code::DefaultCredential)
}

/// A place whose text is not at hand, or not to be shown.
fn origin(span: &Span) -> Element<'_> {
    Origin::path(clean(&span.file))
        .line(span.line as usize)
        .char_column(span.column as usize)
        .into()
}

/// Where a span stands in its source, in bytes; kept inside the line it starts on.
fn bytes(source: &str, span: &Span) -> std::ops::Range<usize> {
    let mut start = 0;
    let mut lines = source.split_inclusive('\n');
    for _ in 1..span.line {
        match lines.next() {
            Some(line) => start += line.len(),
            None => return source.len()..source.len(),
        }
    }
    let line = lines.next().unwrap_or_default().trim_end_matches(['\n', '\r']);
    let at = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let column = (span.column as usize).saturating_sub(1);
    start + at(column)..start + at(column + span.length as usize)
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn span(file: &str, line: u32, column: u32, length: u32) -> Span {
        Span { file: file.into(), line, column, length }
    }

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
    }

    fn show(found: Vec<Diagnostic>, files: &[(&str, &str)]) -> String {
        let found = Findings { diagnostics: found, sources: sources(files) };
        strip_str(&findings(&found, 80)).to_string()
    }

    const NETWORK: &str = "docker::network(\"app\", #{\n    atachable: true,\n});\n";

    #[test]
    fn an_error_shows_its_line_and_hint() {
        let found = Diagnostic::new(
            Code::UnknownAttribute,
            "`docker::network` has no attribute `atachable`",
        )
        .at(span("main.rhai", 2, 5, 9))
        .hint("did you mean `attachable`?");
        insta::assert_snapshot!(show(vec![found], &[("main.rhai", NETWORK)]), @r"
        error[E0301]: `docker::network` has no attribute `atachable`
         --> main.rhai:2:5
          |
        2 |     atachable: true,
          |     ^^^^^^^^^
          |
          = hint: did you mean `attachable`?
        ");
    }

    #[test]
    fn related_places_notes_and_the_way_there_are_shown() {
        let mut found =
            Diagnostic::new(Code::DeclaredTwice, "`docker::network.app` is declared twice")
                .at(span("lib/net.rhai", 1, 4, 7))
                .label("again here")
                .related(span("lib/net.rhai", 3, 1, 3), "in this function")
                .related(span("main.rhai", 1, 1, 15), "first here")
                .related(span("gone.rhai", 7, 2, 1), "no text at hand")
                .note("names are unique in a stack\nwhatever file they stand in")
                .hint("rename one");
        found.trace = vec![("network".to_owned(), span("main.rhai", 9, 3, 1))];
        let files = [("main.rhai", NETWORK), ("lib/net.rhai", "fn network() {\n  1\n}\n")];
        insta::assert_snapshot!(show(vec![found], &files), @r#"
        error[E0306]: `docker::network.app` is declared twice
         --> lib/net.rhai:1:4
          |
        1 | fn network() {
          |    ^^^^^^^ again here
        2 |   1
        3 | }
          | - in this function
          |
         ::: main.rhai:1:1
          |
        1 | docker::network("app", #{
          | --------------- first here
        2 |     atachable: true,
        3 | });
          |    - in `network`, called here
         ::: gone.rhai:7:2
          = note: names are unique in a stack
                  whatever file they stand in
          = hint: rename one
        "#);
    }

    #[test]
    fn several_are_counted() {
        let found = vec![
            Diagnostic::new(Code::Command, "one"),
            Diagnostic::new(Code::UnknownVariable, "two").at(span("main.rhai", 99, 1, 1)),
            Diagnostic::new(Code::StateNote, "three").at(span("main.rhai", 1, 400, 3)),
        ];
        insta::assert_snapshot!(show(found, &[("main.rhai", NETWORK)]), @r#"
        error: one

        error[E0102]: two
         --> main.rhai:3:5
          |
        3 | });
          |    ^

        warning[W0203]: three
         --> main.rhai:1:26
          |
        1 | docker::network("app", #{
          |                          ^

        error: 2 errors, 1 warning
        "#);
    }

    #[test]
    fn carets_stand_under_wide_characters_and_tabs() {
        let found = Diagnostic::new(Code::UnknownVariable, "`ü` is no name").at(span(
            "main.rhai",
            1,
            10,
            1,
        ));
        insta::assert_snapshot!(show(vec![found], &[("main.rhai", "\tlet 日本 = ü;")]), @r"
        error[E0102]: `ü` is no name
         --> main.rhai:1:10
          |
        1 |     let 日本 = ü;
          |               ^
        ");
    }

    #[test]
    fn nothing_in_a_message_acts_on_the_terminal() {
        let evil = "\u{1b}]0;title\u{7}";
        let found = Diagnostic::new(Code::Syntax, evil)
            .at(span("main.rhai", 1, 1, 1))
            .label(evil)
            .note(evil)
            .hint(evil);
        let sources = sources(&[("main.rhai", evil)]);
        let text = diagnostic(&found, &sources, 80);
        assert!(!text.contains("\u{1b}]") && !text.contains('\u{7}'), "{text:?}");
    }
}
