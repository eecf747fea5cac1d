//! `postgres::schema`: name spaces in a database.
//!
//! Catalog: `pg_namespace`.

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Held, Listing, Moment, Name, Owner, Problem, ReadResult, Resource, Script,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::error::Task;
use super::instead;
use super::server::{Lane, Server};
use super::sql::{self, Place};
use super::{held, imported, names, review};

/// A schema: a name space for tables, functions and the like.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether dropping it drops what is in it, data included.
    #[serde(default)]
    pub cascade: bool,
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The server's number for it.
    #[schemars(extend("x-stable" = true))]
    pub oid: i64,
    /// The role that owns it now.
    pub owned_by: String,
}

/// A row of the introspection query.
#[derive(Clone, Deserialize)]
struct Row {
    name: String,
    oid: i64,
    owner: String,
    comment: Option<String>,
}

/// The kind.
pub struct Schema;

impl Resource for Schema {
    const KIND: &'static str = "postgres::schema";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            within: &["database"],
            holds_data: true,
            renames: true,
            instead: instead::SCHEMA,
            ..Traits::default()
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        names::problems_in(spec)
    }

    fn cautions(natural: &str, from: Option<&Spec>, _: &Spec) -> Vec<Problem> {
        names::caution(natural, false).filter(|_| from.is_none()).into_iter().collect()
    }

    fn check_named(natural: &str, _: &Spec) -> Vec<Problem> {
        names::problem_of_own("schema", natural).into_iter().collect()
    }

    fn id_of(name: &Name, spec: &Spec) -> Option<String> {
        Some(Place::of(None, &spec.database, &name.natural).id())
    }

    fn rename_statement(from: &str, to: &str) -> Option<String> {
        Some(sql::rename("SCHEMA", from, to))
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
    }

    fn keeps_data(_: &Spec, _: Option<&Spec>) -> bool {
        false
    }

    // Without CASCADE the server drops only what is empty.
    fn holds(spec: &Spec) -> bool {
        spec.cascade
    }

    fn takes_along(spec: &Spec) -> bool {
        spec.cascade
    }

    async fn held(
        server: &Server,
        wanted: &[Wanted<Spec>],
        _: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let place = |wanted: &Wanted<Spec>| {
            Place::of(wanted.id.as_deref(), &wanted.spec.database, &wanted.name.natural)
        };
        let places: Vec<_> = wanted.iter().map(place).collect();
        held::by_database(&places, |database, names| async move {
            held::in_schemas(server, &database, &names).await
        })
        .await
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let statements = match (from, to) {
            (None, Some(to)) => create_statements(&name.natural, to),
            (Some(from), Some(to)) => {
                let owner = from.owner.as_deref().unwrap_or_default();
                change(&sql::name(&name.natural), owner, from.comment.as_deref(), to)
            }
            (_, None) => vec![drop_statement(&name.natural, spec)],
        };
        Some(review::script(name, Some(&spec.database), review::whole(statements)))
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let place = |wanted: &Wanted<Spec>| {
            Place::of(wanted.id.as_deref(), &wanted.spec.database, &wanted.name.natural)
        };
        let answers = looked_up(server, wanted, place).await;
        // A run that was killed may have given it its new name already, and another its old one.
        let new = |wanted: &Wanted<Spec>| {
            let place = place(wanted);
            Place { name: wanted.name.natural.clone(), ..place }
        };
        let is_it =
            |answer: &Result<Option<Row>, CallError>, wanted: &Wanted<Spec>| match answer {
                Ok(Some(row)) => sql::is_it(wanted, row.oid),
                _ => false,
            };
        let doubtful = answers.iter().zip(wanted).any(|(answer, wanted)| {
            wanted.facts.is_some() && new(wanted) != place(wanted) && !is_it(answer, wanted)
        });
        let renamed = if doubtful { looked_up(server, wanted, new).await } else { Vec::new() };
        let mut renamed = renamed.into_iter();
        let found = |(answer, wanted): (Result<Option<Row>, CallError>, &Wanted<Spec>)| {
            let other = renamed.next().filter(|other| is_it(other, wanted));
            let other =
                other.filter(|_| !is_it(&answer, wanted)).and_then(Result::ok).flatten();
            let (row, place) = match (other, answer?) {
                (Some(row), _) => (row, new(wanted)),
                (None, Some(row)) => (row, place(wanted)),
                (None, None) => return Ok(None),
            };
            Ok(Some(found(&row, place, &wanted.spec)))
        };
        answers.into_iter().zip(wanted).map(found).collect()
    }

    const LISTS: bool = true;

    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        let inventory = server.inventory().await?;
        let mut listing = Listing::default();
        for (database, contents) in inventory.databases() {
            let names = contents.of("schema").map(|key| key.concat()).collect();
            for row in rows(server, database, names).await? {
                let place = Place { database: database.to_owned(), name: row.name.clone() };
                let spec = Spec {
                    database: database.to_owned(),
                    owner: Some(row.owner.clone()).filter(|owner| owner != server.user()),
                    comment: None,
                    cascade: false,
                };
                listing.objects.push(imported::plainly(found(&row, place, &spec), false));
            }
        }
        Ok(listing)
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        names::expect(&name.natural)?;
        let place = Place::of(None, &spec.database, &name.natural);
        let statements = create_statements(&name.natural, &spec);
        let task = task("create", &place);
        let question = format!(
            "select oid::int8 oid, pg_get_userbyid(nspowner) owned_by
            from pg_namespace where nspname = {}",
            sql::text(&name.natural)
        );
        let facts =
            server.write_and_ask(&place.database, &statements, &question, &task).await?;
        Ok(Created { id: place.id(), facts })
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let place = Place::of(Some(id), &to.database, &name.natural);
        let row = row(server, &place).await?;
        let schema = sql::name(&name.natural);
        let mut statements = change(&schema, &row.owner, row.comment.as_deref(), &to);
        if place.name != name.natural {
            names::expect(&name.natural)?;
            statements.insert(0, sql::rename("SCHEMA", &place.name, &name.natural));
        }
        let task = task("change", &place);
        server.write(&place.database, Lane::Short, &statements, &task).await?;
        Ok(Facts { owned_by: to.owner.unwrap_or(row.owner), oid: row.oid })
    }

    async fn delete(
        server: &Server,
        name: &Name,
        id: &str,
        spec: Spec,
    ) -> Result<(), CallError> {
        let place = Place::of(Some(id), &spec.database, &name.natural);
        let task = task("drop", &place).hint(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            "remove what is in it, or set `cascade: true` and apply that first",
        );
        let statement = drop_statement(&place.name, &spec);
        server.remove(&place.database, &[statement], &task).await
    }
}

fn create_statements(name: &str, spec: &Spec) -> Vec<String> {
    let schema = sql::name(name);
    let mut statements = vec![format!("CREATE SCHEMA {schema}")];
    statements.extend(change(&schema, "", None, spec));
    statements
}

fn drop_statement(name: &str, spec: &Spec) -> String {
    let cascade = if spec.cascade { " CASCADE" } else { "" };
    format!("DROP SCHEMA IF EXISTS {}{cascade}", sql::name(name))
}

fn task(verb: &str, place: &Place) -> Task {
    let Place { database, name } = place;
    Task::new(format!("{verb} schema `{name}` in database `{database}`")).needs(format!(
        "CREATE on database `{database}` for a new one, its ownership for an existing one \
         (and membership in the new owner), or a superuser"
    ))
}

/// The statements that bring owner and comment to what is asked for; `schema` is quoted.
fn change(schema: &str, owner: &str, comment: Option<&str>, to: &Spec) -> Vec<String> {
    let mut statements = Vec::new();
    if comment != to.comment.as_deref() {
        let comment = sql::text_or_null(to.comment.as_deref());
        statements.push(format!("COMMENT ON SCHEMA {schema} IS {comment}"));
    }
    // The owner last: after that the right to do the rest may be gone.
    if let Some(new) = to.owner.as_deref().filter(|new| *new != owner) {
        statements.push(format!("ALTER SCHEMA {schema} OWNER TO {}", sql::name(new)));
    }
    statements
}

async fn row(server: &Server, place: &Place) -> Result<Row, CallError> {
    let rows = rows(server, &place.database, vec![place.name.clone()]).await?;
    sql::still_there(rows, "schema", place)
}

/// The rows of schemas, each where `place` says.
async fn looked_up(
    server: &Server,
    wanted: &[Wanted<Spec>],
    place: impl Fn(&Wanted<Spec>) -> Place,
) -> Vec<Result<Option<Row>, CallError>> {
    sql::by_database(wanted, place, |database, names| async move {
        let rows = rows(server, &database, names).await?;
        Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
    })
    .await
}

async fn rows(
    server: &Server,
    database: &str,
    names: Vec<String>,
) -> Result<Vec<Row>, CallError> {
    let sql = r#"select nspname name, oid::int8 oid, pg_get_userbyid(nspowner) "owner",
            obj_description(oid, 'pg_namespace') "comment"
        from pg_namespace where nspname = any($1)"#;
    let task = Task::new(format!("read schemas of database `{database}`"));
    server.rows(database, sql, &[names], &task).await
}

fn found(row: &Row, place: Place, asked: &Spec) -> Found<Spec, Facts> {
    Found {
        id: place.id(),
        natural: row.name.clone(),
        spec: Spec {
            database: place.database,
            owner: asked.owner.as_ref().map(|_| row.owner.clone()),
            comment: row.comment.clone(),
            cascade: asked.cascade,
        },
        facts: facts(row),
        owner: Owner::Unmarked,
    }
}

fn facts(row: &Row) -> Facts {
    Facts { oid: row.oid, owned_by: row.owner.clone() }
}
