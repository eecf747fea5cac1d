//! What goes wrong in a script: the whole text a person reads, and the state as it was.

use dollop_tests::cli::Project;

const FINE: &str = "local::file(\"kept\", #{ path: \"kept\", content: \"kept\" });\n";

/// Applies a stack, breaks its script, and returns what apply says about that.
fn broken(script: &str) -> String {
    let project = Project::new("mistake", FINE);
    project.write("../other/lib.rhai", "");
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let look = || {
        let list = project.run(&["state", "list"]).expect(0).stdout;
        let shown = project.run(&["show", "--format", "json"]).expect(0).stdout;
        format!("{list}{shown}")
    };
    let before = look();
    project.write("stack.rhai", script);
    let applied = project.run(&["apply", "--auto-approve"]).expect(1);
    assert_eq!(applied.stdout, "");
    assert_eq!(look(), before, "the state is as it was");
    assert_eq!(project.read("kept"), "kept");
    applied.stderr
}

#[test]
fn a_cycle() {
    let said = broken(
        r#"
let a = local::data("a", #{ input: 1, depends_on: ["local::data.c"] });
let b = local::data("b", #{ input: a.output });
local::data("c", #{ input: `${b.output}!` });
local::data("fine", #{ input: 1 });
"#,
    );
    shows!(said, @r#"
    error[E0502]: a cycle: local::data.a → local::data.c → local::data.b → local::data.a
     --> stack.rhai:2:52
      |
    2 | let a = local::data("a", #{ input: 1, depends_on: ["local::data.c"] });
      |                                                    ^^^^^^^^^^^^^^^ `local::data.a` needs `local::data.c`: `depends_on` names it
    3 | let b = local::data("b", #{ input: a.output });
      |                             ----- `local::data.b` needs `local::data.a`: `input` uses it
    4 | local::data("c", #{ input: `${b.output}!` });
      |                     ----- `local::data.c` needs `local::data.b`: `input` uses it
      |
      = hint: that is only an order: take `local::data.c` out of the `depends_on` of `local::data.a`
    "#);
}

#[test]
fn a_resource_that_waits_for_itself_or_for_nothing() {
    shows!(broken("local::data(\"a\", #{ input: 1, depends_on: [\"local::data.a\"] });\n"), @r#"
    error[E0502]: a cycle: local::data.a → local::data.a
     --> stack.rhai:1:44
      |
    1 | local::data("a", #{ input: 1, depends_on: ["local::data.a"] });
      |                                            ^^^^^^^^^^^^^^^ `local::data.a` needs `local::data.a`: `depends_on` names it
      |
      = hint: that is only an order: take `local::data.a` out of the `depends_on` of `local::data.a`
    "#);
    shows!(broken("local::data(\"a\", #{ input: 1, depends_on: [\"local::data.b\"] });\n"), @r#"
    error[E0501]: `local::data.b` is not declared
     --> stack.rhai:1:44
      |
    1 | local::data("a", #{ input: 1, depends_on: ["local::data.b"] });
      |                                            ^^^^^^^^^^^^^^^ needed by `local::data.a`
      |
      = hint: did you mean `local::data.a`?
    "#);
    shows!(broken("local::data(\"a\", #{ input: 1, depends_on: [\"b\", 5] });\n"), @r#"
    error[E0310]: `b` is not an address; one looks like `docker::container.web`
     --> stack.rhai:1:44
      |
    1 | local::data("a", #{ input: 1, depends_on: ["b", 5] });
      |                                            ^^^
      |
      = hint: write the resource itself, without quotes: what the call that declares it returned

    error[E0310]: `depends_on` takes a resource, an address or a list of them
     --> stack.rhai:1:49
      |
    1 | local::data("a", #{ input: 1, depends_on: ["b", 5] });
      |                                                 ^

    error: 2 errors
    "#);
}

#[test]
fn an_unknown_attribute() {
    shows!(broken("local::file(\"a\", #{ path: \"a\", contnet: \"x\" });\n"), @r#"
    error[E0301]: `local::file` has no attribute `contnet`
     --> stack.rhai:1:32
      |
    1 | local::file("a", #{ path: "a", contnet: "x" });
      |                                ^^^^^^^
      |
      = hint: did you mean `content`?
    "#);
}

#[test]
fn a_wrong_type() {
    let script = "local::file(\"a\", #{ path: 5, content: [\"x\"] });\n\
                  docker::container(\"c\", #{ image: \"x\", env: #{ A: [1] }, ports: \"80\" });\n";
    shows!(broken(script), @r#"
    error[E0302]: `content` must be a string, not a list
     --> stack.rhai:1:30
      |
    1 | local::file("a", #{ path: 5, content: ["x"] });
      |                              ^^^^^^^

    error[E0302]: `path` must be a string, not an integer
     --> stack.rhai:1:21
      |
    1 | local::file("a", #{ path: 5, content: ["x"] });
      |                     ^^^^

    error[E0302]: `env.A` must be a string or an integer or a number or a bool, not a list
     --> stack.rhai:2:47
      |
    2 | docker::container("c", #{ image: "x", env: #{ A: [1] }, ports: "80" });
      |                                               ^

    error[E0302]: `ports` must be a list of string or integer or map, not a string
     --> stack.rhai:2:57
      |
    2 | docker::container("c", #{ image: "x", env: #{ A: [1] }, ports: "80" });
      |                                                         ^^^^^

    error: 4 errors
    "#);
}

#[test]
fn parameters_that_are_not_set() {
    let script = "let a = param(\"alpha\");\n\
                  let b = param(\"beta\", #{ type: \"int\", doc: \"how many\" });\n\
                  let c = param(\"gamma\", #{ secret: true });\n";
    shows!(broken(script), @r#"
    error[E0401]: parameter `alpha` is not set
     --> stack.rhai:1:15
      |
    1 | let a = param("alpha");
      |               ^^^^^^^
      |
      = hint: set it with `--param alpha=..`
      = hint: or in the environment: `DOLLOP_PARAM_alpha=..`

    error[E0401]: parameter `beta` is not set
     --> stack.rhai:2:15
      |
    2 | let b = param("beta", #{ type: "int", doc: "how many" });
      |               ^^^^^^
      |
      = note: `beta`: how many
      = hint: set it with `--param beta=..`
      = hint: or in the environment: `DOLLOP_PARAM_beta=..`

    error[E0401]: parameter `gamma` is not set
     --> stack.rhai:3:15
      |
    3 | let c = param("gamma", #{ secret: true });
      |               ^^^^^^^
      |
      = hint: set it with `--param gamma=..`
      = hint: or in the environment: `DOLLOP_PARAM_gamma=..`

    error: 3 errors
    "#);
}

#[test]
fn parameters_of_a_wrong_type() {
    let project = Project::new(
        "params",
        "let n = param(\"n\", #{ type: \"int\" });\n\
         let e = param(\"e\", #{ choices: [\"dev\", \"prod\"] });\n\
         let s = param(\"s\", #{ type: \"int\", secret: true });\n",
    );
    let run = project.run(&[
        "plan",
        "--param",
        "n=three",
        "--param",
        "e=test",
        "--param",
        "s=hunter2",
    ]);
    assert!(!run.text().contains("hunter2"), "{}", run.text());
    shows!(run.text(), @r#"
    exit 1
    --- stderr
    error[E0402]: parameter `n` must be an integer
     --> stack.rhai:1:15
      |
    1 | let n = param("n", #{ type: "int" });
      |               ^^^
      |
      = note: given by flag `--param`
      = note: it is `three`

    error[E0402]: parameter `e` must be one of `dev`, `prod`
     --> stack.rhai:2:15
      |
    2 | let e = param("e", #{ choices: ["dev", "prod"] });
      |               ^^^
      |
      = note: given by flag `--param`
      = note: it is `test`

    error[E0402]: parameter `s` must be an integer
     --> stack.rhai:3:15
      |
    3 | let s = param("s", #{ type: "int", secret: true });
      |               ^^^
      |
      = note: given by flag `--param`

    error: 3 errors
    "#);
}

#[test]
fn two_resources_of_one_name() {
    let script = "local::data(\"a\", #{ input: 1 });\nfor n in [\"b\", \"a\"] {\n    \
                  local::data(n, #{ input: 2 });\n}\n";
    shows!(broken(script), @r#"
    error[E0306]: `local::data.a` is declared twice
     --> stack.rhai:3:12
      |
    1 | local::data("a", #{ input: 1 });
      |        ---- first declared here
    2 | for n in ["b", "a"] {
    3 |     local::data(n, #{ input: 2 });
      |            ^^^^
      |
      = hint: give one of them another name
    "#);
}

#[test]
fn a_script_that_loops_forever() {
    shows!(broken("let n = 0;\nloop { n += 1; }\n"), @r"
    error[E0113]: the script takes more than 50000000 steps
     --> stack.rhai:2:13
      |
    2 | loop { n += 1; }
      |             ^
      |
      = hint: a loop may never end: check its condition
    ");
}

#[test]
fn a_script_that_calls_itself_forever() {
    shows!(broken("fn down(n) { up(n + 1) }\nfn up(n) { down(n) }\ndown(0);\n"), @r"
    error[E0113]: functions call each other more than 64 deep
     --> stack.rhai:3:1
      |
    3 | down(0);
      | ^^^^
      |
      = hint: a function may call itself without end; use a loop
    ");
}

#[test]
fn a_script_that_fills_the_memory() {
    shows!(broken("let a = [1];\nloop { a += a; }\n"), @r"
    error[E0113]: a list holds more than 100000 items
     --> stack.rhai:2:10
      |
    2 | loop { a += a; }
      |          ^^
      |
      = hint: a loop may never end: check its condition
    ");
    shows!(broken("let a = \"x\";\nloop { a += a; }\n"), @r"
    error[E0113]: a text is longer than 16 MiB
     --> stack.rhai:2:10
      |
    2 | loop { a += a; }
      |          ^^
      |
      = hint: keep large data in files that resources read themselves
    ");
}

#[test]
fn an_import_from_outside_the_folder() {
    shows!(broken("import \"../other/lib\" as lib;\n"), @r#"
    error[E0406]: `../other/lib` is outside the project folder
     --> stack.rhai:1:8
      |
    1 | import "../other/lib" as lib;
      |        ^^^^^^^^^^^^^^
      |
      = hint: scripts read files of their own project only, with `/` between the parts of a path
    "#);
    shows!(broken("import \"/etc/passwd\" as lib;\n"), @r#"
    error[E0406]: `/etc/passwd` is outside the project folder
     --> stack.rhai:1:8
      |
    1 | import "/etc/passwd" as lib;
      |        ^^^^^^^^^^^^^
      |
      = hint: scripts read files of their own project only, with `/` between the parts of a path
    "#);
    shows!(broken("output(\"x\", file(\"lib/../../other/lib.rhai\"));\n"), @r#"
    error[E0406]: `lib/../../other/lib.rhai` is outside the project folder
     --> stack.rhai:1:18
      |
    1 | output("x", file("lib/../../other/lib.rhai"));
      |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: scripts read files of their own project only, with `/` between the parts of a path
    "#);
    let project = Project::new("linked", "import \"lib\" as lib;\n");
    project.write("../other/lib.rhai", "");
    let link = project.folder().join("lib.rhai");
    std::os::unix::fs::symlink("../other/lib.rhai", link).expect("a link");
    shows!(project.run(&["plan"]).expect(1).stderr, @r#"
    error[E0406]: `lib.rhai` is outside the project folder
     --> stack.rhai:1:8
      |
    1 | import "lib" as lib;
      |        ^^^^^
      |
      = hint: scripts read files of their own project only, with `/` between the parts of a path
    "#);
}
