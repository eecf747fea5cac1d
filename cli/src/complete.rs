//! What a shell offers when somebody presses Tab: addresses, outputs and parameters of the
//! stack at hand, stacks themselves, and what the manual has pages on.
//!
//! The shell calls the binary with `COMPLETE` set; `clap_complete` does the rest. Nothing here
//! may fail or talk: where nothing can be found out, nothing is offered.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use clap_complete::{CompleteEnv, engine::ValueCompleter as _};
use dollop_engine::diagnostic::Severity;
use dollop_engine::files::Files as _;
use dollop_engine::program::{Parameter, Profiles};
use dollop_engine::script::{self, Inputs, KEYS, Request, library};
use dollop_engine::store::Record;
use dollop_state::read_state;

use crate::args::Cli;
use crate::commands::env::environments_of;
use crate::manual;
use crate::parameters::{self, Places};
use crate::project::{Environment, Project};
use crate::select::short;
use crate::session::state_folder;

/// The variable that asks for completions.
const VARIABLE: &str = "COMPLETE";

/// The shells that can be completed in.
const SHELLS: Shells<'static> = Shells(&[&BashWithColons, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a shell that asks for completions; `false` when none does.
///
/// # Errors
/// When the shell is not known or went away.
pub fn answer() -> Result<bool, clap::Error> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(std::env::args_os(), here.as_deref())
}

/// The script that tells a shell to ask.
///
/// # Errors
/// When the shell is not known.
pub fn registration(shell: &str) -> Result<String, Error> {
    let unknown = || Error::other(format!("`{shell}` cannot be completed in"));
    let completer = SHELLS.completer(shell).ok_or_else(unknown)?;
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, "dollop", "dollop", "dollop", &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Bash, which takes an address for several words, since it breaks words at `:` and `=`.
struct BashWithColons;

impl EnvCompleter for BashWithColons {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    /// Puts broken words together again before asking, and takes off the answers what bash
    /// keeps in front of the word it replaces.
    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let script = include_str!("complete.bash")
            .replace("@NAME@", &name.replace('-', "_"))
            .replace("@BIN@", bin)
            .replace("@COMPLETER@", completer)
            .replace("@VARIABLE@", variable);
        out.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        Bash.write_complete(command, words, here, out)
    }
}

/// Completes the addresses of the state.
pub fn addresses() -> ArgValueCompleter {
    recorded(|_| true)
}

/// Completes what may be made anew: resources of the state.
pub fn made() -> ArgValueCompleter {
    recorded(|record| record.connection.is_some())
}

/// Completes what can be marked as broken, and is not.
pub fn sound() -> ArgValueCompleter {
    recorded(|record| record.connection.is_some() && !record.tainted)
}

/// Completes what is marked as broken.
pub fn tainted() -> ArgValueCompleter {
    recorded(|record| record.tainted)
}

fn recorded(fits: fn(&Record) -> bool) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let fitting = records().into_iter().filter(&fits);
        offer(current, fitting.map(|record| record.address.to_string()))
    })
}

fn records() -> Vec<Record> {
    let state = asked_for().and_then(|(project, _)| read_state(&state_folder(&project)).ok());
    state.map(|found| found.state.records.into_values().collect()).unwrap_or_default()
}

/// Completes what can be asked about while it runs: names, and addresses once one is typed.
pub fn running() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let registry = dollop_stdlib::registry();
        let able = records()
            .into_iter()
            .filter(|record| registry.operations(record.address.kind()).is_some());
        let by_address = current.to_string_lossy().contains("::");
        let names: BTreeSet<String> = able
            .map(|record| if by_address { record.address.to_string() } else { short(&record) })
            .collect();
        offer(current, names)
    })
}

/// Completes the commands that the script publishes.
pub fn commands() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let found = inputs().map(|(_, inputs)| inputs.commands);
        offer(current, found.unwrap_or_default())
    })
}

/// Completes the addresses the script declares, and those of the state when it is broken.
pub fn declared() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let inputs = inputs();
        let is_broken = inputs.as_ref().is_none_or(|(_, inputs)| is_broken(inputs));
        let declared = inputs.map(|(_, inputs)| inputs.addresses).unwrap_or_default();
        let mut names: BTreeSet<String> = declared.iter().map(ToString::to_string).collect();
        if is_broken {
            names.extend(records().iter().map(|record| record.address.to_string()));
        }
        offer(current, names)
    })
}

/// Completes what a part of a stack can be chosen by: what is declared or recorded, and
/// profiles.
pub fn parts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mut names: BTreeSet<String> =
            records().iter().map(|record| record.address.to_string()).collect();
        if let Some((project, inputs)) = inputs() {
            names.extend(inputs.addresses.iter().map(ToString::to_string));
            let profiles = inputs.profiles.into_iter().chain(written(&project, "profile("));
            names.extend(profiles.map(|name| format!("profile:{name}")));
        }
        offer(current, names)
    })
}

/// Completes the profiles of the script.
pub fn profiles() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some((project, inputs)) = inputs() else { return Vec::new() };
        let mut names: BTreeSet<String> = inputs.profiles.iter().cloned().collect();
        names.extend(written(&project, "profile("));
        // Several may stand in one word, between commas.
        let typed = current.to_string_lossy();
        let before = typed.rfind(',').map_or("", |comma| &typed[..=comma]);
        offer(current, names.into_iter().map(|name| format!("{before}{name}")))
    })
}

/// Completes the environments of the stack.
pub fn environments() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let found = asked_for().and_then(|(project, _)| environments_of(&project).ok());
        let names = found.unwrap_or_default();
        let names = names.iter().map(|found| found.name().to_owned());
        // What is being typed counts as chosen, and is not yet one.
        offer(current, names.filter(|name| current != name.as_str()))
    })
}

/// Completes the outputs of the state.
pub fn outputs() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let state =
            asked_for().and_then(|(project, _)| read_state(&state_folder(&project)).ok());
        let outputs = state.map(|found| found.state.outputs).unwrap_or_default();
        offer(current, outputs.into_keys())
    })
}

/// Completes the parameters of the script, ready for their value, and values where there are
/// only a few.
pub fn parameters() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some((project, inputs)) = inputs() else { return Vec::new() };
        let typed = current.to_string_lossy();
        if let Some((name, _)) = typed.split_once('=') {
            let asked = inputs.parameters.iter().find(|asked| asked.name == name);
            let values = asked.map(values).unwrap_or_default();
            return offer(current, values.iter().map(|value| format!("{name}={value}")));
        }
        let asked = inputs.parameters.iter().map(|parameter| parameter.name.clone());
        let mut names: BTreeSet<String> = asked.collect();
        names.extend(written(&project, "param("));
        offer(current, names.iter().map(|name| format!("{name}=")))
    })
}

/// The values a parameter may have, when they can be listed.
fn values(parameter: &Parameter) -> Vec<String> {
    if parameter.ty == "bool" {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    let texts = parameter.choices.iter().map(|choice| match choice.as_str() {
        Some(text) => text.to_owned(),
        None => choice.to_string(),
    });
    texts.collect()
}

/// Completes folders and scripts.
pub fn stacks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let is_stack = |path: &Path| {
            path.is_dir() || path.extension().is_some_and(|extension| extension == "rhai")
        };
        let completer = PathCompleter::any().filter(is_stack);
        match chdir() {
            Some(folder) => completer.current_dir(folder).complete(current),
            None => completer.complete(current),
        }
    })
}

/// Completes what the manual has a page on.
pub fn topics() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let registry = dollop_stdlib::registry();
        let mut names: Vec<String> =
            registry.providers().map(|(name, _)| name.to_owned()).collect();
        for kind in manual::kinds(&registry) {
            let plain = kind.replace("::", ".");
            // Attributes only below a kind that was typed: all of them are too many.
            if current.to_string_lossy().starts_with(&format!("{plain}."))
                && let Some(schema) = registry.schema(kind)
            {
                let attributes = schema.spec.keys().chain(schema.facts.keys());
                names.extend(attributes.map(|name| format!("{plain}.{name}")));
            }
            names.push(plain);
        }
        names.extend(library().map(|entry| entry.name.to_owned()));
        names.extend(KEYS.iter().map(|key| key.name.to_owned()));
        offer(current, names)
    })
}

/// Completes kinds and providers.
pub fn kinds() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let registry = dollop_stdlib::registry();
        let kinds = manual::kinds(&registry).into_iter().map(|kind| kind.replace("::", "."));
        let providers = registry.providers().map(|(name, _)| name.to_owned());
        offer(current, providers.chain(kinds))
    })
}

fn offer(current: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fitting = names.into_iter().filter(|name| name.starts_with(&*current));
    fitting.map(CompletionCandidate::new).collect()
}

/// What the script of the line wants and declares, as far as it runs.
fn inputs() -> Option<(Project, Inputs)> {
    let (project, matches) = asked_for()?;
    let files: Vec<PathBuf> = many(&matches, "params");
    let flags: Vec<(String, String)> = many(&matches, "param");
    let given = parameters::gather(&Places {
        folder: &project.folder,
        environment: project.environment.name(),
        files: &files,
        flags: &flags,
        variables: std::env::vars_os().collect(),
    });
    // Those that are not set yet are what is looked for most.
    let inputs = script::inputs(&Request {
        stack: &project.stack,
        environment: project.environment.name(),
        entry: &project.entry,
        files: &project.files,
        registry: &dollop_stdlib::registry(),
        parameters: &given.unwrap_or_else(|_| BTreeMap::new()),
        profiles: &Profiles::default(),
        discoverer: None,
        told: None,
    });
    Some((project, inputs.ok()?))
}

/// Whether the script ended before its end, or was not read at all.
fn is_broken(inputs: &Inputs) -> bool {
    inputs.findings.diagnostics.iter().any(|found| found.severity() == Severity::Error)
}

/// The names that stand as text behind a call, also where the script does not get to.
fn written(project: &Project, call: &str) -> Vec<String> {
    let text = project.files.read(&project.entry).unwrap_or_default();
    let after = text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let names = after.filter_map(|rest| rest.split_once('"').map(|(name, _)| name.to_owned()));
    names.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace)).collect()
}

/// The stack of the command line that is being typed, and what else was typed.
fn asked_for() -> Option<(Project, ArgMatches)> {
    let mut matches = typed()?;
    let folder = chdir_of(&matches);
    while let Some((_, inner)) = matches.remove_subcommand() {
        matches = inner;
    }
    let stack = matches.try_get_one::<PathBuf>("stack").ok().flatten().cloned();
    let place = match (folder, stack) {
        (Some(folder), Some(stack)) => Some(folder.join(stack)),
        (folder, stack) => stack.or(folder),
    };
    let environment = matches.try_get_one::<Environment>("env").ok().flatten().cloned();
    let project = Project::find(place.as_deref(), environment.unwrap_or_default()).ok()?;
    Some((project, matches))
}

fn chdir() -> Option<PathBuf> {
    chdir_of(&typed()?)
}

fn chdir_of(matches: &ArgMatches) -> Option<PathBuf> {
    matches.try_get_one::<PathBuf>("chdir").ok().flatten().cloned()
}

/// The command line so far, as well as it can be read.
fn typed() -> Option<ArgMatches> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    Cli::command().ignore_errors(true).try_get_matches_from(words).ok()
}

fn many<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    let found = matches.try_get_many::<T>(name).ok().flatten();
    found.map(|values| values.cloned().collect()).unwrap_or_default()
}
