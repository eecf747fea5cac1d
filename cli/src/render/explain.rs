//! The pages of `docs/diagnostics` for a terminal.

use std::fmt::Write as _;

use dollop_engine::diagnostic::{Code, Severity};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use crate::render::style::{BOLD, CARE, DANGER, DIM, LOOKED, paint};
use crate::render::text::wrap;

/// The pages, by range.
const PAGES: [(&str, &str); 10] = [
    ("E01", include_str!("../../../docs/diagnostics/E01.md")),
    ("E02", include_str!("../../../docs/diagnostics/E02.md")),
    ("E03", include_str!("../../../docs/diagnostics/E03.md")),
    ("E04", include_str!("../../../docs/diagnostics/E04.md")),
    ("E05", include_str!("../../../docs/diagnostics/E05.md")),
    ("E06", include_str!("../../../docs/diagnostics/E06.md")),
    ("E07", include_str!("../../../docs/diagnostics/E07.md")),
    ("E08", include_str!("../../../docs/diagnostics/E08.md")),
    ("W01", include_str!("../../../docs/diagnostics/W01.md")),
    ("W02", include_str!("../../../docs/diagnostics/W02.md")),
];
/// Text wider than this is hard to read.
const WIDEST: usize = 96;

/// The Markdown of a code's page, its heading first.
pub fn markdown(code: Code) -> Option<&'static str> {
    let heading = format!("\n## {code}: ");
    let (_, text) = PAGES.iter().find(|(_, text)| text.contains(&heading))?;
    let start = text.find(&heading)? + 1;
    let rest = &text[start..];
    let end = rest[1..].find("\n#").map_or(rest.len(), |end| end + 2);
    Some(rest[..end].trim_end())
}

/// The page of a code.
pub fn page(code: Code, width: usize) -> String {
    let Some(text) = markdown(code) else {
        return format!("{code}: {}\n", code.title());
    };
    terminal(text, width.min(WIDEST))
}

/// Every code with its title.
pub fn list() -> String {
    let mut out = String::new();
    for code in Code::ALL {
        let style = if code.severity() == Severity::Error { DANGER } else { CARE };
        let _ = writeln!(out, "{}  {}", paint(style, code), code.title());
    }
    out
}

/// Markdown as styled text: headings, paragraphs, code.
fn terminal(markdown: &str, width: usize) -> String {
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut code: Option<String> = None;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                code = Some(match kind {
                    CodeBlockKind::Fenced(info) => name_of(&info).to_owned(),
                    CodeBlockKind::Indented => String::new(),
                });
                if let Some(name) = code.as_deref().filter(|name| !name.is_empty()) {
                    let _ = writeln!(out, "    {}", paint(DIM, format!("// {name}")));
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                code = None;
                out.push('\n');
            }
            Event::Text(text) if code.is_some() => {
                for line in text.lines() {
                    let _ = writeln!(out, "    {line}");
                }
            }
            Event::Text(text) => paragraph.push_str(&text),
            Event::Code(text) => {
                let _ = write!(paragraph, "`{text}`");
            }
            Event::SoftBreak | Event::HardBreak => paragraph.push(' '),
            Event::End(TagEnd::Heading(level)) => {
                let style = if level == HeadingLevel::H2 { BOLD } else { LOOKED };
                let _ = writeln!(out, "{}\n", paint(style, std::mem::take(&mut paragraph)));
            }
            Event::End(TagEnd::Paragraph) => {
                let text = std::mem::take(&mut paragraph);
                let _ = writeln!(out, "{}\n", wrap(&text, width, 0, 0));
            }
            _ => {}
        }
    }
    format!("{}\n", out.trim_end())
}

/// The file a block of code stands for: `rhai file=lib/a.rhai`.
fn name_of(info: &str) -> &str {
    info.split(' ').find_map(|word| word.strip_prefix("file=")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn every_code_has_a_page_with_its_title() {
        for code in Code::ALL {
            let page = markdown(*code).unwrap_or_else(|| panic!("{code} has no page"));
            let heading = format!("## {code}: {}", code.title());
            assert_eq!(page.lines().next(), Some(heading.as_str()));
            assert!(page.lines().count() > 3, "{code}: {page}");
        }
        let pages: usize = PAGES.iter().map(|(_, text)| text.matches("\n## ").count()).sum();
        assert_eq!(pages, Code::ALL.len(), "a page without a code");
    }

    #[test]
    fn a_page_reads_well_on_a_terminal() {
        insta::assert_snapshot!(strip_str(&page(Code::ImportCycle, 60)), @r#"
        E0116: scripts that import each other

        Each would have to be read before the other.

            import "lib/a" as a;

            // lib/a.rhai
            import "b" as b;

            // lib/b.rhai
            import "a" as a;

        Move what both need into a third script.
        "#);
    }
}
