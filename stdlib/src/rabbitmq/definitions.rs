//! The definitions of a server: nearly all of its topology in one answer
//! (`GET /api/definitions`, <https://www.rabbitmq.com/docs/definitions>).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dollop_engine::error::CallError;
use futures::future::{BoxFuture, FutureExt, Shared};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::api::Api;
use super::arguments::{Arguments, is_internal};
use super::exchange;
use super::parameter::Row as Parameter;
use super::server::Server;
use super::versions::is_from;
use super::vhost::{self, UNDEFINED};

/// Everything a server defines, by section: `users`, `queues`, `parameters`, …
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Definitions(Map<String, Json>);

/// A queue among them.
#[derive(Deserialize)]
struct Queue<'a> {
    vhost: &'a str,
    name: &'a str,
    #[serde(default)]
    arguments: Arguments,
}

/// Where they are.
pub(super) const DEFINITIONS: &str = "definitions";

impl Definitions {
    /// The version of the server: `3.10.8`.
    pub(super) fn version(&self) -> Result<String, CallError> {
        let version = self.0.get("rabbitmq_version").and_then(Json::as_str);
        version.map(str::to_owned).ok_or_else(|| {
            CallError::refused("the definitions of the server do not tell its version")
                .hint("check that a RabbitMQ management API is there")
        })
    }

    /// All of it.
    pub(super) fn document(&self) -> &Map<String, Json> {
        &self.0
    }

    /// The rows of a section.
    pub(super) fn rows<'de, T: Deserialize<'de>>(
        &'de self,
        section: &str,
    ) -> Result<Vec<T>, CallError> {
        let Some(Json::Array(rows)) = self.0.get(section) else { return Ok(Vec::new()) };
        rows.iter().map(|row| read(section, row)).collect()
    }

    /// Whether all exchanges are among them, and which of these are internal: from 4.3.3 on the
    /// server leaves out those that are, and does not say of any whether it is.
    pub(super) fn have_internal_exchanges(&self) -> Result<bool, CallError> {
        let rows = self.0.get("exchanges").and_then(Json::as_array);
        let says = |row: &Json| row.get("internal").is_some();
        Ok(!is_from(&self.version()?, (4, 3, 3)) && rows.into_iter().flatten().all(says))
    }

    /// The places of all queues.
    pub(super) fn queues(&self) -> Result<HashSet<(&str, &str)>, CallError> {
        Ok(self.rows::<Queue<'_>>("queues")?.iter().map(|row| (row.vhost, row.name)).collect())
    }

    /// Those of queues that plugins made for themselves.
    pub(super) fn internal_queues(&self) -> Result<HashSet<(&str, &str)>, CallError> {
        let rows = self.rows::<Queue<'_>>("queues")?.into_iter();
        let rows = rows.filter(|row| is_internal(&row.arguments));
        Ok(rows.map(|row| (row.vhost, row.name)).collect())
    }

    /// The runtime parameters of a component.
    pub(super) fn parameters(&self, component: &str) -> Result<Vec<Parameter>, CallError> {
        let mut rows: Vec<Parameter> = self.rows("parameters")?;
        rows.retain(|row| row.component == component);
        Ok(rows)
    }
}

/// A row as a struct.
///
/// # Errors
/// It has another form than this dollop knows. The row itself may hold secrets.
pub(super) fn read<'de, T: Deserialize<'de>>(
    section: &str,
    row: &'de Json,
) -> Result<T, CallError> {
    T::deserialize(row).map_err(|error| {
        let name = row["name"].as_str().unwrap_or_default();
        CallError::refused(format!("cannot read `{name}` among the {section}: {error}"))
    })
}

/// The definitions as a file that makes the same server again, with what the API leaves out of
/// them: before 3.13 what a vhost is beside its name, from 4.3.3 on internal exchanges.
pub(super) async fn whole(server: &Server) -> Result<Map<String, Json>, CallError> {
    let definitions = server.definitions().await?;
    let mut document = definitions.document().clone();
    if !definitions.have_internal_exchanges()? {
        let mut rows: Vec<Json> = exchange::list(server).await?;
        rows.retain(|row| !exchange::is_own(row["name"].as_str().unwrap_or_default()));
        document.insert("exchanges".to_owned(), Json::Array(rows));
    }
    let Some(vhosts) = document.get_mut("vhosts").and_then(Json::as_array_mut) else {
        return Ok(document);
    };
    if vhosts.iter().all(|row| row.get("metadata").is_some()) {
        return Ok(document);
    }
    let rows: Vec<Json> = server.api.list("list the vhosts", vhost::LIST).await?;
    for vhost in vhosts.iter_mut().filter(|row| row.get("metadata").is_none()) {
        let row = rows.iter().find(|row| row["name"] == vhost["name"]);
        let said =
            ["description", "tags", "default_queue_type"].into_iter().filter_map(|key| {
                let value =
                    row?.get(key).filter(|value| !value.is_null() && **value != UNDEFINED)?;
                Some((key.to_owned(), value.clone()))
            });
        vhost["metadata"] = Json::Object(said.collect());
    }
    Ok(document)
}

type Fetch = Shared<BoxFuture<'static, Result<Arc<Definitions>, CallError>>>;

/// How old that may be which a connection was opened with.
const FRESH: Duration = Duration::from_secs(1);

/// What was asked for when the connection was opened, until somebody wants it.
pub(super) struct First<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> First<T> {
    /// With this, as of now.
    pub(super) fn with(found: T) -> Self {
        Self(Mutex::new(Some((Instant::now(), found))))
    }

    /// It, once, if it is fresh and nothing was written since.
    pub(super) fn take(&self, api: &Api) -> Option<T> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fresh = found.filter(|(at, _)| api.writes() == 0 && at.elapsed() < FRESH);
        fresh.map(|(_, found)| found)
    }
}

/// Hands the definitions to whoever asks at the same time, asking the server once.
pub(super) struct Latest {
    /// The request under way, and how many writes were begun when it was sent.
    fetch: Mutex<Option<(u64, Fetch)>>,
    /// Those that came with the connection.
    first: First<Definitions>,
}

impl Latest {
    /// With those that the connection was opened with.
    pub(super) fn with(definitions: Definitions) -> Self {
        Self { first: First::with(definitions), fetch: Mutex::default() }
    }

    /// The definitions, as they are not before this call and the writes before it; right after
    /// the connection was opened, not before that.
    pub(super) async fn get(&self, api: &Arc<Api>) -> Result<Arc<Definitions>, CallError> {
        let first = self.first.take(api);
        let fetch = {
            let mut known = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
            let writes = api.writes();
            let joined = known.take().filter(|(at, fetch)| {
                // One that has its answer is of the past.
                *at == writes && fetch.peek().is_none()
            });
            let (_, fetch) = known.insert(joined.unwrap_or_else(|| {
                let api = Arc::clone(api);
                let fetch = async move {
                    // In a task of their own they are not handed out before all who ask at this
                    // moment have asked, and share them: a future that is ready at its second
                    // poll is ready as soon as the second of these polls it.
                    if let Some(found) = first
                        && let Ok(found) = tokio::spawn(async { Arc::new(found) }).await
                    {
                        return Ok(found);
                    }
                    api.list("read the definitions", DEFINITIONS).await.map(Arc::new)
                };
                (writes, fetch.boxed().shared())
            }));
            fetch.clone()
        };
        fetch.await
    }
}
