//! `dollop run`: commands that the stack publishes.

use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::expr::Expr;
use dollop_engine::operate::{Ability, Command};
use dollop_engine::program::NamedCommand;
use dollop_engine::value::Value;
use dollop_state::read_state;
use serde_json::{Value as Json, json};

use crate::args::RunArgs;
use crate::attach;
use crate::error::{CommandError, DONE};
use crate::live::{Live, profiles};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Column, Tone, cell, plain, table, text};
use crate::session::Session;
use crate::terminal;

const COLUMNS: [Column; 3] = [text("COMMAND", 0), text("IN", 1), text("DOES", 0)];

/// Runs one, or lists them.
pub fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.place.project()?);
    let applied = read_state(&session.state_folder())?.state;
    let stack = args.inputs.stack(&args.place, &profiles(&applied));
    // Secrets are needed only by what runs.
    session.project.files.look_up_secrets(args.name.is_some());
    let graph = session.declared(&stack)?;
    let published = &graph.program().commands;
    let Some(name) = &args.name else {
        let text = if args.json {
            json::text(&document(&session, published))
        } else {
            shown(published)
        };
        terminal::print(&text)?;
        if published.is_empty() && !args.json {
            terminal::say(
                "this stack publishes no commands; `command(..)` in its script does\n",
            );
        }
        return Ok(DONE);
    };
    let Some(found) = published.iter().find(|command| command.name == *name) else {
        return Err(unknown(published, name));
    };
    let live = Live::open(&args.place)?;
    let record = found.target.as_ref().and_then(|address| live.state.records.get(address));
    let target = record.and_then(|record| live.able(vec![record], Ability::Exec).pop());
    let Some(target) = target else {
        let address = found.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!("`{address}`, which `{name}` runs in, is not applied yet");
        return Err(CommandError::failed(message).hint("`dollop apply` makes it"));
    };
    let mut words = Vec::new();
    for word in &found.words {
        words.push(value(&live, name, word)?);
    }
    words.extend(args.arguments.iter().cloned());
    let mut env = Vec::new();
    for (key, entry) in &found.env {
        env.push((key.clone(), value(&live, name, entry)?));
    }
    let (user, folder) = (found.user.clone(), found.folder.clone());
    let command = Command { words, env, user, folder, terminal: false };
    attach::run(&live, &target, command, args.how)
}

/// A word or variable, references filled in from what was applied.
fn value(live: &Live, name: &str, expr: &Expr) -> Result<String, CommandError> {
    let resolved = expr.resolve(&|reference| {
        let record = live.state.records.get(&reference.address)?;
        let found = reference.path.follow(&record.facts);
        found.or_else(|| reference.path.follow(&record.spec)).map(Expr::Value)
    });
    match resolved.known().map(Value::to_json) {
        Some(Json::String(text)) => Ok(text),
        Some(Json::Null) => Ok(String::new()),
        Some(plain @ (Json::Bool(_) | Json::Number(_))) => Ok(plain.to_string()),
        Some(other) => Ok(other.to_string()),
        None => {
            let missing = resolved.references();
            let missing = missing.iter().map(|reference| format!("`{reference}`"));
            let missing = missing.collect::<Vec<_>>().join(", ");
            Err(CommandError::failed(format!(
                "command `{name}` needs {missing}, not known yet"
            ))
            .hint("`dollop apply` makes what it is taken from"))
        }
    }
}

fn shown(published: &[NamedCommand]) -> String {
    if published.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = published
        .iter()
        .map(|command| {
            let target = command.target.as_ref().map(ToString::to_string).unwrap_or_default();
            let does =
                if command.doc.is_empty() { in_words(command) } else { command.doc.clone() };
            vec![cell(&command.name, Tone::Name), cell(target, Tone::Dim), plain(does)]
        })
        .collect();
    table(&COLUMNS, &rows, terminal::stdout_width())
}

fn in_words(command: &NamedCommand) -> String {
    let words = command.words.iter().map(|word| match word.known() {
        Some(known) => known.as_str().map_or_else(|| known.to_string(), str::to_owned),
        None => word.to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn document(session: &Session, published: &[NamedCommand]) -> Json {
    let commands = published.iter().map(|command| {
        json!({
            "name": command.name,
            "doc": command.doc,
            "in": command.target,
            "command": in_words(command),
            "at": command.span.to_string(),
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "stack": session.project.stack,
        "commands": commands.collect::<Vec<_>>(),
    })
}

fn unknown(published: &[NamedCommand], name: &str) -> CommandError {
    let error = CommandError::failed(format!("this stack publishes no command `{name}`"));
    match did_you_mean(name, published.iter().map(|command| command.name.as_str())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`dollop run` lists them"),
    }
}
