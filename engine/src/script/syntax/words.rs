//! Names of other languages and tools: what is written here instead.

use crate::kind::Registry;

/// Variables elsewhere, and what to write instead.
const VARIABLES: &[(&[&str], &str)] = &[
    (
        &["None", "Null", "NULL", "Nil", "NaN", "undefined", "nil", "null", "none"],
        "nothing is written `()`",
    ),
    (&["True", "TRUE", "yes", "Yes", "on", "On"], "write `true`"),
    (&["False", "FALSE", "no", "No", "off", "Off"], "write `false`"),
    (
        &["var"],
        "a parameter is asked for by `let name = param(\"name\");`, and then called `name`",
    ),
    (&["local", "locals"], "a value has a name: `let name = value;`, and then `name`"),
    (&["each"], "write `for name in names { .. }`: the variable of the loop is the name"),
    (
        &["count", "index"],
        "write `for i in 0..3 { .. }`: the variable of the loop is the number",
    ),
    (&["module"], "import it, `import \"lib/name\" as name;`, and call its function"),
    (&["data"], "look it up: `let net = docker::network_lookup(\"name\");`"),
    (&["path"], "paths are relative to the script: `file(\"conf/app.conf\")`"),
    (&["terraform", "workspace"], "`env()` is the name of the environment"),
    (&["self"], "a resource has the name you give it: `let web = ..;`, and then `web.name`"),
    (
        &["process", "os", "sys", "environ", "ENV"],
        "a script sees no environment: ask for it by `param(\"NAME\")`, which \
         `DOLLOP_PARAM_NAME` or a `.env` file sets",
    ),
    (&["console", "logger", "logging", "log"], "write `print(value)`"),
    (&["JSON"], "write `json(value)`, or `json_decode(text)`"),
    (&["Object", "dict"], "write `map.keys()`, `map.values()` or `entries(map)`"),
    (&["Array"], "a list is written `[a, b]`"),
    (&["Math", "math"], "write `min(list)`, `max(list)`, `floor(x)`"),
    (&["pass"], "an empty block is written `{}`"),
    (&["def", "function", "func", "lambda"], "a function is written `fn name(a) { .. }`"),
];

/// What to write for a variable that other languages have.
pub(in crate::script) fn variable(registry: &Registry, name: &str) -> Option<String> {
    if let Some((_, words)) = VARIABLES.iter().find(|(names, _)| names.contains(&name)) {
        return Some((*words).to_owned());
    }
    let kind = kind(registry, name)?;
    Some(format!(
        "keep what is declared in a variable: `let web = {kind}(\"web\", #{{ .. }});`, and then \
         `web.name`"
    ))
}

/// The kind that others call so: `docker_container`, `postgresql_role`.
pub(in crate::script) fn kind(registry: &Registry, typed: &str) -> Option<&'static str> {
    let typed = typed.replacen("postgresql_", "postgres_", 1);
    let names = registry.kinds().map(|kind| kind.name);
    let mut names = names.chain(registry.connections().map(|kind| kind.name));
    names.find(|name| typed.contains('_') && name.replacen("::", "_", 1) == typed)
}

/// What to write for a key that other tools have on every resource.
pub(in crate::script) fn key(kind: &str, key: &str) -> Option<String> {
    let words = match key {
        "memory" | "mem" if kind.starts_with("docker::") => "write `mem_limit`".to_owned(),
        "for_each" => {
            format!("write a loop: `for name in names {{ {kind}(name, #{{ .. }}) }}`")
        }
        "count" => {
            format!("write a loop: `for i in 0..3 {{ {kind}(`name-${{i}}`, #{{ .. }}) }}`")
        }
        "lifecycle" => "its parts stand by themselves: `prevent_destroy`, `ignore_changes`, \
                        `create_before_destroy`, `replace_triggered_by`"
            .to_owned(),
        "provisioner" => {
            "use `post_start` of a container, or a `docker::job` that runs once".to_owned()
        }
        "dynamic" => "make the list by a function: `ports: list.map(|port| ..)`".to_owned(),
        "if" | "when" | "enabled" | "condition" => {
            "write `if .. { .. }` around it, or `profile(\"name\", || { .. })`".to_owned()
        }
        _ => return None,
    };
    Some(words)
}
