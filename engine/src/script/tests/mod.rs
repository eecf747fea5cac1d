//! Scripts with what they must lead to, and properties of the host as a whole.

mod cases;
mod lab;
mod library;
mod properties;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Request, evaluate, evaluate_beside};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Findings, Severity, Sources, Span};
use crate::files::{FileError, Files, SecretSource};
use crate::program::{Declaration, Given, GivenValue, Profiles, Program};
use crate::value::Value;

/// Files that exist in a test only.
#[derive(Default)]
pub(super) struct Project(pub(super) BTreeMap<String, String>);

impl Files for Project {
    fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        assert!(!path.starts_with('/') && !path.contains(".."), "asked for {path}");
        match self.0.get(path) {
            Some(text) => Ok(text.as_str().into()),
            None => Err(FileError::Missing(path.to_owned())),
        }
    }

    fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        match source {
            SecretSource::File(path) => self.read(path).map(Some),
            SecretSource::Command(words) if words[0] == "pass" => {
                Ok(Some(format!("hunter-{}\n", words.len()).into()))
            }
            SecretSource::Command(_) => Ok(None),
            SecretSource::Age { path, .. } | SecretSource::Sops { path, .. } => {
                self.read(path).map(|_| None)
            }
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = self.0.keys().filter_map(|path| path.strip_prefix(&prefix));
        let shown = inside.filter(|path| !path.split('/').any(|part| part.starts_with('.')));
        Ok(shown.map(str::to_owned).collect())
    }
}

/// Evaluates `main.rhai` of a project.
pub(super) fn run(
    project: &Project,
    parameters: &[(String, String)],
) -> Result<Program, Findings> {
    run_with(project, parameters, &Profiles::default())
}

/// The same with some profiles on.
pub(super) fn run_with(
    project: &Project,
    parameters: &[(String, String)],
    profiles: &Profiles,
) -> Result<Program, Findings> {
    let parameters = parameters
        .iter()
        .map(|(name, text)| {
            let value = GivenValue::Text(text.clone());
            (name.clone(), Given::new(value, "flag `--param`"))
        })
        .collect();
    evaluate(&Request {
        stack: "shop",
        environment: "default",
        entry: "main.rhai",
        files: project,
        registry: &lab::registry(),
        parameters: &parameters,
        profiles,
        discoverer: None,
        told: None,
    })
}

/// Evaluates one script.
pub(super) fn script(text: &str) -> Result<Program, Findings> {
    run(&Project(BTreeMap::from([("main.rhai".to_owned(), text.to_owned())])), &[])
}

/// The result as text, for comparison.
pub(super) fn show(result: &Result<Program, Findings>) -> String {
    let mut out = String::new();
    match result {
        Ok(program) => show_program(&mut out, program),
        Err(findings) => {
            for finding in &findings.diagnostics {
                show_diagnostic(&mut out, finding, &findings.sources);
            }
        }
    }
    out
}

fn show_program(out: &mut String, program: &Program) {
    for declaration in &program.declarations {
        show_declaration(out, declaration);
    }
    for declaration in &program.dormant.declarations {
        out.push_str("dormant ");
        show_declaration(out, declaration);
    }
    for (name, on) in &program.profiles {
        writeln!(out, "profile {name}: {}", if *on { "on" } else { "off" }).unwrap();
    }
    for parameter in &program.parameters {
        let (name, ty, source) = (&parameter.name, &parameter.ty, &parameter.source);
        let required = parameter.default.is_none();
        let marks = [(parameter.secret, " secret"), (required, " required")];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        writeln!(out, "param {name}: {ty}{marks} from {source}").unwrap();
    }
    for output in &program.outputs {
        writeln!(out, "output {}: {}", output.name, output.value).unwrap();
    }
    for message in &program.messages {
        writeln!(out, "printed {message}").unwrap();
    }
    for warning in &program.warnings {
        show_diagnostic(out, warning, &program.sources);
    }
    if program.digests.len() > 1 {
        let files: Vec<_> = program.digests.keys().map(String::as_str).collect();
        writeln!(out, "read {}", files.join(", ")).unwrap();
    }
}

fn show_declaration(out: &mut String, declaration: &Declaration) {
    write!(out, "{}", declaration.address).unwrap();
    if let Some(connection) = &declaration.connection {
        write!(out, " on {connection}").unwrap();
    }
    out.push('\n');
    for (name, value) in &declaration.attributes {
        writeln!(out, "  {name}: {value}").unwrap();
    }
    if *declaration.lifecycle != crate::program::Lifecycle::default() {
        writeln!(out, "  {:?}", declaration.lifecycle).unwrap();
    }
}

fn show_diagnostic(out: &mut String, finding: &Diagnostic, sources: &Sources) {
    let severity = match finding.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    writeln!(out, "{severity}: {}", finding.message).unwrap();
    if let Some(span) = &finding.span {
        writeln!(out, " at {}", place(span, sources)).unwrap();
    }
    for (span, words) in &finding.related {
        writeln!(out, " {words}: {}", place(span, sources)).unwrap();
    }
    for note in &finding.notes {
        writeln!(out, " note: {note}").unwrap();
    }
    for hint in &finding.hints {
        writeln!(out, " hint: {hint}").unwrap();
    }
    for (name, span) in &finding.trace {
        writeln!(out, " in {name}: {}", place(span, sources)).unwrap();
    }
}

/// A place with the text it covers, so that a test sees that the caret is right.
fn place(span: &Span, sources: &Sources) -> String {
    let text = sources.0.get(&span.file).map_or("", |text| text);
    let line = text.lines().nth(span.line as usize - 1).unwrap_or_default();
    let covered: String =
        line.chars().skip(span.column as usize - 1).take(span.length as usize).collect();
    format!("{span} `{covered}`")
}

/// Every function a script can call, with its parameters.
pub(super) fn signatures() -> Vec<String> {
    use super::session::{Door, Session};
    let (_, answers) = std::sync::mpsc::channel();
    let door = std::rc::Rc::new(Door { ask: Box::new(|_| {}), answers });
    let (stack, environment) = ("shop".to_owned(), "default".to_owned());
    let registry = lab::registry();
    let session = Session::new(
        stack,
        environment,
        registry,
        BTreeMap::new(),
        Profiles::default(),
        door,
        None,
    );
    super::host::engine(&std::rc::Rc::new(session), "main.rhai").gen_fn_signatures(true)
}

/// The connections that a script tells of while it runs.
fn told(text: &str) -> Vec<String> {
    let project = Project(BTreeMap::from([("main.rhai".to_owned(), text.to_owned())]));
    let told: RefCell<Vec<String>> = RefCell::default();
    let tell = |address: Address, spec: Value| {
        told.borrow_mut().push(format!("{address} {spec}"));
    };
    let program = futures::executor::block_on(evaluate_beside(&Request {
        stack: "shop",
        environment: "default",
        entry: "main.rhai",
        files: &project,
        registry: &lab::registry(),
        parameters: &BTreeMap::new(),
        profiles: &Profiles::default(),
        discoverer: None,
        told: Some(&tell),
    }));
    assert!(program.is_ok(), "{}", show(&program));
    told.into_inner()
}

#[test]
fn a_connection_is_told_of_once_something_lives_behind_it() {
    let main = r#"let db = postgres::server("main", #{ host: "db", password: "pw" });"#;
    assert!(told(main).is_empty(), "nothing does");
    let roles = r#"db.role("a"); db.role("b");"#;
    let spec = r#"{"host": "db", "password": (sensitive), "port": 0, "user": ""}"#;
    assert_eq!(told(&format!("{main} {roles}")), [format!("postgres::server.main {spec}")]);
}

#[test]
fn a_connection_that_stands_on_others_is_not_told_of() {
    let container = r#"let c = docker::container("c", #{ image: "postgres:15" });"#;
    for server in [
        "#{ host: c.host_ip }",
        r#"#{ host: "db", depends_on: [c] }"#,
        r#"#{ host: "db", after: [c] }"#,
    ] {
        let script = format!(
            r#"{container} let db = postgres::server("main", {server}); db.role("a");"#
        );
        assert!(told(&script).is_empty(), "{server}");
    }
    let off = r#"let db = postgres::server("main", #{ host: "db" });
        profile("more", || db.role("a"));"#;
    assert!(told(off).is_empty(), "nothing that is on lives behind it");
}
