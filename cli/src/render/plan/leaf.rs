//! One value that differs: on one line where it fits, line by line where it is a text.

use std::fmt::Write as _;

use dollop_engine::expr::{Expr, Function};
use dollop_engine::value::Value;

use crate::render::Screen;
use crate::render::leaf::{Leaf, Side};
use crate::render::style::{CARE, CHANGED, DIM, GONE, GONE_WORD, LOOKED, NEW, NEW_WORD, paint};
use crate::render::text::{clean, clip, count, pad, quoted, width};
use crate::render::textdiff::{self, Line};

/// How many lines of one text are shown.
const FOLDED: usize = 24;
/// The widest a column of paths gets.
const WIDEST_PATH: usize = 36;

/// How the leaves of one change stand under each other.
pub(super) struct Layout {
    indent: usize,
    path: usize,
    width: usize,
    positions: bool,
    verbose: bool,
}

impl Layout {
    /// Paths aligned with each other.
    pub(super) fn new(leaves: &[Leaf], indent: usize, screen: &Screen) -> Self {
        let most = WIDEST_PATH.min(screen.width / 3);
        let paths = leaves.iter().map(|leaf| width(&clean(&leaf.shown.to_string())));
        let path = paths.filter(|path| *path <= most).max().unwrap_or(0);
        Self { indent, path, width: screen.width, positions: true, verbose: screen.verbose }
    }

    /// Leaves out where the script sets each value.
    pub(super) fn without_positions(self) -> Self {
        Self { positions: false, ..self }
    }
}

/// Writes one leaf.
pub(super) fn write(out: &mut String, leaf: &Leaf, layout: &Layout) {
    let (sign, style) = match (&leaf.before, &leaf.after) {
        (Side::Absent, _) => ("+", NEW),
        (_, Side::Absent) => ("-", GONE),
        _ => ("~", CHANGED),
    };
    let path = pad(&clean(&leaf.shown.to_string()), layout.path);
    let _ = write!(out, "{:indent$}{} {path}", "", paint(style, sign), indent = layout.indent);
    let start = layout.indent + 2 + width(&path) + 2;
    let remarks = Remarks::of(leaf, layout);
    if let Some(lines) = long_text(leaf, layout, start) {
        remarks.write(out);
        out.push('\n');
        block(out, &lines, layout);
        return;
    }
    let room = layout.width.saturating_sub(start).max(8);
    let beside = room.saturating_sub(remarks.width);
    let wanted = one_line_width(leaf);
    if wanted <= room {
        let _ = write!(out, "  {}", value(leaf));
    } else {
        stacked(out, leaf, room, start);
    }
    if remarks.width > 0 && wanted > beside {
        let _ = write!(out, "\n{:indent$}", "", indent = layout.indent + 2);
    }
    remarks.write(out);
    out.push('\n');
}

/// What stands behind a value.
struct Remarks {
    text: String,
    width: usize,
}

impl Remarks {
    fn of(leaf: &Leaf, layout: &Layout) -> Self {
        let mut remarks = Self { text: String::new(), width: 0 };
        if leaf.drift {
            remarks.add(CARE, "(changed outside dollop)");
        }
        if leaf.replaces {
            remarks.add(CARE, "# forces replacement");
        }
        if let (true, Some(span)) = (layout.positions, &leaf.span) {
            remarks.add(DIM, &clean(&span.to_string()));
        }
        remarks
    }

    fn add(&mut self, style: anstyle::Style, words: &str) {
        let _ = write!(self.text, "  {}", paint(style, words));
        self.width += 2 + width(words);
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.text);
    }
}

/// How wide `before → after` is when nothing is cut.
fn one_line_width(leaf: &Leaf) -> usize {
    match (&leaf.before, &leaf.after) {
        (Side::Absent, side) | (side, Side::Absent) => width(&side_text(side)),
        (before, after) => width(&side_text(before)) + 3 + width(&side_text(after)),
    }
}

/// `before → after`.
fn value(leaf: &Leaf) -> String {
    match (&leaf.before, &leaf.after) {
        (Side::Absent, after) => painted(after, NEW, &side_text(after)),
        (before, Side::Absent) => painted(before, GONE, &side_text(before)),
        (before, after) => {
            let (old, new) = (side_text(before), side_text(after));
            if before.text().is_some() && after.text().is_some() {
                let (old, new) = textdiff::words(&old, &new);
                return marked(&old, GONE, GONE_WORD)
                    + " → "
                    + marked(&new, NEW, NEW_WORD).as_str();
            }
            painted(before, GONE, &old) + " → " + painted(after, NEW, &new).as_str()
        }
    }
}

/// What does not fit on one line: each side on its own, cut at the edge of the screen.
fn stacked(out: &mut String, leaf: &Leaf, room: usize, start: usize) {
    let (old, new) = (side_text(&leaf.before), side_text(&leaf.after));
    match (&leaf.before, &leaf.after) {
        (Side::Absent, side) => {
            let _ = write!(out, "  {}", painted(side, NEW, &clip(&new, room)));
        }
        (side, Side::Absent) => {
            let _ = write!(out, "  {}", painted(side, GONE, &clip(&old, room)));
        }
        (before, after) => {
            let room = room.saturating_sub(2).max(8);
            let skip = common_head(&old, &new, room);
            let old = window(&old, skip, room);
            let new = window(&new, skip, room);
            let _ = writeln!(out, "    {}", painted(before, GONE, &old));
            let _ = write!(out, "{:start$}→ {}", "", painted(after, NEW, &new));
        }
    }
}

/// How many characters to leave out in front, so that the first difference of two long
/// texts is on the screen.
fn common_head(old: &str, new: &str, room: usize) -> usize {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    if same < room / 2 { 0 } else { same - room / 4 }
}

fn window(text: &str, skip: usize, room: usize) -> String {
    if skip == 0 {
        return clip(text, room).into_owned();
    }
    let rest: String = text.chars().skip(skip).collect();
    format!("…{}", clip(&rest, room - 1))
}

fn painted(side: &Side, style: anstyle::Style, text: &str) -> String {
    paint(if matches!(side, Side::Known(_)) { style } else { LOOKED }, text)
}

fn marked(words: &textdiff::Words, plain: anstyle::Style, strong: anstyle::Style) -> String {
    words
        .iter()
        .map(|(differs, words)| paint(if *differs { strong } else { plain }, words))
        .collect()
}

/// A side on one line.
fn side_text(side: &Side) -> String {
    match side {
        Side::Absent => "(nothing)".to_owned(),
        Side::Sensitive => "(sensitive)".to_owned(),
        Side::Known(Value::String(text)) => quoted(text),
        Side::Known(value) => clean(&value.to_string()).into_owned(),
        Side::Unknown(expr @ Expr::Call(Function::Concat, _)) => {
            format!("{} (known after apply)", quoted(&expr.to_string()))
        }
        Side::Unknown(_) => "(known after apply)".to_owned(),
    }
}

/// The lines of a leaf that reads better as lines; `None` for one that fits on one.
fn long_text(leaf: &Leaf, layout: &Layout, start: usize) -> Option<Vec<Line>> {
    if let (Some(before), Some(after)) = (leaf.before.text(), leaf.after.text()) {
        let many = before.trim_end().contains('\n') || after.trim_end().contains('\n');
        let long = width(before) + width(after) > layout.width.saturating_sub(start + 7);
        return (many || long && textdiff::both_json(before, after))
            .then(|| textdiff::lines(before, after));
    }
    if let (Side::Known(Value::List(before)), Side::Known(Value::List(after))) =
        (&leaf.before, &leaf.after)
    {
        let one_line = side_text(&leaf.before) + side_text(&leaf.after).as_str();
        if width(&one_line) + 3 <= layout.width.saturating_sub(start) {
            return None;
        }
        let lines = |items: &[Value]| {
            let lines: Vec<_> = items.iter().map(Value::to_string).collect();
            lines.join("\n")
        };
        return Some(textdiff::lines(&lines(before), &lines(after)));
    }
    let (text, line): (_, fn(String) -> Line) = match (&leaf.before, &leaf.after) {
        (Side::Absent, after) => (after.text()?, Line::New),
        (before, Side::Absent) => (before.text()?, Line::Gone),
        _ => return None,
    };
    let many = text.trim_end().contains('\n');
    many.then(|| text.lines().map(|text| line(text.to_owned())).collect())
}

fn block(out: &mut String, lines: &[Line], layout: &Layout) {
    let indent = layout.indent + 4;
    let room = layout.width.saturating_sub(indent + 2).max(8);
    let shown = if layout.verbose { lines.len() } else { FOLDED };
    for line in lines.iter().take(shown) {
        let (style, sign, text) = match line {
            Line::Same(text) => (DIM, ' ', text),
            Line::Gone(text) => (GONE, '-', text),
            Line::New(text) => (NEW, '+', text),
            Line::Note(text) => (DIM, '…', text),
        };
        let text = clean(text);
        let line = format!("{sign} {}", clip(&text, room));
        match line.trim_end() {
            "" => out.push('\n'),
            line => {
                let _ = writeln!(out, "{:indent$}{}", "", paint(style, line));
            }
        }
    }
    if lines.len() > shown {
        let words = format!("… {}", count(lines.len() - shown, "more line"));
        let _ = writeln!(out, "{:indent$}{}", "", paint(DIM, words));
    }
}
