//! `dollop discover`: ask servers for the names a script loops over.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dollop_engine::files::{FileError, Files as _};
use dollop_engine::import;
use dollop_engine::program::Discovery;
use dollop_engine::script::{self, Answers, Discovered};
use dollop_state::read_state;

use crate::args::DiscoverArgs;
use crate::error::{CHANGES, CommandError, DONE};
use crate::render::text::{clean, count};
use crate::session::{Session, block_on};
use crate::terminal;

/// Asks one question after the other, since a later one may depend on an earlier answer.
pub fn run(args: &DiscoverArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let file = script::answers_file(session.project.environment.name());
    let before = recorded(&session, &file)?;
    let (after, asked) = block_on(ask(&session, args, &before))?;
    if asked == 0 && before.is_empty() {
        terminal::say("the stack discovers nothing\n");
        return Ok(DONE);
    }
    terminal::print(&shown(&before, &after))?;
    if before == after && !before.is_empty() {
        terminal::say(&format!("`{file}` is up to date\n"));
        return Ok(DONE);
    }
    if before == after {
        return Ok(DONE);
    }
    if args.check {
        terminal::say(&format!("`{file}` is not up to date; `dollop discover` writes it\n"));
        return Ok(CHANGES);
    }
    let path = session.project.folder.join(&file);
    std::fs::write(&path, text(&after)).map_err(|error| {
        CommandError::failed(format!("cannot write `{}`: {error}", path.display()))
    })?;
    terminal::say(&format!("wrote `{file}`; `dollop plan` shows what follows from it\n"));
    Ok(DONE)
}

/// The answers there are.
fn recorded(session: &Session, file: &str) -> Result<Answers, CommandError> {
    match session.project.files.read(file) {
        Ok(text) => script::read_answers(&text).map_err(|error| {
            CommandError::failed(format!("`{file}` holds no discoveries: {error}"))
                .hint("move it away; `dollop discover` writes it anew")
        }),
        Err(FileError::Missing(_)) => Ok(Answers::new()),
        Err(error) => Err(CommandError::failed(error.to_string())),
    }
}

/// The answers, and how many questions there are.
async fn ask(
    session: &Session,
    args: &DiscoverArgs,
    before: &Answers,
) -> Result<(Answers, usize), CommandError> {
    let snapshot = read_state(&session.state_folder())?;
    // What is not there yet has its default for now, and no answer in the file.
    let (mut answers, mut supposed) = (Answers::new(), Answers::new());
    loop {
        let graph = session.discovering(&args.stack, &text(&supposed))?;
        let discoveries = &graph.program().discoveries;
        let Some(open) = discoveries.iter().find(|known| known.known.is_none()) else {
            return Ok((answers, discoveries.len()));
        };
        let found = import::discover(&graph, &snapshot.state, &session.pool, open).await?;
        let of = open.question.to_string();
        let name = open.name.clone();
        if let Some(names) = found {
            answers.insert(name.clone(), Discovered { of: of.clone(), names: names.clone() });
            supposed.insert(name, Discovered { of, names });
            continue;
        }
        let server = clean(&open.question.connection.to_string()).into_owned();
        let say = |keeps: &str| {
            terminal::say(&format!(
                "`{name}` keeps its {keeps}: `{server}` can be used only once the stack is applied\n"
            ));
        };
        if let Some(known) = before.get(&name).filter(|known| known.of == of) {
            say("answer");
            answers.insert(name.clone(), known.clone());
            supposed.insert(name, known.clone());
            continue;
        }
        let Some(names) = open.default.clone() else { return Err(not_yet(open)) };
        say("default");
        supposed.insert(name, Discovered { of, names });
    }
}

fn not_yet(discovery: &Discovery) -> CommandError {
    let Discovery { name, question, .. } = discovery;
    let server = &question.connection;
    CommandError::failed(format!("`{name}` cannot be discovered yet: `{server}` is not there"))
        .hint("give it a default, `#{ default: [] }`, apply, and discover then")
}

/// The answers as a file.
fn text(answers: &Answers) -> String {
    serde_json::to_string_pretty(answers).unwrap_or_default() + "\n"
}

/// What was found, with a sign at each name that is new or gone.
fn shown(before: &Answers, after: &Answers) -> String {
    let mut out = String::new();
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in all {
        let none = Vec::new();
        let old = before.get(name).map_or(&none, |found| &found.names);
        let Some(found) = after.get(name) else {
            let _ = writeln!(out, "{}: no longer discovered", clean(name));
            continue;
        };
        let many = count(found.names.len(), "name");
        let _ = writeln!(out, "{}: {many} ({})", clean(name), clean(&found.of));
        let names: BTreeSet<&String> = old.iter().chain(&found.names).collect();
        for one in names {
            let sign = match (old.contains(one), found.names.contains(one)) {
                (true, false) => '-',
                (false, true) => '+',
                _ => ' ',
            };
            let _ = writeln!(out, "  {sign} {}", clean(one));
        }
    }
    out
}
