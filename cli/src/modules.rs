//! What the modules that come with dollop say about themselves: read from their text, which
//! keeps to one layout (the test below holds them to it).

/// A module of the language, `std/postgres`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name, without `std/`.
    pub name: String,
    /// What it is for, in paragraphs.
    pub doc: String,
    /// A script that uses it.
    pub example: String,
    /// What it offers, in its order.
    pub functions: Vec<Function>,
}

/// A function of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// As it is called: `server(name, given)`.
    pub signature: String,
    /// What it does.
    pub doc: String,
    /// What its last argument may hold.
    pub options: Vec<Choice>,
}

impl Function {
    /// Its name alone.
    pub fn name(&self) -> &str {
        self.signature.split('(').next().unwrap_or_default()
    }
}

/// An option of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// What it is when left out, as the module says it.
    pub default: String,
    /// What it is for.
    pub doc: String,
}

/// What options are for that mean the same everywhere.
const COMMON: [(&str, &str); 13] = [
    ("address", "Where its published ports listen on this machine."),
    ("container", "Attributes of the container, merged over those made here."),
    ("cpus", "The most processors it may use."),
    ("env", "More for its environment."),
    ("files", "Files in the container, as in `docker::container`."),
    ("heap", "The memory of its Java."),
    ("image", "The image it runs."),
    ("memory", "The most memory it may use."),
    ("mounts", "More mounts, as in `volumes` of a container."),
    ("needs", "What must work first: what modules return, or jobs."),
    ("networks", "The networks it joins."),
    ("password", "Its password; one is made and kept when left out."),
    (
        "publish",
        "Whether this machine reaches it: `false`, the port to reach it at, or 0 for any free one.",
    ),
];

/// Reads a module.
pub fn read(name: &str, text: &str) -> Module {
    let head: Vec<&str> =
        text.lines().take_while(|line| line.starts_with("//")).map(uncommented).collect();
    let doc: Vec<&str> =
        head.iter().copied().filter(|line| !line.starts_with("    ")).collect();
    let example: Vec<&str> = head.iter().filter_map(|line| line.strip_prefix("    ")).collect();
    Module {
        name: name.to_owned(),
        doc: doc.join("\n").trim().replace("\n\n\n", "\n\n"),
        example: example.join("\n"),
        functions: functions(text),
    }
}

fn uncommented(line: &str) -> &str {
    let text = line.trim_start().trim_start_matches('/');
    text.strip_prefix(' ').unwrap_or(text)
}

/// Those with a comment of their own: the others are for the module alone.
fn functions(text: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        if line.starts_with("///") {
            doc.push(uncommented(line));
        } else if let Some(signature) = line.strip_prefix("fn ") {
            if !doc.is_empty() {
                let signature = signature.split(" {").next().unwrap_or(signature);
                found.push(Function {
                    signature: signature.to_owned(),
                    doc: doc.join("\n"),
                    options: options(text, body(rest)),
                });
            }
            doc.clear();
        } else {
            doc.clear();
        }
        rest = after;
    }
    found
}

/// A function's text up to the line that ends it.
fn body(text: &str) -> &str {
    let first = text.lines().next().unwrap_or_default();
    let end =
        if first.trim_end().ends_with('}') { Some(first.len()) } else { text.find("\n}") };
    &text[..end.unwrap_or(text.len())]
}

/// The map of defaults in a function, or in the one of this module it hands its options to.
fn options(module: &str, body: &str) -> Vec<Choice> {
    if let Some((_, map)) = body.split_once("options(given, #{") {
        return choices(map);
    }
    for (at, _) in body.match_indices("given)") {
        let Some(called) = callee(&body[..at]) else { continue };
        let definition = format!("\nfn {called}(");
        if let Some(start) = module.find(&definition) {
            let found = options_of(&module[start + 1..]);
            if !found.is_empty() {
                return found;
            }
        }
    }
    Vec::new()
}

/// The function whose arguments a text ends in: `server` in `let a = server(b(c), `.
fn callee(text: &str) -> Option<&str> {
    let mut open = 0;
    let start = text.char_indices().rev().find_map(|(at, character)| {
        match character {
            ')' => open += 1,
            '(' if open == 0 => return Some(at),
            '(' => open -= 1,
            _ => {}
        }
        None
    })?;
    let before = &text[..start];
    let name = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_'));
    Some(&before[name.map_or(0, |at| at + 1)..])
}

fn options_of(definition: &str) -> Vec<Choice> {
    let body = body(definition);
    body.split_once("options(given, #{").map(|(_, map)| choices(map)).unwrap_or_default()
}

/// Whether an option has no comment of its own, but what it means everywhere.
fn is_common(option: &Choice) -> bool {
    COMMON.iter().any(|(name, doc)| option.name == *name && option.doc == *doc)
}

/// Reads `image: "x", // ..` up to the brace that ends the map.
fn choices(map: &str) -> Vec<Choice> {
    let mut found: Vec<Choice> = Vec::new();
    let mut comment: Vec<String> = Vec::new();
    let mut entry = String::new();
    let (mut depth, mut quote) = (0_usize, None);
    let add = |entry: &mut String, comment: &mut Vec<String>, found: &mut Vec<Choice>| {
        let Some((name, default)) = entry.split_once(':') else { return };
        let (name, default) = (name.trim().trim_matches('"'), default.trim());
        let common = COMMON.iter().find(|(known, _)| *known == name);
        let doc = match (comment.is_empty(), common, found.last()) {
            (false, ..) => comment.join(" "),
            (true, Some((_, doc)), _) => (*doc).to_owned(),
            // One comment for several.
            (true, None, Some(before)) if !is_common(before) => before.doc.clone(),
            (true, None, _) => String::new(),
        };
        let (name, default) = (name.to_owned(), default.to_owned());
        found.push(Choice { name, default, doc });
        entry.clear();
        comment.clear();
    };
    for line in map.lines() {
        let text = line.trim();
        if depth == 0 && quote.is_none() && text.starts_with("//") {
            comment.push(uncommented(text).to_owned());
            continue;
        }
        for character in text.chars() {
            match (character, quote) {
                (_, Some(mark)) if character == mark => quote = None,
                ('"' | '`', None) => quote = Some(character),
                ('{' | '[' | '(', None) => depth += 1,
                ('}', None) if depth == 0 => {
                    add(&mut entry, &mut comment, &mut found);
                    return found;
                }
                ('}' | ']' | ')', None) => depth = depth.saturating_sub(1),
                (',', None) if depth == 0 => {
                    add(&mut entry, &mut comment, &mut found);
                    continue;
                }
                _ => {}
            }
            entry.push(character);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "\
// A shop.
//
//     import \"std/shop\" as shop;
//     shop::server(\"a\", #{
//         size: 2,
//     });
//
// It returns nothing.

/// A server.
fn server(name) { server_of(name, #{}) }

/// The same; its options are below.
fn server(name, given) { server_of(name, given) }

fn server_of(name, given) {
    let o = options(given, #{
        image: \"shop:1\",
        // How large, and how many:
        // each of them.
        size: 1,
        count: [1, 2],
        networks: [],
    });
}

/// A shelf.
fn shelf(at, given) {
    let o = options(given, #{ wide: false, label: \"a, b\", memory: (), deep: 1 });
}
";

    #[test]
    fn a_module_is_read() {
        let module = read("shop", MODULE);
        assert_eq!(module.doc, "A shop.\n\nIt returns nothing.");
        assert_eq!(
            module.example,
            "import \"std/shop\" as shop;\nshop::server(\"a\", #{\n    size: 2,\n});"
        );
        let signatures: Vec<_> =
            module.functions.iter().map(|f| f.signature.as_str()).collect();
        assert_eq!(signatures, ["server(name)", "server(name, given)", "shelf(at, given)"]);
        assert!(module.functions[0].options.is_empty());
        let options: Vec<_> = module.functions[1]
            .options
            .iter()
            .map(|o| (o.name.as_str(), o.default.as_str(), o.doc.as_str()))
            .collect();
        let each = "How large, and how many: each of them.";
        assert_eq!(
            options,
            [
                ("image", "\"shop:1\"", "The image it runs."),
                ("size", "1", each),
                ("count", "[1, 2]", each),
                ("networks", "[]", "The networks it joins."),
            ]
        );
        let shelf = &module.functions[2].options;
        assert_eq!(shelf[1].default, "\"a, b\"");
        // What `memory` means everywhere says nothing about what follows it.
        assert_eq!(shelf[3].doc, "");
    }

    #[test]
    fn every_module_says_what_it_offers() {
        for (name, text) in dollop_stdlib::registry().modules() {
            let module = read(name, text);
            assert!(!module.doc.is_empty() && !module.example.is_empty(), "std/{name}");
            assert!(!module.functions.is_empty(), "std/{name}");
            for function in &module.functions {
                let takes = function.signature.contains("given");
                let place = format!("std/{name}, {}", function.signature);
                let elsewhere = function.doc.contains("as in `");
                let says = elsewhere || !function.options.is_empty();
                assert!(!takes || says, "{place}: its options");
                for option in &function.options {
                    assert!(!option.doc.is_empty(), "{place}: what `{}` is for", option.name);
                }
            }
        }
    }
}
