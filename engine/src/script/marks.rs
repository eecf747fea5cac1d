//! Markers: how a value that is not known yet travels through text.
//!
//! Rhai turns whatever stands in an interpolation into a string at once. So a reference
//! becomes a short run of Unicode noncharacters naming an entry of the run's table, and
//! `convert` turns it back. Every character of a marker is a noncharacter, so a piece cut
//! out of one is still recognised.

/// Begins a marker.
const OPEN: char = '\u{FDD0}';
/// Ends a marker.
const CLOSE: char = '\u{FDD1}';
/// The sixteen digits of the table index start here.
const DIGIT: u32 = 0xFDD2;
/// Follows [`OPEN`] when a list or map was printed: fine to show, not fine as a value.
const PRINTED: char = '\u{FDE2}';
/// Stands where something was turned into text that has no text form.
pub(super) const LOST: char = '\u{FDE3}';

/// The same, where that was written down at once.
pub(super) const TOLD: char = '\u{FDE4}';

/// One part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Plain text.
    Text(&'a str),
    /// An entry of the table.
    Mark(usize),
}

/// Why a text with markers cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A marker was cut or rearranged.
    Cut,
    /// A list or map with references was printed into it.
    Printed,
    /// Something without a text form was put into it.
    Lost,
    /// The same, and that is written down already.
    Told,
}

/// Whether a character belongs to markers.
pub(super) fn is_mark(character: char) -> bool {
    ('\u{FDD0}'..='\u{FDEF}').contains(&character)
}

/// Whether a text holds a marker or a piece of one.
pub(super) fn is_marked(text: &str) -> bool {
    // All of them begin with the byte EF; looking for it first keeps plain text cheap.
    text.as_bytes().contains(&0xEF) && text.chars().any(is_mark)
}

/// A text in which Rhai has escaped markers, as it does inside a list or map it prints, with
/// the markers themselves.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\u{fd") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let digits = escape.get(3..7).filter(|_| escape[7..].starts_with('}'));
        let character = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let character = character.and_then(char::from_u32).filter(|c| is_mark(*c));
        let length = if character.is_some() { 8 } else { 3 };
        match character {
            Some(character) => out.push(character),
            None => out.push_str(&escape[..length]),
        }
        rest = &escape[length..];
    }
    out + rest
}

/// The marker of a table entry.
pub(super) fn mark(index: usize) -> String {
    marker(index, false)
}

/// The marker of a table entry inside a printed list or map.
pub(super) fn printed(index: usize) -> String {
    marker(index, true)
}

fn marker(index: usize, printed: bool) -> String {
    let mut text = String::from(OPEN);
    if printed {
        text.push(PRINTED);
    }
    for shift in (0..8u32).rev() {
        let nibble = u32::try_from((index >> (shift * 4)) & 0xF).unwrap_or_default();
        text.extend(char::from_u32(DIGIT + nibble));
    }
    text.push(CLOSE);
    text
}

/// A marker at the beginning of `text`: its index, whether it was printed, its length.
fn read(text: &str) -> Option<(usize, bool, usize)> {
    let mut characters = text.char_indices();
    if characters.next()?.1 != OPEN {
        return None;
    }
    let (mut index, mut digits, mut is_printed) = (0usize, 0, false);
    for (at, character) in characters {
        match character {
            PRINTED if digits == 0 => is_printed = true,
            CLOSE if digits == 8 => {
                return Some((index, is_printed, at + CLOSE.len_utf8()));
            }
            _ => {
                let nibble = (character as u32).checked_sub(DIGIT).filter(|n| *n < 16)?;
                index = (index << 4) | usize::try_from(nibble).ok()?;
                digits += 1;
                if digits > 8 {
                    return None;
                }
            }
        }
    }
    None
}

/// Takes a text apart at its markers.
pub(super) fn split(text: &str) -> Result<Vec<Piece<'_>>, Broken> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_mark) {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        rest = &rest[at..];
        if rest.starts_with(LOST) {
            return Err(Broken::Lost);
        }
        if rest.starts_with(TOLD) {
            return Err(Broken::Told);
        }
        let (index, is_printed, length) = read(rest).ok_or(Broken::Cut)?;
        if is_printed {
            return Err(Broken::Printed);
        }
        pieces.push(Piece::Mark(index));
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The text for people: each marker as `name` says, pieces of markers as `<?>`.
pub(super) fn show(text: &str, name: &dyn Fn(usize) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_mark) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((index, _, length)) = read(rest) {
            shown.push_str(&name(index));
            rest = &rest[length..];
        } else {
            shown.push_str("<?>");
            rest = rest.trim_start_matches(is_mark);
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rhai_escapes_inside_a_map_is_a_marker_again() {
        let escaped = format!("{:?}", [format!("a{}b", mark(3)), "\u{fe00}".to_owned()]);
        let shown = show(&unescaped(&escaped), &|index| format!("<{index}>"));
        assert_eq!(shown, "[\"a<3>b\", \"\\u{fe00}\"]");
        for text in
            ["", "plain", "\\u{fd", "\\u{fdd", "\\u{fdzz}", "\\u{fdcf} x", "\\u{fd\u{e9}"]
        {
            assert_eq!(unescaped(text), text);
        }
    }

    #[test]
    fn markers_are_found_in_text() {
        let text = format!("a{}b{}", mark(0), mark(0x1234_5678));
        let pieces = split(&text).unwrap();
        let expected =
            [Piece::Text("a"), Piece::Mark(0), Piece::Text("b"), Piece::Mark(0x1234_5678)];
        assert_eq!(pieces, expected);
        assert_eq!(show(&text, &|index| format!("<{index:x}>")), "a<0>b<12345678>");
    }

    #[test]
    fn every_cut_of_a_marker_is_noticed() {
        let whole: Vec<char> = mark(77).chars().collect();
        for from in 0..whole.len() {
            for to in from + 1..=whole.len() {
                if (from, to) == (0, whole.len()) {
                    continue;
                }
                let part: String = whole[from..to].iter().collect();
                assert!(is_marked(&part), "{from}..{to}");
                assert_eq!(split(&part), Err(Broken::Cut), "{from}..{to}");
            }
        }
    }

    #[test]
    fn printed_and_lost_values_are_no_text() {
        assert_eq!(split(&format!("[{}]", printed(3))), Err(Broken::Printed));
        assert_eq!(split(&format!("x{LOST}")), Err(Broken::Lost));
    }
}
