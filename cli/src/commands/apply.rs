//! `dollop apply`: the hallway from end to end.

use std::time::{Duration, Instant};

use dollop_engine::apply::{Settings, apply};
use dollop_engine::plan::{Options, Plan};
use dollop_engine::store::{State, Store as _};
use dollop_state::{Keyring, SledStore};

use crate::args::{ApplyArgs, Format, TreeFormat};
use crate::commands::{consent, show_plan};
use crate::error::{CommandError, DONE};
use crate::render::tally::Tally;
use crate::render::text::{clean, count};
use crate::render::{diagnostic, json, output, words};
use crate::saved;
use crate::session::{Session, block_on, digest};
use crate::terminal;
use crate::watch::Watch;

/// How long a server that is starting may take until it answers.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

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
            saved::refuse_stale(&plan, &state, &session).await?;
            saved::recall(&mut plan, &session, &state, &args.stack)?;
            plan.consents.extend(args.consent.addresses());
            plan
        } else {
            let options = Options {
                unrefreshed: args.no_refresh,
                destroy: false,
                replace: args.replace.iter().cloned().collect(),
                allow_data_loss: args.consent.addresses(),
                part: args.part.part(&session, &args.stack, &graph)?,
            };
            session.plan(&graph, &state, &options).await?
        };
        let json = args.format == TreeFormat::Json;
        if !json {
            show_plan(&plan, session.pool.registry(), Format::Text, args.verbose)?;
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
    let losses: Vec<_> = plan.without_consent().cloned().collect();
    let place = match words::environment(&plan) {
        Some(environment) => format!(" in environment `{}`", clean(environment)),
        None => String::new(),
    };
    let question = format!("{} this plan{place}", go.command);
    // Nobody is asked about what only the state has to learn.
    let approved = go.approved || !plan.has_changes();
    consent::approve(go.command, &question, approved, &losses)?;
    if !approved {
        // Looking at a plan takes its time.
        saved::refuse_edited(&plan, session).await?;
    }
    plan.consents.extend(losses.into_iter().map(|loss| loss.address));
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
