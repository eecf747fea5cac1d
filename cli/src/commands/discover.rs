//! `dollop discover`: ask servers for the names a script loops over.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dollop_engine::files::{FileError, Files as _};
use dollop_engine::import::{self, Discoveries, Kept, Looking};
use dollop_engine::program::Discovery;
use dollop_engine::script::{self, Answers, Discoverer};
use dollop_state::read_state;

use crate::args::DiscoverArgs;
use crate::error::{CHANGES, CommandError, DONE};
use crate::render::text::{clean, count};
use crate::saved::write_open;
use crate::session::{Session, runtime};
use crate::terminal;

/// Asks, shows what is new or gone, and records it.
pub fn run(args: &DiscoverArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let file = script::answers_file(session.project.environment.name());
    let before = recorded(&session, &file)?;
    let Discoveries { answers: after, questions, dormant } = ask(&session, args, &before)?;
    if questions == 0 && before.is_empty() {
        terminal::say(match dormant {
            0 => "the stack discovers nothing\n",
            _ => "the stack discovers nothing while its profiles are off (`--profile NAME`)\n",
        });
        return Ok(DONE);
    }
    terminal::print(&shown(&before, &after))?;
    if before == after {
        if !before.is_empty() {
            terminal::say(&format!("`{file}` is up to date\n"));
        }
        return Ok(DONE);
    }
    if args.check {
        terminal::say(&format!("`{file}` is not up to date; `dollop discover` writes it\n"));
        return Ok(CHANGES);
    }
    let path = session.project.folder.join(&file);
    write_open(&path, text(&after).as_bytes()).map_err(|error| {
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

/// What was asked, and says what was not.
fn ask(
    session: &Session,
    args: &DiscoverArgs,
    before: &Answers,
) -> Result<Discoveries, CommandError> {
    let snapshot = read_state(&session.state_folder())?;
    let runtime = runtime()?;
    let declared = |asked: &dyn Discoverer| session.discovering(&args.stack, asked);
    let wait = |looking: Looking<'_>| runtime.block_on(looking);
    let kept = |discovery: &Discovery, kept: Kept| {
        let name = clean(&discovery.name);
        let server = discovery.question.connection.to_string();
        let later = format!("`{}` can be used only once the stack is applied", clean(&server));
        terminal::say(&match kept {
            Kept::Dormant => format!("`{name}` keeps its answer: its profile is off\n"),
            Kept::Answer => format!("`{name}` keeps its answer: {later}\n"),
            Kept::Default => format!("`{name}` keeps its default: {later}\n"),
        });
    };
    import::discover(declared, before, &snapshot.state, &session.pool, &wait, &kept)
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
