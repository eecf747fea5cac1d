//! Text that is safe and fits: control characters made visible, width counted in columns.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text within so many columns, ending in `…` when something was cut.
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut kept = String::new();
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used >= columns.max(1) {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// The text with spaces behind it, up to so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text with everything that could move the cursor, colour the screen or turn the
/// reading direction written as an escape. Line breaks too: callers split lines first.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_hidden(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// A text in double quotes, on one line.
pub fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    clean(&json).into_owned()
}

/// Whether a character would act instead of being seen.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// `1 error`, `2 errors`.
pub fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A duration for people: `0.1s`, `4.2s`, `2m 05s`.
pub fn took(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    if seconds < 3600 {
        return format!("{}m {:02}s", seconds / 60, seconds % 60);
    }
    format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60)
}

/// How long ago something was, in its two largest units: `45s`, `12m`, `3h 5m`, `2days 4h`.
pub fn age(since: std::time::SystemTime, now: std::time::SystemTime) -> String {
    let seconds = now.duration_since(since).unwrap_or_default().as_secs();
    let unit = match seconds {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    };
    let rounded = std::time::Duration::from_secs(seconds / unit * unit);
    humantime::format_duration(rounded).to_string()
}

/// Words folded into lines of so many columns; the first line starts at `start`, the others
/// at `indent`. Words longer than a line stay whole.
pub fn wrap(text: &str, columns: usize, start: usize, indent: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = start;
    for (index, word) in text.split(' ').enumerate() {
        let word_width = width(word);
        if index > 0 {
            if column + 1 + word_width > columns && column > indent {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += word_width;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clipping_counts_columns_not_bytes() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("too long", 5), "too …");
        assert_eq!(clip("日本語テキスト", 7), "日本語…");
        assert_eq!(clip("abc", 0), "…");
    }

    #[test]
    fn nothing_can_act_on_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\rc\u{202e}d"), "a\\u{1b}[31mb\\rc\\u{202e}d");
        assert_eq!(quoted("a\"\u{9b}\n"), "\"a\\\"\\u{9b}\\n\"");
        assert_eq!(clean("grün ✓"), "grün ✓");
    }

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(took(Duration::from_millis(140)), "0.1s");
        assert_eq!(took(Duration::from_secs(125)), "2m 05s");
        assert_eq!(took(Duration::from_secs(3700)), "1h 01m");
    }

    #[test]
    fn ages_have_two_units_at_most() {
        let age = |seconds| {
            let then = std::time::SystemTime::UNIX_EPOCH;
            age(then, then + Duration::from_secs(seconds))
        };
        let ages = [5, 65, 3 * 3600 + 61, 86_400 * 2 + 3700].map(age);
        assert_eq!(ages, ["5s", "1m", "3h 1m", "2days 1h"]);
    }

    #[test]
    fn wrapped_lines_start_under_each_other() {
        assert_eq!(wrap("aa bb cc dd", 7, 0, 2), "aa bb\n  cc dd");
    }
}
