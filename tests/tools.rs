//! Tools for authors: the manual, schemas, templates, completions. No service is needed.

use std::path::Path;
use std::process::Command;

use dollop_tests::cli::{Project, binary};
use serde_json::Value as Json;

fn project() -> Project {
    Project::copy_of("hello", "hello").env("COLUMNS", "80")
}

#[test]
fn the_manual_shows_an_attribute() {
    shows!(project().run(&["doc", "docker.container.healthcheck"]).text(), @r#"
    exit 0
    --- stdout
    docker.container.healthcheck (map, replaces)

    How the engine finds out whether it works.

    Its parts

      disable: bool, default false
          No health check, although the image has one.
      interval: string
          How long from one check to the next, `10s`.
      retries: integer or string
          How many failures in a row make it unhealthy.
      start_interval: string
          How long from one check to the next during that time, `2s`. Engines before
          25.0 know `interval` alone, from the start on.
      start_period: string
          How long after the start failures do not count, `30s`.
      test: string or list of text
          The check, run in the container; 0 means healthy. A string goes to its
          shell: `"pg_isready -U app"`. A list starts with `CMD` or `CMD-SHELL`.
      timeout: string
          How long one check may take, `5s`.

    replaces: a change makes a new object. restarts, reconnects: what a change does
    to something running. secret: never shown. text: a string, a number or a bool.
    "#);
}

#[test]
fn the_manual_shows_a_kind() {
    shows!(project().run(&["doc", "postgres::schema"]).text(), @r#"
    exit 0
    --- stdout
    postgres::schema (kind of resource)

    A schema: a name space for tables, functions and the like.

      server.schema("name", #{ database: .., .. })
      database.schema("name", #{ .. })

    Declared on it

      .constraint(..), .domain(..), .enum(..), .foreign_table(..), .function(..),
      .index(..), .policy(..), .sequence(..), .table(..), .trigger(..), .view(..)

    Attributes

      database: string, required, replaces
          The database it is in.
      cascade: bool, default false
          Whether dropping it drops what is in it, data included.
      comment: string
          What it is for, kept in the server.
      name: string
          The real name; the first argument when left out.
      owner: string
          The role that owns it; when left out, the user dollop works as owns a new
          one, and the owner is not looked at.

    Reported, to be referred to

      oid: integer
          The server's number for it.
      owned_by: string
          The role that owns it now.

    As every resource

      adopt, after, after_healthy, allow, create_before_destroy, depends_on,
      ignore_changes, prevent_destroy, replace_triggered_by, retain_on_destroy,
      timeouts

    Looked up where it exists and is not managed

      `postgres::schema_lookup("name")`, see `dollop doc postgres.schema_lookup`

    The first argument is its name, here and in the service. replaces: a change
    makes a new object. restarts, reconnects: what a change does to something
    running. secret: never shown. text: a string, a number or a bool.
    "#);
}

#[test]
fn one_word_may_be_a_function_and_a_kind() {
    shows!(project().run(&["doc", "file"]).text(), @r#"
    exit 0
    --- stdout
    file (function, files and paths)

      file(path: string) -> string

    The text of a file of the project, relative to the script. Its digest is kept in
    the plan.

    Examples

      file("motd.txt")
      // "Hello.\n"

    local::file (kind of resource)

    A text file on this machine. It is replaced as a whole when its content changes:
    readers see the old text or the new, and nobody but its owner sees it before its
    mode is set. A container that mounts this one file (not its folder) sees the new
    text after a restart.

      local::file("name", #{ content: .., path: .., .. })
      host.file("name", #{ content: .., path: .., .. })

    Attributes

      content: string, required
          The whole text, as it is: nothing is added at the end.
      path: string, required, replaces
          Where it is. A relative path starts at the project folder and stays within
          it; folders on the way are made. Example: `"conf/nginx.conf"`.
      mode: string, default "0644"
          Permissions as octal text. Example: `"0640"`. When left out, `"0600"`
          where the content is secret: programs of other users that are to read it
          need another one.

    Reported, to be referred to

      location: string
          The absolute path.
      sha256: string
          SHA-256 of the content, in hexadecimal.
      size: integer
          Size in bytes.

    As every resource

      adopt, after, after_healthy, allow, create_before_destroy, depends_on,
      ignore_changes, prevent_destroy, replace_triggered_by, retain_on_destroy,
      timeouts

    Looked up where it exists and is not managed

      `local::file_lookup("name")`, see `dollop doc local.file_lookup`

    The first argument is only what the stack calls it; the service knows no such
    name. replaces: a change makes a new object. restarts, reconnects: what a change
    does to something running. secret: never shown. text: a string, a number or a
    bool.
    "#);
}

#[test]
fn an_attribute_alone_is_shown_for_every_kind_that_has_it() {
    let page = project().run(&["doc", "stop_signal"]).expect(0).stdout;
    assert!(page.starts_with("docker.container.stop_signal (string, replaces)"), "{page}");
    let pages = project().run(&["doc", "labels"]).expect(0).stdout;
    for kind in ["container", "network", "volume"] {
        assert!(pages.contains(&format!("docker.{kind}.labels (")), "{pages}");
    }
}

#[test]
fn look_ups_have_pages() {
    let project = project();
    for name in ["docker.network_lookup", "docker::network_lookup", "network_lookup"] {
        let page = project.run(&["doc", name]).expect(0).stdout;
        for part in ["docker::network_lookup (look-up)", "  optional: bool", "  name: string"] {
            assert!(page.contains(part), "{name}: {part}: {page}");
        }
    }
    let said = project.run(&["doc", "docker.network_lokup"]).expect(1).stderr;
    assert!(said.contains("did you mean `docker.network_lookup`?"), "{said}");
}

#[test]
fn what_has_no_page_is_told_with_the_nearest_name() {
    let project = project();
    let mut said = String::new();
    for name in [
        "contaner",
        "docker.contaner",
        "docker.container.imge",
        "cidr_hots",
        "nonsense",
        "docker.container.healthcheck.intervall",
        "",
    ] {
        said.push_str(&project.run(&["doc", name]).expect(1).stderr);
    }
    shows!(said, @r#"
    error: there is nothing called `contaner`
      hint: did you mean `container`?
    error: there is nothing called `docker.contaner`
      hint: did you mean `docker.container`?
    error: there is nothing called `docker.container.imge`
      hint: did you mean `docker.container.image`?
    error: there is nothing called `cidr_hots`
      hint: did you mean `cidr_host`?
    error: there is nothing called `nonsense`
      hint: `dollop doc` lists everything
    error: there is nothing called `docker.container.healthcheck.intervall`
      hint: did you mean `docker.container.healthcheck.interval`?
    error: there is nothing called ``
      hint: `dollop doc` lists everything
    "#);
}

#[test]
fn every_page_fits_a_terminal() {
    let project = project();
    let schema = project.run(&["schema", "--json"]).expect(0).stdout;
    let schema: Json = serde_json::from_str(&schema).expect("JSON");
    let names = |key: &str| schema[key].as_object().expect(key).keys().cloned();
    let mut wide = Vec::new();
    for name in ["providers", "kinds", "keys"].into_iter().flat_map(names) {
        let page = project.run(&["doc", &name]).expect(0).stdout;
        assert!(page.lines().count() > 2, "{name}: {page}");
        wide.extend(page.lines().filter(|line| line.chars().count() > 80).map(str::to_owned));
    }
    let index = project.run(&["doc"]).expect(0).stdout;
    wide.extend(index.lines().filter(|line| line.chars().count() > 80).map(str::to_owned));
    assert_eq!(wide, Vec::<String>::new());
    for function in names("functions") {
        assert!(index.contains(&function), "{function}");
    }
}

#[test]
fn a_schema_is_for_programs() {
    let project = project();
    let text = project.run(&["schema", "docker.container", "--json"]).expect(0).stdout;
    let schema: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["format_version"], "1.1");
    let container = &schema["kinds"]["docker::container"];
    assert_eq!(container["type"], "resource");
    assert_eq!(container["connection"], "docker::engine");
    let attributes = &container["attributes"];
    assert_eq!(attributes["image"]["required"], true);
    assert_eq!(attributes["image"]["stands_for"], serde_json::json!(["docker::image"]));
    assert_eq!(attributes["wait"]["type"]["values"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        attributes["healthcheck"]["type"]["attributes"]["disable"]["type"]["type"],
        "bool"
    );
    assert_eq!(container["facts"]["id"]["stable"], true);
    assert_eq!(container["lookup"]["function"], "docker::container_lookup");
    let takes = container["lookup"]["takes"].as_array().expect("a list");
    assert!(takes.contains(&Json::from("optional")), "{takes:?}");
    // All of a provider, and what is no kind.
    let text = project.run(&["schema", "rabbitmq", "--json"]).expect(0).stdout;
    let schema: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["kinds"].as_object().map(serde_json::Map::len), Some(18));
    let error = project.run(&["schema", "cidr_host", "--json"]).expect(1);
    let found: Json = serde_json::from_str(&error.stdout).expect("JSON");
    assert_eq!(found["diagnostics"][0]["severity"], "error");
    drop(project.run(&["schema"]).expect(64));
    drop(project.run(&["schema", "--json", "--definitions", "x"]).expect(64));
}

#[test]
fn definition_files_say_what_a_script_can_call() {
    let project = project();
    shows!(project.run(&["schema", "--definitions", "types"]).text(), @r#"
    exit 0
    --- stderr
    wrote 5 definition files to `types`
    "#);
    let files = ["docker", "local", "postgres", "rabbitmq", "dollop"];
    let texts = files.map(|name| project.read(&format!("types/{name}.d.rhai")));
    let all = texts.concat();
    for line in [
        "module docker;",
        "fn container(name: string, attributes: map) -> resource;",
        "/// - `image` (string, required): What it is made from",
        "module static;",
        "fn role(on: resource, name: string, attributes: map) -> resource;",
        "fn join(list: array, between: string) -> string;",
    ] {
        assert!(all.lines().any(|found| found.starts_with(line)), "no `{line}`\n{all}");
    }
    for (name, text) in files.iter().zip(&texts) {
        assert!(!text.contains("EvalAltResult"), "{name} leaks types of the host");
        assert!(text.lines().all(|line| line == line.trim_end()), "{name}: trailing blanks");
    }
}

/// Every template with what a check says of it.
const TEMPLATES: [&str; 9] = [
    "empty",
    "quickstart",
    "web-postgres",
    "rabbitmq-worker",
    "bi-agent",
    "dictamesh",
    "expert-dollop",
    "hy-home",
    "taylordash",
];

#[test]
fn every_template_is_fine_as_it_is_written() {
    let project = project();
    let mut said = String::new();
    for template in TEMPLATES {
        drop(project.run(&["init", "--template", template, template]).expect(0));
        let run = project.run(&["check", template]).expect(0);
        assert!(!run.stderr.contains("warning"), "{template}: {}", run.stderr);
        said.push_str(run.stderr.lines().next().unwrap_or_default());
        said.push('\n');
        let readme = project.read(&format!("{template}/README.md"));
        assert!(readme.starts_with(&format!("# {template}\n\n")), "{readme}");
        assert!(!readme.contains('@'), "{readme}");
    }
    shows!(said, @r#"
    `empty` is fine: 0 resources, 0 connections, 0 outputs
    `quickstart` is fine: 43 resources, 4 connections, 4 outputs
    `web-postgres` is fine: 8 resources, 3 connections, 2 outputs
    `rabbitmq-worker` is fine: 14 resources, 3 connections, 1 output
    `bi-agent` is fine: 50 resources, 3 connections, 6 outputs
    `dictamesh` is fine: 36 resources, 3 connections, 6 outputs
    `expert-dollop` is fine: 121 resources, 4 connections, 2 outputs
    `hy-home` is fine: 130 resources, 4 connections, 6 outputs
    `taylordash` is fine: 59 resources, 3 connections, 4 outputs
    "#);
    // No template is forgotten here.
    let help = project.run(&["init", "--template", "nonsense"]).expect(64).stderr;
    let named = help.lines().find(|line| line.contains("possible values")).expect("a list");
    assert_eq!(named.matches(',').count() + 1, TEMPLATES.len(), "{named}");
}

#[test]
fn a_start_is_never_over_what_is_there() {
    let project = project();
    shows!(project.run(&["init"]).text(), @r#"
    exit 1
    --- stderr
    error: `.` has a `stack.rhai` already
      hint: name another folder: `dollop init FOLDER`
    "#);
    // All that is in the way is said at once.
    project.write("data.rhai", "");
    project.write("dags/shop.py", "");
    shows!(project.run(&["init", "--template", "hy-home"]).text(), @r#"
    exit 1
    --- stderr
    error: `.` has 2 files of the template already
      `data.rhai`, `stack.rhai`
      hint: name another folder: `dollop init FOLDER`
    "#);
    project.write("mine/README.md", "mine");
    project.write("mine/.gitignore", "mine");
    shows!(project.run(&["init", "mine"]).text(), @r#"
    exit 0
    --- stderr
    wrote stack.rhai
    kept  .gitignore
    kept  README.md
    next: `dollop plan mine`
    "#);
    assert_eq!(project.read("mine/README.md"), "mine");
    assert_eq!(project.read("mine/.gitignore"), "mine");
    shows!(project.run(&["init", "stack.rhai/x"]).text(), @r#"
    exit 1
    --- stderr
    error: cannot make `stack.rhai/x`: Not a directory (os error 20)
    "#);
}

/// Asks as bash does, from a line typed in pieces as bash breaks it.
fn bash(project: &Project, words: &[&str], current: &str) -> Vec<String> {
    let path = binary().parent().expect("a folder").to_owned();
    let typed: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source <(dollop completions bash); COMP_WORDS=({}); COMP_CWORD={}; \
         _clap_complete_dollop dollop '{current}' x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        typed.join(" "),
        words.len() - 1,
    );
    let found = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", &ask])
        .current_dir(project.folder())
        .env("PATH", format!("{}:{found}", path.display()))
        .output()
        .expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Asks through the protocol the other shells speak.
fn ask(shell: &str, folder: &Path, words: &[&str]) -> String {
    let output = Command::new(binary())
        .arg("--")
        .args(words)
        .current_dir(folder)
        .env("COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_IFS", "\n")
        .output()
        .expect("the binary runs");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn shells_complete_commands_and_what_the_stack_has() {
    let project = project();
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let bash = |words: &[&str], current: &str| bash(&project, words, current);
    assert_eq!(bash(&["dollop", "pl"], "pl"), ["plan"]);
    assert_eq!(bash(&["dollop", "plan", "--det"], "--det"), ["--detailed-exitcode"]);
    // Bash breaks an address at `::` and replaces what comes after it only.
    let typed = ["dollop", "state", "show", "local", "::", "f"];
    assert_eq!(bash(&typed, "f"), ["file.config", "file.greeting"]);
    let typed = ["dollop", "state", "show", "loc"];
    assert_eq!(bash(&typed, "loc").len(), 4);
    let typed = ["dollop", "state", "forget", "local", "::", "file.config", "local", "::", "r"];
    assert_eq!(bash(&typed, "r"), ["random.token"]);
    assert_eq!(bash(&["dollop", "output", "t"], "t"), ["token"]);
    assert_eq!(bash(&["dollop", "plan", "--param", "w"], "w"), ["who="]);
    assert_eq!(bash(&["dollop", "plan", "s"], "s"), ["stack.rhai"]);
    assert_eq!(
        bash(&["dollop", "doc", "docker.container.healthc"], "docker.container.healthc"),
        ["docker.container.healthcheck"]
    );

    // The stack of the line, not of the folder.
    let above = project.folder().parent().expect("a folder").to_owned();
    let words = ["dollop", "state", "show", "--stack", "hello", "local::file.c"];
    assert_eq!(ask("bash", &above, &words), "local::file.config");
    let words = ["dollop", "-C", "hello", "state", "show", "local::file.c"];
    assert_eq!(ask("bash", &above, &words), "local::file.config");
    let words = ["dollop", "plan", "hello", "--param", "w"];
    assert_eq!(ask("bash", &above, &words), "who=");
    for shell in ["zsh", "fish"] {
        let words = ["dollop", "state", "show", "local::file.c"];
        let offered = ask(shell, &project.folder(), &words);
        assert!(
            offered.replace('\\', "").starts_with("local::file.config"),
            "{shell}: {offered}"
        );
    }
    // What the script declares, what the state has, what is marked.
    assert_eq!(ask("bash", &above, &["dollop", "why", "local::file.c"]), "");
    let here = project.folder();
    for command in ["why", "impact", "taint"] {
        let words = ["dollop", command, "local::file.c"];
        assert_eq!(ask("bash", &here, &words), "local::file.config", "{command}");
    }
    for command in ["plan", "apply"] {
        let words = ["dollop", command, "--replace", "local::file.c"];
        assert_eq!(ask("bash", &here, &words), "local::file.config", "{command}");
    }
    assert_eq!(ask("bash", &here, &["dollop", "untaint", "local"]), "");
    drop(project.run(&["taint", "local::file.config"]).expect(0));
    assert_eq!(ask("bash", &here, &["dollop", "untaint", "local"]), "local::file.config");
    assert_eq!(
        ask("bash", &here, &["dollop", "taint", "local::file."]),
        "local::file.greeting"
    );
    // Nothing to offer is no error.
    assert_eq!(ask("bash", &above, &["dollop", "state", "show", "local"]), "");
}

#[test]
fn values_profiles_and_environments_are_completed() {
    let project = Project::new(
        "offers",
        r#"
        param("size", #{ choices: ["small", "large"] });
        param("debug", #{ "type": "bool" });
        profile("mail", || local::data("m"));
        profile("vault", || 1);
        local::data("d");
        "#,
    );
    project.write("prod.params.toml", "size = \"large\"\n");
    let here = project.folder();
    let offered = |words: &[&str]| ask("bash", &here, words);
    assert_eq!(offered(&["dollop", "plan", "--param", ""]), "debug=\nsize=");
    assert_eq!(offered(&["dollop", "plan", "--param", "size=l"]), "size=large");
    assert_eq!(offered(&["dollop", "plan", "--param", "debug="]), "debug=true\ndebug=false");
    assert_eq!(offered(&["dollop", "plan", "--profile", ""]), "mail\nvault");
    assert_eq!(offered(&["dollop", "plan", "--profile", "mail,v"]), "mail,vault");
    assert_eq!(offered(&["dollop", "plan", "--env", "p"]), "prod");
    assert_eq!(offered(&["dollop", "why", "local::d"]), "local::data.d");
    let parts = "local::data.d\nlocal::host.default\nprofile:mail\nprofile:vault";
    assert_eq!(offered(&["dollop", "plan", "--only", ""]), parts);

    // A script that fails offers what it asked for before, one that cannot be read what
    // stands in it.
    project
        .write("stack.rhai", "param(\"one\");\nlocal::data(\"d\");\n[][3];\nparam(\"two\");");
    assert_eq!(offered(&["dollop", "plan", "--param", ""]), "one=\ntwo=");
    assert_eq!(offered(&["dollop", "why", "local::d"]), "local::data.d");
    project
        .write("stack.rhai", "let x = param(\"one\", #{ default: 1 );\nprofile(\"p\", || 1);");
    assert_eq!(offered(&["dollop", "plan", "--param", ""]), "one=");
    assert_eq!(offered(&["dollop", "plan", "--profile", ""]), "p");
}

#[test]
fn every_shell_can_be_told_to_ask() {
    let project = project();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("COMPLETE") && script.contains("dollop"), "{shell}: {script}");
    }
    let asked = Command::new(binary()).env("COMPLETE", "tcsh").output().expect("it runs");
    assert_eq!(asked.status.code(), Some(1));
}
