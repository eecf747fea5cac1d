//! Text: its case, its lines, its length.

use heck::{
    ToKebabCase, ToLowerCamelCase, ToShoutySnakeCase, ToSnakeCase, ToTitleCase,
    ToUpperCamelCase,
};

use rhai::Dynamic;

use super::super::host::LONGEST_TEXT;
use super::super::symbol::{Answer, to_dynamic};
use super::arguments::{given_text, size, string, strings, text, texts};
use super::call::as_list;
use super::{Entry, Fault, Hand, Outcome, Run};
use crate::expr::{Expr, Function};
use crate::value::Value;

/// The widest line `wrap` makes and the longest part `format` does.
const WIDEST: usize = 10_000;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "format(pattern: string, values: list) -> string",
        doc: "The pattern with `%s` (any value), `%d` (an integer), `%5d`, `%05d` (filled up), `%.2f` (decimals), `%x` (hexadecimal) filled in; `%%` is a percent sign. A plain `%s` works on values that are not known yet.",
        examples: &[
            (r#"format("%s-%03d", ["web", 7])"#, r#""web-007""#),
            (r#"format("%.1f%% of %x", [12.34, 255])"#, r#""12.3% of ff""#),
        ],
        run: Run::Items(format),
    },
    Entry {
        signature: "replace(text: text, part: string, with: text) -> string",
        doc: "The text with another in the place of each part. Works on values that are not known yet.",
        examples: &[(r#""a.b.c".replace(".", "/")"#, r#""a/b/c""#)],
        run: Run::Later(Function::Replace),
    },
    Entry {
        signature: "trim(text: text) -> string",
        doc: "The text without spaces and line ends around it. Works on values that are not known yet.",
        examples: &[(r#""  a ".trim()"#, r#""a""#)],
        run: Run::Later(Function::Trim),
    },
    Entry {
        signature: "to_upper(text: text) -> string",
        doc: "The text in capital letters. Works on values that are not known yet.",
        examples: &[(r#""ab".to_upper()"#, r#""AB""#)],
        run: Run::Later(Function::ToUpper),
    },
    Entry {
        signature: "to_lower(text: text) -> string",
        doc: "The text in small letters. Works on values that are not known yet.",
        examples: &[(r#""AB".to_lower()"#, r#""ab""#)],
        run: Run::Later(Function::ToLower),
    },
    Entry {
        signature: "parse_bool(text: text) -> bool",
        doc: "What `true` or `false` says as text.",
        examples: &[(r#"parse_bool("true")"#, "true")],
        run: Run::Known(|a| {
            let word = a.first().map(|value| value.reveal().to_string()).unwrap_or_default();
            let word = given_text(a, 0).map_or(word.as_str(), str::trim);
            word.parse()
                .map(Value::Bool)
                .map_err(|_| Fault::new(format!("`{word}` is neither `true` nor `false`")))
        }),
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

fn format(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().unwrap_or(Dynamic::UNIT);
    let pattern = hand.text(&next(), "the pattern")?;
    let mut values = as_list(next()).into_iter();
    let mut rest = pattern.as_str();
    let mut parts = Vec::new();
    let mut length = 0;
    while let Some(at) = rest.find('%') {
        parts.push(Expr::Value(string(&rest[..at])));
        let (slot, after) = slot(&rest[at + 1..]).map_err(|fault| hand.fault(fault))?;
        rest = after;
        if slot.verb == '%' {
            parts.push(Expr::Value(string("%")));
            continue;
        }
        let Some(item) = values.next() else {
            let fault = Fault::new("the pattern takes more values than the list has");
            return Err(hand.fault(fault));
        };
        match hand.expr(item.clone())? {
            Expr::Value(value) => {
                let filled = fill(&slot, value.reveal()).map_err(|fault| hand.fault(fault))?;
                let filled = padded(&slot, &filled);
                length += filled.len();
                if length > LONGEST_TEXT {
                    let message = format!("a text is longer than {} MiB", LONGEST_TEXT >> 20);
                    return Err(hand.fault(Fault::new(message)));
                }
                parts.push(Expr::Value(string(filled).marked(value.secrecy())));
            }
            // As it is, whatever it turns out to be.
            later @ (Expr::Reference(_) | Expr::Call(..) | Expr::Secret(_))
                if slot.verb == 's' && slot.width == 0 =>
            {
                parts.push(later);
            }
            // A secret that is looked up for a plan only, whatever it is filled in as.
            withheld if withheld.is_withheld() => parts.push(Expr::withheld()),
            _ => return Err(hand.unknown(&item)),
        }
    }
    parts.push(Expr::Value(string(rest)));
    match values.count() {
        0 => Ok(to_dynamic(Expr::call(Function::Concat, parts))),
        more => {
            let message = format!("the list has {more} values more than the pattern takes");
            Err(hand.fault(Fault::new(message)))
        }
    }
}

/// A value, filled up to the width of its place.
fn padded(slot: &Slot, filled: &str) -> String {
    let missing = slot.width.saturating_sub(filled.chars().count());
    match filled.strip_prefix('-') {
        Some(digits) if slot.zero => format!("-{}{digits}", "0".repeat(missing)),
        _ => if slot.zero { "0" } else { " " }.repeat(missing) + filled,
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
