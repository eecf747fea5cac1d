//! Permissions: <https://www.rabbitmq.com/docs/access-control#authorisation>.

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rows::{answer, name_of};
use super::server::Server;

/// What a user may do in a vhost. Named after the user. Each attribute is a regular
/// expression for names of queues and exchanges: `".*"` is all, `""` none.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// What they may declare, delete and change.
    #[serde(default)]
    configure: String,
    /// What they may publish to.
    #[serde(default)]
    write: String,
    /// What they may consume from.
    #[serde(default)]
    read: String,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::permission`.
pub struct Permission;

#[derive(Deserialize)]
struct Row {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

impl Resource for Permission {
    const KIND: &'static str = "rabbitmq::permission";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["vhost"], ..Traits::default() }
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the permissions", "permissions").await;
        answer::<Self, _, _>(
            rows,
            |row: &Row| (row.vhost.clone(), row.user.clone()),
            wanted,
            |wanted| (wanted.spec.vhost.clone(), name_of(wanted).to_owned()),
            |_, row| Ok(found(row)),
        )
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        put(server, "create", &name.natural, &spec).await?;
        Ok(Created { id: name.natural.clone(), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        put(server, "change", id, &to).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, id: &str, spec: Spec) -> Result<(), CallError> {
        let what = format!("delete the permissions of `{id}` in vhost `{}`", spec.vhost);
        server.api.delete(&what, &["permissions", &spec.vhost, id]).await
    }
}

fn found(row: &Row) -> Found<Spec, Facts> {
    Found {
        id: row.user.clone(),
        natural: row.user.clone(),
        spec: Spec {
            vhost: row.vhost.clone(),
            configure: row.configure.clone(),
            write: row.write.clone(),
            read: row.read.clone(),
        },
        facts: Facts {},
        owner: Owner::Unmarked,
    }
}

async fn put(server: &Server, verb: &str, user: &str, spec: &Spec) -> Result<(), CallError> {
    let what = format!("{verb} the permissions of `{user}` in vhost `{}`", spec.vhost);
    let body = json!({ "configure": spec.configure, "write": spec.write, "read": spec.read });
    server.api.put(&what, &["permissions", &spec.vhost, user], &body).await
}
