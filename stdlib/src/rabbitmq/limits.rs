//! Limits of vhosts and users, which the API keeps one by one.

use dollop_engine::error::CallError;
use serde_json::{Value as Json, json};

use super::server::Server;

/// Limits by attribute and name in the API.
pub(super) type Names<const N: usize> = [(&'static str, &'static str); N];

/// Which limits are set. A negative one is none.
pub(super) fn read<const N: usize>(names: &Names<N>, limits: &Json) -> [Option<u32>; N] {
    names.map(|(_, key)| {
        let limit = limits.get(key).and_then(Json::as_i64)?;
        u32::try_from(limit).ok()
    })
}

/// Sets and removes the limits that differ; `from` is `None` when nothing is set yet.
pub(super) async fn write<const N: usize>(
    server: &Server,
    what: &str,
    path: &[&str],
    names: &Names<N>,
    from: Option<[Option<u32>; N]>,
    to: [Option<u32>; N],
) -> Result<(), CallError> {
    let from = from.unwrap_or([None; N]);
    for (index, (_, key)) in names.iter().enumerate() {
        if from[index] == to[index] {
            continue;
        }
        let mut path = path.to_vec();
        path.push(key);
        match to[index] {
            Some(limit) => server.api.put(what, &path, &json!({ "value": limit })).await?,
            None => server.api.delete(what, &path).await?,
        }
    }
    Ok(())
}
