//! What can be asked of containers while they run.

mod attach;
mod condition;
mod events;
mod freshness;
mod logs;
mod usage;

use async_trait::async_trait;
use bollard::models::ContainerInspectResponse;
use dollop_engine::error::CallError;
use dollop_engine::kind::{OpenConnection, opened};
use dollop_engine::operate::{
    Ability, Attached, Command, Condition, Duplex, Freshness, LogLine, LogRequest, Object,
    Occurrence, Operations, Probe, Usage,
};
use dollop_engine::resource::Owner;
use dollop_engine::value::Value;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};

use super::container::inspect;
use super::engine::Engine;
use super::labels;

/// How many containers are asked at once.
const AT_ONCE: usize = 8;

/// The operations of `docker::container`.
pub(crate) struct OfContainers;

/// The operations of `docker::engine`.
pub(crate) struct OfEngines;

#[async_trait]
impl Operations for OfContainers {
    fn abilities(&self) -> &'static [Ability] {
        &[
            Ability::Condition,
            Ability::Probe,
            Ability::Logs,
            Ability::Exec,
            Ability::Switch,
            Ability::Usage,
            Ability::Reach,
            Ability::Freshness,
        ]
    }

    async fn conditions(
        &self,
        connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Option<Condition>, CallError>> {
        condition::conditions(opened(connection), objects).await
    }

    async fn probe(&self, connection: &OpenConnection, objects: &[Object]) -> Vec<Vec<Probe>> {
        let engine = opened(connection);
        some_at_once(objects.iter().map(|object| condition::probe(engine, object)).collect())
            .await
    }

    fn logs<'a>(
        &'a self,
        connection: &'a OpenConnection,
        object: &'a Object,
        request: &LogRequest,
    ) -> BoxStream<'a, Result<LogLine, CallError>> {
        logs::logs(opened(connection), object, request.clone())
    }

    async fn exec(
        &self,
        connection: &OpenConnection,
        object: &Object,
        command: Command,
        attached: Attached,
    ) -> Result<i64, CallError> {
        let engine = opened(connection);
        let container = running(engine, object).await?;
        attach::exec(engine, object, &container, command, attached).await
    }

    fn switched(&self, spec: &Value, on: bool) -> Option<Value> {
        let Value::Map(mut entries) = spec.clone() else { return None };
        entries.insert("running".to_owned(), Value::Bool(on));
        Some(Value::Map(entries))
    }

    async fn usage(
        &self,
        connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Option<Usage>, CallError>> {
        let engine = opened(connection);
        some_at_once(objects.iter().map(|object| usage::usage(engine, object)).collect()).await
    }

    async fn reach(
        &self,
        connection: &OpenConnection,
        object: &Object,
        port: u16,
    ) -> Result<Box<dyn Duplex>, CallError> {
        let engine = opened(connection);
        let container = running(engine, object).await?;
        attach::reach(engine, object, &container, port).await
    }

    async fn freshness(
        &self,
        connection: &OpenConnection,
        objects: &[Object],
    ) -> Vec<Result<Freshness, CallError>> {
        freshness::freshness(opened(connection), objects).await
    }
}

#[async_trait]
impl Operations for OfEngines {
    fn abilities(&self) -> &'static [Ability] {
        &[Ability::Events]
    }

    fn events<'a>(
        &'a self,
        connection: &'a OpenConnection,
        objects: &'a [Object],
        since: std::time::SystemTime,
        until: Option<std::time::SystemTime>,
    ) -> BoxStream<'a, Result<Occurrence, CallError>> {
        events::events(opened(connection), objects, since, until)
    }
}

/// Asks some questions at once; the answers come in their order.
async fn some_at_once<T>(asked: Vec<impl Future<Output = T>>) -> Vec<T> {
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

/// The container as it is: by its id, or by its name where another run made it anew.
async fn find(
    engine: &Engine,
    object: &Object,
) -> Result<Option<ContainerInspectResponse>, CallError> {
    if let Some(id) = object.id.as_deref().filter(|id| !id.is_empty())
        && let Some(found) = inspect(engine, id).await?
    {
        return Ok(Some(found));
    }
    let found = inspect(engine, &object.name.natural).await?;
    Ok(found.filter(|found| {
        let labels = found.config.as_ref().and_then(|config| config.labels.clone());
        labels::owner(&labels.unwrap_or_default(), &object.name, false) == Owner::Ours
    }))
}

/// The container, when its program runs.
async fn running(
    engine: &Engine,
    object: &Object,
) -> Result<ContainerInspectResponse, CallError> {
    let address = &object.name.address;
    let Some(found) = find(engine, object).await? else { return Err(gone(object)) };
    let state = found.state.clone().unwrap_or_default();
    if state.paused.unwrap_or(false) {
        let message = format!("`{address}` is paused");
        return Err(CallError::refused(message)
            .hint(format!("resume it: `docker unpause {}`", object.name.natural)));
    }
    if state.running.unwrap_or(false) {
        return Ok(found);
    }
    let message = format!("`{address}` does not run: it is {}", condition::state(&state));
    Err(CallError::refused(message)
        .hint(format!("`dollop logs {address}` shows why, `dollop start {address}` starts it")))
}

fn gone(object: &Object) -> CallError {
    let address = &object.name.address;
    CallError::refused(format!("the container of `{address}` is gone"))
        .hint("`dollop apply` makes it anew")
}
