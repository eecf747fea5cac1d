//! Functions registered elsewhere, by Rhai itself, `prelude` or `text`: documented and
//! tested here with the others.

use super::{Entry, Run};

/// An entry for a function registered elsewhere.
pub(super) const fn entry(
    signature: &'static str,
    doc: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Entry {
    Entry { signature, doc, examples, run: Run::Elsewhere }
}

/// About the stack and its values.
pub(super) const STACK: &[Entry] = &[
    entry(
        "param(name: string, options?: map) -> any",
        "The value of a parameter from outside; options are `type`, `default`, `choices`, `pattern`, `check`, `message`, `secret`, `ephemeral`, `doc`, `deprecated`.",
        &[(r#"param("size", #{ default: 3 })"#, "3")],
    ),
    entry(
        "env() -> string",
        "The environment that is chosen with `--env`; `default` when none is.",
        &[("env()", r#""default""#)],
    ),
    entry(
        "stack() -> string",
        "The stack's name, that of the environment included, as it stands before the names of Docker's objects.",
        &[("stack()", r#""shop""#)],
    ),
    entry(
        "output(name: string, value: any, options?: map) -> ()",
        "Hands out a value under a name. Options: `doc`, what it is; `deprecated`, what to read instead. Works on values that are not known yet.",
        &[],
    ),
    entry(
        "check(name: string, condition: bool, message: string, options?: map) -> ()",
        "Stops the plan when the condition does not hold, or fails the apply once that is known; the option `warn` makes it a warning. Works on values that are not known yet.",
        &[],
    ),
    entry(
        "command(name: string, options: map) -> ()",
        "Publishes a command of the stack, run by `dollop run NAME`. Options: `container`, what it runs in; `command`, its words, none of them secret; `doc`, `env`, `user`, `working_dir`. Words and variables may be values that are not known yet.",
        &[],
    ),
    entry(
        "moved(from: string, to: any) -> ()",
        "What was recorded under an address belongs to another now: a rename that makes nothing anew. The names of a component, as in `moved(\"shop\", \"store\")`, move all that is in it; `\"\"` is the top of the stack.",
        &[],
    ),
    entry(
        "forget(address: string) -> ()",
        "Lets go of what was recorded under an address; the world stays as it is.",
        &[],
    ),
    entry(
        "component(name: string, body: fn) -> any",
        "Groups what the closure declares under a name that stands before its addresses; gives what the closure gives.",
        &[(r#"component("shop", || 5)"#, "5")],
    ),
    entry(
        "profile(name: string, body?: fn) -> any",
        "What the closure declares is there only while the profile is on (`--profile`); gives what the closure gives. Without a closure, whether the profile is on.",
        &[(r#"profile("vault")"#, "false")],
    ),
    entry(
        "discover(name: string, on: any, kind: string, options?: map) -> list",
        "The names of what a server has of a kind, or of what is in something there, as `dollop discover` found and recorded them. The option `default` stands in until somebody asked.",
        &[],
    ),
    entry(
        "override(on: any, changes: map, lists?: string) -> any",
        "Sets attributes of what is declared already, given as a resource or its address. Maps are merged; `()` takes an attribute away; lists are replaced, or treated as by `deep_merge`: `append`, `unique`, `by KEY`. Works on values that are not known yet.",
        &[],
    ),
    entry(
        "secret(value: any) -> any",
        "The value, never shown. Works on values that are not known yet.",
        &[(r#"json(secret("x"))"#, r#"secret("\"x\"")"#)],
    ),
    entry(
        "ephemeral(value: any) -> any",
        "The value, never shown and never kept: the state has a digest of it. Only what comes from outside can be, so it must be known.",
        &[(r#"json(ephemeral("x"))"#, r#"ephemeral("\"x\"")"#)],
    ),
    entry(
        "secret_file(path: string) -> string",
        "The text of a file of the project, relative to the script, as a secret; a line break at its end is left out.",
        &[],
    ),
    entry(
        "secret_age(path: string, entry?: string) -> string",
        "The text of a file of the project that is encrypted with age, as a secret; or one entry of a `.toml.age`, `.json.age` or `.env.age`, with dots between its keys. `DOLLOP_AGE_IDENTITY` names the file with the key; for `check`, `params` and `graph` none is needed.",
        &[],
    ),
    entry(
        "secret_sops(path: string, entry: string) -> string",
        "One entry of a `.yaml` or `.json` file of the project that SOPS encrypted for an age key, as a secret; dots stand between its keys. `DOLLOP_AGE_IDENTITY` names the file with the key; for `check`, `params` and `graph` none is needed.",
        &[],
    ),
    entry(
        "secret_command(words: list) -> string",
        "What a command prints, as a secret; a line break at its end is left out. It runs in the project folder, once, when a plan is made, and never for `check`, `params` or `graph`.",
        &[],
    ),
    entry(
        "known(value: any) -> any",
        "The same value, or an error when something in it is not known while the script runs.",
        &[("known([1, 2])", "[1, 2]")],
    ),
    entry(
        "print(value: any) -> ()",
        "Adds a line to what the command shows; what is not known yet appears by name, secrets as `(sensitive)`.",
        &[],
    ),
    entry("debug(value: any) -> ()", "The same, with text in quotes.", &[]),
];

/// Text.
pub(super) const TEXT: &[Entry] = &[
    entry(
        "len(text: string) -> int",
        "How many characters the text has; of a list or map, how many items.",
        &[(r#""häh".len()"#, "3")],
    ),
    entry(
        "is_empty(text: string) -> bool",
        "Whether there is nothing in it.",
        &[(r#""".is_empty()"#, "true")],
    ),
    entry(
        "contains(text: string, part: string) -> bool",
        "Whether a part is in the text; of a list, an item; of a map, a key.",
        &[(r#""abc".contains("b")"#, "true"), ("[1, 2].contains(3)", "false")],
    ),
    entry(
        "starts_with(text: string, part: string) -> bool",
        "Whether the text begins with a part.",
        &[(r#""abc".starts_with("ab")"#, "true")],
    ),
    entry(
        "ends_with(text: string, part: string) -> bool",
        "Whether the text ends with a part.",
        &[(r#""abc".ends_with("ab")"#, "false")],
    ),
    entry(
        "index_of(text: string, part: string) -> int",
        "Where a part begins, or -1; of a list, where an item is.",
        &[(r#""abc".index_of("c")"#, "2"), (r#"["a", "b"].index_of("x")"#, "-1")],
    ),
    entry(
        "split(text: string, by: string) -> list",
        "The parts of the text between the places where another is.",
        &[(r#""a,b".split(",")"#, r#"["a", "b"]"#)],
    ),
    entry(
        "join(list: list, between: string) -> string",
        "The items as one text with another between them. Works on values that are not known yet.",
        &[(r#"join(["a", 1], "-")"#, r#""a-1""#)],
    ),
    entry(
        "sub_string(text: string, start: int, length?: int) -> string",
        "A part of the text; a start below 0 counts from the end.",
        &[
            (r#""abcdef".sub_string(1, 2)"#, r#""bc""#),
            (r#""abcdef".sub_string(-2)"#, r#""ef""#),
        ],
    ),
    entry(
        "pad_left(text: string, length: int, with: string) -> string",
        "The text, filled up at its beginning.",
        &[(r#""7".pad_left(3, "0")"#, r#""007""#)],
    ),
    entry(
        "pad_right(text: string, length: int, with: string) -> string",
        "The text, filled up at its end.",
        &[(r#""7".pad_right(3, ".")"#, r#""7..""#)],
    ),
    entry(
        "parse_int(text: string, base?: int) -> int",
        "The integer a text says.",
        &[(r#"parse_int("12")"#, "12"), (r#"parse_int("ff", 16)"#, "255")],
    ),
    entry(
        "parse_float(text: string) -> number",
        "The number a text says.",
        &[(r#"parse_float("1.5")"#, "1.5")],
    ),
    entry(
        "to_string(value: any) -> string",
        "The value as text.",
        &[("12.to_string()", r#""12""#)],
    ),
];

/// Lists.
pub(super) const LISTS: &[Entry] = &[
    entry(
        "map(list: list, by: fn) -> list",
        "What a closure gives for each item. Hands on values that are not known yet.",
        &[("[1, 2].map(|x| x * 2)", "[2, 4]")],
    ),
    entry(
        "filter(list: list, by: fn) -> list",
        "The items for which a closure gives true. Hands on values that are not known yet.",
        &[("[1, 2, 3].filter(|x| x > 1)", "[2, 3]")],
    ),
    entry(
        "reduce(list: list, by: fn, start: any) -> any",
        "What is left when a closure takes the result so far and each item in turn.",
        &[("[1, 2, 3].reduce(|sum, x| sum + x, 0)", "6")],
    ),
    entry(
        "some(list: list, by: fn) -> bool",
        "Whether a closure gives true for some item.",
        &[("[1, 2].some(|x| x > 1)", "true")],
    ),
    entry(
        "all(list: list, by: fn) -> bool",
        "Whether a closure gives true for every item.",
        &[("[1, 2].all(|x| x > 1)", "false")],
    ),
    entry(
        "push(list: list, item: any) -> ()",
        "Adds an item at the end of a variable's list. Works on values that are not known yet.",
        &[("{ let l = [1]; l.push(2); l }", "[1, 2]")],
    ),
];

/// Maps.
pub(super) const MAPS: &[Entry] = &[
    entry(
        "keys(map: map) -> list",
        "The keys, in order.",
        &[("#{ b: 1, a: 2 }.keys()", r#"["a", "b"]"#)],
    ),
    entry(
        "values(map: map) -> list",
        "The values, in the order of keys. Hands on values that are not known yet.",
        &[("#{ b: 1, a: 2 }.values()", "[2, 1]")],
    ),
    entry(
        "get(map: map, key: string) -> any",
        "The entry, or nothing; `??` gives another value then.",
        &[(r#"#{ a: 1 }.get("b") ?? 5"#, "5")],
    ),
];
