//! What a shell offers when somebody presses Tab: addresses, outputs and parameters of the
//! stack at hand, stacks themselves, and what the manual has pages on.
//!
//! The shell calls the binary with `COMPLETE` set; `clap_complete` does the rest. Nothing here
//! may fail or talk: where nothing can be found out, nothing is offered.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use clap_complete::{CompleteEnv, engine::ValueCompleter as _};
use dollop_engine::program::Profiles;
use dollop_engine::script::{self, KEYS, Request, library};
use dollop_state::read_state;

use crate::args::Cli;
use crate::manual;
use crate::parameters::{self, Places};
use crate::project::{Environment, Project};
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
    ArgValueCompleter::new(|current: &OsStr| {
        let state =
            asked_for().and_then(|(project, _)| read_state(&state_folder(&project)).ok());
        let addresses = state.map(|found| found.state.records).unwrap_or_default();
        offer(current, addresses.keys().map(ToString::to_string))
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

/// Completes the parameters of the script, ready for their value.
pub fn parameters() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offer(current, declared_parameters()))
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

fn declared_parameters() -> Vec<String> {
    let Some((project, matches)) = asked_for() else { return Vec::new() };
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
    });
    let found = inputs.map(|inputs| inputs.parameters).unwrap_or_default();
    found.into_iter().map(|parameter| format!("{}=", parameter.name)).collect()
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
