//! `dollop plan`: show what an apply would change, and why. Writes nothing but `--out`.

use dollop_engine::plan::Options;
use dollop_state::{Keyring, read_state};
use tokio::runtime::Runtime;

use crate::args::{Format, PlanArgs};
use crate::commands::{leave, note, show_plan};
use crate::error::{CHANGES, CommandError, DONE};
use crate::render::{json, sql};
use crate::saved;
use crate::session::{Session, runtime};
use crate::terminal;

/// Plans and shows it.
pub fn run(args: &PlanArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let runtime = runtime()?;
    let done = plan(args, &session, &runtime);
    // Nor is a name that is still being looked up waited for.
    leave((session, runtime));
    done
}

fn plan(args: &PlanArgs, session: &Session, runtime: &Runtime) -> Result<u8, CommandError> {
    let (graph, snapshot) = if args.destroy {
        let mut snapshot = read_state(&session.state_folder())?;
        session.remember(&args.stack, &mut snapshot.state)?;
        (session.nothing()?, snapshot)
    } else {
        // Whether a part needs a connection is known later.
        let opens = !args.no_refresh && args.part.is_all();
        session.declared_with_state(&args.stack, runtime, opens)?
    };
    snapshot.notes.iter().for_each(|text| note(text));
    let options = Options {
        unrefreshed: args.no_refresh,
        destroy: args.destroy,
        replace: args.replace.iter().cloned().collect(),
        allow_data_loss: args.consent.addresses(),
        part: args.part.part(session, &args.stack, &graph)?,
    };
    let plan = session.analysed_plan(runtime, &graph, &snapshot.state, &options)?;
    if args.sql {
        terminal::print(&sql::script(&plan, session.pool.registry()))?;
    } else if args.format == Format::Json {
        let mut json = json::plan(&plan);
        json["sql"] = sql::by_change(&plan, session.pool.registry());
        terminal::print(&json::text(&json))?;
    } else {
        show_plan(&plan, session.pool.registry(), args.format, args.verbose)?;
    }
    if let Some(file) = &args.out {
        let keyring = Keyring::load_or_create(&session.state_folder())?;
        saved::save(&plan, file, &keyring)?;
        let file = file.display();
        let stack = args.stack.stack.as_ref().map(|stack| format!("{} ", stack.display()));
        let stack = stack.unwrap_or_default();
        let environment = &session.project.environment;
        let environment = if environment.is_default() {
            String::new()
        } else {
            format!("--env {environment} ")
        };
        terminal::say(&format!(
            "saved; apply it with `dollop apply {stack}{environment}--plan {file}`\n"
        ));
    }
    let code = if args.detailed_exitcode && plan.has_changes() { CHANGES } else { DONE };
    leave((plan, graph, snapshot));
    Ok(code)
}
