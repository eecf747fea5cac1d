//! The function library: its examples, its reference, and what it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::functions::{self, Run};
use super::{Project, run, script, show};
use crate::expr::Expr;
use crate::program::Program;

/// A project with the files the examples name.
fn project(text: &str) -> Project {
    let files = [
        ("main.rhai", text),
        ("motd.txt", "Hello.\n"),
        (
            "app.conf.j2",
            "name = {{ name }}\n{% for port in ports %}\nlisten {{ port }}\n{% endfor %}\n",
        ),
        ("conf/app.toml", "a = 1\n"),
        ("conf/db/pg.conf", "port = 5432\n"),
        ("conf/.hidden", "no"),
    ];
    Project(files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect())
}

fn output<'a>(program: &'a Program, name: &str) -> &'a Expr {
    &program.outputs.iter().find(|output| output.name == name).unwrap().value
}

/// The value of an expression in a script of its own.
fn value(text: &str) -> Expr {
    let result = run(&project(&format!("output(\"v\", {text});")), &[]);
    let program = result.as_ref().unwrap_or_else(|_| panic!("{text}\n{}", show(&result)));
    output(program, "v").clone()
}

#[test]
fn every_example_is_equal_to_its_result() {
    let mut count = 0;
    for entry in functions::entries() {
        let silent = [
            "check",
            "command",
            "debug",
            "discover",
            "exit",
            "forget",
            "moved",
            "output",
            "override",
            "print",
            "secret_age",
            "secret_command",
            "secret_file",
            "secret_sops",
        ]
        .contains(&entry.name());
        assert!(silent || !entry.examples.is_empty(), "`{}` has no example", entry.name());
        for (example, result) in entry.examples {
            assert!(
                example.contains(entry.name()),
                "{example} does not show `{}`",
                entry.name()
            );
            let (found, wanted) = (value(example), value(result));
            // Texts in the clear: `Debug` masks secrets.
            assert!(found == wanted, "{example}\nfound  {found}\nwanted {wanted}");
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
    println!("{count} examples of {} functions", functions::entries().count());
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/functions.md");
    let wanted = functions::reference();
    if std::env::var_os("DOLLOP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "run `DOLLOP_BLESS=1 cargo test -p dollop-engine library`");
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeSet::new();
    let registered: BTreeSet<String> = super::signatures()
        .iter()
        .map(|signature| signature.split('(').next().unwrap().to_owned())
        .collect();
    for entry in functions::entries() {
        let name = entry.name();
        assert!(names.insert(name), "`{name}` is there twice");
        let is_there = registered.contains(name) || KEYWORDS.contains(&name);
        assert!(is_there, "`{name}` is not registered");
        assert!(entry.doc.ends_with('.'), "`{name}`: {}", entry.doc);
        let (head, result) = entry.signature.split_once(" -> ").unwrap();
        assert!(head.ends_with(')') && !result.is_empty(), "{}", entry.signature);
        for parameter in parameters(entry) {
            let kinds = ["string", "text", "bool", "int", "number", "list", "map", "fn", "any"];
            assert!(kinds.contains(&parameter.1), "{}", entry.signature);
        }
    }
    for name in super::super::prelude::NAMES {
        assert!(names.contains(name), "`{name}` is not in the table");
    }
}

/// What stands in for something refused, what text is made with, and what tells editors about
/// functions.
const INTERNAL: [&str; 4] = ["chars", "get_fn_metadata_list", "sleep", "to_debug"];
/// Words of the language that are called like functions.
const KEYWORDS: [&str; 2] = ["call", "type_of"];

#[test]
fn every_function_a_script_can_call_is_in_the_table() {
    let known: BTreeSet<&str> = functions::entries().map(functions::Entry::name).collect();
    let mut missing = BTreeSet::new();
    for signature in super::signatures() {
        let name = signature.split('(').next().unwrap();
        let is_word = name.starts_with(|c: char| c.is_alphabetic());
        // What is declared on a resource has pages of its own.
        if is_word
            && !signature.contains("(on: resource, name: string")
            && !name.contains(['$', ':', ' ', '!'])
            && !known.contains(name)
            && !INTERNAL.contains(&name)
        {
            missing.insert(signature.clone());
        }
    }
    assert!(missing.is_empty(), "not in the table:\n{}", Vec::from_iter(missing).join("\n"));
}

/// Names and kinds of a function's parameters.
fn parameters(entry: &functions::Entry) -> Vec<(&'static str, &'static str)> {
    let inner = entry.signature.split_once('(').unwrap().1;
    let inner = inner.split_once(") -> ").unwrap().0;
    let parts = inner.split(", ").filter(|part| !part.is_empty());
    parts.map(|part| part.split_once(": ").unwrap()).collect()
}

/// Something that fits a kind, known or not.
fn argument(kind: &str) -> &'static str {
    match kind {
        "bool" => "true",
        "int" | "number" => "1",
        "list" => "[\"a\"]",
        "map" => "#{ a: \"a\" }",
        "fn" => "|x| \"a\"",
        _ => "\"1\"",
    }
}

/// Every argument of every function, replaced by a reference, marked text, or a list or map
/// that holds one: the result is not known either, or the call is refused at its place.
/// Nothing known comes out of what is not known, and nothing panics.
#[test]
fn no_function_looks_into_what_is_not_known() {
    let unknown = [
        "n.id",
        "`1${n.id}`",
        "[n.id]",
        "#{ a: n.id }",
        "[[`x${n.id}`]]",
        "n",
        "#{ key: n.id, value: 1 }",
        "[#{ key: \"a\", value: n.id }]",
        "#{ a: [n.id] }",
        "[n.tag, \"b\", n.tag]",
    ];
    // What they give depends on the shape of lists and maps only, or on keys.
    let shapes = ["file_exists", "len", "is_empty", "contains", "keys", "index_of"];
    let (mut refused, mut passed) = (0, 0);
    for entry in functions::entries() {
        if matches!(entry.run, Run::Elsewhere) || shapes.contains(&entry.name()) {
            continue;
        }
        let parameters = parameters(entry);
        for at in 0..parameters.len() {
            for bad in unknown {
                let arguments: Vec<_> = parameters
                    .iter()
                    .enumerate()
                    .map(|(index, (_, kind))| if index == at { bad } else { argument(kind) })
                    .collect();
                let call = format!("{}({})", entry.name(), arguments.join(", "));
                let text = format!("let n = docker::network(\"n\"); output(\"v\", {call});");
                match run(&project(&text), &[]) {
                    Err(findings) => {
                        assert!(findings.diagnostics[0].span.is_some(), "{call}");
                        assert!(!findings.diagnostics[0].message.contains("BUG"), "{call}");
                        refused += 1;
                    }
                    Ok(program) => {
                        let found = output(&program, "v");
                        // A list or map whose unknown item was left out on purpose.
                        let left_out = [
                            "element",
                            "omit",
                            "pick",
                            "slice",
                            "get_path",
                            "zip_lists",
                            "choose",
                            "coalesce",
                            "template_text",
                            "set_product",
                            "deep_merge",
                            "merge",
                            "options",
                        ];
                        let known = found.known().is_some();
                        assert!(!known || left_out.contains(&entry.name()), "{call} = {found}");
                        passed += 1;
                    }
                }
            }
        }
    }
    println!("{refused} refused, {passed} handed on");
    assert!(refused > 500 && passed > 50, "{refused} {passed}");
}

/// The same with secrets: whatever comes out is secret, and errors do not quote it.
#[test]
fn what_is_made_from_a_secret_is_secret() {
    let secrets = [
        "secret(\"hunter2\")",
        "secret(5)",
        "secret([\"hunter2\"])",
        "[secret(\"hunter2\")]",
        "#{ a: secret(\"hunter2\") }",
        "[secret(7), 3]",
    ];
    let left_out = [
        "element",
        "omit",
        "pick",
        "get_path",
        "choose",
        "coalesce",
        "zip_lists",
        "slice",
        "merge",
        "deep_merge",
        "options",
    ];
    let mut made = 0;
    for entry in functions::entries() {
        if matches!(entry.run, Run::Elsewhere) {
            continue;
        }
        let parameters = parameters(entry);
        for at in 0..parameters.len() {
            for bad in secrets {
                let arguments: Vec<_> = parameters
                    .iter()
                    .enumerate()
                    .map(|(index, (_, kind))| if index == at { bad } else { argument(kind) })
                    .collect();
                let call = format!("{}({})", entry.name(), arguments.join(", "));
                let result = run(&project(&format!("output(\"v\", {call});")), &[]);
                match &result {
                    Err(findings) => {
                        let texts = findings.diagnostics.iter().flat_map(|finding| {
                            finding.notes.iter().chain(&finding.hints).chain([&finding.message])
                        });
                        for text in texts {
                            assert!(!text.contains("hunter"), "{call}: {text}");
                        }
                    }
                    Ok(program) => {
                        let found = output(program, "v");
                        let is_secret =
                            found.known().is_some_and(crate::function::holds_secret);
                        let known = left_out.contains(&entry.name());
                        let names = bad.starts_with("#{")
                            && ["template_text", "template"].contains(&entry.name());
                        assert!(is_secret || known || names, "{call} = {found}");
                        made += 1;
                    }
                }
            }
        }
    }
    println!("{made} secrets made");
    assert!(made > 100, "{made}");
}

/// What is far too large, too small or strange: a clear refusal or a value, never a panic,
/// and soon.
#[test]
fn no_argument_makes_a_function_panic() {
    let strange = [
        "\"\"",
        "\"\\u{0}\"",
        "\"ÿ☃\u{1F600}\"",
        "9223372036854775807",
        "-9223372036854775808",
        "0",
        "-1",
        "1e308",
        "-0.0",
        "[]",
        "#{}",
        "()",
        "true",
        "[[], #{}]",
        "\"%\"",
        "\"{{\"",
        "\"{% if %}\"",
        "\"(\"",
        "\"0.0.0.0/0\"",
        "\"::/0\"",
        "\"::ffff:1.2.3.4/128\"",
        "\"&a [*a]\"",
        "\"/\"",
        "\"..\"",
        "\"-\"",
        "|x| x",
        "[1, \"a\"]",
        "#{ \"\": 1 }",
    ];
    let mut tried = 0;
    for entry in functions::entries() {
        if matches!(entry.run, Run::Elsewhere) {
            continue;
        }
        let parameters = parameters(entry);
        // All arguments alike, and each alone, in one script: what is refused is caught.
        let mut calls = Vec::new();
        for odd in strange {
            for at in 0..=parameters.len() {
                let arguments: Vec<_> = parameters
                    .iter()
                    .enumerate()
                    .map(|(index, (_, kind))| {
                        if index == at || at == parameters.len() { odd } else { argument(kind) }
                    })
                    .collect();
                calls.push(format!(
                    "try {{ {}({}); }} catch {{}}",
                    entry.name(),
                    arguments.join(", ")
                ));
            }
        }
        tried += calls.len();
        let result = run(&project(&calls.join("\n")), &[]);
        if let Err(findings) = &result {
            for finding in &findings.diagnostics {
                assert!(
                    !finding.message.contains("BUG"),
                    "{}: {}",
                    entry.name(),
                    finding.message
                );
                let first = finding.message.chars().next().unwrap_or(' ');
                assert!(
                    !first.is_uppercase() || finding.message.starts_with("TOML"),
                    "{}",
                    finding.message
                );
            }
        }
    }
    println!("{tried} calls");
}

/// A loop over files ends by what it reads, though each is read once only.
#[test]
fn the_same_file_again_and_again_is_not_for_nothing() {
    for call in ["file_sha256(\"assets/logo\")", "dir_hash(\"assets\")"] {
        let logo = ("assets/logo".to_owned(), "x".repeat(8 << 20));
        let text = ("main.rhai".to_owned(), format!("loop {{ {call}; }}"));
        let found = run(&Project(BTreeMap::from([logo, text])), &[]).unwrap_err();
        let message = &found.diagnostics[0].message;
        assert!(message.contains("read and wrote more than 1 GiB"), "{call}: {message}");
    }
}

/// Short scripts that ask for much.
#[test]
fn nothing_a_function_gives_is_without_bound() {
    let calls = [
        "repeat(\"x\", 9223372036854775807)",
        "let s = repeat(\"x\", 16000000); base64(s)",
        "let s = repeat(\"\\nx\", 8000000); indent(s, 64)",
        "sequence(0, 9223372036854775807)",
        "let l = sequence(0, 1000); set_product(l, l)",
        "let l = sequence(0, 60000); chunk(l, 1)",
        "format(\"%9223372036854775807d\", [1])",
        "regex_replace(repeat(\"a\", 100000), \"a\", repeat(\"$0\", 1000))",
        "regex_match(\"a\", \"(a{1000}){1000}\")",
        "regex_find_all(repeat(\"A\", 1000000), \".*[^A-Z]|[A-Z]\")",
        "template_text(\"{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}\", #{})",
        "template_text(\"{% for i in range(90000) %}{{ x }}{% endfor %}\", #{ x: repeat(\"x\", 10000) })",
        "template_text(\"{% set a = x ~ x ~ x ~ x %}{% set a = a ~ a ~ a ~ a %}{% set b = a ~ a ~ a ~ a %}{% set c = b ~ b ~ b ~ b %}{% set d = c ~ c ~ c ~ c %}{{ d }}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}\", #{})",
        "template_text(\"{{ x | replace('x', x) }}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% set y %}{% for i in range(90000) %}{{ x }}{% endfor %}{% endset %}\", #{ x: repeat(\"x\", 1000000) })",
        "loop { try { template_text(\"{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}\", #{}); } catch {} }",
        "loop { try { regex_find_all(repeat(\"A\", 100000), \".*[^A-Z]|[A-Z]\"); } catch {} }",
        "yaml_decode(\"a: &a [x, x, x, x, x, x, x, x, x]\\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f]\")",
        "json_decode(repeat(\"[\", 1000000))",
        "yaml_decode(repeat(\"[\", 100000))",
        "toml_decode(\"a = \" + repeat(\"[\", 100000))",
        "template_text(repeat(\"{{ (\", 100000), #{})",
        "let s = repeat(\"x\", 1000000); loop { sha256(s); }",
        "template_text(\"{% for i in range(90000) %}{% set y = x * 99999999 %}{% endfor %}\", #{ x: \"x\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (n | abs) %}{% endfor %}\", #{ x: \"x\", n: -99999999 })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (-n) %}{% endfor %}\", #{ x: \"x\", n: -99999999 })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (99999999.5 | int) %}{% endfor %}\", #{ x: \"x\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (n | round) %}{% endfor %}\", #{ x: \"x\", n: 99999998.6 })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (s | int) %}{% endfor %}\", #{ x: \"x\", s: \"99999999\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (none | int(99999999)) %}{% endfor %}\", #{ x: \"x\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (9999 * n) %}{% endfor %}\", #{ x: \"x\", n: 9999 })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (n - 99999999) | abs %}{% endfor %}\", #{ x: \"x\", n: 1 })",
        "template_text(\"{% for i in range(90000) %}{% set y = (1 ~ n) * 9999999 %}{% endfor %}\", #{ n: 9999999999 })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (n | default(99999999)) %}{% endfor %}\", #{ x: \"x\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (1 if i else 99999999) %}{% endfor %}\", #{ x: \"x\" })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * loop.index %}{% endfor %}\", #{ x: repeat(\"x\", 10000), \"loop\": #{ index: 1 } })",
        "template_text(\"{% for i in range(90000) %}{% set y = x * (loop | default(d)).index %}{% endfor %}\", #{ x: repeat(\"x\", 10000), d: #{ index: 1 } })",
        "template_text(repeat(\"{% set x = 'a' %}\", 10000), #{})",
        "template_text(\"{{ [x * 99999999, x * 99999999] | length }}\", #{ x: \"x\" })",
        "template_text(\"{% for n in l %}{% set y = n * s %}{% endfor %}\", #{ l: sequence(0, 9999999), s: \"x\" })",
        "template_text(\"{{ ([1] * 100000000) | list | length }}\", #{})",
        "template_text(\"{{ [x | list, x | list, x | list, x | list] | length }}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% for i in range(90000) %}{% if x | upper == 'a' %}{% endif %}{% endfor %}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% for i in range(90000) %}{% if x ~ 'a' == x %}{% endif %}{% endfor %}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% for i in range(90000) %}{% if 'xy' in x %}{% endif %}{% endfor %}\", #{ x: repeat(\"x\", 1000000) })",
        "template_text(\"{% for i in range(90000) %}{% if (l | map('string'))[9] %}{% endif %}{% endfor %}\", #{ l: sequence(0, 90000) })",
        "regex_match(repeat(\"0123456789abcdef\", 60000), \"[0-9a-f]*[0-7][0-9a-f]{9000}z\")",
        "regex_find(repeat(\"a\", 100000), \"(?:\" + repeat(\"(a?)\", 1000) + \")*b?\")",
        "template_text(\"{% for x in l recursive %}{% set y = x ~ x %}{{ loop([y]) }}{% endfor %}\", #{ l: [\"xx\"] })",
        "output(\"v\", matches(repeat(\"x\", 2000000), \"y\"))",
    ];
    for call in calls {
        let text = match call.rsplit_once("; ") {
            Some((before, last)) if !last.ends_with('}') && !last.contains('%') => {
                format!("{before}; output(\"v\", {last});")
            }
            None => format!("output(\"v\", {call});"),
            Some(_) => call.to_owned(),
        };
        let begin = std::time::Instant::now();
        let found = script(&text);
        let took = begin.elapsed().as_secs_f64();
        let Err(found) = found else { panic!("{call}") };
        let message = &found.diagnostics[0].message;
        println!("{took:>6.2} s  {message}  {}", call.chars().take(100).collect::<String>());
    }
}

/// What is computed while planning is what the script would have computed.
#[test]
fn functions_give_the_same_now_and_later() {
    for entry in functions::entries() {
        let Run::Later(_) = entry.run else { continue };
        let rest: Vec<_> =
            parameters(entry)[1..].iter().map(|(_, kind)| argument(kind)).collect();
        let rest =
            if rest.is_empty() { String::new() } else { format!(", {}", rest.join(", ")) };
        let name = entry.name();
        let mut later = "n.id";
        let (now, value) = match parameters(entry)[0].1 {
            "bool" => {
                later = "eq(n.id, \"b\")";
                ("true", crate::value::Value::string("b"))
            }
            "map" => {
                let entry = ("a".to_owned(), crate::value::Value::string("b"));
                ("#{ a: \"b\" }", crate::value::Value::Map([entry].into_iter().collect()))
            }
            _ => (r#""it's\n1 no: #""#, crate::value::Value::string("it's\n1 no: #")),
        };
        let text = format!(
            "let n = docker::network(\"n\"); output(\"later\", {name}({later}{rest})); \
             output(\"now\", {name}({now}{rest}));"
        );
        let program = script(&text).unwrap_or_else(|found| panic!("{text}\n{found:?}"));
        let filled = output(&program, "later").resolve(&|_| Some(Expr::Value(value.clone())));
        assert!(filled == *output(&program, "now"), "{name}: {filled}");
    }
}

proptest::proptest! {
    /// What is encoded is decoded to the same.
    #[test]
    fn encodings_round_trip(text in "\\PC{0,24}|[0-9:eE+.x_-]{1,8}|(yes|No|on|OFF|null|~|true|y|0o7|.inf|<<|=|- a|a: b|#x| x |x\n|\n\n|\t)") {
        let quoted = serde_json::Value::from(text.as_str()).to_string();
        let mut files = BTreeMap::new();
        files.insert("v.json".to_owned(), format!("{{\"a\": [{quoted}, 1, 1.5, true, {{\"b c\": {quoted}}}]}}"));
        let script = "let v = json_decode(file(\"v.json\")); \
            output(\"v\", [json_decode(json(v)) == v, json_decode(json_pretty(v)) == v, yaml_decode(yaml(v)) == v, \
            toml_decode(toml(v)) == v, base64_decode(base64(v.a[0])) == v.a[0], base64url_decode(base64url(v.a[0])) == v.a[0], \
            hex_decode(hex(v.a[0])) == v.a[0], urldecode(urlencode(v.a[0])) == v.a[0], \
            shell_split(shell_quote(v.a[0])) == [v.a[0]]]);";
        files.insert("main.rhai".to_owned(), script.to_owned());
        let result = run(&Project(files), &[]);
        let program = result.as_ref().unwrap_or_else(|_| panic!("{text:?}\n{}", show(&result)));
        let found = output(program, "v").to_string();
        proptest::prop_assert!(!found.contains("false"), "{:?}: {}", text, found);
    }
}
