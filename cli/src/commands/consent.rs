//! Asking people: whether to go on, and what may be lost.

use std::io::{BufRead as _, IsTerminal as _};

use dollop_engine::diagnostic::Code;
use dollop_engine::plan::{Loss, consent_hint};

use crate::error::CommandError;
use crate::render::text::{clean, count};
use crate::terminal;

/// Goes on only with approval, and with consent to every loss. Where nobody can be asked,
/// losses are refused.
pub(super) fn approve(
    command: &str,
    question: &str,
    approved: bool,
    losses: &[Loss],
) -> Result<(), CommandError> {
    if approved || !std::io::stdin().is_terminal() {
        refuse(command, losses)?;
    }
    if approved {
        return Ok(());
    }
    ask(command, question)?;
    losses.iter().try_for_each(ask_loss)
}

/// Goes on only after a whole `yes`.
fn ask(command: &str, question: &str) -> Result<(), CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::failed(format!("nobody is there to approve this {command}"))
            .note("stdin is not a terminal")
            .hint("review the plan, then run it again with `--auto-approve`"));
    }
    terminal::say(&format!("\n{question}? Only `yes` goes on: "));
    if answer()? == "yes" {
        return Ok(());
    }
    Err(CommandError::failed("not approved; nothing was changed"))
}

/// Refuses to lose what nobody agreed to lose.
fn refuse(command: &str, losses: &[Loss]) -> Result<(), CommandError> {
    let mut error = match losses {
        [] => return Ok(()),
        [one] => {
            let (address, content) =
                (clean(&one.address.to_string()).into_owned(), &one.content);
            CommandError::failed(format!("this {command} would lose {content} in `{address}`"))
        }
        many => CommandError::failed(format!(
            "this {command} would lose what {} hold",
            count(many.len(), "object")
        )),
    };
    error.code = Code::DataLoss;
    if losses.len() > 1 {
        for loss in losses {
            let address = loss.address.to_string();
            error = error.note(format!("`{}` holds {}", clean(&address), loss.content));
        }
    }
    Err(error.hint(consent_hint(losses.iter().map(|loss| &loss.address))))
}

/// Asks about one loss: its address has to be typed.
fn ask_loss(loss: &Loss) -> Result<(), CommandError> {
    let address = loss.address.to_string();
    terminal::say(&format!(
        "\n`{}` holds {}, which would be lost. Only its address goes on: ",
        clean(&address),
        loss.content
    ));
    if answer()? == address {
        return Ok(());
    }
    Err(CommandError::failed("not approved; nothing was changed"))
}

/// One line from the terminal.
fn answer() -> Result<String, CommandError> {
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| CommandError::failed(format!("cannot read the answer: {error}")))?;
    Ok(answer.trim().to_owned())
}
