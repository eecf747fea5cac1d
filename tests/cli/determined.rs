//! The same scripts, parameters and files give the same bytes, in whatever process: hash maps
//! are seeded anew in each.

use dollop_tests::cli::Project;

/// Maps with many keys, gone through in every way a script has.
const MAPS: &str = r#"
let all = #{};
for i in 0..200 { all[`key-${(i * 7919) % 200}`] = i; }
output("json", json(all));
output("keys", all.keys());
output("template", template_text("{% for k, v in all | items %}{{ k }}={{ v }};{% endfor %}", #{ all: all }));
for name in all.keys() { local::data(name, #{ input: all[name] }); }
let merged = deep_merge(all, #{ other: all });
local::file("merged", #{ path: "merged.yaml", content: yaml(merged) });
component("c", || for i in 0..50 { local::random(`r${i}`, #{ keepers: #{ a: "1", b: `${i}` } }); });
profile("off", || local::data("off", #{ input: all }));
"#;

/// What is compared: text and JSON, of what is declared and of what follows.
const COMMANDS: &[&[&str]] = &[
    &["plan", "--no-refresh", "--profile", "*"],
    &["plan", "--no-refresh", "--profile", "*", "--format", "json"],
    &["plan", "--no-refresh", "--format", "markdown"],
    &["graph", "--format", "json"],
    &["graph"],
    &["check", "--format", "json"],
    &["params", "--format", "json"],
];

fn check(project: &Project, name: &str) {
    for arguments in COMMANDS {
        let first = project.run(arguments);
        assert!(first.stdout.len() > 20, "{name} {arguments:?}: {}", first.text());
        for _ in 0..2 {
            let again = project.run(arguments);
            assert!(
                first.text() == again.text(),
                "{name}: {arguments:?} is not the same again"
            );
        }
    }
}

#[test]
fn every_process_plans_the_same() {
    check(&Project::new("maps", MAPS), "maps");
    for stack in ["quickstart", "taylordash", "hy-home"] {
        check(&Project::copy_all(stack, "same"), stack);
    }
}
