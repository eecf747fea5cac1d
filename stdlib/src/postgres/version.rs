//! What only newer servers have.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Preview, Problem};

use super::server::Server;

/// The oldest major version that knows something, and what that is.
pub(super) type Since = (u32, &'static str);

/// Why a server cannot have something, when it is too old for it.
fn too_old(server: &Server, since: Option<Since>) -> Option<String> {
    let (version, what) = since?;
    (server.version < version * 10_000).then(|| {
        let (at, is) = (server.address(), server.version / 10_000);
        format!("{what} needs PostgreSQL {version}; the server at {at} is version {is}")
    })
}

/// Refuses what the server is too old for.
pub(super) fn expect(server: &Server, since: Option<Since>) -> Result<(), CallError> {
    too_old(server, since).map_or(Ok(()), |why| Err(CallError::impossible(why)))
}

/// The same while planning, for what is there already and is to become something newer.
pub(super) fn preview(server: &Server, since: Option<Since>) -> Preview {
    let problem = |message| Problem { attribute: String::new(), message, hint: None };
    Preview {
        problems: too_old(server, since).map(problem).into_iter().collect(),
        ..Preview::default()
    }
}
