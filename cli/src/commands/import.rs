//! `dollop import`: take what exists into the stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use dollop_engine::address::Address;
use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::files::Files as _;
use dollop_engine::graph::Graph;
use dollop_engine::import::{self, Adoption, Form, Survey, Written};
use dollop_engine::kind::short_name;
use dollop_engine::plan::Action;
use dollop_engine::program::Declaration;
use dollop_engine::script::write::Writer;
use dollop_engine::store::Store as _;
use dollop_engine::value::Value;
use dollop_state::{SledStore, read_state};
use serde_json::Value as Json;

use crate::args::{ImportArgs, StackArgs};
use crate::commands::init::write_new;
use crate::commands::note;
use crate::commands::state::rewrite;
use crate::error::{CommandError, DONE};
use crate::render::text::{clean, count};
use crate::saved::write_private;
use crate::session::{Session, block_on};
use crate::terminal;

/// Lists what there is, writes it as a script, and records what a script declares.
pub fn run(args: &ImportArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let graph = session.graph(&args.stack)?;
    let declared = graph.get(&args.address);
    if declared.is_some_and(|declaration| declaration.connection.is_some()) {
        block_on(one(&session, &graph, &args.address))
    } else {
        block_on(all(&session, &graph, args))
    }
}

/// Takes one declared resource into the state.
async fn one(session: &Session, graph: &Graph, address: &Address) -> Result<u8, CommandError> {
    let wanted = |declaration: &Declaration| declaration.address == *address;
    if adopt(session, graph, wanted).await? {
        return Ok(DONE);
    }
    let state = read_state(&session.state_folder())?.state;
    if state.records.contains_key(address) {
        return Err(CommandError::failed(format!("the state knows `{address}` already")));
    }
    let message = format!("there is nothing to take over as `{address}`");
    Err(CommandError::failed(message).hint("`dollop plan` shows what an apply would make"))
}

/// Writes what no script declares, and takes what one declares into the state.
async fn all(session: &Session, graph: &Graph, args: &ImportArgs) -> Result<u8, CommandError> {
    let snapshot = read_state(&session.state_folder())?;
    snapshot.notes.iter().for_each(|text| note(text));
    let connection = import::connection(graph, session.registry(), &args.address)
        .ok_or_else(|| no_connection(graph, &args.address))?;
    let survey = import::survey(graph, &snapshot.state, &session.pool, &connection).await?;
    let survey = if connection == args.address {
        survey
    } else {
        import::only(graph, &session.pool, survey, &args.address)
            .map_err(|known| not_there(&args.address, &known))?
    };
    let behind =
        |declaration: &Declaration| declaration.connection.as_ref() == Some(&connection);
    let target = Target::new(session, graph, args, &connection)?;
    let written = import::write(graph, &session.pool, &survey, target.form());
    terminal::say(&summary(&survey, &written));
    if written.addresses.is_empty() {
        adopt(session, graph, behind).await?;
        return Ok(DONE);
    }
    if args.append && args.secrets.is_none() && !written.secrets.is_empty() {
        return Err(unset_secrets(&written));
    }
    // What is handed out is a script that works, and declares what is there.
    let extended = target.try_out(session, args, &written)?;
    match extended.filter(|_| args.append) {
        Some(extended) => {
            target.hand_out(args, &written)?;
            target.append(session, &written)?;
            adopt(session, &extended, behind).await?;
        }
        None if args.append => return Err(no_variable(session, &connection)),
        None => {
            target.hand_out(args, &written)?;
            adopt(session, graph, behind).await?;
            target.say_how(session);
        }
    }
    Ok(DONE)
}

/// Takes what is declared and exists into the state; whether there was any.
async fn adopt(
    session: &Session,
    graph: &Graph,
    wanted: impl Fn(&Declaration) -> bool,
) -> Result<bool, CommandError> {
    let store = SledStore::open(&session.state_folder(), &Session::holder("import"))?;
    let Adoption { adopted, effects, plan } =
        import::adopt(graph, &store.state()?, &session.pool, wanted).await?;
    if adopted.is_empty() {
        return Ok(false);
    }
    rewrite(session, &store, "import", effects).await?;
    terminal::say(&format!("took {} into the state\n", count(adopted.len(), "object")));
    // Other errors are the next plan's to tell.
    let Ok(plan) = plan else { return Ok(true) };
    for change in plan.changes.iter().filter(|change| change.action != Action::Keep) {
        if adopted.contains(&change.address) {
            let paths: Vec<_> = change
                .differences
                .iter()
                .map(|difference| format!("`{}`", difference.path))
                .collect();
            let address = clean(&change.address.to_string()).into_owned();
            note(&format!(
                "`{address}` is not as declared: {}; `dollop plan` shows it",
                paths.join(", ")
            ));
        }
    }
    Ok(true)
}

/// Where the script goes, and what it is called on.
struct Target {
    /// The module it becomes; `None` for the stack's own script or standard output.
    module: Option<Module>,
    /// The variable of the connection; `None` where nobody gave it one.
    variable: Option<String>,
    /// Whether the connection need not be declared.
    implicit: bool,
    /// What to call the connection where it has no variable.
    otherwise: String,
}

struct Module {
    /// Where it is written.
    file: PathBuf,
    /// Its path in the project folder.
    path: String,
    /// What it is imported as.
    name: String,
}

impl Target {
    fn new(
        session: &Session,
        graph: &Graph,
        args: &ImportArgs,
        connection: &Address,
    ) -> Result<Self, CommandError> {
        let kind = session.registry().connection_kind(connection.kind());
        let writer = Writer::default();
        Ok(Self {
            module: args
                .out
                .as_deref()
                .map(|file| module(session, &writer, file))
                .transpose()?,
            variable: graph.program().handles.get(connection).cloned(),
            implicit: kind.is_some_and(|kind| kind.implicit) && connection.name() == "default",
            otherwise: writer.identifier(connection.name(), "server"),
        })
    }

    fn form(&self) -> Form<'_> {
        let variable = self.variable.as_deref().unwrap_or(&self.otherwise);
        match (&self.module, self.implicit) {
            (None, true) => Form::Statements(None),
            (None, false) => Form::Statements(Some(variable)),
            (Some(_), true) => Form::Module(None),
            // A parameter has a name of its own, whatever leads to the connection outside.
            (Some(_), false) if variable.contains('.') => Form::Module(Some(&self.otherwise)),
            (Some(_), false) => Form::Module(Some(variable)),
        }
    }

    /// What the stack's script needs, beside the module.
    fn addition(&self, written: &Written) -> Option<String> {
        let argument = match (&self.variable, self.implicit) {
            (_, true) => "",
            (Some(variable), false) => variable,
            (None, false) => return None,
        };
        Some(match &self.module {
            Some(module) => module.lines(argument),
            None => written.text.clone(),
        })
    }

    /// Evaluates the stack as it will be; `None` where nothing says how to call it.
    fn try_out(
        &self,
        session: &Session,
        args: &ImportArgs,
        written: &Written,
    ) -> Result<Option<Graph>, CommandError> {
        let Some(addition) = self.addition(written) else { return Ok(None) };
        let files = &session.project.files;
        let entry = session.project.entry.as_str();
        files.suppose(entry, &extended(session, &addition)?);
        if let Some(module) = &self.module {
            files.suppose(&module.path, &written.text);
        }
        let parameters = written.secrets.iter().map(|(name, value)| {
            let text =
                value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned);
            (name.clone(), text)
        });
        let stack = StackArgs {
            param: args.stack.param.iter().cloned().chain(parameters).collect(),
            ..args.stack.clone()
        };
        session.graph(&stack).map(Some)
    }

    /// Writes the script and the values of its secrets.
    fn hand_out(&self, args: &ImportArgs, written: &Written) -> Result<(), CommandError> {
        let secrets = &written.secrets;
        // What cannot be written shows before anything is.
        let text = match &args.secrets {
            Some(file) if !secrets.is_empty() => Some(with_secrets(file, secrets)?),
            _ => None,
        };
        match &self.module {
            Some(module) => {
                write_new(&module.file, written.text.as_bytes())?;
                terminal::say(&format!("wrote {}\n", module.path));
            }
            None if args.append => {}
            None => terminal::print(&written.text)?,
        }
        match args.secrets.as_ref().zip(text) {
            Some((file, text)) => {
                write_private(file, text.as_bytes()).map_err(|error| {
                    CommandError::failed(format!("cannot write `{}`: {error}", file.display()))
                })?;
                let many = count(secrets.len(), "secret");
                terminal::say(&format!("wrote {many} to {}\n", file.display()));
            }
            None if secrets.is_empty() => {}
            None => {
                let names: Vec<_> = secrets.keys().map(|name| format!("`{name}`")).collect();
                note(&format!(
                    "secrets are parameters without a value: {}; `--secrets FILE` writes their values",
                    names.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Adds to the stack's script.
    fn append(&self, session: &Session, written: &Written) -> Result<(), CommandError> {
        let Some(addition) = self.addition(written) else { return Ok(()) };
        let entry = &session.project.entry;
        let path = session.project.folder.join(entry);
        let failed = |error: std::io::Error| {
            CommandError::failed(format!("cannot write `{}`: {error}", path.display()))
        };
        let mut file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        file.write_all(format!("\n{addition}").as_bytes()).map_err(failed)?;
        terminal::say(&format!("added to {entry}\n"));
        Ok(())
    }

    /// How to go on by hand.
    fn say_how(&self, session: &Session) {
        let entry = &session.project.entry;
        let argument = self.variable.as_deref().unwrap_or(&self.otherwise);
        let lines = match &self.module {
            Some(module) => {
                let argument = if self.implicit { "" } else { argument };
                let lines = module.lines(argument);
                lines.lines().map(|line| ["    ", line, "\n"].concat()).collect::<String>()
            }
            None => String::new(),
        };
        let what = if lines.is_empty() { "it" } else { "this" };
        terminal::say(&format!(
            "next: add {what} to {entry}, and run the same command again to take what it declares into the state\n{lines}"
        ));
    }
}

impl Module {
    /// What imports and calls it.
    fn lines(&self, argument: &str) -> String {
        let Self { path, name, .. } = self;
        let path = path.trim_end_matches(".rhai");
        format!("import \"{path}\" as {name};\n{name}::declare({argument});\n")
    }
}

/// The module of a file, which must be a new one of the project.
fn module(session: &Session, writer: &Writer, file: &Path) -> Result<Module, CommandError> {
    let shown = file.display();
    if file.extension().is_none_or(|ending| ending != "rhai") {
        return Err(CommandError::failed(format!("`{shown}` is no script"))
            .hint("give it a name that ends with `.rhai`"));
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new(".")).canonicalize().map_err(|error| {
        CommandError::failed(format!("cannot open the folder of `{shown}`: {error}"))
    })?;
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let inside = folder.strip_prefix(&session.project.folder).ok();
    let (Some(stem), Some(inside)) = (stem, inside.and_then(Path::to_str)) else {
        let project = session.project.folder.display();
        return Err(CommandError::failed(format!("`{shown}` is outside the project"))
            .hint(format!("scripts are imported from within `{project}`")));
    };
    let path = Path::new(inside).join(format!("{stem}.rhai"));
    // The name of a provider would hide it.
    let name = writer.identifier(stem, "imported");
    let hides = session.registry().providers().any(|(provider, _)| provider == name);
    Ok(Module {
        file: folder.join(format!("{stem}.rhai")),
        path: path.to_string_lossy().into_owned(),
        name: if hides { "imported".to_owned() } else { name },
    })
}

/// The script of the stack as it will be.
fn extended(session: &Session, addition: &str) -> Result<String, CommandError> {
    let entry = &session.project.entry;
    let text = session.project.files.read(entry);
    let text = text.map_err(|error| CommandError::failed(error.to_string()))?;
    Ok(format!("{text}\n{addition}"))
}

/// What a file of parameters holds with these beside what is in it.
///
/// # Errors
/// It has one of them already, or is no such file.
fn with_secrets(
    file: &Path,
    secrets: &BTreeMap<String, Value>,
) -> Result<String, CommandError> {
    let shown = file.display();
    let failed = |why: &str| CommandError::failed(format!("cannot write `{shown}`: {why}"));
    let old = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&error.to_string())),
    };
    let ending = file.extension().and_then(|ending| ending.to_str());
    let known: Result<serde_json::Map<String, Json>, String> = match ending {
        Some("json") if old.trim().is_empty() => Ok(serde_json::Map::new()),
        Some("json") => serde_json::from_str(&old).map_err(|error| error.to_string()),
        Some("toml") => toml::from_str(&old).map_err(|error| error.to_string()),
        _ => Err("its name must end with `.toml` or `.json`".to_owned()),
    };
    let mut known = known.map_err(|why| failed(&why))?;
    let twice: Vec<_> = secrets.keys().filter(|name| known.contains_key(*name)).collect();
    if !twice.is_empty() {
        let twice: Vec<_> = twice.into_iter().map(|name| format!("`{name}`")).collect();
        let message = format!("`{shown}` has {} already", twice.join(", "));
        return Err(CommandError::failed(message).hint("name another file for `--secrets`"));
    }
    let new = secrets.iter().map(|(name, value)| (name.clone(), value.to_json()));
    if ending == Some("json") {
        known.extend(new);
        let text = serde_json::to_string_pretty(&known);
        return text.map(|text| text + "\n").map_err(|error| failed(&error.to_string()));
    }
    // What stands behind the head of a table would belong to it.
    let (tables, plain): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
        new.partition(|(_, value)| value.is_object());
    let toml = |values| toml::to_string(&values).map_err(|error| failed(&error.to_string()));
    let parts = [toml(plain)?, old, toml(tables)?];
    Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// What there is, in numbers.
fn summary(survey: &Survey, written: &Written) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for address in &written.addresses {
        *kinds.entry(short_name(address.kind())).or_default() += 1;
    }
    let kinds: Vec<_> =
        kinds.into_iter().map(|(kind, many)| format!("{kind} {many}")).collect();
    let target = clean(&survey.connection.target).into_owned();
    let mut text = match kinds.as_slice() {
        [] => format!("{target} has nothing that is not declared\n"),
        kinds => format!("{target} has what no script declares: {}\n", kinds.join(", ")),
    };
    for left_out in &survey.left_out {
        let _ = writeln!(text, "not imported: {}", clean(left_out));
    }
    text
}

fn no_connection(graph: &Graph, address: &Address) -> CommandError {
    let error = CommandError::failed(format!("the stack declares no server for `{address}`"));
    let known = graph.in_order().filter(|declaration| declaration.connection.is_none());
    let known: Vec<_> = known.map(|known| known.address.to_string()).collect();
    match did_you_mean(&address.to_string(), known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.hint("declare the server, then import what is in it"),
        None => error.hint(format!("it declares: {}", known.join(", "))),
    }
}

fn not_there(address: &Address, known: &[Address]) -> CommandError {
    let error = CommandError::failed(format!("there is no `{address}` to import"));
    let known: Vec<_> = known.iter().map(Address::to_string).collect();
    match did_you_mean(&address.to_string(), known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("import the whole server to see what there is"),
    }
}

/// Without their values the next plan would not be empty, but an error.
fn unset_secrets(written: &Written) -> CommandError {
    let names: Vec<_> = written.secrets.keys().map(|name| format!("`{name}`")).collect();
    let many = count(names.len(), "secret parameter");
    CommandError::failed(format!("the stack would ask for {many} nobody has set"))
        .note(names.join(", "))
        .hint("have their values written to a file the stack reads by itself: `--secrets default.params.toml`")
}

fn no_variable(session: &Session, connection: &Address) -> CommandError {
    let entry = &session.project.entry;
    let kind = connection.kind();
    let name = connection.name();
    CommandError::failed(format!("no variable of {entry} holds `{connection}`"))
        .hint(format!(
            "give it one at the top of the script: `let server = {kind}(\"{name}\", ..);`"
        ))
        .hint("or leave out `--append` and call what is written yourself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_join_the_parameters_that_a_file_has() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = |names: &[&str]| {
            let one = |name: &&str| ((*name).to_owned(), Value::string("x-5-x"));
            let mut all: BTreeMap<String, Value> = names.iter().map(one).collect();
            let many = serde_json::json!({ "user": "x-6-x" });
            all.insert(format!("{}_many", names[0]), many.into());
            all
        };
        let old = "# Kept by hand.\nport = 8080\n\n[limits]\nmemory = \"1g\"\n";
        let file = folder.path().join("default.params.toml");
        std::fs::write(&file, old).unwrap();
        let text = with_secrets(&file, &secrets(&["pg"])).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(&file, text).unwrap();
        let text = with_secrets(&file, &secrets(&["mq"])).unwrap();
        std::fs::write(&file, &text).unwrap();
        let known: Json = toml::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "port": 8080, "limits": { "memory": "1g" }, "pg": "x-5-x", "mq": "x-5-x",
            "pg_many": { "user": "x-6-x" }, "mq_many": { "user": "x-6-x" },
        });
        assert_eq!(known, expected);

        let error = with_secrets(&file, &secrets(&["pg"])).unwrap_err();
        assert!(error.message.ends_with("has `pg`, `pg_many` already"), "{}", error.message);
        let json = folder.path().join("some.json");
        std::fs::write(&json, r#"{ "port": 1 }"#).unwrap();
        let text = with_secrets(&json, &secrets(&["pg"])).unwrap();
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap()["port"], 1);
        assert!(with_secrets(&folder.path().join("a.yaml"), &secrets(&["pg"])).is_err());
    }
}
