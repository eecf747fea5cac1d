//! Conditions over values that may not be known yet, for `check`. Scripts cannot branch on
//! them: what such a function gives is itself not known yet.

use super::{Entry, Run};
use crate::expr::Function;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "eq(a: any, b: any) -> bool",
        doc: "Whether two values are the same. Works on values that are not known yet.",
        examples: &[("eq([1], [1])", "true"), ("eq(1, \"1\")", "false")],
        run: Run::Later(Function::Eq),
    },
    Entry {
        signature: "ne(a: any, b: any) -> bool",
        doc: "Whether two values differ; `ne(x, ())` tells whether there is one. Works on values that are not known yet.",
        examples: &[("ne((), 5)", "true")],
        run: Run::Later(Function::Ne),
    },
    Entry {
        signature: "lt(a: any, b: any) -> bool",
        doc: "Whether the first of two numbers, or of two texts, is less. Works on values that are not known yet.",
        examples: &[("lt(1, 1.5)", "true"), (r#"lt("b", "a")"#, "false")],
        run: Run::Later(Function::Lt),
    },
    Entry {
        signature: "le(a: any, b: any) -> bool",
        doc: "Whether the first is less than the second or the same. Works on values that are not known yet.",
        examples: &[("le(2, 2)", "true")],
        run: Run::Later(Function::Le),
    },
    Entry {
        signature: "gt(a: any, b: any) -> bool",
        doc: "Whether the first is more than the second. Works on values that are not known yet.",
        examples: &[("gt(2, 2)", "false")],
        run: Run::Later(Function::Gt),
    },
    Entry {
        signature: "ge(a: any, b: any) -> bool",
        doc: "Whether the first is more than the second or the same. Works on values that are not known yet.",
        examples: &[("ge(2, 2)", "true")],
        run: Run::Later(Function::Ge),
    },
    Entry {
        signature: "holds(value: any, part: any) -> bool",
        doc: "Whether a text has a part, a list an item, or a map a key: `contains` for values that are not known yet.",
        examples: &[
            (r#"holds("postgres:15", ":15")"#, "true"),
            ("holds([1, 2], 3)", "false"),
            (r#"holds(#{ a: 1 }, "a")"#, "true"),
        ],
        run: Run::Later(Function::Holds),
    },
    Entry {
        signature: "matches(text: text, pattern: string) -> bool",
        doc: "Whether a regular expression, which is known, is found in the text: `regex_match` for values that are not known yet.",
        examples: &[(r#"matches("15.4", "^15\\.")"#, "true")],
        run: Run::Later(Function::Matches),
    },
    Entry {
        signature: "and(a: bool, b: bool) -> bool",
        doc: "Whether both hold. Works on values that are not known yet.",
        examples: &[("and(true, false)", "false")],
        run: Run::Later(Function::And),
    },
    Entry {
        signature: "or(a: bool, b: bool) -> bool",
        doc: "Whether one of them holds. Works on values that are not known yet.",
        examples: &[("or(true, false)", "true")],
        run: Run::Later(Function::Or),
    },
    Entry {
        signature: "not(a: bool) -> bool",
        doc: "Whether it does not hold. Works on values that are not known yet.",
        examples: &[("not(false)", "true")],
        run: Run::Later(Function::Not),
    },
    Entry {
        signature: "choose(condition: bool, yes: any, no: any) -> any",
        doc: "The second value when the condition holds, the third otherwise: `if` for conditions that are not known yet. Where the condition is known, what is chosen may be anything, also a resource.",
        examples: &[
            (r#"choose(true, "large", "small")"#, r#""large""#),
            ("choose(eq(1, 2), 5, ())", "()"),
        ],
        run: Run::Later(Function::Choose),
    },
];
