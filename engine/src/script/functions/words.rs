//! Text: its case, its lines, its length.

use heck::{
    ToKebabCase, ToLowerCamelCase, ToShoutySnakeCase, ToSnakeCase, ToTitleCase,
    ToUpperCamelCase,
};

use super::super::host::LONGEST_TEXT;
use super::arguments::{given_text, list, size, string, strings, text, texts};
use super::{Entry, Fault, Outcome, Run};
use crate::expr::Function;
use crate::value::Value;

/// The widest line `wrap` makes and the longest part `format` does.
const WIDEST: usize = 10_000;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "format(pattern: string, values: list) -> string",
        doc: "The pattern with `%s` (any value), `%d` (an integer), `%5d`, `%05d` (filled up), `%.2f` (decimals), `%x` (hexadecimal) filled in; `%%` is a percent sign.",
        examples: &[
            (r#"format("%s-%03d", ["web", 7])"#, r#""web-007""#),
            (r#"format("%.1f%% of %x", [12.34, 255])"#, r#""12.3% of ff""#),
        ],
        run: Run::Known(format),
    },
    Entry {
        signature: "indent(text: text, spaces: int) -> string",
        doc: "The text with spaces before every line but the first; empty lines stay empty. Works on values that are not known yet.",
        examples: &[(r#"indent("a\nb\n\nc", 2)"#, r#""a\n  b\n\n  c""#)],
        run: Run::Later(Function::Indent),
    },
    Entry {
        signature: "dedent(text: string) -> string",
        doc: "The text without the spaces all its lines begin with.",
        examples: &[(r#"dedent("  a\n    b")"#, r#""a\n  b""#)],
        run: Run::Known(|a| Ok(string(textwrap::dedent(text(a, 0))))),
    },
    Entry {
        signature: "wrap(text: string, width: int) -> string",
        doc: "The text with lines of at most that many columns, broken between words.",
        examples: &[(r#"wrap("one two three", 8)"#, r#""one two\nthree""#)],
        run: Run::Known(|a| {
            let width = size(a, 1, "width", 1, WIDEST)?;
            Ok(string(textwrap::fill(text(a, 0), width)))
        }),
    },
    Entry {
        signature: "lines(text: string) -> list",
        doc: "The lines of the text, without their ends.",
        examples: &[(r#"lines("a\nb\n")"#, r#"["a", "b"]"#)],
        run: Run::Known(|a| Ok(strings(text(a, 0).lines()))),
    },
    Entry {
        signature: "title(text: string) -> string",
        doc: "The words of the text, each with a capital letter.",
        examples: &[(r#"title("hello big-world")"#, r#""Hello Big World""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_title_case()))),
    },
    Entry {
        signature: "snake_case(text: string) -> string",
        doc: "The words of the text, as in a variable.",
        examples: &[(r#"snake_case("MyApp v2")"#, r#""my_app_v2""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_snake_case()))),
    },
    Entry {
        signature: "shouty_case(text: string) -> string",
        doc: "The words of the text, as in an environment variable.",
        examples: &[(r#"shouty_case("myApp.logLevel")"#, r#""MY_APP_LOG_LEVEL""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_shouty_snake_case()))),
    },
    Entry {
        signature: "kebab_case(text: string) -> string",
        doc: "The words of the text, as in a host name.",
        examples: &[(r#"kebab_case("MyApp v2")"#, r#""my-app-v2""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_kebab_case()))),
    },
    Entry {
        signature: "camel_case(text: string) -> string",
        doc: "The words of the text, as in a JSON key.",
        examples: &[(r#"camel_case("my app-v2")"#, r#""myAppV2""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_lower_camel_case()))),
    },
    Entry {
        signature: "pascal_case(text: string) -> string",
        doc: "The words of the text, as in a type.",
        examples: &[(r#"pascal_case("my app-v2")"#, r#""MyAppV2""#)],
        run: Run::Known(|a| Ok(string(text(a, 0).to_upper_camel_case()))),
    },
    Entry {
        signature: "shorten(text: string, length: int, end?: string) -> string",
        doc: "The text, cut to at most that many characters; what is cut ends with `end`.",
        examples: &[
            (r#"shorten("abcdef", 4)"#, r#""abcd""#),
            (r#"shorten("abcdef", 4, "…")"#, r#""abc…""#),
        ],
        run: Run::Known(shorten),
    },
    Entry {
        signature: "repeat(text: string, times: int) -> string",
        doc: "The text that many times.",
        examples: &[(r#"repeat("ab", 3)"#, r#""ababab""#)],
        run: Run::Known(|a| {
            let most = LONGEST_TEXT / text(a, 0).len().max(1);
            Ok(string(text(a, 0).repeat(size(a, 1, "times", 0, most)?)))
        }),
    },
    Entry {
        signature: "trim_prefix(text: string, prefix: string) -> string",
        doc: "The text without a beginning, when it has it.",
        examples: &[(r#"trim_prefix("v1.2", "v")"#, r#""1.2""#)],
        run: Run::Known(|a| {
            Ok(string(text(a, 0).strip_prefix(text(a, 1)).unwrap_or(text(a, 0))))
        }),
    },
    Entry {
        signature: "trim_suffix(text: string, suffix: string) -> string",
        doc: "The text without an end, when it has it.",
        examples: &[(r#"trim_suffix("app.tar.gz", ".gz")"#, r#""app.tar""#)],
        run: Run::Known(|a| {
            Ok(string(text(a, 0).strip_suffix(text(a, 1)).unwrap_or(text(a, 0))))
        }),
    },
    Entry {
        signature: "shell_quote(text: text) -> string",
        doc: "The text as one word for a POSIX shell. Works on values that are not known yet.",
        examples: &[
            (r#"shell_quote("it's")"#, r#""'it'\\''s'""#),
            (r#"shell_quote("plain")"#, r#""plain""#),
        ],
        run: Run::Later(Function::ShellQuote),
    },
    Entry {
        signature: "sql_name(text: text) -> string",
        doc: "The text as a name in SQL, quoted. Works on values that are not known yet.",
        examples: &[(r#"sql_name("my \"table\"")"#, r#""\"my \"\"table\"\"\"""#)],
        run: Run::Later(Function::SqlName),
    },
    Entry {
        signature: "sql_text(text: text) -> string",
        doc: "The text as a text in SQL, quoted. Works on values that are not known yet.",
        examples: &[
            (r#"sql_text("it's")"#, r#""'it''s'""#),
            (r#"sql_text("a\\b")"#, r#"" E'a\\\\b'""#),
        ],
        run: Run::Later(Function::SqlText),
    },
    Entry {
        signature: "shell_join(words: list) -> string",
        doc: "The words as one line for a POSIX shell.",
        examples: &[(r#"shell_join(["echo", "a b"])"#, r#""echo 'a b'""#)],
        run: Run::Known(|a| Ok(string(shell_words::join(texts(a, 0, "words")?)))),
    },
    Entry {
        signature: "shell_split(line: string) -> list",
        doc: "The words of a line, as a POSIX shell reads them.",
        examples: &[(r#"shell_split("echo 'a b' c")"#, r#"["echo", "a b", "c"]"#)],
        run: Run::Known(|a| {
            shell_words::split(text(a, 0))
                .map(strings)
                .map_err(|_| Fault::new("a quote in this line is not closed"))
        }),
    },
];

fn shorten(arguments: &[Value]) -> Outcome {
    let whole = text(arguments, 0);
    let length = size(arguments, 1, "length", 0, LONGEST_TEXT)?;
    let end = given_text(arguments, 2).unwrap_or_default();
    if whole.chars().nth(length).is_none() {
        return Ok(string(whole));
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(Fault::new(format!("`end` is longer than {length} characters")));
    };
    let cut: String = whole.chars().take(kept).collect();
    Ok(string(cut + end))
}

/// One `%..` of a pattern.
struct Slot {
    zero: bool,
    width: usize,
    decimals: Option<usize>,
    verb: char,
}

fn format(arguments: &[Value]) -> Outcome {
    let mut rest = text(arguments, 0);
    let mut values = list(arguments, 1).iter();
    let mut out = String::new();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (slot, after) = slot(rest)?;
        rest = after;
        if slot.verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            return Err(Fault::new("the pattern takes more values than the list has"));
        };
        let filled = fill(&slot, value.reveal())?;
        let missing = slot.width.saturating_sub(filled.chars().count());
        match filled.strip_prefix('-') {
            Some(digits) if slot.zero => {
                out.push('-');
                out.push_str(&"0".repeat(missing));
                out.push_str(digits);
            }
            _ => {
                out.push_str(&if slot.zero { "0" } else { " " }.repeat(missing));
                out.push_str(&filled);
            }
        }
        if out.len() > LONGEST_TEXT {
            return Err(Fault::new(format!(
                "a text is longer than {} MiB",
                LONGEST_TEXT >> 20
            )));
        }
    }
    out.push_str(rest);
    match values.count() {
        0 => Ok(Value::String(out)),
        more => {
            Err(Fault::new(format!("the list has {more} values more than the pattern takes")))
        }
    }
}

/// The number a text begins with, and what follows.
fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

/// Reads what stands behind a percent sign.
fn slot(rest: &str) -> Result<(Slot, &str), Fault> {
    let fault = || {
        Fault::new("a `%` in the pattern is followed by `s`, `d`, `f`, `x` or `%`")
            .hint("write `%s`, `%03d`, `%.2f`, `%x`, or `%%` for a percent sign")
    };
    let zero = rest.starts_with('0');
    let (width, mut rest) = digits(rest);
    let mut decimals = None;
    if let Some(after) = rest.strip_prefix('.') {
        let (count, after) = digits(after);
        decimals = Some(count.filter(|count| *count <= 30).ok_or_else(fault)?);
        rest = after;
    }
    let width = width.unwrap_or(0);
    let verb = rest.chars().next().filter(|verb| "sdfx%".contains(*verb)).ok_or_else(fault)?;
    if width > WIDEST {
        return Err(Fault::new(format!("`%` fills up to at most {WIDEST} characters")));
    }
    Ok((Slot { zero, width, decimals, verb }, &rest[verb.len_utf8()..]))
}

fn fill(slot: &Slot, value: &Value) -> Result<String, Fault> {
    Ok(match (slot.verb, value) {
        ('s', Value::String(text)) => text.clone(),
        ('s', Value::Bool(_) | Value::Int(_) | Value::Float(_)) => value.to_string(),
        ('d', Value::Int(number)) => number.to_string(),
        ('x', Value::Int(number)) if *number >= 0 => format!("{number:x}"),
        ('f', Value::Float(number)) => format!("{number:.*}", slot.decimals.unwrap_or(6)),
        #[expect(clippy::cast_precision_loss, reason = "shown as a number with a fraction")]
        ('f', Value::Int(number)) => {
            format!("{:.*}", slot.decimals.unwrap_or(6), *number as f64)
        }
        (verb, other) => {
            let fault = Fault::new(format!("`%{verb}` does not take {}", other.type_name()));
            return Err(match other {
                Value::List(_) | Value::Map(_) => {
                    fault.hint("make text of it first: `json(value)`")
                }
                _ => fault,
            });
        }
    })
}
