//! `postgres::grant`: what a role may do with something in a database.
//!
//! Catalogs: the ACLs of `pg_database`, `pg_namespace`, `pg_class`, `pg_proc` and others; see
//! "5.7. Privileges" in the PostgreSQL manual.

mod acl;
mod give;
mod ground;
mod on;
mod outline;
pub mod privileges;

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Listed, Listing, Name, Naming, Owner, Preview, Problem, Proposed,
    ReadResult, Resource, Script, Territory, Traits, Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use self::acl::{Owned, Snapshot};
use self::give::Wish;
pub(super) use self::give::Wishes;
pub use self::on::On;
use super::error::Task;
use super::imported;
use super::instead;
use super::server::Server;
use super::version::{self, Since};
use super::{names, review, sql};

/// What stands above statements that are told from the declarations alone.
const OUTLINE: &str =
    "-- an outline: what is sent is worked out from the server's own lists when it runs";

/// Everybody.
pub(super) const PUBLIC: &str = "PUBLIC";

/// All privileges that a role has on something: those listed, and no others. Two grants that
/// speak of one role and one object are refused: each would undo the other.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database: the target itself, or the one the target is in; for tablespaces and
    /// parameters any.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// Who may do it: a role, or `PUBLIC` for everybody.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// What kind of thing it is about.
    #[schemars(extend("x-replace" = true))]
    pub on: On,
    /// The schema: the target itself, or the one the tables, sequences, functions, procedures,
    /// routines or types are in.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema", "x-replace" = true))]
    pub schema: Option<String>,
    /// Names of tables (views count as tables), sequences, functions (all that share the
    /// name) and so on; all that exist in the schema when empty. What is made later is not
    /// covered until the next apply; `postgres::default_privileges` covers it at once.
    #[serde(default)]
    #[schemars(extend("x-handle" = [
        "postgres::table", "postgres::view", "postgres::foreign_table", "postgres::sequence",
        "postgres::function", "postgres::enum", "postgres::domain", "postgres::fdw_server",
        "postgres::tablespace", "postgres::setting",
    ]))]
    pub objects: Vec<String>,
    /// Columns of the tables in `objects`: then the privileges are those on these columns,
    /// beside what the role may do with the whole table.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The privileges: `["SELECT", "INSERT"]`, or `["ALL"]`; empty for none at all, which
    /// takes away what `PUBLIC` has by default. `ALL` leaves out MAINTAIN (PostgreSQL 17).
    pub privileges: Vec<String>,
    /// Whether the role may pass the privileges on.
    #[serde(default)]
    pub with_grant_option: bool,
}

/// What the server reports: nothing that is not asked for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind.
pub struct Grant;

impl Resource for Grant {
    const KIND: &'static str = "postgres::grant";
    const TERRITORIAL: bool = true;
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["role", "on", "schema", "objects", "columns"],
            joins: true,
            instead: instead::GRANT,
            ..Traits::default()
        }
    }

    fn territory(_: &str, spec: &Spec) -> Vec<Territory> {
        let mut all = ground::of_role(spec);
        all.extend(ground::of_everybody(spec, Some(&spec.role)));
        all
    }

    fn covers(spec: &Spec) -> Option<Vec<String>> {
        covers(&spec.database, spec.schema.as_deref()?, spec.on, &spec.objects)
    }

    fn id_of(name: &Name, spec: &Spec) -> Option<String> {
        Some(id(name, spec))
    }

    fn normalize(spec: &mut Spec) {
        normalize_grantee(&mut spec.role);
        if spec.on == On::Parameters {
            spec.objects.iter_mut().for_each(|name| *name = name.to_lowercase());
        }
        for names in [&mut spec.objects, &mut spec.columns] {
            names.sort();
            names.dedup();
        }
        let all = if spec.columns.is_empty() { spec.on.all() } else { &on::ON_COLUMNS };
        expand(all, &mut spec.privileges);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = names::problems_in(spec);
        let listed = [(&spec.objects, "objects"), (&spec.columns, "columns")];
        let listed = listed.into_iter().filter(|_| spec.on != On::Parameters);
        problems.extend(listed.flat_map(|(all, attribute)| {
            all.iter().filter_map(|name| names::problem(name, attribute))
        }));
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
            Some(_) if spec.on.is_named() => problem(
                "schema",
                format!("{on} are in no schema"),
                "leave `schema` out".to_owned(),
            ),
            None if spec.on == On::Schema || spec.on.is_in_schema() => problem(
                "schema",
                format!("a grant on {on} needs to know the schema"),
                "set `schema`".to_owned(),
            ),
            _ => {}
        }
        if !spec.objects.is_empty() && matches!(spec.on, On::Database | On::Schema) {
            problem(
                "objects",
                format!("a grant on the {on} has no objects"),
                "leave `objects` out, or set `on: \"tables\"`".to_owned(),
            );
        }
        if spec.objects.is_empty() && spec.on.is_named() {
            problem(
                "objects",
                format!("a grant on {on} names them"),
                "set `objects`".to_owned(),
            );
        }
        if !spec.columns.is_empty() && (spec.on != On::Tables || spec.objects.is_empty()) {
            problem(
                "columns",
                "columns are those of the tables in `objects`".to_owned(),
                "set `on: \"tables\"` and name the tables".to_owned(),
            );
        }
        let (all, on) = if spec.columns.is_empty() {
            (spec.on.all(), on)
        } else {
            (&on::ON_COLUMNS[..], "columns")
        };
        for privilege in &spec.privileges {
            let known = all.contains(&privilege.as_str())
                || (spec.columns.is_empty() && spec.on.knows(privilege));
            if !known {
                problem(
                    "privileges",
                    format!("`{privilege}` is no privilege on {on}"),
                    format!("one of {}, or ALL", all.join(", ")),
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

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let mut statements = review::whole(outline::outline(from, to));
        statements.insert(0, OUTLINE.to_owned());
        Some(review::script(name, Some(&spec.database), statements))
    }

    const PREVIEWS: bool = true;

    // The very statements, as far as all that a grant speaks of is there already.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let left: Vec<Vec<Spec>> = proposed
            .iter()
            .map(|one| one.from.as_ref().map_or_else(Vec::new, |from| left(from, &one.to)))
            .collect();
        let mut specs: BTreeMap<&str, Vec<&Spec>> = BTreeMap::new();
        for (one, left) in proposed.iter().zip(&left) {
            let known = specs.entry(&one.to.database).or_default();
            known.push(&one.to);
            known.extend(left);
        }
        let mut snapshots = BTreeMap::new();
        for (database, specs) in specs {
            snapshots.insert(database, Snapshot::take(server, database, &specs).await?);
        }
        let preview = |(one, left): (&Proposed<Spec>, &Vec<Spec>)| {
            let snapshot = &snapshots[one.to.database.as_str()];
            let found = version::preview(server, one.to.since());
            if !found.problems.is_empty() || snapshot.expect_target(server, &one.to).is_err() {
                return found;
            }
            let statements = snapshot.statements(&one.to, Owned::LikeOthers, left);
            let mut statements = review::whole(statements);
            if one.to.objects.is_empty() && one.to.on.is_in_schema() {
                let on = one.to.on.word();
                statements.push(format!("-- and the same on {on} made there before this runs"));
            }
            let script = review::script(&one.name, Some(&one.to.database), statements);
            Preview { script: Some(script), ..Preview::default() }
        };
        Ok(proposed.iter().zip(&left).map(preview).collect())
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
                Ok(snapshot) => {
                    let found = found(snapshot, wanted);
                    if found.is_none() {
                        version::expect(server, wanted.spec.since())?;
                        snapshot.expect_settings(server, &wanted.spec)?;
                    }
                    Ok(found)
                }
                Err(error) => Err(error.clone()),
            })
            .collect()
    }

    const LISTS: bool = true;

    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        let inventory = server.inventory().await?;
        let mut listing = Listing::default();
        for one in inventory.databases().flat_map(|(_, contents)| contents.granted()) {
            let found = Found {
                id: one.id.clone(),
                natural: String::new(),
                spec: one.spec.clone(),
                facts: Facts {},
                owner: Owner::Unmarked,
            };
            let needs = one.needs.clone();
            listing.objects.push(Listed { needs, ..imported::plainly(found, false) });
        }
        Ok(listing)
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let id = id(name, &spec);
        bring_to(server, spec, Vec::new()).await?;
        Ok(Created { id, facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        _: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let left = left(&from, &to);
        bring_to(server, to, left).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, _: &str, spec: Spec) -> Result<(), CallError> {
        server.privileges.fulfil(server, Wish::revoke(spec)).await
    }
}

/// Where all is that privileges on a schema's things of one sort are about, when none is named.
fn covers(database: &str, schema: &str, on: On, objects: &[String]) -> Option<Vec<String>> {
    let all = objects.is_empty() && on.is_in_schema();
    all.then(|| [database, schema, on.word()].map(str::to_owned).to_vec())
}

/// Where things of these sorts come to be in a schema, for privileges on all of them.
pub(super) fn made(
    is_new: bool,
    database: &str,
    schema: &str,
    sorts: &[On],
) -> Vec<Vec<String>> {
    let sorts = sorts.iter().filter(|_| is_new);
    sorts.filter_map(|on| covers(database, schema, *on, &[])).collect()
}

impl Spec {
    fn since(&self) -> Option<Since> {
        self.on.since(&self.privileges)
    }
}

/// What a grant no longer speaks of must not keep what it was given.
fn left(from: &Spec, to: &Spec) -> Vec<Spec> {
    if from.objects == to.objects && from.columns == to.columns {
        return Vec::new();
    }
    vec![Spec { privileges: Vec::new(), ..from.clone() }]
}

/// Grants and revokes until a role has exactly these privileges, and none on what is `left`.
async fn bring_to(server: &Server, spec: Spec, left: Vec<Spec>) -> Result<(), CallError> {
    version::expect(server, spec.since())?;
    server.privileges.fulfil(server, Wish::grant(spec, Owned::LikeOthers, left)).await
}

/// Everybody under one name: no role can be called `public`.
pub(super) fn normalize_grantee(role: &mut String) {
    if role.eq_ignore_ascii_case(PUBLIC) {
        PUBLIC.clone_into(role);
    }
}

/// Privileges by their full names, sorted, `ALL` spelled out.
pub(super) fn normalize_privileges(on: On, privileges: &mut Vec<String>) {
    expand(on.all(), privileges);
}

fn expand(all: &[&str], privileges: &mut Vec<String>) {
    *privileges = std::mem::take(privileges)
        .into_iter()
        .flat_map(|privilege| match privilege.trim().to_uppercase().as_str() {
            "ALL" | "ALL PRIVILEGES" => all.iter().map(|&word| word.to_owned()).collect(),
            "TEMP" => vec!["TEMPORARY".to_owned()],
            other => vec![other.to_owned()],
        })
        .collect();
    privileges.sort();
    privileges.dedup();
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
    let spec = snapshot.observe(&wanted.spec, wanted.id.is_some(), Owned::LikeOthers)?;
    let nothing = wanted.spec.privileges.is_empty();
    Some(Found {
        id: wanted.id.clone().unwrap_or_else(|| id(&wanted.name, &wanted.spec)),
        natural: wanted.name.natural.clone(),
        spec,
        facts: Facts {},
        // Everybody may do some things before anybody grants them, and to have no privileges
        // is nobody's doing.
        owner: if nothing || wanted.spec.role == PUBLIC {
            Owner::Ours
        } else {
            Owner::Unmarked
        },
    })
}
