//! `dollop destroy`: remove everything the stack made.

use dollop_engine::plan::Options;
use dollop_engine::store::Store as _;
use dollop_state::SledStore;

use crate::args::{DestroyArgs, Format};
use crate::commands::apply::{Go, perform};
use crate::commands::show_plan;
use crate::error::CommandError;
use crate::session::{Session, block_on};

/// Plans to remove everything, shows it, asks, does it. Needs no script to be right, unless a
/// server was given an ephemeral value.
pub fn run(args: &DestroyArgs) -> Result<u8, CommandError> {
    let session = Session::new(args.stack.project()?);
    let graph = session.nothing()?;
    let store = SledStore::open(&session.state_folder(), &Session::holder("destroy"))?;
    let mut state = store.state()?;
    session.remember(&args.stack, &mut state)?;
    block_on(async {
        let options = Options {
            unrefreshed: args.no_refresh,
            destroy: true,
            allow_data_loss: args.consent.addresses(),
            ..Options::default()
        };
        let plan = session.plan(&graph, &state, &options).await?;
        show_plan(&plan, session.pool.registry(), Format::Text, args.verbose)?;
        let go = Go {
            command: "destroy",
            approved: args.auto_approve,
            parallelism: args.parallelism,
            json: false,
        };
        perform(&session, plan, &state, &store, go).await
    })
}
