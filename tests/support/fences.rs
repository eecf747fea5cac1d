//! The fenced blocks of a document in Markdown.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A part of a document that stands between fences.
#[derive(Debug, Default)]
pub struct Fence {
    /// What it is said to be: `rhai`, `sh`, `rhai file=lib/a.rhai`.
    pub info: String,
    /// What stands in it.
    pub text: String,
    /// The comment of HTML right before it, without its marks.
    pub comment: Option<String>,
    /// The line of its first fence, from 1.
    pub line: usize,
}

impl Fence {
    /// The first word of what it is said to be.
    pub fn kind(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }
}

/// All of them, in order.
pub fn fences(page: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut inside: Option<Fence> = None;
    let mut html = String::new();
    for (event, place) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Html(text) => html.push_str(&text),
            Event::End(TagEnd::HtmlBlock) => {}
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let comment = html.trim().strip_prefix("<!--");
                let comment = comment.and_then(|text| text.strip_suffix("-->"));
                inside = Some(Fence {
                    info: info.into_string(),
                    text: String::new(),
                    comment: comment.map(|text| text.trim().to_owned()),
                    line: page[..place.start].lines().count() + 1,
                });
            }
            Event::Text(text) if let Some(fence) = &mut inside => fence.text.push_str(&text),
            Event::End(TagEnd::CodeBlock) => {
                found.extend(inside.take());
                html.clear();
            }
            _ => html.clear(),
        }
    }
    found
}

/// The texts of the blocks of one kind, in order.
pub fn blocks(page: &str, kind: &str) -> Vec<String> {
    let found = fences(page).into_iter().filter(|fence| fence.kind() == kind);
    found.map(|fence| fence.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_with_the_comment_before_it() {
        let page = "# A\n\n<!-- rhai: let a = 1;\nlet b = 2; -->\n\n```rhai\nb\n```\n\ntext\n\n\
                    ```sh file=x\nls\n```\n";
        let found = fences(page);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].comment.as_deref(), Some("rhai: let a = 1;\nlet b = 2;"));
        assert_eq!(
            (found[0].kind(), found[0].text.as_str(), found[0].line),
            ("rhai", "b\n", 6)
        );
        assert_eq!((found[1].comment.as_deref(), found[1].kind()), (None, "sh"));
        assert_eq!(found[1].info, "sh file=x");
        assert_eq!(blocks(page, "sh"), ["ls\n"]);
    }
}
