//! `postgres::grant`: what a role may do with something in a database.
//!
//! Catalogs: the ACLs of `pg_database`, `pg_namespace`, `pg_class` and `pg_proc`; see
//! "5.7. Privileges" in the PostgreSQL manual.

mod acl;

use std::collections::BTreeMap;

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Problem, ReadResult, Resource, Traits, Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use self::acl::Snapshot;
use super::error::Task;
use super::server::{Lane, Server};
use super::sql;

/// Everybody.
pub(super) const PUBLIC: &str = "PUBLIC";

/// All privileges that a role has on something: those listed, and no others. Write one grant
/// for a role and a target; two of them would take each other's privileges away.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database: the target itself, or the one the target is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// Who may do it: a role, or `PUBLIC` for everybody.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// What kind of thing it is about.
    #[schemars(extend("x-replace" = true))]
    pub on: On,
    /// The schema: the target itself, or the one the tables, sequences or functions are in.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema", "x-replace" = true))]
    pub schema: Option<String>,
    /// Names of tables (views count as tables), sequences or functions (all that share the
    /// name); all that exist in the schema when empty. What is made later is not covered
    /// until the next apply.
    #[serde(default)]
    pub objects: Vec<String>,
    /// The privileges: `["SELECT", "INSERT"]`, or `["ALL"]`; empty for none at all, which
    /// takes away what `PUBLIC` has by default. `ALL` leaves out MAINTAIN (PostgreSQL 17).
    pub privileges: Vec<String>,
    /// Whether the role may pass the privileges on.
    #[serde(default)]
    pub with_grant_option: bool,
}

/// What a grant is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// The database itself.
    Database,
    /// The schema itself.
    Schema,
    /// Tables and views in the schema.
    Tables,
    /// Sequences in the schema.
    Sequences,
    /// Functions in the schema.
    Functions,
}

impl On {
    /// As in scripts.
    fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Tables => "tables",
            Self::Sequences => "sequences",
            Self::Functions => "functions",
        }
    }

    /// As in GRANT.
    fn keyword(self) -> &'static str {
        match self {
            Self::Database => "DATABASE",
            Self::Schema => "SCHEMA",
            Self::Tables => "TABLE",
            Self::Sequences => "SEQUENCE",
            Self::Functions => "FUNCTION",
        }
    }

    /// What ALL means, sorted ("Table 5.2. Summary of Access Privileges").
    fn all(self) -> &'static [&'static str] {
        match self {
            Self::Database => &["CONNECT", "CREATE", "TEMPORARY"],
            Self::Schema => &["CREATE", "USAGE"],
            Self::Tables => {
                &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"]
            }
            Self::Sequences => &["SELECT", "UPDATE", "USAGE"],
            Self::Functions => &["EXECUTE"],
        }
    }

    fn knows(self, privilege: &str) -> bool {
        self.all().contains(&privilege) || (self == Self::Tables && privilege == "MAINTAIN")
    }

    fn is_in_schema(self) -> bool {
        matches!(self, Self::Tables | Self::Sequences | Self::Functions)
    }
}

/// What the server reports: nothing that is not asked for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind.
pub struct Grant;

impl Resource for Grant {
    const KIND: &'static str = "postgres::grant";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["role", "on", "schema", "objects"],
            ..Traits::default()
        }
    }

    fn normalize(spec: &mut Spec) {
        // No role can be called `public`.
        if spec.role.eq_ignore_ascii_case(PUBLIC) {
            PUBLIC.clone_into(&mut spec.role);
        }
        spec.objects.sort();
        spec.objects.dedup();
        let all = spec.on.all();
        spec.privileges = std::mem::take(&mut spec.privileges)
            .into_iter()
            .flat_map(|privilege| match privilege.trim().to_uppercase().as_str() {
                "ALL" | "ALL PRIVILEGES" => all.iter().map(|&word| word.to_owned()).collect(),
                "TEMP" => vec!["TEMPORARY".to_owned()],
                other => vec![other.to_owned()],
            })
            .collect();
        spec.privileges.sort();
        spec.privileges.dedup();
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let on = spec.on.word();
        let mut problem = |attribute: &str, message: String, hint: String| {
            problems.push(Problem {
                attribute: attribute.to_owned(),
                message,
                hint: Some(hint),
            });
        };
        match &spec.schema {
            Some(_) if spec.on == On::Database => problem(
                "schema",
                "a grant on the database has no schema".to_owned(),
                "leave `schema` out, or set `on: \"schema\"`".to_owned(),
            ),
            None if spec.on != On::Database => problem(
                "schema",
                format!("a grant on {on} needs to know the schema"),
                "set `schema`".to_owned(),
            ),
            _ => {}
        }
        if !spec.objects.is_empty() && !spec.on.is_in_schema() {
            problem(
                "objects",
                format!("a grant on the {on} has no objects"),
                "leave `objects` out, or set `on: \"tables\"`".to_owned(),
            );
        }
        for privilege in &spec.privileges {
            if !spec.on.knows(privilege) {
                problem(
                    "privileges",
                    format!("`{privilege}` is no privilege on {on}"),
                    format!("one of {}, or ALL", spec.on.all().join(", ")),
                );
            }
        }
        if spec.with_grant_option && spec.role == PUBLIC {
            problem(
                "with_grant_option",
                "everybody cannot be allowed to pass privileges on".to_owned(),
                "leave `with_grant_option` out, or name a role".to_owned(),
            );
        }
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let mut specs: BTreeMap<&str, Vec<&Spec>> = BTreeMap::new();
        for wanted in wanted {
            specs.entry(&wanted.spec.database).or_default().push(&wanted.spec);
        }
        let asked: Vec<_> = specs
            .into_iter()
            .map(|(database, specs)| async move {
                (database, Snapshot::take(server, database, &specs).await)
            })
            .collect();
        let snapshots: BTreeMap<&str, _> =
            futures::stream::iter(asked).buffer_unordered(sql::DATABASES).collect().await;
        wanted
            .iter()
            .map(|wanted| match &snapshots[wanted.spec.database.as_str()] {
                Ok(snapshot) => Ok(found(snapshot, wanted)),
                Err(error) => Err(error.clone()),
            })
            .collect()
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        bring_to(server, &spec, &[]).await?;
        Ok(Created { id: id(name, &spec), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        _: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        // What it no longer speaks of must not keep what it was given.
        let left: Vec<_> = match (from.objects.is_empty(), to.objects.is_empty()) {
            (_, true) => Vec::new(),
            (true, false) => vec![Spec { privileges: Vec::new(), ..from }],
            (false, false) => {
                let gone = from.objects.iter().filter(|name| !to.objects.contains(name));
                let objects: Vec<_> = gone.cloned().collect();
                if objects.is_empty() {
                    Vec::new()
                } else {
                    vec![Spec { privileges: Vec::new(), objects, ..from }]
                }
            }
        };
        bring_to(server, &to, &left).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, _: &str, spec: Spec) -> Result<(), CallError> {
        let nothing = Spec { privileges: Vec::new(), ..spec };
        let snapshot = Snapshot::take(server, &nothing.database, &[&nothing]).await?;
        let statements = snapshot.statements(&nothing, &[]);
        let task = task("revoke", &nothing);
        server.remove(&nothing.database, &statements, &task).await
    }
}

/// Grants and revokes in one transaction until a role has exactly these privileges, and none
/// on what is `left`.
async fn bring_to(server: &Server, spec: &Spec, left: &[Spec]) -> Result<(), CallError> {
    let everything: Vec<_> = std::iter::once(spec).chain(left).collect();
    let snapshot = Snapshot::take(server, &spec.database, &everything).await?;
    snapshot.expect_target(server, spec)?;
    let statements = snapshot.statements(spec, left);
    if statements.is_empty() {
        return Ok(());
    }
    let task = task("grant", spec);
    server.write(&spec.database, Lane::Short, &statements, &task).await?;
    // PostgreSQL only warns when a part was not granted, and says nothing when a privilege
    // that somebody else granted stays.
    let after = Snapshot::take(server, &spec.database, &everything).await?;
    if after.statements(spec, left).is_empty() {
        return Ok(());
    }
    let Spec { role, database, .. } = spec;
    let on = spec.on.word();
    Err(CallError::new(
        Failure::Denied,
        format!(
            "`{}` could not set all privileges of `{role}` on {on} in database `{database}` \
             at {}",
            server.user(),
            server.address()
        ),
    )
    .hint("work as the owner of the objects, or as a superuser"))
}

fn task(verb: &str, spec: &Spec) -> Task {
    let Spec { role, database, .. } = spec;
    let on = spec.on.word();
    let word = if verb == "grant" { "to" } else { "from" };
    Task::new(format!("{verb} privileges on {on} {word} `{role}` in database `{database}`"))
        .needs(format!("the ownership of the {on}, a grant option, or a superuser"))
        .hint(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            "the role passed its privileges on to others: revoke those first",
        )
}

fn id(name: &Name, spec: &Spec) -> String {
    let schema = spec.schema.as_deref().unwrap_or_default();
    let label = name.address.to_string();
    sql::id(&[&spec.database, &spec.role, spec.on.word(), schema, &label])
}

fn found(snapshot: &Snapshot, wanted: &Wanted<Spec>) -> Option<Found<Spec, Facts>> {
    let spec = snapshot.observe(&wanted.spec, wanted.id.is_some())?;
    Some(Found {
        id: wanted.id.clone().unwrap_or_else(|| id(&wanted.name, &wanted.spec)),
        natural: wanted.name.natural.clone(),
        spec,
        facts: Facts {},
        owner: Owner::Unmarked,
    })
}
