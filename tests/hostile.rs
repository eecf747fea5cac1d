//! Scripts that mean harm or run away: the real binary ends with a clear error, in bounded
//! time and memory.

use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, root};

/// Memory no script may take, in MiB; the limits of a script allow for a fraction of it.
const MOST_MEMORY: u64 = 1024;
/// Time no script may take, on a machine that is busy with other tests as well.
const MOST_TIME: Duration = Duration::from_mins(5);

/// What it does, the script, and how the error begins.
const SCRIPTS: &[(&str, &str, &str)] = &[
    ("loops forever", "loop {}", "the script takes more than 50000000 steps"),
    (
        "copies a list forever",
        "let l = sequence(0, 50000); loop { let c = l; c.push(1); }",
        "the script takes more than 30 s",
    ),
    (
        "goes through all numbers",
        "for i in 0..9223372036854775807 {}",
        "the script takes more than",
    ),
    (
        "calls itself",
        "fn f(n) { f(n + 1) } f(0);",
        "functions call each other more than 64 deep",
    ),
    (
        "calls each other",
        "fn f(n) { g(n) } fn g(n) { f(n) } f(0);",
        "functions call each other more than 64 deep",
    ),
    (
        "a closure that calls itself",
        "let f = |f| f.call(f); f.call(f);",
        "functions call each other more than 64 deep",
    ),
    (
        "components without end",
        "fn f(n) { component(`c${n}`, || f(n + 1)) } f(0);",
        "functions call each other more than 64 deep",
    ),
    ("doubles a text", "let s = \"x\"; loop { s += s; }", "a text is longer than 16 MiB"),
    (
        "doubles a text by interpolation",
        "let s = \"x\"; loop { s = `${s}${s}`; }",
        "a text is longer than 16 MiB",
    ),
    (
        "keeps long texts",
        "let l = []; let s = repeat(\"x\", 10000000); loop { l.push(s + \"y\"); }",
        "a text is longer than 16 MiB",
    ),
    ("doubles a list", "let l = [0]; loop { l += l; }", "a list holds more than 100000 items"),
    (
        "fills a list with maps",
        "let l = []; for i in 0..1000 { let m = #{}; for j in 0..500 { m[`k${j}`] = j; } l.push(m); }",
        "a ",
    ),
    (
        "fills a map by its entries",
        "let m = #{}; let i = 0; loop { m[`k${i}`] = #{ a: [1, 2, 3] }; i += 1; }",
        "a list holds more than 100000 items",
    ),
    (
        "fills a map in a map",
        "let m = #{ a: #{} }; let i = 0; loop { m.a[`k${i}`] = i; i += 1; }",
        "a map holds more than 100000 items",
    ),
    (
        "fills the items of a list",
        "let l = sequence(0, 9999); let big = sequence(0, 99999); let i = 0;\n\
         loop { l[i] = big; i += 1; }",
        "a list holds more than 100000 items",
    ),
    (
        "fills what a function is called on",
        "fn fill() { let i = 0; loop { this[`k${i}`] = i; i += 1; } } let m = #{}; m.fill();",
        "a map holds more than 100000 items",
    ),
    (
        "fills a map with long texts",
        "let m = #{}; let i = 0; let s = repeat(\"x\", 1000000); loop { m[`k${i}`] = s + i; i += 1; }",
        "a text is longer than 16 MiB",
    ),
    ("a list of all numbers", "let l = sequence(0, 9223372036854775807);", ""),
    (
        "declares a million resources",
        "for i in 0..1000000 { local::data(`n${i}`, #{ input: i }); }",
        "more than 100000 resources",
    ),
    (
        "a million outputs",
        "for i in 0..1000000 { output(`n${i}`, i); }",
        "more than 10000 outputs",
    ),
    (
        "a million parameters",
        "for i in 0..1000000 { param(`n${i}`, #{ default: 1 }); }",
        "more than 1000 parameters",
    ),
    (
        "makes a million mistakes",
        "for i in 0..1000000 { local::data(`n${i}`, #{ inptu: i }); }",
        "`local::data` has no attribute `inptu`",
    ),
    (
        "prints forever",
        "let s = repeat(\"x\", 1000000); for i in 0..1000 { print(s); } nonsense();",
        "there is no function `nonsense`",
    ),
    ("evaluates text", "eval(\"loop {}\");", "`eval`"),
    ("nested brackets", "let x = @((@1@))@;", ""),
    ("nested lists", "let x = @[[@@]]@;", ""),
    ("a noncharacter that looks like a marker", "output(\"x\", \"\u{FDD0}0\u{FDD1}\");", ""),
    ("a shadowed builtin", "fn output(a, b) { 1 }", "`output` is a function of dollop"),
    ("numbers that overflow", "let x = 9223372036854775807; x += 1;", ""),
    (
        "a regular expression that explodes",
        "regex_match(repeat(\"a\", 100000), \"(a{1000}){1000}\");",
        "",
    ),
    (
        "a template that never ends",
        "template_text(\"{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}\", #{});",
        "",
    ),
    (
        "a template that multiplies a text again and again",
        "template_text(\"{% for i in range(90000) %}{% set y = x * 99999999 %}{% endfor %}\", #{ x: \"x\" });",
        "the template could make a value that is far too large",
    ),
    (
        "a template with many texts that are far too long",
        "template_text(\"{{ [x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999, x * 99999999] | length }}\", #{ x: \"x\" });",
        "the template could make a value that is far too large",
    ),
    (
        "a pattern that loses itself in a text",
        "let t = \"\"; for i in 0..8000 { t += sha512(`${i}`); } regex_match(sub_string(t, 0, 1000000), \"[0-9a-f]*[0-7][0-9a-f]{9000}[g-z]\");",
        "the pattern is too large to be looked for in a text that long",
    ),
    (
        "YAML that unfolds",
        "yaml_decode(\"a: &a [x,x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\");",
        "",
    ),
    (
        "reads outside",
        "output(\"x\", file(\"../../../../etc/passwd\"));",
        "`../../../../etc/passwd` is outside the project folder",
    ),
    ("imports itself", "import \"stack\" as me;", "scripts import each other"),
];

/// `@((@` is many of what stands between.
fn unfolded(script: &str) -> String {
    let parts: Vec<&str> = script.split('@').collect();
    let [before, open, inner, close, after] = parts.as_slice() else {
        return script.to_owned();
    };
    format!("{before}{}{inner}{}{after}", open.repeat(5_000), close.repeat(5_000))
}

#[test]
fn hostile_scripts_end_with_an_error() {
    let mut wrong = Vec::new();
    for (name, script, expected) in SCRIPTS {
        let project = Project::new("hostile", &unfolded(script));
        let begin = Instant::now();
        let mut running = project.start(&["check"]);
        let mut memory = 0;
        let ended = loop {
            memory = memory.max(peak(running.id()));
            match running.child().try_wait().expect("a child") {
                Some(_) => break true,
                None if begin.elapsed() > MOST_TIME => break false,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if !ended {
            wrong.push(format!("{name}: runs for more than {MOST_TIME:?}"));
            continue;
        }
        let run = running.end();
        let took = begin.elapsed().as_secs_f64();
        let first = run.stderr.lines().find(|line| line.starts_with("error"));
        let first = first.unwrap_or_default();
        println!("{took:>6.2} s {memory:>5} MiB  {name}: {}", clip(first));
        // After `error[E0113]: `, as far as it has a code.
        let message = first.split_once(": ").map_or("", |(_, message)| message);
        let is_clear = message.starts_with(expected)
            && run.stderr.contains("--> stack.rhai:")
            && !run.stderr.contains("BUG");
        if run.code != Some(1)
            || !is_clear
            || memory > MOST_MEMORY
            || run.stderr.len() > 1 << 20
        {
            wrong.push(format!("{name}: {:?}, {memory} MiB\n{}", run.code, clip(&run.stderr)));
        }
    }
    assert!(SCRIPTS.len() >= 20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_out_of_the_project_is_not_followed() {
    let project = Project::new("hostile", "output(\"x\", file(\"inside.txt\"));\n");
    let outside = root().join("Cargo.toml");
    std::os::unix::fs::symlink(outside, project.folder().join("inside.txt")).expect("a link");
    let run = project.run(&["check"]).expect(1);
    assert!(
        run.stderr.contains("`inside.txt` is outside the project folder"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("workspace"), "{}", run.stderr);
}

/// The most memory a process has held so far, in MiB; 0 when it has ended.
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn clip(text: &str) -> String {
    text.chars().take(400).collect()
}
