//! Tables for a terminal: aligned columns that fit, the least needed left out first.

use comfy_table::{
    Attribute, Cell as Plain, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row,
    Table as Comfy, presets,
};

use crate::render::text::clean;

/// What a cell means; colour says it once more and nothing depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Names.
    Name,
    /// As it should be.
    Good,
    /// Worth a look.
    Care,
    /// Broken.
    Bad,
    /// What can be skipped.
    Dim,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

/// A cell with a meaning.
pub fn cell(text: impl AsRef<str>, tone: Tone) -> Cell {
    Cell { text: clean(text.as_ref()).into_owned(), tone }
}

/// A cell.
pub fn plain(text: impl AsRef<str>) -> Cell {
    cell(text, Tone::Plain)
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// 0 is always there; of the others, the highest goes first when there is no room.
    pub rank: u8,
    /// Whether it holds numbers.
    pub number: bool,
}

/// A column of text.
pub const fn text(title: &'static str, rank: u8) -> Column {
    Column { title, rank, number: false }
}

/// A column of numbers.
pub const fn number(title: &'static str, rank: u8) -> Column {
    Column { title, rank, number: true }
}

/// The rows under their titles, within so many columns of a terminal. Columns in which
/// nothing stands are left out.
pub fn table(columns: &[Column], rows: &[Vec<Cell>], width: usize) -> String {
    let mut table = Comfy::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…")
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .force_no_tty()
        .enforce_styling();
    // So that what is padded can be cut off at the end of a line.
    table.style_text_only();
    let titles =
        columns.iter().map(|column| Plain::new(column.title).add_attribute(Attribute::Dim));
    table.set_header(one_line(titles.collect()));
    for row in rows {
        table.add_row(one_line(row.iter().map(styled).collect()));
    }
    let is_empty = |index: usize| {
        rows.iter().all(|row| row.get(index).is_none_or(|cell| cell.text.is_empty()))
    };
    let widths: Vec<usize> =
        table.column_max_content_widths().into_iter().map(usize::from).collect();
    let mut shown: Vec<usize> = (0..columns.len()).filter(|index| !is_empty(*index)).collect();
    let needed = |shown: &[usize]| -> usize {
        shown.iter().filter_map(|index| widths.get(*index)).map(|width| width + 2).sum()
    };
    let rank = |index: usize| columns.get(index).map_or(0, |column| column.rank);
    while needed(&shown) > width + 2 {
        let Some(last) = shown.iter().copied().max_by_key(|index| rank(*index)) else { break };
        if rank(last) == 0 {
            break;
        }
        shown.retain(|index| *index != last);
    }
    for (index, given) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        column.set_padding((0, 2));
        if given.number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if !shown.contains(&index) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn one_line(cells: Vec<Plain>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn styled(cell: &Cell) -> Plain {
    let plain = Plain::new(&cell.text);
    match cell.tone {
        Tone::Plain => plain,
        Tone::Name => plain.add_attribute(Attribute::Bold),
        Tone::Good => plain.fg(Color::DarkGreen),
        Tone::Care => plain.fg(Color::DarkYellow).add_attribute(Attribute::Bold),
        Tone::Bad => plain.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        Tone::Dim => plain.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::render::text::width;

    fn shown(width: usize) -> String {
        let columns = [
            text("NAME", 0),
            text("STATE", 0),
            number("CPU", 2),
            text("IMAGE", 3),
            text("NOTE", 1),
        ];
        let row = |name: &str, state: &str, tone, cpu: &str, image: &str| {
            vec![cell(name, Tone::Name), cell(state, tone), plain(cpu), plain(image), plain("")]
        };
        let rows = [
            row("db", "running", Tone::Good, "0.1", "postgres:16"),
            row("data/web-worker", "exited (137)", Tone::Bad, "12.0", "acme/web:1"),
        ];
        strip_str(&table(&columns, &rows, width)).to_string()
    }

    #[test]
    fn columns_line_up_and_the_least_needed_go_first() {
        insta::assert_snapshot!(shown(80), @r"
        NAME             STATE          CPU  IMAGE
        db               running        0.1  postgres:16
        data/web-worker  exited (137)  12.0  acme/web:1
        ");
        insta::assert_snapshot!(shown(40), @r"
        NAME             STATE          CPU
        db               running        0.1
        data/web-worker  exited (137)  12.0
        ");
        let narrow = shown(24);
        assert!(narrow.lines().all(|line| width(line) <= 24), "{narrow}");
        assert!(narrow.starts_with("NAME") && narrow.contains("STATE"), "{narrow}");
        assert!(!narrow.contains("CPU") && narrow.contains('…'), "{narrow}");
    }
}
