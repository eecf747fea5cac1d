//! What holds for the host as a whole.

use super::lab;
use super::script;

#[test]
fn no_attribute_collides_with_a_lifecycle_key() {
    let registry = lab::registry();
    let kinds = registry.kinds().map(|kind| (kind.name, &kind.schema));
    let connections = registry.connections().map(|kind| (kind.name, &kind.schema));
    for (name, schema) in kinds.chain(connections) {
        for key in super::super::lifecycle::KEYS {
            assert!(schema.attribute(key).is_none(), "{name}.{key}");
        }
    }
}

/// Scripts that double something without end; each must be refused before memory is.
#[test]
fn nothing_grows_without_bound() {
    let grows = [
        "let s = docker::network(\"n\").id; loop { s = s + s; }",
        "let s = secret(\"x\"); loop { s = s + s; }",
        "let s = docker::network(\"n\").id; loop { s = secret(`${s}${s}`); }",
        "let s = docker::network(\"n\").id; loop { s = join([s, s, s], \"\"); }",
        "let s = docker::network(\"n\").id; let l = []; for i in 0..1000 { s += \"x\"; l.push(s); } \
         loop { s = json([s, s]); }",
        "let s = \"x\".pad_left(1000000, \"x\"); s.replace(\"x\", s);",
        "let s = \"x\".pad_left(1000000, \"x\"); let l = []; l.pad(90000, \"\"); join(l, s);",
        "let s = \"x\".pad_left(1000000, \"x\"); s.split(\"\");",
        "let s = secret(\"x\".pad_left(1000000, \"x\")); let l = []; l.pad(90000, s); output(\"l\", l);",
    ];
    for text in grows {
        let found = script(text).expect_err(text);
        let message = &found.diagnostics[0].message;
        // Its size ends it, not the limit of time or steps.
        assert!(!message.starts_with("the script takes more than"), "{text}: {message}");
    }
}

/// Rhai walks nested lists recursively.
#[test]
fn nesting_does_not_overflow() {
    let text = "let a = []; for i in 0..5000 { a = [a]; }";
    script(text).unwrap();
}

#[test]
fn ten_thousand_resources() {
    let text = r#"
        let net = docker::network("app");
        for i in 0..10000 {
            docker::container(`c${i}`, #{
                image: "nginx:1", env: #{ A: "1", B: `x${i}`, NET: net },
                ports: ["127.0.0.1::80", "81"], volumes: [`v${i}:/data`], networks: [net],
                healthcheck: #{ test: "true", interval: 1.5 }, command: ["a", "b"],
                cpus: 1, replicas: 2, prevent_destroy: true,
            });
        }
    "#;
    let program = script(text).unwrap();
    assert_eq!(program.declarations.len(), 10_002);
}

#[test]
fn words_rhai_reserves_are_plain_names() {
    for word in super::super::host::PLAIN_WORDS {
        let text = format!("let m = #{{ {word}: 1 }}; let {word} = m.{word}; print({word});");
        let program = script(&text).unwrap_or_else(|found| panic!("{word}: {found:?}"));
        assert_eq!(program.messages, ["1"], "{word}");
    }
}

/// Functions of Rhai that take text or anything, and do not look into it: they hand it on,
/// compare through the guarded operators, or take it for the name of a function. A new one
/// in a later Rhai fails the test below until somebody looked.
const SAFE: &[&str] = &[
    // The text is the name of a function, which is then called.
    "all(array, string)",
    "dedup(array, string)",
    "drain(array, string)",
    "filter(array, string)",
    "index_of(array, string, i64)",
    "map(array, string)",
    "reduce(array, string)",
    "reduce(array, string, Dynamic)",
    "reduce_rev(array, string)",
    "reduce_rev(array, string, Dynamic)",
    "retain(array, string)",
    "some(array, string)",
    "sort(array, string)",
    // Handed on as it is.
    "exit(Dynamic)",
    "insert(array, i64, Dynamic)",
    "pad(array, i64, Dynamic)",
    "push(array, Dynamic)",
    "reduce(array, Fn, Dynamic)",
    "reduce_rev(array, Fn, Dynamic)",
    "set(array, i64, Dynamic)",
    "take(Dynamic)",
    // Compared with the guarded `==`.
    "contains(array, Dynamic)",
    "index_of(array, Dynamic)",
    "index_of(array, Dynamic, i64)",
    // Text stays the text it is, markers included; other types have overrides.
    "debug(string)",
    "print(string)",
    "to_debug(string)",
    "to_string(string)",
    "debug(Dynamic)",
    "print(Dynamic)",
    "to_debug(Dynamic)",
    "to_string(Dynamic)",
    // A number beside the value, not the value.
    "get$tag(Dynamic)",
    "tag(Dynamic)",
    "set_tag(Dynamic, i64)",
];
/// Likewise; they tell about functions, by name.
const REFLECTION: [&str; 3] = [
    "get_fn_metadata_list(string)",
    "get_fn_metadata_list(string, i64)",
    "set$tag(Dynamic, i64)",
];

/// `name(types)` of a signature, without names of parameters.
fn plain(signature: &str) -> String {
    let (name, rest) = signature.split_once('(').unwrap();
    let parameters = rest.split(')').next().unwrap();
    let types: Vec<_> = parameters
        .split(", ")
        .map(|parameter| parameter.split_once(": ").map_or(parameter, |(_, ty)| ty))
        .map(|ty| ty.trim_start_matches("&mut ").replace("types::dynamic::Dynamic", "Dynamic"))
        .collect();
    format!("{name}({})", types.join(", "))
}

fn looks(signature: &str) -> bool {
    let types = signature.split_once('(').map_or("", |(_, types)| types);
    ["?", "Dynamic", "string", "char)", "char,"].iter().any(|ty| types.contains(ty))
}

#[test]
fn every_function_of_rhai_that_could_look_into_text_was_considered() {
    let rhai: Vec<String> = super::super::host::with_packages()
        .gen_fn_signatures(true)
        .iter()
        .map(|signature| plain(signature))
        .collect();
    let mut all: Vec<String> = super::signatures().iter().map(|s| plain(s)).collect();
    // What is left are dollop's own, overrides among them.
    for signature in &rhai {
        if let Some(at) = all.iter().position(|other| other == signature) {
            all.swap_remove(at);
        }
    }
    let holes: Vec<_> = rhai
        .iter()
        .filter(|signature| looks(signature))
        .filter(|signature| !all.contains(signature))
        .filter(|signature| !SAFE.contains(&signature.as_str()))
        .filter(|signature| !REFLECTION.contains(&signature.as_str()))
        .collect();
    assert!(holes.is_empty(), "{holes:#?}");
    let stale: Vec<_> =
        SAFE.iter().filter(|safe| !rhai.iter().any(|has| has == *safe)).collect();
    assert!(stale.is_empty(), "{stale:#?}");
}

#[test]
fn every_text_function_refuses_marked_text() {
    let mut takes_references = vec!["file", "join", "output", "param", "secret"];
    // What works on references is proven in `library`.
    let later = super::super::functions::entries()
        .filter(|entry| matches!(entry.run, super::super::functions::Run::Later(_)));
    takes_references.extend(later.map(super::super::functions::Entry::name));
    let mut tried = 0;
    for signature in super::signatures().iter().map(|signature| plain(signature)) {
        let (name, types) = signature.trim_end_matches(')').split_once('(').unwrap();
        let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let types: Vec<_> = types.split(", ").collect();
        let is_text = types[0] == "string"
            && types.iter().all(|ty| ["string", "i64", "int"].contains(ty));
        let is_printing = ["print", "debug", "to_string", "to_debug", "get_fn_metadata_list"];
        if !is_word
            || !is_text
            || takes_references.contains(&name)
            || is_printing.contains(&name)
        {
            continue;
        }
        for marked in 0..types.len() {
            if types[marked] != "string" {
                continue;
            }
            let arguments: Vec<_> = types
                .iter()
                .enumerate()
                .map(|(index, ty)| match *ty {
                    "string" if index == marked => "s",
                    "string" => "\"1\"",
                    _ => "2",
                })
                .collect();
            let call = format!("{name}({})", arguments.join(", "));
            let text = format!("let n = docker::network(\"n\"); let s = `1${{n.id}}`; {call}");
            let found = script(&text).expect_err(&call);
            assert!(found.diagnostics[0].span.is_some(), "{call}");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}
