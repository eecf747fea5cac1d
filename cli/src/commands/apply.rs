//! `dollop apply`: the hallway from end to end.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::{Duration, Instant};

use dollop_engine::apply::{Settings, apply};
use dollop_engine::diagnostic::Code;
use dollop_engine::plan::{Options, Plan, consent_hint};
use dollop_engine::store::{State, Store as _};
use dollop_state::{Keyring, SledStore};

use crate::args::{ApplyArgs, Format, TreeFormat};
use crate::commands::show_plan;
use crate::error::{CommandError, DONE};
use crate::render::tally::Tally;
use crate::render::text::{clean, count};
use crate::render::{diagnostic, json, output, words};
use crate::saved;
use crate::session::{Session, block_on, digest};
use crate::terminal;
use crate::watch::Watch;

/// How long a server that is starting may take until it answers.
const PATIENCE: Duration = Duration::from_mins(2);

/// Plans, shows, asks, applies.
pub fn run(args: &ApplyArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    // Scripts first: a mistake in one needs no lock to be told.
    let graph = match &args.plan {
        Some(_) => session.nothing()?,
        None => session.graph(&args.stack)?,
    };
    let store = SledStore::open(&session.state_folder(), &Session::holder("apply"))?;
    let state = store.state()?;
    block_on(async {
        let plan = if let Some(file) = &args.plan {
            let keyring = Keyring::load_or_create(&session.state_folder())?;
            let mut plan = saved::read(file, &keyring)?;
            saved::refuse_stale(&plan, &state, &session.project)?;
            saved::recall(&mut plan, &session, &state, &args.stack)?;
            plan.consents.extend(args.consent.addresses());
            plan
        } else {
            let options = Options {
                unrefreshed: args.no_refresh,
                destroy: false,
                replace: args.replace.iter().cloned().collect(),
                allow_data_loss: args.consent.addresses(),
                part: args.part.part(),
            };
            session.plan(&graph, &state, &options).await?
        };
        let json = args.format == TreeFormat::Json;
        if !json {
            show_plan(&plan, Format::Text, args.verbose)?;
        }
        let command = if plan.destroy { "destroy" } else { "apply" };
        let approved = args.auto_approve;
        let go = Go { command, approved, parallelism: args.parallelism, json };
        perform(&session, plan, &state, &store, go).await
    })
}

/// How a plan that was shown is carried out.
pub(super) struct Go {
    /// `apply` or `destroy`.
    pub(super) command: &'static str,
    /// Whether nobody need be asked.
    pub(super) approved: bool,
    /// The most steps under way at once.
    pub(super) parallelism: usize,
    /// Whether a program reads what came of it.
    pub(super) json: bool,
}

/// Asks if need be, applies, and says what came of it.
pub(super) async fn perform(
    session: &Session,
    mut plan: Plan,
    state: &State,
    store: &SledStore,
    go: Go,
) -> Result<u8, CommandError> {
    if plan.steps.is_empty() && !plan.has_changes() {
        if go.json {
            let nothing = Tally::new(0);
            terminal::print(&json::text(&json::applied(&plan, &nothing, &state.outputs)))?;
        }
        return Ok(DONE);
    }
    if go.approved || !std::io::stdin().is_terminal() {
        refuse_losses(go.command, &plan)?;
    }
    if !go.approved && plan.has_changes() {
        ask(go.command, &plan)?;
        ask_losses(&mut plan)?;
    }
    let plan = &plan;
    let begun = Instant::now();
    let visible =
        plan.steps.iter().filter(|s| s.operation != dollop_engine::plan::Operation::Record);
    let watch = Watch::new(visible.count());
    let settings = Settings {
        parallelism: go.parallelism,
        patience: PATIENCE,
        run: session.run_info(go.command, &digest(plan)),
    };
    let report = apply(plan, state, &session.pool, store, &watch, settings).await;
    let tally = watch.finish();
    let report = report?;
    if go.json {
        terminal::print(&json::text(&json::applied(plan, &tally, &report.outputs)))?;
    }
    let width = terminal::stderr_width();
    if plan.has_changes() || !report.complete() {
        terminal::say(&tally.summary(go.command == "destroy", begun.elapsed(), width));
    }
    if !report.complete() {
        if report.untouched > 0 {
            terminal::say(&format!(
                "stopped before {}; run it again to go on\n",
                count(report.untouched, "step")
            ));
        }
        return Err(CommandError::reported());
    }
    if !report.outputs.is_empty() && plan.has_changes() && !go.json {
        terminal::print(&output::table(&report.outputs))?;
    }
    terminal::say(&diagnostic::diagnostics(&report.checks, &plan.sources, width));
    if !report.holds() {
        return Err(CommandError::reported());
    }
    Ok(DONE)
}

/// Goes on only after a whole `yes`.
fn ask(command: &str, plan: &Plan) -> Result<(), CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::failed(format!("nobody is there to approve this {command}"))
            .note("stdin is not a terminal")
            .hint("review the plan, then run it again with `--auto-approve`"));
    }
    let place = match words::environment(plan) {
        Some(environment) => format!(" in environment `{}`", clean(environment)),
        None => String::new(),
    };
    terminal::say(&format!("\n{command} this plan{place}? Only `yes` goes on: "));
    if answer()? == "yes" {
        return Ok(());
    }
    Err(CommandError::failed("not approved; nothing was changed"))
}

/// Refuses to lose what nobody agreed to lose.
fn refuse_losses(command: &str, plan: &Plan) -> Result<(), CommandError> {
    let losses: Vec<_> = plan.without_consent().collect();
    let mut error = match losses.as_slice() {
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
        for loss in &losses {
            let address = loss.address.to_string();
            error = error.note(format!("`{}` holds {}", clean(&address), loss.content));
        }
    }
    Err(error.hint(consent_hint(losses.iter().map(|loss| &loss.address))))
}

/// Asks about each loss nobody agreed to: its address has to be typed.
fn ask_losses(plan: &mut Plan) -> Result<(), CommandError> {
    let losses: Vec<_> = plan.without_consent().cloned().collect();
    for loss in losses {
        let address = loss.address.to_string();
        terminal::say(&format!(
            "\n`{}` holds {}, which would be lost. Only its address goes on: ",
            clean(&address),
            loss.content
        ));
        if answer()? != address {
            return Err(CommandError::failed("not approved; nothing was changed"));
        }
        plan.consents.insert(loss.address);
    }
    Ok(())
}

/// One line from the terminal.
fn answer() -> Result<String, CommandError> {
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| CommandError::failed(format!("cannot read the answer: {error}")))?;
    Ok(answer.trim().to_owned())
}
